"""Kernels that pass once over the rows: cross-products by group, and classes of groups."""

import numpy as np

from lmmfit._jit import njit


@njit(fastmath=True)
def accumulate(
    block, weighted, shift, transform, diagonal, codes, weights, n_random, products, tail
):
    """Add the cross-products of a block of rows.

    ``block`` (c x n, C order) holds the raw columns, the response last; it is overwritten by
    ``(rows - shift) @ transform`` with ``transform`` upper triangular, ``diagonal`` but for
    its last column if so flagged. Row ``g`` of ``products`` receives the products of the first
    ``n_random`` columns with themselves and all that follow them, packed by rows of the upper
    triangle; ``tail`` (c x c) those of the other columns with each other. ``weighted`` is room
    for the weighted columns (the block itself where ``weights`` is empty).
    """
    c, n = block.shape
    _change_basis(block, shift, transform, diagonal)
    if weights.size:
        for j in range(c):
            for i in range(n):
                weighted[j, i] = weights[i] * block[j, i]
    first = 0
    while n_random and first < n:  # a run of rows of one group
        group, last = codes[first], first + 1
        while last < n and codes[last] == group:
            last += 1
        own, k = products[group], 0
        for a in range(n_random):
            for b in range(a, c):
                s = 0.0
                for i in range(first, last):
                    s += weighted[a, i] * block[b, i]
                own[k] += s
                k += 1
        first = last
    for a in range(n_random, c):
        for b in range(a, c):
            s = 0.0
            for i in range(n):
                s += weighted[a, i] * block[b, i]
            tail[a, b] += s


@njit(fastmath=True)
def _change_basis(block, shift, transform, diagonal):
    """Replace the columns by those of the basis, the last first."""
    c, n = block.shape
    for j in range(c):
        if shift[j] != 0.0:
            for i in range(n):
                block[j, i] -= shift[j]
    for j in range(c - 1, -1, -1):
        scale = transform[j, j]
        for i in range(n):
            block[j, i] *= scale
        if j == c - 1 or not diagonal:
            for k in range(j):
                weight = transform[k, j]
                if weight != 0.0:
                    for i in range(n):
                        block[j, i] += weight * block[k, i]


@njit
def standardise(sample, may_shift, shift, scale):
    """Fill the means (where a shift is allowed) and root mean squares of the columns.

    Returns the cross-products of the shifted and scaled columns.
    """
    n, c = sample.shape
    for j in range(c):
        if may_shift[j]:
            for row in range(n):
                shift[j] += sample[row, j]
            shift[j] /= n
        square = 0.0
        for row in range(n):
            square += (sample[row, j] - shift[j]) ** 2
        scale[j] = np.sqrt(square / n)
        if not scale[j] > 0.0:
            scale[j] = 1.0
    gram = np.zeros((c, c))
    for row in range(n):
        for i in range(c):
            left = (sample[row, i] - shift[i]) / scale[i]
            for j in range(i + 1):
                gram[i, j] += left * (sample[row, j] - shift[j]) / scale[j]
    for i in range(c):
        for j in range(i):
            gram[j, i] = gram[i, j]
    return gram


@njit
def transpose(products):
    """Copy an m x s array into a contiguous s x m one, in tiles that stay in cache."""
    m, s = products.shape
    out = np.empty((s, m))
    for lo in range(0, m, 64):
        for j in range(s):
            for g in range(lo, min(lo + 64, m)):
                out[j, g] = products[g, j]
    return out


@njit
def classify(rows, used, limit):
    """Number groups by identical values in the rows ``used``; give up past ``limit`` classes.

    Returns the class of each group and the number of classes, -1 where there are more.
    """
    m = rows.shape[1]
    classes = np.empty(m, np.int64)
    size = 16
    while size < 4 * limit:
        size *= 2
    table = np.full(size, -1)
    first = np.empty(limit, np.int64)
    n_classes = 0
    bits = np.empty(1)
    as_integer = bits.view(np.uint64)
    for g in range(m):
        key = np.uint64(14695981039346656037)
        for r in used:
            bits[0] = rows[r, g] + 0.0
            key = (key ^ as_integer[0]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        slot = np.int64(key & np.uint64(size - 1))
        while True:
            candidate = table[slot]
            if candidate < 0:
                if n_classes == limit:
                    return classes, -1
                table[slot] = n_classes
                first[n_classes] = g
                candidate = n_classes
                n_classes += 1
            same = True
            for r in used:
                if rows[r, g] != rows[r, first[candidate]]:
                    same = False
                    break
            if same:
                classes[g] = candidate
                break
            slot = (slot + 1) & (size - 1)
    return classes, n_classes


@njit
def compress(rows, g_used, c_used, classes, n_classes):
    """Replace the groups of each class by at most ``len(c_used)`` groups with the same sums.

    For the class's groups, sum c c' over the products ``c_used`` is factored as R'R; the
    rows of R stand for the class, and the first of them carries its multiplicity.
    """
    size = c_used.size
    gram = np.zeros((n_classes, size, size))
    members = np.zeros(n_classes)
    representative = np.empty((n_classes, g_used.size))
    column = np.empty(size)
    for g in range(rows.shape[1]):
        k = classes[g]
        members[k] += 1.0
        for r in range(g_used.size):
            representative[k, r] = rows[g_used[r], g]
        for i in range(size):
            column[i] = rows[c_used[i], g]
        for i in range(size):
            for j in range(i + 1):
                gram[k, i, j] += column[i] * column[j]
    out = np.zeros((g_used.size + size, n_classes * size))
    multiplicity = np.zeros(n_classes * size)
    for k in range(n_classes):
        _semidefinite_cholesky(gram[k])
        for i in range(size):
            at = k * size + i
            for r in range(g_used.size):
                out[r, at] = representative[k, r]
            for j in range(size):
                out[g_used.size + j, at] = gram[k, j, i] if j >= i else 0.0
        multiplicity[k * size] = members[k]
    return out, multiplicity


@njit
def _semidefinite_cholesky(a):
    """Lower Cholesky factor in place; a pivot lost to rounding gives a zero column."""
    n = a.shape[0]
    for j in range(n):
        scale = a[j, j]
        for k in range(j):
            a[j, j] -= a[j, k] * a[j, k]
        if a[j, j] > 1e-14 * scale:
            a[j, j] = np.sqrt(a[j, j])
            for i in range(j + 1, n):
                for k in range(j):
                    a[i, j] -= a[i, k] * a[j, k]
                a[i, j] /= a[j, j]
        else:
            for i in range(j, n):
                a[i, j] = 0.0
