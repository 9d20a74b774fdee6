"""Many responses at once: each is as if it had been fitted alone."""

import numpy as np
import pandas
import polars
import pytest
from sklearn.base import clone

from lmmfit import LinearMixedModel, lmm

STRUCTURES = ["(1 | g)", "(x | g)", "(x || g)", "(1 | g) + (1 | h)", "(x | g) + (z | h)"]


def table(n=150, k=12, seed=0):
    """Rows, and responses of very different units; every third has no random effects."""
    rng = np.random.default_rng(seed)
    X = pandas.DataFrame({"x": rng.normal(size=n), "z": rng.normal(5.0, 1.0, n)})
    X["g"], X["h"] = rng.integers(15, size=n), rng.integers(6, size=n)
    Y = rng.normal(size=(n, k))
    for j in range(k):
        if j % 3:
            effects = rng.normal(size=(15, 2))
            Y[:, j] += effects[X.g, 0] + 0.5 * effects[X.g, 1] * X.x + rng.normal(size=6)[X.h]
        Y[:, j] = 10.0 ** (j % 12 - 6) * (Y[:, j] + j % 12 + X.x)
    return X, Y


@pytest.mark.parametrize("random", STRUCTURES)
@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_each_response_is_as_if_fitted_alone(random, method, weighted):
    X, Y = table()
    if "h" not in random:
        X = X.drop(columns="h")
    weight = np.random.default_rng(1).uniform(0.0, 2.0, len(X)) if weighted else None
    many = LinearMixedModel(random, method=method).fit(X, Y, sample_weight=weight)
    predicted = many.predict(X)
    for j in range(Y.shape[1]):
        alone = LinearMixedModel(random, method=method).fit(X, Y[:, j], sample_weight=weight)
        assert many.deviance_[j] == pytest.approx(alone.deviance_, abs=1e-7)
        np.testing.assert_allclose(many.coef_[j], alone.coef_, rtol=1e-5)
        assert many.intercept_[j] == pytest.approx(alone.intercept_, rel=1e-5)
        assert many.sigma2_[j] == pytest.approx(alone.sigma2_, rel=1e-5)
        assert bool(many.singular_[j]) == alone.singular_
        assert many.converged_[j]
        for key, cov in alone.cov_re_.items():
            scale = np.abs(cov).max() + 1e-6 * alone.sigma2_
            np.testing.assert_allclose(many.cov_re_[key][j], cov, atol=1e-4 * scale)
        np.testing.assert_allclose(
            predicted[:, j], alone.predict(X), atol=1e-5 * np.abs(Y[:, j]).max()
        )
        one = many.response(j)
        assert one.deviance_ == pytest.approx(alone.deviance_, abs=1e-7)
        np.testing.assert_allclose(
            one.fixed_effects_["std_error"], alone.fixed_effects_["std_error"], rtol=1e-5
        )


def test_names_tables_and_shapes():
    X, Y = table(k=3)
    frame = pandas.DataFrame(Y, columns=["a", "b", "c"])
    model = LinearMixedModel("(1 | g) + (1 | h)").fit(X, frame)
    assert model.response_names_ == ["a", "b", "c"]
    assert model.coef_.shape == (3, 2)
    assert model.fixed_effects_.columns == ["response", "name", "estimate", "std_error"]
    assert len(model.fixed_effects_) == 9
    assert model.response("b").coef_ == pytest.approx(model.coef_[1], rel=1e-6)
    assert "t_value" in str(model.response("c").summary())
    mean, std = model.predict(X.head(4), return_std=True)
    assert mean.shape == std.shape == (4, 3)
    alone_mean, alone_std = model.response("a").predict(X.head(4), return_std=True)
    np.testing.assert_allclose(mean[:, 0], alone_mean)
    np.testing.assert_allclose(std[:, 0], alone_std)
    again = LinearMixedModel("(1 | g) + (1 | h)").fit(X, polars.from_pandas(frame))
    np.testing.assert_array_equal(again.coef_, model.coef_)
    assert again.response_names_ == ["a", "b", "c"]
    assert model.score(X, frame) > 0.0


