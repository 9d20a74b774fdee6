"""Symmetric matrices: L D L' and Cholesky (Eldén 2007, section 3.2)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmfit.linalg._check import as_matrix, check_choice, lapack
from lmmfit.linalg._dense_kernels import ldl_factor
from lmmfit.linalg._errors import NotPositiveDefiniteError, describe_failure
from lmmfit.linalg._factor import DefiniteFactor, from_rcond, frozen
from lmmfit.linalg._norms import checked_symmetric_norm
from lmmfit.linalg.indefinite import BunchKaufman, Inertia, bunch_kaufman, count_signs
from lmmfit.linalg.stacks import StackedCholesky, StackedLDL, stacked_ldl

__all__ = ["LDL", "BunchKaufman", "Cholesky", "Inertia", "NotPositiveDefiniteError",
           "StackedCholesky", "StackedLDL", "cholesky", "ldl"]  # fmt: skip

_SMALL = 64  # up to here L D L' is eliminated directly: no square roots, integers stay exact


def cholesky(A):
    """Factor a symmetric positive definite matrix, ``A = U.T @ U``.

    Parameters
    ----------
    A : array_like of shape (n, n) or (..., n, n)
        A matrix, or a stack of small ones. Elements that mirror each other must agree to
        1e-10 of the largest ones of their rows (float32: 1e-5); their mean is taken. float32
        is kept for one matrix.

    Returns
    -------
    Cholesky or StackedCholesky
        Frozen; `solve` and `half_solve` take any number of right-hand sides.

    Raises
    ------
    NotPositiveDefiniteError
        With the leading minor that fails and by how much.
    TypeError, ValueError
        If `A` is not a symmetric array of finite real numbers.

    References
    ----------
    Golub and Van Loan (2013), Matrix Computations, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import cholesky
    >>> factor = cholesky([[4.0, 2.0], [2.0, 5.0]])
    >>> factor.U
    array([[2., 1.],
           [0., 2.]])
    >>> cholesky([[1.0, 2.0], [2.0, 1.0]])
    Traceback (most recent call last):
        ...
    lmmfit.linalg._errors.NotPositiveDefiniteError: A is not positive definite: its leading \
