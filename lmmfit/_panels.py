"""What all pictures share: colours and panels."""

import numpy as np

__all__ = ["COLOURS", "clear_frame", "panels"]

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
        Of ``subplots``: ``sharex``, ``sharey``, ``width_ratios``.

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
