"""Sparse Gaussian elimination by SuperLU, with the interface of the dense factors."""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csc_array

from lmmfit.linalg._factor import Factor

__all__ = ["SparseLU", "as_sparse", "sparse_lu"]


def as_sparse(A, name="A"):
    """Return `A` in compressed columns of float64; raise if empty, complex or not finite."""
    if A.ndim != 2:
        raise ValueError(f"{name} must be a matrix (m, n); it has the shape {A.shape}.")
    if not A.shape[0] * A.shape[1]:
        raise ValueError(f"{name} is empty: its shape is {A.shape}.")
    if A.dtype.kind == "c":
        raise TypeError(f"{name} is complex; only real matrices are supported.")
    a = csc_array(A, dtype=np.float64, copy=True)
    if not np.isfinite(a.data).all():
        k = int(np.flatnonzero(~np.isfinite(a.data))[0])
        column = int(np.searchsorted(a.indptr, k, side="right")) - 1
        raise ValueError(
            f"{name}[{a.indices[k]}, {column}] is {a.data[k]}: all elements must be finite."
        )
    return a


@dataclass(frozen=True, eq=False, repr=False)
class SparseLU(Factor):
    """``A[rows][:, columns] = L @ U`` of a sparse matrix, from `lu`.

    Columns are ordered for little fill. A pickle holds the matrix, which is factored again.

    Attributes
    ----------
    superlu : scipy.sparse.linalg.SuperLU
    matrix : scipy.sparse.csc_array of shape (n, n)
    pivot : bool
    shape : tuple
    L, U : scipy.sparse.csc_array of shape (n, n)
        Unit lower and upper triangular.
    permutation, column_permutation : ndarray of shape (n,)
        Rows and columns of A in the order of L @ U.
    sign : float
        Of the determinant.
    growth_factor : float
        ``max |u_ij| / max |a_ij|``: the elements of steps between are not kept by SuperLU,
        so this is a lower bound of g_n.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import diags_array
    >>> from lmmfit.linalg import lu
    >>> A = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4))
    >>> lu(A).solve(np.ones(4))
    array([2., 3., 3., 2.])
    """

    superlu: object
    matrix: object
    pivot: bool = True

    def __reduce__(self):
        return sparse_lu, (self.matrix, self.pivot)

    def __repr__(self):
        return f"SparseLU(n={self.shape[0]}, nonzeros={self.superlu.nnz})"

    @property
    def _array(self):
        return self.matrix

    @cached_property
    def L(self):
        """Unit lower triangle."""
        return csc_array(self.superlu.L)

    @cached_property
    def U(self):
        """Upper triangle."""
        return csc_array(self.superlu.U)

    @property
    def permutation(self):
        """Rows in the order of the factors."""
        return np.argsort(self.superlu.perm_r)

    @property
    def column_permutation(self):
        """Columns in the order of the factors."""
        return np.argsort(self.superlu.perm_c)

    @cached_property
    def sign(self):
        """Sign of the determinant."""
        signs = np.prod(np.sign(self.U.diagonal()))
        orders = _sign(self.superlu.perm_r) * _sign(self.superlu.perm_c)
        return float(signs * orders)

    @cached_property
    def growth_factor(self):
        """Growth of the elements during elimination."""
        return float(abs(self.U).max() / abs(self.matrix).max())

    def logdet(self):
        """Logarithm of the absolute value of the determinant.

        Returns
        -------
        float
        """
        return float(np.log(np.abs(self.U.diagonal())).sum())

    def _condition(self, norm):
        own = abs(self.matrix).sum(axis=0 if norm == 1 else 1).max()
        return float(own * self._inverse_norm(norm))

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        scipy.sparse.csc_array of shape (n, n)
        """
        product = (self.L @ self.U).tocoo()
        rows, columns = self.permutation, self.column_permutation
        return csc_array((product.data, (rows[product.row], columns[product.col])), self.shape)

    def _solve(self, b, transposed):
        return self.superlu.solve(np.asfortranarray(b), trans="T" if transposed else "N")


def sparse_lu(A, pivot=True):
    """Factor a sparse matrix; `lu` calls it."""
    from scipy.sparse.linalg import splu

    a = as_sparse(A)
    if a.shape[0] != a.shape[1]:
        raise ValueError(f"A must be square; its shape is {a.shape}.")
    options = {} if pivot else {"diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SuperLU says "exactly singular" twice
        try:
            factor = splu(a, **options)
        except RuntimeError as error:
            raise np.linalg.LinAlgError(
                f"A is singular: {error}. least_squares(A, b) gives a solution of minimum norm."
            ) from error
    if not pivot and not np.array_equal(factor.perm_r, factor.perm_c):
        raise np.linalg.LinAlgError(
            "a pivot is zero: A has no LU factorization without row exchanges. Use "
            "lu(A, pivot=True)."
        )
    return SparseLU(factor, a, pivot)


def _sign(order):
    """Return the sign of a permutation, from the lengths of its cycles."""
    order, seen, sign = order.tolist(), bytearray(len(order)), 1.0
    for start in range(len(order)):
        length, k = 0, start
        while not seen[k]:
            seen[k] = 1
            k = order[k]
            length += 1
        if length and length % 2 == 0:
            sign = -sign
    return sign
