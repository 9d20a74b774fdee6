"""Reduction of models: known figures, bounds that hold, passivity that is kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_continuous_are, solve_continuous_lyapunov
from scipy.sparse import csc_array, issparse

from lmmfit.datasets import load_rail, make_rlc_ladder
from lmmfit.riccati import (
    NotBoundedRealError,
    RiccatiError,
    balanced_stochastic_truncation,
    passivity_preserving_reduction,
    solve_care,
    solve_positive_real,
    transfer_function,
)
from lmmfit.riccati.gramians import bounded_real_factor

OMEGA = 1j * np.r_[0.0, np.geomspace(1e-3, 1e2, 300)]


@pytest.fixture(scope="module")
def ladder():
    return make_rlc_ladder(200)


@pytest.fixture(scope="module")
def response(ladder):
    return transfer_function(ladder.A, ladder.B, ladder.C, ladder.D, OMEGA).ravel()


def four(system):
    return system.A, system.B, system.C, system.D


def remembering(solve):
    """``solve``, which keeps the solution for matrices that it has met."""
    solutions = {}

    def ask(*matrices):
        dense = (M.toarray() if issparse(M) else M for M in matrices)
        key = tuple(None if M is None else (M.shape, M.tobytes()) for M in dense)
        if key not in solutions:
            solutions[key] = solve(*matrices)
        return solutions[key]

    return ask


@pytest.fixture(scope="module")
def reduce_ladder(ladder):
    """The ladder reduced to an order; its two large equations are solved for the first alone."""

    solve = remembering(bounded_real_factor)

    def reduce(order):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lmmfit.riccati.passivity.bounded_real_factor", solve)
            return passivity_preserving_reduction(*four(ladder), order=order)

    return reduce


def passive_system(n, m, seed, general=True):
    """Dissipative A, C = B': passive with any D + D' > 0."""
    rng = np.random.default_rng(seed)
    S, R = rng.standard_normal((n, n)), rng.standard_normal((n, n))
    A = S - S.T - R @ R.T - 0.1 * np.eye(n)
    B = rng.standard_normal((n, m))
    D = np.eye(m) + 0.4 * np.triu(rng.standard_normal((m, m)), 1)
    E = np.eye(n) + R.T @ R / n if general else None
    return A, B, B.T, D, E


# ------------------------------------------------------------------------------ passive reduction


@pytest.mark.parametrize(
    ("order", "error", "lowest"),
    [(6, 1.3e-2, 0.9993), (10, 3.3e-4, 0.9999), (16, 1.4e-5, 0.9999), (20, 8.7e-8, 0.9999)],
)
def test_ladder(reduce_ladder, response, order, error, lowest):
    model = reduce_ladder(order)
    reduced = model.transfer(OMEGA).ravel()
    assert model.order == order
    assert model.is_stable
    assert model.is_passive
    found = abs(response - reduced).max() / abs(response).max()
    assert found == pytest.approx(error, rel=0.03)
    assert reduced.real.min() > lowest
    assert abs(1 / (1 + response) - 1 / (1 + reduced)).max() <= model.error_bound
    np.testing.assert_allclose(model.left.T @ model.right, np.eye(order), atol=1e-8)


def test_characteristic_values_of_the_ladder(reduce_ladder):
    expected = [0.238583, 0.151210, 0.072956, 0.026812, 0.010501]
    model = reduce_ladder(8)
    np.testing.assert_allclose(model.characteristic_values[:5], expected, atol=6e-7)


def test_sparse_and_dense_agree():
    ladder = make_rlc_ladder(30)
    dense = ladder.A.toarray(), ladder.B, ladder.C, ladder.D
    for reduce in (passivity_preserving_reduction, balanced_stochastic_truncation):
        first, second = (reduce(*matrices, order=8) for matrices in (four(ladder), dense))
        np.testing.assert_allclose(
            first.characteristic_values[:20], second.characteristic_values[:20], rtol=1e-6
        )
        np.testing.assert_allclose(first.transfer(OMEGA), second.transfer(OMEGA), rtol=1e-6)


def test_order_by_tolerance():
    ladder = make_rlc_ladder(30)
    model = passivity_preserving_reduction(*four(ladder), tol=1e-3)
    smaller = passivity_preserving_reduction(*four(ladder), order=model.order - 1)
    assert model.error_bound <= 1e-3 < smaller.error_bound


@settings(max_examples=10)
@given(n=st.integers(3, 9), m=st.integers(1, 3), seed=st.integers(0, 1000))
def test_passivity_and_bound_of_random_models(n, m, seed):
    A, B, C, D, E = passive_system(n, m, seed)
    model = passivity_preserving_reduction(A, B, C, D, order=2, E=E)
    assert model.is_passive
    large = transfer_function(A, B, C, D, OMEGA, E=E)
    small = model.transfer(OMEGA)
    hermitian = small + small.conj().transpose(0, 2, 1)
    assert np.linalg.eigvalsh(hermitian).min() > 0
    gap = np.linalg.inv(D.T + large) - np.linalg.inv(D.T + small)
    assert np.linalg.norm(gap, 2, axis=(1, 2)).max() <= model.error_bound * (1 + 1e-8) + 1e-12


def test_rail_with_mass_matrix():
    rail = load_rail(109)
    B, D = rail.B[:, :2], 0.1 * np.eye(2)
    sparse = passivity_preserving_reduction(rail.A, B, B.T, D, E=rail.E, tol=1e-6)
    dense = passivity_preserving_reduction(
        rail.A.toarray(), B, B.T, D, E=rail.E.toarray(), tol=1e-6
    )
    assert sparse.order == dense.order
    omega = 1j * np.geomspace(1e-7, 1.0, 40)
    np.testing.assert_allclose(sparse.transfer(omega), dense.transfer(omega), atol=1e-9)
    identity = sparse.left.T @ (rail.E @ sparse.right)
    np.testing.assert_allclose(identity, np.eye(sparse.order), atol=1e-7)


def test_hatted_ladder_is_bounded_real_until_it_is_scaled(ladder):
    A = ladder.A - csc_array(ladder.B @ ladder.C) / 2
    B, C = ladder.B / np.sqrt(2), ladder.C / np.sqrt(2)
    gain = abs(transfer_function(A, B, C, [[0.0]], OMEGA)).max()
    assert gain == pytest.approx(0.608814, abs=1e-6)
    assert solve_care(A, B, C, sign=1).converged
    with pytest.raises(NotBoundedRealError, match="not bounded real"):
        solve_care(A, B / 0.6, C, sign=1)


@pytest.mark.parametrize("n_sections", [30, 300])
@pytest.mark.parametrize("reduce", [passivity_preserving_reduction, solve_positive_real])
def test_models_that_are_not_passive(n_sections, reduce):
    ladder = make_rlc_ladder(n_sections)
    with pytest.raises(NotBoundedRealError, match=r"not passive.* smallest eigenvalue is -[34]\."):
        reduce(ladder.A, ladder.B, -ladder.C, ladder.D)
    with pytest.raises(NotBoundedRealError, match=r"smallest eigenvalue is -2\. A model"):
        reduce(ladder.A, ladder.B, ladder.C, -ladder.D)
    with pytest.raises(ValueError, match="add a small resistance"):
        reduce(ladder.A, ladder.B, ladder.C, 0 * ladder.D)
    with pytest.raises(RiccatiError, match=r"not stable|not passive"):
        reduce(-ladder.A, ladder.B, ladder.C, ladder.D)


def test_positive_real_equation():
    A, B, C, D, E = passive_system(6, 2, 3)
    solution = solve_positive_real(A, B, C, D, E=E)
    X, W = solution.X, D + D.T
    left, gain = A.T @ X @ E, B.T @ X @ E - C
    residual = left + left.T + gain.T @ np.linalg.solve(W, gain)
    assert np.linalg.norm(residual) < 1e-11 * np.linalg.norm(left)
    np.testing.assert_allclose(solution.K, np.linalg.solve(W, gain), atol=1e-11)
    closed = np.linalg.eigvals(np.linalg.solve(E, A + B @ solution.K))
    assert closed.real.max() == pytest.approx(solution.rightmost.real, rel=1e-8)
    assert closed.real.max() < 0
    expected = solve_continuous_are(A, B, np.zeros((6, 6)), -W, e=E, s=-C.T)
    np.testing.assert_allclose(X, expected, atol=1e-9 * abs(X).max())


def test_sparse_positive_real_equation(ladder):
    sparse = solve_positive_real(*four(ladder))
    dense = solve_positive_real(ladder.A.toarray(), ladder.B, ladder.C, ladder.D)
    np.testing.assert_allclose(sparse.K, dense.K, atol=1e-9)
    assert sparse.rightmost.real < 0


# ------------------------------------------------------------------ balanced stochastic truncation


def balanced_truncation(A, B, C, r):
    """With SciPy alone, by roots of the Gramians."""
    P = solve_continuous_lyapunov(A, -B @ B.T)
    Q = solve_continuous_lyapunov(A.T, -C.T @ C)
    roots = []
    for M in (P, Q):
        values, vectors = np.linalg.eigh(M)
        roots.append(vectors * np.sqrt(np.maximum(values, 0)))
    U, s, Vt = np.linalg.svd(roots[1].T @ roots[0])
    left, right = roots[1] @ U[:, :r] / np.sqrt(s[:r]), roots[0] @ Vt[:r].T / np.sqrt(s[:r])
    return left.T @ A @ right, left.T @ B, C @ right


def relative_error(large, small):
    return np.linalg.norm(np.linalg.solve(large, large - small), 2, axis=(1, 2)).max()


@settings(max_examples=15)
@given(n=st.integers(3, 9), m=st.integers(1, 3), seed=st.integers(0, 1000))
def test_relative_error_is_below_the_bound(n, m, seed):
    A, B, C, D, E = passive_system(n, m, seed)  # so that no zero is on the right
    large = transfer_function(A, B, C, D, OMEGA, E=E)
    for order in (1, 2):
        model = balanced_stochastic_truncation(A, B, C, D, order=order, E=E)
        assert model.is_stable
        error = relative_error(large, model.transfer(OMEGA))
        assert error <= model.error_bound * (1 + 1e-8) + 1e-12
        assert 0 < model.characteristic_values.max() < 1


def test_characteristic_values_by_scipy():
    A, B, C, D, _ = passive_system(6, 2, 5, general=False)
    model = balanced_stochastic_truncation(A, B, C, D, order=3)
    P = solve_continuous_lyapunov(A, -B @ B.T)
    gamma, W = P @ C.T + B @ D.T, D @ D.T
    hatted = A - gamma @ np.linalg.solve(W, C)
    X = solve_continuous_are(hatted, gamma, C.T @ np.linalg.solve(W, C), -W)
    expected = np.sqrt(np.sort(np.linalg.eigvals(P @ X).real)[::-1])
    np.testing.assert_allclose(model.characteristic_values, expected, rtol=1e-6)


def test_ladder_against_balanced_truncation():
    ladder = make_rlc_ladder(100)
    response = transfer_function(*four(ladder), OMEGA)
    model = balanced_stochastic_truncation(*four(ladder), order=10)
    error = relative_error(response, model.transfer(OMEGA))
    assert error <= model.error_bound < 5e-3
    plain = balanced_truncation(ladder.A.toarray(), ladder.B, ladder.C, 10)
    other = transfer_function(*plain, ladder.D, OMEGA)
    assert relative_error(response, other) < 1e-2  # a fair rival, without a bound


def test_relative_error_where_the_response_is_small():
    """G falls from 1500 to 1: balanced truncation, which bounds G - G_r, loses it there."""
    poles = -np.geomspace(0.1, 1000.0, 8)
    zeros = 2.5 * poles
    A = np.diag(poles)
    residues = np.array(
        [np.prod(p - zeros) / np.prod(p - np.delete(poles, i)) for i, p in enumerate(poles)]
    )
    B, C, D = np.ones((8, 1)), residues[None, :], np.eye(1)
    omega = 1j * np.geomspace(1e-3, 1e6, 400)
    large = transfer_function(A, B, C, D, omega)
    np.testing.assert_allclose(
        large.ravel()[::50],
        [np.prod(s - zeros) / np.prod(s - poles) for s in omega[::50]], rtol=1e-6,
    )  # fmt: skip
    model = balanced_stochastic_truncation(A, B, C, D, order=4)
    error = relative_error(large, model.transfer(omega))
    plain = balanced_truncation(A, B, C, 4)
    other = relative_error(large, transfer_function(*plain, D, omega))
    assert error <= model.error_bound
    assert error < other


def test_zeros_on_the_right_are_kept():
    A, B, D = np.diag([-1.0, -2.0, -3.0]), np.ones((3, 1)), np.eye(1)
    C = np.array([[-5.0, 1.0, 2.0]])
    zero = np.linalg.eigvals(A - B @ C).real.max()
    assert zero > 0
    model = balanced_stochastic_truncation(A, B, C, D, order=1)
    assert model.characteristic_values[0] == pytest.approx(1.0)
    reduced = np.linalg.eigvals(model.A - model.B @ np.linalg.solve(model.D, model.C))
    assert reduced.real.max() == pytest.approx(zero)
    small = model.transfer(OMEGA)
    error = relative_error(transfer_function(A, B, C, D, OMEGA), small)
    assert error <= model.error_bound * (1 + 1e-8)
    assert model.error_bound < 1


def test_two_zeros_on_the_right_need_two_states():
    A, B, D = np.diag([-1.0, -2.0, -3.0]), np.eye(3)[:, :2] + 1.0, np.eye(2)
    C = -3.0 * np.array([[2.0, 1.0, 0.5], [1.0, 2.0, 0.5]])
    assert sum(np.linalg.eigvals(A - B @ C).real > 0) == 2
    with pytest.raises(ValueError, match="order=1 is too small: 2 characteristic values are 1"):
        balanced_stochastic_truncation(A, B, C, D, order=1)


def test_models_without_a_relative_error():
    A, B = np.diag([-1.0, -2.0]), np.ones((2, 1))
    with pytest.raises(NotBoundedRealError, match="smallest singular value is 0 at w = 0"):
        balanced_stochastic_truncation(A, B, [[-1.0, 0.0]], [[1.0]])
    with pytest.raises(ValueError, match="D must not be singular"):
        balanced_stochastic_truncation(A, B, [[-1.0, 0.0]], [[0.0]])
    with pytest.raises(RiccatiError, match=r"mode 2.*not stable"):
        balanced_stochastic_truncation(-A, B, [[-1.0, 0.0]], [[1.0]])


@pytest.mark.parametrize(
    "reduce", [balanced_stochastic_truncation, passivity_preserving_reduction]
)
class TestWrongInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"order": 0}, "order must be a whole number from 1 to 4"),
            ({"order": 9}, "got 9"),
            ({"order": 1.5}, "got 1.5"),
            ({"tol": -1.0}, "tol must be above 0"),
            ({"order": 2, "tol": 0.1}, "give order or tol, not both"),
        ],
    )
    def test_order(self, reduce, options, message):
        A, B, C, D, E = passive_system(4, 1, 0)
        with pytest.raises(ValueError, match=message):
            reduce(A, B, C, D, E=E, **options)

    def test_shapes(self, reduce):
        A, B, C, D, _ = passive_system(4, 2, 0)
        with pytest.raises(ValueError, match=r"C must have shape \(2, 4\)"):
            reduce(A, B, C[:1], D)
        with pytest.raises(ValueError, match=r"D must have shape \(2, 2\)"):
            reduce(A, B, C, D[:1])
        with pytest.raises(ValueError, match=r"B\[0, 0\] is nan"):
            reduce(A, np.full_like(B, np.nan), C, D)

    def test_nothing_to_reduce(self, reduce):
        A, B, C, D, _ = passive_system(4, 1, 0)
        for inputs, outputs in ((0 * B, C), (B, 0 * C)):
            with pytest.raises(ValueError, match="nothing to reduce"):
                reduce(A, inputs, outputs, D)


def test_transfer_function():
    A, B, C, D, E = passive_system(5, 2, 1)
    s = np.array([0.3 + 1j, 2.0])
    found = transfer_function(A, B, C, D, s, E=E)
    for point, value in zip(s, found, strict=True):
        np.testing.assert_allclose(value, D + C @ np.linalg.solve(point * E - A, B), rtol=1e-12)
    assert transfer_function(A, B, C, D, 0.0).shape == (1, 2, 2)
