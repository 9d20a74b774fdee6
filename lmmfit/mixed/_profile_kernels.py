"""Kernels that finish the profiled criterion once the sums over groups are there."""

import numpy as np

from lmmfit._jit import njit
from lmmfit.mixed._factor_kernels import packed
from lmmfit.mixed._group_kernels import BLOCK, group_sums, hessian_sums, work_rows

_NOTHING = 1e-15


@njit
def profile(total, logdet, nu, reml, square, chol, beta, covariance, omega):
    """Profile the fixed effects and the residual variance out.

    ``total`` (upper triangle) is [X y]'V^-1 [X y]. Its lower Cholesky factor goes to
    ``chol``, the generalised least-squares solution to ``beta``, (X'V^-1 X)^-1 to
    ``covariance``, and to ``omega`` the weights with which the derivative of ``total``
    enters that of the criterion. Returns the criterion and the weighted residual sum of
    squares; both are NaN where X'V^-1 X is not positive definite, or where the residual is so
    small beside the response's ``square`` that nothing of it but rounding is left (the fixed
    effects are there all the same).
    """
    c = total.shape[0]
    p = c - 1
    for j in range(c):
        for i in range(j, c):
            s = total[j, i]
            for k in range(j):
                s -= chol[i, k] * chol[j, k]
            if i > j:
                chol[i, j] = s / chol[j, j]
            elif j == p:
                chol[p, p] = np.sqrt(s) if s > _NOTHING * square else np.nan
            elif s > 0.0:
                chol[j, j] = np.sqrt(s)
            else:
                return np.nan, np.nan
    rss = chol[p, p] * chol[p, p]
    value = logdet + nu * (1.0 + np.log(2.0 * np.pi * rss / nu))
    for j in range(p - 1, -1, -1):
        s = chol[p, j]
        for k in range(j + 1, p):
            s -= chol[k, j] * beta[k]
        beta[j] = s / chol[j, j]
        if reml:
            value += 2.0 * np.log(chol[j, j])
    for j in range(p):  # the inverse of the factor, column by column, above its diagonal
        chol[j, j] = 1.0 / chol[j, j]
        for i in range(j + 1, p):
            s = 0.0
            for k in range(j, i):
                s -= chol[i, k] * (chol[j, j] if k == j else chol[j, k])
            chol[j, i] = s / chol[i, i]
    for i in range(p):
        for j in range(p):
            s = 0.0
            for k in range(max(i, j), p):
                s += chol[i, k] * chol[j, k]
            covariance[i, j] = s
            omega[i, j] = nu / rss * beta[i] * beta[j] + (s if reml else 0.0)
        omega[i, p] = omega[p, i] = -nu / rss * beta[i]
    omega[p, p] = nu / rss
    return value, rss


@njit
def place(theta, left_map, theta_rows, theta_columns, lambda_, axes, lower):
    """Fill ``lambda_ = left_map @ Lambda(theta)`` and a lower-triangular root of the same P.

    The root comes of the modified Gram-Schmidt process over the rows of ``lambda_``.
    """
    q = lower.shape[0]
    lambda_[:], lower[:] = 0.0, 0.0
    for t in range(theta.size):
        for a in range(q):
            lambda_[a, theta_columns[t]] += left_map[a, theta_rows[t]] * theta[t]
    for a in range(q):
        for k in range(q):
            axes[a, k] = lambda_[a, k]
        for b in range(a):
            for k in range(q):
                lower[a, b] += axes[a, k] * axes[b, k]
            for k in range(q):
                axes[a, k] -= lower[a, b] * axes[b, k]
        for k in range(q):
            lower[a, a] += axes[a, k] ** 2
        lower[a, a] = np.sqrt(lower[a, a])
        for k in range(q):
            axes[a, k] = axes[a, k] / lower[a, a] if lower[a, a] > 0.0 else 0.0


@njit
def directions(left_map, lambda_, rows, columns, left, right):
    """Each theta moves P along ``left right' + right left'``: fill left and right."""
    for t in range(rows.size):
        for a in range(lambda_.shape[0]):
            left[t, a] = left_map[a, rows[t]]
            right[t, a] = lambda_[a, columns[t]]


@njit
def gradient(sum_t, sum_ee, omega, left, right, derivative, out):
    """D = sum T - sum E omega E', the derivative with respect to P, and that for theta."""
    q, c = derivative.shape[0], omega.shape[0]
    for a in range(q):
        for b in range(a, q):
            s = sum_t[packed(a, b, q)]
            for i in range(c):
                for j in range(c):
                    row, column = a * c + i, b * c + j
                    s -= omega[i, j] * sum_ee[max(row, column), min(row, column)]
            derivative[a, b] = derivative[b, a] = s
    for t in range(out.size):
        s = 0.0
        for a in range(q):
            for b in range(q):
                s += left[t, a] * derivative[a, b] * right[t, b]
        out[t] = 2.0 * s


@njit
def _contract(sums, u, v, x, y):
    """Sum over groups of (u'T v)(x'R y) from the packed sums of T x R."""
    q = u.size
    s = 0.0
    for a in range(q):
        for b in range(q):
            if u[a] != 0.0 and v[b] != 0.0:
                row = packed(a, b, q)
                for d in range(q):
                    for e in range(q):
                        s += u[a] * v[b] * x[d] * y[e] * sums[row, packed(d, e, q)]
    return s


