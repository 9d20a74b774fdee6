"""Recompute analytics_cases.json: what can be asked of the Hessian at a minimum.

    python tests/reference/make_analytics_cases.py tests/reference/analytics_cases.json new.json

Needs torch (not a dependency of the package). Newton's method takes theta_star to the minimum;
everything else is dense algebra on the Hessian and the Jacobian from automatic differentiation.
Prints how far each number is from the one in the file.
"""

import itertools
import json
import sys

import numpy as np
import torch
from make_mlp_cases import inputs_of_outputs, split_value
from torch.autograd.functional import hessian, jacobian

torch.set_default_dtype(torch.float64)


def curvature_of_loss(case, z):
    """Second derivatives of each pattern's loss by the inputs of the output units."""
    if case["loss"] == "squared_error":
        return np.broadcast_to(np.eye(z.shape[1]), (len(z), z.shape[1], z.shape[1]))
    if case["loss"] == "binary_log_loss":
        p = 1 / (1 + np.exp(-z))
        return (p * (1 - p))[:, :, None] * np.eye(z.shape[1])
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p[:, :, None] * np.eye(z.shape[1]) - p[:, :, None] * p[:, None, :]


def recompute(case):
    X, sizes, alpha = torch.tensor(case["X"]), case["layer_sizes"], case["alpha"]
    biases = float(case["penalise_biases"])
    mask = torch.cat([
        torch.cat([torch.ones(a * b), torch.full((b,), biases)])
        for a, b in itertools.pairwise(sizes)
    ])  # fmt: skip
    case = case | {"sample_weight": None}

    def value(theta):
        z = inputs_of_outputs(case, theta, X)
        return split_value(case, z) + 0.5 * alpha * (mask * theta**2).sum()

    def outputs_at(inputs):
        def outputs(theta):
            return inputs_of_outputs(case, theta, torch.tensor(inputs))

        return outputs

    theta = torch.tensor(case["theta_star"])
    for _ in range(20):
        theta.requires_grad_(True)
        (gradient,) = torch.autograd.grad(value(theta), theta)
        theta = theta.detach()
        theta = theta - torch.linalg.solve(hessian(value, theta), gradient)
    E, H = value(theta).item(), hessian(value, theta).numpy()
    theta, penalty = theta.numpy(), alpha * mask.numpy()
    z = outputs_at(case["X"])(torch.tensor(theta)).numpy()
    J = jacobian(outputs_at(case["X"]), torch.tensor(theta)).numpy()
    G = np.einsum("nip,nij,njq->pq", J, curvature_of_loss(case, z), J)
    inverse, inverse_g = np.linalg.inv(H), np.linalg.inv(G + np.diag(penalty))
    eigenvalues = np.linalg.eigvalsh(H)
    saliency = theta**2 / np.diag(inverse) / 2
    q = int(np.argmin(saliency))
    step = -theta[q] / inverse[q, q] * inverse[:, q]
    zeroed = theta.copy()
    zeroed[q] = 0.0
    scaled = (2 * eigenvalues - eigenvalues[-1] - eigenvalues[0]) / (
        eigenvalues[-1] - eigenvalues[0]
    )
    tests = case["laplace"]["X_test"]
    at = jacobian(outputs_at(tests), torch.tensor(theta)).numpy()
    return {
        "theta_star": theta.tolist(), "E_star": E, "H_total": H.tolist(),
        "eigenvalues_total": eigenvalues.tolist(), "lambda_max": eigenvalues[-1],
        "lambda_min": eigenvalues[0], "optimal_learning_rate_batch": 1 / eigenvalues[-1],
        "trace": float(np.trace(H)), "logdet": float(np.log(eigenvalues).sum()),
        "diag_H": np.diag(H).tolist(), "diag_H_inv": np.diag(inverse).tolist(),
        "chebyshev_moments_of_density_on_minmax": [
            float(np.cos(k * np.arccos(np.clip(scaled, -1, 1))).mean()) for k in range(12)
        ],
        "obs": {
            "saliency": saliency.tolist(),
            "obd_saliency": (np.diag(H) * theta**2 / 2).tolist(), "argmin": q,
            "delta_theta": step.tolist(), "predicted_dE": saliency[q],
            "E_after": value(torch.tensor(theta + step)).item(),
            "E_if_only_zeroed": value(torch.tensor(zeroed)).item(),
        },
        "gamma": {
            "mackay_exact_H": float(np.trace(inverse @ (H - np.diag(penalty)))),
            "mackay_ggn": float(np.trace(inverse_g @ G)),
            "moody": float(np.trace(inverse @ G)), "n_params": len(theta),
        },
        "laplace": {
            "X_test": tests,
            "output_cov_exact_H": np.einsum("nip,pq,njq->nij", at, inverse, at).tolist(),
            "output_cov_ggn": np.einsum("nip,pq,njq->nij", at, inverse_g, at).tolist(),
        },
    }  # fmt: skip


def compare(name, old, new):
    for key, value in new.items():
        if isinstance(value, dict):
            compare(f"{name} {key}", old.get(key, {}), value)
        elif key in old:
            a, b = np.asarray(old[key], dtype=float), np.asarray(value, dtype=float)
            print(name, key, f"{np.max(np.abs(a - b)) / max(np.max(np.abs(a)), 1e-300):.1e}")


def main(source, target):
    with open(source, encoding="utf-8") as file:
        content = json.load(file)
    for case in content["cases"]:
        new = recompute(case)
        compare(case["name"], case, new)
        case.update(new)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(content, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
