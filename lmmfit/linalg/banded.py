"""Gaussian elimination in a band (Eldén 2007, section 3.5)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmfit.linalg._band_kernels import (
    band_inverse,
    band_lu,
    band_multiply,
    band_solve,
)
from lmmfit.linalg._check import check_choice, lapack
from lmmfit.linalg._errors import check_minors, which_matrix
from lmmfit.linalg._factor import Factor, frozen, permutation_sign
from lmmfit.linalg.band_storage import as_band, by_columns

__all__ = ["WIDE", "Banded", "BandedLU", "as_number", "band_norms", "banded_lu", "inverse_band"]

WIDE = 3  # from this many sub-diagonals on, LAPACK is faster for one matrix than a plain loop


def banded_lu(AB, lower, upper, *, pivot=True):
    """Factor a band matrix, or a stack of them, by Gaussian elimination in the band.

    With partial pivoting U gets ``lower + upper`` super-diagonals, without it `upper`; L keeps
    `lower` multipliers in a column. About ``2 n lower (lower + upper)`` operations.

    Parameters
    ----------
    AB : array_like of shape (..., lower + upper + 1, n)
        Band storage, ``AB[upper + i - j, j] = A[i, j]``; see `to_band`. Corners outside the
        matrix are not read.
    lower, upper : int
        Diagonals below and above the main one (q and p in the textbook).
    pivot : bool, default=True
        Partial pivoting; diagonally dominant and positive definite matrices do not need it.

    Returns
    -------
    BandedLU

    Raises
    ------
    numpy.linalg.LinAlgError
        Without pivoting, if a leading minor is zero.
    TypeError, ValueError
        If `AB` is not finite, or not of that shape.

    References
    ----------
    Golub and Van Loan (2013), Matrix Computations, section 4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import banded_lu, to_band
    >>> A = np.diag([4.0, 4.0, 4.0]) + np.diag([1.0, 1.0], 1) + np.diag([2.0, 2.0], -1)
    >>> factor = banded_lu(to_band(A), 1, 1)
    >>> factor.solve(A @ [1.0, 2.0, 3.0])
    array([1., 2., 3.])
    """
    pivot = check_choice("pivot", pivot, (True, False))
    band = as_band(AB, lower, upper)
    packed = by_columns(band, upper, lower if pivot else 0)
    pivots = np.empty(packed.shape[:2], np.int32)
    if pivot and lower >= WIDE and len(packed) == 1:
        factorise = lapack(np.float64, "gbtrf")
        factors, exchanges, _ = factorise(packed[0].T, lower, upper, overwrite_ab=True)
        packed, pivots = np.ascontiguousarray(factors.T)[None], exchanges[None].astype(np.int32)
    else:
        band_lu(packed, lower, upper, pivots, pivot)
    if not pivot:
        for diagonal in packed[..., upper]:
            check_minors(diagonal, 0, packed.shape[1])
    stack = band.shape[:-2]
    packed, pivots = packed.reshape(*stack, *packed.shape[1:]), pivots.reshape(*stack, -1)
    return BandedLU(*frozen(packed, pivots), int(lower), int(upper))


class Banded(Factor):
    """Factors of a band matrix, whose array is not of the shape of the matrix."""

    @property
    def shape(self):
        """Shape of the matrix, or of the stack."""
        n = self.packed.shape[-2]
        return (*self.packed.shape[:-2], n, n)


@dataclass(frozen=True, eq=False, repr=False)
class BandedLU(Banded):
    """Factors of a band matrix or of a stack of them, from `banded_lu`.

    Attributes
    ----------
    packed : ndarray of shape (..., n, lower + upper_of_u + 1)
        The factors by columns: ``packed[j, upper_of_u + i - j]`` is the element (i, j).
    pivots : ndarray of shape (..., n)
        Row exchanged with row k in step k.
    lower, upper : int
        Diagonals of A below and above the main one.
    shape : tuple
        ``(..., n, n)``.
    norms : dict
        1-norms, infinity norms and largest elements of A; computed when asked for.
    upper_of_u : int
        Super-diagonals of U: ``lower + upper`` with pivoting, `upper` without.
    U : ndarray of shape (..., upper_of_u + 1, n)
        In band storage: ``from_band(U, 0, upper_of_u)`` writes it out.
    multipliers : ndarray of shape (..., lower, n)
        Column j holds what step j subtracted; without exchanges, the band of L below its ones.
    sign : float or ndarray
        Of the determinant: -1.0, 0.0 or 1.0.
    growth_factor : float or ndarray
        ``max |u_ij| / max |a_ij|``: a lower bound of g_n, the elements between are not kept.

    Examples
    --------
    >>> from lmmfit.linalg import banded_lu
    >>> AB = [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [2.0, 2.0, 0.0]]
    >>> banded_lu(AB, 1, 1).upper_of_u, banded_lu(AB, 1, 1, pivot=False).upper_of_u
    (2, 1)
    """

    packed: np.ndarray
    pivots: np.ndarray
    lower: int
    upper: int

    def __repr__(self):
        return f"BandedLU(shape={self.shape}, lower={self.lower}, upper={self.upper})"

    @cached_property
    def norms(self):
        """Norms of the matrix."""
        return band_norms(self.reconstruct(), self.lower, self.upper)

    @property
    def upper_of_u(self):
        """Super-diagonals of U."""
        return self.packed.shape[-1] - self.lower - 1

    @property
    def U(self):
        """Upper triangle in band storage."""
        return np.swapaxes(self.packed[..., : self.upper_of_u + 1], -1, -2).copy()

    @property
    def multipliers(self):
        """What each step subtracted."""
        return np.swapaxes(self.packed[..., self.upper_of_u + 1 :], -1, -2).copy()

    @property
    def sign(self):
        """Sign of the determinant."""
        value = np.prod(np.sign(self._diagonal), axis=-1) * permutation_sign(self.pivots)
        return as_number(value)

    @property
    def growth_factor(self):
        """Growth of the elements during elimination."""
        largest = np.abs(self.packed[..., : self.upper_of_u + 1]).max(axis=(-1, -2))
        original = self.norms["max"]
        return as_number(np.divide(largest, original, out=np.ones_like(original),
                                 where=original > 0.0))  # fmt: skip

    @property
    def _diagonal(self):
        return self.packed[..., self.upper_of_u]

    def logdet(self):
        """Logarithm of the absolute value of the determinant; ``-inf`` if A is singular.

        Returns
        -------
        float or ndarray of the shape of the stack
        """
        with np.errstate(divide="ignore"):
            return as_number(np.log(np.abs(self._diagonal)).sum(axis=-1))

    def _condition(self, norm):
        regular = self._diagonal.all(axis=-1)
        value = np.where(regular, self.norms[norm] * self._inverse_norm(norm), np.inf)
        return as_number(value)

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        ndarray of shape (..., lower + upper + 1, n)
            A in band storage.
        """
        product = np.array(self._flat(self.packed))
        band_multiply(product, self.lower, self._flat(self.pivots))
        product = product[..., self.upper_of_u - self.upper :].reshape(
            *self.shape[:-1], self.lower + self.upper + 1
        )
        return np.swapaxes(product, -1, -2).copy()

    def inverse_band(self):
        """Elements of the inverse inside the band of A; the inverse itself would be dense.

        Returns
        -------
        ndarray of shape (..., lower + upper + 1, n)
            In band storage. About ``2 n (lower + upper)^2`` operations.

        References
        ----------
        Erisman and Tinney (1975), On computing certain elements of the inverse of a sparse
        matrix, Communications of the ACM 18; here with row exchanges.

        Examples
        --------
        >>> from lmmfit.linalg import banded_lu
        >>> banded_lu([[0.0, 1.0], [4.0, 1.0], [2.0, 0.0]], 1, 1).inverse_band()
        array([[ 0. , -0.5],
               [ 0.5,  2. ],
               [-1. ,  0. ]])
        """
        self._check_regular()
        packed, pivots = self._flat(self.packed), self._flat(self.pivots)
        return inverse_band(packed, pivots, self.lower, self.upper).reshape(
            *self.shape[:-2], self.lower + self.upper + 1, -1
        )

    def _solve(self, b, transposed):
        packed, pivots = self._flat(self.packed), self._flat(self.pivots)
        if self.lower >= WIDE and len(packed) == 1 and self.upper_of_u > self.upper:
            args = packed[0].T, self.lower, self.upper, b.reshape(b.shape[-2:]), pivots[0]
            x, _ = lapack(np.float64, "gbtrs")(*args, trans=int(transposed))
            return x.reshape(b.shape)
        band_solve(packed, self.lower, pivots, self._flat(b), transposed)
        return b

    def _check_regular(self):
        if not self._diagonal.all():
            matrices = self._flat(self._diagonal)
            row, k = map(int, np.argwhere(matrices == 0.0)[0])
            which = which_matrix(self.shape[:-2], row)
            raise np.linalg.LinAlgError(f"{which} is singular: U[{k}, {k}] is zero.")


def inverse_band(packed, pivots, lower, upper):
    """Run `band_inverse` with the work it needs; (m, lower + upper + 1, n)."""
    m, n, width = packed.shape
    out = np.zeros((m, n, lower + upper + 1))
    above = width - lower - 1
    work = np.empty((max(lower, upper) + 1, max(above, 2 * lower) + 1))
    band_inverse(packed, lower, upper, pivots, out, work)
    return np.swapaxes(out, -1, -2).copy()


def band_norms(band, lower, upper):
    """Norms of band matrices, and their largest elements."""
    size, n = np.abs(band), band.shape[-1]
    rows = np.zeros((*band.shape[:-2], n))
    for k in range(lower + upper + 1):
        offset = upper - k  # j - i
        if abs(offset) < n:
            start, stop = max(0, offset), min(n, n + offset)
            rows[..., start - offset : stop - offset] += size[..., k, start:stop]
    largest = size.max(axis=(-1, -2))
    return {1: size.sum(axis=-2).max(axis=-1), np.inf: rows.max(axis=-1), "max": largest}


def as_number(value):
    """Return a float for one matrix, the array for a stack."""
    return float(value) if np.ndim(value) == 0 else value