minor of order 2 fails, where elimination leaves the pivot -3 (row and column 1, counted from \
0). The smallest eigenvalue of that leading block is -1. If the matrix should be positive \
definite, that is rounding or a dependent column; ldl(A, pivot=True) factors symmetric \
matrices that are not.
    """
    a = as_matrix(A, square=True, stack=True, finite=False)
    if a.ndim > 2:
        return stacked_ldl(a, StackedCholesky)
    work = _rows(a)
    norm = checked_symmetric_norm(work, a)
    upper, minor, left = _upper_factor(a, work)
    if minor:
        raise NotPositiveDefiniteError(*describe_failure(a, minor, left))
    return Cholesky(frozen(upper), norm)


def ldl(A, *, pivot="auto"):
    """Factor a symmetric matrix, ``A = L @ D @ L.T``.

    Parameters
    ----------
    A : array_like of shape (n, n) or (..., n, n)
        A matrix, or a stack of small positive definite ones.
    pivot : {"auto", False, True}, default="auto"
        Without pivoting A must be positive definite, and D is diagonal and positive
        (theorem 3.3 of Eldén 2007). With it any symmetric matrix has a factor, after Bunch and
        Kaufman, with blocks of order 1 and 2 in D. "auto" pivots where definiteness fails.

    Returns
    -------
    LDL, StackedLDL or BunchKaufman

    Raises
    ------
    NotPositiveDefiniteError
        Without pivoting, if A is not positive definite.
    TypeError, ValueError
        If `A` is not a symmetric array of finite real numbers.

    References
    ----------
    Bunch and Kaufman (1977), Some stable methods for calculating inertia and solving
    symmetric linear systems, Mathematics of Computation 31.

    Examples
    --------
    >>> from lmmfit.linalg import ldl
    >>> ldl([[8.0, 4.0, 2.0], [4.0, 6.0, 0.0], [2.0, 0.0, 3.0]]).D
    array([8.  , 4.  , 2.25])
    >>> ldl([[0.0, 1.0], [1.0, 0.0]]).inertia
    Inertia(positive=1, negative=1, zero=0)
    """
    pivot = check_choice("pivot", pivot, ("auto", False, True))
    a = as_matrix(A, square=True, stack=True, finite=False)
    if a.ndim > 2:
        if pivot is True:
            raise ValueError("a stack is factored without pivoting: pass one matrix at a time.")
        return stacked_ldl(a)
    work = _rows(a)
    norm = checked_symmetric_norm(work, a)
    if pivot is True:
        return bunch_kaufman(work, norm)
    lower, d, minor, left = _unit_factor(a, work)
    if not minor:
        return LDL(*frozen(lower, d), norm)
    if pivot == "auto":
        work = _rows(a)  # the first attempt wrote over it
        checked_symmetric_norm(work, a)
        return bunch_kaufman(work, norm)
    raise NotPositiveDefiniteError(*describe_failure(a, minor, left))


@dataclass(frozen=True, eq=False, repr=False)
class Cholesky(DefiniteFactor):
    """``A = U.T @ U``, from `cholesky`.

    Attributes
    ----------
    U : ndarray of shape (n, n)
        Upper triangular, its diagonal positive.
    norm : float
        1-norm of A.
    shape : tuple
    sign : float
        Of the determinant: 1.0.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import cholesky
    >>> factor = cholesky([[4.0, 2.0], [2.0, 5.0]])
    >>> z = factor.half_solve([2.0, 1.0])
    >>> float(z @ z), round(factor.logdet(), 6)
    (1.0, 2.772589)
    """

    U: np.ndarray
    norm: float

    def __repr__(self):
        return f"Cholesky(n={len(self.U)})"

    @property
    def _array(self):
        return self.U

    @property
    def sign(self):
        """Sign of the determinant."""
        return 1.0

    def _half_solve(self, b):
        factor, lower = self._stored
        return lapack(self._dtype, "trtrs")(factor, b, lower=lower, trans=1 - lower)[0]

    def logdet(self):
        """Logarithm of the determinant.

        Returns
        -------
        float
        """
        return 2.0 * float(np.log(self.U.diagonal(), dtype=np.float64).sum())

    def _condition(self, norm):
        factor, lower = self._stored
        rcond, _ = lapack(self._dtype, "pocon")(factor, self.norm, uplo="L" if lower else "U")
        return from_rcond(rcond)

    def reconstruct(self):
        """Multiply the factors: A within ``n eps max|A|``.

        Returns
        -------
        ndarray of shape (n, n)
        """
        return self.U.T @ self.U

    @property
    def _stored(self):
        """U as LAPACK wants it without a copy: in columns, or as the lower triangle U.T."""
        return (self.U, 0) if self.U.flags.f_contiguous else (self.U.T, 1)

    def _solve(self, b, transposed):
        factor, lower = self._stored
        return lapack(self._dtype, "potrs")(factor, b, lower=lower, overwrite_b=True)[0]


@dataclass(frozen=True, eq=False, repr=False)
class LDL(DefiniteFactor):
    """``A = L @ diag(D) @ L.T`` of a positive definite matrix, from `ldl`.

    Attributes
    ----------
    L : ndarray of shape (n, n)
        Unit lower triangular.
    D : ndarray of shape (n,)
        Positive.
    norm : float
        1-norm of A.
    shape : tuple
    sign : float
        Of the determinant: 1.0.
    inertia : Inertia
        Numbers of positive, negative and zero eigenvalues.

    Examples
    --------
    >>> from lmmfit.linalg import ldl
    >>> factor = ldl([[4.0, 2.0], [2.0, 5.0]])
    >>> factor.D, factor.solve([6.0, 7.0])
    (array([4., 4.]), array([1., 1.]))
    """

    L: np.ndarray
    D: np.ndarray
    norm: float

    def __repr__(self):
        return f"LDL(n={len(self.D)})"

    @property
    def _array(self):
        return self.L

    @property
    def sign(self):
        """Sign of the determinant."""
        return 1.0

    @property
    def inertia(self):
        """Signs of the eigenvalues."""
        return count_signs(self.D)

    @cached_property
    def _cholesky(self):
        return Cholesky(frozen(np.sqrt(self.D)[:, None] * self.L.T), self.norm)

    def _half_solve(self, b):
        return self._cholesky._half_solve(b)

    def logdet(self):
        """Logarithm of the determinant.

        Returns
        -------
        float
        """
        return float(np.log(self.D, dtype=np.float64).sum())

    def _condition(self, norm):
        return self._cholesky._condition(norm)

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        ndarray of shape (n, n)
        """
        return self.L * self.D @ self.L.T

    def _solve(self, b, transposed):
        solve = lapack(self._dtype, "trtrs")
        b = solve(self.L, b, lower=1, unitdiag=1)[0] / self.D[:, None]
        return solve(self.L, b, lower=1, unitdiag=1, trans=1)[0]


def _rows(a):
    """Copy a matrix by rows: the transpose of a symmetric one, if that is how it lies."""
    return np.array(a.T if a.flags.f_contiguous else a, order="C")


def _upper_factor(a, work):
    """Return U, 0 and None; or None, the leading minor that fails, and the pivot there."""
    # U by rows is its transpose by columns, which is how LAPACK is fastest.
    factor, failed = lapack(a.dtype, "potrf")(work.T, lower=1, clean=1, overwrite_a=True)
    if not failed:
        return factor.T, 0, None
    row = factor[failed - 1, : failed - 1]
    with np.errstate(over="ignore", invalid="ignore"):
        return None, int(failed), a[failed - 1, failed - 1] - row @ row


def _unit_factor(a, work):
    """Return L, D, 0 and None; or None twice, the leading minor that fails, and the pivot."""
    if len(a) > _SMALL:
        upper, minor, left = _upper_factor(a, work)
        if minor:
            return None, None, minor, left
        root = upper.diagonal()
        return np.asfortranarray((upper / root[:, None]).T), root**2, 0, None
    packed, failed = np.array(work, np.float64)[None], np.empty(1, np.int64)
    ldl_factor(packed, failed)
    minor, packed = int(failed[0]), packed[0]
    if minor:
        return None, None, minor, packed[minor - 1, minor - 1]
    lower = np.tril(packed, -1).astype(a.dtype)
    np.fill_diagonal(lower, 1.0)
    return np.asfortranarray(lower), packed.diagonal().astype(a.dtype), 0, None
