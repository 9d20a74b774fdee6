"""Factors L D L' of sparse symmetric matrices that need no pivoting, by rows (Davis 2005)."""

import numpy as np

from lmmfit._jit import njit

__all__ = ["analyse", "factor", "substitute"]


@njit
def analyse(indptr, indices):
    """Parents of the columns in the elimination tree, and where each column of L begins.

    ``indptr`` and ``indices`` are those of the matrix by columns, both triangles.
    """
    n = indptr.size - 1
    parent = np.full(n, -1, dtype=np.int64)
    flag = np.full(n, -1, dtype=np.int64)
    start = np.zeros(n + 1, dtype=np.int64)
    for k in range(n):
        flag[k] = k
        for p in range(indptr[k], indptr[k + 1]):
            i = indices[p]
            if i < k:
                while flag[i] != k:
                    if parent[i] == -1:
                        parent[i] = k
                    start[i + 1] += 1
                    flag[i] = k
                    i = parent[i]
    for k in range(n):
        start[k + 1] += start[k]
    return parent, start


@njit
def factor(indptr, indices, data, parent, start, rows, values, D):
    """Fill rows and values of L, by columns and without its diagonal, and D.

    Returns whether no pivot was zero.
    """
    n = indptr.size - 1
    work = np.zeros(n)
    pattern = np.empty(n, dtype=np.int64)
    flag = np.full(n, -1, dtype=np.int64)
    filled = np.zeros(n, dtype=np.int64)
    for k in range(n):
        top = n
        flag[k] = k
        pivot = 0.0
        for p in range(indptr[k], indptr[k + 1]):  # the pattern of row k, and the row itself
            i = indices[p]
            if i < k:
                work[i] = data[p]
                length = 0
                while flag[i] != k:
                    pattern[length] = i
                    length += 1
                    flag[i] = k
                    i = parent[i]
                while length > 0:
                    length -= 1
                    top -= 1
                    pattern[top] = pattern[length]
            elif i == k:
                pivot = data[p]
        for t in range(top, n):
            i = pattern[t]
            y = work[i]
            work[i] = 0.0
            end = start[i] + filled[i]
            for p in range(start[i], end):
                work[rows[p]] -= values[p] * y
            ratio = y / D[i]
            pivot -= ratio * y
            rows[end] = k
            values[end] = ratio
            filled[i] += 1
        if pivot == 0.0:
            return False
        D[k] = pivot
    return True


@njit
def substitute(start, rows, values, D, X):
    """Overwrite X, of shape (n, k) and contiguous, with the solutions."""
    n, m = X.shape
    for j in range(n):
        for p in range(start[j], start[j + 1]):
            i, value = rows[p], values[p]
            for c in range(m):
                X[i, c] -= value * X[j, c]
    for j in range(n - 1, -1, -1):
        for c in range(m):
            X[j, c] /= D[j]
        for p in range(start[j], start[j + 1]):
            i, value = rows[p], values[p]
            for c in range(m):
                X[j, c] -= value * X[i, c]
