"""Stein's equation, products, components, and the search from the bottom up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import block_diag, solve_discrete_lyapunov
from scipy.sparse import csr_array, issparse

from lmmfit.gains import (
    UnstableGainError,
    as_pattern,
    filter_problem,
    finite_horizon_gain,
    one_step_gain,
    solve_stein,
    spectral_radius,
    steady_gain,
)
from lmmfit.gains.components import Parts, components
from lmmfit.gains.loops import DenseLoops, SparseLoops
from lmmfit.gains.minimise import minimise
from lmmfit.gains.products import congruence, less_identity, multiply, product_on
from lmmfit.gains.sparse_rows import PlannedProduct, rows_of
from lmmfit.gains.steady_objective import SteadyObjective
from lmmfit.gains.steps import LastTrace, SumOfTraces


def stable(seed, n, radius=0.95):
    F = np.random.default_rng(seed).standard_normal((n, n))
    return F * (radius / np.abs(np.linalg.eigvals(F)).max())


class TestStein:
    @pytest.mark.parametrize("n", [1, 5, 60])
    def test_scipy(self, n):
        F, W = stable(n, n), np.cov(np.random.default_rng(0).standard_normal((n, 2 * n)))
        W = np.atleast_2d(W)
        P, doublings = solve_stein(F, W)
        np.testing.assert_allclose(P, solve_discrete_lyapunov(F, W), rtol=1e-9, atol=1e-10)
        assert 5 <= doublings <= 15

    @given(seed=st.integers(0, 10_000), n=st.integers(1, 8), radius=st.floats(0.0, 0.999))
    def test_residual(self, seed, n, radius):
        F = stable(seed, n, radius)
        P, _ = solve_stein(F, np.eye(n))
        np.testing.assert_allclose(P, F @ P @ F.T + np.eye(n), rtol=0, atol=1e-10 * P.max())
        assert np.linalg.eigvalsh(P).min() > 1 - 1e-8

    def test_sparse(self):
        rng = np.random.default_rng(1)
        F = np.diag(rng.uniform(-0.9, 0.9, 300)) + np.diag(0.3 * np.ones(299), 1)
        dense, _ = solve_stein(F, np.eye(300))
        sparse, _ = solve_stein(csr_array(F), np.eye(300))
        np.testing.assert_allclose(sparse, dense, rtol=1e-10, atol=1e-10)

    def test_not_normal(self):
        # The powers of F grow by ten orders of magnitude before they decay.
        F = np.diag(np.full(8, 0.5)) + np.diag(np.full(7, 40.0), 1)
        P, _ = solve_stein(F, np.eye(8))
        np.testing.assert_allclose(P, F @ P @ F.T + np.eye(8), rtol=1e-8)

    @pytest.mark.parametrize(
        "F", [[[1.0]], [[1.5]], [[0.0, 1.0], [-1.0, 0.0]], [[0.5, 1e6], [0.0, -1.0001]]]
    )
    def test_unstable(self, F):
        radius = np.abs(np.linalg.eigvals(F)).max()
        with pytest.raises(UnstableGainError, match="spectral radius is") as caught:
            solve_stein(F, np.eye(len(F)))
        assert caught.value.spectral_radius == pytest.approx(radius)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"F\[0, 1\] is nan"):
            solve_stein([[0.5, np.nan], [0.0, 0.5]], np.eye(2))
        with pytest.raises(ValueError, match=r"W must be symmetric: W\[0, 1\] is 1"):
            solve_stein(0.5 * np.eye(2), [[1.0, 1.0], [0.0, 1.0]])


class TestProducts:
    @given(seed=st.integers(0, 10_000), n=st.integers(1, 12), k=st.integers(1, 12))
    def test_congruence(self, seed, n, k):
        rng = np.random.default_rng(seed)
        F = rng.standard_normal((k, n)) * (rng.random((k, n)) < 0.4)
        P = rng.standard_normal((n, n))
        P = P + P.T
        expected = F @ P @ F.T
        np.testing.assert_allclose(congruence(csr_array(F), P), expected, atol=1e-12)
        np.testing.assert_allclose(congruence(F, P), expected, atol=1e-12)

    @pytest.mark.parametrize("form", [np.ascontiguousarray, np.asfortranarray])
    def test_identity_less_a_matrix(self, form):
        M = np.arange(9.0).reshape(3, 3)
        np.testing.assert_array_equal(less_identity(form(M)), np.eye(3) - M)
        np.testing.assert_array_equal(M, np.arange(9.0).reshape(3, 3))

    @pytest.mark.parametrize("k", [400, 403])
    def test_blocks(self, k):
        rng = np.random.default_rng(k)
        F, P = rng.standard_normal((k, 50)), np.eye(50) + 0.1
        found = congruence(F, P)
        np.testing.assert_allclose(found, F @ P @ F.T, atol=1e-10)
        np.testing.assert_allclose(found, found.T, atol=1e-10)

    @pytest.mark.parametrize("share", [0.01, 0.9])
    def test_product_on_a_pattern(self, share):
        rng = np.random.default_rng(0)
        L, M = rng.standard_normal((30, 20)), rng.standard_normal((20, 25))
        pattern = as_pattern(rng.random((30, 25)) < share)
        np.testing.assert_allclose(product_on(pattern, L, M), pattern.gather(L @ M), atol=1e-12)

    def test_radius(self):
        assert spectral_radius(np.zeros((0, 0))) == 0.0
        assert spectral_radius([[3.0]]) == 3.0
        rng = np.random.default_rng(0)
        parts = [rng.standard_normal((k, k)) for k in (1, 4, 1, 7)]
        F = block_diag(*parts) + np.triu(rng.standard_normal((13, 13)), 7) * 0
        order = rng.permutation(13)
        expected = max(np.abs(np.linalg.eigvals(M)).max() for M in parts)
        assert spectral_radius(F[order][:, order]) == pytest.approx(expected)

    def test_radius_of_a_large_matrix(self):
        F = stable(0, 450, 0.97)
        assert spectral_radius(csr_array(F)) == pytest.approx(0.97, rel=1e-8)
        ring = csr_array(np.roll(np.eye(450), 1, axis=1))  # all eigenvalues of the same size
        assert spectral_radius(ring) == pytest.approx(1.0, rel=1e-8)


class TestSparseRows:
    @given(seed=st.integers(0, 10_000), m=st.integers(1, 8), k=st.integers(1, 8))
    def test_planned_product(self, seed, m, k):
        rng = np.random.default_rng(seed)
        X, Y, base = (
            rng.standard_normal(shape) * (rng.random(shape) < 0.4)
            for shape in ((m, k), (k, 5), (m, 5))
        )
        rows = rows_of(csr_array(X))
        plan = PlannedProduct(rows, csr_array(Y), csr_array(base))
        np.testing.assert_allclose(plan(rows.data).csr().toarray(), base + X @ Y, atol=1e-13)
        other = rng.standard_normal(len(rows.data))
        M = rows.with_data(other).csr().toarray()
        found = plan(other)
        np.testing.assert_allclose(found.csr().toarray(), base + M @ Y, atol=1e-13)
        np.testing.assert_allclose(found.T.csr().toarray(), (base + M @ Y).T, atol=1e-13)
        np.testing.assert_array_equal(rows.T.csr().toarray(), X.T)
        alone = PlannedProduct(rows, csr_array(Y))(rows.data)
        np.testing.assert_allclose(alone.csr().toarray(), X @ Y, atol=1e-13)
        dense = rng.standard_normal((k, 3))
        np.testing.assert_allclose(multiply(rows, dense), X @ dense, atol=1e-13)
        np.testing.assert_allclose(rows @ dense, X @ dense, atol=1e-13)
        np.testing.assert_allclose(multiply(X, dense), X @ dense, atol=1e-13)

    @pytest.mark.parametrize("kind", ["filter", "regulator"])
    def test_loops(self, kind):
        rng = np.random.default_rng(4)
        A = rng.standard_normal((9, 9)) * (rng.random((9, 9)) < 0.3)
        C = rng.standard_normal((4, 9)) * (rng.random((4, 9)) < 0.3)
        pattern = as_pattern(rng.random((9, 4)) < 0.5)
        values, inside = rng.standard_normal(pattern.size), kind == "filter"
        dense = DenseLoops(A, C, pattern, inside=inside)
        sparse = SparseLoops(csr_array(A), csr_array(C), pattern, inside=inside)
        K, rows = dense.gain(values), sparse.gain(values)
        np.testing.assert_array_equal(rows.csr().toarray(), K)
        expected = A - K @ C @ A if inside else A - K @ C
        np.testing.assert_allclose(dense.loop(K), expected, atol=1e-12)
        np.testing.assert_allclose(sparse.loop(rows).csr().toarray(), expected, atol=1e-12)
        if inside:
            left = np.eye(9) - K @ C
            np.testing.assert_allclose(dense.left(K), left, atol=1e-13)
            np.testing.assert_allclose(sparse.left(rows).csr().toarray(), left, atol=1e-13)


class TestComponents:
    def network(self):
        """Three parts in disorder: of two states, of one, and of two with a shared output."""
        A = block_diag([[0.9, 0.2], [0.0, 0.8]], [[1.05]], [[0.7, 0.0], [0.1, 0.6]])
        C = block_diag([[1.0, 0.0]], [[2.0]], [[1.0, 1.0]])
        Q = block_diag(np.eye(2), [[2.0]], [[1.0, 0.3], [0.3, 1.0]])
        pattern = (C != 0).T
        pattern[1, 0] = True
        states, outputs = [3, 0, 2, 4, 1], [1, 2, 0]
        A, Q = A[np.ix_(states, states)], Q[np.ix_(states, states)]
        C, pattern = C[np.ix_(outputs, states)], pattern[np.ix_(states, outputs)]
        return A, C, Q, np.eye(3), pattern

    def test_parts_make_the_whole(self):
        matrices = self.network()
        problem = filter_problem(*matrices)
        parts = components(problem)
        assert sorted(len(part.states) for part in parts) == [1, 2, 2]
        assert sorted(np.concatenate([part.states for part in parts])) == list(range(5))
        assert sorted(np.concatenate([part.entries for part in parts])) == list(range(5))
        found = steady_gain(*matrices)
        objective = SteadyObjective(problem)
        start = objective.evaluate(0.3 * problem.pattern.gather(matrices[1].T))
        whole = minimise(objective.evaluate, start, tol=1e-10)
        assert found.trace == pytest.approx(whole.point.trace, rel=1e-12)
        np.testing.assert_allclose(problem.pattern.gather(found.K), whole.point.values, atol=1e-6)

    def test_noise_joins(self):
        A, C, Q, R, pattern = self.network()
        R = R.copy()
        R[0, 1] = R[1, 0] = 0.1
        assert len(components(filter_problem(A, C, Q, R, pattern))) == 2

    def test_pattern_joins_unless_disregarded(self):
        A, C, Q, R, pattern = self.network()
        pattern = np.ones_like(pattern)
        problem = filter_problem(A, C, Q, R, pattern)
        assert len(components(problem)) == 1
        assert len(components(problem, full=True)) == 3
        found = steady_gain(A, C, Q, R, pattern)
        assert found.gap == pytest.approx(1.0, abs=1e-9)

    def test_parts_that_are_alike_are_solved_once(self, monkeypatch):
        monkeypatch.setattr("lmmfit.gains.components._SMALL", 0)
        A, C = [[0.9, 0.2], [0.0, 0.8]], [[1.0, 0.0]]
        other = [[0.5, 0.2], [0.0, 0.8]]
        whole = block_diag(A, other, A, A)
        outputs, pattern = block_diag(C, C, C, C), block_diag(*[[[1], [1]]] * 4)
        order = np.array([0, 2, 1, 4, 3, 6, 5, 7])  # parts that lie between each other
        whole, pattern = whole[np.ix_(order, order)], pattern[order]
        outputs = outputs[:, order]
        one, eye = np.eye(8), np.eye(4)
        problem = filter_problem(whole, outputs, one, eye, pattern)
        assert len(Parts(problem).problems) == 2
        for start in (np.diag(np.arange(8.0)), one + 0.1):
            assert len(Parts(problem, start).problems) == (4 if start[0, 1] == 0 else 1)
        for call in (one_step_gain, finite_horizon_gain, steady_gain):
            found = call(whole, outputs, one, eye, pattern)
            single = [call(M, C, np.eye(2), np.eye(1), "full") for M in (A, other)]
            expected = 3 * single[0].trace + single[1].trace
            assert found.trace == pytest.approx(expected, rel=1e-6)
            assert found.centralized_trace == pytest.approx(
                3 * single[0].centralized_trace + single[1].centralized_trace, rel=1e-12
            )
            np.testing.assert_allclose(found.P_last.trace(), found.trace_history[-1], rtol=1e-9)

    def test_a_start_that_joins_parts(self):
        matrices = self.network()
        start = np.full((5, 5), 0.1) + np.eye(5)
        joined = one_step_gain(*matrices, initial_cov=start, tol=1e-12)
        alone = one_step_gain(*matrices, tol=1e-12)
        np.testing.assert_allclose(joined.K, alone.K, atol=1e-6)
        two = finite_horizon_gain(*matrices, initial_cov=start, window=40)
        np.testing.assert_allclose(two.trace, alone.trace, rtol=1e-2)

    def test_outputs_without_states(self):
        A, C = np.diag([0.5, 0.6]), np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
        problem = filter_problem(A, C, np.eye(2), np.eye(3), C.T)
        parts = components(problem)
        assert [list(part.outputs) for part in parts] == [[0], [2]]
        assert steady_gain(A, C, np.eye(2), np.eye(3), C.T).K[:, 1].tolist() == [0.0, 0.0]


class TestAdjoints:
    def test_sum_and_last(self):
        rng = np.random.default_rng(0)
        loops = rng.standard_normal((4, 3, 3))
        weights = [0.5, 2.0, 1.0, 3.0, 0.7]
        total, last = SumOfTraces(3, weights), LastTrace(3)
        for F in loops[::-1]:
            total.back(F)
            last.back(F)
        L, G = np.zeros((3, 3)), np.eye(3)
        for weight, F in zip(weights, [*loops, None], strict=True):
            L += weight * G.T @ G
            G = G if F is None else F @ G
        np.testing.assert_allclose(total.L, L, rtol=1e-12)
        np.testing.assert_allclose(last.L, G.T @ G, rtol=1e-12)

    def test_sparse_loops(self):
        F = np.diag([0.5, 0.6, 0.7]) + np.diag([0.1, 0.2], 1)
        dense, sparse = SumOfTraces(3, [1.0, 1.0]), SumOfTraces(3, [1.0, 1.0])
        dense.back(F)
        sparse.back(rows_of(csr_array(F)))
        assert not issparse(sparse.L)
        np.testing.assert_allclose(sparse.L, dense.L, rtol=1e-13)


class TestMinimise:
    def objective(self, seed=0):
        rng = np.random.default_rng(seed)
        A = stable(seed, 5, 1.05)
        problem = filter_problem(A, rng.standard_normal((3, 5)), np.eye(5), np.eye(3), "full")
        return problem, SteadyObjective(problem)

    def test_few_steps(self):
        problem, objective = self.objective()
        start = steady_gain(problem.A, problem.C, problem.Q, problem.R, "full", max_iter=100)
        values = problem.pattern.gather(start.K)
        point = objective.evaluate(values + 0.01)
        found = minimise(objective.evaluate, point, max_iter=2)
        assert not found.converged
        assert len(found.history) == 3
        assert found.history[0] > found.history[1] > found.history[2]

    def test_wall_of_instability(self):
        problem, objective = self.objective(1)
        calls = []

        def evaluate(values):
            calls.append(objective.evaluate(values))
            return calls[-1]

        best = steady_gain(problem.A, problem.C, problem.Q, problem.R, "full")
        wild = problem.pattern.gather(best.K)
        rng = np.random.default_rng(0)
        points = (objective.evaluate(wild + 2 * rng.standard_normal(15)) for _ in range(2000))
        far = max((p for p in points if p is not None), key=lambda p: p.trace)
        found = minimise(evaluate, far)
        assert found.converged
        assert found.point.trace == pytest.approx(best.trace, rel=1e-10)
        assert found.n_evaluations == len(calls)

    def test_nothing_to_choose(self):
        found = steady_gain([[0.5]], [[1.0]], [[3.0]], [[1.0]], [[0]])
        assert found.K.tolist() == [[0.0]]
        assert found.trace == pytest.approx(4.0)
        assert found.converged

    def test_no_noise(self):
        found = steady_gain([[0.5]], [[1.0]], [[0.0]], [[1.0]], [[1]])
        assert found.trace == 0.0
        assert found.gap == 1.0
