"""Steady-state filtering against plain recursions, joint normal distributions and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad_vec
from scipy.linalg import block_diag, expm, solve_continuous_are, solve_discrete_are
from scipy.sparse import coo_array, csc_array, csr_matrix, diags_array
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

from lmmfit.riccati import (
    NotDetectableError,
    NotStabilizableError,
    discretise,
    filter_series,
    fit_em,
    forecast,
    kalman_bucy,
    simulate,
    smooth_series,
    start_filter,
    steady_filter,
)

NILE = sm.datasets.nile.load_pandas().data["volume"].to_numpy()[:, None]
LEVEL = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])


def random_system(seed, n=4, o=3, k=0, correlated=False):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    A *= rng.uniform(0.3, 1.1) / np.abs(np.linalg.eigvals(A)).max()
    W, V = rng.standard_normal((n, n)), rng.standard_normal((o, o))
    R = V @ V.T + 0.1 * np.eye(o)
    C, B = rng.standard_normal((o, n)), rng.standard_normal((n, k)) if k else None
    if correlated:
        both = rng.standard_normal((n + o, n + o))
        both = both @ both.T + 0.1 * np.eye(n + o)
        return steady_filter(A, C, both[:n, :n], both[n:, n:], B, S=both[:n, n:])
    return steady_filter(A, C, W @ W.T + 0.1 * np.eye(n), R, B)


def with_gaps(Y, rng, share=0.1):
    Y = Y.copy()
    Y[rng.random(Y.shape) < share] = np.nan
    Y[len(Y) // 3 : len(Y) // 3 + 4] = np.nan
    return Y


def exact_filter(f, Y, x, P, U=None):
    """The textbook's recursion: filtered, predicted, log-likelihoods, their covariances."""
    U = np.zeros((len(Y), 0)) if U is None else U
    found = {name: [] for name in ("states", "predicted", "loglik", "Pf", "Pp")}
    for y, u in zip(Y, U, strict=True):
        o = ~np.isnan(y)
        C, R, e = f.C[o], f.R[np.ix_(o, o)], y[o] - f.C[o] @ x
        S = C @ P @ C.T + R
        K = P @ C.T @ np.linalg.inv(S)
        found["predicted"].append(x)
        found["Pp"].append(P)
        logdet = np.linalg.slogdet(S)[1]
        size = e @ np.linalg.solve(S, e) + logdet + o.sum() * np.log(2 * np.pi)
        found["loglik"].append(-0.5 * size if o.any() else 0.0)
        M = np.eye(len(x)) - K @ C
        x, P = x + K @ e, M @ P @ M.T + K @ R @ K.T
        found["states"].append(x)
        found["Pf"].append(P)
        cross, AK = f.cross[:, o], f.A @ K
        x = f.A @ x + f.B @ u + cross @ np.linalg.solve(S, e)
        P = f.A @ P @ f.A.T + f.Q - AK @ cross.T - cross @ AK.T
        P -= cross @ np.linalg.solve(S, cross.T)
    return {name: np.array(values) for name, values in found.items()}


def joint_normal(f, start, U):
    """Means and covariances of all states and of all outputs of a series, stacked."""
    T, (o, n) = len(U), f.C.shape
    noise = block_diag(start.cov, *[np.block([[f.Q, f.cross], [f.cross.T, f.R]])] * T)
    x, X = start.mean, np.hstack([np.eye(n), np.zeros((n, T * (n + o)))])
    means, states, outputs = [], [], []
    for t, u in enumerate(U):
        w = slice(n + t * (n + o), 2 * n + t * (n + o))
        Y = f.C @ X
        Y[:, w.stop : w.stop + o] += np.eye(o)
        means.append(x)
        states.append(X)
        outputs.append(Y)
        x, X = f.A @ x + f.B @ u, f.A @ X
        X[:, w] += np.eye(n)
    both = np.vstack(states + outputs)
    mean = np.concatenate([*means, *(f.C @ x for x in means)])
    return mean, both @ noise @ both.T


def conditioned(mean, cov, y, seen):
    """Mean and covariance of everything given the elements ``seen``, and their log-density."""
    S, gain = cov[np.ix_(seen, seen)], cov[:, seen]
    e = y - mean[seen]
    value = e @ np.linalg.solve(S, e) + np.linalg.slogdet(2 * np.pi * S)[1]
    return (
        mean + gain @ np.linalg.solve(S, e), cov - gain @ np.linalg.solve(S, gain.T), -0.5 * value
    )  # fmt: skip


def exact_smoother(f, found):
    """Rauch, Tung and Striebel's recursion."""
    x, P = found["states"].copy(), found["Pf"].copy()
    for t in range(len(x) - 2, -1, -1):
        J = found["Pf"][t] @ f.A.T @ np.linalg.inv(found["Pp"][t + 1])
        x[t] += J @ (x[t + 1] - found["predicted"][t + 1])
        P[t] += J @ (P[t + 1] - found["Pp"][t + 1]) @ J.T
    return x, P


# Discretisation and steady state


