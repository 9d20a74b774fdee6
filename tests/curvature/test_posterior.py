"""Laplace's approximation, effective parameters, evidence; what estimators make of them."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import cross_val_score

from lmmfit import SecondOrderMLP
from lmmfit.curvature import (
    FeedForwardNetwork,
    MaskedObjective,
    effective_parameters,
    evidence_alpha,
    laplace_posterior,
)
from lmmfit.optimize import minimize

REFERENCE = Path(__file__).parents[1] / "reference" / "analytics_cases.json"
MINIMA = {case["name"]: case for case in json.loads(REFERENCE.read_text("utf-8"))["cases"]}
CURVATURES = {"hessian": ("mackay_exact_H", "exact_H"), "gauss-newton": ("mackay_ggn", "ggn")}


def state_of(case):
    net = FeedForwardNetwork(
        case["layer_sizes"],
        case["hidden_activations"],
        loss=case["loss"],
        alpha=case["alpha"],
        penalise_biases=case["penalise_biases"],
    )
    return net.evaluate(np.array(case["theta_star"]), case["X"], case["Y"])


@pytest.mark.parametrize("curvature", CURVATURES)
@pytest.mark.parametrize("name", MINIMA)
def test_reference(name, curvature):
    case, state = MINIMA[name], state_of(MINIMA[name])
    gamma, covariance = CURVATURES[curvature]
    found = effective_parameters(state, curvature=curvature)
    assert found.value == pytest.approx(case["gamma"][gamma], rel=1e-10)
    assert found.error == 0.0
    if curvature == "hessian":
        moody = effective_parameters(state, method="moody", curvature=curvature)
        assert moody.value == pytest.approx(case["gamma"]["moody"], rel=1e-10)
    posterior = laplace_posterior(state, curvature=curvature, sigma2=1.0)
    assert posterior.output_covariance(case["laplace"]["X_test"]) == pytest.approx(
        np.array(case["laplace"][f"output_cov_{covariance}"]), rel=1e-9
    )
    A = state.hessian() if curvature == "hessian" else state.gauss_newton_matrix()
    assert posterior.covariance @ A == pytest.approx(np.eye(len(A)), abs=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "log_loss", "binary_log_loss"])
def test_output_jacobian(loss):
    rng = np.random.default_rng(0)
    net = FeedForwardNetwork([3, 4, 2], "gelu", "tanh" if loss == "squared_error" else "identity",
                             loss)  # fmt: skip
    theta, X, Y = rng.normal(size=net.n_parameters), rng.normal(size=(6, 3)), np.eye(2)[[0, 1] * 3]
    jacobian = net.evaluate(theta, X, Y).output_jacobian()

    def outputs(theta):
        predictions = net.predict(theta, X)
        if loss == "log_loss":  # logits up to what all share
            return np.log(predictions) - np.log(predictions).mean(axis=1, keepdims=True)
        if loss == "binary_log_loss":
            return np.log(predictions) - np.log1p(-predictions)
        return np.log(predictions) if loss == "poisson" else predictions

    if loss == "log_loss":
        jacobian = jacobian - jacobian.mean(axis=1, keepdims=True)
    step = 1e-6
    for k, unit in enumerate(np.eye(len(theta))):
        difference = (outputs(theta + step * unit) - outputs(theta - step * unit)) / (2 * step)
        assert jacobian[:, :, k] == pytest.approx(difference, rel=1e-6, abs=1e-7)


def ridge(alpha):
    """A linear network, for which everything is known in closed form."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 8))
    y = X @ np.r_[np.ones(3), np.zeros(5)] + 0.5 * rng.normal(size=60)
    net = FeedForwardNetwork([8, 1], alpha=alpha, penalise_biases=True)
    design = np.c_[X, np.ones(60)]
    theta = np.linalg.solve(design.T @ design + alpha * np.eye(9), design.T @ y)
    return net.evaluate(theta, X, y), design, y


def log_marginal(design, y, alpha, sigma2):
    """Log density of y, whose covariance the prior and the errors make."""
    K = sigma2 / alpha * design @ design.T + sigma2 * np.eye(len(y))
    return -0.5 * (y @ np.linalg.solve(K, y) + np.linalg.slogdet(2 * np.pi * K)[1])


