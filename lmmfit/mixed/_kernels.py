"""Kernels of the profiled criterion for one grouping factor.

For a group with cross-products ``G = Z'Z`` and ``C = Z'[X y]``, and ``P = Lambda Lambda'``::

    A = I + Lambda' G Lambda                  log|A| is the group's share of log|V|
    K = Lambda A^-1 Lambda'                   C'K C its share of [X y]'V^-1 [X y]
    B = I - G K,  T = B G = Z'V^-1 Z,  E = B C = Z'V^-1 [X y]

The statistics lie as a structure of arrays: ``rows[r]`` holds one cross-product of every
group, ``g_row[a, b]`` and ``c_row[a, j]`` say which row holds which (products that occur in
both ``G`` and ``C`` are stored once). Groups are worked through in blocks, so that every
inner loop runs over the groups of a block: contiguous, in cache, vectorised by LLVM.
Symmetric q x q matrices are packed by rows of the upper triangle.

``multiplicity[g]`` counts the groups that share the factor of group ``g``; an empty array
stands for all ones.
"""

import numpy as np

from lmmfit._jit import njit

BLOCK = 496  # groups; no power of two, or rows of the work array would share cache sets
_HALF = 248  # where a block leaves more behind: what stays in the first-level cache
_LOG_2 = 0.6931471805599453
_MANTISSA = 0x000FFFFFFFFFFFFF
_ONE = 0x3FF0000000000000


def work_size(q, c):
    """Length of the work array that the kernels need for q effects and c columns [X y]."""
    count = q * (q + 1) // 2
    return (3 * count + q + q * q + max(q * c, count)) * BLOCK


@njit
def _work_rows(q, c):
    """K, the pivots, T, Q, B (before it: L^-1 Lambda') and E (before it: A), in this order."""
    count = q * (q + 1) // 2
    return 3 * count + q + q * q + max(q * c, count)


@njit
def packed(a, b, q):
    """Position of element (a, b), a <= b, in the packed upper triangle."""
    return a * (2 * q - a - 1) // 2 + b


@njit(fastmath=True)
def _log_product(values, bits):
    """Sum of the logarithms of positive values, with one logarithm.

    Exponents are added as integers and mantissas, each in [1, 2), multiplied: 1023 of them
    cannot overflow, and a block has fewer.
    """
    exponent = 0
    for i in range(values.size):
        exponent += bits[i] >> 52
        bits[i] = (bits[i] & _MANTISSA) | _ONE
    product = 1.0
    for i in range(values.size):
        product *= values[i]
    return np.log(product) + (exponent - 1023 * values.size) * _LOG_2


@njit(fastmath=True)
def _log_pivots(pivots, multiplicity, lo):
    """Sum of multiplicity times logarithm over rows of pivots of one block."""
    total = 0.0
    if multiplicity.size == 0:
        for a in range(pivots.shape[0]):
            total += _log_product(pivots[a], pivots[a].view(np.int64))
    else:
        for i in range(pivots.shape[1]):
            if multiplicity[lo + i] > 0.0:
                for a in range(pivots.shape[0]):
                    total += multiplicity[lo + i] * np.log(pivots[a, i])
    return total


@njit(fastmath=True)
def _factor_1(g00, lam, k00, pivot):
    square = lam[0, 0] * lam[0, 0]
    for i in range(g00.size):
        a = 1.0 + square * g00[i]
        pivot[i] = a
        k00[i] = square / a


@njit(fastmath=True)
def _factor_2(g00, g01, g11, lam, k00, k01, k11, determinant):
    l00, l10, l11 = lam[0, 0], lam[1, 0], lam[1, 1]
    for i in range(g00.size):
        u = l00 * g00[i] + l10 * g01[i]
        v = l00 * g01[i] + l10 * g11[i]
        a00 = 1.0 + l00 * u + l10 * v
        a01 = l11 * v
        a11 = 1.0 + l11 * l11 * g11[i]
        det = max(a00 * a11 - a01 * a01, 1.0)  # so it is but for rounding
        scale = 1.0 / det
        determinant[i] = det
        top = l10 * a11 - l11 * a01
        k00[i] = l00 * l00 * a11 * scale
        k01[i] = l00 * top * scale
        k11[i] = (l10 * top + l11 * (l11 * a00 - l10 * a01)) * scale


