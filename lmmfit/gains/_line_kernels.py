"""Many small positive definite systems, each of a few rows of one matrix."""

import numpy as np

from lmmfit._jit import njit

__all__ = ["factor_lines", "solve_lines"]


@njit
def factor_lines(M, sets, set_starts, factor_starts, rounding, factors):
    """Cholesky factors of M[J, J] for each set J, row-major one after another.

    Returns the number of the first set whose block is not definite beyond rounding, or -1. A
    pivot no larger than ``rounding`` times the block's order, relative to its diagonal element,
    is rounding.
    """
    for g in range(len(set_starts) - 1):
        first, base = set_starts[g], factor_starts[g]
        m = set_starts[g + 1] - first
        for a in range(m):
            row, line = base + a * m, M[sets[first + a]]
            for b in range(a + 1):
                other = base + b * m
                s = line[sets[first + b]]
                for c in range(b):
                    s -= factors[row + c] * factors[other + c]
                if b < a:
                    factors[row + b] = s / factors[other + b]
                else:
                    if not s > rounding * m * line[sets[first + a]]:
                        return g
                    factors[row + a] = np.sqrt(s)
    return -1


@njit
def solve_lines(factors, factor_starts, set_starts, members, member_starts, values):
    """Solve M[J, J] x = r for each line with the set J; x takes the place of r in ``values``.

    ``members`` says where the values of a line begin.
    """
    for g in range(len(set_starts) - 1):
        base = factor_starts[g]
        m = set_starts[g + 1] - set_starts[g]
        for k in range(member_starts[g], member_starts[g + 1]):
            at = members[k]
            for a in range(m):
                row = base + a * m
                s = values[at + a]
                for c in range(a):
                    s -= factors[row + c] * values[at + c]
                values[at + a] = s / factors[row + a]
            for a in range(m - 1, -1, -1):
                row = base + a * m
                s = values[at + a] / factors[row + a]
                values[at + a] = s
                for c in range(a):
                    values[at + c] -= factors[row + c] * s
