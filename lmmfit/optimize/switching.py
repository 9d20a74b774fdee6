"""One optimiser first, another if the problem turns out not to be its own."""

from dataclasses import dataclass, field

from lmmfit.optimize.methods import LevenbergMarquardt, NewtonCG
from lmmfit.optimize.run import Optimizer

__all__ = ["Switching"]


@dataclass(frozen=True)
class Switching(Optimizer):
    """Levenberg-Marquardt while errors vanish, Newton's method where they stay.

    Gauss-Newton steps are unrivalled where the errors go to zero, and slow where a penalty or
    noise keeps them large; which it is shows after some iterations.

    Parameters
    ----------
    first, then : Optimizer
        By default :class:`LevenbergMarquardt` and :class:`NewtonCG`.
    after : int, default=20
        Iterations of the first.
    floor : float, default=1e-3
        Share of the first value above which the second takes over.

    Examples
    --------
    >>> from lmmfit.optimize import Switching
    >>> Switching().then.curvature
    'hessian'
    """

    first: Optimizer = field(default_factory=LevenbergMarquardt)
    then: Optimizer = field(default_factory=NewtonCG)
    after: int = 20
    floor: float = 1e-3

    def start(self, run):
        """Begin with the first."""
        self.first.start(run)
        run.memory.began, run.memory.switched = run.value, False

    def advance(self, run):
        """One iteration of whichever is right."""
        m = run.memory
        if not m.switched:
            late = run.n_iter >= self.after and run.value > self.floor * m.began
            stuck = None if late else self.first.advance(run)
            if not late and stuck is None:
                return None
            m.switched = True
            self.then.start(run)
        return self.then.advance(run)
