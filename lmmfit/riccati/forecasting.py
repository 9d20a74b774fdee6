"""What follows a series: forecasts, and draws from the model."""

from dataclasses import dataclass, field

import numpy as np

from lmmfit.riccati.kalman import as_inputs, start_filter

__all__ = ["Forecast", "forecast", "simulate"]


@dataclass(frozen=True, eq=False)
class Forecast:
    """Rows to come.

    Attributes
    ----------
    outputs : ndarray of shape (h, o)
    output_covariances : ndarray of shape (h, o, o)
        Of the observations, R included.
    states : ndarray of shape (h, n)
    state_covariances : ndarray of shape (h, n, n)

    Examples
    --------
    >>> from lmmfit.riccati import filter_series, forecast, steady_filter
    >>> nile = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])
    >>> end = filter_series(nile, [[1120.0], [1160.0]]).end
    >>> forecast(nile, end, 2).output_covariances.ravel().round(1)
    array([20600.3, 22069.4])
    """

    outputs: np.ndarray
    output_covariances: np.ndarray = field(repr=False)
    states: np.ndarray = field(repr=False)
    state_covariances: np.ndarray = field(repr=False)


def forecast(system, state, h, U=None):
    """Means and covariances of the next h rows.

    Parameters
    ----------
    system : SteadyFilter
    state : FilterState
        After the last row.
    h : int
        Rows to come.
    U : array-like of shape (h, k), optional
        Known inputs during them; needed if the system has any.

    Returns
    -------
    Forecast

    Raises
    ------
    ValueError
        If h is not at least 1, or the shape of U wrong.

    Examples
    --------
    >>> from lmmfit.riccati import forecast, start_filter, steady_filter
    >>> system = steady_filter([[0.5]], [[1.0]], [[3.0]], [[1.0]])
    >>> forecast(system, start_filter(system, [8.0]), 3).outputs.ravel()
    array([8., 4., 2.])
    """
    if int(h) != h or h < 1:
        raise ValueError(f"h must be a whole number of rows, at least 1, got {h!r}.")
    h = int(h)
    U = as_inputs(system, U, h)
    A, B, C, Q, R = system.A, system.B, system.C, system.Q, system.R
    n = len(A)
    states, covs = np.empty((h, n)), np.empty((h, n, n))
    x, P = state.mean, state.cov
    for i in range(h):
        states[i], covs[i] = x, P
        x, P = A @ x + B @ U[i], A @ P @ A.T + Q
        P = 0.5 * (P + P.T)
    return Forecast(states @ C.T, C @ covs @ C.T + R, states, covs)


def simulate(system, T, U=None, start=None, *, seed=None):
    """Draw a series from the model, with w and v of a row together where they are correlated.

    Parameters
    ----------
    system : SteadyFilter
    T : int
        Rows.
    U : array-like of shape (T, k), optional
    start : FilterState, optional
        Of whose normal distribution the first state is drawn.
    seed : int, numpy.random.Generator or None

    Returns
    -------
    Y : ndarray of shape (T, o)
    X : ndarray of shape (T, n)
        The states.

    Raises
    ------
    ValueError
        If T is not at least 1, or the shape of U wrong.

    Examples
    --------
    >>> from lmmfit.riccati import simulate, steady_filter
    >>> system = steady_filter([[0.5]], [[1.0]], [[3.0]], [[1.0]])
    >>> Y, X = simulate(system, 4, seed=0)
    >>> Y.shape, X.shape
    ((4, 1), (4, 1))
    """
    if int(T) != T or T < 1:
        raise ValueError(f"T must be a whole number of rows, at least 1, got {T!r}.")
    rng = np.random.default_rng(seed)
    U = as_inputs(system, U, int(T))
    start = start_filter(system) if start is None else start
    (o, n), A = system.C.shape, system.A
    w, v = rng.standard_normal((int(T), n)), rng.standard_normal((int(T), o))
    if system.cross.any():
        both = np.block([[system.Q, system.cross], [system.cross.T, system.R]])
        w, v = np.split(np.hstack([w, v]) @ _root(both).T, [n], axis=1)
    else:
        w, v = w @ _root(system.Q).T, v @ _root(system.R).T
    X = np.empty((int(T), n))
    x = start.mean + _root(start.cov) @ rng.standard_normal(n)
    for t, step in enumerate(w + U @ system.B.T):
        X[t] = x
        x = A @ x + step
    return X @ system.C.T + v, X


def _root(M):
    values, vectors = np.linalg.eigh(M)
    return vectors * np.sqrt(np.maximum(values, 0.0))
