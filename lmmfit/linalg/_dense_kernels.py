"""Kernels for small matrices, one or a stack of them: elimination in place, and its growth."""

import numpy as np

from lmmfit._jit import njit

__all__ = [
    "absolute_sums",
    "elimination_extremes",
    "ldl_factor",
    "ldl_solve",
    "lu_factor",
    "lu_solve",
    "symmetrise",
]


@njit
def lu_factor(a, pivots, pivot):
    """P A = L U of each matrix of `a` (m, n, n), in place, L below the diagonal of U.

    `pivots` (m, n) receives the row exchanged with row k in step k. Without `pivot` the
    diagonal is taken as it is, and a zero there ends the elimination of that matrix.
    """
    m, n = a.shape[0], a.shape[1]
    for s in range(m):
        w = a[s]
        for k in range(n):
            p = k
            if pivot:
                best = abs(w[k, k])
                for i in range(k + 1, n):
                    if abs(w[i, k]) > best:
                        best, p = abs(w[i, k]), i
                if p != k:
                    for j in range(n):
                        w[k, j], w[p, j] = w[p, j], w[k, j]
            pivots[s, k] = p
            if w[k, k] == 0.0:
                if pivot:
                    continue  # the column is zero: LAPACK goes on too
                break
            for i in range(k + 1, n):
                w[i, k] /= w[k, k]
                factor = w[i, k]
                for j in range(k + 1, n):
                    w[i, j] -= factor * w[k, j]


@njit
def lu_solve(a, pivots, b, transposed):
    """Solve with each factored matrix, or its transpose; `b` (m, n, k) is overwritten."""
    m, n = a.shape[0], a.shape[1]
    for s in range(m):
        w, x = a[s], b[s]
        for c in range(b.shape[2]):
            if transposed:
                for i in range(n):
                    total = x[i, c]
                    for j in range(i):
                        total -= w[j, i] * x[j, c]
                    x[i, c] = total / w[i, i]
                for i in range(n - 1, -1, -1):
                    total = x[i, c]
                    for j in range(i + 1, n):
                        total -= w[j, i] * x[j, c]
                    x[i, c] = total
                for k in range(n - 1, -1, -1):
                    p = pivots[s, k]
                    if p != k:
                        x[k, c], x[p, c] = x[p, c], x[k, c]
            else:
                for k in range(n):
                    p = pivots[s, k]
                    if p != k:
                        x[k, c], x[p, c] = x[p, c], x[k, c]
                for i in range(n):
                    total = x[i, c]
                    for j in range(i):
                        total -= w[i, j] * x[j, c]
                    x[i, c] = total
                for i in range(n - 1, -1, -1):
                    total = x[i, c]
                    for j in range(i + 1, n):
                        total -= w[i, j] * x[j, c]
                    x[i, c] = total / w[i, i]


@njit
def ldl_factor(a, failed):
    """A = L D L' of each matrix of `a` (m, n, n), in place: D on the diagonal, L below it.

    The upper triangle is read, and kept. `failed` (m,) receives 0, or the order of the first
    leading minor that is not positive; its pivot is then the last that was computed.
    """
    m, n = a.shape[0], a.shape[1]
    for s in range(m):
        w = a[s]
        failed[s] = 0
        for k in range(n):
            d = w[k, k]
            for j in range(k):
                d -= w[k, j] * w[k, j] * w[j, j]
            w[k, k] = d
            if not d > 0.0:
                failed[s] = k + 1
                break
            for i in range(k + 1, n):
                total = w[k, i]
                for j in range(k):
                    total -= w[i, j] * w[k, j] * w[j, j]
                w[i, k] = total / d


@njit
def ldl_solve(a, b, half):
    """Solve with each L D L', or with L D^(1/2) only if `half`; `b` (m, n, k) is overwritten."""
    m, n = a.shape[0], a.shape[1]
    for s in range(m):
        w, x = a[s], b[s]
        for c in range(b.shape[2]):
            for i in range(n):
                total = x[i, c]
                for j in range(i):
                    total -= w[i, j] * x[j, c]
                x[i, c] = total
            for i in range(n):
                x[i, c] /= np.sqrt(w[i, i]) if half else w[i, i]
            if not half:
                for i in range(n - 1, -1, -1):
                    total = x[i, c]
                    for j in range(i + 1, n):
                        total -= w[j, i] * x[j, c]
                    x[i, c] = total


@njit(fastmath=True)
def elimination_extremes(lower, upper, peaks, sums):
    """Largest ``|a_ij^(k)|`` over all steps k, and largest ``|a_ij|``, from L and U.

    The element (i, j) before step k is the sum of ``l_is u_sj`` over s >= k: each sum is
    built from its end, and every partial sum is an element of some step. `lower` (n, n) has
    ones on its diagonal, `upper` (n, n) zeros below; `peaks` and `sums` are work of a tile.
    """
    n, tile = lower.shape[0], sums.shape[0]
    largest, original = 0.0, 0.0
    for start in range(0, n, tile):
        size = min(tile, n - start)
        acc, top = sums[:size], peaks[:size]
        for i in range(n):
            row = lower[i]
            for j in range(size):
                acc[j] = 0.0
                top[j] = 0.0
            for s in range(min(i, start + size - 1), -1, -1):
                u, factor = upper[s, start : start + size], row[s]
                for j in range(size):
                    acc[j] += factor * u[j]
                    top[j] = max(top[j], abs(acc[j]))
            for j in range(size):
                largest = max(largest, top[j])
                original = max(original, abs(acc[j]))
    return largest, original


@njit(fastmath=True)
def absolute_sums(a, down):
    """Return the largest sum of sizes of a row of `a`; `down` receives those of the columns."""
    largest = 0.0
    for j in range(a.shape[1]):
        down[j] = 0.0
    for i in range(a.shape[0]):
        row, total = a[i], 0.0
        for j in range(len(down)):
            size = abs(row[j])
            down[j] += size
            total += size
        # a sum that is not a number must not get lost
        if not total <= largest:
            largest = total
        if not largest <= np.inf:
            break
    return largest


@njit(fastmath=True)
def symmetrise(a, sums):
    """Replace pairs that differ by their mean, in tiles; return the largest ``|a_ij - a_ji|``.

    `a` is (m, n, n); `sums` (n,) receives the sums of sizes of the rows of the last matrix, as
    they were.
    """
    n, tile, gap = a.shape[1], 32, 0.0
    for s in range(a.shape[0]):
        w = a[s]
        for i in range(n):
            sums[i] = abs(w[i, i])
        for top in range(0, n, tile):
            for left in range(top, n, tile):
                for i in range(top, min(top + tile, n)):
                    for j in range(max(left, i + 1), min(left + tile, n)):
                        upper, lower = w[i, j], w[j, i]
                        sums[i] += abs(upper)
                        sums[j] += abs(lower)
                        if upper != lower:
                            gap = max(gap, abs(upper - lower))
                            w[i, j] = w[j, i] = lower + 0.5 * (upper - lower)
    return gap
