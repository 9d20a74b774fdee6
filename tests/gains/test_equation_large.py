"""Large sparse matrix equations, and the solver that is planned once for a pattern."""

import numpy as np
import pytest
from scipy import sparse

from lmmfit.gains import DefiniteSolver, as_pattern, solve_sparse_equation
from lmmfit.gains.conjugate import ConjugateGradients, step_budget
from lmmfit.gains.gathered import gather_matrix, product_entries


def definite(rng, n):
    M = rng.normal(size=(n, 2 * n))
    return M @ M.T / n


def random_case(n, o, share, seed=0):
    rng = np.random.default_rng(seed)
    pattern = as_pattern(rng.uniform(size=(n, o)) < share)
    return definite(rng, n), definite(rng, o), rng.normal(size=(n, o)), pattern


def test_conjugate_gradients_agree_with_a_factorisation():
    A, B, C, pattern = random_case(500, 400, 0.01)
    assert pattern.size > 1900
    iterated = solve_sparse_equation(A, B, C, pattern, method="pcg", tol=1e-13)
    factored = solve_sparse_equation(A, B, C, pattern, method="cholesky")
    np.testing.assert_allclose(iterated.X, factored.X, atol=1e-10 * np.abs(factored.X).max())
    assert (iterated.method, factored.method) == ("pcg", "cholesky")
    assert 5 < iterated.n_iter < 40
    assert iterated.residual_norm < 1e-12
    assert solve_sparse_equation(A, B, C, pattern).method == "pcg"


@pytest.mark.parametrize("tall", [True, False])
def test_the_preconditioner_takes_the_larger_blocks(tall):
    """Blocks of columns, or of rows, that hold most of S leave few steps."""
    rng = np.random.default_rng(1)
    A, B = definite(rng, 60), definite(rng, 60)
    mask = np.kron(np.eye(3), np.ones((20, 1))) if tall else np.kron(np.eye(3), np.ones((1, 20)))
    pattern = as_pattern(mask)
    A, B = A[: mask.shape[0], : mask.shape[0]], B[: mask.shape[1], : mask.shape[1]]
    x = rng.normal(size=pattern.size)
    solver = ConjugateGradients(pattern)
    r = product_entries(pattern, A, B, x)
    found, steps, converged = solver.solve(np.ascontiguousarray(A), np.ascontiguousarray(B), r)
    assert converged
    assert steps <= 30
    np.testing.assert_allclose(found, x, atol=1e-9)
    again, steps, _ = solver.solve(A.copy(), B.copy(), r, x, tol=1e-10)
    assert steps == 0
    np.testing.assert_array_equal(again, x)


def test_conjugate_gradients_that_do_not_converge_warn():
    A, B, C, pattern = random_case(20, 20, 0.3)
    with pytest.warns(RuntimeWarning, match="have not reached tol=1e-12 in 2 steps"):
        found = solve_sparse_equation(A, B, C, pattern, method="pcg", max_iter=2)
    assert found.n_iter == 2
    assert found.residual_norm > 1e-12


def test_sparse_matrices_stay_sparse():
    n = 3000
    A = sparse.diags_array([-1.0, 4.0, -1.5], offsets=[-1, 0, 1], shape=(n, n))
    B = sparse.diags_array([3.0, 1.0], offsets=[0, 1], shape=(n, n))
    pattern = as_pattern(sparse.eye_array(n) + sparse.eye_array(n, k=1))
    X = pattern.sparse(np.cos(np.arange(pattern.size)))
    found = solve_sparse_equation(A, B, A @ X @ B, pattern)
    assert (found.method, found.kind) == ("sparse", "unique")
    assert 1e-3 < found.rcond < 1.0
    np.testing.assert_allclose(found.values, np.cos(np.arange(pattern.size)), atol=1e-12)
    assert abs(found.sparse - X).max() < 1e-12


def test_sparse_products():
    A, B, _, pattern = random_case(9, 7, 0.4)
    A, B = A * (np.abs(A) > 0.2), B + np.triu(B) * (np.abs(B) > 0.3)
    S = gather_matrix(pattern, A, B, symmetric=False)
    x = np.arange(1.0, pattern.size + 1)
    for make in (np.asarray, sparse.csr_array, sparse.csc_array):
        y = product_entries(pattern, make(A), make(B), x)
        np.testing.assert_allclose(y, S @ x, atol=1e-10)


