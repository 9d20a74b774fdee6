"""Cholesky factors of positive definite band matrices (Eldén 2007, example 3.8)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmfit.linalg._band_kernels import band_cholesky, band_half_solve
from lmmfit.linalg._check import lapack
from lmmfit.linalg._errors import NotPositiveDefiniteError, describe_failure, which_matrix
from lmmfit.linalg._factor import DefiniteFactor, frozen
from lmmfit.linalg.band_storage import as_band, by_columns, from_band
from lmmfit.linalg.banded import WIDE, Banded, as_number, band_norms, inverse_band

__all__ = ["BandedCholesky", "banded_cholesky"]


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
    packed, failed, pivots = _factorise(band, width)
    if failed.any():
        raise NotPositiveDefiniteError(*_failure(band, failed, pivots))
    return BandedCholesky(frozen(packed.reshape(*band.shape[:-2], *packed.shape[1:])))


@dataclass(frozen=True, eq=False, repr=False)
class BandedCholesky(Banded, DefiniteFactor):
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
    def upper(self):
        """Super-diagonals."""
        return self.packed.shape[-1] - 1

    @cached_property
    def norms(self):
        """Norms of the matrix."""
        return band_norms(_symmetric(self.reconstruct()), self.upper, self.upper)

    @property
    def U(self):
        """Upper triangle in band storage."""
        return np.swapaxes(self.packed, -1, -2).copy()

    @property
    def sign(self):
        """Sign of the determinant."""
        return as_number(np.ones(self.shape[:-2]))

    def _half_solve(self, b):
        band_half_solve(self._flat(self.packed), self._flat(b), True)
        return b

    def logdet(self):
        """Logarithm of the determinant.

        Returns
        -------
        float or ndarray of the shape of the stack
        """
        return as_number(2.0 * np.log(self.packed[..., -1]).sum(axis=-1))

    def _condition(self, norm):
        return as_number(self.norms[norm] * self._inverse_norm(norm))

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        ndarray of shape (..., upper + 1, n)
            The upper half of A in band storage.
        """
        product, u = np.zeros(self.packed.shape), self.upper
        last = min(u, self.shape[-1] - 1)
        for offset in range(last + 1):  # the element (j - offset, j) sums over the rows above
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
        for offset in range(min(u, n - 1) + 1):
            elements = packed[:, offset:, u - offset]
            first = packed[:, : n - offset, u]
            factors[:, offset:, u - offset] = elements * first
            if offset:
                factors[:, : n - offset, u + offset] = elements / first
        pivots = np.broadcast_to(np.arange(n, dtype=np.int32), (m, n)).copy()
        band = inverse_band(factors, pivots, u, u)[:, : u + 1]
        return band.reshape(*self.shape[:-2], u + 1, n)

    def _solve(self, b, transposed):
        packed = self._flat(self.packed)
        if self.upper >= WIDE and len(packed) == 1:
            x, _ = lapack(np.float64, "pbtrs")(packed[0].T, b.reshape(b.shape[-2:]))
            return x.reshape(b.shape)
        flat = self._flat(b)
        band_half_solve(packed, flat, True)
        band_half_solve(packed, flat, False)
        return b


def _factorise(band, width):
    """Return the factors by columns, and the minors and pivots of those that fail."""
    packed = by_columns(band, width)
    failed, pivots = np.zeros(len(packed), np.int64), np.empty(len(packed))
    if width >= WIDE and len(packed) == 1:
        factor, stopped = lapack(np.float64, "pbtrf")(packed[0].T, overwrite_ab=True)
        if not stopped:
            return np.ascontiguousarray(factor.T)[None], failed, pivots
        packed = by_columns(band, width)  # the kernel tells the pivot
    band_cholesky(packed, failed, pivots)
    return packed, failed, pivots


def _failure(band, failed, pivots):
    """Describe the first matrix that is not positive definite."""
    k, stack, width = int(np.flatnonzero(failed)[0]), band.shape[:-2], band.shape[-2] - 1
    minor, full = int(failed[k]), _symmetric(band)
    dense = from_band(full.reshape(-1, *full.shape[-2:])[k, :, :minor], width, width)
    return describe_failure(dense, minor, pivots[k], which_matrix(stack, k))


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
