"""A plain network in NumPy: what the kernels compute, written as the formulas are."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

REFERENCE = Path(__file__).parents[1] / "reference"


def softplus(z):
    big = z.real > 0
    return np.where(big, z, 0) + np.log1p(np.exp(np.where(big, -z, z)))


ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "logistic": (
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: 1 / (1 + np.exp(-z)) / (1 + np.exp(z)),
    ),
    "relu": (lambda z: np.where(z.real > 0, z, 0), lambda z: (z.real > 0) + 0 * z),
    "softplus": (softplus, lambda z: 1 / (1 + np.exp(-z))),
    "gelu": (
        lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
        lambda z: (1 + erf(z / np.sqrt(2))) / 2 + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
    ),
    "exp": (np.exp, np.exp),
}


class PlainNetwork:
    """Value and gradient; both take complex parameters, so that derivatives are exact."""

    def __init__(self, net):
        self.net = net

    def unpack(self, theta):
        sizes, at = self.net.layer_sizes, 0
        for n_in, n_out in itertools.pairwise(sizes):
            W = theta[at : at + n_in * n_out].reshape(n_in, n_out)
            at += n_in * n_out
            yield W, theta[at : at + n_out]
            at += n_out

    def loss(self, z, Y):
        """Losses of each pattern, derivatives by the inputs of the output units."""
        net = self.net
        if net.loss == "log_loss":
            shifted = z - z.real.max(axis=1, keepdims=True)
            log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            p = np.exp(shifted - log_sum)
            return (Y * (log_sum - shifted)).sum(axis=1), p * Y.sum(axis=1, keepdims=True) - Y
        if net.loss == "binary_log_loss":
            return (softplus(z) - Y * z).sum(axis=1), 1 / (1 + np.exp(-z)) - Y
        if net.loss == "poisson":
            return (np.exp(z) - Y * z).sum(axis=1), np.exp(z) - Y
        f, slope = ACTIVATIONS[net.output_activation]
        e = f(z) - Y
        if net.loss == "huber":
            d, sign = net.huber_delta, np.sign(e.real)
            inside = np.abs(e.real) <= d
            value = np.where(inside, e * e / 2, d * (e * sign - d / 2))
            return value.sum(axis=1), np.where(inside, e, d * sign) * slope(z)
        return (e * e).sum(axis=1) / 2, e * slope(z)

    def value_and_gradient(self, theta, X, Y, weight):
        names = [*self.net.hidden_activations, "identity"]
        layers = list(self.unpack(theta))
        inputs, outputs = [], [X.astype(theta.dtype)]
        for (W, b), name in zip(layers, names, strict=True):
            inputs.append(outputs[-1] @ W + b)
            outputs.append(ACTIVATIONS[name][0](inputs[-1]))
        each, error = self.loss(inputs[-1], Y)
        mask = self.net.layout.is_weight | self.net.penalise_biases
        value = weight @ each + self.net.alpha / 2 * (mask * theta) @ theta
        error = weight[:, None] * error
        parts = []
        for layer in range(len(layers) - 1, -1, -1):
            parts[:0] = [(outputs[layer].T @ error).ravel(), error.sum(axis=0)]
            if layer:
                slope = ACTIVATIONS[names[layer - 1]][1](inputs[layer - 1])
                error = (error @ layers[layer][0].T) * slope
        return value, np.concatenate(parts) + self.net.alpha * mask * theta

    def product(self, theta, v, X, Y, weight):
        """Hessian times v by a complex step: no cancellation, nothing of the R operator."""
        h = 1e-30
        return self.value_and_gradient(theta + 1j * h * v, X, Y, weight)[1].imag / h


@pytest.fixture(scope="session")
def plain():
    return PlainNetwork


@pytest.fixture(scope="session")
def mlp_cases():
    content = json.loads((REFERENCE / "mlp_cases.json").read_text(encoding="utf-8"))
    return {case["name"]: case for case in content["cases"]}


@pytest.fixture
def make_problem():
    """Function that draws data and parameters to suit a network."""

    def make(net, n=9, seed=0):
        rng = np.random.default_rng(seed)
        n_in, n_out = net.layer_sizes[0], net.layer_sizes[-1]
        X = rng.normal(size=(n, n_in))
        if net.loss == "log_loss":
            Y = np.eye(n_out)[rng.integers(n_out, size=n)]
        elif net.loss == "binary_log_loss":
            Y = rng.integers(2, size=(n, n_out)).astype(float)
        elif net.loss == "poisson":
            Y = rng.poisson(2.0, size=(n, n_out)).astype(float)
        else:
            Y = 2.0 * rng.normal(size=(n, n_out))
        weight = rng.integers(0, 4, size=n) / 2.0
        weight[-1] = 1.0
        theta = rng.normal(size=net.n_parameters)
        return X, Y, weight, theta, rng.normal(size=net.n_parameters)

    return make
