"""Lyapunov equations with dense matrices: doubling, and the method of Bartels and Stewart."""

import numpy as np
from scipy.linalg import lu_factor, lu_solve, solve_continuous_lyapunov

from lmmfit.riccati.checks import as_dense, few_columns
from lmmfit.riccati.lyapunov_solution import LyapunovSolution, lyapunov_residual
from lmmfit.riccati.shifts import cycle_shifts, quick_shift

__all__ = ["solve_by_doubling", "solve_by_schur"]

_CUT = 1e-16  # share of the largest singular value below which columns are dropped
_ENOUGH = 1e-24  # residual that ends doubling: it is squared by each, and R R' goes below rounding


def solve_by_doubling(A, C, E, shifts, tol, max_iter):
    """Smith's iteration: with a = T S, ``W_2k = W_k + a^k' W_k a^k``.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    C : ndarray of shape (p, n)
    shifts : str or sequence of numbers
        As in :func:`solve_lyapunov`, the first alone.
    tol : float
        Not used: each doubling squares the residual.
    max_iter : int or None

    Returns
    -------
    LyapunovSolution
        Whether it converged is for the caller to say.

    References
    ----------
    Smith, R. A. (1968). Matrix equation XA + BX = C. SIAM Journal on Applied Mathematics 16(1).
    """
    A, E, lu = _dense_pencil(A, E)
    n = len(A)
    if isinstance(shifts, str):
        shift = quick_shift(A, np.zeros((n, 1)), C)
    else:
        cycle_shifts(shifts)  # refuses those that are not in the left half plane
        shift = float(np.real(shifts[0]))
    inverse = lu_solve(lu_factor(A + shift * np.eye(n), check_finite=False), np.eye(n))
    a = np.eye(n) - 2.0 * shift * inverse
    Z = np.sqrt(-2.0 * shift) * (C @ inverse).T
    W = None if few_columns(len(C), n) else Z @ Z.T
    scale, history = max(np.linalg.norm(C @ C.T, 2), 1e-300), []
    for _ in range(max_iter or 60):
        Ca = C @ a  # of 2^k steps: their residual is (C a)'(C a)
        history.append(float(np.linalg.norm(Ca @ Ca.T, 2) / scale))
        if history[-1] <= _ENOUGH or not np.isfinite(history[-1]):
            break
        if W is None:
            Z = _thin(np.hstack([Z, a.T @ Z]))
        else:
            W = W + a.T @ W @ a
        a = a @ a
    V = Z @ Z.T if W is None else 0.5 * (W + W.T)
    residual = lyapunov_residual(A, C, None, V)
    if lu is not None:  # V = E'WE
        Z = lu_solve(lu, Z, trans=1)
        V = lu_solve(lu, lu_solve(lu, V, trans=1).T, trans=1)
    Z = Z if W is None else None
    return LyapunovSolution(residual, False, len(history), [shift], history, "doubling", Z, V)


def solve_by_schur(A, C, E, shifts, tol, max_iter):
    """The method of Bartels and Stewart, by SciPy.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    C : ndarray of shape (p, n)
    shifts : str or sequence of numbers
        As in :func:`solve_lyapunov`, not used.
    tol : float
        Not used.
    max_iter : int or None
        Not used.

    Returns
    -------
    LyapunovSolution
        Whether it converged is for the caller to say.

    References
    ----------
    Bartels, R. H. and Stewart, G. W. (1972). Solution of the matrix equation AX + XB = C.
    Communications of the ACM 15(9).
    """
    A, E, lu = _dense_pencil(A, E)
    V = solve_continuous_lyapunov(A.T, -C.T @ C)
    residual = lyapunov_residual(A, C, None, V)
    V = V if lu is None else lu_solve(lu, lu_solve(lu, V, trans=1).T, trans=1)
    W = 0.5 * (V + V.T)
    return LyapunovSolution(residual, False, 1, [], [residual], "schur", None, W)


def _dense_pencil(A, E):
    """``E^{-1} A``, with what leads back: its equation is that of V = E'WE."""
    A, E = as_dense(A), as_dense(E)
    if E is None:
        return A, None, None
    lu = lu_factor(E, check_finite=False)
    return lu_solve(lu, A), E, lu


def _thin(Z):
    """The same Z Z' from as few columns as rounding allows."""
    Q, R = np.linalg.qr(Z)
    left, values, _ = np.linalg.svd(R)
    kept = values > _CUT * values.max(initial=0.0)
    return Q @ (left[:, kept] * values[kept]) if kept.any() else Z[:, :1]