def test_linear_networks_have_the_marginal_likelihood_of_ridge_regression():
    for alpha in (0.1, 2.0):
        state, design, y = ridge(alpha)
        found = laplace_posterior(state, sigma2=0.3)
        assert found.log_evidence == pytest.approx(log_marginal(design, y, alpha, 0.3), rel=1e-10)
        profiled = laplace_posterior(state).log_evidence
        assert profiled == pytest.approx(
            max(log_marginal(design, y, alpha, s) for s in np.linspace(0.1, 1.0, 2001)), rel=1e-6
        )
        values = np.linalg.eigvalsh(design.T @ design)
        assert found.effective_parameters == pytest.approx(np.sum(values / (values + alpha)))


def test_the_rule_of_mackay_ends_where_the_evidence_is_highest():
    alpha = 1.0
    for _ in range(100):
        alpha = evidence_alpha(ridge(alpha)[0])
    evidence = [
        laplace_posterior(ridge(a)[0]).log_evidence for a in alpha * np.array([0.9, 1, 1.1])
    ]
    assert evidence[1] > max(evidence[0], evidence[2])
    state, design, y = ridge(alpha)
    other = BayesianRidge(alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, tol=1e-10,
                          fit_intercept=False, max_iter=2000).fit(design, y)  # fmt: skip
    assert alpha == pytest.approx(other.lambda_ / other.alpha_, rel=1e-4)
    posterior = laplace_posterior(state)
    assert posterior.sigma2 == pytest.approx(1 / other.alpha_, rel=1e-4)
    std = np.sqrt(posterior.output_covariance(design[:, :8])[:, 0, 0] + posterior.sigma2)
    assert std == pytest.approx(other.predict(design, return_std=True)[1], rel=1e-4)


def test_moody_predicts_the_expected_loss_of_new_targets():
    """For a linear network: expected loss with new errors, less that with the given ones."""
    state, design, _ = ridge(2.0)
    p = effective_parameters(state, method="moody").value
    hat = design @ np.linalg.solve(design.T @ design + 2.0 * np.eye(9), design.T)
    assert p == pytest.approx(np.trace(hat), rel=1e-10)


def test_large_networks_are_estimated(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), rng.normal(size=80)
    net = FeedForwardNetwork([3, 8, 1], "tanh", alpha=1.0, penalise_biases=True)
    objective = net.objective(X, y)
    state = objective.evaluate(minimize(objective, net.initial_parameters(rng)).x)
    exact = laplace_posterior(state)
    moody = effective_parameters(state, method="moody", curvature="hessian").value
    monkeypatch.setattr("lmmfit.curvature.posterior._DENSE", 10)
    monkeypatch.setattr("lmmfit.curvature.posterior._ROWS", 100)
    found = effective_parameters(state, seed=1)
    assert abs(found.value - exact.effective_parameters) < 4 * found.error < 4
    found = effective_parameters(state, method="moody", curvature="hessian", seed=1)
    assert abs(found.value - moody) < 4 * found.error
    posterior = laplace_posterior(state, sigma2=exact.sigma2)
    assert posterior.root is None
    assert posterior.output_covariance(X) == pytest.approx(exact.output_covariance(X), rel=1e-4)
    assert posterior.covariance == pytest.approx(exact.covariance, abs=1e-4)
    given = laplace_posterior(state, sigma2=0.5).log_evidence
    monkeypatch.undo()
    assert given == pytest.approx(laplace_posterior(state, sigma2=0.5).log_evidence, abs=2.0)


def test_free_directions():
    """A unit whose output has no weight leaves its bias free; that changes no variance."""
    net = FeedForwardNetwork([1, 2, 1], "tanh", alpha=0.5)
    X, y = np.linspace(-1, 1, 20)[:, None], np.linspace(-1, 1, 20)
    objective = net.objective(X, y)
    mask = np.array([1, 0, 1, 0, 1, 0, 1], bool)
    x = minimize(MaskedObjective(objective, mask), np.full(4, 0.5)).x
    small = laplace_posterior(MaskedObjective(objective, mask).evaluate(x))
    theta = MaskedObjective(objective, mask).expand(x)
    whole = laplace_posterior(objective.evaluate(theta))
    assert whole.free.shape == (7, 1)
    assert small.free.shape == (4, 0)
    points = np.array([[0.0], [3.0]])
    factor = whole.sigma2 / small.sigma2
    assert whole.output_covariance(points) == pytest.approx(
        factor * small.output_covariance(points), rel=1e-8
    )


