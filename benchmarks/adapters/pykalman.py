"""pykalman's filter, which follows the covariance row by row."""

import numpy as np
from pykalman import KalmanFilter

from benchmarks import _riccati_filters as filters

DISTRIBUTIONS = ("pykalman", "numpy", "scipy")


def series(problem):
    """Filter, and compute the log-likelihood."""
    data = filters.Series(problem, "pykalman")
    gaps = bool(np.isnan(data.Y).any())
    # It takes a row with any masked element as missing.
    Y = np.ma.masked_invalid(data.Y) if gaps else data.Y
    what = ", drops rows with gaps" if gaps else ""
    model = KalmanFilter(
        transition_matrices=data.A, observation_matrices=data.C, transition_covariance=data.Q,
        observation_covariance=data.R, initial_state_mean=np.zeros(len(data.A)),
        initial_state_covariance=data.P,
    )  # fmt: skip
    return {
        "filter": filters.filtering(
            data, lambda rows: model.filter(Y[:rows]), lambda found: found[0], f"filter{what}"
        ),
        "loglik": filters.likelihood(
            data, lambda rows: model.loglikelihood(Y[:rows]), f"loglikelihood{what}"
        ),
    }


VARIANTS = {"series": series}
