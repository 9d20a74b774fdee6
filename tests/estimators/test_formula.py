"""Models from one formula: the grammar of the fixed part, missing rows, new data."""

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import statsmodels.api
from sklearn.base import clone

from lmmfit import LinearMixedModel, lmm

LEVELS = ["low", "mid", "high"]  # in no alphabetic order


def table(m=9, rows=8):
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(m), rows)
    n = len(g)
    x, z, c = rng.normal(size=n), rng.normal(size=n), rng.integers(0, 3, n)
    y = 30 + 2 * x - z + 0.5 * x * z + np.array([0, 1, -2])[c] + 2 * rng.normal(size=m)[g]
    return pandas.DataFrame(
        {
            "x": x,
            "z": z,
            "g": [f"g{i}" for i in g],
            "c": pandas.Categorical(np.array(LEVELS)[c], categories=LEVELS),
            "w": rng.uniform(0.2, 3.0, n),
            "y": y + rng.normal(size=n),
        }
    )


D = table()


def names(model):
    return model.fixed_effects_["name"].tolist()


def by_hand(random="(1 | g)", y=None, **columns):
    """The same model with its columns worked out."""
    X = pandas.DataFrame(columns).assign(x_=D.x, g=D.g).drop(columns="x_")
    return LinearMixedModel(random).fit(X, D.y if y is None else y)


def assert_same(model, other):
    np.testing.assert_allclose(model.deviance_, other.deviance_, atol=1e-7)
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.intercept_, other.intercept_, rtol=1e-6)


# --------------------------------------------------------------------------------- fixed part


@pytest.mark.parametrize(
    ("fixed", "columns"),
    [
        ("x", {"x": D.x}),
        ("x + z", {"x": D.x, "z": D.z}),
        ("x + x", {"x": D.x}),
        ("x * z", {"x": D.x, "z": D.z, "x:z": D.x * D.z}),
        ("x + z + x:z", {"x": D.x, "z": D.z, "x:z": D.x * D.z}),
        ("(x + z)^2", {"x": D.x, "z": D.z, "x:z": D.x * D.z}),
        ("(x + z)**2", {"x": D.x, "z": D.z, "x:z": D.x * D.z}),
        ("x * z - z", {"x": D.x, "x:z": D.x * D.z}),
        ("x:z", {"x:z": D.x * D.z}),
        ("x / z", {"x": D.x, "x:z": D.x * D.z}),
        ("x + I(x**2)", {"x": D.x, "I(x ** 2)": D.x**2}),
        ("x + I(x^2)", {"x": D.x, "I(x ** 2)": D.x**2}),
        ("I(x^2 + z^2)", {"sum": D.x**2 + D.z**2}),
        ("I(x + z)", {"sum": D.x + D.z}),
        ("log(w)", {"log": np.log(D.w)}),
        ("log(w) + exp(z) + sqrt(w)", {"l": np.log(D.w), "e": np.exp(D.z), "s": np.sqrt(D.w)}),
        ("np.log(w)", {"log": np.log(D.w)}),
        ("c", {"mid": D.c == "mid", "high": D.c == "high"}),
        ("C(c)", {"mid": D.c == "mid", "high": D.c == "high"}),
        ("1", {}),
        ("1 + x", {"x": D.x}),
    ],
)
def test_fixed_part(fixed, columns):
    assert_same(lmm(f"y ~ {fixed} + (1 | g)", D), by_hand(**columns))


def test_random_terms_alone_leave_an_intercept():
    model = lmm("y ~ (1 | g)", D)
    assert names(model) == ["(Intercept)"]
    assert_same(model, by_hand())


@pytest.mark.parametrize("fixed", ["0 + x", "x - 1", "-1 + x", "x + 0"])
def test_no_intercept(fixed):
    model = lmm(f"y ~ {fixed} + (1 | g)", D)
    assert names(model) == ["x"]
    assert model.intercept_ == 0.0
    expected = LinearMixedModel("(1 | g)", fit_intercept=False).fit(D[["x", "g"]], D.y)
    assert_same(model, expected)


@pytest.mark.parametrize("fixed", ["0 + c", "c - 1", "-1 + c"])
def test_without_an_intercept_a_factor_has_all_its_levels(fixed):
    model = lmm(f"y ~ {fixed} + (1 | g)", D)
    assert names(model) == ["c[low]", "c[mid]", "c[high]"]
    np.testing.assert_allclose(model.deviance_, lmm("y ~ c + (1 | g)", D).deviance_, atol=1e-8)


