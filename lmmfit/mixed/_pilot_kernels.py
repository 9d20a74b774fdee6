"""Kernels that look at a sample of the rows to choose the basis of the products."""

import numpy as np

from lmmfit._jit import njit

_RIDGE = 1e-10  # of a mean square of one; keeps the pilot fit finite


@njit
def _is_finite(x):
    return np.isfinite(x)  # apart, where no licence of arithmetic can decide it beforehand


@njit(fastmath=True)
def standardise(sample, may_shift, shift, peak, transform, gram):
    """Fill means (where a shift is allowed), largest magnitudes, and 1 over root mean squares.

    ``sample`` is c x n; ``transform`` receives the inverse root mean squares of the shifted
    columns on its diagonal, and ``gram`` the cross-products of the shifted and scaled columns.
    A column with a value that is not finite has a peak of infinity.
    """
    c, n = sample.shape
    for j in range(c):
        total, largest = 0.0, 0.0
        for i in range(n):
            total += sample[j, i]
            largest = max(largest, abs(sample[j, i]))
        peak[j] = largest if _is_finite(total) else np.inf
        shift[j] = total / n if may_shift[j] else 0.0
    for j in range(c):
        for k in range(j + 1):
            s = 0.0
            for i in range(n):
                s += (sample[j, i] - shift[j]) * (sample[k, i] - shift[k])
            gram[j, k] = s
        scale = np.sqrt(gram[j, j] / n)
        transform[j, j] = 1.0 / scale if scale > 0.0 else 1.0
    for j in range(c):
        for k in range(j + 1):
            gram[j, k] *= transform[j, j] * transform[k, k]
            gram[k, j] = gram[j, k]


@njit
def pilot_fit(gram, fixed, n, least, transform, beta):
    """Regress the response (last of ``gram``) on ``fixed`` and take the fit off it.

    Fills ``beta``, and the last column of ``transform`` so that what is left of the response
    has a mean square of one. Returns False, with nothing filled, where a column leaves less
    than the share ``least`` of its square beyond the columns before it.
    """
    p, last = fixed.size, gram.shape[0] - 1
    factor = np.empty((p, p))
    for j in range(p):
        for i in range(j, p):
            s = gram[fixed[i], fixed[j]] + (_RIDGE * n if i == j else 0.0)
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = s / factor[j, j]
            elif s > least * gram[fixed[j], fixed[j]]:
                factor[j, j] = np.sqrt(s)
            else:
                return False
    rest = gram[last, last]
    for j in range(p):
        s = gram[fixed[j], last]
        for k in range(j):
            s -= factor[j, k] * beta[k]
        beta[j] = s / factor[j, j]
    for j in range(p - 1, -1, -1):
        for i in range(j + 1, p):
            beta[j] -= factor[i, j] * beta[i]
        beta[j] /= factor[j, j]
    for j in range(p):
        rest -= beta[j] * gram[fixed[j], last]
    rest /= n
    spread = np.sqrt(rest) if rest > 1e-12 else (1e-6 if rest > 1e-24 else 1.0)
    for j in range(p):
        beta[j] /= spread
    for i in range(last):
        s = 0.0
        for j in range(p):
            s -= transform[i, fixed[j]] * beta[j]
        transform[i, last] = s
    transform[last, last] /= spread
    return True
