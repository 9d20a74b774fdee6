"""Many shifts of one matrix: sparse, dense, dense in Hessenberg form; and what ``auto`` makes of
them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, diags_array, eye_array, kron, random_array

from lmmfit.datasets import make_rlc_ladder
from lmmfit.riccati import ShiftedSolver, solve_care, sparse_in_truth
from lmmfit.riccati._ldl_kernels import analyse, factor, substitute

SHIFTS = [-1.0, -0.5 + 2.0j, -30.0, -0.01 + 0.1j, -1.0, -2.0, -1.0 + 3.0j, -0.4, -0.1]


def dense_pencil(n, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n)) / np.sqrt(n) - 2.0 * np.eye(n)
    E = np.eye(n) + 0.2 * rng.normal(size=(n, n)) / np.sqrt(n)
    return A, E, rng.normal(size=(n, 3))


@pytest.mark.parametrize("with_E", [False, True])
@pytest.mark.parametrize("n", [20, 260])
def test_dense_solutions_before_and_after_the_reduction(n, with_E):
    A, E, Y = dense_pencil(n)
    E = E if with_E else None
    solver = ShiftedSolver(A, E)
    for shift in SHIFTS:
        matrix = A.T + shift * (np.eye(n) if E is None else E.T)
        assert solver(shift, Y) == pytest.approx(np.linalg.solve(matrix, Y), rel=1e-9, abs=1e-11)
    # A large matrix is factored for a few shifts only, and one that comes again costs nothing.
    assert solver.n_factors < len(SHIFTS) if n > 250 else solver.n_factors == len(SHIFTS)


@pytest.mark.parametrize("with_E", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
def test_sparse_solutions(with_E, symmetric):
    rng = np.random.default_rng(1)
    A = csc_array(random_array((60, 60), density=0.08, rng=rng)) - 3.0 * diags_array(np.ones(60))
    A = csc_array(A + A.T if symmetric else A)
    E = csc_array(diags_array(rng.uniform(1.0, 2.0, 60))) if with_E else None
    Y = rng.normal(size=(60, 2))
    solver = ShiftedSolver(A, E)
    for shift in SHIFTS:
        matrix = A.toarray().T + shift * (np.eye(60) if E is None else E.toarray().T)
        assert solver(shift, Y) == pytest.approx(np.linalg.solve(matrix, Y), rel=1e-9, abs=1e-11)


def test_a_shift_near_one_that_is_factored_stands_for_it():
    A, _, Y = dense_pencil(260)
    solver = ShiftedSolver(A)
    assert solver.nearest(-1.0) == -1.0
    solver(-1.0, Y)
    assert solver.nearest(-1.5) == -1.0
    assert solver.nearest(-30.0) == -30.0
    assert solver.nearest(-1.0 + 9.0j) == -1.0 + 9.0j
    assert ShiftedSolver(A[:20, :20]).nearest(-1.5) == -1.5


def test_sparse_in_truth():
    chain = diags_array([np.ones(399), -2.0 * np.ones(400), np.ones(399)], offsets=[-1, 0, 1])
    assert sparse_in_truth(chain.toarray())
    assert not sparse_in_truth(chain.toarray()[:100, :100])  # too small to matter
    rng = np.random.default_rng(0)
    scattered = random_array((400, 400), density=0.02, rng=rng).toarray() - 5.0 * np.eye(400)
    assert not sparse_in_truth(scattered)  # few elements, but its factors are full


@pytest.mark.parametrize("sign", [-1, 1])
def test_auto_chooses_by_the_structure(sign):
    n, rng = 256, np.random.default_rng(2)
    chain = diags_array([np.ones(n - 1), -2.1 * np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])
    A, B = chain.toarray(), np.eye(n)[:, :1]
    C = 0.4 * B.T
    X = solve_care(A, B, C, sign=sign, method="newton").X
    for form in (A, csc_array(A)):
        found = solve_care(form, B, C, sign=sign)
        assert found.method == "cfqadi"
        assert np.linalg.norm(found.X - X) < 1e-10 * np.linalg.norm(X)
    rotation = np.linalg.qr(rng.normal(size=(n, n)))[0]
    full = rotation @ A @ rotation.T
    for method in ("auto", "cfqadi"):
        found = solve_care(full, rotation @ B, C @ rotation.T, sign=sign, method=method)
        assert found.method == ("doubling" if method == "auto" else "cfqadi")
        assert np.linalg.norm(found.X - rotation @ X @ rotation.T) < 1e-10 * np.linalg.norm(X)
    many = 0.05 * rng.normal(size=(n, n))
    assert solve_care(csc_array(A), B, many, sign=-1).method == "doubling"


def test_auto_leaves_factors_where_there_is_no_low_rank():
    ladder = make_rlc_ladder(100, resistance=1e-3, conductance=1e-3)
    W = (ladder.D + ladder.D.T)[0, 0]
    A = csc_array(ladder.A - ladder.B @ ladder.C / W)
    B, C = ladder.B / np.sqrt(W), ladder.C / np.sqrt(W)
    found = solve_care(A, B, C, sign=1)
    assert found.method == "doubling"
    assert found.converged
    with pytest.warns(RuntimeWarning, match="after 10 steps"):  # the steps are the caller's
        assert solve_care(A, B, C, max_iter=10).method == "cfqadi"
    with pytest.warns(RuntimeWarning, match="after 10 steps"):
        assert not solve_care(A, B, C, sign=1, max_iter=10).converged


def mesh(side, rng):
    """Stiffness and mass of a square mesh: symmetric, one negative and one positive definite."""
    one, second = (
        eye_array(side),
        diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(side,) * 2),
    )
    A = kron(one, second) + kron(second, one)
    weights = diags_array(rng.uniform(0.5, 2.0, side * side))
    return csc_array(weights @ A @ weights), csc_array(6.0 * weights + 0.5 * weights @ A @ weights)


def test_definite_pencils_are_factored_without_pivoting():
    rng = np.random.default_rng(3)
    A, E = mesh(17, rng)
    E = csc_array(E + 20.0 * eye_array(289))
    Y = rng.normal(size=(289, 3))
    solver = ShiftedSolver(A, E)
    for shift in (*SHIFTS, -1e-3, -1e4):
        matrix = (A + shift * E).toarray()
        assert solver(shift, Y) == pytest.approx(np.linalg.solve(matrix, Y), rel=1e-9, abs=1e-12)
    assert solver._matrices.tree is not None
    # Where the matrix turns out not to be definite, pivoting comes back.
    solver = ShiftedSolver(csc_array(-A), E)
    for shift in (-1.0, -0.01, -1.0):
        matrix = (-A + shift * E).toarray()
        assert solver(shift, Y) == pytest.approx(np.linalg.solve(matrix, Y), rel=1e-7, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.floats(0.0, 0.5))
def test_sparse_factors_against_dense_ones(seed, n, density):
    rng = np.random.default_rng(seed)
    A = random_array((n, n), density=density, rng=rng)
    A = csc_array(A + A.T + 2.0 * n * eye_array(n))
    A.sort_indices()
    parent, start = analyse(A.indptr, A.indices)
    rows, values, D = np.empty(start[-1], np.int64), np.empty(start[-1]), np.empty(n)
    assert factor(A.indptr, A.indices, A.data, parent, start, rows, values, D)
    L = csc_array((values, rows, start), shape=(n, n)).toarray() + np.eye(n)
    assert (L * D) @ L.T == pytest.approx(A.toarray(), abs=1e-12 * n)
    X = rng.normal(size=(n, 2))
    Y = A @ X
    substitute(start, rows, values, D, Y)
    assert pytest.approx(X, abs=1e-11) == Y
