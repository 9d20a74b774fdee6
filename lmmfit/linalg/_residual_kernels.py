"""Residuals with twice the working precision: sums and products without error."""

from lmmfit._jit import njit

__all__ = ["pair_residual"]

_SPLITTER = 134217729.0  # 2^27 + 1, Veltkamp's constant of double precision


@njit
def pair_residual(at, high, low, b, r_high, r_low):
    """``b - A (high + low)`` as an unevaluated sum ``r_high + r_low``.

    Products are split after Veltkamp and Dekker, sums after Knuth; what rounding takes off
    is summed by itself (algorithm Dot2 of Ogita, Rump and Oishi 2005). `at` (n, m) is A
    transposed, so that the loops run over contiguous rows; `high`, `low` are (k, n) and `b`,
    `r_high`, `r_low` (k, m): right-hand sides are rows. Nothing may exceed 2^970.
    """
    n, m = at.shape
    for c in range(b.shape[0]):
        total, rest = r_high[c], r_low[c]
        for i in range(m):
            total[i] = b[c, i]
            rest[i] = 0.0
        for j in range(n):
            column = at[j]
            for x in (-high[c, j], -low[c, j]):
                if x == 0.0:
                    continue
                t = _SPLITTER * x
                x1 = t - (t - x)
                x2 = x - x1
                for i in range(m):
                    a = column[i]
                    t = _SPLITTER * a
                    a1 = t - (t - a)
                    a2 = a - a1
                    product = a * x
                    lost = a2 * x2 - (((product - a1 * x1) - a2 * x1) - a1 * x2)
                    s = total[i] + product
                    z = s - total[i]
                    rest[i] += ((total[i] - (s - z)) + (product - z)) + lost
                    total[i] = s
        for i in range(m):
            s = total[i] + rest[i]
            rest[i] -= s - total[i]
            total[i] = s
