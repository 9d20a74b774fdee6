"""The Kalman filter of statsmodels, which stops following a covariance that has settled."""

import numpy as np
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter

from benchmarks import _riccati_filters as filters

SETTLED = 1e-9
"""Sum of squared changes of the covariance from which it is taken as steady."""


def series(problem):
    """Filter, and compute the log-likelihood, keeping what is asked for alone.

    Each twice: as it is, and with the outputs of a row one by one, as R is diagonal.
    """
    data = filters.Series(problem, "statsmodels")
    return _both(data, False) | {
        f"{name}, univariate": operation for name, operation in _both(data, True).items()
    }


def _both(data, univariate):
    """The two operations."""
    how = ", univariate" if univariate else ""

    def states(rows):
        model = _model(data, rows, univariate)
        model.memory_conserve = True
        model.memory_no_filtered_mean = False
        return model.filter()

    def loglik(rows):
        return float(_model(data, rows, univariate).loglike())

    return {
        "filter": filters.filtering(
            data, states, lambda found: found.filtered_state.T, f"filter{how}"
        ),
        "loglik": filters.likelihood(data, loglik, f"loglike{how}"),
    }


def _model(data, rows, univariate):
    """A model of so many rows that starts at the steady covariance."""
    n, o = len(data.A), len(data.C)
    model = KalmanFilter(
        o, n, design=data.C, transition=data.A, selection=np.eye(n), obs_cov=data.R,
        state_cov=data.Q, tolerance=SETTLED,
    )  # fmt: skip
    model.filter_univariate = univariate
    model.bind(np.ascontiguousarray(data.Y[:rows]))
    model.initialize_known(np.zeros(n), data.P)
    return model


VARIANTS = {"series": series}
