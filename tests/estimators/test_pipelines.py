"""The model inside scikit-learn: pipelines, searches, cross-validation, workers."""

import joblib
import numpy as np
import pandas
import polars
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import BaggingRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import get_scorer, root_mean_squared_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from lmmfit import LinearMixedModel
from lmmfit.datasets import load_sleepstudy

RANDOM = "(Days | Subject)"
KNOWN = KFold(5, shuffle=True, random_state=0)
SCORERS = [
    "r2",
    "explained_variance",
    "neg_mean_squared_error",
    "neg_root_mean_squared_error",
    "neg_mean_absolute_error",
    "neg_median_absolute_error",
    "neg_mean_absolute_percentage_error",
    "neg_max_error",
]


@pytest.fixture(scope="module")
def sleep():
    return load_sleepstudy(return_X_y=True, as_frame=True)


@pytest.fixture
def model():
    return LinearMixedModel(RANDOM)


def scaled(library="pandas"):
    transformer = make_column_transformer(
        (StandardScaler(), ["Days"]), remainder="passthrough", verbose_feature_names_out=False
    )
    return transformer.set_output(transform=library)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_scaling_a_slope_changes_no_prediction(sleep, model, library):
    X, y = sleep
    text = X.assign(Subject=X.Subject.astype(str))
    data = text if library == "pandas" else polars.from_pandas(text)
    pipeline = make_pipeline(scaled(library), model).fit(data, y)
    plain = LinearMixedModel(RANDOM).fit(X, y)
    np.testing.assert_allclose(pipeline.predict(data), plain.predict(X), rtol=1e-7)
    _, std = pipeline.predict(data, return_std=True)
    np.testing.assert_allclose(std, plain.predict(X, return_std=True)[1], rtol=1e-6)
    np.testing.assert_allclose(
        pipeline.predict(data, conditional=False), plain.predict(X, conditional=False)
    )
    assert pipeline[-1].feature_names_in_.tolist() == ["Days", "Subject"]


def test_coding_in_a_pipeline_equals_coding_by_a_formula(frames):
    frame = frames["machines"]
    X, y = frame[["Machine", "Worker"]], frame["score"]
    coder = ColumnTransformer(
        [("code", OneHotEncoder(drop="first", sparse_output=False), ["Machine"])],
        remainder="passthrough", verbose_feature_names_out=False,
    ).set_output(transform="pandas")  # fmt: skip
    pipeline = Pipeline([("code", coder), ("model", LinearMixedModel("(1 | Worker)"))]).fit(X, y)
    formula = LinearMixedModel("(1 | Worker)", fixed="Machine").fit(X, y)
    np.testing.assert_allclose(pipeline[-1].deviance_, formula.deviance_, atol=1e-8)
    np.testing.assert_allclose(pipeline.predict(X), formula.predict(X))


def test_splines_before_the_model(sleep):
    X, y = sleep
    splines = make_column_transformer(
        (SplineTransformer(n_knots=4, include_bias=False), ["Days"]),
        remainder="passthrough", verbose_feature_names_out=False,
    ).set_output(transform="pandas")  # fmt: skip
    pipeline = make_pipeline(splines, LinearMixedModel("(1 | Subject)")).fit(X, y)
    assert pipeline[-1].coef_.shape == (5,)
    assert pipeline.score(X, y) > 0.7


