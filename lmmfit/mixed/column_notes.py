"""What is kept of the columns behind the fixed effects: levels, means, how often levels meet."""

import re
from dataclasses import dataclass

import numpy as np

from lmmfit.mixed.formula import FormulaSource, mentioned_columns, unquote

__all__ = ["ColumnNotes", "Variable", "note_columns"]

_AS_CATEGORY = re.compile(r"C\(\s*(`[^`]+`|[^\W\d][\w.]*)\s*[,)]")


@dataclass(frozen=True)
class Variable:
    """A column of the data that the fixed effects or an offset use.

    Attributes
    ----------
    levels : tuple or None
        Of a categorical column, in the order of the formula; None for a column of numbers.
    mean, low, high : float
        Of a column of numbers; NaN where unknown.
    """

    levels: tuple | None = None
    mean: float = np.nan
    low: float = np.nan
    high: float = np.nan


@dataclass(frozen=True, eq=False)
class ColumnNotes:
    """Notes on the columns behind a formula, taken when a design is bound.

    Attributes
    ----------
    variables : dict of str to Variable
    combinations : ndarray of shape (m, n_categorical)
        Codes of the combinations of levels that occur, by categorical column.
    counts : ndarray of shape (m,)
        Rows of each.
    n_rows : int
        Rows that were looked at.
    """

    variables: dict
    combinations: np.ndarray
    counts: np.ndarray
    n_rows: int

    @property
    def categorical(self):
        """Names of the categorical columns."""
        return [name for name, known in self.variables.items() if known.levels is not None]


def note_columns(source, offsets, columns):
    """Note what a reference grid will need to know of the data.

    Parameters
    ----------
    source : FormulaSource or ColumnSource
        Of the fixed effects.
    offsets : tuple of str
    columns : FrameColumns or ArrayColumns

    Returns
    -------
    ColumnNotes or None
        None where the fixed effects are columns of numbers without offsets: the
        cross-products know their means.
    """
    formula = isinstance(source, FormulaSource)
    if not formula and not offsets:
        return None
    coded = _coded_levels(source.spec) if formula else {}
    used = set(map(str, source.spec.required_variables)) if formula else set()
    used.update(mentioned_columns(offsets, columns.names))
    variables = {
        name: _look_at(name, columns, coded.get(name)) for name in columns.names if name in used
    }
    levels = {name: one.levels for name, one in variables.items() if one.levels is not None}
    return ColumnNotes(variables, *_count(columns, levels), len(columns))


def _coded_levels(spec):
    """Levels of the columns that a formula codes, alone or within ``C(...)``."""
    found = {}
    for expression, (_, state) in spec.encoder_state.items():
        if "categories" in state:
            call = _AS_CATEGORY.match(expression)
            found[unquote(call.group(1) if call else expression)] = tuple(state["categories"])
    return found


def _look_at(name, columns, levels):
    if levels is not None:
        return Variable(levels)
    if not columns.is_numeric(name):  # used only within some call
        return Variable(tuple(dict.fromkeys(columns.to_pandas([name])[name].tolist())))
    values = np.asarray(columns.numeric(name), dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        return Variable()
    return Variable(None, float(values.mean()), float(values.min()), float(values.max()))


def _count(columns, levels):
    """Combinations of levels that occur, and their rows."""
    if not levels:
        return np.empty((0, 0), dtype=np.int64), np.empty(0, dtype=np.int64)
    import pandas  # formulaic, which coded the columns, needs it

    data = columns.to_pandas(list(levels))
    codes = [
        pandas.Categorical(data[name], categories=list(own)).codes.astype(np.int64)
        for name, own in levels.items()
    ]
    at, cells = np.zeros(len(data), dtype=np.int64), 1
    for code, own in zip(codes, levels.values(), strict=True):
        if cells * len(own) > 2**62:
            return np.empty((0, len(levels)), dtype=np.int64), np.empty(0, dtype=np.int64)
        at, cells = at * len(own) + code, cells * len(own)
    known = np.logical_and.reduce([code >= 0 for code in codes])
    cell, counts = np.unique(at[known], return_counts=True)
    combinations = np.unravel_index(cell, [len(own) for own in levels.values()])
    return np.column_stack(combinations), counts
