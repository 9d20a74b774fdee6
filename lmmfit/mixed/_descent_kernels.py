"""EM steps and Newton's method on the profiled criterion, compiled, for as long as all goes well.

Whoever meets a Hessian that is not safely convex, a step that is too long or one that keeps
less than it promised, gets the point reached so far: the trust region of
:mod:`lmmfit.optimize` takes over from there.
"""

import numpy as np

from lmmfit._jit import njit
from lmmfit.mixed._profile_kernels import evaluate
from lmmfit.optimize._stopping import WHOLE, is_last_step

_CONVEX = 1e-6  # least pivot of the Hessian with a unit diagonal
KEPT = 0.25  # share of the promised decrease that a step must keep
is_last = njit(is_last_step)


def room_size(q, n_theta):
    """Length of the room that :func:`descend` needs beside the workspace."""
    return 3 * q * q + n_theta * (n_theta + 3)


@njit
def em_step(theta, slope, n_groups, theta_rows, theta_columns, room):
    """Replace the factor of P by that of ``P - P D P / m``, D the derivative to P.

    Only the blocks on the diagonal are kept (Laird and Ware 1982). A pivot lost to rounding
    leaves a column of zeros.
    """
    q = slope.shape[0]
    covariance = room[: q * q].reshape((q, q))
    product = room[q * q : 2 * q * q].reshape((q, q))
    factor = room[2 * q * q : 3 * q * q].reshape((q, q))
    factor[:] = 0.0
    for t in range(theta.size):
        factor[theta_rows[t], theta_columns[t]] = theta[t]
    for a in range(q):
        for b in range(q):
            s = 0.0
            for k in range(min(a, b) + 1):
                s += factor[a, k] * factor[b, k]
            covariance[a, b] = s
    for a in range(q):
        for b in range(q):
            s = 0.0
            for k in range(q):
                s += covariance[a, k] * slope[k, b]
            product[a, b] = s
    for t in range(theta.size):  # column by column, block by block
        a, b = theta_rows[t], theta_columns[t]
        own = covariance[a, b]
        for k in range(q):
            own -= product[a, k] * covariance[k, b] / n_groups
        for k in range(b):
            own -= factor[a, k] * factor[b, k]
        if a == b:
            factor[b, b] = np.sqrt(own) if own > 1e-14 * covariance[b, b] else 0.0
        else:
            factor[a, b] = own / factor[b, b] if factor[b, b] > 0.0 else 0.0
        theta[t] = factor[a, b]


@njit
def newton_step(gradient, hessian, factor, unit, step):
    """Solve for Newton's step with each parameter in units of its own curvature.

    Returns the length of the step in those units and the decrease it promises; the length is
    infinite where the Hessian is not safely positive definite.
    """
    n = gradient.size
    for i in range(n):
        if not hessian[i, i] > 0.0:
            return np.inf, 0.0
        unit[i] = 1.0 / np.sqrt(hessian[i, i])
    for j in range(n):
        for i in range(j, n):
            s = hessian[i, j] * unit[i] * unit[j]
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = s / factor[j, j]
            elif s > _CONVEX:
                factor[j, j] = np.sqrt(s)
            else:
                return np.inf, 0.0
    promised = 0.0
    for i in range(n):
        s = -gradient[i] * unit[i]
        for k in range(i):
            s -= factor[i, k] * step[k]
        step[i] = s / factor[i, i]
        promised += 0.5 * step[i] * step[i]
    square = 0.0
    for i in range(n - 1, -1, -1):
        s = step[i]
        for k in range(i + 1, n):
            s -= factor[k, i] * step[k] / unit[k]
        step[i] = s / factor[i, i]
        square += step[i] * step[i]
        step[i] *= unit[i]
    return np.sqrt(square), promised


@njit
def descend(
    order, n_em, n_newton, tol, n_groups, rows, g_row, c_row, multiplicity, fixed_total, nu, reml,
    theta, left_map, theta_rows, theta_columns, workspace, beta, covariance, slope, gradient,
    hessian, room,
):  # fmt: skip
    """Take EM steps, then at most ``n_newton`` Newton steps; evaluate where that is negative.

    Steps move ``theta`` in place; EM needs the identity for ``left_map``, Newton's method
    ``order`` 2. Returns the criterion and the residual sum of squares without random effects
    (NaN where nothing is to move), both where it ends, the number of evaluations and whether
    it converged; what :func:`evaluate` fills belongs to the end, the Hessian of a descent that
    converged to the step before.
    """
    data = rows, g_row, c_row, multiplicity, fixed_total, nu, reml
    where = left_map, theta_rows, theta_columns, workspace, beta, covariance, slope
    out = gradient, hessian
    if n_newton < 0:
        value, rss = evaluate(order, *data, theta, *where, *out)
        return np.nan, np.nan, value, rss, 1, False
    n_theta = theta.size
    before, step, unit = room[:n_theta], room[n_theta : 2 * n_theta], room[2 * n_theta :]
    factor = room[3 * n_theta : (n_theta + 3) * n_theta].reshape((n_theta, n_theta))
    before[:] = 0.0
    at_zero, rss_zero = evaluate(0, *data, before, *where, *out)
    n, converged = 1, False
    for _ in range(n_em):
        value, _ = evaluate(1, *data, theta, *where, *out)
        n += 1
        if np.isnan(value):
            break
        _copy(theta, before)
        em_step(theta, slope, n_groups, theta_rows, theta_columns, room[(n_theta + 3) * n_theta :])
    value, rss = evaluate(order, *data, theta, *where, *out)
    n += 1
    if n_em and np.isnan(value):  # rounding has swallowed the residual
        _copy(before, theta)
        value, rss = evaluate(order, *data, theta, *where, *out)
        n += 1
    radius, earlier = _first_radius(theta, hessian), 0.0
    for _ in range(n_newton):
        length, promised = newton_step(gradient, hessian, factor, unit, step)
        if converged or not length <= radius:
            break
        noise = 4e-15 * max(abs(value), 1.0)
        converged = is_last(promised, earlier, tol, value)
        _copy(theta, before)
        for t in range(n_theta):
            theta[t] += step[t]
        moved, rss = evaluate(1 if converged else order, *data, theta, *where, *out)
        n += 1
        if value - moved >= (-noise - tol if converged else KEPT * promised):
            earlier = promised if value - moved >= WHOLE * promised else 0.0
            value = moved
            continue
        _copy(before, theta)
        value, rss = evaluate(order, *data, theta, *where, *out)
        n += 1
        break
    return at_zero, rss_zero, value, rss, n, converged


@njit
def _copy(source, target):
    for t in range(source.size):
        target[t] = source[t]


@njit
def _first_radius(theta, hessian):
    """Length of theta with each parameter in units of its own curvature, and at least one."""
    square = 1.0
    for t in range(theta.size):
        square += theta[t] ** 2 * abs(hessian[t, t])
    return np.sqrt(square)
