"""Kernels against plain NumPy: group by group, and the whole model by n x n matrices."""

import os
import subprocess
import sys
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
import scipy.optimize

from lmmfit.mixed import (
    MixedStatistics,
    _descent_kernels,
    _group_kernels,
    _pilot_kernels,
    _profile_kernels,
    _row_kernels,
    profiled_criterion,
)
from lmmfit.optimize import minimize_newton

BLOCK_BOUNDARIES = (1, 255, 256, 257, 600, *(_group_kernels.BLOCK + step for step in (-1, 0, 1)))
SIZES = [(q, c) for q in (1, 2, 3, 4) for c in (1, 2, 3, 4, 5)]


def _pairs(q):
    return [(a, b) for a in range(q) for b in range(a, q)]


def _sums(q, c, m, counted, seed=0, fewest=2):
    """Cross-products of m groups laid out for the kernels, and the same as lists."""
    rng = np.random.default_rng([q, c, m, seed])
    pairs = _pairs(q)
    g_row, c_row = np.empty((q, q), np.int64), np.empty((q, c), np.int64)
    for k, (a, b) in enumerate(pairs):
        g_row[a, b] = g_row[b, a] = k
    c_row[:] = len(pairs) + rng.permutation(q * c).reshape(q, c)
    rows, grams, crosses = np.empty((len(pairs) + q * c, m)), [], []
    for i in range(m):
        z, v = (rng.normal(size=(fewest + i % 4, columns)) for columns in (q, c))
        grams.append(z.T @ z)
        crosses.append(z.T @ v)
        rows[g_row.ravel(), i] = grams[-1].ravel()
        rows[c_row.ravel(), i] = crosses[-1].ravel()
    multiplicity = rng.integers(0, 4, size=m).astype(float) if counted else np.empty(0)
    counts = multiplicity if counted else np.ones(m)
    factor = np.tril(rng.normal(size=(q, q)))
    return SimpleNamespace(
        arrays=(rows, g_row, c_row, multiplicity, factor),
        groups=list(zip(grams, crosses, counts, strict=True)),
        factor=factor,
        work=np.full(_group_kernels.BLOCK * _group_kernels.work_rows(q, c), np.nan),
        omega=(lambda a: a @ a.T)(rng.normal(size=(c, c))),
    )


def _per_group(factor, gram, cross):
    """K, log|A|, T and E of one group by their definitions."""
    q = len(factor)
    A = np.eye(q) + factor.T @ gram @ factor
    K = factor @ np.linalg.solve(A, factor.T)
    B = np.eye(q) - gram @ K
    return K, np.linalg.slogdet(A)[1], B @ gram, B @ cross


def _packed(matrix):
    return np.array([matrix[pair] for pair in _pairs(len(matrix))])


def _twin(sums, c):
    """What the three passes over the groups must give."""
    q = len(sums.factor)
    count = q * (q + 1) // 2
    out = SimpleNamespace(
        logdet=0.0,
        total=np.zeros((c, c)),
        t=np.zeros(count),
        ee=np.zeros((q * c, q * c)),
        tt=np.zeros((count, count)),
        tq=np.zeros((count, count)),
    )
    for gram, cross, copies in sums.groups:
        K, logdet, T, E = _per_group(sums.factor, gram, cross)
        packed_t, packed_q = _packed(T), _packed(E @ sums.omega @ E.T)
        out.logdet += copies * logdet
        out.total -= cross.T @ K @ cross
        out.t += copies * packed_t
        out.ee += np.outer(E.ravel(), E.ravel())
        out.tt += copies * np.outer(packed_t, packed_t)
        out.tq += np.outer(packed_t, packed_q)
    return out


def _close(got, wanted):
    scale = 1.0 + np.abs(wanted).max(initial=0.0)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-11 * scale)


def _value_sums(sums, total):
    return _group_kernels.group_sums(
        False, *sums.arrays, sums.work, total, np.empty(0), np.empty((0, 0))
    )


