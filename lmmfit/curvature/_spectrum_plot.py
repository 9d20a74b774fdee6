"""The picture of a spectrum: the density of the eigenvalues, with its error."""

import numpy as np

from lmmfit._panels import COLOURS, clear_frame, panels
from lmmfit.curvature.density import spectral_density
from lmmfit.curvature.spectrum import eigenpairs

__all__ = ["SpectrumDisplay"]

_POINTS = 400  # of the curve
_WIDTH = 0.01  # standard deviation of the spread of a point, as a share of the axis
_DECADES = 3.0  # from the largest eigenvalue down to the linear part of a symlog axis


class SpectrumDisplay:
    """Density of the eigenvalues of a Hessian, with a band for its error.

    Spectra of networks have a bulk near zero and a few outliers far away. The vertical axis is
    logarithmic, so that one eigenvalue among thousands can be seen; ``scale`` can make the
    horizontal one so too. The density is per unit of that axis as it is drawn: equal areas, were
    the vertical axis linear, are equal numbers of eigenvalues.

    Parameters
    ----------
    x : array-like of shape (n,)
        Eigenvalues, in ascending order.
    density : array-like of shape (n,)
    lower, upper : array-like of shape (n,), optional
        Ends of the band.
    eigenvalues : array-like of shape (m,), optional
        Known ones, drawn as ticks.
    exact : array-like of shape (n,), optional
        Density of all eigenvalues, where they are known.
    scale : {"linear", "symlog", "log"}, default="linear"
        ``symlog`` is logarithmic on both sides of zero (an inverse hyperbolic sine), for spectra
        with negative eigenvalues.
    linear_width : float, optional
        Eigenvalue up to which a ``symlog`` axis is nearly linear.
    floor : float, optional
        Lower end of the vertical axis.
    level : float, optional
        Of the band, for its label.

    Attributes
    ----------
    figsize : (float, float)
        Size in inches that suits the picture.
    figure_ : Figure
        Set by :meth:`plot`.
    axes_ : ndarray of shape (1, 1)
        Set by :meth:`plot`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, HessianOperator
    >>> from lmmfit.curvature.plots import SpectrumDisplay
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> net = FeedForwardNetwork([1, 8, 1], "tanh")
    >>> H = HessianOperator(net.evaluate(np.linspace(-1, 1, 25), X, np.sin(3 * X)))
    >>> display = SpectrumDisplay.from_operator(H, k=4, scale="symlog")
    >>> display.eigenvalues.shape, display.axes_[0, 0].get_xlabel()
    ((4,), 'eigenvalue')
    """

    def __init__(
        self, x, density, lower=None, upper=None, *, eigenvalues=None, exact=None, scale="linear",
        linear_width=None, floor=None, level=None,
    ):  # fmt: skip
        self.x, self.density = np.asarray(x, dtype=np.float64), np.asarray(density, np.float64)
        n = len(self.x)
        given = {"density": density, "lower": lower, "upper": upper, "exact": exact}
        for name, values in given.items():
            if values is not None and np.shape(values) != (n,):
                raise ValueError(
                    f"{name} must have one value for each of the {n} of x, got shape "
                    f"{np.shape(values)}."
                )
        if (lower is None) != (upper is None):
            raise ValueError("a band needs both lower and upper.")
        self.lower, self.upper, self.exact = (
            None if values is None else np.asarray(values, dtype=np.float64)
            for values in (lower, upper, exact)
        )
        known = np.empty(0) if eigenvalues is None else np.ravel(eigenvalues)
        self.eigenvalues = np.asarray(known, dtype=np.float64)
        self.scale, self.level = scale, level
        self.linear_width = _check_scale(scale, linear_width, self.x)
        self.floor = floor or 1e-4 * float(self.density.max(initial=0.0)) or 1e-300
        self.figsize = (7.0, 4.0)

    @classmethod
    def from_density(
        cls, density, *, eigenvalues=None, scale="linear", linear_width=None, width=None,
        level=0.95, ax=None,
    ):  # fmt: skip
        """Draw a density.

        Parameters
        ----------
        density : SpectralDensity
        eigenvalues : array-like of shape (m,), optional
            Known ones. If these are all, their own density is drawn too, spread alike.
        scale : {"linear", "symlog", "log"}, default="linear"
        linear_width : float, optional
            Of a ``symlog`` axis; by default a thousandth of the largest eigenvalue.
        width : float, optional
            Standard deviation of the normal distribution to which each eigenvalue is spread, as a
            share of the axis; 0.01 by default.
        level : float, default=0.95
            Of the band.
        ax : Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        SpectrumDisplay

        Raises
        ------
        ValueError
            If the scale is unknown, or ``log`` and the spectrum is not above zero.
        """
        ends = np.array(density.bounds, dtype=np.float64)
        if eigenvalues is not None and np.size(eigenvalues):
            ends = np.array([min(ends[0], np.min(eigenvalues)), max(ends[1], np.max(eigenvalues))])
        width = _WIDTH if width is None else width
        if not width > 0:
            raise ValueError(f"width must be above 0, got {width!r}.")
        linear_width = _check_scale(scale, linear_width, ends)
        straight, back = _axis(scale, linear_width)
        low, high = straight(ends)
        spread = width * (high - low or 1.0)
        u = np.linspace(low - 4 * spread, high + 4 * spread, _POINTS)

        def kernel(nodes, at):
            z = (at - straight(nodes)) / spread
            return np.exp(-0.5 * z * z) / (spread * np.sqrt(2.0 * np.pi))

        estimates = [density.expectation(lambda nodes, at=at: kernel(nodes, at)) for at in u]
        bands = np.array([estimate.interval(level) for estimate in estimates])
        exact = None
        if eigenvalues is not None and np.size(eigenvalues) == density.size:
            exact = np.array([kernel(np.ravel(eigenvalues), at).mean() for at in u])
        single = 1.0 / (density.size * spread * np.sqrt(2.0 * np.pi))
        return cls(
            back(u), [estimate.value for estimate in estimates], bands[:, 0], bands[:, 1],
            eigenvalues=eigenvalues, exact=exact, scale=scale, linear_width=linear_width,
            floor=0.3 * single, level=level,
        ).plot(ax=ax)  # fmt: skip

    @classmethod
    def from_operator(
        cls, operator, *, k=0, method="lanczos", n_probes=10, n_products=None, scale="linear",
        seed=0, ax=None,
    ):  # fmt: skip
        """Estimate a density and draw it.

        Parameters
        ----------
        operator : HessianOperator
        k : int, default=0
            Eigenvalues to compute, half of them from each end, and to draw as ticks.
        method : {"lanczos", "chebyshev", "skilling"}, default="lanczos"
        n_probes : int, default=10
        n_products : int, optional
            For each probe.
        scale : {"linear", "symlog", "log"}, default="linear"
        seed : int or numpy.random.Generator, default=0
        ax : Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        SpectrumDisplay

        Raises
        ------
        ValueError
            As :func:`spectral_density`; with ``k``, if each product comes from another batch.
        """
        density = spectral_density(
            operator, method=method, n_probes=n_probes, n_products=n_products, seed=seed
        )
        values = eigenpairs(operator, k, which="BE", seed=seed).values if k else None
        return cls.from_density(density, eigenvalues=values, scale=scale, ax=ax)

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        SpectrumDisplay
        """
        self.figure_, self.axes_, _ = panels(ax, 1, 1, self.figsize)
        panel = self.axes_[0, 0]
        panel.plot(self.x, self.density, color=COLOURS["group"], label="estimate", zorder=2.5)
        if self.lower is not None:
            panel.fill_between(
                self.x, np.maximum(self.lower, 0.1 * self.floor), self.upper, linewidth=0,
                color=COLOURS["unclear"], alpha=0.75, zorder=1,
                label="band" if self.level is None else f"{100 * self.level:g}% interval",
            )  # fmt: skip
        if self.exact is not None:
            panel.plot(self.x, self.exact, color="black", linewidth=1.0, label="all eigenvalues")
        highest = np.max(
            [v.max() for v in (self.density, self.upper, self.exact) if v is not None]
        )
        panel.set_yscale("log")
        panel.set_ylim(self.floor, max(3.0 * highest, 10.0 * self.floor))
        if self.eigenvalues.size:
            panel.vlines(
                self.eigenvalues, 0.0, 0.045, transform=panel.get_xaxis_transform(),
                color=COLOURS["population"], linewidth=0.8, label="eigenvalues", zorder=3,
            )  # fmt: skip
        self._set_scale(panel)
        panel.set_xlabel("eigenvalue")
        per = {"linear": "", "symlog": " per unit of the axis", "log": " per e-fold"}[self.scale]
        panel.set_ylabel(f"density of eigenvalues{per}")
        panel.legend(frameon=False, fontsize=9)
        clear_frame(panel)
        return self

    def _set_scale(self, panel):
        """Scale, ends and ticks of the horizontal axis."""
        low, high = self.x[0], self.x[-1]
        if self.scale == "log":
            panel.set_xscale("log")
        if self.scale == "symlog":
            from matplotlib.ticker import FixedLocator, NullLocator

            panel.set_xscale("asinh", linear_width=self.linear_width)
            panel.xaxis.set_major_locator(FixedLocator(_powers(low, high, self.linear_width)))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        if self.scale == "linear" and low <= 0.0 <= high:
            panel.axvline(0.0, color=COLOURS["guide"], linewidth=0.8, linestyle=":", zorder=0)
        panel.set_xlim(low, high)


def _check_scale(scale, linear_width, values):
    """The linear width; ValueError if the scale does not suit the values."""
    if scale not in ("linear", "symlog", "log"):
        raise ValueError(f"scale={scale!r} is none of linear, symlog, log.")
    low, size = float(np.min(values)), float(np.max(np.abs(values)))
    if scale == "log" and not low > 0:
        raise ValueError(
            f"scale='log' needs a spectrum above 0, and its lower end is {low:.3g}: take 'symlog'."
        )
    if linear_width is None:
        return size / 10.0**_DECADES or 1.0
    if not linear_width > 0:
        raise ValueError(f"linear_width must be above 0, got {linear_width!r}.")
    return float(linear_width)


def _axis(scale, linear_width):
    """From eigenvalues to places on the axis, and back."""
    if scale == "linear":
        return (lambda x: x), (lambda u: u)
    if scale == "log":  # rounding can leave an estimate of a small eigenvalue below zero
        return (lambda x: np.log(np.maximum(x, 1e-300))), np.exp
    return (lambda x: np.arcsinh(x / linear_width)), (lambda u: linear_width * np.sinh(u))


def _powers(low, high, linear_width):
    """Zero and powers of ten on both sides, from the linear width on."""
    exponents = range(int(np.ceil(np.log10(2.0 * linear_width))), 300)
    largest = max(abs(low), abs(high))
    up = [10.0**e for e in exponents if 10.0**e <= largest]
    up = up[:: max(1, len(up) // 5)]
    return [x for x in (*(-v for v in up[::-1]), 0.0, *up) if low <= x <= high]
