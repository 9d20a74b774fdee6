"""Problems with known answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from lmmfit.curvature import FeedForwardNetwork
from lmmfit.optimize import Objective


@pytest.fixture(scope="session")
def banana():
    """Rosenbrock's function, as function, product and residuals."""

    def residuals(x):
        r = np.array([1 - x[0], 10 * (x[1] - x[0] ** 2)])
        return r, np.array([[-1.0, 0.0], [-20 * x[0], 10.0]])

    def function(x):
        r, J = residuals(x)
        return 0.5 * r @ r, J.T @ r

    def product(x, v):
        a, b = 1 + 600 * x[0] ** 2 - 200 * x[1], -200 * x[0]
        return np.array([a * v[0] + b * v[1], b * v[0] + 100 * v[1]])

    return Objective(function, product, residuals=residuals)


@pytest.fixture(scope="session")
def deep_linear():
    """A linear network with a bottleneck, and the value that reduced-rank regression gives."""
    path = Path(__file__).parents[1] / "reference" / "deep_linear.json"
    case = json.loads(path.read_text(encoding="utf-8"))
    net = FeedForwardNetwork(case["layer_sizes"], case["hidden_activations"])
    X, Y = np.array(case["X"]), np.array(case["Y"])
    centred = X - X.mean(axis=0), Y - Y.mean(axis=0)
    fitted = centred[0] @ np.linalg.lstsq(*centred, rcond=None)[0]
    left_over = np.linalg.svd(fitted)[1][case["layer_sizes"][1] :]
    best = 0.5 * (np.sum((centred[1] - fitted) ** 2) + np.sum(left_over**2))
    assert best == pytest.approx(case["E_global_min"], rel=1e-12)
    return net.objective(X, Y), best


@pytest.fixture(scope="session")
def classifier():
    """A small softmax network on data of three clouds, with a penalty."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=120)
    X = rng.normal(size=(120, 4)) + 1.2 * np.eye(4)[labels]
    net = FeedForwardNetwork([4, 6, 3], "tanh", loss="log_loss", alpha=0.3)
    return net.objective(X, np.eye(3)[labels])


@pytest.fixture
def starts():
    """Function that draws so many starts for a network's objective."""

    def draw(objective, count):
        return [
            objective.network.initial_parameters(np.random.default_rng(seed))
            for seed in range(count)
        ]

    return draw
