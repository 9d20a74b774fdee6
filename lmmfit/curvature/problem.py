"""A network with its data: the objective that optimisers minimise."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from lmmfit.curvature._lanes import Lanes
from lmmfit.curvature.state import NetworkState

__all__ = ["NetworkObjective"]


class Buffers:
    """What a state keeps of each unit and pattern.

    Attributes
    ----------
    units, slope, bend, delta : ndarray of shape (n * n_units,)
        Layer after layer, n x n_out each: see the kernels.
    layers : list of tuple of ndarray of shape (n, n_out)
        The same four for each layer.
    exact, gauss : ndarray of shape (n, n_out)
        Second derivatives of the loss by the inputs of the output units.
    """

    def __init__(self, objective):
        n, sizes = objective.n_patterns, objective.network.layout.layer_sizes
        arrays = [np.empty(n * sum(sizes[1:]), objective.dtype) for _ in range(4)]
        self.units, self.slope, self.bend, self.delta = arrays
        self.layers, at = [], 0
        for n_out in sizes[1:]:
            part = slice(n * at, n * (at + n_out))
            self.layers.append(tuple(a[part].reshape(n, n_out) for a in arrays))
            at += n_out
        self.exact = np.empty((n, sizes[-1]), objective.dtype)
        matched = objective.network.loss_function.is_matched
        self.gauss = self.exact if matched else np.empty((n, sizes[-1]), objective.dtype)

    def copy_from(self, other):
        """Take over the numbers of another after its backward pass, in any precision."""
        with np.errstate(over="ignore", under="ignore"):
            for own, given in zip(self.layers, other.layers, strict=True):
                last = given is other.layers[-1]  # no bend there, nor a slope of a matched loss
                for i in ((0, 3) if self.gauss is self.exact else (0, 1, 3)) if last else range(4):
                    own[i][:] = given[i]
            self.exact[:] = other.exact
            if self.gauss is not self.exact:
                self.gauss[:] = other.gauss


class NetworkObjective:
    """The error of a network as a function of its parameters.

    Made by :meth:`FeedForwardNetwork.objective`; the data are checked there, once.

    Parameters
    ----------
    network : FeedForwardNetwork
    X : ndarray of shape (n, n_in)
        Contiguous, as are the others, and of the same type.
    Y : ndarray of shape (n, n_out)
    weight : ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork
    >>> net = FeedForwardNetwork([2, 3, 1], ["tanh"])
    >>> objective = net.objective(np.eye(2), np.array([1.0, -1.0]))
    >>> objective.evaluate(np.zeros(13)).value
    1.0
    """

    def __init__(self, network, X, Y, weight):
        self.network, self.X, self.Y, self.weight = network, X, Y, weight
        self.dtype = X.dtype
        layout = network.layout
        self.lanes = Lanes(len(X), layout.n_parameters, layout.n_products)
        self._free = []

    @property
    def n_patterns(self):
        """Rows of X."""
        return len(self.X)

    @property
    def n_residuals(self):
        """Generalised residuals: rows of the root of the Gauss-Newton matrix."""
        return self.Y.size

    @property
    def n_parameters(self):
        """Length of ``theta``."""
        return self.network.layout.n_parameters

    @cached_property
    def matrix_lanes(self):
        """Division of the patterns for sums of the size of a matrix."""
        size = self.n_parameters**2
        return Lanes(self.n_patterns, size, (self.Y.shape[1] * size,))

    @cached_property
    def penalty(self):
        """The penalty's second derivative by each parameter."""
        return self.network.penalty.astype(self.dtype)

    @cached_property
    def total_weight(self):
        """Sum of the weights of the patterns."""
        return float(self.weight.sum(dtype=np.float64))

    def evaluate(self, theta):
        """Propagate the patterns forward; derivatives follow when they are asked for.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)

        Returns
        -------
        NetworkState
        """
        theta = np.ascontiguousarray(theta, dtype=self.dtype)
        if theta.shape != (self.n_parameters,):
            raise ValueError(
                f"theta must have shape ({self.n_parameters},) for layer_sizes="
                f"{self.network.layer_sizes}, got {theta.shape}."
            )
        return NetworkState(self, theta)

    def expand(self, x):
        """All parameters: the same, where none is masked.

        Parameters
        ----------
        x : ndarray of shape (n_parameters,)

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        return x

    def restrict(self, theta):
        """The parameters that are searched: all, where none is masked.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        return theta

    def subset(self, rows):
        """The same objective on some of the patterns.

        Parameters
        ----------
        rows : slice or ndarray of int

        Returns
        -------
        NetworkObjective
        """
        return NetworkObjective(self.network, self.X[rows], self.Y[rows], self.weight[rows])

    def share(self, rows):
        """The objective on a batch, whose penalty is that batch's part.

        Parameters
        ----------
        rows : slice or ndarray of int

        Returns
        -------
        objective : NetworkObjective
        scale : float
            Times its value, the expected value of the whole for batches drawn at random.
        """
        part = self.subset(rows)
        share = max(part.total_weight / self.total_weight, 1e-300)
        part.network = replace(self.network, alpha=self.network.alpha * share)
        return part, 1.0 / share

    def with_network(self, network):
        """Another network of the same shape on the same data.

        Parameters
        ----------
        network : FeedForwardNetwork

        Returns
        -------
        NetworkObjective
        """
        return NetworkObjective(network, self.X, self.Y, self.weight)

    @cached_property
    def single(self):
        """The same objective in single precision."""
        if self.dtype == np.float32:
            return self
        X, Y, weight = (a.astype(np.float32) for a in (self.X, self.Y, self.weight))
        return NetworkObjective(self.network, X, Y, weight)

    def take_buffers(self):
        """Memory for a state: that of one that is gone, if there is any."""
        return self._free.pop() if self._free else Buffers(self)

    def give_back(self, buffers):
        """Take the memory of a state that is gone."""
        if len(self._free) < 3:
            self._free.append(buffers)

    def __getstate__(self):
        return self.__dict__ | {"_free": []}
