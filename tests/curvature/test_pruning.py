"""Optimal Brain Surgeon and Damage, masks, and the paths that they make."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer

from lmmfit import SecondOrderMLP
from lmmfit.curvature import (
    BoltzmannMachine,
    FeedForwardNetwork,
    MaskedObjective,
    prune,
    prune_network,
    removal_step,
    saliencies,
)
from lmmfit.optimize import LBFGS, SCG, SGD, LevenbergMarquardt, NewtonCG, minimize

REFERENCE = Path(__file__).parents[1] / "reference" / "analytics_cases.json"
MINIMA = {case["name"]: case for case in json.loads(REFERENCE.read_text("utf-8"))["cases"]}


def network_of(case):
    return FeedForwardNetwork(
        case["layer_sizes"],
        case["hidden_activations"],
        loss=case["loss"],
        alpha=case["alpha"],
        penalise_biases=case["penalise_biases"],
    )


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 5))
    y = np.tanh(X[:, 0] - X[:, 1]) + 0.05 * rng.normal(size=120)
    objective = FeedForwardNetwork([5, 4, 1], "tanh", alpha=0.05).objective(X, y)
    start = objective.network.initial_parameters(rng)
    return objective, minimize(objective, start, tol=1e-8).x


@pytest.mark.parametrize("name", MINIMA)
def test_reference(name):
    case, net = MINIMA[name], network_of(MINIMA[name])
    theta, wanted = np.array(case["theta_star"]), case["obs"]
    state = net.evaluate(theta, case["X"], case["Y"])
    H = state.hessian()
    costs = saliencies(theta, H)
    assert costs == pytest.approx(wanted["saliency"], rel=1e-10)
    assert saliencies(theta, H, method="obd") == pytest.approx(wanted["obd_saliency"], rel=1e-10)
    q = int(np.argmin(costs))
    assert q == wanted["argmin"]
    step, cost = removal_step(theta, np.linalg.inv(H)[:, [q]], [q])
    assert step == pytest.approx(wanted["delta_theta"], rel=1e-9, abs=1e-12)
    assert cost == pytest.approx(wanted["predicted_dE"], rel=1e-10)
    after = net.evaluate(theta + step, case["X"], case["Y"]).value
    assert after == pytest.approx(wanted["E_after"], rel=1e-12)
    assert after < wanted["E_if_only_zeroed"]


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 3))
def test_removal_is_the_constrained_minimum(seed, size, count):
    """The step is what the equations of the constrained quadratic give."""
    rng = np.random.default_rng(seed)
    count = min(count, size)
    R = rng.normal(size=(size + 2, size))
    H, theta = R.T @ R, rng.normal(size=size)
    chosen = rng.permutation(size)[:count]
    step, cost = removal_step(theta, np.linalg.inv(H)[:, chosen], chosen)
    left = np.setdiff1d(np.arange(size), chosen)
    wanted = np.zeros(size)
    wanted[chosen] = -theta[chosen]
    wanted[left] = np.linalg.solve(H[np.ix_(left, left)], H[np.ix_(left, chosen)] @ theta[chosen])
    assert step == pytest.approx(wanted, rel=1e-5, abs=1e-7)
    assert cost == pytest.approx(0.5 * wanted @ H @ wanted, rel=1e-5, abs=1e-9)


def test_first_weight_and_predictions(regression):
    """The first weight is that of least saliency, and the losses grow as predicted."""
    objective, theta = regression
    path = prune_network(objective, theta, n=12)
    weights = np.flatnonzero(objective.network.layout.is_weight)
    costs = saliencies(theta, objective.evaluate(theta).hessian())[weights]
    assert path.order[0] == weights[np.argmin(costs)]
    assert path.n_weights.tolist() == list(range(29, 16, -1))
    assert len(np.unique(path.order)) == 12
    assert path.reason == "n=12 weights taken away"
    for before, stage in zip(path.stages[:-1], path.stages[1:], strict=True):
        assert (stage.theta[~stage.mask] == 0).all()
        assert stage.value <= before.value + stage.increase + 1e-12
        assert objective.evaluate(stage.theta).value == pytest.approx(stage.value)
    for stage in path.stages[1:6]:
        assert stage.increase == pytest.approx(stage.predicted_increase, rel=0.5, abs=1e-5)


@pytest.mark.parametrize("method", ["obs", "obd", "magnitude"])
@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
def test_methods(regression, method, curvature):
    objective, theta = regression
    path = prune_network(objective, theta, n=10, method=method, curvature=curvature)
    assert path.n_weights[-1] == 19
    assert path.losses[-1] < 2 * path.losses[0] + 0.02


def test_surgeon_damages_less_than_zeroing(regression):
    objective, theta = regression
    damage = {}
    for method in ("obs", "obd", "magnitude"):
        path = prune_network(objective, theta, n=14, method=method, retrain=False)
        damage[method] = path.stages[-1].value - path.stages[0].value
    assert damage["obs"] < damage["obd"]
    assert damage["obs"] < damage["magnitude"]


def test_units(regression):
    objective, theta = regression
    path = prune_network(objective, theta, n=2, what="units")
    layout = objective.network.layout
    for stage in path.stages[1:]:
        weights, biases = layout.unpack(stage.mask)
        dead = ~weights[1].any(axis=1)
        assert (~weights[0][:, dead]).all()
        assert (~biases[0][dead]).all()
        assert weights[0][:, ~dead].all()
        assert biases[1].all()
    assert path.n_weights.tolist() == [29, 22, 15]


def test_tolerance_and_validation(regression):
    objective, theta = regression
    path = prune_network(objective, theta, tol=0.1)
    assert path.losses[-1] <= 1.1 * path.losses[0]
    assert "tol=0.1" in path.reason
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 5))
    held_out = objective.network.without_penalty().objective(X, np.tanh(X[:, 0] - X[:, 1]))
    path = prune_network(objective, theta, n=18, validation=held_out)
    assert path.chosen == np.argmin(path.validation_losses)
    assert path.chosen > 0
    with pytest.raises(ValueError, match="made from arrays"):
        path.model()
    assert len(prune_network(objective, theta, n=18, callback=lambda s: True).stages) == 2
    assert len(prune_network(objective, theta, n=0).stages) == 1
    everything = prune_network(objective, theta, tol=np.inf)
    assert everything.n_weights[-1] == 5
    assert everything.reason == "nothing is left to take"


def test_large_networks_take_columns_of_the_inverse(regression, monkeypatch):
    """With the dense limit lowered, the candidates' columns come from conjugate gradients."""
    objective, theta = regression
    dense = prune_network(objective, theta, n=5, curvature="gauss-newton")
    monkeypatch.setattr("lmmfit.curvature.pruning._DENSE", 10)
    sparse = prune_network(objective, theta, n=5, curvature="gauss-newton")
    assert sparse.order.tolist() == dense.order.tolist()
    assert sparse.losses == pytest.approx(dense.losses, rel=1e-4)