def test_dead_units_do_not_change_the_rule_of_mackay():
    X, y = np.linspace(-1, 1, 20)[:, None], np.sin(np.linspace(-2, 2, 20))
    found = []
    for units in (1, 2, 4):
        net = FeedForwardNetwork([1, units, 1], "tanh", alpha=0.1)
        mask = np.zeros(net.n_parameters, bool)
        mask[[0, units, 2 * units, -1]] = True
        masked = MaskedObjective(net.objective(X, y), mask)
        x = minimize(masked, np.full(4, 0.5), tol=1e-10).x
        found.append(evidence_alpha(masked.objective.evaluate(masked.expand(x))))
    assert found == pytest.approx([found[0]] * 3, rel=1e-6)


def test_directions_that_matter_are_not_hidden():
    net = FeedForwardNetwork([2, 1])
    X = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    posterior = laplace_posterior(net.evaluate(np.zeros(3), X, [0.0, 1.0, 0.0, 1.0]))
    assert posterior.output_covariance([[1.0, 0.0]]).shape == (1, 1, 1)
    with pytest.raises(ValueError, match=r"outputs of row 1 depend .* alpha above 0"):
        posterior.output_covariance([[1.0, 0.0], [0.0, 1.0]])
    assert np.isnan(posterior.log_evidence)


def test_bad_input():
    state = FeedForwardNetwork([1, 2, 1], "tanh").evaluate(np.ones(7), [[1.0], [2.0]], [-5.0, 9.0])
    with pytest.raises(ValueError, match="the point is no minimum"):
        laplace_posterior(state, curvature="hessian")
    with pytest.raises(ValueError, match="leave no degree of freedom"):
        laplace_posterior(state)
    with pytest.raises(ValueError, match="curvature='magic'"):
        laplace_posterior(state, curvature="magic")
    with pytest.raises(ValueError, match="method='magic'"):
        effective_parameters(state, method="magic")
    with pytest.raises(ValueError, match="no penalty"):
        evidence_alpha(state)


@pytest.fixture(scope="module")
def sine():
    rng = np.random.default_rng(0)
    x = np.r_[rng.uniform(-3, -1, 60), rng.uniform(1, 3, 60)]
    return x[:, None], 5 + 2 * np.sin(x) + 0.2 * rng.normal(size=120)


def test_standard_deviations_of_predictions(sine):
    X, y = sine
    model = SecondOrderMLP((8,), alpha="evidence", random_state=0).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert np.array_equal(mean, model.predict(X))
    assert 0.15 < std.mean() < 0.3  # the errors' is 0.2
    assert model.predict([[0.0]], return_std=True)[1] > 1.3 * std.mean()  # in the gap
    assert model.predict([[9.0]], return_std=True)[1] > 3 * std.mean()  # off the data
    low, high = model.predict_interval(X)
    assert 0.9 < np.mean((y > low) & (y < high)) <= 1.0
    assert (high - low) == pytest.approx(2 * 1.959964 * std, rel=1e-6)
    narrow = model.predict_interval(X, level=0.5)
    assert 0.35 < np.mean((y > narrow[0]) & (y < narrow[1])) < 0.65


def test_posterior_is_that_of_the_unscaled_data(sine):
    """Standardized or not, a linear model has the variance of least squares."""
    X, y = sine
    model = SecondOrderMLP((), alpha=1e-9, random_state=0, tol=1e-10).fit(X, y)
    design = np.c_[X, np.ones(len(X))]
    residuals = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    s2 = residuals @ residuals / (len(y) - 2)
    wanted = np.sqrt(
        s2 * (1 + np.einsum("ij,jk,ik->i", design, np.linalg.inv(design.T @ design), design))
    )
    assert model.predict(X, return_std=True)[1] == pytest.approx(wanted, rel=1e-5)
    plain = clone(model).set_params(standardize=False).fit(X, y)
    assert plain.predict(X, return_std=True)[1] == pytest.approx(wanted, rel=1e-5)


def test_weights_are_repetitions_in_the_posterior(sine):
    X, y = sine
    weight = np.random.default_rng(1).integers(0, 3, len(y))
    one = SecondOrderMLP((4,), random_state=0).fit(X, y, sample_weight=weight)
    two = SecondOrderMLP((4,), random_state=0).fit(np.repeat(X, weight, 0), np.repeat(y, weight))
    assert np.array_equal(one.predict(X, return_std=True)[1], two.predict(X, return_std=True)[1])


