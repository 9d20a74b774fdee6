"""Scaled conjugate gradients."""

from dataclasses import dataclass

import numpy as np

from lmmfit.optimize.run import NO_STEP, ROUNDING, Optimizer

__all__ = ["SCG"]


@dataclass(frozen=True)
class SCG(Optimizer):
    """Møller's scaled conjugate gradients: no line search, one product an iteration.

    The step along a conjugate direction comes from the curvature along it; a scale, adapted like
    the damping of Levenberg and Marquardt, keeps that curvature positive. Products with the
    Hessian are exact; Møller's differences of gradients are there for comparison.

    Parameters
    ----------
    scale : float, default=1e-6
        First scale.
    differences : bool, default=False
        Approximate products by one-sided differences of gradients.
    difference_step : float, default=1e-4
        Their step, Møller's sigma, as a length along the direction.

    References
    ----------
    Møller, M. F. (1993). A scaled conjugate gradient algorithm for fast supervised learning.
    Neural Networks 6(4).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import SCG, Objective, minimize
    >>> bowl = Objective(lambda x: (x @ x, 2 * x), lambda x, v: 2 * v)
    >>> minimize(bowl, [3.0, 4.0], SCG()).x.round(6)
    array([0., 0.])
    """

    scale: float = 1e-6
    differences: bool = False
    difference_step: float = 1e-4

    def start(self, run):
        """Begin along the gradient."""
        m = run.memory
        m.scale, m.raised = self.scale, 0.0
        m.direction, m.since, m.curvature = -run.gradient, 0, None

    def advance(self, run):
        """Steps 2 to 8 of the algorithm."""
        m, g = run.memory, run.gradient
        d = m.direction
        square = d @ d
        if not square > 0.0:
            return "the direction has vanished"
        if m.curvature is None:  # after a success: the failed direction keeps its product
            m.curvature = d @ self._product(run, d)
        delta = m.curvature + (m.scale - m.raised) * square
        if delta <= 0.0:
            m.raised = 2.0 * (m.scale - delta / square)
            delta = -delta + m.scale * square
            m.scale = m.raised
        mu = -(d @ g)
        alpha = mu / delta
        x = run.x + alpha * d
        if np.array_equal(x, run.x):
            return ROUNDING
        trial = run.evaluate(x)
        kept = run.decrease(trial, x, 0.5 * mu * mu / delta)
        if kept < 0.25:
            raised = delta * (1.0 - max(kept, -1e6)) / square
            m.scale, m.raised = m.scale + raised, 0.0
        if kept >= 0.0:
            self._turn(run, trial, x, mu)
            if kept >= 0.75:
                m.scale *= 0.25
        return None if m.scale < 1e150 else NO_STEP

    def _turn(self, run, trial, x, mu):
        """Go there and take the next conjugate direction; the gradient after k of them."""
        m, before = run.memory, run.gradient
        run.move_to(trial, x)
        m.since, m.raised, m.curvature = m.since + 1, 0.0, None
        r = -run.gradient
        if m.since % len(x) == 0 or not mu > 0.0:
            m.direction = r
            return
        beta = (r @ r + r @ before) / mu
        m.direction = r + beta * m.direction
        if not m.direction @ run.gradient < 0.0:
            m.direction = r

    def _product(self, run, d):
        run.n_products += 1
        if not self.differences:
            return np.asarray(run.point.hessian_vector_product(d), dtype=np.float64)
        step = self.difference_step / np.sqrt(d @ d)
        ahead = run.objective.evaluate(run.x + step * d).gradient
        return (np.asarray(ahead, dtype=np.float64) - run.gradient) / step