def test_nothing_fixed():
    model = lmm("y ~ 0 + (1 | g)", D)
    assert len(model.fixed_effects_) == 0
    assert model.coef_.shape == (0,)
    np.testing.assert_array_equal(model.predict(D, conditional=False), 0.0)
    str(model.summary())


def test_interaction_with_a_factor():
    model = lmm("y ~ c * x + (1 | g)", D)
    assert names(model) == [
        "(Intercept)",
        "c[T.mid]",
        "c[T.high]",
        "x",
        "c[T.mid]:x",
        "c[T.high]:x",
    ]
    mid, high = D.c == "mid", D.c == "high"
    columns = {"m": mid, "h": high, "x": D.x, "mx": mid * D.x, "hx": high * D.x}
    assert_same(model, by_hand(**columns))


def test_formula_without_random_terms_is_least_squares():
    model = lmm("y ~ x + z", D, method="ml")
    ols = statsmodels.api.OLS(D.y, statsmodels.api.add_constant(D[["x", "z"]])).fit()
    np.testing.assert_allclose(model.loglik_, ols.llf)
    np.testing.assert_allclose(model.fixed_effects_["estimate"], ols.params)


def test_dot_is_refused_or_means_the_other_columns():
    frame = D[["x", "z", "g", "y"]]
    try:
        fixed = names(lmm("y ~ . + (1 | g)", frame))
    except ValueError:
        return
    assert {"x", "z"} <= set(fixed)
    assert "y" not in fixed


@pytest.mark.parametrize(
    ("response", "y"),
    [
        ("log(y)", np.log(D.y)),
        ("np.log(y)", np.log(D.y)),
        ("I(y**2)", D.y**2),
        ("I(y^2)", D.y**2),
        ("10 * y", 10 * D.y),
        ("y / w", D.y / D.w),
        ("y + z", D.y + D.z),
        ("y - z", D.y - D.z),
        ("sqrt(y)", np.sqrt(D.y)),
    ],
)
def test_response(response, y):
    assert_same(lmm(f"{response} ~ x + (1 | g)", D), by_hand(y=y, x=D.x))


def test_offset():
    model = lmm("y ~ x + offset(z) + (1 | g)", D)
    assert_same(model, by_hand(y=D.y - D.z, x=D.x))
    np.testing.assert_allclose(
        model.predict(D), by_hand(y=D.y - D.z, x=D.x).predict(D[["x", "g"]]) + D.z
    )
    marginal = model.intercept_ + model.coef_[0] * D.x + D.z
    np.testing.assert_allclose(model.predict(D, conditional=False), marginal)


@pytest.mark.parametrize(
    ("offsets", "value"),
    [
        ("offset(2 * z)", 2 * D.z),
        ("offset(z) + offset(w)", D.z + D.w),
        ("offset(log(w))", np.log(D.w)),
        ("offset(z + w)", D.z + D.w),
        ("offset(z^2)", D.z**2),
        ("offset(3)", 3 + 0 * D.z),
    ],
)
def test_offsets_of_every_form(offsets, value):
    model = lmm(f"y ~ x + {offsets} + (1 | g)", D)
    assert_same(model, by_hand(y=D.y - value, x=D.x))
    one = model.predict(D.iloc[:1])
    np.testing.assert_allclose(one, model.predict(D)[:1])


def test_offset_alone():
    assert_same(lmm("y ~ offset(z) + (1 | g)", D), by_hand(y=D.y - D.z))


# -------------------------------------------------------------------------------- random part


@pytest.mark.parametrize(
    ("formula", "shapes"),
    [
        ("(x | g)", {"g": (2, 2)}),
        ("(1 + x | g)", {"g": (2, 2)}),
        ("(0 + x | g)", {"g": (1, 1)}),
        ("(x - 1 | g)", {"g": (1, 1)}),
        ("(x || g)", {"g": (1, 1), "g.1": (1, 1)}),
        ("(1 | g) + (0 + x | g)", {"g": (1, 1), "g.1": (1, 1)}),
        ("(x + z | g)", {"g": (3, 3)}),
        ("(x * z | g)", {"g": (4, 4)}),
        ("(I(x^2) | g)", {"g": (2, 2)}),
        ("(1 | g:c)", {"g:c": (1, 1)}),
    ],
)
def test_random_part(formula, shapes):
    model = lmm(f"y ~ x + z + {formula}", D)
    assert {key: value.shape for key, value in model.cov_re_.items()} == shapes
    assert names(model) == ["(Intercept)", "x", "z"]