def test_bad_input(regression):
    objective, theta = regression
    for options, match in (
        ({}, "say how far to go"),
        ({"n": 25}, "n=25, and there are 24 to take away"),
        ({"n": 1.5}, "n=1.5"),
        ({"tol": -1.0}, "tol must be at least 0"),
        ({"n": 1, "method": "magic"}, "method='magic' is none of"),
        ({"n": 1, "what": "layers"}, "neither 'weights' nor 'units'"),
        ({"n": 1, "mask": np.ones(3, bool)}, "mask must hold 29 booleans"),
    ):
        with pytest.raises(ValueError, match=match):
            prune_network(objective, theta, **options)
    with pytest.raises(ValueError, match="matrix must be 3 x 3"):
        saliencies(np.ones(3), np.eye(2))
    with pytest.raises(ValueError, match="method='magic'"):
        saliencies(np.ones(2), np.eye(2), method="magic")
    with pytest.raises(ValueError, match="keeps no parameter"):
        MaskedObjective(objective, np.zeros(29, bool))
    masked = MaskedObjective(objective, np.arange(29) < 20)
    with pytest.raises(ValueError, match=r"x must have shape \(20,\)"):
        masked.evaluate(theta)
    with pytest.raises(ValueError, match=r"v must have shape \(20,\)"):
        masked.evaluate(theta[:20]).hessian_vector_product(theta)


def test_masked_objective_is_the_restricted_one(regression):
    objective, _ = regression
    rng = np.random.default_rng(0)
    mask = rng.random(29) < 0.6
    masked = MaskedObjective(objective, mask)
    x = rng.normal(size=masked.n_parameters)
    state, whole = masked.evaluate(x), objective.evaluate(masked.expand(x))
    both = np.ix_(mask, mask)
    assert state.value == whole.value
    assert state.theta == pytest.approx(x)
    assert state.gradient == pytest.approx(whole.gradient[mask])
    assert state.hessian() == pytest.approx(whole.hessian()[both])
    assert state.gauss_newton_matrix() == pytest.approx(whole.gauss_newton_matrix()[both])
    V = rng.normal(size=(len(x), 2))
    assert state.hessian_vector_product(V) == pytest.approx(state.hessian() @ V)
    assert state.gauss_newton_vector_product(V[:, 0]) == pytest.approx(
        state.gauss_newton_matrix() @ V[:, 0]
    )
    root, residuals = state.gauss_newton_root()
    assert root.T @ residuals + state.penalty * x == pytest.approx(state.gradient)
    jacobian = state.output_jacobian()
    assert jacobian == pytest.approx(whole.output_jacobian()[:, :, mask])
    assert state.jacobian_transpose_product(residuals) == pytest.approx(root.T @ residuals)
    assert masked.restrict(masked.expand(x)) == pytest.approx(x)