@pytest.mark.parametrize("dt", [0.01, 0.7, 3.0])
def test_samples_of_a_differential_equation(dt):
    rng = np.random.default_rng(0)
    A, W, B = rng.standard_normal((3, 3)), rng.standard_normal((3, 2)), rng.standard_normal((3, 1))
    Q = W @ W.T
    F, V, G = discretise(A, Q, dt, B)
    assert_allclose(F, expm(A * dt), rtol=1e-11, atol=1e-12)
    noise = quad_vec(lambda s: expm(A * s) @ Q @ expm(A.T * s), 0, dt, epsrel=1e-11)[0]
    assert_allclose(V, noise, rtol=1e-9, atol=1e-12)
    driven = quad_vec(lambda s: expm(A * s) @ B, 0, dt, epsrel=1e-11)[0]
    assert_allclose(G, driven, rtol=1e-9, atol=1e-12)


def test_fast_modes_do_not_overflow():
    F, V, G = discretise(np.diag([-1e5, -1.0]), np.eye(2), 10.0, np.ones((2, 1)))
    assert_allclose(np.diag(V), [0.5e-5, 0.5 * (1 - np.exp(-20.0))], rtol=1e-10)
    assert_allclose(G.ravel(), [1e-5, 1 - np.exp(-10.0)], rtol=1e-10)
    assert_allclose(np.diag(F), [0.0, np.exp(-10.0)], rtol=1e-10)


def test_the_level_of_the_nile():
    assert_allclose(LEVEL.P, 5501.2579418, rtol=1e-11)
    assert_allclose(LEVEL.K, 0.2670480126, rtol=1e-9)
    assert LEVEL.converged
    assert LEVEL.residual_norm < 1e-14


@pytest.mark.parametrize("seed", range(4))
def test_steady_covariances(seed):
    f = random_system(seed)
    assert_allclose(f.P, solve_discrete_are(f.A.T, f.C.T, f.Q, f.R), rtol=1e-9, atol=1e-10)
    assert_allclose(f.S, f.C @ f.P @ f.C.T + f.R)
    assert_allclose(f.L @ f.L.T, f.S)
    assert_allclose(f.K @ f.S, f.P @ f.C.T, atol=1e-12)
    assert_allclose(f.P_filtered, f.P - f.K @ f.C @ f.P, atol=1e-12)
    assert_allclose(f.A @ f.P_filtered @ f.A.T + f.Q, f.P, atol=1e-11)
    loop = np.linalg.eigvals(f.A - f.K_predictor @ f.C)
    assert_allclose(f.spectral_radius, np.abs(loop).max())


@pytest.mark.parametrize("seed", range(4))
def test_steady_covariances_of_correlated_noises(seed):
    f = random_system(seed, correlated=True)
    P = solve_discrete_are(f.A.T, f.C.T, f.Q, f.R, s=f.cross)
    assert_allclose(f.P, P, rtol=1e-9, atol=1e-10)
    assert_allclose(f.S, f.C @ f.P @ f.C.T + f.R)
    assert_allclose(f.K_predictor @ f.S, f.A @ f.P @ f.C.T + f.cross, atol=1e-11)
    again = f.A @ f.P @ f.A.T + f.Q - f.K_predictor @ f.S @ f.K_predictor.T
    assert_allclose(again, f.P, atol=1e-11)
    loop = np.linalg.eigvals(f.A - f.K_predictor @ f.C)
    assert_allclose(f.spectral_radius, np.abs(loop).max())
    plain = steady_filter(f.A, f.C, f.Q, f.R, S=np.zeros_like(f.cross))
    assert_array_equal(plain.K_predictor, steady_filter(f.A, f.C, f.Q, f.R).K_predictor)


@pytest.mark.parametrize("seed", range(4))
def test_the_innovations_form_has_nothing_left_to_estimate(seed):
    # x[t+1] = A x[t] + K e[t], y[t] = C x[t] + e[t] is the same process as the filtered one.
    f = random_system(seed)
    K = f.K_predictor
    same = steady_filter(f.A, f.C, K @ f.S @ K.T, f.S, S=K @ f.S)
    assert_allclose(same.P, 0.0, atol=1e-12)
    assert_allclose(same.K_predictor, K, atol=1e-12)
    assert same.spectral_radius == pytest.approx(f.spectral_radius)
    Y = simulate(f, 200, seed=seed)[0]
    ours, theirs = filter_series(same, Y), filter_series(f, Y)
    assert_allclose(ours.outputs, theirs.outputs, atol=1e-9)
    assert_allclose(ours.loglik, theirs.loglik, atol=1e-9)
    assert_allclose(smooth_series(same, Y).states, ours.states, atol=1e-9)


