"""Filtering of series with gains that are given: constant ones, and sequences."""

from dataclasses import dataclass, field

import numpy as np

from lmmfit.gains._run_kernels import filter_dense, filter_sparse
from lmmfit.gains.densities import log_densities
from lmmfit.riccati.checks import as_matrix
from lmmfit.riccati.kalman import as_inputs, as_outputs

__all__ = ["GainSeries", "GainState", "as_start", "filter_with_gain"]

_RESULTS = ("states", "outputs", "loglik")


@dataclass(frozen=True, eq=False)
class GainState:
    """What a filter with given gains knows between two rows.

    Attributes
    ----------
    mean : ndarray of shape (n,)
        Prediction of the state at the next row.
    n_rows : int
        Rows so far.

    Examples
    --------
    >>> from lmmfit.gains import constant_gain_filter, filter_with_gain
    >>> system = constant_gain_filter([[0.5]], [[1.0]], [[1.0]], [[1.0]], [[0.5]])
    >>> filter_with_gain(system, [[4.0], [3.0]]).end
    GainState(mean=array([1.]), n_rows=2)
    """

    mean: np.ndarray
    n_rows: int = 0


@dataclass(frozen=True, eq=False)
class GainSeries:
    """What a pass found; None for what was not asked for.

    Attributes
    ----------
    states : ndarray of shape (T, n) or None
        x[t|t], each given the rows up to its own.
    outputs : ndarray of shape (T, o) or None
        C x[t|t-1], each row predicted from those before it.
    loglik : ndarray of shape (T,) or None
        :func:`error_density` of each row's innovations.
    end : GainState
        From which a pass goes on.

    Examples
    --------
    >>> from lmmfit.gains import constant_gain_filter, filter_with_gain
    >>> system = constant_gain_filter([[0.5]], [[1.0]], [[1.0]], [[1.0]], [[0.5]])
    >>> filter_with_gain(system, [[4.0], [3.0]]).outputs.ravel()
    array([0., 1.])
    """

    states: np.ndarray | None = field(repr=False)
    outputs: np.ndarray | None = field(repr=False)
    loglik: np.ndarray | None = field(repr=False)
    end: GainState


def filter_with_gain(gain_filter, Y, U=None, start=None, *, keep=_RESULTS):
    """Filter a series with a constant gain; a row costs the nonzeros of A, B, C and K.

    ``x[t|t] = x[t|t-1] + K (y[t] - C x[t|t-1])`` and ``x[t+1|t] = A x[t|t] + B u[t]``.

    Parameters
    ----------
    gain_filter : GainFilter
    Y : array-like of shape (T, o)
        Rows are time. NaN is missing: the innovation of that output is not used, the others are,
        with the gain as it is.
    U : array-like of shape (T, k), optional
        Known inputs; needed if the filter has any. Row t acts on the state of row t + 1.
    start : GainState or array-like of shape (n,), optional
        Prediction of the first row's state, or where an earlier pass ended; zero by default. A
        series in pieces gives the same bits as one pass.
    keep : tuple of str, default=("states", "outputs", "loglik")
        Results that are kept.

    Returns
    -------
    GainSeries

    Raises
    ------
    ValueError
        If a shape is wrong, or an element infinite.

    Notes
    -----
    Innovations have the covariance S once the start is forgotten, and while nothing is missing;
    ``loglik`` takes it for all rows. Those of a gain that is not Kalman's are not white, see
    :func:`error_density`.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import constant_gain_filter, filter_with_gain
    >>> A, K = np.array([[0.5, 0.25], [0.0, 0.5]]), 0.5 * np.eye(2)
    >>> system = constant_gain_filter(A, np.eye(2), np.eye(2), np.eye(2), K)
    >>> filter_with_gain(system, [[4.0, 8.0], [np.nan, 2.0]]).states
    array([[2., 4.],
           [2., 2.]])
    """
    unknown = set(keep) - set(_RESULTS)
    if unknown:
        raise ValueError(f"keep names {sorted(unknown)}, which is none of {', '.join(_RESULTS)}.")
    Y = as_outputs(gain_filter, Y)
    U = as_inputs(gain_filter, U, len(Y))
    sparse, matrices = gain_filter._kernel_arrays
    run = filter_sparse if sparse else filter_dense
    kept = {"states": "states" in keep, "outputs": "outputs" in keep, "errors": "loglik" in keep}
    states, outputs, errors, end = run_rows(run, Y, U, matrices, start, kept)
    loglik = None
    if "loglik" in keep:
        loglik = log_densities(errors, gain_filter.S, gain_filter.L)
    return GainSeries(states, outputs, loglik, end)


def run_rows(run, Y, U, matrices, start, kept):
    """One pass of a kernel over a series that has been checked.

    Parameters
    ----------
    run : callable
        Kernel.
    Y, U : ndarray of shape (T, o) and (T, k)
    matrices : tuple
        A, B, C and K as the kernel takes them; K[-1] or its compressed rows tell n.
    start : GainState, array-like or None
    kept : dict of str to bool
        Whether states, outputs and errors are kept.

    Returns
    -------
    states, outputs, errors : ndarray or None
    end : GainState
    """
    T, o = Y.shape
    A = matrices[0]
    n = len(A[0]) - 1 if isinstance(A, tuple) else A.shape[-1]
    start = as_start(start, n)
    x = start.mean.copy()
    sizes = {"states": n, "outputs": o, "errors": o}
    found = {k: np.empty((T if kept[k] else 0, size)) for k, size in sizes.items()}
    run(Y, U, *matrices, x, found["states"], found["outputs"], found["errors"])
    results = (found[k] if kept[k] else None for k in sizes)
    return *results, GainState(x, start.n_rows + T)


def as_start(start, n):
    """Where a pass begins.

    Parameters
    ----------
    start : GainState, array-like of shape (n,) or None
    n : int

    Returns
    -------
    GainState

    Raises
    ------
    ValueError
        If it has another length, or an element is not finite.
    """
    if start is None:
        return GainState(np.zeros(n))
    mean, rows = (start.mean, start.n_rows) if isinstance(start, GainState) else (start, 0)
    mean = np.asarray(mean)
    if mean.shape != (n,):
        raise ValueError(f"start must have one element for each of {n} states, got {mean.shape}.")
    return GainState(as_matrix(mean[None, :], "start", (1, n))[0], rows)
