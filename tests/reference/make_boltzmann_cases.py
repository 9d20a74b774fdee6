"""Recompute boltzmann_cases.json from its inputs by plain enumeration.

    python tests/reference/make_boltzmann_cases.py tests/reference/boltzmann_cases.json new.json

Every state is listed, every average is a sum over the list, and the Hessian is a difference of
covariances: nothing is shared with the package. Prints how far each number is from the one in the
file.
"""

import itertools
import json
import sys

import numpy as np


def average(weight, table):
    return np.tensordot(weight, table, axes=1)


def conditional_moments(E, weight, products, D, T):
    """Mean of s_i s_j, of s_i s_j D and D, and the covariance of s_i s_j, under exp(-E/T)."""
    P = np.exp(-(E - E.min()) / T)
    P /= P.sum()
    p = average(P, products)
    centred = products - p
    covariance = (centred * P[:, None]).T @ centred
    return [weight * part for part in (p, average(P, products * D[:, None]), P @ D, covariance)]


def recompute(case):
    T, n_visible = case["T"], case["n_visible"]
    n_inputs, P_env = case["n_inputs_clamped_both_phases"], np.array(case["P_env"])
    free = n_visible + case["n_hidden"]
    states = np.array(list(itertools.product((0, 1), repeat=free)))
    visible = states[:, :n_visible] @ 2 ** np.arange(n_visible - 1, -1, -1)
    inputs = visible // 2 ** (n_visible - n_inputs)
    if case["bias_unit"]:
        states = np.column_stack([states, np.ones(len(states), dtype=int)])
    pairs = list(itertools.combinations(range(states.shape[1]), 2))
    products = np.array([[s[i] * s[j] for i, j in pairs] for s in states], dtype=float)
    E, D = products @ case["w"], products @ case["v"]
    P_in = np.array([P_env[np.unique(visible[inputs == a])].sum() for a in range(2**n_inputs)])

    def phase(clamped, weights):
        parts = [
            conditional_moments(E[clamped == a], P, products[clamped == a], D[clamped == a], T)
            for a, P in enumerate(weights)
        ]
        return [sum(part) for part in zip(*parts, strict=True)]

    p_plus, q_plus, D_plus, C_plus = phase(visible, P_env)
    p_minus, q_minus, D_minus, C_minus = phase(inputs, P_in)
    v, G = np.array(case["v"]), 0.0
    for a, P in enumerate(P_env):
        if P > 0:
            given = visible == a
            of_input = inputs == inputs[given][0]
            model = np.exp(-E[given] / T).sum() / np.exp(-E[of_input] / T).sum()
            G += P * np.log(P / P_in[inputs[given][0]] / model)
    R_p_plus, R_p_minus = -C_plus @ v / T, -C_minus @ v / T
    wrong = ((p_plus * D_plus - q_plus) / T - R_p_minus) / T
    return {
        "pairs": pairs, "G": G, "grad": (p_plus - p_minus) / T, "Hv": (R_p_plus - R_p_minus) / T,
        "H": (C_minus - C_plus) / T**2, "p_plus": p_plus, "p_minus": p_minus,
        "q_plus": q_plus, "q_minus": q_minus, "D_plus": D_plus, "D_minus": D_minus,
        "R_p_plus": R_p_plus, "R_p_minus": R_p_minus,
        "Hv_if_clamped_average_taken_globally": wrong,
    }  # fmt: skip


def main(source, target):
    with open(source, encoding="utf-8") as file:
        content = json.load(file)
    for case in content["cases"]:
        for name, number in recompute(case).items():
            number = np.asarray(number)
            if name in case:
                print(case["name"], name, f"{np.abs(number - case[name]).max():.1e}")
            case[name] = number.tolist()
    with open(target, "w", encoding="utf-8") as file:
        json.dump(content, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