@pytest.mark.parametrize("wrap", [np.array, csc_array])
def test_the_descriptor_is_folded(wrap):
    f, rng = random_system(3, k=2, correlated=True), np.random.default_rng(0)
    E = rng.standard_normal((4, 4))
    given = {"S": E @ f.cross, "E": wrap(E)}
    folded = steady_filter(E @ f.A, f.C, E @ f.Q @ E.T, f.R, E @ f.B, **given)
    for name in ("A", "B", "C", "Q", "R", "cross", "P", "K", "S", "K_predictor"):
        assert_allclose(getattr(folded, name), getattr(f, name), rtol=1e-9, atol=1e-10)
    A, Q = f.A - 2.0 * np.eye(4), E @ f.Q @ E.T
    sampled = steady_filter(E @ A, f.C, Q, f.R, E @ f.B, E=E, time="continuous", dt=0.3)
    plain = steady_filter(A, f.C, f.Q, f.R, f.B, time="continuous", dt=0.3)
    assert_allclose(sampled.K, plain.K, atol=1e-11)
    assert_allclose(sampled.B, plain.B, atol=1e-11)


@pytest.mark.parametrize("wrap", [csc_array, csr_matrix, coo_array])
def test_sparse_matrices_are_those_they_hold(wrap):
    f = random_system(2, k=1, correlated=True)
    A, C, Q, R, B, S, E = f.A, f.C, f.Q, f.R, f.B, f.cross, np.diag([1.0, 2.0, 3.0, 4.0])
    dense = steady_filter(A, C, Q, R, B, S=S, E=E)
    sparse = steady_filter(*map(wrap, (A, C, Q, R, B)), S=wrap(S), E=wrap(E))
    assert_array_equal(sparse.K, dense.K)
    assert_array_equal(sparse.K_predictor, dense.K_predictor)
    Y = simulate(f, 30, np.ones((30, 1)), seed=0)[0]
    em = [fit_em(*M, Y, np.ones((30, 1)), b, n_iter=2, initial_cov=f.P)
          for M, b in (((A, C, Q, R), B), (map(wrap, (A, C, Q, R)), wrap(B)))]  # fmt: skip
    assert_array_equal(em[0].Q, em[1].Q)
    assert_array_equal(kalman_bucy(*map(wrap, (A, C, Q, R))).K, kalman_bucy(A, C, Q, R).K)


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("descriptor", [None, np.array, csc_array])
def test_continuous_time_with_cross_covariance_and_descriptor(correlated, descriptor):
    f, rng = random_system(4, correlated=True), np.random.default_rng(1)
    A, S = f.A + np.eye(4), f.cross if correlated else None
    E = rng.standard_normal((4, 4)) + 3.0 * np.eye(4)
    given = {} if descriptor is None else {"E": descriptor(E)}
    inverse = np.eye(4) if descriptor is None else np.linalg.inv(E)
    found = kalman_bucy(A, f.C, f.Q, f.R, S=S, **given)
    A, Q, S = inverse @ A, inverse @ f.Q @ inverse.T, inverse @ (0.0 * f.cross if S is None else S)
    P = solve_continuous_are(A.T, f.C.T, Q, f.R, s=S)
    assert_allclose(found.P, P, atol=1e-9)
    assert_allclose(found.K, (P @ f.C.T + S) @ np.linalg.inv(f.R), atol=1e-9)
    loop = np.linalg.eigvals(A - found.K @ f.C)
    assert found.rightmost.real == pytest.approx(loop.real.max())
    assert found.rightmost.real < 0


def test_continuous_innovations_form():
    A, C, K = np.array([[0.5, 1.0], [0.0, -1.0]]), np.array([[1.0, 0.0]]), np.array([[2.0], [1.0]])
    found = kalman_bucy(A, C, K @ K.T, np.eye(1), S=K)
    assert_allclose(found.P, 0.0, atol=1e-14)
    assert_allclose(found.K, K, atol=1e-14)


def test_large_sparse_systems_stay_sparse():
    n = 300  # heat along a rod, driven at its end and measured near it
    A = diags_array([np.ones(n - 1), np.full(n, -2.0), np.ones(n - 1)], offsets=[-1, 0, 1])
    E = diags_array(np.linspace(1.0, 2.0, n))
    C, Q = np.eye(n)[4:5], np.zeros((n, n))
    Q[0, 0] = 5.0
    sparse = kalman_bucy(A, C, csc_array(Q), [[0.1]], E=E)
    dense = kalman_bucy(A.toarray(), C, Q, [[0.1]], E=E.toarray(), solver="doubling")
    assert sparse.method == "cfqadi"
    assert_allclose(sparse.K, dense.K, atol=1e-9 * np.abs(dense.K).max())
    assert kalman_bucy(A, C, np.eye(n), [[0.1]]).method == "doubling"  # Q has no thin factor


