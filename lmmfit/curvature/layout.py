"""Where the weights of a layered network lie in one vector."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["NetworkLayout"]


@dataclass(frozen=True)
class NetworkLayout:
    """Layers of a network and their places in the parameter vector ``theta``.

    Layer by layer: the weights W (inputs x outputs, row by row), then the biases b.

    Parameters
    ----------
    layer_sizes : tuple of int
        Units of each layer, inputs first.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import NetworkLayout
    >>> layout = NetworkLayout((2, 3, 1))
    >>> layout.n_parameters
    13
    >>> weights, biases = layout.unpack(np.arange(13.0))
    >>> weights[1].ravel(), biases[1]
    (array([ 9., 10., 11.]), array([12.]))
    """

    layer_sizes: tuple

    @cached_property
    def sizes(self):
        """The layer sizes as an array, for the kernels."""
        return np.array(self.layer_sizes, dtype=np.int64)

    @property
    def n_layers(self):
        """Layers of weights."""
        return len(self.layer_sizes) - 1

    @cached_property
    def n_parameters(self):
        """Length of ``theta``."""
        return int(sum((a + 1) * b for a, b in self._pairs()))

    @cached_property
    def n_units(self):
        """Hidden and output units."""
        return int(sum(self.layer_sizes[1:]))

    @cached_property
    def n_products(self):
        """Multiplications of one pattern's forward pass, the first layer's first."""
        return tuple(a * b for a, b in self._pairs())

    def unpack(self, theta):
        """View ``theta`` as the weights and biases of each layer.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)

        Returns
        -------
        weights : list of ndarray of shape (n_in, n_out)
        biases : list of ndarray of shape (n_out,)
        """
        weights, biases, at = [], [], 0
        for n_in, n_out in self._pairs():
            weights.append(theta[at : at + n_in * n_out].reshape(n_in, n_out))
            at += n_in * n_out
            biases.append(theta[at : at + n_out])
            at += n_out
        return weights, biases

    def pack(self, weights, biases):
        """Put the weights and biases of each layer into one vector.

        Parameters
        ----------
        weights : sequence of array-like of shape (n_in, n_out)
        biases : sequence of array-like of shape (n_out,)

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        pairs = zip(weights, biases, strict=True)
        return np.concatenate([np.ravel(part) for pair in pairs for part in pair])

    @cached_property
    def is_weight(self):
        """Mask of the weights among the parameters; the others are biases."""
        mask = np.ones(self.n_parameters, dtype=bool)
        for b in self.unpack(mask)[1]:
            b[:] = False
        return mask

    def describe(self, index):
        """Name a parameter, such as ``weight 2 -> 0 of layer 1``.

        Parameters
        ----------
        index : int

        Returns
        -------
        str
        """
        at = 0
        for layer, (n_in, n_out) in enumerate(self._pairs(), start=1):
            place = index - at
            if place < n_in * n_out:
                return f"weight {place // n_out} -> {place % n_out} of layer {layer}"
            at += (n_in + 1) * n_out
            if index < at:
                return f"bias {place - n_in * n_out} of layer {layer}"
        raise IndexError(f"parameter {index} of a network with {self.n_parameters}.")

    def _pairs(self):
        return zip(self.layer_sizes[:-1], self.layer_sizes[1:], strict=True)
