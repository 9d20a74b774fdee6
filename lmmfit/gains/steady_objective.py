"""The steady trace of a gain as a function of its entries, with its gradient."""

from functools import cached_property

import numpy as np

from lmmfit.gains.products import multiply, product_on
from lmmfit.gains.smith import SmithPowers

__all__ = ["SteadyObjective", "SteadyPoint"]


class SteadyObjective:
    """J(K) = tr P, where P = F(K) P F(K)' + W(K), over the entries of a pattern.

    Parameters
    ----------
    problem : GainProblem

    Notes
    -----
    With L = I + F' L F, S and G as :meth:`GainProblem.predict` gives them for the steady P, the
    gradient is 2 [L K S - L G]_chi: the equation of the finite-horizon method for a window
    without end. J is not convex, and infinite where the loop is not stable.

    Examples
    --------
    >>> from lmmfit.gains import SteadyObjective, filter_problem
    >>> problem = filter_problem([[1.0]], [[1.0]], [[1469.1]], [[15099.0]], "diag")
    >>> objective = SteadyObjective(problem)
    >>> point = objective.evaluate([0.2670480126])  # of the level of the Nile
    >>> round(point.trace, 4), bool(abs(point.gradient[0]) < 1e-4)
    (4032.1579, True)
    >>> objective.evaluate([2.5]) is None
    True
    """

    def __init__(self, problem):
        self.problem = problem

    def evaluate(self, values):
        """The objective at a gain.

        Parameters
        ----------
        values : array-like of shape (size,)

        Returns
        -------
        SteadyPoint or None
            None where the loop is not stable.
        """
        point = SteadyPoint(self.problem, np.asarray(values, dtype=float))
        return point if point.powers.stable and np.isfinite(point.trace) else None


class SteadyPoint:
    """A gain with a stable loop: J, its gradient, and the metric of its neighbourhood.

    Parameters
    ----------
    problem : GainProblem
    values : ndarray of shape (size,)

    Attributes
    ----------
    P, L : ndarray of shape (n, n)
    trace : float
    gradient : ndarray of shape (size,)
    """

    def __init__(self, problem, values):
        self.problem, self.values = problem, values
        self._gain = problem.gain(values)
        self.powers = SmithPowers(problem.loop(self._gain))

    @cached_property
    def P(self):
        """Steady covariance."""
        return self.powers.solve(self.problem.noise(self._gain))

    @cached_property
    def trace(self):
        """J."""
        return float(self.P.trace())

    @cached_property
    def L(self):
        """The adjoint: what a covariance added once costs in all traces to come."""
        return self.powers.solve_adjoint(np.eye(self.problem.order))

    @cached_property
    def _predicted(self):
        return self.problem.predict(self.P)

    @cached_property
    def gradient(self):
        """2 [L K S - L G]_chi."""
        predicted = self._predicted
        off = multiply(self._gain, predicted.S) - predicted.G
        return 2.0 * product_on(self.problem.pattern, self.L, off)

    def precondition(self, direction):
        """[2 S (x) L]_chi^{-1} times a direction: the metric of Gauss and Newton.

        Parameters
        ----------
        direction : ndarray of shape (size,)

        Returns
        -------
        ndarray of shape (size,)
        """
        found = self.problem.solver.solve(self.L, self._predicted.S, 0.5 * direction)
        return np.asarray(found)

    def release(self):
        """Forget the powers of the loop, and all but what a step back to here needs."""
        self.powers = None
        for name in ("L", "_predicted"):
            self.__dict__.pop(name, None)