def test_continuous_time():
    rng = np.random.default_rng(1)
    A, C, Q, R = rng.standard_normal((3, 3)), np.eye(3)[:2], np.eye(3), np.diag([1.0, 2.0])
    found = kalman_bucy(A, C, Q, R)
    P = solve_continuous_are(A.T, C.T, Q, R)
    assert_allclose(found.P, P, atol=1e-10)
    assert_allclose(found.K, P @ C.T @ np.linalg.inv(R), atol=1e-10)
    assert found.rightmost.real < 0
    F, V, _ = discretise(A, Q, 0.2)
    sampled = steady_filter(A, C, Q, R, time="continuous", dt=0.2)
    assert_allclose(sampled.P, steady_filter(F, C, V, R).P, rtol=1e-12)
    # Sampled ever faster, with the same information a unit of time, it is Kalman and Bucy's.
    close = steady_filter(A, C, Q, R / 1e-5, time="continuous", dt=1e-5)
    assert_allclose(close.P, found.P, rtol=1e-3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Q": [[1.0, 0.0], [0.0, -2.0]]}, "Q must be positive semidefinite.* is -2"),
        ({"Q": [[1.0, 0.5], [0.0, 1.0]]}, r"Q must be symmetric: Q\[0, 1\] is 0.5"),
        ({"R": [[0.0]]}, "R must be positive definite.* is 0"),
        ({"A": [[1.0, np.nan], [0.0, 1.0]]}, r"A\[0, 1\] is nan"),
        ({"C": [[1.0]]}, r"C must have shape \(any, 2\), got \(1, 1\)"),
        ({"B": [[1.0]]}, r"B must have shape \(2, any\)"),
        ({"time": "later"}, "time='later' is neither"),
        ({"time": "continuous"}, "needs dt"),
        ({"dt": 1.0}, "dt=1.0 is for time='continuous'"),
        ({"time": "continuous", "dt": -1.0}, "dt must be a positive number, got -1.0"),
        ({"solver": "magic"}, "'magic' is none of"),
        ({"S": [[1.0, 0.0]]}, r"S must have shape \(2, 1\), got \(1, 2\)"),
        ({"S": [[1.0], [np.nan]]}, r"S\[1, 0\] is nan"),
        ({"S": [[2.0], [0.0]]}, r"\[Q S; S' R\] must be positive semidefinite, .* is -1\."),
        ({"S": [[0.5], [0.5]], "time": "continuous", "dt": 1.0}, "S is the covariance .* with dt"),
        ({"E": np.eye(3)}, r"E must have shape \(2, 2\), got \(3, 3\)"),
        ({"E": np.ones((2, 2))}, "E must not be singular, its condition number is inf"),
        ({"E": csc_array(np.ones((2, 2)))}, "E must not be singular, its condition number is inf"),
        ({"E": np.diag([1.0, 1e-17])}, r"E must not be singular, its condition number is 1e\+17"),
        ({"E": diags_array([1.0, 1e-17])}, r"singular, its condition number is 1e\+17"),
    ],
)
def test_bad_systems(changed, message):
    system = {"A": np.diag([1.0, 0.5]), "C": [[1.0, 1.0]], "Q": np.eye(2), "R": [[1.0]]}
    with pytest.raises(ValueError, match=message):
        steady_filter(**{**system, **changed})


def test_what_w_tells_of_v_must_be_possible():
    # Beside a large R the joint matrix is semidefinite up to rounding; Q - S R^-1 S' is not.
    with pytest.raises(ValueError, match=r"smallest eigenvalue of Q - S R\^-1 S' is -1\.34e-12"):
        steady_filter([[0.5]], [[1.0]], [[1e-13]], [[1e6]], S=[[1.2e-3]])


def test_errors_speak_of_the_filter():
    with pytest.raises(NotDetectableError, match=r"C does not see the mode 1\.1 of A"):
        steady_filter(np.diag([1.1, 0.5]), [[0.0, 1.0]], np.eye(2), [[1.0]])
    with pytest.raises(NotStabilizableError, match="Q does not drive the mode 1 of A"):
        steady_filter(np.diag([1.0, 0.5]), [[1.0, 1.0]], np.diag([0.0, 1.0]), [[1.0]])
    both = {"S": [[1.0], [0.0]], "E": np.diag([2.0, 1.0])}
    with pytest.raises(NotDetectableError, match=r"C does not see the mode 1\.5 of E\^-1 A,"):
        steady_filter(np.diag([0.5, 1.5]), [[1.0, 0.0]], np.eye(2), [[1.0]], **both)
    # y = x + v and x[t+1] = 0.5 x + 2 v: v cannot be told from y, as 0.5 - 2 is not stable.
    with pytest.raises(
        NotStabilizableError, match=r"Q - S R\^-1 S' .* mode -1\.5 of A - S R\^-1 C"
    ):
        steady_filter([[0.5]], [[1.0]], [[4.0]], [[1.0]], S=[[2.0]])
    with pytest.raises(NotDetectableError, match="C does not see the mode 2 of A"):
        kalman_bucy(np.diag([2.0, -0.5]), [[0.0, 1.0]], np.eye(2), [[1.0]])


# Filtering


