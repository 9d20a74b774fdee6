"""Factors of dense matrices: what they multiply to, what they solve, what they tell."""

import dataclasses
import pickle

import numpy as np
import pandas
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import lapack

from lmmfit.linalg import NotPositiveDefiniteError, cholesky, ldl, lu, qr

EPS = np.finfo(float).eps
sizes, seeds = st.integers(1, 12), st.integers(0, 10**6)


def definite(rng, n):
    root = rng.standard_normal((n + 2, n))
    return root.T @ root + 0.1 * np.eye(n)


def symmetric(rng, n):
    a = rng.standard_normal((n, n))
    return a + a.T


MAKERS = {
    "lu": (lu, lambda rng, n: rng.standard_normal((n, n))),
    "lu, not pivoted": (
        lambda a: lu(a, pivot=False),
        lambda rng, n: rng.standard_normal((n, n)) + 2 * n * np.eye(n),
    ),
    "ldl": (ldl, definite),
    "ldl, pivoted": (lambda a: ldl(a, pivot=True), symmetric),
    "cholesky": (cholesky, definite),
}


@pytest.fixture(params=MAKERS)
def kind(request):
    return MAKERS[request.param]


class TestEveryFactor:
    @given(n=sizes, seed=seeds)
    def test_reconstructs(self, n, seed, matrices):
        rng = np.random.default_rng(seed)
        for a in matrices.families(rng, n).values():
            factor = lu(a)
            gap = np.abs(factor.reconstruct() - a).max()
            assert gap <= n * EPS * factor.growth_factor * np.abs(a).max()
        for factorise, make in MAKERS.values():
            a = make(rng, n)
            growth = max(1.0, np.abs(factorise(a).reconstruct()).max() / np.abs(a).max())
            assert (
                np.abs(factorise(a).reconstruct() - a).max()
                <= 8 * n * EPS * growth * np.abs(a).max()
            )

    @pytest.mark.parametrize("n", [1, 5, 40, 150])
    def test_solves_like_scipy(self, kind, n):
        factorise, make = kind
        rng = np.random.default_rng(n)
        a = make(rng, n)
        factor = factorise(a)
        for b in (rng.standard_normal(n), rng.standard_normal((n, 3))):
            x = factor.solve(b)
            assert x.shape == b.shape
            np.testing.assert_allclose(x, scipy.linalg.solve(a, b), rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(
                factor.solve(b, transposed=True), scipy.linalg.solve(a.T, b), rtol=1e-7, atol=1e-9
            )
        assert factor.solve(np.empty((n, 0))).shape == (n, 0)

    @pytest.mark.parametrize("n", [1, 5, 40, 150])
    def test_determinant_like_numpy(self, kind, n):
        factorise, make = kind
        a = make(np.random.default_rng(n), n)
        sign, logarithm = np.linalg.slogdet(a)
        assert factorise(a).sign == sign
        assert factorise(a).logdet() == pytest.approx(logarithm, rel=1e-10, abs=1e-10)

    @pytest.mark.parametrize("norm", [1, np.inf])
    @pytest.mark.parametrize("n", [1, 5, 40])
    def test_condition_is_a_close_lower_bound(self, kind, n, norm):
        factorise, make = kind
        a = make(np.random.default_rng(n), n)
        truth, estimate = np.linalg.cond(a, norm), factorise(a).condition(norm)
        assert truth / 5 <= estimate <= truth * (1 + 1e-8)

    def test_frozen_and_pickles(self, kind):
        factorise, make = kind
        a = make(np.random.default_rng(0), 4)
        factor = factorise(a)
        field = dataclasses.fields(factor)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(factor, field, None)
        with pytest.raises(ValueError, match="read-only"):
            getattr(factor, field)[0] = 1.0
        before = factor.solve(np.ones(4))
        a[:] = np.nan  # the factor is a copy
        assert np.array_equal(factor.solve(np.ones(4)), before)
        assert np.array_equal(pickle.loads(pickle.dumps(factor)).solve(np.ones(4)), before)

    def test_float32_is_kept(self, kind):
        factorise, make = kind
        a = make(np.random.default_rng(1), 30)
        factor = factorise(a.astype(np.float32))
        x = factor.solve(np.ones(30))
        assert x.dtype == factor.reconstruct().dtype == np.float32
        np.testing.assert_allclose(x, np.linalg.solve(a, np.ones(30)), rtol=1e-2, atol=1e-2)
        assert factor.logdet() == pytest.approx(factorise(a).logdet(), rel=1e-4)

    @pytest.mark.parametrize("change", [
        np.asfortranarray, lambda a: a.tolist(), lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1, ::-1][::-1, ::-1], lambda a: a.astype(">f8"), pandas.DataFrame,
        lambda a: a.astype(object),
    ])  # fmt: skip
    def test_any_layout(self, kind, change):
        factorise, make = kind
        a = make(np.random.default_rng(2), 6)
        expected = factorise(a).solve(np.arange(6.0))
        np.testing.assert_allclose(factorise(change(a)).solve(list(range(6))), expected, rtol=1e-9)

    def test_read_only_input_is_left_alone(self, kind):
        factorise, make = kind
        a = make(np.random.default_rng(3), 5)
        b, copy = np.ones(5), a.copy()
        for array in (a, b):
            array.setflags(write=False)
        factorise(a).solve(b)
        factorise(np.asfortranarray(a)).solve(b)
        assert np.array_equal(a, copy)


