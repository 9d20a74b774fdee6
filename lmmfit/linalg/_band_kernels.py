"""Elimination in a band, for one long system or a stack of short ones.

A matrix is held by columns, as LAPACK's gbtrf does: ``ab[s, j, above + i - j]`` is the element
(i, j), so that a column is contiguous. `above` is the number of super-diagonals that U may get.
"""

from lmmfit._jit import njit

__all__ = ["band_cholesky", "band_half_solve", "band_inverse", "band_lu", "band_multiply",
           "band_solve"]  # fmt: skip


@njit
def band_lu(ab, lower, upper, pivots, pivot):
    """P A = L U of each band matrix of `ab` (m, n, lower + above + 1), in place.

    With `pivot`, above is ``lower + upper`` and the first `lower` rows of a column start as
    zeros; without, above is `upper`, and a zero on the diagonal ends the elimination.
    """
    m, n = ab.shape[0], ab.shape[1]
    above = ab.shape[2] - lower - 1
    for s in range(m):
        a = ab[s]
        reach = 0  # last column that the exchanges so far have touched
        for j in range(n):
            column = a[j]
            below = min(lower, n - 1 - j)
            p = 0
            if pivot:
                best = abs(column[above])
                for i in range(1, below + 1):
                    if abs(column[above + i]) > best:
                        best, p = abs(column[above + i]), i
            pivots[s, j] = j + p
            if column[above + p] == 0.0:
                if pivot:
                    continue
                break
            reach = max(reach, min(j + upper + p, n - 1))
            if p:
                for c in range(j, reach + 1):
                    row = above + j - c
                    a[c, row], a[c, row + p] = a[c, row + p], a[c, row]
            for i in range(1, below + 1):
                column[above + i] /= column[above]
            for c in range(j + 1, reach + 1):
                row = above + j - c
                factor = a[c, row]
                if factor != 0.0:
                    for i in range(1, below + 1):
                        a[c, row + i] -= factor * column[above + i]


@njit
def _solve_upper(a, above, x):
    """Solve with U, whose diagonal is at `above`, in place."""
    n, width = x.shape
    for j in range(n - 1, -1, -1):
        for c in range(width):
            x[j, c] /= a[j, above]
        for i in range(1, min(above, j) + 1):
            for c in range(width):
                x[j - i, c] -= a[j, above - i] * x[j, c]


@njit
def _solve_upper_transposed(a, above, x):
    """Solve with U', in place."""
    n, width = x.shape
    for j in range(n):
        for i in range(1, min(above, j) + 1):
            for c in range(width):
                x[j, c] -= a[j, above - i] * x[j - i, c]
        for c in range(width):
            x[j, c] /= a[j, above]


@njit
def band_solve(ab, lower, pivots, b, transposed):
    """Solve with each factored band matrix, or its transpose; `b` (m, n, k) is overwritten."""
    m, n = ab.shape[0], ab.shape[1]
    above, width = ab.shape[2] - lower - 1, b.shape[2]
    for s in range(m):
        a, x = ab[s], b[s]
        if transposed:
            _solve_upper_transposed(a, above, x)
            for j in range(n - 1, -1, -1):
                for i in range(1, min(lower, n - 1 - j) + 1):
                    for c in range(width):
                        x[j, c] -= a[j, above + i] * x[j + i, c]
                p = pivots[s, j]
                if p != j:
                    for c in range(width):
                        x[j, c], x[p, c] = x[p, c], x[j, c]
        else:
            for j in range(n):
                p = pivots[s, j]
                if p != j:
                    for c in range(width):
                        x[j, c], x[p, c] = x[p, c], x[j, c]
                for i in range(1, min(lower, n - 1 - j) + 1):
                    for c in range(width):
                        x[j + i, c] -= a[j, above + i] * x[j, c]
            _solve_upper(a, above, x)


