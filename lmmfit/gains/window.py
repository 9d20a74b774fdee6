"""A window: its covariances, kept or computed again, and the equation of its gains."""

import math

import numpy as np

from lmmfit.gains.equation import solve_sparse_equation
from lmmfit.gains.steps import greedy_step, run_forward

__all__ = ["Covariances", "check_window", "greedy_gains", "solve_weighted"]

_MEMORY = 2**28  # numbers that are kept: 2 GiB


class Covariances:
    """Covariances along a window: all of them, or so many that the others are close.

    Parameters
    ----------
    problems : sequence of GainProblem
    start : ndarray of shape (n, n)
    gains : list of ndarray of shape (size,)

    Notes
    -----
    A sweep asks for the covariances backwards. Where a window of them needs too much memory, one
    in sqrt(W) is kept, and the stretch before it is run again with the gains that led to it:
    those are not changed before.
    """

    def __init__(self, problems, start, gains):
        self._problems, self._start = problems, start
        count = len(problems)
        room = max(_MEMORY // max(start.size, 1), 2)
        self._stride = 1 if count <= room else max(math.isqrt(count), math.ceil(count / room))
        self.run(gains)

    def run(self, gains):
        """Run all steps anew.

        Parameters
        ----------
        gains : list of ndarray of shape (size,)
        """
        self._gains = list(gains)
        self._kept, self._stretch, self.traces = {0: self._start}, {}, []
        for i, P in enumerate(run_forward(self._problems, self._start, self._gains), start=1):
            self.traces.append(float(P.trace()))
            if i % self._stride == 0:
                self._kept[i] = P

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
        steps = run_forward(self._problems[part], self._kept[first], self._gains[part])
        return dict(enumerate(steps, start=first + 1))


def greedy_gains(problems, start):
    """Gains of the one-step method along a window.

    Parameters
    ----------
    problems : sequence of GainProblem
    start : ndarray of shape (n, n)

    Returns
    -------
    list of ndarray of shape (size,)
    """
    gains, P = [], start
    for problem in problems:
        values, P = greedy_step(problem, P)
        gains.append(values)
    return gains


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
