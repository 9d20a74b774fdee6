"""Stacks of small matrices, factored one by one in compiled loops that allocate nothing."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmfit.linalg._check import check_finite, check_symmetric
from lmmfit.linalg._dense_kernels import (
    elimination_extremes,
    ldl_factor,
    ldl_solve,
    lu_factor,
    lu_solve,
    symmetrise,
)
from lmmfit.linalg._errors import (
    NotPositiveDefiniteError,
    check_minors,
    describe_failure,
    which_matrix,
)
from lmmfit.linalg._factor import DefiniteFactor, Factor, frozen, permutation_sign, row_order
from lmmfit.linalg._norms import dense_norms

__all__ = ["StackedCholesky", "StackedLDL", "StackedLU"]


class _Stacked(Factor):
    """Factors of a stack of matrices: arrays of the shape of the stack for numbers."""

    @cached_property
    def norms(self):
        return dense_norms(self.reconstruct())

    def _condition(self, norm):
        identity = np.broadcast_to(np.eye(self.shape[-1]), self.shape)
        with np.errstate(all="ignore"):
            inverse = dense_norms(self._solve(np.array(identity), False))[norm]
            value = inverse * self.norms[norm]
        return np.where(np.isfinite(value) & (self.logdet() > -np.inf), value, np.inf)


@dataclass(frozen=True, eq=False, repr=False)
class StackedLU(_Stacked):
    """``A[s][permutation[s]] = L[s] @ U[s]`` for each matrix of a stack, from `lu`.

    Attributes
    ----------
    packed : ndarray of shape (..., n, n)
        U, and below its diagonal L without its ones.
    pivots : ndarray of shape (..., n)
        Row exchanged with row k in step k.
    shape : tuple
    norms : dict
        1-norms and infinity norms of the matrices; computed when asked for.
    permutation : ndarray of shape (..., n)
    L, U : ndarray of shape (..., n, n)
        Unit lower and upper triangular.
    sign, growth_factor : ndarray of the shape of the stack
        Sign of the determinant, and g_n, as for one matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import lu
    >>> stack = np.array([[[2.0, 1.0], [1.0, 3.0]], [[0.0, 1.0], [1.0, 0.0]]])
    >>> lu(stack).solve(np.ones((2, 2)))
    array([[0.4, 0.2],
           [1. , 1. ]])
    """

    packed: np.ndarray
    pivots: np.ndarray

    def __repr__(self):
        return f"StackedLU(shape={self.shape})"

    @cached_property
    def permutation(self):
        """Rows in the order of the factors."""
        rows = [row_order(pivots) for pivots in self.pivots.reshape(-1, self.shape[-1])]
        return frozen(np.array(rows).reshape(self.pivots.shape))

    @property
    def L(self):
        """Unit lower triangle."""
        return np.tril(self.packed, -1) + np.eye(self.shape[-1])

    @property
    def U(self):
        """Upper triangle."""
        return np.triu(self.packed)

    @cached_property
    def sign(self):
        """Sign of the determinant."""
        diagonal = np.diagonal(self.packed, axis1=-2, axis2=-1)
        return frozen(np.prod(np.sign(diagonal), axis=-1) * permutation_sign(self.pivots))

    @cached_property
    def growth_factor(self):
        """Growth of the elements of each matrix."""
        pairs = zip(self._flat(self.L), self._flat(self.U), strict=True)
        return frozen(np.array([growth(*pair) for pair in pairs]).reshape(self.shape[:-2]))

    def logdet(self):
        """Logarithm of the absolute value of each determinant.

        Returns
        -------
        ndarray of the shape of the stack
        """
        with np.errstate(divide="ignore"):
            return np.log(np.abs(np.diagonal(self.packed, axis1=-2, axis2=-1))).sum(axis=-1)

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        ndarray of shape (..., n, n)
        """
        a = np.empty(self.shape)
        np.put_along_axis(a, self.permutation[..., None], self.L @ self.U, axis=-2)
        return a

    def _solve(self, b, transposed):
        lu_solve(*map(self._flat, (self.packed, self.pivots, b)), transposed)
        return b

    def _check_regular(self):
        regular = np.diagonal(self.packed, axis1=-2, axis2=-1).all(axis=-1)
        if not regular.all():
            which = which_matrix(regular.shape, int(np.argmin(regular)))
            raise np.linalg.LinAlgError(f"{which} is singular: a pivot is zero.")


