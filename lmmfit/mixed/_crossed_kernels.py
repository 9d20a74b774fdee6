"""Kernels that summarise rows by the levels of several grouping factors."""

import numpy as np

from lmmfit._jit import njit


@njit
def match_pairs(left, right, n_left, n_right):
    """Number the pairs of levels that occur together, sorted by the left one, then the right.

    Returns the first pair of each left level (one more for the end), the right level of each
    pair, and the pair of each row.
    """
    n = left.size
    order, by_right = np.empty(n, np.int64), np.empty(n, np.int64)
    start = np.zeros(n_right + 1, np.int64)
    for i in range(n):
        start[right[i] + 1] += 1
    for k in range(n_right):
        start[k + 1] += start[k]
    for i in range(n):
        by_right[start[right[i]]] = i
        start[right[i]] += 1
    start = np.zeros(n_left + 1, np.int64)
    for i in range(n):
        start[left[i] + 1] += 1
    for k in range(n_left):
        start[k + 1] += start[k]
    for k in range(n):
        i = by_right[k]
        order[start[left[i]]] = i
        start[left[i]] += 1
    index, position = np.empty(n, np.int64), np.empty(n, np.int64)
    pointer = np.zeros(n_left + 1, np.int64)
    count = 0
    for k in range(n):
        i = order[k]
        new = k == 0 or left[i] != left[order[k - 1]] or right[i] != right[order[k - 1]]
        if new:
            index[count] = right[i]
            pointer[left[i] + 1] += 1
            count += 1
        position[i] = count - 1
    for k in range(n_left):
        pointer[k + 1] += pointer[k]
    return pointer, index[:count].copy(), position


@njit(fastmath=True)
def add_by_level(block, weighted, left, right, codes, out):
    """Add the products of the columns ``left`` and ``right`` of a block to those of each level.

    ``block`` and ``weighted`` (c x n) hold the columns and the weighted columns of n rows,
    ``codes`` their levels; ``out`` is (levels x left x right).
    """
    for i in range(codes.size):
        level = codes[i]
        for a in range(left.size):
            own = weighted[left[a], i]
            for b in range(right.size):
                out[level, a, b] += own * block[right[b], i]


@njit
def add_pairs(values, position, out):
    """Add the products of pairs to those at ``position``."""
    for k in range(position.size):
        for a in range(values.shape[1]):
            for b in range(values.shape[2]):
                out[position[k], a, b] += values[k, a, b]


@njit(fastmath=True)
def add_responses(z, responses, codes, out):
    """Add the products of z (n x q) with many responses (n x k) to those of each level."""
    for i in range(codes.size):
        for a in range(z.shape[1]):
            target, factor = out[codes[i], a], z[i, a]
            for j in range(target.size):
                target[j] += factor * responses[i, j]
