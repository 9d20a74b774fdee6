"""Shifts from the Hamiltonian of the residual equation, as the iteration goes."""

import numpy as np
from scipy.linalg import eigvals

from lmmfit.riccati.certificate import typical_size
from lmmfit.riccati.shifts import cycle_shifts, named_shifts, penzl_shifts

__all__ = ["HamiltonianShifts", "factor_shifts"]

_WIDEST = 48  # columns, times those of C, to project on
_FLAT = 1e-10  # real part, relative to the size, of a shift that damps nothing


def factor_shifts(A, B, C, sign, shifts, *, E=None, stable=False):
    """What :func:`cfqadi` is to be called with for a choice of shifts.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default.
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    sign : {1, -1}
    shifts : {"auto", "hamiltonian", "single", "penzl"} or list of float or complex
    stable : bool, default=False
        As for :class:`HamiltonianShifts`.

    Returns
    -------
    following : callable
        The next shift.
    kept : int
        Factors to keep: as many as there are shifts, where they come again.
    """
    if isinstance(shifts, str) and shifts in ("auto", "hamiltonian"):
        return HamiltonianShifts(A, B, C, sign, E=E, stable=stable), 0
    chosen = named_shifts(A, B, C, sign, shifts, E=E)
    return cycle_shifts(chosen), len(chosen)


class HamiltonianShifts:
    """Shifts from the Hamiltonian of the residual equation, projected on the latest columns.

    Of its stable eigenvalues the one whose eigenvector (r; q) has the largest ``|q|^2 / |q'Er|``
    (Benner, Bujanovic, Kuerschner and Saak 2018).

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    sign : {1, -1}
    columns : int, optional
        Columns of Z to project on; 2 p by default. Where 20 shifts have not reduced the residual
        by ten, ever wider spaces take turns with narrow ones, of p columns for real shifts.
    stable : bool, default=False
        Whether A is known to be stable, so that its Ritz values may stand in for shifts that damp
        nothing. Systems of second order that show positions only begin with such: projected on C'
        their A is 0.

    References
    ----------
    Benner, P., Bujanovic, Z., Kuerschner, P. and Saak, J. (2018). RADI: a low-rank ADI-type
    algorithm for large scale algebraic Riccati equations. Numerische Mathematik 138.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import HamiltonianShifts, cfqadi
    >>> A, B, C = np.diag([-1.0, -2.0]), np.ones((2, 1)), np.ones((1, 2))
    >>> it = cfqadi(A, B, C, -1, HamiltonianShifts(A, B, C, -1))
    >>> it.history[-1] < 1e-12
    True
    """

    def __init__(self, A, B, C, sign, *, E=None, columns=None, stable=False):
        self.A, self.B, self.sign, self.E = A, B, sign, E
        self.outputs, self.turned = len(C), 0
        self.first = 2 * len(C) if columns is None else columns
        self.columns = self.wide = self.first
        self.stable, self.ritz = stable, []

    def __call__(self, it):
        """The next shift."""
        if len(it.history) - self.turned >= 20 and it.history[-1] > 0.1 * it.history[-20]:
            self._turn(it)
        shift = self._projected(it)
        if not self.stable or np.real(shift) < -_FLAT * abs(shift):
            return shift
        if not self.ritz:
            self.ritz = penzl_shifts(self.A, 6, E=self.E)
        return self.ritz[len(it.shifts) % len(self.ritz)]

    def _projected(self, it):
        U = self._basis(it)
        UA = U.T @ (self.A @ U) + self.sign * (U.T @ self.B) @ (it.feedback.T @ U)
        UE = np.eye(U.shape[1]) if self.E is None else U.T @ (self.E @ U)
        UB, UR = U.T @ self.B, U.T @ it.residual
        k = len(UA)
        upper = np.hstack([UA, self.sign * UB @ UB.T])
        lower = np.hstack([-UR @ UR.T, -UA.T])
        if self.E is not None:
            upper, lower = np.linalg.solve(UE, upper), np.linalg.solve(UE.T, lower)
        values, vectors = np.linalg.eig(np.vstack([upper, lower]))
        r, q = vectors[:k], vectors[k:]
        with np.errstate(all="ignore"):
            weight = np.sum(np.abs(q) ** 2, axis=0) / np.abs(np.sum(q.conj() * (UE @ r), axis=0))
        edge = -1e-12 * np.abs(values).max(initial=0.0)
        good = np.isfinite(values) & (values.real < edge) & np.isfinite(weight)
        if not good.any():
            values = eigvals(UA, UE)
            values = np.where(values.real < 0, values, -np.abs(values))
            weight, good = np.abs(values), np.isfinite(values)
        if not good.any() or not np.abs(values[good]).max() > 0:
            return it.shifts[-1] if it.shifts else -typical_size(self.A, self.E)
        p = complex(values[good][np.argmax(weight[good])])
        if abs(p.imag) <= 1e-8 * abs(p):
            return p.real
        return complex(p.real, abs(p.imag))

    def _turn(self, it):
        """Leave a space that leads nowhere: the narrow one for one twice as wide, or for it."""
        if self.columns == self.wide:
            oscillating = any(np.iscomplexobj(p) for p in it.shifts[-20:])
            self.columns = self.first if oscillating else self.outputs
            self.wide = min(2 * self.wide, _WIDEST * self.outputs)
        else:
            self.columns = self.wide
        self.turned = len(it.history)

    def _basis(self, it):
        columns, count = [], 0
        for block in reversed(it.blocks):
            columns.append(block)
            count += block.shape[1]
            if count >= self.columns:
                break
        last = np.hstack(columns)[:, : self.columns] if columns else it.residual
        Q, R = np.linalg.qr(last)
        kept = np.abs(np.diag(R)) > 1e-12 * np.abs(np.diag(R)).max(initial=1e-300)
        return Q[:, kept] if kept.any() else Q[:, :1]
