"""Recompute mlp_cases.json from its inputs by automatic differentiation.

    python tests/reference/make_mlp_cases.py tests/reference/mlp_cases.json new.json

Needs torch (not a dependency of the package). Everything is double precision: gradient and
products by double backward, Gauss-Newton products by a forward product with the Jacobian of
the outputs, the loss's Hessian there, and a backward product. Prints how far each number is from
the one in the file.
"""

import itertools
import json
import sys

import torch
from torch.autograd.functional import hessian, jvp, vjp

torch.set_default_dtype(torch.float64)
ACTIVATIONS = {
    "identity": lambda z: z,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
    "softplus": torch.nn.functional.softplus,
    "exp": torch.exp,
}


def inputs_of_outputs(case, theta, X):
    sizes, at, a = case["layer_sizes"], 0, X
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        W = theta[at : at + n_in * n_out].reshape(n_in, n_out)
        at += n_in * n_out
        a = a @ W + theta[at : at + n_out]
        at += n_out
        if layer < len(sizes) - 2:
            a = ACTIVATIONS[case["hidden_activations"][layer]](a)
    return a


def split_value(case, split):
    """The loss by what the Gauss-Newton matrix is split at."""
    Y, loss = torch.tensor(case["Y"]), case["loss"]
    weight = torch.tensor(case["sample_weight"]) if case["sample_weight"] else torch.ones(len(Y))
    if loss == "squared_error":
        each = 0.5 * (split - Y) ** 2
    elif loss == "log_loss":
        each = -Y * torch.log_softmax(split, 1)
    elif loss == "binary_log_loss":
        each = torch.nn.functional.softplus(split) - Y * split
    else:
        each = torch.exp(split) - Y * split
    return (weight[:, None] * each).sum()


def recompute(case):
    X, sizes = torch.tensor(case["X"]), case["layer_sizes"]
    biases = float(case.get("penalise_biases", 0) or 0)
    mask = torch.cat([
        torch.cat([torch.ones(a * b), torch.full((b,), biases)])
        for a, b in itertools.pairwise(sizes)
    ])  # fmt: skip
    output = ACTIVATIONS[case["output_activation"]] if case["loss"] == "squared_error" else None

    def split_of(theta):
        z = inputs_of_outputs(case, theta, X)
        return output(z) if output else z

    def value(theta):
        penalty = 0.5 * case["alpha"] * (mask * theta**2).sum()
        return split_value(case, split_of(theta)) + penalty

    theta, v = torch.tensor(case["theta"], requires_grad=True), torch.tensor(case["v"])
    E = value(theta)
    (gradient,) = torch.autograd.grad(E, theta, create_graph=True)
    (Hv,) = torch.autograd.grad(gradient @ v, theta)
    split, moved = jvp(split_of, theta.detach(), v)
    _, curved = torch.autograd.functional.hvp(lambda s: split_value(case, s), split, moved)
    _, back = vjp(split_of, theta.detach(), curved)
    new = {"E": E.item(), "grad": gradient.tolist(), "Hv": Hv.tolist()}
    new["Gv"] = (back + case["alpha"] * mask * v).tolist()
    if "H" in case:
        new["H"] = hessian(value, theta.detach()).tolist()
    return new


def main(source, target):
    with open(source, encoding="utf-8") as file:
        content = json.load(file)
    for case in content["cases"]:
        new = recompute(case)
        for name, number in new.items():
            old, now = torch.tensor(case[name]), torch.tensor(number)
            print(case["name"], name, f"{((old - now).abs().max() / old.abs().max()).item():.1e}")
        case.update(new)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(content, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
