"""Patterns of a special shape, for which the equation is easier."""

from lmmfit.gains._pattern_kernels import outline

__all__ = ["special_shape"]


def special_shape(pattern):
    """Whether the entries are all of some rows times columns, or share no row and no column.

    Parameters
    ----------
    pattern : Pattern

    Returns
    -------
    rectangle : (I, J) of intp arrays, or None
        The rows and columns if every entry of I x J may be nonzero, and no other.
    scattered : bool
        Whether no two entries share a row or a column.
    """
    tall, scattered = outline(pattern.rows, pattern.columns, pattern.shape[0])
    if not tall:
        return None, scattered
    return (pattern.rows[:tall], pattern.columns[::tall].copy()), scattered