def test_double_bar_is_two_terms():
    assert_same(lmm("y ~ x + (x || g)", D), lmm("y ~ x + (1 | g) + (0 + x | g)", D))


def test_random_slope_without_the_fixed_one():
    model = lmm("y ~ z + (x | g)", D)
    assert names(model) == ["(Intercept)", "z"]
    assert model.random_effects_["g"].names == ("(Intercept)", "x")
    assert np.isfinite(model.predict(D)).all()


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_categorical_slopes(frames, container):
    frame = frames["machines"]
    if container == "polars":
        enum = polars.Enum(frame.Machine.cat.categories.tolist())
        frame = polars.from_pandas(
            frame.assign(Machine=frame.Machine.astype(str), Worker=frame.Worker.astype(str))
        ).with_columns(polars.col("Machine").cast(enum))
    model = lmm("score ~ Machine + (Machine | Worker)", frame)
    np.testing.assert_allclose(model.deviance_, 208.31121832, atol=1e-6)
    assert model.random_effects_["Worker"].names == (
        "(Intercept)", "Machine[T.B]", "Machine[T.C]",
    )  # fmt: skip
    free = lmm("score ~ Machine + (0 + Machine | Worker)", frame)
    np.testing.assert_allclose(free.deviance_, 208.31121832, atol=1e-6)
    np.testing.assert_allclose(free.predict(frame), model.predict(frame), rtol=1e-5)
    np.testing.assert_allclose(model.predict(frame[:1]), model.predict(frame)[:1])


# ------------------------------------------------------------------------------------- levels


def frames_of(frame):
    yield "pandas", frame
    text = frame.assign(c=frame.c.astype(str))
    yield (
        "polars Enum",
        polars.from_pandas(text).with_columns(polars.col("c").cast(polars.Enum(LEVELS))),
    )


@pytest.mark.parametrize(
    ("library", "frame"), list(frames_of(D)), ids=lambda v: v if isinstance(v, str) else "-"
)
def test_levels_keep_their_order(library, frame):
    model = lmm("y ~ c + (1 | g)", frame)
    assert names(model) == ["(Intercept)", "c[T.mid]", "c[T.high]"]
    np.testing.assert_allclose(model.coef_, lmm("y ~ c + (1 | g)", D).coef_, rtol=1e-9)


def test_levels_keep_their_order_in_arrow():
    model = lmm("y ~ c + (1 | g)", pyarrow.Table.from_pandas(D))
    assert names(model) == ["(Intercept)", "c[T.mid]", "c[T.high]"]


def test_levels_keep_their_order_when_rows_are_dropped():
    frame = D.copy()
    frame.loc[[0, 3], "c"] = None
    for _, data in frames_of(frame):
        with pytest.warns(UserWarning, match="2 of 72 rows"):
            model = lmm("y ~ c + (1 | g)", data)
        assert names(model) == ["(Intercept)", "c[T.mid]", "c[T.high]"]


def test_strings_go_by_the_alphabet():
    model = lmm("y ~ c + (1 | g)", D.assign(c=D.c.astype(str)))
    assert names(model) == ["(Intercept)", "c[T.low]", "c[T.mid]"]


def test_order_of_r(frames, reference):
    """Orthodont: Male comes before Female."""
    model = lmm("distance ~ Sex + (1 | Subject)", frames["orthodont"])
    assert names(model) == ["(Intercept)", "Sex[T.Female]"]
    assert model.coef_[0] < 0


def test_integers_are_numbers_unless_told_otherwise():
    frame = D.assign(k=np.arange(len(D)) % 3)
    assert names(lmm("y ~ k + (1 | g)", frame)) == ["(Intercept)", "k"]
    assert names(lmm("y ~ C(k) + (1 | g)", frame)) == ["(Intercept)", "C(k)[T.1]", "C(k)[T.2]"]


def test_unused_level_is_named_and_dropped():
    with pytest.warns(UserWarning, match=r"rank-deficient.*c\[T.mid\]"):
        model = lmm("y ~ c + (1 | g)", D[D.c != "mid"])
    assert names(model) == ["(Intercept)", "c[T.high]"]


