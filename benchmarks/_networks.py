"""Networks of the suite `mlp`: data, what is right, and how optimisers are run and judged."""

from collections import deque
from contextlib import suppress
from functools import cache, partial
from itertools import pairwise
from time import perf_counter

import numpy as np

from benchmarks._case import Operation

WARM_UP = 0.3
"""Seconds of the untimed run with which a process begins."""
LAST = 100
"""Iterates that a run against the clock keeps."""


def unpack(layer_sizes, theta):
    """Return views of the weights (inputs x outputs) and biases of each layer."""
    layers, at = [], 0
    for n_in, n_out in pairwise(layer_sizes):
        end = at + n_in * n_out
        layers.append((theta[at:end].reshape(n_in, n_out), theta[end : end + n_out]))
        at = end + n_out
    return layers


def pack(layers):
    """Put the weights and biases of each layer into one vector."""
    return np.concatenate([np.ravel(part) for layer in layers for part in layer])


def product_limit(layer_sizes):
    """Return the multiplications of a product with the Hessian over those of a gradient."""
    counts = [a * b for a, b in pairwise(layer_sizes)]
    return (6 * sum(counts) - 4 * counts[0]) / (3 * sum(counts) - counts[0])


def gradient(network, theta, X, Y):
    """Return the derivatives of a network of tanh units, real or complex, the plain way."""
    layers, units = unpack(network["layer_sizes"], theta), [X]
    for W, b in layers[:-1]:
        units.append(np.tanh(units[-1] @ W + b))
    delta = units[-1] @ layers[-1][0] + layers[-1][1]
    if network["loss"] == "log_loss":
        power = np.exp(delta - delta.real.max(axis=1, keepdims=True))
        delta = power / power.sum(axis=1, keepdims=True)
    delta, found = delta - Y, []
    for (W, _), below in zip(layers[::-1], units[::-1], strict=True):
        found.append((below.T @ delta + network["alpha"] * W, delta.sum(axis=0)))
        delta = delta @ W.T * (1.0 - below**2)
    return pack(found[::-1])


def product(network, theta, X, Y, v):
    """Return the product with the Hessian to the last digits, by a step into the complex plane."""
    return gradient(network, theta + 1e-30j * v, X, Y).imag / 1e-30


def franke(n, rng):
    """Return random points of the unit square and Franke's function there."""
    X = rng.uniform(size=(n, 2))
    x, y = 9 * X.T
    value = 0.75 * np.exp(-((x - 2) ** 2 + (y - 2) ** 2) / 4)
    value += 0.75 * np.exp(-((x + 1) ** 2) / 49 - (y + 1) / 10)
    value += 0.5 * np.exp(-((x - 7) ** 2 + (y - 3) ** 2) / 4)
    value -= 0.2 * np.exp(-((x - 4) ** 2) - (y - 7) ** 2)
    return X, value[:, None]


def least_linear_error(X, Y, rank):
    """Return half the least sum of squares of a linear map of this rank and a constant."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    fitted = X @ np.linalg.lstsq(X, Y)[0]
    return 0.5 * (np.sum(Y**2) - np.sum(np.linalg.svd(fitted, compute_uv=False)[:rank] ** 2))


def network(problem):
    """Return the network of a problem as lmmfit has it."""
    from lmmfit.curvature import FeedForwardNetwork

    return FeedForwardNetwork(**problem.spec["network"])


def relative_error(problem, name):
    """Return what reports the distance of a vector from that of the problem, relative."""
    wanted = problem.arrays[name]

    def report(found):
        distance = np.linalg.norm(np.asarray(found, dtype=np.float64) - wanted)
        return {"error": float(distance / np.linalg.norm(wanted))}

    return report


def starts(network, count, first=0):
    """Draw parameters to start from, one generator for each."""
    from lmmfit.curvature import FeedForwardNetwork

    net, seeds = FeedForwardNetwork(**network), range(first, first + count)
    return np.array([net.initial_parameters(np.random.default_rng(seed)) for seed in seeds])


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
            ended = (
                judge.evaluate(point).value for now, point in trail.points if used + now <= limit
            )
            values.append(min((value for value in ended if np.isfinite(value)), default=np.inf))
            used += spent
        lowest.append(min(values) / judge.n_patterns)
        count += len(values)
    figures = {"half MSE": float(np.median(lowest)), "starts": count}
    return {"seconds": [float(limit)] * len(lowest), "figures": figures}
