"""LinearMixedModel: input of every kind, predictions, chunks, and the habits of an estimator."""

import datetime
import pickle
import warnings

import narwhals
import numpy as np
import pandas
import polars
import pyarrow
import pytest
import statsmodels.api
import statsmodels.formula.api
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from lmmfit import LinearMixedModel

RANDOM = "(days | subject)"


def table(m=12, rows=5, seed=0):
    """Rows of m subjects of unequal size; ``days`` takes few values, ``z`` is continuous."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(m), rng.integers(rows - 2, rows + 3, size=m))
    n = len(subject)
    days, z = np.arange(n) % 4, rng.normal(size=n)
    effects = rng.normal(size=(m, 2)) * [2.0, 0.7]
    y = 10 + 1.5 * days - z + effects[subject, 0] + effects[subject, 1] * days
    y += 0.5 * rng.normal(size=n)
    order = rng.permutation(n)
    frame = pandas.DataFrame({"days": days, "z": z, "subject": subject})
    return frame.iloc[order].reset_index(drop=True), y[order]


X, Y = table()
TEXT = X.assign(subject=[f"s{s:02d}" for s in X.subject])


def fit(X=X, y=Y, random=RANDOM, sample_weight=None, **parameters):
    return LinearMixedModel(random, **parameters).fit(X, y, sample_weight=sample_weight)


def assert_same_fit(one, other, rtol=1e-7):
    """Every number of the two fits agrees; the groups may have other labels."""
    np.testing.assert_allclose(one.deviance_, other.deviance_, rtol=0, atol=1e-7)
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(one.intercept_, other.intercept_, rtol=rtol)
    np.testing.assert_allclose(one.sigma2_, other.sigma2_, rtol=1e-6)
    np.testing.assert_allclose(one.theta_, other.theta_, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        one.fixed_effects_["std_error"], other.fixed_effects_["std_error"], rtol=1e-6
    )


# ---------------------------------------------------------------- the same from every container

FRAMES = {
    "pandas": lambda frame: frame,
    "pandas nullable": lambda frame: frame.convert_dtypes(),
    "pandas arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "polars": polars.from_pandas,
    "pyarrow": pyarrow.Table.from_pandas,
    "narwhals": lambda frame: narwhals.from_native(polars.from_pandas(frame)),
}


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("frame", [X, TEXT], ids=["integers", "strings"])
def test_data_frames_of_every_library(container, frame):
    model = fit(FRAMES[container](frame))
    assert_same_fit(model, fit(X))
    assert model.feature_names_in_.tolist() == ["days", "z", "subject"]
    assert list(model.random_effects_["subject"].levels) == sorted(set(frame.subject))


@pytest.mark.parametrize("container", FRAMES)
@pytest.mark.parametrize("frame", [X, TEXT], ids=["integers", "strings"])
def test_prediction_does_not_depend_on_the_container(container, frame):
    model = fit(frame)
    expected = model.predict(frame, return_std=True)
    np.testing.assert_allclose(
        model.predict(FRAMES[container](frame), return_std=True), expected, rtol=1e-12
    )
    one = model.predict(FRAMES[container](frame.iloc[:1]))
    np.testing.assert_allclose(one, expected[0][:1], rtol=1e-12)


ARRAYS = {
    "float64": lambda: X.to_numpy(dtype=float),
    "fortran": lambda: np.asfortranarray(X.to_numpy(dtype=float)),
    "strided": lambda: np.repeat(X.to_numpy(dtype=float), 2, axis=0)[::2],
    "object": lambda: X.to_numpy(dtype=object),
    "object with strings": lambda: TEXT.to_numpy(dtype=object),
    "strings": lambda: TEXT.to_numpy(dtype=object).astype(str),
    "list of lists": lambda: X.to_numpy(dtype=float).tolist(),
    "list with strings": lambda: TEXT.to_numpy(dtype=object).tolist(),
    "list of tuples": lambda: list(TEXT.itertuples(index=False, name=None)),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_every_kind(kind):
    rows = ARRAYS[kind]()
    model = fit(rows, random="(x0 | x2)")
    assert model.cov_re_["x2"].shape == (2, 2)
    assert_same_fit(model, fit(X), rtol=1e-6)
    np.testing.assert_allclose(model.predict(rows), fit(X).predict(X), rtol=1e-5)
    assert not hasattr(model, "feature_names_in_")


def test_single_precision_is_read_exactly():
    single = X.to_numpy(dtype=np.float32)
    y = Y.astype(np.float32)
    expected = fit(single.astype(float), y.astype(float), "(x0 | x2)")
    assert_same_fit(fit(single, y, "(x0 | x2)"), expected)
    assert_same_fit(fit(X.assign(z=single[:, 1]), y), expected)


def test_integer_array():
    whole = np.column_stack([X.days, np.round(10 * X.z), X.subject]).astype(np.int64)
    assert_same_fit(fit(whole, random="(x0|x2)"), fit(whole.astype(float), random="(x0|x2)"))


def test_booleans_are_numbers():
    frame = X.assign(z=X.z > 0)
    expected = fit(X.assign(z=(X.z > 0).astype(float)))
    for container in ("pandas", "polars", "pyarrow"):
        assert_same_fit(fit(FRAMES[container](frame)), expected)


def test_input_is_left_as_it_was():
    frame, y, weight = X.copy(), Y.copy(), np.ones(len(Y))
    array = X.to_numpy(dtype=float)
    array.setflags(write=False)
    y.setflags(write=False)
    weight.setflags(write=False)
    fit(array, y, "(x0 | x2)", sample_weight=weight).predict(array, return_std=True)
    fit(frame, y).predict(frame)
    pandas.testing.assert_frame_equal(frame, X)


@pytest.mark.parametrize(
    "y",
    [
        pandas.Series(Y, index=range(100, 100 + len(Y))),
        polars.Series(Y),
        pyarrow.array(Y),
        pyarrow.chunked_array([Y[:9], Y[9:]]),
        Y.tolist(),
        Y.astype(object),
    ],
    ids=["pandas", "polars", "arrow", "chunked", "list", "object"],
)
def test_responses_of_every_kind(y):
    assert_same_fit(fit(y=y), fit())


def test_column_vector_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match="column-vector"):
        model = fit(y=Y[:, None])
    assert_same_fit(model, fit())


def test_rows_go_by_position_not_by_index():
    shuffled = X.set_axis(np.random.default_rng(1).permutation(len(X)))
    repeated = X.set_axis([0] * len(X))
    for frame in (shuffled, repeated):
        model = fit(frame, pandas.Series(Y))
        assert_same_fit(model, fit())
        np.testing.assert_allclose(model.predict(frame), fit().predict(X))


# ------------------------------------------------------------------------------------- labels

LABELS = {
    "strings": lambda s: f"s{s:02d}",
    "integers": lambda s: s,
    "negative": lambda s: s - 100,
    "sparse integers": lambda s: s * 10**15,
    "unsigned": lambda s: np.uint8(s),
    "large unsigned": lambda s: np.uint64(2**63 + s),
    "halves": lambda s: s + 0.5,
    "whole floats": float,
    "dates": lambda s: datetime.date(2020, 1, 1 + s),
    "timestamps": lambda s: pandas.Timestamp(2020, 1, 1 + s),
    "durations": lambda s: pandas.Timedelta(days=s),
    "with spaces": lambda s: f" subject {s:02d}\t",
    "unicode": lambda s: f"Größe {s:02d}",
    "like numbers": lambda s: f"{s:03d}",
}


@pytest.mark.parametrize("container", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_every_kind(kind, container):
    labels = [LABELS[kind](s) for s in X.subject]
    frame = FRAMES[container](X.assign(subject=labels))
    model, expected = fit(frame), fit()
    assert_same_fit(model, expected)
    assert len(model.random_effects_["subject"].levels) == len(set(X.subject))
    np.testing.assert_allclose(
        model.random_effects_["subject"].values, expected.random_effects_["subject"].values,
        rtol=1e-5, atol=1e-7,
    )  # fmt: skip
    np.testing.assert_allclose(model.predict(frame), expected.predict(X), rtol=1e-7)


def test_two_levels_by_booleans():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flags = fit(X.assign(subject=X.subject > 5), random="(1 | subject)")
        numbers = fit(X.assign(subject=(X.subject > 5).astype(int)), random="(1 | subject)")
    assert_same_fit(flags, numbers)
    assert flags.random_effects_["subject"].levels.tolist() == [False, True]


def test_labels_that_cannot_be_ordered_keep_the_order_of_appearance():
    mixed = [f"s{s}" if s % 2 else int(s) for s in X.subject]
    model = fit(X.assign(subject=pandas.Series(mixed, dtype=object)))
    assert_same_fit(model, fit())
    assert list(model.random_effects_["subject"].levels) == list(dict.fromkeys(mixed))


def test_levels_are_sorted_whatever_the_order_of_the_rows():
    backwards = np.argsort(-X.subject.to_numpy(), kind="stable")
    model = fit(TEXT.iloc[backwards], Y[backwards])
    levels = list(model.random_effects_["subject"].levels)
    assert levels == sorted(levels)
    assert_same_fit(model, fit())


def categories(reverse=True):
    names = sorted(set(TEXT.subject), reverse=reverse)
    return names, TEXT.assign(subject=pandas.Categorical(TEXT.subject, categories=names))


def test_categories_keep_their_order_in_pandas():
    names, frame = categories()
    model = fit(frame)
    assert list(model.random_effects_["subject"].levels) == names
    assert_same_fit(model, fit())


def test_categories_keep_their_order_in_polars():
    names, frame = categories()
    frame = polars.from_pandas(TEXT).with_columns(polars.col("subject").cast(polars.Enum(names)))
    model = fit(frame)
    assert list(model.random_effects_["subject"].levels) == names
    assert_same_fit(model, fit())


def test_categories_keep_their_order_in_arrow():
    names, frame = categories()
    model = fit(pyarrow.Table.from_pandas(frame))
    assert list(model.random_effects_["subject"].levels) == names
    assert_same_fit(model, fit())


def test_arrow_dictionaries_of_integers():
    frame = pyarrow.Table.from_pandas(X.assign(subject=pandas.Categorical(X.subject)))
    assert_same_fit(fit(frame), fit())


def test_polars_categorical():
    frame = polars.from_pandas(TEXT).with_columns(polars.col("subject").cast(polars.Categorical))
    model = fit(frame)
    assert sorted(model.random_effects_["subject"].levels) == sorted(set(TEXT.subject))
    assert_same_fit(model, fit())


@pytest.mark.parametrize("container", ["pandas", "polars", "pyarrow"])
def test_categories_may_become_strings_at_predict(container):
    _, frame = categories()
    model = fit(frame)
    expected = model.predict(frame)
    np.testing.assert_allclose(model.predict(FRAMES[container](TEXT)), expected)
    np.testing.assert_allclose(model.predict(FRAMES[container](frame)), expected)
    np.testing.assert_allclose(fit(TEXT).predict(FRAMES[container](frame)), expected)


def test_unused_categories_are_no_levels():
    names, _ = categories()
    frame = TEXT.assign(subject=pandas.Categorical(TEXT.subject, categories=[*names, "nobody"]))
    model = fit(frame)
    assert list(model.random_effects_["subject"].levels) == names
    assert_same_fit(model, fit())


def test_combination_of_columns_is_a_factor():
    frame = X.assign(half=np.where(np.arange(len(X)) % 2, "a", "b"))
    joined = X.assign(subject=X.subject.astype(str) + ":" + frame.half)
    one = LinearMixedModel("(1 | subject:half)").fit(frame, Y)
    other = LinearMixedModel("(1 | subject)").fit(joined, Y)
    assert_same_fit(one, other)
    effects = one.random_effects_["subject:half"]
    assert set(effects.levels) == set(joined.subject)
    assert effects["3:a"] == pytest.approx(other.random_effects_["subject"]["3:a"], rel=1e-6)
    np.testing.assert_allclose(one.predict(frame), other.predict(joined))
    unseen = one.predict(frame.assign(half="c"))
    np.testing.assert_allclose(unseen, one.predict(frame, conditional=False))


def test_labels_with_a_colon_are_not_confused():
    frame = X.assign(
        subject=np.where(np.arange(len(X)) % 2, "a:b", "a"),
        half=np.where(np.arange(len(X)) % 2, "c", "b:c"),
    )
    frame.loc[:9, ["subject", "half"]] = ["a", "c"]
    model = LinearMixedModel("(1 | subject:half)").fit(frame, Y)
    assert len(model.random_effects_["subject:half"]) == 3


# -------------------------------------------------------------------- comparison with statsmodels


@pytest.mark.parametrize("method", ["ml", "reml"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_without_random_effects_it_is_least_squares(method, fit_intercept, weighted):
    numbers = X[["days", "z"]].to_numpy(dtype=float)
    weight = np.random.default_rng(2).uniform(0.2, 3.0, len(Y)) if weighted else None
    model = LinearMixedModel(method=method, fit_intercept=fit_intercept)
    model.fit(numbers, Y, sample_weight=weight)
    exog = statsmodels.api.add_constant(numbers) if fit_intercept else numbers
    ols = statsmodels.api.WLS(Y, exog, weights=1.0 if weight is None else weight).fit()
    ours = np.r_[[model.intercept_] * fit_intercept, model.coef_]
    np.testing.assert_allclose(ours, ols.params, rtol=1e-9)
    residual_df = len(Y) if method == "ml" else ols.df_resid
    np.testing.assert_allclose(model.sigma2_, ols.ssr / residual_df, rtol=1e-9)
    se = ols.bse * np.sqrt(model.sigma2_ / ols.scale)
    np.testing.assert_allclose(model.fixed_effects_["std_error"], se, rtol=1e-8)
    if method == "ml":
        np.testing.assert_allclose(model.loglik_, ols.llf, rtol=1e-10)
    else:
        w = np.ones(len(Y)) if weight is None else weight
        p = exog.shape[1]
        expected = (
            (len(Y) - p) * (1 + np.log(2 * np.pi * ols.scale))
            - np.log(w).sum()
            + np.linalg.slogdet(exog.T @ (w[:, None] * exog))[1]
        )
        np.testing.assert_allclose(model.deviance_, expected, rtol=1e-10)
    assert model.random_effects_ == {}
    assert model.cov_re_ == {}
    assert model.theta_.shape == (0,)
    mean, std = model.predict(numbers, return_std=True)
    np.testing.assert_allclose(mean, ols.fittedvalues, rtol=1e-9)
    spread = np.einsum("ni,ij,nj->n", exog, ols.normalized_cov_params, exog)
    np.testing.assert_allclose(std, np.sqrt(model.sigma2_ * (1 + spread)), rtol=1e-8)


@pytest.mark.parametrize("method", ["ml", "reml"])
def test_statsmodels_agrees(method, frames):
    frame = frames["sleepstudy"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = statsmodels.formula.api.mixedlm(
            "Reaction ~ Days", frame, groups="Subject", re_formula="~Days"
        ).fit(reml=method == "reml", method="lbfgs")
    names = ["Days", "Subject"]
    ours = fit(frame[names], frame.Reaction, "(Days | Subject)", method=method)
    estimates = theirs.fe_params.to_numpy()
    np.testing.assert_allclose(ours.fixed_effects_["estimate"], estimates, rtol=1e-6)
    np.testing.assert_allclose(ours.fixed_effects_["std_error"], theirs.bse_fe, rtol=1e-3)
    np.testing.assert_allclose(ours.cov_re_["Subject"], theirs.cov_re, rtol=2e-3)
    np.testing.assert_allclose(ours.sigma2_, theirs.scale, rtol=1e-4)
    np.testing.assert_allclose(ours.loglik_, theirs.llf, rtol=0, atol=1e-4)
    assert ours.loglik_ >= theirs.llf - 1e-6
    np.testing.assert_allclose(
        ours.predict(frame[names], conditional=False), theirs.predict(frame), rtol=1e-6
    )
    np.testing.assert_allclose(ours.predict(frame[names]), theirs.fittedvalues, rtol=1e-4)
    for level, effects in theirs.random_effects.items():
        own = list(ours.random_effects_["Subject"][level].values())
        np.testing.assert_allclose(own, effects, rtol=1e-2, atol=0.05)


# ------------------------------------------------------------------------------- predictions


def dense_prediction(model, frame, y, new, weight=None):
    """Mean and deviation of a new observation from the joint normal of old and new rows."""
    weight = np.ones(len(y)) if weight is None else weight
    sigma2, prior = model.sigma2_, model.cov_re_["subject"]

    def designs(frame):
        ones = np.ones(len(frame))
        fixed = np.column_stack([ones, frame.days, frame.z])
        return fixed, np.column_stack([ones, frame.days])

    (x, z), (x0, z0) = designs(frame), designs(new)
    same = frame.subject.to_numpy()[:, None] == frame.subject.to_numpy()
    V = np.diag(sigma2 / weight) + same * (z @ prior @ z.T)
    shared = new.subject.to_numpy()[:, None] == frame.subject.to_numpy()
    c = shared * (z0 @ prior @ z.T)
    W = np.linalg.inv(V)
    information = x.T @ W @ x
    beta = np.linalg.solve(information, x.T @ W @ y)
    mean = x0 @ beta + c @ W @ (y - x @ beta)
    pull = x0 - c @ W @ x
    variance = sigma2 + np.einsum("na,ab,nb->n", z0, prior, z0)
    variance -= np.einsum("ni,ij,nj->n", c, W, c)
    variance += np.einsum("ni,ij,nj->n", pull, np.linalg.inv(information), pull)
    return mean, np.sqrt(variance)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["ml", "reml"])
def test_prediction_is_that_of_the_joint_normal(weighted, method):
    weight = np.random.default_rng(3).uniform(0.2, 3.0, len(Y)) if weighted else None
    model = fit(method=method, sample_weight=weight)
    new = table(m=18, seed=5)[0]  # subjects 12 to 17 were never seen
    mean, std = model.predict(new, return_std=True)
    wanted_mean, wanted_std = dense_prediction(model, X, Y, new, weight)
    np.testing.assert_allclose(mean, wanted_mean, rtol=1e-8)
    np.testing.assert_allclose(std, wanted_std, rtol=1e-8)
    np.testing.assert_array_equal(model.predict(new), mean)


def test_population_is_the_mean_of_a_stranger():
    model = fit()
    mean, std = model.predict(X, conditional=False, return_std=True)
    strangers = X.assign(subject=X.subject + 1000)
    expected, spread = model.predict(strangers, return_std=True)
    np.testing.assert_allclose(mean, expected)
    np.testing.assert_allclose(std, spread)
    linear = model.intercept_ + X[["days", "z"]].to_numpy() @ model.coef_
    np.testing.assert_allclose(mean, linear)
    assert (std > model.predict(X, return_std=True)[1]).all()


def test_conditional_adds_the_modes():
    model = fit()
    effects = model.random_effects_["subject"]
    rows = [effects[s] for s in X.subject]
    added = [row["(Intercept)"] + row["days"] * day for row, day in zip(rows, X.days, strict=True)]
    np.testing.assert_allclose(model.predict(X) - model.predict(X, conditional=False), added)


def test_new_levels_as_population():
    model = fit()
    mixed = X.assign(subject=np.where(X.subject == 3, 99, X.subject))
    mean, std = model.predict(mixed, return_std=True)
    new = (X.subject == 3).to_numpy()
    marginal = model.predict(X, conditional=False, return_std=True)
    np.testing.assert_allclose(mean[new], marginal[0][new])
    np.testing.assert_allclose(std[new], marginal[1][new])
    np.testing.assert_allclose(mean[~new], model.predict(X)[~new])


def test_new_levels_as_nan():
    model = fit(new_levels="nan")
    new = (X.subject == 3).to_numpy()
    mixed = X.assign(subject=np.where(new, 99, X.subject))
    mean, std = model.predict(mixed, return_std=True)
    assert np.array_equal(np.isnan(mean), new)
    assert np.array_equal(np.isnan(std), new)
    assert np.isfinite(model.predict(mixed, conditional=False)).all()


def test_new_levels_as_an_error():
    model = fit(TEXT, new_levels="error")
    model.predict(TEXT)
    stranger = TEXT.assign(subject=["who", *TEXT.subject[1:]])
    with pytest.raises(ValueError, match=r"'who' of 'subject' in row 0 .* new_levels"):
        model.predict(stranger)
    with pytest.raises(ValueError, match="'who'"):
        model.predict(stranger, return_std=True)
    assert np.isfinite(model.predict(stranger, conditional=False)).all()


def test_new_levels_may_change_after_fit():
    model = fit().set_params(new_levels="error")
    with pytest.raises(ValueError, match="99"):
        model.predict(X.assign(subject=99))


def test_coverage_of_new_rows_and_new_groups():
    rng = np.random.default_rng(7)
    truth = {"chol": np.array([[2.0, 0.0], [-0.6, 0.8]]), "sigma": 1.3}

    def draw(effects, groups):
        days, z = rng.uniform(0, 3, len(groups)), rng.normal(size=len(groups))
        b = effects[groups]
        y = 5 + 2 * days - z + b[:, 0] + b[:, 1] * days + truth["sigma"] * rng.normal(size=len(z))
        return pandas.DataFrame({"days": days, "z": z, "subject": groups}), y

    effects = rng.normal(size=(2400, 2)) @ truth["chol"].T
    known = np.repeat(np.arange(400), 6)
    model = LinearMixedModel(RANDOM).fit(*draw(effects, known))
    for groups in (np.repeat(np.arange(400), 5), np.arange(400, 2400)):
        rows, y = draw(effects, groups)
        mean, std = model.predict(rows, return_std=True)
        score = (y - mean) / std
        assert 0.935 < np.mean(np.abs(score) < 1.959964) < 0.965
        assert 0.95 < score.std() < 1.05


def test_predict_returns_an_array_of_float64():
    model = fit(X.astype({"z": "float32"}))
    for rows in (X, X.iloc[:1], X.iloc[:0]):
        mean, std = model.predict(rows, return_std=True)
        assert type(mean) is type(std) is np.ndarray
        assert mean.dtype == std.dtype == np.float64
        assert mean.shape == std.shape == (len(rows),)


def test_a_row_is_predicted_alone_as_among_others():
    model, new = fit(), table(m=15, seed=4)[0]
    mean, std = model.predict(new, return_std=True)
    for i in (0, 7, len(new) - 1):
        np.testing.assert_allclose(
            np.ravel(model.predict(new.iloc[[i]], return_std=True)), [mean[i], std[i]]
        )


# --------------------------------------------------------------------------------- partial_fit


def chunks(frame, y, sizes, weight=None):
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        yield frame.iloc[rows], y[rows], None if weight is None else weight[rows]
        start += size


# What a first chunk of a few rows deserves.
DESERVED = pytest.mark.filterwarnings(
    "ignore:the (random|fixed) effects:UserWarning",
    "ignore:the design is rank-deficient:UserWarning",
    "ignore:no optimum was certified .the residual is too small",
)


@DESERVED
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", [(30, 30), (59, 1), (5, 20, 35), (3,) * 20])
@pytest.mark.parametrize("random", [None, "(1 | subject)", RANDOM, "(days || subject)"])
def test_chunks_make_one_fit(random, sizes, weighted):
    frame, y = (whole[:60] for whole in table(m=15, seed=6))
    assert len(y) == 60
    weight = np.random.default_rng(8).uniform(0.2, 2.0, 60) if weighted else None
    model = LinearMixedModel(random)
    for part in chunks(frame, y, sizes, weight):
        assert model.partial_fit(*part) is model
    whole = fit(frame, y, random, weight)
    assert_same_fit(model, whole, rtol=1e-6)
    assert model.statistics_.n_rows == 60
    np.testing.assert_allclose(
        model.predict(frame, return_std=True), whole.predict(frame, return_std=True), rtol=1e-5
    )
    if random:
        own, theirs = (m.random_effects_["subject"] for m in (model, whole))
        assert sorted(own.levels) == sorted(theirs.levels)
        for level in theirs.levels:
            assert own[level] == pytest.approx(theirs[level], rel=1e-4, abs=1e-6)


@DESERVED
def test_later_chunks_bring_new_groups():
    order = np.argsort(X.subject.to_numpy(), kind="stable")[::-1]
    frame, y = TEXT.iloc[order], Y[order]
    model = LinearMixedModel(RANDOM)
    for part in chunks(frame, y, (20, 20, len(y) - 40)):
        model.partial_fit(*part)
    assert_same_fit(model, fit(), rtol=1e-6)
    np.testing.assert_allclose(model.predict(TEXT), fit().predict(X), rtol=1e-6)


@DESERVED
def test_chunks_whose_labels_have_other_lengths():
    names = np.array([f"s{s}" if s < 6 else f"subject number {s}" for s in X.subject])
    order = np.argsort(X.subject.to_numpy(), kind="stable")
    for kind in (object, str):
        rows = np.empty((len(X), 3), dtype=object)
        rows[:, 0], rows[:, 1], rows[:, 2] = X.days, X.z, names
        rows, y = rows[order].astype(kind), Y[order]
        model = LinearMixedModel("(1 | x2)").partial_fit(rows[:25], y[:25])
        model.partial_fit(rows[25:], y[25:])
        assert set(model.random_effects_["x2"].levels) == set(names)


@DESERVED
def test_chunks_far_from_the_first():
    y, days = Y + 1e6 * (np.arange(len(Y)) >= 20), X.days + 1000 * (np.arange(len(Y)) >= 20)
    frame = X.assign(days=days)
    model = LinearMixedModel("(1 | subject)")
    for part in chunks(frame, y, (20, len(y) - 20)):
        model.partial_fit(*part)
    whole = fit(frame, y, "(1 | subject)")
    np.testing.assert_allclose(model.deviance_, whole.deviance_, rtol=1e-7)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-5)


@DESERVED
def test_chunks_from_different_libraries():
    model = LinearMixedModel(RANDOM)
    model.partial_fit(TEXT.iloc[:20], Y[:20])
    model.partial_fit(polars.from_pandas(TEXT.iloc[20:40]), Y[20:40])
    model.partial_fit(pyarrow.Table.from_pandas(TEXT.iloc[40:]), Y[40:])
    assert_same_fit(model, fit(), rtol=1e-6)


def test_chunks_with_labels_of_another_type_are_refused():
    model = LinearMixedModel(RANDOM).partial_fit(X.iloc[:30], Y[:30])
    before = model.predict(X)
    with pytest.raises((ValueError, TypeError), match="subject"):
        model.partial_fit(X.assign(subject=X.subject.astype(str)).iloc[30:], Y[30:])
    np.testing.assert_array_equal(model.predict(X), before)


def test_partial_fit_does_not_forget_fit_and_fit_forgets_partial_fit():
    model = LinearMixedModel(RANDOM).fit(X.iloc[:40], Y[:40])
    model.partial_fit(X.iloc[40:], Y[40:])
    assert_same_fit(model, fit(), rtol=1e-6)
    model.fit(X, Y)
    assert_same_fit(model, fit(), rtol=1e-12)
    assert model.statistics_.n_rows == len(Y)


def test_partial_fit_leaves_copies_alone():
    model = LinearMixedModel(RANDOM).partial_fit(X.iloc[:40], Y[:40])
    copy = pickle.loads(pickle.dumps(model))
    statistics, total = model.statistics_, model.statistics_.total.copy()
    model.partial_fit(X.iloc[40:], Y[40:])
    np.testing.assert_array_equal(statistics.total, total)
    assert copy.statistics_.n_rows == 40
    assert_same_fit(copy.partial_fit(X.iloc[40:], Y[40:]), model, rtol=1e-12)


def test_partial_fit_of_another_model_is_refused():
    """The statistics of one random structure do not hold those of another."""
    model = LinearMixedModel("(1 | subject)").partial_fit(X.iloc[:40], Y[:40])
    model.set_params(random=RANDOM)
    with pytest.raises(ValueError, match="random"):
        model.partial_fit(X.iloc[40:], Y[40:])


def test_partial_fit_may_change_the_method():
    model = LinearMixedModel(RANDOM, method="ml").partial_fit(X.iloc[:40], Y[:40])
    model.set_params(method="reml").partial_fit(X.iloc[40:], Y[40:])
    assert_same_fit(model, fit(), rtol=1e-6)


# ------------------------------------------------------------------------------------- weights


def test_weights_of_every_form():
    weight = np.random.default_rng(9).uniform(0.2, 3, len(Y))
    expected = fit(sample_weight=weight)
    assert abs(expected.deviance_ - fit().deviance_) > 0.1
    for form in (weight.tolist(), pandas.Series(weight, index=X.index[::-1]),
                 polars.Series(weight), weight.astype(object)):  # fmt: skip
        assert_same_fit(fit(sample_weight=form), expected)
    assert_same_fit(fit(sample_weight=np.ones(len(Y), dtype=int)), fit())
    assert_same_fit(fit(sample_weight=2.0), fit(sample_weight=np.full(len(Y), 2.0)))


def test_weight_zero_leaves_a_row_out():
    weight = np.ones(len(Y))
    weight[[0, 5, 17]] = 0.0
    keep = weight > 0
    poisoned = Y.copy()
    poisoned[0] = 1e9
    assert_same_fit(fit(y=poisoned, sample_weight=weight), fit(X[keep], Y[keep]))


def test_group_of_weight_zero_is_a_new_level():
    weight = np.where(X.subject == 3, 0.0, 1.0)
    model = fit(sample_weight=weight)
    gone = (X.subject == 3).to_numpy()
    assert_same_fit(model, fit(X[~gone], Y[~gone]))
    np.testing.assert_allclose(
        model.predict(X)[gone], model.predict(X, conditional=False)[gone], atol=1e-9
    )


@pytest.mark.parametrize("power", [-30, -16, -12, -8, -4, 4, 8, 16, 30])
def test_common_factor_of_the_weights_is_a_unit_of_variance(power):
    factor, base = 10.0**power, fit()
    model = fit(sample_weight=np.full(len(Y), factor))
    np.testing.assert_allclose(model.deviance_, base.deviance_, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.coef_, base.coef_, rtol=1e-5)
    np.testing.assert_allclose(model.cov_re_["subject"], base.cov_re_["subject"], rtol=1e-3)
    np.testing.assert_allclose(model.sigma2_, factor * base.sigma2_, rtol=1e-4)


def far_above(power):
    """Rows whose noise is a 10**-power th of the random effects."""
    rng = np.random.default_rng(10)
    effects = rng.normal(size=(12, 2))
    noise = rng.normal(size=len(Y)) * 10.0**-power
    return 1 + X.days - X.z + effects[X.subject, 0] + effects[X.subject, 1] * X.days + noise


@pytest.mark.parametrize("power", [1, 2, 3, 4, 5])
def test_random_effects_far_above_the_noise(power):
    y = far_above(power)
    model = fit(y=y)
    assert model.converged_
    np.testing.assert_allclose(model.coef_[1], -1.0, atol=3 * 10.0**-power)
    np.testing.assert_allclose(model.sigma2_, 10.0 ** (-2 * power), rtol=0.6)
    np.testing.assert_allclose(model.predict(X), y, atol=5 * 10.0**-power)


@pytest.mark.filterwarnings("ignore:no optimum was certified .the residual is too small")
@pytest.mark.parametrize("power", [6, 8, 10, 12, 14])
def test_noise_that_double_precision_cannot_see(power):
    """There is an answer, and soon; whether it is certified is said."""
    y = far_above(power)
    model = fit(y=y)
    np.testing.assert_allclose(model.coef_[1], -1.0, atol=1e-5)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-4)


# ------------------------------------------------------------------------------- feature names


def test_feature_names():
    model = fit()
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == ["days", "z", "subject"]
    assert model.feature_names_in_.dtype == object
    for wrong in (X[["z", "days", "subject"]], X.rename(columns={"z": "w"}), X.assign(extra=1)):
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(wrong)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        predicted = model.predict(X.to_numpy())
    np.testing.assert_allclose(predicted, model.predict(X))


def test_model_of_an_array_predicts_a_frame_by_position():
    model = fit(X.to_numpy(dtype=float), random="(x0 | x2)")
    with pytest.warns(UserWarning, match="fitted without feature names"):
        predicted = model.predict(X)
    np.testing.assert_allclose(predicted, fit().predict(X))


def test_array_with_another_number_of_columns():
    model = fit(X.to_numpy(dtype=float), random="(x0 | x2)")
    for columns in ([0, 1], [0, 1, 2, 2]):
        with pytest.raises(ValueError, match=f"has {len(columns)} features.*expecting 3"):
            model.predict(X.to_numpy(dtype=float)[:, columns])


def test_columns_without_names_are_numbered():
    frame = X.set_axis([0, 1, 2], axis=1)
    assert_same_fit(fit(frame, random="(x0 | x2)"), fit())


def test_group_column_is_no_fixed_effect_and_slopes_are():
    model = fit()
    assert model.fixed_effects_["name"].tolist() == ["(Intercept)", "days", "z"]
    assert model.coef_.shape == (2,)
    without = LinearMixedModel("(days | subject)", fit_intercept=False).fit(X, Y)
    assert without.fixed_effects_["name"].tolist() == ["days", "z"]
    assert without.intercept_ == 0.0


def test_a_column_may_not_be_called_as_the_intercept():
    with pytest.raises(ValueError, match=r"\(Intercept\)"):
        fit(X.rename(columns={"z": "(Intercept)"}))


# --------------------------------------------------------------------------------- attributes


def test_attributes():
    model = fit()
    covariance = model.cov_re_["subject"]
    factor = np.array([[model.theta_[0], 0.0], [model.theta_[1], model.theta_[2]]])
    np.testing.assert_allclose(covariance, model.sigma2_ * factor @ factor.T, rtol=1e-12)
    assert model.loglik_ == -0.5 * model.deviance_
    assert model.converged_ is True
    assert model.singular_ is False
    assert model.n_iter_ >= 1
    assert model.aliased_ == []
    assert model.boundary_report_ == ()
    assert model.statistics_.n_rows == len(Y)
    table = model.fixed_effects_
    assert table.columns == ["name", "estimate", "std_error"]
    frame = table.to_frame()
    assert frame.shape == (3, 3)
    np.testing.assert_array_equal(frame["estimate"][1:], model.coef_)
    with pytest.raises(KeyError, match="'error' is not a column"):
        table["error"]


def test_random_effects():
    effects = fit(TEXT).random_effects_["subject"]
    m = len(set(X.subject))
    assert effects.shape == (m, 2) == np.asarray(effects).shape
    assert effects.covariance.shape == (m, 2, 2)
    assert effects.names == ("(Intercept)", "days")
    assert (effects.std_error > 0).all()
    frame = effects.to_frame()
    assert frame.index.name == "subject"
    assert list(frame.columns) == ["(Intercept)", "days"]
    assert dict(frame.loc["s03"]) == effects["s03"]
    with pytest.raises(KeyError, match="'nobody' is not a level of 'subject'"):
        effects["nobody"]
    assert "s00" in repr(effects)


def test_uncorrelated_terms_have_keys_of_their_own():
    model = fit(random="(days || subject)")
    assert list(model.random_effects_) == list(model.cov_re_) == ["subject", "subject.1"]
    assert model.random_effects_["subject.1"].names == ("days",)
    assert model.theta_.shape == (2,)


def test_conf_int_and_summary():
    model = fit()
    table = model.conf_int(0.9)
    half = 1.6448536269514722 * model.fixed_effects_["std_error"]
    np.testing.assert_allclose(table["upper"], model.fixed_effects_["estimate"] + half)
    np.testing.assert_allclose(table["lower"], model.fixed_effects_["estimate"] - half)
    for level in (0.0, 1.0, 95, -0.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            model.conf_int(level)
    text, page = str(model.summary()), model.summary()._repr_html_()
    for piece in ("REML", "days", "subject", "residual", f"{len(Y)} rows", "12 levels"):
        assert piece in text
        assert piece in page
    assert "maximum likelihood" in str(fit(method="ml").summary())


def test_html_of_the_summary_is_escaped():
    frame = X.rename(columns={"z": "<script>alert(1)</script>"})
    page = fit(frame).summary()._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("method", ["predict", "summary", "conf_int"])
def test_unfitted(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(LinearMixedModel(RANDOM), method)(*([X] if method == "predict" else []))
    assert not hasattr(LinearMixedModel(RANDOM), "random_effects_")


# ------------------------------------------------------------------------ habits of an estimator


def test_clone_params_and_repr():
    model = fit(method="ml", new_levels="error", max_iter=50)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "coef_")
    assert repr(model) == (
        "LinearMixedModel(max_iter=50, method='ml', new_levels='error',\n"
        "                 random='(days | subject)')"
    )
    assert set(model.get_params()) == {
        "random", "fixed", "method", "fit_intercept", "new_levels", "residual", "n_jobs",
        "max_iter", "tol",
    }  # fmt: skip
    assert_same_fit(copy.fit(X, Y), model, rtol=1e-12)
    assert model.set_params(tol=1e-6) is model
    with pytest.raises(ValueError, match="Invalid parameter 'groups'"):
        model.set_params(groups="subject")


def test_only_random_goes_by_position():
    with pytest.raises(TypeError, match="positional"):
        LinearMixedModel(RANDOM, "days")


def test_html_repr():
    page = fit()._repr_html_()
    assert "(days | subject)" in page
    assert "LinearMixedModel" in page
    assert "deviance_" in page


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    model = fit(TEXT)
    model.predict(TEXT)
    copy = pickle.loads(pickle.dumps(model, protocol=protocol))
    np.testing.assert_array_equal(copy.predict(TEXT), model.predict(TEXT))
    np.testing.assert_array_equal(
        copy.random_effects_["subject"].values, model.random_effects_["subject"].values
    )
    assert str(copy.summary()) == str(model.summary())


def test_pickle_holds_no_rows():
    big = table(m=12, rows=2000, seed=3)
    model = LinearMixedModel(RANDOM).fit(*big)
    assert len(big[1]) > 20000
    assert len(pickle.dumps(model)) < 40000


def test_refit_leaves_no_trace():
    first = TEXT.rename(columns={"z": "other"}).assign(copy=TEXT.z)
    model = LinearMixedModel(RANDOM)
    with pytest.warns(UserWarning, match=r"rank-deficient.*copy"):
        model.fit(first, Y)
    model.predict(first)
    model.fit(X, Y)
    fresh = LinearMixedModel(RANDOM).fit(X, Y)
    assert set(vars(model)) == set(vars(fresh))
    assert_same_fit(model, fresh, rtol=1e-14)
    assert model.feature_names_in_.tolist() == ["days", "z", "subject"]
    assert model.aliased_ == []
    assert list(model.random_effects_["subject"].levels) == list(range(12))
    model.set_params(random="(x0 | x2)").fit(X.to_numpy(dtype=float), Y)
    assert not hasattr(model, "feature_names_in_")
    model.set_params(random=None).fit(X[["days", "z"]].to_numpy(), Y)
    assert model.random_effects_ == {}


def test_score_is_that_of_predict():
    model = fit()
    residual = Y - model.predict(X)
    expected = 1 - residual @ residual / np.sum((Y - Y.mean()) ** 2)
    np.testing.assert_allclose(model.score(X, Y), expected)
    assert model.score(X, Y, sample_weight=np.arange(len(Y))) != pytest.approx(expected)


def test_fit_is_repeatable_and_quiet(capfd):
    one, other = fit(), fit()
    assert one.deviance_ == other.deviance_
    np.testing.assert_array_equal(one.theta_, other.theta_)
    model = LinearMixedModel(RANDOM).partial_fit(X.iloc[:40], Y[:40])
    model.partial_fit(X.iloc[40:], Y[40:]).predict(X, return_std=True)
    model.summary()
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_warnings_point_at_the_caller():
    with pytest.warns(UserWarning, match="rank-deficient") as caught:
        LinearMixedModel(RANDOM).fit(X.assign(copy=X.z), Y)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="rank-deficient") as caught:
        LinearMixedModel(RANDOM).partial_fit(X.assign(copy=X.z), Y)
    assert caught[0].filename == __file__


def test_rank_deficient_columns_are_named_and_harmless():
    frame = X.assign(twice=2 * X.z, one=1.0)
    with pytest.warns(UserWarning, match=r"\['twice', 'one'\].*dropped"):
        model = fit(frame[["days", "z", "twice", "one", "subject"]])
    assert model.aliased_ == ["twice", "one"]
    assert model.coef_[2:].tolist() == [0.0, 0.0]
    assert model.fixed_effects_["name"].tolist() == ["(Intercept)", "days", "z"]
    np.testing.assert_allclose(model.deviance_, fit().deviance_)
    np.testing.assert_allclose(
        model.predict(frame[["days", "z", "twice", "one", "subject"]], return_std=True),
        fit().predict(X, return_std=True),
    )
    assert "twice" in str(model.summary())


def test_columns_far_from_zero():
    base = fit()
    shifted = fit(X.assign(days=X.days + 1e6), Y + 1e8)
    np.testing.assert_allclose(shifted.deviance_, base.deviance_, atol=1e-4)
    np.testing.assert_allclose(shifted.coef_, base.coef_, rtol=1e-5)
    np.testing.assert_allclose(
        shifted.predict(X.assign(days=X.days + 1e6)) - 1e8, base.predict(X), atol=1e-4
    )
