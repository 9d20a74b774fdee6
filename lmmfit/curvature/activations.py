"""Activation functions: what a forward pass does to the inputs of a layer's units."""

import numpy as np
from scipy.special import erf, expit

__all__ = ["ACTIVATIONS", "CODES", "activate"]

# The kernels know an activation by its number.
CODES = {"identity": 0, "tanh": 1, "logistic": 2, "relu": 3, "softplus": 4, "gelu": 5, "exp": 6}
ACTIVATIONS = ("identity", "tanh", "logistic", "relu", "softplus", "gelu")


def activate(name, z, slope, bend):
    """Turn inputs of units into their outputs, in place.

    The first and second derivative of most activations follow from the output. Where they do
    not, they are kept here: the slope for softplus, slope and bend for gelu.

    Parameters
    ----------
    name : str
        One of `CODES`.
    z : ndarray
        The inputs, overwritten by the outputs.
    slope, bend : ndarray of the same shape
        Overwritten by the first and second derivative where needed.
    """
    if name == "tanh":
        np.tanh(z, out=z)
    elif name == "logistic":
        expit(z, out=z)
    elif name == "relu":
        np.maximum(z, 0, out=z)
    elif name == "softplus":
        expit(z, out=slope)
        np.abs(z, out=bend)  # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))
        np.negative(bend, out=bend)
        np.exp(bend, out=bend)
        np.log1p(bend, out=bend)
        np.maximum(z, 0, out=z)
        z += bend
    elif name == "gelu":
        _gelu(z, slope, bend)
    elif name == "exp":
        np.exp(z, out=z)


def _gelu(z, slope, bend):
    """Hendrycks and Gimpel (2016), with the normal distribution function itself."""
    half = z.dtype.type(0.5)
    density = np.exp(-half * z * z) * z.dtype.type(1.0 / np.sqrt(2.0 * np.pi))
    below = half * (1 + erf(z * z.dtype.type(np.sqrt(0.5))))
    np.multiply(density, 2 - z * z, out=bend)
    np.add(below, z * density, out=slope)
    z *= below
