"""Several grouping factors: the block factorisation beside dense matrices."""

import itertools
import pickle

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmfit import LinearMixedModel, lmm
from lmmfit.mixed import (
    as_columns,
    bind_design,
    block_likelihood,
    fit_statistics,
    group_modes,
    moments,
    profiled_criterion,
    schur,
)
from lmmfit.mixed import blocks as blocks_module
from lmmfit.mixed.block_factor import BlockFactor
from lmmfit.mixed.blocks import BlockSystem


@pytest.fixture(params=["compiled", "lapack", "ordered"])
def engine(request, monkeypatch):
    """Ways of evaluating the criterion: loops for small dense parts, LAPACK for others.

    Dense parts with few neighbours are ordered, and what comes first is eliminated by loops.
    """
    if request.param != "compiled":
        monkeypatch.setattr(block_likelihood, "_SMALL", -1)
    if request.param == "ordered":
        _order_always(monkeypatch, 2.0)
    return request.param


def _order_always(monkeypatch, share):
    monkeypatch.setattr(schur, "_FEWEST", 0)
    monkeypatch.setattr(schur, "_FULL", 1.0)
    monkeypatch.setattr(schur, "_SHARE", share)


def table(seed=0, n=120):
    """Rows with nested factors a > b > c, crossed ones d and e, two slopes and weights."""
    rng = np.random.default_rng(seed)
    c = rng.integers(18, size=n)
    frame = pandas.DataFrame({"x": rng.normal(3.0, 1.0, n), "z": rng.normal(size=n)})
    frame["c"], frame["b"], frame["a"] = c, c // 3, c // 6
    frame["d"], frame["e"] = rng.integers(7, size=n), rng.integers(4, size=n)
    effect = rng.normal(size=18)[c] + 0.7 * rng.normal(size=6)[c // 3] + rng.normal(size=3)[c // 6]
    effect += frame.x * (0.5 * rng.normal(size=7))[frame.d] + rng.normal(size=4)[frame.e]
    frame["y"] = 100.0 + 2.0 * frame.x - frame.z + effect + rng.normal(size=n)
    frame["w"] = rng.uniform(0.5, 2.0, n)
    return frame


STRUCTURES = {
    "crossed": "(1 | c) + (1 | d)",
    "crossed, small factor first": "(1 | e) + (1 | c)",
    "three crossed": "(1 | c) + (1 | d) + (1 | e)",
    "nested": "(1 | b) + (1 | c)",
    "three nested": "(1 | a) + (1 | c) + (1 | b)",
    "nested and crossed": "(1 | a) + (1 | b) + (1 | c) + (1 | d)",
    "nested and two crossed": "(1 | b) + (1 | d) + (1 | c) + (1 | e)",
    "slopes on both": "(1 + x | c) + (1 + z | d)",
    "uncorrelated slopes": "(x || c) + (1 | d)",
    "split terms of one factor": "(1 | c) + (1 | d) + (0 + x | c)",
    "nested slopes": "(x | a) + (1 | b) + (x + z | c)",
    "nested slopes, crossed slopes": "(x | b) + (1 | c) + (0 + x | d) + (z | e)",
}


def bound(random, frame, weighted=False):
    """Statistics, and the dense matrices of the same problem."""
    columns = as_columns(frame)
    design = bind_design(columns, random, "x + z")
    weight = frame["w"].to_numpy() if weighted else None
    statistics = design.summarize(columns, frame["y"].to_numpy(), sample_weight=weight)
    X = np.column_stack([np.ones(len(frame)), frame.x, frame.z])
    return statistics, X, design


def dense_design(design, frame):
    """Z of all random effects, and the effect of the model that each column belongs to."""
    parts, effects = [], []
    layout = design.layout
    for (start, stop), term in zip(layout.blocks, design.terms, strict=True):
        codes = np.unique(frame[term.factors[0]], return_inverse=True)[1]
        for level in range(codes.max() + 1):
            for effect in range(start, stop):
                name = layout.random_names[effect]
                value = 1.0 if name == "(Intercept)" else frame[name].to_numpy()
                parts.append(np.where(codes == level, value, 0.0))
                effects.append(effect)
    return np.column_stack(parts), np.array(effects)


def dense_criterion(theta, design, frame, X, method, weights):
    """The criterion from V = W^-1 + Z P Z' itself."""
    layout = design.layout
    lambda_ = np.zeros((len(layout.random),) * 2)
    lambda_[tuple(layout.theta_positions)] = theta
    P = lambda_ @ lambda_.T
    Z, effects = dense_design(design, frame)
    V = np.diag(1.0 / weights)
    for (start, stop), term in zip(layout.blocks, design.terms, strict=True):
        own = np.flatnonzero((effects >= start) & (effects < stop))
        m = frame[term.factors[0]].nunique()
        V += Z[:, own] @ np.kron(np.eye(m), P[start:stop, start:stop]) @ Z[:, own].T
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    y = frame["y"].to_numpy()
    beta = np.linalg.solve(information, X.T @ inverse @ y)
    rss = (y - X @ beta) @ inverse @ (y - X @ beta)
    nu = len(y) - X.shape[1] * (method == "reml")
    value = np.linalg.slogdet(V)[1] + nu * (1.0 + np.log(2.0 * np.pi * rss / nu))
    return value + np.linalg.slogdet(information)[1] * (method == "reml")


def some_theta(statistics, seed=1):
    rng = np.random.default_rng(seed)
    rows, columns = statistics.layout.theta_positions
    return np.where(
        rows == columns, rng.uniform(0.3, 1.2, rows.size), 0.3 * rng.normal(size=rows.size)
    )


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_criterion_is_that_of_dense_matrices(engine, random, weighted, method):
    frame = table()
    statistics, X, design = bound(random, frame, weighted)
    criterion, theta = profiled_criterion(statistics, method), some_theta(statistics)
    weights = frame["w"].to_numpy() if weighted else np.ones(len(frame))
    wanted = dense_criterion(theta, design, frame, X, method, weights)
    assert criterion(theta) == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_gradient_is_exact(engine, random, method):
    statistics, _, _ = bound(random, table())
    criterion, theta = profiled_criterion(statistics, method), some_theta(statistics)
    found = criterion.evaluate(theta, order=1).gradient
    for t in range(theta.size):
        step = np.zeros(theta.size)
        step[t] = 1e-4
        ahead = [criterion(theta + k * step) for k in (-2, -1, 1, 2)]
        slope = (ahead[0] - 8 * ahead[1] + 8 * ahead[2] - ahead[3]) / 12e-4
        assert found[t] == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_gradient_holds_where_a_variance_vanishes(engine, random):
    """The derivative to P, on which the certificate rests, by one-sided differences."""
    statistics, _, _ = bound(random, table())
    criterion = profiled_criterion(statistics)
    layout, theta = statistics.layout, some_theta(statistics)
    start, stop = layout.blocks[-1]
    rows, columns = layout.theta_positions
    theta[(rows >= start) & (rows < stop)] = 0.0
    criterion.evaluate(theta, order=1)
    slope = criterion._inverse_map.T @ criterion.derivative @ criterion._inverse_map
    grown = theta.copy()
    at = int(np.flatnonzero((rows == stop - 1) & (columns == stop - 1))[0])
    values = []
    for variance in (0.0, 1e-3, 2e-3, 3e-3):
        grown[at] = np.sqrt(variance)
        values.append(criterion(grown))
    forward = (-11 * values[0] + 18 * values[1] - 9 * values[2] + 2 * values[3]) / 6e-3
    assert slope[stop - 1, stop - 1] == pytest.approx(forward, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_both_engines_agree(random, monkeypatch):
    """Average-information Hessians too, with the residual variance profiled out or held."""
    statistics, _, _ = bound(random, table())
    found = []
    for small in (48, -1):
        monkeypatch.setattr(block_likelihood, "_SMALL", small)
        criterion, theta = profiled_criterion(statistics, "ml"), some_theta(statistics)
        whole = criterion.evaluate(theta, order=2)
        held = criterion.evaluate_at(theta, 0.3, criterion._inverse_map)
        found.append((whole.value, whole.gradient, whole.hessian, criterion.derivative, *held))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8 * np.abs(other).max())


@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_held_residual_variance(engine, random):
    """Gradient by differences, and the optimum where sigma is that of the profile."""
    statistics, _, _ = bound(random, table())
    criterion, theta = profiled_criterion(statistics, "ml"), some_theta(statistics)
    left = criterion._inverse_map
    value, gradient, _ = criterion.evaluate_at(theta, -0.2, left)
    for t in range(theta.size + 1):
        step = np.zeros(theta.size + 1)
        step[t] = 1e-5
        ahead = [
            criterion.evaluate_at(theta + s * step[:-1], -0.2 + s * step[-1], left)
            for s in (-1.0, 1.0)
        ]  # fmt: skip
        slope = (ahead[1][0] - ahead[0][0]) / 2e-5
        assert gradient[t] == pytest.approx(slope, rel=1e-5, abs=1e-4)
    best = 0.5 * np.log(criterion.rss / criterion.nu)
    value, gradient, _ = criterion.evaluate_at(theta, best, criterion._inverse_map)
    assert value + criterion.constant == pytest.approx(criterion(theta), rel=1e-11)
    assert abs(gradient[-1]) < 1e-6


@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_products_with_the_inverse_covariance(engine, random):
    """T, its blocks on the diagonal, and the conditional covariance, beside dense inverses."""
    statistics, _, design = bound(random, table())
    system = BlockSystem.build(statistics)
    factor = BlockFactor(system)
    lambda_ = np.zeros((len(design.layout.random),) * 2)
    lambda_[tuple(design.layout.theta_positions)] = some_theta(statistics)
    assert factor.update(lambda_)
    N = len(system)
    roots = np.zeros((N, N))
    for f, effects in enumerate(system.effects):
        rows = np.arange(N)[system.rows(f)].reshape(-1, effects.size)
        for own in rows:
            roots[np.ix_(own, own)] = lambda_[np.ix_(effects, effects)]
    gram = _gram(system)
    inner = np.eye(N) + roots.T @ gram @ roots
    assert factor.log_determinant == pytest.approx(np.linalg.slogdet(inner)[1], rel=1e-11)
    K = roots @ np.linalg.solve(inner, roots.T)
    T = gram - gram @ K @ gram
    scale = np.abs(T).max()
    np.testing.assert_allclose(factor.multiply(np.eye(N)), T, atol=1e-9 * scale)
    np.testing.assert_allclose(factor.quadratic(np.eye(N)), T, atol=1e-9 * scale)
    for f, blocks in enumerate(factor.block_sums(each=True)):
        rows = np.arange(N)[system.rows(f)].reshape(len(blocks), -1)
        wanted = np.array([T[np.ix_(own, own)] for own in rows])
        np.testing.assert_allclose(blocks, wanted, atol=1e-9 * scale)
        np.testing.assert_allclose(factor.block_sums()[f], wanted.sum(axis=0), atol=1e-8 * scale)
    dense = slice(system.first_dense, None)
    whole = np.tril(factor.kernel())
    wanted = (roots @ np.linalg.solve(inner, roots.T))[dense, dense]
    np.testing.assert_allclose(whole, np.tril(wanted), atol=1e-10)


def _gram(system):
    """Z'Z of the system as one matrix."""
    N, levels = len(system), len(system.shape) - 1
    gram = np.zeros((N, N))
    for level in range(levels):
        first, start, q = system.shape[level]
        for j in range(first, system.shape[level + 1, 0]):
            own = start + (j - first) * q + np.arange(q)
            gram[np.ix_(own, own)] = system.gram[j, :q, :q]
            entries = slice(system.pointer[j], system.pointer[j + 1])
            gram[np.ix_(own, system.index[entries])] = system.values[entries, :q].T
            gram[np.ix_(system.index[entries], own)] = system.values[entries, :q]
    dense = slice(system.first_dense, None)
    gram[dense, dense] = np.tril(system.dense_gram) + np.tril(system.dense_gram, -1).T
    return gram


@st.composite
def schur_problems(draw):
    """Positive definite matrix with few entries, levels of several widths, and a share."""
    m = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    widths = rng.integers(1, 4, m)
    pairs = np.argwhere(np.tril(rng.random((m, m)) < draw(st.floats(0.0, 0.6)), -1))
    return widths, pairs, draw(st.sampled_from([0.1, 0.4, 0.8, 2.0])), rng


@given(problem=schur_problems())
@settings(max_examples=100, deadline=None)
def test_schur_factor_is_that_of_the_matrix(problem):
    """Determinant, solutions and selected inverse beside NumPy's, in the order that was found."""
    widths, pairs, share, rng = problem
    with pytest.MonkeyPatch.context() as patch:
        _order_always(patch, share)
        nothing = np.zeros(1, np.int64), np.empty(0, np.int64)
        order = schur.EliminationOrder.find(widths, nothing, pairs)
    assert sorted(order.levels) == list(range(widths.size))
    level = np.repeat(order.levels, widths[order.levels])
    related = np.eye(widths.size, dtype=bool)
    related[tuple(pairs.T)] = related[tuple(pairs.T[::-1])] = True
    n = level.size
    matrix = rng.normal(size=(n, n)) * related[np.ix_(level, level)]
    matrix = matrix + matrix.T
    matrix += np.eye(n) * (1.0 + np.abs(matrix).sum(axis=1))
    factor, right = schur.SchurFactor(order), rng.normal(size=(n, 3))
    assert factor.update(np.tril(matrix)) == pytest.approx(np.linalg.slogdet(matrix)[1])
    np.testing.assert_allclose(matrix @ factor.solve(right.copy()), right, atol=1e-12)
    selected, inverse = factor.selected_inverse(), np.linalg.inv(matrix)
    chosen = np.tril(matrix != 0.0)
    chosen[: order.core, : order.core] = np.tri(order.core, dtype=bool)
    np.testing.assert_allclose(selected[chosen], inverse[chosen], atol=1e-13)


def clustered(seed=0, clusters=12, size=25):
    """Pupils taught by several teachers, nearly all of one school: 300 teachers, slopes."""
    rng = np.random.default_rng(seed)
    n = 6000
    pupil = rng.integers(900, size=n)
    school = np.where(rng.random(n) < 0.03, rng.integers(clusters, size=n), pupil % clusters)
    teacher = school * size + rng.integers(size, size=n)
    frame = pandas.DataFrame({"pupil": pupil, "teacher": teacher, "school": school})
    frame["x"], frame["z"] = rng.normal(size=(2, n))
    effect = rng.normal(size=900)[pupil] + (0.8 * rng.normal(size=(2, 300)))[0, teacher]
    effect += frame.x * (0.4 * rng.normal(size=300))[teacher] + rng.normal(size=clusters)[school]
    frame["y"] = 5.0 + frame.x + effect + rng.normal(size=n)
    return frame


@pytest.mark.parametrize(
    "random",
    ["(1 | pupil) + (1 | teacher)", "(x | teacher) + (1 | pupil) + (1 | school)"],
    ids=["intercepts", "slopes, three factors"],
)
def test_order_of_elimination_changes_nothing(monkeypatch, random):
    """Estimates, modes, their covariances and intervals of predictions, with and without it."""
    frame = clustered()
    found = []
    for fewest in (128, 10**6):
        monkeypatch.setattr(schur, "_FEWEST", fewest)
        model = lmm(f"y ~ x + {random}", frame)
        system = BlockSystem.of(model.statistics_)
        assert (system.order.core < 0.7 * system.n_dense) == (fewest == 128)
        new = frame.iloc[:40].assign(teacher=frame.teacher.to_numpy()[-40:])
        parts = [group_modes(model.result_, f) for f in range(len(model.statistics_.factors))]
        found.append([
            model.result_.deviance, model.theta_, model.coef_, model.predict(new, return_std=True),
            *(part.modes for part in parts), *(part.covariance for part in parts),
        ])  # fmt: skip
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_moments_have_the_expectations_that_they_are_equated_with(random):
    """The equations hold exactly where every product of y is replaced by its expectation."""
    frame = table()
    statistics, X, design = bound(random, frame)
    layout = design.layout
    forms = moments._Forms(statistics, [0, 1, 2])
    matrix = forms.equations()
    lambda_ = np.zeros((len(layout.random),) * 2)
    lambda_[tuple(layout.theta_positions)] = some_theta(statistics)
    omega, variance = lambda_ @ lambda_.T, 1.7
    assert matrix.shape == (len(forms.places) + 1,) * 2
    units = statistics.basis.random_map(layout)
    project = np.eye(len(frame)) - X @ np.linalg.solve(X.T @ X, X.T)
    blocks = []
    for f, own in enumerate(layout.effects):
        codes = np.unique(frame[design.factors[f][0]], return_inverse=True)[1]
        columns = [
            1.0 if layout.random_names[e] == "(Intercept)" else frame[layout.random_names[e]]
            for e in own
        ]
        rows = np.column_stack([np.broadcast_to(c, len(frame)) for c in columns])
        rows = rows @ units[np.ix_(own, own)]
        blocks.append([np.where((codes == k)[:, None], rows, 0.0) for k in range(codes.max() + 1)])
    V = variance * np.eye(len(frame))
    for own, levels in zip(layout.effects, blocks, strict=True):
        V += sum(z @ omega[np.ix_(own, own)] @ z.T for z in levels)
    MVM = project @ V @ project
    wanted = {}
    for f, levels in enumerate(blocks):
        weights = [np.linalg.inv(np.eye(z.shape[1]) + z.T @ z) for z in levels]
        wanted[f] = sum(A @ z.T @ MVM @ z @ A.T for A, z in zip(weights, levels, strict=True))
    values = [omega[layout.effects[f][a], layout.effects[f][b]] for f, a, b in forms.places]
    right = [wanted[f][a, b] for f, a, b in forms.places] + [np.trace(MVM)]
    np.testing.assert_allclose(matrix @ [*values, variance], right, rtol=1e-9)


def test_only_crossed_factors_are_dense():
    frame = table()
    wanted = {"crossed": 7, "three nested": 0, "nested and crossed": 7, "nested slopes": 0}
    for name, unknowns in wanted.items():
        statistics, _, _ = bound(STRUCTURES[name], frame)
        assert BlockSystem.build(statistics).n_dense == unknowns, name


@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_fit_is_certified_and_least(engine, random):
    frame = table(3, 200)
    statistics, X, design = bound(random, frame)
    fit = fit_statistics(statistics)
    assert fit.converged
    rng = np.random.default_rng(0)
    ones = np.ones(len(frame))
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(5):
            near = fit.theta + size * rng.normal(size=fit.theta.size)
            assert dense_criterion(near, design, frame, X, "reml", ones) > fit.deviance - 1e-8


@pytest.mark.parametrize("random", ["(1 | c) + (1 | d)", "(x | b) + (1 | c) + (z | d)"])
def test_statistics_add(random):
    frame = table(5, 150)
    columns = as_columns(frame)
    design = bind_design(columns, random, "x + z")
    whole = design.summarize(columns, frame["y"].to_numpy())
    parts = [frame.iloc[lo:hi] for lo, hi in ((0, 40), (40, 100), (100, 150))]
    pieces = [design.summarize(as_columns(own), own["y"].to_numpy()) for own in parts]
    added = pieces[0] + pieces[1] + pieces[2]
    assert added.n_rows == 150
    assert [len(levels) for levels in added.factor_levels] == [
        len(levels) for levels in whole.factor_levels
    ]
    one, other = fit_statistics(added), fit_statistics(whole)
    assert one.deviance == pytest.approx(other.deviance, abs=1e-7)
    np.testing.assert_allclose(one.beta, other.beta, rtol=1e-6)
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="same model"):
        whole + bind_design(columns, random, "x").summarize(columns, frame["y"].to_numpy())