# ----------------------------------------------------------------------------- names of columns


def test_backquoted_names():
    renamed = D.rename(columns={"y": "my y", "x": "an x", "g": "the group", "c": "a-c"})
    model = lmm("`my y` ~ `an x` + (`an x` | `the group`)", renamed)
    assert_same(model, lmm("y ~ x + (x | g)", D))
    assert names(model) == ["(Intercept)", "an x"]
    assert list(model.random_effects_) == ["the group"]
    np.testing.assert_allclose(model.predict(renamed), lmm("y ~ x + (x | g)", D).predict(D))
    coded = lmm("`my y` ~ `an x` * `a-c` + (1 | `the group`)", renamed)
    np.testing.assert_allclose(coded.deviance_, lmm("y ~ x * c + (1 | g)", D).deviance_)


@pytest.mark.parametrize("name", ["x.1", "größe", "log", "I", "C", "offset", "_x", "T", "y2"])
def test_awkward_names(name):
    frame = D.rename(columns={"x": name})
    for formula in ("y ~ {0} + ({0} | g)", "y ~ {0} * z + ({0} | g)"):
        model = lmm(formula.format(name), frame)
        np.testing.assert_allclose(model.deviance_, lmm(formula.format("x"), D).deviance_)
        np.testing.assert_allclose(
            model.predict(frame), lmm(formula.format("x"), D).predict(D), rtol=1e-6
        )


def test_spaces_and_line_breaks_do_not_matter():
    tight, wide = lmm("y~x+(x|g)", D), lmm(" y  ~ x\n   + ( 1 + x | g )\n", D)
    assert_same(tight, wide)


# ------------------------------------------------------------------------------------- weights


def test_weights_as_array_and_as_column():
    weight = D.w.to_numpy()
    X = D[["x", "g"]]
    expected = LinearMixedModel("(1 | g)").fit(X, D.y, sample_weight=weight)
    for form in ("w", weight, weight.tolist(), D.w, polars.Series(weight)):
        assert_same(lmm("y ~ x + (1 | g)", D, sample_weight=form), expected)
    data = polars.from_pandas(D.drop(columns="c"))
    assert_same(lmm("y ~ x + (1 | g)", data, sample_weight="w"), expected)


def test_weight_column_is_not_needed_at_predict():
    model = lmm("y ~ x + (1 | g)", D, sample_weight="w")
    assert np.isfinite(model.predict(D[["x", "g"]])).all()


# -------------------------------------------------------------------------------- missing rows


def holes(frame):
    """One hole each in response, covariate, group, weight and factor; one in a bystander."""
    frame = frame.copy()
    for row, name in enumerate(["y", "x", "g", "w", "c", "z"]):
        frame.loc[row, name] = None
    return frame


TO_FRAME = {
    "pandas": lambda frame: frame,
    "polars": lambda frame: polars.from_pandas(frame.assign(c=frame.c.astype(object))),
    "pyarrow": lambda frame: pyarrow.Table.from_pandas(frame.assign(c=frame.c.astype(object))),
}


@pytest.mark.parametrize("container", TO_FRAME)
def test_missing_rows_are_dropped_and_counted(container):
    frame = TO_FRAME[container](holes(D))
    with pytest.warns(UserWarning, match="dropped") as caught:
        model = lmm("y ~ x + c + (1 | g)", frame, sample_weight="w")
    (warning,) = caught
    assert "5 of 72 rows were dropped" in str(warning.message)
    for culprit in ("'x'", "'g'", "'y'", "'c'", "weight"):
        assert culprit in str(warning.message)
    assert "'z'" not in str(warning.message)
    assert warning.filename == __file__
    clean = D.iloc[5:].assign(c=D.c.astype(object) if container != "pandas" else D.c)
    expected = lmm("y ~ x + c + (1 | g)", clean, sample_weight="w")
    assert_same(model, expected)
    assert model.statistics_.n_rows == 67


def test_rows_with_holes_elsewhere_are_kept():
    frame = D.copy()
    frame.loc[:20, "z"] = np.nan
    assert lmm("y ~ x + (1 | g)", frame).statistics_.n_rows == 72


def test_missing_rows_do_not_go_by_the_index():
    frame = holes(D).set_axis([0] * len(D))
    with pytest.warns(UserWarning, match="4 of 72"):
        model = lmm("y ~ x + c + (1 | g)", frame)
    assert model.statistics_.n_rows == 68


