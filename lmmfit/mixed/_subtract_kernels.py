"""Kernels that take the random effects' share off the cross-products of X and y.

Notation and layout are those of :mod:`lmmfit.mixed._factor_kernels`.
"""

from lmmfit._jit import njit
from lmmfit.mixed._factor_kernels import packed


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
                k = work[packed(a, b, q)]
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
def subtract_block(rows, c_row, lo, work, total):
    """Take C'K C of the block's groups from the upper triangle of total."""
    q = c_row.shape[0]
    if q == 1:
        _subtract_1(rows, c_row, lo, work[0], total)
    elif q == 2:
        _subtract_2(rows, c_row, lo, work[0], work[1], work[2], total)
    else:
        _subtract_any(rows, c_row, lo, work, 3 * (q * (q + 1) // 2) + q, total)


@njit(fastmath=True)
def _inverse_2(g00, g01, g11, l00, l10, l11):
    """Determinant of A = I + Lambda'G Lambda, and the elements of its inverse."""
    u, v = l00 * g00 + l10 * g01, l00 * g01 + l10 * g11
    a00, a01, a11 = 1.0 + l00 * u + l10 * v, l11 * v, 1.0 + l11 * l11 * g11
    det = max(a00 * a11 - a01 * a01, 1.0)  # so it is but for rounding
    scale = 1.0 / det
    return det, a11 * scale, -a01 * scale, a00 * scale


@njit(fastmath=True)
def value_two_effects(rows, g_row, c_row, lam, lo, determinant, total):
    """Factor and subtract for two effects and up to three columns, in one pass.

    Fills the determinants of A and takes C'K C from the upper triangle of total: with
    ``U = Lambda'C`` it is ``U'A^-1 U``, and nothing leaves the registers.
    """
    c, size = c_row.shape[1], determinant.size
    hi = lo + size
    g00, g01, g11 = rows[g_row[0, 0], lo:hi], rows[g_row[0, 1], lo:hi], rows[g_row[1, 1], lo:hi]
    j1, j2 = min(1, c - 1), min(2, c - 1)
    x0, y0 = rows[c_row[0, 0], lo:hi], rows[c_row[1, 0], lo:hi]
    x1, y1 = rows[c_row[0, j1], lo:hi], rows[c_row[1, j1], lo:hi]
    x2, y2 = rows[c_row[0, j2], lo:hi], rows[c_row[1, j2], lo:hi]
    l00, l10, l11 = lam[0, 0], lam[1, 0], lam[1, 1]
    s00 = s01 = s11 = s02 = s12 = s22 = 0.0
    for g in range(size):
        determinant[g], i00, i01, i11 = _inverse_2(g00[g], g01[g], g11[g], l00, l10, l11)
        u0, v0 = l00 * x0[g] + l10 * y0[g], l11 * y0[g]
        u1, v1 = l00 * x1[g] + l10 * y1[g], l11 * y1[g]
        u2, v2 = l00 * x2[g] + l10 * y2[g], l11 * y2[g]
        w0, z0 = i00 * u0 + i01 * v0, i01 * u0 + i11 * v0
        w1, z1 = i00 * u1 + i01 * v1, i01 * u1 + i11 * v1
        s00 += u0 * w0 + v0 * z0
        s01 += u1 * w0 + v1 * z0
        s02 += u2 * w0 + v2 * z0
        s11 += u1 * w1 + v1 * z1
        s12 += u2 * w1 + v2 * z1
        s22 += u2 * (i00 * u2 + i01 * v2) + v2 * (i01 * u2 + i11 * v2)
    _take_corner(s00, s01, s11, s02, s12, s22, total)


@njit(fastmath=True)
def gradient_two_effects(rows, g_row, c_row, lam, lo, determinant, e, total, sum_t):
    """As value_two_effects; E goes to e, and T is added to sum_t.

    ``e[j]`` and ``e[c + j]`` are the rows of column j. With ``Y = K C``, C'K C is ``C'Y``, E is
    ``C - G Y``, and T is ``G - G K G``.
    """
    c, size = c_row.shape[1], determinant.size
    hi = lo + size
    g00, g01, g11 = rows[g_row[0, 0], lo:hi], rows[g_row[0, 1], lo:hi], rows[g_row[1, 1], lo:hi]
    j1, j2 = min(1, c - 1), min(2, c - 1)
    x0, y0 = rows[c_row[0, 0], lo:hi], rows[c_row[1, 0], lo:hi]
    x1, y1 = rows[c_row[0, j1], lo:hi], rows[c_row[1, j1], lo:hi]
    x2, y2 = rows[c_row[0, j2], lo:hi], rows[c_row[1, j2], lo:hi]
    d0, d1, d2, f0, f1, f2 = e[0], e[j1], e[j2], e[c], e[c + j1], e[c + j2]
    l00, l10, l11 = lam[0, 0], lam[1, 0], lam[1, 1]
    s00 = s01 = s11 = s02 = s12 = s22 = t00 = t01 = t11 = 0.0
    for g in range(size):
        h0, h1, h2 = g00[g], g01[g], g11[g]
        determinant[g], i00, i01, i11 = _inverse_2(h0, h1, h2, l00, l10, l11)
        r0, r1 = l10 * i00 + l11 * i01, l10 * i01 + l11 * i11
        k00, k01, k11 = l00 * l00 * i00, l00 * r0, l10 * r0 + l11 * r1
        a0, b0, a1, b1, a2, b2 = x0[g], y0[g], x1[g], y1[g], x2[g], y2[g]
        u0, v0 = k00 * a0 + k01 * b0, k01 * a0 + k11 * b0
        u1, v1 = k00 * a1 + k01 * b1, k01 * a1 + k11 * b1
        u2, v2 = k00 * a2 + k01 * b2, k01 * a2 + k11 * b2
        s00 += a0 * u0 + b0 * v0
        s01 += a1 * u0 + b1 * v0
        s02 += a2 * u0 + b2 * v0
        s11 += a1 * u1 + b1 * v1
        s12 += a2 * u1 + b2 * v1
        s22 += a2 * u2 + b2 * v2
        d0[g], f0[g] = a0 - h0 * u0 - h1 * v0, b0 - h1 * u0 - h2 * v0
        d1[g], f1[g] = a1 - h0 * u1 - h1 * v1, b1 - h1 * u1 - h2 * v1
        d2[g], f2[g] = a2 - h0 * u2 - h1 * v2, b2 - h1 * u2 - h2 * v2
        n00, n01 = k00 * h0 + k01 * h1, k00 * h1 + k01 * h2
        n10, n11 = k01 * h0 + k11 * h1, k01 * h1 + k11 * h2
        t00 += h0 - h0 * n00 - h1 * n10
        t01 += h1 - h0 * n01 - h1 * n11
        t11 += h2 - h1 * n01 - h2 * n11
    _take_corner(s00, s01, s11, s02, s12, s22, total)
    sum_t[0] += t00
    sum_t[1] += t01
    sum_t[2] += t11


@njit
def _take_corner(s00, s01, s11, s02, s12, s22, total):
    """Subtract the upper triangle of a 3 x 3 matrix, as far as total reaches."""
    c = total.shape[0]
    total[0, 0] -= s00
    if c > 1:
        total[0, 1] -= s01
        total[1, 1] -= s11
    if c > 2:
        total[0, 2] -= s02
        total[1, 2] -= s12
        total[2, 2] -= s22
