"""Kernels that pass once over the rows: cross-products by group, and classes of groups."""

import numpy as np

from lmmfit._jit import njit


@njit(fastmath=True)
def accumulate(block, shift, transform, diagonal, codes, weights, n_random, products, tail):
    """Add the cross-products of a block of rows.

    ``block`` (rows x c, C order) holds the raw columns, the response last; it is overwritten
    by ``(block - shift) @ transform`` with ``transform`` upper triangular, ``diagonal`` but
    for its last column if so flagged. Row ``g`` of ``products`` receives the products of
    the first ``n_random`` columns with themselves and all that follow them, packed by rows
    of the upper triangle; ``tail`` (c x c) those of the other columns with each other.
    """
    c = block.shape[1]
    for row in range(block.shape[0]):
        v = block[row]
        for j in range(c):
            v[j] -= shift[j]
        response = 0.0
        for j in range(c):
            response += transform[j, c - 1] * v[j]
        v[c - 1] = response
        if diagonal:
            for j in range(c - 1):
                v[j] *= transform[j, j]
        else:
            for j in range(c - 2, -1, -1):
                s = 0.0
                for i in range(j + 1):
                    s += transform[i, j] * v[i]
                v[j] = s
        weight = weights[row] if weights.size else 1.0
        k = 0
        if n_random:
            own = products[codes[row]]
            for a in range(n_random):
                z = weight * v[a]
                for b in range(a, c):
                    own[k] += z * v[b]
                    k += 1
        for a in range(n_random, c):
            x = weight * v[a]
            for b in range(a, c):
                tail[a, b] += x * v[b]


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
