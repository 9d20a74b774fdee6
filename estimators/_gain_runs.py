"""What a gain does with series: as a constant filter, a moving horizon, a regulator."""

from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace

import numpy as np
from scipy.sparse import csr_array

from lmmfit.gains import (
    GainFilter,
    GainProblem,
    error_density,
    filter_moving_horizon,
    filter_with_gain,
)
from lmmfit.gains.centralized import centralized_trace
from lmmfit.gains.fixed_gain import known_gain_filter

__all__ = ["ConstantRun", "FeedbackRun", "MovingRun", "make_run"]


def make_run(problem, found, system):
    """What a gain does with series.

    Parameters
    ----------
    problem : GainProblem
    found : GainSolution or GainSequence
    system : GivenSystem

    Returns
    -------
    ConstantRun, MovingRun or FeedbackRun
    """
    if problem.kind == "regulator":
        return FeedbackRun(found.K, found.P)
    if found.K.ndim == 3:
        return MovingRun(problem, found.K, found.P_steady, system.mean)
    known = found.K, found.P, found.spectral_radius
    return ConstantRun(known_gain_filter(problem, *known, system.B), system.mean)


@dataclass(frozen=True, eq=False)
class ConstantRun:
    """A filter with one gain.

    Attributes
    ----------
    filter : GainFilter
    start : ndarray of shape (n,)
        Prediction of the first row's state.
    """

    filter: GainFilter
    start: np.ndarray

    @property
    def covariance(self):
        """Of the filtered states."""
        return self.filter.P_filtered

    def run(self, Y, U, keep):
        """Filter a series.

        Parameters
        ----------
        Y : ndarray of shape (T, o)
        U : array-like of shape (T, k) or None
        keep : tuple of str
            Of "states", "outputs" and "loglik".

        Returns
        -------
        GainSeries
        """
        return filter_with_gain(self.filter, Y, U, self.start, keep=keep)


@dataclass(frozen=True, eq=False)
class MovingRun:
    """A moving-horizon filter.

    Attributes
    ----------
    problem : GainProblem
    K : ndarray of shape (W, n, o)
    covariance : ndarray of shape (n, n)
        Of the filtered states.
    start : ndarray of shape (n,)
        The state before the first row.
    """

    problem: GainProblem
    K: np.ndarray
    covariance: np.ndarray
    start: np.ndarray

    @cached_property
    def centralized_trace(self):
        """The bound without a pattern."""
        return centralized_trace(self.problem)

    @cached_property
    def _error_covariance(self):
        """Of a row less its prediction C A x[t-1|t-1]."""
        S = self.problem.predict(self.covariance).S
        return 0.5 * (S + S.T)

    def run(self, Y, U, keep):
        """Filter a series, as :meth:`ConstantRun.run` does.

        Parameters
        ----------
        Y : ndarray of shape (T, o)
        U : None
        keep : tuple of str

        Returns
        -------
        SimpleNamespace
        """
        if U is not None:
            raise ValueError("U was given, but method='moving-horizon' takes no known inputs.")
        A, C = self.problem.A, self.problem.C
        states, outputs = filter_moving_horizon(A, C, self.K, Y, initial_state=self.start)
        loglik = error_density(Y - outputs, self._error_covariance) if "loglik" in keep else None
        return SimpleNamespace(states=states, outputs=outputs, loglik=loglik)


@dataclass(frozen=True, eq=False)
class FeedbackRun:
    """A regulator u = -K x.

    Attributes
    ----------
    K : ndarray of shape (m, n)
    covariance : ndarray of shape (n, n)
        P, of the cost x'Px of a state.
    """

    K: np.ndarray = field(repr=False)
    covariance: np.ndarray = field(repr=False)

    @cached_property
    def _gain(self):
        return csr_array(self.K) if np.count_nonzero(self.K) < 0.1 * self.K.size else self.K

    def run(self, X, U, keep):
        """Inputs for states, and minus the costs from there on.

        Parameters
        ----------
        X : ndarray of shape (T, n)
        U : None
        keep : tuple of str

        Returns
        -------
        SimpleNamespace
            The inputs under both ``states`` and ``outputs``; the costs as ``loglik``.
        """
        if U is not None:
            raise ValueError("U was given, but a regulator finds the inputs itself: leave it out.")
        inputs = -(self._gain @ X.T).T
        costs = np.einsum("ti,ij,tj->t", X, self.covariance, X) if "loglik" in keep else None
        return SimpleNamespace(
            states=inputs, outputs=inputs, loglik=None if costs is None else -costs
        )
