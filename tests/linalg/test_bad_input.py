"""Every function of the package against what it cannot use: an error that says what and where."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csc_array

from lmmfit.linalg import (
    banded_cholesky,
    banded_lu,
    cholesky,
    condition_number,
    diagnose_design,
    iterative_refinement,
    ldl,
    least_squares,
    lu,
    perturbation_bound,
    qr,
    solve_with_bounds,
)

ONES = np.ones(3)
FUNCTIONS = {
    "lu": lu,
    "lu, not pivoted": lambda A: lu(A, pivot=False),
    "ldl": ldl,
    "ldl, pivoted": lambda A: ldl(A, pivot=True),
    "cholesky": cholesky,
    "qr": qr,
    "condition_number": condition_number,
    "condition_number, 1": lambda A: condition_number(A, 1),
    "condition_number, exact": lambda A: condition_number(A, np.inf, exact=True),
    "perturbation_bound": lambda A: perturbation_bound(A, ONES),
    "solve_with_bounds": lambda A: solve_with_bounds(A, ONES),
    "iterative_refinement": lambda A: iterative_refinement(A, ONES),
    "least_squares": lambda A: least_squares(A, ONES),
    "least_squares, svd": lambda A: least_squares(A, ONES, method="svd"),
    "diagnose_design": diagnose_design,
}
SQUARE = [
    name
    for name in FUNCTIONS
    if name.split(",")[0]
    not in ("qr", "condition_number", "solve_with_bounds", "least_squares", "diagnose_design")
]
STACKS = ("lu", "lu, not pivoted", "ldl", "ldl, pivoted", "cholesky")
SPARSE = ("lu", "lu, not pivoted", "least_squares", "condition_number", "condition_number, 1",
          "condition_number, exact", "least_squares, svd")  # fmt: skip


def put(value, at=(1, 2)):
    a = np.eye(3) * 2.0
    a[at] = a[at[::-1]] = value
    return a


@pytest.fixture(params=FUNCTIONS)
def name(request):
    return request.param


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_not_finite(name, value, dtype):
    for order in "CF":
        with pytest.raises(
            ValueError, match=rf"A\[1, 2\] is {value}: all elements must be finite"
        ):
            FUNCTIONS[name](np.array(put(value), dtype=dtype, order=order))


@pytest.mark.parametrize(("a", "error", "message"), [
    (np.ones(3), ValueError, r"must be a matrix \(m, n\).*\(3,\)"),
    (1.0, ValueError, r"must be a matrix \(m, n\).*\(\)"),
    (np.empty((0, 0)), ValueError, "A is empty"),
    (np.empty((0, 3)), ValueError, "A is empty|square"),
    ([[1.0, 2.0], [3.0]], ValueError, "not a rectangular array"),
    (np.eye(3) * 1j, TypeError, "A is complex"),
    (np.array([["a", "b"], ["c", "d"]]), TypeError, "A must hold numbers"),
    (np.array([[1, None], [2, 3]], dtype=object), ValueError, r"A\[0, 1\] is nan"),
    (np.array([[1, "x"], [2, 3]], dtype=object), TypeError, "A must hold real numbers"),
    (np.array([["2026-01-01"]], dtype="M8[D]"), TypeError, "A must hold numbers"),
    (np.ma.masked_equal(np.eye(3), 0.0), ValueError, "A has masked elements"),
    (None, (TypeError, ValueError), "A must"),
], ids=lambda value: None)  # fmt: skip
def test_not_a_matrix(name, a, error, message):
    with pytest.raises(error, match=message):
        FUNCTIONS[name](a)


@pytest.mark.parametrize("name", SQUARE)
def test_not_square(name):
    with pytest.raises(ValueError, match=r"A must be square; its shape is \(3, 2\)"):
        FUNCTIONS[name](np.ones((3, 2)))


def test_stacks(name):
    stack = np.broadcast_to(np.eye(3), (2, 3, 3))
    if name in STACKS and name != "ldl, pivoted":
        assert FUNCTIONS[name](stack).shape == (2, 3, 3)
    else:
        with pytest.raises(ValueError, match=r"must be a matrix|one matrix at a time"):
            FUNCTIONS[name](stack)


def test_sparse(name):
    if name in SPARSE:
        return
    with pytest.raises(TypeError, match=r"A is a sparse matrix.*A.toarray\(\)"):
        FUNCTIONS[name](csc_array(np.eye(3)))


def test_integers_booleans_and_lists(name):
    a = np.array([[4, 1, 0], [1, 3, 1], [0, 1, 2]])
    expected = repr(FUNCTIONS[name](a.astype(float)))
    assert repr(FUNCTIONS[name](a)) == expected
    assert repr(FUNCTIONS[name](a.tolist())) == expected
    assert repr(FUNCTIONS[name](a.astype(np.uint8))) == expected
    assert FUNCTIONS[name](np.eye(3, dtype=bool)) is not None


def test_nothing_is_changed(name):
    for order in "CF":
        a = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]], order=order)
        before = a.copy()
        FUNCTIONS[name](a)
        assert np.array_equal(a, before)
        with pytest.raises((ValueError, np.linalg.LinAlgError)):
            FUNCTIONS[name](a * np.nan)


EYE = np.eye(3)


@pytest.mark.parametrize("factor", [
    lu(EYE), cholesky(EYE), ldl(EYE), qr(EYE), ldl(EYE, pivot=True), lu(csc_array(EYE)),
    banded_lu(np.ones((1, 3)), 0, 0), banded_cholesky(np.ones((1, 3))),
], ids=lambda f: type(f).__name__)  # fmt: skip
def test_right_hand_sides(factor):
    for b in (np.ones(4), np.ones((4, 2)), np.ones((3, 2, 2)), np.float64(1.0)):
        with pytest.raises(ValueError, match=r"b must have the shape \(3,\) or \(3, k\)"):
            factor.solve(b)
    with pytest.raises(ValueError, match=r"b\[1\] is nan"):
        factor.solve([1.0, np.nan, 1.0])
    with pytest.raises(ValueError, match=r"b\[2, 0\] is inf"):
        factor.solve([[1.0], [1.0], [np.inf]])
    with pytest.raises(TypeError, match="b is complex"):
        factor.solve(np.ones(3) * 1j)
    with pytest.raises(TypeError, match="b is a sparse matrix"):
        factor.solve(csc_array(np.eye(3)))
    assert np.array_equal(factor.solve([1, 2, 3]), [1.0, 2.0, 3.0])
    if hasattr(factor, "condition"):
        with pytest.raises(ValueError, match="norm must be one of"):
            factor.condition("frobenius")
    assert type(factor).__name__ in repr(factor)


def test_unknown_names():
    import lmmfit.linalg

    with pytest.raises(AttributeError, match="has no attribute 'gauss'"):
        lmmfit.linalg.gauss  # noqa: B018
    assert "lu" in dir(lmmfit.linalg)


class TestSparseLU:
    @pytest.mark.parametrize("pivot", [True, False])
    def test_like_dense(self, pivot):
        rng = np.random.default_rng(0)
        a = np.where(rng.random((30, 30)) < 0.15, rng.standard_normal((30, 30)), 0.0)
        a += 6.0 * np.eye(30)
        factor, b = lu(csc_array(a), pivot=pivot), rng.standard_normal((30, 2))
        np.testing.assert_allclose(factor.reconstruct().toarray(), a, atol=1e-13)
        product = (factor.L @ factor.U).toarray()
        rows, columns = factor.permutation, factor.column_permutation
        np.testing.assert_allclose(product, a[np.ix_(rows, columns)], atol=1e-13)
        np.testing.assert_allclose(factor.solve(b), np.linalg.solve(a, b), rtol=1e-9)
        np.testing.assert_allclose(
            factor.solve(b[:, 0], transposed=True), np.linalg.solve(a.T, b[:, 0]), rtol=1e-9
        )
        sign, logarithm = np.linalg.slogdet(a)
        assert (factor.sign, factor.logdet()) == (sign, pytest.approx(logarithm))
        for norm in (1, np.inf):
            truth = np.linalg.cond(a, norm)
            assert truth / 6 <= factor.condition(norm) <= truth * (1 + 1e-9)
            assert condition_number(csc_array(a), norm) == pytest.approx(truth, rel=0.9)
        assert factor.growth_factor >= np.abs(factor.U.toarray()).max() / np.abs(a).max() - 1e-12

    def test_sign_of_permutations(self):
        for seed in range(20):
            order = np.random.default_rng(seed).permutation(7)
            a = np.eye(7)[order] * np.arange(1.0, 8.0)
            assert lu(csc_array(a)).sign == np.linalg.slogdet(a)[0]

    def test_bad_input(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(np.linalg.LinAlgError, match="A is singular"):
                lu(csc_array(np.ones((3, 3))))
        with pytest.raises(ValueError, match="A must be square"):
            lu(csc_array(np.ones((3, 2))))
        with pytest.raises(ValueError, match=r"A\[2, 1\] is inf"):
            lu(csc_array([[1.0, 0, 0], [0, 1, 0], [0, np.inf, 1]]))
        with pytest.raises(TypeError, match="complex"):
            lu(csc_array(np.eye(3) * 1j))
        with pytest.raises(ValueError, match="A is empty"):
            lu(csc_array((0, 0)))
        with pytest.raises(ValueError, match="norms 1 and inf only"):
            condition_number(csc_array(np.eye(3)), 2)
        assert condition_number(csc_array(np.ones((2, 2))), 1) == np.inf
