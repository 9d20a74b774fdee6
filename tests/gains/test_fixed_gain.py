"""Filters that run with a given gain: covariances, passes along a series, densities."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov
from scipy.sparse import csr_array
from scipy.stats import multivariate_normal

import lmmfit.gains.fixed_gain as fixed_gain
from lmmfit.datasets import make_random_network, make_tank_network
from lmmfit.gains import (
    GainState,
    UnstableGainError,
    constant_gain_filter,
    error_density,
    filter_with_gain,
    filter_with_gains,
)
from lmmfit.riccati import steady_filter

REFERENCE = Path(__file__).parents[1] / "reference" / "gains"


def a_system(n, o, seed, k=0):
    """A, C, Q, R, K of a stable loop, and B."""
    rng = np.random.default_rng(seed)
    A, C = rng.standard_normal((n, n)), rng.standard_normal((o, n))
    A *= 0.95 / max(abs(np.linalg.eigvals(A)).max(), 1e-3)
    roots = rng.standard_normal((n, n)), rng.standard_normal((o, o))
    Q, R = (root @ root.T / len(root) + 0.1 * np.eye(len(root)) for root in roots)
    K = steady_filter(A, C, Q, R).K + 0.02 * rng.standard_normal((n, o))
    if abs(np.linalg.eigvals((np.eye(n) - K @ C) @ A)).max() > 0.97:
        K = np.zeros((n, o))
    return (A, C, Q, R, K), rng.standard_normal((n, k)) if k else None


def test_dense_gain_of_a_sparse_network():
    network = make_random_network(60, random_state=0)
    A, C, Q, R = (M.toarray() for M in (network.A, network.C, network.Q, network.R))
    K = steady_filter(A, C, Q, R).K
    assert np.count_nonzero(K) > 0.5 * K.size
    assert np.count_nonzero(C) < 0.02 * C.size
    found = constant_gain_filter(network.A, network.C, network.Q, network.R, K)
    left = np.eye(len(A)) - K @ C
    expected = solve_discrete_lyapunov(left @ A, left @ Q @ left.T + K @ R @ K.T)
    np.testing.assert_allclose(found.P_filtered, expected, rtol=1e-9, atol=1e-10)
    radius = np.abs(np.linalg.eigvals(left @ A)).max()
    assert found.spectral_radius == pytest.approx(radius, rel=1e-9)


def with_gaps(rng, T, o, share=0.2):
    Y = rng.standard_normal((T, o))
    Y[rng.random(Y.shape) < share] = np.nan
    return Y


def plain_filter(A, C, K, Y, U=None, B=None, x=None):
    """The recursion as it is written; A, C, K, B of all rows or one of each."""
    n = np.shape(A)[-1]
    x = np.zeros(n) if x is None else x
    states, outputs = [], []

    def at(M, t):
        return M[t] if np.ndim(M) == 3 else M

    for t, y in enumerate(Y):
        predicted = at(C, t) @ x
        error = np.where(np.isnan(y), 0.0, y - predicted)
        x = x + at(K, t) @ error
        states.append(x)
        outputs.append(predicted)
        x = at(A, t) @ x + (0.0 if B is None else at(B, t) @ U[t])
    return np.array(states), np.array(outputs), x


@pytest.mark.parametrize("name", ["viegas2018_W30", "tanks_N4", "tanks_N10"])
@pytest.mark.parametrize("gain", ["K_centralized", "K_one_step_tight", "K_finite_horizon"])
def test_covariances_are_those_of_published_gains(name, gain):
    stored = json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))
    A, C, Q, R, K = (np.array(stored[k]) for k in ("A", "C", "Q", "R", gain))
    found = constant_gain_filter(A, C, Q, R, K)
    F, left = (np.eye(len(A)) - K @ C) @ A, np.eye(len(A)) - K @ C
    twin = solve_discrete_lyapunov(F, left @ Q @ left.T + K @ R @ K.T)
    np.testing.assert_allclose(found.P_filtered, twin, rtol=1e-9, atol=1e-11)
    assert found.spectral_radius == pytest.approx(abs(np.linalg.eigvals(F)).max(), rel=1e-9)
    # Of gains that had converged; the trace of a finite horizon is that of its window.
    tolerance = {"K_one_step_tight": 1e-8, "K_centralized": 5e-5, "K_finite_horizon": 1e-2}[gain]
    stored_trace = stored[gain.replace("K_", "trace_")]
    assert found.trace == pytest.approx(stored_trace, rel=tolerance)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_covariances_solve_their_equations(n, o, seed):
    (A, C, Q, R, K), _ = a_system(n, o, seed)
    found = constant_gain_filter(A, C, Q, R, K)
    left = np.eye(n) - K @ C
    size = np.abs(found.P).max()
    np.testing.assert_allclose(found.P, A @ found.P_filtered @ A.T + Q, atol=1e-11 * size)
    joseph = left @ found.P @ left.T + K @ R @ K.T
    np.testing.assert_allclose(found.P_filtered, joseph, atol=1e-10 * size)
    np.testing.assert_allclose(found.S, C @ found.P @ C.T + R, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.L @ found.L.T, found.S, rtol=1e-10, atol=1e-10)
    best = steady_filter(A, C, Q, R)
    assert found.trace >= np.trace(best.P_filtered) * (1.0 - 1e-9)


def test_sparse_and_dense_matrices_make_the_same_filter():
    net = make_random_network(60, spectral_radius=0.9, random_state=0)
    K = 0.2 * net.pattern.astype(float)
    sparse = constant_gain_filter(net.A, net.C, net.Q, net.R, K)
    dense = constant_gain_filter(*(M.toarray() for M in (net.A, net.C, net.Q, net.R, K)))
    for name in ("A", "C", "K", "P", "P_filtered", "S"):
        np.testing.assert_allclose(getattr(sparse, name), getattr(dense, name), atol=1e-12)


def test_kalmans_gain_gives_kalmans_filter():
    (A, C, Q, R, _), B = a_system(5, 3, 0, k=2)
    best = steady_filter(A, C, Q, R, B)
    system = constant_gain_filter(A, C, Q, R, best.K, B)
    np.testing.assert_allclose(system.P, best.P, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(system.S, best.S, rtol=1e-9, atol=1e-10)
    assert system.spectral_radius == pytest.approx(best.spectral_radius, rel=1e-9)
    rng = np.random.default_rng(1)
    Y, U = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    found = filter_with_gain(system, Y, U)
    outputs = plain_filter(A, C, best.K, Y, U, B)[1]
    likelihood = multivariate_normal(cov=best.S).logpdf(Y - outputs)
    np.testing.assert_allclose(found.loglik, likelihood, atol=1e-9)


@given(
    st.integers(1, 7), st.integers(1, 5), st.integers(0, 3), st.integers(0, 12),
    st.integers(0, 2**32 - 1), st.booleans(),
)  # fmt: skip
def test_passes_follow_the_recursion(n, o, k, T, seed, sparse):
    system, B = a_system(n, o, seed, k)
    system = constant_gain_filter(*system, B)
    rng = np.random.default_rng(seed)
    Y, U = with_gaps(rng, T, o), rng.standard_normal((T, k))
    start = rng.standard_normal(n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixed_gain, "_SPARSE", 2.0 if sparse else -1.0)
        found = filter_with_gain(system, Y, U if k else None, start)
    assert system._kernel_arrays[0] == sparse
    states, outputs, end = plain_filter(system.A, system.C, system.K, Y, U, system.B, start)
    np.testing.assert_allclose(found.states, states.reshape(T, n), atol=1e-11)
    np.testing.assert_allclose(found.outputs, outputs.reshape(T, o), atol=1e-11)
    np.testing.assert_allclose(found.end.mean, end, atol=1e-11)
    assert found.end.n_rows == T
    np.testing.assert_allclose(found.loglik, error_density(Y - found.outputs, system.S), atol=1e-9)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("cuts", [[1], [7, 8, 31], [0, 40]])
def test_pieces_give_the_same_bits(sparse, cuts):
    if sparse:
        tanks = make_tank_network(20)
        K = 0.2 * tanks.pattern.astype(float)
        system = constant_gain_filter(tanks.A, tanks.C, tanks.Q, tanks.R, K, tanks.B)
    else:
        matrices, B = a_system(6, 4, 3, k=2)
        system = constant_gain_filter(*matrices, B)
    assert system._kernel_arrays[0] == sparse
    rng = np.random.default_rng(0)
    Y, U = with_gaps(rng, 40, len(system.C)), rng.standard_normal((40, system.B.shape[1]))
    whole = filter_with_gain(system, Y, U)
    state, parts = None, []
    for rows in np.split(np.arange(40), cuts):
        parts.append(filter_with_gain(system, Y[rows], U[rows], state))
        state = parts[-1].end
    for name in ("states", "outputs", "loglik"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    np.testing.assert_array_equal(state.mean, whole.end.mean)
    assert state.n_rows == 40


def test_results_that_are_not_wanted_are_not_kept():
    system = constant_gain_filter(*a_system(3, 2, 0)[0])
    Y = np.zeros((4, 2))
    found = filter_with_gain(system, Y, keep=("loglik",))
    assert found.states is None
    assert found.outputs is None
    assert found.loglik.shape == (4,)
    assert filter_with_gain(system, Y, keep=()).end.n_rows == 4


def test_filters_travel():
    system = constant_gain_filter(*a_system(3, 2, 0)[0])
    Y = np.random.default_rng(0).standard_normal((5, 2))
    expected = filter_with_gain(system, Y)
    again = pickle.loads(pickle.dumps(system))
    np.testing.assert_array_equal(filter_with_gain(again, Y).states, expected.states)


def test_errors_have_the_covariance_that_is_claimed():
    A = np.array([[0.8, 0.3, 0.0], [0.0, 0.7, 0.3], [0.2, 0.0, 0.6]])
    Q, R, K = np.eye(3), 0.5 * np.eye(3), np.diag([0.7, 0.4, 0.6])
    system = constant_gain_filter(A, np.eye(3), Q, R, K)
    rng, T = np.random.default_rng(0), 60_000
    w, v = rng.standard_normal((T, 3)), np.sqrt(0.5) * rng.standard_normal((T, 3))
    x = np.zeros((T + 1, 3))
    for t in range(T):
        x[t + 1] = A @ x[t] + w[t]
    found = filter_with_gain(system, x[:-1] + v)
    np.testing.assert_allclose(np.cov((found.states - x[:-1]).T), system.P_filtered, atol=0.03)
    errors = x[:-1] + v - found.outputs
    np.testing.assert_allclose(np.cov(errors.T), system.S, atol=0.06)
    after = errors[1:].T @ errors[:-1] / T  # not white: this gain is not Kalman's
    assert np.abs(after).max() > 0.1


@given(st.integers(1, 5), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_densities_are_those_of_scipy(o, T, seed):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((o, o))
    S = root @ root.T + 0.5 * np.eye(o)
    errors = with_gaps(rng, T, o, 0.4)
    expected = []
    for e in errors:
        seen = ~np.isnan(e)
        normal = multivariate_normal(cov=S[np.ix_(seen, seen)]) if seen.any() else None
        expected.append(normal.logpdf(e[seen]) if seen.any() else 0.0)
    np.testing.assert_allclose(error_density(errors, S), expected, rtol=1e-9, atol=1e-9)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.integers(0, 2**32 - 1))
def test_gains_that_change_from_row_to_row(n, o, k, seed):
    rng = np.random.default_rng(seed)
    T = 6

    def some(*shape):
        return 0.5 * rng.standard_normal(shape if rng.random() < 0.5 else (T, *shape))

    A, C, K, B = some(n, n), some(o, n), some(n, o), some(n, k)
    Y, U, start = with_gaps(rng, T, o), rng.standard_normal((T, k)), rng.standard_normal(n)
    given_inputs = (U, B) if k else (None, None)
    found = filter_with_gains(A, C, K, Y, *given_inputs, start=start)
    states, outputs, end = plain_filter(A, C, K, Y, U, B, start)
    np.testing.assert_allclose(found.states, states, atol=1e-11)
    np.testing.assert_allclose(found.outputs, outputs, atol=1e-11)
    np.testing.assert_allclose(found.end.mean, end, atol=1e-11)
    assert found.loglik is None


def test_sequences_of_one_gain_are_that_gain():
    (A, C, Q, R, K), _ = a_system(4, 3, 5)
    Y = with_gaps(np.random.default_rng(0), 20, 3)
    once = filter_with_gain(constant_gain_filter(A, C, Q, R, K), Y)
    found = filter_with_gains(A, C, np.tile(K, (20, 1, 1)), Y)
    np.testing.assert_allclose(found.states, once.states, atol=1e-13)


def test_unstable_gains_are_refused():
    A, eye = np.diag([1.1, 0.5]), np.eye(2)
    with pytest.raises(UnstableGainError, match=r"spectral radius is 1\.1: errors") as caught:
        constant_gain_filter(A, eye, eye, eye, np.diag([0.0, 0.5]))
    assert caught.value.spectral_radius == pytest.approx(1.1)
    constant_gain_filter(A, eye, eye, eye, np.diag([0.2, 0.5]))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("A", np.ones((2, 3)), "A must be a square matrix"),
        ("A", [[1.0, np.nan], [0.0, 1.0]], r"A\[0, 1\] is nan"),
        ("C", np.ones((2, 3)), r"C must have shape \(any, 2\), got \(2, 3\)"),
        ("Q", [[1.0, 0.5], [0.0, 1.0]], r"Q must be symmetric: Q\[0, 1\] is 0.5"),
        ("Q", np.diag([1.0, -1.0]), "Q must be positive semidefinite.*-1"),
        ("R", np.diag([1.0, 0.0]), "R must be positive definite"),
        ("K", np.ones((2, 3)), r"K must have shape \(2, 2\), got \(2, 3\)"),
        ("K", csr_array([[0.0, np.inf], [0.0, 0.1]]), r"K\[0, 1\] is inf"),
        ("B", np.ones((3, 1)), r"B must have shape \(2, any\)"),
    ],
)
def test_what_filters_refuse(name, value, message):
    eye = np.eye(2)
    system = {"A": 0.5 * eye, "C": eye, "Q": eye, "R": eye, "K": 0.5 * eye, "B": eye}
    with pytest.raises(ValueError, match=message):
        constant_gain_filter(**{**system, name: value})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"Y": np.ones((3, 1))}, "Y must have one column for each of 2 outputs"),
        ({"Y": [[1.0, np.inf]]}, r"Y\[0, 1\] is inf. What is missing is NaN"),
        ({"U": None}, r"the system has 2 inputs: give U, of shape \(3, 2\)"),
        ({"U": np.ones((2, 2))}, r"U must have shape \(3, 2\)"),
        ({"start": np.ones(3)}, "start must have one element for each of 2 states"),
        ({"start": GainState(np.ones(3))}, "start must have one element for each of 2 states"),
        ({"start": [1.0, np.nan]}, r"start\[0, 1\] is nan"),
        ({"keep": ("states", "gain")}, r"keep names \['gain'\], which is none of states"),
    ],
)
def test_what_passes_refuse(arguments, message):
    eye = np.eye(2)
    system = constant_gain_filter(0.5 * eye, eye, eye, eye, 0.5 * eye, eye)
    usual = {"Y": np.ones((3, 2)), "U": np.ones((3, 2))}
    with pytest.raises(ValueError, match=message):
        filter_with_gain(system, **{**usual, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"A": np.ones((2, 2, 2))}, r"A must have shape \(2, 2\) or \(3, 2, 2\).*\(2, 2, 2\)"),
        ({"C": np.ones((1, 2))}, r"C must have shape \(2, 2\)"),
        ({"K": np.full((3, 2, 2), np.nan)}, r"K\[0, 0, 0\] is nan"),
        ({"C": [[1.0, 0.0], [np.inf, 1.0]]}, r"C\[1, 0\] is inf"),
        ({"Y": np.ones(3)}, r"Y must have shape \(T, o\), got \(3,\)"),
        ({"Y": np.full((3, 2), np.inf)}, r"Y\[0, 0\] is inf"),
        ({"U": np.ones((3, 1))}, "U was given without B"),
        ({"B": np.ones((2, 1))}, "B was given without U"),
        ({"U": np.ones((2, 1)), "B": np.ones((2, 1))}, r"U must have shape \(3, 1\)"),
    ],
)
def test_what_sequences_refuse(arguments, message):
    eye = np.eye(2)
    with pytest.raises(ValueError, match=message):
        filter_with_gains(**{"A": eye, "C": eye, "K": eye, "Y": np.ones((3, 2)), **arguments})


@pytest.mark.parametrize(
    ("errors", "S", "message"),
    [
        (np.ones(2), np.eye(2), r"errors must have shape \(T, o\)"),
        ([[1.0, np.inf]], np.eye(2), r"errors\[0, 1\] is inf"),
        (np.ones((1, 2)), np.eye(3), r"S must have shape \(2, 2\)"),
        (np.ones((1, 2)), np.diag([1.0, 0.0]), "S must be positive definite"),
    ],
)
def test_what_densities_refuse(errors, S, message):
    with pytest.raises(ValueError, match=message):
        error_density(errors, S)