def test_several_outputs_counts_and_wild_values(sine):
    X, y = sine
    Y = np.c_[y, 100 * y + 3]
    model = SecondOrderMLP((6,), random_state=0).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == Y.shape
    assert std[:, 1] == pytest.approx(100 * std[:, 0], rel=1e-2)
    counts = np.random.default_rng(0).poisson(np.exp(np.sin(X[:, 0])))
    model = SecondOrderMLP((6,), loss="poisson", random_state=0).fit(X, counts)
    rate, std = model.predict(X, return_std=True)
    assert (std > np.sqrt(rate)).all()
    low, high = model.predict_interval(X)
    assert (low >= 0).all()
    assert np.mean((counts >= low) & (counts <= high)) > 0.85
    huber = SecondOrderMLP((6,), loss="huber", random_state=0).fit(X, y)
    assert (huber.predict(X, return_std=True)[1] > 0).all()


def test_evidence_chooses_well():
    X, y = load_diabetes(return_X_y=True)
    model = SecondOrderMLP((8,), alpha="evidence", random_state=0)
    found = cross_val_score(model, X, y, cv=3).mean()
    model.fit(X, y)
    scores, evidence = [], []
    for alpha in (0.01, 0.3, model.alpha_, 300.0):
        other = clone(model).set_params(alpha=alpha)
        scores.append(cross_val_score(other, X, y, cv=3).mean())
        evidence.append(other.fit(X, y).posterior_.log_evidence)
    assert found > max(scores) - 0.03
    assert np.argmax(evidence) == 2
    X, y = load_wine(return_X_y=True)
    model = SecondOrderMLP((5,), loss="log_loss", alpha="evidence", random_state=0).fit(X, y)
    assert 0.001 < model.alpha_ < 100
    assert model.network_.alpha == model.alpha_
    assert cross_val_score(model, X, y, cv=3).mean() > 0.95
    again = model.set_params(warm_start=True).fit(X, y)
    assert again.alpha_ == pytest.approx(model.alpha_)


def test_what_has_no_posterior(sine):
    X, y = sine
    labels = SecondOrderMLP((3,), loss="log_loss", random_state=0).fit(X, y > 5)
    with pytest.raises(ValueError, match="return_std is for regressors"):
        labels.predict(X, return_std=True)
    assert not hasattr(labels, "predict_interval")
    assert labels.posterior_.sigma2 == 1.0
    streamed = SecondOrderMLP((3,), random_state=0).partial_fit(X, y)
    with pytest.raises(ValueError, match="call fit_posterior"):
        streamed.predict(X, return_std=True)
    assert not hasattr(streamed, "posterior_")
    streamed.fit_posterior(X, y)
    assert (streamed.predict(X, return_std=True)[1] > 0).all()
    with pytest.raises(ValueError, match="level must be between"):
        streamed.predict_interval(X, level=95)
    for options, match in (
        ({"early_stopping": True}, "early_stopping=False"),
        ({"alpha": "magic"}, "alpha"),
    ):
        model = SecondOrderMLP((3,), **({"alpha": "evidence"} | options))
        with pytest.raises(ValueError, match=match):
            model.fit(X, y)
    with pytest.raises(ValueError, match="partial_fit takes a number"):
        SecondOrderMLP((3,), alpha="evidence").partial_fit(X, y)


def test_posteriors_follow_the_fit_and_pickle(sine):
    X, y = sine
    model = SecondOrderMLP((4,), random_state=0).fit(X, y)
    before = model.predict(X, return_std=True)[1]
    exact = model.fit_posterior(X, y, curvature="hessian").posterior_
    assert exact.curvature == "hessian"
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(
        copy.predict(X, return_std=True)[1], model.predict(X, return_std=True)[1]
    )
    state = pickle.loads(pickle.dumps(model.hessian_operator(X, y).state))
    assert state.value == model.hessian_operator(X, y).state.value
    model.fit(X, 10 * y)
    assert model.posterior_.curvature == "gauss-newton"
    assert model.predict(X, return_std=True)[1] == pytest.approx(10 * before, rel=1e-3)
