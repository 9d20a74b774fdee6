"""Tridiagonal systems: right for every matrix, exchanges where they are needed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.linalg import tridiagonal_solve
from lmmfit.linalg._tridiagonal_kernels import tridiagonal_many, tridiagonal_one


def dense(lower, diag, upper):
    a = np.zeros((*np.shape(diag), np.shape(diag)[-1]))
    i = np.arange(a.shape[-1])
    a[..., i, i], a[..., i[1:], i[:-1]], a[..., i[:-1], i[1:]] = diag, lower, upper
    return a


def draw(seed, n, stack=()):
    rng = np.random.default_rng(seed)
    shapes = ((*stack, n - 1), (*stack, n), (*stack, n - 1))
    return [rng.standard_normal(shape) for shape in shapes]


def backward_error(a, x, b):
    x, b = (v if v.ndim == a.ndim else v[..., None] for v in (x, b))
    size = np.abs(a).sum(axis=-1).max() * np.abs(x).max() + np.abs(b).max()
    return np.abs(a @ x - b).max() / size


def textbook(lower, diag, upper, b):
    """The textbook's algorithm, line by line."""
    alpha, gamma, n = np.array(diag), np.concatenate([[0.0], lower]), len(diag)
    y, x = np.array(b), np.empty(n)
    for k in range(n - 1):
        gamma[k + 1] = gamma[k + 1] / alpha[k]
        alpha[k + 1] = alpha[k + 1] - gamma[k + 1] * upper[k]
    for k in range(1, n):
        y[k] = b[k] - gamma[k] * y[k - 1]
    x[n - 1] = y[n - 1] / alpha[n - 1]
    for k in range(n - 2, -1, -1):
        x[k] = (y[k] - upper[k] * x[k + 1]) / alpha[k]
    return x


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 14),
    shift=st.sampled_from([0.0, 0.5, 4.0]),
    columns=st.sampled_from([None, 1, 3]),
    stack=st.sampled_from([(), (4,), (2, 2)]),
)
def test_solves(seed, n, shift, columns, stack):
    lower, diag, upper = draw(seed, n, stack)
    diag = diag + shift
    b = np.random.default_rng(1).standard_normal((*diag.shape, columns or 1))
    b = b[..., 0] if columns is None else b
    for pivot in ("auto", True):
        x = tridiagonal_solve(lower, diag, upper, b, pivot=pivot)
        assert x.shape == b.shape
        a, x, right = dense(lower, diag, upper), x, b
        for index in np.ndindex(stack):
            assert backward_error(a[index], x[index], right[index]) < 1e-14 * n


@given(seed=st.integers(0, 10**6), n=st.integers(1, 30))
def test_the_textbooks_algorithm(seed, n):
    lower, diag, upper = draw(seed, n)
    diag = diag + 4.0 * np.sign(diag)
    b = np.random.default_rng(seed + 1).standard_normal(n)
    expected = textbook(lower, diag, upper, b)
    np.testing.assert_allclose(
        tridiagonal_solve(lower, diag, upper, b, pivot=False), expected, rtol=1e-12, atol=1e-13
    )
    many = tridiagonal_solve(lower, diag, upper, np.column_stack([b, b]), pivot=False)
    np.testing.assert_allclose(many, np.column_stack([expected, expected]), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 8, 9])
@pytest.mark.parametrize("columns", [None, 2])
def test_zero_pivots(n, columns):
    """A zero diagonal has an inverse for even n only."""
    lower, upper, b = np.ones(n - 1), 2.0 * np.ones(n - 1), np.ones((n, columns or 1))
    b = b[:, 0] if columns is None else b
    if n % 2:
        with pytest.raises(np.linalg.LinAlgError, match="tridiagonal matrix is singular"):
            tridiagonal_solve(lower, np.zeros(n), upper, b)
    else:
        x = tridiagonal_solve(lower, np.zeros(n), upper, b)
        assert backward_error(dense(lower, np.zeros(n), upper), x, b) < 1e-15
    with pytest.raises(np.linalg.LinAlgError, match=r'zero pivot: pass pivot="auto"'):
        tridiagonal_solve(lower, np.zeros(n), upper, b, pivot=False)


@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("columns", [None, 2])
def test_growth_is_noticed_wherever_it_happens(at, columns):
    n = 7
    lower, diag, upper = np.ones(n - 1), np.full(n, 3.0), np.ones(n - 1)
    tiny = diag.copy()
    tiny[at] = 1e-14 + (1.0 / 3.0 if at else 0.0)
    b = np.random.default_rng(0).standard_normal((n, columns or 1))
    b = b[:, 0] if columns is None else b
    x = tridiagonal_solve(lower, tiny, upper, b)
    assert backward_error(dense(lower, tiny, upper), x, b) < 1e-15


