"""Every optimiser on problems with known answers."""

import numpy as np
import pytest

from lmmfit.curvature import FeedForwardNetwork
from lmmfit.optimize import (
    LBFGS,
    SCG,
    SGD,
    ExactLineSearch,
    GaussNewton,
    LevenbergMarquardt,
    LimitedMemory,
    LineSearch,
    NewtonCG,
    Objective,
    Recombined,
    SteepestDescent,
    Switching,
    TruncatedCG,
    TrustRegion,
    minimize,
    screen_starts,
)

SECOND_ORDER = {
    "newton-cg": NewtonCG(),
    "newton-cg, cold": NewtonCG(warm_up=0),
    "newton-cg, double": NewtonCG(precision="double", preconditioner=None, warm_up=0),
    "newton-cg, gauss-newton": NewtonCG(curvature="gauss-newton", warm_up=0),
    "gauss-newton": GaussNewton(),
    "gauss-newton, preconditioned": GaussNewton(preconditioner="lbfgs", precision="mixed"),
    "scg": SCG(),
    "lm": LevenbergMarquardt(),
    "lm, straight": LevenbergMarquardt(acceleration=0.0),
    "lm, dual": LevenbergMarquardt(form="dual"),
    "lbfgs": LBFGS(),
    "switching": Switching(),
    "cg, line search": Recombined(TruncatedCG(), LineSearch()),
    "cg, exact line": Recombined(TruncatedCG(), ExactLineSearch()),
    "lbfgs, exact line": Recombined(LimitedMemory(), ExactLineSearch()),
}
CAUCHY = Recombined(SteepestDescent(), ExactLineSearch())


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_rosenbrock(name, banana):
    result = minimize(banana, [-1.2, 1.0], SECOND_ORDER[name], tol=1e-9)
    assert result.converged
    assert "tol=1e-09" in result.reason
    np.testing.assert_allclose(result.x, 1.0, atol=1e-7)
    assert result.n_iter > 0


@pytest.mark.parametrize("name", [*SECOND_ORDER, "cauchy", "sgd"])
def test_a_deep_linear_network_reaches_its_minimum(name, deep_linear, starts):
    # Every local minimum is global, but there are saddle points (Baldi and Hornik 1989).
    objective, best = deep_linear
    optimizer = (SECOND_ORDER | {"cauchy": CAUCHY, "sgd": SGD()})[name]
    for x in starts(objective, 10):
        result = minimize(objective, x, optimizer, tol=1e-7, max_iter=50_000)
        assert result.value == pytest.approx(best, rel=1e-10)
        if name in ("lm", "lm, dual"):  # their equations lose all digits where damping is least
            assert "within tol" in result.reason


@pytest.mark.parametrize("name", [n for n in SECOND_ORDER if n not in ("lm, straight",)])
def test_a_penalised_classifier_comes_to_rest(name, classifier, starts):
    x = starts(classifier, 1)[0]
    # Far from a perfect fit the Gauss-Newton matrix is not the Hessian: it comes near slowly.
    tol = 1e-3 if "gauss" in name else 1e-7
    result = minimize(classifier, x, SECOND_ORDER[name], tol=tol, max_iter=20_000)
    assert result.converged
    assert np.max(np.abs(classifier.evaluate(result.x).gradient)) <= tol
    H = classifier.evaluate(result.x).hessian()
    assert np.linalg.eigvalsh(H)[0] > -tol


@pytest.mark.parametrize("optimizer", [NewtonCG(), SCG(), LevenbergMarquardt(), LBFGS()], ids=repr)
def test_xor_from_ten_starts(optimizer):
    X = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    net = FeedForwardNetwork([2, 2, 1], "tanh")
    objective = net.objective(X, X.prod(axis=1))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        starts = [net.initial_parameters(rng) for _ in range(10)]
        run = screen_starts(objective, starts, optimizer)
        assert minimize(objective, run=run, tol=1e-7).value < 1e-6


