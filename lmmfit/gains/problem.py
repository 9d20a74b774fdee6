"""The problem of a sparse gain: a system, the covariances, and the pattern, checked once.

Filter and regulator are one problem here. A gain K closes the loop F(K); the covariance of its
errors, or the cost of a state, follows

    P <- F P F' + W(K),

and the gain for which the next trace is least solves [K S - G]_chi = 0, with S and G linear in P.
The regulator is the filter of the transposed system, and its gain the transpose.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, issparse

from lmmfit.gains.definite import DefiniteSolver
from lmmfit.gains.loops import DenseLoops, SparseLoops
from lmmfit.gains.pattern import Pattern, as_pattern
from lmmfit.gains.products import congruence, multiply
from lmmfit.riccati.checks import (
    as_dense,
    as_matrix,
    as_square,
    as_symmetric,
    check_definite,
    check_semidefinite,
)

__all__ = ["GainProblem", "Prediction", "filter_problem", "regulator_problem"]

_LARGE = 30  # order from which sparse matrices are kept sparse
_THIN = 0.1  # share of nonzeros up to which they are


class Prediction(NamedTuple):
    """What a step knows before its gain is chosen.

    ``P`` is the covariance before, ``M`` the one of the prediction, ``S`` the covariance of the
    innovation and ``G`` that of prediction and innovation.
    """

    P: np.ndarray
    M: np.ndarray
    S: np.ndarray
    G: np.ndarray


@dataclass(frozen=True, eq=False)
class GainProblem:
    """Find a gain K, zero off a pattern, for which the steady trace of P is least.

    :func:`filter_problem` and :func:`regulator_problem` build one, and check what it is built
    from. For a regulator the matrices are the transposed ones: A', B' for C, and K'.

    Attributes
    ----------
    kind : {"filter", "regulator"}
    A : ndarray or csr_array of shape (n, n)
    C : ndarray or csr_array of shape (o, n)
    Q : ndarray of shape (n, n)
    R : ndarray of shape (o, o)
    N : ndarray of shape (n, o) or None
        For a regulator: the cross weight of states and inputs.
    pattern : Pattern
        Of shape (n, o).

    Examples
    --------
    >>> from lmmfit.gains import filter_problem
    >>> problem = filter_problem([[0.9]], [[1.0]], [[1.0]], [[1.0]], "diag")
    >>> problem.kind, problem.pattern
    ('filter', Pattern(1 of 1 x 1))
    """

    kind: str
    A: np.ndarray = field(repr=False)
    C: np.ndarray = field(repr=False)
    Q: np.ndarray = field(repr=False)
    R: np.ndarray = field(repr=False)
    N: np.ndarray | None = field(repr=False)
    pattern: Pattern

    @property
    def order(self):
        """n, the number of states."""
        return self.A.shape[0]

    @cached_property
    def solver(self):
        """Solver of [L K S - G]_chi = 0, planned for the pattern."""
        return DefiniteSolver(self.pattern)

    @cached_property
    def start(self):
        """P with which the published recursions begin: nothing to correct, or the first cost."""
        return np.zeros_like(self.Q) if self.kind == "filter" else self.Q

    @cached_property
    def _loops(self):
        kind = DenseLoops if isinstance(self.A, np.ndarray) else SparseLoops
        return kind(self.A, self.C, self.pattern, inside=self.kind == "filter")

    def gain(self, values):
        """K, with these values on the pattern; as :class:`Rows` where A is sparse."""
        return self._loops.gain(values)

    def loop(self, K):
        """F(K): (I - K C) A, or A - K C; as :class:`Rows` where A is sparse."""
        return self._loops.loop(K)

    def predict(self, P):
        """What P leads to before the next gain."""
        A, C = self._loops.A, self._loops.C
        M = congruence(A, P, self.Q)
        if self.kind == "filter":
            G = multiply(C, M).T
            return Prediction(P, M, multiply(C, G) + self.R, G)
        G = multiply(A, multiply(C, P).T)
        G = G if self.N is None else G + self.N
        return Prediction(P, M, congruence(C, P, self.R), G)

    def correct(self, predicted, K):
        """P after a step with the gain K."""
        if self.kind == "filter":
            left = self._loops.left(K)
            return congruence(K, self.R, congruence(left, predicted.M))
        return congruence(self.loop(K), predicted.P, self.noise(K))

    def noise(self, K):
        """W(K), the covariance that a step adds."""
        if self.kind == "filter":
            return congruence(K, self.R, congruence(self._loops.left(K), self.Q))
        W = congruence(K, self.R, self.Q)
        if self.N is not None:
            cross = multiply(K, self.N.T)
            W = W - cross - cross.T
        return W


def filter_problem(A, C, Q, R, pattern):
    """Gain of a filter ``x[t|t] = x[t|t-1] + K (y[t] - C x[t|t-1])``, with K zero off a pattern.

    The system is ``x[t+1] = A x[t] + w``, ``y[t] = C x[t] + v``; P is the covariance of the
    errors of x[t|t].

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
        Covariance of w, positive semidefinite.
    R : array-like or sparse array of shape (o, o)
        Covariance of v, positive definite.
    pattern : array-like, sparse array, str, list of sets, graph or Pattern
        Of the n x o gain, in any form of :func:`as_pattern`.

    Returns
    -------
    GainProblem

    Raises
    ------
    ValueError
        If a matrix has a wrong shape, an element that is not finite, or is not symmetric or
        definite as it must be, or if the pattern has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import filter_problem
    >>> one = np.eye(2)
    >>> problem = filter_problem([[0.9, 0.1], [0.0, 0.8]], one, one, one, "diag")
    >>> predicted = problem.predict(np.zeros((2, 2)))
    >>> predicted.S
    array([[2., 0.],
           [0., 2.]])
    """
    A = as_square(A, "A", sparse=True)
    n = A.shape[0]
    C = as_matrix(C, "C", (None, n), sparse=True)
    Q, R = _covariances(Q, R, n, C.shape[0])
    pattern = as_pattern(pattern, (n, C.shape[0]))
    A, C = _sparse_or_dense(A, C, pattern)
    return GainProblem("filter", A, C, Q, R, None, pattern)


def regulator_problem(A, B, Q, R, pattern, *, S=None):
    """Gain of a regulator ``u = -K x``, with K zero off a pattern.

    The system is ``x[t+1] = A x[t] + B u[t]``, and x'Px the cost of a state x: the sum of
    ``x'Qx + u'Ru + 2 x'Su`` over all time from then. Its trace is the mean cost, times n, of
    states that are equally likely in all directions.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    B : array-like or sparse array of shape (n, m)
    Q : array-like or sparse array of shape (n, n)
        Positive semidefinite.
    R : array-like or sparse array of shape (m, m)
        Positive definite.
    pattern : array-like, sparse array, str, list of sets, graph or Pattern
        Of the m x n gain, in any form of :func:`as_pattern`.
    S : array-like or sparse array of shape (n, m), optional
        Such that ``[Q S; S' R]`` is positive semidefinite; zero by default.

    Returns
    -------
    GainProblem
        Of the transposed system.

    Raises
    ------
    ValueError
        As :func:`filter_problem`.

    Examples
    --------
    >>> from lmmfit.gains import regulator_problem
    >>> problem = regulator_problem([[0.9]], [[1.0]], [[1.0]], [[1.0]], "diag")
    >>> problem.loop(problem.gain([0.5]))
    array([[0.4]])
    """
    A = as_square(A, "A", sparse=True)
    n = A.shape[0]
    B = as_matrix(B, "B", (n, None), sparse=True)
    m = B.shape[1]
    Q, R = _covariances(Q, R, n, m)
    if S is not None:
        S = as_matrix(S, "S", (n, m))
        check_semidefinite(np.block([[Q, S], [S.T, R]]), "[Q S; S' R]")
        S = S if S.any() else None
    pattern = as_pattern(pattern, (m, n)).T
    A, C = _sparse_or_dense(A.T, B.T, pattern)
    return GainProblem("regulator", A, C, Q, R, S, pattern)


def _covariances(Q, R, n, o):
    Q, R = as_symmetric(as_dense(Q), "Q", n), as_symmetric(as_dense(R), "R", o)
    check_definite(R, "R")
    try:
        np.linalg.cholesky(Q)
    except np.linalg.LinAlgError:  # singular, perhaps: only then are the eigenvalues needed
        check_semidefinite(Q, "Q")
    return Q, R


def _sparse_or_dense(A, C, pattern):
    """A and C, sparse if all matrices of a step are thin."""
    n, o = pattern.shape
    nonzeros = sum(M.nnz if issparse(M) else np.count_nonzero(M) for M in (A, C))
    if n >= _LARGE and nonzeros + pattern.size <= _THIN * n * (n + 2 * o):
        return csr_array(A), csr_array(C)
    return tuple(np.ascontiguousarray(as_dense(M)) for M in (A, C))