def test_one_bad_system_of_a_stack():
    lower, diag, upper = draw(0, 6, (5,))
    diag = diag + 5.0
    diag[3, 0] = 0.0
    b = np.ones((5, 6))
    x = tridiagonal_solve(lower, diag, upper, b)
    assert backward_error(dense(lower, diag, upper), x, b) < 1e-15
    diag[3], upper[3] = 0.0, 0.0
    with pytest.raises(np.linalg.LinAlgError, match=r"system \[3\] is singular"):
        tridiagonal_solve(lower, diag, upper, b)
    with pytest.raises(np.linalg.LinAlgError, match=r"zero pivot in system \[3\]"):
        tridiagonal_solve(lower, diag, upper, b, pivot=False)


@pytest.mark.parametrize("name", ["lower", "diag", "upper", "b"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 2, 5, 6])
@pytest.mark.parametrize("columns", [None, 2])
def test_what_is_not_finite_is_found(name, value, n, columns):
    """Nothing looks at the elements before the solution is there."""
    arguments = {"lower": np.zeros(n - 1), "diag": np.full(n, 3.0), "upper": np.zeros(n - 1),
                 "b": np.zeros(n) if columns is None else np.zeros((n, columns))}  # fmt: skip
    for k in range(len(arguments[name])):
        bad = {key: array.copy() for key, array in arguments.items()}
        bad[name][k] = value
        place = rf"{name}\[{k}" + (", 0" if name == "b" and columns else "")
        for pivot in ("auto", False, True):
            with pytest.raises(ValueError, match=rf"{place}\] is {value}"):
                tridiagonal_solve(**bad, pivot=pivot)


def test_extreme_sizes():
    for size in (1e-300, 1e-200, 1e200, 1e300):
        x = tridiagonal_solve([size], [3 * size, 3 * size], [size], [4 * size, 4 * size])
        np.testing.assert_allclose(x, [1.0, 1.0], rtol=1e-15)


def test_any_layout():
    lower, diag, upper = draw(2, 6, (4,))
    diag, b = diag + 4.0, np.ones((4, 6))
    expected = tridiagonal_solve(lower, diag, upper, b)
    for change in (np.asfortranarray, lambda a: a.tolist(), lambda a: a[::-1][::-1],
                   lambda a: np.repeat(a, 2, axis=0)[::2]):  # fmt: skip
        arguments = map(change, (lower, diag, upper, b))
        assert np.array_equal(tridiagonal_solve(*arguments), expected)
    for array in (lower, diag, upper, b):
        array.setflags(write=False)
    assert np.array_equal(tridiagonal_solve(lower, diag, upper, b), expected)
    single = [array.astype(np.float32) for array in (lower, diag, upper, b)]
    np.testing.assert_allclose(tridiagonal_solve(*single), expected, rtol=1e-5)
    assert tridiagonal_solve([1], [2, 3], [1], np.empty((2, 0))).shape == (2, 0)


@pytest.mark.parametrize(("arguments", "error", "message"), [
    (([], [], [], []), ValueError, "diag is empty"),
    (([1], 2.0, [1], [1]), ValueError, "diag must be an array"),
    (([1, 1], [2, 2], [1], [1, 1]), ValueError, r"lower must have one element less.*\(2,\)"),
    (([1], [2, 2], [1], [1, 1, 1]), ValueError, r"b must have the shape \(2\) or \(2, k\)"),
    (([1], [2, 2], [1j], [1, 1]), TypeError, "upper must hold real numbers"),
    (([1], [2, "x"], [1], [1, 1]), TypeError, "diag must hold real numbers"),
    (([1], [2, 2], [1], np.ma.masked_equal([1, 2], 2)), ValueError, "b has masked elements"),
])  # fmt: skip
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        tridiagonal_solve(*arguments)


def test_kernels_say_where_elements_grew():
    lower, diag, upper = np.ones((2, 4)), np.full((2, 5), 4.0), np.ones((2, 4))
    diag[1, 0] = 0.05
    x, ratios, grown = np.empty((2, 5)), np.empty(5), np.empty(2, bool)
    tridiagonal_one(lower, diag, upper, np.ones((2, 5)), x, ratios, grown)
    assert grown.tolist() == [False, False]  # 1 / 0.05 is 20, below 8 * 4
    diag[1, 0] = 0.02
    tridiagonal_one(lower, diag, upper, np.ones((2, 5)), x, ratios, grown)
    assert grown.tolist() == [False, True]
    many = np.ones((2, 5, 2))
    tridiagonal_many(lower, diag, upper, many, ratios, grown)
    assert grown.tolist() == [False, True]