@dataclass(frozen=True, eq=False, repr=False)
class StackedLDL(_Stacked, DefiniteFactor):
    """``A[s] = L[s] @ diag(D[s]) @ L[s].T`` for each matrix of a stack, from `ldl`.

    Attributes
    ----------
    packed : ndarray of shape (..., n, n)
        D on the diagonal, L below it without its ones.
    shape : tuple
    norms : dict
        1-norms and infinity norms of the matrices; computed when asked for.
    L : ndarray of shape (..., n, n)
        Unit lower triangular.
    D : ndarray of shape (..., n)
        Positive.
    sign : ndarray of the shape of the stack
        Of the determinant: 1.0.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import ldl
    >>> ldl(np.array([np.eye(2), [[4.0, 2.0], [2.0, 5.0]]])).D
    array([[1., 1.],
           [4., 4.]])
    """

    packed: np.ndarray

    def __repr__(self):
        return f"{type(self).__name__}(shape={self.shape})"

    @property
    def L(self):
        """Unit lower triangle."""
        return np.tril(self.packed, -1) + np.eye(self.shape[-1])

    @property
    def D(self):
        """Diagonals of the middle factors."""
        return np.diagonal(self.packed, axis1=-2, axis2=-1)

    @property
    def sign(self):
        """Sign of the determinant."""
        return np.ones(self.shape[:-2])

    def _half_solve(self, b):
        ldl_solve(self._flat(self.packed), self._flat(b), True)
        return b

    def logdet(self):
        """Logarithm of each determinant.

        Returns
        -------
        ndarray of the shape of the stack
        """
        return np.log(self.D).sum(axis=-1)

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        ndarray of shape (..., n, n)
        """
        lower = self.L
        return lower * self.D[..., None, :] @ np.swapaxes(lower, -1, -2)

    def _solve(self, b, transposed):
        ldl_solve(self._flat(self.packed), self._flat(b), False)
        return b


class StackedCholesky(StackedLDL):
    """``A[s] = U[s].T @ U[s]`` for each matrix of a stack, from `cholesky`.

    Attributes
    ----------
    U : ndarray of shape (..., n, n)
        Upper triangular, its diagonal positive.
    packed, norms, shape, L, D, sign
        Those of `StackedLDL`, of which this is another view: ``U = sqrt(D) @ L.T``.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import cholesky
    >>> cholesky(np.array([np.eye(2), [[4.0, 2.0], [2.0, 5.0]]])).U[1]
    array([[2., 1.],
           [0., 2.]])
    """

    @property
    def U(self):
        """Upper triangle."""
        return np.sqrt(self.D)[..., None] * np.swapaxes(self.L, -1, -2)


def stacked_lu(a, pivot):
    """Factor a stack (..., n, n) by `lu_factor`."""
    check_finite(a)
    packed = np.array(a, np.float64, order="C")
    n = a.shape[-1]
    pivots = np.empty((packed.size // n**2, n), np.int32)
    lu_factor(packed.reshape(-1, n, n), pivots, pivot)
    if not pivot:
        for diagonal in np.diagonal(packed.reshape(-1, n, n), axis1=1, axis2=2):
            check_minors(diagonal, 0, n)
    return StackedLU(*frozen(packed, pivots.reshape(a.shape[:-1])))


def stacked_ldl(a, kind=StackedLDL):
    """Factor a stack (..., n, n) of positive definite matrices by `ldl_factor`."""
    check_finite(a)
    packed = np.array(a, np.float64, order="C")
    flat, sums = packed.reshape(-1, *a.shape[-2:]), np.empty(a.shape[-1])
    check_symmetric(a, symmetrise(flat, sums))
    failed = np.empty(len(flat), np.int64)
    ldl_factor(flat, failed)
    if failed.any():
        first = int(np.flatnonzero(failed)[0])
        minor = int(failed[first])
        pivot = flat[first, minor - 1, minor - 1]
        matrix = a.reshape(-1, *a.shape[-2:])[first]
        raise NotPositiveDefiniteError(
            *describe_failure(matrix, minor, pivot, which_matrix(a.shape[:-2], first))
        )
    return kind(frozen(packed))


def growth(lower, upper):
    """Return the growth factor of one elimination, from its factors."""
    work = np.empty((2, 512))
    largest, original = elimination_extremes(lower, upper, *work)
    return largest / original if original else 1.0
