import doctest
import importlib
import sys

import matplotlib
import numpy as np
import pytest

from lmmfit import LinearMixedModel, datasets, lmm
from lmmfit.mixed.plots import CaterpillarDisplay, FittedLinesDisplay, ResidualsDisplay

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


# Where they draw ----------------------------------------------------------------------------


def displays(sleepstudy):
    model, X, y = sleepstudy
    return [
        FittedLinesDisplay.from_estimator(model, X, y, n_groups=4),
        CaterpillarDisplay.from_estimator(model),
        ResidualsDisplay.from_estimator(model, X, y),
    ]


def test_displays_draw_again_on_anything(sleepstudy):
    for display in displays(sleepstudy):
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


def test_an_axes_outside_every_grid_is_refused(sleepstudy):
    display = displays(sleepstudy)[0]
    with pytest.raises(ValueError, match="lies in no grid of subplots"):
        display.plot(ax=Figure().add_axes((0, 0, 1, 1)))


def written(figure):
    """Places of every text that is drawn, those of ticks out of view left out."""
    figure.canvas.draw()
    found = [figure._suptitle, figure._supxlabel, figure._supylabel]
    for legend in figure.legends:
        found += legend.get_texts()
    for panel in figure.axes:
        if not panel.axison:
            continue
        found += [panel.title, panel.xaxis.label, panel.yaxis.label]
        for axis in (panel.xaxis, panel.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if tick.label1.get_visible() and low <= tick.get_loc() <= high:
                    found.append(tick.label1)
    found = [text for text in found if text is not None and text.get_text().strip()]
    return found


def test_text_of_a_picture_does_not_overlap(sleepstudy):
    for display in displays(sleepstudy):
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
    "display", [FittedLinesDisplay, CaterpillarDisplay, ResidualsDisplay], ids=lambda d: d.__name__
)
def test_examples(display):
    module = importlib.import_module(display.__module__)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
