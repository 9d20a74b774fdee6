"""The run of an optimiser: its moving state and its result; what an optimiser is."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

__all__ = ["OptimizeResult", "Optimizer", "Recombined", "Run"]

NO_STEP = "no step along the direction leads to a smaller value"
ROUNDING = "steps are below the rounding of value and parameters"


class Run:
    """Where an optimiser stands: enough to go on from, bit for bit.

    Attributes
    ----------
    optimizer : Optimizer
    x : ndarray of shape (k,)
    value : float
    gradient : ndarray of shape (k,)
    n_iter, n_values, n_gradients, n_products : int
        Iterations, and what they asked of the objective.
    seconds : float
        Spent so far, in all parts of the run.
    curve : list of float
        Value after each iteration.
    memory : SimpleNamespace
        What descent and search remember from step to step.
    cache : SimpleNamespace
        What they can compute again from the point and ``memory``.
    """

    def __init__(self, optimizer, objective, x):
        self.optimizer, self.objective = optimizer, objective
        self.n_iter = self.n_values = self.n_gradients = self.n_products = 0
        self.seconds, self.curve = 0.0, []
        self.memory, self.cache = SimpleNamespace(), SimpleNamespace()
        self.move_to(self.evaluate(x), np.array(x, dtype=np.float64))
        optimizer.start(self)

    @property
    def value(self):
        """Value where the run stands."""
        return self.point.value

    @property
    def gradient(self):
        """Gradient where the run stands, in double precision."""
        return self._gradient

    @property
    def noise(self):
        """Rounding that the value may have."""
        precision = getattr(self.objective, "dtype", np.float64)
        return 10.0 * float(np.finfo(precision).eps) * abs(self.value)

    def evaluate(self, x):
        """Try a point; only its value has to be known."""
        self.n_values += 1
        return self.objective.evaluate(x)

    def move_to(self, point, x):
        """Go to a point that was tried."""
        self.x, self.point = x, point
        self._gradient = np.asarray(point.gradient, dtype=np.float64)
        self.n_gradients += 1

    def decrease(self, trial, x, promised):
        """Share of the promised decrease that a trial keeps; -1 where it has no value.

        Where the promise is below the rounding of the values, their difference comes from the
        gradients at both ends instead, by the trapezoidal rule.

        Parameters
        ----------
        trial : object
            The point at x.
        x : ndarray of shape (k,)
        promised : float

        Returns
        -------
        float
        """
        if not np.isfinite(trial.value):
            return -1.0
        noise, lost = self.noise, self.value - trial.value
        if promised > noise or abs(lost) > noise:
            return (lost + noise) / (promised + noise)
        slopes = self.gradient + np.asarray(trial.gradient, dtype=np.float64)
        return -0.5 * (slopes @ (x - self.x)) / promised

    def resume(self, objective):
        """Go on with an objective: the same data, or other data from the same place."""
        counts = self.n_values, self.n_gradients
        self.objective = objective
        self.move_to(self.evaluate(self.x), self.x)
        self.n_values, self.n_gradients = counts

    def release(self):
        """Forget what can be computed again, which may be much; :func:`minimize` does so."""
        self.point = self.objective = self._gradient = None
        self.cache = SimpleNamespace()

    def __getstate__(self):
        nothing = dict.fromkeys(("point", "objective", "_gradient"))
        return self.__dict__ | nothing | {"cache": SimpleNamespace()}


@dataclass(frozen=True)
class Optimizer:
    """Base of the optimisers: a descent proposes steps, a search judges them.

    Examples
    --------
    >>> from lmmfit.optimize import SCG, NewtonCG, Optimizer
    >>> isinstance(NewtonCG(), Optimizer), isinstance(SCG(), Optimizer)
    (True, True)
    """

    def start(self, run):
        """Prepare the memory of a run."""
        self.descent.start(run)
        self.search.start(run)

    def advance(self, run):
        """Make one iteration.

        Returns
        -------
        str or None
            Why no further step is possible.
        """
        return self.search.advance(run, self.descent)


@dataclass(frozen=True)
class Recombined(Optimizer):
    """Any descent with any search that understands it.

    Parameters
    ----------
    descent : TruncatedCG, NormalEquations, LimitedMemory or SteepestDescent
    search : TrustRegion, Damping, LineSearch or ExactLineSearch

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import LineSearch, Objective, Recombined, TruncatedCG, minimize
    >>> bowl = Objective(lambda x: (0.5 * x @ x, x), lambda x, v: v)
    >>> result = minimize(bowl, np.ones(3), Recombined(TruncatedCG(), LineSearch()))
    >>> result.converged, result.n_iter
    (True, 1)
    """

    descent: object
    search: object

    def __post_init__(self):
        asked = self.search.asks
        if not hasattr(self.descent, asked):
            raise ValueError(
                f"{type(self.search).__name__} asks its descent for {asked}(), which "
                f"{type(self.descent).__name__} does not have: see the table of pairs in the "
                "documentation."
            )


@dataclass(frozen=True, eq=False)
class OptimizeResult:
    """Where an optimiser ended, and why.

    Attributes
    ----------
    x : ndarray of shape (k,)
    value : float
    gradient : ndarray of shape (k,)
    converged : bool
        Whether the gradient is within ``tol``, or no smaller value can be told from this one.
    reason : str
        Why the run ended.
    n_iter, n_values, n_gradients, n_products : int
        Iterations; values, gradients and products with second derivatives asked for.
    seconds : float
    run : Run
        The moving state: ``minimize(objective, run=result.run)`` goes on from it exactly.
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray
    converged: bool
    reason: str
    n_iter: int
    n_values: int
    n_gradients: int
    n_products: int
    seconds: float
    run: Run = field(repr=False)
