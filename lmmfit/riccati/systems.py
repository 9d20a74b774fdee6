"""Systems as the filters take them: matrices checked, E folded, noises made independent."""

import numpy as np
from scipy.linalg import cho_solve, lu_factor, lu_solve, solve_triangular
from scipy.sparse import issparse

from lmmfit.riccati.checks import (
    as_dense,
    as_matrix,
    as_square,
    as_symmetric,
    check_definite,
    check_descriptor,
    check_semidefinite,
    semidefinite_root,
    thin_root,
)

__all__ = ["check_system", "fold_descriptor", "uncorrelated"]


def check_system(A, C, Q, R, B=None, S=None, *, sparse=False):
    """The matrices, contiguous, symmetric and definite as they must be.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
    R : array-like or sparse array of shape (o, o)
    B : array-like or sparse array of shape (n, k), optional
    S : array-like or sparse array of shape (n, o), optional
        Covariance of w and v.
    sparse : bool, default=False
        Whether a sparse A may stay one.

    Returns
    -------
    A, C, Q, R, B, S : ndarray
        B without columns, and S zero, where they were not given.

    Raises
    ------
    ValueError
        If one is wrong.
    """
    A = as_square(A, "A", sparse=sparse)
    n = A.shape[0]
    C = as_matrix(C, "C", (None, n))
    o = len(C)
    Q, R = as_symmetric(Q, "Q", n), as_symmetric(R, "R", o)
    check_semidefinite(Q, "Q")
    root = check_definite(R, "R")
    B = np.zeros((n, 0)) if B is None else as_matrix(B, "B", (n, None))
    if S is None:
        S = np.zeros((n, o))
    else:
        S = as_matrix(S, "S", (n, o))
        check_semidefinite(np.block([[Q, S], [S.T, R]]), "[Q S; S' R]")
        _check_remainder(Q, S, root)
    A = A if issparse(A) else np.ascontiguousarray(A)
    return (A, *(np.ascontiguousarray(M) for M in (C, Q, R, B, S)))


def _check_remainder(Q, S, root):
    """Refuse a Q - S R^-1 S' below zero, which hides in [Q S; S' R] beside a large R."""
    values = np.linalg.eigvalsh(_remainder(Q, S, root))
    rounding = max(1e-12, 1e-15 * np.linalg.cond(root))
    if values[0] < -rounding * len(Q) * np.linalg.norm(Q):
        raise ValueError(
            "[Q S; S' R] must be positive semidefinite, but the smallest eigenvalue of "
            f"Q - S R^-1 S' is {values[0]:.6g}."
        )


def _remainder(Q, S, root):
    """Q - S R^-1 S', the covariance of w given v."""
    half = solve_triangular(root, S.T, lower=True)
    return Q - half.T @ half


def fold_descriptor(E, A, Q=None, B=None, S=None):
    """The system ``x[t+1] = E^-1 A x[t] + E^-1 B u[t] + E^-1 w``, from one factorisation of E.

    Parameters
    ----------
    E : array-like or sparse array of shape (n, n)
        Not singular.
    A : ndarray of shape (n, n)
    Q : ndarray of shape (n, n), optional
    B : ndarray of shape (n, k), optional
    S : ndarray of shape (n, o), optional

    Returns
    -------
    A, Q, B, S : ndarray or None

    Raises
    ------
    ValueError
        If E is singular, or not of the shape of A.
    """
    E = check_descriptor(E, len(A))
    lu = lu_factor(as_dense(E), check_finite=False)
    A, B, S = (None if M is None else np.ascontiguousarray(lu_solve(lu, M)) for M in (A, B, S))
    if Q is not None:
        Q = lu_solve(lu, lu_solve(lu, Q).T)
        Q = 0.5 * (Q + Q.T)
    return A, Q, B, S


def uncorrelated(A, C, Q, R, S):
    """The system with ``w' = w - S R^-1 v``, independent of v, for w.

    ``A x + w = (A - S R^-1 C) x + S R^-1 y + w'``: y is known, and so does not disturb.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
    C : ndarray of shape (o, n)
    Q, R : ndarray of shape (n, n) and (o, o)
    S : ndarray of shape (n, o)

    Returns
    -------
    A : ndarray or sparse array of shape (n, n)
        ``A - S R^-1 C``.
    root : ndarray of shape (r, n)
        With ``root' root = Q - S R^-1 S'``; what is rounding beside Q is zero in it.
    """
    if not S.any():
        return A, semidefinite_root(Q, "Q", A.shape[0])
    lower = np.linalg.cholesky(R)
    remainder = _remainder(Q, S, lower)
    root = thin_root(0.5 * (remainder + remainder.T), np.linalg.norm(Q, 2))
    return as_dense(A) - S @ cho_solve((lower, True), C), root
