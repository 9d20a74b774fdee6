"""The picture of the residuals: against the fitted values, and against the normal law."""

import numpy as np
from scipy.special import ndtri

from lmmfit._panels import COLOURS, clear_frame, panels
from lmmfit.mixed._given_rows import columns_of, response_of
from lmmfit.mixed.prediction import predict_rows

__all__ = ["ResidualsDisplay"]


class ResidualsDisplay:
    """Residuals against fitted values, and their normal quantiles.

    Residuals are conditional (random effects of every factor included) and divided by the
    residual standard deviation, with a residual structure that of the row's stratum. On the left
    they should scatter evenly about zero; on the right they should follow the line, which goes
    through their quartiles.

    Parameters
    ----------
    fitted : ndarray of shape (n,)
        Conditional predictions, in units of the response.
    residuals : ndarray of shape (n,)
        Residuals divided by their standard deviation.
    sigma : float
        Residual standard deviation, with a residual structure that of the first stratum; 1
        where the model leaves no residual variance.
    response : str, default="response"
        Name of the response.

    Attributes
    ----------
    quantiles : ndarray of shape (n,)
        Normal quantiles of the positions ``(i - 3/8) / (n + 1/4)`` (Blom 1958).
    ordered : ndarray of shape (n,)
        Sorted residuals.
    line : (float, float)
        Intercept and slope of the line through the quartiles.
    figsize : (float, float)
        Size in inches that suits the picture.
    figure_ : Figure
        Set by :meth:`plot`.
    axes_ : ndarray of shape (1, 2)
        Set by :meth:`plot`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from lmmfit import LinearMixedModel
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.plots import ResidualsDisplay
    >>> X, y = load_sleepstudy(return_X_y=True, as_frame=True)
    >>> model = LinearMixedModel(random="(Days | Subject)").fit(X, y)
    >>> display = ResidualsDisplay.from_estimator(model, X, y)
    >>> display.ordered[[0, -1]].round(2)
    array([-3.95,  5.18])
    """

    def __init__(self, fitted, residuals, sigma, response="response"):
        self.fitted, self.residuals, self.sigma = fitted, residuals, sigma
        self.response = response
        n = len(residuals)
        self.quantiles = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
        self.ordered = np.sort(residuals)
        self.line = _quartile_line(self.ordered)
        self.figsize = (9.0, 4.2)

    @classmethod
    def from_estimator(cls, model, X, y, *, sample_weight=None, ax=None):
        """Draw the residuals of a fitted model.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted.
        X : data frame or array-like of shape (n, n_features)
        y : array-like of shape (n,)
            Response.
        sample_weight : array-like of shape (n,), optional
            Weights of the fit: a residual's variance is ``sigma**2 / weight``. Rows of
            weight zero are left out.
        ax : Axes, array of Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ResidualsDisplay

        Raises
        ------
        ValueError
            If y or the weights do not fit to X, or the model was fitted to many responses.
        """
        model._check_one_response("a picture of residuals")
        columns = columns_of(model, X)
        values, name = response_of(model, y, len(columns))
        fitted = predict_rows(model.result_, model.design_, columns, new_levels=model.new_levels)
        sigma = float(np.sqrt(model.sigma2_)) or 1.0
        residuals = (values - fitted) / sigma
        if model.residual_ is not None:
            residuals = residuals / model.residual_.ratios(columns)
        if sample_weight is not None:
            weight = np.asarray(sample_weight, dtype=np.float64)
            if weight.shape != values.shape:
                raise ValueError(
                    f"sample_weight must have shape {values.shape}, got {weight.shape}."
                )
            counts = weight > 0.0
            residuals, fitted = (residuals * np.sqrt(weight))[counts], fitted[counts]
        return cls(fitted, residuals, sigma, name).plot(ax=ax)

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : Axes, array of 2 Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ResidualsDisplay
        """
        self.figure_, self.axes_, _ = panels(ax, 1, 2, self.figsize, sharey=True)
        left, right = self.axes_.flat
        many = len(self.fitted) > 2000
        dots = {
            "linestyle": "",
            "marker": "." if many else "o",
            "markersize": 2 if many else 4,
            "markeredgewidth": 0,
            "color": COLOURS["group"],
            "alpha": 0.35 if many else 0.6,
            "rasterized": many,
        }
        for height in (-2.0, 2.0):
            left.axhline(height, color=COLOURS["guide"], linewidth=0.8, linestyle=":")
        left.axhline(0.0, color=COLOURS["guide"], linewidth=1.0)
        left.plot(self.fitted, self.residuals, **dots)
        left.set_xlabel(f"Fitted {self.response}")
        left.set_ylabel("Residual / residual SD")
        left.set_title("Residuals against fitted values", fontsize=10)
        start, slope = self.line
        ends = np.array([self.quantiles[0], self.quantiles[-1]])
        right.plot(ends, start + slope * ends, color=COLOURS["population"], linewidth=1.5)
        right.plot(self.quantiles, self.ordered, **dots)
        right.set_xlabel("Quantile of the normal distribution")
        right.set_title("Normal quantiles (line through the quartiles)", fontsize=10)
        for panel in (left, right):
            clear_frame(panel)
        return self


def _quartile_line(ordered):
    """Intercept and slope of the line through the first and third quartile."""
    low, high = np.quantile(ordered, [0.25, 0.75])
    slope = (high - low) / (2.0 * ndtri(0.75))
    return float(0.5 * (low + high)), float(slope)
