"""Input that is wrong, or strange: what is raised, what it says, and what is left untouched."""

import warnings

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse

from lmmfit import LinearMixedModel

M, ROWS = 8, 6
RNG = np.random.default_rng(0)
G = np.repeat(np.arange(M), ROWS)
N = len(G)
A, B = RNG.normal(size=(2, N))
Y = 1 + 2 * A - B + RNG.normal(size=M)[G] + RNG.normal(size=M)[G] * A + RNG.normal(size=N) / 2
X = pandas.DataFrame({"a": A, "b": B, "g": G})
TEXT = X.assign(g=[f"g{i}" for i in G])
RANDOM = "(a | g)"


def put(values, row, value, dtype=None):
    """A copy with one value changed."""
    values = np.array(values, dtype=dtype)
    values[row] = value
    return values


def cells(value, row=5, column="a"):
    return X.assign(**{column: put(X[column], row, value, object)})


class Case:
    """Arguments of fit, the error to come, and what its message must hold (in any case)."""

    def __init__(
        self, name, X, *pieces, y=Y, w=None, error=ValueError, random=RANDOM, **parameters
    ):
        self.name, self.X, self.y, self.w = name, X, y, w
        self.error, self.pieces = error, pieces
        self.model = LinearMixedModel(random, **parameters)

    def run(self, model, method="fit"):
        return getattr(model, method)(self.X, self.y, sample_weight=self.w)


NUMBERS = X.to_numpy(dtype=float)
POLARS = polars.from_pandas(X)
ARRAY = {"random": "(x0 | x2)"}

