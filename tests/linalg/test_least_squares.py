"""Least squares: every method, every rank, every shape."""

import pickle

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import LinAlgWarning
from scipy.sparse import csr_array, random_array

from lmmfit.linalg import least_squares, solve_with_bounds

METHODS = ["auto", "qr", "normal", "svd"]


@given(m=st.integers(1, 12), n=st.integers(1, 8), k=st.integers(1, 3), seed=st.integers(0, 10**6),
       lost=st.integers(0, 8), method=st.sampled_from(METHODS))  # fmt: skip
def test_is_the_pseudo_inverse(m, n, k, seed, lost, method):
    rng = np.random.default_rng(seed)
    rank = max(min(m, n) - lost, 0) if seed % 2 else min(m, n)
    a = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    if method == "normal" and (m < n or rank < n):
        return
    b = rng.standard_normal((m, k))
    inverse = np.linalg.pinv(a, rcond=1e-12)
    size = np.linalg.norm(a) * np.linalg.norm(inverse) if rank else 1.0
    if size > 1e4:
        return
    fit = least_squares(a, b, method=method)
    assert fit.rank == rank
    np.testing.assert_allclose(
        fit.x, inverse @ b, atol=1e-13 * size**2 * (1 + np.abs(inverse).max())
    )
    np.testing.assert_allclose(
        fit.unscaled_covariance, inverse @ inverse.T, atol=1e-11 * (1 + np.abs(inverse).max()) ** 2
    )
    np.testing.assert_allclose(
        fit.residual_norm, np.linalg.norm(b - a @ fit.x, axis=0), atol=1e-12
    )
    one = least_squares(a, b[:, 0], method=method)
    assert one.x.shape == (n,)
    assert isinstance(one.residual_norm, float)
    np.testing.assert_allclose(one.x, fit.x[:, 0], atol=1e-12 * (1 + np.abs(fit.x).max()))


