"""The criterion of several grouping factors and Newton's method on it, compiled.

For models whose dense part is so small that calls of LAPACK, and Python between them, would be
most of the work. Step by step it is what :class:`BlockFactor` and :class:`BlockCriterion` do.
"""

import numpy as np

from lmmfit._jit import njit
from lmmfit.mixed._block_kernels import (
    backward,
    eliminate,
    forward,
    multiply,
    sandwich,
    select,
)
from lmmfit.mixed._newton_kernels import (
    CONVERGED,
    GOING,
    LAST,
    RSS,
    VALUE,
    judge,
    move,
    new_search,
    stay,
)

FAR_FROM_ZERO = 1e-3  # relative standard deviation that may be divided by


@njit(fastmath=True)
def evaluate_blocks(
    order, log_sigma, shape, pointer, index, parent, link, gram, values, dense, cross, owner,
    effects, counts, total, nu, reml, theta, left, theta_rows, theta_columns, beta, covariance,
    slope, gradient, hessian,
):  # fmt: skip
    """Value and residual sum of squares at theta; by order gradient and Hessian.

    With a finite ``log_sigma`` the residual standard deviation is held, and is the last
    parameter of the derivatives; otherwise it is profiled out. ``effects`` has a row of effects
    for each factor in the order of elimination, ``counts`` their number.
    """
    n_sparse = shape.shape[0] - 1
    n_unknowns, c = cross.shape
    p, first = c - 1, shape[-1, 1]
    root = _root(theta, left, theta_rows, theta_columns)
    roots = np.zeros((effects.shape[0], gram.shape[1], gram.shape[1]))
    for f in range(effects.shape[0]):
        for a in range(counts[f]):
            for b in range(counts[f]):
                roots[f, a, b] = root[effects[f, a], effects[f, b]]
    own_gram, own_values, schur = gram.copy(), values.copy(), dense.copy()
    half = np.empty_like(gram)
    log_determinant = eliminate(
        shape, pointer, index, parent, link, roots[:n_sparse], own_gram, own_values, half, schur
    )
    chol, kernel = np.empty_like(schur), np.empty_like(schur)
    if schur.shape[0]:
        sandwich(schur, owner, roots[n_sparse:], counts[n_sparse:], 1.0, chol)
        own = factor_lower(chol)
        if not own > -np.inf:
            return np.nan, np.nan
        log_determinant += own
    inverse = chol.copy()
    if order and schur.shape[0]:
        invert_factor(inverse)
        turned = np.empty_like(roots[n_sparse:])
        for f in range(turned.shape[0]):
            for a in range(turned.shape[1]):
                for b in range(turned.shape[1]):
                    turned[f, a, b] = roots[n_sparse + f, b, a]
        sandwich(inverse, owner, turned, counts[n_sparse:], 0.0, kernel)
    columns, modes = cross.copy(), np.empty_like(cross)
    square = np.zeros((c, c))
    forward(shape, pointer, index, half, own_values, columns, square)
    _solve_dense(
        schur, chol, owner, roots[n_sparse:], counts[n_sparse:], columns[first:], modes[first:],
        square,
    )  # fmt: skip
    backward(shape, pointer, index, half, own_gram, own_values, columns, modes)
    rss, log_information = profile_fixed(total, square, beta, covariance)
    if not (rss > 0.0 and nu > 0.0):
        return np.nan, np.nan
    held = np.isfinite(log_sigma)
    weight = np.exp(-2.0 * log_sigma) if held else nu / rss
    value = log_determinant
    if held:
        value += nu * (np.log(2.0 * np.pi) + 2.0 * log_sigma) + rss * weight
    else:
        value += nu * (1.0 + np.log(2.0 * np.pi * rss / nu))
    if reml:
        value += log_information
    if not order:
        return value, rss
    residual = np.empty(n_unknowns)
    for i in range(n_unknowns):
        s = columns[i, p]
        for k in range(p):
            s -= columns[i, k] * beta[k]
        residual[i] = s
    _differentiate(
        shape, pointer, index, parent, link, half, own_gram, own_values, schur, kernel, inverse,
        roots, effects, counts, owner, columns, residual, covariance, weight, reml, slope,
    )  # fmt: skip
    turned_slope = transposed_times(left, slope)
    along = transposed_times(_transposed(turned_slope), root)
    k = theta.size
    for t in range(k):
        gradient[t] = 2.0 * along[theta_rows[t], theta_columns[t]]
    if held:
        gradient[k] = 2.0 * (nu - rss * weight)
    if order < 2:
        return value, rss
    moved = _moves(shape, owner, effects, counts, residual, left, root, theta_rows, theta_columns)
    spread = np.empty_like(moved)
    multiply(shape, pointer, index, gram, values, dense, moved, spread)
    inner = transposed_times(moved, spread)
    taken, scratch = np.zeros((k, k)), np.empty_like(spread)
    forward(shape, pointer, index, half, own_values, spread, taken)
    _solve_dense(
        schur, chol, owner, roots[n_sparse:], counts[n_sparse:], spread[first:], scratch[first:],
        taken,
    )  # fmt: skip
    share = transposed_times(moved, columns)
    pulls = transposed_times(moved, residual.reshape((residual.size, 1)))
    bend = transposed_times(_transposed(turned_slope), left)
    for s in range(k):
        pull = pulls[s, 0]
        for t in range(k):
            h = inner[s, t] - taken[s, t]
            for a in range(p):
                for b in range(p):
                    h -= share[s, a] * covariance[a, b] * share[t, b]
            if not held:
                h -= pull * pulls[t, 0] / rss
            h *= weight
            if theta_columns[s] == theta_columns[t]:
                h += 2.0 * bend[theta_rows[s], theta_rows[t]]
            hessian[s, t] = h
        if held:
            hessian[s, k] = 2.0 * weight * pull
            hessian[k, s] = hessian[s, k]
    if held:
        hessian[k, k] = 4.0 * rss * weight
    return value, rss


