"""Kernels of the sparse matrix equation: S gathered, S times a vector, S stored sparse."""

import numpy as np

from lmmfit._jit import njit

__all__ = [
    "asymmetry",
    "count_sparse",
    "fill_sparse",
    "gather_rows",
    "gather_symmetric",
    "product_columns",
    "scale_symmetric",
]

_TILE = 32  # rows and columns that stay in the cache while they are compared


@njit
def gather_symmetric(A, B, rows, columns, first, last, S):
    """S[p, q] = A[i, k] B[l, j] with (i, j), (k, l) the entries p, q; q >= p, A and B symmetric.

    Rows ``first`` to ``last`` only.
    """
    for p in range(first, last):
        a, b = A[rows[p]], B[columns[p]]
        for q in range(p, len(rows)):
            S[p, q] = a[rows[q]] * b[columns[q]]


@njit
def scale_symmetric(S, scale, sums):
    """Multiply row and column p by scale[p], for q >= p; add the sizes of rows to ``sums``."""
    m = len(S)
    for p in range(m):
        for q in range(p, m):
            S[p, q] *= scale[p] * scale[q]
            size = abs(S[p, q])
            sums[p] += size
            if q > p:
                sums[q] += size


@njit
def asymmetry(M):
    """Largest difference of M and M', and largest element."""
    n, gap, largest = len(M), 0.0, 0.0
    for first in range(0, n, _TILE):
        for second in range(0, first + 1, _TILE):
            for i in range(first, min(first + _TILE, n)):
                for j in range(second, min(second + _TILE, n)):
                    gap = max(gap, abs(M[i, j] - M[j, i]))
                    largest = max(largest, abs(M[i, j]), abs(M[j, i]))
    return gap, largest


@njit
def gather_rows(A, Bt, rows, columns, first, last, S):
    """S[p, q] = A[i, k] B[l, j] for the rows ``first`` to ``last``; ``Bt`` is B'."""
    for p in range(first, last):
        a, b = A[rows[p]], Bt[columns[p]]
        for q in range(len(rows)):
            S[p, q] = a[rows[q]] * b[columns[q]]


@njit(fastmath=True)
def product_columns(At, B, rows, columns, starts, x, first, last, y):
    """Add S x, the entries of A X B, to y, of the columns ``first`` to ``last`` of X.

    Column c of A X is formed, a sum of a few rows of A', and used at once for all entries.
    """
    n, size = At.shape[0], len(rows)
    line = np.empty(n)
    for c in range(first, last):
        if starts[c] == starts[c + 1]:
            continue
        line[:] = 0.0
        for q in range(starts[c], starts[c + 1]):
            weight, source = x[q], At[rows[q]]
            for i in range(n):
                line[i] += weight * source[i]
        b = B[c]
        for p in range(size):
            y[p] += line[rows[p]] * b[columns[p]]


@njit
def count_sparse(A_starts, A_rows, B_starts, B_columns, n, rows, columns, starts, counts):
    """Number of nonzeros of each column of S, A in compressed columns and B in compressed rows."""
    mark = np.full(n, -1, np.int64)
    for q in range(len(rows)):
        k, c = rows[q], columns[q]
        for a in range(A_starts[k], A_starts[k + 1]):
            mark[A_rows[a]] = q
        total = 0
        for b in range(B_starts[c], B_starts[c + 1]):
            j = B_columns[b]
            for p in range(starts[j], starts[j + 1]):
                if mark[rows[p]] == q:
                    total += 1
        counts[q] = total


@njit
def fill_sparse(
    A_starts, A_rows, A_data, B_starts, B_columns, B_data, n, rows, columns, starts,
    S_starts, S_rows, S_data,
):  # fmt: skip
    """S in compressed columns, with room for the numbers of :func:`count_sparse`."""
    mark = np.full(n, -1, np.int64)
    value = np.empty(n)
    for q in range(len(rows)):
        k, c = rows[q], columns[q]
        for a in range(A_starts[k], A_starts[k + 1]):
            mark[A_rows[a]] = q
            value[A_rows[a]] = A_data[a]
        at = S_starts[q]
        for b in range(B_starts[c], B_starts[c + 1]):
            j = B_columns[b]
            for p in range(starts[j], starts[j + 1]):
                if mark[rows[p]] == q:
                    S_rows[at] = p
                    S_data[at] = value[rows[p]] * B_data[b]
                    at += 1
