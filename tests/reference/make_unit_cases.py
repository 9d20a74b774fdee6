"""Recompute dag_cases.json and recurrent_cases.json from their inputs in plain NumPy.

    python tests/reference/make_unit_cases.py tests/reference/dag_cases.json new.json
    python tests/reference/make_unit_cases.py tests/reference/recurrent_cases.json new.json

The outputs of the units are found by repeating y = sigma(W'y) + I until nothing changes, which a
feed-forward network does after as many times as it has levels; the derivatives by the units'
inputs likewise. Products with the Hessian are the imaginary part of a gradient at complex weights:
nothing of the R operator is used. Prints how far each number is from the one in the file. The
tests take `value_and_gradient` and `product` as the twin of the package's networks.
"""

import json
import sys

import numpy as np
from scipy.special import erf


def softplus(x):
    big = x.real > 0
    return np.where(big, x, 0) + np.log1p(np.exp(np.where(big, -x, x)))


def logistic(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "identity": (lambda x: x, np.ones_like),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "logistic": (logistic, lambda x: logistic(x) * logistic(-x)),
    "relu": (lambda x: np.where(x.real > 0, x, 0), lambda x: (x.real > 0) + 0 * x),
    "softplus": (softplus, logistic),
    "gelu": (
        lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
        lambda x: (1 + erf(x / np.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
    ),
}


def loss(case, z, D):
    """Losses of each pattern, and their derivatives by the outputs of the output units."""
    name = case["loss"]
    if name == "log_loss":
        shifted = z - z.real.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        each = (D * (log_sum - shifted)).sum(axis=1)
        return each, np.exp(shifted - log_sum) * D.sum(axis=1, keepdims=True) - D
    if name == "binary_log_loss":
        return (softplus(z) - D * z).sum(axis=1), logistic(z) - D
    if name == "poisson":
        return (np.exp(z) - D * z).sum(axis=1), np.exp(z) - D
    error = z - D
    if name == "squared_error":
        return (error * error).sum(axis=1) / 2, error
    limit, sign = case["huber_delta"], np.sign(error.real)
    inside = np.abs(error.real) <= limit
    each = np.where(inside, error * error / 2, limit * (error * sign - limit / 2))
    return each.sum(axis=1), np.where(inside, error, limit * sign)


def repeat(update, start):
    """Apply a map until the real and the imaginary part no longer change, and a little longer."""
    left = 60
    for _ in range(100_000):
        new = update(start)
        if all(
            np.abs(part(new) - part(start)).max() <= 1e-15 * np.abs(part(new)).max()
            for part in (np.real, np.imag)
        ):
            left -= 1
        if not left:
            return new
        start = new
    raise ArithmeticError("no fixed point within 100 000 repetitions")


def outputs(case, W, I):
    """Outputs and slopes of all units, (patterns, units)."""
    inputs = ~np.any(case["connections"], axis=0)

    def at(y):
        x, parts = y @ W, []
        for which in (0, 1):
            part = np.empty_like(x)
            for unit, name in enumerate(case["activations"]):
                part[:, unit] = 0 if inputs[unit] else ACTIVATIONS[name][which](x[:, unit])
            parts.append(part)
        return parts

    y = repeat(lambda y: at(y)[0] + I, np.zeros(I.shape, np.result_type(W, float)))
    return y, at(y)[1]


def value_and_gradient(case, W, I, D, weight):
    """Both may be complex; the gradient is zero where there is no connection."""
    y, slope = outputs(case, W, I)
    each, error = loss(case, y[:, case["output_units"]], D)
    e = np.zeros_like(y)
    e[:, case["output_units"]] = weight[:, None] * error
    z = repeat(lambda z: slope * (z @ W.T + e), np.zeros_like(e))
    return weight @ each, (y.T @ z) * np.array(case["connections"])


def product(case, W, V, I, D, weight):
    h = 1e-30
    return value_and_gradient(case, W + 1j * h * V, I, D, weight)[1].imag / h


def recompute(case):
    W, V, I, D = (np.array(case[name]) for name in "WVID")
    weight = np.ones(len(I))
    value, gradient = value_and_gradient(case, W, I, D, weight)
    new = {"E": float(value), "grad": gradient, "Hv": product(case, W, V, I, D, weight)}
    new["Y" if "Y" in case else "Y_fixed_point"] = outputs(case, W, I)[0]
    if "H" in case:
        order = np.array(case["H_order"]).T
        columns = []
        for pair in order.T:
            unit = np.zeros_like(W)
            unit[tuple(pair)] = 1
            columns.append(product(case, W, unit, I, D, weight)[tuple(order)])
        new["H"] = np.array(columns)
    return new


def main(source, target):
    with open(source, encoding="utf-8") as file:
        content = json.load(file)
    for case in content["cases"]:
        for name, number in recompute(case).items():
            old = np.array(case[name])
            print(case["name"], name, f"{np.abs(old - number).max() / np.abs(old).max():.1e}")
            case[name] = np.asarray(number).tolist()
    with open(target, "w", encoding="utf-8") as file:
        json.dump(content, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
