"""At the ends of the range of numbers: bounds still hold, and nothing is lost in silence."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import LinAlgWarning
from scipy.sparse import csc_array

from lmmfit import linalg
from lmmfit.linalg.verified import inverse_norm_bound


@pytest.mark.filterwarnings("ignore:no digit of the solution:scipy.linalg.LinAlgWarning")
@settings(max_examples=400)
@given(n=st.integers(1, 6), extra=st.integers(0, 2), seed=st.integers(0, 10**6),
       reach=st.sampled_from([0, 30, 100, 150, 290, 305]), kind=st.integers(0, 3),
       refine=st.booleans())  # fmt: skip
def test_bounds_hold_at_any_scale(n, extra, seed, reach, kind, refine, exact, matrices):
    rng = np.random.default_rng(seed)
    m, low, high = n + extra, -reach, min(reach, 290)
    a = rng.standard_normal((m, n))
    with np.errstate(under="ignore"):
        if kind == 0:
            a *= 10.0 ** rng.uniform(low, high, n)
        elif kind == 1:
            a *= 10.0 ** rng.uniform(low, high, (m, 1))
        elif kind == 2:
            a *= 10.0 ** rng.uniform(low, high, (m, n))
        else:
            a = matrices.hilbert(m)[:, :n] * 10.0 ** rng.uniform(low, high)
        b = rng.standard_normal((m, 1)) * 10.0 ** rng.uniform(low, high)
    solve = exact.solve if m == n else exact.least_squares
    truth = solve(a.tolist(), b.tolist())
    if truth is None:
        return
    try:
        found = linalg.solve_with_bounds(a, b, refine=refine)
    except np.linalg.LinAlgError:
        return  # it says that it is singular, or overflows
    assert not np.isnan(found.x).any()
    assert not np.isnan(found.error_bound).any()
    assert not np.isnan(found.backward_error).any()
    for x, bound, t in zip(found.x[:, 0], found.error_bound[:, 0], truth, strict=True):
        if np.isfinite(bound):
            assert abs(Fraction(float(x)) - t[0]) <= Fraction(float(bound))
    if not np.isfinite(found.error_bound).all():
        assert found.digits[0] == 0
        assert not found.verified


@pytest.mark.parametrize(("a", "b", "x"), [
    ([[1e280, 1.0], [1e280, 2.0], [1e280, 3.5]], [1e-100, 2e-100, 4e-100], 1),
    ([[1e300, 1e2], [1e300, 2e2]], [1.1e-15, 2.3e-15], 1.2e-17),
    ([[1e300, 1.2345678e-15], [1e300, 2.3456789e-15]], [1.0, 3.0], 1800000018000000.2),
])  # fmt: skip
def test_units_far_apart(a, b, x):
    found = linalg.solve_with_bounds(a, b)
    assert found.verified
    if x != 1:
        assert found.x[1] == pytest.approx(x, rel=1e-14)
        assert abs(found.x[1] - x) <= found.error_bound[1] + 1e-15 * x


def test_a_solution_beyond_all_numbers():
    with pytest.warns(LinAlgWarning, match="beyond the range of double precision"):
        found = linalg.solve_with_bounds([[1e-300, 0.0], [0.0, 1.0]], [1e300, 1.0])
    assert found.error_bound[0] == np.inf
    assert found.digits == 0
    assert not found.verified


def test_a_solution_of_zero():
    with pytest.warns(LinAlgWarning, match="it may be zero; error_bound tells how far"):
        found = linalg.solve_with_bounds([[1.0], [-1.0]], [1.0, 1.0])
    assert found.verified
    assert found.error_bound[0] < 1e-29
    with pytest.warns(LinAlgWarning, match="singular to working precision"):
        found = linalg.solve_with_bounds(np.vander(np.linspace(0, 1, 60)), np.zeros(60))
    assert np.isinf(found.error_bound).all()


@pytest.mark.parametrize("norm", [1, 2, np.inf])
@pytest.mark.parametrize("power", [-900, -600, 0, 600, 900])
def test_norm_of_an_inverse_at_any_scale(norm, power, matrices, exact):
    a = matrices.hilbert(9) * 2.0**power
    bound = inverse_norm_bound(a, norm) * Fraction(2) ** power
    assert bound == pytest.approx(float(inverse_norm_bound(matrices.hilbert(9), norm)), rel=1e-9)
    if norm != 2:
        assert exact.norm(exact.inverse(matrices.hilbert(9).tolist()), norm) <= bound


class TestPerturbation:
    @pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
    def test_vectors_of_any_size(self, size):
        b = np.full(2, size)
        bound = linalg.perturbation_bound(np.eye(2), b, 0.0, b * 1e-5, norm=2)
        assert 1e-5 <= bound.relative_bound <= 1.001e-5
        assert linalg.perturbation_bound(np.eye(2), b, norm=2).relative_bound == 0.0

    def test_beyond_all_numbers(self):
        bound = linalg.perturbation_bound(np.diag([1e-300, 1e300]), [1.0, 1.0])
        assert bound.condition == np.inf
        assert bound.relative_bound == 0.0  # nothing is perturbed
        assert linalg.perturbation_bound([[1e308, 1e308], [1e308, -1e308]], [1.0, 1.0], 0.0, 0.0)

    def test_one_right_hand_side_only(self):
        with pytest.raises(ValueError, match=r"db must have the shape \(2,\)"):
            linalg.perturbation_bound(np.eye(2), [1.0, 1.0], 0.0, np.ones((2, 2)))


class TestRefinement:
    def test_units_far_apart(self):
        a = np.diag([1e300, 1.23456789e-20])
        found = linalg.iterative_refinement(a, [1e300, 1.0])
        assert found.x[1] == pytest.approx(1.0 / 1.23456789e-20, rel=1e-15)

    def test_float32_factor_and_large_units(self):
        a = np.array([[4.0, 1.0], [2.0, 3.0]])
        factor = linalg.lu(a.astype(np.float32))
        found = linalg.iterative_refinement(a, [1e100, 2e100], factor=factor)
        np.testing.assert_allclose(found.x, [1e99, 6e99], rtol=1e-15)
        with pytest.raises(ValueError, match="beyond the range of float32"):
            factor.solve([1e300, 1.0])

    def test_steps(self):
        with pytest.raises(ValueError, match="max_iter must not be negative; got -1"):
            linalg.iterative_refinement(np.eye(2), [1.0, 1.0], max_iter=-1)


class TestLeastSquares:
    @pytest.mark.parametrize("units", [1e-160, 1e-30, 1e30, 1e160])
    def test_statistics_at_any_scale(self, units):
        a = np.column_stack([np.ones(5), np.arange(5.0)])
        b = np.array([1.0, 2.0, 4.0, 3.0, 5.0])
        expected, found = linalg.least_squares(a, b), linalg.least_squares(a * units, b * units)
        np.testing.assert_allclose(found.standard_errors, expected.standard_errors, rtol=1e-10)
        np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-10)

    @pytest.mark.parametrize("rows", [1, 2])
    def test_minimum_norm_whatever_the_method(self, rows):
        a, b = np.tile([1.0, 10.0], (rows, 1)), np.full(rows, 101.0)
        inverse = np.linalg.pinv(a)
        fits = {"sparse": linalg.least_squares(csc_array(a), b)}
        for method in ("auto", "qr", "svd"):
            fits[method] = linalg.least_squares(a, b, method=method)
        if rows == 2:
            with pytest.warns(LinAlgWarning):
                fits["normal"] = linalg.least_squares(a, b, method="normal")
        for name, fit in fits.items():
            np.testing.assert_allclose(fit.x, [1.0, 10.0], rtol=1e-9, err_msg=name)
            np.testing.assert_allclose(
                fit.unscaled_covariance, inverse @ inverse.T, rtol=1e-9, err_msg=name
            )

    def test_zero_columns_lose_nothing(self):
        a = np.column_stack([np.arange(1.0, 4.0), np.zeros(3)])
        assert linalg.least_squares(a, a[:, 0], method="normal").x == pytest.approx([1.0, 0.0])
        fit = linalg.least_squares(np.zeros((3, 2)), np.ones(3), method="normal")
        assert fit.rank == 0


class TestFactors:
    def test_overflow_is_told(self):
        with pytest.raises(np.linalg.LinAlgError, match="overflow during the elimination"):
            linalg.lu([[1.0, 1.7e308], [-1.0, 1.7e308]])
        a = [[1.5e308, 1e308], [1e308 * (1 + 1e-12), 1.5e308]]
        assert linalg.cholesky(a).U[0, 0] == pytest.approx(np.sqrt(1.5e308))
        with pytest.raises(linalg.NotPositiveDefiniteError):
            linalg.cholesky([[1e300, 1e308], [1e308, 1e300]])

    def test_asymmetry_is_seen_beside_large_numbers(self):
        bad = np.array([[1.0, 0.5], [0.0, 1.0]])
        with pytest.raises(ValueError, match=r"A\[1, 0, 1\] is 0.5"):
            linalg.cholesky(np.stack([1e12 * np.eye(2), bad]))
        a = np.diag([1e12, 1.0, 1.0])
        a[1, 2] = 0.5
        with pytest.raises(ValueError, match=r"A\[1, 2\] is 0.5 and A\[2, 1\] is 0"):
            linalg.cholesky(a)

    @pytest.mark.parametrize("factorise", [linalg.lu, linalg.qr, linalg.ldl])
    @pytest.mark.parametrize("pivot", [1, 0, "no", None, np.array([True, False])])
    def test_pivot_is_a_choice(self, factorise, pivot):
        with pytest.raises(ValueError, match="pivot must be one of"):
            factorise(np.eye(2), pivot=pivot)
        with pytest.raises(ValueError, match="pivot must be one of"):
            linalg.banded_lu(np.ones((1, 2)), 0, 0, pivot=pivot)
        with pytest.raises(ValueError, match="pivot must be one of"):
            linalg.tridiagonal_solve([0.0], [1.0, 1.0], [0.0], [1.0, 1.0], pivot=pivot)
        assert factorise(np.eye(2), pivot=np.True_).solve([1.0, 2.0]) == pytest.approx([1.0, 2.0])

    def test_sparse_factor_is_its_own(self):
        a = csc_array(np.diag([1.0, 2.0]))
        factor = linalg.lu(a)
        a.data[0] = 1e9
        assert factor.condition() == pytest.approx(2.0)
        again = pickle.loads(pickle.dumps(factor))
        assert np.array_equal(again.solve([1.0, 2.0]), [1.0, 1.0])
        with pytest.raises(np.linalg.LinAlgError, match="without row exchanges"):
            linalg.lu(csc_array([[0.0, 1.0], [1.0, 0.0]]), pivot=False)

    def test_pickles_stay_frozen(self):
        for factor in (linalg.lu(np.eye(2)), linalg.cholesky(np.eye(2)), linalg.qr(np.eye(2))):
            again = pickle.loads(pickle.dumps(factor))
            assert not again._array.flags.writeable

    def test_wider_than_the_matrix(self):
        wide = linalg.banded_cholesky(np.vstack([np.zeros((4, 3)), [[4.0, 4.0, 4.0]]]))
        assert np.array_equal(wide.reconstruct()[-1], [4.0, 4.0, 4.0])
        assert wide.condition() == pytest.approx(1.0)
        assert np.array_equal(wide.inverse_band()[-1], [0.25, 0.25, 0.25])

    def test_no_right_hand_side_at_all(self):
        stack = np.stack([np.eye(2)] * 3)
        for factor, shape in (
            (linalg.banded_cholesky([[0.0, 1.0], [4.0, 4.0]]), (2, 0)),
            (linalg.cholesky(stack), (3, 2, 0)), (linalg.ldl(stack), (3, 2, 0)),
        ):  # fmt: skip
            assert factor.half_solve(np.empty(shape)).shape == shape
            assert factor.solve(np.empty(shape)).shape == shape


def test_records_compare_by_identity():
    one, two = (linalg.solve_with_bounds(np.eye(2), [1.0, 2.0]) for _ in range(2))
    assert one == one
    assert one != two
    assert hash(linalg.iterative_refinement(np.eye(2), [1.0, 2.0])) is not None


class TestDiagnosis:
    def test_scaling_is_advised_where_it_helps(self):
        powers = np.arange(20.0)[:, None] ** np.arange(7)
        assert "advice: scale the columns." in str(linalg.diagnose_design(powers[:, 1:]))

    def test_nothing_but_zeros(self):
        found = linalg.diagnose_design(np.zeros((20, 2)))
        assert found.rank == 0
        assert "'x0' is 0" in str(found)
        assert "'x1' is 0" in str(found)

    def test_names_are_a_sequence(self):
        with pytest.raises(TypeError, match="names must be a sequence of names"):
            linalg.diagnose_design(np.eye(2), names="ab")