def test_threads_give_the_same():
    X, Y = table(k=150)
    one = LinearMixedModel("(x | g) + (1 | h)").fit(X, Y)
    other = clone(one).set_params(n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(one.theta_, other.theta_)
    small = X[["x", "g"]]
    one = LinearMixedModel("(1 | g)").fit(small, Y)
    other = clone(one).set_params(n_jobs=2).fit(small, Y)
    np.testing.assert_array_equal(one.theta_, other.theta_)


def test_dropped_columns_and_new_levels():
    X, Y = table(k=4)
    X = X.assign(twice=2.0 * X.x)
    with pytest.warns(UserWarning, match="rank-deficient.*'twice'"):
        model = LinearMixedModel("(1 | g)", new_levels="nan").fit(X.drop(columns="h"), Y)
    with pytest.warns(UserWarning, match="rank-deficient"):
        alone = LinearMixedModel("(1 | g)").fit(X.drop(columns="h"), Y[:, 2])
    np.testing.assert_allclose(model.coef_[2], alone.coef_, rtol=1e-6)
    new = X.drop(columns="h").head(2).assign(g=[99, 1])
    assert np.isnan(model.predict(new)[0]).all()
    assert np.isfinite(model.predict(new, conditional=False)).all()


def test_a_later_fit_to_one_response_forgets_the_many():
    X, Y = table(k=3)
    model = LinearMixedModel("(1 | g) + (1 | h)").fit(X, Y)
    model.fit(X, Y[:, 0])
    assert not hasattr(model, "response_names_")
    assert model.predict(X).shape == (150,)


def test_no_intercept_and_no_random_effects():
    X, Y = table(k=3)
    X = X[["x", "z"]]
    for options in ({}, {"fit_intercept": False}):
        many = LinearMixedModel(**options).fit(X, Y)
        for j in range(3):
            alone = LinearMixedModel(**options).fit(X, Y[:, j])
            np.testing.assert_allclose(many.coef_[j], alone.coef_, rtol=1e-8)
            assert many.sigma2_[j] == pytest.approx(alone.sigma2_, rel=1e-9)


class TestBadInput:
    def test_what_is_of_one_response(self):
        X, Y = table(k=2)
        model = LinearMixedModel("(1 | g) + (1 | h)").fit(X, Y)
        for call in (model.summary, model.conf_int, lambda: model.simulate(X)):
            with pytest.raises(ValueError, match=r"fitted to 2: take one by response\(name\)"):
                call()
        with pytest.raises(ValueError, match="7 is no response; there are 2, such as"):
            model.response(7)
        with pytest.raises(ValueError, match="one response"):
            LinearMixedModel("(1 | g) + (1 | h)").fit(X, Y[:, 0]).response(0)

    def test_partial_fit_takes_one_response(self):
        X, Y = table(k=2)
        model = LinearMixedModel("(1 | g) + (1 | h)").partial_fit(X, Y[:, 0])
        with pytest.raises(ValueError, match="partial_fit takes one response"):
            model.partial_fit(X, Y)
        assert model.predict(X).shape == (150,)

    def test_a_gap_is_named_and_the_earlier_fit_kept(self):
        X, Y = table(k=3)
        model = LinearMixedModel("(1 | g) + (1 | h)").fit(X, Y)
        before = model.deviance_.copy()
        Y[7, 1] = np.nan
        with pytest.raises(ValueError, match="response 1 contains NaN, first in row 7"):
            model.fit(X, Y)
        np.testing.assert_array_equal(model.deviance_, before)

    def test_responses_that_the_fixed_effects_reproduce(self):
        X, Y = table(k=4)
        Y[:, 1], Y[:, 3] = 4.0, 2.0 * X.x + 1.0
        with pytest.warns(UserWarning, match=r"fit 2 of 4 responses exactly, such as \[1, 3\]"):
            model = LinearMixedModel("(1 | g) + (1 | h)").fit(X, Y)
        alone = LinearMixedModel("(1 | g) + (1 | h)").fit(X, Y[:, 0])
        np.testing.assert_allclose(model.coef_[0], alone.coef_, rtol=1e-6)
        assert model.intercept_[1] == pytest.approx(4.0)
        np.testing.assert_allclose(model.coef_[3], [2.0, 0.0], atol=1e-12)
        assert (model.sigma2_[[1, 3]] == 0.0).all()
        assert (model.deviance_[[1, 3]] == -np.inf).all()
        np.testing.assert_allclose(model.predict(X)[:, 3], Y[:, 3])
        assert model.response(3).result_.saturated

    def test_partial_fit_after_many_is_refused(self):
        X, Y = table(k=2)
        model = LinearMixedModel("(1 | g) + (1 | h)").fit(X, Y)
        with pytest.raises(ValueError, match="statistics of many are not kept"):
            model.partial_fit(X, Y[:, 0])


def test_simulated_responses_can_be_fitted_at_once():
    X, Y = table(k=1, n=200)
    frame = X.assign(y=Y[:, 0])
    model = lmm("y ~ x + (x | g)", frame)
    draws = model.simulate(frame, 30, random_state=0)
    refits = LinearMixedModel("(x | g)").fit(frame[["x", "g"]], draws)
    assert refits.coef_.shape == (30, 1)
    assert refits.converged_.all()


def test_callbacks_hear_of_progress():
    class Log:
        def __init__(self):
            self.names = []

        def setup(self, estimator, context):
            self.names.append("setup")

        def teardown(self, estimator, context):
            self.names.append("teardown")

        def on_fit_task_begin(self, estimator, context, **kwargs):
            pass

        def on_fit_task_end(self, estimator, context, **kwargs):
            self.names.append(context.task_name)

    X, Y = table(k=600)
    log = Log()
    model = LinearMixedModel("(1 | g)").set_callbacks(log).fit(X[["x", "g"]], Y)
    assert log.names == ["setup", "responses", "responses", "fit", "teardown"]
    log.names.clear()
    model.fit(X[["x", "g"]], Y[:, 0])
    assert log.names == ["setup", "fit", "teardown"]
