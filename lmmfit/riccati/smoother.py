"""Fixed-interval smoothing: states given all of a series."""

from dataclasses import dataclass, field

import numpy as np

from lmmfit.riccati._smoother_kernels import smooth_rows
from lmmfit.riccati.kalman import as_inputs, as_outputs, run_filter, start_filter

__all__ = ["SmoothedSeries", "smooth_series"]


@dataclass(frozen=True, eq=False)
class SmoothedSeries:
    """States given all rows of a series.

    Attributes
    ----------
    states : ndarray of shape (T, n)
    covariances : ndarray of shape (T, n, n) or None
    loglik : float
        Log-likelihood of the series.

    Examples
    --------
    >>> from lmmfit.riccati import smooth_series, steady_filter
    >>> nile = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])
    >>> smooth_series(nile, [[100.0], [160.0]]).states.round(2).ravel()
    array([52.8, 62.3])
    """

    states: np.ndarray = field(repr=False)
    covariances: np.ndarray | None = field(repr=False)
    loglik: float


def smooth_series(system, Y, U=None, start=None, *, return_cov=False):
    """Smooth a series; NaN is missing, element by element.

    A backward pass in the form of de Jong, equal to that of Rauch, Tung and Striebel but without
    the inverse of a covariance, which is singular where Q is.

    Parameters
    ----------
    system : SteadyFilter
    Y : array-like of shape (T, o)
    U : array-like of shape (T, k), optional
        Known inputs; needed if the system has any.
    start : FilterState, optional
        Before the first row; :func:`start_filter` of the system by default.
    return_cov : bool, default=False
        Whether to keep the covariances.

    Returns
    -------
    SmoothedSeries

    Raises
    ------
    ValueError
        If a shape is wrong, or an element infinite.

    References
    ----------
    de Jong, P. (1989). Smoothing and interpolation with the state-space model. Journal of the
    American Statistical Association 84.

    Rauch, H. E., Tung, F. and Striebel, C. T. (1965). Maximum likelihood estimates of linear
    dynamic systems. AIAA Journal 3.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import smooth_series, start_filter, steady_filter
    >>> nile = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])
    >>> start = start_filter(nile, [1000.0])
    >>> Y = [[1120.0], [np.nan], [963.0]]
    >>> smooth_series(nile, Y, start=start).states.round(2).ravel()
    array([1019.43, 1014.83, 1010.24])
    """
    Y = as_outputs(system, Y)
    U = as_inputs(system, U, len(Y))
    start = start_filter(system) if start is None else start
    kept, slots, covs, _ = run_filter(system, Y, U, start, ("predicted", "loglik"))
    (T, n), predicted = kept["predicted"].shape, kept["predicted"]
    states, covariances = np.empty((T, n)), np.empty((T if return_cov else 0, n, n))
    if T:
        given, P = system._kernel_arrays, some_covariance(system, slots, covs)
        smooth_rows(
            Y, predicted, slots, covs, P, given.A, given.At, given.C, given.R, given.cross,
            states, covariances,
        )  # fmt: skip
    return SmoothedSeries(states, covariances if return_cov else None, float(kept["loglik"].sum()))


def some_covariance(system, slots, covs):
    """The steady covariance, or another if no row has it: a system may have none.

    Parameters
    ----------
    system : SteadyFilter
    slots : ndarray of shape (T,)
    covs : ndarray of shape (j, n, n)

    Returns
    -------
    ndarray of shape (n, n)
    """
    return system._kernel_arrays.P if (slots < 0).any() else covs[0]
