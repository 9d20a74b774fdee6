"""Kernels of Gibbs sampling: sweeps over the free units, sums of what they show."""

import numpy as np

from lmmfit._jit import njit

__all__ = ["sweep_units"]


@njit
def _on(x):
    """Probability of a unit with -x_i / T = x: sigma(x), without overflow."""
    if x >= 0:
        return 1.0 / (1.0 + np.exp(-x))
    e = np.exp(x)
    return e / (1.0 + e)


@njit(fastmath=True)
def sweep_units(W, V, state, uniforms, free, conditional, pair_sums, moved_sums, on_sums, sums):
    """Sweep over the free units, adding up statistics of the state after each sweep.

    Parameters
    ----------
    W : ndarray of shape (n, n)
        Weights / -T: symmetric, zero diagonal.
    V : ndarray of shape (n, n)
        The same for the direction v; of shape (0, 0) without one.
    state : ndarray of shape (n,)
        Units on or off, 1 or 0; overwritten by the last state.
    uniforms : ndarray of shape (sweeps, len(free))
        A unit goes on where its number is below its probability.
    free : ndarray of int
        Units that are not clamped.
    conditional : bool
        Whether a free unit counts with its probability of being on, given all others.
    pair_sums, moved_sums : ndarray of shape (n, n)
        Added to row i where s_i is 1: p_j of the second unit, and p_j (D + (1 - s_j) dD_j). A
        size of 0 keeps ``pair_sums``, and with it all sums, out: for the burn-in.
    on_sums, sums : ndarray of shape (n,)
        Added to: s_i and p_i.
    """
    n = W.shape[0]
    x, p, gap, moved = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        if state[i] > 0:
            for j in range(n):
                x[j] += W[i, j]
    for sweep in range(uniforms.shape[0]):
        for f in range(free.shape[0]):
            i = free[f]
            new = 1.0 if uniforms[sweep, f] < _on(x[i]) else 0.0
            if new != state[i]:
                change = new - state[i]
                state[i] = new
                for j in range(n):
                    x[j] += change * W[i, j]
        if pair_sums.size == 0:
            continue
        p[:] = state
        if conditional:
            for f in range(free.shape[0]):
                p[free[f]] = _on(x[free[f]])
        sums += p
        on_sums += state
        if V.size > 0:
            gap[:] = 0.0  # of D between unit j on and off
            for i in range(n):
                if state[i] > 0:
                    for j in range(n):
                        gap[j] += V[i, j]
            D = 0.0
            for j in range(n):
                D += 0.5 * state[j] * gap[j]
            for j in range(n):
                moved[j] = p[j] * (D + (1.0 - state[j]) * gap[j])
        for i in range(n):
            if state[i] > 0:
                for j in range(n):
                    pair_sums[i, j] += p[j]
                if V.size > 0:
                    for j in range(n):
                        moved_sums[i, j] += moved[j]
