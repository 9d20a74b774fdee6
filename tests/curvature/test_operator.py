"""The Hessian as an operator: eigenvalues, densities, traces, inverses, batches."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from scipy.stats import wasserstein_distance
from sklearn.datasets import load_digits, load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor

from lmmfit.curvature import (
    BoltzmannMachine,
    FeedForwardNetwork,
    HessianOperator,
    UnitNetwork,
    chebyshev_moments,
    eigenpairs,
    estimate_trace,
    lanczos_rules,
    maximum_entropy,
    network_of_sklearn,
    skilling_moments,
    solve_hessian,
    spectral_density,
)
from lmmfit.optimize import NewtonCG, Objective, minimize

REFERENCE = Path(__file__).parents[1] / "reference"


def load(name):
    return json.loads((REFERENCE / name).read_text(encoding="utf-8"))["cases"]


MLP = {case["name"]: case for case in load("mlp_cases.json") if "H" in case}
MINIMA = {case["name"]: case for case in load("analytics_cases.json")}


def operator_of(case, theta="theta"):
    net = FeedForwardNetwork(
        case["layer_sizes"],
        case["hidden_activations"],
        case.get("output_activation", "identity"),
        case["loss"],
        case["alpha"],
        bool(case.get("penalise_biases")),
    )
    weight = case.get("sample_weight")
    return HessianOperator(net.evaluate(np.array(case[theta]), case["X"], case["Y"], weight))


def symmetric(eigenvalues, seed=0):
    """A dense symmetric matrix with given eigenvalues."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((len(eigenvalues), len(eigenvalues))))[0]
    return (Q * eigenvalues) @ Q.T


@pytest.fixture(scope="module")
def digits():
    """A network for the digits, partly trained, with its whole spectrum."""
    X, y = load_digits(return_X_y=True)
    X, Y = X[:600] / 16, np.eye(10)[y[:600]]
    net = FeedForwardNetwork([64, 10, 10], "tanh", loss="log_loss", alpha=1.0)
    objective = net.objective(X, Y)
    start = net.initial_parameters(np.random.default_rng(0))
    theta = minimize(objective, start, NewtonCG(), max_iter=8).x
    operator = HessianOperator(objective.evaluate(theta))
    return operator, *np.linalg.eigh(operator.matrix())


@pytest.mark.parametrize("name", MLP)
def test_reference_spectrum(name):
    case, operator = MLP[name], operator_of(MLP[name])
    H, scale = np.array(case["H"]), np.abs(case["eigenvalues"]).max()
    assert np.abs(operator.matrix() - H).max() < 1e-10 * scale
    values, vectors = operator.eigsh(len(H), "SA")
    assert np.abs(values - case["eigenvalues"]).max() < 1e-10 * scale
    assert np.abs(H @ vectors - vectors * values).max() < 1e-10 * scale
    assert float(operator.trace()) == pytest.approx(case["trace"], abs=1e-10 * scale)
    rules = lanczos_rules(operator, n_probes=1)
    assert rules.nodes.shape == rules.weights.shape
    assert rules.weights.sum() == pytest.approx(1.0)
    for k, moment in enumerate(case["moments"]):
        power = np.sum(values**k)
        assert power == pytest.approx(moment, rel=1e-9, abs=1e-9 * scale**k)


@pytest.mark.parametrize("method", ["cg", "minres", "squared", "dense"])
@pytest.mark.parametrize("name", MLP)
def test_reference_solutions(name, method):
    case, operator = MLP[name], operator_of(MLP[name])
    wanted, damping = np.array(case["solve_damped"]), case["damping"]
    lowest = min(case["eigenvalues"]) + damping
    if method == "cg" and lowest <= 0:
        with pytest.warns(RuntimeWarning, match="negative curvature"):
            solution = operator.solve(case["b"], method, damping=damping, tol=1e-12)
        assert not solution.converged
        return
    solution = operator.solve(case["b"], method, damping=damping, tol=1e-12)
    assert solution.converged, solution.reason
    assert np.abs(solution.x - wanted).max() < 1e-8 * np.abs(wanted).max()
    if lowest > 0:
        logdet = operator.logdet(damping=damping).value
        assert logdet == pytest.approx(case["logdet_damped"], rel=1e-10)