class TestLU:
    @given(n=sizes, seed=seeds)
    def test_parts(self, n, seed):
        a = np.random.default_rng(seed).standard_normal((n, n))
        factor = lu(a)
        assert np.array_equal(np.triu(factor.L, 1), np.zeros((n, n)))
        assert np.array_equal(np.diag(factor.L), np.ones(n))
        assert np.abs(factor.L).max() <= 1.0
        assert np.array_equal(np.tril(factor.U, -1), np.zeros((n, n)))
        np.testing.assert_allclose(factor.L @ factor.U, a[factor.permutation], atol=1e-12)

    def test_growth_is_that_of_every_step(self):
        """Elements may be larger in the middle of the elimination than in U."""
        rng = np.random.default_rng(4)
        larger = 0
        for _ in range(200):
            a = rng.standard_normal((6, 6))
            factor, w = lu(a), a.copy()
            top = np.abs(w).max()
            for k in range(5):
                p = k + np.abs(w[k:, k]).argmax()
                w[[k, p]] = w[[p, k]]
                w[k + 1 :, k + 1 :] -= np.outer(w[k + 1 :, k] / w[k, k], w[k, k + 1 :])
                top = max(top, np.abs(w[k + 1 :, k + 1 :]).max())
            assert factor.growth_factor == pytest.approx(top / np.abs(a).max(), rel=1e-12)
            larger += top > 1.0001 * max(np.abs(factor.U).max(), np.abs(a).max())
        assert larger > 5  # the final U alone would not do

    @pytest.mark.parametrize("n", [2, 10, 31, 54])
    def test_worst_case_of_growth(self, n, matrices):
        assert lu(matrices.wilkinson(n)).growth_factor == 2.0 ** (n - 1)

    def test_no_growth_in_definite_matrices(self):
        a = definite(np.random.default_rng(5), 30)
        assert lu(a, pivot=False).growth_factor == pytest.approx(1.0, abs=1e-14)

    def test_pivoting_matters(self):
        a, b = np.array([[1e-20, 1.0], [1.0, 1.0]]), [1.0, 2.0]
        assert lu(a, pivot=False).growth_factor == pytest.approx(1e20)
        assert lu(a).growth_factor == 1.0
        assert np.array_equal(lu(a).solve(b), [1.0, 1.0])
        assert not np.allclose(lu(a, pivot=False).solve(b), [1.0, 1.0])

    @pytest.mark.parametrize("n", [3, 63, 64, 65, 200])
    def test_blocks_without_pivoting(self, n):
        rng = np.random.default_rng(n)
        a = rng.standard_normal((n, n)) + n * np.eye(n)
        factor = lu(a, pivot=False)
        np.testing.assert_allclose(factor.L @ factor.U, a, atol=1e-12 * n)
        assert np.array_equal(factor.permutation, np.arange(n))

    def test_singular(self):
        factor = lu([[1.0, 2.0], [2.0, 4.0]])
        assert factor.logdet() == -np.inf
        assert factor.sign == 0.0
        assert factor.condition() == np.inf
        np.testing.assert_allclose(factor.reconstruct(), [[1.0, 2.0], [2.0, 4.0]])
        with pytest.raises(np.linalg.LinAlgError, match=r"singular: U\[1, 1\] is zero"):
            factor.solve([1.0, 2.0])
        assert lu(np.zeros((2, 2))).growth_factor == 1.0

    def test_zero_minor_without_pivoting(self):
        a = [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]
        with pytest.raises(np.linalg.LinAlgError, match="leading minor of order 2 is zero"):
            lu(a, pivot=False)
        last = lu([[1.0, 1.0], [1.0, 1.0]], pivot=False)  # A = L U exists
        assert last.logdet() == -np.inf
        assert lu(a).solve([1.0, 2.0, 2.0]) == pytest.approx([0.0, 1.0, 1.0])


