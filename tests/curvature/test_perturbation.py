"""Weight perturbation: quadratics, where everything is known, and what is off elsewhere."""

import numpy as np
import pytest

from lmmfit.curvature import BoltzmannMachine, FeedForwardNetwork, weight_perturbation
from lmmfit.optimize import Objective

RNG = np.random.default_rng(3)
K = 4
A = RNG.normal(size=(K, K))
H, G, W, V = A + A.T, *RNG.normal(size=(3, K))
U, LENGTH = V / np.linalg.norm(V), np.linalg.norm(V)
# What per_weight converges to on a quadratic (derived from moments of order six).
PER_WEIGHT = LENGTH * (H @ U - U * (U @ H @ U) / 2 + U * np.trace(H) / 4) / (1 - U**2 / 4)
PARTS = {
    "gradient": "gradient_error",
    "hessian_vector_product": "product_error",
    "diagonal": "diagonal_error",
}


def quadratic(w, H=H):
    return 1.3 + G @ (w - W) + (w - W) @ H @ (w - W) / 2


def estimates(method, antithetic=True, seeds=100, n_samples=150, **options):
    runs = [
        weight_perturbation(
            quadratic, W, V, n_samples=n_samples, scale=0.5, method=method, diagonal=True,
            antithetic=antithetic, seed=seed, **options,
        )
        for seed in range(seeds)
    ]  # fmt: skip
    return {
        part: (
            np.array([getattr(run, part) for run in runs]),
            np.array([getattr(run, error) for run in runs]),
        )
        for part, error in PARTS.items()
    }


@pytest.mark.parametrize("antithetic", [True, False])
@pytest.mark.parametrize("method", ["covariance", "joint", "per_weight"])
def test_means_and_errors_on_a_quadratic(method, antithetic):
    wanted = {
        "gradient": G,
        "hessian_vector_product": PER_WEIGHT if method == "per_weight" else H @ V,
        "diagonal": np.diag(H),
    }
    for part, (values, errors) in estimates(method, antithetic).items():
        off = values - wanted[part]
        if method == "joint" and antithetic and part == "gradient":
            assert np.abs(off).max() < 1e-14  # a linear function, by least squares
            continue
        standard = off.mean(axis=0) / (off.std(axis=0, ddof=1) / np.sqrt(len(off)))
        assert np.abs(standard).max() < 4, part
        assert 0.88 < np.mean(np.abs(off) <= 2 * errors) < 0.985, part
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.sqrt(np.mean(off**2)), rel=0.25)


def test_the_printed_regression_is_biased():
    # For E = |w|^2 / 2 and v = e_0 its expectation is (1 - 1/2 + k/4) / (1 - 1/4), not 1.
    e = np.eye(K)[0]
    found = {
        method: weight_perturbation(
            lambda w: w @ w / 2, W, e, n_samples=20_000, scale=0.5, method=method
        )
        for method in ("covariance", "joint", "per_weight")
    }
    assert found["per_weight"].hessian_vector_product[0] == pytest.approx(2.0, abs=0.1)
    for method in ("covariance", "joint"):
        assert found[method].hessian_vector_product[0] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("method", ["covariance", "joint"])
def test_errors_fall_with_the_root_of_the_samples(method):
    few, many = (estimates(method, seeds=60, n_samples=n) for n in (60, 960))
    wanted = {"gradient": G, "hessian_vector_product": H @ V, "diagonal": np.diag(H)}
    for part in PARTS:
        if method == "joint" and part == "gradient":
            continue
        rms = [np.sqrt(np.mean((found[part][0] - wanted[part]) ** 2)) for found in (few, many)]
        assert rms[0] / rms[1] == pytest.approx(4.0, rel=0.3), part


@pytest.mark.parametrize("antithetic", [True, False])
def test_joint_least_squares_are_exact_for_the_hessian_of_equation_26(antithetic):
    z = np.random.default_rng(0).normal(size=K)
    square = V @ V
    secant = (np.outer(z, V) + np.outer(V, z) - np.outer(V, V) * (z @ V) / square) / square
    np.testing.assert_allclose(secant @ V, z, atol=1e-14)
    found = weight_perturbation(
        lambda w: quadratic(w, secant), W, V, n_samples=2 * K + 2, scale=0.5, method="joint",
        antithetic=antithetic,
    )  # fmt: skip
    np.testing.assert_allclose(found.gradient, G, atol=1e-12)
    np.testing.assert_allclose(found.hessian_vector_product, z, atol=1e-12)
    assert found.product_error.max() < 1e-11


@pytest.mark.parametrize("part", ["gradient", "hessian_vector_product"])
def test_the_bias_elsewhere_falls_with_the_square_of_the_scale(part):
    # For E = exp(a'w) all expectations are known: normal perturbations multiply them.
    a, w, v = np.array([0.6, -0.3]), np.array([0.2, 0.4]), np.array([1.0, 0.5])
    E = np.exp(a @ w)
    wanted = {"gradient": E * a, "hessian_vector_product": E * a * (a @ v)}[part]
    off = []
    for s in (1.0, 0.5):
        found = weight_perturbation(lambda x: np.exp(a @ x), w, v, n_samples=40_000, scale=s)
        value, error = getattr(found, part), getattr(found, PARTS[part])
        expected = wanted * np.exp(s * s * (a @ a) / 2)
        assert np.abs((value - expected) / error).max() < 4
        off.append(np.abs(value - wanted).max() / np.abs(wanted).max())
    assert off[0] / off[1] == pytest.approx(4.0, rel=0.5)


