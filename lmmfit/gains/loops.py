"""The loop that a gain closes, as a function of the gain."""

import numpy as np
from scipy.sparse import csr_array, eye_array

from lmmfit.gains.products import less_identity
from lmmfit.gains.sparse_rows import PlannedProduct, Rows, rows_of

__all__ = ["DenseLoops", "SparseLoops"]


class DenseLoops:
    """Loops of dense matrices: (I - K C) A, or A - K C.

    Parameters
    ----------
    A : ndarray of shape (n, n)
    C : ndarray of shape (o, n)
    pattern : Pattern
    inside : bool
        Whether the gain corrects before A is applied: that of a filter.
    """

    def __init__(self, A, C, pattern, *, inside):
        self.A, self.C, self._inside = A, C, inside
        self.gain = pattern.dense

    def left(self, K):
        """I - K C."""
        return less_identity(K @ self.C)

    def loop(self, K):
        """F(K)."""
        return self.left(K) @ self.A if self._inside else self.A - K @ self.C


class SparseLoops:
    """The same of sparse matrices, with products that are planned once for the pattern.

    Parameters
    ----------
    A : csr_array of shape (n, n)
    C : csr_array of shape (o, n)
    pattern : Pattern
    inside : bool
    """

    def __init__(self, A, C, pattern, *, inside):
        self.A, self.C, self._inside = rows_of(A), rows_of(C), inside
        turned = pattern.T
        starts, columns = turned.starts.astype(np.int32), turned.rows.astype(np.int32)
        self._order = pattern.row_order
        self._gain = Rows(starts, columns, np.ones(pattern.size), pattern.shape)
        base = eye_array(len(A.indptr) - 1, format="csr") if inside else A
        self._first = PlannedProduct(self._gain, -C, csr_array(base))
        self._second = PlannedProduct(self._first.structure, A) if inside else None

    def gain(self, values):
        """K."""
        return self._gain.with_data(np.asarray(values, dtype=float)[self._order])

    def left(self, K):
        """I - K C."""
        return self._first(K.data)

    def loop(self, K):
        """F(K)."""
        first = self._first(K.data)
        return self._second(first.data) if self._inside else first