@njit
def _root(theta, left, theta_rows, theta_columns):
    q = left.shape[0]
    lower = np.zeros((q, q))
    for t in range(theta.size):
        lower[theta_rows[t], theta_columns[t]] = theta[t]
    return transposed_times(_transposed(left), lower)


@njit(fastmath=True)
def transposed_times(a, b):
    """A'B; a call of BLAS would cost more."""
    out = np.zeros((a.shape[1], b.shape[1]))
    for i in range(a.shape[0]):
        for x in range(a.shape[1]):
            for y in range(b.shape[1]):
                out[x, y] += a[i, x] * b[i, y]
    return out


@njit
def _transposed(a):
    out = np.empty((a.shape[1], a.shape[0]))
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            out[j, i] = a[i, j]
    return out


@njit(fastmath=True)
def factor_lower(lower):
    """Cholesky's factor in place of a lower triangle; return log|A|, -inf if singular."""
    n, log_determinant = lower.shape[0], 0.0
    for j in range(n):
        for i in range(j, n):
            s = lower[i, j]
            for k in range(j):
                s -= lower[i, k] * lower[j, k]
            if i == j:
                if not s > 0.0:
                    return -np.inf
                lower[j, j] = np.sqrt(s)
                log_determinant += np.log(s)
            else:
                lower[i, j] = s / lower[j, j]
    return log_determinant


@njit(fastmath=True)
def invert_factor(lower):
    """Replace a Cholesky factor by the lower triangle of the inverse."""
    n = lower.shape[0]
    for j in range(n):  # the inverse of the factor
        lower[j, j] = 1.0 / lower[j, j]
        for i in range(j + 1, n):
            s = 0.0
            for k in range(j, i):
                s -= lower[i, k] * lower[k, j]
            lower[i, j] = s / lower[i, i]
    for i in range(n):  # its transpose times itself
        for j in range(i + 1):
            s = 0.0
            for k in range(i, n):
                s += lower[k, i] * lower[k, j]
            lower[i, j] = s


@njit(fastmath=True)
def _solve_dense(schur, chol, owner, roots, counts, columns, modes, square):
    """Dense rows of modes: K times the columns; these become what is left of them.

    The factor is solved with, and K not formed: beside large variances its entries cancel.
    """
    n, c = columns.shape
    half = np.empty((n, c))
    for i in range(n):
        f, place = owner[i, 0], owner[i, 1]
        for x in range(c):
            s = 0.0
            for b in range(counts[f]):
                s += roots[f, b, place] * columns[i - place + b, x]
            for k in range(i):
                s -= chol[i, k] * half[k, x]
            half[i, x] = s / chol[i, i]
    for x in range(c):
        for y in range(c):
            for i in range(n):
                square[x, y] += half[i, x] * half[i, y]
    for i in range(n - 1, -1, -1):
        for x in range(c):
            s = half[i, x]
            for k in range(i + 1, n):
                s -= chol[k, i] * half[k, x]
            half[i, x] = s / chol[i, i]
    for i in range(n):
        f, place = owner[i, 0], owner[i, 1]
        for x in range(c):
            s = 0.0
            for b in range(counts[f]):
                s += roots[f, place, b] * half[i - place + b, x]
            modes[i, x] = s
    for i in range(n):
        for k in range(n):
            own = schur[i, k] if k <= i else schur[k, i]
            for x in range(c):
                columns[i, x] -= own * modes[k, x]


@njit(fastmath=True)
def profile_fixed(total, square, beta, covariance):
    """Solve for beta; residual sum of squares and log|X'V^-1 X|."""
    p = beta.size
    for i in range(p):
        for j in range(p):
            covariance[i, j] = total[i, j] - square[i, j]
    log_determinant = factor_lower(covariance)
    if not log_determinant > -np.inf:
        return np.nan, np.nan
    rss = total[p, p] - square[p, p]
    for i in range(p):
        s = total[i, p] - square[i, p]
        for j in range(i):
            s -= covariance[i, j] * beta[j]
        beta[i] = s / covariance[i, i]
        rss -= beta[i] * beta[i]
    for i in range(p - 1, -1, -1):
        s = beta[i]
        for j in range(i + 1, p):
            s -= covariance[j, i] * beta[j]
        beta[i] = s / covariance[i, i]
    invert_factor(covariance)
    for i in range(p):
        for j in range(i):
            covariance[j, i] = covariance[i, j]
    return rss, log_determinant


