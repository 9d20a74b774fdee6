"""Descents and searches by themselves, against dense algebra."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.optimize import (
    Damping,
    EigenvalueRate,
    ExactLineSearch,
    LevenbergMarquardt,
    NewtonCG,
    Objective,
    Recombined,
    Run,
    SteepestDescent,
    Stream,
    Switching,
    TruncatedCG,
    TrustRegion,
    apply_inverse,
    minimize,
)


def quadratic(A, b):
    return Objective(lambda x: (0.5 * x @ A @ x - b @ x, A @ x - b), lambda x, v: A @ v)


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_two_loops_are_the_bfgs_matrix(seed, m):
    rng = np.random.default_rng(seed)
    k = 7
    root = rng.normal(size=(k, k))
    A = root @ root.T + 0.5 * np.eye(k)
    S = rng.normal(size=(m, k))
    Y = S @ A
    B = np.eye(k) * (S[-1] @ Y[-1]) / (Y[-1] @ Y[-1])
    for s, y in zip(S, Y, strict=True):
        rho = 1.0 / (s @ y)
        left = np.eye(k) - rho * np.outer(s, y)
        B = left @ B @ left.T + rho * np.outer(s, s)
    v = rng.normal(size=k)
    np.testing.assert_allclose(apply_inverse(S, Y, v), B @ v, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(apply_inverse(S[:0], Y[:0], v), v)


@given(st.integers(0, 10**6), st.floats(0.01, 50.0))
def test_steihaugs_step_within_the_ball(seed, radius):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 6))
    A, b = root + root.T, rng.normal(size=6)
    run = Run(NewtonCG(radius=radius, warm_up=0), quadratic(A, b), np.zeros(6))
    descent = TruncatedCG(forcing=1e-10, preconditioner=None)
    step, promised, length = descent.within(run, radius)
    assert length <= radius * (1 + 1e-10)
    assert promised == pytest.approx(b @ step - 0.5 * step @ A @ step, rel=1e-8, abs=1e-12)
    curvature = b @ A @ b
    alpha = radius / np.linalg.norm(b)
    if curvature > 0:
        alpha = min(alpha, b @ b / curvature)
    cauchy = alpha * b @ b - 0.5 * alpha**2 * curvature
    assert promised >= cauchy * (1 - 1e-9)  # at least the best step along the gradient
    if np.linalg.eigvalsh(A)[0] < 0 and length < radius * (1 - 1e-9):
        assert np.linalg.norm(A @ step - b) <= 1e-3 * np.linalg.norm(b)


def test_a_smaller_ball_costs_no_products():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(9, 9))
    objective = quadratic(root @ root.T + np.eye(9), rng.normal(size=9))
    optimizer = NewtonCG(precision="double", warm_up=0)
    run = Run(optimizer, objective, np.zeros(9))
    far = optimizer.descent.within(run, 10.0)
    products = run.n_products
    near = optimizer.descent.within(run, 0.01)
    assert run.n_products == products
    assert near[2] == pytest.approx(0.01)
    fresh = Run(optimizer, objective, np.zeros(9))
    np.testing.assert_allclose(optimizer.descent.within(fresh, 0.01)[0], near[0], rtol=1e-12)
    assert far[1] > near[1] > 0


def test_the_preconditioner_saves_products(classifier, starts):
    x = starts(classifier, 1)[0]
    counts = [
        minimize(
            classifier, x, NewtonCG(preconditioner=p, precision="double", warm_up=0)
        ).n_products
        for p in ("lbfgs", None)
    ]
    assert counts[0] < counts[1]


def test_products_return_to_double_precision_where_single_misleads():
    rng = np.random.default_rng(0)
    scales = np.logspace(0, 4, 30)  # the noise is of the size of the smallest
    A, b = np.diag(scales), scales * rng.normal(size=30)
    noise = rng.normal(size=(30, 30))
    rough = A + 0.05 * (noise @ noise.T)

    class Point:
        def __init__(self, x, matrix):
            self.x, self.matrix = x, matrix
            self.value, self.gradient = 0.5 * x @ A @ x - b @ x, A @ x - b

        def hessian_vector_product(self, v):
            return self.matrix @ v

        def single_precision(self):
            return Point(self.x, rough)

    class Rough:
        def evaluate(self, x):
            return Point(x, A)

    optimizer = NewtonCG(radius=1e3, preconditioner=None, warm_up=0)
    result = minimize(Rough(), np.zeros(30), optimizer, tol=1e-8)
    assert result.converged
    assert result.run.memory.double
    np.testing.assert_allclose(result.x, b / scales, atol=1e-8)


def test_the_region_grows_and_shrinks():
    region = TrustRegion()
    assert region.resize(1.0, 1.0, 0.9) == 2.0
    assert region.resize(1.0, 0.5, 0.9) == 1.0  # not at the boundary
    assert region.resize(1.0, 0.5, 0.1) == 0.125
    assert region.resize(1.0, 1.0, -1.0) == 0.25


def test_the_dual_step_is_the_explicit_one(deep_linear, starts):
    objective, _ = deep_linear
    for x in starts(objective, 3):
        steps = []
        for form in ("explicit", "dual"):
            optimizer = LevenbergMarquardt(form=form, acceleration=0.0)
            run = Run(optimizer, objective, x)
            (step,), promised = optimizer.descent.damped(run, 0.7)
            G = objective.evaluate(x).gauss_newton_matrix()
            g = run.gradient
            np.testing.assert_allclose(step, -np.linalg.solve(G + 0.7 * np.eye(len(x)), g))
            assert promised == pytest.approx(-g @ step - 0.5 * step @ G @ step)
            steps.append(step)
        np.testing.assert_allclose(*steps, rtol=1e-8)


def test_the_dual_step_with_a_penalty(classifier, starts):
    x = starts(classifier, 1)[0]
    run = Run(LevenbergMarquardt(form="dual"), classifier, x)
    (step,), _ = run.optimizer.descent.damped(run, 0.4)
    G = classifier.evaluate(x).gauss_newton_matrix()
    np.testing.assert_allclose(step, -np.linalg.solve(G + 0.4 * np.eye(len(x)), run.gradient))


def test_bent_steps_follow_the_second_derivative():
    def residuals(x):  # along the step from (1, 0) the second derivative is exact
        r = np.array([x[0] + x[1] ** 2, 2 * x[1] - 1 + x[0] * x[1]])
        return r, np.array([[1.0, 2 * x[1]], [x[1], 2.0 + x[0]]])

    def function(x):
        r, J = residuals(x)
        return 0.5 * r @ r, J.T @ r

    x = np.array([0.3, 0.2])
    objective = Objective(function, residuals=residuals)
    run = Run(LevenbergMarquardt(acceleration=100.0), objective, x)
    (step,), _ = run.optimizer.descent.damped(run, 0.1)
    r, J = residuals(x)
    left = J.T @ J + 0.1 * np.eye(2)
    straight = -np.linalg.solve(left, J.T @ r)
    second = np.array([2 * straight[1] ** 2, 2 * straight[0] * straight[1]])
    bend = -np.linalg.solve(left, J.T @ second)
    np.testing.assert_allclose(step, straight + 0.5 * bend, rtol=1e-9)
    strict = Run(LevenbergMarquardt(acceleration=1e-9), objective, x)
    assert strict.optimizer.descent.damped(strict, 0.1)[0] == []


def test_exact_line_search_is_equation_29(banana):
    x = np.array([-1.2, 1.0])
    point = banana.evaluate(x)
    d = -point.gradient / np.linalg.norm(point.gradient)
    alpha = -(d @ point.gradient) / (d @ point.hessian_vector_product(d))
    search = Recombined(SteepestDescent(), ExactLineSearch())
    result = minimize(banana, x, search, max_iter=1)
    np.testing.assert_allclose(result.x, x + alpha * d)
    assert result.n_products == 1


def test_damping_grows_after_failures(banana):
    optimizer = LevenbergMarquardt(damping=1e-12, acceleration=0.0)
    run = minimize(banana, [-1.2, 1.0], optimizer, max_iter=1).run
    assert run.value < banana.evaluate([-1.2, 1.0]).value
    none = minimize(banana, [-1.2, 1.0], LevenbergMarquardt(damping=0.0, acceleration=0.0))
    np.testing.assert_allclose(none.x, 1.0, atol=1e-7)
    assert none.run.memory.damping > 0.0  # once at zero it could not grow again
    with pytest.raises(ValueError, match="schedule='fast'"):
        Damping(schedule="fast")


def test_switching_gives_way_where_errors_stay(deep_linear, starts):
    objective, best = deep_linear
    result = minimize(objective, starts(objective, 1)[0], Switching(after=5), tol=1e-9)
    assert result.run.memory.switched
    assert result.value == pytest.approx(best, rel=1e-10)
    x = np.linspace(-1, 1, 30)[:, None]
    smooth = objective.network.__class__([1, 4, 1], "tanh").objective(x, np.sin(x))
    result = minimize(smooth, starts(smooth, 1)[0], Switching(after=5), max_iter=50)
    assert not result.run.memory.switched


def test_the_rate_finds_the_largest_eigenvalue(classifier, starts):
    x = starts(classifier, 1)[0]
    largest = np.abs(np.linalg.eigvalsh(classifier.evaluate(x).hessian())).max()
    rate = EigenvalueRate(len(x), np.random.default_rng(0))
    product = classifier.evaluate(x).hessian_vector_product
    for _ in range(200):
        rate.update(product, exact=True)
    assert 1.0 / rate.rate == pytest.approx(largest, rel=1e-3)
    stream = Stream(x, seed=0)
    stream.warm_up(classifier, batch_size=16)  # thirty batches, a fraction of the data each
    assert 1.0 / stream.tracker.rate == pytest.approx(largest, rel=0.6)


def test_a_stream_learns(classifier, starts):
    x = starts(classifier, 1)[0]
    stream = Stream(x, seed=0)
    values = [stream.learn(classifier, batch_size=20) for _ in range(60)]
    assert values[-1] < 0.85 * values[0]
    single = Stream(x, seed=0)
    for _ in range(5):
        value = single.learn(classifier, batch_size=1)
    assert value < 1.25 * values[0]  # one row at a time is no reason to run away