class TestSymmetric:
    def test_integers_stay_exact(self):
        factor = ldl([[8, 4, 2], [4, 6, 0], [2, 0, 3]])
        assert np.array_equal(factor.D, [8.0, 4.0, 2.25])
        assert np.array_equal(factor.L, [[1, 0, 0], [0.5, 1, 0], [0.25, -0.25, 1]])

    @pytest.mark.parametrize("n", [1, 20, 64, 65, 120])
    def test_ldl_of_definite(self, n):
        a = definite(np.random.default_rng(n), n)
        factor = ldl(a, pivot=False)
        assert (factor.D > 0.0).all()
        assert np.array_equal(np.diag(factor.L), np.ones(n))
        assert np.array_equal(np.triu(factor.L, 1), np.zeros((n, n)))
        np.testing.assert_allclose(factor.L * factor.D @ factor.L.T, a, atol=1e-12 * n)
        assert tuple(factor.inertia) == (n, 0, 0)

    @pytest.mark.parametrize("factorise", [cholesky, ldl])
    def test_half_solve(self, factorise):
        rng = np.random.default_rng(6)
        a, b = definite(rng, 7), rng.standard_normal((7, 2))
        factor = factorise(a)
        z = factor.half_solve(b)
        np.testing.assert_allclose(z.T @ z, b.T @ np.linalg.solve(a, b), rtol=1e-9)
        assert factor.half_solve(b[:, 0]) == pytest.approx(z[:, 0])

    def test_cholesky_is_that_of_scipy(self):
        a = definite(np.random.default_rng(7), 9)
        for layout in (a, np.asfortranarray(a)):
            np.testing.assert_allclose(cholesky(layout).U, scipy.linalg.cholesky(a), rtol=1e-12)

    @pytest.mark.parametrize("n", [1, 2, 3, 7, 30])
    def test_bunch_kaufman(self, n):
        rng = np.random.default_rng(n)
        for trial in range(20):
            a = symmetric(rng, n)
            if trial % 2:
                np.fill_diagonal(a, 0.0)  # every pivot a block of two
            if n == 1 and not a[0, 0]:
                continue
            factor = ldl(a, pivot=True)
            p = factor.permutation
            product = factor.L @ factor.D @ factor.L.T
            np.testing.assert_allclose(product, a[np.ix_(p, p)], atol=1e-12 * np.abs(a).max() * n)
            np.testing.assert_allclose(factor.D, factor.D.T)
            assert not np.triu(factor.D, 2).any()
            values = np.linalg.eigvalsh(a)
            assert tuple(factor.inertia) == ((values > 0).sum(), (values < 0).sum(), 0)

    def test_auto_pivots_where_it_must(self):
        assert ldl(np.eye(3)).D.ndim == 1
        assert ldl(-np.eye(3)).inertia.negative == 3
        with pytest.raises(NotPositiveDefiniteError):
            ldl(-np.eye(3), pivot=False)
        with pytest.raises(
            ValueError, match=r"pivot must be one of 'auto', False, True; got 'no'"
        ):
            ldl(np.eye(3), pivot="no")

    @pytest.mark.parametrize("n", [5, 64, 65, 130])
    def test_auto_is_pivoted_after_a_failed_attempt(self, n):
        a = symmetric(np.random.default_rng(n), n)
        auto, pivoted = ldl(a), ldl(a, pivot=True)
        assert np.array_equal(auto.packed, pivoted.packed)
        assert auto.norm == pivoted.norm

    def test_singular_indefinite(self):
        factor = ldl(np.zeros((2, 2)), pivot=True)
        assert factor.inertia.zero == 2
        assert factor.logdet() == -np.inf
        assert factor.condition() == np.inf
        with pytest.raises(np.linalg.LinAlgError, match="A is singular"):
            factor.solve([1.0, 1.0])

    @pytest.mark.parametrize("factorise", [cholesky, lambda a: ldl(a, pivot=False)])
    @pytest.mark.parametrize("n", [2, 5, 80])
    def test_says_where_definiteness_fails(self, factorise, n):
        rng = np.random.default_rng(n)
        a = definite(rng, n)
        k = n // 2
        a[k, k] = a[k, :k] @ np.linalg.solve(a[:k, :k], a[:k, k]) - 0.25  # pivot k is -0.25
        with pytest.raises(NotPositiveDefiniteError) as caught:
            factorise(a)
        found = caught.value
        assert found.minor == k + 1
        assert found.pivot == pytest.approx(-0.25, abs=1e-8)
        smallest = np.linalg.eigvalsh(a[: k + 1, : k + 1])[0]
        assert found.smallest_eigenvalue == pytest.approx(smallest, rel=1e-6)
        assert f"order {k + 1} fails" in str(found)
        repaired = a[: k + 1, : k + 1] - 1.001 * smallest * np.eye(k + 1)
        assert cholesky(repaired).logdet() < np.inf
        again = pickle.loads(pickle.dumps(found))
        assert (again.minor, str(again)) == (found.minor, str(found))

    def test_not_symmetric(self):
        a = np.eye(300)
        a[290, 3] = 0.5
        for factorise in (cholesky, ldl):
            with pytest.raises(
                ValueError, match=r"not symmetric: A\[3, 290\] is 0 and A\[290, 3\]"
            ):
                factorise(a)

    def test_rounding_asymmetry_is_averaged(self):
        a = definite(np.random.default_rng(8), 5)
        b = a.copy()
        b[3, 1] *= 1 + 1e-12
        mean = 0.5 * (b + b.T)
        for layout in (b, b.T, np.asfortranarray(b)):
            assert np.array_equal(cholesky(layout).U, cholesky(mean).U)


