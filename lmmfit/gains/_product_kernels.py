"""Products of sparse matrices with symmetric ones."""

import numpy as np

from lmmfit._jit import njit

__all__ = ["congruence_rows", "multiply_rows", "product_entries"]


@njit
def congruence_rows(indptr, indices, data, P, out):
    """Add F P F' for F in compressed rows and a symmetric P; ``out`` stays symmetric.

    A row of F P is formed once and used at once, while it is in the cache; of the result only
    the lower half is computed.
    """
    n, m = len(indptr) - 1, P.shape[1]
    row = np.empty(m)
    for i in range(n):
        row[:] = 0.0
        for a in range(indptr[i], indptr[i + 1]):
            weight, source = data[a], P[indices[a]]
            for j in range(m):
                row[j] += weight * source[j]
        for j in range(i + 1):
            total = 0.0
            for b in range(indptr[j], indptr[j + 1]):
                total += data[b] * row[indices[b]]
            out[i, j] += total
            if j < i:
                out[j, i] += total


@njit
def multiply_rows(indptr, indices, data, M, out):
    """Add F M for F in compressed rows."""
    for i in range(len(indptr) - 1):
        for a in range(indptr[i], indptr[i + 1]):
            weight, source = data[a], M[indices[a]]
            for j in range(M.shape[1]):
                out[i, j] += weight * source[j]


@njit
def product_entries(rows, columns, L, Mt, out):
    """Entries of L M, of which M is given transposed."""
    for p in range(len(rows)):
        left, right = L[rows[p]], Mt[columns[p]]
        total = 0.0
        for k in range(len(left)):
            total += left[k] * right[k]
        out[p] = total
