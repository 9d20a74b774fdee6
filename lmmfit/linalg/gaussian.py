"""Gaussian elimination: P A = L U, with or without pivoting (Eldén 2007, section 3.1)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.blas import get_blas_funcs
from scipy.sparse import issparse

from lmmfit.linalg._check import as_matrix, check_choice, lapack
from lmmfit.linalg._dense_kernels import lu_factor
from lmmfit.linalg._errors import check_minors
from lmmfit.linalg._factor import Factor, from_rcond, frozen, permutation_sign, row_order
from lmmfit.linalg._norms import checked_norms
from lmmfit.linalg.sparse import SparseLU, sparse_lu
from lmmfit.linalg.stacks import StackedLU, growth, stacked_lu

__all__ = ["LU", "SparseLU", "StackedLU", "lu"]

_BLOCK = 64


def lu(A, *, pivot=True):
    """Factor a square matrix by Gaussian elimination, ``A[permutation] = L @ U``.

    Parameters
    ----------
    A : array_like or sparse array of shape (n, n), or array_like of shape (..., n, n)
        A matrix; a SciPy sparse array, which SuperLU factors; or a stack of small matrices,
        each factored by itself. float32 is kept for one dense matrix; other numbers become
        float64.
    pivot : bool, default=True
        Partial pivoting: move the largest element of the column to the diagonal. Without it
        the elements may grow without bound; it shows why pivoting matters, and is safe for
        positive definite and diagonally dominant matrices.

    Returns
    -------
    LU, StackedLU or SparseLU
        Frozen; `solve` takes any number of right-hand sides. A singular dense matrix is
        factored too: its `logdet` is ``-inf``, its `condition` ``inf``, and `solve` raises.

    Raises
    ------
    numpy.linalg.LinAlgError
        Without pivoting, if a leading minor is zero; if a sparse matrix is singular; if
        elements overflow.
    TypeError, ValueError
        If `A` is not a square array of finite real numbers.

    References
    ----------
    Golub and Van Loan (2013), Matrix Computations, algorithm 3.4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import lu
    >>> factor = lu([[1e-20, 1.0], [1.0, 1.0]])
    >>> factor.solve([1.0, 2.0])
    array([1., 1.])
    >>> lu([[1e-20, 1.0], [1.0, 1.0]], pivot=False).solve([1.0, 2.0])
    array([0., 1.])
    """
    pivot = check_choice("pivot", pivot, (True, False))
    if issparse(A):
        return sparse_lu(A, pivot)
    a = as_matrix(A, square=True, stack=True, finite=False)
    if a.ndim > 2:
        return stacked_lu(a, pivot)
    work = np.array(a, order="F")
    norms = checked_norms(work)
    if pivot:
        packed, pivots, _ = lapack(a.dtype, "getrf")(work, overwrite_a=True)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            packed, pivots = _eliminate(work), np.arange(len(a), dtype=np.int32)
    if norms[np.inf] > 1e-18 * np.finfo(a.dtype).max and not np.isfinite(packed).all():
        raise np.linalg.LinAlgError("elements overflow during the elimination: scale A.")
    return LU(*frozen(packed, pivots), norms)


@dataclass(frozen=True, eq=False, repr=False)
class LU(Factor):
    """``A[permutation] = L @ U``, from `lu`.

    Attributes
    ----------
    packed : ndarray of shape (n, n)
        U, and below its diagonal L without its ones, as LAPACK leaves them.
    pivots : ndarray of shape (n,)
        Row exchanged with row k in step k.
    norms : dict
        1-norm and infinity norm of A.
    shape : tuple
    permutation : ndarray of shape (n,)
        Rows of A in the order of L @ U.
    L, U : ndarray of shape (n, n)
        Unit lower and upper triangular.
    sign : float
        Of the determinant: -1.0, 0.0 or 1.0.
    growth_factor : float
        ``max |a_ij^(k)| / max |a_ij|`` over all steps k of the elimination, g_n of theorem
        3.6 of Eldén (2007); computed when asked for, in ``2 n^3 / 3`` operations.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import lu
    >>> factor = lu([[2.0, 1.0], [4.0, 6.0]])
    >>> factor.permutation, factor.U[1, 1], factor.sign
    (array([1, 0]), np.float64(-2.0), 1.0)
    >>> factor, factor.growth_factor
    (LU(n=2), 1.0)
    """

    packed: np.ndarray
    pivots: np.ndarray
    norms: dict

    def __repr__(self):
        return f"LU(n={len(self.packed)})"

    @cached_property
    def permutation(self):
        """Rows in the order of the factors."""
        return frozen(row_order(self.pivots))

    @property
    def L(self):
        """Unit lower triangle."""
        lower = np.tril(self.packed, -1)
        np.fill_diagonal(lower, 1.0)
        return lower

    @property
    def U(self):
        """Upper triangle."""
        return np.triu(self.packed)

    @cached_property
    def sign(self):
        """Sign of the determinant."""
        return float(np.prod(np.sign(self.packed.diagonal())) * permutation_sign(self.pivots))

    @cached_property
    def growth_factor(self):
        """Growth of the elements during elimination."""
        return growth(*(np.asarray(t, np.float64, order="C") for t in (self.L, self.U)))

    def logdet(self):
        """Logarithm of the absolute value of the determinant; ``-inf`` if A is singular.

        Returns
        -------
        float
        """
        with np.errstate(divide="ignore"):
            return float(np.log(np.abs(self.packed.diagonal()).astype(np.float64)).sum())

    def _condition(self, norm):
        letter = "1" if norm == 1 else "I"
        rcond, _ = lapack(self._dtype, "gecon")(self.packed, self.norms[norm], norm=letter)
        return from_rcond(rcond)

    def reconstruct(self):
        """Multiply the factors: A within ``n eps growth_factor max|A|``.

        Returns
        -------
        ndarray of shape (n, n)
        """
        a = np.empty(self.shape, self._dtype)
        a[self.permutation] = self.L @ self.U
        return a

    def _solve(self, b, transposed):
        solve = lapack(self._dtype, "getrs")
        return solve(self.packed, self.pivots, b, trans=int(transposed), overwrite_b=True)[0]

    def _check_regular(self):
        if not self.packed.diagonal().all():
            k = int(np.flatnonzero(self.packed.diagonal() == 0.0)[0])
            raise np.linalg.LinAlgError(
                f"A is singular: U[{k}, {k}] is zero. least_squares(A, b) gives the solution of "
                "minimum norm."
            )


def _eliminate(a):
    """Eliminate without pivoting, in place: a block of columns by the kernel, the rest by BLAS."""
    trsm = get_blas_funcs("trsm", dtype=a.dtype)
    n = len(a)
    for k in range(0, n, _BLOCK):
        here, rest = slice(k, k + _BLOCK), slice(k + _BLOCK, n)
        block = np.ascontiguousarray(a[here, here], np.float64)[None]
        lu_factor(block, np.empty(block.shape[:2], np.int32), False)
        check_minors(block[0].diagonal(), k, n)
        a[here, here] = block[0]
        if k + _BLOCK < n:
            a[here, rest] = trsm(1.0, a[here, here], a[here, rest], lower=1, diag=1)
            a[rest, here] = trsm(1.0, a[here, here], a[rest, here], side=1)
            a[rest, rest] -= a[rest, here] @ a[here, rest]
    return a
