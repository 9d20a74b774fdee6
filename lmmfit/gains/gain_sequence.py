"""Gains that change from step to step."""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["GainSequence"]


@dataclass(frozen=True, eq=False)
class GainSequence:
    """Gains for the steps of a window, zero off a pattern.

    Attributes
    ----------
    K : ndarray of shape (T, n, o), or (T, m, n) of a regulator
    P : ndarray of shape (T, n, n)
        Covariance after each step; of a regulator, matrix of the cost from each step on.
    traces : ndarray of shape (T,)
    method : str
    converged : bool
    n_iter : int
        Sweeps over the window, or windows of the moving horizon.
    trace_history : list of float
        Of the sum of the traces after each sweep; of a moving horizon, the last trace of each
        window.
    trace : float
        Sum of the traces; of a moving horizon, the exact steady trace.
    spectral_radius : float or None
        Of a moving horizon: of the product of its loops, below 1.
    P_steady : ndarray of shape (n, n) or None
        Of a moving horizon: exact steady covariance of its estimates.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import time_varying_filter
    >>> one = np.eye(2)
    >>> A = np.stack([one, [[0.9, 0.3], [0.1, 0.8]], [[0.5, 0.0], [0.2, 1.1]]])
    >>> found = time_varying_filter(A, one, one, one, "diag", initial_cov=10 * one)
    >>> found.K.shape, found.traces.round(4)
    ((3, 2, 2), array([1.8182, 1.3125, 1.2019]))
    """

    K: np.ndarray = field(repr=False)
    P: np.ndarray = field(repr=False)
    traces: np.ndarray = field(repr=False)
    method: str
    converged: bool
    n_iter: int
    trace_history: list = field(repr=False)
    trace: float
    spectral_radius: float | None = None
    P_steady: np.ndarray | None = field(default=None, repr=False)
