"""Gains along a window of a system that changes with time."""

import warnings

import numpy as np

from lmmfit._threads import blas_threads_for
from lmmfit.gains.gain_sequence import GainSequence
from lmmfit.gains.pattern import as_pattern
from lmmfit.gains.problem import filter_problem, regulator_problem
from lmmfit.gains.steps import SumOfTraces, relative_change
from lmmfit.gains.window import Window
from lmmfit.riccati.checks import as_symmetric, check_options, check_semidefinite

__all__ = ["time_varying_filter", "time_varying_regulator"]

_METHODS = ("finite-horizon", "one-step", "causal")


def time_varying_filter(
    A, C, Q, R, pattern, *, initial_cov, method="finite-horizon", forgetting=0.1, tol=1e-5,
    max_iter=100,
):  # fmt: skip
    """Gains K(1), ..., K(T) of a filter for ``x(t+1) = A(t) x(t) + w``, ``y(t) = C(t) x(t) + v``.

    Parameters
    ----------
    A : array-like of shape (T, n, n) or (n, n)
        A(t) leads from step t to the next; the last one is not used. At least one of A, C, Q and
        R has T matrices; a single one stands for all steps.
    C : array-like of shape (T, o, n) or (o, n)
    Q : array-like of shape (T, n, n) or (n, n)
        Covariance of w(t), positive semidefinite.
    R : array-like of shape (T, o, o) or (o, o)
        Covariance of v(t), positive definite.
    pattern : array-like, sparse array, str, list of sets, graph or Pattern
        Of the n x o gains.
    initial_cov : array-like of shape (n, n)
        Covariance P(1|0) of the first state before its output is seen, positive semidefinite.
    method : {"finite-horizon", "one-step", "causal"}, default="finite-horizon"
        ``finite-horizon``: least sum of the traces. ``one-step``: each gain the best for its own
        trace. ``causal``: the trace of step t counts ``forgetting**(T - t)``: for the estimate at
        the end of a window that has passed.
    forgetting : float, default=0.1
        Above 0 and at most 1; for ``causal``.
    tol : float, default=1e-5
        Largest change of a trace by a sweep, relative to it, that ends the sweeps.
    max_iter : int, default=100
        Sweeps.

    Returns
    -------
    GainSequence

    Warns
    -----
    RuntimeWarning
        If the sweeps have not converged.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong; of matrices that change, the step is named.

    References
    ----------
    Pedroso, L., Batista, P., Oliveira, P. and Silvestre, C. (2021). Discrete-time distributed
    Kalman filter design for networks of interconnected systems with linear time-varying dynamics.
    International Journal of Systems Science 53(6).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import time_varying_filter
    >>> one = np.eye(2)
    >>> A = np.stack([one, [[0.9, 0.3], [0.1, 0.8]], [[0.5, 0.0], [0.2, 1.1]]])
    >>> greedy = time_varying_filter(A, one, one, one, "diag", initial_cov=one, method="one-step")
    >>> swept = time_varying_filter(A, one, one, one, "diag", initial_cov=one)
    >>> bool(swept.traces.sum() <= greedy.traces.sum())
    True
    """
    check_options(method, _METHODS, tol, max_iter)
    if not 0.0 < forgetting <= 1.0:
        raise ValueError(f"forgetting must be above 0 and at most 1, got {forgetting!r}.")
    T = _length({"A": A, "C": C, "Q": Q, "R": R})
    A, C, Q, R = (_steps(M, name, T) for M, name in ((A, "A"), (C, "C"), (Q, "Q"), (R, "R")))
    n, o = C[0].shape[1], C[0].shape[0]
    pattern = as_pattern(pattern, (n, o))
    first = as_symmetric(initial_cov, "initial_cov", n)
    check_semidefinite(first, "initial_cov")
    # P(1|0) as a noise that follows from nothing, and then each prediction with its output.
    problems = [_at(0, filter_problem, np.zeros((n, n)), C[0], first, R[0], pattern)]
    problems += [
        _at(t, filter_problem, A[t - 1], C[t], Q[t - 1], R[t], pattern) for t in range(1, T)
    ]
    weights = [forgetting ** (T - 1 - t) if method == "causal" else 1.0 for t in range(T)]
    return _solve(problems, np.zeros((n, n)), weights, method, tol, max_iter)


