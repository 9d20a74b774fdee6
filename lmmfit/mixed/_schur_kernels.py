"""Kernels for the Schur complement of the dense unknowns, whose first pivots fill little.

Its unknowns are ordered so that those with few neighbours come last and are eliminated first,
from the last one up: row i of the lower triangle then holds all that the pivot i touches. What
remains, the core, is a full matrix, factored by LAPACK. ``index[pointer[k] : pointer[k + 1]]``
names the columns of row ``core + k`` that are not zero, in ascending order.
"""

import numpy as np

from lmmfit._jit import njit

_BITS = 64


@njit
def neighbours(pointer, index, related):
    """Mark every pair that is together in one of the lists.

    ``related`` (n x n / 64, uint64) has a bit for each pair.
    """
    mask = np.zeros(related.shape[1], np.uint64)
    for node in range(pointer.size - 1):
        mask[:] = np.uint64(0)
        for e in range(pointer[node], pointer[node + 1]):
            _mark(mask, index[e])
        for e in range(pointer[node], pointer[node + 1]):
            row = related[index[e]]
            for w in range(mask.size):
                row[w] |= mask[w]


@njit
def _mark(row, v):
    row[v // _BITS] |= np.uint64(1) << np.uint64(v % _BITS)


@njit
def _unmark(row, v):
    row[v // _BITS] &= ~(np.uint64(1) << np.uint64(v % _BITS))


@njit
def _count(row):
    """Number of bits, 64 at a time (Warren 2013, section 5.1)."""
    total = np.uint64(0)
    for w in range(row.size):
        x = row[w]
        x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
        x = (x & np.uint64(0x3333333333333333)) + (
            (x >> np.uint64(2)) & np.uint64(0x3333333333333333)
        )
        x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        total += (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return np.int64(total)


@njit
def order_of_elimination(related, share, order):
    """Eliminate by minimum degree; return how many have at most ``share`` of the others.

    Row v of ``related`` becomes what is left of the neighbours of v when it is eliminated
    (Rose 1972); ``order`` receives the vertices.
    """
    n = related.shape[0]
    degree, alive = np.zeros(n, np.int64), np.ones(n, np.bool_)
    for v in range(n):
        _unmark(related[v], v)
        degree[v] = _count(related[v])
    for step in range(n):
        best = -1
        for v in range(n):
            if alive[v] and (best < 0 or degree[v] < degree[best]):
                best = v
        if degree[best] > share * (n - step - 1):
            return step
        order[step], alive[best] = best, False
        row = related[best]
        for v in range(n):
            if (row[v // _BITS] >> np.uint64(v % _BITS)) & np.uint64(1):
                other = related[v]
                for w in range(row.size):
                    other[w] |= row[w]
                _unmark(other, v)
                _unmark(other, best)
                degree[v] = _count(other)
    return n


@njit(fastmath=True)
def eliminate_outer(core, pointer, index, matrix):
    """Factor the rows past the core in place; return the logarithm of their determinant.

    Row i becomes that of the factor, its diagonal inverted; the core becomes what is left.
    """
    n, log_determinant, product = matrix.shape[0], 0.0, 1.0
    longest = 0
    for k in range(n - core):
        longest = max(longest, pointer[k + 1] - pointer[k])
    row = np.empty(longest)
    for i in range(n - 1, core - 1, -1):
        own = index[pointer[i - core] : pointer[i - core + 1]]
        pivot = matrix[i, i]
        if not pivot > 0.0:
            return np.nan
        product *= pivot
        if not 1e-100 < product < 1e100:
            log_determinant += np.log(product)
            product = 1.0
        scale = 1.0 / np.sqrt(pivot)
        matrix[i, i] = scale
        for e in range(own.size):
            row[e] = matrix[i, own[e]] * scale
            matrix[i, own[e]] = row[e]
        for e in range(own.size):
            target, factor = matrix[own[e]], row[e]
            for f in range(e + 1):
                target[own[f]] -= factor * row[f]
    return log_determinant + np.log(product)


@njit(fastmath=True)
def solve_outer(core, pointer, index, matrix, columns, back):
    """Solve with the rows past the core: before the core is solved, or ``back`` after it."""
    n, c = columns.shape
    for k in range(n - core):
        i = core + k if back else n - 1 - k
        own = index[pointer[i - core] : pointer[i - core + 1]]
        target = columns[i]
        if back:
            for e in range(own.size):
                for x in range(c):
                    target[x] -= matrix[i, own[e]] * columns[own[e], x]
        for x in range(c):
            target[x] *= matrix[i, i]
        if not back:
            for e in range(own.size):
                for x in range(c):
                    columns[own[e], x] -= matrix[i, own[e]] * target[x]


@njit(fastmath=True)
def invert_outer(core, pointer, index, matrix, inverse):
    """Entries of the inverse (lower triangle) in the rows past the core, where lists have them.

    The core of ``inverse`` is given (Takahashi, Fagan and Chen 1973).
    """
    n = matrix.shape[0]
    spread = np.empty(n)
    for i in range(core, n):
        own = index[pointer[i - core] : pointer[i - core + 1]]
        scale, row = matrix[i, i], matrix[i]
        spread[: own.size] = 0.0
        for e in range(own.size):
            source, factor, s = inverse[own[e]], row[own[e]], 0.0
            for f in range(e):
                weight = source[own[f]]
                s += weight * row[own[f]]
                spread[f] += weight * factor
            spread[e] += s + source[own[e]] * factor
        s = 1.0
        for e in range(own.size):
            s += row[own[e]] * spread[e]
            inverse[i, own[e]] = -scale * spread[e]
        inverse[i, i] = s * scale * scale
