"""The networks of the suite `hessian` in PyTorch, for the packages that are built on it."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks._networks import pack, unpack

torch.set_num_threads(1)


def model(problem, dtype=torch.float64):
    """Return the layers with the parameters of the problem."""
    sizes, layers = problem.spec["network"]["layer_sizes"], []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.Tanh()]
    net = nn.Sequential(*layers[:-1]).to(dtype)
    with torch.no_grad():
        values = parts(problem, problem.arrays["theta"])
        for parameter, value in zip(net.parameters(), values, strict=True):
            parameter.copy_(value)
    return net


def data(problem, dtype=torch.float64):
    """Return all patterns as one batch: inputs, and classes or targets."""
    X, Y = (torch.tensor(problem.arrays[name], dtype=dtype) for name in ("X", "Y"))
    return X, Y.argmax(dim=1) if problem.spec["network"]["loss"] == "log_loss" else Y


def loss(problem, net):
    """Return the cross-entropy and the penalty of the weights, as a function of outputs."""
    cross_entropy, alpha = nn.CrossEntropyLoss(reduction="sum"), problem.spec["network"]["alpha"]
    weights = [parameter for parameter in net.parameters() if parameter.ndim == 2]

    def value(outputs, targets):
        return cross_entropy(outputs, targets) + 0.5 * alpha * sum(
            W.square().sum() for W in weights
        )

    return value


def parts(problem, vector):
    """Return a vector of the problem as the parameters of linear layers: outputs x inputs."""
    layers = unpack(problem.spec["network"]["layer_sizes"], vector)
    return [torch.tensor(part.T.copy()) for layer in layers for part in layer]


def flat(problem, vector):
    """Return a vector of the problem in the order of the model's parameters, as one tensor."""
    return torch.cat([part.reshape(-1) for part in parts(problem, vector)])


def vector(found):
    """Return the parameters of linear layers as a vector of the problem."""
    return pack([[part.detach().numpy().T for part in found]])


def vectors(problem, flattened):
    """Return columns in the order of the model's parameters as columns of the problem."""
    order = flat(problem, np.arange(len(problem.arrays["theta"]))).numpy()
    result = np.empty(np.shape(flattened))
    result[order] = flattened
    return result
