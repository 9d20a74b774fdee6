"""Sufficient statistics: additive, independent of order and basis, exact far from zero."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.mixed import MixedStatistics, fit_statistics, profiled_criterion
from lmmfit.mixed.likelihood import _share_factors


def _build(data, rows=slice(None), **options):
    weights = None if data.weights is None else data.weights[rows]
    return MixedStatistics.from_arrays(
        data.y[rows], data.X[rows], data.Z[rows], data.groups[rows],
        sample_weight=weights, **options,
    )  # fmt: skip


def _same_products(one, two, atol=1e-9):
    """The same sums, group by group, whatever the order of groups and the basis."""
    two = two.rebase(one.basis)
    order = np.argsort(one.levels.labels), np.argsort(two.levels.labels)
    np.testing.assert_array_equal(one.levels.labels[order[0]], two.levels.labels[order[1]])
    np.testing.assert_array_equal(one.counts[order[0]], two.counts[order[1]])
    scale = np.abs(one.products).max()
    np.testing.assert_allclose(
        one.products[:, order[0]], two.products[:, order[1]], rtol=1e-9, atol=atol * scale
    )
    np.testing.assert_allclose(one.total, two.total, rtol=1e-9, atol=atol * one.total.max())
    assert one.n_rows == two.n_rows
    assert one.weight == pytest.approx(two.weight, rel=1e-13)
    assert one.sum_log_weight == pytest.approx(two.sum_log_weight, rel=1e-11, abs=1e-11)


def _values(statistics, points):
    criteria = [profiled_criterion(statistics, method) for method in ("ml", "reml")]
    return [criterion(theta) for criterion in criteria for theta in points]


POINTS = ([0.0, 0.0, 0.0], [1.0, 0.3, 0.5], [2.0, -1.0, 0.0])


class TestAddition:
    @given(st.integers(0, 200), st.integers(2, 5), st.booleans())
    def test_rows_split_anyhow(self, dense, seed, parts, weighted):
        data = dense.problem(2, 3, m=7, seed=seed % 5, weighted=weighted)
        whole = _build(data)
        part = np.random.default_rng(seed).integers(0, parts, size=len(data.y))
        sums = [_build(data, part == k) for k in range(parts) if (part == k).any()]
        total = sums[0]
        for other in sums[1:]:
            total = total + other
        _same_products(whole, total)
        np.testing.assert_allclose(_values(total, POINTS), _values(whole, POINTS), rtol=1e-8)

    def test_no_group_in_common(self, dense):
        data = dense.problem(2, 2, m=9)
        first = data.groups < 4
        total = _build(data, first) + _build(data, ~first)
        assert total.n_groups == 9
        _same_products(_build(data), total)

    def test_order_does_not_matter(self, dense):
        data = dense.problem(2, 2, m=9, rows=(3, 6))
        one, two, three = (_build(data, slice(k, None, 3)) for k in range(3))
        _same_products((one + two) + three, one + (two + three))
        _same_products(one + two, two + one)

    def test_parts_with_bases_far_apart(self, dense):
        """Each part shifts by its own means: the sum is expressed in the first's basis."""
        data = dense.problem(2, 2, m=6, rows=(6, 9))
        late = np.arange(len(data.y)) % 2 == 1
        data.y[late] += 1000.0
        data.X[late, 1] += 50.0
        data.Z[:, 1] = data.X[:, 1]
        parts = _build(data, ~late), _build(data, late)
        assert abs(parts[0].basis.shift - parts[1].basis.shift).max() > 40
        _same_products(_build(data), sum(parts[1:], parts[0]))
        wanted = fit_statistics(_build(data))
        for total in (parts[0] + parts[1], parts[1] + parts[0]):
            got = fit_statistics(total)
            assert got.deviance == pytest.approx(wanted.deviance, abs=1e-7)
            np.testing.assert_allclose(got.beta, wanted.beta, rtol=1e-6)

    def test_rebase_and_back(self, dense):
        data = dense.problem(3, 3, m=6)
        statistics, other = _build(data), _build(data, slice(0, 9))
        there = statistics.rebase(other.basis)
        assert there.basis is other.basis
        _same_products(statistics, there.rebase(statistics.basis))
        assert statistics.rebase(statistics.basis) is statistics
        np.testing.assert_allclose(
            profiled_criterion(there)(np.ones(6)),
            profiled_criterion(statistics)(np.ones(6)),
            rtol=1e-10,
        )

    def test_without_groups(self):
        rng = np.random.default_rng(0)
        X, y = np.column_stack([np.ones(40), rng.normal(size=40)]), rng.normal(size=40)
        parts = [MixedStatistics.from_arrays(y[s], X[s]) for s in (slice(0, 11), slice(11, 40))]
        got = fit_statistics(parts[0] + parts[1])
        np.testing.assert_allclose(got.beta, np.linalg.lstsq(X, y)[0], rtol=1e-10)

    def test_operands_stay(self, dense):
        data = dense.problem(2, 2)
        one, two = _build(data, slice(None, None, 2)), _build(data, slice(1, None, 2))
        before = [part.products.copy() for part in (one, two)]
        one + two
        for part, products in zip((one, two), before, strict=True):
            np.testing.assert_array_equal(part.products, products)

    def test_other_models_are_refused(self, dense):
        one, two = (_build(dense.problem(2, p)) for p in (2, 3))
        with pytest.raises(ValueError, match="only statistics of the same model can be added"):
            one + two
        with pytest.raises(TypeError, match="unsupported operand"):
            one + 1


