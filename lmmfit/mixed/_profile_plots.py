"""The picture of the profile likelihood: one panel a parameter."""

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.special import ndtri

from lmmfit._panels import COLOURS, clear_frame, panels
from lmmfit.mixed.profiles import profile as profile_of

__all__ = ["ProfileDisplay"]

_KINDS = {
    "zeta": "ζ, signed root of the deviance",
    "absolute": "|ζ|, root of the deviance",
    "density": "profile density",
}
_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
_GRID = 201  # points of a curve


class ProfileDisplay:
    """Profile likelihood of the parameters: the signed root of the deviance above its minimum.

    A curve is straight where the likelihood is quadratic; the dashed line is that quadratic
    approximation at the estimate. Where the curve reaches a normal quantile, the interval of
    that level ends (Bates and Watts 1988, chapter 6). Between the points of the profile it is
    the cubic with their values and slopes.

    Parameters
    ----------
    profile : Profile
        As :func:`lmmfit.mixed.profile` gives it.
    kind : {"zeta", "absolute", "density"}, default="zeta"
        What is drawn: ``zeta`` against the parameter, ``|zeta|``, or ``phi(zeta) zeta'``: the
        density of a parameter whose ``zeta`` is standard normal.

    Attributes
    ----------
    names : tuple of str
        The parameters, k of them.
    estimates : ndarray of shape (k,)
        By maximum likelihood; NaN for a correlation that is not defined.
    levels : ndarray of shape (n_levels,)
        Levels of the intervals that are marked: of 50, 80, 90, 95 and 99% those that the
        profile reaches.
    intervals : ndarray of shape (k, n_levels, 2)
        Their ends; the end of the curve where it does not reach the quantile.
    grid : ndarray of shape (k, n_grid)
        Values of each parameter at which the curves are drawn.
    zeta : ndarray of shape (k, n_grid)
    slope : ndarray of shape (k, n_grid)
        Derivative of zeta.
    density : ndarray of shape (k, n_grid)
    slope_at_estimate : ndarray of shape (k,)
        One over it is the standard error of the quadratic approximation.
    figsize : (float, float)
        Size in inches that suits the picture.
    figure_ : Figure
        Set by :meth:`plot`.
    axes_ : ndarray of shape (n_rows, n_columns)
        Set by :meth:`plot`; panels beyond the last parameter are switched off.

    References
    ----------
    Bates, D. M. and Watts, D. G. (1988). Nonlinear Regression Analysis and Its Applications.
    Wiley.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_dyestuff
    >>> from lmmfit.mixed.plots import ProfileDisplay
    >>> model = lmm("Yield ~ 1 + (1 | Batch)", load_dyestuff(as_frame=True).frame)
    >>> display = ProfileDisplay.from_estimator(model)
    >>> display.names
    ('sd_(Intercept)|Batch', 'sigma', '(Intercept)')
    >>> display.intervals[1, display.levels == 0.95].round(1)
    array([[38.2, 67.7]])
    """

    def __init__(self, profile, kind="zeta"):
        _check_kind(kind)
        if not len(profile):
            raise ValueError("the profile has no parameter: nothing to draw.")
        curves = [profile[name] for name in profile]
        self.profile, self.kind = profile, kind
        self.names = tuple(curve.name for curve in curves)
        self.estimates = np.array([curve.estimate for curve in curves])
        reach = max((abs(z) for curve in curves for z in curve.zeta), default=0.0)
        self.levels = np.array([own for own in _LEVELS if _quantile(own) <= reach + 1e-6])
        self.grid, self.zeta, self.slope = np.full((3, len(curves), _GRID), np.nan)
        self.intervals = np.full((len(curves), len(self.levels), 2), np.nan)
        self.slope_at_estimate = np.full(len(curves), np.nan)
        for k, own in enumerate(map(_smooth, curves)):
            if own is not None:
                self.grid[k] = np.linspace(own.x[0], own.x[-1], _GRID)
                self.zeta[k], self.slope[k] = own(self.grid[k]), own(self.grid[k], 1)
                self.slope_at_estimate[k] = own(self.estimates[k], 1)
                self.intervals[k] = [_interval(own, level) for level in self.levels]
        self.density = _normal(self.zeta) * np.maximum(self.slope, 0.0)
        n_rows, n_columns = self._shape
        width = max(2.4, min(0.4 + 0.075 * max(map(len, map(_title, self.names))), 4.0))
        self.figsize = (0.8 + width * max(n_columns, 2), 1.0 + 2.3 * n_rows)

    @classmethod
    def from_estimator(
        cls, model, parameters=None, *, level=0.99, n_points=12, kind="zeta", ax=None
    ):
        """Profile the parameters of a fitted model and draw them.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted; a REML fit is refitted by maximum likelihood.
        parameters : sequence of str, optional
            Names as in :func:`lmmfit.mixed.confidence_intervals`; by default all.
        level : float, default=0.99
            The curves reach to the ends of intervals of this level.
        n_points : int, default=12
            Points of a curve, about.
        kind : {"zeta", "absolute", "density"}, default="zeta"
        ax : Axes, array of Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ProfileDisplay

        Raises
        ------
        ValueError
            If a parameter or the kind is unknown, the level is not between 0 and 1, or the
            model was fitted to many responses.
        """
        _check_kind(kind)
        model._check_one_response("a profile")
        found = profile_of(model, parameters, level=level, n_points=n_points)
        return cls(found, kind).plot(ax=ax)

    @classmethod
    def from_profile(cls, profile, *, kind="zeta", ax=None):
        """Draw a profile that was computed before.

        Parameters
        ----------
        profile : Profile
            As :func:`lmmfit.mixed.profile` gives it.
        kind : {"zeta", "absolute", "density"}, default="zeta"
        ax : Axes, array of Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ProfileDisplay
        """
        return cls(profile, kind).plot(ax=ax)

    def plot(self, ax=None, *, kind=None):
        """Draw the picture.

        Parameters
        ----------
        ax : Axes, array of Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default. A single Axes gives its place to all panels.
        kind : {"zeta", "absolute", "density"}, optional
            By default that of the display.

        Returns
        -------
        ProfileDisplay
        """
        self.kind = kind = _check_kind(kind or self.kind)
        n_rows, n_columns = self._shape
        self.figure_, self.axes_, alone = panels(
            ax, n_rows, n_columns, self.figsize, sharey=kind != "density"
        )
        for k, panel in enumerate(self.axes_.flat):
            clear_frame(panel)
            if k >= len(self.names):
                panel.set_axis_off()
                continue
            panel.set_title(_title(self.names[k]), fontsize=9, pad=4)
            if np.isnan(self.estimates[k]):
                panel.text(
                    0.5, 0.5, "not defined:\na variance is zero", transform=panel.transAxes,
                    ha="center", va="center", fontsize=8, color=COLOURS["data"],
                )  # fmt: skip
                panel.set_xticks([])
                continue
            self._draw(panel, k)
            panel.locator_params("x", nbins=4, steps=[1, 2, 5, 10])
        self._name_axes(alone)
        return self

    def _draw(self, panel, k):
        """Draw one parameter: its curve, the approximation and the intervals."""
        grid, middle, rate = self.grid[k], self.estimates[k], self.slope_at_estimate[k]
        curve, straight = self._heights(k), rate * (grid - middle)
        if self.kind == "absolute":
            straight = np.abs(straight)
        elif self.kind == "density":
            straight = rate * _normal(straight)
        else:
            panel.axhline(0.0, color=COLOURS["guide"], linewidth=1.0)
        ends, reached = self.intervals[k].ravel(), np.repeat(self.levels, 2)
        panel.vlines(
            ends, 0.0, np.interp(ends, grid, curve), color=COLOURS["unclear"], linewidth=1.0
        )
        if self.kind == "absolute":
            panel.hlines(
                _quantile(reached[::2]), ends[::2], ends[1::2],
                color=COLOURS["unclear"], linewidth=1.0,
            )  # fmt: skip
        if np.isfinite(rate):
            panel.plot(grid, straight, color=COLOURS["population"], linewidth=1.3, linestyle="--")
        panel.plot(grid, curve, color=COLOURS["group"], linewidth=1.8)
        if self.kind == "zeta":
            panel.plot(middle, 0.0, marker="o", markersize=4.5, color=COLOURS["group"])
        top = 1.08 * np.nanmax(curve if self.kind == "density" else np.abs(self.zeta))
        panel.set_ylim(-top if self.kind == "zeta" else 0.0, top)
        if k % self.axes_.shape[1] == self.axes_.shape[1] - 1 or k == len(self.names) - 1:
            self._mark_levels(panel)

    def _heights(self, k):
        """The curve of one parameter."""
        zeta = self.zeta[k]
        return {"zeta": zeta, "absolute": np.abs(zeta), "density": self.density[k]}[self.kind]

    def _mark_levels(self, panel):
        """Name the levels of the intervals beside the last panel of a row."""
        if self.kind == "density" or not len(self.levels):
            return
        side = panel.secondary_yaxis("right")
        heights, names = _quantile(self.levels), [f"{100 * own:g}%" for own in self.levels]
        if self.kind == "zeta":
            heights, names = np.append(-heights, heights), [*names, *names]
        side.set_yticks(heights, names)
        side.tick_params(labelsize=7, length=2, color=COLOURS["guide"])
        side.spines["right"].set_visible(False)

    def _name_axes(self, alone):
        """Add title and labels: once for the figure where it is ours."""
        if not alone:
            for panel in self.axes_[:, 0]:
                panel.set_ylabel(_KINDS[self.kind], fontsize=9)
            return
        marks = ", ".join(f"{100 * own:g}" for own in self.levels)
        text = "Profile likelihood (dashed: quadratic approximation)"
        if marks:
            text += f"\nthin lines: ends of the {marks}% intervals"
        self.figure_.suptitle(text, fontsize=10)
        self.figure_.supylabel(_KINDS[self.kind], fontsize=10)

    @property
    def _shape(self):
        """Rows and columns of panels, four side by side at most."""
        count = len(self.names)
        n_columns = count if count <= 3 else 4 if count in (4, 7, 8) or count > 9 else 3
        return -(-count // n_columns), n_columns


def _check_kind(kind):
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}, got {kind!r}.")
    return kind


