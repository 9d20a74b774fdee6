"""How the suite `riccati` times filters of series, and how it judges their states."""

from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_discrete_are

from benchmarks._case import Operation
from benchmarks._machine import peak_memory, reset_peak
from benchmarks._riccati_runs import timed

FEW = 100
"""Rows of the first call, which is not timed."""


class Series:
    """A problem's system and the first rows of its series, as a rival takes them.

    Parameters
    ----------
    problem : Problem
        Arrays A, C, Q, R, Y; ``rows`` for this rival are ``spec["rows"][name]``.
    name : str, optional
        The rival; all rows by default.
    """

    def __init__(self, problem, name=None):
        arrays = problem.arrays
        self.A, self.C, self.Q, self.R = (arrays[key] for key in "ACQR")
        self.rows = problem.spec["rows"].get(name, len(arrays["Y"]))
        self.Y, self.share = arrays["Y"][: self.rows], self.rows / len(arrays["Y"])
        self._checked = min(problem.spec["checked"], self.rows)

    @cached_property
    def P(self):
        """Steady covariance of a state before its row, to start from."""
        return solve_discrete_are(self.A.T, self.C.T, self.Q, self.R)

    @cached_property
    def exact(self):
        """Filtered states of the first rows and the log-likelihoods of these rows."""
        return exact_filter(self.A, self.C, self.Q, self.R, self.P, self.Y[: self._checked])

    def distance(self, states):
        """Return the largest distance from the exact states, relative to the largest of them."""
        wanted = self.exact[0]
        return float(
            np.abs(np.asarray(states)[: len(wanted)] - wanted).max() / np.abs(wanted).max()
        )


def exact_filter(A, C, Q, R, P, Y):
    """Filter with the time-varying covariance, each row with its observed elements.

    Parameters
    ----------
    A, C, Q, R : ndarray
    P : ndarray of shape (n, n)
        Covariance of the first state; its mean is zero.
    Y : ndarray of shape (T, o)
        NaN is missing.

    Returns
    -------
    states : ndarray of shape (T, n)
    loglik : ndarray of shape (T,)
    """
    n, x = len(A), np.zeros(len(A))
    states, loglik = np.empty((len(Y), n)), np.zeros(len(Y))
    for t, y in enumerate(Y):
        seen = np.isfinite(y)
        if seen.any():
            H, e = C[seen], y[seen] - C[seen] @ x
            S = cho_factor(H @ P @ H.T + R[np.ix_(seen, seen)], lower=True)
            K = cho_solve(S, H @ P).T
            x, left = x + K @ e, np.eye(n) - K @ H
            P = left @ P @ left.T + K @ R[np.ix_(seen, seen)] @ K.T
            logdet = 2.0 * np.log(np.diag(S[0])).sum()
            loglik[t] = -0.5 * (seen.sum() * np.log(2 * np.pi) + logdet + e @ cho_solve(S, e))
        states[t], x, P = x, A @ x, A @ P @ A.T + Q
    return states, loglik


def filtering(series, call, read, how):
    """Return the operation that filters a series; times are those of all its rows.

    Parameters
    ----------
    series : Series
    call : callable
        Number of rows -> whatever the package returns of so many; this is timed.
    read : callable
        That -> filtered states of at least the first rows.
    how : str

    Returns
    -------
    Operation
    """
    return _measured(series, call, lambda found: {"distance": series.distance(read(found))}, how)


def likelihood(series, call, how):
    """Return the operation that computes the log-likelihood of a series.

    Parameters
    ----------
    series : Series
    call : callable
        Number of rows -> sum of their log-likelihoods.
    how : str

    Returns
    -------
    Operation
    """

    def judge(_):
        wanted = series.exact[1].sum()
        return {"error of loglik": float(abs(call(series._checked) / wanted - 1.0))}

    return _measured(series, call, judge, how)


def _measured(series, call, judge, how):
    """Time, judge, and look at the peak of memory above that of the series."""
    before = []

    def warm():
        call(FEW)
        before.append(reset_peak())

    def judged(found):
        peak = peak_memory()
        sizes = {"peak MB": (peak - before[0]) / 1e6} if before[0] else {}
        return judge(found) | sizes

    inner = timed(lambda: call(series.rows), judged, how, warm=warm)
    return Operation(inner.call, how, series.share)
