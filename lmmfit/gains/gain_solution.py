"""A gain with what proves it: spectral radius, exact covariance, gradient, centralised bound."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lmmfit.gains.centralized import centralized_trace
from lmmfit.gains.diagnosis import unstable_gain
from lmmfit.gains.problem import GainProblem
from lmmfit.gains.products import spectral_radius
from lmmfit.gains.steady_objective import SteadyObjective

__all__ = ["GainSolution", "certify"]


@dataclass(frozen=True, eq=False)
class GainSolution:
    """A constant gain with a sparsity pattern, and what is proven of it.

    Attributes
    ----------
    K : ndarray of shape (n, o), or (m, n) of a regulator
        Zero off the pattern.
    P : ndarray of shape (n, n)
        Exact steady covariance of the filtered errors of this gain, the solution of
        ``P = F P F' + W(K)``; for a regulator the matrix of the cost x'Px.
    trace : float
        Of P.
    gradient_norm : float
        Of the trace with respect to the entries of the gain: 0 at an optimum.
    spectral_radius : float
        Largest size of an eigenvalue of the loop, below 1.
    method : str
    converged : bool
        Whether the method has met its own stop rule.
    n_iter : int
    trace_history : list of float
        Traces that the method itself has seen, in its order. The last one of the published
        methods is theirs of the gain, which need not be the exact one.
    P_last : ndarray of shape (n, n)
        The method's own last covariance.
    problem : GainProblem

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import steady_gain
    >>> A = np.array([[0.9, 0.3], [0.1, 0.8]])
    >>> found = steady_gain(A, np.eye(2), np.eye(2), np.eye(2), "diag")
    >>> round(found.trace, 6), round(found.centralized_trace, 6), round(found.gap, 6)
    (1.190706, 1.18333, 1.006233)
    >>> found.K_sparse.nnz
    2
    """

    K: np.ndarray = field(repr=False)
    P: np.ndarray = field(repr=False)
    trace: float
    gradient_norm: float
    spectral_radius: float
    method: str
    converged: bool
    n_iter: int
    trace_history: list = field(repr=False)
    P_last: np.ndarray = field(repr=False)
    problem: GainProblem = field(repr=False)

    @property
    def K_sparse(self):
        """The gain as a csr_array; it stores every entry of the pattern."""
        pattern = self.problem.pattern
        if self.problem.kind == "filter":
            return pattern.sparse(pattern.gather(self.K))
        return pattern.T.sparse(pattern.T.gather(self.K))

    @cached_property
    def centralized_trace(self):
        """The trace without a pattern: no gain whatever has a smaller one. Computed on demand."""
        return centralized_trace(self.problem)

    @property
    def gap(self):
        """``trace`` over ``centralized_trace``: 1 where the pattern costs nothing."""
        bound = self.centralized_trace
        return self.trace / bound if bound > 0.0 else 1.0


def certify(problem, values, *, method, converged, n_iter, trace_history, P_last, at=None):
    """The record of a gain, or an error if its loop is not stable.

    Parameters
    ----------
    problem : GainProblem
    values : ndarray of shape (size,)
    method : str
    converged : bool
    n_iter : int
    trace_history : list of float
    P_last : ndarray of shape (n, n) or None
        None for the exact one.
    at : SteadyPoint, optional
        The objective at the gain, where it is known.

    Returns
    -------
    GainSolution

    Raises
    ------
    UnstableGainError
        If the loop is not stable.
    NotDetectableError, NotStabilizableError
        If the loop of no gain is, because a mode is not seen, or not reached.
    """
    at = SteadyObjective(problem).evaluate(values) if at is None else at
    radius = spectral_radius(problem.loop(problem.gain(values)))
    if at is None:
        raise unstable_gain(problem, method, radius)
    K = problem.pattern.dense(values)
    if problem.kind == "regulator":
        K = np.ascontiguousarray(K.T)
    return GainSolution(
        K, at.P, at.trace, float(np.linalg.norm(at.gradient)), radius, method, converged,
        n_iter, trace_history, at.P if P_last is None else P_last, problem,
    )  # fmt: skip
