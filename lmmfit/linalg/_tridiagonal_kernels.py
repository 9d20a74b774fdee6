"""Tridiagonal systems, eliminated from both ends at once.

The textbook's algorithm (Eldén 2007, section 3.5) is one long chain: each step waits for the
division of the one before.
Elimination from the top and from the bottom towards the middle (a permuted LU, with the same
number of operations) gives the processor two chains to work on.
"""

from lmmfit._jit import njit

__all__ = ["tridiagonal_many", "tridiagonal_one"]

_LARGE = 1e300


@njit(fastmath={"contract"})
def tridiagonal_one(lower, diagonal, upper, b, x, ratios, grown):
    """Solve each system with one right-hand side, without exchanges.

    `lower` and `upper` are (m, n - 1), `diagonal`, `b` and `x` (m, n); `ratios` (n,) is work.
    `grown` (m,) tells where a pivot exceeds eight times every element, or the range in which
    its inverse has all its digits.
    """
    m, n = diagonal.shape
    half = n // 2
    for s in range(m):
        low, main, up, right, y = lower[s], diagonal[s], upper[s], b[s], x[s]
        # pivots, their inverses and the solutions so far, above and below
        d, e, u, v, f, g, pivot = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if half > 0:
            d, e = main[0], main[n - 1]
            pivot = max(abs(d), abs(e))
            u, v = 1.0 / d, 1.0 / e
            f, g = right[0] * u, right[n - 1] * v
            y[0], y[n - 1] = f, g
        # row k eliminates row k + 1 and row n - 1 - k the one above it; slices start at zero,
        # so that no index can be negative
        count = half - 1
        low_1, up_1, main_1, right_1 = low[:count], up[:count], main[1:half], right[1:half]
        y_1, ratios_1 = y[1:half], ratios[:count]
        low_2, up_2, main_2 = low[n - half :], up[n - half :], main[n - half : n - 1]
        right_2, y_2 = right[n - half : n - 1], y[n - half : n - 1]
        ratios_2 = ratios[n - half + 1 :]
        for k in range(count):
            q = count - 1 - k
            a, c, p, r = low_1[k], up_1[k], low_2[q], up_2[q]
            c *= u
            p *= v
            ratios_1[k], ratios_2[q] = c, p
            d, e = main_1[k] - a * c, main_2[q] - r * p
            u, v = 1.0 / d, 1.0 / e
            f, g = (right_1[k] - a * f) * u, (right_2[q] - r * g) * v
            y_1[k], y_2[q] = f, g
            pivot = max(pivot, abs(d))
            pivot = max(pivot, abs(e))
        if n % 2:  # one row is left in the middle
            d, total = main[half], right[half]
            if half > 0:
                a, c = low[half - 1], up[half]
                ratios[half - 1], ratios[half + 1] = up[half - 1] * u, low[half] * v
                d -= a * ratios[half - 1]
                pivot = max(pivot, abs(d))
                d -= c * ratios[half + 1]
                total -= a * f + c * g
            f = total / d
            g = f
            y[half] = f
        else:  # two rows, half - 1 and half, eliminated as far as each other
            a, c = low[half - 1], up[half - 1]
            c *= u
            d = e - a * c
            g = (g * e - a * f) / d
            f -= c * g
            y[half - 1], y[half] = f, g
        pivot = max(pivot, abs(d))
        y_1, ratios_1 = y[:half], ratios[:half]
        y_2, ratios_2 = y[n - half :], ratios[n - half :]
        for k in range(half - 1 if n % 2 else half - 2, -1, -1):
            q = half - 1 - k
            f = y_1[k] - ratios_1[k] * f
            g = y_2[q] - ratios_2[q] * g
            y_1[k], y_2[q] = f, g
        grown[s] = not (pivot < _LARGE and _reaches(low, main, up, 0.125 * pivot))


@njit(fastmath={"contract"})
def tridiagonal_many(lower, diagonal, upper, x, ratios, grown):
    """Solve each system with k right-hand sides, in place in `x` (m, n, k), without exchanges."""
    m, n = diagonal.shape
    width = x.shape[2]
    for s in range(m):
        low, main, up = lower[s], diagonal[s], upper[s]
        d = main[0]
        pivot, inverse = abs(d), 1.0 / d
        top = x[s, 0]
        for c in range(width):
            top[c] *= inverse
        for k in range(1, n):
            ratios[k - 1] = up[k - 1] * inverse
            d = main[k] - low[k - 1] * ratios[k - 1]
            inverse = 1.0 / d
            above, here = x[s, k - 1], x[s, k]
            factor = low[k - 1]
            for c in range(width):
                here[c] = (here[c] - factor * above[c]) * inverse
            pivot = max(pivot, abs(d))
        for k in range(n - 2, -1, -1):
            here, below = x[s, k], x[s, k + 1]
            factor = ratios[k]
            for c in range(width):
                here[c] -= factor * below[c]
        grown[s] = not (pivot < _LARGE and _reaches(low, main, up, 0.125 * pivot))


@njit
def _reaches(low, main, up, size):
    """Whether any element is as large as `size`: as a rule the first ones are."""
    for k in range(main.shape[0]):
        if abs(main[k]) >= size:
            return True
    for k in range(low.shape[0]):
        if abs(low[k]) >= size or abs(up[k]) >= size:
            return True
    return False