@given(
    st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.booleans()
)  # fmt: skip
def test_gaps_are_filtered_exactly(seed, n, o, k, correlated):
    f, rng = random_system(seed, n, o, k, correlated), np.random.default_rng(seed)
    U = rng.standard_normal((60, k)) if k else None
    Y = with_gaps(simulate(f, 60, U, seed=seed)[0], rng)
    W = rng.standard_normal((n, n))
    for start in (start_filter(f), start_filter(f, rng.standard_normal(n), 5.0 * W @ W.T)):
        exact = exact_filter(f, Y, start.mean, start.cov, U)
        found = filter_series(f, Y, U, start)
        size = max(1.0, np.abs(exact["predicted"]).max())
        assert_allclose(found.states, exact["states"], rtol=0, atol=1e-9 * size)
        assert_allclose(found.outputs, exact["predicted"] @ f.C.T, rtol=0, atol=1e-9 * size)
        assert_allclose(found.loglik, exact["loglik"], rtol=1e-8, atol=1e-8)


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2))
def test_everything_follows_from_the_joint_distribution(seed, n, o, k):
    f, rng = random_system(seed, n, o, k, correlated=True), np.random.default_rng(seed)
    T, h, W = 8, 3, rng.standard_normal((n, n))
    U = rng.standard_normal((T + h, k))
    start = start_filter(f, rng.standard_normal(n), W @ W.T)
    inputs = (U[:T], U[T:]) if k else (None, None)
    Y = with_gaps(simulate(f, T, inputs[0], start, seed=seed)[0], rng, 0.25)
    mean, cov = joint_normal(f, start, U)
    there = (T + h) * n + np.flatnonzero(~np.isnan(Y.ravel()))
    size = max(1.0, np.abs(mean).max(), np.sqrt(cov.max()))
    close = {"rtol": 1e-7, "atol": 1e-8 * size}
    found, before = filter_series(f, Y, inputs[0], start), 0.0
    for t in range(T):
        rows = slice((T + h) * n + t * o, (T + h) * n + (t + 1) * o)
        seen = there[there < rows.start]
        expected, _, _ = conditioned(mean, cov, Y.ravel()[seen - (T + h) * n], seen)
        assert_allclose(found.outputs[t], expected[rows], **close)
        seen = there[there < rows.stop]
        expected, _, value = conditioned(mean, cov, Y.ravel()[seen - (T + h) * n], seen)
        assert_allclose(found.states[t], expected[t * n : (t + 1) * n], **close)
        assert found.loglik[t] == pytest.approx(value - before, rel=1e-7, abs=1e-7)
        before = value
    expected, left, _ = conditioned(mean, cov, Y[~np.isnan(Y)], there)
    smoothed = smooth_series(f, Y, inputs[0], start, return_cov=True)
    ahead = forecast(f, found.end, h, inputs[1])
    states, close["atol"] = expected[: (T + h) * n].reshape(-1, n), 1e-8 * size**2
    assert_allclose(smoothed.states, states[:T], **close)
    assert_allclose(ahead.states, states[T:], **close)
    for t in range(T + h):
        here = slice(t * n, (t + 1) * n)
        covs = smoothed.covariances[t] if t < T else ahead.state_covariances[t - T]
        assert_allclose(covs, left[here, here], **close)
    last = slice(len(left) - o, None)
    assert_allclose(ahead.outputs[-1], expected[last], **close)
    assert_allclose(ahead.output_covariances[-1], left[last, last], **close)


@pytest.mark.parametrize("seed", range(3))
def test_statsmodels_with_noises_among_the_states(seed):
    # Its model has no cross covariance: the states (x, w, v) bring one.
    f, n, o, T = random_system(seed, 3, 2, correlated=True), 3, 2, 60
    Y = with_gaps(simulate(f, T, seed=seed)[0], np.random.default_rng(seed))
    both = np.block([[f.Q, f.cross], [f.cross.T, f.R]])
    model = KalmanSmoother(o, 2 * n + o, n + o)
    model.bind(Y.copy())
    model["design"] = np.hstack([f.C, np.zeros((o, n)), np.eye(o)])
    model["transition"] = block_diag(np.hstack([f.A, np.eye(n)]), np.zeros((n + o, o)))
    model["selection"] = np.vstack([np.zeros((n, n + o)), np.eye(n + o)])
    model["state_cov"] = both
    P0 = block_diag(2.0 * np.eye(n), both)
    model.initialize_known(np.r_[np.ones(n), np.zeros(n + o)], P0)
    theirs = model.smooth()
    start = start_filter(f, np.ones(n), 2.0 * np.eye(n))
    found = filter_series(f, Y, start=start)
    smoothed = smooth_series(f, Y, start=start, return_cov=True)
    assert_allclose(found.states, theirs.filtered_state[:n].T, atol=1e-8)
    assert_allclose(found.loglik, theirs.llf_obs, atol=1e-8)
    assert_allclose(smoothed.states, theirs.smoothed_state[:n].T, atol=1e-8)
    covs = np.moveaxis(theirs.smoothed_state_cov[:n, :n], 2, 0)
    assert_allclose(smoothed.covariances, covs, atol=1e-8)


