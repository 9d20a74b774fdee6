"""Gains of all methods against published runs, the Riccati equation, and each other."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.gains import (
    SteadyObjective,
    filter_problem,
    finite_horizon_gain,
    finite_horizon_regulator,
    moving_horizon_gain,
    one_step_gain,
    one_step_regulator,
    regulator_problem,
    steady_gain,
    steady_regulator,
    time_varying_filter,
    time_varying_regulator,
)
from lmmfit.gains.moving_horizon import filter_moving_horizon
from lmmfit.riccati import dlqr, steady_filter

GOLDEN = Path(__file__).parents[1] / "reference" / "gains"
NETWORKS = ("viegas2018_W30", "tanks_N4", "tanks_N10")


@cache
def golden(name):
    content = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return {k: np.array(v) if isinstance(v, list) else v for k, v in content.items()}


def system(name, keys="ACQRE"):
    return [golden(name)[key] for key in keys]


def random_system(seed, n=6, o=4, radius=1.1):
    """A system, and a pattern that can see all of it: each row has its own outputs and more."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    A *= radius / np.abs(np.linalg.eigvals(A)).max()
    C = rng.standard_normal((o, n))
    root, noise = rng.standard_normal((n, n)), rng.standard_normal((o, o))
    pattern = rng.random((n, o)) < 0.7
    return A, C, root @ root.T, noise @ noise.T + np.eye(o), pattern


def double_sum(system, W, tol, max_iter):
    """The finite-horizon method as published: L from the products of all pairs of steps."""
    A, C, Q, R, E = system
    n, one = len(A), np.eye(len(A))
    i, j = np.nonzero(E.T)[::-1]

    def solve(L, S, G):
        X = np.zeros(E.shape)
        M = L[np.ix_(i, i)] * S[np.ix_(j, j)].T
        X[i, j] = np.linalg.solve(M, (L @ G)[i, j])
        return X

    def step(P, K):
        left = one - K @ C
        return left @ (A @ P @ A.T + Q) @ left.T + K @ R @ K.T

    def innovation(P):
        M = A @ P @ A.T + Q
        return C @ M @ C.T + R, M @ C.T

    K, P = [], [np.zeros((n, n))]
    for _ in range(W):
        K.append(solve(one, *innovation(P[-1])))
        P.append(step(P[-1], K[-1]))
    last = 0.0
    for _ in range(max_iter):
        for k in reversed(range(W)):
            L = one.copy()
            for m in range(k + 1, W):
                G = one
                for s in range(k + 1, m + 1):
                    G = (one - K[s] @ C) @ A @ G
                L += G.T @ G
            K[k] = solve(L, *innovation(P[k]))
        for k in range(W):
            P[k + 1] = step(P[k], K[k])
        traces = np.trace(P[1:], axis1=1, axis2=2)
        at = int(np.argmin(np.abs(np.diff(traces)) / traces[:-1])) + 1
        if last and abs(traces[at] - last) < tol * last:
            break
        last = traces[at]
    return K[at], traces[at]


