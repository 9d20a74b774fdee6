"""Lyapunov equations against SciPy, by all methods; what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_continuous_lyapunov
from scipy.sparse import csc_array

from lmmfit.datasets import load_rail, make_convection_diffusion, make_triple_chain
from lmmfit.riccati import RiccatiError, solve_lyapunov

METHODS = ["adi", "cfadi", "doubling", "schur"]


def stable_system(n, p, seed=0, shift=0.5):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    A -= (np.linalg.eigvals(A).real.max() + shift) * np.eye(n)
    E = np.eye(n) + 0.1 * rng.standard_normal((n, n)) / np.sqrt(n)
    return E @ A, rng.standard_normal((p, n)), E


def relative_residual(A, C, E, W):
    left = A.T @ W @ E
    return np.linalg.norm(left + left.T + C.T @ C) / np.linalg.norm(C.T @ C)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "p"), [(1, 1), (9, 1), (9, 4), (30, 2)])
@pytest.mark.parametrize("general", [False, True])
def test_agrees_with_scipy(method, n, p, general):
    A, C, E = stable_system(n, p)
    if not general:
        A, E = np.linalg.solve(E, A), np.eye(n)
    solution = solve_lyapunov(A, C, E=E if general else None, method=method)
    V = solve_continuous_lyapunov(np.linalg.solve(E, A).T, -C.T @ C)
    expected = np.linalg.solve(E.T, np.linalg.solve(E.T, V).T)
    np.testing.assert_allclose(solution.W, expected, rtol=1e-9, atol=1e-11 * abs(expected).max())
    assert solution.converged
    assert solution.method == method
    assert solution.rightmost.real < 0
    assert relative_residual(A, C, E, solution.W) < 1e-10
    if solution.Z is not None:
        np.testing.assert_allclose(solution.Z @ solution.Z.T, solution.W)


@given(n=st.integers(1, 8), p=st.integers(1, 4), seed=st.integers(0, 10_000))
def test_solutions_are_positive_semidefinite(n, p, seed):
    A, C, E = stable_system(n, p, seed)
    W = solve_lyapunov(A, C, E=E).W
    np.testing.assert_allclose(W, W.T, atol=1e-12 * abs(W).max())
    assert np.linalg.eigvalsh(W)[0] >= -1e-12 * abs(W).max()
    assert relative_residual(A, C, E, W) < 1e-8


def test_half_steps_of_the_paper():
    """Equations 4a and 4b, with W_{j-1}' on the right of the first."""
    A, C, _ = stable_system(5, 2)
    shifts, W, one = [-1.0, -3.0, -2.0], np.zeros((5, 5)), np.eye(5)
    residuals = []
    for p in shifts:
        half = np.linalg.solve(A.T + p * one, -C.T @ C - W.T @ (A - p * one)).T
        W = np.linalg.solve(A.T + p * one, -C.T @ C - half @ (A - p * one))
        left = A.T @ W
        residuals.append(np.linalg.norm(left + left.T + C.T @ C, 2) / np.linalg.norm(C @ C.T, 2))
    for method in ("adi", "cfadi"):
        with pytest.warns(RuntimeWarning, match="residual is"):
            solution = solve_lyapunov(A, C, method=method, shifts=shifts, max_iter=3)
        np.testing.assert_allclose(solution.W, W, rtol=1e-11)
        np.testing.assert_allclose(solution.history, residuals, rtol=1e-9)  # equation 8
        assert not solution.converged
        assert solution.shifts == shifts


def test_order_of_shifts_does_not_matter():
    A, C, E = stable_system(6, 1)
    pair = complex(-1.0, 2.0)
    found = []
    for shifts in ([-0.5, pair, -4.0], [pair, -4.0, -0.5], [pair.conjugate(), pair, -0.5, -4.0]):
        for method in ("adi", "cfadi"):
            with pytest.warns(RuntimeWarning, match="above tol"):
                found.append(solve_lyapunov(A, C, E=E, method=method, shifts=shifts, max_iter=3).W)
    for W in found[1:]:
        np.testing.assert_allclose(W, found[0], rtol=1e-9)


