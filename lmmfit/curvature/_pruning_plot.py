"""The picture of a pruning: loss against what is left of the network."""

import numpy as np

from lmmfit._panels import COLOURS, clear_frame, panels

__all__ = ["PruningDisplay"]


class PruningDisplay:
    """Loss of training and validation rows against the parameters that are left.

    The path goes from left to right: from the whole network to the smallest. The chosen stage
    is marked.

    Parameters
    ----------
    n_weights : array-like of shape (n_stages,)
        Parameters left.
    losses : array-like of shape (n_stages,)
        Mean loss of the training rows, penalty included.
    validation_losses : array-like of shape (n_stages,), optional
        Mean loss of the validation rows; not drawn where all are NaN.
    chosen : int, optional
        Stage to mark.

    Attributes
    ----------
    n_weights, losses, validation_losses : ndarray of shape (n_stages,)
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
    >>> from lmmfit import SecondOrderMLP
    >>> from lmmfit.curvature import prune
    >>> from lmmfit.curvature.plots import PruningDisplay
    >>> X = np.random.default_rng(0).normal(size=(80, 4))
    >>> y = np.tanh(X[:, 0] - X[:, 1])
    >>> model = SecondOrderMLP((3,), alpha=0.1, random_state=0).fit(X[:50], y[:50])
    >>> path = prune(model, X[:50], y[:50], n=10, validation=(X[50:], y[50:]))
    >>> display = PruningDisplay.from_path(path)
    >>> display.n_weights[[0, -1]]
    array([19,  9])
    """

    def __init__(self, n_weights, losses, validation_losses=None, chosen=None):
        self.n_weights = np.asarray(n_weights, dtype=np.int64)
        self.losses = np.asarray(losses, dtype=np.float64)
        n = len(self.n_weights)
        if validation_losses is None:
            validation_losses = np.full(n, np.nan)
        self.validation_losses = np.asarray(validation_losses, dtype=np.float64)
        for name in ("losses", "validation_losses"):
            shape = getattr(self, name).shape
            if shape != (n,):
                raise ValueError(f"{name} must have one value for each of the {n} stages, got "
                                 f"shape {shape}.")  # fmt: skip
        if (self.n_weights < 1).any():
            stage = int(np.argmax(self.n_weights < 1))
            raise ValueError(f"n_weights is {self.n_weights[stage]} at stage {stage}: the axis is "
                             "logarithmic.")  # fmt: skip
        if chosen is not None and not -n <= chosen < n:
            raise ValueError(f"chosen={chosen!r} is none of the {n} stages.")
        self.chosen = chosen
        self.figsize = (6.5, 4.0)

    @classmethod
    def from_path(cls, path, *, ax=None):
        """Draw a path of :func:`prune` or :func:`prune_network`.

        Parameters
        ----------
        path : PruningPath
        ax : Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        PruningDisplay
        """
        return cls(path.n_weights, path.losses, path.validation_losses, path.chosen).plot(ax=ax)

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        PruningDisplay
        """
        self.figure_, self.axes_, _ = panels(ax, 1, 1, self.figsize)
        panel = self.axes_[0, 0]
        dots = {"marker": "o", "markersize": 3, "linewidth": 1.5}
        validated = np.isfinite(self.validation_losses).any()
        curves = [(self.losses, "group", "training rows, with the penalty")]
        if validated:
            curves.append((self.validation_losses, "population", "validation rows"))
        for values, role, label in curves:
            panel.plot(self.n_weights, values, color=COLOURS[role], label=label, **dots)
        drawn = np.concatenate([values[np.isfinite(values)] for values, *_ in curves])
        if drawn.size and drawn.min() > 0 and drawn.max() > 10 * drawn.min():
            panel.set_yscale("log")
        _count_axis(panel, self.n_weights)
        if self.chosen is not None:
            at, value = self.n_weights[self.chosen], curves[-1][0][self.chosen]
            panel.axvline(at, color=COLOURS["guide"], linewidth=0.8, linestyle=":", zorder=0)
            panel.plot(
                at, value, marker="o", markersize=10, linestyle="", markerfacecolor="none",
                markeredgecolor="black", label=f"chosen: {at} parameters",
            )  # fmt: skip
        panel.set_xlabel("parameters left")
        panel.set_ylabel("mean loss")
        panel.legend(frameon=False, fontsize=9)
        clear_frame(panel)
        return self


def _count_axis(panel, counts):
    """A logarithmic axis of whole numbers, from the largest to the smallest."""
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = counts.min(), max(counts.max(), counts.min() + 1)
    panel.set_xscale("log")
    panel.set_xlim(high * (high / low) ** 0.03, low / (high / low) ** 0.03)
    steps = (1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 6, 8)
    marks = [round(s * 10.0**k) for k in range(12) for s in steps]
    marks = sorted({mark for mark in marks if low <= mark <= high}) or [int(low)]
    panel.xaxis.set_major_locator(FixedLocator(marks))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
    panel.xaxis.set_minor_locator(NullLocator())
