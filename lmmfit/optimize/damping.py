"""Damping: a multiple of the identity keeps steps short where the model is not believed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lmmfit.optimize.run import NO_STEP, ROUNDING

__all__ = ["Damping"]

_LEAST = 1e-18  # of the descent's scale: far below the rounding of its matrix


@dataclass(frozen=True)
class Damping:
    """Search that takes damped steps and adapts the damping to what they keep.

    Parameters
    ----------
    initial : float, default=1e-3
        First damping, in units that the descent chooses: the largest element of the
        Gauss-Newton matrix's diagonal, or its curvature along the gradient.
    schedule : {"nielsen", "martens"}, default="nielsen"
        ``nielsen`` follows the share of the promised decrease that a step keeps, and doubles its
        growth with each failure; ``martens`` multiplies by 2/3 or 3/2 and goes back along the
        solution's iterates.

    References
    ----------
    Nielsen, H. B. (1999). Damping parameter in Marquardt's method. Technical University of
    Denmark, IMM-REP-1999-05.
    Martens, J. (2010). Deep learning via Hessian-free optimization. ICML 27.

    Examples
    --------
    >>> from lmmfit.optimize import Damping, NormalEquations, Recombined
    >>> Recombined(NormalEquations(), Damping(initial=1.0)).search.schedule
    'nielsen'
    """

    asks: ClassVar[str] = "damped"  # of a descent

    initial: float = 1e-3
    schedule: str = "nielsen"

    def __post_init__(self):
        if self.schedule not in ("nielsen", "martens"):
            raise ValueError(f"schedule={self.schedule!r} is neither 'nielsen' nor 'martens'.")

    def start(self, run):
        """Remember that no damping was chosen yet."""
        run.memory.damping, run.memory.growth, run.memory.step = None, 2.0, None

    def advance(self, run, descent):
        """Try steps, with more damping after each failure, until one is taken."""
        m = run.memory
        if m.damping is None:
            scale = descent.scale(run)
            m.least = _LEAST * scale  # from 0 no damping could grow again
            m.damping = max(self.initial * scale, m.least)
        if self.schedule == "martens":
            return self._backtrack(run, descent)
        while True:
            steps, promised = descent.damped(run, m.damping)
            if steps and np.array_equal(x := run.x + steps[0], run.x):
                return ROUNDING
            if steps and promised > 0.0:  # else its equations had no digit left: damp them more
                trial = run.evaluate(x)
                kept = run.decrease(trial, x, promised)
                if kept > 0.0:
                    m.damping *= max(1.0 / 3.0, 1.0 - (2.0 * kept - 1.0) ** 3)
                    m.damping = max(m.damping, m.least)
                    m.growth = 2.0
                    run.move_to(trial, x)
                    return None
            m.damping *= m.growth
            m.growth *= 2.0
            if m.damping > 1e150:
                return "no damping leads to a smaller value"

    def _backtrack(self, run, descent):
        """One solution; its iterates from the last one backwards; then shorter steps."""
        m = run.memory
        start = None if m.step is None else 0.95 * m.step
        steps, promised = descent.damped(run, m.damping, start)
        if not steps:
            m.damping *= 1.5
            return None
        m.step = steps[0]
        trial = run.evaluate(run.x + steps[0])
        kept = run.decrease(trial, run.x + steps[0], promised) if promised > 0.0 else -1.0
        best, step = trial, steps[0]
        for earlier in steps[1:]:
            other = run.evaluate(run.x + earlier)
            if np.isfinite(best.value) and not other.value < best.value:
                break
            best, step = other, earlier
        if kept < 0.25:
            m.damping *= 1.5
        elif kept > 0.75:
            m.damping = max(m.damping * 2.0 / 3.0, m.least)
        slope = run.gradient @ step
        if slope >= 0.0:  # the start of the solution led uphill: forget it
            if start is None:
                return ROUNDING
            m.step, step, slope = None, -run.gradient, -(run.gradient @ run.gradient)
            best = run.evaluate(run.x + step)
        for _ in range(60):
            if best.value <= run.value + 1e-2 * slope + run.noise:
                run.move_to(best, run.x + step)
                return None
            step, slope = 0.8 * step, 0.8 * slope
            best = run.evaluate(run.x + step)
        m.step = None
        return NO_STEP if start is None else None
