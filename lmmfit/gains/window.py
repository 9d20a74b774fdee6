"""A window of steps: gains, covariances, kept or computed again, and the equation of a gain."""

import math

import numpy as np

from lmmfit.gains.equation import solve_sparse_equation
from lmmfit.gains.products import diagonal_of
from lmmfit.gains.steps import run_forward, sweep_backward

__all__ = ["Window", "check_window", "solve_weighted"]

_MEMORY = 2**28  # numbers that are kept: 2 GiB


class Window:
    """The steps of a window: their gains, at first greedy ones, and what they lead to.

    Parameters
    ----------
    problems : sequence of GainProblem
        One a step.
    start : ndarray of shape (n, n)
        Covariance before the first.

    Attributes
    ----------
    gains : list of ndarray of shape (size,)
    traces : list of float
        After each step.

    Notes
    -----
    A sweep asks for the covariances backwards. Where a window of them needs too much memory, one
    in sqrt(W) is kept, and the stretch before it is run again with the gains that led to it:
    those are not changed before. Predictions are kept too where there is room.
    """

    def __init__(self, problems, start):
        self._problems, self._start = problems, start
        count, o = len(problems), problems[0].pattern.shape[1]
        room = max(_MEMORY // max(start.size, 1), 2)
        self._stride = 1 if count <= room else max(math.isqrt(count), math.ceil(count / room))
        self._roomy = count * (2 * len(start) + o) * (len(start) + o) <= _MEMORY
        self._run(None)

    def sweep(self, adjoint):
        """Improve the gains from the last to the first, and run all steps anew.

        Parameters
        ----------
        adjoint : SumOfTraces or LastTrace

        Returns
        -------
        list of float
            The traces.
        """
        gains = list(self.gains)
        sweep_backward(self._problems, self._predicted, gains, adjoint, solve_weighted)
        self._run(gains)
        return self.traces

    def _run(self, gains):
        self._kept, self._stretch, self._predictions = {0: self._start}, {}, []
        self.gains, self.traces = [], []
        for values, predicted, P in run_forward(self._problems, self._start, gains):
            self.gains.append(values)
            self.traces.append(float(diagonal_of(P).sum()))
            if self._roomy:
                self._predictions.append(predicted)
            if len(self.gains) % self._stride == 0:
                self._kept[len(self.gains)] = P

    def _predicted(self, i):
        if self._predictions:
            return self._predictions[i]
        return self._problems[i].predict(self.before(i))

    def before(self, i):
        """The covariance before step i, that is after step i - 1; steps begin at 0.

        Parameters
        ----------
        i : int
            Up to the number of steps.

        Returns
        -------
        ndarray of shape (n, n)
        """
        if i in self._kept:
            return self._kept[i]
        if i not in self._stretch:
            first = i - i % self._stride
            self._stretch = self._run_stretch(first)
        return self._stretch[i]

    def _run_stretch(self, first):
        part = slice(first, first + self._stride)
        steps = run_forward(self._problems[part], self._kept[first], self.gains[part])
        return {first + 1 + k: P for k, (_, _, P) in enumerate(steps)}


def solve_weighted(problem, L, S, right):
    """Values of [L K S]_chi = right; the smallest ones where L leaves some undecided.

    Parameters
    ----------
    problem : GainProblem
    L : ndarray of shape (n, n)
        Positive semidefinite.
    S : ndarray of shape (o, o)
        Positive definite.
    right : ndarray of shape (size,)

    Returns
    -------
    ndarray of shape (size,)
    """
    try:
        return problem.solver.solve(L, S, right)
    except np.linalg.LinAlgError:  # an L without weights of its own may have lost its rank
        pattern = problem.pattern
        found = solve_sparse_equation(
            L, S, pattern.dense(right), pattern, method="lu", if_singular="minimum-norm"
        )
        return pattern.gather(found.X)


def check_window(window, least):
    """Refuse a window that is none.

    Parameters
    ----------
    window : int or "auto"
    least : int

    Raises
    ------
    ValueError
        Naming it.
    """
    if isinstance(window, str) and window == "auto":
        return
    whole = isinstance(window, (int, np.integer)) and not isinstance(window, bool)
    if not whole or window < least:
        raise ValueError(
            f"window must be 'auto' or a whole number of at least {least}, got {window!r}."
        )