@pytest.mark.parametrize("correlated", [False, True])
def test_gaps_agree_to_rounding(correlated):
    f, rng = random_system(0, correlated=correlated), np.random.default_rng(0)
    Y = with_gaps(simulate(f, 500, seed=1)[0], rng)
    Y[200:300] = simulate(f, 100, seed=2)[0]
    exact = exact_filter(f, Y, np.zeros(4), f.P)
    found = filter_series(f, Y)
    assert_allclose(found.states, exact["states"], rtol=0, atol=1e-12)
    assert_allclose(found.loglik, exact["loglik"], rtol=0, atol=1e-12)


def test_the_covariance_is_steady_again():
    Y = NILE.copy()
    Y[20] = np.nan
    assert not filter_series(LEVEL, Y[:25]).end.steady
    assert filter_series(LEVEL, Y).end.steady
    f = random_system(1, correlated=True)
    K, Z = f.K_predictor, simulate(f, 400, seed=0)[0]
    Z[20, 1] = np.nan
    for system in (f, steady_filter(f.A, f.C, K @ f.S @ K.T, f.S, S=K @ f.S)):
        assert not filter_series(system, Z[:22]).end.steady
        assert filter_series(system, Z).end.steady
    wide = start_filter(LEVEL, initial_cov=[[1e7]])
    assert filter_series(LEVEL, Y, start=wide).end.steady
    assert not filter_series(LEVEL, Y[:3], start=wide).end.steady


@given(st.lists(st.integers(0, 120), max_size=6), st.booleans(), st.booleans())
def test_pieces_give_the_same_bits(cuts, gaps, correlated):
    f = random_system(3, 5, 3, correlated=correlated)
    Y = simulate(f, 120, seed=0)[0]
    Y = with_gaps(Y, np.random.default_rng(0)) if gaps else Y
    whole, state, parts = filter_series(f, Y), None, []
    for piece in np.split(Y, sorted(cuts)):
        parts.append(filter_series(f, piece, start=state))
        state = parts[-1].end
    for result in ("states", "outputs", "loglik"):
        pieces = np.concatenate([getattr(part, result) for part in parts])
        assert_array_equal(pieces, getattr(whole, result))
    assert_array_equal(state.mean, whole.end.mean)
    assert state.n_rows == 120


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("start", ["steady", "wide"])
def test_statsmodels_on_the_nile(gaps, start):
    Y = NILE.copy()
    if gaps:
        Y[20:40] = Y[60:80] = np.nan
    P0 = LEVEL.P if start == "steady" else np.array([[1e7]])
    model = sm.tsa.UnobservedComponents(Y, "llevel", loglikelihood_burn=0)
    model.ssm.initialize_known(np.array([1000.0]), P0)
    theirs = model.smooth([15099.0, 1469.1])
    state = start_filter(LEVEL, [1000.0], "steady" if start == "steady" else P0)
    found = filter_series(LEVEL, Y, start=state)
    smoothed = smooth_series(LEVEL, Y, start=state, return_cov=True)
    assert_allclose(found.loglik, theirs.llf_obs, atol=1e-9)
    assert_allclose(found.states.T, theirs.filtered_state, rtol=1e-9)
    assert_allclose(smoothed.states.T, theirs.smoothed_state, rtol=1e-9)
    assert_allclose(smoothed.covariances[:, 0, 0], theirs.smoothed_state_cov[0, 0], rtol=1e-7)
    assert_allclose(smoothed.loglik, theirs.llf, rtol=1e-12)


def test_the_stationary_start_knows_no_time():
    f = random_system(0)
    f = steady_filter(0.5 * f.A, f.C, f.Q, f.R)
    P = start_filter(f, initial_cov="stationary").cov
    assert_allclose(f.A @ P @ f.A.T + f.Q, P, atol=1e-12)
    with pytest.raises(ValueError, match=r"needs a stable A; .* size 1"):
        start_filter(LEVEL, initial_cov="stationary")


def test_a_forecast_is_a_gap_at_the_end():
    f, rng = random_system(2, k=2), np.random.default_rng(0)
    U = rng.standard_normal((45, 2))
    Y = with_gaps(simulate(f, 40, U[:40], seed=0)[0], rng)
    end = filter_series(f, Y, U[:40]).end
    found = forecast(f, end, 5, U[40:])
    gap = filter_series(f, np.full((5, 3), np.nan), U[40:], end)
    assert_allclose(found.outputs, gap.outputs, atol=1e-12)
    exact = exact_filter(f, np.full((5, 3), np.nan), end.mean, end.cov, U[40:])
    assert_allclose(found.state_covariances, exact["Pp"], atol=1e-11)
    S = f.C @ exact["Pp"][-1] @ f.C.T + f.R
    assert_allclose(found.output_covariances[-1], S, atol=1e-10)


