"""Backward pass of the smoother along a series, and the moments that EM takes from it."""

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

__all__ = ["row_moments", "smooth_rows"]

_FROZEN = 1e-14  # relative change of N, backwards, from which it is constant


@njit
def _transform(M, x):
    """M x."""
    k, n = M.shape
    out = np.zeros(k)
    for i in range(k):
        for j in range(n):
            out[i] += M[i, j] * x[j]
    return out


@njit
def _add_outer(M, x, y):
    """Add x y'."""
    for i in range(len(x)):
        for j in range(len(y)):
            M[i, j] += x[i] * y[j]


@njit
def _loop(cov, A, At, C, R, cross, seen):
    """C of the elements ``seen``, the Cholesky factor of S, and the loop F = A - K C.

    K is the gain from a row to the next, ``(A P C' + cross) S^{-1}``.
    """
    Co, _Ro, L, PC, _G = gain(cov, C, R, seen)
    Kt, F = multiply(PC, At), A.copy()
    if len(cross):
        add(Kt, 1.0, turn(pick(cross, np.arange(len(A)), seen)))
    solve_lower(L, Kt)
    solve_lower_transposed(L, Kt)
    add(F, -1.0, multiply(turn(Kt), Co))
    return Co, L, F


@njit
def _back_mean(r, e, seen, Co, L, F):
    """Take r from after a row to before it, C' S^{-1} e + F'r."""
    u, before = column(e, seen), np.zeros(len(r))
    add_product(before, F, r)
    solve_lower(L, u)
    solve_lower_transposed(L, u)
    add_product(before, Co, u[:, 0].copy())
    return before


@njit
def _back_information(N, Co, L, F):
    """Take N from after a row to before it, C' S^{-1} C + F'NF."""
    before, half = multiply(multiply(turn(F), N), F), Co.copy()
    solve_lower(L, half)
    add(before, 1.0, multiply(turn(half), half))
    symmetrise(before)
    return before


@njit
def _unchanged(new, old):
    largest, change = 0.0, 0.0
    for i in range(len(new)):
        for j in range(len(new)):
            largest = max(largest, abs(new[i, j]))
            change = max(change, abs(new[i, j] - old[i, j]))
    return change <= _FROZEN * largest


@njit
def _smooth_to(t, Y, predicted, slots, covs, P, A, At, C, R, cross, steady, r, N, want, frozen):
    """Take r and N from after row t to before it; the smoothed mean of the row.

    ``steady`` is the loop of the steady covariance, ``want`` asks for N, ``frozen`` counts steady
    rows that did not change it. The covariance and the loop of what is there come back too.
    """
    x, P_t, e = predicted[t], P, Y[t].copy()
    if slots[t] >= 0:
        P_t = covs[slots[t]]
    y = _transform(C, x)
    for i in range(len(e)):
        e[i] -= y[i]
    seen = present(e)
    Co, L, F = steady
    fast = slots[t] < 0 and len(seen) == len(e)
    if not fast:
        Co, L, F = _loop(P_t, A, At, C, R, cross, seen)
    r = _back_mean(r, e, seen, Co, L, F)
    if want and not (fast and frozen >= 2):
        new = _back_information(N, Co, L, F)
        frozen = frozen + 1 if _unchanged(new, N) else 0
        N = new
    if not fast:
        frozen = 0
    mean = x.copy()
    add_product(mean, P_t, r)
    return r, N, frozen, mean, P_t, F


@njit
def _smoothed_covariance(P, N):
    """P - P N P."""
    out = P.copy()
    add(out, -1.0, multiply(multiply(P, N), P))
    symmetrise(out)
    return out


@njit
def smooth_rows(Y, predicted, slots, covs, P, A, At, C, R, cross, states, covariances):
    """Smoothed means, and covariances where ``covariances`` has rows (de Jong 1989).

    With r = 0 and N = 0 after the last row, ``r <- C'S^{-1}e + F'r``, ``N <- C'S^{-1}C + F'NF``
    with ``F = A - K C``, K the gain of the predictor; then x + P r and P - P N P. P is never
    inverted.
    """
    T, n = predicted.shape
    want, frozen = len(covariances) > 0, 0
    r, N, smoothed = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    steady = _loop(P, A, At, C, R, cross, np.arange(len(C)))
    for t in range(T - 1, -1, -1):
        before = frozen
        r, N, frozen, x, P_t, _F = _smooth_to(
            t, Y, predicted, slots, covs, P, A, At, C, R, cross, steady, r, N, want, frozen
        )
        states[t] = x
        if want:
            if not (before >= 2 and frozen >= 2):
                smoothed = _smoothed_covariance(P_t, N)
            covariances[t] = smoothed


