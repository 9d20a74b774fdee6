"""Rows or columns of the unknown matrix that do not depend on each other."""

from functools import partial
from itertools import pairwise

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from lmmfit._threads import blas_threads_for
from lmmfit.gains._line_kernels import factor_lines, solve_lines

__all__ = ["ROUNDING", "LineFactor", "Lines"]

ROUNDING = 4.0 * np.finfo(float).eps  # pivots relative to the diagonal, times the order

_SMALL = 24  # order up to which our own kernel is faster than calls of LAPACK


class Lines:
    """The columns of a pattern, those with equal sets of rows together.

    For the rows of a pattern take those of its transpose.

    Parameters
    ----------
    pattern : Pattern

    Attributes
    ----------
    pattern : Pattern
    groups : list of (ndarray, ndarray)
        The set of rows, and where the values of each column with that set begin. Columns
        without entries are left out.
    """

    def __init__(self, pattern):
        self.pattern = pattern
        rows, starts = pattern.rows, pattern.starts.tolist()
        groups = {}
        for first, last in pairwise(starts):
            if last > first:
                groups.setdefault(rows[first:last].tobytes(), []).append(first)
        self.groups = [
            (rows[firsts[0] : firsts[0] + len(key) // rows.itemsize], np.array(firsts, np.intp))
            for key, firsts in groups.items()
        ]
        small = [group for group in self.groups if len(group[0]) <= _SMALL]
        self.large = [group for group in self.groups if len(group[0]) > _SMALL]
        self.small = small
        sizes = np.array([len(J) for J, _ in small], np.intp)
        self.sets = _joined([J for J, _ in small])
        self.set_starts = _starts(sizes)
        self.factor_starts = _starts(sizes * sizes)
        self.members = _joined([firsts for _, firsts in small])
        self.member_starts = _starts([len(firsts) for _, firsts in small])

    def factor(self, M):
        """Cholesky factors of M[J, J] for each set J.

        Parameters
        ----------
        M : ndarray of shape (n, n)
            Symmetric, C-contiguous.

        Returns
        -------
        LineFactor

        Raises
        ------
        LinAlgError
            If one of them is not positive definite.
        """
        factors = np.empty(self.factor_starts[-1])
        failed = factor_lines(M, self.sets, self.set_starts, self.factor_starts, ROUNDING, factors)
        if failed >= 0:
            _refuse(self.small[failed][0])
        return LineFactor(self, factors, [_cholesky(M, J) for J, _ in self.large])


class LineFactor:
    """Cholesky factors of the blocks of :class:`Lines`.

    Parameters
    ----------
    lines : Lines
    small : ndarray
        Factors of small sets, row-major one after another.
    large : list of ndarray
        Lower factors of large sets.
    """

    def __init__(self, lines, small, large):
        self.lines, self.small, self.large = lines, small, large
        self._solve_small = partial(
            solve_lines, small, lines.factor_starts, lines.set_starts, lines.members,
            lines.member_starts,
        )  # fmt: skip

    def solve(self, r):
        """Solve M[J, J] x = r for the values r of each column.

        Parameters
        ----------
        r : ndarray of shape (size,)

        Returns
        -------
        ndarray of shape (size,)
        """
        x = r.copy()
        self._solve_small(x)
        for L, (J, firsts) in zip(self.large, self.lines.large, strict=True):
            at = firsts[:, None] + np.arange(len(J))
            with blas_threads_for(len(J)):
                x[at] = dpotrs(L, r[at].T, lower=1)[0].T
        return x


def _cholesky(M, J):
    block = M[np.ix_(J, J)]
    diagonal = block.diagonal().copy()
    with blas_threads_for(len(J)):
        L, info = dpotrf(block.T, lower=1, overwrite_a=1, clean=0)
    if info or not (np.square(L.diagonal()) > ROUNDING * len(J) * diagonal).all():
        _refuse(J)
    return L


def _refuse(J):
    shown = ", ".join(map(str, J[:6])) + (", ..." if len(J) > 6 else "")
    raise np.linalg.LinAlgError(f"the block of rows and columns {shown} is not positive definite.")


def _starts(sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)


def _joined(parts):
    return np.concatenate(parts).astype(np.intp) if parts else np.zeros(0, np.intp)
