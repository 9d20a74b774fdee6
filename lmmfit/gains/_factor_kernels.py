"""Kernels that end a Cholesky factorisation: the solution, and how well it is determined."""

import numpy as np

from lmmfit._jit import njit

__all__ = ["solve_and_estimate"]


@njit(fastmath=True)
def solve_and_estimate(U, scale, norm, x):
    """Solve S x = r in place, with D S D = U'U of D = diag(scale), and estimate its condition.

    Returns an estimate of the reciprocal condition number of D S D, whose norm of column sums is
    ``norm``, as LAPACK's dpocon does (Higham, N. J. (1988). FORTRAN codes for estimating the
    one-norm of a real or complex matrix. ACM Transactions on Mathematical Software 14(4),
    algorithm 4.1): the norm of the inverse is that of one of its columns, and the signs of one
    say which to look at next. The vectors that are known beforehand are solved for at once.
    """
    m = len(x)
    pivots, signs, Y = np.empty(m), np.zeros(m), np.empty((3, m))
    for i in range(m):
        pivots[i] = 1.0 / U[i, i]
        Y[0, i] = scale[i] * x[i]
        Y[1, i] = 1.0 / m
        Y[2, i] = (1.0 + i / max(m - 1, 1)) * (1.0 - 2.0 * (i % 2))  # no sign pattern hides it
    _solve(U, pivots, Y)
    for i in range(m):
        x[i] = scale[i] * Y[0, i]
    least = 2.0 * np.abs(Y[2]).sum() / (3.0 * m)
    y, z, largest, last = Y[1], Y[2], np.abs(Y[1]).sum(), -1
    for _ in range(5):
        if not _take_signs(y, signs):
            break
        z[:] = signs
        _solve(U, pivots, Y[2:])
        column = np.argmax(np.abs(z))
        if column == last:
            break
        y[:] = 0.0
        y[column] = 1.0
        _solve(U, pivots, Y[1:2])
        total = np.abs(y).sum()
        if not total > largest:
            break
        largest, last = total, column
    return 1.0 / (norm * max(largest, least))


@njit
def _take_signs(y, signs):
    """Write the signs of y; whether they are others than before."""
    changed = False
    for i in range(len(y)):
        sign = 1.0 if y[i] >= 0.0 else -1.0
        changed |= sign != signs[i]
        signs[i] = sign
    return changed


@njit(fastmath=True)
def _solve(U, pivots, Y):
    """Solve U'U x = y for each row y of Y, in place; U is read by rows, pivots are 1 / U[i, i]."""
    m = len(U)
    for i in range(m):
        row = U[i, i + 1 :]
        for c in range(len(Y)):
            weight, rest = Y[c, i] * pivots[i], Y[c, i + 1 :]
            Y[c, i] = weight
            for j in range(len(row)):
                rest[j] -= weight * row[j]
    for i in range(m - 1, -1, -1):
        row = U[i, i + 1 :]
        for c in range(len(Y)):
            rest, total = Y[c, i + 1 :], 0.0
            for j in range(len(row)):
                total += row[j] * rest[j]
            Y[c, i] = (Y[c, i] - total) * pivots[i]
