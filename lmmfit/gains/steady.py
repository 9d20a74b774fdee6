"""The best constant gain: the steady trace itself, minimised over the pattern."""

import warnings
from numbers import Integral

import numpy as np

from lmmfit._threads import blas_threads_for
from lmmfit.gains.components import Parts
from lmmfit.gains.diagnosis import check_visible
from lmmfit.gains.gain_solution import certify
from lmmfit.gains.minimise import minimise
from lmmfit.gains.problem import filter_problem, regulator_problem
from lmmfit.gains.stable_start import given_start, random_start, stable_start
from lmmfit.gains.steady_objective import SteadyObjective
from lmmfit.riccati.checks import as_matrix, check_options
from lmmfit.riccati.errors import RiccatiError

__all__ = ["solve_steady", "steady_gain", "steady_regulator"]


def steady_gain(
    A, C, Q, R, pattern, *, tol=1e-9, max_iter=200, n_init=1, start=None, random_state=None
):
    """Constant gain of a filter with the least steady trace, among those of a pattern.

    Minimises the trace of P = F P F' + (I - K C) Q (I - K C)' + K R K', with F = (I - K C) A, by
    L-BFGS from the one-step gain, or where that is not stable from one found by discounting.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
        Covariance of the noise of the states, positive semidefinite.
    R : array-like or sparse array of shape (o, o)
        Covariance of the noise of the outputs, positive definite.
    pattern : array-like, sparse array, str, list of sets, graph or Pattern
        Of the n x o gain, in any form of :func:`as_pattern`.
    tol : float, default=1e-9
        Of the square root of the decrease that is still promised, relative to the trace: the
        trace itself is then right to about ``tol**2``.
    max_iter : int, default=200
    n_init : int, default=1
        Starts; those after the first are at random. The best end is taken. The trace is not
        convex, though second minima are rare: strongly coupled networks may have them.
    start : array-like or sparse array of shape (n, o), optional
        A gain with a stable loop to start from.
    random_state : int or numpy.random.Generator, optional

    Returns
    -------
    GainSolution

    Warns
    -----
    RuntimeWarning
        If the minimisation has not converged.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong.
    UnstableGainError
        If no gain with a stable loop was found.
    NotDetectableError
        If no output sees a mode that is not stable.

    Notes
    -----
    Parts of the network that have nothing to do with each other are solved one by one, and of
    those that are alike only one.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Efficient algorithm for the computation of the solution to
    a sparse matrix equation in distributed control theory. Mathematics 9(13), 1497: the equation,
    here for a window without end.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import steady_gain
    >>> A = np.array([[0.9, 0.3], [0.1, 0.8]])
    >>> found = steady_gain(A, np.eye(2), np.eye(2), np.eye(2), "diag")
    >>> found.K.round(6), round(found.trace, 6), found.converged
    (array([[0.612501, 0.      ],
           [0.      , 0.582632]]), 1.190706, True)
    """
    return solve_steady(
        filter_problem(A, C, Q, R, pattern), tol=tol, max_iter=max_iter, n_init=n_init,
        start=start, random_state=random_state,
    )  # fmt: skip


def steady_regulator(
    A, B, Q, R, pattern, *, S=None, tol=1e-9, max_iter=200, n_init=1, start=None,
    random_state=None,
):  # fmt: skip
    """Constant gain of a regulator u = -K x with the least cost, among those of a pattern.

    Minimises the trace of ``P = Q + K'RK + (A - B K)'P(A - B K)``: the mean, times n, of the cost
    from states that are equally likely in all directions.

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
    tol, max_iter, n_init, random_state
        As for :func:`steady_gain`.
    start : array-like or sparse array of shape (m, n), optional
        A gain with a stable loop to start from.

    Returns
    -------
    GainSolution

    Warns
    -----
    RuntimeWarning
        If the minimisation has not converged.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong.
    UnstableGainError
        If no gain with a stable loop was found.
    NotStabilizableError
        If no input reaches a mode that is not stable.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import steady_regulator
    >>> A = np.array([[0.9, 0.3], [0.1, 0.8]])
    >>> round(steady_regulator(A, np.eye(2), np.eye(2), np.eye(2), "diag").trace, 4)
    3.088
    """
    return solve_steady(
        regulator_problem(A, B, Q, R, pattern, S=S), tol=tol, max_iter=max_iter, n_init=n_init,
        start=start, random_state=random_state,
    )  # fmt: skip


def solve_steady(problem, *, tol=1e-9, max_iter=200, n_init=1, start=None, random_state=None):
    """The steady gain of a problem that is checked.

    Parameters
    ----------
    problem : GainProblem
    tol : float
    max_iter : int
    n_init : int
    start : array-like or sparse array, optional
    random_state : int or numpy.random.Generator, optional

    Returns
    -------
    GainSolution
    """
    check_options("steady", ("steady",), tol, max_iter)
    if not isinstance(n_init, Integral) or isinstance(n_init, bool) or n_init < 1:
        raise ValueError(f"n_init must be a whole number of at least 1, got {n_init!r}.")
    start = None if start is None else start_values(problem, start)
    rng = np.random.default_rng(random_state)
    with blas_threads_for(problem.order):
        parts, ends = Parts(problem), []
        for part, entries in zip(parts.problems, parts.entries, strict=True):
            first = None if start is None else start[entries]
            try:
                ends.append(_best_end(part, first, n_init, rng, tol, max_iter))
            except RiccatiError:  # of a part, whose states have numbers of their own
                check_visible(problem)
                raise
        found = certify(
            problem, parts.values([end.point.values for end in ends]), method="steady",
            converged=all(end.converged for end in ends), P_last=None,
            n_iter=max(len(end.history) - 1 for end in ends),
            trace_history=_histories(parts, ends), at=ends[0].point if parts.undivided else None,
        )  # fmt: skip
    if not found.converged:
        warnings.warn(
            f"the minimisation has not converged after {found.n_iter} steps: the norm of the "
            f"gradient is {found.gradient_norm:.2g}. Allow more max_iter.",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    return found


def start_values(problem, start):
    """Entries of a gain to start from, which must be zero off the pattern.

    Parameters
    ----------
    problem : GainProblem
    start : array-like or sparse array

    Returns
    -------
    ndarray of shape (size,)
    """
    shape = problem.pattern.shape
    shape = shape if problem.kind == "filter" else shape[::-1]
    K = as_matrix(start, "start", shape)
    K = K if problem.kind == "filter" else K.T
    off = np.argwhere((K != 0.0) & ~problem.pattern.mask)
    if len(off):
        i, j = map(int, off[0])
        where = (i, j) if problem.kind == "filter" else (j, i)
        raise ValueError(
            f"start[{where[0]}, {where[1]}] is {K[i, j]:.6g}, but the pattern has no such entry."
        )
    return problem.pattern.gather(K)


def _best_end(problem, values, n_init, rng, tol, max_iter):
    """The best of the minima from several starts."""
    first = stable_start(problem) if values is None else given_start(problem, values)
    objective = SteadyObjective(problem)
    best = minimise(objective.evaluate, first, tol=tol, max_iter=max_iter)
    for _ in range(n_init - 1):
        other = random_start(problem, best.point, rng)
        end = minimise(objective.evaluate, other, tol=tol, max_iter=max_iter)
        best = end if end.point.trace < best.point.trace else best
    return best


def _histories(parts, ends):
    """Traces of the whole; parts that have ended earlier stay where they are."""
    longest = max(len(end.history) for end in ends)
    padded = [end.history + end.history[-1:] * (longest - len(end.history)) for end in ends]
    return [float(trace) for trace in parts.total(padded)]