def time_varying_regulator(
    A, B, Q, R, pattern, *, method="finite-horizon", tol=1e-5, max_iter=100
):
    """Gains K(0), ..., K(T-1) of a regulator u(t) = -K(t) x(t) over a window.

    The cost is the sum of ``x(t)'Q(t)x(t)`` for t up to T and of ``u(t)'R(t)u(t)`` before; P(t)
    is the matrix of what is left of it from step t on, and the sum of their traces is minimised.

    Parameters
    ----------
    A : array-like of shape (T, n, n) or (n, n)
        At least one of A, B and R has T matrices, or Q has T + 1.
    B : array-like of shape (T, n, m) or (n, m)
    Q : array-like of shape (T + 1, n, n) or (n, n)
        Positive semidefinite; the last one is that of the end.
    R : array-like of shape (T, m, m) or (m, m)
        Positive definite.
    pattern : array-like, sparse array, str, list of sets, graph or Pattern
        Of the m x n gains.
    method : {"finite-horizon", "one-step"}, default="finite-horizon"
        ``one-step``: backwards in time, each gain the best for its own trace.
    tol : float, default=1e-5
    max_iter : int, default=100

    Returns
    -------
    GainSequence
        In the order of time.

    Warns
    -----
    RuntimeWarning
        If the sweeps have not converged.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong; of matrices that change, the step is named.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Discrete-time decentralized linear quadratic control for
    linear time-varying systems. International Journal of Robust and Nonlinear Control.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import time_varying_regulator
    >>> one = np.eye(2)
    >>> A = np.stack([[[0.9, 0.3], [0.1, 0.8]], [[0.5, 0.0], [0.2, 1.1]]])
    >>> found = time_varying_regulator(A, one, one, one, "diag")
    >>> found.K.shape, bool(found.traces[0] > found.traces[1])
    ((2, 2, 2), True)
    """
    check_options(method, _METHODS[:2], tol, max_iter)
    T = _length({"A": A, "B": B, "R": R}, {"Q": Q})
    A, B, R = (_steps(M, name, T) for M, name in ((A, "A"), (B, "B"), (R, "R")))
    Q = _steps(Q, "Q", T + 1)
    n, m = B[0].shape
    pattern = as_pattern(pattern, (m, n))
    end = as_symmetric(Q[T], "Q", n)
    check_semidefinite(end, f"Q[{T}]")
    problems = [
        _at(t, regulator_problem, A[t], B[t], Q[t], R[t], pattern) for t in reversed(range(T))
    ]
    return _solve(problems, end, [1.0] * T, method, tol, max_iter)


def _solve(problems, start, weights, method, tol, max_iter):
    """Sweeps over the window until no trace changes any more."""
    kind, pattern = problems[0].kind, problems[0].pattern
    with blas_threads_for(len(start)):
        window = Window(problems, start)
        history, change = [float(np.dot(weights, window.traces))], 0.0
        sweeps = 0 if method == "one-step" else max_iter
        for k in range(sweeps):
            before = window.traces
            traces = window.sweep(SumOfTraces(len(start), weights))
            history.append(float(np.dot(weights, traces)))
            change = max(map(relative_change, traces, before))
            if k and change < tol:
                break
    converged = sweeps == 0 or change < tol
    if not converged:
        warnings.warn(
            f"a trace still changed by {change:.2g} of itself after {max_iter} sweeps, above "
            f"tol={tol:g}. Allow more max_iter.",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    K = np.stack([pattern.dense(values) for values in window.gains])
    P = np.stack([window.before(i + 1) for i in range(len(problems))])
    if kind == "regulator":
        K, P = np.ascontiguousarray(K[::-1].transpose(0, 2, 1)), P[::-1]
    traces = np.trace(P, axis1=1, axis2=2)
    return GainSequence(
        K, P, traces, method, converged, max(len(history) - 1, 0), history, float(traces.sum())
    )


def _length(arrays, longer=()):
    """T, that the arrays with a matrix for each step agree on."""
    found = {name: len(M) for name, M in arrays.items() if np.ndim(M) == 3}
    found.update({name: len(M) - 1 for name, M in dict(longer).items() if np.ndim(M) == 3})
    if not found:
        names = ", ".join([*arrays, *dict(longer)])
        raise ValueError(
            f"none of {names} has a matrix for each step: give one as an array of T matrices, or "
            "call steady_gain for a system that does not change."
        )
    if len(set(found.values())) > 1 or min(found.values()) < 1:
        counts = ", ".join(f"{name} for {count}" for name, count in found.items())
        raise ValueError(f"the matrices must be given for the same steps, got {counts}.")
    return next(iter(found.values()))


def _steps(M, name, count):
    """A matrix for each step."""
    array = np.asarray(M, dtype=float)
    if array.ndim == 3:
        return array
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be a matrix or {count} matrices, its shape is {array.shape}."
        )
    return np.broadcast_to(array, (count, *array.shape))


def _at(t, build, *matrices):
    """The problem of a step, whose number its errors name."""
    try:
        return build(*matrices)
    except ValueError as error:
        raise ValueError(f"at step {t}: {error}") from None