@pytest.mark.parametrize("name", MINIMA)
def test_reference_minima(name):
    case, operator = MINIMA[name], operator_of(MINIMA[name], "theta_star")
    H = np.array(case["H_total"])
    assert np.abs(operator.matrix() - H).max() < 1e-10 * case["lambda_max"]
    assert operator.eigsh(1, "LA").values[0] == pytest.approx(case["lambda_max"], rel=1e-10)
    assert operator.eigsh(1, "SA").values[0] == pytest.approx(case["lambda_min"], rel=1e-10)
    assert float(operator.trace()) == pytest.approx(case["trace"], rel=1e-10)
    assert float(operator.logdet()) == pytest.approx(case["logdet"], rel=1e-10)
    assert operator.diagonal().value == pytest.approx(case["diag_H"], rel=1e-10)
    inverse = operator.solve(np.eye(len(H)), tol=1e-12)
    assert np.diag(inverse.x) == pytest.approx(case["diag_H_inv"], rel=1e-8)
    moments = chebyshev_moments(
        operator, 12, (case["lambda_min"], case["lambda_max"]), probes=np.eye(len(H))
    )
    wanted = case["chebyshev_moments_of_density_on_minmax"]
    assert moments.mean(axis=0) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("method", ["auto", "lanczos", "lobpcg", "power", "dense"])
@pytest.mark.parametrize("which", ["LA", "SA", "LM", "BE"])
def test_eigenpairs(method, which):
    values = np.r_[-4.0, -2.5, np.linspace(-1, 1, 396), 3.0, 6.0]
    H = aslinearoperator(symmetric(values))
    if (method, which) in (("lobpcg", "LM"), ("lobpcg", "BE"), ("power", "BE")):
        with pytest.raises(ValueError, match="not '"):
            eigenpairs(H, 2, which=which, method=method)
        return
    pairs = eigenpairs(H, 2, which=which, method=method, tol=1e-8)
    wanted = {"LA": [3, 6], "SA": [-4, -2.5], "LM": [-4, 6], "BE": [-4, 6]}[which]
    assert pairs.converged.all()
    assert pairs.values == pytest.approx(wanted, rel=1e-7)
    assert (np.abs(pairs.values - wanted) <= pairs.residuals + 1e-12).all()
    assert pairs.vectors.T @ pairs.vectors == pytest.approx(np.eye(2), abs=1e-10)
    found, vectors = pairs  # as from SciPy
    assert (found is pairs.values) & (vectors is pairs.vectors)


def test_extreme_eigenvalues_of_a_network(digits):
    operator, values, _ = digits
    for which, wanted in (("LA", values[-3:]), ("SA", values[:3])):
        pairs = operator.eigsh(3, which)
        assert pairs.method == "lanczos"
        assert pairs.n_products < 700
        assert np.abs(pairs.values - wanted).max() < 1e-6 * np.abs(wanted).max()
        assert pairs.residuals.max() < 1e-6 * values[-1]


def test_eigenpairs_say_what_they_missed():
    H = aslinearoperator(np.diag(np.linspace(1.0, 1.001, 500)))
    with pytest.warns(RuntimeWarning, match="did not converge .* max_products"):
        pairs = eigenpairs(H, 1, method="power", max_products=5, tol=1e-12)
    assert not pairs.converged[0]
    assert pairs.residuals[0] > 0
    with pytest.warns(RuntimeWarning, match="did not converge"):
        assert eigenpairs(H, 2, method="lanczos", max_products=21, tol=1e-13).values.shape == (2,)


def test_linear_operator_of_scipy(digits):
    operator, values, _ = digits
    assert isinstance(operator, LinearOperator)
    V = np.random.default_rng(0).standard_normal((operator.shape[0], 3))
    assert operator @ V == pytest.approx(operator.matrix() @ V, abs=1e-8)
    assert operator.T @ V[:, 0] == pytest.approx(operator @ V[:, 0])
    assert (operator.gauss_newton.matrix() @ V) == pytest.approx(operator.gauss_newton @ V)
    assert operator.gauss_newton.eigsh(1, "SA").values[0] > -1e-8 * values[-1]


@pytest.mark.parametrize(("method", "distance"), [("lanczos", 5e-3), ("chebyshev", 1e-2),
                                                  ("skilling", 1e-2)])  # fmt: skip
def test_density_of_a_network(digits, method, distance):
    operator, values, _ = digits
    span = values[-1] - values[0]
    density = operator.density(method, seed=1)
    assert density.weights.sum() == pytest.approx(1.0)
    assert (density.weights >= -1e-12).all()
    found = wasserstein_distance(density.nodes, values, np.maximum(density.weights, 0))
    assert found < distance * span
    mean = density.expectation(lambda x: x)
    assert abs(float(mean) - values.mean()) < 4 * mean.error + 0.01 * span
    assert density.bounds[0] <= values[0] + 1e-3 * span
    assert density.bounds[1] >= values[-1] - 1e-3 * span
    x = np.linspace(*density.bounds, 801)
    assert np.trapezoid(density.pdf(x, 0.01 * span).value, x) == pytest.approx(1.0, abs=0.1)
    assert (np.diff(density.cdf(x).value) >= -1e-9).all()


