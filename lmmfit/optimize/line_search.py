"""Steps along a direction."""

from dataclasses import dataclass
from typing import ClassVar
from warnings import catch_warnings, simplefilter

import numpy as np
from scipy.optimize import line_search

from lmmfit.optimize.run import NO_STEP, ROUNDING

__all__ = ["ExactLineSearch", "LineSearch"]


@dataclass(frozen=True)
class LineSearch:
    """Search for a step that satisfies the strong Wolfe conditions.

    Parameters
    ----------
    decrease, slope : float, default=1e-4, 0.9
        Share of the decrease that the slope promises, and of the slope that may remain.
    max_trials : int, default=30

    Examples
    --------
    >>> from lmmfit.optimize import LimitedMemory, LineSearch, Recombined
    >>> Recombined(LimitedMemory(), LineSearch(slope=0.5)).search.slope
    0.5
    """

    asks: ClassVar[str] = "direction"  # of a descent

    decrease: float = 1e-4
    slope: float = 0.9
    max_trials: int = 30

    def start(self, run):
        """No search has failed yet."""
        run.memory.failed = False

    def advance(self, run, descent):
        """Try the full step first, which is right near the solution."""
        d, slope = _downhill(run, descent)
        trial = run.evaluate(run.x + d)
        found = trial, run.x + d
        if not self._is_good(run, trial, d, slope):
            found = self._wolfe(run, d)
        if found is not None:
            run.memory.failed = False
            run.move_to(*found)
            return None
        if -0.5 * slope <= run.noise:
            return ROUNDING
        if run.memory.failed:
            return NO_STEP
        run.memory.failed = True  # once more, with nothing remembered
        descent.start(run)
        return None

    def _is_good(self, run, trial, d, slope):
        # below the noise only the gradient can tell (Hager and Zhang 2005)
        if not trial.value <= run.value + self.decrease * slope + run.noise:
            return False
        run.n_gradients += 1
        return abs(trial.gradient @ d) <= -self.slope * slope

    def _wolfe(self, run, d):
        """SciPy's search by zooming (Nocedal and Wright 2006, algorithms 3.5 and 3.6)."""
        seen = {}

        def at(x):
            if seen.get("x") is None or not np.array_equal(seen["x"], x):
                seen.update(x=x.copy(), point=run.evaluate(x))
            return seen["point"]

        def gradient(x):
            run.n_gradients += 1
            return np.asarray(at(x).gradient, dtype=np.float64)

        with catch_warnings(), np.errstate(all="ignore"):
            simplefilter("ignore")  # that none was found is told by the result
            alpha, *_ = line_search(
                lambda x: at(x).value, gradient, run.x, d, run.gradient, run.value,
                c1=self.decrease, c2=self.slope, maxiter=self.max_trials,
            )  # fmt: skip
        if alpha is not None:
            x = run.x + alpha * d
            if at(x).value < run.value:
                return at(x), x
        return self._backtrack(run, d)

    def _backtrack(self, run, d):
        alpha = 1.0
        for _ in range(60):
            x = run.x + alpha * d
            point = run.evaluate(x)
            if point.value < run.value:
                return point, x
            alpha *= 0.5
        return None


@dataclass(frozen=True)
class ExactLineSearch:
    """Search for the minimum of the quadratic model along a direction, from one product.

    Where the model has negative curvature, or its minimum is no decrease, steps are halved
    from the longest one.

    Parameters
    ----------
    longest : float, default=1.0
        Step along a direction of negative curvature.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation
    6(1), equation 29, with its sign: ``-(d'g) / (d'Hd)``.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import (
    ...     ExactLineSearch, Objective, Recombined, SteepestDescent, minimize)
    >>> bowl = Objective(lambda x: (x @ x, 2 * x), lambda x, v: 2 * v)
    >>> minimize(bowl, [3.0, 4.0], Recombined(SteepestDescent(), ExactLineSearch())).n_iter
    1
    """

    asks: ClassVar[str] = "direction"  # of a descent

    longest: float = 1.0

    def start(self, run):
        """Nothing to remember."""

    def advance(self, run, descent):
        """Take the model's minimum along the direction, or the first half that decreases."""
        d, slope = _downhill(run, descent)
        run.n_products += 1
        curvature = d @ np.asarray(run.point.hessian_vector_product(d), dtype=np.float64)
        alpha = -slope / curvature if curvature > 0.0 else self.longest
        for _ in range(60):
            x = run.x + alpha * d
            trial = run.evaluate(x)
            if run.decrease(trial, x, -0.5 * alpha * slope) > 1e-4:
                run.move_to(trial, x)
                return None
            alpha *= 0.5
        return NO_STEP


def _downhill(run, descent):
    """The descent's direction and the slope along it; the gradient's if that is not downhill."""
    d = descent.direction(run)
    slope = run.gradient @ d
    return (d, slope) if slope < 0.0 else (-run.gradient, -(run.gradient @ run.gradient))
