"""Solutions of Lyapunov equations, and their residual."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

__all__ = ["LyapunovSolution", "lyapunov_residual"]


@dataclass(frozen=True, eq=False)
class LyapunovSolution:
    """Solution of a Lyapunov equation with a stable matrix.

    Attributes
    ----------
    residual_norm : float
        Frobenius norm of the residual, relative to the sum of the norms of the equation's terms;
        for ``cfadi``, 2-norm relative to that of C'C.
    rightmost : complex
        Eigenvalue of (A, E) with the largest real part, which is below 0. Where A is dissipative,
        which proves that, it is computed when asked for.
    converged : bool
        Whether the residual is within ``tol``, or rounding.
    n_iter : int
        Steps, doublings or shifts.
    shifts : list of float or complex
        Those used; of a complex pair one.
    history : list of float
        Norm of the residual after each step relative to that of C'C, by equation 8 of Wong and
        Balakrishnan: no product with W is needed for it.
    method : str
    Z : ndarray of shape (n, k) or None
        Factor, W = Z Z'.

    Examples
    --------
    >>> from lmmfit.riccati import solve_lyapunov
    >>> solution = solve_lyapunov([[-1.0]], [[2.0]])
    >>> solution.W.round(12), solution.rightmost
    (array([[2.]]), (-1+0j))
    """

    residual_norm: float
    converged: bool
    n_iter: int
    shifts: list = field(repr=False)
    history: list = field(repr=False)
    method: str
    Z: np.ndarray | None = field(repr=False)
    _W: np.ndarray | None = field(repr=False, default=None)
    _rightmost: object = field(repr=False, default=None)

    @cached_property
    def W(self):
        """The solution, (n, n); of a factor formed when asked for."""
        return self.Z @ self.Z.T if self._W is None else self._W

    @cached_property
    def rightmost(self):
        """The eigenvalue nearest to instability."""
        return self._rightmost() if callable(self._rightmost) else self._rightmost


def lyapunov_residual(A, C, E, W):
    """Residual of ``A'WE + E'WA + C'C = 0`` relative to the sizes of its terms.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    C : ndarray of shape (p, n)
    W : ndarray of shape (n, n)

    Returns
    -------
    float
    """
    WA = W @ A if E is None else E.T @ (W @ A)
    CC = C.T @ C
    size = 2.0 * np.linalg.norm(WA) + np.linalg.norm(CC)
    return float(np.linalg.norm(WA + WA.T + CC) / max(size, 1e-300))
