"""Kernels of the sparse matrix equation: its data read, S gathered, S times a vector."""

import numpy as np

from lmmfit._jit import njit

__all__ = [
    "count_sparse",
    "describe",
    "fill_sparse",
    "gather_rows",
    "gather_scaled",
    "gather_symmetric",
    "is_finite",
    "product_columns",
    "residual_squares",
]

_SYMMETRIC = 1e-14  # asymmetry, relative to the largest element, that products leave
_SIZE, _INFINITE = 0x7FFFFFFFFFFFFFFF, 0x7FF0000000000000  # bits of a number without its sign

_TILE = 64  # rows and columns that stay in the cache while they are compared


@njit
def describe(M):
    """Whether a square matrix is finite, diagonal, and symmetric but for rounding."""
    largest = _largest(M)
    if largest == np.inf:
        return False, False, False
    return True, _is_diagonal(M), _is_symmetric(M, _SYMMETRIC * largest)


@njit
def _is_diagonal(M):
    for i in range(len(M)):
        for j in range(len(M)):
            if i != j and M[i, j] != 0.0:
                return False
    return True


@njit
def _is_symmetric(M, rounding):
    n, unequal = len(M), 0
    for first in range(0, n, _TILE):
        for second in range(0, first + 1, _TILE):
            for i in range(first, min(first + _TILE, n)):
                last = min(second + _TILE, i)
                row, column = M[i, second:last], M[second:last, i]
                for j in range(len(row)):
                    unequal += abs(row[j] - column[j]) > rounding
            if unequal:
                return False
    return True


@njit
def is_finite(M):
    """Whether every element of a matrix is finite."""
    return _largest(M) < np.inf


@njit
def _largest(M):
    """Size of the largest element, or infinity if one is not finite.

    The bits of numbers are ordered as their sizes, and NaN is beyond infinity; in whole numbers
    the maximum is a loop without branches.
    """
    bits, largest = M.view(np.int64), 0
    for i in range(len(M)):
        for j in range(M.shape[1]):
            largest = max(largest, bits[i, j] & _SIZE)
    return np.full(1, min(largest, _INFINITE), np.int64).view(np.float64)[0]


@njit
def gather_symmetric(A, B, rows, columns, first, last, S):
    """S[p, q] = A[i, k] B[l, j] with (i, j), (k, l) the entries p, q; q >= p, A and B symmetric.

    Rows ``first`` to ``last`` only. Numbers of entries are read as unsigned ones: for others the
    compiler adds code that counts negative ones from the end.
    """
    i, j = rows.view(np.uintp), columns.view(np.uintp)
    for p in range(first, last):
        a, b, line, i_q, j_q = A[i[p]], B[j[p]], S[p, p:], i[p:], j[p:]
        for q in range(len(line)):
            line[q] = a[i_q[q]] * b[j_q[q]]


@njit(fastmath=True)
def gather_scaled(A, B, rows, columns, first, last, S, scale):
    """The same with rows and columns of S scaled, so that its diagonal is one.

    Returns the largest sum of sizes in one of the rows, or -1 where an element of the diagonal
    of S is not positive. All of ``scale`` is set, whatever the rows.
    """
    m, largest = len(rows), 0.0
    i, j, line = rows.view(np.uintp), columns.view(np.uintp), np.empty(m)
    for p in range(m):
        d = A[i[p], i[p]] * B[j[p], j[p]]
        if not d > 0.0:
            return -1.0
        scale[p] = 1.0 / np.sqrt(d)
    for p in range(first, last):
        a, b, weight, total = A[i[p]], B[j[p]], scale[p], 0.0
        for q in range(m):
            line[q] = weight * a[i[q]] * b[j[q]] * scale[q]
            total += abs(line[q])
        largest = max(largest, total)
        S[p, p:] = line[p:]
    return largest


@njit
def gather_rows(A, Bt, rows, columns, first, last, S):
    """S[p, q] = A[i, k] B[l, j] for the rows ``first`` to ``last``; ``Bt`` is B'."""
    i, j = rows.view(np.uintp), columns.view(np.uintp)
    for p in range(first, last):
        a, b = A[i[p]], Bt[j[p]]
        for q in range(len(rows)):
            S[p, q] = a[i[q]] * b[j[q]]


@njit(fastmath=True)
def product_columns(At, B, rows, columns, starts, x, first, last, y):
    """Add S x, the entries of A X B, to y, of the columns ``first`` to ``last`` of X.

    Column c of A X is formed, a sum of a few rows of A', and used at once for all entries.
    """
    n, size = At.shape[0], len(rows)
    i, j, line = rows.view(np.uintp), columns.view(np.uintp), np.empty(n)
    for c in range(first, last):
        if starts[c] == starts[c + 1]:
            continue
        line[:] = 0.0
        for q in range(starts[c], starts[c + 1]):
            weight, source = x[q], At[i[q]]
            for k in range(n):
                line[k] += weight * source[k]
        b = B[c]
        for p in range(size):
            y[p] += line[i[p]] * b[j[p]]


@njit(fastmath=True)
def residual_squares(A, B, rows, columns, x, r):
    """Squares of S x - r, and of r, summed; S is not stored."""
    m, left, size, e = len(rows), 0.0, 0.0, r.copy()
    i, j = rows.view(np.uintp), columns.view(np.uintp)
    for q in range(m):
        k, b, weight = i[q], B[j[q]], x[q]
        for p in range(m):
            e[p] -= weight * A[i[p], k] * b[j[p]]
    for p in range(m):
        left += e[p] * e[p]
        size += r[p] * r[p]
    return left, size


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
