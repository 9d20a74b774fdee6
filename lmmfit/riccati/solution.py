"""Solutions of Riccati equations, with what proves them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

__all__ = ["RiccatiSolution"]


@dataclass(frozen=True, eq=False)
class RiccatiSolution:
    """Stabilizing solution of an algebraic Riccati equation.

    Attributes
    ----------
    K : ndarray of shape (m, n)
        Gain: the closed loop is ``A + sign B K`` for the continuous equation, ``A - B K`` for the
        discrete one.
    residual_norm : float
        Frobenius norm of the residual, relative to the sum of the norms of the equation's terms;
        for a factor, 2-norm relative to that of C'C.
    rightmost : complex
        Eigenvalue of the closed loop with the largest real part; for the discrete equation, the
        largest size of one. It is below 0, or 1, for a solution that stabilizes. Where stability
        is proven without it, it is computed when asked for.
    converged : bool
        Whether the residual is within ``tol``, or rounding, and the closed loop is stable.
    n_iter : int
        Steps, doublings or shifts.
    shifts : list of float or complex
        Those used; of a complex pair one.
    history : list of float
        Residual, or relative change, after each step.
    method : str
    Z : ndarray of shape (n, k) or None
        Factor, X = Z Z'.
    proven : bool
        Whether the method itself has proven the closed loop stable.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import solve_care
    >>> solution = solve_care([[0.0]], [[1.0]], [[2.0]])
    >>> solution.X, solution.K, solution.rightmost
    (array([[2.]]), array([[2.]]), (-2+0j))
    """

    K: np.ndarray = field(repr=False)
    residual_norm: float
    converged: bool
    n_iter: int
    shifts: list = field(repr=False)
    history: list = field(repr=False)
    method: str
    Z: np.ndarray | None = field(repr=False)
    _X: np.ndarray | None = field(repr=False, default=None)
    _rightmost: object = field(repr=False, default=None)
    proven: bool = field(repr=False, default=False)

    @cached_property
    def X(self):
        """The solution, (n, n); of a factor formed when asked for."""
        return self.Z @ self.Z.T if self._X is None else self._X

    @cached_property
    def rightmost(self):
        """The closed loop's eigenvalue nearest to instability."""
        return self._rightmost() if callable(self._rightmost) else self._rightmost