def test_partial_fit_is_the_fit_of_all_rows():
    frame = table(6, 160)
    X, y = frame[["x", "z", "c", "d"]], frame["y"]
    model = LinearMixedModel(random="(1 | c) + (x | d)")
    model.partial_fit(X[:60], y[:60]).partial_fit(X[60:], y[60:])
    whole = LinearMixedModel(random="(1 | c) + (x | d)").fit(X, y)
    assert model.deviance_ == pytest.approx(whole.deviance_, abs=1e-6)
    np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-4)


@pytest.mark.parametrize("random", STRUCTURES.values(), ids=STRUCTURES)
def test_predictions_and_their_variance(random):
    """Henderson's equations for all effects at once give the same numbers."""
    frame = table(8)
    model = lmm(f"y ~ x + z + {random}", frame)
    new = pandas.concat([frame.head(12), frame.tail(3).assign(c=99), frame.head(2).assign(d=88)])
    mean, std = model.predict(new, return_std=True)
    design, layout = model.design_, model.design_.layout
    Z, _ = dense_design(design, frame)
    fit = model.result_
    P = np.zeros((Z.shape[1],) * 2)
    at = 0
    for (start, stop), term in zip(layout.blocks, design.terms, strict=True):
        for _ in range(frame[term.factors[0]].nunique()):
            own = slice(at, at + stop - start)
            P[own, own] = (fit.lambda_ @ fit.lambda_.T)[start:stop, start:stop]
            at += stop - start
    X = np.column_stack([np.ones(len(frame)), frame.x, frame.z])
    V = np.eye(len(frame)) + Z @ P @ Z.T
    inverse = np.linalg.inv(V)
    M = np.linalg.inv(X.T @ inverse @ X)
    beta = M @ X.T @ inverse @ frame["y"]
    modes = P @ Z.T @ inverse @ (frame["y"] - X @ beta)
    K = P - P @ Z.T @ inverse @ Z @ P
    pull = P @ Z.T @ inverse @ X
    X_new = np.column_stack([np.ones(len(new)), new.x, new.z])
    Z_new, prior = _new_rows(design, frame, new, fit.lambda_ @ fit.lambda_.T)
    w = X_new - Z_new @ pull
    variance = np.einsum("np,pr,nr->n", w, M, w) + np.einsum("np,pr,nr->n", Z_new, K, Z_new)
    np.testing.assert_allclose(mean, X_new @ beta + Z_new @ modes, rtol=1e-9)
    np.testing.assert_allclose(std**2 / fit.sigma2, variance + prior + 1.0, rtol=1e-8)