def test_hole_in_a_weight_array():
    weight = D.w.to_numpy().copy()
    weight[7] = np.nan
    with pytest.warns(UserWarning, match=r"1 of 72 rows were dropped.*sample_weight"):
        model = lmm("y ~ x + (1 | g)", D, sample_weight=weight)
    expected = lmm("y ~ x + (1 | g)", D.drop(index=7), sample_weight="w")
    assert_same(model, expected)


def test_nothing_but_holes():
    with (
        pytest.warns(UserWarning, match="72 of 72"),
        pytest.raises(ValueError, match="no rows"),
    ):
        lmm("y ~ x + (1 | g)", D.assign(x=np.nan))


def test_fit_refuses_what_lmm_drops():
    with pytest.raises(ValueError, match="'x' contains NaN, first in row 1"):
        LinearMixedModel("(1 | g)", fixed="x").fit(holes(D).assign(g=D.g), D.y)


def test_infinity_is_not_missing():
    frame = D.copy()
    frame.loc[5, "x"] = np.inf
    with pytest.raises(ValueError, match="'x' contains infinity, first in row 5"):
        lmm("y ~ x + (1 | g)", frame)


# ------------------------------------------------------------------------------------ new data


@pytest.fixture(scope="module")
def rich():
    return lmm("y ~ c * x + I(z^2) + offset(w) + (x | g)", D)


def test_new_frames(rich):
    expected = rich.predict(D)
    for frame in (
        D.drop(columns="y"),
        D.assign(extra="text", more=np.nan),
        D[D.columns[::-1]],
        D.set_axis(range(500, 572)),
        D.assign(y=np.nan),
        D.assign(c=D.c.astype(str)),
        D.assign(c=D.c.cat.reorder_categories(LEVELS[::-1])),
    ):
        np.testing.assert_allclose(rich.predict(frame), expected, rtol=1e-12)


@pytest.mark.parametrize("row", [0, 5, 71])
def test_one_row(rich, row):
    one, all_ = rich.predict(D.iloc[[row]], return_std=True), rich.predict(D, return_std=True)
    np.testing.assert_allclose(np.ravel(one), [all_[0][row], all_[1][row]])


@pytest.mark.parametrize("container", ["polars", "pyarrow"])
def test_fit_in_one_library_predict_in_another(rich, container):
    other = TO_FRAME[container](D)
    np.testing.assert_allclose(rich.predict(other), rich.predict(D), rtol=1e-12)
    back = lmm("y ~ c * x + I(z^2) + offset(w) + (x | g)", other)
    np.testing.assert_allclose(back.predict(D), back.predict(other), rtol=1e-12)


def test_group_is_not_needed_for_the_population(rich):
    without = D.drop(columns="g")
    np.testing.assert_allclose(
        rich.predict(without, conditional=False), rich.predict(D, conditional=False)
    )
    with pytest.raises(ValueError, match="'g'"):
        rich.predict(without)


@pytest.mark.parametrize("name", ["x", "z", "c", "w"])
def test_missing_column_is_named(rich, name):
    with pytest.raises(ValueError, match=rf"['`]{name}['`]"):
        rich.predict(D.drop(columns=name))


@pytest.mark.parametrize("where", [slice(0, 1), slice(None)])
def test_unseen_category(rich, where):
    c = D.c.astype(object).copy()
    c[where] = "extreme"
    with pytest.raises(ValueError, match="extreme"):
        rich.predict(D.assign(c=c))


def test_missing_category(rich):
    c = D.c.astype(object).copy()
    c[4] = None
    with pytest.raises(ValueError, match=r"(?i)missing|nan|none"):
        rich.predict(D.assign(c=c))


def test_hole_at_predict(rich):
    x = D.x.copy()
    x[4] = np.nan
    with pytest.raises(ValueError, match=r"x.*NaN.*row 4"):
        rich.predict(D.assign(x=x))


def test_transforms_remember_the_data_of_the_fit():
    for fixed in ("scale(x)", "center(x)", "poly(x, 2)", "bs(x, df=4)"):
        model = lmm(f"y ~ {fixed} + (1 | g)", D)
        part = model.predict(D.iloc[10:20])
        np.testing.assert_allclose(part, model.predict(D)[10:20], rtol=1e-10)


