"""The driver: iterations of an optimiser until there is a reason to stop."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from lmmfit._threads import one_blas_thread
from lmmfit.optimize.methods import NewtonCG
from lmmfit.optimize.run import ROUNDING, Optimizer, OptimizeResult, Run

__all__ = ["minimize"]


@dataclass(frozen=True)
class _Limits:
    tol: object
    max_iter: int
    max_time: float | None
    callback: object
    began: float
    before: float
    first: int

    def reason(self, run):
        """Why to stop here, and whether that is convergence."""
        run.seconds = self.before + perf_counter() - self.began
        if not np.isfinite(run.value) or not np.isfinite(run.gradient).all():
            return f"no finite value or gradient after {run.n_iter} iterations", False
        stopped = self.callback is not None and run.n_iter > self.first and self.callback(run)
        tol = self.tol(run) if callable(self.tol) else self.tol
        if np.max(np.abs(run.gradient), initial=0.0) <= tol:
            return f"largest element of the gradient within tol={tol:g}", True
        if stopped:
            return "callback", False
        if run.n_iter - self.first >= self.max_iter:
            return f"max_iter={self.max_iter} iterations", False
        if self.max_time is not None and run.seconds >= self.max_time:
            return f"max_time={self.max_time:g} seconds", False
        return None, False


def minimize(
    objective, x=None, optimizer=None, *, tol=1e-8, max_iter=1000, max_time=None, callback=None,
    run=None,
):  # fmt: skip
    """Minimise a smooth function of many parameters.

    Parameters
    ----------
    objective : Objective or NetworkObjective
        ``evaluate(x)`` gives a point with ``value``, ``gradient`` and what the descent needs:
        ``hessian_vector_product(v)``, ``gauss_newton_vector_product(v)``,
        ``gauss_newton_matrix()``.
    x : array-like of shape (k,), optional
        Start; not with ``run``.
    optimizer : Optimizer, optional
        :class:`NewtonCG` by default.
    tol : float or callable, default=1e-8
        Largest absolute element of the gradient at the end; a callable gives it for a
        :class:`Run`.
    max_iter : int, default=1000
        Iterations of this call at most.
    max_time : float, optional
        Seconds, those of the run so far included, after which no iteration begins.
    callback : callable, optional
        Called with the :class:`Run` after each iteration; returning True stops.
    run : Run, optional
        State of an earlier call, to go on from. It is changed.

    Returns
    -------
    OptimizeResult

    Raises
    ------
    ValueError
        If neither or both of ``x`` and ``run`` are given, or value or gradient at the start
        are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import NewtonCG, Objective, minimize
    >>> def banana(x):
    ...     a, b = 1 - x[0], x[1] - x[0] ** 2
    ...     return a * a + 100 * b * b, np.array([-2 * a - 400 * x[0] * b, 200 * b])
    >>> def product(x, v):
    ...     H = [[2 - 400 * x[1] + 1200 * x[0] ** 2, -400 * x[0]], [-400 * x[0], 200]]
    ...     return np.array(H) @ v
    >>> result = minimize(Objective(banana, product), [-1.2, 1.0], NewtonCG())
    >>> result.x.round(6), result.reason
    (array([1., 1.]), 'largest element of the gradient within tol=1e-08')
    """
    if (x is None) == (run is None):
        raise ValueError("give a start x, or the run of an earlier result to go on from.")
    with one_blas_thread():
        if run is None:
            run = _begin(objective, x, optimizer)
        elif run.point is None or run.objective is not objective:
            run.resume(objective)
        limits = _Limits(
            tol, max_iter, max_time, callback, perf_counter(), run.seconds, run.n_iter
        )
        reason, converged = limits.reason(run)
        while reason is None:
            stuck = run.optimizer.advance(run)
            run.n_iter += 1
            run.curve.append(run.value)
            reason, converged = limits.reason(run)
            if stuck and not converged:
                reason, converged = stuck, stuck == ROUNDING
    return OptimizeResult(
        run.x, run.value, run.gradient, converged, reason, run.n_iter, run.n_values,
        run.n_gradients, run.n_products, run.seconds, run,
    )  # fmt: skip


def _begin(objective, x, optimizer):
    optimizer = NewtonCG() if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one like NewtonCG() or LBFGS(), got {optimizer!r}.")
    if not hasattr(objective, "evaluate"):
        raise TypeError(
            f"the objective must have evaluate(x), got {objective!r}: make one of functions by "
            "Objective(function, product)."
        )
    x = np.array(x, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"the start must be a finite vector, got shape {x.shape}: {x}.")
    run = Run(optimizer, objective, x)
    if not np.isfinite(run.value) or not np.isfinite(run.gradient).all():
        raise ValueError(
            f"value and gradient must be finite at the start; the value is {run.value}. "
            "Start from smaller parameters, or scale the data."
        )
    return run
