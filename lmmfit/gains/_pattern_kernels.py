"""Kernels that read a sparsity pattern, and see its shape."""

import numpy as np

from lmmfit._jit import njit

__all__ = ["entries_by_columns", "gather_entries", "outline"]


@njit
def entries_by_columns(M):
    """Where a matrix is not zero, column by column: rows, columns, and whether it is finite.

    Read row by row, as it lies: once to count, and once to fill.
    """
    n, o = M.shape
    counts, size, finite = np.zeros(o, np.intp), 0, True
    for i in range(n):
        row = M[i]
        for j in range(o):
            counts[j] += row[j] != 0
    ends = counts
    for j in range(o):
        ends[j], size = size, size + counts[j]
    rows, columns = np.empty(size, np.intp), np.empty(size, np.intp)
    for i in range(n):
        row = M[i]
        for j in range(o):
            if row[j] != 0:
                rows[ends[j]], columns[ends[j]] = i, j
                ends[j] += 1
                finite &= row[j] - row[j] == 0
    return rows, columns, finite


@njit
def gather_entries(M, rows, columns):
    """Values of a matrix at the entries."""
    values = np.empty(len(rows))
    for p in range(len(rows)):
        values[p] = M[rows[p], columns[p]]
    return values


@njit
def outline(rows, columns, n):
    """Height of a rectangle, all of it entries, or 0; whether no two share a row or a column."""
    m = tall = len(rows)
    for p in range(m):
        if columns[p] != columns[0]:
            tall = p
            break
    whole, seen, scattered = m > 0 and m % tall == 0, np.zeros(n, np.bool_), tall <= 1
    for p in range(m):
        if whole:
            whole = rows[p] == rows[p % tall] and columns[p] == columns[p - p % tall]
        if scattered:
            scattered = not seen[rows[p]] and (p == 0 or columns[p] != columns[p - 1])
            seen[rows[p]] = True
        if not whole and not scattered:
            break
    return tall if whole else 0, scattered