def _quantile(level):
    return ndtri(0.5 + 0.5 * np.asarray(level))


def _normal(z):
    return np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)


def _title(name):
    """The name of a parameter, in two lines if it is long."""
    return name.replace("|", "\n| ", 1) if len(name) > 28 else name


def _smooth(curve):
    """Zeta as a piecewise cubic with the values and slopes of the profile; None without."""
    at = curve.values == curve.estimate
    known = np.isfinite(curve.slope)
    if not known.any():
        return None
    slope = curve.slope.copy()
    slope[at] = _slope_at_estimate(curve, known)
    kept = known | at
    return CubicHermiteSpline(curve.values[kept], curve.zeta[kept], slope[kept])


def _slope_at_estimate(curve, known):
    """Slope of the polynomial through the estimate that meets its neighbours' zeta and slope.

    Zeta is a root there, so its derivative is 0 over 0; that of the polynomial of lowest degree
    is used, a quartic between two neighbours.
    """
    values, zeta, slope = curve.values[known], curve.zeta[known], curve.slope[known]
    right = int(np.searchsorted(values, curve.estimate))
    near = [j for j in (right - 1, right) if 0 <= j < len(values)]
    unit = np.max(np.abs(values[near] - curve.estimate))
    t, powers = (values[near] - curve.estimate) / unit, np.arange(1, 2 * len(near) + 1)
    rows = np.vstack([t[:, None] ** powers, powers * t[:, None] ** (powers - 1)])
    return np.linalg.solve(rows, np.concatenate([zeta[near], unit * slope[near]]))[0] / unit


def _interval(curve, level):
    """Where zeta first reaches the quantile on both sides, else the ends of the curve."""
    low, high = float(curve.x[0]), float(curve.x[-1])
    left = curve.solve(-_quantile(level), extrapolate=False)
    right = curve.solve(_quantile(level), extrapolate=False)
    return left.max() if left.size else low, right.min() if right.size else high