@pytest.mark.parametrize("method", ["lanczos", "chebyshev", "skilling"])
def test_error_bars_of_densities_cover(method):
    rng = np.random.default_rng(0)
    values = np.sort(np.r_[rng.normal(size=360), rng.uniform(5, 9, 40)])
    H, inside, runs = aslinearoperator(symmetric(values)), 0, 60
    for seed in range(runs):
        density = spectral_density(H, method=method, seed=seed, bounds=(-5.0, 10.0))
        low, high = density.expectation(lambda x: x).interval(0.95)
        inside += low <= values.mean() <= high
    assert inside >= 0.85 * runs


def test_gauss_rules_are_exact_for_polynomials():
    values = np.linspace(-1.0, 2.0, 40)
    H = symmetric(values)
    rules = lanczos_rules(aslinearoperator(H), n_probes=3, n_steps=6, seed=3)
    probes = np.random.default_rng(3).choice((-1.0, 1.0), size=(40, 3)) / np.sqrt(40)
    for k in range(12):
        moment = np.sum(rules.weights * rules.nodes**k, axis=1)
        wanted = np.sum(probes * (np.linalg.matrix_power(H, k) @ probes), axis=0)
        assert moment == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_powers_lose_all_digits_and_lanczos_none(digits):
    operator, values, _ = digits
    conditions = [skilling_moments(operator, m).hankel_condition for m in (4, 8, 12)]
    assert conditions[0] < 1e8 < conditions[1]
    assert conditions[2] > 1e15
    rules = lanczos_rules(operator, n_probes=1, n_steps=12)
    assert rules.nodes.max() == pytest.approx(values[-1], rel=1e-6)


def test_maximum_entropy_recovers_a_density():
    x = -np.cos(np.pi * (np.arange(512) + 0.5) / 512)
    prior = np.full(512, 1 / 512)
    truth = prior * np.exp(0.8 * x - 1.5 * (2 * x * x - 1))
    truth /= truth.sum()
    T = np.cos(np.arange(12)[:, None] * np.arccos(x))
    weights, multipliers = maximum_entropy(T @ truth, np.zeros(12), x, prior)
    assert weights == pytest.approx(truth, abs=1e-5)
    assert multipliers[:2] == pytest.approx([0.8, -1.5], abs=1e-3)


@pytest.mark.parametrize("method", ["hutchinson", "hutch++", "xtrace"])
def test_traces_and_diagonals(digits, method):
    operator, values, _ = digits
    H = aslinearoperator(operator.matrix())
    estimates = [estimate_trace(H, method=method, n_products=30, seed=s) for s in range(200)]
    found = np.array([float(e) for e in estimates])
    errors = np.array([e.error for e in estimates])
    bias = (found.mean() - values.sum()) / (found.std() / np.sqrt(200))
    assert abs(bias) < 4
    assert np.mean(np.abs(found - values.sum()) < 2.5 * errors) > 0.85
    assert {e.n_products for e in estimates} == {30}
    diagonal = np.diag(operator.matrix())
    samples = np.array([
        np.asarray(operator.diagonal(method, n_products=60, seed=s)) for s in range(30)
    ])  # fmt: skip
    spread = samples.std(axis=0) / np.sqrt(30) + 1e-12
    assert np.quantile(np.abs(samples.mean(axis=0) - diagonal) / spread, 0.99) < 4


def test_better_methods_are_better(digits):
    operator, values, _ = digits
    H = aslinearoperator(operator.matrix())
    error = {
        method: np.median([
            abs(float(estimate_trace(H, method=method, n_products=60, seed=s)) - values.sum())
            for s in range(40)
        ])
        for method in ("hutchinson", "hutch++", "xtrace")
    }  # fmt: skip
    assert error["xtrace"] < error["hutch++"] < error["hutchinson"]


def test_low_rank_is_seen_exactly():
    H = aslinearoperator(symmetric(np.r_[np.zeros(495), 1.0, 2.0, 3.0, 4.0, 5.0]))
    for method in ("hutch++", "xtrace"):
        estimate = estimate_trace(H, method=method, n_products=40)
        assert float(estimate) == pytest.approx(15.0, rel=1e-6)


