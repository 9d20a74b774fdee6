"""The ways to the solution: each takes what is special of A, B or the pattern."""

import numpy as np
from scipy.linalg.lapack import dpotrf

from lmmfit.gains._factor_kernels import solve_and_estimate
from lmmfit.gains.gathered import gather_matrix, gather_unit, in_rows
from lmmfit.gains.general import Found, solve_square

__all__ = ["by_columns", "by_matrix", "by_product", "by_rows"]

_EPS = np.finfo(float).eps


def by_columns(pattern, A, b, r, *, symmetric):
    """B = diag(b): the columns of X do not depend on each other, A[I, I] x_j b_j = c_j.

    Parameters
    ----------
    pattern : Pattern
    A : ndarray of shape (n, n)
    b : ndarray of shape (o,)
    r : ndarray of shape (size,)
    symmetric : bool
        Whether A is.

    Returns
    -------
    Found
    """
    lines, weights = pattern.lines, b[pattern.columns]
    if symmetric and weights.all():
        try:
            return Found(lines.factor(in_rows(A)).solve(r / weights), pattern.size)
        except np.linalg.LinAlgError:
            pass  # not definite, or not beyond rounding: then as a general matrix
    x, rank, rcond, loose = np.zeros(pattern.size), 0, 1.0, None
    for J, firsts in lines.groups:
        live = weights[firsts] != 0.0
        if not live.all():
            rcond, loose = 0.0, int(firsts[~live][0])
        if not live.any():
            continue
        at = firsts[live][:, None] + np.arange(len(J))
        found = solve_square(A[np.ix_(J, J)], (r[at] / weights[at]).T)
        x[at] = found.x.T
        rank += found.rank * len(at)
        rcond = min(rcond, found.rcond)
        loose = loose if found.loose is None else int(at[0, found.loose])
    return Found(x, rank, rcond, loose)


def by_rows(pattern, a, B, r, *, symmetric):
    """A = diag(a): the rows of X do not depend on each other; the columns of the transpose.

    Parameters
    ----------
    pattern : Pattern
    a : ndarray of shape (n,)
    B : ndarray of shape (o, o)
    r : ndarray of shape (size,)
    symmetric : bool
        Whether B is.

    Returns
    -------
    Found
    """
    order = pattern.row_order
    found = by_columns(pattern.T, B.T, a, r[order], symmetric=symmetric)
    x = np.empty_like(r)
    x[order] = found.x
    return found._replace(x=x, loose=None if found.loose is None else int(order[found.loose]))


def by_product(pattern, A, B, r):
    """The entries are I x J, all of them: X[I, J] = A[I, I]^-1 C[I, J] B[J, J]^-1.

    Parameters
    ----------
    pattern : Pattern
    A : ndarray of shape (n, n)
    B : ndarray of shape (o, o)
    r : ndarray of shape (size,)

    Returns
    -------
    Found
    """
    i, j = pattern.rectangle
    left = solve_square(A[np.ix_(i, i)], r.reshape(len(j), len(i)).T)
    right = solve_square(B[np.ix_(j, j)].T, left.x.T)
    loose = None
    if left.loose is not None or right.loose is not None:
        loose = (right.loose or 0) * len(i) + (left.loose or 0)
    rank = left.rank * right.rank
    return Found(right.x.ravel(), rank, left.rcond * right.rcond, loose)


def by_matrix(pattern, A, B, r, *, definite, parallel):
    """S gathered, and factorised: Cholesky where it may be definite, otherwise LU.

    Parameters
    ----------
    pattern : Pattern
    A : ndarray of shape (n, n)
    B : ndarray of shape (o, o)
    r : ndarray of shape (size,)
    definite : bool
        Whether A and B are symmetric, and Cholesky's factorisation is tried.
    parallel : bool

    Returns
    -------
    Found
        Its ``method`` is ``cholesky`` or ``lu``.
    """
    if definite:
        found = _by_cholesky(pattern, A, B, r, parallel)
        if found is not None:
            return found
    # In columns, as LAPACK has it: the rows of S' for A', B'.
    S = gather_matrix(pattern, A.T, B.T, symmetric=False, parallel=parallel).T
    return solve_square(S, r)._replace(method="lu")


def _by_cholesky(pattern, A, B, r, parallel):
    """Of S scaled to a diagonal of ones; None if it is not definite, or not beyond rounding."""
    S, scale, norm = gather_unit(pattern, A, B, parallel=parallel)
    if S is None:
        return None
    L, info = dpotrf(S.T, lower=1, overwrite_a=1, clean=0)
    if info:
        return None
    x = r.copy()
    rcond = solve_and_estimate(L.T, scale, norm, x)
    if not rcond >= len(S) * _EPS:
        return None
    return Found(x, len(r), rcond, method="cholesky")
