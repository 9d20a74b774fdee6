"""How probable the errors of a prediction are, of those outputs that were seen."""

import numpy as np

from lmmfit.gains._run_kernels import whitened_norms
from lmmfit.riccati.checks import as_symmetric, check_definite

__all__ = ["error_density", "log_densities"]


def error_density(errors, S):
    """Logarithm of the normal density of each row's errors, N(0, S).

    Of a row with missing errors it is the density of the others, which is normal too, with
    their part of S.

    Parameters
    ----------
    errors : array-like of shape (T, o)
        NaN is missing.
    S : array-like of shape (o, o)
        Positive definite.

    Returns
    -------
    ndarray of shape (T,)
        0 where all of a row is missing.

    Raises
    ------
    ValueError
        If a shape is wrong, an error infinite, or S not symmetric and positive definite.

    Notes
    -----
    The sum over rows is a likelihood only where the errors of different rows are independent, as
    those of a Kalman filter are. With another gain S is still their covariance, row by row, but
    what is left in one row can be seen in the next: the sum scores predictions, properly, and is
    no likelihood of the series.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import error_density
    >>> S = [[1.0, 0.5], [0.5, 1.0]]
    >>> error_density([[0.0, 0.0], [np.nan, 0.0], [np.nan, np.nan]], S).round(6)
    array([-1.694036, -0.918939,  0.      ])
    """
    errors = np.array(errors, np.float64, order="C")
    if errors.ndim != 2:
        raise ValueError(f"errors must have shape (T, o), got {errors.shape}.")
    if np.isinf(errors).any():
        t, i = map(int, np.argwhere(np.isinf(errors))[0])
        raise ValueError(f"errors[{t}, {i}] is {errors[t, i]}. What is missing is NaN.")
    S = as_symmetric(S, "S", errors.shape[1])
    return log_densities(errors, S, check_definite(S, "S"))


def log_densities(errors, S, L):
    """The same of what has been checked, with the Cholesky factor of S.

    Parameters
    ----------
    errors : ndarray of shape (T, o)
    S, L : ndarray of shape (o, o)

    Returns
    -------
    ndarray of shape (T,)
    """
    density = np.zeros(len(errors))
    seen = ~np.isnan(errors)
    complete = seen.all(axis=1)
    _of_rows(errors, L, np.flatnonzero(complete), density)
    rest = np.flatnonzero(~complete)
    masks, which = np.unique(seen[rest], axis=0, return_inverse=True)
    for k, mask in enumerate(masks):  # rows that lack the same share a factor
        if mask.any():
            rows = rest[which.reshape(-1) == k]
            part = np.zeros(len(rows))
            factor = np.linalg.cholesky(S[np.ix_(mask, mask)])
            _of_rows(
                np.ascontiguousarray(errors[rows][:, mask]), factor, np.arange(len(rows)), part
            )
            density[rows] = part
    return density


def _of_rows(errors, L, rows, out):
    whitened_norms(errors, np.ascontiguousarray(L.T), rows, out)
    constant = 0.5 * len(L) * np.log(2.0 * np.pi) + np.log(np.diag(L)).sum()
    out[rows] = -0.5 * out[rows] - constant
