"""Patterns of a special shape, for which the equation is easier."""

import numpy as np

__all__ = ["is_scattered", "rectangle"]


def rectangle(pattern):
    """The rows I and columns J if every entry of I x J may be nonzero, and no other.

    Parameters
    ----------
    pattern : Pattern

    Returns
    -------
    (I, J) of intp arrays, or None
    """
    columns = np.flatnonzero(np.diff(pattern.starts))
    if not len(columns):
        return None
    rows = pattern.rows[: pattern.starts[columns[0] + 1]]
    whole = pattern.size == len(rows) * len(columns)
    if not whole or not (pattern.rows.reshape(len(columns), -1) == rows).all():
        return None
    return rows, columns


def is_scattered(pattern):
    """Whether no two entries share a row or a column.

    Parameters
    ----------
    pattern : Pattern

    Returns
    -------
    bool
    """
    alone = np.diff(pattern.starts).max(initial=0) <= 1
    return bool(alone and np.diff(pattern.T.starts).max(initial=0) <= 1)