def test_formula_predictions_of_the_population(rich):
    coefficients = dict(zip(names(rich), rich.fixed_effects_["estimate"], strict=True))
    mean = coefficients["(Intercept)"] + D.w + coefficients["I(z ** 2)"] * D.z**2
    mean += coefficients["x"] * D.x
    for level in ("mid", "high"):
        at = D.c == level
        mean += at * (coefficients[f"c[T.{level}]"] + coefficients[f"c[T.{level}]:x"] * D.x)
    np.testing.assert_allclose(rich.predict(D, conditional=False), mean)


# --------------------------------------------------------------------------- habits of a model


def test_the_result_is_an_estimator(rich):
    assert type(rich) is LinearMixedModel
    assert rich.formula_ == "y ~ c * x + I(z^2) + offset(w) + (x | g)"
    assert "y ~ c * x" in str(rich.summary())
    copy = clone(rich)
    assert not hasattr(copy, "formula_")
    assert copy.get_params()["random"] == "(x | g)"
    copy.fit(D, D.y)
    np.testing.assert_allclose(copy.predict(D), rich.predict(D))
    loaded = pickle.loads(pickle.dumps(rich))
    np.testing.assert_array_equal(loaded.predict(D), rich.predict(D))
    assert loaded.formula_ == rich.formula_


def test_refit_forgets_the_formula():
    model = lmm("y ~ x + (1 | g)", D)
    model.set_params(fixed="z", random="(z | g)").fit(D, D.y)
    assert "y ~ x + (1 | g)" not in str(model.summary())
    assert "z" in str(model.summary()).splitlines()[1]


def test_parameters_are_handed_on():
    model = lmm("y ~ x + (1 | g)", D, method="ml", new_levels="nan", max_iter=50, tol=1e-8)
    assert model.get_params()["new_levels"] == "nan"
    assert model.method == "ml"
    assert model.max_iter == 50
    with pytest.raises(TypeError, match="groups"):
        lmm("y ~ x", D, groups="g")


def test_formula_in_chunks():
    model = LinearMixedModel("(x | g)", fixed="c * x + I(z^2) + offset(w)")
    for start in (0, 30, 50):
        part = D.iloc[start : {0: 30, 30: 50, 50: 72}[start]]
        model.partial_fit(part, part.y)
    whole = lmm("y ~ c * x + I(z^2) + offset(w) + (x | g)", D)
    np.testing.assert_allclose(model.deviance_, whole.deviance_, atol=1e-6)
    np.testing.assert_allclose(model.predict(D), whole.predict(D), rtol=1e-6)


def test_fixed_of_an_array():
    array = D[["x", "z"]].to_numpy()
    array = np.column_stack([array, D.g.str[1:].astype(float)])
    model = LinearMixedModel("(x0 | x2)", fixed="x0 * x1").fit(array, D.y)
    expected = lmm("y ~ x * z + (x | g)", D)
    assert_same(model, expected)
    np.testing.assert_allclose(model.predict(array), expected.predict(D))


def test_nothing_is_printed(capfd):
    lmm("y ~ c * x + (1 | g)", D).predict(D)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


# ---------------------------------------------------------------------------------- wrong ones


@pytest.mark.parametrize(
    ("formula", "pieces"),
    [
        ("y x", ["'~'"]),
        ("", ["'~'"]),
        ("y ~ x ~ z", ["'~'"]),
        ("~ x", ["left"]),
        ("y ~", ["right"]),
        ("y ~ x + (1 | g", ["bracket"]),
        ("y ~ x + 1 | g)", ["bracket"]),
        ("y ~ x + (| g)", ["left of its bar"]),
        ("y ~ x + (1 |)", ["grouping factor"]),
        ("y ~ x + (1 | g | c)", ["more than one bar"]),
        ("y ~ x + (1 | 1)", ["grouping column"]),
        ("y ~ x + (0 | g)", ["no effect"]),
        ("y ~ x - (1 | g)", ["subtracts"]),
        ("y ~ x + (1 | g) + (1 | g)", ["twice"]),
        ("y ~ x + `z + (1 | g)", ["backquote"]),
        ("y ~ x + 1 | g", ["|"]),
        ("y ~ x + (1 g)", ["1 g"]),
        ("y ~ x +", ["empty"]),
        ("y ~ nope + (1 | g)", ["'nope'", "'x'"]),
        ("y ~ x * nope + (1 | g)", ["nope", "'x'"]),
        ("nope ~ x + (1 | g)", ["'nope'", "'y'"]),
        ("y ~ x + (nope | g)", ["'nope'", "'x'"]),
        ("y ~ x + (1 | nope)", ["'nope'", "'g'"]),
        ("y ~ x + offset(nope) + (1 | g)", ["'nope'"]),
        ("c ~ x + (1 | g)", ["'c'"]),
        ("y ~ x + offset(c) + (1 | g)", ["'c'"]),
        ("poly(y, 2) ~ x + (1 | g)", ["poly(y, 2)", "2 columns"]),
        ("y ~ unknown_function(x) + (1 | g)", ["unknown_function"]),
        ("y ~ __import__('os').getcwd() + (1 | g)", ["__import__"]),
    ],
)
def test_wrong_formulas(formula, pieces):
    with pytest.raises(ValueError, match=r"\w") as caught:
        lmm(formula, D)
    message = str(caught.value)
    for piece in pieces:
        assert piece in message
    assert "\x1b" not in message, "no colours of a terminal in a message"
    assert len(message) < 600