class TestPublished:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_one_step(self, name):
        case = golden(name)
        found = one_step_gain(*system(name))
        np.testing.assert_allclose(found.K, case["K_one_step"], atol=1e-12)
        np.testing.assert_allclose(found.P_last, case["P_one_step"], atol=1e-12 * found.trace)
        assert found.trace_history[-1] == pytest.approx(case["trace_one_step"], rel=1e-13)
        tight = one_step_gain(*system(name), tol=case["epsl_one_step_tight"])
        np.testing.assert_allclose(tight.K, case["K_one_step_tight"], atol=1e-12)
        assert tight.trace == pytest.approx(case["trace_one_step_tight"], rel=1e-10)

    @pytest.mark.parametrize("name", NETWORKS)
    def test_finite_horizon(self, name):
        case = golden(name)
        found = finite_horizon_gain(*system(name), window=case["W"], max_iter=case["maxOLIt"])
        np.testing.assert_allclose(found.K, case["K_finite_horizon"], atol=1e-11)
        np.testing.assert_allclose(found.P_last, case["P_finite_horizon"], atol=1e-10)
        assert found.trace_history[-1] == pytest.approx(case["trace_finite_horizon"], rel=1e-12)

    @pytest.mark.parametrize("name", NETWORKS)
    def test_centralised(self, name):
        # Their recursion stops at a relative change of 1e-5.
        found = steady_gain(*system(name))
        expected = golden(name)["trace_centralized"]
        assert found.centralized_trace == pytest.approx(expected, rel=1e-4)
        assert found.centralized_trace >= expected
        assert found.gap == found.trace / found.centralized_trace

    def test_printed_digits(self):
        printed, case = golden("published")["viegas2018"], system("viegas2018_W30")
        greedy, window = one_step_gain(*case), finite_horizon_gain(*case, window=30)
        assert round(greedy.trace_history[-1], 4) == printed["one_step"]
        assert round(window.trace_history[-1], 4) == printed["finite_horizon_W30"]
        assert greedy.n_iter == printed["one_step_iterations"]
        assert window.n_iter == printed["finite_horizon_outer_iterations"]
        np.testing.assert_array_equal(greedy.K.round(4), printed["K_one_step"])
        np.testing.assert_array_equal(window.K.round(4), printed["K_finite_horizon"])
        moving = moving_horizon_gain(*case, window=5)
        assert round(moving.trace_history[-1], 4) == printed["mfh_W5"]

    def test_moving_horizon(self):
        case = golden("viegas2018_mfh_W5")
        found = moving_horizon_gain(
            *system("viegas2018_mfh_W5"), window=case["W"], tol=case["epsl_inf"]
        )
        np.testing.assert_allclose(found.K, case["K_sequence"], atol=1e-9)
        np.testing.assert_allclose(found.P, case["P_sequence"][1:], rtol=1e-9, atol=1e-7)
        assert found.trace_history[-1] == pytest.approx(case["trace"], rel=1e-11)

    def test_time_varying(self):
        case = golden("viegas2018_ltv_T12")
        for method, suffix in (("finite-horizon", "fh"), ("one-step", "one_step")):
            found = time_varying_filter(
                *system("viegas2018_ltv_T12"), initial_cov=case["P_pred_1_0"], method=method,
                tol=case["epsl"],
            )  # fmt: skip
            np.testing.assert_allclose(found.K, case[f"K_{suffix}"], atol=1e-11)
            np.testing.assert_allclose(found.P, case[f"P_{suffix}"], atol=1e-10)
            assert found.converged

    def test_regulator(self):
        case = golden("lqr_tutorial")
        matrices = system("lqr_tutorial", "ABQRE")
        found = one_step_regulator(*matrices)
        np.testing.assert_allclose(found.K, case["K_one_step"], atol=1e-11)
        np.testing.assert_allclose(found.P_last, case["P_one_step"], atol=1e-11)
        assert found.n_iter == golden("published")["lqr_tutorial"]["one_step_iterations"]
        tight = one_step_regulator(*matrices, tol=1e-12)
        np.testing.assert_allclose(tight.K, case["K_one_step_tight"], atol=1e-11)
        assert found.centralized_trace == pytest.approx(case["trace_centralized"], abs=1e-4)

    def test_regulator_beats_the_published_window(self):
        matrices, case = system("lqr_tutorial", "ABQRE"), golden("lqr_tutorial")
        found = steady_regulator(*matrices)
        assert found.trace == pytest.approx(21.760672, abs=5e-7)
        assert found.trace < case["trace_finite_horizon"] - 0.3
        expected = [[1.09522, 1.52901, -0.08025, 0, 0.80803], [0, 0, 0.59599, 0, 0],
                    [0, 0, 0.45858, 1.32534, 0.20086]]  # fmt: skip
        np.testing.assert_allclose(found.K, expected, atol=6e-6)
        window = finite_horizon_regulator(*matrices, window=40)
        assert window.trace == pytest.approx(found.trace, rel=1e-6)
        problem = regulator_problem(*matrices)
        theirs = problem.pattern.gather(case["K_finite_horizon"].T)
        assert np.linalg.norm(SteadyObjective(problem).evaluate(theirs).gradient) > 1.0