@njit
def hessian(
    sum_ee, sum_tt, sum_tq, derivative, beta, covariance, rss, nu, reml, left, right, column,
    scratch, out,
):  # fmt: skip
    """Second derivatives of the criterion with respect to theta.

    ``left`` and ``right`` come from :func:`directions`; ``column[j]`` is the column of Lambda
    in which theta_j stands, on which the curvature of P itself depends.
    """
    n_theta, q = left.shape
    p = beta.size
    c = p + 1
    scratch[: 2 * n_theta * c * (c + 1)] = 0.0
    size = n_theta * c * c
    moved = scratch[:size].reshape((n_theta, c, c))  # d total / d theta_j
    spread = scratch[size : 2 * size].reshape((n_theta, c, c))  # covariance (d total)_XX
    pull = scratch[2 * size : 2 * size + n_theta * c].reshape((n_theta, c))  # (d total)_X w
    slope = scratch[2 * size + n_theta * c :]  # d rss / d theta_j = w' (d total) w
    for t in range(n_theta):
        for a in range(q):
            for b in range(q):
                weight = left[t, a] * right[t, b] + right[t, a] * left[t, b]
                if weight != 0.0:
                    for i in range(c):
                        for j in range(c):
                            row, col = a * c + i, b * c + j
                            moved[t, i, j] -= weight * sum_ee[max(row, col), min(row, col)]
    for t in range(n_theta):  # w = (-beta, 1)
        for i in range(c):
            s = moved[t, i, p]
            for j in range(p):
                s -= moved[t, i, j] * beta[j]
            if i < p:
                pull[t, i] = s
                slope[t] -= beta[i] * s
            else:
                slope[t] += s
        for i in range(p):
            for j in range(p):
                for k in range(p):
                    spread[t, i, j] += covariance[i, k] * moved[t, k, j]
    for t in range(n_theta):
        l1, r1 = left[t], right[t]
        for u in range(t + 1):
            l2, r2 = left[u], right[u]
            s = 0.0
            if column[t] == column[u]:
                for a in range(q):
                    for b in range(q):
                        s += 2.0 * l1[a] * derivative[a, b] * l2[b]
            s -= 2.0 * (_contract(sum_tt, r1, l2, l1, r2) + _contract(sum_tt, r1, r2, l1, l2))
            s += 2.0 * (_contract(sum_tq, r1, l2, r2, l1) + _contract(sum_tq, r1, r2, l2, l1))
            s += 2.0 * (_contract(sum_tq, l1, l2, r2, r1) + _contract(sum_tq, l1, r2, l2, r1))
            s -= nu / (rss * rss) * slope[t] * slope[u]
            for i in range(p):
                for j in range(p):
                    s -= 2.0 * nu / rss * pull[t, i] * covariance[i, j] * pull[u, j]
                    if reml:
                        s -= spread[t, i, j] * spread[u, j, i]
            out[t, u] = out[u, t] = s


def workspace_size(q, c, n_theta):
    """Length of the workspace of :func:`evaluate`."""
    count = q * (q + 1) // 2
    sums = 3 * (c * c + q * q) + count + (q * c) ** 2 + 2 * count * count + 2 * n_theta * q
    return sums + 2 * n_theta * c * (c + 1) + BLOCK * work_rows(q, c)


@njit
def _take(workspace, at, n_rows, n_columns):
    """The next part of the workspace as a matrix, and where the rest begins."""
    end = at + n_rows * n_columns
    return workspace[at:end].reshape((n_rows, n_columns)), end


@njit
def evaluate(
    order, rows, g_row, c_row, multiplicity, fixed_total, nu, reml, theta, left_map, theta_rows,
    theta_columns, workspace, beta, covariance, slope, gradient_out, hessian_out,
):  # fmt: skip
    """The criterion at ``P = L L'`` with ``L = left_map @ Lambda(theta)``.

    By order its gradient and Hessian for theta; ``slope`` receives the derivative with respect
    to P. Nothing is allocated.
    """
    q, c = c_row.shape
    count, n_theta = q * (q + 1) // 2, theta_rows.size
    work = workspace[: BLOCK * work_rows(q, c)]  # first: its rows are to be aligned
    total, at = _take(workspace, work.size, c, c)
    chol, at = _take(workspace, at, c, c)
    omega, at = _take(workspace, at, c, c)
    sum_ee, at = _take(workspace, at, q * c, q * c)
    sum_tt, at = _take(workspace, at, count, count)
    sum_tq, at = _take(workspace, at, count, count)
    left, at = _take(workspace, at, n_theta, q)
    right, at = _take(workspace, at, n_theta, q)
    lambda_, at = _take(workspace, at, q, q)
    axes, at = _take(workspace, at, q, q)
    lower, at = _take(workspace, at, q, q)
    sum_t, scratch = workspace[at : at + count], workspace[at + count :]
    for i in range(c):
        for j in range(c):
            total[i, j] = fixed_total[i, j]
    square = total[c - 1, c - 1]
    groups = rows, g_row, c_row, multiplicity
    sum_t[:], sum_ee[:] = 0.0, 0.0
    place(theta, left_map, theta_rows, theta_columns, lambda_, axes, lower)
    logdet = 0.0
    if q:
        logdet = group_sums(order > 0, *groups, lower, work, total, sum_t, sum_ee)
    value, rss = profile(total, logdet, nu, reml, square, chol, beta, covariance, omega)
    if order == 0 or q == 0:
        return value, rss
    if np.isnan(value):
        slope[:], gradient_out[:], hessian_out[:] = np.nan, np.nan, np.nan
        return value, rss
    directions(left_map, lambda_, theta_rows, theta_columns, left, right)
    gradient(sum_t, sum_ee, omega, left, right, slope, gradient_out)
    if order == 2:
        sum_tt[:], sum_tq[:] = 0.0, 0.0
        hessian_sums(*groups, lower, omega, work, sum_tt, sum_tq)
        hessian(
            sum_ee, sum_tt, sum_tq, slope, beta, covariance, rss, nu, reml,
            left, right, theta_columns, scratch, hessian_out,
        )  # fmt: skip
    return value, rss