def _check_group_sums(q, c, m, counted):
    sums = _sums(q, c, m, counted)
    wanted = _twin(sums, c)
    total = np.full((c, c), 7.0)
    logdet = _value_sums(sums, total)
    _close(logdet, wanted.logdet)
    _close(np.triu(total - 7.0), np.triu(wanted.total))
    sum_t, sum_ee = np.full(len(wanted.t), 2.0), np.full_like(wanted.ee, 3.0)
    total[:] = 7.0
    logdet = _group_kernels.group_sums(True, *sums.arrays, sums.work, total, sum_t, sum_ee)
    _close(logdet, wanted.logdet)
    _close(np.triu(total - 7.0), np.triu(wanted.total))
    _close(sum_t - 2.0, wanted.t)
    _close(np.tril(sum_ee - 3.0), np.tril(wanted.ee))
    sum_tt, sum_tq = np.full_like(wanted.tt, 4.0), np.full_like(wanted.tq, 5.0)
    _group_kernels.hessian_sums(*sums.arrays, sums.omega, sums.work, sum_tt, sum_tq)
    _close(sum_tt - 4.0, wanted.tt)
    _close(sum_tq - 5.0, wanted.tq)


@pytest.mark.parametrize("counted", [False, True], ids=["each once", "with multiplicity"])
@pytest.mark.parametrize(("q", "c"), SIZES)
def test_group_sums_small(q, c, counted):
    _check_group_sums(q, c, 9, counted)


@pytest.mark.parametrize("m", BLOCK_BOUNDARIES)
@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_group_sums_at_the_boundaries_of_blocks(q, m):
    for counted in (False, True):
        _check_group_sums(q, 3, m, counted)


@pytest.mark.parametrize("q", [1, 2, 3])
def test_group_sums_without_variance(q):
    sums = _sums(q, 2, 5, False)
    sums.arrays[4][:] = 0.0
    total = np.zeros((2, 2))
    assert _value_sums(sums, total) == 0.0
    assert not total.any()


@pytest.mark.parametrize("q", [1, 2, 3])
def test_log_determinants_of_extreme_groups(q):
    """Pivots from 1 to 1e120 and beyond in one block: their product would overflow."""
    sums = _sums(q, 1, 300, False, fewest=q + 2)
    scale = np.geomspace(1.0, 1e250 if q == 1 else 1e120, 300)
    sums.arrays[0][:] *= scale
    sums.factor[:] = np.eye(q)
    total = np.zeros((1, 1))
    logdet = _value_sums(sums, total)
    wanted = sum(
        np.linalg.slogdet(np.eye(q) + factor * gram)[1]
        for factor, (gram, *_) in zip(scale, sums.groups, strict=True)
    )
    assert logdet == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize("size", [1e6, 1e8, 1e9, 1e10])
@pytest.mark.parametrize("q", [2, 3, 4])
def test_rounding_makes_no_determinant_small(q, size):
    """A = I + Lambda'G Lambda with G of rank one: 1 is lost, log|A| must not collapse."""
    sums = _sums(q, 1, 5, False)
    z = np.random.default_rng(q).normal(size=q)
    rows, g_row, *_ = sums.arrays
    rows[:] = 0.0
    rows[g_row.ravel()] = np.outer(z, z).ravel()[:, None]
    sums.factor *= size
    logdet = _value_sums(sums, np.zeros((1, 1)))
    wanted = 5 * np.log1p(np.sum((z @ sums.factor) ** 2))
    assert np.isnan(logdet) or logdet > 0.9 * wanted


def _profile(total, logdet, nu, reml):
    c = len(total)
    chol, omega = np.empty((2, c, c))
    beta, covariance = np.empty(c - 1), np.empty((c - 1, c - 1))
    value, rss = _profile_kernels.profile(
        np.triu(total), logdet, nu, reml, total[-1, -1], chol, beta, covariance, omega
    )
    return SimpleNamespace(value=value, rss=rss, beta=beta, covariance=covariance, omega=omega)


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("p", [0, 1, 2, 3, 4])
def test_profile_small(p, reml):
    rng = np.random.default_rng(p)
    rows = rng.normal(size=(12, p + 1))
    total, nu = rows.T @ rows, 12.0 - p * reml
    got = _profile(total, 1.5, nu, reml)
    beta = np.linalg.inv(total[:p, :p]) @ total[:p, p]
    rss = total[p, p] - beta @ total[:p, p]
    value = 1.5 + nu * (1.0 + np.log(2.0 * np.pi * rss / nu))
    value += np.linalg.slogdet(total[:p, :p])[1] if reml else 0.0
    w = np.append(-beta, 1.0)
    omega = nu / rss * np.outer(w, w)
    covariance = np.linalg.inv(total[:p, :p])
    omega[:p, :p] += reml * covariance
    _close(got.value, value)
    _close(got.rss, rss)
    _close(got.beta, beta)
    _close(got.covariance, covariance)
    _close(got.omega, omega)


