"""Band storage: the diagonals of a matrix as rows of an array."""

import operator

import numpy as np
from scipy.sparse import issparse

from lmmfit.linalg._check import as_matrix, check_finite
from lmmfit.linalg.sparse import as_sparse

__all__ = ["as_band", "by_columns", "clear_corners", "from_band", "to_band"]


def to_band(A, lower=None, upper=None):
    """Store a band matrix by diagonals, ``AB[upper + i - j, j] = A[i, j]``.

    Parameters
    ----------
    A : array_like of shape (..., n, n), or sparse array of shape (n, n)
    lower, upper : int, optional
        Diagonals below and above the main one (q and p in the textbook); by default as many as A
        has.

    Returns
    -------
    ndarray of shape (..., lower + upper + 1, n)
        As `scipy.linalg.solve_banded` takes it; unused corners are 0.

    Raises
    ------
    ValueError
        If A has an element outside the band.

    Examples
    --------
    >>> from lmmfit.linalg import to_band
    >>> to_band([[1, 2, 0], [3, 4, 5], [0, 6, 7]])
    array([[0., 2., 5.],
           [1., 4., 7.],
           [3., 6., 0.]])
    """
    if issparse(A):
        entries = as_sparse(A).tocoo()
        rows, columns, values = entries.row, entries.col, entries.data
        shape = entries.shape
        if shape[0] != shape[1]:
            raise ValueError(f"A must be square; its shape is {shape}.")
    else:
        a = as_matrix(A, square=True, stack=True, double=True)
        shape = a.shape
        rows, columns = np.nonzero((a != 0.0).reshape(-1, *shape[-2:]).any(axis=0))
        values = a[..., rows, columns]
    below = int((rows - columns).max(initial=0))
    above = int((columns - rows).max(initial=0))
    lower = below if lower is None else _bandwidth(lower, "lower")
    upper = above if upper is None else _bandwidth(upper, "upper")
    if lower < below or upper < above:
        raise ValueError(
            f"A has elements outside the band: it has {below} diagonals below the main one and "
            f"{above} above; lower is {lower} and upper {upper}."
        )
    band = np.zeros((*shape[:-2], lower + upper + 1, shape[-1]))
    band[..., upper + rows - columns, columns] = values
    return band


def from_band(AB, lower, upper):
    """Write out a matrix that is stored by diagonals: the inverse of `to_band`.

    Parameters
    ----------
    AB : array_like of shape (..., lower + upper + 1, n)
    lower, upper : int
        Diagonals below and above the main one.

    Returns
    -------
    ndarray of shape (..., n, n)

    Examples
    --------
    >>> from lmmfit.linalg import from_band
    >>> from_band([[0.0, 2.0], [1.0, 4.0], [3.0, 0.0]], 1, 1)
    array([[1., 2.],
           [3., 4.]])
    """
    band = as_band(AB, lower, upper)
    n = band.shape[-1]
    a = np.zeros((*band.shape[:-2], n, n))
    for row in range(lower + upper + 1):
        offset = upper - row  # j - i
        j = np.arange(max(0, offset), min(n, n + offset))
        a[..., j - offset, j] = band[..., row, j]
    return a


def as_band(AB, lower, upper, name="AB"):
    """Return band storage as an array of float64: not copied if its corners are finite."""
    lower, upper = _bandwidth(lower, "lower"), _bandwidth(upper, "upper")
    band = as_matrix(AB, name, stack=True, double=True, finite=False)
    if band.shape[-2] != lower + upper + 1:
        raise ValueError(
            f"{name} must have the shape (..., lower + upper + 1, n), here "
            f"(..., {lower + upper + 1}, n); it has {band.shape}."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(band.sum())
    if not finite:  # users leave anything in the corners
        band = clear_corners(band.copy(), upper)
        check_finite(band, name)
    return band


def clear_corners(band, upper):
    """Write zeros, in place, where band storage has no element of the matrix."""
    rows, n = band.shape[-2:]
    for row in range(rows):
        offset = upper - row  # j - i
        band[..., row, : min(max(offset, 0), n)] = 0.0
        band[..., row, max(n + min(offset, 0), 0) :] = 0.0
    return band


def by_columns(band, upper, extra=0):
    """Lay a band out by columns (m, n, rows) for the kernels, with `extra` diagonals above."""
    rows, n = band.shape[-2:]
    out = np.empty((*band.shape[:-2], n, rows + extra))
    out[..., :extra] = 0.0
    inner = np.swapaxes(out[..., extra:], -1, -2)
    inner[...] = band
    clear_corners(inner, upper)
    return out.reshape(-1, n, rows + extra)


def _bandwidth(value, name):
    try:
        number = operator.index(value)
    except TypeError as error:
        raise TypeError(f"{name} must be a number of diagonals; got {value!r}.") from error
    if number < 0:
        raise ValueError(f"{name} must not be negative; got {number}.")
    return number
