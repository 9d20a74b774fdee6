"""The picture of the fit: data and fitted lines, one panel a group."""

import numpy as np

from lmmfit._panels import COLOURS, clear_frame, panels
from lmmfit.mixed._given_rows import columns_of, response_of
from lmmfit.mixed._line_rows import choose_column, is_nested, rows_along
from lmmfit.mixed.factors import encode
from lmmfit.mixed.prediction import predict_rows

__all__ = ["FittedLinesDisplay"]

_MOST_PANELS = 20
_GRID = 50  # points of a line: enough for a curve such as I(x**2) to look smooth


class FittedLinesDisplay:
    """Data, the group's own line and the population's line, one panel a group.

    Parameters
    ----------
    levels : ndarray of shape (k,)
        Levels of the groups shown.
    points : list of k pairs of ndarray
        Values of the column on the x axis and of the response in each group.
    grid : ndarray of shape (n_grid,)
        Values of x at which the lines are computed.
    group_lines : ndarray of shape (k, n_grid)
        Predictions with the random effects of the group.
    population_lines : ndarray of shape (k, n_grid)
        Predictions without them. They differ between groups where other fixed effects do.
    names : (str, str, str), default=("x", "response", "group")
        Names of the x column, of the response and of the grouping factor.
    n_levels : int, optional
        Number of groups of which these are a sample.
    left_out : sequence of str, default=()
        Grouping factors whose random effects are not in the lines, though they are in the data.

    Attributes
    ----------
    figsize : (float, float)
        Size in inches that suits the picture.
    figure_ : Figure
        Set by :meth:`plot`.
    axes_ : ndarray of shape (n_rows, n_columns)
        Set by :meth:`plot`; panels beyond the last group are switched off.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from lmmfit import LinearMixedModel
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.plots import FittedLinesDisplay
    >>> X, y = load_sleepstudy(return_X_y=True, as_frame=True)
    >>> model = LinearMixedModel(random="(Days | Subject)").fit(X, y)
    >>> display = FittedLinesDisplay.from_estimator(model, X, y, n_groups=6)
    >>> display.levels.tolist()
    ['308', '330', '334', '349', '369', '372']
    >>> display.group_lines[0, [0, -1]].round(1)
    array([253.7, 430.7])
    """

    def __init__(
        self,
        levels,
        points,
        grid,
        group_lines,
        population_lines,
        names=("x", "response", "group"),
        n_levels=None,
        left_out=(),
    ):
        self.levels, self.points, self.grid = levels, points, grid
        self.group_lines, self.population_lines = group_lines, population_lines
        self.names, self.n_levels = names, n_levels or len(levels)
        self.left_out = tuple(left_out)
        n_rows, n_columns = self._shape
        self.figsize = (0.7 + 1.6 * max(n_columns, 3), 1.1 + 1.6 * n_rows)

    @classmethod
    def from_estimator(cls, model, X, y, *, x=None, group=None, n_groups=None, ax=None):
        """Draw the fitted lines of a model.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted, with random effects.
        X : data frame or array-like of shape (n, n_features)
        y : array-like of shape (n,)
            Response.
        x : str, optional
            Column for the x axis; by default the first random slope, or the first numeric
            fixed effect where no slope varies. Along a line the other numeric columns keep
            the group's mean and all others the value of the group's first row.
        group : str, optional
            Grouping factor, such as ``"batch:cask"``; by default the first. A factor that it is
            nested in counts too: the line of a cask has the effects of its batch. The effects of
            other factors are left out of the lines, and the title names them.
        n_groups : int, optional
            Number of groups to show, 20 at most by default; evenly spread over the levels.
        ax : Axes, array of Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        FittedLinesDisplay

        Raises
        ------
        ValueError
            If the model has no random effects or was fitted to many responses, there is no
            column to draw against, or a value is missing.
        """
        model._check_one_response("a picture of fitted lines")
        if not model.design_.terms:
            raise ValueError("the model has no random effects (random=None): no groups to draw.")
        columns = columns_of(model, X)
        values, response = response_of(model, y, len(columns))
        x = choose_column(model, columns) if x is None else x
        if x not in columns.names:
            raise ValueError(f"x={x!r} is not a column of X; the columns are {columns.names}.")
        if n_groups is not None and n_groups < 1:
            raise ValueError(f"n_groups must be at least 1, got {n_groups}.")
        factors = model.design_.factors
        chosen = _choose_factor(factors, group)
        coded = [encode([columns.raw(name) for name in own], own) for own in factors]
        codes, levels = coded[chosen]
        count = min(n_groups or _MOST_PANELS, len(levels))
        shown = np.linspace(0, len(levels) - 1, count).round().astype(np.int64)
        across = np.asarray(columns.numeric(x), dtype=np.float64)
        rows = [np.flatnonzero(codes == code) for code in shown]
        drawn = across[np.concatenate(rows)]
        grid = np.linspace(drawn.min(), drawn.max(), _GRID)
        grouping = sorted({name for own in factors for name in own})
        table = rows_along(columns, rows, x, grid, grouping)
        kept = [f for f, (own, _) in enumerate(coded) if is_nested(codes, own)]
        lines = _predict_lines(model, table, kept, count)
        points = [(across[own], values[own]) for own in rows]
        labels = [":".join(own) for own in factors]
        left_out = [label for f, label in enumerate(labels) if f not in kept]
        return cls(
            levels.labels[shown], points, grid, *lines, (x, response, labels[chosen]),
            len(levels), left_out,
        ).plot(ax=ax)  # fmt: skip

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : Axes, array of Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default. A single Axes gives its place to all panels.

        Returns
        -------
        FittedLinesDisplay
        """
        n_rows, n_columns = self._shape
        self.figure_, self.axes_, alone = panels(
            ax, n_rows, n_columns, self.figsize, sharex=True, sharey=True
        )
        handles = []
        for k, panel in enumerate(self.axes_.flat):
            clear_frame(panel)
            if k < len(self.levels):
                handles = self._draw(panel, k)
            else:
                panel.set_axis_off()
        # Few round numbers: labels of neighbouring panels must not touch.
        self.axes_[0, 0].locator_params("x", nbins=4, steps=[1, 2, 5, 10])
        lowest = [
            self.axes_[(len(self.levels) - 1 - column) // n_columns, column]
            for column in range(n_columns)
        ]
        for panel in lowest:  # the last row need not be full
            panel.tick_params(labelbottom=True)
        self._name_axes(lowest, handles, alone)
        return self

    def _name_axes(self, lowest, handles, alone):
        """Add title, labels and legend: once for the figure where it is ours."""
        x, response, group = self.names
        if not alone:
            for panel in lowest:
                panel.set_xlabel(x, fontsize=9)
            for panel in self.axes_[:, 0]:
                panel.set_ylabel(response, fontsize=9)
            self.axes_[0, 0].legend(handles=handles, fontsize=7, frameon=False)
            return
        what = f"{len(self.levels)} levels of {group}"
        if len(self.levels) < self.n_levels:
            what = f"{len(self.levels)} of {self.n_levels} levels of {group}, evenly spread"
        if self.left_out:
            what += f"\nwithout the effects of {' and '.join(self.left_out)}"
        self.figure_.suptitle(f"Fitted lines: {what}", fontsize=10)
        self.figure_.supylabel(response, fontsize=10)
        self.figure_.supxlabel(f"{x}\n ", fontsize=10)  # the empty line is the legend's place
        self.figure_.legend(
            handles=handles, loc="lower center", ncols=3, fontsize=8, frameon=False,
            borderpad=0.2, borderaxespad=0.2,
        )  # fmt: skip

    @property
    def _shape(self):
        """Rows and columns of panels: few places empty, and wider than high as screens are."""
        count = len(self.levels)
        likely = range(int(np.ceil(np.sqrt(count))), int(np.sqrt(2.5 * count)) + 1)
        n_columns = min(
            likely if count > 3 else [count],
            key=lambda n: (-count % n, abs(n - np.sqrt(1.6 * count))),
        )
        return -(-count // n_columns), n_columns

    @property
    def _title_size(self):
        """Font of the levels' names, such that the longest is no wider than a panel."""
        longest = max(len(str(level)) for level in self.levels)
        return float(np.clip(170.0 / longest, 5.0, 9.0))

    def _draw(self, panel, k):
        """Draw one group; return what the legend names."""
        points = panel.plot(
            *self.points[k], linestyle="", marker="o", markersize=3.5, markeredgewidth=0,
            color=COLOURS["data"], alpha=0.8, label="data",
        )  # fmt: skip
        population = panel.plot(
            self.grid, self.population_lines[k], color=COLOURS["population"], linewidth=1.3,
            linestyle="--", label="population",
        )  # fmt: skip
        own = panel.plot(
            self.grid, self.group_lines[k], color=COLOURS["group"], linewidth=1.8,
            label="group",
        )  # fmt: skip
        panel.set_title(str(self.levels[k]), fontsize=self._title_size, pad=3)
        return [*points, *own, *population]


def _choose_factor(factors, group):
    """Position of the grouping factor of that name, the first without one."""
    names = [":".join(own) for own in factors]
    if group is None:
        return 0
    if group not in names:
        raise ValueError(f"group={group!r} is not a grouping factor; the factors are {names}.")
    return names.index(group)


def _predict_lines(model, table, kept, count):
    """Lines of the groups, with the effects of some factors, and of the population."""

    def predict(**options):
        return predict_rows(
            model.result_, model.design_, table, new_levels=model.new_levels, **options
        ).reshape(count, _GRID)  # fmt: skip

    population = predict(conditional=False)
    return population + sum(predict(only=f) - population for f in kept), population