def test_bent_steps_reach_a_precision_that_straight_ones_do_not():
    x = np.linspace(-1, 1, 50)[:, None]
    net = FeedForwardNetwork([1, 5, 1], "tanh")
    objective = net.objective(x, np.sin(2 * x))
    values = {}
    for acceleration in (0.75, 0.0):
        optimizer = LevenbergMarquardt(acceleration=acceleration)
        values[acceleration] = [
            minimize(
                objective, net.initial_parameters(np.random.default_rng(seed)), optimizer,
                tol=1e-15, max_iter=300,
            ).value / len(x)
            for seed in range(6)
        ]  # fmt: skip
    assert np.sum(np.array(values[0.75]) < 1e-12) >= 5
    assert np.median(values[0.75]) < 1e-2 * np.median(values[0.0])


def test_a_sine_to_a_trillionth_from_most_starts():
    x = np.linspace(-1, 1, 60)[:, None]
    net = FeedForwardNetwork([1, 5, 1], "tanh")
    objective = net.objective(x, np.sin(np.pi / 2 * x))
    rngs = [np.random.default_rng(seed) for seed in range(6)]
    results = [
        minimize(objective, net.initial_parameters(rng), LevenbergMarquardt(), tol=0, max_iter=500)
        for rng in rngs
    ]
    assert sum(result.value < 1e-12 for result in results) >= 5


def test_levenberg_marquardt_ends_whatever_is_asked():
    # A damping that shrank to zero could not grow again, and the search for a step never ended.
    x = np.linspace(-1, 1, 20)[:, None]
    net = FeedForwardNetwork([1, 3, 1], "tanh")
    objective = net.objective(x, np.sin(np.pi / 2 * x))
    for seed in range(3):
        start = net.initial_parameters(np.random.default_rng(seed))
        result = minimize(objective, start, LevenbergMarquardt(), tol=0, max_iter=3000)
        assert result.value < 1e-3


def test_negative_curvature_is_followed():
    def function(x):  # a saddle at the origin, minima at (0, -1) and (0, 1)
        value = x[0] ** 2 + (x[1] ** 2 - 1) ** 2
        return value, np.array([2 * x[0], 4 * x[1] * (x[1] ** 2 - 1)])

    saddle = Objective(function, lambda x, v: np.array([2.0, 12 * x[1] ** 2 - 4]) * v)
    for name in (
        "newton-cg",
        "newton-cg, cold",
        "scg",
        "lbfgs",
        "cg, line search",
        "cg, exact line",
    ):
        result = minimize(saddle, [1.0, 1e-3], SECOND_ORDER[name])
        np.testing.assert_allclose(np.abs(result.x), [0.0, 1.0], atol=1e-7)


def test_newton_needs_one_step_on_a_quadratic():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(8, 8))
    A, b = root @ root.T + np.eye(8), rng.normal(size=8)
    bowl = Objective(lambda x: (0.5 * x @ A @ x - b @ x, A @ x - b), lambda x, v: A @ v)
    wanted = np.linalg.solve(A, b)
    exact = Recombined(TruncatedCG(forcing=1e-14), TrustRegion(radius=100.0))
    result = minimize(bowl, np.zeros(8), exact)
    assert result.n_iter <= 4  # the finest residual of one solution is a thousandth
    np.testing.assert_allclose(result.x, wanted, rtol=1e-8)


def test_scg_with_differences_is_moellers(classifier, starts):
    x = starts(classifier, 1)[0]
    exact, approximate = (
        minimize(classifier, x, SCG(differences=d), tol=1e-4, max_iter=3000) for d in (False, True)
    )
    assert exact.converged
    assert approximate.converged
    assert approximate.value == pytest.approx(exact.value, rel=1e-6)


def test_exact_products_need_fewer_steps_in_single_precision(classifier, starts):
    objective = classifier.single
    x = starts(objective, 1)[0]
    goal = 1e-5 * np.linalg.norm(objective.evaluate(x).gradient)

    def steps(optimizer):
        close = minimize(
            objective, x, optimizer, tol=0, max_iter=3000,
            callback=lambda run: np.linalg.norm(run.gradient) < goal,
        )  # fmt: skip
        return close.n_iter

    assert steps(SCG()) < steps(SCG(differences=True, difference_step=1e-6))
