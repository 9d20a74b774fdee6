"""The Cholesky factor variant of quadratic ADI, in residual form."""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from lmmfit.riccati.errors import NotBoundedRealError
from lmmfit.riccati.shifted_solver import ShiftedSolver

__all__ = ["FactorIteration", "cfqadi"]


@dataclass(eq=False)
class FactorIteration:
    """Where the iteration stands.

    Attributes
    ----------
    residual : ndarray of shape (n, p)
        R: the residual of the equation is R R', exactly.
    feedback : ndarray of shape (n, m)
        E' X B.
    blocks : list of ndarray of shape (n, k)
        Z: X is the sum of their products with their transposes.
    shifts : list of float or complex
        Those used; of a complex pair the one with the positive imaginary part.
    history : list of float
        Norm of the residual after each shift, relative to that of C'C.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import FactorIteration
    >>> start = FactorIteration(np.ones((2, 1)), np.zeros((2, 1)), [])
    >>> start.Z.shape, start.shifts
    ((2, 0), [])
    """

    residual: np.ndarray
    feedback: np.ndarray
    blocks: list
    shifts: list = field(default_factory=list)
    history: list = field(default_factory=list)

    @property
    def Z(self):
        """The factor so far."""
        n = len(self.residual)
        return np.hstack(self.blocks) if self.blocks else np.empty((n, 0))


def cfqadi(A, B, C, sign, next_shift, *, E=None, tol=1e-12, max_iter=500, start=None, kept=0):
    """Solve ``A'XE + E'XA + sign E'XBB'XE + C'C = 0`` for a factor, X = Z Z'.

    The iterates are those of CFQADI (Wong and Balakrishnan, equation 12) in the form of Benner,
    Bujanovic, Kuerschner and Saak (2018): Z grows by the new columns alone, each shift takes
    p + m solutions, and the residual is known from p columns. A complex shift stands for itself
    and its conjugate; everything stays real.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    sign : {1, -1}
    next_shift : callable
        Called with the :class:`FactorIteration`; a number with a negative real part.
    tol : float
        Norm of the residual relative to that of C'C.
    max_iter : int
        Shifts.
    start : FactorIteration, optional
        That of an initial X which stabilises A.
    kept : int
        Factors of shifted matrices to keep.

    Returns
    -------
    FactorIteration

    Raises
    ------
    NotBoundedRealError
        With ``sign=1``, if an iterate is not positive semidefinite.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import cfqadi, cycle_shifts
    >>> A, B, C = np.diag([-1.0, -2.0]), np.ones((2, 1)), np.ones((1, 2))
    >>> it = cfqadi(A, B, C, -1, cycle_shifts([-1.0, -2.0]))
    >>> bool(np.allclose(it.residual @ it.residual.T, 0.0, atol=1e-12)), it.Z.shape[0]
    (True, 2)
    """
    solver = ShiftedSolver(A, E, kept)
    it = start or FactorIteration(C.T.copy(), np.zeros_like(B), [])
    scale = max(np.linalg.norm(C @ C.T, 2), 1e-300)
    while len(it.shifts) < max_iter:
        if it.history and it.history[-1] <= tol:
            break
        shift = next_shift(it) if kept else solver.nearest(next_shift(it))
        step = _pair_step if np.iscomplexobj(shift) else _real_step
        W, gain, change = step(solver, B, sign, shift, it)
        EW = W if E is None else E.T @ W
        it.blocks.append(W)
        it.residual = it.residual + EW @ change
        it.feedback = it.feedback + EW @ gain
        it.shifts.append(shift)
        it.history.append(float(np.linalg.norm(it.residual.T @ it.residual, 2) / scale))
        if not np.isfinite(it.history[-1]):
            break
    return it


def _solve_closed(solver, B, sign, shift, it):
    """``(A' + p E' + sign K B')^{-1} R`` by the solutions for R and K (Woodbury)."""
    p, m = it.residual.shape[1], B.shape[1]
    both = solver(shift, np.hstack([it.residual, it.feedback]))
    L, N = both[:, :p], both[:, p:]
    return L - sign * N @ np.linalg.solve(np.eye(m) + sign * B.T @ N, B.T @ L)


def _real_step(solver, B, sign, shift, it):
    """New columns W of Z; ``W'B`` for the feedback; what W adds to the residual."""
    V = np.sqrt(-2.0 * shift) * _solve_closed(solver, B, sign, shift, it)
    VB = V.T @ B
    L = _cholesky(np.eye(len(VB)) + sign / (2.0 * shift) * VB @ VB.T, shift)
    W = solve_triangular(L, V.T, lower=True).T
    change = np.sqrt(-2.0 * shift) * solve_triangular(L, np.eye(len(L)), lower=True)
    return W, W.T @ B, change


def _pair_step(solver, B, sign, shift, it):
    """The same for a shift and its conjugate, in real numbers."""
    a, b, q = shift.real, shift.imag, abs(shift)
    V = np.sqrt(-2.0 * a) * _solve_closed(solver, B, sign, shift, it)
    p, both = V.shape[1], np.hstack([V.real, V.imag])
    Vr, Vi = both[:, :p].T @ B, both[:, p:].T @ B
    F1 = np.vstack([-a / q * Vr - b / q * Vi, b / q * Vr - a / q * Vi])
    F2 = np.vstack([Vr, Vi])
    F3 = np.vstack([b / q * np.eye(p), a / q * np.eye(p)])
    Y = np.diag(np.r_[np.ones(p), np.full(p, 0.5)]) - 0.5 * F3 @ F3.T
    Y += sign / (4.0 * a) * (F1 @ F1.T + F2 @ F2.T)
    L = _cholesky(Y, shift)
    W = solve_triangular(L, both.T, lower=True).T
    change = np.sqrt(-2.0 * a) * solve_triangular(L, np.eye(2 * p)[:, :p], lower=True)
    return W, W.T @ B, change


def _cholesky(Y, shift):
    try:
        return np.linalg.cholesky(0.5 * (Y + Y.T))
    except np.linalg.LinAlgError:
        raise NotBoundedRealError(
            "C (s - A)^-1 B is not bounded real, its norm is not below 1: the step with the shift "
            f"{shift:.6g} leaves no positive semidefinite X. The equation with the plus sign has "
            "no stabilizing solution."
        ) from None
