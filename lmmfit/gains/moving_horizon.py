"""The moving-horizon method: a window of gains, applied to the last outputs again at each step."""

import warnings
from collections import deque
from types import SimpleNamespace

import numpy as np

from lmmfit._threads import blas_threads_for
from lmmfit.gains.diagnosis import unstable_gain
from lmmfit.gains.gain_sequence import GainSequence
from lmmfit.gains.problem import filter_problem
from lmmfit.gains.products import multiply, spectral_radius
from lmmfit.gains.smith import SmithPowers
from lmmfit.gains.steps import (
    LastTrace,
    greedy_until_settled,
    relative_change,
    run_forward,
    sweep_backward,
)
from lmmfit.gains.window import check_window, solve_weighted
from lmmfit.riccati.checks import as_matrix, check_options
from lmmfit.riccati.kalman import as_outputs

__all__ = ["filter_moving_horizon", "moving_horizon_gain", "solve_moving_horizon"]

_SWEEPS = 1000
_STEPS = 1000  # of the one-step method


def moving_horizon_gain(A, C, Q, R, pattern, *, window=5, tol=1e-4, max_iter=100):
    """Gains of a moving-horizon filter: the estimate W steps ago, and the W outputs since.

    At each step the window moves on by one, begins with the covariance of the estimate made W
    steps ago, and its gains are swept for the trace of its last covariance alone:
    ``[L K S - L P_ C']_chi = 0`` with ``L(i) = F(i+1)' L(i+1) F(i+1)`` and L(W) = I. The W gains
    may differ, which is more than a constant gain can do: the traces are smaller. In return each
    estimate takes W steps of work.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
        Positive semidefinite.
    R : array-like or sparse array of shape (o, o)
        Positive definite.
    pattern : array-like, sparse array, str, list of sets, graph or Pattern
        Of the n x o gains.
    window : int, default=5
        W, at least 1.
    tol : float, default=1e-4
        Change of the last trace from a window to the next, relative to it, that ends the method;
        a tenth of it ends the sweeps over a window.
    max_iter : int, default=100
        Windows.

    Returns
    -------
    GainSequence
        With the W gains and covariances of the last window. ``trace`` is the exact steady one of
        the gains, ``trace_history`` has those that the method has seen.

    Warns
    -----
    RuntimeWarning
        If the trace has not settled.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong.
    UnstableGainError
        If the product of the loops is not stable.

    References
    ----------
    Pedroso, L. and Batista, P. (2023). Decentralized discrete-time moving horizon estimation for
    large-scale networks of interconnected unconstrained linear systems. IEEE Transactions on
    Control of Network Systems, doi 10.1109/TCNS.2023.3244086, tables 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import moving_horizon_gain, steady_gain
    >>> A, one = np.array([[0.9, 0.3], [0.1, 0.8]]), np.eye(2)
    >>> moving = moving_horizon_gain(A, one, one, one, "diag", window=4)
    >>> moving.trace < steady_gain(A, one, one, one, "diag").trace
    True
    """
    return solve_moving_horizon(
        filter_problem(A, C, Q, R, pattern), window=window, tol=tol, max_iter=max_iter
    )


