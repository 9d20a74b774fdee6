"""Stein's equation P = F P F' + W by Smith's doubling, and the proof that F is stable."""

import numpy as np
from scipy.sparse import csr_array, issparse

from lmmfit.gains.errors import UnstableGainError
from lmmfit.gains.products import congruence, spectral_radius
from lmmfit.gains.sparse_rows import Rows
from lmmfit.riccati.checks import as_square, as_symmetric
from lmmfit.riccati.doubling import without_dust

__all__ = ["SmithPowers", "solve_stein"]

_REST = 1e-17  # squared norm of a power of F at which what follows is below rounding
_DOUBLINGS = 48  # a loop that has not decayed after 2^48 steps is not stable
_THIN = 0.02  # share of nonzeros up to which products with a sparse power pay


class SmithPowers:
    """The powers F, F^2, F^4, ... of a loop, until they vanish; kept for several equations.

    Parameters
    ----------
    F : ndarray, csr_array or Rows of shape (n, n)

    Attributes
    ----------
    stable : bool
        Whether a power has a norm below 1, which proves that the spectral radius is. A trace
        above n disproves it.
    """

    def __init__(self, F):
        self.powers = []
        self.stable = self._collect(F.csr() if isinstance(F, Rows) else F)

    def _collect(self, F):
        n = F.shape[0]
        power = F
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(_DOUBLINGS):
                size = _squared_norm(power)
                if size <= _REST:
                    return True
                if not np.isfinite(size) or abs(power.trace()) > n * (1.0 + 1e-9):
                    return False
                self.powers.append(power)
                power = _square(power)
        return False

    def solve(self, W):
        """P = F P F' + W.

        Parameters
        ----------
        W : ndarray of shape (n, n)
            Symmetric.

        Returns
        -------
        ndarray of shape (n, n)
        """
        P = W
        for power in self.powers:
            P = congruence(power, P, P)
        return 0.5 * (P + P.T)

    def solve_adjoint(self, V):
        """L = F' L F + V.

        Parameters
        ----------
        V : ndarray of shape (n, n)
            Symmetric.

        Returns
        -------
        ndarray of shape (n, n)
        """
        L = V
        for power in self.powers:
            L = congruence(csr_array(power.T) if issparse(power) else power.T, L, L)
        return 0.5 * (L + L.T)


def _squared_norm(M):
    data = M.data if issparse(M) else M.reshape(-1)
    return float(data @ data)


def _square(M):
    """M M; dense once it is no longer thin, and without subnormal numbers."""
    if not issparse(M):
        return without_dust(M @ M)
    square = csr_array(M @ M)
    return square if square.nnz <= _THIN * M.shape[0] ** 2 else square.toarray()


def solve_stein(F, W):
    """Solve P = F P F' + W, the steady covariance of x[t + 1] = F x[t] + w.

    The sum of F^j W F'^j is doubled: P <- P + F P F', F <- F F (Smith 1968), until a power of F
    has vanished. That F is stable is thereby proven.

    Parameters
    ----------
    F : array-like or sparse array of shape (n, n)
    W : array-like of shape (n, n)
        Symmetric.

    Returns
    -------
    P : ndarray of shape (n, n)
    doublings : int

    Raises
    ------
    UnstableGainError
        If F is not stable: there is no steady covariance.
    ValueError
        If a matrix has a wrong shape, or W is not symmetric.

    References
    ----------
    Smith, R. A. (1968). Matrix equation XA + BX = C. SIAM Journal on Applied Mathematics 16(1).

    Examples
    --------
    >>> from lmmfit.gains import solve_stein
    >>> P, doublings = solve_stein([[0.5]], [[3.0]])
    >>> P.round(12), doublings
    (array([[4.]]), 5)
    """
    F = as_square(F, "F", sparse=True)
    F = csr_array(F) if issparse(F) else F
    W = as_symmetric(W, "W", F.shape[0])
    found = SmithPowers(F)
    if not found.stable:
        radius = spectral_radius(F)
        raise UnstableGainError(f"F is not stable: its spectral radius is {radius:.6g}.", radius)
    return found.solve(W), len(found.powers)
