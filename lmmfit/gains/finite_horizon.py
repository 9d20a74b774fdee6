"""The finite-horizon method: the gains of a window, each the best for all traces to come."""

import math
import warnings
from itertools import pairwise

import numpy as np

from lmmfit._threads import blas_threads_for
from lmmfit.gains.components import Parts
from lmmfit.gains.diagnosis import unstable_gain
from lmmfit.gains.errors import GainError
from lmmfit.gains.gain_solution import certify
from lmmfit.gains.problem import filter_problem, regulator_problem
from lmmfit.gains.products import spectral_radius
from lmmfit.gains.steps import SumOfTraces, relative_change
from lmmfit.gains.window import Window, check_window
from lmmfit.riccati.checks import as_symmetric, check_options

__all__ = ["finite_horizon_gain", "finite_horizon_regulator", "solve_finite_horizon"]

_GROWTH = 1.5  # of a window that is too short


def finite_horizon_gain(
    A, C, Q, R, pattern, *, window="auto", tol=1e-5, max_iter=100, initial_cov=None
):
    """Gain of a filter by the finite-horizon method.

    The gains K(1), ..., K(W) of a window minimise the sum of the traces of P(1), ..., P(W): sweeps
    from the last to the first solve ``[L(i+1) K(i) S(i) - L(i+1) P_(i) C']_chi = 0``, with the
    other gains fixed. Of the window, the gain where the trace is steadiest is taken. It is close
    to the best constant gain, which :func:`steady_gain` finds itself.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
        Positive semidefinite.
    R : array-like or sparse array of shape (o, o)
        Positive definite.
    pattern : array-like, sparse array, str, list of sets, graph or Pattern
        Of the n x o gain.
    window : int or "auto", default="auto"
        W, at least 2. With ``auto``, begin with 20 steps, or as many as the loop of the one-step
        gain takes to decay if that is more, and take half as many again until the trace is
        steady.
    tol : float, default=1e-5
        Change of the steady trace from a sweep to the next, relative to it, that ends the sweeps.
        Within the window the trace must come to a tenth of that.
    max_iter : int, default=100
        Sweeps.
    initial_cov : array-like of shape (n, n), optional
        P before the window; zero by default.

    Returns
    -------
    GainSolution
        ``trace`` and ``P`` are exact for the constant gain; ``trace_history`` and ``P_last`` are
        those of the window, which the method itself takes for them.

    Warns
    -----
    RuntimeWarning
        If the sweeps have not converged.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong.
    GainError
        If the trace is steady nowhere in the window.
    UnstableGainError
        If the loop of the gain is not stable.

    References
    ----------
    Viegas, D., Batista, P., Oliveira, P. and Silvestre, C. (2018). Discrete-time distributed
    Kalman filter design for formations of autonomous vehicles. Control Engineering Practice 75,
    section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import finite_horizon_gain
    >>> A = np.array([[0.9, 0.3], [0.1, 0.8]])
    >>> found = finite_horizon_gain(A, np.eye(2), np.eye(2), np.eye(2), "diag", window=30)
    >>> found.K.round(4), round(found.trace, 6)
    (array([[0.6125, 0.    ],
           [0.    , 0.5826]]), 1.190706)
    """
    return solve_finite_horizon(
        filter_problem(A, C, Q, R, pattern), window=window, tol=tol, max_iter=max_iter,
        initial_cov=initial_cov,
    )  # fmt: skip


def finite_horizon_regulator(
    A, B, Q, R, pattern, *, S=None, window="auto", tol=1e-5, max_iter=100, initial_cov=None
):
    """Gain of a regulator u = -K x by the finite-horizon method.

    The dual of :func:`finite_horizon_gain`, backwards in time from the cost Q.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    B : array-like or sparse array of shape (n, m)
    Q : array-like or sparse array of shape (n, n)
        Positive semidefinite.
    R : array-like or sparse array of shape (m, m)
        Positive definite.
    pattern : array-like, sparse array, str, list of sets, graph or Pattern
        Of the m x n gain.
    S : array-like of shape (n, m), optional
        Cross weight, of 2 x'Su; zero by default.
    window : int or "auto", default="auto"
    tol : float, default=1e-5
    max_iter : int, default=100
    initial_cov : array-like of shape (n, n), optional
        P at the end of time; Q by default.

    Returns
    -------
    GainSolution

    Warns
    -----
    RuntimeWarning
        If the sweeps have not converged.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong.
    GainError
        If the trace is steady nowhere in the window.
    UnstableGainError
        If the loop of the gain is not stable.

    Notes
    -----
    The weights are those of the sum of traces. A published implementation counts one term of L
    twice and ends above the optimum: at 22.063 instead of 21.761 for the example of its tutorial.

    References
    ----------
    Viegas, D., Batista, P., Oliveira, P. and Silvestre, C. (2021). Distributed controller design
    and performance optimization for discrete-time linear systems. Optimal Control Applications
    and Methods 42.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import finite_horizon_regulator
    >>> A = np.array([[0.9, 0.3], [0.1, 0.8]])
    >>> found = finite_horizon_regulator(A, np.eye(2), np.eye(2), np.eye(2), "diag", window=30)
    >>> round(found.trace, 4)
    3.088
    """
    return solve_finite_horizon(
        regulator_problem(A, B, Q, R, pattern, S=S), window=window, tol=tol, max_iter=max_iter,
        initial_cov=initial_cov,
    )  # fmt: skip


