"""Kernel that fits one model of one grouping factor to many responses."""

import numpy as np

from lmmfit._jit import njit
from lmmfit.mixed._descent_kernels import descend

_EM_STEPS = 0, 2, 16  # of each attempt: EM is slow, and goes where Newton's method will not
_VANISHED = 1e-8  # relative variance that is examined at the boundary


@njit
def fit_responses(
    first, last, zy, xy, yy, y_rows, n_newton, tol, n_groups, rows, g_row, c_row, multiplicity,
    total, nu, reml, theta_rows, theta_columns, left_map, workspace, covariance, slope, gradient,
    hessian, room, starts, start, thetas, betas, covariances, values, sizes, evaluations,
    outcomes,
):  # fmt: skip
    """Fit responses ``first`` to ``last``: their products are zy (k x q x m), xy, yy.

    Each begins at its row of ``starts``; where that does not converge, at ``start``. ``rows``
    and ``total`` are overwritten. ``sizes`` receives the residual sums of squares;
    ``outcomes`` is 1 where the optimum is inside and certified by its convergence, 2 where a
    single variance is zero and wants no growth, and 0 where another look is needed.
    """
    n_theta, p = start.size, xy.shape[1]
    theta, beta = np.empty(n_theta), np.empty(p)
    for j in range(first, last):
        for a in range(y_rows.size):
            row, own = rows[y_rows[a]], zy[j, a]
            for g in range(row.size):
                row[g] = own[g]
        for i in range(p):
            total[i, p] = xy[j, i]
            total[p, i] = xy[j, i]
        total[p, p] = yy[j]
        outcome, total_n = 0, 0
        for steps in _EM_STEPS:
            for t in range(n_theta):
                theta[t] = start[t] if steps else starts[j, t]
            at_zero, _, value, rss, n, converged = descend(
                2, steps, n_newton, tol, n_groups, rows, g_row, c_row, multiplicity, total, nu,
                reml, theta, left_map, theta_rows, theta_columns, workspace, beta, covariance,
                slope, gradient, hessian, room,
            )  # fmt: skip
            total_n += n
            if converged and value <= at_zero and _is_inside(theta, theta_rows, theta_columns):
                outcome = 1
            if converged:
                break
        n = total_n
        if n_theta == 1 and not outcome:
            before = theta[0]
            theta[0] = 0.0
            at_zero, rss_zero = np.nan, np.nan
            _, _, at_zero, rss_zero, more, _ = descend(
                1, 0, -1, tol, n_groups, rows, g_row, c_row, multiplicity, total, nu, reml, theta,
                left_map, theta_rows, theta_columns, workspace, beta, covariance, slope,
                gradient, hessian, room,
            )  # fmt: skip
            n += more
            if slope[0, 0] >= 0.0 and (at_zero <= value or before * before < _VANISHED):
                outcome, value, rss = 2, at_zero, rss_zero
        values[j], sizes[j], evaluations[j], outcomes[j] = value, rss, n, outcome
        for t in range(n_theta):
            thetas[j, t] = theta[t]
        for i in range(p):
            betas[j, i] = beta[i]
            for k in range(p):
                covariances[j, i, k] = covariance[i, k]


@njit
def _is_inside(theta, theta_rows, theta_columns):
    """Whether no entry on the diagonal of the factor is nearly zero beside its column."""
    for t in range(theta.size):
        if theta_rows[t] == theta_columns[t]:
            square = 1.0
            for s in range(theta.size):
                square = max(square, theta[s] * theta[s])
            if theta[t] * theta[t] < 1e-6 * square:
                return False
    return True