def _new_rows(design, frame, new, covariance):
    """Rows of Z for new data, and the prior variance of effects of levels never seen."""
    parts, prior = [], np.zeros(len(new))
    layout = design.layout
    for (start, stop), term in zip(layout.blocks, design.terms, strict=True):
        name = term.factors[0]
        known = np.unique(frame[name])
        z = np.column_stack([
            np.ones(len(new)) if effect == "(Intercept)" else new[effect]
            for effect in layout.random_names[start:stop]
        ])  # fmt: skip
        own = np.zeros((len(new), known.size, stop - start))
        for i, label in enumerate(new[name]):
            if label in known:
                own[i, np.searchsorted(known, label)] = z[i]
            else:
                prior[i] += z[i] @ covariance[start:stop, start:stop] @ z[i]
        parts.append(own.reshape(len(new), -1))
    return np.hstack(parts), prior


def test_nesting_written_in_three_ways():
    frame = table(2, 150).assign(inner=lambda data: data.c % 3)
    slash = lmm("y ~ x + (1 | b/inner)", frame)
    colon = lmm("y ~ x + (1 | b) + (1 | b:inner)", frame)
    plain = lmm("y ~ x + (1 | b) + (1 | c)", frame)
    assert slash.deviance_ == pytest.approx(plain.deviance_, abs=1e-8)
    assert colon.deviance_ == pytest.approx(plain.deviance_, abs=1e-8)
    assert list(slash.cov_re_) == ["b:inner", "b"]


