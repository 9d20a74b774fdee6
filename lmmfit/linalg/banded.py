"""Band matrices: factors that stay in the band (seed section 3.5)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmfit.linalg._band_kernels import (
    band_cholesky,
    band_half_solve,
    band_inverse,
    band_lu,
    band_multiply,
    band_solve,
)
from lmmfit.linalg._check import lapack
from lmmfit.linalg._errors import not_positive_definite
from lmmfit.linalg._factor import Factor, frozen, permutation_sign
from lmmfit.linalg._norms import check_norm
from lmmfit.linalg.band_storage import as_band, by_columns, from_band, to_band
from lmmfit.linalg.stacks import check_minors

__all__ = ["BandedCholesky", "BandedLU", "banded_cholesky", "banded_lu", "from_band", "to_band"]

_WIDE = 3  # from this many sub-diagonals on, LAPACK is faster for one matrix than a plain loop


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
        Diagonals below and above the main one (q and p in the seed).
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
    band = as_band(AB, lower, upper)
    packed = by_columns(band, lower if pivot else 0)
    pivots = np.empty(packed.shape[:2], np.int32)
    if pivot and lower >= _WIDE and len(packed) == 1:
        factors, exchanges, _ = lapack(np.float64, "gbtrf")(packed[0].T, lower, upper)
        packed, pivots = np.ascontiguousarray(factors.T)[None], exchanges[None].astype(np.int32)
    else:
        band_lu(packed, lower, upper, pivots, bool(pivot))
    if not pivot:
        for diagonal in packed[..., upper]:
            check_minors(diagonal, 0, packed.shape[1])
    stack = band.shape[:-2]
    packed, pivots = packed.reshape(*stack, *packed.shape[1:]), pivots.reshape(*stack, -1)
    return BandedLU(*frozen(packed, pivots), int(lower), int(upper))


@dataclass(frozen=True, eq=False, repr=False)
class BandedLU(Factor):
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

    @property
    def shape(self):
        """Shape of the matrix, or of the stack."""
        n = self.packed.shape[-2]
        return (*self.packed.shape[:-2], n, n)

    @cached_property
    def norms(self):
        """Norms of the matrix."""
        return _norms(self.reconstruct(), self.lower, self.upper)

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
        return _number(value)

    @property
    def growth_factor(self):
        """Growth of the elements during elimination."""
        largest = np.abs(self.packed[..., : self.upper_of_u + 1]).max(axis=(-1, -2))
        original = self.norms["max"]
        return _number(np.divide(largest, original, out=np.ones_like(original),
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
            return _number(np.log(np.abs(self._diagonal)).sum(axis=-1))

    def condition(self, norm=1):
        """Estimate the condition number from a few solves: a lower bound, seldom far below.

        Parameters
        ----------
        norm : {1, inf}

        Returns
        -------
        float or ndarray of the shape of the stack
        """
        norm = check_norm(norm, (1, np.inf))
        regular = self._diagonal.all(axis=-1)
        value = np.where(regular, self.norms[norm] * self._inverse_norm(norm), np.inf)
        return _number(value)

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
        return _inverse_band(packed, pivots, self.lower, self.upper).reshape(
            *self.shape[:-2], self.lower + self.upper + 1, -1
        )

    def _flat(self, array):
        return array.reshape(-1, *array.shape[len(self.shape) - 2 :])

    def _solve(self, b, transposed):
        packed, pivots = self._flat(self.packed), self._flat(self.pivots)
        if self.lower >= _WIDE and len(packed) == 1 and self.upper_of_u > self.upper:
            args = packed[0].T, self.lower, self.upper, b.reshape(b.shape[-2:]), pivots[0]
            x, _ = lapack(np.float64, "gbtrs")(*args, trans=int(transposed))
            return x.reshape(b.shape)
        band_solve(packed, self.lower, pivots, self._flat(b), transposed)
        return b

    def _check_regular(self):
        if not self._diagonal.all():
            *place, k = map(int, np.argwhere(self._diagonal == 0.0)[0])
            which = f"matrix {place} of the stack" if place else "A"
            raise np.linalg.LinAlgError(f"{which} is singular: U[{k}, {k}] is zero.")


def banded_cholesky(AB, *, lower=False):
    """Factor a positive definite band matrix, or a stack of them, ``A = U.T @ U``.

    Parameters
    ----------
    AB : array_like of shape (..., upper + 1, n)
        The diagonals on and above the main one, ``AB[upper + i - j, j] = A[i, j]``; or, with
        `lower`, those on and below it, ``AB[i - j, j] = A[i, j]``.
    lower : bool, default=False
        Which half is given.

    Returns
    -------
    BandedCholesky

    Raises
    ------
    NotPositiveDefiniteError
        With the leading minor that fails and by how much.
    TypeError, ValueError
        If `AB` is not an array of finite real numbers.

    Examples
    --------
    >>> from lmmfit.linalg import banded_cholesky
    >>> banded_cholesky([[0.0, 2.0, 2.0], [4.0, 5.0, 5.0]]).U
    array([[0., 1., 1.],
           [2., 2., 2.]])
    """
    width = np.shape(AB)[-2] - 1 if np.ndim(AB) > 1 else 0
    band = as_band(AB, width, 0) if lower else as_band(AB, 0, width)
    if lower:
        band = _transposed(band, width)
    packed = by_columns(band, 0)
    failed, pivots = np.empty(len(packed), np.int64), np.empty(len(packed))
    if width >= _WIDE and len(packed) == 1:
        factor, failed[0] = lapack(np.float64, "pbtrf")(packed[0].T)
        if not failed[0]:
            packed = np.ascontiguousarray(factor.T)[None]
    if not (width >= _WIDE and len(packed) == 1) or failed[0]:
        band_cholesky(packed, failed, pivots)
    if failed.any():
        k = int(np.flatnonzero(failed)[0])
        minor, stack, full = int(failed[k]), band.shape[:-2], _symmetric(band)
        dense = from_band(full.reshape(-1, *full.shape[-2:])[k, :, :minor], width, width)
        place = list(map(int, np.unravel_index(k, stack)))
        what = f"matrix {place} of the stack" if stack else "A"
        raise not_positive_definite(dense, minor, pivots[k], what)
    return BandedCholesky(frozen(packed.reshape(*band.shape[:-2], *packed.shape[1:])))


@dataclass(frozen=True, eq=False, repr=False)
class BandedCholesky(Factor):
    """``A = U.T @ U`` of a band matrix or of a stack of them, from `banded_cholesky`.

    Attributes
    ----------
    packed : ndarray of shape (..., n, upper + 1)
        U by columns: ``packed[j, upper + i - j]`` is the element (i, j).
    shape : tuple
        ``(..., n, n)``.
    norms : dict
        1-norms, infinity norms and largest elements of A; computed when asked for.
    upper : int
        Super-diagonals.
    U : ndarray of shape (..., upper + 1, n)
        In band storage: ``from_band(U, 0, upper)`` writes it out.
    sign : float or ndarray
        Of the determinant: 1.0.

    Examples
    --------
    >>> from lmmfit.linalg import banded_cholesky
    >>> factor = banded_cholesky([[0.0, 2.0], [4.0, 5.0]])
    >>> factor.solve([6.0, 7.0]), factor.inverse_band()
    (array([1., 1.]), array([[ 0.    , -0.125 ],
           [ 0.3125,  0.25  ]]))
    """

    packed: np.ndarray

    def __repr__(self):
        return f"BandedCholesky(shape={self.shape}, upper={self.upper})"

    @property
    def shape(self):
        """Shape of the matrix, or of the stack."""
        n = self.packed.shape[-2]
        return (*self.packed.shape[:-2], n, n)

    @property
    def upper(self):
        """Super-diagonals."""
        return self.packed.shape[-1] - 1

    @cached_property
    def norms(self):
        """Norms of the matrix."""
        return _norms(_symmetric(self.reconstruct()), self.upper, self.upper)

    @property
    def U(self):
        """Upper triangle in band storage."""
        return np.swapaxes(self.packed, -1, -2).copy()

    @property
    def sign(self):
        """Sign of the determinant."""
        return _number(np.ones(self.shape[:-2]))

    def half_solve(self, b):
        """``z`` such that ``z.T @ z`` is ``b.T @ inv(A) @ b``: half of a solve.

        Parameters
        ----------
        b : array_like of shape (..., n) or (..., n, k)

        Returns
        -------
        ndarray of the shape of `b`
            ``inv(U.T) @ b``.
        """
        b, vector = self._prepare(b)
        band_half_solve(self._flat(self.packed), self._flat(b), True)
        return b[..., 0] if vector else b

    def logdet(self):
        """Logarithm of the determinant.

        Returns
        -------
        float or ndarray of the shape of the stack
        """
        return _number(2.0 * np.log(self.packed[..., -1]).sum(axis=-1))

    def condition(self, norm=1):
        """Estimate the condition number from a few solves: a lower bound, seldom far below.

        Parameters
        ----------
        norm : {1, inf}
            The two are equal for a symmetric matrix.

        Returns
        -------
        float or ndarray of the shape of the stack
        """
        norm = check_norm(norm, (1, np.inf))
        return _number(self.norms[norm] * self._inverse_norm(norm))

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        ndarray of shape (..., upper + 1, n)
            The upper half of A in band storage.
        """
        product, u = np.zeros(self.packed.shape), self.upper
        for offset in range(u + 1):  # the element (j - offset, j) sums over the rows above
            for k in range(u + 1 - offset):
                product[..., offset:, u - offset] += (
                    self.packed[..., offset:, u - offset - k]
                    * self.packed[..., : self.shape[-1] - offset, u - k]
                )
        return np.swapaxes(product, -1, -2).copy()

    def inverse_band(self):
        """Elements of the inverse inside the band; the inverse itself would be dense.

        Returns
        -------
        ndarray of shape (..., upper + 1, n)
            The upper half, in band storage. About ``8 n upper^2`` operations.

        References
        ----------
        Erisman and Tinney (1975), On computing certain elements of the inverse of a sparse
        matrix, Communications of the ACM 18.
        """
        packed, u = self._flat(self.packed), self.upper
        m, n = packed.shape[:2]
        factors = np.zeros((m, n, 2 * u + 1))  # as L times diag(U) U
        for offset in range(u + 1):
            elements = packed[:, offset:, u - offset]
            first = packed[:, : n - offset, u]
            factors[:, offset:, u - offset] = elements * first
            if offset:
                factors[:, : n - offset, u + offset] = elements / first
        pivots = np.broadcast_to(np.arange(n, dtype=np.int32), (m, n)).copy()
        band = _inverse_band(factors, pivots, u, u)[:, : u + 1]
        return band.reshape(*self.shape[:-2], u + 1, n)

    def _flat(self, array):
        return array.reshape(-1, *array.shape[len(self.shape) - 2 :])

    def _solve(self, b, transposed):
        packed = self._flat(self.packed)
        if self.upper >= _WIDE and len(packed) == 1:
            x, _ = lapack(np.float64, "pbtrs")(packed[0].T, b.reshape(b.shape[-2:]))
            return x.reshape(b.shape)
        flat = self._flat(b)
        band_half_solve(packed, flat, True)
        band_half_solve(packed, flat, False)
        return b


def _inverse_band(packed, pivots, lower, upper):
    """Run `band_inverse` with the work it needs; (m, lower + upper + 1, n)."""
    m, n, width = packed.shape
    out = np.zeros((m, n, lower + upper + 1))
    above = width - lower - 1
    work = np.empty((max(lower, upper) + 1, max(above, 2 * lower) + 1))
    band_inverse(packed, lower, upper, pivots, out, work)
    return np.swapaxes(out, -1, -2).copy()


def _norms(band, lower, upper):
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


def _symmetric(band):
    """Both halves in band storage, from the upper one."""
    width = band.shape[-2] - 1
    return np.concatenate([band, _transposed(band, 0, width)[..., 1:, :]], axis=-2)


def _transposed(band, lower, upper=0):
    """Band storage of the transpose of a triangular band matrix."""
    out, width = np.zeros_like(band), lower + upper
    n = band.shape[-1]
    for k in range(min(width, n - 1) + 1):
        if lower:  # the element (j + k, j) becomes (j, j + k)
            out[..., width - k, k:] = band[..., k, : n - k]
        else:
            out[..., k, : n - k] = band[..., width - k, k:]
    return out


def _number(value):
    return float(value) if np.ndim(value) == 0 else value
