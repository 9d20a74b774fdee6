"""The criterion of small models whose factors have a single effect each, and its descent.

As ``_block_descent_kernels``, with the same arguments, on numbers instead of small matrices.
"""

import numpy as np

from lmmfit._jit import njit
from lmmfit.mixed._block_descent_kernels import (
    FAR_FROM_ZERO,
    factor_lower,
    invert_factor,
    profile_fixed,
    transposed_times,
)
from lmmfit.mixed._intercept_kernels import backward, eliminate, forward, multiply, select
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


@njit
def evaluate_intercepts(
    order, log_sigma, shape, pointer, index, parent, link, gram, values, dense, cross, owner,
    effects, counts, total, nu, reml, theta, left, theta_rows, theta_columns, beta, covariance,
    slope, gradient, hessian,
):  # fmt: skip
    """Value and residual sum of squares at theta; by order gradient and Hessian."""
    k, p, n_sparse, first = theta.size, beta.size, shape.shape[0] - 1, shape[-1, 1]
    roots, scale = np.empty((k, 1, 1)), np.empty(dense.shape[0])
    for f in range(k):
        roots[f, 0, 0] = left[effects[f, 0], effects[f, 0]] * theta[effects[f, 0]]
    for i in range(scale.size):
        scale[i] = roots[n_sparse + owner[i, 0], 0, 0]
    own_gram, own_values, schur = gram.copy(), values.copy(), dense.copy()
    half, chol = np.empty_like(gram), np.empty_like(dense)
    value = eliminate(
        shape, pointer, index, parent, link, roots, own_gram, own_values, half, schur
    )
    _scaled(schur, scale, 1.0, chol)
    value += factor_lower(chol)
    if not value > -np.inf:
        return np.nan, np.nan
    columns, modes, square = cross.copy(), np.empty_like(cross), np.zeros((p + 1, p + 1))
    forward(shape, pointer, index, half, own_values, columns, square)
    _solve_dense(schur, chol, scale, columns[first:], modes[first:], square)
    backward(shape, pointer, index, half, own_gram, own_values, columns, modes)
    rss, log_information = profile_fixed(total, square, beta, covariance)
    if not (rss > 0.0 and nu > 0.0):
        return np.nan, np.nan
    held = np.isfinite(log_sigma)
    weight = np.exp(-2.0 * log_sigma) if held else nu / rss
    value += nu * (np.log(2.0 * np.pi / weight) + (rss * weight / nu if held else 1.0))
    if reml:
        value += log_information
    if not order:
        return value, rss
    member, residual = _members(shape, owner, cross.shape[0]), np.empty((cross.shape[0], 1))
    for i in range(residual.size):
        residual[i, 0] = columns[i, p]
        for a in range(p):
            residual[i, 0] -= columns[i, a] * beta[a]
    sums = _sums(
        shape, pointer, index, parent, link, half, own_gram, own_values, schur, chol, scale, roots,
        owner,
    )  # fmt: skip
    for i in range(residual.size):
        s = weight * residual[i, 0] * residual[i, 0]
        if reml:
            for a in range(p):
                for b in range(p):
                    s += columns[i, a] * covariance[a, b] * columns[i, b]
        sums[member[i]] -= s
    for f in range(k):
        e = effects[f, 0]
        for t in range(k):
            slope[e, t] = 0.0
        slope[e, e] = sums[f]
        gradient[e] = 2.0 * left[e, e] * sums[f] * roots[f, 0, 0]
    if held:
        gradient[k] = 2.0 * (nu - rss * weight)
    if order < 2:
        return value, rss
    moved = np.zeros((residual.size, k))
    for i in range(residual.size):
        e = effects[member[i], 0]
        moved[i, e] = 2.0 * left[e, e] * roots[member[i], 0, 0] * residual[i, 0]
    spread, taken = np.empty_like(moved), np.zeros((k, k))
    multiply(shape, pointer, index, gram, values, dense, moved, spread)
    inner = transposed_times(moved, spread)
    forward(shape, pointer, index, half, own_values, spread, taken)
    _solve_dense(schur, chol, scale, spread[first:], np.empty_like(spread)[first:], taken)
    share, pulls = transposed_times(moved, columns), transposed_times(moved, residual)
    for s in range(k):
        for t in range(k):
            h = inner[s, t] - taken[s, t]
            for a in range(p):
                for b in range(p):
                    h -= share[s, a] * covariance[a, b] * share[t, b]
            if not held:
                h -= pulls[s, 0] * pulls[t, 0] / rss
            hessian[s, t] = weight * h
        hessian[s, s] += 2.0 * left[s, s] * slope[s, s] * left[s, s]
        if held:
            hessian[s, k] = hessian[k, s] = 2.0 * weight * pulls[s, 0]
    if held:
        hessian[k, k] = 4.0 * rss * weight
    return value, rss


