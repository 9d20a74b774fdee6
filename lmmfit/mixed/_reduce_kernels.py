"""Kernels of what the derivatives of the criterion need of each group.

Notation and layout are those of :mod:`lmmfit.mixed._factor_kernels`.
"""

from lmmfit._jit import njit
from lmmfit.mixed._factor_kernels import packed


@njit(fastmath=True)
def reduce_block(rows, g_row, c_row, lo, work, t_at, b_at, e_at):
    """B = I - G K, T = B G and E = B C of each group, into rows of work."""
    q, c = c_row.shape
    if q == 2:
        _invert_2(rows, g_row, lo, work, b_at)
    else:
        _invert_any(rows, g_row, lo, work, b_at)
    for a in range(q):
        for b in range(a, q):
            _combine(rows, g_row, b, lo, work, b_at + a * q, work[t_at + packed(a, b, q)])
        for j in range(c):
            _combine(rows, c_row, j, lo, work, b_at + a * q, work[e_at + a * c + j])


@njit(fastmath=True)
def _invert_any(rows, g_row, lo, work, b_at):
    q, size = g_row.shape[0], work.shape[1]
    for a in range(q):
        for b in range(q):
            out = work[b_at + a * q + b]
            for g in range(size):
                out[g] = 1.0 if a == b else 0.0
            for r in range(q):
                left = rows[g_row[a, r], lo : lo + size]
                k = work[packed(r, b, q)]
                for g in range(size):
                    out[g] -= left[g] * k[g]


@njit(fastmath=True)
def _invert_2(rows, g_row, lo, work, b_at):
    size = work.shape[1]
    hi = lo + size
    g00, g01, g11 = rows[g_row[0, 0], lo:hi], rows[g_row[0, 1], lo:hi], rows[g_row[1, 1], lo:hi]
    k00, k01, k11 = work[0], work[1], work[2]
    b00, b01, b10, b11 = work[b_at], work[b_at + 1], work[b_at + 2], work[b_at + 3]
    for i in range(size):
        b00[i] = 1.0 - g00[i] * k00[i] - g01[i] * k01[i]
        b01[i] = -g00[i] * k01[i] - g01[i] * k11[i]
        b10[i] = -g01[i] * k00[i] - g11[i] * k01[i]
        b11[i] = 1.0 - g01[i] * k01[i] - g11[i] * k11[i]


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
def square_block(omega, q, work, e_at, weighted, q_at):
    """Q = E omega E' of each group, packed, into rows of work; ``weighted`` is a free row."""
    c, size = omega.shape[0], work.shape[1]
    for r in range(q * (q + 1) // 2):
        out = work[q_at + r]
        for g in range(size):
            out[g] = 0.0
    for a in range(q):
        for j in range(c):
            _weigh(work[e_at + a * c : e_at + (a + 1) * c], omega[j], weighted)
            for b in range(a, q):
                e, out = work[e_at + b * c + j], work[q_at + packed(a, b, q)]
                for g in range(size):
                    out[g] += weighted[g] * e[g]


@njit(fastmath=True)
def _weigh(e, weights, out):
    """Weighted sum of the rows of e, three at a time."""
    n, size = e.shape
    for first in range(0, n, 3):
        i1, i2 = min(first + 1, n - 1), min(first + 2, n - 1)
        w0 = weights[first]
        w1 = weights[i1] if i1 > first else 0.0
        w2 = weights[i2] if i2 > i1 else 0.0
        x0, x1, x2 = e[first], e[i1], e[i2]
        if first == 0:
            for g in range(size):
                out[g] = w0 * x0[g] + w1 * x1[g] + w2 * x2[g]
        else:
            for g in range(size):
                out[g] += w0 * x0[g] + w1 * x1[g] + w2 * x2[g]


@njit(fastmath=True)
def add_gram(e, out):
    """Add the lower triangle of e @ e.T to out, in tiles of three by three.

    Tiles on the diagonal fill their corner above it as well.
    """
    for j in range(0, e.shape[0], 3):
        for i in range(j, e.shape[0], 3):
            _add_tile(e, i, e, j, out)


@njit(fastmath=True)
def add_cross(x, y, out):
    """Add x @ y.T to out, in tiles of three by three."""
    for i in range(0, x.shape[0], 3):
        for j in range(0, y.shape[0], 3):
            _add_tile(x, i, y, j, out)


@njit(fastmath=True)
def _add_tile(x, i, y, j, out):
    """Three rows of x from ``i`` on with three of y from ``j`` on."""
    i1, i2 = min(i + 1, x.shape[0] - 1), min(i + 2, x.shape[0] - 1)
    j1, j2 = min(j + 1, y.shape[0] - 1), min(j + 2, y.shape[0] - 1)
    x0, x1, x2 = x[i], x[i1], x[i2]
    y0, y1, y2 = y[j], y[j1], y[j2]
    s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
    for g in range(x.shape[1]):
        s00 += x0[g] * y0[g]
        s01 += x0[g] * y1[g]
        s02 += x0[g] * y2[g]
        s10 += x1[g] * y0[g]
        s11 += x1[g] * y1[g]
        s12 += x1[g] * y2[g]
        s20 += x2[g] * y0[g]
        s21 += x2[g] * y1[g]
        s22 += x2[g] * y2[g]
    out[i, j] += s00
    if j1 > j:
        out[i, j1] += s01
    if j2 > j1:
        out[i, j2] += s02
    if i1 > i:
        out[i1, j] += s10
        if j1 > j:
            out[i1, j1] += s11
        if j2 > j1:
            out[i1, j2] += s12
    if i2 > i1:
        out[i2, j] += s20
        if j1 > j:
            out[i2, j1] += s21
        if j2 > j1:
            out[i2, j2] += s22
