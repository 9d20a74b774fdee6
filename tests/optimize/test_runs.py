"""Runs: limits, callbacks, going on, what is counted, what is refused."""

import numpy as np
import pytest

from lmmfit.optimize import (
    LBFGS,
    SCG,
    SGD,
    Damping,
    ExactLineSearch,
    GaussNewton,
    LevenbergMarquardt,
    LineSearch,
    NewtonCG,
    NormalEquations,
    Objective,
    Recombined,
    SteepestDescent,
    Switching,
    TrustRegion,
    minimize,
    screen_starts,
)

OPTIMIZERS = [
    NewtonCG(),
    NewtonCG(warm_up=6),
    NewtonCG(warm_up=0),
    NewtonCG(precision="double"),
    GaussNewton(),
    SCG(),
    LevenbergMarquardt(),
    LevenbergMarquardt(form="dual"),
    LBFGS(),
    SGD(batch_size=32),
    Switching(after=5, floor=0.0),
    Recombined(SteepestDescent(), ExactLineSearch()),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_values_never_rise(optimizer, classifier, starts):
    seen = []
    x = starts(classifier, 2)[1]
    minimize(classifier, x, optimizer, max_iter=30, callback=lambda run: seen.append(run.value))
    first = classifier.evaluate(x).value
    if isinstance(optimizer, SGD):
        assert seen[-1] < first
    else:
        assert np.all(np.diff([first, *seen]) <= 1e-12 * first)


def test_limits_and_reasons(banana):
    x = [-1.2, 1.0]
    stopped = minimize(banana, x, SCG(), max_iter=3)
    assert not stopped.converged
    assert stopped.reason == "max_iter=3 iterations"
    assert stopped.n_iter == 3
    late = minimize(banana, x, SCG(), max_time=0.0)
    assert late.reason == "max_time=0 seconds"
    assert late.n_iter == 0
    called = minimize(banana, x, SCG(), callback=lambda run: run.n_iter == 4)
    assert (called.reason, called.n_iter, called.converged) == ("callback", 4, False)
    assert minimize(banana, [1.0, 1.0]).n_iter == 0
    assert called.seconds > 0


def test_time_counts_through_all_parts(banana):
    part = minimize(banana, [-1.2, 1.0], SCG(), max_iter=3)
    part.run.seconds = 10.0
    rest = minimize(banana, run=part.run, max_time=5.0)
    assert rest.reason == "max_time=5 seconds"
    assert rest.seconds > 10.0


def test_counts(banana):
    calls = {"values": 0, "products": 0}

    def function(x):
        calls["values"] += 1
        return banana.function(x)

    def product(x, v):
        calls["products"] += 1
        return banana.product(x, v)

    result = minimize(Objective(function, product), [-1.2, 1.0], NewtonCG(warm_up=0))
    assert result.n_values == calls["values"]
    assert result.n_products == calls["products"]
    assert result.n_gradients == result.n_iter + 1


def test_rounding_ends_a_run(banana):
    for optimizer in (NewtonCG(), LevenbergMarquardt(), LBFGS()):
        result = minimize(banana, [-1.2, 1.0], optimizer, tol=0.0, max_iter=10_000)
        assert result.n_iter < 10_000
        np.testing.assert_allclose(result.x, 1.0, atol=1e-7)


def test_a_value_that_is_not_finite_is_no_step():
    def function(x):  # not defined from 1 on
        with np.errstate(divide="ignore", invalid="ignore"):
            return -np.log1p(-x[0]) - 3 * x[0], np.array([1 / (1 - x[0]) - 3])

    wall = Objective(function, lambda x, v: v / (1 - x[0]) ** 2)
    for optimizer in (NewtonCG(radius=100.0), SCG(), LBFGS()):
        assert minimize(wall, [-50.0], optimizer).x[0] == pytest.approx(2 / 3, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(), "give a start x, or the run"),
        (dict(x=[np.nan]), "finite vector"),
        (dict(x=[[1.0]]), "finite vector"),
        (dict(x=[2.0]), "value and gradient must be finite at the start; the value is inf"),
    ],
)
def test_impossible_starts(arguments, message):
    objective = Objective(lambda x: (np.inf, x))
    with pytest.raises(ValueError, match=message):
        minimize(objective, **arguments)
    with pytest.raises(ValueError, match="give a start x, or the run"):
        minimize(objective, [1.0], run=object())


def test_objectives_say_what_they_lack():
    plain = Objective(lambda x: (x @ x, 2 * x))
    assert minimize(plain, [1.0, 2.0], LBFGS()).converged
    with pytest.raises(ValueError, match="give Objective\\(function, product\\), or use LBFGS"):
        minimize(plain, [1.0, 2.0], NewtonCG(warm_up=0))
    with pytest.raises(ValueError, match="needs a sum of squares"):
        minimize(plain, [1.0, 2.0], LevenbergMarquardt())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NewtonCG(curvature="fisher"), "curvature='fisher' is none of"),
        (lambda: NewtonCG(preconditioner="diagonal"), "preconditioner='diagonal'"),
        (lambda: GaussNewton(precision="half"), "precision='half'"),
        (lambda: LevenbergMarquardt(form="sparse"), "form='sparse'"),
        (
            lambda: Recombined(SteepestDescent(), TrustRegion()),
            r"TrustRegion asks its descent for within\(\), which SteepestDescent does not have",
        ),
        (lambda: Recombined(NormalEquations(), LineSearch()), r"asks its descent for direction"),
    ],
)
def test_impossible_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_objects_of_a_wrong_kind(banana):
    for wrong in (LBFGS, "lbfgs"):
        with pytest.raises(TypeError, match=r"one like NewtonCG\(\) or LBFGS\(\)"):
            minimize(banana, [0.0, 0.0], wrong)
    with pytest.raises(TypeError, match=r"make one of functions by Objective\(function"):
        minimize(banana.function, [0.0, 0.0])
    with pytest.raises(ValueError, match="SGD needs an objective that can be cut"):
        minimize(banana, [0.0, 0.0], SGD())
    with pytest.raises(ValueError, match="starts is empty"):
        screen_starts(banana, [])


def test_the_curve_has_a_value_for_each_iteration(banana):
    run = minimize(banana, [-1.2, 1.0], SCG(), max_iter=4).run
    result = minimize(banana, run=run, max_iter=5)
    assert len(result.run.curve) == result.n_iter == 9
    assert result.run.curve[-1] == result.value


def test_gauss_newton_from_an_explicit_matrix(banana):
    optimizer = Recombined(NormalEquations(), Damping(schedule="martens"))
    np.testing.assert_allclose(minimize(banana, [-1.2, 1.0], optimizer).x, 1.0, atol=1e-6)