def test_profile_of_an_indefinite_total_is_nan():
    got = _profile(np.array([[-1.0, 0.0], [0.0, 1.0]]), 0.0, 5.0, True)
    assert np.isnan(got.value)
    assert np.isnan(got.rss)


def test_profile_of_an_exact_fit_is_nan():
    """Where only rounding is left of the residual there is no criterion."""
    rows = np.array([[1.0, 2.0], [2.0, 4.0]])
    got = _profile(rows.T @ rows, 0.0, 2.0, False)
    assert np.isnan(got.value)
    assert np.isnan(got.rss)


# The whole criterion.


def _criterion(data, method):
    statistics = MixedStatistics.from_arrays(
        data.y, data.X, data.Z, data.groups, sample_weight=data.weights
    )
    return profiled_criterion(statistics, method)


def _theta(dense, q, seed=0):
    rng = np.random.default_rng([seed, q])
    return rng.normal(0, 0.8, size=q * (q + 1) // 2)


@pytest.mark.parametrize("method", ["ml", "reml"])
@pytest.mark.parametrize("p", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_criterion_small(dense, q, p, method):
    for shared, weighted in ((True, False), (False, True)):
        data = dense.problem(q, p, intercept=shared, shared=shared, weighted=weighted)
        theta = _theta(dense, q)
        got = _criterion(data, method).evaluate(theta, order=2)
        value, gradient, hessian = dense.evaluate(
            theta, data.y, data.X, data.Z, data.groups, method, data.weights
        )
        assert got.value == pytest.approx(value, rel=1e-10)
        scale = 1e-9 * (1 + np.abs(hessian).max())
        np.testing.assert_allclose(got.gradient, gradient, rtol=1e-8, atol=scale)
        np.testing.assert_allclose(got.hessian, hessian, rtol=1e-8, atol=scale)


@pytest.mark.parametrize("q", [1, 2, 3])
def test_deviance_is_the_minimum_of_the_dense_density(dense, q):
    data = dense.problem(q, 2, m=6, shared=False, seed=3)
    theta, model = _theta(dense, q), (data.y, data.X, data.Z, data.groups)

    def objective(x):
        return dense.density(x[:2], np.exp(x[2]), theta, *model)

    found = scipy.optimize.minimize(objective, np.zeros(3), method="BFGS")
    best = scipy.optimize.minimize(
        objective, found.x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11}
    )
    criterion = _criterion(data, "ml")
    assert criterion(theta) == pytest.approx(best.fun, abs=1e-7)
    slope = np.abs(scipy.optimize.approx_fprime(best.x, objective, 1e-6)).max()
    assert slope < 1e-3


@pytest.mark.parametrize("method", ["ml", "reml"])
@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_derivatives_agree_with_differences(dense, q, method):
    data = dense.problem(q, 3, m=300, weighted=True, seed=1)
    criterion, theta, h = _criterion(data, method), _theta(dense, q, 1), 1e-5
    got = criterion.evaluate(theta, order=2)
    for j, step in enumerate(h * np.eye(len(theta))):
        up, down = (criterion.evaluate(theta + s, order=1) for s in (step, -step))
        slope = (up.value - down.value) / (2 * h)
        assert got.gradient[j] == pytest.approx(slope, rel=1e-6, abs=1e-5)
        bend = (up.gradient - down.gradient) / (2 * h)
        np.testing.assert_allclose(
            got.hessian[j], bend, rtol=1e-6, atol=1e-7 * np.abs(got.hessian).max()
        )
    np.testing.assert_array_equal(got.hessian, got.hessian.T)


def test_orders_agree(dense):
    criterion = _criterion(dense.problem(3, 2), "reml")
    theta = _theta(dense, 3)
    value, first, second = (criterion.evaluate(theta, order=order) for order in (0, 1, 2))
    assert criterion(theta) == value.value == first.value == second.value
    assert value.gradient is None
    assert first.hessian is None
    np.testing.assert_array_equal(first.gradient, second.gradient)


@pytest.mark.parametrize("method", ["ml", "reml"])
def test_value_and_gradient_to_fifty_digits(dense, method):
    """Two effects, two fixed effects, seven rows: the definition in extended precision."""
    data = dense.problem(2, 2, m=3, rows=(2, 4), seed=5, shared=False)
    n, p, q = len(data.y), 2, 2
    theta = [0.8, -0.3, 1.1]
    with mpmath.workdps(50):
        y, X = mpmath.matrix(data.y.tolist()), mpmath.matrix(data.X.tolist())

        def value(*theta):
            factor = mpmath.matrix(q, q)
            for t, at in zip(theta, dense.positions(q), strict=True):
                factor[at] = t
            P = factor * factor.T
            V = mpmath.eye(n)
            for i in range(n):
                for j in range(n):
                    if data.groups[i] == data.groups[j]:
                        V[i, j] += sum(
                            mpmath.mpf(data.Z[i, a]) * P[a, b] * mpmath.mpf(data.Z[j, b])
                            for a in range(q)
                            for b in range(q)
                        )
            inverse = V**-1
            information = X.T * inverse * X
            residual = y - X * (information**-1 * (X.T * inverse * y))
            rss = (residual.T * inverse * residual)[0]
            nu = mpmath.mpf(n - p if method == "reml" else n)
            total = mpmath.log(mpmath.det(V)) + nu * (1 + mpmath.log(2 * mpmath.pi * rss / nu))
            return total + (mpmath.log(mpmath.det(information)) if method == "reml" else 0)

        wanted = float(value(*theta))
        unit = np.eye(3, dtype=int).tolist()
        gradient = [float(mpmath.diff(value, tuple(theta), tuple(e))) for e in unit]
        mixed = float(mpmath.diff(value, tuple(theta), (1, 0, 1)))
    got = _criterion(data, method).evaluate(theta, order=2)
    assert got.value == pytest.approx(wanted, rel=1e-13)
    np.testing.assert_allclose(got.gradient, gradient, rtol=1e-11)
    assert got.hessian[0, 2] == pytest.approx(mixed, rel=1e-9)


def test_uncorrelated_blocks_equal_a_diagonal_factor(frames):
    """The blocks of || have the derivatives of the full factor at their positions."""
    from lmmfit.mixed import as_columns, bind_design, parse_random

    columns = as_columns(frames["sleepstudy"])
    criteria = []
    for random in ("(Days || Subject)", "(Days | Subject)"):
        design = bind_design(columns, parse_random(random), "Days")
        (codes,), (levels,) = design.encode(columns)
        y = columns.numeric("Reaction")
        statistics = MixedStatistics.from_columns(
            design.layout, design.vectors(columns), y, codes, levels
        )
        criteria.append(profiled_criterion(statistics))
    split, full = criteria
    got = split.evaluate([0.9, 0.25], order=2)
    wanted = full.evaluate([0.9, 0.0, 0.25], order=2)
    assert got.value == pytest.approx(wanted.value, rel=1e-12)
    np.testing.assert_allclose(got.gradient, wanted.gradient[[0, 2]], rtol=1e-8)
    np.testing.assert_allclose(got.hessian, wanted.hessian[np.ix_([0, 2], [0, 2])], rtol=1e-8)


def test_criterion_checks_its_arguments(dense):
    criterion = _criterion(dense.problem(2, 1), "ml")
    for theta in ([1.0], np.eye(2), 1.0):
        with pytest.raises(ValueError, match=r"theta must have shape \(3,\)"):
            criterion(theta)
    with pytest.raises(ValueError, match="method must be 'reml' or 'ml', got 'REML'"):
        profiled_criterion(criterion.statistics, "REML")


# The passes over rows and over groups before the first evaluation.


@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("n_random", [0, 1, 2, 3])
def test_accumulate_small(n_random, weighted, diagonal):
    rng = np.random.default_rng(n_random)
    n, c, m = 23, 4, 5
    rows, shift = rng.normal(size=(n, c)), rng.normal(size=c) * [0, 1, 1, 1]
    transform = np.triu(rng.normal(size=(c, c)))
    if diagonal:
        transform[:-1, :-1] = np.diag(np.diag(transform)[:-1])
    codes = rng.integers(0, 3, size=n)
    codes[codes == 2] = 4  # with runs of equal codes, and groups without rows
    weights = rng.uniform(size=n) if weighted else np.empty(0)
    pairs = [(a, b) for a in range(n_random) for b in range(a, c)]
    products, tail = np.ones((m, -(-len(pairs) // 4), 4)), np.ones((c, c))
    V = (rows - shift) @ transform
    w = weights if weighted else np.ones(n)
    block = np.ascontiguousarray(rows.T)
    _row_kernels.accumulate(
        block, np.empty((c, n)) if weighted else block, shift, transform, diagonal, codes,
        weights, n_random, products, tail,
    )  # fmt: skip
    np.testing.assert_allclose(block.T, V, rtol=1e-12, atol=1e-13)
    whole = V.T @ (w[:, None] * V)
    for a in range(c):
        for b in range(c):
            inside = a >= n_random and b >= a
            assert tail[a, b] == pytest.approx(1.0 + inside * whole[a, b], rel=1e-11)
    packed = _row_kernels.pack(products, n_random, tail)
    for g in range(m):
        own = (V * w[:, None])[codes == g].T @ V[codes == g]
        _close(packed[:, g], [1.0 + own[pair] for pair in pairs])


def test_standardise_small():
    rng = np.random.default_rng(3)
    sample = rng.normal([5.0, -2.0, 0.0, 1.0], [1.0, 3.0, 0.1, 0.0], size=(30, 4))
    sample[:, 1], sample[:, 3] = 0.0, 7.0
    may_shift = np.array([True, True, False, True])
    shift, peak, transform, gram = np.zeros(4), np.empty(4), np.zeros((4, 4)), np.empty((4, 4))
    arrays = may_shift, shift, peak, transform, gram
    _pilot_kernels.standardise(np.ascontiguousarray(sample.T), *arrays)
    wanted = sample.mean(axis=0) * [1, 1, 0, 1]
    spread = np.sqrt(np.mean((sample - wanted) ** 2, axis=0))
    spread[[1, 3]] = 1.0  # constant columns keep their unit
    _close(shift, wanted)
    _close(peak, np.abs(sample).max(axis=0))
    _close(transform, np.diag(1.0 / spread))
    standard = (sample - wanted) / spread
    _close(gram, standard.T @ standard)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_standardise_flags_what_is_not_finite(bad):
    sample = np.ones((2, 9))
    sample[1, 4] = bad
    shift, peak, transform, gram = np.zeros(2), np.empty(2), np.zeros((2, 2)), np.empty((2, 2))
    _pilot_kernels.standardise(sample, np.zeros(2, bool), shift, peak, transform, gram)
    assert peak[0] == 1.0
    assert peak[1] == np.inf


@pytest.mark.parametrize("p", [0, 1, 3])
def test_pilot_fit_small(p):
    """What is left of the response has a mean square of one and no product with X."""
    rng = np.random.default_rng(p)
    columns = rng.normal(size=(40, p + 2))
    transform, fixed = np.diag(rng.uniform(0.5, 2.0, size=p + 2)), np.arange(p) + 1
    start, beta = columns @ transform, np.empty(p)
    good = _pilot_kernels.pilot_fit(start.T @ start, fixed, 40, 1e-3, transform, beta)
    assert good
    left = (columns @ transform)[:, -1]
    assert np.mean(left**2) == pytest.approx(1.0)
    np.testing.assert_allclose(start[:, fixed].T @ left, 0.0, atol=1e-7)
    wanted = np.linalg.lstsq(start[:, fixed], start[:, -1])[0] if p else np.empty(0)
    rest = start[:, -1] - start[:, fixed] @ wanted
    _close(beta, wanted / np.sqrt(np.mean(rest**2)))


def test_pilot_fit_leaves_near_collinearity_to_others():
    x = np.random.default_rng(0).normal(size=(2, 40))
    columns = np.column_stack([x[0], x[0] + 1e-2 * x[1], x[1]])
    transform, beta = np.eye(3), np.full(2, 7.0)
    gram, fixed = columns.T @ columns, np.arange(2)
    assert not _pilot_kernels.pilot_fit(gram, fixed, 40, 1e-3, transform, beta)
    np.testing.assert_array_equal(transform, np.eye(3))
    np.testing.assert_array_equal(beta, 7.0)
    assert _pilot_kernels.pilot_fit(gram, fixed, 40, 1e-5, transform, beta)


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ([3.0, -2.0, 3.0], (True, True)),
        ([-0.0, 2.0**53 - 1], (True, True)),
        ([3.0, 2.5], (False, True)),
        ([3.0, 2.0**53], (False, True)),
        ([3.0, np.nan], (False, False)),
        ([-np.inf, 3.0], (False, False)),
    ],
)
def test_whole_numbers_small(values, flags):
    values, out = np.array(values), np.empty(len(values), np.int64)
    low, high, *found = _row_kernels.whole_numbers(values, out)
    assert tuple(found) == flags
    if flags[0]:
        np.testing.assert_array_equal(out, values)
        assert (low, high) == (values.min(), values.max())


@pytest.mark.parametrize("m", [0, 1, 63, 64, 65, 130])
def test_pack_small(m):
    products = np.random.default_rng(m).normal(size=(m, 3, 4))
    total = np.zeros((6, 6))
    total[2:, 2:] = np.triu(np.ones((4, 4)))
    got = _row_kernels.pack(products, 2, total)
    whole = products.reshape(m, 12)
    np.testing.assert_array_equal(got, whole[:, :11].T)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(total, total.T)
    np.testing.assert_array_equal(total[2:, 2:], 1.0)
    np.testing.assert_allclose(total[0], whole[:, :6].sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(total[1, 1:], whole[:, 6:11].sum(axis=0), atol=1e-12)


# The compiled steps.


@pytest.mark.parametrize("blocks", [[(0, 3)], [(0, 1), (1, 3)], [(0, 1), (1, 2), (2, 3)]])
def test_em_step_small(blocks):
    rng = np.random.default_rng(len(blocks))
    lower, slope = np.zeros((3, 3)), rng.normal(size=(3, 3))
    slope += slope.T
    places = [(a, b) for lo, hi in blocks for b in range(lo, hi) for a in range(b, hi)]
    rows, columns = np.array(places).T.copy()
    theta = rng.uniform(0.5, 1.0, size=len(rows))
    lower[rows, columns] = theta
    P = lower @ lower.T
    wanted = np.zeros((3, 3))
    for lo, hi in blocks:
        own = slice(lo, hi)
        wanted[own, own] = P[own, own] - P[own, own] @ slope[own, own] @ P[own, own] / 50
    room = np.full(_descent_kernels.room_size(3, len(rows)), np.nan)
    _descent_kernels.em_step(theta, slope, 50, rows, columns, room)
    lower[rows, columns] = theta
    _close(lower @ lower.T, wanted)


def test_em_step_from_a_singular_factor():
    theta, rows, columns = np.array([0.0, 0.0, 0.5]), np.array([0, 1, 1]), np.array([0, 0, 1])
    _descent_kernels.em_step(theta, np.eye(2), 10, rows, columns, np.empty(30))
    _close(theta, [0.0, 0.0, np.sqrt(0.25 - 0.25**2 / 10)])


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_place_small(rank):
    """The lower root has the P of the mapped factor, also a singular one."""
    rng = np.random.default_rng(rank)
    rows, columns = np.array([0, 1, 2, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 2])
    theta, left_map = rng.normal(size=6), rng.normal(size=(3, 3))
    theta[columns >= rank] = 0.0
    factor = np.zeros((3, 3))
    factor[rows, columns] = theta
    lambda_, axes, lower = np.full((3, 3, 3), np.nan)
    _profile_kernels.place(theta, left_map, rows, columns, lambda_, axes, lower)
    _close(lambda_, left_map @ factor)
    _close(lower @ lower.T, lambda_ @ lambda_.T)
    assert not np.triu(lower, 1).any()


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_newton_step_small(n):
    rng = np.random.default_rng(n)
    root, gradient = rng.normal(size=(n, n + 3)), rng.normal(size=n)
    hessian = root @ root.T * np.outer(*[10.0 ** rng.integers(-3, 4, size=n)] * 2)
    factor, unit, step = np.empty((n, n)), np.empty(n), np.empty(n)
    length, promised = _descent_kernels.newton_step(gradient, hessian, factor, unit, step)
    wanted = np.linalg.solve(hessian, -gradient)
    np.testing.assert_allclose(step, wanted, rtol=1e-9)
    assert promised == pytest.approx(-0.5 * gradient @ wanted)
    assert length == pytest.approx(np.linalg.norm(wanted * np.sqrt(np.diag(hessian))))


@pytest.mark.parametrize("hessian", [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]],
                                     [[0.0, 0.0], [0.0, 1.0]], [[np.nan] * 2] * 2])  # fmt: skip
def test_newton_step_refuses_what_is_not_convex(hessian):
    room = np.empty((2, 2)), np.empty(2), np.empty(2)
    assert _descent_kernels.newton_step(np.ones(2), np.array(hessian), *room)[0] == np.inf


@pytest.mark.parametrize("method", ["ml", "reml"])
def test_descent_ends_where_the_trust_region_does(frames, method):
    """The compiled steps and the trust region find the same minimum."""
    data = frames["sleepstudy"]
    X = np.column_stack([np.ones(180), data["Days"]])
    statistics = MixedStatistics.from_arrays(
        data["Reaction"].to_numpy(), X, X, data["Subject"].to_numpy(object)
    )
    criterion = profiled_criterion(statistics, method)
    lower, outcome, n, converged, at_zero, _ = criterion.descend(np.eye(2), 2, 12, 1e-9)
    assert converged
    assert n < 14
    assert np.abs(outcome[1]).max() < 1e-5
    assert at_zero == criterion.evaluate_factor(np.zeros((2, 2)))[0]
    assert outcome[0] == pytest.approx(criterion.evaluate_factor(lower)[0], rel=1e-14)
    result = minimize_newton(
        lambda theta: criterion.evaluate_factor(criterion.unpack(theta), None, 2),
        np.array([1.0, 0.0, 1.0]),
    )
    assert outcome[0] == pytest.approx(result.value, rel=1e-13)


def test_descent_stops_where_the_step_is_too_long(dense):
    """From far away nothing is moved that the trust region could not judge."""
    criterion = _criterion(dense.problem(2, 2, m=30, rows=(6, 9)), "reml")
    start = np.array([[1e-3, 0.0], [0.0, 1e-3]])
    lower, (value, *_), _, converged, *_ = criterion.descend(start, 0, 12, 1e-9)
    assert not converged
    assert value <= criterion.evaluate_factor(start)[0]
    assert value == pytest.approx(criterion.evaluate_factor(lower)[0], rel=1e-14)


@pytest.mark.parametrize("limit", [1, 4, 5, 40])
def test_classify_small(limit):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4, 60))
    rows[1:3] = rng.normal(size=(2, 5))[:, rng.integers(0, 5, size=60)]
    rows[1, rows[1] == rows[1, 0]] = 0.0
    rows[1, 0] = -0.0  # equal to 0.0
    used = np.array([1, 2])
    classes, found = _row_kernels.classify(rows, used, limit)
    _, wanted = np.unique(rows[used] + 0.0, axis=1, return_inverse=True)
    if limit < 5:
        assert found == -1
        return
    assert found == 5
    assert len(set(zip(classes.tolist(), wanted.ravel().tolist(), strict=True))) == 5
    assert classes[0] == 0
    assert classes.max() == 4


