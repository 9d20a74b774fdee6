"""The run of an optimiser: its moving state, its driver and its result."""

from dataclasses import dataclass, field
from time import perf_counter
from types import SimpleNamespace

import numpy as np

from lmmfit._threads import one_blas_thread

__all__ = ["OptimizeResult", "Optimizer", "Recombined", "Run", "minimize"]

NO_STEP = "no step along the direction leads to a smaller value"
ROUNDING = "steps are below the rounding of value and parameters"


class Run:
    """Where an optimiser stands: enough to go on from, bit for bit.

    Attributes
    ----------
    optimizer : Optimizer
    x : ndarray of shape (k,)
    value : float
    gradient : ndarray of shape (k,)
    n_iter, n_values, n_gradients, n_products : int
        Iterations, and what they asked of the objective.
    seconds : float
        Spent so far, in all parts of the run.
    curve : list of float
        Value after each iteration.
    memory : SimpleNamespace
        What descent and search remember from step to step.
    cache : SimpleNamespace
        What they can compute again from the point and ``memory``.
    """

    def __init__(self, optimizer, objective, x):
        self.optimizer, self.objective = optimizer, objective
        self.n_iter = self.n_values = self.n_gradients = self.n_products = 0
        self.seconds, self.curve = 0.0, []
        self.memory, self.cache = SimpleNamespace(), SimpleNamespace()
        self.move_to(self.evaluate(x), np.array(x, dtype=np.float64))
        optimizer.start(self)

    @property
    def value(self):
        """Value where the run stands."""
        return self.point.value

    @property
    def gradient(self):
        """Gradient where the run stands, in double precision."""
        return self._gradient

    @property
    def noise(self):
        """Rounding that the value may have."""
        precision = getattr(self.objective, "dtype", np.float64)
        return 10.0 * float(np.finfo(precision).eps) * abs(self.value)

    def evaluate(self, x):
        """Try a point; only its value has to be known."""
        self.n_values += 1
        return self.objective.evaluate(x)

    def move_to(self, point, x):
        """Go to a point that was tried."""
        self.x, self.point = x, point
        self._gradient = np.asarray(point.gradient, dtype=np.float64)
        self.n_gradients += 1

    def decrease(self, trial, x, promised):
        """Share of the promised decrease that a trial keeps; -1 where it has no value.

        Where the promise is below the rounding of the values, their difference comes from the
        gradients at both ends instead, by the trapezoidal rule.

        Parameters
        ----------
        trial : object
            The point at x.
        x : ndarray of shape (k,)
        promised : float

        Returns
        -------
        float
        """
        if not np.isfinite(trial.value):
            return -1.0
        noise, lost = self.noise, self.value - trial.value
        if promised > noise or abs(lost) > noise:
            return (lost + noise) / (promised + noise)
        slopes = self.gradient + np.asarray(trial.gradient, dtype=np.float64)
        return -0.5 * (slopes @ (x - self.x)) / promised

    def resume(self, objective):
        """Go on with an objective: the same data, or other data from the same place."""
        counts = self.n_values, self.n_gradients
        self.objective = objective
        self.move_to(self.evaluate(self.x), self.x)
        self.n_values, self.n_gradients = counts

    def release(self):
        """Forget what can be computed again, which may be much; :func:`minimize` does so."""
        self.point = self.objective = self._gradient = None
        self.cache = SimpleNamespace()

    def __getstate__(self):
        nothing = dict.fromkeys(("point", "objective", "_gradient"))
        return self.__dict__ | nothing | {"cache": SimpleNamespace()}


@dataclass(frozen=True)
class Optimizer:
    """Base of the optimisers: a descent proposes steps, a search judges them.

    Examples
    --------
    >>> from lmmfit.optimize import SCG, NewtonCG, Optimizer
    >>> isinstance(NewtonCG(), Optimizer), isinstance(SCG(), Optimizer)
    (True, True)
    """

    def start(self, run):
        """Prepare the memory of a run."""
        self.descent.start(run)
        self.search.start(run)

    def advance(self, run):
        """Make one iteration.

        Returns
        -------
        str or None
            Why no further step is possible.
        """
        return self.search.advance(run, self.descent)


@dataclass(frozen=True)
class Recombined(Optimizer):
    """Any descent with any search that understands it.

    Parameters
    ----------
    descent : TruncatedCG, NormalEquations, LimitedMemory or SteepestDescent
    search : TrustRegion, Damping, LineSearch or ExactLineSearch

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import LineSearch, Objective, Recombined, TruncatedCG, minimize
    >>> bowl = Objective(lambda x: (0.5 * x @ x, x), lambda x, v: v)
    >>> result = minimize(bowl, np.ones(3), Recombined(TruncatedCG(), LineSearch()))
    >>> result.converged, result.n_iter
    (True, 1)
    """

    descent: object
    search: object

    def __post_init__(self):
        asked = self.search.asks
        if not hasattr(self.descent, asked):
            raise ValueError(
                f"{type(self.search).__name__} asks its descent for {asked}(), which "
                f"{type(self.descent).__name__} does not have: see the table of pairs in the "
                "documentation."
            )


@dataclass(frozen=True, eq=False)
class OptimizeResult:
    """Where an optimiser ended, and why.

    Attributes
    ----------
    x : ndarray of shape (k,)
    value : float
    gradient : ndarray of shape (k,)
    converged : bool
        Whether the gradient is within ``tol``, or no smaller value can be told from this one.
    reason : str
        Why the run ended.
    n_iter, n_values, n_gradients, n_products : int
        Iterations; values, gradients and products with second derivatives asked for.
    seconds : float
    run : Run
        The moving state: ``minimize(objective, run=result.run)`` goes on from it exactly.
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray
    converged: bool
    reason: str
    n_iter: int
    n_values: int
    n_gradients: int
    n_products: int
    seconds: float
    run: Run = field(repr=False)


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
    from lmmfit.optimize.methods import NewtonCG

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
