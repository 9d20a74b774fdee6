"""How the optimisers of the suite `mlp` are run, and how their runs are judged."""

from collections import deque
from contextlib import suppress
from functools import cache, partial
from time import perf_counter

import numpy as np

from benchmarks._case import Operation
from benchmarks._networks import network, starts

WARM_UP = 0.3
"""Seconds of the untimed run with which a process begins."""
LAST = 100
"""Iterates that a run against the clock keeps."""


class OutOfTime(Exception):
    """The time of a run is over: for packages that have no other way to be stopped."""


class Trail:
    """The iterates of a run, and when each was there.

    Parameters
    ----------
    seconds : float
        After so many the run is to end.
    keep : int, optional
        How many of the last are kept; by default all.
    """

    def __init__(self, seconds, keep=None):
        self.seconds = seconds
        self.points = deque(maxlen=keep)
        self.begin()

    def begin(self):
        """Start the clock, again if something had to be prepared."""
        self._begin = perf_counter()

    def add(self, theta):
        """Keep a copy of an iterate; return whether the time is over."""
        now = perf_counter() - self._begin
        self.points.append((now, np.array(theta, dtype=np.float64)))
        return now >= self.seconds


def runs(problem, descent, name):
    """Return the operations of an optimiser.

    With ``levels`` they are the seconds from each of the ``starts`` to each level; one run to
    the end, or to the time ``limit``, gives all of them. Otherwise it is the lowest error within
    the time ``limit``, with as many starts as there is time for.

    Parameters
    ----------
    problem : Problem
        Arrays ``X``, ``Y`` and ``starts``; ``network``, ``limit`` and ``levels`` (dicts of a
        ``name`` and a largest ``value``, or a largest ``gradient`` of any parameter), or
        ``repetitions``.
    descent : callable
        Problem -> function of a start and a `Trail`, which gets the iterates.
    name : str
        Of the optimiser.
    """
    descend = _stoppable(descent(problem))
    judge = network(problem).objective(problem.arrays["X"], problem.arrays["Y"])
    descend(starts(problem.spec["network"], 1)[0], Trail(WARM_UP))
    if "levels" not in problem.spec:
        return {"restarts": Operation(partial(_lowest, problem, descend, judge), name)}
    levels = problem.spec["levels"]

    @cache
    def races():
        return _races(problem, descend, judge)

    return {
        level["name"]: Operation(
            partial(_race, races, i, problem.spec["limit"]), f"{name}, {level['name']}"
        )
        for i, level in enumerate(levels)
    }


def _stoppable(descend):
    def until_over(theta, trail):
        with suppress(OutOfTime):
            descend(theta, trail)

    return until_over


def _races(problem, descend, judge):
    """Run from each start; return the seconds to each level, and how near each run came."""
    levels, limit = problem.spec["levels"], problem.spec["limit"]
    seconds = np.full((len(problem.arrays["starts"]), len(levels)), np.inf)
    nearest = np.full((len(problem.arrays["starts"]), len(levels)), np.inf)
    for own, near, theta in zip(seconds, nearest, problem.arrays["starts"], strict=True):
        trail = Trail(limit)
        descend(theta, trail)
        for now, point in trail.points:
            state = judge.evaluate(point)
            for i, level in enumerate(levels):
                if np.isinf(own[i]):
                    bound = level["value"] if "value" in level else level["gradient"]
                    found = state.value if "value" in level else np.abs(state.gradient).max()
                    near[i] = min(near[i], found / bound)
                    own[i] = now if found <= bound else np.inf
            if np.isfinite(own).all():
                break
    return seconds, nearest


def _race(races, level, limit):
    """Say when a level was reached; a run that did not reach it counts as the time limit."""
    seconds, nearest = (found[:, level] for found in races())
    reached = int(np.isfinite(seconds).sum())
    if not reached:
        message = f"of {len(seconds)} runs of at most {limit:g} s the nearest ends at "
        return {"status": "not reached", "message": message + f"{nearest.min():.3g} times that"}
    return {"seconds": np.minimum(seconds, limit).tolist(), "figures": {"reached": reached}}


def _lowest(problem, descend, judge):
    """Return the lowest half mean squared error within the time: the median of repetitions."""
    limit, lowest, count = problem.spec["limit"], [], 0
    for repetition in range(problem.spec["repetitions"]):
        values, used = [], 0.0
        while used < limit:
            theta = starts(problem.spec["network"], 1, 1000 * repetition + len(values))[0]
            trail = Trail(limit - used, LAST)
            begin = perf_counter()
            descend(theta, trail)
            spent = perf_counter() - begin
            values.append(_least(judge, trail))
            used += spent
        lowest.append(min(values) / judge.n_patterns)
        count += len(values)
    figures = {"half MSE": float(np.median(lowest)), "starts": count}
    return {"seconds": [float(limit)] * len(lowest), "figures": figures}


def _least(judge, trail):
    """Return the lowest value of the iterates that were there in time."""
    ended = (judge.evaluate(point).value for now, point in trail.points if now <= trail.seconds)
    return min(filter(np.isfinite, ended), default=np.inf)


def best_of_ten(problem, fit):
    """Return the operation of ten fits, and how many of them come within 0.1 of all targets.

    Parameters
    ----------
    problem : Problem
    fit : callable
        X, y and a seed -> predictions, the best of ten starts.
    """
    X, y = problem.arrays["X"], problem.arrays["Y"]

    def fits():
        seconds, reached = [], 0
        for seed in range(10):
            begin = perf_counter()
            error = np.abs(fit(X, y, seed) - y).max()
            seconds.append(perf_counter() - begin)
            reached += int(error < 0.1)
        return {"seconds": seconds, "figures": {"reached": reached}}

    fit(X, y, 10)
    return {"best of ten": fits}


def searched(problem, estimator, name, prefix=""):
    """Return the operation of a grid search within the folds of a cross-validation.

    Parameters
    ----------
    problem : Problem
        Arrays ``X`` and ``Y``; ``classes`` (whether Y holds classes), ``alpha`` and ``hidden``
        (the grid).
    estimator : estimator
        With ``alpha`` and ``hidden_layer_sizes``.
    name : str
        What is done.
    prefix : str, default=""
        Of the names of these two parameters.
    """
    from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score

    X, Y, classes = problem.arrays["X"], problem.arrays["Y"], problem.spec["classes"]
    folds = partial(StratifiedKFold if classes else KFold, shuffle=True, random_state=0)
    scoring = "accuracy" if classes else "r2"
    grid = {
        f"{prefix}alpha": problem.spec["alpha"],
        f"{prefix}hidden_layer_sizes": [(units,) for units in problem.spec["hidden"]],
    }
    search = GridSearchCV(estimator, grid, scoring=scoring, cv=folds(3))

    def scores():
        found = cross_val_score(search, X, Y, scoring=scoring, cv=folds(5))
        return {"figures": {"score": float(found.mean())}}

    return {"search": Operation(scores, name)}