@njit(fastmath=True)
def _differentiate(
    shape, pointer, index, parent, link, half, gram, values, schur, kernel, inverse, roots,
    effects, counts, owner, columns, residual, covariance, weight, reml, slope,
):  # fmt: skip
    """Derivative of the criterion to P, block-diagonal by factor."""
    n_sparse, first, p = shape.shape[0] - 1, shape[-1, 1], columns.shape[1] - 1
    sums = np.zeros((counts.size, gram.shape[1], gram.shape[1]))
    select(
        shape, pointer, index, parent, link, half, gram, values, kernel, np.empty_like(values),
        np.empty_like(gram), sums[:n_sparse], np.empty((0, 1, 1)),
    )  # fmt: skip
    n = schur.shape[0]
    product = np.empty(n)
    for i in range(n):  # T = C - C K C, its blocks on the diagonal
        f, place = owner[i, 0], owner[i, 1]
        own = roots[n_sparse + f, 0, 0]
        if counts[n_sparse + f] == 1 and abs(own) > FAR_FROM_ZERO:  # no cancellation
            sums[n_sparse + f, 0, 0] += (1.0 - inverse[i, i]) / (own * own)
            continue
        for k in range(n):
            s = 0.0
            for j in range(n):
                s += (schur[i, j] if j <= i else schur[j, i]) * (
                    kernel[j, k] if k <= j else kernel[k, j]
                )
            product[k] = s
        for b in range(counts[n_sparse + f]):
            j = i - place + b
            s = schur[i, j] if j <= i else schur[j, i]
            for k in range(n):
                s -= product[k] * (schur[j, k] if k <= j else schur[k, j])
            sums[n_sparse + f, place, b] += s
    slope[:] = 0.0
    at = 0
    for f in range(counts.size):
        size = counts[f]
        stop = _stop(shape, owner, f, n_sparse, size, first, at)
        while at < stop:
            for a in range(size):
                for b in range(size):
                    s = weight * residual[at + a] * residual[at + b]
                    if reml:
                        for i in range(p):
                            for j in range(p):
                                s += columns[at + a, i] * covariance[i, j] * columns[at + b, j]
                    sums[f, a, b] -= s
            at += size
        for a in range(size):
            for b in range(size):
                slope[effects[f, a], effects[f, b]] = sums[f, a, b]


@njit
def _stop(shape, owner, f, n_sparse, size, first, at):
    """Unknown after the last one of a factor."""
    if f < n_sparse:
        return at + (shape[f + 1, 0] - shape[f, 0]) * size
    stop = at
    while stop - first < owner.shape[0] and owner[stop - first, 0] == f - n_sparse:
        stop += 1
    return stop


@njit(fastmath=True)
def _moves(shape, owner, effects, counts, residual, left, root, theta_rows, theta_columns):
    """``dP/dtheta r`` for each theta, (unknowns x k)."""
    n_sparse, first, k = shape.shape[0] - 1, shape[-1, 1], theta_rows.size
    moved = np.zeros((residual.size, k))
    at = 0
    for f in range(counts.size):
        size = counts[f]
        stop = _stop(shape, owner, f, n_sparse, size, first, at)
        while at < stop:
            for t in range(k):
                one, other = 0.0, 0.0
                for a in range(size):
                    one += residual[at + a] * root[effects[f, a], theta_columns[t]]
                    other += residual[at + a] * left[effects[f, a], theta_rows[t]]
                mine = False
                for a in range(size):
                    mine |= effects[f, a] == theta_rows[t]
                if mine:
                    for a in range(size):
                        moved[at + a, t] = (
                            one * left[effects[f, a], theta_rows[t]]
                            + other * root[effects[f, a], theta_columns[t]]
                        )
            at += size
    return moved


@njit
def descend_blocks(
    n_newton, tol, shape, pointer, index, parent, link, gram, values, dense, cross, owner,
    effects, counts, total, nu, reml, theta, left, theta_rows, theta_columns, beta, covariance,
    slope, gradient, hessian,
):  # fmt: skip
    """Newton's method, damped where the criterion is not convex or a step breaks its promise.

    Moves ``theta`` in place; returns value, residual sum of squares, evaluations and whether it
    converged. What :func:`evaluate_blocks` fills belongs to the end; gradient and Hessian are
    as :func:`~lmmfit.mixed._newton_kernels.judge` leaves them.
    """
    old, room, state = new_search(theta)
    n = 0
    while n <= n_newton and state[GOING]:
        move(theta, old, room)
        value, rss = evaluate_blocks(
            0 if state[LAST] else 2, np.nan, shape, pointer, index, parent, link, gram, values,
            dense, cross, owner, effects, counts, total, nu, reml, theta, left, theta_rows,
            theta_columns, beta, covariance, slope, gradient, hessian,
        )  # fmt: skip
        n += 1
        judge(value, rss, tol, theta, gradient, hessian, old, room, state)
    stay(theta, old, state)
    return state[VALUE], state[RSS], n, state[CONVERGED] > 0.0
