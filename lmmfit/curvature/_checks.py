"""What networks of all kinds may be given: tables, weights of patterns, directions."""

import numpy as np

__all__ = ["as_directions", "as_table", "check_weights"]


def as_table(array, name, columns, rows, context):
    """Numbers with a row for each pattern or unit; one column may come as a vector.

    Parameters
    ----------
    array : array-like of shape (rows, columns), or (rows,) for one column
    name : str
    columns : int
    rows : int or None
        None where any number of rows will do, but none.
    context : str
        What the shape belongs to.

    Returns
    -------
    ndarray of shape (rows, columns)
        As it was given otherwise.

    Raises
    ------
    ValueError
        If it holds no numbers, or has another shape.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, got an array of {array.dtype}.")
    if array.ndim == 1 and columns == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != columns or array.shape[0] != (rows or len(array)):
        raise ValueError(
            f"{name} must have shape ({rows or 'n'}, {columns}) for {context}, got {array.shape}."
        )
    if len(array) == 0:
        raise ValueError(f"{name} has no rows.")
    return array


def check_weights(weight):
    """Refuse weights of patterns below zero.

    Parameters
    ----------
    weight : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        Naming the row.
    """
    if (weight < 0).any():
        row = int(np.argmax(weight < 0))
        raise ValueError(f"sample_weight is negative in row {row}: {weight[row]:.6g}.")
    return weight


def as_directions(v, size, what, dtype=np.float64, columns="k"):
    """A vector over all parameters, or several as columns.

    Parameters
    ----------
    v : array-like of shape (size,) or (size, k)
    size : int
    what : str
        What there is one number for.
    dtype : dtype
    columns : str
        What the documentation calls the number of columns.

    Returns
    -------
    ndarray of the shape of v

    Raises
    ------
    ValueError
        If the shape does not fit.
    """
    v = np.asarray(v, dtype=dtype)
    if v.shape[:1] != (size,) or v.ndim > 2:
        raise ValueError(
            f"v must have shape ({size},) or ({size}, {columns}) for {size} {what}, got {v.shape}."
        )
    return v