REFUSED = [
    # values
    Case("NaN in a column", X.assign(a=put(A, 5, np.nan)), "'a'", "NaN", "row 5", "drop"),
    Case("NaN in a late row", X.assign(b=put(B, 47, np.nan)), "'b'", "NaN", "row 47"),
    Case("infinity in a column", X.assign(b=put(B, 5, np.inf)), "'b'", "infinity", "row 5"),
    Case("minus infinity", X.assign(b=put(B, 5, -np.inf)), "'b'", "infinity", "row 5"),
    Case("NaN in an array", put(NUMBERS, (7, 1), np.nan), "'x1'", "NaN", "row 7", **ARRAY),
    Case("None among numbers", cells(None), "'a'", "row 5"),
    Case("pandas.NA", X.assign(a=pandas.array(put(A, 5, None, object), "Float64")), "'a'",
         "row 5"),
    Case("text among numbers", cells("oops"), "'a'", "'oops'", "encode"),
    Case("column of text", X.assign(b="red"), "'b'", "'red'", "encode"),
    Case("column of categories", X.assign(b=pandas.Categorical(["r", "s"] * 24)), "'b'", "encode"),
    Case("column of dates", X.assign(b=pandas.to_datetime(G, unit="D")), "'b'", "no number"),
    Case("column of lists", X.assign(b=[[1.0]] * N), "'b'"),
    Case("text in an object array", cells("oops").to_numpy(), "'x0'", "'oops'", **ARRAY),
    Case("complex column", X.assign(b=B + 1j), "'b'"),
    Case("complex array", NUMBERS + 0j, "complex", **ARRAY),
    Case("array of dates", np.array(pandas.to_datetime(G, unit="D"))[:, None], random=None,
         error=(ValueError, TypeError)),
    Case("null in polars", POLARS.with_columns(a=polars.Series([None, *A[1:]])),
         "'a'", "row 0"),
    Case("null in arrow", pyarrow.table({"a": [None, *A[1:]], "b": B, "g": G}), "'a'", "row 0"),
    Case("squares overflow", X.assign(a=1e300 * A), "'a'", "too large", "rescale"),
    Case("one square overflows", X.assign(b=put(B, 5, 1e300)), "'b'", "too large", "rescale"),
    Case("one of a slope", X.assign(a=put(A, 5, -1e200)), "'a'", "too large", "rescale"),
    Case("overflow in the response", X, "response", "too large", "rescale", y=1e300 * Y),
    Case("overflow in one response", X, "response", "too large", y=put(Y, 9, 1e180)),
    # response
    Case("NaN in y", X, "response", "NaN", "row 5", y=put(Y, 5, np.nan)),
    Case("infinity in y", X, "response", "infinity", "row 5", y=put(Y, 5, np.inf)),
    Case("None in y", X, "response", "row 5", y=put(Y, 5, None, object)),
    Case("null in polars y", X, "response", "row 0", y=polars.Series([None, *Y[1:]])),
    Case("no y", X, "y", "None", y=None),
    Case("words as y", X, "red", y=np.array(["red"] * N)),
    Case("complex y", X, "complex", y=Y + 0j),
    Case("two responses, a gap", X, "response 1", "NaN", "row 3",
         y=np.column_stack([Y, np.where(np.arange(N) == 3, np.nan, Y)])),
    Case("three axes", X, y=np.zeros((N, 2, 2))),
    Case("short y", X, "47", "48", y=Y[:-1]),
    Case("long y", X, "49", "48", y=np.append(Y, 0.0)),
    Case("scalar y", X, y=1.0, error=(ValueError, TypeError)),
    # shape
    Case("no X", None, error=(ValueError, TypeError)),
    Case("scalar X", 1.0, "2d array", random=None),
    Case("one dimension", A, "2d array", "reshape", random=None),
    Case("three dimensions", np.zeros((N, 2, 2)), "dim 3", random=None),
    Case("series", X["a"], "2-dimensional", random=None),
    Case("text", "data.csv", random=None, error=(ValueError, TypeError)),
    Case("sparse", scipy.sparse.csr_array(NUMBERS), "sparse", "dense", error=TypeError, **ARRAY),
    Case("no rows", X[:0], "no rows", y=Y[:0]),
    Case("no rows in an array", NUMBERS[:0], "0 sample", y=Y[:0], **ARRAY),
    Case("no columns", NUMBERS[:, :0], "0 feature", random=None),
    Case("ragged lists", [[1.0, 2.0], [3.0]], y=[1.0, 2.0], random=None),
    Case("lazy frame", polars.from_pandas(X).lazy(), "LazyFrame", "collect",
         error=(ValueError, TypeError)),
    # names
    Case("name twice", X.set_axis(["a", "a", "g"], axis=1), "'a'", "more than once"),
    Case("name twice in arrow", pyarrow.table([A, B, G], names=["a", "a", "g"]), "'a'"),
    Case("names of two types", X.set_axis(["a", 1, "g"], axis=1), "string", error=TypeError),
    Case("name of the intercept", X.rename(columns={"b": "(Intercept)"}), "(Intercept)"),
    Case("unknown group", X, "'who'", "'a', 'b', 'g'", random="(1 | who)"),
    Case("unknown slope", X, "'who'", "'a', 'b', 'g'", random="(who | g)"),
    Case("unknown column of an array", NUMBERS, "'g'", "'x0', 'x1', 'x2'", random="(1 | g)"),
    Case("text as slope", TEXT.assign(b=TEXT.g), "'b'", random="(1 | g)"),
    # labels
    Case("NaN label", X.assign(g=put(G, 5, np.nan, float)), "'g'", "row 5", "missing"),
    Case("None label", X.assign(g=put(G, 5, None, object)), "'g'", "row 5", "missing"),
    Case("None among text", TEXT.assign(g=put(TEXT.g, 5, None, object)), "'g'", "row 5",
         "missing"),
    Case("NaN among text", TEXT.assign(g=put(TEXT.g, 5, np.nan, object)), "'g'", "row 5",
         "missing"),
    Case("NA among integers", X.assign(g=pandas.array([*G[:-1], pandas.NA], "Int64")), "'g'",
         "row 47"),
    Case("NaT label", X.assign(g=put(pandas.to_datetime(G, unit="D"), 5, "NaT", "M8[ns]")), "'g'",
         "row 5"),
    Case("no category", X.assign(g=pandas.Categorical([None, *TEXT.g[1:]])), "'g'", "row 0"),
    Case("null label in polars", POLARS.with_columns(g=polars.Series([None, *G[1:]])),
         "'g'", "row 0"),
    Case("null text in polars", POLARS.with_columns(g=polars.Series([None, *TEXT.g[1:]])),
         "'g'", "row 0"),
    Case("null label in arrow", pyarrow.table({"a": A, "b": B, "g": [None, *TEXT.g[1:]]}), "'g'",
         "row 0"),
    Case("infinite label", X.assign(g=put(G, 5, np.inf, float)), "'g'", "row 5"),
    Case("missing label in an array", put(NUMBERS, (5, 2), np.nan), "'x2'", "row 5", **ARRAY),
    Case("missing in one of two", X.assign(h=put(["u"] * N, 5, None, object)), "'h'", "row 5",
         random="(1 | g:h)"),
    Case("lists as labels", X.assign(g=[[i] for i in G]), "'g'", "string", error=TypeError),
    Case("lists as labels in polars", POLARS.with_columns(g=polars.Series([[i] for i in G])),
         "'g'", "string", error=TypeError),
    Case("dicts as labels", X.assign(g=[{"g": i} for i in G]), "'g'", "string", error=TypeError),
    # weights
    Case("negative weight", X, "sample_weight", "row 5", "-1", w=put(np.ones(N), 5, -1.0)),
    Case("NaN weight", X, "sample_weight", "NaN", w=put(np.ones(N), 5, np.nan)),
    Case("infinite weight", X, "sample_weight", "infinity", w=put(np.ones(N), 5, np.inf)),
    Case("weights of zero", X, "weight", "zero", w=np.zeros(N)),
    Case("few weights", X, "(3,)", "48", w=np.ones(3)),
    Case("table of weights", X, "1d", w=np.ones((N, 2))),
    Case("text as weight", X, "heavy", w=["heavy"] * N),
    Case("name as weight", X, w="b", error=(ValueError, TypeError)),
    # parameters
    Case("random is a number", X, "random", "str", random=3),
    Case("random is a list", X, "random", "str", random=[RANDOM]),
    Case("random is empty", X, "None", random=""),
    Case("random without bar", X, "bar", random="(g)"),
    Case("random without brackets", X, "parentheses", random="1 | g"),
    Case("method", X, "method", "reml", "'REML'", method="REML"),
    Case("new_levels", X, "new_levels", "'zero'", new_levels="zero"),
    Case("max_iter", X, "max_iter", "0", max_iter=0),
    Case("negative tol", X, "tol", "-1", tol=-1.0),
    Case("fit_intercept", X, "fit_intercept", fit_intercept="no"),
    Case("fixed is a list", X, "fixed", "str", fixed=["a"]),
    Case("unknown fixed", X, "'who'", fixed="who"),
    Case("fixed twice broken", X, fixed="a +* b"),
]  # fmt: skip
IDS = [case.name for case in REFUSED]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", REFUSED, ids=IDS)
def test_refused_with_words(case, capfd):
    with pytest.raises(case.error) as caught:
        case.run(case.model)
    message = str(caught.value)
    for piece in case.pieces:
        assert piece.lower() in message.lower(), message
    assert not [name for name in vars(case.model) if name.endswith("_")]
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