def test_compress_small():
    rng = np.random.default_rng(1)
    m, g_used, c_used = 40, np.array([0, 2]), np.array([1, 2, 3])
    classes = rng.integers(0, 3, size=m)
    rows = rng.normal(size=(4, m))
    rows[[0, 2]] = rng.normal(size=(2, 3))[:, classes]
    out, multiplicity = _row_kernels.compress(rows, g_used, c_used, classes, 3)
    assert out.shape == (5, 9)
    for k in range(3):
        members, own = rows[:, classes == k], slice(3 * k, 3 * k + 3)
        assert multiplicity[own].tolist() == [members.shape[1], 0, 0]
        np.testing.assert_array_equal(out[:2, own], np.tile(members[g_used, :1], 3))
        stand_in = out[2:, own]
        _close(stand_in @ stand_in.T, members[c_used] @ members[c_used].T)


def test_compress_of_proportional_groups_small():
    """A class whose cross-products have rank one: pivots lost to rounding give zeros."""
    rng = np.random.default_rng(2)
    rows = np.vstack([np.ones(30), np.outer([1.0, 3.0, 0.1], rng.normal(size=30))])
    used = np.array([1, 2, 3])
    out, _ = _row_kernels.compress(rows, np.array([0]), used, np.zeros(30, np.int64), 1)
    assert np.isfinite(out).all()
    _close(out[1:] @ out[1:].T, rows[1:] @ rows[1:].T)


@pytest.mark.slow
def test_kernels_without_the_compiler():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "_small"]
    # The hash of classify wraps around, of which NumPy warns and compiled code does not.
    command += ["-W", "ignore:overflow encountered:RuntimeWarning", __file__]
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=os.path.dirname(__file__)
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert " skipped" not in ran.stdout