@pytest.mark.parametrize("method", METHODS)
def test_statistics_are_those_of_statsmodels(method):
    rng = np.random.default_rng(0)
    a, b = sm.add_constant(rng.standard_normal((40, 3))), rng.standard_normal((40, 2))
    fit = least_squares(a, b, method=method)
    assert fit.covariance.shape == (2, 4, 4)
    for k in range(2):
        rival = sm.OLS(b[:, k], a).fit()
        one = least_squares(a, b[:, k], method=method)
        np.testing.assert_allclose(one.x, rival.params, rtol=1e-10)
        np.testing.assert_allclose(one.standard_errors, rival.bse, rtol=1e-10)
        np.testing.assert_allclose(one.covariance, rival.cov_params(), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(fit.covariance[k], one.covariance, rtol=1e-10)
        np.testing.assert_allclose(fit.standard_errors[:, k], one.standard_errors, rtol=1e-10)
        assert one.residual_variance == pytest.approx(rival.scale)
        assert one.residual_norm**2 == pytest.approx(rival.ssr)


@pytest.mark.parametrize("method", ["auto", "qr", "svd"])
@pytest.mark.parametrize("power", [100, 200, -100, -200])
def test_units_do_not_matter(method, power):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((9, 3)), rng.standard_normal(9)
    units = 2.0 ** np.array([0, power, 0])
    fit = least_squares(a * units, b, method=method)
    assert fit.rank == 3
    np.testing.assert_allclose(fit.x * units, least_squares(a, b, method=method).x, rtol=1e-12)
    np.testing.assert_allclose(
        fit.standard_errors * units, least_squares(a, b).standard_errors, rtol=1e-12
    )


class TestNormalEquations:
    """Example 3.12 of Eldén (2007): the information is in A, and not in A.T @ A."""

    @pytest.mark.parametrize("eps", [1e-5, 1e-7, 1e-9])
    def test_warn_of_lost_information(self, eps, matrices):
        a = matrices.laeuchli(2, eps)
        b = a @ [1.0, 3.0]
        with pytest.warns(LinAlgWarning, match=r"kappa\(A\)\^2 = .*Use method=\"qr\"") as caught:
            fit = least_squares(a, b, method="normal")
        squared = float(str(caught[0].message).split("= ")[1].split(" ")[0])
        assert squared == pytest.approx(np.linalg.cond(a) ** 2, rel=3.0)
        if eps < 1e-8:
            assert fit.rank == 1  # fl(1 + eps^2) = 1
            assert f"{16} of 16 digits" in str(caught[0].message)
        for method in ("auto", "qr", "svd"):
            np.testing.assert_allclose(least_squares(a, b, method=method).x, [1.0, 3.0], rtol=1e-6)

    def test_are_silent_where_units_alone_are_bad(self):
        """Example 3.13 as given has kappa(A)^2 = 5.6e7; its columns are far better than that."""
        a = np.column_stack([np.ones(5), 1e8 * np.arange(1.0, 6.0)])
        np.testing.assert_allclose(
            least_squares(a, a @ [1.0, 2e-8], method="normal").x, [1.0, 2e-8]
        )

    def test_need_rows(self):
        with pytest.raises(ValueError, match=r"fewer rows than columns, \(2, 3\)"):
            least_squares(np.ones((2, 3)), [1.0, 1.0], method="normal")

    @given(seed=st.integers(0, 10**6), kappa=st.floats(0.0, 14.0))
    def test_auto_never_loses_what_qr_keeps(self, seed, kappa):
        rng = np.random.default_rng(seed)
        u, v = (np.linalg.qr(rng.standard_normal(shape))[0] for shape in ((30, 4), (4, 4)))
        a = u * np.logspace(0, -kappa, 4) @ v.T
        b = rng.standard_normal(30)
        truth = solve_with_bounds(a, b)
        if not truth.verified:
            return
        auto, qr = (
            np.abs(least_squares(a, b, method=m).x - truth.x).max() for m in ("auto", "qr")
        )
        size = np.abs(truth.x).max()
        assert auto <= 50.0 * qr + 1e-13 * size * 10.0 ** min(kappa, 3.0)


class TestDeficient:
    def test_rcond_decides(self):
        a = np.column_stack([np.ones(4), np.ones(4) + 1e-6 * np.arange(4.0)])
        for method in ("qr", "svd", "auto"):
            assert least_squares(a, np.ones(4), method=method).rank == 2
            fit = least_squares(
                a, np.ones(4), method=method if method != "auto" else "qr", rcond=1e-3
            )
            assert fit.rank == 1
            np.testing.assert_allclose(fit.x, [0.5, 0.5], atol=1e-5)

    def test_rcond_decides_for_auto_too(self):
        a = np.column_stack([np.ones(40), np.ones(40) + 0.02 * np.sin(np.arange(40.0))])
        assert least_squares(a, np.ones(40)).rank == 2
        assert least_squares(a, np.ones(40), rcond=0.1).rank == 1

    def test_minimum_norm_in_the_users_units(self):
        rng = np.random.default_rng(2)
        a = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 4)) * [1.0, 1e3, 1e-3, 1.0]
        b = rng.standard_normal(6)
        for method in ("auto", "qr", "svd"):
            fit = least_squares(a, b, method=method)
            np.testing.assert_allclose(fit.x, np.linalg.pinv(a) @ b, rtol=1e-6, atol=1e-9)

    def test_nothing_at_all(self):
        fit = least_squares(np.zeros((3, 2)), [1.0, 2.0, 2.0])
        assert fit.rank == 0
        assert np.array_equal(fit.x, [0.0, 0.0])
        assert fit.residual_norm == 3.0

    def test_no_degrees_of_freedom(self):
        fit = least_squares(np.eye(2), [1.0, 2.0])
        assert np.isnan(fit.residual_variance)
        assert np.isnan(fit.standard_errors).all()