def test_a_vanishing_variance_is_certified_not_missed():
    rng = np.random.default_rng(4)
    n = 240
    frame = pandas.DataFrame({"s": rng.integers(20, size=n), "d": rng.integers(8, size=n)})
    noise = rng.normal(size=n)
    noise -= frame.assign(e=noise).groupby("d")["e"].transform("mean")
    frame["y"] = rng.normal(size=20)[frame.s] + noise
    model = lmm("y ~ 1 + (1 | s) + (1 | d)", frame)
    assert model.converged_
    assert model.singular_
    assert model.cov_re_["d"].item() == 0.0
    assert model.boundary_report_[0].derivative > 0.0
    assert "d: (Intercept)" in str(model.summary())
    same = lmm("y ~ 1 + (1 | s)", frame)
    assert model.deviance_ == pytest.approx(same.deviance_, abs=1e-8)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.permutations(["(1 | c)", "(x | d)", "(1 | e)"]))
def test_order_of_terms_and_labels_do_not_matter(seed, order):
    frame = table(seed % 50, 90)
    model = lmm("y ~ x + (1 | c) + (x | d) + (1 | e)", frame)
    rng = np.random.default_rng(seed)
    renamed = frame.assign(c=rng.permutation(18)[frame.c], d=[f"level {k}" for k in frame.d])
    other = lmm("y ~ x + " + " + ".join(order), renamed.sample(frac=1.0, random_state=seed % 1000))
    assert other.deviance_ == pytest.approx(model.deviance_, abs=1e-6)
    np.testing.assert_allclose(other.coef_, model.coef_, rtol=1e-4, atol=1e-6)


