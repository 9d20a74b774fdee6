"""curvlinops: linear operators of curvature on PyTorch."""

from itertools import pairwise

import torch
from curvlinops import HessianLinearOperator
from torch import nn

from benchmarks._case import Operation
from benchmarks._networks import pack, relative_error, unpack

DISTRIBUTIONS = ("curvlinops-for-pytorch", "torch")

torch.set_num_threads(1)


def products(problem):
    """Multiply by the Hessian; all patterns are one batch, and nothing is checked."""
    operations = {}
    for dtype in ("float64", "float32"):
        operator = _operator(problem, getattr(torch, dtype))
        v = [part.to(getattr(torch, dtype)) for part in _parts(problem, "v")]
        operations[f"product, {dtype}"] = Operation(
            lambda operator=operator, v=v: operator @ v, report=_report(problem)
        )
    return operations


def _operator(problem, dtype):
    network = problem.spec["network"]
    sizes, layers = network["layer_sizes"], []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.Tanh()]
    model = nn.Sequential(*layers[:-1]).to(dtype)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), _parts(problem, "theta"), strict=True):
            parameter.copy_(value)
    X, Y = (torch.tensor(problem.arrays[name], dtype=dtype) for name in ("X", "Y"))
    classes = network["loss"] == "log_loss"
    loss = nn.CrossEntropyLoss(reduction="sum") if classes else nn.MSELoss(reduction="sum")
    data = [(X, Y.argmax(dim=1) if classes else Y)]
    return HessianLinearOperator(
        model, loss, list(model.parameters()), data, check_deterministic=False
    )


def _parts(problem, name):
    """Return a vector of the problem as the parameters of linear layers: outputs x inputs."""
    layers = unpack(problem.spec["network"]["layer_sizes"], problem.arrays[name])
    return [torch.tensor(part.T.copy()) for layer in layers for part in layer]


def _report(problem):
    error_of = relative_error(problem, "product")
    # Its squared error is not halved.
    scale = 1.0 if problem.spec["network"]["loss"] == "log_loss" else 0.5
    return lambda parts: error_of(scale * pack([[part.numpy().T for part in parts]]))


VARIANTS = {"products": products}