def test_masks_of_other_objectives():
    machine = BoltzmannMachine(3, 1)
    P = np.array([4, 0, 1, 1, 0, 1, 1, 4]) / 12
    masked = MaskedObjective(machine.objective(P), np.array([0, 1, 1, 1, 1, 1], bool))
    for optimizer in (SCG(), NewtonCG(), LBFGS()):
        result = minimize(masked, np.full(5, 0.1), optimizer, tol=1e-7)
        w = masked.expand(result.x)
        assert w[0] == 0.0
        state = machine.evaluate(w, P)
        assert np.abs(state.gradient[1:]).max() < 1e-6
        assert result.value == pytest.approx(state.value)


@pytest.mark.parametrize(
    "optimizer", [NewtonCG(), SCG(), LBFGS(), LevenbergMarquardt(), SGD(batch_size=40)]
)
def test_every_optimizer_takes_masks(regression, optimizer):
    objective, theta = regression
    mask = np.ones(29, bool)
    mask[[0, 3, 7, 20]] = False
    masked = MaskedObjective(objective, mask)
    result = minimize(masked, theta[mask], optimizer, tol=1e-3, max_iter=300)
    assert result.value < masked.evaluate(theta[mask]).value
    assert len(result.x) == 25


@pytest.fixture(scope="module")
def classifier():
    X, y = load_breast_cancer(return_X_y=True)
    return SecondOrderMLP((6,), loss="log_loss", alpha=1.0, random_state=0).fit(X, y), X, y


def test_prune_an_estimator(classifier):
    model, X, y = classifier
    theta = model.theta_.copy()
    path = prune(model, X[:400], y[:400], n=150, validation=(X[400:], y[400:]))
    assert np.array_equal(model.theta_, theta)
    assert model.mask is None
    small = path.model(-1)
    assert small.mask.sum() == len(theta) - 150
    assert (small.theta_[~small.mask] == 0).all()
    assert small.coefs_[0].size + small.coefs_[1].size - 150 == sum(
        np.count_nonzero(W) for W in small.coefs_
    )
    assert small.score(X, y) > 0.95
    assert small.reason_ == f"pruned to {len(theta) - 150} of {len(theta)} parameters"
    assert path.model().mask.sum() == path.n_weights[path.chosen]


def test_later_fits_keep_the_mask(classifier):
    model, X, y = classifier
    small = prune(model, X, y, n=120).model()
    assert small.hessian_operator(X, y).shape == (len(small.theta_) - 120,) * 2
    again = clone(small).fit(X, y)
    assert (again.theta_[~small.mask] == 0).all()
    assert again.score(X, y) > 0.95
    warm = small.set_params(warm_start=True, alpha=2.0).fit(X, y)
    assert (warm.theta_[~small.mask] == 0).all()
    assert warm.n_iter_ < again.n_iter_ + 5
    smaller = prune(warm, X, y, n=20).model()
    assert smaller.mask.sum() == small.mask.sum() - 20
    assert (~smaller.mask[~small.mask]).all()
    stream = clone(small).set_params(warm_start=False).partial_fit(X, y)
    assert (stream.theta_[~small.mask] == 0).all()
    stopped = clone(small).set_params(early_stopping=True, warm_start=False).fit(X, y)
    assert (stopped.theta_[~small.mask] == 0).all()


def test_bad_masks(classifier):
    model, X, y = classifier
    with pytest.raises(ValueError, match=r"mask must hold 193 booleans.*\(3,\)"):
        model.pruned(np.ones(3, bool))
    bad = clone(model).set_params(mask=np.ones(193))
    with pytest.raises(ValueError, match=r"booleans.*float64"):
        bad.fit(X, y)
    assert not hasattr(bad, "theta_")
    with pytest.raises(ValueError, match="keeps no parameter"):
        clone(model).set_params(mask=np.zeros(193, bool)).fit(X, y)
