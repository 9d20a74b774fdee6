"""Symmetric indefinite matrices: L D L' with the pivoting of Bunch and Kaufman."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lmmfit.linalg._check import lapack
from lmmfit.linalg._factor import Factor, from_rcond, frozen

__all__ = ["BunchKaufman", "Inertia", "bunch_kaufman", "count_signs"]


class Inertia(NamedTuple):
    """Numbers of positive, negative and zero eigenvalues of a symmetric matrix.

    Attributes
    ----------
    positive, negative, zero : int

    Examples
    --------
    >>> from lmmfit.linalg import ldl
    >>> ldl([[2.0, 0.0], [0.0, -3.0]]).inertia.negative
    1
    """

    positive: int
    negative: int
    zero: int


def count_signs(values):
    """Count the signs of eigenvalues."""
    signs = values > 0, values < 0, values == 0
    return Inertia(*(int(np.count_nonzero(sign)) for sign in signs))


@dataclass(frozen=True, eq=False, repr=False)
class BunchKaufman(Factor):
    """``A[permutation][:, permutation] = L @ D @ L.T`` with blocks in D, from `ldl`.

    Attributes
    ----------
    packed : ndarray of shape (n, n)
        The factors as LAPACK's sytrf leaves them, in the lower triangle.
    pivots : ndarray of shape (n,)
        LAPACK's record of exchanges and blocks.
    norm : float
        1-norm of A.
    shape : tuple
    L : ndarray of shape (n, n)
        Unit lower triangular.
    D : ndarray of shape (n, n)
        Symmetric, with blocks of order 1 and 2 on its diagonal.
    permutation : ndarray of shape (n,)
    sign : float
        Of the determinant: -1.0, 0.0 or 1.0.
    inertia : Inertia
        Numbers of positive, negative and zero eigenvalues of D, hence of A.

    Examples
    --------
    >>> from lmmfit.linalg import ldl
    >>> factor = ldl([[0.0, 2.0], [2.0, 0.0]], pivot=True)
    >>> factor.D
    array([[0., 2.],
           [2., 0.]])
    >>> factor.solve([2.0, 4.0])
    array([2., 1.])
    """

    packed: np.ndarray
    pivots: np.ndarray
    norm: float

    def __repr__(self):
        return f"BunchKaufman(n={len(self.packed)}, inertia={tuple(self.inertia)})"

    @cached_property
    def _parts(self):
        """L, D and the permutation, with the interchanges of later steps carried into L."""
        n, packed, pivots = len(self.packed), self.packed, self.pivots
        lower, d = np.tril(packed, -1), np.diag(packed.diagonal())
        order, k = np.arange(n), 0
        while k < n:
            width = 1 if pivots[k] > 0 else 2
            if width == 2:
                d[k + 1, k] = d[k, k + 1] = packed[k + 1, k]
                lower[k + 1, k] = 0.0
            row, other = k + width - 1, abs(int(pivots[k])) - 1
            if other != row:
                order[[row, other]] = order[[other, row]]
                lower[[row, other], :k] = lower[[other, row], :k]
            k += width
        np.fill_diagonal(lower, 1.0)
        return frozen(lower, d, order)

    @property
    def L(self):
        """Unit lower triangle."""
        return self._parts[0]

    @property
    def D(self):
        """Factor with blocks on its diagonal."""
        return self._parts[1]

    @property
    def permutation(self):
        """Rows in the order of the factors."""
        return self._parts[2]

    @cached_property
    def _eigenvalues(self):
        """Eigenvalues of D: one or two of each block."""
        main, off = self.D.diagonal().astype(np.float64), self.D.diagonal(-1).astype(np.float64)
        values = main.copy()
        for k in np.flatnonzero(off):
            values[k : k + 2] = np.linalg.eigvalsh(self.D[k : k + 2, k : k + 2])
        return values

    @property
    def inertia(self):
        """Signs of the eigenvalues."""
        return count_signs(self._eigenvalues)

    @property
    def sign(self):
        """Sign of the determinant."""
        return float(np.prod(np.sign(self._eigenvalues)))

    def logdet(self):
        """Logarithm of the absolute value of the determinant; ``-inf`` if A is singular.

        Returns
        -------
        float
        """
        with np.errstate(divide="ignore"):
            return float(np.log(np.abs(self._eigenvalues)).sum())

    def _condition(self, norm):
        rcond, _ = lapack(self._dtype, "sycon")(self.packed, self.pivots, self.norm, lower=1)
        return from_rcond(rcond)

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        ndarray of shape (n, n)
        """
        a = np.empty(self.shape, self._dtype)
        a[np.ix_(self.permutation, self.permutation)] = self.L @ self.D @ self.L.T
        return a

    def _solve(self, b, transposed):
        solve = lapack(self._dtype, "sytrs")
        return solve(self.packed, self.pivots, b, lower=1, overwrite_b=True)[0]

    def _check_regular(self):
        if not self._eigenvalues.all():
            raise np.linalg.LinAlgError(
                "A is singular: D has a zero block. least_squares(A, b) gives the solution of "
                "minimum norm."
            )


def bunch_kaufman(a, norm):
    """Factor a symmetric matrix; `ldl` calls it."""
    factor, work_size = lapack(a.dtype, "sytrf", "sytrf_lwork")
    size = int(work_size(len(a), lower=1)[0])
    packed, pivots, _ = factor(np.array(a, order="F"), lower=1, lwork=size, overwrite_a=True)
    return BunchKaufman(*frozen(packed, pivots), norm)
