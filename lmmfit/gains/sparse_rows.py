"""Sparse matrices of a fixed structure, whose numbers change at every step."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

__all__ = ["PlannedProduct", "Rows", "rows_of"]


class Rows(NamedTuple):
    """A matrix in compressed rows: three arrays, without the checks that a csr_array makes.

    Attributes
    ----------
    indptr, indices : int32 array
    data : float64 array
    shape : tuple of int
    turn : tuple or None
        What the transpose needs, if it has been found.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    shape: tuple
    turn: tuple | None = None

    def csr(self):
        """The same as a csr_array."""
        return csr_array((self.data, self.indices, self.indptr), shape=self.shape)

    @property
    def T(self):
        """The transpose."""
        indptr, indices, order = self.turn or _turn(self)
        return Rows(indptr, indices, self.data[order], self.shape[::-1])

    def __matmul__(self, M):
        return self.csr() @ M

    def with_data(self, data):
        """Other numbers at the same places."""
        return Rows(self.indptr, self.indices, data, self.shape, self.turn)


def _turn(M):
    """Structure of the transpose, and in which order its numbers are taken."""
    order = np.argsort(M.indices, kind="stable")
    owners = np.repeat(np.arange(M.shape[0], dtype=np.int32), np.diff(M.indptr))
    starts = np.searchsorted(M.indices[order], np.arange(M.shape[1] + 1))
    return starts.astype(np.int32), owners[order], order


def rows_of(M):
    """A sparse array as :class:`Rows`.

    Parameters
    ----------
    M : csr_array

    Returns
    -------
    Rows
    """
    return Rows(M.indptr.astype(np.int32), M.indices.astype(np.int32), M.data, M.shape)


class PlannedProduct:
    """base + X Y, where the structure of X and all of Y and of the base stay as they are.

    Which numbers are multiplied, and where the products go, is found once; then the product for
    other numbers in X is a sum over a list.

    Parameters
    ----------
    X : Rows
        Of shape (m, k); its numbers do not matter.
    Y : csr_array of shape (k, n)
    base : csr_array of shape (m, n), optional
        Zero by default.

    Attributes
    ----------
    structure : Rows
        Of the result; its numbers are those of the base.
    """

    def __init__(self, X, Y, base=None):
        shape = (X.shape[0], Y.shape[1])
        owners = np.repeat(np.arange(shape[0]), np.diff(X.indptr))
        counts = np.diff(Y.indptr)[X.indices]
        self._left = np.repeat(np.arange(len(X.indices)), counts)
        firsts = np.cumsum(counts) - counts
        right = np.arange(counts.sum()) + (Y.indptr[X.indices] - firsts)[self._left]
        self._right = Y.data[right]
        places = owners[self._left] * shape[1] + Y.indices[right]
        base = csr_array(shape) if base is None else base
        own = np.repeat(np.arange(shape[0]), np.diff(base.indptr)) * shape[1] + base.indices
        union, where = np.unique(np.concatenate([own, places]), return_inverse=True)
        self._targets = where[len(own) :]
        data = np.bincount(where[: len(own)], base.data, len(union))
        rows, columns = np.divmod(union, max(shape[1], 1))
        indptr = np.searchsorted(rows, np.arange(shape[0] + 1))
        found = Rows(indptr.astype(np.int32), columns.astype(np.int32), data, shape)
        self.structure = found._replace(turn=_turn(found))

    def __call__(self, data):
        """The result for other numbers in X.

        Parameters
        ----------
        data : ndarray
            Those of X.

        Returns
        -------
        Rows
        """
        base = self.structure.data
        products = np.bincount(self._targets, data[self._left] * self._right, len(base))
        return self.structure.with_data(base + products)
