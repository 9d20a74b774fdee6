"""PyTorch: gradients, and products with the Hessian by differentiating the gradient again."""

import torch
from torch.nn import functional

from benchmarks._case import Operation
from benchmarks._networks import pack, relative_error, unpack

DISTRIBUTIONS = ("torch", "numpy")

torch.set_num_threads(1)


def products(problem):
    """Evaluate value and gradient, and multiply by the Hessian; the graph of both is kept."""
    operations = {}
    for dtype in ("float64", "float32"):
        theta, v = (as_parameters(problem, name, dtype) for name in ("theta", "v"))
        theta = [parameter.requires_grad_() for parameter in theta]
        value = objective(problem, dtype)
        graph = torch.autograd.grad(value(theta), theta, create_graph=True)

        def gradient(value=value, theta=theta):
            return torch.autograd.grad(value(theta), theta)

        def product(graph=graph, theta=theta, v=v):
            return torch.autograd.grad(graph, theta, v, retain_graph=True)

        for name, call in (("gradient", gradient), ("product", product)):
            operations[f"{name}, {dtype}"] = Operation(call, report=_report(problem, name))
    return operations


def as_parameters(problem, name, dtype="float64"):
    """Return a vector of the problem as tensors: weights and biases of each layer."""
    layers = unpack(problem.spec["network"]["layer_sizes"], problem.arrays[name])
    return [torch.tensor(part, dtype=getattr(torch, dtype)) for layer in layers for part in layer]


def objective(problem, dtype="float64"):
    """Return the error as a function of weights and biases, penalty included."""
    network, dtype = problem.spec["network"], getattr(torch, dtype)
    X, Y = (torch.tensor(problem.arrays[name], dtype=dtype) for name in ("X", "Y"))
    classes = Y.argmax(dim=1)
    linear = network["hidden_activations"] == "identity"

    def value(parameters):
        z = X
        for i in range(0, len(parameters), 2):
            z = z if i == 0 or linear else torch.tanh(z)
            z = torch.addmm(parameters[i + 1], z, parameters[i])
        if network["loss"] == "log_loss":
            error = functional.cross_entropy(z, classes, reduction="sum")
        else:
            error = 0.5 * (z - Y).square().sum()
        if network["alpha"]:
            squares = sum(W.square().sum() for W in parameters[::2])
            error = error + 0.5 * network["alpha"] * squares
        return error

    return value


def _report(problem, name):
    error_of = relative_error(problem, name)
    return lambda parts: error_of(pack([[part.numpy() for part in parts]]))


VARIANTS = {"products": products}
