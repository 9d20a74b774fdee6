"""The picture of the random effects: conditional modes with intervals."""

import numpy as np
from scipy.special import ndtri

from lmmfit._panels import COLOURS, clear_frame, panels

__all__ = ["CaterpillarDisplay"]

_LABELLED = 50  # levels up to which each has its name beside it


class CaterpillarDisplay:
    """Conditional modes of the random effects with intervals, sorted by the first effect.

    Levels whose interval does not contain zero are drawn darker. The intervals take fixed
    effects and variances as known.

    Parameters
    ----------
    levels : ndarray of shape (m,)
        Levels of the grouping factor, in the order of the picture (from below).
    names : tuple of str
        Names of the effects.
    values : ndarray of shape (m, q)
        Conditional modes.
    std_error : ndarray of shape (m, q)
        Conditional standard deviations.
    group : str, default="group"
        Name of the grouping factor.
    level : float, default=0.95
        Level of the intervals, between 0 and 1.

    Attributes
    ----------
    lower, upper : ndarray of shape (m, q)
        Ends of the intervals.
    figsize : (float, float)
        Size in inches that suits the picture.
    figure_ : Figure
        Set by :meth:`plot`.
    axes_ : ndarray of shape (1, q)
        Set by :meth:`plot`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from lmmfit import LinearMixedModel
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.plots import CaterpillarDisplay
    >>> X, y = load_sleepstudy(return_X_y=True, as_frame=True)
    >>> model = LinearMixedModel(random="(Days | Subject)").fit(X, y)
    >>> display = CaterpillarDisplay.from_estimator(model)
    >>> display.levels[-1], display.values[-1].round(2)
    ('337', array([34.89,  8.63]))
    """

    def __init__(self, levels, names, values, std_error, group="group", level=0.95):
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level}.")
        self.levels, self.names, self.values, self.std_error = levels, names, values, std_error
        self.group, self.level = group, level
        half = ndtri(0.5 + 0.5 * level) * std_error
        self.lower, self.upper = values - half, values + half
        height = 4.5 if len(levels) > _LABELLED else 0.17 * max(len(levels), 12)
        self.figsize = (max(1.2 + 3.2 * len(names), 5.0) + self._margin, 1.2 + height)

    @classmethod
    def from_estimator(cls, model, *, group=None, level=0.95, ax=None):
        """Draw the random effects of a fitted model.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted.
        group : str, optional
            Grouping factor, or key of ``model.random_effects_``; by default the first
            factor. The terms of one factor stand side by side.
        level : float, default=0.95
            Level of the intervals.
        ax : Axes, array of Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        CaterpillarDisplay

        Raises
        ------
        ValueError
            If the model has no random effects, none of that name, or the level is not
            between 0 and 1.
        """
        effects = model.random_effects_
        if not effects:
            raise ValueError("the model has no random effects (random=None): nothing to draw.")
        if group is None:
            group = next(iter(effects.values())).group
        chosen = [own for own in effects.values() if own.group == group]
        chosen = chosen or [own for key, own in effects.items() if key == group]
        if not chosen:
            raise ValueError(f"group={group!r} is none of the random terms {list(effects)}.")
        values = np.hstack([own.values for own in chosen])
        order = np.argsort(values[:, 0], kind="stable")
        return cls(
            np.asarray(chosen[0].levels)[order],
            tuple(name for own in chosen for name in own.names),
            values[order],
            np.hstack([own.std_error for own in chosen])[order],
            chosen[0].group,
            level,
        ).plot(ax=ax)

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : Axes, array of q Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        CaterpillarDisplay
        """
        m, q = self.values.shape
        self.figure_, self.axes_, alone = panels(ax, 1, q, self.figsize, sharey=True)
        for j, panel in enumerate(self.axes_.flat):
            self._draw(panel, j, np.arange(m))
        first = self.axes_[0, 0]
        first.set_ylim(-0.7, m - 0.3)
        if m <= _LABELLED:
            first.set_yticks(np.arange(m), [str(level) for level in self.levels])
            first.set_ylabel(self.group)
        else:
            first.set_yticks([])
            first.set_ylabel(f"{m} levels of {self.group}, sorted by {self.names[0]}")
        for panel in self.axes_.flat:
            clear_frame(panel)
        title = (
            f"Random effects of {self.group}\n{100 * self.level:g}% intervals, darker where zero "
            "lies outside"
        )
        (self.figure_.suptitle if alone else first.set_title)(title, fontsize=10)
        return self

    @property
    def _margin(self):
        """Inches that long names of levels need beside the panels."""
        if len(self.levels) > _LABELLED:
            return 0.0
        return 0.075 * max(max(len(str(level)) for level in self.levels) - 8, 0)

    def _draw(self, panel, j, rank):
        """Draw one effect."""
        many = len(rank) > _LABELLED
        width = 1.8 if not many else max(0.3, min(1.8, 250.0 / len(rank)))
        clear = (self.lower[:, j] > 0.0) | (self.upper[:, j] < 0.0)
        panel.axvline(0.0, color=COLOURS["guide"], linewidth=1.0)
        for rows, colour in ((~clear, COLOURS["unclear"]), (clear, COLOURS["group"])):
            panel.hlines(
                rank[rows], self.lower[rows, j], self.upper[rows, j],
                color=colour, linewidth=width, rasterized=many,
            )  # fmt: skip
            panel.plot(
                self.values[rows, j], rank[rows], color=colour if not many else "black",
                linestyle="", marker="o" if not many else ".", markersize=4.5 if not many else 1.5,
                markeredgewidth=0, rasterized=many,
            )  # fmt: skip
        name, what = self.names[j], "deviation from the population"
        panel.set_xlabel(f"{name}:\n{what}" if len(name) > 13 else f"{name}: {what}", fontsize=9)