PARAMETERS = LinearMixedModel(RANDOM).get_params()
SAME_MODEL = [case for case in REFUSED if case.model.get_params() == PARAMETERS]


@pytest.mark.parametrize(
    ("case", "method"),
    [(case, "fit") for case in REFUSED] + [(case, "partial_fit") for case in SAME_MODEL],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_error_leaves_the_earlier_fit(case, method):
    model = LinearMixedModel(RANDOM).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    summary, attributes = str(model.summary()), set(vars(model))
    model.set_params(**case.model.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(case.error):
            case.run(model, method)
    model.set_params(**PARAMETERS)
    assert set(vars(model)) == attributes
    after = model.predict(X, return_std=True)
    np.testing.assert_array_equal(after[0], mean)
    np.testing.assert_array_equal(after[1], std)
    assert str(model.summary()) == summary
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == ["a", "b", "g"]
    model.partial_fit(X, Y)
    assert model.statistics_.n_rows == 2 * N


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_interrupt_leaves_the_earlier_fit(method, monkeypatch):
    model = LinearMixedModel(RANDOM).fit(X, Y)
    before = model.predict(X)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("lmmfit.estimators._mixed.fit_statistics", interrupt)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(X, 2 * Y)
    np.testing.assert_array_equal(model.predict(X), before)


# ------------------------------------------------------------------------------- partial_fit


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (X[["b", "a", "g"]], "same order"),
        (X.rename(columns={"b": "c"}), "feature names"),
        (X.drop(columns="b"), "feature names"),
        (X.assign(c=1.0), "feature names"),
        (X.assign(g=X.g.astype(str)), "'g'"),
        (X.assign(g=[f"g{i}" for i in G]), "'g'"),
    ],
    ids=["order", "renamed", "missing", "extra", "digits as text", "text"],
)
def test_chunks_must_be_alike(frame, match):
    model = LinearMixedModel(RANDOM).partial_fit(X, Y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=match):
        model.partial_fit(frame, Y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.statistics_.n_rows == N


# ----------------------------------------------------------------------------------- predict


@pytest.fixture(scope="module")
def model():
    return LinearMixedModel(RANDOM).fit(X, Y)


@pytest.mark.parametrize(
    ("rows", "pieces"),
    [
        (X.assign(a=put(A, 5, np.nan)), ["'a'", "NaN", "row 5"]),
        (X.assign(b=put(B, 5, np.inf)), ["'b'", "infinity", "row 5"]),
        (cells("oops", column="b"), ["'b'", "'oops'"]),
        (X.assign(g=put(G, 5, np.nan, float)), ["'g'", "row 5"]),
        (X.assign(g=X.g.astype(str)), ["'g'", "0", "'0'", "type"]),
        (TEXT, ["'g'", "'g0'", "type"]),
        (X.assign(g=pandas.to_datetime(G, unit="D")), ["'g'"]),
        (X[["a", "b"]], ["g"]),
        (X[["b", "a", "g"]], ["order"]),
        (X.rename(columns={"a": "z"}), ["a", "z"]),
        (X.assign(more=1.0), ["more"]),
        (POLARS.with_columns(a=polars.Series([None, *A[1:]])), ["'a'", "row 0"]),
        (X.assign(g=[[i] for i in G]), ["'g'"]),
        (X.set_axis(["a", "a", "g"], axis=1), ["'a'"]),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else "rows",
)
def test_predict_refuses_with_words(model, rows, pieces):
    with pytest.raises((ValueError, TypeError)) as caught:
        model.predict(rows)
    for piece in pieces:
        assert piece in str(caught.value)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize(
    "rows",
    [None, 1.0, A, np.zeros((3, 3, 3)), "text", scipy.sparse.csr_array(NUMBERS)],
    ids=["None", "scalar", "1d", "3d", "text", "sparse"],
)
def test_predict_refuses_what_is_no_table(model, rows):
    with pytest.raises((ValueError, TypeError)):
        model.predict(rows)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_predict_refuses_lazy_frames(model):
    with pytest.raises((ValueError, TypeError), match=r"LazyFrame.*collect"):
        model.predict(polars.from_pandas(X).lazy())


def test_integers_where_text_was():
    fitted = LinearMixedModel(RANDOM).fit(TEXT, Y)
    with pytest.raises(ValueError, match=r"'g' held labels such as 'g0'.*type"):
        fitted.predict(X)


def test_whole_floats_are_the_same_labels_as_integers(model):
    np.testing.assert_array_equal(model.predict(X.assign(g=X.g.astype(float))), model.predict(X))
    np.testing.assert_array_equal(
        model.predict(X.assign(g=pandas.array(G, "Int64"))), model.predict(X)
    )
    halves = X.assign(g=X.g + 0.5)
    np.testing.assert_array_equal(model.predict(halves), model.predict(halves, conditional=False))


def test_missing_labels_do_not_matter_for_the_population(model):
    frame = X.assign(g=put(G, 5, np.nan, float))
    np.testing.assert_array_equal(
        model.predict(frame, conditional=False), model.predict(X, conditional=False)
    )


def test_an_error_of_predict_leaves_the_model(model):
    before = model.predict(X)
    with pytest.raises(ValueError, match="row 5"):
        model.predict(X.assign(a=put(A, 5, np.nan)))
    np.testing.assert_array_equal(model.predict(X), before)


# -------------------------------------------------------------- strange, but there is an answer


def fit(X=X, y=Y, random=RANDOM, w=None, **parameters):
    return LinearMixedModel(random, **parameters).fit(X, y, sample_weight=w)


def test_one_group_is_fitted_with_a_warning():
    with pytest.warns(UserWarning, match=r"\(1 | g\) have 1 level.*cannot be told"):
        model = fit(X.assign(g=0), random="(1 | g)")
    ols = fit(X[["a", "b"]], random=None)
    np.testing.assert_allclose(model.deviance_, ols.deviance_, atol=1e-6)
    np.testing.assert_allclose(model.predict(X.assign(g=0)), ols.predict(X[["a", "b"]]), rtol=1e-5)


def test_one_row_in_each_group_is_fitted_with_a_warning():
    with pytest.warns(UserWarning, match="48 level.*48 rows.*cannot be told"):
        model = fit(X.assign(g=np.arange(N)), random="(1 | g)")
    ols = fit(X[["a", "b"]], random=None)
    np.testing.assert_allclose(model.deviance_, ols.deviance_, atol=1e-6)
    np.testing.assert_allclose(model.coef_, ols.coef_, rtol=1e-6)
    total = model.sigma2_ + model.cov_re_["g"][0, 0]
    np.testing.assert_allclose(total, ols.sigma2_, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e9])
def test_constant_column(value):
    with pytest.warns(UserWarning, match=r"rank-deficient.*'c'.*dropped"):
        model = fit(X.assign(c=value)[["a", "b", "c", "g"]])
    assert model.aliased_ == ["c"]
    np.testing.assert_allclose(model.deviance_, fit().deviance_, atol=1e-7)
    np.testing.assert_allclose(model.coef_, [*fit().coef_, 0.0], rtol=1e-6)


def test_constant_column_serves_as_intercept():
    model = fit(X.assign(c=3.0)[["a", "b", "c", "g"]], fit_intercept=False)
    np.testing.assert_allclose(model.deviance_, fit().deviance_ - 2 * np.log(1 / 3), atol=1e-6)
    np.testing.assert_allclose(model.coef_, [*fit().coef_, fit().intercept_ / 3], rtol=1e-6)


@pytest.mark.parametrize(
    "extra", [B, 2 * B, B + 2 * A - 1, 1e6 * B, 1e-6 * A, A + 1e-12 * RNG.normal(size=N)],
    ids=["copy", "multiple", "combination", "large", "small", "nearly"],
)  # fmt: skip
def test_collinear_columns(extra):
    frame = X.assign(c=extra)[["a", "b", "c", "g"]]
    with pytest.warns(UserWarning, match=r"rank-deficient.*\['c'\].*dropped"):
        model = fit(frame)
    np.testing.assert_allclose(model.deviance_, fit().deviance_, atol=1e-6)
    np.testing.assert_allclose(model.predict(frame), fit().predict(X), rtol=1e-6)
    assert model.coef_[2] == 0.0


def test_columns_of_other_sizes_are_no_copies():
    frame = X.assign(c=1e-8 * RNG.normal(size=N), d=1e8 * RNG.normal(size=N))
    model = fit(frame[["a", "b", "c", "d", "g"]])
    assert model.aliased_ == []
    even = fit(frame.assign(c=1e8 * frame.c, d=1e-8 * frame.d)[["a", "b", "c", "d", "g"]])
    np.testing.assert_allclose(model.coef_ * [1, 1, 1e-8, 1e8], even.coef_, rtol=1e-6)


def test_more_columns_than_rows():
    wide = RNG.normal(size=(10, 20))
    with pytest.warns(UserWarning, match="rank-deficient|exactly") as caught:
        model = LinearMixedModel().fit(wide, Y[:10])
    text = " ".join(str(warning.message) for warning in caught)
    assert "rank-deficient" in text
    assert "exactly" in text
    assert len(model.aliased_) == 11
    np.testing.assert_allclose(model.predict(wide), Y[:10], atol=1e-8)


@pytest.mark.parametrize(
    "y", [np.zeros(N), np.full(N, 7.5), 1 + 2 * A - B], ids=["0", "7.5", "linear"]
)
def test_response_without_a_residual(y):
    with pytest.warns(UserWarning, match="fit the response exactly"):
        model = fit(y=y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-9)
    assert model.sigma2_ == 0.0
    assert "exactly" in str(model.summary())


def test_response_that_groups_explain_exactly_is_reported():
    """Sigma goes to zero and the likelihood to infinity: no estimate, and no silence."""
    with pytest.warns(UserWarning, match=r"(?i)exactly|no residual|certified|unbounded"):
        model = fit(y=1 + 2 * A - B + np.sin(1.0 + np.arange(M))[G], random="(1 | g)")
    np.testing.assert_allclose(model.coef_, [2.0, -1.0], atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_handful_of_rows(rows):
    with pytest.warns(UserWarning, match="exactly|rank-deficient|cannot be told"):
        model = fit(X[:rows], Y[:rows], random="(1 | g)")
    np.testing.assert_allclose(model.predict(X[:rows]), Y[:rows], atol=1e-8)


@pytest.mark.parametrize("power", [-100, -20, -6, 6, 20, 100])
@pytest.mark.parametrize("column", ["a", "b", "y"])
def test_units_do_not_matter(column, power):
    unit, base = 10.0**power, fit()
    if column == "y":
        model = fit(y=unit * Y)
        np.testing.assert_allclose(model.coef_ / unit, base.coef_, rtol=1e-6)
        np.testing.assert_allclose(model.predict(X) / unit, base.predict(X), rtol=1e-6)
        np.testing.assert_allclose(model.theta_, base.theta_, rtol=1e-4, atol=1e-6)
    else:
        frame = X.assign(**{column: unit * X[column]})
        model = fit(frame)
        at = ["a", "b"].index(column)
        np.testing.assert_allclose(model.coef_[at] * unit, base.coef_[at], rtol=1e-6)
        np.testing.assert_allclose(model.predict(frame), base.predict(X), rtol=1e-6)
    assert model.converged_
    assert model.aliased_ == []


def predicted_or_refused(X, y, name):
    """Predictions, or None where the model refuses the column by its name."""
    try:
        return fit(X, y).predict(X)
    except ValueError as error:
        if name in str(error):
            return None
        raise


@pytest.mark.parametrize("column", ["a", "b"])
def test_a_tiny_column_is_kept_or_refused_but_not_called_a_copy(column):
    """Values whose squares underflow are not determined by the other columns."""
    frame = X.assign(**{column: 1e-300 * X[column]})
    found = predicted_or_refused(frame, Y, f"'{column}'")
    assert found is None or np.allclose(found, fit().predict(X), rtol=1e-6)


def test_a_tiny_response_is_fitted_or_refused_but_not_called_exact():
    found = predicted_or_refused(X, 1e-300 * Y, "response")
    assert found is None or np.allclose(found / 1e-300, fit().predict(X), rtol=1e-6)


@pytest.mark.parametrize("shift", [1e3, 1e6, 1e8])
def test_shifts_of_response_and_columns(shift):
    base = fit()
    np.testing.assert_allclose(
        fit(y=Y + shift).deviance_, base.deviance_, atol=1e-10 * shift + 1e-7
    )
    np.testing.assert_allclose(fit(X.assign(b=B + shift)).coef_, base.coef_, rtol=1e-6)
    np.testing.assert_allclose(fit(X.assign(a=A + shift)).coef_, base.coef_, rtol=1e-6)


def test_weights_of_many_sizes():
    weight = 10.0 ** RNG.uniform(-6, 6, N)
    model = fit(w=weight)
    assert model.converged_
    heavy = np.argsort(weight)[-3:]
    np.testing.assert_allclose(model.predict(X)[heavy], Y[heavy], atol=0.05)


def test_few_steps_end_in_a_convergence_warning():
    from sklearn.exceptions import ConvergenceWarning

    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = fit(max_iter=1)
    assert model.converged_ is False
    assert "no optimum" in str(model.summary())


def test_singular_fit_is_no_failure(frames, recwarn):
    frame = frames["dyestuff2"]
    model = LinearMixedModel("(1 | Batch)").fit(frame[["Batch"]], frame["Yield"])
    assert model.converged_
    assert model.singular_
    assert model.boundary_report_[0].derivative > 0
    np.testing.assert_array_equal(model.random_effects_["Batch"].values, 0.0)
    assert "singular" in str(model.summary())
    assert np.isfinite(model.predict(frame[["Batch"]], return_std=True)).all()
    assert not recwarn


def test_only_a_group():
    model = fit(X[["g"]], random="(1 | g)")
    assert model.coef_.shape == (0,)
    bare = fit(X[["g"]], random="(1 | g)", fit_intercept=False)
    assert len(bare.fixed_effects_) == 0
    np.testing.assert_array_equal(bare.predict(X[["g"]], conditional=False), 0.0)


def test_empty_frames_predict_nothing(model):
    for rows in (X[:0], polars.from_pandas(X[:0]), pyarrow.Table.from_pandas(X[:0])):
        mean, std = model.predict(rows, return_std=True)
        assert mean.shape == std.shape == (0,)


def test_columns_of_strange_names():
    frame = X.rename(columns={"a": "a|b", "b": "", "g": "the (group)"})
    model = LinearMixedModel("(`a|b` | `the (group)`)").fit(frame, Y)
    np.testing.assert_allclose(model.deviance_, fit().deviance_, atol=1e-8)


def test_nothing_is_printed(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(X.assign(g=0))
        fit(X.assign(c=B))
        fit(y=np.zeros(N))
        fit(max_iter=1)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
