"""filterpy's filter: the covariance row by row, or a loop with a steady gain it is given."""

import numpy as np
from filterpy.kalman import KalmanFilter

from benchmarks import _riccati_filters as filters

DISTRIBUTIONS = ("filterpy", "numpy", "scipy")


def series(problem):
    """Filter row by row, and where nothing is missing with the steady gain too."""
    data = filters.Series(problem, "filterpy")
    gaps = np.isnan(data.Y).any(axis=1)
    zs = [None if gap else y for y, gap in zip(data.Y, gaps, strict=True)]
    what = ", drops rows with gaps" if gaps.any() else ""

    def batch(rows):
        return _model(data).batch_filter(zs[:rows], update_first=True)

    operations = {
        "filter": filters.filtering(data, batch, lambda found: found[0], f"batch_filter{what}")
    }
    if not gaps.any():
        operations["filter, gain given"] = _steady(problem)
    return operations


def _steady(problem):
    """Loop with the gain of the steady state."""
    data = filters.Series(problem, "filterpy, gain given")
    C, P = data.C, data.P
    gain = np.linalg.solve(C @ P @ C.T + data.R, C @ P).T

    def loop(rows):
        model, states = _model(data), np.empty((rows, len(data.A)))
        model.K = gain
        for t, y in enumerate(data.Y[:rows]):
            model.update_steadystate(y)
            states[t] = model.x
            model.predict_steadystate()
        return states

    return filters.filtering(data, loop, lambda states: states, "*_steadystate, gain given")


def _model(data):
    """A filter that starts at the steady covariance."""
    model = KalmanFilter(dim_x=len(data.A), dim_z=len(data.C))
    model.x, model.P = np.zeros(len(data.A)), data.P.copy()
    model.F, model.H, model.Q, model.R = data.A, data.C, data.Q, data.R
    return model


VARIANTS = {"series": series}
