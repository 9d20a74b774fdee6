"""Kalman filtering of series: states, predictions of the next row, likelihood."""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from lmmfit.riccati._filter_kernels import filter_rows
from lmmfit.riccati.certificate import closed_loop_radius
from lmmfit.riccati.checks import as_matrix, as_symmetric, check_semidefinite

__all__ = [
    "FilterState",
    "FilteredSeries",
    "as_inputs",
    "as_outputs",
    "filter_series",
    "run_filter",
    "series_of",
    "start_filter",
]

_BACK = 1e-13  # difference from the steady covariance, relative, that is no longer followed
_ROOM = 64  # covariances for which there is room at first


@dataclass(frozen=True, eq=False)
class FilterState:
    """What a filter knows between two rows: enough to go on with the next.

    Attributes
    ----------
    mean : ndarray of shape (n,)
        Of the state at the next row, given all rows so far.
    cov : ndarray of shape (n, n)
        Its covariance.
    steady : bool
        Whether that is the steady one.
    n_rows : int
        Rows so far.

    Examples
    --------
    >>> from lmmfit.riccati import filter_series, steady_filter
    >>> nile = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])
    >>> state = filter_series(nile, [[1120.0], [1160.0]]).end
    >>> state.mean.round(3), state.n_rows
    (array([528.997]), 2)
    """

    mean: np.ndarray
    cov: np.ndarray = field(repr=False)
    steady: bool
    n_rows: int = 0


@dataclass(frozen=True, eq=False)
class FilteredSeries:
    """What a pass of the filter found; None for what was not asked for.

    Attributes
    ----------
    states : ndarray of shape (T, n) or None
        x[t|t], each given the rows up to its own.
    outputs : ndarray of shape (T, o) or None
        C x[t|t-1], each row predicted from those before it.
    loglik : ndarray of shape (T,) or None
        Log-likelihood of each row given those before it; 0 where all of it is missing.
    end : FilterState
        From which :func:`filter_series` goes on.

    Examples
    --------
    >>> from lmmfit.riccati import filter_series, steady_filter
    >>> nile = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])
    >>> filter_series(nile, [[1120.0], [1160.0]]).outputs.round(3)
    array([[  0.   ],
           [299.094]])
    """

    states: np.ndarray | None = field(repr=False)
    outputs: np.ndarray | None = field(repr=False)
    loglik: np.ndarray | None = field(repr=False)
    end: FilterState


def start_filter(system, initial_state=None, initial_cov="steady"):
    """The state of a filter before the first row.

    Parameters
    ----------
    system : SteadyFilter
    initial_state : array-like of shape (n,), optional
        Mean of the first state; zero by default.
    initial_cov : {"steady", "stationary"} or array-like of shape (n, n), default="steady"
        Its covariance: ``steady`` is P, the fastest; ``stationary`` that of the process itself,
        for a stable A.

    Returns
    -------
    FilterState

    Raises
    ------
    ValueError
        If a shape is wrong, a matrix not semidefinite, or A not stable for ``stationary``.

    Examples
    --------
    >>> from lmmfit.riccati import start_filter, steady_filter
    >>> system = steady_filter([[0.5]], [[1.0]], [[3.0]], [[1.0]])
    >>> start_filter(system, [1.0], "stationary").cov
    array([[4.]])
    """
    n = len(system.A)
    mean = np.zeros(n)
    if initial_state is not None:
        mean = as_matrix(np.asarray(initial_state).reshape(1, -1), "initial_state", (1, n))[0]
    if not isinstance(initial_cov, str):
        cov = as_symmetric(initial_cov, "initial_cov", n)
        check_semidefinite(cov, "initial_cov")
        return FilterState(mean, cov, steady=False)
    if initial_cov == "steady":
        return FilterState(mean, system.P, steady=True)
    if initial_cov != "stationary":
        raise ValueError(
            f"initial_cov={initial_cov!r} is neither 'steady', 'stationary' nor a matrix."
        )
    radius = closed_loop_radius(system.A)
    if radius >= 1.0:
        raise ValueError(
            "initial_cov='stationary' needs a stable A; its largest eigenvalue has the size "
            f"{radius:.6g}. Take 'steady' or give a matrix."
        )
    cov = solve_discrete_lyapunov(system.A, system.Q)
    return FilterState(mean, 0.5 * (cov + cov.T), steady=False)