def test_log_determinant(digits):
    operator, _, _ = digits
    G = operator.gauss_newton
    exact = G.logdet(damping=0.1)
    assert exact.error == 0.0
    estimate = G.logdet(damping=0.1, method="lanczos", n_probes=30)
    assert abs(estimate.value - exact.value) < 4 * estimate.error
    low = operator.eigsh(1, "SA").values[0]
    if low < 0:
        with pytest.raises(ValueError, match=r"not positive definite: .* Take a damping above"):
            operator.logdet()


@pytest.mark.parametrize("method", ["cg", "minres", "squared", "dense"])
def test_several_right_hand_sides(digits, method):
    operator, values, _ = digits
    damping = max(0.0, -values[0]) + 1.0
    B = np.random.default_rng(0).standard_normal((operator.shape[0], 3))
    B[:, 1] = 0.0
    solution = operator.solve(B, method, damping=damping, tol=1e-7)
    assert solution.converged
    assert solution.x.shape == B.shape
    wanted = np.linalg.solve(operator.matrix() + damping * np.eye(len(B)), B)
    assert np.asarray(solution) == pytest.approx(wanted, abs=1e-5)
    one = operator.solve(B[:, 0], method, damping=damping, tol=1e-7)
    assert one.x == pytest.approx(wanted[:, 0], abs=1e-5)


def test_indefinite_and_singular_systems():
    values = np.r_[-2.0, -0.5, np.linspace(0.5, 3, 38)]
    A = symmetric(values)
    H, b = aslinearoperator(A), np.arange(40.0)
    with pytest.warns(RuntimeWarning, match="negative curvature .*minres"):
        solution = solve_hessian(H, b)
    d = solution.negative_curvature
    assert not solution.converged
    assert d @ A @ d == pytest.approx(solution.curvature)
    assert solution.curvature < 0
    for method in ("minres", "squared", "dense"):
        assert solve_hessian(H, b, method=method, tol=1e-10).x == pytest.approx(
            np.linalg.solve(A, b), rel=1e-7
        )
    values[10] = 0.0
    A = symmetric(values)
    with pytest.warns(RuntimeWarning, match="rank is 39 of 40"):
        solution = solve_hessian(aslinearoperator(A), b, method="dense")
    assert solution.x == pytest.approx(np.linalg.pinv(A) @ b, rel=1e-6)


def test_batches_are_unbiased_and_independent(digits):
    operator, values, _ = digits
    exact = values.sum()
    errors = []
    for n_products in (50, 200):
        found = []
        for seed in range(40):
            estimate = operator.stochastic(60, seed).trace(n_products=n_products, seed=seed)
            found.append((float(estimate), estimate.error))
        found = np.array(found)
        z = (found[:, 0].mean() - exact) / (found[:, 0].std() / np.sqrt(len(found)))
        assert abs(z) < 4
        assert np.mean(np.abs(found[:, 0] - exact) < 2.5 * found[:, 1]) > 0.85
        errors.append(found[:, 0].std())
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.5)  # like 1 / sqrt(n)
    stochastic = operator.stochastic(300, 0)
    assert not np.array_equal(stochastic @ np.ones(len(values)), stochastic @ np.ones(len(values)))
    moments = np.mean(
        [skilling_moments(operator.stochastic(300, s), 2, start=np.ones(len(values))).moments
         for s in range(60)], axis=0)  # fmt: skip
    wanted = skilling_moments(operator, 2, start=np.ones(len(values))).moments
    assert moments == pytest.approx(wanted, rel=0.1)
    density = operator.stochastic(300, 0).density("skilling", n_products=8)
    assert density.expectation(lambda x: x).value == pytest.approx(values.mean(), rel=0.3)
    ones = np.ones(len(values))
    for ask in (
        stochastic.eigsh,
        stochastic.density,
        lambda: stochastic.solve(ones),
        lambda: stochastic.trace("xtrace"),
    ):
        with pytest.raises(ValueError, match="batch"):
            ask()
    assert stochastic.gauss_newton.trace(n_products=20).error > 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["classes", "two classes", "labels", "numbers", "counts"])
