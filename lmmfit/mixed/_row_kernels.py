"""Kernels that pass once over the rows: cross-products by group, and classes of groups."""

import numpy as np

from lmmfit._jit import njit

LANES = 4  # numbers that one instruction adds
_TILE = 256  # rows that stay in the first-level cache while their products are formed
_SHORT = 16  # mean number of rows in a run below which rows are added one by one


@njit(fastmath=True)
def accumulate(
    block, weighted, shift, transform, diagonal, codes, weights, n_random, products, tail
):
    """Add the cross-products of a block of rows.

    ``block`` (c x n, C order) holds the raw columns, the response last; it is overwritten by
    ``(rows - shift) @ transform`` with ``transform`` upper triangular, ``diagonal`` but for
    its last column if so flagged. ``products[g]``, in rows of LANES, receives the sums over
    the rows of group ``g`` of the products of the first ``n_random`` columns with themselves
    and all that follow them, packed by rows of the upper triangle; ``tail`` (c x c) those of
    the other columns with each other. ``weighted`` is room for the weighted columns (the block
    itself where ``weights`` is empty).
    """
    c, n = block.shape
    own = np.zeros((min(n, _TILE), products.shape[1], LANES))
    for lo in range(0, n, _TILE):
        hi = min(lo + _TILE, n)
        _change_basis(block, lo, hi, shift, transform, diagonal)
        if weights.size:
            for j in range(c):
                _multiply(block[j, lo:hi], weights[lo:hi], weighted[j, lo:hi])
        if n_random:
            if _count_runs(codes[lo:hi]) * _SHORT > hi - lo:
                _add_rows(block, weighted, lo, hi, codes[lo:hi], n_random, own, products)
            else:
                _add_runs(block, weighted, lo, hi, codes[lo:hi], n_random, products)
        for a in range(n_random, c):
            for b in range(a, c):
                tail[a, b] += _dot(weighted[a, lo:hi], block[b, lo:hi])


@njit
def _count_runs(codes):
    runs = 1
    for i in range(1, codes.size):
        runs += codes[i] != codes[i - 1]
    return runs


@njit(fastmath=True)
def _add_rows(block, weighted, lo, hi, codes, n_random, own, products):
    """Row by row, whatever the order of the groups: the products of each, then their sums."""
    k = 0
    for a in range(n_random):
        left = weighted[a, lo:hi]
        for b in range(a, block.shape[0]):
            right, slot, lane = block[b, lo:hi], k // LANES, k % LANES
            for i in range(left.size):
                own[i, slot, lane] = left[i] * right[i]
            k += 1
    for i in range(codes.size):
        group = codes[i]
        for slot in range(own.shape[1]):
            products[group, slot, 0] += own[i, slot, 0]
            products[group, slot, 1] += own[i, slot, 1]
            products[group, slot, 2] += own[i, slot, 2]
            products[group, slot, 3] += own[i, slot, 3]


@njit(fastmath=True)
def _add_runs(block, weighted, lo, hi, codes, n_random, products):
    """Run by run of rows of one group, product by product."""
    c, n, first = block.shape[0], codes.size, 0
    while first < n:
        group, last, k = codes[first], first + 1, 0
        while last < n and codes[last] == group:
            last += 1
        for a in range(n_random):
            left = weighted[a, lo + first : lo + last]
            for b in range(a, c):
                right = block[b, lo + first : lo + last]
                products[group, k // LANES, k % LANES] += _dot(left, right)
                k += 1
        first = last


@njit(fastmath=True)
def _dot(left, right):
    s = 0.0
    for i in range(left.size):
        s += left[i] * right[i]
    return s


@njit(fastmath=True)
def _multiply(left, right, out):
    for i in range(left.size):
        out[i] = left[i] * right[i]


@njit(fastmath=True)
def _change_basis(block, lo, hi, shift, transform, diagonal):
    """Replace the columns by those of the basis, the last first."""
    c = block.shape[0]
    for j in range(c - 1, -1, -1):
        column, offset, scale = block[j, lo:hi], shift[j], transform[j, j]
        for i in range(column.size):
            column[i] = (column[i] - offset) * scale
        if j == c - 1 or not diagonal:
            for k in range(j):
                weight, offset = transform[k, j], shift[k]
                if weight != 0.0:
                    other = block[k, lo:hi]
                    for i in range(column.size):
                        column[i] += weight * (other[i] - offset)


@njit
def whole_numbers(values, out):
    """Write floats to ``out`` as integers.

    Returns the least and the largest, whether all are whole (and below 2**53, where floats
    tell neighbours apart), and whether all are finite; ``out`` is of use if all are whole.
    """
    low, high = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    is_whole, is_finite = True, True
    for i in range(values.size):
        if abs(values[i]) < 9007199254740992.0:  # neither NaN nor infinity is
            k = np.int64(values[i])
            out[i] = k
            is_whole &= k == values[i]
            low, high = min(low, k), max(high, k)
        else:
            is_whole = False
            is_finite &= np.isfinite(values[i])
    return low, high, is_whole, is_finite


@njit(fastmath=True)
def pack(products, n_random, total):
    """Copy the products of :func:`accumulate` into rows of one product for every group.

    The result is s x m for ``s`` products of ``n_random`` columns with all c. ``total``
    (c x c), which holds the upper triangle of the other columns' products, is completed and
    mirrored.
    """
    m, c = products.shape[0], total.shape[0]
    out = np.empty((n_random * c - n_random * (n_random - 1) // 2, m))
    for lo in range(0, m, 64):  # groups whose products stay in cache
        k = 0
        for a in range(n_random):
            for b in range(a, c):
                row, slot, lane = out[k, lo : lo + 64], k // LANES, k % LANES
                for g in range(row.size):
                    row[g] = products[lo + g, slot, lane]
                    total[a, b] += row[g]
                k += 1
    for a in range(c):
        for b in range(a):
            total[a, b] = total[b, a]
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
