"""The picture of a network's weights: squares whose area is the size of the weight."""

import numpy as np

from lmmfit._panels import COLOURS, panels

__all__ = ["HintonDisplay"]

_CELL = 0.26  # inches of a square at most
_LONGEST = 6.5  # inches that a panel may take
_NAMED = 40  # rows up to which each has its name beside it


class HintonDisplay:
    """Weights of each layer as squares: blue where positive, orange where negative.

    The area of a square is proportional to the size of the weight; the largest of a layer fills
    its cell. A weight of zero, such as one that was pruned, leaves its cell empty. Rows are the
    inputs of a layer, columns its units; biases are the last row, below a line.

    Parameters
    ----------
    weights : array-like of shape (n_in, n_out), or list of them
        One matrix, or one for each layer.
    biases : list of array-like of shape (n_out,), optional
        One for each layer.
    input_names : sequence of str, optional
        Names of the inputs of the first layer.
    largest : float, optional
        Size of the weight whose square fills its cell, in all layers; larger ones fill it too.

    Attributes
    ----------
    weights, biases : list of ndarray
    scales : ndarray of shape (n_layers,)
        Size of the weight that fills a cell.
    figsize : (float, float)
        Size in inches that suits the picture.
    figure_ : Figure
        Set by :meth:`plot`.
    axes_ : ndarray of shape (1, n_layers)
        Set by :meth:`plot`.

    References
    ----------
    Bremner, F. J., Gotts, S. J. and Denham, D. L. (1994). Hinton diagrams: viewing connection
    strengths in neural networks. Behavior Research Methods, Instruments, & Computers 26(2).

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from lmmfit import SecondOrderMLP
    >>> from lmmfit.curvature.plots import HintonDisplay
    >>> X = np.random.default_rng(0).normal(size=(80, 4))
    >>> model = SecondOrderMLP((3,), random_state=0).fit(X, np.tanh(X[:, 0] - X[:, 1]))
    >>> display = HintonDisplay.from_estimator(model)
    >>> [W.shape for W in display.weights], display.axes_.shape
    ([(4, 3), (3, 1)], (1, 2))
    """

    def __init__(self, weights, *, biases=None, input_names=None, largest=None):
        layers = weights if np.ndim(weights[0]) == 2 else [weights]
        self.weights = [_matrix(W, layer) for layer, W in enumerate(layers)]
        self.biases = None if biases is None else _check_biases(biases, self.weights)
        n_in = len(self.weights[0])
        if input_names is not None and len(input_names) != n_in:
            raise ValueError(f"input_names has {len(input_names)} names for {n_in} inputs.")
        if largest is not None and not largest > 0:
            raise ValueError(f"largest must be above 0, got {largest!r}.")
        self.input_names, self.largest = input_names, largest
        self.scales = np.array([
            largest or abs(self._cells(layer)).max() or 1.0 for layer in range(len(self.weights))
        ])  # fmt: skip
        self.figsize = self._size()

    @classmethod
    def from_estimator(cls, model, *, standardized=True, biases=True, largest=None, ax=None):
        """Draw the weights of a fitted network.

        Parameters
        ----------
        model : SecondOrderMLP, MLPClassifier or MLPRegressor
            Fitted.
        standardized : bool, default=True
            Whether to draw, of a SecondOrderMLP, the weights for standardized data: those of
            different inputs can then be compared. Otherwise, and for scikit-learn's networks,
            ``coefs_`` and ``intercepts_``.
        biases : bool, default=True
            Whether to draw the biases.
        largest : float, optional
            Size of the weight whose square fills its cell.
        ax : Axes, array of Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        HintonDisplay

        Raises
        ------
        ValueError
            If the model is not fitted.
        """
        if not hasattr(model, "coefs_"):
            raise ValueError(f"{model!r} has no coefs_: call fit first.")
        weights, intercepts = model.coefs_, model.intercepts_
        if standardized and hasattr(model, "network_"):
            weights, intercepts = model.network_.layout.unpack(model.theta_)
        names = getattr(model, "feature_names_in_", None)
        return cls(
            list(weights), biases=list(intercepts) if biases else None, input_names=names,
            largest=largest,
        ).plot(ax=ax)  # fmt: skip

    def plot(self, ax=None):
        """Draw the picture.

        Parameters
        ----------
        ax : Axes, array of n_layers Axes, Figure or SubFigure, optional
            Where to draw; a new figure by default.

        Returns
        -------
        HintonDisplay
        """
        widths = [W.shape[1] for W in self.weights]
        self.figure_, self.axes_, alone = panels(
            ax, 1, len(widths), self.figsize, width_ratios=[max(width, 4) for width in widths]
        )
        for layer, panel in enumerate(self.axes_.flat):
            self._draw(panel, layer)
        title = "Area: size of the weight; blue positive, orange negative"
        if alone:
            self.figure_.suptitle(title, fontsize=9)
        return self

    def _cells(self, layer):
        """Weights of a layer, its biases below them."""
        W = self.weights[layer]
        return W if self.biases is None else np.vstack([W, self.biases[layer]])

    def _cell(self):
        """Inches of a cell."""
        rows = max(len(self._cells(layer)) for layer in range(len(self.weights)))
        return min(_CELL, _LONGEST / rows, 2 * _LONGEST / self._columns())

    def _columns(self):
        """Widths of all panels, in cells."""
        return sum(max(W.shape[1], 4) for W in self.weights)

    def _size(self):
        """Inches for panels whose cells have one size, with room for what is written."""
        rows = max(len(self._cells(layer)) for layer in range(len(self.weights)))
        longest = max((len(name) for name in self._names(0)), default=0)
        beside = 1.1 * len(self.weights) + 0.07 * longest
        width, height = self._columns() * self._cell() + beside, rows * self._cell()
        return (max(width, 5.0), max(height, 1.2) + 1.3)

    def _names(self, layer):
        """Names of the rows, or none where there are too many."""
        n_in = len(self.weights[layer])
        if layer == 0 and self.input_names is not None and n_in <= _NAMED:
            return [str(name) for name in self.input_names]
        return []

    def _draw(self, panel, layer):
        """Draw one layer."""
        from matplotlib.collections import PolyCollection

        cells, n_in = self._cells(layer), len(self.weights[layer])
        row, column = np.nonzero(cells)
        values = cells[row, column]
        half = 0.46 * np.sqrt(np.minimum(abs(values) / self.scales[layer], 1.0))
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        centres = np.column_stack([column, row])[:, None]
        panel.add_collection(PolyCollection(
            centres + half[:, None, None] * corners, linewidths=0,
            facecolors=np.where(values > 0, COLOURS["group"], COLOURS["population"]),
        ))  # fmt: skip
        n_rows, n_columns = cells.shape
        panel.set(xlim=(-0.6, n_columns - 0.4), ylim=(n_rows - 0.4, -0.6), aspect="equal")
        panel.set_anchor("N")
        panel.set_facecolor("0.95")
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0, labelsize=8)
        ticks, labels = _numbers(n_in)
        if self._names(layer):
            ticks, labels = list(range(n_in)), self._names(layer)
        if self.biases is not None:
            panel.axhline(n_in - 0.5, color="white", linewidth=1.5)
            ticks, labels = [t for t in ticks if t < n_in], labels[: len(ticks)]
            near = n_rows > _NAMED  # no room for the number of the row above
            keep = len(ticks) - (near and bool(ticks) and n_in - ticks[-1] < 3)
            ticks, labels = [*ticks[:keep], n_in], [*labels[:keep], "bias"]
        panel.set_yticks(ticks, labels)
        panel.set_xticks(*_numbers(n_columns, 20 if self._cell() > 0.2 else 8))
        last = layer == len(self.weights) - 1
        panel.set_xlabel("output" if last and len(self.weights) > 1 else "unit", fontsize=9)
        panel.set_ylabel("input" if layer == 0 else f"unit of layer {layer}", fontsize=9)
        panel.set_title(f"largest {self.scales[layer]:.3g}", fontsize=9)


def _matrix(W, layer):
    W = np.asarray(W, dtype=np.float64)
    if W.ndim != 2 or not W.size:
        raise ValueError(f"weights of layer {layer} must be a matrix, got shape {W.shape}.")
    return _finite(W, f"weights of layer {layer}")


def _check_biases(biases, weights):
    if len(biases) != len(weights):
        raise ValueError(f"there are biases of {len(biases)} layers, weights of {len(weights)}.")
    checked = []
    for layer, (b, W) in enumerate(zip(biases, weights, strict=True)):
        b = np.asarray(b, dtype=np.float64)
        if b.shape != (W.shape[1],):
            raise ValueError(
                f"biases of layer {layer} must have shape ({W.shape[1]},), got {b.shape}."
            )
        checked.append(_finite(b, f"biases of layer {layer}"))
    return checked


def _finite(values, what):
    if not np.isfinite(values).all():
        at = tuple(map(int, np.argwhere(~np.isfinite(values))[0]))
        raise ValueError(f"{what} are {values[at]} at {at}.")
    return values


def _numbers(count, most=20):
    """Ticks at some of the numbers from 0 on."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 10**9) if count <= most * s)
    ticks = list(range(0, count, step))
    return ticks, [str(tick) for tick in ticks]
