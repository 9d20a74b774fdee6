"""Networks of the suite `mlp`: parameters, data, and exact derivatives the plain way."""

from itertools import pairwise

import numpy as np


def unpack(layer_sizes, theta):
    """Return views of the weights (inputs x outputs) and biases of each layer."""
    layers, at = [], 0
    for n_in, n_out in pairwise(layer_sizes):
        end = at + n_in * n_out
        layers.append((theta[at:end].reshape(n_in, n_out), theta[end : end + n_out]))
        at = end + n_out
    return layers


def pack(layers):
    """Put the weights and biases of each layer into one vector."""
    return np.concatenate([np.ravel(part) for layer in layers for part in layer])


def product_limit(layer_sizes):
    """Return the multiplications of a product with the Hessian over those of a gradient."""
    counts = [a * b for a, b in pairwise(layer_sizes)]
    return (6 * sum(counts) - 4 * counts[0]) / (3 * sum(counts) - counts[0])


def gradient(network, theta, X, Y):
    """Return the derivatives of a network of tanh units, real or complex, the plain way."""
    layers, units = unpack(network["layer_sizes"], theta), [X]
    for W, b in layers[:-1]:
        units.append(np.tanh(units[-1] @ W + b))
    delta = units[-1] @ layers[-1][0] + layers[-1][1]
    if network["loss"] == "log_loss":
        power = np.exp(delta - delta.real.max(axis=1, keepdims=True))
        delta = power / power.sum(axis=1, keepdims=True)
    delta, found = delta - Y, []
    for (W, _), below in zip(layers[::-1], units[::-1], strict=True):
        found.append((below.T @ delta + network["alpha"] * W, delta.sum(axis=0)))
        delta = delta @ W.T * (1.0 - below**2)
    return pack(found[::-1])


def product(network, theta, X, Y, v):
    """Return the product with the Hessian to the last digits, by a step into the complex plane."""
    return gradient(network, theta + 1e-30j * v, X, Y).imag / 1e-30


def franke(n, rng):
    """Return random points of the unit square and Franke's function there."""
    X = rng.uniform(size=(n, 2))
    x, y = 9 * X.T
    value = 0.75 * np.exp(-((x - 2) ** 2 + (y - 2) ** 2) / 4)
    value += 0.75 * np.exp(-((x + 1) ** 2) / 49 - (y + 1) / 10)
    value += 0.5 * np.exp(-((x - 7) ** 2 + (y - 3) ** 2) / 4)
    value -= 0.2 * np.exp(-((x - 4) ** 2) - (y - 7) ** 2)
    return X, value[:, None]


def least_linear_error(X, Y, rank):
    """Return half the least sum of squares of a linear map of this rank and a constant."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    fitted = X @ np.linalg.lstsq(X, Y)[0]
    return 0.5 * (np.sum(Y**2) - np.sum(np.linalg.svd(fitted, compute_uv=False)[:rank] ** 2))


def network(problem):
    """Return the network of a problem as lmmfit has it."""
    from lmmfit.curvature import FeedForwardNetwork

    return FeedForwardNetwork(**problem.spec["network"])


def relative_error(problem, name):
    """Return what reports the distance of a vector from that of the problem, relative."""
    wanted = problem.arrays[name]

    def report(found):
        distance = np.linalg.norm(np.asarray(found, dtype=np.float64) - wanted)
        return {"error": float(distance / np.linalg.norm(wanted))}

    return report


def starts(network, count, first=0):
    """Draw parameters to start from, one generator for each."""
    from lmmfit.curvature import FeedForwardNetwork

    net, seeds = FeedForwardNetwork(**network), range(first, first + count)
    return np.array([net.initial_parameters(np.random.default_rng(seed)) for seed in seeds])