def solve_moving_horizon(problem, *, window=5, tol=1e-4, max_iter=100):
    """The moving-horizon method for a problem that is checked.

    Parameters
    ----------
    problem : GainProblem
    window : int
    tol : float
    max_iter : int

    Returns
    -------
    GainSequence
    """
    check_options("moving-horizon", ("moving-horizon",), tol, max_iter)
    if isinstance(window, str):
        raise ValueError(f"window must be a whole number of at least 1, got {window!r}.")
    check_window(window, least=1)
    with blas_threads_for(problem.order), np.errstate(over="ignore", invalid="ignore"):
        gains, covariances, history, converged = _move(problem, window, tol, max_iter)
        sequence = _certified(problem, gains, covariances, history, converged)
    if not converged:
        warnings.warn(
            f"the trace still changed by more than tol={tol:g} of itself after {max_iter} windows "
            "of the moving horizon. Allow more max_iter.",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    return sequence


def _move(problem, W, tol, max_iter):
    """Windows until the trace settles: growing at first, then moving."""
    ends = deque(maxlen=W)  # covariances of the last W estimates
    history, settled, gains = [], False, None
    while not settled and len(history) < max_iter:
        growing = len(ends) < W
        if growing:
            start, problems = problem.start, [problem] * (len(ends) + 1)
            gains, covariances = _settled_window(problem, problems, 0.1 * tol)
        else:
            start = ends[0]
            covariances = _covariances(problems, start, gains)
        covariances = _sweep(problems, start, gains, covariances, 0.1 * tol)
        ends.append(covariances[-1])
        history.append(float(ends[-1].trace()))
        if not np.isfinite(history[-1]):
            raise unstable_gain(problem, "moving-horizon")
        settled = not growing and relative_change(history[-1], history[-2]) < tol
    return gains, covariances, history, settled


def _settled_window(problem, problems, tol):
    """Gains and covariances of a window that is begun anew: those of the one-step method."""
    gains, covariances, P = [], [], problem.start
    for _ in problems:
        (values,), (P,), traces = greedy_until_settled([problem], [P], tol, _STEPS)
        if len(traces) > _STEPS or np.isinf(traces[-1]):
            radius = spectral_radius(problem.loop(problem.gain(values)))
            if radius >= 1.0:
                raise unstable_gain(problem, "moving-horizon", radius)
        gains.append(values)
        covariances.append(P)
    return gains, covariances


def _sweep(problems, start, gains, covariances, tol):
    """Sweep a window until its last trace settles; the gains change in place."""
    for _ in range(_SWEEPS):
        before = [start, *covariances]
        predicted = [step.predict(P) for step, P in zip(problems, before, strict=False)]
        adjoint = LastTrace(len(start))
        sweep_backward(problems, predicted.__getitem__, gains, adjoint, solve_weighted)
        covariances = _covariances(problems, start, gains)
        traces = [float(P[-1].trace()) for P in (covariances, before)]
        if not relative_change(*traces) >= tol:
            break
    return covariances


def _covariances(problems, start, gains):
    return [P for _, _, P in run_forward(problems, start, gains)]


def _certified(problem, gains, covariances, history, converged):
    """The exact steady covariance: that of the map from the estimate W steps ago."""
    n, problems = problem.order, [problem] * len(gains)
    product = np.eye(n)
    for values in gains:
        product = multiply(problem.loop(problem.gain(values)), product)
    noise = _covariances(problems, np.zeros((n, n)), gains)[-1]
    powers, radius = SmithPowers(product), spectral_radius(product)
    if not powers.stable:
        raise unstable_gain(problem, "moving-horizon", radius)
    steady = powers.solve(0.5 * (noise + noise.T))
    return GainSequence(
        np.stack([problem.pattern.dense(values) for values in gains]),
        np.stack(covariances), np.trace(covariances, axis1=1, axis2=2), "moving-horizon",
        converged, len(history), history, float(steady.trace()), radius, steady,
    )  # fmt: skip


def filter_moving_horizon(A, C, K, Y, *, initial_state=None):
    """Estimates of a moving-horizon filter.

    ``x[t|t]`` comes from ``x[t-W|t-W]`` by W steps with the outputs since, one with each gain.
    In the first rows, where there is no estimate W steps ago, it comes from the initial state by
    the last gains.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    K : array-like of shape (W, n, o)
        Of :func:`moving_horizon_gain`.
    Y : array-like of shape (T, o)
        Rows in the order of time; NaN is missing, and corrects nothing.
    initial_state : array-like of shape (n,), optional
        The state before the first row; zero by default.

    Returns
    -------
    states : ndarray of shape (T, n)
        x[t|t].
    outputs : ndarray of shape (T, o)
        C A x[t-1|t-1]: each row as predicted from those before it.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or an element that is not a number.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import filter_moving_horizon
    >>> states, outputs = filter_moving_horizon([[1.0]], [[1.0]], np.full((2, 1, 1), 0.5),
    ...                                         [[4.0], [4.0], [4.0]])
    >>> states.ravel(), outputs.ravel()
    (array([2. , 3. , 3.5]), array([0., 2., 3.]))
    """
    A = as_matrix(A, "A", sparse=True)
    n = A.shape[0]
    C = as_matrix(C, "C", (None, n), sparse=True)
    K = np.asarray(K, dtype=float)
    if K.ndim != 3 or K.shape[1:] != (n, C.shape[0]) or not len(K) or not np.isfinite(K).all():
        raise ValueError(
            f"K must be finite gains of shape (W, {n}, {C.shape[0]}), got the shape {K.shape}."
        )
    Y = as_outputs(SimpleNamespace(C=C), Y)
    start = np.zeros(n) if initial_state is None else np.asarray(initial_state, dtype=float)
    if start.shape != (n,) or not np.isfinite(start).all():
        raise ValueError(f"initial_state must be {n} finite numbers, got {initial_state!r}.")
    W = len(K)
    states, outputs = np.empty((len(Y), n)), np.empty(Y.shape)
    for t in range(len(Y)):
        outputs[t] = C @ (A @ (states[t - 1] if t else start))
        first = max(t - W + 1, 0)
        x = states[first - 1] if first else start
        for gain, y in zip(K[W - (t + 1 - first) :], Y[first : t + 1], strict=True):
            x = A @ x
            x = x + gain @ np.nan_to_num(y - C @ x)
        states[t] = x
    return states, outputs