class TestSteady:
    def test_independent_optimum(self):
        expected = golden("ours_steady_viegas2018_W30")
        found = steady_gain(*system("viegas2018_W30"))
        assert found.trace == pytest.approx(20.44289207, abs=5e-9)
        assert found.trace == pytest.approx(expected["trace"], rel=1e-13)
        np.testing.assert_allclose(found.K, expected["K"], atol=3e-9)
        assert found.converged
        assert found.gradient_norm < 1e-6
        assert (np.diff(found.trace_history) <= 1e-12).all()

    def test_all_starts_end_alike(self):
        case = system("viegas2018_W30")
        one = steady_gain(*case)
        many = steady_gain(*case, n_init=4, random_state=0)
        np.testing.assert_allclose(many.K, one.K, atol=1e-7)
        assert many.trace <= one.trace

    def test_warm_start(self):
        case = system("viegas2018_W30")
        cold = steady_gain(*case)
        warm = steady_gain(*case, start=cold.K + 1e-4 * (case[-1] != 0))
        assert warm.n_iter < cold.n_iter
        np.testing.assert_allclose(warm.K, cold.K, atol=1e-7)

    @pytest.mark.parametrize("seed", range(5))
    def test_no_other_method_is_better(self, seed):
        case = random_system(seed)
        best = steady_gain(*case)
        assert best.converged
        greedy = one_step_gain(*case, tol=1e-9)
        assert best.trace <= greedy.trace * (1 + 1e-12)
        window = finite_horizon_gain(*case, window=60, tol=1e-4)
        assert best.trace <= window.trace * (1 + 1e-12)
        assert window.trace == pytest.approx(best.trace, rel=2e-3)
        assert best.centralized_trace <= best.trace
        moving = moving_horizon_gain(*case, window=4)
        assert best.centralized_trace * (1 - 1e-9) <= moving.trace

    @pytest.mark.parametrize("seed", range(3))
    def test_full_pattern_is_the_riccati_equation(self, seed):
        A, C, Q, R, _ = random_system(seed)
        found = steady_gain(A, C, Q, R, "full")
        exact = steady_filter(A, C, Q, R)
        np.testing.assert_allclose(found.K, exact.K, atol=1e-6)
        np.testing.assert_allclose(found.P, exact.P_filtered, rtol=1e-9, atol=1e-9)
        assert found.gap == pytest.approx(1.0, abs=1e-10)

    @pytest.mark.parametrize("crossed", [False, True])
    def test_full_regulator_is_the_riccati_equation(self, crossed):
        A, C, Q, R, _ = random_system(7)
        B, S = C.T, 0.1 * np.linalg.cholesky(Q)[:, :4] @ np.linalg.cholesky(R).T
        S = S if crossed else None
        found = steady_regulator(A, B, Q, R, "full", S=S)
        exact = dlqr(A, B, Q, R, S=S)
        np.testing.assert_allclose(found.K, exact.K, atol=1e-6)
        np.testing.assert_allclose(found.P, exact.X, rtol=1e-9, atol=1e-8)
        assert found.centralized_trace == pytest.approx(np.trace(exact.X), rel=1e-9)

    def test_unstable_greedy_gain_is_no_obstacle(self):
        # Two states, each corrected by the other's output alone: greedy steps do not settle.
        A = np.array([[1.05, 0.5], [-0.5, 1.05]])
        pattern = np.array([[0, 1], [1, 0]])
        found = steady_gain(A, np.eye(2), np.eye(2), np.eye(2), pattern)
        assert found.spectral_radius < 1
        assert found.converged
        assert (found.K[pattern == 0] == 0).all()

    def test_sparse_path_is_the_dense_one(self):
        rng = np.random.default_rng(3)
        n = 160
        A = np.diag(rng.uniform(0.5, 1.02, n)) + np.diag(0.2 * rng.standard_normal(n - 1), 1)
        C, Q, R = np.eye(n)[::2], np.diag(rng.uniform(0.5, 1, n)), np.eye(n // 2)
        pattern = np.kron(np.eye(n // 2), [[1], [1]]) + np.eye(n, n // 2)
        for call in (one_step_gain, steady_gain):
            sparse = call(A, C, Q, R, pattern)
            dense = call(A + 1e-300, C, Q, R, pattern)  # nothing is zero any more
            assert type(sparse.problem.A) is not type(dense.problem.A)
            assert sparse.trace == pytest.approx(dense.trace, rel=1e-10)
            np.testing.assert_allclose(sparse.K, dense.K, atol=1e-7)
        window = [finite_horizon_gain(M, C, Q, R, pattern, window=20, tol=0.3, max_iter=10)
                  for M in (A, A + 1e-300)]  # fmt: skip
        np.testing.assert_allclose(window[0].K, window[1].K, atol=1e-9)


class TestObjective:
    @pytest.mark.parametrize("kind", ["filter", "regulator", "crossed"])
    def test_gradient_by_differences(self, kind):
        A, C, Q, R, pattern = random_system(11, radius=0.8)
        if kind == "filter":
            problem = filter_problem(A, C, Q, R, pattern)
        else:
            S = 0.1 * np.linalg.cholesky(Q)[:, :4] @ np.linalg.cholesky(R).T
            S = S if kind == "crossed" else None
            problem = regulator_problem(A, C.T, Q, R, pattern.T, S=S)
        objective = SteadyObjective(problem)
        values = 0.05 * np.random.default_rng(0).standard_normal(problem.pattern.size)
        gradient, h = objective.evaluate(values).gradient, 1e-6
        for k, step in enumerate(h * np.eye(len(values))):
            ahead, behind = objective.evaluate(values + step), objective.evaluate(values - step)
            slope = (ahead.trace - behind.trace) / (2 * h)
            assert gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)

    def test_covariance_is_that_of_the_equation(self):
        A, C, Q, R, pattern = random_system(5, radius=0.8)
        problem = filter_problem(A, C, Q, R, pattern)
        found = steady_gain(A, C, Q, R, pattern)
        left = np.eye(6) - found.K @ C
        F = left @ A
        again = F @ found.P @ F.T + left @ Q @ left.T + found.K @ R @ found.K.T
        np.testing.assert_allclose(found.P, again, atol=1e-11 * found.trace)
        radius = np.abs(np.linalg.eigvals(F)).max()
        assert found.spectral_radius == pytest.approx(radius, rel=1e-10)
        moved = problem.correct(
            problem.predict(found.P), problem.gain(problem.pattern.gather(found.K))
        )
        np.testing.assert_allclose(moved, found.P, atol=1e-11 * found.trace)

    def test_simulated_errors_have_the_covariance(self):
        A, C, Q, R, pattern = random_system(2, n=4, o=3)
        found = steady_gain(A, C, Q, R, pattern)
        rng, T = np.random.default_rng(0), 40_000
        w = rng.standard_normal((T, 4)) @ np.linalg.cholesky(Q).T
        v = rng.standard_normal((T, 3)) @ np.linalg.cholesky(R).T
        left, errors = np.eye(4) - found.K @ C, np.zeros((T, 4))
        for t in range(1, T):
            errors[t] = left @ (A @ errors[t - 1] + w[t]) - found.K @ v[t]
        seen = np.cov(errors[500:].T, bias=True)
        np.testing.assert_allclose(seen, found.P, atol=0.06 * found.trace)
        assert np.trace(seen) == pytest.approx(found.trace, rel=0.05)


class TestFiniteHorizon:
    def test_double_sum(self):
        case = system("viegas2018_W30")
        K, trace = double_sum(case, 20, 1e-3, 10)
        found = finite_horizon_gain(*case, window=20, tol=1e-3, max_iter=10)
        np.testing.assert_allclose(found.K, K, atol=1e-11)
        assert found.trace_history[-1] == pytest.approx(trace, rel=1e-12)

    def test_window_of_its_own_choice(self):
        found = finite_horizon_gain(*system("viegas2018_W30"))
        assert found.trace == pytest.approx(20.44289207, rel=1e-5)

    def test_window_that_does_not_fit_into_memory(self, monkeypatch):
        case = system("viegas2018_W30")
        whole = finite_horizon_gain(*case, window=37)
        monkeypatch.setattr("lmmfit.gains.window._MEMORY", 5 * 25)
        again = finite_horizon_gain(*case, window=37)
        np.testing.assert_allclose(again.K, whole.K, atol=1e-13)
        assert again.trace_history == pytest.approx(whole.trace_history, rel=1e-13)

    def test_start(self):
        case = system("viegas2018_W30")
        P = one_step_gain(*case).P_last
        found = finite_horizon_gain(*case, window=30, initial_cov=P)
        assert found.trace == pytest.approx(20.44289207, rel=1e-5)


class TestMovingHorizon:
    def test_exact_trace(self):
        A, C, Q, R, E = system("viegas2018_W30")
        found = moving_horizon_gain(A, C, Q, R, E, window=3, tol=1e-6)
        P = np.zeros((5, 5))
        for _ in range(200):
            for K in found.K:
                left = np.eye(5) - K @ C
                P = left @ (A @ P @ A.T + Q) @ left.T + K @ R @ K.T
        assert found.trace == pytest.approx(np.trace(P), rel=1e-10)
        assert found.spectral_radius < 1

    def test_window_of_one_is_one_step(self):
        case = system("viegas2018_W30")
        moving = moving_horizon_gain(*case, window=1, tol=1e-10)
        greedy = one_step_gain(*case, tol=1e-12)
        np.testing.assert_allclose(moving.K[0], greedy.K, atol=1e-8)

    def test_filter(self):
        A, C, Q, R, E = system("viegas2018_W30")
        K = moving_horizon_gain(A, C, Q, R, E, window=3).K
        Y = np.random.default_rng(0).standard_normal((12, 4))
        Y[5, 2] = np.nan
        states, outputs = filter_moving_horizon(A, C, K, Y, initial_state=np.ones(5))
        for t in range(3, 12):
            x = states[t - 3]
            for gain, y in zip(K, Y[t - 2 : t + 1], strict=True):
                x = A @ x
                x = x + gain @ np.where(np.isnan(y), 0.0, y - C @ x)
            np.testing.assert_allclose(states[t], x, atol=1e-12)
            np.testing.assert_allclose(outputs[t], C @ A @ states[t - 1], atol=1e-12)

    def test_errors_have_the_trace(self):
        A, C, Q, R, pattern = random_system(4, n=4, o=3, radius=0.9)
        found = moving_horizon_gain(A, C, Q, R, pattern, window=3, tol=1e-6)
        rng, T = np.random.default_rng(0), 12_000
        w = rng.standard_normal((T, 4)) @ np.linalg.cholesky(Q).T
        X = np.zeros((T, 4))
        for t in range(1, T):
            X[t] = A @ X[t - 1] + w[t]
        Y = X @ C.T + rng.standard_normal((T, 3)) @ np.linalg.cholesky(R).T
        errors = filter_moving_horizon(A, C, found.K, Y)[0] - X
        mean_square = np.square(errors[100:]).sum(axis=1).mean()
        assert mean_square == pytest.approx(found.trace, rel=0.05)


class TestTimeVarying:
    def test_constant_matrices(self):
        A, C, Q, R, E = system("viegas2018_W30")
        P = A @ np.zeros((5, 5)) @ A.T + Q
        found = time_varying_filter(np.stack([A] * 30), C, Q, R, E, initial_cov=P, tol=1e-9)
        window = finite_horizon_gain(A, C, Q, R, E, window=30, tol=1e-6)
        assert found.traces.min() > 0
        assert found.traces[15] == pytest.approx(window.trace, rel=1e-3)

    def test_causal_minimises_the_end(self):
        case = golden("viegas2018_ltv_T12")
        matrices = system("viegas2018_ltv_T12")
        plain, causal = (
            time_varying_filter(*matrices, initial_cov=case["P_pred_1_0"], method=method)
            for method in ("finite-horizon", "causal")
        )
        assert causal.traces[-1] < plain.traces[-1]
        assert causal.traces.sum() > plain.traces.sum()
        even = time_varying_filter(
            *matrices, initial_cov=case["P_pred_1_0"], method="causal", forgetting=1.0
        )
        np.testing.assert_allclose(even.K, plain.K, atol=1e-12)

    def test_full_pattern_is_the_kalman_filter(self):
        rng = np.random.default_rng(0)
        A, C = rng.standard_normal((6, 3, 3)), rng.standard_normal((6, 2, 3))
        Q, R, P = np.eye(3), np.eye(2), 4.0 * np.eye(3)
        found = time_varying_filter(A, C, Q, R, "full", initial_cov=P)
        for t in range(6):
            K = P @ C[t].T @ np.linalg.inv(C[t] @ P @ C[t].T + R)
            np.testing.assert_allclose(found.K[t], K, atol=1e-10)
            P = A[t] @ (P - K @ C[t] @ P) @ A[t].T + Q

    def test_full_pattern_is_the_regulator(self):
        rng = np.random.default_rng(1)
        A, B = rng.standard_normal((5, 3, 3)), rng.standard_normal((5, 3, 2))
        Q, R = np.stack([(t + 1) * np.eye(3) for t in range(6)]), np.eye(2)
        found = time_varying_regulator(A, B, Q, R, "full")
        P = Q[5]
        for t in reversed(range(5)):
            K = np.linalg.solve(R + B[t].T @ P @ B[t], B[t].T @ P @ A[t])
            np.testing.assert_allclose(found.K[t], K, atol=1e-10)
            P = Q[t] + A[t].T @ P @ (A[t] - B[t] @ K)
            np.testing.assert_allclose(found.P[t], P, rtol=1e-9)

    def test_cost_of_a_run(self):
        rng = np.random.default_rng(2)
        A, B = 0.5 * rng.standard_normal((4, 3, 3)), rng.standard_normal((4, 3, 2))
        pattern = [[1, 0, 1], [0, 1, 0]]
        found = time_varying_regulator(A, B, np.eye(3), np.eye(2), pattern)
        x = start = rng.standard_normal(3)
        cost = 0.0
        for t in range(4):
            u = -found.K[t] @ x
            cost += x @ x + u @ u
            x = A[t] @ x + B[t] @ u
        assert cost + x @ x == pytest.approx(start @ found.P[0] @ start, rel=1e-10)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), o=st.integers(1, 4))
def test_exact_trace_of_any_greedy_gain(seed, n, o):
    A, C, Q, R, pattern = random_system(seed, n, o, radius=0.9)
    found = one_step_gain(A, C, Q, R, pattern, tol=1e-8)
    assert (found.K[~pattern] == 0).all()
    P = np.zeros((n, n))
    for _ in range(2000):
        left = np.eye(n) - found.K @ C
        P = left @ (A @ P @ A.T + Q) @ left.T + found.K @ R @ found.K.T
    assert found.trace == pytest.approx(np.trace(P), rel=1e-8)
    assert found.K_sparse.nnz == pattern.sum()
    np.testing.assert_array_equal(found.K_sparse.toarray(), found.K)