@pytest.mark.parametrize("correlated", [False, True])
def test_simulated_innovations_have_their_covariance(correlated):
    f = random_system(5, correlated=correlated)
    Y, X = simulate(f, 40_000, seed=0)
    w, v = X[1:] - X[:-1] @ f.A.T, (Y - X @ f.C.T)[:-1]
    for one, two, cov in ((w, w, f.Q), (w, v, f.cross), (v, v, f.R)):
        scale = np.sqrt(np.abs(f.Q).max() * np.abs(f.R).max())
        assert_allclose(one.T @ two / len(w), cov, rtol=0.05, atol=0.03 * scale)
    e = Y - filter_series(f, Y).outputs
    assert_allclose(e.T @ e / len(e), f.S, rtol=0.05, atol=0.03 * np.abs(f.S).max())
    assert np.abs(e[1:].T @ e[:-1] / len(e)).max() < 0.03 * np.abs(f.S).max()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: filter_series(LEVEL, np.zeros((3, 2))), r"one column for each of 1 outputs"),
        (lambda: filter_series(LEVEL, [[1.0], [-np.inf]]), r"Y\[1, 0\] is -inf"),
        (lambda: filter_series(LEVEL, NILE, NILE), "has no B"),
        (lambda: filter_series(LEVEL, NILE, keep=("dreams",)), "dreams"),
        (lambda: filter_series(random_system(0, k=1), np.zeros((5, 3))), r"shape \(5, 1\)"),
        (lambda: start_filter(LEVEL, [1.0, 2.0]), "initial_state must have shape"),
        (lambda: start_filter(LEVEL, initial_cov=[[-1.0]]), "its smallest eigenvalue is -1"),
        (lambda: start_filter(LEVEL, initial_cov="wide"), "'wide' is neither"),
        (lambda: forecast(LEVEL, start_filter(LEVEL), 0), "at least 1, got 0"),
        (lambda: simulate(LEVEL, 0), "at least 1, got 0"),
        (lambda: fit_em([[1.0]], [[1.0]], [[1.0]], [[1.0]], NILE, update="X"), "update="),
        (lambda: fit_em([[1.0]], [[1.0]], [[1.0]], [[1.0]], NILE, n_iter=0), "n_iter"),
    ],
)
def test_bad_series(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Smoothing


def test_smoothing_of_correlated_noises():
    # Long enough for steady rows, with gaps among them; the joint distribution is exact.
    f = random_system(1, 3, 2, correlated=True)
    Y = simulate(f, 150, seed=0)[0]
    Y[70], Y[73, 0], Y[100, 1] = np.nan, np.nan, np.nan
    assert filter_series(f, Y[:70]).end.steady
    mean, cov = joint_normal(f, start_filter(f), np.zeros((150, 0)))
    there = 450 + np.flatnonzero(~np.isnan(Y.ravel()))
    expected, left, value = conditioned(mean, cov, Y[~np.isnan(Y)], there)
    found = smooth_series(f, Y, return_cov=True)
    assert_allclose(found.states.ravel(), expected[:450], atol=1e-8)
    for t in range(150):
        here = slice(3 * t, 3 * t + 3)
        assert_allclose(found.covariances[t], left[here, here], atol=1e-8)
    assert found.loglik == pytest.approx(value)


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 3))
def test_smoothing_is_exact(seed, n, o):
    f, rng = random_system(seed, n, o), np.random.default_rng(seed)
    Y = with_gaps(simulate(f, 80, seed=seed)[0], rng, 0.05)
    start = start_filter(f, np.ones(n), 2.0 * np.eye(n))
    exact = exact_filter(f, Y, start.mean, start.cov)
    states, covariances = exact_smoother(f, exact)
    found = smooth_series(f, Y, start=start, return_cov=True)
    size = max(1.0, np.abs(states).max(), np.abs(exact["Pp"]).max())
    assert_allclose(found.states, states, rtol=0, atol=1e-9 * size)
    assert_allclose(found.covariances, covariances, rtol=0, atol=1e-9 * size)
    assert found.loglik == pytest.approx(exact["loglik"].sum())


def test_smoothing_with_singular_noise():
    # A path with constant speed whose level alone is disturbed, against the joint distribution.
    A, C = np.array([[0.9, 1.0], [0.0, 0.5]]), np.array([[1.0, 0.0]])
    f = steady_filter(A, C, np.diag([1.0, 0.0]), [[1.0]])
    assert f.P[1, 1] == pytest.approx(0.0, abs=1e-12)
    Y = np.random.default_rng(0).standard_normal((6, 1))
    Y[2] = np.nan
    blocks = [block_diag(f.P, *[f.Q] * 5)]
    lower = np.block(
        [[np.linalg.matrix_power(A, max(i - j, 0)) * (i >= j) for j in range(6)] for i in range(6)]
    )
    joint = lower @ blocks[0] @ lower.T
    rows = [2 * t for t in range(6) if t != 2]
    S = joint[np.ix_(rows, rows)] + np.eye(5)
    gain = np.linalg.solve(S, joint[rows]).T
    found = smooth_series(f, Y, return_cov=True)
    assert_allclose(found.states.ravel(), gain @ np.delete(Y, 2), atol=1e-12)
    cov = joint - gain @ joint[rows]
    for t in range(6):
        assert_allclose(
            found.covariances[t], cov[2 * t : 2 * t + 2, 2 * t : 2 * t + 2], atol=1e-12
        )


