"""Doubling with factors: one product of large matrices a step where B and C have few columns."""

from dataclasses import dataclass

import numpy as np
from numpy.linalg import solve
from scipy.linalg import eigh
from scipy.linalg.lapack import dgetrf, dgetri, dgetri_lwork

from lmmfit.riccati.doubling import next_change, without_dust
from lmmfit.riccati.errors import NotBoundedRealError

__all__ = ["FactoredMap", "double_factored", "factored_qadi_map"]

_CUT = 1e-8  # singular value, relative to the largest, that is dropped: X loses its square


@dataclass(frozen=True, eq=False)
class FactoredMap:
    """The map X -> V V' + a' X (I - sign U U' X)^{-1} a: see :class:`RiccatiMap`.

    Parameters
    ----------
    a : ndarray of shape (n, n)
    U : ndarray of shape (n, j)
    V : ndarray of shape (n, k)
    sign : {1, -1}

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import double_factored, factored_qadi_map
    >>> one = np.ones((1, 1))
    >>> step = factored_qadi_map(-one, one, one, -1, -1.0)
    >>> V, history, last = double_factored(step, tol=1e-15, max_iter=20)
    >>> (V @ V.T).round(12)
    array([[0.41421356]])
    """

    a: np.ndarray
    U: np.ndarray
    V: np.ndarray
    sign: int

    def doubled(self):
        """The map applied twice."""
        a, U, s = self.a, self.U, self.sign
        M, aU = U.T @ self.V, a @ U
        # (I - s U U' V V')^{-1} = I + s U (I - s M M')^{-1} M V', M = U'V, where
        # N N' = I - s M M'.
        N = _root(np.eye(U.shape[1]) - s * M @ M.T)
        middle = solve(N.T, solve(N, M @ (self.V.T @ a)))
        return FactoredMap(
            without_dust(a @ a + s * aU @ middle),
            _compress(np.hstack([U, solve(N, aU.T).T])),
            self.doubled_factor(),
            s,
        )

    def slope(self, V):
        """``(I - sign U U' X)^{-1} a`` at X = V V'.

        At the fixed point a change D of X becomes T' D T, T being this. Its eigenvalues are powers
        of those of the closed loop's Cayley transform: a norm below 1 proves the loop stable.

        Parameters
        ----------
        V : ndarray of shape (n, k)

        Returns
        -------
        ndarray of shape (n, n)
        """
        a, U, s = self.a, self.U, self.sign
        M = U.T @ V
        return a + s * U @ solve(np.eye(len(M)) - s * M @ M.T, M @ (V.T @ a))

    def doubled_factor(self):
        """V of the map applied twice."""
        a, V, s = self.a, self.V, self.sign
        M = self.U.T @ V
        L = _root(np.eye(V.shape[1]) - s * M.T @ M)
        return _compress(np.hstack([V, solve(L, V.T @ a).T]))


def factored_qadi_map(A, B, C, sign, shift):
    """The map of one step of quadratic ADI, in factors (equations 11 and 12).

    Parameters
    ----------
    A : ndarray of shape (n, n)
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    sign : {1, -1}
    shift : float
        Below 0.

    Returns
    -------
    FactoredMap

    Raises
    ------
    NotBoundedRealError
        With ``sign=1``, if the gain at the shift is not below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import factored_qadi_map, qadi_map
    >>> A, B, C = np.diag([-1.0, -2.0]), np.ones((2, 1)), np.ones((1, 2))
    >>> factored, plain = (f(A, B, C, -1, -1.5) for f in (factored_qadi_map, qadi_map))
    >>> bool(np.allclose(factored.V @ factored.V.T, plain.h))
    True
    """
    S = _inverse(A, shift)
    SB, SC = without_dust(S) @ B, S.T @ C.T
    F = C @ SB
    L = _root(np.eye(len(C)) - sign * F @ F.T)
    N = _root(np.eye(B.shape[1]) - sign * F.T @ F)
    V = np.sqrt(-2.0 * shift) * solve(L, SC.T).T
    U = np.sqrt(-2.0 * shift) * solve(N, SB.T).T
    gain = solve(L.T, solve(L, SC.T))
    S *= -2.0 * shift
    S -= 2.0 * shift * sign * (SB @ (F.T @ gain))
    S[np.diag_indices(len(S))] += 1.0
    return FactoredMap(without_dust(S), without_dust(U), without_dust(V), sign)


def double_factored(step, *, tol, max_iter):
    """Compose a map with itself until the image of zero no longer changes.

    Parameters
    ----------
    step : FactoredMap
    tol : float
        Change of V V', relative to its size, that the next doubling would bring: see
        :func:`next_change`.
    max_iter : int

    Returns
    -------
    V : ndarray of shape (n, k)
        The image of zero is V V'.
    history : list of float
        Relative change of each doubling.
    map : FactoredMap
        The last that was formed, of which V may be one doubling ahead.

    Raises
    ------
    NotBoundedRealError
        With ``sign=1``, if an iterate is not positive semidefinite.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import FactoredMap, double_factored
    >>> one = np.ones((1, 1))
    >>> double_factored(FactoredMap(one, one, one, -1), tol=1e-12, max_iter=9)[0].round(6)
    array([[1.27202]])
    """
    history = []
    for _ in range(max_iter):
        # Of what is expected to be the last doubling V alone is wanted.
        last = len(history) > 1 and next_change(history, steps=2) <= tol
        new = None if last else step.doubled()
        V = step.doubled_factor() if last else new.V
        history.append(_growth(V, step.V))
        if not np.isfinite(history[-1]) or next_change(history) <= tol:
            return V, history, step if new is None else new
        step = step.doubled() if new is None else new
    return step.V, history, step


def _growth(V, before):
    """Growth of the trace of V V', relative to it."""
    size = np.vdot(V, V)
    return float(abs(size - np.vdot(before, before)) / max(size, 1e-300))


def _inverse(A, shift):
    """Inverse of A + shift I."""
    shifted = np.array(A, order="F")
    shifted[np.diag_indices(len(A))] += shift
    lu, pivots, failed = dgetrf(shifted, overwrite_a=1)
    if not failed:
        work = int(dgetri_lwork(len(A))[0])
        inverse, failed = dgetri(lu, pivots, lwork=work, overwrite_lu=1)
    if failed:
        raise np.linalg.LinAlgError(f"A + p I is singular for the shift p = {shift:.6g}")
    return inverse


def _root(M):
    try:
        return np.linalg.cholesky(0.5 * (M + M.T))
    except np.linalg.LinAlgError:
        raise NotBoundedRealError(
            "C (s - A)^-1 B is not bounded real, its norm is not below 1: an iterate is not "
            "positive semidefinite. The equation with the plus sign has no stabilizing solution."
        ) from None


def _compress(V):
    """The same V V' from as few columns as rounding allows: those of V times an orthogonal matrix.

    The eigenvalues of V'V are known to rounding of the largest, and so is V V' without them.
    """
    values, vectors = eigh(V.T @ V, check_finite=False, driver="evd")
    kept = values > _CUT**2 * values.max(initial=0.0)
    return without_dust(V @ vectors[:, kept] if kept.any() else V[:, :1].copy())