@pytest.mark.parametrize("fixed", ["y ~ x", "x + (1 | g)", "", "+", "nope"])
def test_wrong_fixed(fixed):
    with pytest.raises(ValueError, match=r"\w"):
        LinearMixedModel("(1 | g)", fixed=fixed).fit(D, D.y)


@pytest.mark.parametrize("data", [None, D.to_numpy(), {"y": [1.0]}, [[1.0, 2.0]], "data.csv"])
def test_data_must_be_a_frame(data):
    with pytest.raises(TypeError, match=f"data frame.*{type(data).__name__}"):
        lmm("y ~ x", data)


def test_lazy_frames_are_to_be_collected():
    with pytest.raises(TypeError, match="LazyFrame"):
        lmm("y ~ x", polars.from_pandas(D[["x", "y"]]).lazy())


def test_arguments_in_the_wrong_order():
    with pytest.raises(TypeError, match="formula must be a string") as caught:
        lmm(D, "y ~ x")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        ("nope", "'nope'"),
        ("g", "'g'"),
        ([1.0, 2.0], r"72 rows.*\(2,\)"),
        (-D.w, "negative"),
        (np.zeros(72), "(?i)weight"),
        (D.w.where(D.index != 3, np.inf), "(?i)finite|infinity"),
    ],
)
def test_wrong_weights(weight, match):
    with pytest.raises(ValueError, match=match):
        lmm("y ~ x + (1 | g)", D, sample_weight=weight)


# -------------------------------------------------------------------------- without formulaic

PLAIN = [
    "y ~ x + (x | g)", "y ~ x + z + (x || g)", "y ~ 0 + x + (1 | g)", "y ~ 1 + (1 | g)",
    "y ~ x - 1 + (1 | g)", "y ~ `a b` + (1 | g)", "y ~ x + offset(z) + (1 | g)", "y ~ x",
]  # fmt: skip
RICH = [
    "y ~ x * z + (1 | g)", "y ~ I(x**2) + (1 | g)", "log(y) ~ x", "y ~ g", "y ~ x + (I(x^2) | g)",
]  # fmt: skip
WITHOUT_FORMULAIC = f"""
    import sys
    sys.modules["formulaic"] = None  # import formulaic raises ImportError
    import numpy as np, pandas
    from lmmfit import LinearMixedModel, lmm
    rng = np.random.default_rng(0)
    D = pandas.DataFrame({{"x": rng.normal(size=40), "z": rng.normal(size=40)}})
    D["g"], D["a b"] = np.repeat(list("abcdefgh"), 5), D.z > 0
    D["y"] = D.x + np.repeat(rng.normal(size=8), 5) + rng.normal(size=40)
    for formula in {PLAIN}:
        assert np.isfinite(lmm(formula, D).predict(D)).all(), formula
    X = D[["x", "g"]]
    assert np.isfinite(LinearMixedModel("(x | g)").fit(X, D.y).predict(X)).all()
    for formula in {RICH}:
        try:
            lmm(formula, D)
        except ImportError as error:
            assert "pip install" in str(error) and "lmmfit[formula]" in str(error), error
        else:
            raise AssertionError(formula)
    assert not any(name.startswith("formulaic.") for name in sys.modules)
    print("done")
"""


def test_without_formulaic():
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(WITHOUT_FORMULAIC)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert process.stdout == "done\n", process.stderr
