"""Band storage and factors in the band, against the dense routines."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import diags_array

from lmmfit.linalg import (
    NotPositiveDefiniteError,
    banded_cholesky,
    banded_lu,
    from_band,
    to_band,
)

cases = st.tuples(st.integers(1, 12), st.integers(0, 4), st.integers(0, 4), st.integers(0, 10**6))


def band(a, lower, upper):
    return np.triu(np.tril(a, upper), -lower)


def draw(case, stack=(), dominant=False):
    """A random band matrix, its storage, and its bandwidths (which may exceed the order)."""
    n, lower, upper, seed = case
    a = band(np.random.default_rng(seed).standard_normal((*stack, n, n)), lower, upper)
    a += (2.0 * (lower + upper + 1) if dominant else 0.0) * np.eye(n)
    return a, to_band(a, lower, upper), lower, upper


class TestStorage:
    @given(case=cases)
    def test_round_trip(self, case):
        a, stored, lower, upper = draw(case, (2,))
        assert stored.shape == (2, lower + upper + 1, a.shape[-1])
        assert np.array_equal(from_band(stored, lower, upper), a)

    @given(case=cases)
    def test_is_that_of_scipy(self, case):
        a, stored, lower, upper = draw(case, dominant=True)
        b = np.ones(len(a))
        n = len(a)
        lower, upper = min(lower, n - 1), min(upper, n - 1)
        stored = to_band(a, lower, upper)
        x = scipy.linalg.solve_banded((lower, upper), stored, b)
        np.testing.assert_allclose(a @ x, b, atol=1e-12)

    def test_finds_the_bandwidths(self):
        a = diags_array([1.0, 2.0, 3.0], offsets=[-2, 0, 1], shape=(5, 5))
        assert to_band(a).shape == (4, 5)
        assert np.array_equal(to_band(a), to_band(a.toarray()))
        assert to_band(np.zeros((3, 3))).shape == (1, 3)

    def test_corners_are_not_read(self):
        a, stored, lower, upper = draw((5, 2, 1, 0), dominant=True)
        outside = from_band(np.ones_like(stored), lower, upper)
        stored[to_band(outside, lower, upper) == 0.0] = np.nan
        for pivot in (True, False):
            x = banded_lu(stored, lower, upper, pivot=pivot).solve(np.ones(5))
            np.testing.assert_allclose(a @ x, np.ones(5))
        assert np.array_equal(from_band(stored, lower, upper), a)

    def test_bad_input(self):
        with pytest.raises(
            ValueError, match="1 diagonals below the main one and 0 above; lower is 0"
        ):
            to_band([[1.0, 0.0], [1.0, 1.0]], 0, 0)
        with pytest.raises(
            ValueError, match=r"shape \(..., lower \+ upper \+ 1, n\), here \(..., 3"
        ):
            banded_lu(np.ones((2, 4)), 1, 1)
        with pytest.raises(ValueError, match="lower must not be negative; got -1"):
            banded_lu(np.ones((2, 4)), -1, 1)
        with pytest.raises(TypeError, match=r"upper must be a number of diagonals; got 1.5"):
            banded_lu(np.ones((2, 4)), 0, 1.5)
        with pytest.raises(ValueError, match=r"AB\[1, 2\] is nan"):
            banded_lu([[0, 1, 1], [1, 1, np.nan], [1, 1, 0]], 1, 1)
        with pytest.raises(TypeError, match="AB must hold numbers"):
            banded_lu([["a", "b"]], 0, 0)
        with pytest.raises(TypeError, match="complex"):
            banded_lu(np.ones((1, 3)) * 1j, 0, 0)
        with pytest.raises(ValueError, match="must be square"):
            to_band(np.ones((2, 3)))


class TestLU:
    @given(case=cases, pivot=st.booleans(), stacked=st.booleans())
    def test_like_dense(self, case, pivot, stacked):
        a, stored, lower, upper = draw(case, (3,) if stacked else (), dominant=not pivot)
        n = a.shape[-1]
        if not np.linalg.matrix_rank(a).min() == n or np.linalg.cond(a).max() > 1e6:
            return
        factor = banded_lu(stored, lower, upper, pivot=pivot)
        assert factor.upper_of_u == (lower + upper if pivot else upper)
        np.testing.assert_allclose(factor.reconstruct(), stored, atol=1e-12)
        sign, logarithm = np.linalg.slogdet(a)
        np.testing.assert_allclose(factor.logdet(), logarithm, rtol=1e-9, atol=1e-9)
        assert np.array_equal(factor.sign, sign)
        b = np.random.default_rng(0).standard_normal((*a.shape[:-1], 2))
        atol = 1e-10 * np.linalg.cond(a).max()
        np.testing.assert_allclose(a @ factor.solve(b), b, atol=atol)
        np.testing.assert_allclose(
            np.swapaxes(a, -1, -2) @ factor.solve(b, transposed=True), b, atol=atol
        )
        np.testing.assert_allclose(factor.solve(b[..., 0]), factor.solve(b)[..., 0])
        inverse = np.linalg.inv(a)
        np.testing.assert_allclose(
            from_band(factor.inverse_band(), lower, upper), band(inverse, lower, upper),
            atol=1e-12 * np.linalg.cond(a).max() * np.abs(inverse).max(),
        )  # fmt: skip
        for norm in (1, np.inf):
            truth = np.linalg.cond(a, norm)
            assert (factor.condition(norm) <= truth * (1 + 1e-9)).all()
            assert (factor.condition(norm) >= truth / 6).all()

    @pytest.mark.parametrize(("lower", "upper"), [(3, 3), (4, 0), (7, 2), (30, 45)])
    def test_lapack_and_loops_agree(self, lower, upper):
        """One matrix goes to LAPACK, a stack to the kernel."""
        a, stored, *_ = draw((90, lower, upper, 1))
        a = a + np.eye(90)
        stored = to_band(a, lower, upper)
        one, two = banded_lu(stored, lower, upper), banded_lu(stored[None], lower, upper)
        np.testing.assert_allclose(one.packed, two.packed[0], rtol=1e-9, atol=1e-11)
        assert np.array_equal(one.pivots, two.pivots[0])
        b = np.random.default_rng(1).standard_normal((90, 3))
        for transposed in (False, True):
            x, y = one.solve(b, transposed=transposed), two.solve(b[None], transposed=transposed)
            np.testing.assert_allclose(x, y[0], rtol=1e-7, atol=1e-9 * np.abs(x).max())
        np.testing.assert_allclose(one.inverse_band(), two.inverse_band()[0], rtol=1e-6,
                                   atol=1e-9 * np.abs(one.inverse_band()).max())  # fmt: skip

    def test_multipliers_and_u_without_pivoting(self):
        a, stored, *_ = draw((6, 2, 1, 2), dominant=True)
        factor = banded_lu(stored, 2, 1, pivot=False)
        lower = from_band(np.vstack([np.ones((1, 6)), factor.multipliers]), 2, 0)
        np.testing.assert_allclose(lower @ from_band(factor.U, 0, 1), a, atol=1e-13)

    def test_growth(self, matrices):
        factor = banded_lu(to_band(matrices.wilkinson(8)), 7, 7)
        assert factor.growth_factor == 2.0**7
        assert banded_lu(np.zeros((1, 3)), 0, 0).growth_factor == 1.0

    def test_singular(self):
        stored = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]], [[0, 1], [2, 2], [1, 0]]])
        factor = banded_lu(stored, 1, 1)
        assert np.array_equal(np.isinf(factor.logdet()), [True, False])
        assert factor.condition()[0] == np.inf
        with pytest.raises(np.linalg.LinAlgError, match=r"matrix \[0\] of the stack is singular"):
            factor.solve(np.ones((2, 2)))
        with pytest.raises(np.linalg.LinAlgError, match=r"A is singular: U\[1, 1\]"):
            banded_lu(stored[0], 1, 1).inverse_band()
        with pytest.raises(np.linalg.LinAlgError, match="leading minor of order 1 is zero"):
            banded_lu([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]], 1, 1, pivot=False)

    def test_memory_and_time_grow_with_n_only(self):
        """Half a million rows would need terabytes if anything were dense."""
        n = 500_000
        stored = np.ones((4, n))
        stored[1] = 8.0
        factor = banded_lu(stored, 2, 1)
        x = factor.solve(np.ones(n))
        assert factor.packed.shape == (n, 6)
        assert 8 * x[5] + x[6] + x[4] + x[3] == pytest.approx(1.0)
        assert factor.inverse_band().shape == (4, n)
        assert factor.condition() < 10.0


class TestCholesky:
    @given(case=cases, stacked=st.booleans())
    def test_like_dense(self, case, stacked):
        n, lower, _, seed = case
        stack = (3,) if stacked else ()
        root = band(np.random.default_rng(seed).standard_normal((*stack, n, n)), 0, lower)
        a = np.swapaxes(root, -1, -2) @ root + 0.5 * np.eye(n)
        upper_half = to_band(np.triu(a), 0, lower)
        factor = banded_cholesky(upper_half)
        again = banded_cholesky(to_band(np.tril(a), lower, 0), lower=True)
        assert np.array_equal(factor.packed, again.packed)
        np.testing.assert_allclose(
            from_band(factor.U, 0, lower), np.swapaxes(np.linalg.cholesky(a), -1, -2), atol=1e-12
        )
        np.testing.assert_allclose(factor.reconstruct(), upper_half, atol=1e-12)
        np.testing.assert_allclose(factor.logdet(), np.linalg.slogdet(a)[1], atol=1e-10)
        assert np.all(factor.sign == 1.0)
        b = np.random.default_rng(0).standard_normal((*a.shape[:-1], 2))
        expected = np.linalg.solve(a, b)
        np.testing.assert_allclose(factor.solve(b), expected, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(
            factor.solve(b, transposed=True), expected, rtol=1e-8, atol=1e-10
        )
        z = factor.half_solve(b)
        np.testing.assert_allclose(
            np.swapaxes(z, -1, -2) @ z, np.swapaxes(b, -1, -2) @ expected, rtol=1e-8, atol=1e-10
        )
        np.testing.assert_allclose(factor.half_solve(b[..., 0]), z[..., 0])
        np.testing.assert_allclose(
            from_band(factor.inverse_band(), 0, lower), band(np.linalg.inv(a), 0, lower),
            rtol=1e-8, atol=1e-10,
        )  # fmt: skip
        truth = np.linalg.cond(a, 1)
        assert (factor.condition() <= truth * (1 + 1e-9)).all()
        assert (factor.condition(np.inf) >= truth / 6).all()

    @pytest.mark.parametrize("width", [3, 40])
    def test_lapack_and_loops_agree(self, width):
        rng = np.random.default_rng(width)
        root = band(rng.standard_normal((70, 70)), 0, width) + 9.0 * np.eye(70)
        stored = to_band(np.triu(root.T @ root), 0, width)
        one, two = banded_cholesky(stored), banded_cholesky(stored[None])
        np.testing.assert_allclose(one.packed, two.packed[0], rtol=1e-10, atol=1e-11)
        b = rng.standard_normal((70, 2))
        np.testing.assert_allclose(one.solve(b), two.solve(b[None])[0], rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("width", [1, 5])
    @pytest.mark.parametrize("stack", [(), (2,)])
    def test_says_where_definiteness_fails(self, width, stack):
        stored = np.zeros((*stack, width + 1, 9))
        stored[..., -1, :] = 4.0
        stored[..., -2, 1:] = 1.0
        stored[..., -1, 6] = -2.0
        with pytest.raises(NotPositiveDefiniteError) as caught:
            banded_cholesky(stored)
        dense = from_band(stored.reshape(-1, width + 1, 9)[0], 0, width)
        dense = (dense + np.triu(dense, 1).T)[:7, :7]
        pivot = np.linalg.det(dense) / np.linalg.det(dense[:6, :6])
        assert caught.value.minor == 7
        assert caught.value.pivot == pytest.approx(pivot)
        assert caught.value.smallest_eigenvalue == pytest.approx(np.linalg.eigvalsh(dense)[0])
        assert ("matrix [0] of the stack" in str(caught.value)) == bool(stack)