@pytest.mark.parametrize("antithetic", [True, False])
def test_rademacher_perturbations_give_gradients(antithetic):
    runs = [
        weight_perturbation(
            quadratic, W, n_samples=80, scale=0.1, distribution="rademacher",
            antithetic=antithetic, seed=seed,
        )
        for seed in range(60)
    ]  # fmt: skip
    off = np.array([run.gradient for run in runs]) - G
    standard = off.mean(axis=0) / (off.std(axis=0, ddof=1) / np.sqrt(len(off)))
    assert np.abs(standard).max() < 4
    assert runs[0].hessian_vector_product is None
    assert runs[0].diagonal is None


def test_antithetic_perturbations_keep_the_gradient_out_of_the_product():
    def steep(w):
        return quadratic(w) + 100 * (w - W).sum()

    errors = [
        weight_perturbation(steep, W, V, n_samples=200, antithetic=antithetic).product_error
        for antithetic in (True, False)
    ]
    plain = weight_perturbation(quadratic, W, V, n_samples=200).product_error
    np.testing.assert_allclose(errors[0], plain, rtol=1e-4)
    assert errors[1].min() > 100 * errors[0].max()


@pytest.mark.parametrize("antithetic", [True, False])
def test_values_are_counted(antithetic):
    calls = []

    def function(w):
        calls.append(w.copy())
        return quadratic(w)

    found = weight_perturbation(function, W, V, n_samples=20, antithetic=antithetic)
    assert found.n_values == len(calls) == (41 if antithetic else 21)
    assert np.shares_memory(calls[0], W) is False


def test_objectives_of_all_kinds():
    net = FeedForwardNetwork([1, 2, 1], "tanh")
    machine = BoltzmannMachine(3, 1)
    for objective, size in (
        (net.objective([[1.0], [2.0]], [0.0, 1.0]), 7),
        (machine.objective(np.full(8, 1 / 8)), 6),
        (Objective(lambda x: (x @ x / 2, x), lambda x, v: v), 3),
    ):
        w, v = np.random.default_rng(0).normal(size=(2, size))
        state = objective.evaluate(w)
        found = weight_perturbation(objective, w, v, n_samples=1000, diagonal=True)
        assert np.abs((found.gradient - state.gradient) / found.gradient_error).max() < 5
        off = found.hessian_vector_product - state.hessian_vector_product(v)
        assert np.abs(off / found.product_error).max() < 5


def test_the_same_seed_gives_the_same_numbers_in_any_blocks(monkeypatch):
    sequence = np.random.SeedSequence(7)
    for method in ("covariance", "joint", "per_weight"):

        def run(seed, method=method):
            return weight_perturbation(quadratic, W, V, n_samples=50, method=method, seed=seed)

        first = run(7)
        for other in (run(7), run(sequence), run(sequence)):
            np.testing.assert_array_equal(
                other.hessian_vector_product, first.hessian_vector_product
            )
        with monkeypatch.context() as patch:
            patch.setattr("lmmfit.curvature.perturbation._DRAWN", 13 * K)
            blocks = run(7)
        np.testing.assert_allclose(
            blocks.hessian_vector_product, first.hessian_vector_product, rtol=1e-9
        )
        np.testing.assert_allclose(blocks.product_error, first.product_error, rtol=1e-9)
        assert np.any(run(8).gradient != first.gradient)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"v": np.zeros(K)}, "v is zero"),
        ({"v": np.ones(3)}, r"v must be a finite vector of shape \(4,\)"),
        ({"w": [1.0, np.nan]}, "w must be a finite vector"),
        ({"n_samples": 1}, "n_samples must be an integer of at least 2 .* got 1"),
        ({"method": "joint", "n_samples": 5}, "at least 6 for method='joint' and 4 weights"),
        ({"method": "joint", "n_samples": 9, "antithetic": False}, "at least 10"),
        ({"method": "joint", "v": None}, "give v"),
        ({"method": "newton"}, "method='newton' is none of"),
        ({"distribution": "cauchy"}, "distribution='cauchy' is none of"),
        ({"distribution": "rademacher"}, "rademacher perturbations are for gradients only"),
        (
            {"distribution": "rademacher", "v": None, "diagonal": True},
            "rademacher perturbations are for gradients only",
        ),
        ({"scale": 0.0}, r"scale must be finite and above 0, got 0\.0"),
        ({"function": 3.0}, "function must be callable"),
        ({"function": lambda w: w}, r"must return one number, got shape \(4,\) at w"),
        ({"function": lambda w: np.nan}, "the function is nan at w: try a smaller scale"),
    ],
)
def test_what_is_refused(options, message):
    given = {"function": quadratic, "w": W, "v": V, "n_samples": 50} | options
    function, w, v = given.pop("function"), given.pop("w"), given.pop("v")
    with pytest.raises(ValueError, match=message):
        weight_perturbation(function, w, v, **given)


@pytest.mark.parametrize(("antithetic", "where"), [(True, "-"), (False, r"\+")])
def test_values_that_are_not_finite_are_named(antithetic, where):
    calls = []

    def function(w):
        calls.append(0)
        return np.inf if len(calls) == 7 else 1.0

    sample = 2 if antithetic else 5
    with pytest.raises(
        ValueError, match=rf"the function is inf at w {where} dw of sample {sample}"
    ):
        weight_perturbation(function, W, n_samples=10, antithetic=antithetic)