@njit
def band_cholesky(ab, failed, pivots):
    """A = U'U of each band matrix of `ab` (m, n, upper + 1), in place; the diagonal comes last.

    `failed` (m,) receives 0 or the order of the first leading minor that is not positive, and
    `pivots` (m,) what elimination left there.
    """
    m, n = ab.shape[0], ab.shape[1]
    upper = ab.shape[2] - 1
    for s in range(m):
        a = ab[s]
        failed[s] = 0
        for j in range(n):
            column = a[j]
            first = max(0, upper - j)  # position of the first element inside the matrix
            d = column[upper]
            for r in range(first, upper):
                i = j - upper + r
                other = a[i]
                total = column[r]
                shift = upper - r  # the element (k, j) at t is (k, i) at t + shift
                for t in range(first, r):
                    total -= other[t + shift] * column[t]
                column[r] = total / other[upper]
                d -= column[r] * column[r]
            if not d > 0.0:
                failed[s], pivots[s] = j + 1, d
                break
            column[upper] = d**0.5


@njit
def band_half_solve(ab, b, transposed):
    """Solve with each U, or with U' if `transposed`; `b` (m, n, k) is overwritten."""
    upper = ab.shape[2] - 1
    for s in range(ab.shape[0]):
        if transposed:
            _solve_upper_transposed(ab[s], upper, b[s])
        else:
            _solve_upper(ab[s], upper, b[s])


@njit
def band_inverse(ab, lower, upper, pivots, out, work):
    """Elements of the inverse inside the band, from the factors of `band_lu`.

    Columns of the inverse are built from the last to the first, and a column is kept only
    while later steps need it: the elimination steps in reverse combine column j with the
    `lower` columns after it, and back substitution adds a row on top of every open column.

    `out` (m, n, lower + upper + 1) holds the element (i, j) at ``[s, j, upper + i - j]``. `work`
    (columns, rows) is a ring of max(lower, upper) + 1 columns and of as many rows as a column
    is ever asked for, max(above, 2 lower) + 1.
    """
    m, n = ab.shape[0], ab.shape[1]
    above = ab.shape[2] - lower - 1
    ring, height = work.shape
    for s in range(m):
        a = ab[s]
        for j in range(n - 1, -1, -1):
            # a row on top of the open columns: U z = 0 there
            for c in range(j + 1, min(j + max(lower, upper), n - 1) + 1):
                z = work[c % ring]
                total = 0.0
                for k in range(j + 1, min(j + above, n - 1) + 1):
                    total -= a[k, above + j - k] * z[k % height]
                z[j % height] = total / a[j, above]
            # column j of inv(U), less the multiples that the elimination step took
            new = work[j % ring]
            last = min(j + height - 1, n - 1)
            for r in range(j, last + 1):
                new[r % height] = 0.0
            new[j % height] = 1.0 / a[j, above]
            for i in range(1, min(lower, n - 1 - j) + 1):
                factor = a[j, above + i]
                if factor != 0.0:
                    z = work[(j + i) % ring]
                    for r in range(j, last + 1):
                        new[r % height] -= factor * z[r % height]
            p = pivots[s, j]
            if p != j:
                other = work[p % ring]
                for r in range(j, last + 1):
                    new[r % height], other[r % height] = other[r % height], new[r % height]
            # columns that no earlier step touches: the one that leaves, then single elements
            start = 0 if j == 0 else lower
            for c in range(j + start, min(j + max(lower, upper), n - 1) + 1):
                z = work[c % ring]
                bottom = min(c + lower, n - 1) if c <= j + lower else j
                for r in range(max(j, c - upper), bottom + 1):
                    out[s, c, upper + r - c] = z[r % height]


@njit
def band_multiply(ab, lower, pivots):
    """Undo `band_lu`, in place: the elimination steps in reverse, applied to U."""
    m, n = ab.shape[0], ab.shape[1]
    above = ab.shape[2] - lower - 1
    for s in range(m):
        a = ab[s]
        for j in range(n - 1, -1, -1):
            below, p = min(lower, n - 1 - j), pivots[s, j] - j
            column = a[j]
            for c in range(min(j + above, n - 1), j - 1, -1):
                row = above + j - c
                top = a[c, row]
                for i in range(1, below + 1):
                    # column j itself holds the multipliers, so it comes last
                    product = column[above + i] * top
                    a[c, row + i] = product if c == j else a[c, row + i] + product
                if p:
                    a[c, row], a[c, row + p] = a[c, row + p], top
