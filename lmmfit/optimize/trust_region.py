"""The trust region: how far a quadratic model is believed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lmmfit.optimize.run import ROUNDING

__all__ = ["TrustRegion"]


@dataclass(frozen=True)
class TrustRegion:
    """Search that takes the model's best step within a ball, and resizes the ball.

    Parameters
    ----------
    radius : float, default=1.0
        First radius.
    shrink, grow : float, default=0.25, 2.0
        Factors of the radius: of the step's length after a step that kept less than ``poor`` of
        the promised decrease, of the radius after one to the boundary that kept ``good``.
    poor, good : float, default=0.25, 0.75
    accept : float, default=1e-4
        Share of the promised decrease from which a step is taken.

    References
    ----------
    Nocedal, J. and Wright, S. J. (2006). Numerical Optimization, algorithm 4.1.

    Examples
    --------
    >>> from lmmfit.optimize import TrustRegion
    >>> TrustRegion().resize(1.0, length=1.0, kept=0.9), TrustRegion().resize(1.0, 0.4, 0.1)
    (2.0, 0.1)
    """

    asks: ClassVar[str] = "within"  # of a descent

    radius: float = 1.0
    shrink: float = 0.25
    grow: float = 2.0
    poor: float = 0.25
    good: float = 0.75
    accept: float = 1e-4

    def resize(self, radius, length, kept):
        """Radius after a step.

        Parameters
        ----------
        radius, length : float
            Of the ball and of the step.
        kept : float
            Share of the promised decrease.

        Returns
        -------
        float
        """
        if kept < self.poor:
            return self.shrink * length
        return self.grow * radius if kept > self.good and length > 0.8 * radius else radius

    def start(self, run):
        """Remember the first radius."""
        run.memory.radius, run.memory.kept = self.radius, 0.0

    def advance(self, run, descent):
        """Try steps until one is taken; the first of them counts as the iteration."""
        while True:
            radius = run.memory.radius
            step, promised, length = descent.within(run, radius)
            if not promised > 0.0:
                return ROUNDING
            x = run.x + step
            if np.array_equal(x, run.x):
                return ROUNDING
            trial = run.evaluate(x)
            kept = run.decrease(trial, x, promised)
            run.memory.radius = self.resize(radius, length, kept)
            if kept > self.accept:
                run.memory.kept = kept
                run.move_to(trial, x)
                return None
