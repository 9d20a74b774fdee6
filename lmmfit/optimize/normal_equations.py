"""Damped Gauss-Newton steps from an explicit matrix."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

__all__ = ["NormalEquations"]

_REACH = 0.1  # of the differences along a step, in steps


@dataclass(frozen=True)
class NormalEquations:
    """Descent of Levenberg and Marquardt: the Gauss-Newton matrix, formed and factored.

    Parameters
    ----------
    form : {"auto", "explicit", "dual"}, default="auto"
        ``explicit`` factors the k x k matrix of the parameters, ``dual`` the n x n matrix of
        the residuals; ``auto`` takes the smaller one.
    acceleration : float, default=0.75
        Where the value is a sum of squares, steps follow the curve that the residuals' second
        derivative along the step makes of it, as long as the bend is at most so many times the
        step; a step that would bend more is shortened. 0 leaves steps straight.

    References
    ----------
    Transtrum, M. K. and Sethna, J. P. (2012). Improvements to the Levenberg-Marquardt algorithm
    for nonlinear least-squares minimization. arXiv:1201.5885.
    Levenberg, K. (1944). A method for the solution of certain non-linear problems in least
    squares. Quarterly of Applied Mathematics 2(2).
    Marquardt, D. W. (1963). An algorithm for least-squares estimation of nonlinear parameters.
    SIAM Journal on Applied Mathematics 11(2).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import Damping, NormalEquations, Objective, Recombined, minimize
    >>> def residuals(x):
    ...     return np.array([x[0] - 1, 10 * (x[1] - x[0] ** 2)]), np.array(
    ...         [[1, 0], [-20 * x[0], 10]])
    >>> def half_square(x):
    ...     r, J = residuals(x)
    ...     return 0.5 * r @ r, r @ J
    >>> objective = Objective(half_square, residuals=residuals)
    >>> result = minimize(objective, [-1.2, 1.0], Recombined(NormalEquations(), Damping()))
    >>> result.x.round(8)
    array([1., 1.])
    """

    form: str = "auto"
    acceleration: float = 0.75

    def __post_init__(self):
        if self.form not in ("auto", "explicit", "dual"):
            raise ValueError(f"form={self.form!r} is none of 'auto', 'explicit', 'dual'.")

    def start(self, run):
        """Nothing to remember."""

    def scale(self, run):
        """Largest element of the Gauss-Newton matrix's diagonal."""
        system = self._system(run)
        return float(max(system.diagonal.max(), np.finfo(np.float64).tiny))

    def damped(self, run, damping, start=None):
        """Minimise the model plus half ``damping`` times the squared length.

        Parameters
        ----------
        run : Run
        damping : float
        start : ndarray of shape (k,), optional
            Not used: the solution is direct.

        Returns
        -------
        steps : list of ndarray of shape (k,)
            One, or none where the step bends too much.
        promised : float
            Decrease of the model without the damping.
        """
        system = self._system(run)
        step = system.solve(run.gradient, damping)
        # s'G s = -g's - damping s's: no product is needed, and no difference of near equals
        promised = 0.5 * (damping * (step @ step) - run.gradient @ step)
        if self.acceleration and getattr(run.point, "residuals", None) is not None:
            bend = self._bend(run, system, step, damping)
            if not 2.0 * np.sqrt(bend @ bend) <= self.acceleration * np.sqrt(step @ step):
                return [], promised
            step = step + 0.5 * bend
        return [step], promised

    def _bend(self, run, system, step, damping):
        """Second derivative of the path, from the residuals' own along the step."""
        ahead, behind = (run.evaluate(run.x + h * step).residuals for h in (_REACH, -_REACH))
        second = (ahead - 2.0 * run.point.residuals + behind) / _REACH**2
        if not np.isfinite(second).all():
            return np.full(len(step), np.inf)
        return system.solve_for(run.point.jacobian_transpose_product(second), damping)

    def _system(self, run):
        """The matrix at the point where the run stands, formed once."""
        known = getattr(run.cache, "system", None)
        if known is None or known.point is not run.point:
            residuals = getattr(run.objective, "n_residuals", np.inf)
            dual = self.form == "dual" or (self.form == "auto" and residuals < len(run.x))
            known = run.cache.system = (_Dual if dual else _Explicit)(run.point, run.x)
        return known


class _Explicit:
    def __init__(self, point, x):
        self.point = point
        self.matrix = np.asarray(point.gauss_newton_matrix(), dtype=np.float64)
        self.diagonal = self.matrix.diagonal().copy()

    def solve(self, gradient, damping):
        if not np.isfinite(self.matrix).all():
            raise FloatingPointError("the Gauss-Newton matrix has elements that are not finite.")
        matrix, self.factor = self.matrix.copy(), None
        while self.factor is None:
            matrix[np.diag_indices(len(matrix))] = self.diagonal + damping
            try:
                self.factor = cho_factor(matrix, check_finite=False, lower=True)
            except np.linalg.LinAlgError:  # damping below the rounding of the matrix
                damping = max(10.0 * damping, 1e-15 * self.diagonal.max())
        return self.solve_for(gradient, damping)

    def solve_for(self, right, damping):
        """Solve with the factor of the last damping."""
        return -cho_solve(self.factor, right, check_finite=False)


class _Dual:
    """With R'R + P for the matrix and R'r + c for the gradient, solve in the residuals' space."""

    def __init__(self, point, x):
        self.point = point
        root, residuals = point.gauss_newton_root()
        self.root, self.residuals = (np.asarray(a, dtype=np.float64) for a in (root, residuals))
        self.penalty = getattr(point, "penalty", 0.0) + np.zeros(len(x))
        self.slope = self.penalty * x
        self.diagonal = np.einsum("ij,ij->j", self.root, self.root) + self.penalty

    def solve(self, gradient, damping):
        self.weight = 1.0 / (self.penalty + damping)
        own = -self.weight * self.slope
        self.scaled = self.root * self.weight
        inner = self.scaled @ self.root.T
        inner[np.diag_indices(len(inner))] += 1.0
        self.factor = cho_factor(inner, check_finite=False, lower=True, overwrite_a=True)
        return own - self._pull(self.residuals + self.root @ own)

    def solve_for(self, right, damping):
        """Solve with the factor of the last damping, for any right-hand side."""
        own = -self.weight * right
        return own - self._pull(self.root @ own)

    def _pull(self, residuals):
        return self.scaled.T @ cho_solve(self.factor, residuals, check_finite=False)
