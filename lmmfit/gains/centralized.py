"""The bound of every pattern: the gain that uses all outputs everywhere."""

import numpy as np

from lmmfit.gains.components import Parts
from lmmfit.gains.diagnosis import check_visible
from lmmfit.riccati import steady_filter
from lmmfit.riccati.checks import as_dense, thin_root
from lmmfit.riccati.dare import solve_dare
from lmmfit.riccati.errors import NotDetectableError, NotStabilizableError, RiccatiError

__all__ = ["centralized_gain", "centralized_trace"]


def centralized_gain(problem):
    """The best gain without a pattern, from the Riccati equation.

    Parameters
    ----------
    problem : GainProblem

    Returns
    -------
    K : ndarray of shape (n, o), or (m, n) of a regulator
    P : ndarray of shape (n, n)
        Steady covariance of the filtered errors, or matrix of the cost.

    Raises
    ------
    NotDetectableError, NotStabilizableError
        If a mode that is not stable is not seen by the outputs or not driven by Q; of a
        regulator, if it is not reached by the inputs or does not count in Q.

    Examples
    --------
    >>> from lmmfit.gains import centralized_gain, filter_problem
    >>> K, P = centralized_gain(filter_problem([[1.0]], [[1.0]], [[1469.1]], [[15099.0]], "diag"))
    >>> K.round(4), P.round(2)
    (array([[0.267]]), array([[4032.16]]))
    """
    A, C = as_dense(problem.A), as_dense(problem.C)
    try:
        if problem.kind == "filter":
            found = steady_filter(A, C, problem.Q, problem.R)
            return found.K, found.P_filtered
        root = thin_root(problem.Q)
        found = solve_dare(A.T, C.T, root, R=problem.R, S=problem.N)
    except (NotDetectableError, NotStabilizableError):
        check_visible(problem)
        raise
    return found.K, found.X


def centralized_trace(problem):
    """Trace of the best gain without a pattern: a lower bound for every pattern.

    Parameters
    ----------
    problem : GainProblem

    Returns
    -------
    float
    """
    parts = Parts(problem, full=True)
    try:
        traces = [np.trace(centralized_gain(part)[1]) for part in parts.problems]
        return float(parts.total(traces))
    except RiccatiError:  # of a part, whose states have numbers of their own
        check_visible(problem)
        raise