def test_doubling_gives_iterates_of_one_shift():
    A, C, _ = stable_system(12, 2)
    for k in range(4):
        found = []
        for method, count in (("doubling", k), ("adi", 2**k)):
            with pytest.warns(RuntimeWarning, match="above tol"):
                found.append(
                    solve_lyapunov(A, C, method=method, shifts=[-4.0], max_iter=max(count, 1))
                )
            if method == "doubling" and k == 0:
                break
        if k:
            np.testing.assert_allclose(found[0].W, found[1].W, rtol=1e-9)


@pytest.mark.parametrize("n", [109, 371])
def test_rail(n):
    rail = load_rail(n)
    solution = solve_lyapunov(rail.A, rail.C, E=rail.E)
    assert solution.method == "cfadi"
    assert solution.residual_norm <= 1e-12
    dense = solve_lyapunov(rail.A.toarray(), rail.C, E=rail.E.toarray(), method="schur")
    np.testing.assert_allclose(solution.W, dense.W, rtol=0, atol=1e-9 * abs(dense.W).max())
    gramian = solve_lyapunov(rail.A.T, rail.B.T, E=rail.E.T).W  # of the inputs
    left = rail.A @ gramian @ rail.E.T
    assert np.linalg.norm(left + left.T + rail.B @ rail.B.T) < 1e-11 * np.linalg.norm(left)


def test_second_order_system_that_shows_positions():
    """Projected on C' its A is zero: no shift comes from there."""
    chain = make_triple_chain(4, alpha=0.5)
    solution = solve_lyapunov(chain.A, chain.C, E=chain.E)
    expected = solve_lyapunov(chain.A, chain.C, E=chain.E, method="schur")
    assert solution.converged
    np.testing.assert_allclose(solution.W, expected.W, atol=1e-9 * abs(expected.W).max())


def test_large_sparse_convection():
    plate = make_convection_diffusion(30)
    solution = solve_lyapunov(plate.A, plate.C)
    assert solution.residual_norm <= 1e-12
    assert solution.Z.shape[1] < 60
    x = np.random.default_rng(0).standard_normal(900)
    Wx = solution.Z @ (solution.Z.T @ x)
    AWx = solution.Z @ (solution.Z.T @ (plate.A @ x))
    left = plate.A.T @ Wx + AWx + plate.C.T @ (plate.C @ x)
    assert np.linalg.norm(left) < 1e-9 * np.linalg.norm(AWx)


def test_nothing_seen():
    A, C, _ = stable_system(6, 1)
    for method in METHODS:
        assert not solve_lyapunov(A, 0 * C, method=method).W.any()


def test_unstable_matrices_are_refused():
    with pytest.raises(RiccatiError, match=r"A has the mode 2\+0j, which is not stable"):
        solve_lyapunov(np.diag([-1.0, 2.0]), np.ones((1, 2)))
    with pytest.raises(RiccatiError, match="mode 0"):
        solve_lyapunov([[0.0, 1.0], [-1.0, 0.0]], [[1.0, 0.0]], E=np.eye(2), method="cfadi")
    unstable = make_convection_diffusion(12, g=-500.0)
    with pytest.raises(RiccatiError, match="not stable"):
        solve_lyapunov(unstable.A, unstable.C)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "smith"}, "method='smith' is none of auto, adi"),
        ({"tol": 0.0}, "tol must be between 0 and 1, got 0.0"),
        ({"method": "adi", "shifts": "hamiltonian"}, "shifts='hamiltonian' is none of"),
        ({"method": "cfadi", "shifts": [1.0]}, "shifts must have negative real parts, got 1"),
        ({"method": "doubling", "shifts": []}, "a name, a number or numbers"),
        ({"A": np.ones((2, 3))}, r"A must be a square matrix, its shape is \(2, 3\)"),
        ({"C": np.ones((1, 3))}, r"C must have shape \(any, 2\)"),
        ({"C": np.array([[np.nan, 1.0]])}, r"C\[0, 0\] is nan"),
        ({"E": np.eye(3)}, "E must have shape"),
    ],
)
def test_wrong_input(changed, message):
    arguments = {"A": -np.eye(2), "C": np.ones((1, 2)), **changed}
    with pytest.raises(ValueError, match=message):
        solve_lyapunov(**arguments)


def test_sparse_input_by_dense_methods():
    A, C, _ = stable_system(7, 1)
    expected = solve_lyapunov(A, C).W
    for method in METHODS:
        W = solve_lyapunov(csc_array(A), C, E=csc_array(np.eye(7)), method=method).W
        np.testing.assert_allclose(W, expected, atol=1e-10 * abs(expected).max())
