"""Steps of a recursion: a gain for each, forwards, and the sweep that improves them backwards."""

import math

import numpy as np

from lmmfit.gains.products import congruence, diagonal_of, multiply, product_on
from lmmfit.riccati.doubling import without_dust

__all__ = [
    "LastTrace",
    "SumOfTraces",
    "greedy_step",
    "greedy_until_settled",
    "relative_change",
    "run_forward",
    "sweep_backward",
]


_DUSTY = 100  # order from which subnormal numbers would cost more than looking for them
_DIVERGED = 1e150  # trace that no network has, and whose square is still finite


def relative_change(new, old):
    """Change relative to the old; none from zero to zero, and infinite from zero otherwise.

    Parameters
    ----------
    new, old : float

    Returns
    -------
    float
    """
    if old == 0.0:
        return 0.0 if new == 0.0 else math.inf
    return abs(new - old) / abs(old)


def greedy_step(problem, P):
    """The gain for which the next trace is least, and the covariance that it leads to.

    With L = I the rows of [K S - G]_chi = 0 decouple (Viegas et al. 2018, section 4).

    Parameters
    ----------
    problem : GainProblem
    P : ndarray of shape (n, n)

    Returns
    -------
    values : ndarray of shape (size,)
        Of the gain, on the pattern.
    P : ndarray of shape (n, n)
    """
    values, _, P = next(run_forward([problem], P))
    return values, P


def greedy_until_settled(problems, starts, tol, max_iter, total=sum):
    """Greedy steps, of all parts of a network, until the trace changes by less than ``tol``.

    Parameters
    ----------
    problems : list of GainProblem
        Of the parts.
    starts : list of ndarray of shape (n, n)
    tol : float
        Relative to the trace.
    max_iter : int
    total : callable
        Of the traces of the parts: that of the whole.

    Returns
    -------
    values : list of ndarray of shape (size,)
        Of the last gains.
    covariances : list of ndarray of shape (n, n)
    traces : list of float
        0 first, such that there are two steps at least, as in the published programs; the last
        one is infinite where the recursion diverged.
    """
    covariances, traces = starts, [0.0]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(max_iter):
            steps = [greedy_step(*part) for part in zip(problems, covariances, strict=True)]
            values, covariances = (list(found) for found in zip(*steps, strict=True))
            trace = float(total([P.trace() for P in covariances]))
            traces.append(trace if trace < _DIVERGED else math.inf)
            if math.isinf(traces[-1]) or relative_change(traces[-1], traces[-2]) < tol:
                break
    return values, covariances, traces


def run_forward(problems, start, gains=None):
    """Steps one after the other.

    Parameters
    ----------
    problems : sequence of GainProblem
        One a step.
    start : ndarray of shape (n, n)
    gains : sequence of ndarray of shape (size,), optional
        By default each is the best for its own step.

    Yields
    ------
    values : ndarray of shape (size,)
        Of the gain.
    predicted : Prediction
        Before it.
    P : ndarray of shape (n, n)
        After it.
    """
    P = start
    for i, problem in enumerate(problems):
        predicted = problem.predict(P)
        if gains is None:
            right = problem.pattern.gather(predicted.G)
            values = problem.solver.solve(None, predicted.S, right)
        else:
            values = gains[i]
        P = problem.correct(predicted, problem.gain(values))
        yield values, predicted, P


class SumOfTraces:
    """The adjoint of a weighted sum of traces: L <- weight I + F' L F, from the last step back.

    The sum over all pairs of steps with which the method was published has W^2 / 2 terms; this
    takes W steps.

    Parameters
    ----------
    n : int
    weights : sequence of float
        Of the traces of the steps, in the order of time.
    """

    def __init__(self, n, weights):
        self._weights = list(weights)
        self.L = self._weights.pop() * np.eye(n)

    def back(self, F):
        """Go one step back over the loop F of that step."""
        L = congruence(F.T, self.L)
        L = 0.5 * (L + L.T)
        self.L = without_dust(L) if len(L) >= _DUSTY else L
        if self._weights:
            diagonal_of(self.L)[:] += self._weights.pop()


class LastTrace:
    """The adjoint of the last trace alone: L = G'G with the product G of the loops.

    Loops between the outputs of a moving horizon are large, and their product nearly singular:
    the product of roots keeps digits that products of L would lose.

    Parameters
    ----------
    n : int
    """

    def __init__(self, n):
        self._product = self.L = np.eye(n)

    def back(self, F):
        """Go one step back over the loop F of that step."""
        self._product = multiply(F.T, self._product.T).T
        self.L = self._product.T @ self._product


def sweep_backward(problems, predicted, gains, adjoint, solve):
    """Improve the gains of a window from the last to the first, in place.

    With the later gains fixed, the gain of step i is the best if ``[L K S - L G]_chi = 0``, where
    L is the adjoint of what is minimised (Viegas et al. 2018, section 5).

    Parameters
    ----------
    problems : sequence of GainProblem
    predicted : callable
        Step -> the Prediction before it.
    gains : list of ndarray of shape (size,)
    adjoint : SumOfTraces or LastTrace
    solve : callable
        Of problem, L, S and values of the right-hand side.
    """
    for i in range(len(gains) - 1, -1, -1):
        problem, L, before = problems[i], adjoint.L, predicted(i)
        right = product_on(problem.pattern, L, before.G)
        gains[i] = solve(problem, L, before.S, right)
        adjoint.back(problem.loop(problem.gain(gains[i])))
