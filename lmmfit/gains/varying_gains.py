"""Filtering of series with a sequence of gains, one a row."""

import numpy as np

from lmmfit.gains._run_kernels import filter_dense
from lmmfit.gains.gain_series import GainSeries, run_rows

__all__ = ["filter_with_gains"]


def filter_with_gains(A, C, K, Y, U=None, B=None, start=None):
    """Filter a series of a time-varying system, or with time-varying gains.

    ``x[t|t] = x[t|t-1] + K[t] (y[t] - C[t] x[t|t-1])``, ``x[t+1|t] = A[t] x[t|t] + B[t] u[t]``.

    Parameters
    ----------
    A : array-like of shape (T, n, n) or (n, n)
        A[t] leads from row t to row t + 1. One matrix stands for all rows.
    C : array-like of shape (T, o, n) or (o, n)
    K : array-like of shape (T, n, o) or (n, o)
    Y : array-like of shape (T, o)
        Rows are time. NaN is missing: the innovation of that output is not used.
    U : array-like of shape (T, k), optional
        Known inputs.
    B : array-like of shape (T, n, k) or (n, k), optional
    start : GainState or array-like of shape (n,), optional
        Prediction of the first row's state; zero by default.

    Returns
    -------
    GainSeries
        ``loglik`` is None: there is no steady covariance.

    Raises
    ------
    ValueError
        If a shape is wrong, or an element not finite; the message names it.

    References
    ----------
    Pedroso, L., Batista, P., Oliveira, P. and Silvestre, C. (2021). Discrete-time distributed
    Kalman filter design for networks of interconnected systems with linear time-varying dynamics.
    International Journal of Systems Science.

    Examples
    --------
    >>> from lmmfit.gains import filter_with_gains
    >>> found = filter_with_gains([[1.0]], [[1.0]], [[[1.0]], [[0.5]]], [[4.0], [6.0]])
    >>> found.states.ravel(), found.end.mean
    (array([4., 5.]), array([5.]))
    """
    Y = np.asarray(Y, np.float64)
    if Y.ndim != 2:
        raise ValueError(f"Y must have shape (T, o), got {Y.shape}.")
    T, o = Y.shape
    if np.isinf(Y).any():
        t, i = map(int, np.argwhere(np.isinf(Y))[0])
        raise ValueError(f"Y[{t}, {i}] is {Y[t, i]}. What is missing is NaN.")
    n = np.shape(A)[-1] if np.ndim(A) else 0
    A, C, K = (
        _as_sequence(M, name, T, shape)
        for M, name, shape in ((A, "A", (n, n)), (C, "C", (o, n)), (K, "K", (n, o)))
    )
    if (U is None) != (B is None):
        raise ValueError(
            f"{'B' if U is None else 'U'} was given without {'U' if U is None else 'B'}."
        )
    k = 0 if U is None else np.shape(U)[-1]
    U = np.zeros((T, 0)) if U is None else _as_sequence(U, "U", T, (T, k))[0]
    B = np.zeros((1, n, 0)) if B is None else _as_sequence(B, "B", T, (n, k))
    own = np.require(Y, requirements=["C", "W"])
    kept = {"states": True, "outputs": True, "errors": False}
    states, outputs, _, end = run_rows(filter_dense, own, U, (A, B, C, K), start, kept)
    return GainSeries(states, outputs, None, end)


def _as_sequence(value, name, T, shape):
    """A stack of one matrix, or of one a row."""
    M = np.array(value, np.float64, order="C", ndmin=2)
    M = M[None] if M.ndim == 2 else M
    if M.ndim != 3 or M.shape[1:] != shape or len(M) not in (1, T):
        raise ValueError(
            f"{name} must have shape {shape} or {(T, *shape)}, one matrix a row of Y, got "
            f"{np.shape(value)}."
        )
    if not np.isfinite(M).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(M))[0]))
        at = place if np.ndim(value) == 3 else place[1:]
        raise ValueError(f"{name}[{', '.join(map(str, at))}] is {M[place]}.")
    return M
