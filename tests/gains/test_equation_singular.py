"""Equations with no solution or infinitely many, and what is refused."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from lmmfit.gains import SingularEquationError, as_pattern, solve_sparse_equation
from lmmfit.gains.gathered import gather_matrix


def minimum_norm(A, B, C, mask):
    pattern = as_pattern(mask)
    S, r = gather_matrix(pattern, A, B, symmetric=False), pattern.gather(C)
    x = np.linalg.pinv(S, rcond=1e-12) @ r
    return pattern.dense(x), np.linalg.matrix_rank(S), np.abs(S @ x - r).max(initial=0.0) < 1e-9


rng = np.random.default_rng(0)
F, G = rng.normal(size=(4, 2)), rng.normal(size=(3, 3)) + 3.0 * np.eye(3)
LOW, LOOSE = F @ F.T, np.diag([1.0, 0.0, 2.0, -1.0])
SKEW = LOW + F @ [[0.0, 1.0], [-1.0, 0.0]] @ F.T
FULL, SOME = np.ones((4, 3)), np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1], [0, 0, 1]])
CASES = {
    "rows": (LOOSE, G, SOME, "rows"),
    "rows of a singular matrix": (np.diag([1.0, 2.0, 3.0, 4.0]), G[:, :1] @ G[:1], SOME, "rows"),
    "columns": (LOW, np.diag([1.0, -1.0, 2.0]), SOME, "columns"),
    "zero columns": (LOW + np.eye(4), np.diag([1.0, 0.0, 0.0]), SOME, "columns"),
    "product": (LOW, G, FULL, "product"),
    "product of two": (SKEW, G[:, :1] @ G[1:2], FULL, "product"),
    "semidefinite": (LOW, G @ G.T, SOME, "cholesky"),
    "general": (SKEW, G, SOME, "lu"),
    "hadamard": (
        np.ones((4, 4)), np.ones((3, 3)), np.eye(4, 3), "hadamard"
    ),
    "zero": (np.zeros((4, 4)), G, SOME, "rows"),
}  # fmt: skip


@pytest.mark.parametrize("solvable", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_three_kinds(case, solvable):
    A, B, mask, method = CASES[case]
    X0 = np.arange(1.0, 13.0).reshape(4, 3) * mask
    C = A @ X0 @ B if solvable else np.cos(np.arange(12.0)).reshape(4, 3)
    expected, rank, consistent = minimum_norm(A, B, C, mask)
    assert consistent == solvable
    kind = "infinitely many" if solvable else "none"
    for way in ("auto", "lu", "sparse"):
        with pytest.raises(SingularEquationError) as caught:
            solve_sparse_equation(A, B, C, mask, method=way)
        error = caught.value
        assert (error.kind, error.rank, error.size) == (kind, rank, np.count_nonzero(mask))
        i, j = error.entry
        assert mask[i, j]
        assert f"rank {rank} for the {error.size} entries" in str(error)
        assert f"X[{i}, {j}]" in str(error)
        assert ("no solution" in str(error)) != solvable
        found = solve_sparse_equation(A, B, C, mask, method=way, if_singular="minimum-norm")
        assert (found.kind, found.rank) == (kind, rank)
        assert found.method == ("lu" if method == "cholesky" else method) or way != "auto"
        np.testing.assert_allclose(found.X, expected, atol=1e-9)
        assert (found.residual_norm < 1e-10) == solvable


def test_the_entry_that_is_not_determined():
    A = np.diag([1.0, 0.0, 2.0])
    for method in ("rows", "lu", "sparse", "product"):
        with pytest.raises(SingularEquationError) as caught:
            solve_sparse_equation(A, np.eye(2), np.ones((3, 2)), "full", method=method)
        assert caught.value.entry[0] == 1
        assert pickle.loads(pickle.dumps(caught.value)).entry == caught.value.entry


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_rank_and_minimum_norm_of_small_whole_numbers(n, o, largest, seed):
    """Small whole numbers are singular often, and far from it otherwise."""
    rng = np.random.default_rng(seed)
    A, B = rng.integers(-largest, largest + 1, (n, n)), rng.integers(-1, 2, (o, o))
    C, mask = rng.integers(-2, 3, (n, o)), rng.uniform(size=(n, o)) < 0.6
    expected, rank, consistent = minimum_norm(A, B, C, mask)
    for method in ("auto", "lu", "sparse"):
        found = solve_sparse_equation(A, B, C, mask, method=method, if_singular="minimum-norm")
        assert found.rank == rank
        unique = rank == np.count_nonzero(mask)
        assert found.kind == ("unique" if unique else "infinitely many" if consistent else "none")
        np.testing.assert_allclose(found.X, expected, atol=1e-8)


def test_a_large_singular_sparse_equation_is_refused_without_its_rank():
    A = sparse.diags_array(np.r_[np.ones(3999), 0.0])
    with pytest.raises(SingularEquationError, match="too large to find its rank") as caught:
        solve_sparse_equation(A, sparse.eye_array(4000), A, "diag", method="sparse")
    assert (caught.value.kind, caught.value.rank, caught.value.size) == (None, None, 4000)


I2, ONE = np.eye(2), np.ones((2, 2))
DENSE = np.array([[2.0, 0.5], [0.5, 1.0]])
TILTED = np.array([[1.0, 0.3], [0.0, 1.0]])
REFUSED = {
    "A not square": ((np.ones((2, 3)), I2, ONE, "full"), {}, r"A must be a square .* \(2, 3\)"),
    "B not square": ((I2, np.ones(2), ONE, "full"), {}, r"B must be a square .* \(2,\)"),
    "C": ((I2, I2, np.ones((2, 3)), "full"), {}, r"C must have shape \(2, 2\), got \(2, 3\)"),
    "pattern": ((I2, I2, ONE, [[1]]), {}, r"pattern must have shape \(2, 2\), got \(1, 1\)"),
    "NaN": ((np.array([[1.0, np.nan], [0, 1]]), I2, ONE, "full"), {}, r"A\[0, 1\] is nan"),
    "inf": ((I2, np.diag([1.0, np.inf]), ONE, "full"), {}, r"B\[1, 1\] is inf"),
    "sparse NaN": ((I2, I2, sparse.csr_array([[0, 1], [np.nan, 0]]), "full"), {}, r"C\[1, 0\]"),
    "NaN in pattern": ((I2, I2, ONE, ONE * np.nan), {}, r"pattern is nan at \[0, 0\]"),
    "asymmetric": ((TILTED, I2, ONE, "full"), {"assume_a": "pos"}, r"A\[0, 1\] is 0.3 and A"),
    "indefinite": ((I2, -DENSE, ONE, "full"), {"assume_a": "pos"}, "B must be positive definite"),
    "cholesky": ((TILTED, I2, ONE, "full"), {"method": "cholesky"}, "A must be symmetric"),
    "pcg": ((DENSE - 2 * I2, I2, ONE, "full"), {"method": "pcg"}, "A must be positive definite"),
    "zero on a diagonal": ((I2, 0 * I2, ONE, "full"), {"assume_a": "pos"}, "eigenvalue is 0"),
    "rows": ((TILTED, I2, ONE, "full"), {"method": "rows"}, r"diagonal A: A\[0, 1\] is 0.3"),
    "columns": ((I2, TILTED, ONE, "full"), {"method": "columns"}, r"diagonal B: B\[0, 1\] is 0.3"),
    "product": ((I2, I2, ONE, I2), {"method": "product"}, "all of some rows times columns"),
    "hadamard": ((I2, I2, ONE, ONE), {"method": "hadamard"}, "at most one entry in a row"),
    "gen": ((I2, I2, ONE, I2), {"method": "pcg", "assume_a": "gen"}, "not 'gen'"),
    "method": ((I2, I2, ONE, I2), {"method": "qr"}, "method='qr' is none of auto, rows"),
    "assume_a": ((I2, I2, ONE, I2), {"assume_a": "sym"}, "assume_a='sym' is none of auto, pos"),
    "if_singular": ((I2, I2, ONE, I2), {"if_singular": "warn"}, "if_singular='warn' is none"),
    "tol": ((I2, I2, ONE, I2), {"tol": 0.0}, "tol must be between 0 and 1"),
    "max_iter": ((I2, I2, ONE, I2), {"max_iter": 0}, "max_iter must be a whole number"),
    "text": (([["a"]], [[1.0]], [[1.0]], "full"), {}, "A must hold real numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    positional, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        solve_sparse_equation(*positional, **options)


def test_whole_numbers_are_as_good():
    """Lists of whole numbers, such as one writes by hand."""
    found = solve_sparse_equation([[2, 0], [1, 1]], [[1]], [[4], [5]], [[1], [1]])
    np.testing.assert_allclose(found.X, [[2.0], [3.0]], atol=1e-14)
