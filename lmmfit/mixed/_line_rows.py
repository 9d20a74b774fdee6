"""At which rows the fitted lines of the picture are predicted."""

import numpy as np

from lmmfit.mixed.columns import ArrayColumns, as_columns
from lmmfit.mixed.formula import mentioned_columns
from lmmfit.mixed.layout import INTERCEPT

__all__ = ["choose_column", "is_nested", "rows_along"]


def choose_column(model, columns):
    """Find the first random slope that is a column, else a numeric fixed effect.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    columns : PandasColumns, FrameColumns or ArrayColumns

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is none.
    """
    design = model.design_
    slopes = [slope for term in design.terms for slope in term.slopes]
    fixed = [name for name in design.layout.fixed_names if name != INTERCEPT]
    grouping = {name for factor in design.factors for name in factor}
    for expression in [*slopes, *fixed]:
        found = [expression] if expression in columns.names else mentioned_columns(
            [expression], columns.names
        )  # fmt: skip
        for name in found:
            if columns.is_numeric(name) and name not in grouping:
                return name
    raise ValueError(
        "no random slope or fixed effect is a numeric column, so there is nothing to draw the "
        f"lines against; name a column with x= (the columns are {columns.names})."
    )


def is_nested(codes, other):
    """Whether each level of a factor lies within one level of another.

    Parameters
    ----------
    codes, other : ndarray of shape (n,), int64
        Level of each row.

    Returns
    -------
    bool
    """
    pairs = np.unique(np.stack([codes, other], axis=1), axis=0)
    return len(pairs) == len(np.unique(codes))


def rows_along(columns, rows, x, grid, grouping):
    """Make the rows of a prediction along x for some groups.

    Parameters
    ----------
    columns : PandasColumns, FrameColumns or ArrayColumns
    rows : list of ndarray of int
        The rows of each group.
    x : str
    grid : ndarray of shape (n_grid,)
        Values of x.
    grouping : sequence of str
        Grouping columns, which keep their labels.

    Returns
    -------
    PandasColumns, FrameColumns or ArrayColumns
        ``n_grid`` rows for each group; other numeric columns have the group's mean, all
        others the value of its first row.
    """
    first = np.repeat([own[0] for own in rows], len(grid))
    changed = {x: np.tile(grid, len(rows))}
    for name in columns.names:
        if name != x and name not in grouping and columns.is_numeric(name):
            try:
                values = np.asarray(columns.numeric(name))
            except (TypeError, ValueError):  # an object array holds labels too
                continue
            if values.dtype.kind in "iuf":
                means = [values[own].mean() for own in rows]
                changed[name] = np.repeat(means, len(grid))
    if isinstance(columns, ArrayColumns):
        array = columns.array[first].astype(object)
        for name, values in changed.items():
            array[:, columns.names.index(name)] = values
        return ArrayColumns(array, columns.names)
    import narwhals as nw

    frame = nw.from_native(columns.native(), eager_only=True)[first.tolist()]
    backend = frame.implementation
    series = [nw.new_series(name, own, backend=backend) for name, own in changed.items()]
    return as_columns(frame.with_columns(*series).to_native())
