"""torch-levenberg-marquardt: Levenberg and Marquardt's method on PyTorch."""

from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch_levenberg_marquardt.training import LevenbergMarquardtModule

from benchmarks._network_runs import runs
from benchmarks._networks import pack, unpack

DISTRIBUTIONS = ("torch-levenberg-marquardt", "torch")

torch.set_num_threads(1)


def _descent(problem):
    """Make steps on all patterns at once, in double precision, with its fastest solver."""
    sizes, activation = problem.spec["network"]["layer_sizes"], nn.Tanh()
    X, Y = (torch.tensor(problem.arrays[name]) for name in ("X", "Y"))
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out, dtype=torch.float64), activation]
    model = nn.Sequential(*layers[:-1])

    def descend(theta, trail):
        parts = [part for layer in unpack(sizes, theta) for part in layer]
        with torch.no_grad():
            for parameter, part in zip(model.parameters(), parts, strict=True):
                parameter.copy_(torch.tensor(part.T))
        training = LevenbergMarquardtModule(model, solve_method="cholesky")
        over = False
        trail.begin()
        while not over:
            *_, stop, _ = training.training_step(X, Y)
            at = pack([[parameter.detach().numpy().T for parameter in model.parameters()]])
            over = trail.add(at) or stop

    return descend


VARIANTS = {"lm": partial(runs, descent=_descent, name="lm")}