def solve_finite_horizon(problem, *, window="auto", tol=1e-5, max_iter=100, initial_cov=None):
    """The finite-horizon method for a problem that is checked.

    Parameters
    ----------
    problem : GainProblem
    window : int or "auto"
    tol : float
    max_iter : int
    initial_cov : array-like of shape (n, n), optional

    Returns
    -------
    GainSolution
    """
    check_options("finite-horizon", ("finite-horizon",), tol, max_iter)
    start = problem.start
    if initial_cov is not None:
        start = as_symmetric(initial_cov, "initial_cov", problem.order)
    check_window(window, least=2)
    with blas_threads_for(problem.order), np.errstate(over="ignore", invalid="ignore"):
        parts = Parts(problem, start)
        W = _first_window(parts) if window == "auto" else window
        steady = _sweep_until_steady(problem, parts, W, tol, max_iter)
        before = math.inf
        while steady.values is None and window == "auto" and steady.change < 0.9 * before:
            before, W = steady.change, math.ceil(_GROWTH * W)
            steady = _sweep_until_steady(problem, parts, W, tol, max_iter)
        if steady.values is None:
            raise _never_steady(problem, steady, W, tol)
        found = certify(
            problem, steady.values, method="finite-horizon", converged=steady.converged,
            n_iter=steady.n_iter, trace_history=steady.traces, P_last=steady.P,
        )  # fmt: skip
    if not found.converged:
        warnings.warn(
            f"the trace still changed by more than tol={tol:g} of itself after {max_iter} sweeps "
            "of the finite-horizon method. Allow more max_iter.",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    return found


class _Steady:
    """The steadiest step of the window, after the sweeps so far."""

    def __init__(self):
        self.values = self.P = self.last = None
        self.traces, self.change, self.n_iter, self.converged = [], math.inf, 0, False


def _sweep_until_steady(problem, parts, W, tol, max_iter):
    """Sweeps over a window of W steps; the published rules for where and when to stop."""
    pairs = zip(parts.problems, parts.starts, strict=True)
    windows = [Window([part] * W, start) for part, start in pairs]
    found = _Steady()
    while not found.converged and found.n_iter < max_iter:
        found.n_iter += 1
        traces = parts.total(
            [
                window.sweep(SumOfTraces(part.order, [1.0] * W))
                for part, window in zip(parts.problems, windows, strict=True)
            ]
        )
        if not np.isfinite(traces).all():
            raise unstable_gain(problem, "finite-horizon")
        changes = [relative_change(b, a) for a, b in pairwise(traces)]
        at = int(np.argmin(changes)) + 1
        found.change = changes[at - 1]
        found.last = parts.values([window.gains[at] for window in windows])
        before = 0.0 if found.values is None else found.traces[-1]
        if not found.change < 0.1 * tol:
            found.values = None
            continue
        found.values, found.at = found.last, at
        found.traces.append(float(traces[at]))
        found.converged = bool(relative_change(traces[at], before) < tol)
    if found.values is not None:
        blocks = [window.before(found.at + 1) for window in windows]
        found.P = parts.covariance(blocks)
    return found


def _first_window(parts):
    """As many steps as the loops of the one-step gains take to decay to 1e-5; at least 20."""
    radius = 0.0
    for problem, start in zip(parts.problems, parts.starts, strict=True):
        gain = problem.gain(Window([problem] * 20, start).gains[-1])
        radius = max(radius, spectral_radius(problem.loop(gain)))
    if not 0.0 < radius < 1.0:
        return 20
    return int(np.clip(math.ceil(-12.0 / math.log(radius)), 20, 200))


def _never_steady(problem, steady, W, tol):
    """The error for a window in which the trace settles nowhere: it grows, or W is too short."""
    radius = spectral_radius(problem.loop(problem.gain(steady.last)))
    if radius >= 1.0:
        return unstable_gain(problem, "finite-horizon", radius)
    return GainError(
        f"within a window of {W} steps the trace changes by {steady.change:.2g} of itself at "
        f"least from a step to the next, and tol={tol:g} asks for {0.1 * tol:g}. Give a longer "
        "window or a larger tol, or call steady_gain, which has no window."
    )