def test_a_dense_part_too_large_is_refused_with_advice(monkeypatch):
    monkeypatch.setattr(blocks_module, "DENSE_LIMIT", 5)
    with pytest.raises(ValueError, match=r"7 random effects remain \('d' has 7 levels\).*5 fit"):
        lmm("y ~ x + (1 | c) + (1 | d)", table())
    assert lmm("y ~ x + (1 | c) + (1 | b)", table()).converged_


def test_zero_weights_leave_rows_out():
    frame = table(9, 150)
    weight = (np.arange(150) % 4 > 0).astype(float)
    model = lmm("y ~ x + (1 | c) + (1 | d)", frame, sample_weight=weight)
    alone = lmm("y ~ x + (1 | c) + (1 | d)", frame[weight > 0])
    assert model.deviance_ == pytest.approx(alone.deviance_, abs=1e-8)


def test_units_do_not_matter():
    frame = table(11, 150)
    for column, factor in itertools.product(["y", "x"], [1e-6, 1e6]):
        scaled = frame.assign(**{column: factor * frame[column]})
        model = lmm("y ~ x + (x | c) + (1 | d)", frame)
        other = lmm("y ~ x + (x | c) + (1 | d)", scaled)
        np.testing.assert_allclose(
            other.predict(scaled) * frame.y / scaled.y, model.predict(frame), rtol=1e-4
        )


@pytest.mark.parametrize(
    "random", ["(x | c) + (1 | c)", "(1 | c) + (1 | twin)", "(1 | d) + (x | c) + (0 + x | twin)"]
)
def test_terms_that_cannot_be_told_apart_are_named(random):
    frame = table(3, 150).assign(twin=lambda data: data.c.map("k{}".format))
    with pytest.warns(UserWarning, match="the sum of their variances alone"):
        model = lmm(f"y ~ x + {random}", frame)
    assert model.converged_


def test_a_pickle_holds_the_fit_and_not_what_follows_from_it():
    frame = table(3, 150)
    model = lmm("y ~ x + (1 | c) + (x | d)", frame)
    before = len(pickle.dumps(model))
    wanted = model.predict(frame, return_std=True)
    small = model.summary(ddf="kenward-roger").fixed
    assert len(pickle.dumps(model)) < 1.05 * before
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(frame, return_std=True), wanted)
    np.testing.assert_array_equal(again.summary("kenward-roger").fixed["df"], small["df"])
