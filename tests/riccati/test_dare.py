"""The discrete equation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_are

from lmmfit.riccati import (
    NotDetectableError,
    NotStabilizableError,
    closed_loop_radius,
    dlqr,
    solve_dare,
)

METHODS = ["doubling", "iteration", "schur"]


def system(n=8, m=2, p=3, seed=0, radius=1.1):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    return A * radius / closed_loop_radius(A), rng.normal(size=(n, m)), rng.normal(size=(p, n))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("radius", [0.5, 1.2])
def test_methods_agree_with_scipy(method, radius):
    A, B, C = system(radius=radius)
    X = solve_discrete_are(A, B, C.T @ C, np.eye(2))
    solution = solve_dare(A, B, C, method=method)
    assert solution.converged
    assert np.linalg.norm(solution.X - X) < 1e-10 * np.linalg.norm(X)
    assert np.array_equal(solution.X, solution.X.T)
    K = np.linalg.solve(np.eye(2) + B.T @ X @ B, B.T @ X @ A)
    assert solution.K == pytest.approx(K, rel=1e-8)
    assert solution.rightmost == pytest.approx(closed_loop_radius(A - B @ K), rel=1e-6)
    assert solution.rightmost < 1


@pytest.mark.parametrize("method", METHODS)
def test_weights_cross_terms_and_descriptors(method):
    A, B, C = system()
    rng = np.random.default_rng(2)
    Q, R = (np.cov(rng.normal(size=(k, 20))) for k in (3, 2))
    S = 0.1 * C.T @ Q @ rng.normal(size=(3, 2)) @ R
    E = np.eye(8) + 0.1 * rng.normal(size=(8, 8))
    for options in ({"Q": Q, "R": R}, {"S": S, "Q": Q, "R": R}, {"E": E}, {"E": E, "S": 0.1 * S}):
        q, r = options.get("Q", np.eye(3)), options.get("R", np.eye(2))
        e, s = options.get("E", np.eye(8)), options.get("S", np.zeros((8, 2)))
        solution = solve_dare(A, B, C, method=method, **options)
        X = solution.X
        cross, middle = A.T @ X @ B + s, r + B.T @ X @ B
        terms = A.T @ X @ A, e.T @ X @ e, cross @ np.linalg.solve(middle, cross.T), C.T @ q @ C
        gap = terms[0] - terms[1] - terms[2] + terms[3]
        assert np.linalg.norm(gap) < 1e-10 * sum(np.linalg.norm(t) for t in terms)
        assert solution.K == pytest.approx(np.linalg.solve(middle, cross.T), rel=1e-7)


def test_level_of_the_nile():
    solution = solve_dare([[1.0]], [[1.0]], [[1.0]], Q=[[1469.1]], R=[[15099.0]])
    assert solution.X[0, 0] == pytest.approx(5501.257941808, rel=1e-12)
    assert solution.K[0, 0] == pytest.approx(0.2670480126, rel=1e-9)
    assert solution.n_iter <= 8


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 3), st.integers(1, 3))
def test_whatever_is_returned_is_certified(seed, n, m, p):
    rng = np.random.default_rng(seed)
    A, B, C = rng.normal(size=(n, n)), rng.normal(size=(n, m)), rng.normal(size=(p, n))
    solution = solve_dare(A, B, C, tol=1e-8)
    assert closed_loop_radius(A - B @ solution.K) < 1
    assert np.linalg.eigvalsh(solution.X)[0] > -1e-8 * np.linalg.norm(solution.X)


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_stabilizing_solution(method):
    A, B, C = system(radius=0.9)
    bigger = np.zeros((9, 9))
    bigger[:8, :8], bigger[8, 8] = A, -1.3
    with pytest.raises(NotStabilizableError, match=r"the mode -1\.3 of A"):
        solve_dare(bigger, np.r_[B, np.zeros((1, 2))], np.c_[C, np.ones(3)], method=method)
    with pytest.raises(NotDetectableError, match=r"the mode -1\.3 of A"):
        solve_dare(bigger, np.r_[B, np.ones((1, 2))], np.c_[C, np.zeros(3)], method=method)
    for options, match in (
        ({"Q": -np.eye(3)}, "Q must be positive semidefinite"),
        ({"R": np.zeros((2, 2))}, "R must be positive definite"),
        ({"R": np.array([[1, 0.5], [0, 1]])}, "R must be symmetric"),
        ({"S": 100 * np.ones((8, 2))}, "must be positive semidefinite"),
        ({"tol": 2.0}, "tol must be between"),
    ):
        with pytest.raises(ValueError, match=match):
            solve_dare(A, B, C, method=method, **options)
    with pytest.raises(ValueError, match="method='magic'"):
        solve_dare(A, B, C, method="magic")


def test_too_few_steps_are_told():
    A, B, C = system(radius=0.5)
    with pytest.warns(RuntimeWarning, match="the residual is .* after 3 steps"):
        assert not solve_dare(A, B, C, max_iter=3, tol=1e-15, method="iteration").converged


def test_regulator_minimises_the_sum():
    A, B, _ = system(radius=1.1)
    rng = np.random.default_rng(3)
    Q, R = (np.cov(rng.normal(size=(k, 30))) for k in (8, 2))
    solution = dlqr(A, B, Q, R)

    def cost(K, x):
        total = 0.0
        for _ in range(3000):
            u = -K @ x
            total, x = total + x @ Q @ x + u @ R @ u, A @ x + B @ u
        return total

    x = rng.normal(size=8)
    best = cost(solution.K, x)
    assert best == pytest.approx(x @ solution.X @ x, rel=1e-9)
    for seed in range(5):
        other = solution.K + 1e-3 * np.random.default_rng(seed).normal(size=solution.K.shape)
        assert cost(other, x) > best
