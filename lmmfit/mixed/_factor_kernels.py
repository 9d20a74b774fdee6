"""Kernels that factor the groups of a model with one grouping factor.

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

_LOG_2 = 0.6931471805599453
_MANTISSA = 0x000FFFFFFFFFFFFF
_ONE = 0x3FF0000000000000


@njit
def packed(a, b, q):
    """Position of element (a, b) of a symmetric matrix in the packed upper triangle."""
    a, b = min(a, b), max(a, b)
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
def log_pivots(pivots, multiplicity, lo):
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
def factor_block(rows, g_row, multiplicity, lam, lo, work):
    """Fill the first rows of work with K of each group; return the block's log|A|."""
    q, size = lam.shape[0], work.shape[1]
    count = q * (q + 1) // 2
    if q == 1:
        _factor_1(rows[g_row[0, 0], lo : lo + size], lam, work[0], work[1])
        return log_pivots(work[1:2], multiplicity, lo)
    if q == 2:
        g00 = rows[g_row[0, 0], lo : lo + size]
        g01 = rows[g_row[0, 1], lo : lo + size]
        g11 = rows[g_row[1, 1], lo : lo + size]
        _factor_2(g00, g01, g11, lam, work[0], work[1], work[2], work[3])
        return log_pivots(work[3:4], multiplicity, lo)
    scratch = 3 * count + q
    _factor_any(rows, g_row, lam, lo, work, 0, scratch + q * q, scratch, count)
    return log_pivots(work[count : count + q], multiplicity, lo)
