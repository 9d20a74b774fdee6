import doctest
import importlib
import sys

import matplotlib
import numpy as np
import pandas
import pytest

from lmmfit import LinearMixedModel, datasets, lmm
from lmmfit.mixed.explained import variance_explained
from lmmfit.mixed.plots import (
    CaterpillarDisplay,
    FittedLinesDisplay,
    ProfileDisplay,
    ResidualsDisplay,
    VariancePartitionDisplay,
)
from lmmfit.mixed.profiles import Profile, ProfileCurve, profile, profile_intervals

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def sleepstudy(frames):
    frame = frames["sleepstudy"]
    return lmm("Reaction ~ Days + (Days | Subject)", frame), frame, frame["Reaction"]


@pytest.fixture(scope="module")
def sleep_profile(sleepstudy):
    return profile(sleepstudy[0])


@pytest.fixture(scope="module")
def crossed():
    """Rows of ``y ~ x + (x | a) + (1 | b)``."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 24, 400), rng.integers(0, 4, 400)
    own, x = rng.normal(size=(24, 2)) * [2.0, 0.5], rng.uniform(0.0, 10.0, 400)
    y = 1.0 + own[a, 0] + (0.7 + own[a, 1]) * x + 3.0 * rng.normal(size=4)[b]
    letters = np.array(["alpha", "beta", "gamma", "delta"])[b]
    return pandas.DataFrame({"x": x, "a": a, "b": letters, "y": y + rng.normal(size=400)})


@pytest.fixture(scope="module")
def many():
    """A model of twelve responses, the rows and the responses."""
    rng = np.random.default_rng(0)
    a, b, x = rng.integers(0, 20, 120), rng.integers(0, 6, 120), rng.normal(size=120)
    scale = rng.gamma(1.0, size=(4, 12))
    Y = scale[0] * np.outer(x, rng.normal(size=12)) + scale[1] * rng.normal(size=(20, 12))[a]
    Y += scale[2] * rng.normal(size=(6, 12))[b] + (0.3 + scale[3]) * rng.normal(size=(120, 12))
    X = pandas.DataFrame({"x": x, "a": a, "b": b})
    Y = pandas.DataFrame(Y, columns=[f"gene{j}" for j in range(12)])
    return LinearMixedModel("(1 | a) + (1 | b)").fit(X, Y), X, Y


def texts(figure):
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


# Fitted lines -------------------------------------------------------------------------------


def test_lines_are_the_predictions(sleepstudy):
    model, X, y = sleepstudy
    display = FittedLinesDisplay.from_estimator(model, X, y)
    beta, effects = model.fixed_effects_["estimate"], model.random_effects_["Subject"]
    assert display.names == ("Days", "Reaction", "Subject")
    assert display.levels.tolist() == effects.levels.tolist()
    assert (display.grid[0], display.grid[-1]) == (0.0, 9.0)
    own = beta + effects.values
    np.testing.assert_allclose(
        display.group_lines, own[:, :1] + own[:, 1:] * display.grid, rtol=1e-10
    )
    population = np.tile(beta[0] + beta[1] * display.grid, (18, 1))
    np.testing.assert_allclose(display.population_lines, population, rtol=1e-10)
    rows = (X["Subject"] == "309").to_numpy()
    np.testing.assert_array_equal(display.points[1], [X["Days"][rows], y[rows]])


def test_lines_against_lme4(sleepstudy, reference):
    case = reference["sleepstudy_corr_reml"]
    own = np.array(case["beta"]) + case["ranef_head"][0]["modes"]
    display = FittedLinesDisplay.from_estimator(*sleepstudy)
    assert display.levels[:6].tolist() == case["ranef_head"][0]["levels"]
    expected = own[:, :1] + own[:, 1:] * display.grid
    np.testing.assert_allclose(display.group_lines[:6], expected, rtol=1e-6)


def test_lines_of_a_sample_say_so(sleepstudy):
    display = FittedLinesDisplay.from_estimator(*sleepstudy, n_groups=3)
    assert display.levels.tolist() == ["308", "335", "372"]
    assert "Fitted lines: 3 of 18 levels of Subject, evenly spread" in texts(display.figure_)
    assert display.axes_.shape == (1, 3)


def test_many_groups_show_twenty():
    X, y = datasets.make_longitudinal(60, 4, random_state=0)
    model = LinearMixedModel(f"(x0 | x{X.shape[1] - 1})").fit(X, y)
    display = FittedLinesDisplay.from_estimator(model, X, y)
    assert (len(display.levels), display.n_levels) == (20, 60)
    assert display.axes_.size == 20


@pytest.mark.parametrize("count", [1, 2, 5, 7, 11, 13, 17])
def test_every_group_has_a_panel_and_empty_places_are_off(sleepstudy, count):
    display = FittedLinesDisplay.from_estimator(*sleepstudy, n_groups=count)
    on = [panel.axison for panel in display.axes_.flat]
    assert on == [True] * count + [False] * (len(on) - count)
    assert len(on) - count <= 2


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "numpy"])
def test_lines_are_the_same_from_every_library(sleepstudy, library):
    _, frame, y = sleepstudy
    frame = frame[["Days", "Subject"]].astype({"Subject": "str"})
    if library == "numpy":
        X = np.column_stack([frame["Days"], frame["Subject"].astype(int)])
        model, names = LinearMixedModel("(x0 | x1)"), ("x0", "Reaction", "x1")
    else:
        X, names = frame, ("Days", "Reaction", "Subject")
        if library == "polars":
            X = pytest.importorskip("polars").from_pandas(frame)
        if library == "pyarrow":
            X = pytest.importorskip("pyarrow").Table.from_pandas(frame)
        model = LinearMixedModel("(Days | Subject)")
    display = FittedLinesDisplay.from_estimator(model.fit(X, y), X, y, n_groups=2)
    assert display.names == names
    np.testing.assert_allclose(display.group_lines[0, [0, -1]], [253.6637, 430.6601], rtol=1e-5)


def test_lines_hold_other_columns_at_the_group(frames):
    frame = frames["orthodont"]
    model = lmm("distance ~ age * Sex + I(age**2) + (1 | Subject)", frame)
    display = FittedLinesDisplay.from_estimator(model, frame, frame["distance"], n_groups=2)
    assert display.names[0] == "age"  # no slope varies: the first fixed effect
    for k, subject in enumerate(display.levels):
        rows = frame[frame["Subject"] == subject]
        at = np.interp(rows["age"], display.grid, display.group_lines[k])
        np.testing.assert_allclose(at, model.predict(rows), rtol=1e-4)
    assert not np.allclose(display.population_lines[0], display.population_lines[1])


def test_lines_find_the_column_inside_an_expression(frames):
    frame = frames["sleepstudy"]
    model = lmm("Reaction ~ Days + (log(Days + 1) | Subject)", frame)
    display = FittedLinesDisplay.from_estimator(model, frame, frame["Reaction"], n_groups=1)
    assert display.names[0] == "Days"


def test_lines_name_what_is_wrong(sleepstudy, frames):
    model, X, y = sleepstudy
    with pytest.raises(ValueError, match="x='Dayz' is not a column"):
        FittedLinesDisplay.from_estimator(model, X, y, x="Dayz")
    with pytest.raises(ValueError, match="'Subject' holds '308' in row 0, which is no number"):
        FittedLinesDisplay.from_estimator(model, X, y, x="Subject")
    with pytest.raises(ValueError, match="n_groups must be at least 1, got 0"):
        FittedLinesDisplay.from_estimator(model, X, y, n_groups=0)
    with pytest.raises(ValueError, match="one value for each of the 180 rows"):
        FittedLinesDisplay.from_estimator(model, X, y[:5])
    with pytest.raises(ValueError, match="no random effects"):
        FittedLinesDisplay.from_estimator(lmm("Reaction ~ Days", X), X, y)
    dyestuff = frames["dyestuff"]
    intercepts = lmm("Yield ~ 1 + (1 | Batch)", dyestuff)
    with pytest.raises(ValueError, match="nothing to draw the lines against"):
        FittedLinesDisplay.from_estimator(intercepts, dyestuff, dyestuff["Yield"])


def test_lines_leave_out_crossed_factors_and_say_so(crossed):
    model = lmm("y ~ x + (x | a) + (1 | b)", crossed)
    display = FittedLinesDisplay.from_estimator(model, crossed, crossed["y"], group="b")
    beta, effects = model.fixed_effects_["estimate"], model.random_effects_["b"]
    assert display.left_out == ("a",)
    assert "Fitted lines: 4 levels of b\nwithout the effects of a" in texts(display.figure_)
    population = beta[0] + beta[1] * display.grid
    own = {level: effects[level]["(Intercept)"] for level in display.levels}
    expected = [population + own[level] for level in display.levels]
    np.testing.assert_allclose(display.group_lines, expected, rtol=1e-10)


def test_lines_of_a_nested_factor_have_the_effects_of_the_outer_one(frames):
    frame = frames["pastes"].copy()
    frame["x"] = np.random.default_rng(0).normal(size=len(frame))
    model = lmm("strength ~ x + (1 | batch/cask)", frame)
    display = FittedLinesDisplay.from_estimator(
        model, frame, frame["strength"], group="batch:cask", n_groups=7
    )
    assert display.left_out == ()
    for level, line in zip(display.levels, display.group_lines, strict=True):
        batch, cask = level.split(":")
        rows = frame[(frame["batch"] == batch) & (frame["cask"] == cask)]
        at = np.interp(rows["x"], display.grid, line)
        np.testing.assert_allclose(at, model.predict(rows), rtol=1e-10)
    outer = FittedLinesDisplay.from_estimator(model, frame, frame["strength"], group="batch")
    assert outer.left_out == ("batch:cask",)
    with pytest.raises(ValueError, match=r"group='cask' is not a grouping factor; the factors"):
        FittedLinesDisplay.from_estimator(model, frame, frame["strength"], group="cask")


# Caterpillar --------------------------------------------------------------------------------


def test_caterpillar_sorts_by_the_first_effect(sleepstudy):
    model = sleepstudy[0]
    display = CaterpillarDisplay.from_estimator(model)
    effects = model.random_effects_["Subject"]
    order = np.argsort(effects.values[:, 0])
    assert display.names == ("(Intercept)", "Days")
    assert display.levels.tolist() == effects.levels[order].tolist()
    np.testing.assert_array_equal(display.values, effects.values[order])
    half = 1.959963984540054 * effects.std_error[order]
    np.testing.assert_allclose(display.upper - display.values, half, rtol=1e-12)
    np.testing.assert_allclose(display.values - display.lower, half, rtol=1e-12)
    labels = [label.get_text() for label in display.axes_[0, 0].get_yticklabels()]
    assert labels == display.levels.tolist()


def test_caterpillar_against_lme4(sleepstudy, reference):
    case = reference["sleepstudy_corr_reml"]["ranef_head"][0]
    display = CaterpillarDisplay.from_estimator(sleepstudy[0])
    at = [display.levels.tolist().index(level) for level in case["levels"]]
    np.testing.assert_allclose(display.values[at], case["modes"], rtol=1e-4)


def test_caterpillar_joins_the_terms_of_a_factor(frames):
    model = lmm("Reaction ~ Days + (Days || Subject)", frames["sleepstudy"])
    assert CaterpillarDisplay.from_estimator(model).names == ("(Intercept)", "Days")
    only = CaterpillarDisplay.from_estimator(model, group="Subject.1", level=0.5)
    assert only.names == ("Days",)
    np.testing.assert_allclose((only.upper - only.values) / only.std_error, 0.67449, rtol=1e-5)


def test_caterpillar_of_many_levels_has_no_labels():
    rng = np.random.default_rng(0)
    values = np.sort(rng.normal(size=(300, 1)), axis=0)
    display = CaterpillarDisplay(np.arange(300), ("(Intercept)",), values, 0.3 + 0 * values, "g")
    display.plot()
    assert display.axes_[0, 0].get_yticklabels() == []
    assert display.axes_[0, 0].get_ylabel() == "300 levels of g, sorted by (Intercept)"


def test_caterpillar_names_what_is_wrong(sleepstudy):
    model, X, _ = sleepstudy
    with pytest.raises(
        ValueError, match=r"group='Days' is none of the random terms \['Subject'\]"
    ):
        CaterpillarDisplay.from_estimator(model, group="Days")
    with pytest.raises(ValueError, match="between 0 and 1, got 95"):
        CaterpillarDisplay.from_estimator(model, level=95)
    with pytest.raises(ValueError, match="no random effects"):
        CaterpillarDisplay.from_estimator(lmm("Reaction ~ Days", X))


def test_caterpillar_of_a_singular_fit(frames):
    model = lmm("Yield ~ 1 + (1 | Batch)", frames["dyestuff2"])
    display = CaterpillarDisplay.from_estimator(model)
    assert np.abs(display.values).max() < 1e-6
    assert np.isfinite(display.upper).all()
    texts(display.figure_)


@pytest.mark.parametrize("group", ["batch:cask", "batch"])
def test_caterpillar_of_each_factor(frames, group):
    model = lmm("strength ~ 1 + (1 | batch/cask)", frames["pastes"])
    display = CaterpillarDisplay.from_estimator(model, group=group)
    effects = model.random_effects_[group]
    assert sorted(display.levels) == sorted(effects.levels)
    np.testing.assert_array_equal(display.values[:, 0], np.sort(effects.values[:, 0]))
    assert display.axes_[0, 0].get_ylabel() == group


# Residuals ----------------------------------------------------------------------------------


def test_residuals_are_standardised_and_conditional(sleepstudy, reference):
    model, X, y = sleepstudy
    display = ResidualsDisplay.from_estimator(model, X, y)
    expected = (y - model.predict(X)) / np.sqrt(model.sigma2_)
    np.testing.assert_allclose(display.residuals, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(display.fitted, model.predict(X), rtol=1e-12)
    case = reference["sleepstudy_corr_reml"]
    np.testing.assert_allclose(display.fitted[:5], case["fitted_head"], rtol=1e-6)
    assert display.sigma == pytest.approx(case["sigma"], rel=1e-6)
    assert display.axes_[0, 0].get_xlabel() == "Fitted Reaction"


def test_residual_quantiles_and_line():
    normal = np.random.default_rng(0).normal(1.0, 2.0, 20000)
    display = ResidualsDisplay(np.zeros(20000), normal, 1.0)
    np.testing.assert_allclose(display.line, (1.0, 2.0), atol=0.05)
    np.testing.assert_allclose(display.quantiles, -display.quantiles[::-1], atol=1e-12)
    assert np.corrcoef(display.quantiles, display.ordered)[0, 1] > 0.999


def test_residuals_take_weights(sleepstudy):
    _, X, y = sleepstudy
    weight = np.tile([0.0, 1.0, 4.0], 60)
    model = lmm("Reaction ~ Days + (Days | Subject)", X, sample_weight=weight)
    display = ResidualsDisplay.from_estimator(model, X, y, sample_weight=weight)
    raw = ((y - model.predict(X)) / np.sqrt(model.sigma2_)).to_numpy()
    np.testing.assert_allclose(display.residuals, (raw * np.sqrt(weight))[weight > 0], rtol=1e-9)
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        ResidualsDisplay.from_estimator(model, X, y, sample_weight=weight[:3])


def test_residuals_of_a_model_without_random_effects(sleepstudy):
    _, X, y = sleepstudy
    display = ResidualsDisplay.from_estimator(lmm("Reaction ~ Days", X), X, y)
    np.testing.assert_allclose(display.residuals @ display.residuals, 178.0, rtol=1e-9)


def test_residuals_are_divided_by_the_deviation_of_their_stratum(frames):
    frame = frames["orthodont"]
    X = frame[["age", "Sex", "Subject"]]
    model = LinearMixedModel("(1 | Subject)", fixed="age * Sex", residual="ident(Sex)")
    model.fit(X, frame["distance"])
    display = ResidualsDisplay.from_estimator(model, X, frame["distance"])
    delta = dict(zip(model.residual_.strata, model.residual_.delta, strict=True))
    sd = np.sqrt(model.sigma2_) * delta[frame["Sex"].iloc[-1]]
    last = (frame["distance"] - model.predict(X)).iloc[-1] / sd
    assert display.residuals[-1] == pytest.approx(last, rel=1e-10)
    assert np.ptp(model.residual_.delta) > 0.3


# Profiles -----------------------------------------------------------------------------------


def test_profile_intervals_are_those_of_the_profile(sleepstudy, sleep_profile):
    display = ProfileDisplay.from_profile(sleep_profile)
    assert display.names == tuple(sleep_profile)
    assert display.levels.tolist() == [0.5, 0.8, 0.9, 0.95, 0.99]
    for level, ends in zip(display.levels, display.intervals.swapaxes(0, 1), strict=True):
        exact = profile_intervals(sleepstudy[0], level=level)
        exact = np.column_stack([exact["lower"], exact["upper"]])
        width = np.ptp(exact, axis=1)[:, None]
        np.testing.assert_allclose(ends / width, exact / width, atol=1e-4)


def test_profile_curves_are_smooth_between_the_points(sleepstudy, sleep_profile):
    display = ProfileDisplay.from_profile(sleep_profile)
    fine = profile(sleepstudy[0], ["sd_(Intercept)|Subject", "Days"], n_points=60)
    for name in fine:
        k = display.names.index(name)
        zeta = np.interp(fine[name].values, display.grid[k], display.zeta[k])
        np.testing.assert_allclose(zeta, fine[name].zeta, atol=2e-3)
    area = np.trapezoid(display.density, display.grid, axis=1)
    np.testing.assert_allclose(area, 0.99, atol=1e-3)


def test_profile_meets_the_quadratic_approximation_at_the_estimate(frames):
    model = lmm("Yield ~ 1 + (1 | Batch)", frames["dyestuff"], method="ml")
    display = ProfileDisplay.from_estimator(model, ["(Intercept)"], level=0.9)
    assert display.levels.tolist() == [0.5, 0.8, 0.9]
    error = model.fixed_effects_["std_error"]  # exact: the design is balanced
    np.testing.assert_allclose(1.0 / display.slope_at_estimate, error, rtol=1e-4)


def test_profile_of_a_zero_variance_begins_at_zero(frames):
    model = lmm("Yield ~ 1 + (1 | Batch)", frames["dyestuff2"])
    display = ProfileDisplay.from_estimator(model, ["sd_(Intercept)|Batch"])
    assert display.estimates[0] == display.grid[0, 0] == 0.0
    assert (display.intervals[0, :, 0] == 0.0).all()
    assert (np.diff(display.intervals[0, :, 1]) > 0.0).all()
    assert display.slope_at_estimate[0] > 0.0


@pytest.mark.parametrize("kind", ["zeta", "absolute", "density"])
def test_profile_draws_each_kind(sleep_profile, kind):
    display = ProfileDisplay.from_profile(sleep_profile, kind=kind)
    curve = next(
        line for line in display.axes_[0, 0].lines
        if line.get_linestyle() == "-" and len(line.get_xdata()) == display.grid.shape[1]
    )  # fmt: skip
    zeta = display.zeta[0]
    expected = {"zeta": zeta, "absolute": np.abs(zeta), "density": display.density[0]}[kind]
    np.testing.assert_array_equal(curve.get_ydata(), expected)
    np.testing.assert_array_equal(curve.get_xdata(), display.grid[0])
    names = texts(display.figure_)
    assert all(name in names for name in display.names)
    low, high = display.axes_[0, 0].get_ylim()
    assert low == (pytest.approx(-high) if kind == "zeta" else 0.0)
    assert display.plot(kind="zeta").kind == "zeta"


def test_profile_says_which_parameter_is_not_defined():
    nothing = np.empty(0)
    values = np.array([-1.0, 0.0, 1.0])
    curves = [
        ProfileCurve("cor", np.nan, nothing, nothing, nothing),
        ProfileCurve("line", 0.0, values, 2.0 * values, np.array([2.0, np.nan, 2.0])),
    ]
    display = ProfileDisplay.from_profile(Profile({curve.name: curve for curve in curves}))
    assert "not defined:\na variance is zero" in texts(display.figure_)
    assert np.isnan(display.zeta[0]).all()
    np.testing.assert_allclose(display.zeta[1], 2.0 * display.grid[1], atol=1e-12)
    np.testing.assert_allclose(display.intervals[1, 3], [-0.97998, 0.97998], rtol=1e-5)
    assert display.slope_at_estimate[1] == pytest.approx(2.0)


def test_profile_names_what_is_wrong(sleepstudy, sleep_profile, many):
    with pytest.raises(ValueError, match="kind must be one of 'zeta', 'absolute', 'density', got"):
        ProfileDisplay.from_profile(sleep_profile, kind="square")
    with pytest.raises(ValueError, match="'Dayz' is not a parameter"):
        ProfileDisplay.from_estimator(sleepstudy[0], ["Dayz"])
    with pytest.raises(ValueError, match="no parameter: nothing to draw"):
        ProfileDisplay(Profile({}))
    with pytest.raises(ValueError, match="a profile is of one response"):
        ProfileDisplay.from_estimator(many[0])


# Variance partition -------------------------------------------------------------------------


def test_partition_is_the_variance_explained(sleepstudy):
    display = VariancePartitionDisplay.from_estimator(sleepstudy[0])
    found = variance_explained(sleepstudy[0])
    assert display.components == ("fixed effects", "Subject", "residual")
    assert display.responses == ("Reaction",)
    np.testing.assert_allclose(
        display.shares[0], [found.r2_marginal, found.icc_unadjusted, 1.0 - found.r2_conditional]
    )
    widths = [bar.get_width() for bar in display.axes_[0, 0].patches]
    np.testing.assert_array_equal(widths, display.shares[0])
    assert {"27.9%", "52.1%", "20.1%", "Variance of Reaction"} <= set(texts(display.figure_))


def test_partition_without_random_effects(sleepstudy):
    model = lmm("Reaction ~ Days", sleepstudy[1])
    display = VariancePartitionDisplay.from_estimator(model)
    assert display.components == ("fixed effects", "residual")
    np.testing.assert_allclose(display.shares[0, 0], variance_explained(model).r2_marginal)


@pytest.mark.parametrize("rows", [False, True])
def test_partition_of_many_responses_is_that_of_each(many, rows):
    model, X, _ = many
    display = VariancePartitionDisplay.from_estimator(model, X if rows else None)
    assert display.components == ("fixed effects", "a", "b", "residual")
    for j in (0, 3, 11):
        own = variance_explained(model.response(j), X if rows else None)
        expected = [own.fixed, *own.terms["variance"], own.residual]
        np.testing.assert_allclose(display.variances[j], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(display.shares.sum(axis=1), 1.0)


def test_partition_sorts_the_bars_by_the_largest_component(many):
    display = VariancePartitionDisplay.from_estimator(many[0])
    first = display.shares[:, :-1].mean(axis=0).argmax()
    panel = display.axes_[0, 0]
    widths = [bar.get_width() for bar in panel.patches[:12]]
    np.testing.assert_array_equal(widths, display.shares[display.order, first])
    assert (np.diff(widths) <= 0.0).all()
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert labels == [f"gene{j}" for j in display.order]
    names = [text.get_text() for text in panel.get_legend().get_texts()]
    assert names[0] == display.components[first]
    assert names[-1] == "residual"


def test_partition_of_very_many_responses():
    variances = np.random.default_rng(0).gamma(1.0, size=(200, 3))
    variances[7] = 0.0
    names = [f"r{j}" for j in range(200)]
    display = VariancePartitionDisplay(variances, ("fixed effects", "g", "residual"), names)
    panel = display.plot().axes_[0, 0]
    assert [label.get_text() for label in panel.get_xticklabels()] == list(display.components)
    assert len(panel.collections) == 3  # the violins
    assert 7 not in display.order
    assert np.isnan(display.shares[7]).all()
    assert "Variance of 199 responses, 1 without any left out" in texts(display.figure_)
    display.kind = "bars"
    panel = display.plot().axes_[0, 0]
    assert panel.get_yticklabels() == []
    assert panel.get_ylabel().startswith("199 responses, sorted by ")
    display.variances[:, 0] = 0.0  # a violin of equal numbers is a line
    again = VariancePartitionDisplay(display.variances, display.components, names).plot()
    assert len(again.axes_[0, 0].collections) == 2


def test_partition_names_what_is_wrong(sleepstudy):
    with pytest.raises(ValueError, match="kind must be 'bars', 'violins' or None, got 'pie'"):
        VariancePartitionDisplay.from_estimator(sleepstudy[0], kind="pie")
    with pytest.raises(ValueError, match=r"variances must have shape \(1, 2\)"):
        VariancePartitionDisplay(np.ones((2, 2)), ("fixed effects", "residual"))
    with pytest.raises(ValueError, match="no response has any variance"):
        VariancePartitionDisplay(np.zeros((1, 2)), ("fixed effects", "residual")).plot()
    frame = sleepstudy[1]
    model = LinearMixedModel("(1 | Subject)", residual="ar1(Subject)")
    model.fit(frame[["Days", "Subject"]], frame["Reaction"])
    with pytest.raises(ValueError, match="the variance explained is not defined for a model with"):
        VariancePartitionDisplay.from_estimator(model)


# Where they draw ----------------------------------------------------------------------------


@pytest.mark.parametrize("display", [CaterpillarDisplay, FittedLinesDisplay, ResidualsDisplay])
def test_pictures_of_one_response_refuse_many(many, display):
    model, X, Y = many
    rows = () if display is CaterpillarDisplay else (X, Y["gene0"])
    with pytest.raises(ValueError, match=r"is of one response, and this model was fitted to 12"):
        display.from_estimator(model, *rows)


@pytest.fixture
def displays(sleepstudy, sleep_profile, many, crossed):
    model, X, y = sleepstudy
    return [
        FittedLinesDisplay.from_estimator(model, X, y, n_groups=4),
        CaterpillarDisplay.from_estimator(model),
        ResidualsDisplay.from_estimator(model, X, y),
        ProfileDisplay.from_profile(sleep_profile),
        ProfileDisplay.from_profile(sleep_profile, kind="density"),
        VariancePartitionDisplay.from_estimator(model),
        VariancePartitionDisplay.from_estimator(many[0]),
        VariancePartitionDisplay.from_estimator(many[0], kind="violins"),
    ]


@pytest.fixture
def long_names(crossed):
    """Pictures of a model whose columns and levels have long names."""
    frame = crossed.rename(columns={"x": "age_of_the_tree", "b": "neighbourhood"})
    frame["neighbourhood"] = "Upper " + frame["neighbourhood"] + " of the river"
    model = lmm(
        "y ~ age_of_the_tree + (age_of_the_tree | neighbourhood:a) + (1 | neighbourhood)", frame
    )
    rows = frame, frame["y"]
    return [
        FittedLinesDisplay.from_estimator(model, *rows, group="neighbourhood"),
        FittedLinesDisplay.from_estimator(model, *rows, group="neighbourhood:a", n_groups=12),
        CaterpillarDisplay.from_estimator(model, group="neighbourhood"),
        CaterpillarDisplay.from_estimator(model, group="neighbourhood:a"),
        ResidualsDisplay.from_estimator(model, *rows),
        VariancePartitionDisplay.from_estimator(model),
    ]


def test_displays_draw_again_on_anything(displays):
    for display in displays:
        shape = display.axes_.shape
        figure = Figure(layout="constrained")
        assert display.plot(ax=figure) is display
        assert display.figure_ is figure
        assert display.axes_.shape == shape
        axes = Figure().subplots(*shape, squeeze=False)
        assert display.plot(ax=axes).axes_[0, 0] is axes[0, 0]
        outer = Figure(layout="constrained")
        left, right = outer.subplots(1, 2)
        display.plot(ax=right)
        assert display.axes_.shape == shape
        texts(outer)
        place = display.axes_[0, 0].get_window_extent()
        assert place.x0 > left.get_window_extent().x1
        with pytest.raises(ValueError, match="ax has 3 axes; this picture has"):
            display.plot(ax=Figure().subplots(1, 3))


def test_an_axes_outside_every_grid_is_refused(displays):
    display = displays[0]
    with pytest.raises(ValueError, match="lies in no grid of subplots"):
        display.plot(ax=Figure().add_axes((0, 0, 1, 1)))


def written(figure):
    """Places of every text that is drawn, those of ticks out of view left out."""
    figure.canvas.draw()
    found = [figure._suptitle, figure._supxlabel, figure._supylabel]
    for legend in figure.legends:
        found += legend.get_texts()
    shown = [panel for panel in figure.axes if panel.axison]
    for panel in shown + [child for own in shown for child in own.child_axes]:
        if panel.get_legend() is not None:
            found += panel.get_legend().get_texts()
        found += [panel.title, panel.xaxis.label, panel.yaxis.label]
        for axis in (panel.xaxis, panel.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                labels = (tick.label1, tick.label2) if low <= tick.get_loc() <= high else ()
                found += [label for label in labels if label.get_visible()]
    found = [text for text in found if text is not None and text.get_text().strip()]
    return found


@pytest.mark.parametrize("pictures", ["displays", "long_names"])
def test_text_of_a_picture_does_not_overlap(pictures, request):
    for display in request.getfixturevalue(pictures):
        found = written(display.figure_)
        assert len(found) > 10
        boxes = [(text.get_text(), text.get_window_extent()) for text in found]
        for k, (one, box) in enumerate(boxes):
            assert display.figure_.bbox.padded(1).fully_containsx(box.x0), one
            for other, place in boxes[:k]:
                if "\n " in one + other:  # the label above the legend ends in an empty line
                    continue
                assert not box.padded(-0.5).overlaps(place), (one, other)


def test_matplotlib_is_asked_for_by_name(sleepstudy, monkeypatch):
    model, X, y = sleepstudy
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match=r"pip install 'lmmfit\[plot\]'"):
        ResidualsDisplay.from_estimator(model, X, y)


@pytest.mark.parametrize(
    "display",
    [
        FittedLinesDisplay, CaterpillarDisplay, ResidualsDisplay, ProfileDisplay,
        VariancePartitionDisplay,
    ],
    ids=lambda d: d.__name__,
)  # fmt: skip
def test_examples(display):
    module = importlib.import_module(display.__module__)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
