"""Values, gradients and products against automatic differentiation (see reference/README)."""

import json
from pathlib import Path

import numpy as np
import pytest

from lmmfit.curvature import FeedForwardNetwork

REFERENCE = Path(__file__).parents[1] / "reference"
NAMES = [
    case["name"]
    for case in json.loads((REFERENCE / "mlp_cases.json").read_text(encoding="utf-8"))["cases"]
]
PRECISIONS = {np.float64: 1e-10, np.float32: 2e-4}


def relative(found, wanted):
    wanted = np.asarray(wanted, dtype=float)
    return np.max(np.abs(np.asarray(found) - wanted)) / np.max(np.abs(wanted))


@pytest.fixture(params=NAMES)
def case(request, mlp_cases):
    return mlp_cases[request.param]


@pytest.fixture(params=PRECISIONS)
def state(request, case):
    dtype = request.param
    net = FeedForwardNetwork(
        case["layer_sizes"],
        case["hidden_activations"],
        case["output_activation"],
        case["loss"],
        case["alpha"],
        bool(case.get("penalise_biases")),
    )
    X, Y, theta = (np.array(case[name], dtype=dtype) for name in ("X", "Y", "theta"))
    return net.evaluate(theta, X, Y, case["sample_weight"])


def test_numbers(case, state):
    tolerance = PRECISIONS[state.theta.dtype.type]
    assert state.gradient.dtype == state.theta.dtype
    v = np.array(case["v"], dtype=state.theta.dtype)
    found = {
        "E": state.value,
        "grad": state.gradient,
        "Hv": state.hessian_vector_product(v),
        "Gv": state.gauss_newton_vector_product(v),
        "vHv": v @ state.hessian_vector_product(v),
    }
    assert {name: relative(value, case[name]) for name, value in found.items()} == pytest.approx(
        dict.fromkeys(found, 0.0), abs=tolerance
    )


def test_matrices(case, state):
    tolerance = PRECISIONS[state.theta.dtype.type]
    v = np.array(case["v"], dtype=state.theta.dtype)
    if "H" in case:
        H = state.hessian()
        assert relative(H, case["H"]) < tolerance
        np.testing.assert_array_equal(H, H.T)
        eigenvalues = np.linalg.eigvalsh(H.astype(float))
        assert relative(eigenvalues, case["eigenvalues"]) < tolerance
        assert relative(np.trace(H), case["trace"]) < 10 * tolerance
    assert relative(state.gauss_newton_matrix() @ v, case["Gv"]) < tolerance


def test_root_of_the_gauss_newton_matrix(case, state):
    tolerance = PRECISIONS[state.theta.dtype.type]
    root, residuals = state.gauss_newton_root()
    v = np.array(case["v"], dtype=state.theta.dtype)
    assert relative(root.T @ (root @ v) + state.penalty * v, case["Gv"]) < tolerance
    assert relative(root.T @ residuals + state.penalty * state.theta, case["grad"]) < tolerance