@njit(fastmath=True)
def _factor_any(rows, g_row, lam, lo, work, packed_k, packed_a, solved, pivots):
    """A = L D L' and K = (L^-1 Lambda')' D^-1 (L^-1 Lambda'), every loop over the block."""
    q, size = lam.shape[0], work.shape[1]
    for a in range(q):  # A = I + Lambda' G Lambda
        for b in range(a, q):
            out = work[packed_a + packed(a, b, q)]
            for i in range(size):
                out[i] = 1.0 if a == b else 0.0
            for r in range(a, q):
                for s in range(b, q):
                    weight = lam[r, a] * lam[s, b]
                    if weight != 0.0:
                        g = rows[g_row[r, s], lo : lo + size]
                        for i in range(size):
                            out[i] += weight * g[i]
    for a in range(q):  # rows of Lambda'
        for b in range(q):
            out = work[solved + a * q + b]
            for i in range(size):
                out[i] = lam[b, a]
    for a in range(q):  # eliminate column a
        pivot = work[pivots + a]
        diagonal = work[packed_a + packed(a, a, q)]
        for i in range(size):
            pivot[i] = max(diagonal[i], 1.0)  # so it is but for rounding
        for b in range(a + 1, q):
            upper = work[packed_a + packed(a, b, q)]
            for c in range(b, q):
                other = work[packed_a + packed(a, c, q)]
                out = work[packed_a + packed(b, c, q)]
                for i in range(size):
                    out[i] -= upper[i] / pivot[i] * other[i]
            for c in range(q):
                above = work[solved + a * q + c]
                out = work[solved + b * q + c]
                for i in range(size):
                    out[i] -= upper[i] / pivot[i] * above[i]
    for b in range(q):  # K
        for c in range(b, q):
            out = work[packed_k + packed(b, c, q)]
            for i in range(size):
                out[i] = 0.0
            for a in range(q):
                left, right = work[solved + a * q + b], work[solved + a * q + c]
                pivot = work[pivots + a]
                for i in range(size):
                    out[i] += left[i] * right[i] / pivot[i]


@njit(fastmath=True)
def _factor_block(rows, g_row, multiplicity, lam, lo, work):
    """Fill the first rows of work with K of each group; return the block's log|A|."""
    q, size = lam.shape[0], work.shape[1]
    count = q * (q + 1) // 2
    if q == 1:
        _factor_1(rows[g_row[0, 0], lo : lo + size], lam, work[0], work[1])
        return _log_pivots(work[1:2], multiplicity, lo)
    if q == 2:
        g00 = rows[g_row[0, 0], lo : lo + size]
        g01 = rows[g_row[0, 1], lo : lo + size]
        g11 = rows[g_row[1, 1], lo : lo + size]
        _factor_2(g00, g01, g11, lam, work[0], work[1], work[2], work[3])
        return _log_pivots(work[3:4], multiplicity, lo)
    scratch = 3 * count + q
    _factor_any(rows, g_row, lam, lo, work, 0, scratch + q * q, scratch, count)
    return _log_pivots(work[count : count + q], multiplicity, lo)


@njit(fastmath=True)
def _subtract_1(rows, c_row, lo, k00, total):
    c, size = c_row.shape[1], k00.size
    for j in range(c):
        cj = rows[c_row[0, j], lo : lo + size]
        for i in range(j + 1):
            ci = rows[c_row[0, i], lo : lo + size]
            s = 0.0
            for g in range(size):
                s += k00[g] * cj[g] * ci[g]
            total[i, j] -= s


@njit(fastmath=True)
def _subtract_2(rows, c_row, lo, k00, k01, k11, total):
    """Two effects: K c_j stays in registers and meets three columns at a time."""
    c, size = c_row.shape[1], k00.size
    hi = lo + size
    for first in range(0, c, 3):
        _subtract_2_corner(rows, c_row, lo, k00, k01, k11, first, total)
        i1, i2 = min(first + 1, c - 1), min(first + 2, c - 1)
        a0, a1 = rows[c_row[0, first], lo:hi], rows[c_row[1, first], lo:hi]
        b0, b1 = rows[c_row[0, i1], lo:hi], rows[c_row[1, i1], lo:hi]
        d0, d1 = rows[c_row[0, i2], lo:hi], rows[c_row[1, i2], lo:hi]
        for j in range(first + 3, c):
            x, y = rows[c_row[0, j], lo:hi], rows[c_row[1, j], lo:hi]
            s0 = s1 = s2 = 0.0
            for g in range(size):
                u, v = k00[g] * x[g] + k01[g] * y[g], k01[g] * x[g] + k11[g] * y[g]
                s0 += a0[g] * u + a1[g] * v
                s1 += b0[g] * u + b1[g] * v
                s2 += d0[g] * u + d1[g] * v
            total[first, j] -= s0
            total[i1, j] -= s1
            total[i2, j] -= s2


