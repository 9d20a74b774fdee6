"""Stacks of small matrices: each as if it were alone."""

import numpy as np
import pytest

from lmmfit.linalg import NotPositiveDefiniteError, cholesky, ldl, lu


@pytest.fixture(params=[(1,), (7,), (2, 3)], ids=str)
def stack(request):
    return np.random.default_rng(1).standard_normal((*request.param, 4, 4))


def definite(stack):
    return stack @ np.swapaxes(stack, -1, -2) + 0.1 * np.eye(stack.shape[-1])


def each(function, *stacks):
    """Apply a function matrix by matrix."""
    shape = stacks[0].shape[:-2]
    results = [function(*(s[index] for s in stacks)) for index in np.ndindex(shape)]
    return np.array(results).reshape(*shape, *np.shape(results[0]))


@pytest.mark.parametrize("kind", ["lu", "ldl", "cholesky"])
class TestLikeSingles:
    def make(self, kind, stack):
        factorise = {"lu": lu, "ldl": ldl, "cholesky": cholesky}[kind]
        a = stack if kind == "lu" else definite(stack)
        return factorise, a, factorise(a)

    def test_an_empty_one_is_refused(self, kind, stack):
        factorise, a, _ = self.make(kind, stack)
        with pytest.raises(ValueError, match="A is empty"):
            factorise(a[..., :0, :0])

    def test_numbers(self, kind, stack):
        _, a, factor = self.make(kind, stack)
        assert factor.shape == a.shape
        np.testing.assert_allclose(factor.reconstruct(), a, atol=1e-13)
        np.testing.assert_allclose(factor.logdet(), np.linalg.slogdet(a)[1], rtol=1e-10)
        assert np.array_equal(factor.sign, np.linalg.slogdet(a)[0])
        for norm in (1, np.inf):
            np.testing.assert_allclose(factor.condition(norm), np.linalg.cond(a, norm), rtol=1e-8)
            np.testing.assert_allclose(factor.norms[norm], np.linalg.norm(a, norm, axis=(-2, -1)))
        assert str(factor.shape) in repr(factor)

    @pytest.mark.parametrize("columns", [None, 1, 3, 0])
    @pytest.mark.parametrize("transposed", [False, True])
    def test_solve(self, kind, stack, columns, transposed):
        _, a, factor = self.make(kind, stack)
        shape = a.shape[:-1] if columns is None else (*a.shape[:-1], columns)
        b = np.random.default_rng(2).standard_normal(shape)
        x = factor.solve(b, transposed=transposed)
        m = np.swapaxes(a, -1, -2) if transposed else a
        product = (m @ x[..., None])[..., 0] if columns is None else m @ x
        np.testing.assert_allclose(product, b, atol=1e-10)

    def test_parts_are_those_of_singles(self, kind, stack):
        factorise, a, factor = self.make(kind, stack)
        names = {"lu": "LU", "ldl": "LD", "cholesky": "U"}[kind]
        for name in names:
            singles = each(lambda m, name=name: getattr(factorise(m), name), a)
            np.testing.assert_allclose(getattr(factor, name), singles, atol=1e-12)


class TestLU:
    def test_growth_and_permutation(self, matrices):
        a = np.array([matrices.wilkinson(5), np.eye(5)[::-1]])
        factor = lu(a)
        assert np.array_equal(factor.growth_factor, [16.0, 1.0])
        for matrix, order, product in zip(a, factor.permutation, factor.L @ factor.U, strict=True):
            assert np.array_equal(matrix[order], product)

    def test_without_pivoting(self):
        rng = np.random.default_rng(3)
        a = rng.standard_normal((6, 3, 3)) + 6.0 * np.eye(3)
        factor = lu(a, pivot=False)
        np.testing.assert_allclose(factor.L @ factor.U, a, atol=1e-14)
        a[4, :2, :2] = 1.0
        with pytest.raises(np.linalg.LinAlgError, match="leading minor of order 2"):
            lu(a, pivot=False)

    def test_a_singular_one(self):
        a = np.broadcast_to(np.eye(3), (2, 3, 3, 3)).copy()
        a[1, 2, 1] = 0.0
        factor = lu(a)
        assert factor.logdet()[1, 2] == -np.inf
        assert factor.condition()[1, 2] == np.inf
        assert np.isfinite(factor.condition()).sum() == 5
        with pytest.raises(
            np.linalg.LinAlgError, match=r"matrix \[1, 2\] of the stack is singular"
        ):
            factor.solve(np.ones((2, 3, 3)))


class TestSymmetric:
    def test_half_solve(self):
        rng = np.random.default_rng(4)
        a, b = definite(rng.standard_normal((5, 4, 4))), rng.standard_normal((5, 4, 2))
        expected = np.swapaxes(b, -1, -2) @ np.linalg.solve(a, b)
        for factor in (cholesky(a), ldl(a)):
            z = factor.half_solve(b)
            np.testing.assert_allclose(np.swapaxes(z, -1, -2) @ z, expected, rtol=1e-9)
            np.testing.assert_allclose(factor.half_solve(b[..., 0]), z[..., 0])

    def test_says_which_matrix_fails(self):
        a = np.broadcast_to(np.eye(3), (2, 3, 3, 3)).copy()
        a[1, 0, 2, 2] = -4.0
        with pytest.raises(NotPositiveDefiniteError, match=r"matrix \[1, 0\].*order 3") as caught:
            cholesky(a)
        assert (caught.value.minor, caught.value.pivot) == (3, -4.0)

    def test_says_which_matrix_is_not_symmetric(self):
        a = np.broadcast_to(np.eye(3), (4, 3, 3)).copy()
        a[2, 0, 1] = 1.0
        with pytest.raises(ValueError, match=r"A\[2, 0, 1\] is 1 and A\[2, 1, 0\] is 0"):
            ldl(a)

    def test_pivoted_stacks_are_refused(self):
        with pytest.raises(ValueError, match="one matrix at a time"):
            ldl(np.ones((2, 3, 3)), pivot=True)


def test_not_finite():
    a = np.ones((2, 3, 3))
    a[1, 2, 0] = np.nan
    for factorise in (lu, cholesky, ldl):
        with pytest.raises(ValueError, match=r"A\[1, 2, 0\] is nan"):
            factorise(a)


def test_right_hand_sides_must_fit():
    factor = lu(np.broadcast_to(np.eye(3), (4, 3, 3)))
    for shape in ((4, 2), (3, 3), (3,), (4, 3, 2, 1)):
        with pytest.raises(ValueError, match=r"b must have the shape \(4, 3\) or \(4, 3, k\)"):
            factor.solve(np.ones(shape))