class TestInvariance:
    def test_order_of_rows(self, dense):
        data = dense.problem(2, 3, m=40, weighted=True)
        order = np.random.default_rng(0).permutation(len(data.y))
        _same_products(_build(data), _build(data, order))

    @pytest.mark.parametrize(
        "relabel",
        [
            lambda g: g * 10**12 - 5,
            lambda g: np.array([f"level {k:03d}" for k in g]),
            lambda g: np.array([f"level {k:03d}" for k in g], dtype=object),
            lambda g: g + 0.5,
            lambda g: g.astype(np.uint8),
            lambda g: (g - 4).astype(np.int32),
        ],
        ids=["wide integers", "strings", "objects", "floats", "bytes", "int32"],
    )
    def test_labels_of_groups(self, dense, relabel):
        data = dense.problem(2, 2, m=9)
        wanted = _build(data)
        data.groups = relabel(data.groups)
        got = _build(data)
        np.testing.assert_array_equal(got.products, wanted.products)
        np.testing.assert_array_equal(got.levels.labels, np.unique(data.groups))

    def test_more_rows_than_a_block(self):
        rng = np.random.default_rng(0)
        n = 20_011
        X, groups = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.integers(0, 37, n)
        y = rng.normal(size=n)
        statistics = MixedStatistics.from_arrays(y, X, X, groups)
        V = np.column_stack([X, y])
        V = (V - statistics.basis.shift) @ statistics.basis.transform
        np.testing.assert_allclose(statistics.total, V.T @ V, rtol=1e-9, atol=1e-8 * n)
        own = V[groups == 5]
        r = statistics.layout.rows_of(range(2), range(3))
        np.testing.assert_allclose(
            statistics.products[r, 5], own[:, :2].T @ own, rtol=1e-9, atol=1e-9 * n
        )
        np.testing.assert_array_equal(statistics.counts, np.bincount(groups))

    @pytest.mark.parametrize("given_basis", [False, True])
    def test_criterion_does_not_depend_on_the_basis(self, dense, given_basis):
        data = dense.problem(2, 3, weighted=True)
        basis = _build(data, slice(0, 8)).basis if given_basis else None
        statistics = _build(data, basis=basis)
        for method in ("ml", "reml"):
            for theta in POINTS:
                wanted = dense.evaluate(
                    theta, data.y, data.X, data.Z, data.groups, method, data.weights, order=0
                )
                assert profiled_criterion(statistics, method)(theta) == pytest.approx(wanted)


class TestWeights:
    def test_zero_leaves_a_row_out(self, dense):
        data = dense.problem(2, 2, m=9, weighted=True)
        out = np.arange(len(data.y)) % 3 == 0
        data.weights[out] = 0.0
        zero = _build(data)
        without = _build(data, ~out)
        assert zero.n_rows == without.n_rows == (~out).sum()
        np.testing.assert_allclose(_values(zero, POINTS), _values(without, POINTS), rtol=1e-11)

    def test_row_of_weight_zero_may_hold_anything(self, dense):
        data = dense.problem(2, 2, weighted=True)
        data.weights[3], data.y[3] = 0.0, np.nan
        assert np.isfinite(_build(data).total).all()

    def test_ones_change_nothing(self, dense):
        data = dense.problem(2, 2)
        plain = _build(data)
        data.weights = np.ones(len(data.y))
        _same_products(plain, _build(data))

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([1.0, -0.5], r"not negative; row 1 has -0.5"),
            ([1.0, np.nan], r"must be finite.*row 1 has nan"),
            ([np.inf, 1.0], r"must be finite.*row 0 has inf"),
            ([1.0], r"sample_weight must have shape \(2,\), got \(1,\)"),
            ([0.0, 0.0], "there are no rows"),
        ],
    )
    def test_errors(self, weights, message):
        with pytest.raises(ValueError, match=message):
            MixedStatistics.from_arrays(
                [1.0, 2.0], np.ones((2, 1)), np.ones((2, 1)), [0, 0], sample_weight=weights
            )