@njit
def _scaled(lower, scale, diagonal, out):
    """``R A R``, plus a diagonal, for a lower triangle."""
    for i in range(scale.size):
        for j in range(i + 1):
            out[i, j] = scale[i] * scale[j] * lower[i, j]
        out[i, i] += diagonal


@njit
def _solve_dense(schur, chol, scale, columns, modes, square):
    """Dense rows of modes: K times the columns; these become what is left of them.

    The factor is solved with, and K not formed: beside large variances its entries cancel.
    """
    n, c = columns.shape
    for x in range(c):
        for i in range(n):
            s = scale[i] * columns[i, x]
            for j in range(i):
                s -= chol[i, j] * modes[j, x]
            modes[i, x] = s / chol[i, i]
    for x in range(c):
        for y in range(c):
            for i in range(n):
                square[x, y] += modes[i, x] * modes[i, y]
    for x in range(c):
        for i in range(n - 1, -1, -1):
            s = modes[i, x]
            for j in range(i + 1, n):
                s -= chol[j, i] * modes[j, x]
            modes[i, x] = s / chol[i, i]
        for i in range(n):
            modes[i, x] *= scale[i]
        for i in range(n):
            for j in range(n):
                columns[i, x] -= (schur[i, j] if j <= i else schur[j, i]) * modes[j, x]


@njit
def _members(shape, owner, n):
    """Factor of each unknown, in the order of elimination."""
    member, n_sparse, first = np.empty(n, np.int64), shape.shape[0] - 1, shape[-1, 1]
    for f in range(n_sparse):
        for i in range(shape[f, 1], shape[f + 1, 1]):
            member[i] = f
    for i in range(owner.shape[0]):
        member[first + i] = n_sparse + owner[i, 0]
    return member


@njit
def _sums(
    shape, pointer, index, parent, link, half, gram, values, schur, chol, scale, roots, owner
):
    """Sums of T on its diagonal, by factor."""
    n, n_sparse = scale.size, shape.shape[0] - 1
    inverse, kernel = chol.copy(), np.empty_like(chol)
    invert_factor(inverse)
    _scaled(inverse, scale, 0.0, kernel)
    blocks, sums = np.zeros((roots.shape[0], 1, 1)), np.zeros(roots.shape[0])
    select(
        shape, pointer, index, parent, link, half, gram, values, kernel, np.empty_like(values),
        np.empty_like(gram), blocks, np.empty((0, 1, 1)),
    )  # fmt: skip
    for f in range(n_sparse):
        sums[f] = blocks[f, 0, 0]
    for i in range(n):  # T = C - C K C; where the variance is not small without cancellation
        if abs(scale[i]) > FAR_FROM_ZERO:
            sums[n_sparse + owner[i, 0]] += (1.0 - inverse[i, i]) / (scale[i] * scale[i])
            continue
        s = schur[i, i]
        for j in range(n):
            left = schur[i, j] if j <= i else schur[j, i]
            for m in range(n):
                right = schur[i, m] if m <= i else schur[m, i]
                s -= left * (kernel[j, m] if m <= j else kernel[m, j]) * right
        sums[n_sparse + owner[i, 0]] += s
    return sums


@njit
def descend_intercepts(
    n_newton, tol, shape, pointer, index, parent, link, gram, values, dense, cross, owner,
    effects, counts, total, nu, reml, theta, left, theta_rows, theta_columns, beta, covariance,
    slope, gradient, hessian,
):  # fmt: skip
    """As :func:`~lmmfit.mixed._block_descent_kernels.descend_blocks`."""
    old, room, state = new_search(theta)
    n = 0
    while n <= n_newton and state[GOING]:
        move(theta, old, room)
        value, rss = evaluate_intercepts(
            0 if state[LAST] else 2, np.nan, shape, pointer, index, parent, link, gram, values,
            dense, cross, owner, effects, counts, total, nu, reml, theta, left, theta_rows,
            theta_columns, beta, covariance, slope, gradient, hessian,
        )  # fmt: skip
        n += 1
        judge(value, rss, tol, theta, gradient, hessian, old, room, state)
    stay(theta, old, state)
    return state[VALUE], state[RSS], n, state[CONVERGED] > 0.0