class TestQR:
    @given(m=sizes, n=sizes, seed=seeds, pivot=st.booleans())
    def test_parts(self, m, n, seed, pivot):
        a = np.random.default_rng(seed).standard_normal((m, n))
        factor = qr(a, pivot=pivot)
        k = min(m, n)
        assert factor.Q.shape == (m, k)
        assert factor.R.shape == (k, n)
        np.testing.assert_allclose(factor.Q.T @ factor.Q, np.eye(k), atol=1e-13)
        assert not np.tril(factor.R, -1).any()
        np.testing.assert_allclose(factor.reconstruct(), a, atol=1e-12)
        np.testing.assert_allclose(factor.rotate(a), factor.Q.T @ a, atol=1e-12)
        assert factor.rank == k
        if pivot:
            diagonal = np.abs(factor.R.diagonal())
            assert (np.diff(diagonal) <= 1e-12).all()

    @pytest.mark.parametrize("pivot", [True, False])
    @pytest.mark.parametrize("rank", [0, 1, 3])
    def test_rank(self, pivot, rank):
        rng = np.random.default_rng(rank)
        a = rng.standard_normal((8, rank)) @ rng.standard_normal((rank, 5))
        assert qr(a, pivot=pivot).rank == rank
        assert qr(a).logdet() == -np.inf

    def test_rcond_decides(self):
        a = np.diag([1.0, 1e-5])
        assert qr(a).rank == 2
        assert qr(a, rcond=1e-4).rank == 1
        for bad, error in ((-1.0, ValueError), (1.0, ValueError), (np.nan, ValueError),
                           ("x", TypeError)):  # fmt: skip
            with pytest.raises(error, match="rcond must be"):
                qr(a, rcond=bad)

    @pytest.mark.parametrize("pivot", [True, False])
    def test_solves_least_squares(self, pivot):
        rng = np.random.default_rng(9)
        a, b = rng.standard_normal((12, 4)), rng.standard_normal((12, 3))
        factor = qr(a, pivot=pivot)
        np.testing.assert_allclose(factor.solve(b), np.linalg.lstsq(a, b)[0], rtol=1e-10)
        np.testing.assert_allclose(factor.solve(b[:, 0]), factor.solve(b)[:, 0])
        c = rng.standard_normal((4, 2))
        z = factor.half_solve(c)
        np.testing.assert_allclose(z.T @ z, c.T @ np.linalg.inv(a.T @ a) @ c, rtol=1e-9)
        assert factor.logdet() == pytest.approx(np.linalg.slogdet(a.T @ a)[1] / 2)
        assert factor.condition() == pytest.approx(np.linalg.cond(a))
        for norm in (1, np.inf):
            assert factor.condition(norm) <= np.linalg.cond(factor.R, norm) * (1 + 1e-10)

    def test_deficient(self):
        a = np.outer([1.0, 2.0, 3.0], [1.0, 1.0])
        x = qr(a).solve([1.0, 2.0, 3.0])
        assert sorted(x) == pytest.approx([0.0, 1.0])
        assert qr(a).condition() > 1e15
        with pytest.raises(np.linalg.LinAlgError, match=r"rank 1 and 2 columns: use qr\(A, pivot"):
            qr(a, pivot=False).solve([1.0, 2.0, 3.0])
        with pytest.raises(np.linalg.LinAlgError, match="does not exist"):
            qr(a).half_solve([1.0, 0.0])
        assert qr(np.ones((2, 3))).condition() == np.inf

    def test_float32(self):
        a = np.random.default_rng(10).standard_normal((9, 3)).astype(np.float32)
        factor = qr(a)
        assert factor.Q.dtype == factor.solve(np.ones(9)).dtype == np.float32
        assert repr(factor) == "QR(shape=(9, 3), rank=3)"


def test_lapack_gets_no_copy_of_its_own():
    """The factors are LAPACK's own: bit for bit."""
    a = np.random.default_rng(11).standard_normal((50, 50))
    packed, pivots, _ = lapack.dgetrf(a)
    assert np.array_equal(lu(a).packed, packed)
    assert np.array_equal(lu(a).pivots, pivots)


def test_overflow_is_not_an_error():
    a = np.diag([1e308, 1e-308]) * 1.0
    assert np.array_equal(lu(a).solve([1e308, 1e-308]), [1.0, 1.0])
    assert lu(np.full((3, 3), 1e308) + np.diag([0.0, 1e307, 1e307])).logdet() > 0.0
