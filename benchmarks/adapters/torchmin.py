"""pytorch-minimize: minimisers of functions that PyTorch differentiates."""

from functools import partial
from itertools import pairwise
from math import prod

import torch
from torchmin import minimize

from benchmarks._network_runs import OutOfTime, runs
from benchmarks.adapters.torch import objective

DISTRIBUTIONS = ("pytorch-minimize", "torch")

# The rule by which each would stop on its own is made as strict as that of the others.
METHODS = {
    "newton-cg": lambda tol: {"xtol": 1e-14},
    "trust-ncg": lambda tol: {"gtol": tol},
    "l-bfgs": lambda tol: {"gtol": tol, "xtol": 0.0, "gtd_tol": 0.0},
}


def _descent(problem, method):
    sizes, value = problem.spec["network"]["layer_sizes"], objective(problem)
    options = METHODS[method](problem.spec["tol"])

    shapes = [shape for n_in, n_out in pairwise(sizes) for shape in ((n_in, n_out), (n_out,))]
    counts = [prod(shape) for shape in shapes]

    def of_vector(theta):
        parts = zip(theta.split(counts), shapes, strict=True)
        return value([part.view(shape) for part, shape in parts])

    def descend(theta, trail):
        def callback(theta):
            if trail.add(theta.numpy()):
                raise OutOfTime

        minimize(of_vector, torch.tensor(theta), method, 10**9, None, dict(options), callback)

    return descend


VARIANTS = {
    method: partial(runs, descent=partial(_descent, method=method), name=method)
    for method in METHODS
}
