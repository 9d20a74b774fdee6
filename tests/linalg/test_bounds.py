"""Error bounds: no bound is ever violated, and none is far from the error.

The exact solutions are rational numbers, so a violation by the last bit would be seen.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import LinAlgWarning

from lmmfit.linalg import (
    condition_number,
    iterative_refinement,
    lu,
    perturbation_bound,
    solve_with_bounds,
)
from lmmfit.linalg._residual_kernels import pair_residual
from lmmfit.linalg._scaling import equilibrate
from lmmfit.linalg.verified import inverse_norm_bound, verified_inverse

pytestmark = pytest.mark.filterwarnings(
    "ignore:no digit of the solution:scipy.linalg.LinAlgWarning"
)


def check(solution, truth, exact):
    """Assert that the bounds hold; return the bound over the error, or None."""
    errors = exact.error(solution.x, truth)
    if not solution.verified:
        assert not solution.digits.any()
        return np.inf
    for row, bounds in zip(errors, solution.error_bound.tolist(), strict=True):
        for error, bound in zip(row, bounds, strict=True):
            assert error <= Fraction(bound)
    worst = None
    for c in range(len(errors[0])):
        error = max(row[c] for row in errors)
        size = max(abs(row[c]) for row in truth)
        relative = float(solution.relative_error_bound[c])
        if size and np.isfinite(relative):
            assert error <= Fraction(relative) * size
            digits = int(solution.digits[c])
            assert not digits or error <= size * Fraction(1, 2 * 10**digits)
            if error:
                worst = max(worst or 0.0, relative / float(error / size))
    return worst


@pytest.mark.slow
@pytest.mark.parametrize("refine", [False, True])
def test_thousands_of_matrices(refine, exact, matrices):
    """Bounds of all families hold; their median is within a hundred times the error."""
    rng, ratios, count = np.random.default_rng(0), {}, 0
    for trial in range(110):
        n = int(rng.integers(1, 13))
        for name, a in matrices.families(rng, n).items():
            b = a @ np.ones((n, 1)) if trial % 2 else rng.standard_normal((n, 1))
            truth = exact.solve(a.tolist(), b.tolist())
            if truth is None:
                with pytest.raises(np.linalg.LinAlgError, match="A is singular"):
                    solve_with_bounds(a, b, refine=refine)
                continue
            solution = solve_with_bounds(a, b, refine=refine)
            ratios.setdefault(name, []).append(check(solution, truth, exact))
            count += 1
    assert count > 1000
    for name, values in ratios.items():
        values = [value for value in values if value is not None]
        assert np.median(values or [1.0]) < 15.0, name
        assert np.mean(np.isinf(values or [1.0])) < 0.05, name


@given(n=st.integers(1, 8), k=st.integers(1, 3), seed=st.integers(0, 10**6), refine=st.booleans())
def test_many_right_hand_sides(n, k, seed, refine, exact):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, n)), rng.standard_normal((n, k)) * 10.0 ** rng.uniform(-9, 9, k)
    solution = solve_with_bounds(a, b, refine=refine)
    check(solution, exact.solve(a.tolist(), b.tolist()), exact)
    one = solve_with_bounds(a, b[:, 0], refine=refine)
    assert one.x.shape == one.error_bound.shape == (n,)
    assert isinstance(one.digits, int)
    assert isinstance(one.relative_error_bound, float)
    np.testing.assert_allclose(one.x, solution.x[:, 0], rtol=1e-9)


@settings(max_examples=60)
@given(n=st.integers(1, 6), extra=st.integers(1, 6), seed=st.integers(0, 10**6),
       refine=st.booleans(), kind=st.sampled_from(["random", "graded", "laeuchli", "vandermonde"]),
       consistent=st.booleans())  # fmt: skip
def test_least_squares(n, extra, seed, refine, kind, consistent, exact, matrices):
    rng = np.random.default_rng(seed)
    a = {
        "random": lambda: rng.standard_normal((n + extra, n)),
        "graded": lambda: rng.standard_normal((n + extra, n)) * 10.0 ** rng.uniform(-9, 9, n),
        "laeuchli": lambda: matrices.laeuchli(n, 10.0 ** -rng.integers(1, 8)),
        "vandermonde": lambda: np.vander(np.linspace(0.0, 1.0, n + extra), n),
    }[kind]()
    b = a @ np.ones((n, 2)) if consistent else rng.standard_normal((len(a), 2))
    truth = exact.least_squares(a.tolist(), b.tolist())
    solution = solve_with_bounds(a, b, refine=refine)
    assert solution.verified
    ratio = check(solution, truth, exact)
    assert ratio is None or ratio < (100.0 if kind in ("random", "vandermonde") else 1e4)
    assert solution.growth_factor == 1.0
    if refine:
        assert (solution.digits >= (15 if kind in ("random", "vandermonde") else 11)).all()


@pytest.mark.parametrize("refine", [False, True])
def test_median_of_least_squares(refine, exact, matrices):
    rng, ratios = np.random.default_rng(1), []
    for trial in range(100):
        n = int(rng.integers(1, 6))
        a = matrices.laeuchli(n, 10.0 ** -rng.uniform(1, 9))
        if trial % 2:
            a = rng.standard_normal((n + 3, n)) * 10.0 ** rng.uniform(-6, 6, n)
        b = rng.standard_normal((len(a), 1))
        truth = exact.least_squares(a.tolist(), b.tolist())
        ratio = check(solve_with_bounds(a, b, refine=refine), truth, exact)
        ratios += [] if ratio is None else [ratio]
    assert np.median(ratios) < 10.0


class TestWhatIsReported:
    def test_worst_case_of_growth(self, matrices):
        a = matrices.wilkinson(50)
        b = np.random.default_rng(0).standard_normal(50)
        plain, refined = solve_with_bounds(a, b, refine=False), solve_with_bounds(a, b)
        assert plain.growth_factor == 2.0**49
        assert plain.backward_error > 1e-5  # what theorem 3.6 is afraid of
        assert plain.verified
        assert plain.digits < 6
        assert refined.digits == 15
        assert refined.backward_error < 1e-16

    def test_backward_error_is_the_smallest_change(self):
        rng = np.random.default_rng(1)
        a, b = rng.standard_normal((6, 6)), rng.standard_normal(6)
        solution = solve_with_bounds(a, b, refine=False)
        r = np.array([float(Fraction(float(v)) - sum(Fraction(float(c)) * Fraction(float(x))
                      for c, x in zip(row, solution.x, strict=True)))
                      for v, row in zip(b, a, strict=True)])  # fmt: skip
        k = np.abs(solution.x).argmax()
        change = np.zeros((6, 6))
        change[:, k] = r / solution.x[k]
        size = np.linalg.norm(change, np.inf) / np.linalg.norm(a, np.inf)
        assert solution.backward_error == pytest.approx(size)
        assert solution.backward_error < 1e-15

    def test_beyond_double_precision(self, exact, matrices):
        """A condition number of 1e22, and ten digits."""
        a = matrices.hilbert(16)
        b = np.ones((16, 1))
        solution = solve_with_bounds(a, b)
        assert solution.verified
        assert solution.digits[0] >= 10
        check(solution, exact.solve(a.tolist(), b.tolist()), exact)
        assert solve_with_bounds(a, b, refine=False).digits[0] == 0

    def test_nothing_can_be_proved(self):
        a = np.array([[1.0, 2.0], [3.0, 6.0 + 1e-15]]) @ np.array([[1.0, 1.0], [1.0, 1.0 + 1e-16]])
        a = np.vstack([a, a]) @ np.array([[1.0, 1e-3], [1.0, 1e-3]])  # rank 1, tall
        with pytest.warns(LinAlgWarning, match="no digit of the solution can be trusted"):
            solution = solve_with_bounds(a, np.ones(4))
        assert not solution.verified
        assert solution.digits == 0
        assert np.isinf(solution.error_bound).all()

    def test_exactly_singular(self):
        with pytest.raises(np.linalg.LinAlgError, match="A is singular"):
            solve_with_bounds([[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0])

    def test_zero_right_hand_side(self):
        solution = solve_with_bounds([[2.0, 1.0], [1.0, 3.0]], [[0.0, 1.0], [0.0, 1.0]])
        assert np.array_equal(solution.x[:, 0], [0.0, 0.0])
        assert np.array_equal(solution.error_bound[:, 0], [0.0, 0.0])
        assert solution.digits[0] == 15
        assert solution.backward_error[0] == 0.0

    @pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
    def test_extreme_sizes(self, size, exact):
        rng = np.random.default_rng(2)
        a, b = rng.standard_normal((5, 5)), rng.standard_normal((5, 1))
        check(solve_with_bounds(a * size, b), exact.solve((a * size).tolist(), b.tolist()), exact)
        check(solve_with_bounds(a, b * size), exact.solve(a.tolist(), (b * size).tolist()), exact)
        tall = rng.standard_normal((7, 3)) * size
        truth = exact.least_squares(tall.tolist(), np.ones((7, 1)).tolist())
        check(solve_with_bounds(tall, np.ones((7, 1))), truth, exact)

    def test_condition_and_names(self):
        a = np.random.default_rng(3).standard_normal((8, 8))
        solution = solve_with_bounds(a, np.ones(8))
        assert solution.condition == pytest.approx(np.linalg.cond(a, np.inf), rel=0.5)
        assert solution.n_refinements >= 1

    def test_shapes(self):
        with pytest.raises(ValueError, match=r"fewer rows than columns, \(2, 3\)"):
            solve_with_bounds(np.ones((2, 3)), np.ones(2))
        with pytest.raises(ValueError, match=r"b must have the shape \(2,\) or \(2, k\)"):
            solve_with_bounds(np.eye(2), np.ones(3))

    def test_many_rows(self):
        """Larger than exact arithmetic can follow: the solution is known instead."""
        rng = np.random.default_rng(4)
        a = rng.integers(-9, 10, (300, 300)).astype(float)
        x = rng.integers(-9, 10, 300).astype(float)
        solution = solve_with_bounds(a, a @ x)
        assert (np.abs(solution.x - x) <= solution.error_bound).all()
        assert solution.digits == 15


class TestInverse:
    @pytest.mark.parametrize("norm", [1, 2, np.inf])
    def test_bounds_the_norm(self, norm, exact, matrices):
        rng = np.random.default_rng(5)
        for n in (1, 2, 5, 9):
            for a in matrices.families(rng, n).values():
                truth = exact.inverse(a.tolist())
                bound = inverse_norm_bound(a, norm)
                if truth is None:
                    assert bound == np.inf
                elif norm == 2:
                    floats = np.array([[float(v) for v in row] for row in truth])
                    assert np.linalg.norm(floats, 2) <= bound * (1 + 1e-12)
                else:
                    assert exact.norm(truth, norm) <= (
                        Fraction(bound) if bound < np.inf else 10**400
                    )
                    assert bound == np.inf or bound <= 2.0 * float(exact.norm(truth, norm))

    def test_is_proved_or_not(self, exact, matrices):
        """alpha bounds I - R A whatever rounding did."""
        rng = np.random.default_rng(6)
        for a in matrices.families(rng, 7).values():
            r, c = equilibrate(a)
            a = np.ldexp(a, -(r[:, None] + c))
            found = verified_inverse(a)
            low = np.zeros_like(a) if found.low is None else found.low
            inverse = [
                [Fraction(float(x)) + Fraction(float(y)) for x, y in zip(*pair, strict=True)]
                for pair in zip(found.high, low, strict=True)
            ]
            rows = [[Fraction(float(v)) for v in row] for row in a]
            for i in range(7):
                gap = sum(abs(int(i == j) - sum(inverse[i][k] * rows[k][j] for k in range(7)))
                          for j in range(7))  # fmt: skip
                assert gap <= Fraction(float(found.rows[i]))


class TestPerturbation:
    @settings(max_examples=100)
    @given(n=st.integers(1, 7), seed=st.integers(0, 10**6), norm=st.sampled_from([1, np.inf]),
           size=st.floats(1e-14, 0.9))  # fmt: skip
    def test_bound_holds(self, n, seed, norm, size, exact, matrices):
        rng = np.random.default_rng(seed)
        for a in matrices.families(rng, n).values():
            inverse = inverse_norm_bound(a, norm)
            if not inverse < 1e12 * np.linalg.norm(a, norm):
                continue
            b = rng.standard_normal(n)
            change = rng.standard_normal((n, n))
            change *= size / inverse / np.linalg.norm(change, norm)
            shift = rng.standard_normal(n) * 1e-3 * size
            try:
                bound = perturbation_bound(a, b, change, shift, norm=norm)
            except np.linalg.LinAlgError:
                assert size > 0.8
                continue
            x = exact.solve(a.tolist(), [[v] for v in b])
            moved = [[Fraction(float(u)) + Fraction(float(v)) for u, v in zip(*pair, strict=True)]
                     for pair in zip(a, change, strict=True)]  # fmt: skip
            right = [
                [Fraction(float(u)) + Fraction(float(v))] for u, v in zip(b, shift, strict=True)
            ]
            y = exact.solve(moved, right)
            difference = [[u[0] - v[0]] for u, v in zip(x, y, strict=True)]
            ratio = exact.norm(difference, norm) / exact.norm(x, norm)
            assert ratio <= Fraction(bound.relative_bound)
            assert exact.norm(exact.inverse(a.tolist()), norm) <= Fraction(bound.inverse_norm)
            assert exact.norm(exact.inverse(moved), norm) <= Fraction(bound.perturbed_inverse_norm)

    def test_formula(self):
        a, b = np.diag([4.0, 2.0]), np.array([4.0, 1.0])
        bound = perturbation_bound(a, b, 0.5, 0.25)
        assert bound.r == pytest.approx(0.25)
        assert bound.condition == pytest.approx(2.0)
        assert bound.inverse_norm == pytest.approx(0.5)
        assert bound.perturbed_inverse_norm == pytest.approx(0.5 / 0.75)
        assert bound.relative_bound == pytest.approx(2.0 / 0.75 * (0.5 / 4.0 + 0.25 / 4.0))
        assert perturbation_bound(a, b, norm=2).relative_bound == 0.0

    def test_refuses(self, matrices):
        with pytest.raises(np.linalg.LinAlgError, match=r"= 1 is not below 1.*holds for .* < 2"):
            perturbation_bound(np.diag([4.0, 2.0]), [1.0, 1.0], 2.0)
        with pytest.raises(np.linalg.LinAlgError, match="singular to working precision"):
            perturbation_bound(np.ones((2, 2)), [1.0, 1.0], 1e-20)
        with pytest.raises(ValueError, match="b is zero"):
            perturbation_bound(np.eye(2), [0.0, 0.0])
        with pytest.raises(ValueError, match=r"dA is a norm and must not be negative; got -1\.0"):
            perturbation_bound(np.eye(2), [1.0, 0.0], -1.0)
        with pytest.raises(
            ValueError, match=r"dA must have the shape of A, \(2, 2\); it has \(3, 3\)"
        ):
            perturbation_bound(np.eye(2), [1.0, 0.0], np.eye(3))
        with pytest.raises(ValueError, match="db must have the shape"):
            perturbation_bound(np.eye(2), [1.0, 0.0], 0.0, [1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match="one right-hand side"):
            perturbation_bound(np.eye(2), np.eye(2))
        with pytest.raises(ValueError, match="norm must be one of 1, 2, inf; got 3"):
            perturbation_bound(np.eye(2), [1.0, 0.0], norm=3)


class TestCondition:
    @pytest.mark.parametrize("norm", [1, 2, np.inf])
    def test_exact_and_estimated(self, norm, matrices):
        rng = np.random.default_rng(7)
        for n in (1, 3, 8):
            for a in matrices.families(rng, n).values():
                truth = np.linalg.cond(a, norm)
                if truth > 1e12:
                    continue
                assert condition_number(a, norm, exact=True) == pytest.approx(truth, rel=1e-3)
                estimate = condition_number(a, norm)
                assert truth / 6 <= estimate <= truth * (1 + 1e-3)

    def test_large_estimates(self):
        rng = np.random.default_rng(8)
        q, _ = np.linalg.qr(rng.standard_normal((600, 600)))
        a = q * np.logspace(0, -5, 600) @ q.T
        assert condition_number(a, 2) == pytest.approx(1e5, rel=0.3)
        assert condition_number(a, 2, exact=True) == pytest.approx(1e5, rel=1e-6)
        tall = rng.standard_normal((2000, 510))
        assert condition_number(tall) == pytest.approx(np.linalg.cond(tall), rel=0.3)

    def test_singular_and_rectangular(self):
        for norm in (1, 2, np.inf):
            for exact in (False, True):
                assert condition_number(np.zeros((2, 2)), norm, exact=exact) == np.inf
        a = np.random.default_rng(9).standard_normal((5, 3))
        assert condition_number(a) == pytest.approx(np.linalg.cond(a))
        assert condition_number(a.T) == pytest.approx(np.linalg.cond(a))
        with pytest.raises(ValueError, match="A must be square"):
            condition_number(a, 1)
        assert condition_number(np.eye(2), "inf") == 1.0


class TestRefinement:
    @given(n=st.integers(1, 8), seed=st.integers(0, 10**6))
    def test_correct_to_the_last_digits(self, n, seed, exact, matrices):
        rng = np.random.default_rng(seed)
        for a in matrices.families(rng, n).values():
            if np.linalg.cond(a) > 1e12:
                continue
            b = rng.standard_normal((n, 2))
            found = iterative_refinement(a, b)
            assert found.converged
            truth = exact.solve(a.tolist(), b.tolist())
            for x, low, row in zip(found.x, found.correction, truth, strict=True):
                for value, rest, t in zip(x, low, row, strict=True):
                    top = max(abs(r[0]) + abs(r[1]) for r in truth)
                    assert abs(Fraction(float(value)) - t) <= top * Fraction(2.0**-52)
                    pair = Fraction(float(value)) + Fraction(float(rest))
                    assert abs(pair - t) <= top * Fraction(2.0**-60)

    def test_single_precision_factor(self, matrices):
        a = matrices.hilbert(4)
        b = np.array([1e-30, 2e-30, -1e-30, 5e-31])  # below what float32 resolves beside 1
        found = iterative_refinement(a, b, factor=lu(a.astype(np.float32)))
        assert found.converged
        assert found.n_iter > 3
        np.testing.assert_allclose(found.x, solve_with_bounds(a, b).x, rtol=1e-15)

    def test_starts_where_it_is_told(self):
        a, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
        exact = iterative_refinement(a, b)
        again = iterative_refinement(a, b, [0.0, 0.0])
        np.testing.assert_allclose(again.x, exact.x, rtol=1e-15)
        none = iterative_refinement(a, b, [7.0, 7.0], max_iter=0)
        assert np.array_equal(none.x, [7.0, 7.0])
        assert not none.converged
        with pytest.raises(ValueError, match="x has 2 columns and b 1"):
            iterative_refinement(a, b, np.ones((2, 2)))

    def test_diverging_is_reported(self):
        a = np.array([[1.0, 2.0], [3.0, 4.0]])
        found = iterative_refinement(a, [1.0, 1.0], factor=lu(np.eye(2)))
        assert not found.converged


@given(m=st.integers(1, 5), n=st.integers(1, 6), k=st.integers(1, 3), seed=st.integers(0, 10**6))
def test_residual_kernel(m, n, k, seed):
    """The pair holds twice the digits of double precision, cancellation or not."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-5, 5, (m, n))
    x, low = rng.standard_normal((2, n, k))
    low *= 1e-17
    b = a @ x  # so that the residual is all rounding
    high, rest = np.empty((2, k, m))
    pair_residual(
        np.ascontiguousarray(a.T), *map(np.ascontiguousarray, (x.T, low.T, b.T)), high, rest
    )
    for i in range(m):
        for c in range(k):
            pairs = [Fraction(float(x[j, c])) + Fraction(float(low[j, c])) for j in range(n)]
            terms = [Fraction(float(a[i, j])) * pairs[j] for j in range(n)]
            truth = Fraction(float(b[i, c])) - sum(terms)
            size = sum(map(abs, terms)) + abs(Fraction(float(b[i, c])))
            got = Fraction(float(high[c, i])) + Fraction(float(rest[c, i]))
            assert abs(got - truth) <= size * Fraction(((2 * n + 2) * 2.0**-53) ** 2)
            assert abs(rest[c, i]) <= 2.0**-52 * abs(high[c, i])
