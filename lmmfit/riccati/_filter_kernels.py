"""Pass of the Kalman filter along a series."""

import numpy as np

from lmmfit._jit import njit
from lmmfit.riccati._row_kernels import (
    add,
    add_product,
    cholesky,
    column,
    gain,
    multiply,
    pick,
    present,
    solve_lower,
    solve_lower_transposed,
    symmetrise,
    turn,
)

__all__ = ["filter_rows"]

_LOG_2PI = np.log(2.0 * np.pi)


@njit
def _update_exactly(x, cov, e, C, R, cross, drift):
    """Take a row into the mean and the covariance; the log-likelihood of what is there.

    What the row says of w, the mean ``cross S^{-1} e``, is added to ``drift``.
    """
    seen = present(e)
    if len(seen) == 0:
        return 0.0
    Co, Ro, L, PC, G = gain(cov, C, R, seen)
    w, K = column(e, seen), turn(G)
    add_product(x, G, w[:, 0].copy())
    # Joseph's form, (I - K C) P (I - K C)' + K R K', in products with thin matrices.
    add(cov, -1.0, multiply(K, PC))
    rest = multiply(cov, turn(Co))
    add(rest, -1.0, multiply(K, Ro))
    add(cov, -1.0, multiply(rest, G))
    symmetrise(cov)
    solve_lower(L, w)
    total = len(seen) * _LOG_2PI
    for a in range(len(seen)):
        total += w[a, 0] * w[a, 0] + 2.0 * np.log(L[a, a])
    if len(cross):
        solve_lower_transposed(L, w)
        for i in range(len(x)):
            for a in range(len(seen)):
                drift[i] += cross[i, seen[a]] * w[a, 0]
    return -0.5 * total


@njit
def _next_covariance(cov, e, A, At, Q, C, R, cross):
    """Replace the covariance after a row by the one before the next, A P A' + Q.

    Of correlated noises w = J v + w', with J = cross R^{-1} of what is there; v = y - C x is
    then known but for x, and w' independent of it: (A - J C) P (A - J C)' + Q - J cross'.
    """
    n, seen, F, Ft, rest = len(A), present(e), A, At, Q
    m = len(seen)
    if m and len(cross):
        L, both = pick(R, seen, seen), np.empty((m, 2 * n))
        for a in range(m):
            for i in range(n):
                both[a, i] = C[seen[a], i]
                both[a, n + i] = cross[i, seen[a]]
        cholesky(L)
        solve_lower(L, both)
        known = multiply(turn(both), both)  # [C cross']' R^{-1} [C cross']
        F, Ft, rest = A.copy(), At.copy(), Q.copy()
        for i in range(n):
            for j in range(n):
                F[i, j] -= known[n + i, j]
                Ft[j, i] -= known[n + i, j]
                rest[i, j] -= known[n + i, n + j]
    cov[:] = multiply(multiply(F, cov), Ft)
    add(cov, 1.0, rest)
    symmetrise(cov)


@njit
def _same(cov, P, Q, tol):
    """Whether a covariance is the steady one, each element by the scale of its variances.

    That of Q stands for a smaller one of P, which correlated noises allow.
    """
    n = len(P)
    floor, scale = 0.0, np.empty(n)
    for i in range(n):
        scale[i] = np.sqrt(max(P[i, i], Q[i, i], 0.0))
        floor = max(floor, 1e-15 * scale[i] ** 2)
    for i in range(n):
        for j in range(i + 1):
            if not abs(cov[i, j] - P[i, j]) <= tol * scale[i] * scale[j] + floor:
                return False
    return True


@njit(fastmath={"contract"})
def filter_rows(
    Y, U, A, At, Bt, C, both_t, Q, R, P, Kt, cross, ahead_t, whiten_t, constant, tol,
    x, cov, steady, predicted, filtered, outputs, loglik, slots, covs,
):  # fmt: skip
    """Filter rows until they, or the room for covariances, end.

    Rows are time. A row that is complete, met with the steady covariance, costs products of a
    matrix and a vector alone; any other row the exact recursion of the covariance. Each row is
    computed by itself, never a block of them, so that a series cut into pieces gives the same
    bits.

    ``x`` and ``cov`` are the predicted mean and covariance of the first row, and are replaced by
    those of the first row not read. Results with no rows are not kept. ``slots`` says where in
    ``covs`` the predicted covariance of a row is, -1 for the steady one. ``both_t`` is the
    transpose of A above C, one product for the two; ``Kt`` and ``ahead_t`` those of the gains of
    filter and predictor. ``cross`` is the covariance of w and v, without rows where it is zero.
    ``whiten_t`` is the transposed inverse of the Cholesky factor of S, ``constant`` the
    log-likelihood at e = 0.

    Returns the number of rows read, of covariances stored, and whether ``cov`` is the steady one.
    """
    T, o = Y.shape
    n, used, value = len(x), 0, 0.0
    both, e, w = np.empty(n + o), np.empty(o), np.empty(o)
    new, y = both[:n], both[n:]
    for t in range(T):
        if len(slots):
            slots[t] = -1
            if not steady:
                if used == len(covs):
                    return t, used, steady
                covs[used] = cov
                slots[t] = used
                used += 1
        if len(predicted):
            predicted[t] = x
        both[:] = 0.0
        add_product(both, both_t, x)
        complete = True
        for i in range(o):
            e[i] = Y[t, i] - y[i]
            complete = complete and not np.isnan(e[i])
        fast = steady and complete
        if fast:
            if len(loglik):
                w[:] = 0.0
                add_product(w, whiten_t, e)
                value = 0.0
                for i in range(o):
                    value += w[i] * w[i]
                value = constant - 0.5 * value
            if len(filtered):
                add_product(x, Kt, e)
            add_product(new, ahead_t, e)
        else:
            if steady:
                cov[:] = P
            new[:] = 0.0
            value = _update_exactly(x, cov, e, C, R, cross, new)
            add_product(new, At, x)
        if len(outputs):
            outputs[t] = y
        if len(loglik):
            loglik[t] = value
        if len(filtered):
            filtered[t] = x
        add_product(new, Bt, U[t])
        x[:] = new
        if not fast:
            _next_covariance(cov, e, A, At, Q, C, R, cross)
            steady = _same(cov, P, Q, tol)
    return T, used, steady