@njit(fastmath=True)
def _subtract_2_corner(rows, c_row, lo, k00, k01, k11, first, total):
    """The products of up to three columns from ``first`` on with each other, in one pass."""
    c, size = c_row.shape[1], k00.size
    hi = lo + size
    i1, i2 = min(first + 1, c - 1), min(first + 2, c - 1)
    a0, a1 = rows[c_row[0, first], lo:hi], rows[c_row[1, first], lo:hi]
    b0, b1 = rows[c_row[0, i1], lo:hi], rows[c_row[1, i1], lo:hi]
    d0, d1 = rows[c_row[0, i2], lo:hi], rows[c_row[1, i2], lo:hi]
    saa = sab = sbb = sad = sbd = sdd = 0.0
    for g in range(size):
        u, v = k00[g] * a0[g] + k01[g] * a1[g], k01[g] * a0[g] + k11[g] * a1[g]
        saa += a0[g] * u + a1[g] * v
        sab += b0[g] * u + b1[g] * v
        sad += d0[g] * u + d1[g] * v
        u, v = k00[g] * b0[g] + k01[g] * b1[g], k01[g] * b0[g] + k11[g] * b1[g]
        sbb += b0[g] * u + b1[g] * v
        sbd += d0[g] * u + d1[g] * v
        u, v = k00[g] * d0[g] + k01[g] * d1[g], k01[g] * d0[g] + k11[g] * d1[g]
        sdd += d0[g] * u + d1[g] * v
    total[first, first] -= saa
    if i1 > first:
        total[first, i1] -= sab
        total[i1, i1] -= sbb
    if i2 > i1:
        total[first, i2] -= sad
        total[i1, i2] -= sbd
        total[i2, i2] -= sdd


@njit(fastmath=True)
def _subtract_any(rows, c_row, lo, work, scratch, total):
    q, c = c_row.shape
    size = work.shape[1]
    for j in range(c):
        for a in range(q):
            out = work[scratch + a]
            for g in range(size):
                out[g] = 0.0
            for b in range(q):
                k = work[packed(min(a, b), max(a, b), q)]
                column = rows[c_row[b, j], lo : lo + size]
                for g in range(size):
                    out[g] += k[g] * column[g]
        for i in range(j + 1):
            s = 0.0
            for a in range(q):
                left, right = rows[c_row[a, i], lo : lo + size], work[scratch + a]
                for g in range(size):
                    s += left[g] * right[g]
            total[i, j] -= s