def test_the_sketch_of_the_readers_guide(sleep):
    """The whole path of a user: scale, search the random structure, predict, unseen subjects."""
    X, y = sleep
    scale = make_column_transformer(
        (StandardScaler(), ["Days"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    model = make_pipeline(scale, LinearMixedModel(random="(Days | Subject)"))
    candidates = ["(1 | Subject)", "(Days | Subject)", "(Days || Subject)"]
    search = GridSearchCV(
        model,
        {"linearmixedmodel__random": candidates},
        cv=KFold(5, shuffle=True, random_state=0),
        scoring="neg_root_mean_squared_error",
    ).fit(X, y)
    assert search.best_params_["linearmixedmodel__random"] != "(1 | Subject)"
    scores = dict(zip(candidates, search.cv_results_["mean_test_score"], strict=True))
    assert scores["(Days | Subject)"] > scores["(1 | Subject)"] + 2
    assert root_mean_squared_error(y, search.predict(X)) < 26
    unseen = cross_val_score(
        search.best_estimator_, X, y, groups=X["Subject"], cv=GroupKFold(6),
        scoring="neg_root_mean_squared_error",
    )  # fmt: skip
    assert -60 < unseen.mean() < -40
    assert unseen.mean() < search.best_score_ - 15


def test_search_over_fixed_effects(sleep):
    X, y = sleep
    grid = {"fixed": [None, "1", "Days", "Days + I(Days**2)"], "method": ["ml", "reml"]}
    search = GridSearchCV(LinearMixedModel("(1 | Subject)"), grid, cv=KNOWN).fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    tried = [parameters["fixed"] for parameters in search.cv_results_["params"]]
    by_fixed = dict(zip(tried, search.cv_results_["mean_test_score"], strict=True))
    assert by_fixed["Days"] > by_fixed["1"] + 0.1
    assert by_fixed["Days"] == pytest.approx(by_fixed[None], rel=1e-9)


def test_cross_validation_uses_the_random_effects_of_known_groups(sleep, model):
    X, y = sleep
    known = cross_val_score(model, X, y, cv=KNOWN).mean()
    unseen = cross_val_score(model, X, y, groups=X.Subject, cv=GroupKFold(6)).mean()
    none = cross_val_score(LinearMixedModel(fixed="Days"), X, y, cv=KNOWN).mean()
    assert known > 0.7
    assert none < 0.35
    assert unseen < 0.35


def test_grouped_folds_predict_the_population(sleep, model):
    X, y = sleep
    (train, test), *_ = LeaveOneGroupOut().split(X, y, groups=X.Subject)
    model.fit(X.iloc[train], y.iloc[train])
    new = X.iloc[test]
    np.testing.assert_array_equal(model.predict(new), model.predict(new, conditional=False))
    predicted = cross_val_predict(model, X, y, groups=X.Subject, cv=LeaveOneGroupOut())
    np.testing.assert_allclose(predicted[test], model.predict(new))


@pytest.mark.parametrize("scoring", SCORERS)
def test_every_scorer(sleep, model, scoring):
    X, y = sleep
    found = cross_val_score(model, X, y, cv=KNOWN, scoring=scoring)
    metric = get_scorer(scoring)
    expected = [
        metric(LinearMixedModel(RANDOM).fit(X.iloc[a], y.iloc[a]), X.iloc[b], y.iloc[b])
        for a, b in KNOWN.split(X)
    ]
    np.testing.assert_allclose(found, expected)


def test_cross_validate_and_cross_val_predict(sleep, model):
    X, y = sleep
    result = cross_validate(model, X, y, cv=KNOWN, scoring=SCORERS, return_estimator=True)
    predicted = cross_val_predict(model, X, y, cv=KNOWN)
    for fitted, (_, test) in zip(result["estimator"], KNOWN.split(X), strict=True):
        np.testing.assert_array_equal(predicted[test], fitted.predict(X.iloc[test]))
    assert root_mean_squared_error(y, predicted) == pytest.approx(
        -result["test_neg_root_mean_squared_error"].mean(), rel=0.1
    )


def test_cross_validation_of_arrays(sleep):
    X, y = sleep
    codes = np.column_stack([X.Days, X.Subject.cat.codes]).astype(float)
    array = cross_val_score(LinearMixedModel("(x0 | x1)"), codes, y.to_numpy(), cv=KNOWN)
    frame = cross_val_score(LinearMixedModel(RANDOM), X, y, cv=KNOWN)
    np.testing.assert_allclose(array, frame, rtol=1e-6)


def test_cross_validation_of_polars(sleep, model):
    X, y = sleep
    data = polars.from_pandas(X.assign(Subject=X.Subject.astype(str)))
    np.testing.assert_allclose(
        cross_val_score(model, data, polars.Series(y.to_numpy()), cv=KNOWN),
        cross_val_score(model, X, y, cv=KNOWN),
        rtol=1e-6,
    )


def test_weights_are_routed_through_a_search(sleep, model):
    X, y = sleep
    weight = np.random.default_rng(0).uniform(0.1, 2.0, len(y))
    search = GridSearchCV(model, {"method": ["ml", "reml"]}, cv=KNOWN)
    weighted = search.fit(X, y, sample_weight=weight).best_estimator_
    plain = LinearMixedModel(RANDOM, method=weighted.method)
    np.testing.assert_allclose(weighted.deviance_, plain.fit(X, y, sample_weight=weight).deviance_)
    assert abs(weighted.deviance_ - plain.fit(X, y).deviance_) > 1


def test_permutation_importance(sleep, model):
    X, y = sleep
    model.fit(X, y)
    found = permutation_importance(model, X, y, n_repeats=5, random_state=0)
    assert found.importances_mean.shape == (2,)
    assert (found.importances_mean > 0.1).all()


def test_permutation_importance_of_strings(sleep, model):
    X, y = sleep
    text = X.assign(Subject=X.Subject.astype(str))
    found = permutation_importance(model.fit(text, y), text, y, n_repeats=3, random_state=0)
    assert found.importances_mean[1] > 0.1


def test_processes(sleep, model):
    X, y = sleep
    one = cross_val_score(model, X, y, cv=KNOWN)
    two = cross_val_score(model, X, y, cv=KNOWN, n_jobs=2)
    np.testing.assert_allclose(one, two, rtol=1e-12)  # BLAS may sum in another order there


def test_threads(sleep, model):
    X, y = sleep
    one = cross_val_score(model, X, y, cv=KNOWN)
    with joblib.parallel_backend("threading", n_jobs=2):
        two = cross_val_score(model, X, y, cv=KNOWN)
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_one_model_predicts_in_many_threads(sleep, model):
    X, y = sleep
    model.fit(X, y)
    expected = LinearMixedModel(RANDOM).fit(X, y).predict(X)
    found = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(model.predict)(X) for _ in range(16)
    )
    for predicted in found:
        np.testing.assert_array_equal(predicted, expected)


def test_many_models_fit_in_many_threads(sleep):
    X, y = sleep
    expected = LinearMixedModel(RANDOM).fit(X, y).theta_
    found = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(LinearMixedModel(RANDOM).fit)(X, y) for _ in range(16)
    )
    for fitted in found:
        np.testing.assert_array_equal(fitted.theta_, expected)


def test_ensembles_and_transformed_targets(sleep):
    X, y = sleep
    codes = np.column_stack([X.Days, X.Subject.cat.codes]).astype(float)
    bagged = BaggingRegressor(LinearMixedModel("(x0 | x1)"), n_estimators=3, random_state=0)
    assert bagged.fit(codes, y).score(codes, y) > 0.75
    logged = TransformedTargetRegressor(
        LinearMixedModel(RANDOM), func=np.log, inverse_func=np.exp
    ).fit(X, y)
    assert logged.score(X, y) > 0.75


def test_joblib_dump(sleep, model, tmp_path):
    X, y = sleep
    pipeline = make_pipeline(scaled(), model).fit(X, y)
    joblib.dump(pipeline, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict(X), pipeline.predict(X))


def test_folds_that_lose_a_category_predict_it_as_new():
    rng = np.random.default_rng(0)
    group = pandas.Categorical(np.repeat(list("abcdef"), 8))
    X = pandas.DataFrame({"x": rng.normal(size=48), "g": group})
    y = X.x + group.codes + rng.normal(size=48)
    predicted = cross_val_predict(
        LinearMixedModel("(1 | g)"), X, y, groups=group.codes, cv=LeaveOneGroupOut()
    )
    assert np.isfinite(predicted).all()
