"""The sparse matrix equation: every way to the solution against the formula, and its order."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from lmmfit.gains import as_pattern, kronecker_solution, solve_sparse_equation
from lmmfit.gains.gathered import gather_matrix, product_entries

REFERENCE = Path(__file__).parents[1] / "reference" / "gains"


def definite(rng, n, weight=0.3):
    M = rng.normal(size=(n, n))
    return M @ M.T / n + weight * np.eye(n)


def twin(A, B, C, mask):
    """Algorithm 1 as it is printed: S by two loops over the entries."""
    chi = [(i, j) for j in range(mask.shape[1]) for i in range(mask.shape[0]) if mask[i, j]]
    S = np.array([[A[i, k] * B[l, j] for k, l in chi] for i, j in chi])
    x = np.linalg.solve(S, [C[i, j] for i, j in chi])
    X = np.zeros(mask.shape)
    X[tuple(np.transpose(chi))] = x
    return X


def largest_error(X, expected):
    return np.abs(X - expected).max() / np.abs(expected).max()


MASKS = {
    "scattered": lambda n, o, rng: np.eye(n, o)[rng.permutation(n)],
    "full": lambda n, o, rng: np.ones((n, o)),
    "rectangle": lambda n, o, rng: np.outer(rng.permutation(n) < 2, rng.permutation(o) < 3),
    "row": lambda n, o, rng: np.outer(np.arange(n) == 1, np.ones(o)),
    "column": lambda n, o, rng: np.outer(np.ones(n), np.arange(o) == o - 1),
    "one": lambda n, o, rng: np.outer(np.arange(n) == 1, np.arange(o) == 0),
    "blocks": lambda n, o, rng: np.kron(np.eye(2), np.ones((n, o)))[:n, :o],
    "random": lambda n, o, rng: rng.uniform(size=(n, o)) < 0.4,
    "holes": lambda n, o, rng: 1.0 - np.eye(n, o),
}
SHAPES = [(1, 1), (2, 2), (5, 4), (4, 7), (8, 8)]
METHODS = ["auto", "cholesky", "pcg", "sparse", "lu", "auto gen"]


@pytest.mark.parametrize("path", sorted(REFERENCE.glob("sparse_eq_*.json")), ids=lambda p: p.stem)
def test_reference_solutions(path):
    case = {k: np.array(v) for k, v in json.loads(path.read_text()).items() if k != "source"}
    definite = "spd" in path.stem
    for method in ("auto", "lu", "sparse", *(("cholesky", "pcg") if definite else ())):
        found = solve_sparse_equation(
            case["A"], case["B"], case["C"], case["E"], method=method, tol=1e-15
        )
        assert largest_error(found.X, case["X"]) < 1e-12
        assert found.kind == "unique"
    assert largest_error(kronecker_solution(*(case[k] for k in "ABCE")), case["X"]) < 1e-12


def test_there_are_reference_solutions():
    assert len(list(REFERENCE.glob("sparse_eq_*.json"))) >= 3


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", MASKS)
def test_every_method_with_definite_matrices(kind, shape):
    rng = np.random.default_rng(len(kind) + shape[0])
    mask = np.array(MASKS[kind](*shape, rng), bool)
    A, B, C = definite(rng, shape[0]), definite(rng, shape[1]), rng.normal(size=shape)
    expected = twin(A, B, C, mask) if mask.any() else np.zeros(shape)
    pattern = as_pattern(mask)
    for method in METHODS:
        method, _, assumed = method.partition(" ")
        found = solve_sparse_equation(
            A, B, C, pattern, method=method, assume_a=assumed or "auto", tol=1e-15
        )
        np.testing.assert_allclose(found.X, expected, rtol=1e-9, atol=1e-11)
        np.testing.assert_array_equal(found.sparse.toarray(), found.X)
        assert (found.kind, found.rank) == ("unique", pattern.size)
        assert found.residual_norm < 1e-12
        assert found.rcond is None or 0.0 < found.rcond < 1.0 + 1e-12


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.floats(0.1, 1.0), st.integers(0, 2**32 - 1))
def test_general_matrices(n, o, share, seed):
    rng = np.random.default_rng(seed)
    mask = rng.uniform(size=(n, o)) < share
    A, B = rng.normal(size=(n, n)) + 3.0 * np.eye(n), rng.normal(size=(o, o)) + 3.0 * np.eye(o)
    C, pattern = rng.normal(size=(n, o)), as_pattern(mask)
    S = gather_matrix(pattern, A, B, symmetric=False)
    assume(not mask.any() or np.linalg.cond(S) < 1e6)
    expected = twin(A, B, C, mask) if mask.any() else np.zeros((n, o))
    np.testing.assert_allclose(kronecker_solution(A, B, C, mask), expected, atol=1e-9)
    for method in ("auto", "lu", "sparse"):
        found = solve_sparse_equation(A, B, C, mask, method=method)
        np.testing.assert_allclose(found.X, expected, atol=1e-8)
    x = pattern.gather(expected)
    np.testing.assert_allclose(product_entries(pattern, A, B, x), S @ x, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_diagonal_matrix_decouples_rows_or_columns(n, o, symmetric, seed):
    rng = np.random.default_rng(seed)
    mask = rng.uniform(size=(n, o)) < 0.5
    a = rng.choice([-1.0, 1.0], n) * rng.uniform(0.5, 2.0, n)
    B = definite(rng, o) if symmetric else rng.normal(size=(o, o)) + 4.0 * np.eye(o)
    C, A = rng.normal(size=(n, o)), np.diag(a)
    assume(mask.any() and np.linalg.cond(B) < 1e4)
    S = gather_matrix(as_pattern(mask), A, B, symmetric=False)
    assume(np.linalg.cond(S) < 1e6)
    expected = twin(A, B, C, mask)
    for given_A in (A, sparse.diags_array(a)):
        found = solve_sparse_equation(given_A, B, C, mask)
        assert found.method == "rows"
        np.testing.assert_allclose(found.X, expected, atol=1e-8)
    turned = solve_sparse_equation(B.T, A, C.T, mask.T, method="columns")
    np.testing.assert_allclose(turned.X, expected.T, atol=1e-8)


def test_the_order_of_indices_is_pinned():
    """S[p, q] = A[i, k] B[l, j]: B transposed. Of this pattern the other order differs."""
    A, B = np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([[1.0, 5.0], [0.0, 2.0]])
    pattern = as_pattern("full", (2, 2))
    S = gather_matrix(pattern, A, B, symmetric=False)
    np.testing.assert_array_equal(S, np.kron(B.T, A))
    assert not np.array_equal(S, np.kron(B, A))
    X = np.array([[1.0, 2.0], [3.0, 4.0]])
    for method in ("auto", "lu", "sparse"):
        found = solve_sparse_equation(A, B, A @ X @ B, pattern, method=method)
        np.testing.assert_allclose(found.X, X, atol=1e-12)


CHOICES = {
    "identity left": (np.eye(4), "dense", "random", "rows"),
    "identity right": ("dense", np.eye(4), "random", "columns"),
    "rectangle": ("dense", "dense", "rectangle", "product"),
    "diagonal": ("dense", "dense", "scattered", "hadamard"),
    "definite": ("dense", "dense", "random", "cholesky"),
    "general": ("skew", "dense", "random", "lu"),
    "indefinite": ("indefinite", "dense", "random", "lu"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_the_choice_of_a_method(case):
    rng = np.random.default_rng(3)
    A, B, kind, method = CHOICES[case]
    made = {"dense": definite(rng, 4), "indefinite": definite(rng, 4) - 2.0 * np.eye(4)}
    made["skew"] = made["dense"] + np.triu(np.ones((4, 4)), 1)
    A, B = (made[M] if isinstance(M, str) else M for M in (A, B))
    mask = np.array(MASKS[kind](4, 4, rng), bool)
    found = solve_sparse_equation(A, B, np.ones((4, 4)), mask)
    assert found.method == method
    np.testing.assert_allclose(found.X, twin(A, B, np.ones((4, 4)), mask), atol=1e-9)


def test_an_empty_pattern_has_the_solution_zero():
    found = solve_sparse_equation(np.eye(3), np.ones((2, 2)), np.ones((3, 2)), np.zeros((3, 2)))
    assert (found.kind, found.rank, found.residual_norm) == ("unique", 0, 0.0)
    np.testing.assert_array_equal(found.X, np.zeros((3, 2)))


def test_units_do_not_make_an_equation_singular():
    """Cholesky's factorisation does not see the units of rows and columns."""
    rng = np.random.default_rng(5)
    units = np.array([1e-9, 1e9, 1.0, 1e-5, 1e4])
    A, B = definite(rng, 5), definite(rng, 5)
    mask = MASKS["random"](5, 5, rng)
    X = rng.normal(size=(5, 5)) * mask
    C = A @ X @ B
    found = solve_sparse_equation(
        A * units * units[:, None], B, C * units[:, None], mask, method="cholesky"
    )
    np.testing.assert_allclose(found.X * units[:, None], X, atol=1e-12)
    assert found.method == "cholesky"


def test_several_threads_gather_the_same():
    rng = np.random.default_rng(6)
    A, B, C = definite(rng, 30), definite(rng, 20), rng.normal(size=(30, 20))
    mask = rng.uniform(size=(30, 20)) < 0.3
    for assumed in ("pos", "gen"):
        one, several = (
            solve_sparse_equation(A, B, C, mask, assume_a=assumed, parallel=parallel).X
            for parallel in (False, True)
        )
        np.testing.assert_allclose(one, several, atol=1e-12)
