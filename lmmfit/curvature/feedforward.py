"""Layered networks: sizes, activations, loss, penalty."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lmmfit.curvature._checks import as_table, check_weights
from lmmfit.curvature.activations import ACTIVATIONS, CODES
from lmmfit.curvature.layout import NetworkLayout
from lmmfit.curvature.losses import Loss, make_loss
from lmmfit.curvature.problem import NetworkObjective

__all__ = ["FeedForwardNetwork"]

_ROWS = 2**14  # of a chunk of predictions


@dataclass(frozen=True)
class FeedForwardNetwork:
    """Multilayer perceptron: its error, exact derivatives and products with the Hessian.

    The value is the weighted sum of the loss over the patterns, plus half ``alpha`` times the
    sum of the squared weights.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of each layer, inputs first, outputs last.
    hidden_activations : sequence of str, or str for all
        Of the hidden layers: ``identity``, ``tanh``, ``logistic``, ``relu``, ``softplus`` or
        ``gelu``.
    output_activation : str, default="identity"
        Of the output units, for ``squared_error`` and ``huber``; the other losses bring theirs.
    loss : str, default="squared_error"
        ``squared_error``: half the square of the error, summed over the outputs; ``huber``: the
        same up to an error of ``huber_delta``, linear beyond; ``log_loss``: cross-entropy of
        softmax outputs, a column of Y for each class; ``binary_log_loss``: cross-entropy of
        logistic outputs, each by itself; ``poisson``: exp(z) - y z for the input z of an output
        unit.
    alpha : float, default=0.0
        Penalty of the squared weights.
    penalise_biases : bool, default=False
        Whether the penalty holds the biases too.
    huber_delta : float, default=1.0
        Error at which ``huber`` turns linear, in units of Y.

    Attributes
    ----------
    n_parameters : int
    layout : NetworkLayout
        Where the weights and biases lie in ``theta``.
    loss_function : Loss
        The loss with the activation of the output units.

    Raises
    ------
    ValueError
        If sizes, activations and loss do not fit together.

    Notes
    -----
    The derivatives of ``relu`` and ``huber`` are those away from the kinks.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork
    >>> net = FeedForwardNetwork([2, 4, 3], ["tanh"], loss="log_loss", alpha=0.1)
    >>> rng = np.random.default_rng(0)
    >>> theta, X = rng.normal(size=net.n_parameters), rng.normal(size=(5, 2))
    >>> state = net.evaluate(theta, X, np.eye(3)[[0, 1, 2, 1, 0]])
    >>> v = rng.normal(size=net.n_parameters)
    >>> Hv = state.hessian_vector_product(v)
    >>> bool(np.allclose(Hv, state.hessian() @ v))
    True
    """

    layer_sizes: tuple
    hidden_activations: tuple = ()
    output_activation: str = "identity"
    loss: str = "squared_error"
    alpha: float = 0.0
    penalise_biases: bool = False
    huber_delta: float = 1.0
    layout: NetworkLayout = field(init=False, repr=False, compare=False)
    loss_function: Loss = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        sizes = tuple(self.layer_sizes)
        if len(sizes) < 2 or any(int(n) != n or n < 1 for n in sizes):
            raise ValueError(
                "layer_sizes must hold the units of at least two layers, inputs and outputs, "
                f"each at least 1; got {sizes}."
            )
        sizes = tuple(int(n) for n in sizes)
        hidden = self.hidden_activations
        hidden = (hidden,) * (len(sizes) - 2) if isinstance(hidden, str) else tuple(hidden)
        if len(hidden) != len(sizes) - 2:
            raise ValueError(
                f"layer_sizes={sizes} leaves {len(sizes) - 2} for hidden layers, and "
                f"hidden_activations has {len(hidden)}."
            )
        for name in hidden:
            if name not in ACTIVATIONS:
                raise ValueError(
                    f"hidden activation {name!r} is none of {', '.join(ACTIVATIONS)}."
                )
        if not (np.isfinite(self.alpha) and self.alpha >= 0):
            raise ValueError(f"alpha must be finite and at least 0, got {self.alpha!r}.")
        loss = make_loss(self.loss, self.output_activation, self.huber_delta)
        for name, value in (
            ("layer_sizes", sizes), ("hidden_activations", hidden), ("loss_function", loss),
            ("layout", NetworkLayout(sizes)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @property
    def n_parameters(self):
        """Length of ``theta``."""
        return self.layout.n_parameters

    @cached_property
    def penalty(self):
        """The penalty's second derivative by each parameter."""
        mask = self.layout.is_weight | self.penalise_biases
        return self.alpha * mask

    @cached_property
    def codes(self):
        """The hidden activations by number, for the kernels."""
        return np.array([CODES[name] for name in self.hidden_activations], dtype=np.int64)

    def evaluate(self, theta, X, Y, sample_weight=None):
        """Everything at one parameter vector.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,)
            Layer by layer: weights (inputs x outputs, row by row), then biases.
        X : array-like of shape (n, n_in)
            A pattern each row. Single precision is kept if ``theta`` has it too.
        Y : array-like of shape (n, n_out), or (n,) for one output
        sample_weight : array-like of shape (n,), optional
            Weights of the patterns: 2 counts as the pattern twice.

        Returns
        -------
        NetworkState

        Raises
        ------
        ValueError
            If a shape does not fit or a value is not finite; if Y does not suit the loss.
        """
        theta = np.asarray(theta)
        single = theta.dtype == np.float32 and np.asarray(X).dtype == np.float32
        objective = self.objective(X, Y, sample_weight, dtype=np.float32 if single else np.float64)
        return objective.evaluate(self._check_theta(theta))

    def objective(self, X, Y, sample_weight=None, *, dtype=np.float64):
        """The network with its data, checked once: what optimisers minimise.

        Parameters
        ----------
        X : array-like of shape (n, n_in)
        Y : array-like of shape (n, n_out), or (n,) for one output
        sample_weight : array-like of shape (n,), optional
        dtype : dtype, default=numpy.float64
            Precision of all passes, float64 or float32.

        Returns
        -------
        NetworkObjective
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {dtype}.")
        X = self._check_array(X, "X", self.layout.layer_sizes[0], dtype)
        Y = self._check_array(Y, "Y", self.layout.layer_sizes[-1], dtype, len(X))
        self.loss_function.check(Y)
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        weight = self._check_array(weight, "sample_weight", 1, dtype, len(X)).reshape(-1)
        return NetworkObjective(self, X, Y, check_weights(weight))

    def predict(self, theta, X):
        """Outputs of the network.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,)
        X : array-like of shape (n, n_in)

        Returns
        -------
        ndarray of shape (n, n_out)
        """
        theta, width = np.asarray(theta, dtype=np.float64), self.layout.layer_sizes[-1]
        X = self._check_array(X, "X", self.layout.layer_sizes[0], np.dtype(np.float64))
        out = np.empty((len(X), width))
        for start in range(0, len(X), _ROWS):
            part = X[start : start + _ROWS]
            objective = NetworkObjective(
                self, part, np.zeros((len(part), width)), np.zeros(len(part))
            )
            out[start : start + _ROWS] = objective.evaluate(theta).predictions
        return out

    def initial_parameters(self, rng):
        """Draw weights uniformly, scaled by the widths of the layers (Glorot and Bengio 2010).

        Parameters
        ----------
        rng : numpy.random.Generator or numpy.random.RandomState

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        theta = np.empty(self.n_parameters)
        weights, biases = self.layout.unpack(theta)
        for W, b, name in zip(weights, biases, (*self.hidden_activations, ""), strict=True):
            bound = np.sqrt((2.0 if name == "logistic" else 6.0) / sum(W.shape))
            W[:] = rng.uniform(-bound, bound, W.shape)
            b[:] = rng.uniform(-bound, bound, b.shape)
        return theta

    def without_penalty(self):
        """The same network with ``alpha=0``.

        Returns
        -------
        FeedForwardNetwork
        """
        return replace(self, alpha=0.0)

    def _check_theta(self, theta):
        if theta.shape == (self.n_parameters,) and not np.isfinite(theta).all():
            index = int(np.argmin(np.isfinite(theta)))
            raise ValueError(f"theta[{index}], {self.layout.describe(index)}, is {theta[index]}.")
        return theta

    def _check_array(self, array, name, columns, dtype, rows=None):
        array = as_table(array, name, columns, rows, f"layer_sizes={self.layer_sizes}")
        array = np.require(array, dtype, ["C", "W"])
        if not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0]
            raise ValueError(f"{name} is {array[row, column]} in row {row} of column {column}.")
        return array
