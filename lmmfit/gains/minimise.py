"""Minimisation of a steady trace: L-BFGS in the metric of the problem itself."""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Minimum", "minimise"]

_MEMORY = 10  # pairs of steps and changes of the gradient
_DECREASE = 1e-4  # share of the decrease that the slope promises
_SHORTEST = 1e-9  # step below which a search is given up
_ROUNDING = 1e-14  # relative change of the trace that says nothing
_TINY = 1e-300
_QUIET = 3  # steps in a row without more than that, after which there is nothing left to gain


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a minimisation has ended.

    Attributes
    ----------
    point : SteadyPoint
    converged : bool
    history : list of float
        Traces, that of the start included.
    n_evaluations : int
    """

    point: object = field(repr=False)
    converged: bool
    history: list = field(repr=False)
    n_evaluations: int


def minimise(evaluate, point, *, tol=1e-9, max_iter=200):
    """Minimise the logarithm of the trace from a point whose loop is stable.

    1. The direction is that of L-BFGS, whose first matrix is the inverse of ``2 [S (x) L]_chi``
       at the point: alone it would be the step of Gauss and Newton, and the sweep of the
       finite-horizon method for an endless window.
    2. The step is shortened, to the minimum of a parabola, until the trace has decreased; it is
       infinite where the loop is not stable. The logarithm tames the wall before that.
    3. Where the traces differ by rounding alone, the slope decides in their place.

    Parameters
    ----------
    evaluate : callable
        Values -> SteadyPoint, or None where the loop is not stable.
    point : SteadyPoint
    tol : float
        Of the square root of the decrease that a full step promises, relative to the trace.
    max_iter : int

    Returns
    -------
    Minimum

    References
    ----------
    Nocedal, J. and Wright, S. J. (2006). Numerical Optimization, 2nd edition, algorithm 7.4.
    Hager, W. W. and Zhang, H. (2005). A new conjugate gradient method with guaranteed descent and
    an efficient line search. SIAM Journal on Optimization 16(1).
    """
    pairs = deque(maxlen=_MEMORY)
    history, evaluations, quiet = [point.trace], 0, 0
    for _ in range(max_iter):
        gradient = _log_gradient(point)
        direction = _direction(point, gradient, pairs)
        slope = float(gradient @ direction)
        if not slope < 0.0:  # pairs of rounding: begin anew with the metric alone
            pairs.clear()
            direction = _direction(point, gradient, pairs)
            slope = min(float(gradient @ direction), 0.0)
        if math.sqrt(-slope) <= tol or quiet == _QUIET:
            return Minimum(point, True, history, evaluations)
        found, tried = _search(evaluate, point, direction, slope)
        evaluations += tried
        if found is None:
            return Minimum(point, -slope <= _ROUNDING, history, evaluations)
        step, change = found.values - point.values, _log_gradient(found) - gradient
        if step @ change > 1e-12 * np.linalg.norm(step) * np.linalg.norm(change):
            pairs.append((step, change, 1.0 / float(step @ change)))
        quiet = quiet + 1 if _log_ratio(found, point) >= -_ROUNDING else 0
        point.release()
        point = found
        history.append(point.trace)
    return Minimum(point, False, history, evaluations)


def _log_gradient(point):
    return point.gradient / max(point.trace, _TINY)


def _log_ratio(found, point):
    """Difference of the logarithms of two traces, to the last digit."""
    return math.log1p((found.trace - point.trace) / max(point.trace, _TINY))


def _direction(point, gradient, pairs):
    """Minus the inverse Hessian's estimate times the gradient: the two loops of L-BFGS."""
    q, shares = gradient.copy(), []
    for step, change, curvature in reversed(pairs):
        share = curvature * float(step @ q)
        q -= share * change
        shares.append(share)
    d = max(point.trace, _TINY) * point.precondition(q)
    for (step, change, curvature), share in zip(pairs, reversed(shares), strict=True):
        d = d + (share - curvature * float(change @ d)) * step
    return -d


def _search(evaluate, point, direction, slope):
    """A point along the direction that is better, or None; and how many were tried."""
    length, tried = 1.0, 0
    while length > _SHORTEST:
        trial = evaluate(point.values + length * direction)
        tried += 1
        if trial is None:
            length *= 0.25
            continue
        gain = _log_ratio(trial, point)
        if gain <= min(_DECREASE * length * slope, -_ROUNDING):
            return trial, tried
        if abs(gain) <= _ROUNDING and abs(float(_log_gradient(trial) @ direction)) < -0.9 * slope:
            return trial, tried
        parabola = -0.5 * slope * length**2 / max(gain - slope * length, _TINY)
        length = float(np.clip(parabola, 0.1 * length, 0.5 * length))
    return None, tried