def filter_series(system, Y, U=None, start=None, *, keep=("states", "outputs", "loglik")):
    """Filter a series; NaN is missing, element by element.

    Complete rows cost products of matrices with vectors. After a row with missing elements, and
    from a start with another covariance, the covariance is followed exactly until it is the
    steady one again. All results are those of the exact time-varying filter.

    Parameters
    ----------
    system : SteadyFilter
    Y : array-like of shape (T, o)
    U : array-like of shape (T, k), optional
        Known inputs; needed if the system has any. Row t acts on the state of row t + 1.
    start : FilterState, optional
        Where to go on; :func:`start_filter` of the system by default. A series in pieces gives
        the same bits as one pass.
    keep : tuple of str, default=("states", "outputs", "loglik")
        Results that are kept.

    Returns
    -------
    FilteredSeries

    Raises
    ------
    ValueError
        If a shape is wrong, or an element infinite.

    References
    ----------
    Anderson, B. D. O. and Moore, J. B. (1979). Optimal Filtering. Prentice-Hall, chapters 3, 4.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import filter_series, start_filter, steady_filter
    >>> nile = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])
    >>> start = start_filter(nile, [1000.0])
    >>> found = filter_series(nile, [[1120.0], [np.nan], [963.0]], start=start)
    >>> found.states.round(2).ravel()
    array([1032.05, 1032.05, 1010.24])
    """
    unknown = set(keep) - {"states", "outputs", "loglik"}
    if unknown:
        raise ValueError(f"keep names {sorted(unknown)}, which is none of the results.")
    Y = as_outputs(system, Y)
    U = as_inputs(system, U, len(Y))
    start = start_filter(system) if start is None else start
    kept, *_, end = run_filter(system, Y, U, start, keep)
    return FilteredSeries(kept["states"], kept["outputs"], kept["loglik"], end)


def run_filter(system, Y, U, start, keep):
    """One pass over a series that has been checked.

    Parameters
    ----------
    system : SteadyFilter
    Y, U : ndarray of shape (T, o) and (T, k)
    start : FilterState
    keep : collection of str
        Of ``states``, ``outputs``, ``loglik``, and ``predicted``: the means x[t|t-1] with their
        covariances.

    Returns
    -------
    kept : dict of str to ndarray or None
    slots : ndarray of shape (T,)
        Where in ``covs`` the predicted covariance of a row is, -1 for the steady one.
    covs : ndarray of shape (j, n, n)
    end : FilterState
    """
    T, (o, n) = len(Y), system.C.shape
    widths = {"predicted": (n,), "states": (n,), "outputs": (o,), "loglik": ()}
    kept = {k: np.empty((T if k in keep else 0, *w)) for k, w in widths.items()}
    store = "predicted" in keep
    slots = np.empty(T if store else 0, dtype=np.int64)
    x, cov, steady = start.mean.copy(), np.array(start.cov, order="C"), start.steady
    blocks, stored, done, room = [], 0, 0, _ROOM if store else 0
    while done < T:
        block = np.empty((room, n, n))
        part = [kept[k][done:] for k in widths]
        rows, used, steady = filter_rows(
            Y[done:], U[done:], *system._kernel_arrays, _BACK, x, cov, steady, *part,
            slots[done:], block,
        )  # fmt: skip
        here = slots[done : done + rows]
        here[here >= 0] += stored
        blocks.append(block[:used])
        stored, done, room = stored + used, done + rows, 2 * room
    covs = np.concatenate(blocks) if store and blocks else np.empty((0, n, n))
    end = FilterState(x, system.P if steady else cov, bool(steady), start.n_rows + T)
    return {k: v if k in keep else None for k, v in kept.items()}, slots, covs, end


def series_of(X, U):
    """Series and inputs as lists of the same length.

    Parameters
    ----------
    X : array-like of shape (T, o), or list of such
    U : array-like of shape (T, k), list of such, or None

    Returns
    -------
    series, inputs : list
    many : bool
        Whether X was a list of series.

    Raises
    ------
    ValueError
        If there is not one table of inputs for each series.
    """
    many = isinstance(X, list | tuple) and len(X) > 0 and all(
        getattr(table, "ndim", 0) == 2 for table in X
    )  # fmt: skip
    if not many:
        return [X], [U], False
    inputs = [None] * len(X) if U is None else list(U)
    if len(inputs) != len(X):
        raise ValueError(f"X has {len(X)} series, but U inputs for {len(inputs)}.")
    return list(X), inputs, True


def as_outputs(system, Y):
    """A series as the kernels take it.

    Parameters
    ----------
    system : SteadyFilter
    Y : array-like of shape (T, o), or (T,) where o is 1

    Returns
    -------
    ndarray of shape (T, o)

    Raises
    ------
    ValueError
        If the shape is wrong, or an element infinite.
    """
    Y, o = np.asarray(Y, dtype=np.float64), system.C.shape[0]
    Y = Y[:, None] if Y.ndim == 1 and o == 1 else Y
    if Y.ndim != 2 or Y.shape[1] != o:
        raise ValueError(f"Y must have one column for each of {o} outputs, got {Y.shape}.")
    if np.isinf(Y).any():
        t, i = map(int, np.argwhere(np.isinf(Y))[0])
        raise ValueError(f"Y[{t}, {i}] is {Y[t, i]}. What is missing is NaN.")
    return np.require(Y, requirements=["C", "W"])  # a read-only array is another kind to compile


def as_inputs(system, U, T):
    """Known inputs as the kernels take them.

    Parameters
    ----------
    system : SteadyFilter
    U : array-like of shape (T, k) or None
    T : int

    Returns
    -------
    ndarray of shape (T, k)

    Raises
    ------
    ValueError
        If they are missing, or not finite, or have a wrong shape.
    """
    k = system.B.shape[1]
    if U is None:
        if k:
            raise ValueError(f"the system has {k} inputs: give U, of shape ({T}, {k}).")
        return np.zeros((T, 0))
    if not k:
        raise ValueError("U was given, but the system has no B for it.")
    return np.ascontiguousarray(as_matrix(U, "U", (T, k)))