PATTERNS = {
    "diagonal": np.eye(6),
    "scattered": np.eye(6)[[2, 0, 1, 5, 3, 4]],
    "full": np.ones((6, 6)),
    "rectangle": np.outer(np.arange(6) % 2, np.arange(6) > 2),
    "tridiagonal": np.tri(6, k=1) * np.tri(6, k=1).T,
    "blocks": np.kron(np.eye(3), np.ones((2, 1))),
    "empty row": np.tri(6, k=-1),
    "wide": np.ones((2, 90)) - np.eye(2, 90),
    "nothing": np.zeros((6, 6)),
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_planned_solver(kind):
    rng = np.random.default_rng(4)
    mask = PATTERNS[kind]
    n, o = mask.shape
    pattern = as_pattern(mask)
    A, B, r = definite(rng, n), definite(rng, o), rng.normal(size=pattern.size)
    solver, kept = DefiniteSolver(pattern), r.copy()
    for left in (A, np.asfortranarray(A), None):
        for right in (B, None):
            full = (np.eye(n) if left is None else A, np.eye(o) if right is None else B)
            S = gather_matrix(pattern, *full, symmetric=False)
            x = solver.solve(left, right, r)
            np.testing.assert_allclose(S @ x, r, atol=1e-10)
            np.testing.assert_array_equal(r, kept)


@pytest.mark.parametrize("kind", ["diagonal", "full", "tridiagonal", "blocks"])
def test_planned_solver_refuses_matrices_that_are_not_definite(kind):
    pattern = as_pattern(PATTERNS[kind])
    n, o = pattern.shape
    r, solver = np.ones(pattern.size), DefiniteSolver(pattern)
    A, B = np.diag(np.r_[-1.0, np.ones(n - 1)]), np.eye(o)
    for left, right in ((A, B), (A, None)):
        with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
            solver.solve(left, right, r)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        solver.solve(None, -B, r)


def test_planned_solver_with_large_sets():
    rng = np.random.default_rng(8)
    pattern = as_pattern(rng.uniform(size=(80, 70)) < 0.6)
    B, r = definite(rng, 70), rng.normal(size=pattern.size)
    x = DefiniteSolver(pattern).solve(None, B, r)
    np.testing.assert_allclose(product_entries(pattern, np.ones(80), B, x), r, atol=1e-10)
    B[:] = 1.0  # of rank one
    with pytest.raises(
        np.linalg.LinAlgError, match=r"block of rows and columns .*, \.\.\. is not"
    ):
        DefiniteSolver(pattern).solve(None, B, r)


def test_planned_solver_iterates_on_many_entries():
    A, B, _, pattern = random_case(300, 300, 0.02)
    rng = np.random.default_rng(9)
    r = rng.normal(size=pattern.size)
    solver = DefiniteSolver(pattern)
    assert step_budget(pattern) > 25
    x = solver.solve(A, B, r)
    np.testing.assert_allclose(product_entries(pattern, A, B, x), r, atol=1e-9)
    closer = solver.solve(A, B, r, x0=x)
    np.testing.assert_allclose(closer, x, atol=1e-9)
    with pytest.raises(np.linalg.LinAlgError):
        solver.solve(A - 3.0 * np.eye(300), B, r)


def test_planned_solver_factorises_where_iterations_are_slow():
    """Of strongly correlated matrices; it then goes on with factorisations."""
    rng = np.random.default_rng(10)
    pattern = as_pattern(rng.uniform(size=(150, 150)) < 0.08)
    distance = np.abs(np.subtract.outer(np.arange(150.0), np.arange(150.0)))
    A = np.exp(-((distance / 15.0) ** 2)) + 1e-7 * np.eye(150)
    x = rng.normal(size=pattern.size)
    r = product_entries(pattern, A, A, x)
    solver = DefiniteSolver(pattern)
    for _ in range(2):
        found = solver.solve(A, A, r)
        e = product_entries(pattern, A, A, found) - r
        assert np.linalg.norm(e) < 1e-10 * np.linalg.norm(r)
    assert solver._budget == 0
    assert solve_sparse_equation(A, A, pattern.dense(r), pattern).method in ("cholesky", "lu")