# The EM algorithm


@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize("update", ["Q", "R", "QR", "ACQR"])
def test_the_likelihood_never_falls(update, accelerate):
    f, rng = random_system(1, 2, 3, 1), np.random.default_rng(0)
    U = rng.standard_normal((150, 1))
    Y = with_gaps(simulate(f, 150, U, seed=0)[0], rng, 0.15)
    begin = f.A, f.C, 4.0 * f.Q + np.eye(2), np.eye(3)
    found = fit_em(
        *begin, Y, U, f.B, update=update, n_iter=25, accelerate=accelerate, initial_cov=f.P
    )
    assert np.diff(found.history).min() >= -1e-9 * abs(found.loglik)
    assert found.loglik > found.history[0] + 1.0
    for name, before in zip("ACQR", begin, strict=True):
        assert np.array_equal(getattr(found, name), before) == (name not in update)
    system = steady_filter(found.A, found.C, found.Q, found.R, f.B)
    exact = exact_filter(system, Y, np.zeros(2), f.P, U)
    assert found.loglik == pytest.approx(exact["loglik"].sum(), rel=1e-10)


def test_one_step_raises_the_expected_likelihood_to_its_top():
    # Without gaps and with known states EM is regression: noise-free outputs show the states.
    f = random_system(4, 2, 2)
    system = steady_filter(f.A, np.eye(2), f.Q, 1e-10 * np.eye(2))
    X = simulate(system, 300, seed=0)[0]
    found = fit_em(f.A, np.eye(2), f.Q, 1e-10 * np.eye(2), X, update="AQ", n_iter=20)
    A = np.linalg.lstsq(X[:-1], X[1:], rcond=None)[0].T
    rest = X[1:] - X[:-1] @ A.T
    assert_allclose(found.A, A, atol=1e-6)
    assert_allclose(found.Q, rest.T @ rest / 299, atol=1e-6)


def test_em_on_the_nile():
    found = fit_em(
        [[1.0]], [[1.0]], [[1000.0]], [[10000.0]], NILE, initial_cov=[[1e7]], n_iter=500, tol=1e-9
    )
    model = sm.tsa.UnobservedComponents(NILE, "llevel", loglikelihood_burn=0)
    model.ssm.initialize_known(np.zeros(1), np.array([[1e7]]))
    theirs = model.fit([15000.0, 1500.0], disp=0, method="nm", maxiter=2000, xtol=1e-9, ftol=1e-12)
    assert found.converged
    assert found.loglik >= theirs.llf - 1e-8
    assert_allclose([found.R[0, 0], found.Q[0, 0]], theirs.params, rtol=1e-3)
    # Durbin and Koopman's estimates, whose likelihood leaves out the first year.
    assert_allclose([found.R[0, 0], found.Q[0, 0]], [15099.0, 1469.1], rtol=1e-3)


def test_extrapolation_saves_steps():
    begin = [[1.0]], [[1.0]], [[1000.0]], [[10000.0]], NILE
    plain = fit_em(*begin, initial_cov=[[1e7]], n_iter=2000, accelerate=False)
    fast = fit_em(*begin, initial_cov=[[1e7]], n_iter=2000)
    assert fast.converged
    assert plain.converged
    assert fast.n_iter < 0.5 * plain.n_iter
    assert fast.loglik >= plain.loglik - 1e-6


def test_em_recovers_what_made_the_series():
    true = steady_filter([[0.8]], [[1.0], [0.5]], [[1.0]], np.diag([0.5, 2.0]))
    series = [with_gaps(simulate(true, 1500, seed=s)[0], np.random.default_rng(s)) for s in (1, 2)]
    found = fit_em([[0.5]], true.C, [[2.0]], np.eye(2), series, update="AQR", n_iter=200)
    assert found.converged
    assert_allclose(found.A, true.A, atol=0.05)
    assert_allclose(found.Q, true.Q, atol=0.15)
    assert_allclose(found.R, true.R, atol=0.2)


def test_series_of_a_list_are_independent():
    f = random_system(6, 2, 2)
    Y = [simulate(f, T, seed=T)[0] for T in (700, 600)]  # together long enough for a steady state
    both = fit_em(f.A, f.C, f.Q, f.R, Y, n_iter=2, initial_cov=f.P)
    sums = sum(exact_filter(f, y, np.zeros(2), f.P)["loglik"].sum() for y in Y)
    assert both.history[0] == pytest.approx(sums, rel=1e-12)


def test_em_without_a_steady_state():
    # A constant level that nothing drives: the exact recursion needs no steady filter.
    Y = 3.0 + np.random.default_rng(0).standard_normal((50, 1))
    found = fit_em([[1.0]], [[1.0]], [[0.0]], [[5.0]], Y, update="R", initial_cov=[[1e8]])
    assert found.R[0, 0] == pytest.approx(Y.var(ddof=1), rel=1e-4)
    assert found.Q[0, 0] == 0.0
