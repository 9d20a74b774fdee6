"""What must hold of every fit, whatever the data: invariances and identities."""

import warnings

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit import LinearMixedModel, lmm

RANDOM = ["(1 | g)", "(1 + x | g)", "(x || g)", "(0 + x | g)"]

cases = st.tuples(st.integers(0, 10**6), st.sampled_from(RANDOM), st.sampled_from(["ml", "reml"]))


def _frame(seed):
    """A small unbalanced panel with a covariate of groups and one of rows."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(5, 12))
    g = np.repeat(np.arange(m), rng.integers(3, 9, size=m))
    x, z = rng.normal(size=len(g)), rng.normal(size=m)[g]
    effects = rng.normal(size=(m, 2)) * rng.uniform(0.2, 2.0, size=2)
    y = 1.0 + 0.5 * x - z + effects[g, 0] + effects[g, 1] * x + rng.normal(size=len(g))
    return pandas.DataFrame({"x": x, "z": z, "g": g}), y


def _fit(frame, y, random, method, weights=None):
    model = LinearMixedModel(random, method=method).fit(frame, y, sample_weight=weights)
    assert model.converged_
    return model


def _parameters(model):
    return len(model.coef_) + 1 if model.result_.method == "reml" else 0


def _covariances(model):
    return np.concatenate([cov.ravel() for cov in model.cov_re_.values()])


def _same(one, two, *, scale=1.0, deviance=0.0, coefficients=None):
    """Two is the fit of one with the response in other units."""
    assert two.deviance_ == pytest.approx(one.deviance_ + deviance, abs=1e-6)
    assert two.sigma2_ == pytest.approx(scale**2 * one.sigma2_, rel=2e-4)
    wanted = scale * one.coef_ if coefficients is None else coefficients
    spread = abs(scale) * np.sqrt(np.diag(one.result_.beta_covariance)).max()
    np.testing.assert_allclose(two.coef_, wanted, rtol=1e-6, atol=1e-4 * spread)
    first, second = _covariances(one) * scale**2, _covariances(two)
    np.testing.assert_allclose(second, first, atol=2e-3 * (scale**2 * one.sigma2_ + first.max()))


@given(cases)
def test_order_of_rows(case):
    seed, *model = case
    frame, y = _frame(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    one, two = _fit(frame, y, *model), _fit(frame.iloc[order], y[order], *model)
    _same(one, two)
    np.testing.assert_allclose(
        two.predict(frame), one.predict(frame), atol=1e-3 * np.sqrt(one.sigma2_)
    )


@given(cases, st.sampled_from(["shuffled", "strings", "floats", "categories"]))
def test_labels_of_groups(case, kind):
    seed, *model = case
    frame, y = _frame(seed)
    labels = np.random.default_rng(seed).permutation(frame["g"].max() + 1)
    renamed = {
        "shuffled": lambda g: labels[g],
        "strings": lambda g: [f"group {labels[k]}" for k in g],
        "floats": lambda g: labels[g] + 0.25,
        "categories": lambda g: pandas.Categorical(labels[g].astype(str)),
    }[kind]
    other = frame.assign(g=renamed(frame["g"].to_numpy()))
    one, two = _fit(frame, y, *model), _fit(other, y, *model)
    _same(one, two)
    np.testing.assert_allclose(
        two.predict(other), one.predict(frame), atol=1e-3 * np.sqrt(one.sigma2_)
    )
    term = next(iter(two.random_effects_.values()))
    assert set(term.levels.tolist()) == set(pandas.unique(other["g"]).tolist())


@given(cases, st.sampled_from([-1.0, 1e-8, 0.3, 40.0, -1e8]))
def test_response_scaled(case, scale):
    seed, *model = case
    frame, y = _frame(seed)
    one, two = _fit(frame, y, *model), _fit(frame, scale * y, *model)
    nu = len(y) - _parameters(one)
    _same(one, two, scale=scale, deviance=nu * np.log(scale**2))
    np.testing.assert_allclose(
        two.predict(frame) / scale, one.predict(frame), atol=1e-3 * np.sqrt(one.sigma2_)
    )


@given(cases, st.sampled_from([-3.0, 1e4, 1e7]))
def test_response_shifted(case, shift):
    seed, *model = case
    frame, y = _frame(seed)
    one, two = _fit(frame, y, *model), _fit(frame, y + shift, *model)
    _same(one, two)
    error = 1e-3 * np.sqrt(one.sigma2_)
    assert two.intercept_ - shift == pytest.approx(one.intercept_, abs=error)
    np.testing.assert_allclose(two.predict(frame) - shift, one.predict(frame), atol=error)


@given(cases, st.sampled_from([-2.0, 1e-6, 300.0]))
def test_column_scaled(case, scale):
    seed, random, method = case
    frame, y = _frame(seed)
    one, two = (
        _fit(data, y, random, method) for data in (frame, frame.assign(x=scale * frame["x"]))
    )
    # The REML criterion holds log|X'V^-1 X| in the user's units.
    deviance = np.log(scale**2) if method == "reml" else 0.0
    assert two.deviance_ == pytest.approx(one.deviance_ + deviance, abs=1e-6)
    assert two.sigma2_ == pytest.approx(one.sigma2_, rel=2e-4)
    assert two.coef_[0] * scale == pytest.approx(one.coef_[0], rel=1e-3, abs=1e-4)
    assert two.coef_[1] == pytest.approx(one.coef_[1], rel=1e-3, abs=1e-4)


@given(st.integers(0, 10**6), st.sampled_from(["ml", "reml"]), st.sampled_from([-5.0, 1e3]))
def test_column_shifted(seed, method, shift):
    """Only a model with a random intercept beside the slope allows it."""
    frame, y = _frame(seed)
    one, two = (
        _fit(data, y, "(1 + x | g)", method)
        for data in (frame, frame.assign(x=frame["x"] + shift))
    )
    assert two.deviance_ == pytest.approx(one.deviance_, abs=1e-6)
    assert two.sigma2_ == pytest.approx(one.sigma2_, rel=2e-4)
    np.testing.assert_allclose(two.coef_, one.coef_, rtol=1e-3, atol=1e-4)
    back = np.array([[1.0, shift], [0.0, 1.0]])  # effects of the centred slope
    covariance = back @ two.cov_re_["g"] @ back.T
    size = np.abs(one.cov_re_["g"]).max() + one.sigma2_
    np.testing.assert_allclose(covariance, one.cov_re_["g"], atol=2e-3 * size)


@given(cases, st.sampled_from([1e-4, 0.5, 7.0, 1e6]))
def test_all_weights_multiplied(case, factor):
    """Weights are inverse relative variances: sigma2 takes the factor up, all else stays."""
    seed, *model = case
    frame, y = _frame(seed)
    weights = np.random.default_rng(seed).uniform(0.2, 3.0, size=len(y))
    one, two = (_fit(frame, y, *model, weights=w) for w in (weights, factor * weights))
    assert two.sigma2_ == pytest.approx(factor * one.sigma2_, rel=2e-4)
    assert two.deviance_ == pytest.approx(one.deviance_, abs=1e-6)
    np.testing.assert_allclose(two.coef_, one.coef_, rtol=1e-3, atol=1e-4)
    size = np.abs(_covariances(one)).max() + one.sigma2_
    np.testing.assert_allclose(_covariances(two), _covariances(one), atol=2e-3 * size)


@given(cases)
def test_weights_whiten_the_rows(case):
    """Rows times sqrt(w), its column of ones too: the criterion falls by sum log w."""
    seed, random, method = case
    frame, y = _frame(seed)
    weights = np.random.default_rng(seed).uniform(0.2, 3.0, size=len(y))
    root = np.sqrt(weights)
    white = pandas.DataFrame(
        {"one": root, "x": root * frame["x"], "z": root * frame["z"], "g": frame["g"]}
    )
    intercepts = {"(1 | g)": "(0 + one | g)", "(1 + x | g)": "(0 + one + x | g)"}
    intercepts |= {"(x || g)": "(0 + one + x || g)", "(0 + x | g)": "(0 + x | g)"}
    one = _fit(frame, y, random, method, weights)
    two = LinearMixedModel(intercepts[random], method=method, fit_intercept=False)
    two.fit(white, root * y)
    assert two.deviance_ == pytest.approx(one.deviance_ + np.log(weights).sum(), abs=1e-6)
    assert two.sigma2_ == pytest.approx(one.sigma2_, rel=2e-4)
    np.testing.assert_allclose(two.coef_[1:], one.coef_, rtol=1e-3, atol=1e-4)
    assert two.coef_[0] == pytest.approx(one.intercept_, rel=1e-3, abs=1e-4)


@given(cases)
def test_row_of_weight_k_is_the_mean_of_k_rows(case):
    """A row of weight k is the mean of k rows, not k rows.

    By ML, k rows with the mean of a row of weight k and the variance sigma2 within (that of
    the fit to the means) have the same estimates: the spread within adds
    (k - 1) (log(2 pi sigma2) + 1) to the deviance, stationary at that sigma2.
    """
    seed, random, _ = case
    frame, y = _frame(seed)
    copies = np.random.default_rng(seed).integers(1, 4, size=len(y))
    repeated = frame.loc[frame.index.repeat(copies)]
    one = _fit(frame, y, random, "ml", copies.astype(float))
    noise = np.concatenate([_contrast(k) for k in copies]) * np.sqrt(one.sigma2_)
    two = _fit(repeated, np.repeat(y, copies) + noise, random, "ml")
    assert two.sigma2_ == pytest.approx(one.sigma2_, rel=1e-3)
    np.testing.assert_allclose(two.coef_, one.coef_, rtol=1e-3, atol=1e-3)
    size = np.abs(_covariances(one)).max() + one.sigma2_
    np.testing.assert_allclose(_covariances(two), _covariances(one), atol=5e-3 * size)


def _contrast(k):
    """k numbers of mean zero whose squares sum to k - 1."""
    if k == 1:
        return np.zeros(1)
    values = np.arange(k) - (k - 1) / 2
    return values * np.sqrt((k - 1) / (values @ values))


@given(cases)
def test_data_twice_with_new_labels(case):
    """Twice the groups: ML has the same estimates and twice the deviance."""
    seed, random, _ = case
    frame, y = _frame(seed)
    twice = pandas.concat([frame, frame.assign(g=frame["g"] + 1000)])
    one, two = _fit(frame, y, random, "ml"), _fit(twice, np.tile(y, 2), random, "ml")
    _same(one, two, deviance=one.deviance_)
    ratio = np.sqrt(np.diag(one.result_.beta_covariance) / np.diag(two.result_.beta_covariance))
    np.testing.assert_allclose(ratio, np.sqrt(2.0), rtol=1e-3)
    np.testing.assert_allclose(
        two.predict(twice)[: len(y)], one.predict(frame), atol=1e-3 * np.sqrt(one.sigma2_)
    )


@given(cases)
def test_partial_fit_equals_fit(case):
    seed, random, method = case
    frame, y = _frame(seed)
    rng = np.random.default_rng(seed)
    cut = np.sort(rng.choice(np.arange(8, len(y)), 2, replace=False))
    whole, parts = _fit(frame, y, random, method), LinearMixedModel(random, method=method)
    order = rng.permutation(len(y))
    with warnings.catch_warnings():  # the first rows alone may not identify the model
        warnings.simplefilter("ignore")
        for rows in np.split(order, cut):
            parts.partial_fit(frame.iloc[rows], y[rows])
    _same(whole, parts)


@given(cases)
def test_no_random_effects_is_least_squares(case):
    seed, _, method = case
    frame, y = _frame(seed)
    frame = frame[["x", "z"]]
    model = LinearMixedModel(method=method).fit(frame, y)
    X = np.column_stack([np.ones(len(y)), frame])
    beta, rss = np.linalg.lstsq(X, y)[:2]
    nu = len(y) - 3 if method == "reml" else len(y)
    np.testing.assert_allclose([model.intercept_, *model.coef_], beta, rtol=1e-9)
    assert model.sigma2_ == pytest.approx(rss[0] / nu, rel=1e-10)
    wanted = nu * (1 + np.log(2 * np.pi * rss[0] / nu))
    wanted += np.linalg.slogdet(X.T @ X)[1] if method == "reml" else 0.0
    assert model.deviance_ == pytest.approx(wanted, rel=1e-10)


@given(st.integers(0, 10**6), st.sampled_from(["ml", "reml"]))
def test_nested_models_order_their_likelihoods(seed, method):
    frame, y = _frame(seed)
    less, more, most = (
        _fit(frame, y, random, method).deviance_ for random in ("(1 | g)", "(x || g)", "(x | g)")
    )
    assert most <= more + 1e-6
    assert more <= less + 1e-6


@given(cases)
def test_modes_solve_their_equations(case):
    """Henderson: Z'(y - X beta - Z b) = sigma2 Sigma^-1 b, group by group, without inverses."""
    seed, random, method = case
    frame, y = _frame(seed)
    model = _fit(frame, y, random, method)
    effects = list(model.random_effects_.values())
    names = [name for term in effects for name in term.names]
    modes = np.hstack([term.values for term in effects])
    sigma = np.zeros((len(names), len(names)))
    at = 0
    for cov in model.cov_re_.values():
        sigma[at : at + len(cov), at : at + len(cov)] = cov
        at += len(cov)
    residual = y - model.predict(frame)
    Z = np.column_stack([frame["x"] if name == "x" else np.ones(len(y)) for name in names])
    for k, level in enumerate(effects[0].levels):
        own = (frame["g"] == level).to_numpy()
        pull = sigma @ (Z[own].T @ residual[own]) / model.sigma2_
        size = np.abs(modes).max() + np.sqrt(model.sigma2_)
        np.testing.assert_allclose(pull, modes[k], atol=1e-8 * size * (1 + np.abs(sigma).max()))


@given(st.integers(0, 10**6), st.sampled_from(RANDOM))
def test_formula_and_estimator_agree(seed, random):
    frame, y = _frame(seed)
    one = _fit(frame, y, random, "reml")
    two = lmm(f"y ~ x + z + {random}", frame.assign(y=y))
    assert two.deviance_ == pytest.approx(one.deviance_, abs=1e-8)
    np.testing.assert_allclose(two.coef_, one.coef_, rtol=1e-6)
    fixed = LinearMixedModel(random, fixed="x + z").fit(frame, y)
    assert fixed.deviance_ == pytest.approx(one.deviance_, abs=1e-8)
