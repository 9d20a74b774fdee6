"""The reference grid of a model: its fixed effects at chosen values of the columns."""

from dataclasses import dataclass
from itertools import product
from numbers import Real

import numpy as np

from lmmfit.mixed.column_notes import Variable
from lmmfit.mixed.columns import ArrayColumns, as_columns
from lmmfit.mixed.formula import FormulaSource
from lmmfit.mixed.layout import INTERCEPT, Basis

__all__ = ["ReferenceGrid", "build_grid", "count_cells", "describe_columns", "grid_values"]

_LARGEST = 100_000


@dataclass(frozen=True, eq=False)
class ReferenceGrid:
    """Rows of the fixed-effects design at every combination of values.

    Attributes
    ----------
    values : dict of str to tuple
        Values of each column of the data; the last column varies fastest.
    X : ndarray of shape (n, p)
    offset : ndarray of shape (n,)
        Known parts of the response; zeros without an offset.
    """

    values: dict
    X: np.ndarray
    offset: np.ndarray

    @property
    def shape(self):
        """Number of values of each column."""
        return tuple(map(len, self.values.values()))


def describe_columns(model):
    """The columns of the data behind the fixed effects and offsets of a fitted model.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.

    Returns
    -------
    dict of str to Variable
        The mean of a column that enters as it is, is that of all rows, by their weights.
        That of another is that of the rows the design was bound to, and NaN if these were
        not all.

    Raises
    ------
    ValueError
        If the model has no fixed effects.
    """
    design, statistics = model.design_, model.statistics_
    if not design.layout.fixed:
        raise ValueError("the model has no fixed effects: there is nothing to average.")
    notes, found = design.notes, {}
    if not isinstance(design.sources[0], FormulaSource):
        found = {name: Variable() for name in design.sources[0].names}
    found |= notes.variables if notes else {}
    means = _column_means(statistics)
    all_rows = notes is not None and notes.n_rows == statistics.n_rows
    for name, known in found.items():
        if known.levels is None:
            mean = means.get(name, known.mean if all_rows else np.nan)
            found[name] = Variable(None, mean, known.low, known.high)
    return found


def grid_values(known, order, at):
    """Values of each column in a grid.

    Parameters
    ----------
    known : dict of str to Variable
    order : sequence of str
        Columns that come first; the others follow.
    at : dict of str to value or sequence, or None
        Values to use; by default every level, and the mean of a column of numbers.

    Returns
    -------
    dict of str to tuple

    Raises
    ------
    ValueError
        If ``at`` names an unknown column or level, no number, or a mean is unknown.
    """
    at = {} if at is None else dict(at)
    for name in (*order, *at):
        if name not in known:
            raise ValueError(
                f"{name!r} is no column of the fixed effects; they use {list(known)}."
            )
    values = {}
    for name in (*order, *(name for name in known if name not in order)):
        levels, mean = known[name].levels, known[name].mean
        if name in at:
            given = at[name]
            scalar = isinstance(given, str) or not hasattr(given, "__iter__")
            values[name] = _check_values(name, [given] if scalar else list(given), levels)
        elif levels is not None:
            values[name] = levels
        elif np.isnan(mean):
            raise ValueError(
                f"the mean of {name!r} over all rows is not known (it enters transformed and the "
                "rows came in parts or with zero weights, or the model has no intercept): give "
                f"a value, at={{{name!r}: ...}}."
            )
        else:
            values[name] = (mean,)
    size = np.prod([float(len(own)) for own in values.values()])
    if size > _LARGEST:
        sizes = ", ".join(f"{name} {len(own)}" for name, own in values.items() if len(own) > 1)
        raise ValueError(
            f"the reference grid would have {size:.3g} rows ({sizes}); at most {_LARGEST} are "
            "allowed. Hold some columns at one value with at=."
        )
    return values


def build_grid(design, values):
    """The fixed-effects design at every combination of values.

    Parameters
    ----------
    design : Design
    values : dict of str to tuple

    Returns
    -------
    ReferenceGrid
    """
    rows = list(product(*values.values()))
    table = dict(zip(values, map(list, zip(*rows, strict=True)), strict=True))
    source = design.sources[0]
    if isinstance(source, FormulaSource):
        import pandas

        columns = as_columns(pandas.DataFrame(table, index=range(len(rows))))
    else:
        array = np.array(rows, dtype=np.float64).reshape(len(rows), len(values))
        columns = ArrayColumns(array, list(values))
    computed = source.arrays(columns) | {INTERCEPT: None}
    X = np.ones((len(rows), len(design.layout.fixed)))
    for j, name in enumerate(design.layout.fixed_names):
        if computed[name] is not None:
            X[:, j] = computed[name]
    if not np.isfinite(X).all():
        row, j = np.argwhere(~np.isfinite(X))[0]
        where = dict(zip(values, rows[row], strict=True))
        raise ValueError(
            f"{design.layout.fixed_names[j]!r} is {X[row, j]} at {where}: choose other values "
            "with at=."
        )
    offset = design.offset(columns)
    return ReferenceGrid(values, X, np.zeros(len(rows)) if offset is None else offset)


def count_cells(model, names, values):
    """Rows of the data at each combination of levels of some columns.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    names : list of str
        Categorical columns.
    values : dict of str to tuple
        Levels to count.

    Returns
    -------
    ndarray
        One axis for each of the names.

    Raises
    ------
    ValueError
        If the rows were not all seen when the design was bound, or weigh differently.
    """
    notes, statistics = model.design_.notes, model.statistics_
    mean_weight = statistics.weight * statistics.basis.weight_unit / statistics.n_rows
    spread = np.log(mean_weight) - statistics.sum_log_weight / statistics.n_rows
    if notes is None or notes.counts.sum() != statistics.n_rows or spread > 1e-9:
        why = "rows have different weights" if spread > 1e-9 else "not every row was seen"
        raise ValueError(
            f"weights='proportional' is not available: it counts rows, and {why}. Give the "
            f"weights of the levels themselves, such as weights={{{names[0]!r}: [0.4, 0.6]}}."
        )
    position = {name: j for j, name in enumerate(notes.categorical)}
    counts = np.zeros([len(notes.variables[name].levels) for name in names])
    np.add.at(counts, tuple(notes.combinations[:, position[name]] for name in names), notes.counts)
    picked = [
        [notes.variables[name].levels.index(value) for value in values[name]] for name in names
    ]
    return counts[np.ix_(*picked)]


def _check_values(name, values, levels):
    """Values of a column as a tuple of its levels, or of numbers."""
    if not values:
        raise ValueError(f"at has no value for {name!r}; leave it out or give some.")
    if levels is not None:
        unknown = [value for value in values if value not in levels]
        if unknown:
            raise ValueError(
                f"at: {unknown[0]!r} is no level of {name!r}; its levels are {list(levels)}."
            )
        return tuple(levels[levels.index(value)] for value in dict.fromkeys(values))
    for value in values:
        if not isinstance(value, Real | np.bool_) or not np.isfinite(value):
            raise ValueError(
                f"at: {value!r} for {name!r} is no finite number, and the column holds numbers."
            )
    return tuple(dict.fromkeys(map(float, values)))


def _column_means(statistics):
    """Weighted means of the columns of V, by name; none without an intercept."""
    layout, basis = statistics.layout, statistics.basis
    if layout.intercept is None:
        return {}
    c = len(basis.shift)
    raw = basis.change(layout, Basis(np.zeros(c), np.eye(c), np.empty(0)))
    sums = raw[:, layout.intercept] @ statistics.total @ raw
    return dict(zip(layout.columns, (sums / sums[layout.intercept]).tolist(), strict=False))
