"""Plain matrices are read in one pass, others are converted and checked: the same comes out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg.lapack import dpocon

from lmmfit.gains import as_pattern, solve_sparse_equation
from lmmfit.gains._equation_kernels import describe, is_finite
from lmmfit.gains._factor_kernels import solve_and_estimate
from lmmfit.gains.equation_side import as_side
from lmmfit.gains.gathered import gather_matrix, gather_unit


def frozen(M):
    M = M.copy()
    M.flags.writeable = False
    return M


FORMS = {
    "fortran": np.asfortranarray,
    "list": np.ndarray.tolist,
    "read-only": frozen,
    "strided": lambda M: np.repeat(M, 2, 1)[:, ::2],
    "big-endian": lambda M: M.astype(">f8"),
    "sparse": sparse.csr_array,
}
rng = np.random.default_rng(11)
F, G = rng.normal(size=(5, 9)), rng.normal(size=(4, 8))
SPD, OTHER = F @ F.T, G @ G.T
SKEW, LOW = SPD + np.triu(np.ones((5, 5)), 1), F[:, :2] @ F[:, :2].T
SOME = np.array([[1, 0, 1, 0], [1, 0, 1, 1], [1, 1, 1, 0], [0, 0, 1, 1], [0, 1, 0, 0]], float)
SIDES = {
    "definite": (SPD, OTHER),
    "general": (SKEW, OTHER + np.tri(4, k=-1)),
    "indefinite": (SPD - 4.0 * np.eye(5), OTHER),
    "both negative": (-SPD, -OTHER),
    "singular": (LOW, OTHER),
    "diagonal left": (np.diag(np.arange(1.0, 6.0)), OTHER),
    "diagonal right": (SPD, np.diag([1.0, -1.0, 2.0, 3.0])),
    "nearly symmetric": (SPD * (1.0 + 1e-16 * np.tri(5)), OTHER),
    "zero": (np.zeros((5, 5)), OTHER),
}
PATTERNS = {"diagonal": np.eye(5, 4), "some": SOME, "full": np.ones((5, 4)), "none": 0.0 * SOME}
C = rng.normal(size=(5, 4))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chi", PATTERNS)
@pytest.mark.parametrize("sides", SIDES)
def test_the_same_solution_of_every_form(sides, chi, form):
    A, B = SIDES[sides]
    mask, turned = PATTERNS[chi], FORMS[form]
    for options in ({}, {"assume_a": "gen"}):
        quick, slow = (
            solve_sparse_equation(*given, if_singular="minimum-norm", **options)
            for given in ((A, B, C, mask), (turned(A), turned(B), turned(C), turned(mask)))
        )
        assert (quick.kind, quick.rank, quick.method) == (slow.kind, slow.rank, slow.method)
        np.testing.assert_allclose(quick.X, slow.X, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(quick.residual_norm, slow.residual_norm, rtol=1e-6, atol=1e-11)
        np.testing.assert_allclose(quick.rcond or 0.0, slow.rcond or 0.0, rtol=1e-6, atol=1e-15)


def wrong(M, entry, value):
    M = M.copy()
    M[entry] = value
    return M


REFUSED = {
    "NaN in A": (wrong(SPD, (1, 2), np.nan), OTHER, C, SOME),
    "inf in B": (SPD, wrong(OTHER, (3, 0), -np.inf), C, SOME),
    "inf in C": (SPD, OTHER, wrong(C, (4, 3), np.inf), SOME),
    "NaN in the pattern": (SPD, OTHER, C, wrong(SOME, (2, 1), np.nan)),
    "A not square": (C, OTHER, C, SOME),
    "no rows": (np.zeros((0, 0)), OTHER, C, SOME),
    "C": (SPD, OTHER, C.T.copy(), SOME),
    "pattern": (SPD, OTHER, C, SOME.T.copy()),
    "singular": (LOW, OTHER, C, SOME),
    "infinitely many": (LOW, OTHER, LOW @ SOME @ OTHER, SOME),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", REFUSED)
def test_the_same_refusal_of_every_form(case, form):
    messages = []
    for turned in (np.array, FORMS[form]):
        if case == "no rows" and turned is np.ndarray.tolist:
            continue  # a list without rows says nothing of columns
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            solve_sparse_equation(*map(turned, REFUSED[case]))
        messages.append((type(caught.value), str(caught.value)))
    assert messages[0] == messages[-1]


def test_what_is_given_stays_as_it_is():
    given = [M.copy() for M in (SPD, OTHER, C, SOME)]
    for method in ("auto", "cholesky", "pcg", "lu", "sparse"):
        solve_sparse_equation(*given, method=method)
    for M, before in zip(given, (SPD, OTHER, C, SOME), strict=True):
        np.testing.assert_array_equal(M, before)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 140), st.integers(0, 2**32 - 1))
def test_what_is_special_of_a_matrix(n, seed):
    """Beyond one tile too; a single element is enough to be otherwise."""
    rng = np.random.default_rng(seed)
    M = rng.normal(size=(n, n))
    M += M.T
    assert describe(M) == (True, n == 1, True)
    assert describe(np.diag(np.diagonal(M))) == (True, True, True)
    i, j = rng.integers(0, n, 2)
    largest = np.abs(M).max()
    for gap, symmetric in ((3e-15, True), (3e-14, i == j)):
        assert describe(wrong(M, (i, j), M[i, j] + gap * largest))[2] == symmetric
    single = wrong(np.eye(n), (i, j), 5e-324)
    assert describe(single)[1] == (i == j)
    for value in (np.nan, -np.nan, np.inf, -np.inf):
        assert describe(wrong(M, (i, j), value)) == (False, False, False)
        assert not is_finite(wrong(M, (i, j), value))
    assert is_finite(wrong(M, (i, j), -np.finfo(float).max))
    assert is_finite(np.zeros((0, 3)))


def test_a_sparse_side_is_special_of_the_same():
    for M in (SPD, SKEW, np.diag([1.0, 0.0, 2.0])):
        side, stored = as_side(M, "A"), as_side(sparse.coo_array(M), "A")
        assert (side.sparse, stored.sparse) == (False, True)
        assert side.symmetric == stored.symmetric
        assert (side.diagonal is None) == (stored.diagonal is None)
        np.testing.assert_array_equal(stored.full, side.full)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.floats(-10.0, 0.0), st.integers(0, 2**32 - 1))
def test_condition_is_estimated_as_lapack_does(m, exponent, seed):
    rng = np.random.default_rng(seed)
    M = rng.normal(size=(m, m))
    S = M @ M.T + 10.0**exponent * np.eye(m)
    U, norm, r = np.linalg.cholesky(S).T.copy(), np.abs(S).sum(0).max(), rng.normal(size=m)
    x = r.copy()
    rcond = solve_and_estimate(U, np.ones(m), norm, x)
    np.testing.assert_allclose(rcond, dpocon(U, norm)[0], rtol=1e-4)
    assert np.linalg.norm(S @ x - r) <= 1e-13 * m * np.linalg.norm(S) * np.linalg.norm(x)


def test_scaled_to_a_diagonal_of_ones():
    pattern = as_pattern(SOME)
    expected = gather_matrix(pattern, SPD, OTHER, symmetric=False)
    d = 1.0 / np.sqrt(expected.diagonal())
    expected *= d * d[:, None]
    for sign in (1.0, -1.0):
        S, scale, norm = gather_unit(pattern, sign * SPD, sign * OTHER)
        np.testing.assert_allclose(np.triu(S), np.triu(expected), atol=1e-14)
        np.testing.assert_allclose(scale, d, rtol=1e-14)
        np.testing.assert_allclose(norm, np.abs(expected).sum(0).max(), rtol=1e-14)
    assert gather_unit(pattern, SPD, -OTHER)[0] is None
