"""The Schur complement of the dense unknowns: which of them to eliminate first, and its factor."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsyrk, dtrmm
from scipy.linalg.lapack import dlauum, dpotrf, dpotri, dpotrs, dtrtri

from lmmfit.mixed import _schur_kernels as kernels

__all__ = ["EliminationOrder", "SchurFactor"]

_SHARE = 0.35  # of the others: with more neighbours than that, LAPACK is faster
_FULL = 0.65  # share of the levels that one list may have for an order to be worth finding
_FEWEST = 128  # levels for which it is
_BASE = 96  # unknowns that are not divided further


@dataclass(frozen=True, eq=False)
class EliminationOrder:
    """Order of the dense unknowns: the core first, last what is eliminated first.

    Attributes
    ----------
    levels : ndarray of shape (m,)
        Positions of the levels, in that order.
    core : int
        Unknowns of the core.
    pointer, index : ndarray of int64
        Lists of the unknowns past the core: see the kernels.
    """

    levels: np.ndarray
    core: int
    pointer: np.ndarray
    index: np.ndarray

    @property
    def is_given(self):
        """Whether the unknowns keep the order that they had."""
        return self.pointer.size == 1  # none is past the core

    @staticmethod
    def is_worthwhile(n_levels):
        """Whether so many levels can repay the search for an order."""
        return n_levels >= _FEWEST

    @classmethod
    def none(cls, n, n_levels=0):
        """All unknowns in the core, in the order that they have."""
        return cls(np.arange(n_levels), n, np.zeros(1, np.int64), np.empty(0, np.int64))

    @classmethod
    def find(cls, widths, cliques, pairs):
        """Order by minimum degree, as far as that is faster than a full matrix.

        Parameters
        ----------
        widths : ndarray of shape (m,)
            Unknowns of each level.
        cliques : tuple of ndarray (pointer, index)
            Lists of levels that eliminating the sparse part connects with each other.
        pairs : ndarray of shape (n_pairs, 2)
            Levels that occur together.

        Returns
        -------
        EliminationOrder
        """
        m, longest = len(widths), np.diff(cliques[0]).max(initial=0)
        if longest > _FULL * m:
            return cls.none(int(widths.sum()), m)
        related = np.zeros((m, -(-m // 64)), dtype=np.uint64)
        kernels.neighbours(*cliques, related)
        kernels.neighbours(np.arange(0, pairs.size + 1, 2), pairs.ravel(), related)
        order = np.empty(m, dtype=np.int64)
        first = order[: kernels.order_of_elimination(related, _SHARE, order)][: m - 1]
        others = np.setdiff1d(np.arange(m), first)
        levels = np.concatenate([others, first[::-1]])
        bits = np.unpackbits(related[first[::-1]].view(np.uint8), axis=1, bitorder="little")
        touched = bits[:, levels].astype(bool)
        widths = widths[levels]
        core = int(widths[: others.size].sum())
        return cls(levels, core, *_lists(widths, touched))


def _lists(widths, touched):
    """Lists of unknowns past the core; each has those before it in its own level, too.

    Parameters
    ----------
    widths : ndarray of shape (m,)
        Unknowns of each level.
    touched : ndarray of shape (m - m_core, m)
        Which levels each of the last ones touches: all of them are before it.

    Returns
    -------
    pointer, index : ndarray of int64
    """
    past = np.arange(widths.size - len(touched), widths.size)
    touched[np.arange(past.size), past] = True
    entries = np.repeat(np.repeat(touched, widths, axis=1), widths[past], axis=0)
    row, column = np.nonzero(entries)
    before = column < entries.shape[1] - len(entries) + row
    counts = np.bincount(row[before], minlength=len(entries))
    return np.append(0, np.cumsum(counts)), column[before]


class SchurFactor:
    """Cholesky factor of a Schur complement, renewed in place.

    Parameters
    ----------
    order : EliminationOrder

    Attributes
    ----------
    core : int
        Unknowns that LAPACK eliminates.
    """

    def __init__(self, order):
        self.core, self._outer = order.core, (order.core, order.pointer, order.index)
        self._inverse = np.empty((0, 0))

    def update(self, matrix, inverse=False):
        """Factor another matrix.

        Parameters
        ----------
        matrix : ndarray of shape (n, n)
            Lower triangle; overwritten, and kept.
        inverse : bool, default=False
            Whether the inverse will be wanted: with that of the factor, it takes less in all.

        Returns
        -------
        float
            Logarithm of its determinant, NaN unless it is positive definite.
        """
        core, self._matrix = self.core, matrix
        outer = kernels.eliminate_outer(*self._outer, matrix) if core < len(matrix) else 0.0
        # the lower triangle of a C array is the upper one of its transpose, as LAPACK sees it
        if inverse:
            self._core, self._core_inverse = _factor_and_inverse(matrix[:core, :core].T)
        else:
            self._core, info = dpotrf(matrix[:core, :core].T, lower=0, clean=0, overwrite_a=1)
            self._core, self._core_inverse = None if info else self._core, None
        if self._core is None:
            return np.nan
        return outer + 2.0 * np.log(self._core.diagonal()).sum()

    def solve(self, columns):
        """Solve for right-hand sides.

        Parameters
        ----------
        columns : ndarray of shape (n, c)
            Overwritten.

        Returns
        -------
        ndarray of shape (n, c)
        """
        kernels.solve_outer(*self._outer, self._matrix, columns, False)
        columns[: self.core] = dpotrs(self._core, columns[: self.core], lower=0)[0]
        kernels.solve_outer(*self._outer, self._matrix, columns, True)
        return columns

    def selected_inverse(self):
        """Inverse where the factor is not zero, and in all of the core.

        Returns
        -------
        ndarray of shape (n, n)
            Lower triangle; what is not selected is anything.
        """
        if self._core_inverse is None:
            core = dpotri(self._core, lower=0)[0].T
        else:
            core = dlauum(self._core_inverse, lower=0)[0].T
        if self.core == len(self._matrix):
            return core
        if self._inverse.shape != self._matrix.shape:
            self._inverse = np.zeros_like(self._matrix)
        inverse = self._inverse
        inverse[: self.core, : self.core] = core
        kernels.invert_outer(*self._outer, self._matrix, inverse)
        return inverse


def _factor_and_inverse(a):
    """Cholesky's factor U and its inverse, of ``a = U'U``: half by half.

    All of the work is products, which BLAS does at twice the speed of triangular solutions.

    Parameters
    ----------
    a : ndarray of shape (n, n)
        Upper triangle.

    Returns
    -------
    tuple of ndarray of shape (n, n), or None
        Upper triangles; None twice where a is not positive definite.
    """
    n, h = len(a), len(a) // 2
    if n <= _BASE:
        factor, info = dpotrf(a, lower=0, clean=1)
        return (None, None) if info else (factor, dtrtri(factor, lower=0)[0])
    first, first_inverse = _factor_and_inverse(a[:h, :h])
    if first is None:
        return None, None
    across = dtrmm(1.0, first_inverse, a[:h, h:], trans_a=1)
    second, second_inverse = _factor_and_inverse(dsyrk(-1.0, across, 1.0, a[h:, h:], trans=1))
    if second is None:
        return None, None
    factor, inverse = np.zeros((n, n), order="F"), np.zeros((n, n), order="F")
    factor[:h, :h], factor[:h, h:], factor[h:, h:] = first, across, second
    inverse[:h, :h], inverse[h:, h:] = first_inverse, second_inverse
    inverse[:h, h:] = dtrmm(-1.0, first_inverse, dtrmm(1.0, second_inverse, across, side=1))
    return factor, inverse
