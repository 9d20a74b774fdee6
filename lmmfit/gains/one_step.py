"""The one-step method: each gain is the best for the next step alone."""

import math
import warnings

from lmmfit._threads import blas_threads_for
from lmmfit.gains.components import Parts
from lmmfit.gains.diagnosis import unstable_gain
from lmmfit.gains.gain_solution import certify
from lmmfit.gains.problem import filter_problem, regulator_problem
from lmmfit.gains.steps import greedy_until_settled, relative_change
from lmmfit.riccati.checks import as_symmetric, check_options

__all__ = ["one_step_gain", "one_step_regulator", "solve_one_step"]


def one_step_gain(A, C, Q, R, pattern, *, tol=1e-5, max_iter=1000, initial_cov=None):
    """Gain of a filter by the one-step method.

    ``P_ = A P A' + Q``; K minimises the trace of the next P over the pattern, that is
    ``[K S - P_ C']_chi = 0`` with ``S = C P_ C' + R``, row by row; and so on, until the trace
    settles. The gain is not the best constant one: :func:`steady_gain` finds that.

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
    tol : float, default=1e-5
        Change of the trace by a step, relative to the trace, that ends the recursion.
    max_iter : int, default=1000
    initial_cov : array-like of shape (n, n), optional
        P before the first step; zero by default.

    Returns
    -------
    GainSolution
        With the covariance of the recursion's last step as ``P_last``.

    Warns
    -----
    RuntimeWarning
        If the trace has not settled after ``max_iter`` steps.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong.
    UnstableGainError
        If the loop of the gain is not stable.

    References
    ----------
    Viegas, D., Batista, P., Oliveira, P. and Silvestre, C. (2018). Discrete-time distributed
    Kalman filter design for formations of autonomous vehicles. Control Engineering Practice 75,
    section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import one_step_gain
    >>> A = np.array([[0.9, 0.3], [0.1, 0.8]])
    >>> found = one_step_gain(A, np.eye(2), np.eye(2), np.eye(2), "diag")
    >>> found.K.round(4), round(found.trace, 4)
    (array([[0.6103, 0.    ],
           [0.    , 0.5804]]), 1.1907)
    """
    return solve_one_step(
        filter_problem(A, C, Q, R, pattern), tol=tol, max_iter=max_iter, initial_cov=initial_cov
    )


def one_step_regulator(A, B, Q, R, pattern, *, S=None, tol=1e-5, max_iter=1000, initial_cov=None):
    """Gain of a regulator u = -K x by the one-step method.

    The dual of :func:`one_step_gain`: ``[(R + B'PB) K - B'PA - S']_chi = 0``, column by column,
    backwards in time.

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
    tol : float, default=1e-5
    max_iter : int, default=1000
    initial_cov : array-like of shape (n, n), optional
        P before the first step; Q by default.

    Returns
    -------
    GainSolution

    Warns
    -----
    RuntimeWarning
        If the trace has not settled after ``max_iter`` steps.

    Raises
    ------
    ValueError
        If a matrix or an option is wrong.
    UnstableGainError
        If the loop of the gain is not stable.

    References
    ----------
    Viegas, D., Batista, P., Oliveira, P. and Silvestre, C. (2021). Distributed controller design
    and performance optimization for discrete-time linear systems. Optimal Control Applications
    and Methods 42.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import one_step_regulator
    >>> A = np.array([[0.9, 0.3], [0.1, 0.8]])
    >>> one_step_regulator(A, np.eye(2), np.eye(2), np.eye(2), "diag").K.round(4)
    array([[0.5522, 0.    ],
           [0.    , 0.5159]])
    """
    return solve_one_step(
        regulator_problem(A, B, Q, R, pattern, S=S), tol=tol, max_iter=max_iter,
        initial_cov=initial_cov,
    )  # fmt: skip


def solve_one_step(problem, *, tol=1e-5, max_iter=1000, initial_cov=None):
    """The one-step method for a problem that is checked.

    Parameters
    ----------
    problem : GainProblem
    tol : float
    max_iter : int
    initial_cov : array-like of shape (n, n), optional

    Returns
    -------
    GainSolution
    """
    check_options("one-step", ("one-step",), tol, max_iter)
    P = problem.start
    if initial_cov is not None:
        P = as_symmetric(initial_cov, "initial_cov", problem.order)
    with blas_threads_for(problem.order):
        parts = Parts(problem, P)
        values, last, traces = greedy_until_settled(
            parts.problems, parts.starts, tol, max_iter, parts.total
        )
        if not math.isfinite(traces[-1]):
            raise unstable_gain(problem, "one-step")
        change = relative_change(traces[-1], traces[-2])
        found = certify(
            problem, parts.values(values), method="one-step", converged=change < tol,
            n_iter=len(traces) - 1, trace_history=traces[1:], P_last=parts.covariance(last),
        )  # fmt: skip
    if not found.converged:
        warnings.warn(
            f"the trace still changes by {change:.2g} of itself after {max_iter} one-step "
            f"iterations, above tol={tol:g}. Allow more max_iter.",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    return found
