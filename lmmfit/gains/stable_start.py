"""A gain of the pattern whose loop is stable, from which a minimisation can begin."""

from dataclasses import replace

import numpy as np

from lmmfit.gains.diagnosis import unstable_gain
from lmmfit.gains.errors import UnstableGainError
from lmmfit.gains.minimise import minimise
from lmmfit.gains.products import spectral_radius
from lmmfit.gains.steady_objective import SteadyObjective
from lmmfit.gains.steps import greedy_until_settled

__all__ = ["given_start", "random_start", "stable_start"]

_SETTLED = ((1e-3, 200), (1e-6, 1000))  # of the one-step recursion: tolerance, and steps at most
_STAGES = 60
_PATHS = 8
_INSIDE = 0.98  # spectral radius to which a discounted loop is brought
_TRIES = 30


def given_start(problem, values):
    """A gain that the user gives.

    Parameters
    ----------
    problem : GainProblem
    values : ndarray of shape (size,)

    Returns
    -------
    SteadyPoint

    Raises
    ------
    UnstableGainError
        If its loop is not stable.
    """
    point = SteadyObjective(problem).evaluate(values)
    if point is None:
        radius = spectral_radius(problem.loop(problem.gain(values)))
        raise UnstableGainError(
            f"the gain to start from does not stabilise the loop: its spectral radius is "
            f"{radius:.6g}. Leave it out, and a start is sought.", radius,
        )  # fmt: skip
    return point


def stable_start(problem):
    """A point with a stable loop: the one-step gain, or one found through discounted problems.

    Parameters
    ----------
    problem : GainProblem

    Returns
    -------
    SteadyPoint

    Raises
    ------
    UnstableGainError
        If none was found.
    NotDetectableError, NotStabilizableError
        If there can be none, whatever the pattern.
    """
    start = [problem.start]
    for tol, most in _SETTLED:
        (values,), start, traces = greedy_until_settled([problem], start, tol, most)
        if np.isinf(traces[-1]):
            break
        point = SteadyObjective(problem).evaluate(values)
        if point is not None:
            return point
    return _by_discount(problem)


def _by_discount(problem):
    """Follow the minimum of the loop times s from a small s to 1, from several beginnings.

    With s F in place of F the zero gain is stable for small s. Each minimum has a loop that
    stays stable for a larger s, and so on until it is for s = 1 (Perdomo, Umenberger and
    Simchowitz 2021; there for gains without a pattern, where no path gets stuck).
    """
    rng, values = np.random.default_rng(0), np.zeros(problem.pattern.size)
    for _ in range(_PATHS):
        found = _follow_discount(problem, values)
        if found is not None:
            return found
        values = rng.standard_normal(problem.pattern.size)
    raise unstable_gain(problem, "steady")


def _follow_discount(problem, values):
    """A point with a stable loop, or None where the path ends before."""
    radius, s = spectral_radius(problem.loop(problem.gain(values))), 0.0
    for _ in range(_STAGES):
        larger = min(1.0, _INSIDE / radius) if radius > 0.0 else 1.0
        if larger <= 1.001 * s and s < 1.0:
            return None
        s = larger
        objective = SteadyObjective(_discounted(problem, s))
        point = objective.evaluate(values)
        if point is None:
            return None
        values = minimise(objective.evaluate, point, tol=1e-3, max_iter=30).point.values
        found = SteadyObjective(problem).evaluate(values)
        if found is not None:
            return found
        radius = spectral_radius(problem.loop(problem.gain(values)))
    return None


def _discounted(problem, s):
    """The same problem with s F(K) as its loop."""
    C = problem.C if problem.kind == "filter" else s * problem.C
    return replace(problem, A=s * problem.A, C=C)


def random_start(problem, point, rng):
    """Another point with a stable loop, at random around one.

    Parameters
    ----------
    problem : GainProblem
    point : SteadyPoint
    rng : numpy.random.Generator

    Returns
    -------
    SteadyPoint
    """
    objective, size = SteadyObjective(problem), 2.0
    spread = np.abs(point.values) + np.abs(point.values).sum() / max(len(point.values), 1)
    for _ in range(_TRIES):
        values = point.values + size * spread * rng.standard_normal(len(point.values))
        found = objective.evaluate(values)
        if found is not None:
            return found
        size *= 0.7
    return point
