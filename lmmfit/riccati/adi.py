"""Alternating direction implicit iteration for Lyapunov equations: full, and in factors."""

from dataclasses import dataclass

import numpy as np

from lmmfit.riccati.factor_iteration import cfqadi
from lmmfit.riccati.hamiltonian_shifts import factor_shifts
from lmmfit.riccati.lyapunov_solution import LyapunovSolution, lyapunov_residual
from lmmfit.riccati.shifted_solver import ShiftedSolver
from lmmfit.riccati.shifts import cycle_shifts, named_shifts

__all__ = ["solve_by_adi", "solve_by_cfadi"]


def solve_by_adi(A, C, E, shifts, tol, max_iter):
    """ADI with the full W: equations 4a and 4b in one, ``W <- S' (T' W T - 2 p C'C) S``.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    C : ndarray of shape (p, n)
    shifts : str or sequence of numbers
        As in :func:`solve_lyapunov`.
    tol : float
        Residual of the recursion, relative to C'C, at which it ends.
    max_iter : int or None

    Returns
    -------
    LyapunovSolution
        Whether it converged is for the caller to say.

    References
    ----------
    Wong, N. and Balakrishnan, V. (2005). Quadratic alternating direction implicit iteration for
    the fast solution of algebraic Riccati equations. ISPACS 2005, equations 3 to 5.
    """
    n = A.shape[0]
    by_name = isinstance(shifts, str) and shifts == "auto"
    chosen = named_shifts(A, np.zeros((n, 0)), C, -1, "penzl" if by_name else shifts, E=E)
    following, solver = cycle_shifts(chosen), ShiftedSolver(A, E, kept=2 * len(chosen))
    it = _Steps([], [])
    W, R, CC = np.zeros((n, n)), C.T, C.T @ C
    scale = max(np.linalg.norm(C @ C.T, 2), 1e-300)
    while len(it.shifts) < (max_iter or 500) and not (it.history and it.history[-1] <= tol):
        p = following(it)
        for q in (p, p.conjugate()) if np.iscomplexobj(p) else (p,):
            SY = solver(q, _right_hand_side(A, E, W, CC, q))
            W = solver(q, SY.T).T
            SR = solver(q, R)
            R = R - 2.0 * q * (SR if E is None else E.T @ SR)  # S' T' applied to what was there
        W, R = W.real, R.real  # of a pair, exactly
        it.shifts.append(p)
        it.history.append(float(np.linalg.norm(R.T @ R, 2) / scale))
        if not np.isfinite(it.history[-1]):
            break
    W = 0.5 * (W + W.T)
    residual = lyapunov_residual(A, C, E, W)
    return LyapunovSolution(
        residual, False, len(it.history), it.shifts, it.history, "adi", None, W
    )


@dataclass
class _Steps:
    shifts: list
    history: list


def _right_hand_side(A, E, W, CC, q):
    """``T' W T - 2 q C'C`` with T = A - q E."""
    WT = W @ A - q * (W if E is None else W @ E)
    return A.T @ WT - q * (WT if E is None else E.T @ WT) - 2.0 * q * CC


def solve_by_cfadi(A, C, E, shifts, tol, max_iter):
    """CFQADI without inputs: the columns of B, and with them the quadratic term, are gone.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    C : ndarray of shape (p, n)
    shifts : str or sequence of numbers
        As in :func:`solve_lyapunov`.
    tol : float
        Residual relative to C'C.
    max_iter : int or None

    Returns
    -------
    LyapunovSolution
        Whether it converged is for the caller to say.

    References
    ----------
    Li, J.-R. and White, J. (2004). Low-rank solution of Lyapunov equations. SIAM Review 46(4).
    """
    none = np.empty((A.shape[0], 0))
    following, kept = factor_shifts(A, none, C, -1, shifts, E=E, stable=True)
    it = cfqadi(A, none, C, -1, following, E=E, tol=tol, max_iter=max_iter or 500, kept=kept)
    residual = it.history[-1] if it.history else np.inf
    return LyapunovSolution(residual, False, len(it.history), it.shifts, it.history, "cfadi", it.Z)
