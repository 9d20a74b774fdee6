"""The filter that a given constant gain makes, and the covariances of its errors."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from lmmfit._threads import blas_threads_for
from lmmfit.gains.errors import UnstableGainError
from lmmfit.gains.problem import filter_problem
from lmmfit.gains.products import spectral_radius
from lmmfit.gains.steady_objective import SteadyObjective
from lmmfit.riccati.checks import as_dense, as_matrix, as_square, check_definite

__all__ = ["GainFilter", "compressed_rows", "constant_gain_filter", "known_gain_filter"]

_SPARSE = 0.2  # share of nonzeros up to which products by compressed rows are faster


@dataclass(frozen=True, eq=False)
class GainFilter:
    """Filter of ``x[t+1] = A x[t] + B u[t] + w``, ``y[t] = C x[t] + v`` with a gain that is given.

    Attributes
    ----------
    A : ndarray of shape (n, n)
    C : ndarray of shape (o, n)
    Q : ndarray of shape (n, n)
        Covariance of w.
    R : ndarray of shape (o, o)
        Covariance of v.
    B : ndarray of shape (n, k)
        Without columns where there are no inputs.
    K : ndarray of shape (n, o)
        Gain: x[t|t] = x[t|t-1] + K (y[t] - C x[t|t-1]).
    P : ndarray of shape (n, n)
        Steady covariance of the error of x[t|t-1].
    P_filtered : ndarray of shape (n, n)
        Steady covariance of the error of x[t|t].
    S : ndarray of shape (o, o)
        Covariance of the innovations y[t] - C x[t|t-1], ``C P C' + R``. Unless K is the Kalman
        gain, innovations of different rows are correlated too.
    L : ndarray of shape (o, o)
        Lower Cholesky factor of S.
    spectral_radius : float
        Largest size of an eigenvalue of the loop ``(I - K C) A``, below 1.

    Examples
    --------
    >>> from lmmfit.gains import constant_gain_filter
    >>> found = constant_gain_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]], [[0.5]])
    >>> found.P.round(3), found.trace
    (array([[6991.8]]), 5522.7)
    """

    A: np.ndarray = field(repr=False)
    C: np.ndarray = field(repr=False)
    Q: np.ndarray = field(repr=False)
    R: np.ndarray = field(repr=False)
    B: np.ndarray = field(repr=False)
    K: np.ndarray = field(repr=False)
    P: np.ndarray = field(repr=False)
    P_filtered: np.ndarray = field(repr=False)
    S: np.ndarray = field(repr=False)
    L: np.ndarray = field(repr=False)
    spectral_radius: float

    @property
    def trace(self):
        """Trace of P_filtered: the mean squared error of a row's state, summed over elements."""
        return float(np.trace(self.P_filtered))

    def __getstate__(self):
        return {k: v for k, v in vars(self).items() if k != "_kernel_arrays"}

    @cached_property
    def _kernel_arrays(self):
        """Whether A, B, C and K are sparse in truth, and the four as that kernel takes them."""
        matrices = self.A, self.B, self.C, self.K
        nonzeros = sum(np.count_nonzero(M) for M in matrices)
        if nonzeros <= _SPARSE * sum(M.size for M in matrices):
            return True, tuple(compressed_rows(csr_array(M)) for M in matrices)
        own = (np.require(M[None], np.float64, ["C", "W", "E"]) for M in matrices)
        return False, tuple(own)


def constant_gain_filter(A, C, Q, R, K, B=None):
    """The filter that a constant gain makes, and how good it is.

    The gain may be any that keeps errors bounded, such as one with a sparsity pattern. The
    covariance of the filtered state's error is the solution of ::

        P = F P F' + (I - K C) Q (I - K C)' + K R K',   F = (I - K C) A

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
        Covariance of w, positive semidefinite.
    R : array-like or sparse array of shape (o, o)
        Covariance of v, positive definite.
    K : array-like or sparse array of shape (n, o)
        Gain.
    B : array-like or sparse array of shape (n, k), optional
        Of known inputs.

    Returns
    -------
    GainFilter

    Raises
    ------
    UnstableGainError
        If the spectral radius of F is not below 1.
    ValueError
        If a matrix has a wrong shape, an element that is not finite, or is not symmetric or
        definite as it must be.

    References
    ----------
    Viegas, D., Batista, P., Oliveira, P. and Silvestre, C. (2018). Discrete-time distributed
    Kalman filter design for formations of autonomous vehicles. Control Engineering Practice 75.

    Examples
    --------
    Two nodes, each of which corrects its own state with its own output alone:

    >>> import numpy as np
    >>> from lmmfit.gains import constant_gain_filter
    >>> A = np.array([[0.9, 0.2], [0.1, 0.8]])
    >>> found = constant_gain_filter(A, np.eye(2), np.eye(2), np.eye(2), 0.6 * np.eye(2))
    >>> round(found.trace, 6), round(found.spectral_radius, 6)
    (1.18463, 0.4)
    """
    A = as_square(A, "A", sparse=True)
    C = as_matrix(C, "C", (None, A.shape[0]), sparse=True)
    K = np.ascontiguousarray(as_matrix(K, "K", C.shape[::-1]))
    problem = filter_problem(A, C, Q, R, K != 0.0)
    values = problem.pattern.gather(K)
    with blas_threads_for(problem.order):
        radius = spectral_radius(problem.loop(problem.gain(values)))
        point = SteadyObjective(problem).evaluate(values)
    if point is None:
        raise UnstableGainError(
            f"the loop (I - K C) A is not stable, its spectral radius is {radius:.6g}: errors "
            "of the states would grow for ever. Take a gain that was made for this system, "
            "or let its pattern hold more entries.", radius,
        )  # fmt: skip
    return known_gain_filter(problem, K, point.P, radius, B)


def known_gain_filter(problem, K, P_filtered, spectral_radius, B=None):
    """The filter of a gain of which the steady covariance is known.

    Parameters
    ----------
    problem : GainProblem
    K : ndarray of shape (n, o)
    P_filtered : ndarray of shape (n, n)
    spectral_radius : float
    B : array-like or sparse array of shape (n, k), optional

    Returns
    -------
    GainFilter
    """
    n = problem.order
    B = np.zeros((n, 0)) if B is None else np.ascontiguousarray(as_matrix(B, "B", (n, None)))
    with blas_threads_for(n):
        _, P, S, _ = problem.predict(P_filtered)
    P, S = 0.5 * (P + P.T), 0.5 * (S + S.T)
    L = check_definite(S, "C P C' + R")
    A, C = as_dense(problem.A), as_dense(problem.C)
    return GainFilter(A, C, problem.Q, problem.R, B, K, P, P_filtered, S, L, spectral_radius)


def compressed_rows(M):
    """A sparse matrix as kernels take it.

    Parameters
    ----------
    M : csr_array of shape (m, n)

    Returns
    -------
    starts : int64 array of shape (m + 1,)
    columns : int64 array of shape (nonzeros,)
    values : float64 array of shape (nonzeros,)
    """
    parts = ((M.indptr, np.int64), (M.indices, np.int64), (M.data, np.float64))
    return tuple(np.require(part, kind, ["C", "W", "E"]) for part, kind in parts)
