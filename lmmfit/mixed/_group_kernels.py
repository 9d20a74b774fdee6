"""Kernels that sum over the groups what the criterion and its derivatives need.

Notation and layout are those of :mod:`lmmfit.mixed._factor_kernels`. The work array holds,
for each group of a block, K, the pivots, T, Q, B (before it: L^-1 Lambda') and E (before it:
A), in this order.
"""

from lmmfit._jit import njit
from lmmfit.mixed._factor_kernels import factor_block, log_pivots
from lmmfit.mixed._reduce_kernels import (
    add_cross,
    add_gram,
    reduce_block,
    square_block,
)
from lmmfit.mixed._subtract_kernels import (
    gradient_two_effects,
    subtract_block,
    value_two_effects,
)

BLOCK = 496  # groups; no power of two, or rows of the work array would share cache sets


@njit
def work_rows(q, c):
    """Rows of the work array for q effects and c columns [X y]; each has BLOCK entries."""
    count = q * (q + 1) // 2
    return 3 * count + q + q * q + max(q * c, count)


@njit
def _block(work, c_row, size):
    """View the work array as contiguous rows, one entry for each group of a block."""
    n_rows = work_rows(c_row.shape[0], c_row.shape[1])
    return work[: n_rows * size].reshape((n_rows, size))


@njit(fastmath=True)
def _weighted_sum(x, multiplicity, lo):
    s = 0.0
    if multiplicity.size:
        for g in range(x.size):
            s += multiplicity[lo + g] * x[g]
    else:
        for g in range(x.size):
            s += x[g]
    return s


@njit(fastmath=True)
def group_sums(with_gradient, rows, g_row, c_row, multiplicity, lam, work, total, sum_t, sum_ee):
    """Subtract sum C'K C from total; return sum log|A|.

    For the gradient, T is added to sum_t (packed) and E x E to sum_ee (lower triangle).
    """
    q, c = c_row.shape
    count = q * (q + 1) // 2
    t_at, b_at = count + q, 3 * count + q
    e_at = b_at + q * q
    logdet = 0.0
    for lo in range(0, rows.shape[1], BLOCK):
        block = _block(work, c_row, min(BLOCK, rows.shape[1] - lo))
        e = block[e_at : e_at + q * c]
        if q == 2 and c <= 3 and multiplicity.size == 0:
            if with_gradient:
                gradient_two_effects(rows, g_row, c_row, lam, lo, block[0], e, total, sum_t)
            else:
                value_two_effects(rows, g_row, c_row, lam, lo, block[0], total)
            logdet += log_pivots(block[:1], multiplicity, lo)
        else:
            logdet += factor_block(rows, g_row, multiplicity, lam, lo, block)
            subtract_block(rows, c_row, lo, block, total)
            if with_gradient:
                reduce_block(rows, g_row, c_row, lo, block, t_at, b_at, e_at)
                for r in range(count):
                    sum_t[r] += _weighted_sum(block[t_at + r], multiplicity, lo)
        if with_gradient:
            add_gram(e, sum_ee)
    return logdet


@njit(fastmath=True)
def hessian_sums(rows, g_row, c_row, multiplicity, lam, omega, work, sum_tt, sum_tq):
    """Add T x T and T x Q with Q = E omega E' (all packed pairs)."""
    q = c_row.shape[0]
    count = q * (q + 1) // 2
    t_at, q_at = count + q, 2 * count + q
    b_at = 3 * count + q
    e_at = b_at + q * q
    for lo in range(0, rows.shape[1], BLOCK):
        block = _block(work, c_row, min(BLOCK, rows.shape[1] - lo))
        factor_block(rows, g_row, multiplicity, lam, lo, block)
        reduce_block(rows, g_row, c_row, lo, block, t_at, b_at, e_at)
        square_block(omega, q, block, e_at, block[b_at], q_at)  # B has served its turn
        t, counted = block[t_at : t_at + count], block[t_at : t_at + count]
        add_cross(t, block[q_at : q_at + count], sum_tq)
        if multiplicity.size:
            counted = block[:count]  # so has K
            for r in range(count):
                for g in range(block.shape[1]):
                    counted[r, g] = t[r, g] * multiplicity[lo + g]
        add_cross(counted, t, sum_tt)