@njit
def _add_outputs(y, x, P, C, R, vv, vx):
    """Add E[v v'] and E[v x'] of a row, with v = y - C x.

    What is missing of v follows from the rest by its regression on it.
    """
    o, seen = len(R), present(y)
    m = len(seen)
    if m == 0:
        add(vv, 1.0, R)
        return
    Co = pick(C, seen, np.arange(len(x)))
    v, told = np.empty(m), _transform(Co, x)
    for a in range(m):
        v[a] = y[seen[a]] - told[a]
    CP = multiply(Co, P)
    squares = multiply(CP, turn(Co))
    _add_outer(squares, v, v)
    cross = pick(R, seen, np.arange(o))
    D = cross.copy()
    if m == o:
        for i in range(o):
            for j in range(o):
                D[i, j] = 1.0 if i == j else 0.0
    else:
        L = pick(R, seen, seen)
        cholesky(L)
        solve_lower(L, D)
        left = multiply(turn(D), D)
        add(vv, 1.0, R)
        add(vv, -1.0, left)
        solve_lower_transposed(L, D)
    turned = turn(D)
    add(vv, 1.0, multiply(multiply(turned, squares), D))
    for a in range(m):
        for j in range(len(x)):
            CP[a, j] = v[a] * x[j] - CP[a, j]
    add(vx, 1.0, multiply(turned, CP))


@njit
def row_moments(Y, U, predicted, slots, covs, P, A, At, B, C, R, ww, wx, xx, vv, vx, xx_all):
    """Add up what the M step needs, from a smoothed series; w and v are independent.

    With w = x[t + 1] - A x[t] - B u[t] and v = y[t] - C x[t]: E[w w'], E[w x'], E[x x'] over the
    pairs of rows, and E[v v'], E[v x'], E[x x'] over all rows.
    """
    T, n = predicted.shape
    r, N, frozen = np.zeros(n), np.zeros((n, n)), 0
    after, after_P, after_cov = r, N, N  # of the next row: mean, predicted and smoothed covariance
    noise, slope, smoothed = N, N, N
    cross = np.empty((0, len(C)))
    steady = _loop(P, A, At, C, R, cross, np.arange(len(C)))
    for t in range(T - 1, -1, -1):
        before, next_N = frozen, N
        r, N, frozen, x, P_t, F = _smooth_to(
            t, Y, predicted, slots, covs, P, A, At, C, R, cross, steady, r, N, True, frozen
        )
        fresh = not (before >= 2 and frozen >= 2)
        if fresh:
            after_cov = smoothed
            smoothed = _smoothed_covariance(P_t, N)
        if t < T - 1:
            if fresh:  # Cov(x[t + 1], x[t]) = (I - P[t + 1] N) F P[t]
                lag = multiply(F, P_t)
                add(lag, -1.0, multiply(after_P, multiply(next_N, lag)))
                slope = lag.copy()
                add(slope, -1.0, multiply(A, smoothed))
                noise = after_cov.copy()
                add(noise, -1.0, multiply(A, turn(lag)))
                add(noise, -1.0, multiply(slope, At))
            w, driven = _transform(A, x), _transform(B, U[t])
            for i in range(n):
                w[i] = after[i] - w[i] - driven[i]
            add(ww, 1.0, noise)
            _add_outer(ww, w, w)
            add(wx, 1.0, slope)
            _add_outer(wx, w, x)
            add(xx, 1.0, smoothed)
            _add_outer(xx, x, x)
        add(xx_all, 1.0, smoothed)
        _add_outer(xx_all, x, x)
        _add_outputs(Y[t], x, smoothed, C, R, vv, vx)
        after, after_P = x, P_t