class TestErrors:
    @pytest.mark.parametrize(
        ("y", "X", "Z", "groups", "message"),
        [
            (np.ones((3, 1)), np.ones((3, 1)), None, None, r"y must have shape \(n,\)"),
            (np.ones(3), np.ones(3), None, None, r"X \(n, p\)"),
            (np.ones(3), np.ones((2, 1)), None, None, r"the same n; got \(3,\), \(2, 1\)"),
            (np.ones(3), np.ones((3, 1)), np.ones((4, 1)), [0, 1, 2], "the same n"),
            (np.ones(3), np.ones((3, 1)), np.ones((3, 1)), None, "one label for each of the 3"),
            (np.ones(3), np.ones((3, 1)), np.ones((3, 1)), [0, 1], "one label for each of the 3"),
            (np.empty(0), np.empty((0, 1)), None, None, "there are no rows"),
        ],
    )
    def test_shapes(self, y, X, Z, groups, message):
        with pytest.raises(ValueError, match=message):
            MixedStatistics.from_arrays(y, X, Z, groups)

    @pytest.mark.parametrize("row", [3, 1500, 8999])
    @pytest.mark.parametrize(
        ("value", "what"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
    )
    def test_value_names_column_and_row(self, value, what, row):
        rng = np.random.default_rng(0)
        y, X = rng.normal(size=9000), rng.normal(size=(9000, 2))
        groups = np.arange(9000) % 7
        X[row, 1] = value
        with pytest.raises(ValueError, match=f"column 'x1' contains {what}, first in row {row}"):
            MixedStatistics.from_arrays(y, X, np.ones((9000, 1)), groups)
        X[row, 1], y[row] = 0.0, value
        with pytest.raises(ValueError, match=f"the response contains {what}, first in row {row}"):
            MixedStatistics.from_arrays(y, X, np.ones((9000, 1)), groups)

    def test_missing_label(self):
        groups = [0.0, 1.0, np.nan, 1.0]
        with pytest.raises(ValueError, match=r"missing label \(NaN\) in row 2"):
            MixedStatistics.from_arrays(np.ones(4), np.ones((4, 1)), np.ones((4, 1)), groups)

    def test_overflow(self):
        y, X = np.array([1.0, 2.0, 3.0]), np.array([[1e200], [2e200], [-1e200]])
        with pytest.raises(ValueError, match=r"column 'x0' are too large to be squared; rescale"):
            MixedStatistics.from_arrays(y, X)


def test_frozen(dense):
    statistics = _build(dense.problem(1, 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        statistics.n_rows = 3


def test_shared_columns_are_stored_once(dense):
    shared, apart = (dense.problem(2, 2, shared=shared) for shared in (True, False))
    assert _build(shared).layout.columns == ("(Intercept)", "x1")
    assert _build(apart).layout.columns == ("(Intercept)", "z1", "x1")
    assert len(_build(shared).products) == 5
    assert len(_build(apart).products) == 7


class TestFarFromZero:
    def _problem(self):
        rng = np.random.default_rng(4)
        groups = np.repeat(np.arange(30), 8)
        x = np.round(rng.normal(size=240) * 2**20) / 2**20  # exact after the shifts below
        effects = rng.normal(size=(30, 2))
        y = 2.0 + 0.5 * x + effects[groups, 0] + effects[groups, 1] * x + rng.normal(size=240)
        return np.round(y * 2**20) / 2**20, x, groups

    def _fit(self, y, x, groups, method):
        X = np.column_stack([np.ones_like(x), x])
        return fit_statistics(MixedStatistics.from_arrays(y, X, X, groups), method)

    @pytest.mark.parametrize("method", ["ml", "reml"])
    @pytest.mark.parametrize("shift", [1e8, 2.0**42])
    def test_response(self, shift, method):
        y, x, groups = self._problem()
        y = np.round(y * 2**10) / 2**10
        near, far = (self._fit(y + move, x, groups, method) for move in (0.0, shift))
        assert far.deviance == pytest.approx(near.deviance, abs=1e-7)
        np.testing.assert_allclose(far.theta, near.theta, rtol=1e-6)
        assert far.beta[0] - shift == pytest.approx(near.beta[0], abs=1e-7 + 4e-16 * shift)
        assert far.beta[1] == pytest.approx(near.beta[1], rel=1e-7)
        assert far.sigma2 == pytest.approx(near.sigma2, rel=1e-8)
        np.testing.assert_allclose(
            np.sqrt(np.diag(far.beta_covariance)), np.sqrt(np.diag(near.beta_covariance)), 1e-7
        )

    @pytest.mark.parametrize("method", ["ml", "reml"])
    def test_column(self, method):
        """A slope at 1e6: its intercept lies far off, the model is the same."""
        y, x, groups = self._problem()
        near, far = (self._fit(y, x + shift, groups, method) for shift in (0.0, 1e6))
        assert far.deviance == pytest.approx(near.deviance, abs=1e-6)
        assert far.sigma2 == pytest.approx(near.sigma2, rel=1e-7)
        assert far.beta[1] == pytest.approx(near.beta[1], rel=1e-7)
        assert far.beta[0] + 1e6 * far.beta[1] == pytest.approx(near.beta[0], rel=1e-6)
        slope = [f.sigma2 * (f.lambda_ @ f.lambda_.T)[1, 1] for f in (near, far)]
        assert slope[1] == pytest.approx(slope[0], rel=1e-6)

    def test_units(self):
        y, x, groups = self._problem()
        near, far = (self._fit(y, scale * x, groups, "ml") for scale in (1.0, 1e-9))
        assert far.deviance == pytest.approx(near.deviance, abs=1e-8)
        assert far.beta[1] * 1e-9 == pytest.approx(near.beta[1], rel=1e-9)
        near, far = (self._fit(scale * y, x, groups, "ml") for scale in (1.0, 1e9))
        wanted = near.deviance + 2 * len(y) * np.log(1e9)
        assert far.deviance == pytest.approx(wanted, abs=1e-7)

    def test_nearly_collinear_columns(self):
        y, x, groups = self._problem()
        X = np.column_stack([np.ones(240), x, x + 1e-6 * np.sin(np.arange(240.0))])
        one = np.ones((240, 1))
        got = fit_statistics(MixedStatistics.from_arrays(y, X, one, groups), "ml")
        X[:, 2] = (X[:, 2] - x) * 1e6
        wanted = fit_statistics(MixedStatistics.from_arrays(y, X, one, groups), "ml")
        assert not got.aliased
        assert got.deviance == pytest.approx(wanted.deviance, abs=1e-6)
        assert got.beta[2] * 1e-6 == pytest.approx(wanted.beta[2], rel=1e-3)


class TestSharedFactors:
    def _statistics(self, q, m=400, kinds=3):
        rng = np.random.default_rng(q)
        designs = [
            np.column_stack([np.ones(4), rng.normal(size=(4, q - 1))]) for _ in range(kinds)
        ]
        kind = rng.integers(0, kinds, size=m)
        Z = np.concatenate([designs[k] for k in kind])
        groups = np.repeat(np.arange(m), 4)
        y = (Z * rng.normal(size=(m, q))[groups]).sum(axis=1) + rng.normal(size=4 * m)
        return MixedStatistics.from_arrays(y, Z, Z, groups)

    @pytest.mark.parametrize("method", ["ml", "reml"])
    @pytest.mark.parametrize("q", [1, 2, 3])
    def test_same_criterion_as_without(self, monkeypatch, q, method):
        statistics = self._statistics(q)
        shared = profiled_criterion(statistics, method)
        monkeypatch.setattr(
            "lmmfit.mixed.likelihood._share_factors",
            lambda products, g_row, c_row: (products, g_row, c_row, np.empty(0)),
        )
        apart = profiled_criterion(statistics, method)
        theta = np.random.default_rng(0).normal(size=q * (q + 1) // 2)
        got, wanted = (criterion.evaluate(theta, order=2) for criterion in (shared, apart))
        assert got.value == pytest.approx(wanted.value, rel=1e-12)
        np.testing.assert_allclose(got.gradient, wanted.gradient, rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(got.hessian, wanted.hessian, rtol=1e-9, atol=1e-7)

    def test_sums_are_shorter_only_where_designs_repeat(self):
        statistics = self._statistics(2)
        g_row = statistics.layout.rows_of([0, 1], [0, 1])
        c_row = statistics.layout.rows_of([0, 1], [0, 1, 2])
        rows, _, _, multiplicity = _share_factors(statistics.products, g_row, c_row)
        assert rows.shape[1] < 20
        assert multiplicity.sum() == 400
        rng = np.random.default_rng(0)
        products = rng.normal(size=statistics.products.shape)
        rows, _, _, multiplicity = _share_factors(products, g_row, c_row)
        assert rows is products
        assert multiplicity.size == 0