def test_networks_of_scikit_learn(kind):
    X, y = load_iris(return_X_y=True)
    options = {"hidden_layer_sizes": (4, 3), "alpha": 0.5, "random_state": 0, "max_iter": 60,
               "solver": "lbfgs"}  # fmt: skip
    if kind == "classes":
        model, y = MLPClassifier(**options), np.array(["a", "b", "c"])[y]
    elif kind == "two classes":
        model, y = MLPClassifier(activation="tanh", **options), y > 0
    elif kind == "labels":
        model, y = MLPClassifier(activation="logistic", **options), np.c_[y > 0, y > 1].astype(int)
    elif kind == "numbers":
        model, X, y = MLPRegressor(activation="tanh", **options), X[:, :2], X[:, 2:]
    else:
        model = MLPRegressor(loss="poisson", **options)
    model.fit(X, y)
    H = HessianOperator.from_sklearn(model, X, y)
    network, theta = network_of_sklearn(model)
    outputs = network.predict(theta, X)
    if kind == "numbers":
        assert outputs == pytest.approx(model.predict(X))
    elif kind == "counts":
        assert outputs[:, 0] == pytest.approx(model.predict(X))
    else:
        assert outputs[:, -1] == pytest.approx(model.predict_proba(X)[:, -1])
    # Several outputs: scikit-learn averages their losses, not the gradients. Counts: theirs has a
    # constant more.
    if kind not in ("numbers", "counts"):
        assert H.state.value / len(X) == pytest.approx(model.loss_, rel=1e-6)
    v = np.random.default_rng(0).standard_normal(H.shape[0])
    step = 1e-5
    difference = (
        network.evaluate(theta + step * v, X, H.state.objective.Y).gradient
        - network.evaluate(theta - step * v, X, H.state.objective.Y).gradient
    ) / (2 * step)
    if kind != "classes":  # relu has kinks
        assert H @ v == pytest.approx(difference, rel=1e-4, abs=1e-4)


def test_scikit_learn_bad_input():
    with pytest.raises(ValueError, match="call fit first"):
        HessianOperator.from_sklearn(MLPClassifier(), [[0.0]], [0])
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((2,), max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"label 7 in row 1, which the model does not know"):
        HessianOperator.from_sklearn(model, X[:2], [0, 7])


def test_other_objectives():
    machine = BoltzmannMachine(3, 1)
    P = np.full(8, 1 / 8)
    w = np.linspace(-1, 1, machine.n_parameters)
    state = machine.objective(P).evaluate(w)
    assert HessianOperator(state).matrix() == pytest.approx(state.hessian(), abs=1e-14)
    net = UnitNetwork(np.triu(np.ones((5, 5)), 1), "tanh", [4])
    rng = np.random.default_rng(0)
    objective = net.objective(rng.normal(size=(40, 5)), rng.normal(size=(40, 1)))
    state = objective.evaluate(net.pack(net.initial_weights(rng)))
    H = HessianOperator(state)
    assert H.matrix() == pytest.approx(state.hessian(), abs=1e-12)
    estimate = H.stochastic(10).trace(n_products=400)
    assert abs(float(estimate) - np.trace(H.matrix())) < 4 * estimate.error
    cubic = Objective(lambda x: (x @ x**2, 3 * x**2), lambda x, v: 6 * x * v)
    H = HessianOperator(cubic.evaluate([1.0, 2.0]))
    assert H.eigsh(2).values == pytest.approx([6.0, 12.0])


def test_bad_questions(digits):
    operator, values, _ = digits
    size = len(values)
    for ask, match in (
        (lambda: operator.eigsh(0), "k must be"),
        (lambda: operator.eigsh(size + 1), f"matrix of order {size}"),
        (lambda: operator.eigsh(1, "XX"), "which='XX'"),
        (lambda: operator.eigsh(1, method="magic"), "method='magic'"),
        (lambda: operator.density("magic"), "method='magic'"),
        (lambda: operator.density(n_probes=1), "n_probes must be .* at least 2"),
        (lambda: operator.density("chebyshev", bounds=(2.0, 1.0)), "the smaller first"),
        (lambda: operator.density().pdf(0.0, width=0.0), "width must be above 0"),
        (lambda: operator.trace("magic"), "method='magic'"),
        (lambda: operator.trace(n_products=3), "n_products must be .* at least 6"),
        (lambda: operator.trace().interval(1.5), "level must be between"),
        (lambda: operator.logdet(method="magic"), "method='magic'"),
        (lambda: operator.solve(np.ones(size + 1)), "b must have shape"),
        (lambda: operator.solve(np.full(size, np.nan)), "b is nan at 0"),
        (lambda: operator.solve(np.ones(size), "magic"), "method='magic'"),
        (lambda: operator.stochastic(0), "batch_size must be between 1"),
        (lambda: skilling_moments(operator, 2, start=np.zeros(size)), "not zero"),
        (lambda: HessianOperator(operator.state, "magic"), "neither"),
    ):
        with pytest.raises(ValueError, match=match):
            ask()
    machine = BoltzmannMachine(2, 0)
    state = machine.objective(np.full(4, 0.25)).evaluate(np.zeros(1))
    with pytest.raises(ValueError, match="cannot be cut into batches"):
        HessianOperator(state).stochastic(1)