@njit(fastmath=True)
def _subtract_block(rows, c_row, lo, work, total):
    """Take C'K C of the block's groups from the upper triangle of total."""
    q = c_row.shape[0]
    if q == 1:
        _subtract_1(rows, c_row, lo, work[0], total)
    elif q == 2:
        _subtract_2(rows, c_row, lo, work[0], work[1], work[2], total)
    else:
        _subtract_any(rows, c_row, lo, work, 3 * (q * (q + 1) // 2) + q, total)


@njit(fastmath=True)
def _reduce_block(rows, g_row, c_row, lo, work, t_at, b_at, e_at):
    """B = I - G K, T = B G and E = B C of each group, into rows of work."""
    q, c = c_row.shape
    if q == 2:
        _reduce_2(rows, g_row, c_row, lo, work, b_at, e_at)
        for a in range(2):
            for b in range(a, 2):
                _combine(rows, g_row, b, lo, work, b_at + 2 * a, work[t_at + a + b])
        return
    size = work.shape[1]
    for a in range(q):
        for b in range(q):
            out = work[b_at + a * q + b]
            for g in range(size):
                out[g] = 1.0 if a == b else 0.0
            for r in range(q):
                left = rows[g_row[a, r], lo : lo + size]
                k = work[packed(min(r, b), max(r, b), q)]
                for g in range(size):
                    out[g] -= left[g] * k[g]
    for a in range(q):
        for b in range(a, q):
            _combine(rows, g_row, b, lo, work, b_at + a * q, work[t_at + packed(a, b, q)])
        for j in range(c):
            _combine(rows, c_row, j, lo, work, b_at + a * q, work[e_at + a * c + j])


@njit(fastmath=True)
def _reduce_2(rows, g_row, c_row, lo, work, b_at, e_at):
    """B and E for two effects; the sums of the elements of T over the block are returned."""
    c, size = c_row.shape[1], work.shape[1]
    hi = lo + size
    g00, g01 = rows[g_row[0, 0], lo:hi], rows[g_row[0, 1], lo:hi]
    g11 = rows[g_row[1, 1], lo:hi]
    b00, b01, b10, b11 = work[b_at], work[b_at + 1], work[b_at + 2], work[b_at + 3]
    sums = _invert_2(g00, g01, g11, work[0], work[1], work[2], b00, b01, b10, b11)
    for j in range(c):
        x, y = rows[c_row[0, j], lo:hi], rows[c_row[1, j], lo:hi]
        e0, e1 = work[e_at + j], work[e_at + c + j]
        for g in range(size):
            u, v = x[g], y[g]
            e0[g] = b00[g] * u + b01[g] * v
            e1[g] = b10[g] * u + b11[g] * v
    return sums


@njit(fastmath=True)
def _invert_2(g00, g01, g11, k00, k01, k11, b00, b01, b10, b11):
    """B = I - G K of each group, and the sums of T = B G."""
    s00 = s01 = s11 = 0.0
    for i in range(b00.size):
        g0, g1, g2 = g00[i], g01[i], g11[i]
        k0, k1, k2 = k00[i], k01[i], k11[i]
        w00, w01 = 1.0 - g0 * k0 - g1 * k1, -g0 * k1 - g1 * k2
        w10, w11 = -g1 * k0 - g2 * k1, 1.0 - g1 * k1 - g2 * k2
        b00[i], b01[i], b10[i], b11[i] = w00, w01, w10, w11
        s00 += w00 * g0 + w01 * g1
        s01 += w00 * g1 + w01 * g2
        s11 += w10 * g1 + w11 * g2
    return s00, s01, s11


@njit(fastmath=True)
def _combine(rows, index, column, lo, work, b_at, out):
    """Row of B times a column of G or C, for each group of the block."""
    q, size = index.shape[0], out.size
    b0, x0 = work[b_at], rows[index[0, column], lo : lo + size]
    if q == 1:
        for g in range(size):
            out[g] = b0[g] * x0[g]
        return
    b1, x1 = work[b_at + 1], rows[index[1, column], lo : lo + size]
    for g in range(size):
        out[g] = b0[g] * x0[g] + b1[g] * x1[g]
    for r in range(2, q):
        b2, x2 = work[b_at + r], rows[index[r, column], lo : lo + size]
        for g in range(size):
            out[g] += b2[g] * x2[g]


@njit(fastmath=True)
def _gram(e, out):
    """Add the lower triangle of e @ e.T to out, in tiles of three by three."""
    n, size = e.shape
    for first in range(0, n, 3):
        i1, i2 = min(first + 1, n - 1), min(first + 2, n - 1)
        x0, x1, x2 = e[first], e[i1], e[i2]
        s00 = s10 = s11 = s20 = s21 = s22 = 0.0
        for g in range(size):
            s00 += x0[g] * x0[g]
            s10 += x1[g] * x0[g]
            s11 += x1[g] * x1[g]
            s20 += x2[g] * x0[g]
            s21 += x2[g] * x1[g]
            s22 += x2[g] * x2[g]
        out[first, first] += s00
        if i1 > first:
            out[i1, first] += s10
            out[i1, i1] += s11
        if i2 > i1:
            out[i2, first] += s20
            out[i2, i1] += s21
            out[i2, i2] += s22
        for below in range(first + 3, n, 3):
            _gram_tile(e, first, below, out)


@njit(fastmath=True)
def _gram_tile(e, first, below, out):
    """Three rows of e from ``below`` on with three from ``first`` on."""
    n, size = e.shape
    j1, j2 = min(below + 1, n - 1), min(below + 2, n - 1)
    x0, x1, x2 = e[first], e[first + 1], e[first + 2]
    y0, y1, y2 = e[below], e[j1], e[j2]
    s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
    for g in range(size):
        s00 += y0[g] * x0[g]
        s01 += y0[g] * x1[g]
        s02 += y0[g] * x2[g]
        s10 += y1[g] * x0[g]
        s11 += y1[g] * x1[g]
        s12 += y1[g] * x2[g]
        s20 += y2[g] * x0[g]
        s21 += y2[g] * x1[g]
        s22 += y2[g] * x2[g]
    out[below, first] += s00
    out[below, first + 1] += s01
    out[below, first + 2] += s02
    if j1 > below:
        out[j1, first] += s10
        out[j1, first + 1] += s11
        out[j1, first + 2] += s12
    if j2 > j1:
        out[j2, first] += s20
        out[j2, first + 1] += s21
        out[j2, first + 2] += s22


@njit(fastmath=True)
def _dot(x, y):
    s = 0.0
    for g in range(x.size):
        s += x[g] * y[g]
    return s


@njit(fastmath=True)
def _weighted_sum(x, multiplicity, lo):
    s = 0.0
    if multiplicity.size:
        for g in range(x.size):
            s += multiplicity[lo + g] * x[g]
    else:
        for g in range(x.size):
            s += x[g]
    return s


@njit
def _block(work, c_row, size):
    """View the work array as contiguous rows, one entry for each group of a block."""
    n_rows = _work_rows(c_row.shape[0], c_row.shape[1])
    return work[: n_rows * size].reshape((n_rows, size))


@njit(fastmath=True)
def value_sums(rows, g_row, c_row, multiplicity, lam, work, total):
    """Subtract sum C'K C from total; return sum log|A|."""
    logdet = 0.0
    for lo in range(0, rows.shape[1], BLOCK):
        block = _block(work, c_row, min(BLOCK, rows.shape[1] - lo))
        logdet += _factor_block(rows, g_row, multiplicity, lam, lo, block)
        _subtract_block(rows, c_row, lo, block, total)
    return logdet


@njit(fastmath=True)
def gradient_sums(rows, g_row, c_row, multiplicity, lam, work, total, sum_t, sum_ee):
    """As value_sums, and add T to sum_t (packed) and E x E to sum_ee (lower triangle)."""
    q, c = c_row.shape
    count = q * (q + 1) // 2
    t_at, b_at = count + q, 3 * count + q
    e_at = b_at + q * q
    logdet = 0.0
    for lo in range(0, rows.shape[1], _HALF):
        block = _block(work, c_row, min(_HALF, rows.shape[1] - lo))
        logdet += _factor_block(rows, g_row, multiplicity, lam, lo, block)
        _subtract_block(rows, c_row, lo, block, total)
        if q == 2 and multiplicity.size == 0:
            t00, t01, t11 = _reduce_2(rows, g_row, c_row, lo, block, b_at, e_at)
            sum_t[0] += t00
            sum_t[1] += t01
            sum_t[2] += t11
        else:
            _reduce_block(rows, g_row, c_row, lo, block, t_at, b_at, e_at)
            for r in range(count):
                sum_t[r] += _weighted_sum(block[t_at + r], multiplicity, lo)
        _gram(block[e_at : e_at + q * c], sum_ee)
    return logdet


@njit(fastmath=True)
def hessian_sums(rows, g_row, c_row, multiplicity, lam, omega, work, sum_tt, sum_tq):
    """Add T x T and T x Q with Q = E omega E' (all packed pairs)."""
    q, c = c_row.shape
    count = q * (q + 1) // 2
    t_at, q_at = count + q, 2 * count + q
    b_at = 3 * count + q
    e_at = b_at + q * q
    for lo in range(0, rows.shape[1], _HALF):
        block = _block(work, c_row, min(_HALF, rows.shape[1] - lo))
        _factor_block(rows, g_row, multiplicity, lam, lo, block)
        _reduce_block(rows, g_row, c_row, lo, block, t_at, b_at, e_at)
        size = block.shape[1]
        for r in range(count):
            block[q_at + r, :] = 0.0
        weighted = block[b_at]  # B has served its turn
        for a in range(q):
            for j in range(c):
                weighted[:] = 0.0
                for i in range(c):
                    e = block[e_at + a * c + i]
                    for g in range(size):
                        weighted[g] += omega[i, j] * e[g]
                for b in range(a, q):
                    e, out = block[e_at + b * c + j], block[q_at + packed(a, b, q)]
                    for g in range(size):
                        out[g] += weighted[g] * e[g]
        for r in range(count):
            t = block[t_at + r]
            for s in range(count):
                sum_tq[r, s] += _dot(t, block[q_at + s])
            if multiplicity.size:
                for g in range(size):
                    weighted[g] = t[g] * multiplicity[lo + g]
            else:
                weighted[:] = t
            for s in range(count):
                sum_tt[r, s] += _dot(weighted, block[t_at + s])
