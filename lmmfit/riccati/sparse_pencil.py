"""A sparse pencil, ordered once and factored for many shifts."""

import numpy as np
from scipy.sparse import csc_array, eye_array
from scipy.sparse.linalg import splu

from lmmfit.riccati._ldl_kernels import analyse, factor, substitute

__all__ = ["SparsePencil"]

_LARGE = 250  # order from which kernels of our own are worth loading


class SparsePencil:
    """Transposes of sparse A and E on their common pattern, in an order that suits all shifts."""

    def __init__(self, A, E):
        A = csc_array(A.T)
        n = A.shape[0]
        E = eye_array(n, format="csc") if E is None else csc_array(E.T)
        pattern = abs(A).sign() + abs(E).sign()
        pattern.sort_indices()
        self.order, self.tree = None, None
        # Such pencils are mostly definite; the first factor that is not one says otherwise.
        self.symmetric = n >= _LARGE and all((M != M.T).nnz == 0 for M in (A, E))
        self.options = {}
        if (pattern.sign() != pattern.T.sign()).nnz == 0:
            self.options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.1,
                            "options": {"SymmetricMode": True}}  # fmt: skip
        self._store(A, E, pattern)

    def _store(self, A, E, pattern):
        zero = csc_array((np.zeros(pattern.nnz), pattern.indices, pattern.indptr), pattern.shape)
        self.a, self.e = (_on_pattern(M, zero) for M in (A, E))
        self.indices, self.indptr, self.shape = zero.indices, zero.indptr, zero.shape

    def splu(self, shift):
        """Factor for a shift, of the matrix in the order kept."""
        data = self.a + shift * self.e
        matrix = csc_array((data, self.indices, self.indptr), self.shape)
        return splu(matrix, **self.options)

    def factor(self, shift):
        """Function that solves for a shift."""
        if self.symmetric and self.order is not None and not np.iscomplexobj(shift):
            solve = self._definite(shift)
            if solve is not None:
                return solve
        lu = self.splu(shift)
        order, dtype = self.order, complex if np.iscomplexobj(shift) else float
        if order is None:
            self._reorder(lu.perm_c)
            return lambda Y: lu.solve(np.ascontiguousarray(Y, dtype=dtype))

        def solve(Y):
            X = np.empty(Y.shape, dtype=dtype)
            X[order] = lu.solve(np.asarray(Y, dtype=dtype)[order])
            return X

        return solve

    def _definite(self, shift):
        """The same from L D L' of the negative of a matrix that is negative definite."""
        if self.tree is None:
            self.tree = analyse(self.indptr, self.indices)
        size, n = self.tree[1][-1], self.shape[0]
        rows, values, D = np.empty(size, dtype=np.int64), np.empty(size), np.empty(n)
        data = -(self.a + shift * self.e)
        found = factor(self.indptr, self.indices, data, *self.tree, rows, values, D)
        if not (found and D.min() > 0.0):
            self.symmetric = False
            return None
        order = self.order

        def solve(Y):
            inner = -np.asarray(Y, dtype=float)[order]
            substitute(self.tree[1], rows, values, D, inner)
            X = np.empty_like(inner)
            X[order] = inner
            return X

        return solve

    def _reorder(self, place):
        """Put rows and columns where the first factorisation had them; later ones look no more."""
        order = np.argsort(place)
        matrices = [
            csc_array((data, self.indices, self.indptr), self.shape) for data in (self.a, self.e)
        ]
        A, E = (M[order][:, order] for M in matrices)
        pattern = abs(A).sign() + abs(E).sign()
        pattern.sort_indices()
        self._store(A, E, pattern)
        self.order = order
        self.options = self.options | {"permc_spec": "NATURAL"}


def _on_pattern(M, zero):
    """Data of M at the places of a larger pattern."""
    n = zero.shape[0]
    M = M.copy()
    M.sort_indices()
    columns = [np.repeat(np.arange(n, dtype=np.int64), np.diff(N.indptr)) for N in (M, zero)]
    wanted, there = columns[0] * n + M.indices, columns[1] * n + zero.indices
    data = np.zeros(zero.nnz)
    data[np.searchsorted(there, wanted)] = M.data
    return data