class TestSparse:
    def test_is_the_dense_solution(self):
        a = random_array((300, 40), density=0.1, rng=np.random.default_rng(3), format="csr")
        b = np.random.default_rng(4).standard_normal((300, 2))
        fit, dense = least_squares(a, b), least_squares(a.toarray(), b)
        assert fit.method == "lsmr"
        np.testing.assert_allclose(fit.x, dense.x, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(fit.residual_norm, dense.residual_norm, rtol=1e-12)
        np.testing.assert_allclose(fit.standard_errors, dense.standard_errors, rtol=1e-9)
        assert fit.rank == 40
        assert least_squares(a, b[:, 0]).x.shape == (40,)

    def test_units_do_not_matter(self):
        a = random_array((50, 5), density=0.5, rng=np.random.default_rng(5)).toarray()
        units = 2.0 ** np.array([0, 300, -300, 0, 20])
        x = least_squares(csr_array(a * units), np.ones(50)).x * units
        np.testing.assert_allclose(x, least_squares(a, np.ones(50)).x, rtol=1e-9)

    def test_deficient(self):
        a = csr_array(np.outer(np.ones(4), [1.0, 1.0, 0.0]))
        fit = least_squares(a, np.ones(4))
        np.testing.assert_allclose(fit.x, [0.5, 0.5, 0.0], atol=1e-12)
        assert fit.rank == 1

    def test_many_columns_have_no_covariance(self):
        a = csr_array(np.eye(1200))
        fit = least_squares(a, np.ones(1200))
        np.testing.assert_allclose(fit.x, 1.0)
        with pytest.raises(ValueError, match="up to 1000"):
            _ = fit.rank

    def test_not_converged(self):
        rng = np.random.default_rng(7)
        u, v = (np.linalg.qr(rng.standard_normal(shape))[0] for shape in ((400, 300), (300, 300)))
        a = csr_array(u * np.logspace(0, -7, 300) @ v)
        with pytest.warns(LinAlgWarning, match="LSMR did not converge"):
            least_squares(a, rng.standard_normal(400))

    def test_bad_input(self):
        a = csr_array(np.eye(3))
        with pytest.raises(ValueError, match='method="lsmr" is for sparse'):
            least_squares(np.eye(3), np.ones(3), method="lsmr")
        with pytest.raises(ValueError, match="method='qr' needs a dense matrix"):
            least_squares(a, np.ones(3), method="qr")
        with pytest.raises(ValueError, match=r"A\[1, 1\] is nan"):
            least_squares(csr_array(np.diag([1.0, np.nan, 1.0])), np.ones(3))


def test_pickles_and_is_frozen():
    fit = least_squares([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [1.0, 2.0, 2.0])
    again = pickle.loads(pickle.dumps(fit))
    assert np.array_equal(again.standard_errors, fit.standard_errors)
    with pytest.raises(AttributeError):
        fit.x = 0.0


@pytest.mark.parametrize("change", [
    np.asfortranarray, lambda a: a.tolist(), lambda a: a[::-1][::-1],
    lambda a: a.astype(np.float32), lambda a: a.astype(int),
])  # fmt: skip
@pytest.mark.parametrize("method", METHODS)
def test_any_layout(change, method):
    a = np.random.default_rng(6).integers(-5, 6, (9, 3)).astype(float)
    b = np.arange(9.0)
    for array in (a, b):
        array.setflags(write=False)
    expected = least_squares(a, b, method=method).x
    np.testing.assert_allclose(least_squares(change(a), change(b), method=method).x, expected)


def test_bad_input():
    with pytest.raises(ValueError, match=r"B must have the shape \(3,\) or \(3, k\)"):
        least_squares(np.eye(3), np.ones(4))
    with pytest.raises(ValueError, match="method must be one of 'auto', 'qr'"):
        least_squares(np.eye(3), np.ones(3), method="cholesky")
    with pytest.raises(ValueError, match=r"B\[1\] is inf"):
        least_squares(np.eye(3), [1.0, np.inf, 0.0])
