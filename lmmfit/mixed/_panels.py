"""What the pictures share: colours, panels, and the names on their axes."""

import numpy as np

from lmmfit.mixed.columns import ArrayColumns, as_columns

__all__ = ["COLOURS", "clear_frame", "columns_of", "panels", "response_of"]

# One colour a role in every picture; blue and orange stay apart for colour-blind eyes.
COLOURS = {
    "data": "0.35",
    "group": "#1f6fb4",
    "population": "#d9730d",
    "unclear": "#9dbcd9",
    "guide": "0.6",
}


def panels(ax, n_rows, n_columns, figsize, **shared):
    """Give axes for a grid of panels.

    Parameters
    ----------
    ax : Axes, array of Axes, Figure, SubFigure or None
        None makes a new pyplot figure. A single Axes gives its place to the whole grid.
    n_rows, n_columns : int
    figsize : (float, float)
        Inches, for a new figure.
    **shared
        ``sharex`` and ``sharey``.

    Returns
    -------
    figure : Figure or SubFigure
        Where the panels lie.
    axes : ndarray of shape (n_rows, n_columns)
    alone : bool
        Whether nothing else lies there, so that titles and labels may go to the figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If an array of axes does not have one for each panel.
    """
    try:
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError("plots need matplotlib: `pip install 'lmmfit[plot]'`.") from error
    if isinstance(ax, Axes) and n_rows * n_columns > 1:
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError("ax lies in no grid of subplots; give a figure or an array of axes.")
        figure = ax.figure
        ax.remove()
        ax = figure.add_subfigure(place)
    elif ax is None:
        from matplotlib import pyplot

        ax = pyplot.figure(figsize=figsize, layout="constrained")
    if hasattr(ax, "subplots"):
        return ax, ax.subplots(n_rows, n_columns, squeeze=False, **shared), True
    axes = np.atleast_1d(np.asarray(ax, dtype=object))
    if axes.size != n_rows * n_columns:
        raise ValueError(
            f"ax has {axes.size} axes; this picture has {n_rows * n_columns} panels "
            f"({n_rows} x {n_columns})."
        )
    return axes.flat[0].figure, axes.reshape(n_rows, n_columns), False


def clear_frame(ax):
    """Leave only the lower and the left edge of a panel."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)


def columns_of(model, X):
    """View X by columns, under the names that the model knows.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    X : data frame or array-like of shape (n, n_features)

    Returns
    -------
    PandasColumns, FrameColumns or ArrayColumns
    """
    columns = as_columns(X)
    if columns is not None:
        return columns
    return ArrayColumns(np.asarray(X), getattr(model, "feature_names_in_", None))


def response_of(model, y, n_rows):
    """Values and name of the response.

    Parameters
    ----------
    model : LinearMixedModel
    y : array-like of shape (n_rows,)
    n_rows : int

    Returns
    -------
    values : ndarray of shape (n_rows,)
    name : str

    Raises
    ------
    ValueError
        If y does not have one value for each row of X.
    """
    values = np.asarray(y, dtype=np.float64)
    if values.shape != (n_rows,):
        raise ValueError(f"y must have one value for each of the {n_rows} rows of X, got shape "
                         f"{values.shape}.")  # fmt: skip
    name = getattr(y, "name", None)
    if name is None and hasattr(model, "formula_"):
        name = model.formula_.split("~")[0].strip()
    return values, str(name) if name is not None else "response"
