import doctest
import importlib
import sys

import matplotlib
import numpy as np
import pandas
import pytest
from scipy.sparse.linalg import aslinearoperator
from sklearn.neural_network import MLPRegressor

from lmmfit import SecondOrderMLP
from lmmfit.curvature import HessianOperator, prune, spectral_density
from lmmfit.curvature.plots import HintonDisplay, PruningDisplay, SpectrumDisplay

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

BLUE, ORANGE = "#1f6fb4", "#d9730d"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(rng.normal(size=(90, 4)), columns=["length", "width", "height", "noise"])
    X["height"] *= 1000.0
    y = np.tanh(X["length"] - X["width"]) + 0.1 * rng.normal(size=90)
    return X, y


@pytest.fixture(scope="module")
def model(rows):
    return SecondOrderMLP((5,), alpha=0.1, random_state=0).fit(*rows)


@pytest.fixture(scope="module")
def path(model, rows):
    X, y = rows
    return prune(model, X[:60], y[:60], n=20, validation=(X[60:], y[60:]))


@pytest.fixture(scope="module")
def spectrum():
    """Eigenvalues with a bulk, outliers and one below zero, and the operator that has them."""
    values = np.r_[-3.0, np.random.default_rng(0).gamma(2.0, 0.1, size=195), 5.0, 20.0, 60.0, 90.0]
    return values, aslinearoperator(np.diag(values))


def legend(display):
    return [text.get_text() for text in display.axes_[0, 0].get_legend().get_texts()]


# Hinton diagrams ----------------------------------------------------------------------------


def squares(panel):
    """Centres (column, row), areas and colours of the squares of a panel."""
    (collection,) = panel.collections
    corners = np.array([drawn.vertices[:4] for drawn in collection.get_paths()])
    centres = corners.mean(axis=1)
    sides = corners[:, 1, 0] - corners[:, 0, 0]
    return centres, sides**2, [to_hex(colour) for colour in collection.get_facecolors()]


def test_squares_have_the_area_of_the_weight_and_the_colour_of_its_sign():
    W = np.array([[1.0, -4.0, 0.0], [2.0, 0.5, -1.0]])
    display = HintonDisplay(W).plot()
    centres, areas, colours = squares(display.axes_[0, 0])
    at = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)]  # none for the zero
    np.testing.assert_allclose(centres, at, atol=1e-12)
    sizes = np.array([1.0, 4.0, 2.0, 0.5, 1.0])
    np.testing.assert_allclose(areas / areas.max(), sizes / 4.0)
    assert colours == [BLUE, ORANGE, BLUE, BLUE, ORANGE]
    assert areas.max() < 1.0  # neighbours do not touch


def test_a_common_scale_clips_what_is_larger():
    display = HintonDisplay([[[1.0], [8.0]], [[2.0]]], largest=4.0).plot()
    first, second = (squares(panel)[1] for panel in display.axes_.flat)
    np.testing.assert_allclose(first / first.max(), [0.25, 1.0])
    np.testing.assert_allclose(second / first.max(), [0.5])
    assert display.axes_[0, 0].get_title() == "largest 4"


@pytest.mark.parametrize("weights", [np.eye(3), np.eye(3).tolist(), [np.eye(3)], list(np.eye(3))])
def test_a_matrix_is_one_layer(weights):
    display = HintonDisplay(weights).plot()
    assert display.axes_.shape == (1, 1)
    assert len(squares(display.axes_[0, 0])[0]) == 3


def test_layers_of_an_estimator(model):
    display = HintonDisplay.from_estimator(model)
    assert display.axes_.shape == (1, 2)
    weights, biases = model.network_.layout.unpack(model.theta_)
    for own, expected in zip(display.weights, weights, strict=True):
        np.testing.assert_array_equal(own, expected)
    first, second = display.axes_.flat
    named = [label.get_text() for label in first.get_yticklabels()]
    assert named == ["length", "width", "height", "noise", "bias"]
    assert first.get_ylabel() == "input"
    assert second.get_ylabel() == "unit of layer 1"
    assert second.get_xlabel() == "output"
    centres, areas, _ = squares(first)
    last = np.abs(centres[:, 1] - 4.0) < 1e-9
    np.testing.assert_allclose(areas[last] / areas.max(), abs(biases[0]) / display.scales[0])


def test_coefficients_as_they_are(model):
    display = HintonDisplay.from_estimator(model, standardized=False, biases=False)
    np.testing.assert_array_equal(display.weights[0], model.coefs_[0])
    assert display.biases is None
    assert len(display.axes_[0, 0].get_yticklabels()) == 4


def test_networks_of_sklearn(rows):
    X, y = rows
    other = MLPRegressor(
        hidden_layer_sizes=(6, 3), solver="lbfgs", alpha=1.0, tol=1e-3, max_iter=9000
    )
    display = HintonDisplay.from_estimator(other.fit(X / X.std(), y))
    assert [W.shape for W in display.weights] == [(4, 6), (6, 3), (3, 1)]
    assert display.axes_.shape == (1, 3)


def test_pruned_weights_leave_empty_cells(path):
    small = path.model(-1)
    display = HintonDisplay.from_estimator(small)
    drawn = sum(len(squares(panel)[0]) for panel in display.axes_.flat)
    assert drawn == np.count_nonzero(small.theta_) == path.n_weights[-1]


def test_large_layers_number_some_of_their_rows():
    display = HintonDisplay(np.ones((64, 30)), biases=[np.ones(30)]).plot()
    panel = display.axes_[0, 0]
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert labels == [*map(str, range(0, 61, 5)), "bias"]
    assert [label.get_text() for label in panel.get_xticklabels()][:3] == ["0", "5", "10"]


def test_a_layer_of_zeros_is_drawn_empty():
    display = HintonDisplay(np.zeros((2, 2))).plot()
    assert len(display.axes_[0, 0].collections[0].get_paths()) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([np.eye(2), np.ones((2, 0))],),
            r"weights of layer 1 must be a matrix, got shape \(2, 0",
        ),
        (([[1.0, np.nan]],), r"weights of layer 0 are nan at \(0, 1\)"),
        ((np.ones(3),), r"must be a matrix, got shape \(3,\)"),
    ],
)
def test_weights_that_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        HintonDisplay(*arguments)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"biases": [[0.0], [0.0]]}, "there are biases of 2 layers, weights of 1"),
        ({"biases": [[0.0]]}, r"biases of layer 0 must have shape \(2,\), got \(1,\)"),
        ({"biases": [[0.0, np.inf]]}, r"biases of layer 0 are inf at \(1,\)"),
        ({"input_names": ["a"]}, "input_names has 1 names for 2 inputs"),
        ({"largest": 0.0}, "largest must be above 0, got 0.0"),
    ],
)
def test_bad_options_of_a_hinton_diagram(keywords, message):
    with pytest.raises(ValueError, match=message):
        HintonDisplay(np.eye(2), **keywords)


def test_an_estimator_that_is_not_fitted():
    with pytest.raises(ValueError, match=r"SecondOrderMLP\(\) has no coefs_: call fit first"):
        HintonDisplay.from_estimator(SecondOrderMLP())


# Spectra ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lanczos", "chebyshev", "skilling"])
@pytest.mark.parametrize("scale", ["linear", "symlog"])
def test_a_density_is_drawn_over_its_axis(spectrum, method, scale):
    values, operator = spectrum
    density = spectral_density(operator, method=method)
    display = SpectrumDisplay.from_density(density, eigenvalues=values, scale=scale)
    place = display.x
    if scale == "symlog":
        place = np.arcsinh(place / display.linear_width)
    for drawn in (display.density, display.exact):  # a density of the axis as it is drawn
        assert np.trapezoid(drawn, place) == pytest.approx(1.0, abs=2e-3)
    assert (display.lower <= display.density).all()
    assert (display.upper >= display.density).all()
    assert np.mean(display.upper - display.lower) > 0
    panel = display.axes_[0, 0]
    assert panel.get_yscale() == "log"
    assert legend(display) == ["estimate", "95% interval", "all eigenvalues", "eigenvalues"]
    ticks = panel.collections[-1].get_segments()
    np.testing.assert_allclose([segment[0, 0] for segment in ticks], values)


def test_linear_density_is_that_of_pdf(spectrum):
    density = spectral_density(spectrum[1], method="chebyshev")
    display = SpectrumDisplay.from_density(density, width=0.02, level=0.9)
    low, high = density.bounds
    expected = density.pdf(display.x, width=0.02 * (high - low))
    np.testing.assert_allclose(display.density, expected.value)
    np.testing.assert_allclose(display.upper, expected.interval(0.9)[1])
    assert legend(display) == ["estimate", "90% interval"]


def test_one_eigenvalue_stands_above_the_floor(spectrum):
    values, operator = spectrum
    display = SpectrumDisplay.from_density(
        spectral_density(operator), eigenvalues=values, scale="symlog"
    )
    for value in (-3.0, 20.0):
        near = np.interp(value, display.x, display.density)
        assert near > 1.5 * display.axes_[0, 0].get_ylim()[0]


def test_symlog_axis_marks_both_sides(spectrum):
    display = SpectrumDisplay.from_operator(spectrum[1], k=6, scale="symlog")
    panel = display.axes_[0, 0]
    display.figure_.canvas.draw()
    marks = panel.get_xticks()
    assert {-1.0, 0.0, 1.0, 10.0} <= set(marks.round(9))
    assert len(display.eigenvalues) == 6
    np.testing.assert_allclose(display.eigenvalues[-3:], [20.0, 60.0, 90.0])
    assert panel.get_ylabel() == "density of eigenvalues per unit of the axis"


def test_logarithmic_axis(spectrum):
    operator = aslinearoperator(np.diag(spectrum[0][1:]))
    values = spectrum[0][1:]
    display = SpectrumDisplay.from_density(
        spectral_density(operator, n_products=150), eigenvalues=values, scale="log"
    )
    assert display.axes_[0, 0].get_xscale() == "log"
    assert np.trapezoid(display.density, np.log(display.x)) == pytest.approx(1.0, abs=2e-3)
    with pytest.raises(
        ValueError, match=r"'log' needs a spectrum above 0, and its lower end is -"
    ):
        SpectrumDisplay.from_operator(spectrum[1], scale="log")


def test_hessian_of_a_network(model, rows):
    H = model.hessian_operator(*rows)
    display = SpectrumDisplay.from_operator(H, k=2, scale="symlog")
    expected = np.linalg.eigvalsh(H.matrix())[[0, -1]]
    np.testing.assert_allclose(display.eigenvalues, expected)
    assert isinstance(H, HessianOperator)
    batches = H.stochastic(30)
    drawn = SpectrumDisplay.from_operator(batches, method="chebyshev", n_products=8)
    assert legend(drawn) == ["estimate", "95% interval"]
    with pytest.raises(ValueError, match="comes from another batch"):
        SpectrumDisplay.from_operator(batches, method="chebyshev", n_products=8, k=2)


def test_a_spectrum_from_arrays():
    x = np.linspace(-1.0, 1.0, 50)
    display = SpectrumDisplay(x, np.exp(-(x**2))).plot()
    assert legend(display) == ["estimate"]
    assert display.axes_[0, 0].get_xlim() == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"scale": "cubic"}, "scale='cubic' is none of linear, symlog, log"),
        ({"lower": np.zeros(3)}, "a band needs both lower and upper"),
        ({"exact": np.zeros(4)}, r"exact must have one value for each of the 3 of x, got shape"),
        ({"linear_width": -1.0}, "linear_width must be above 0, got -1.0"),
    ],
)
def test_bad_options_of_a_spectrum(keywords, message):
    with pytest.raises(ValueError, match=message):
        SpectrumDisplay(np.arange(3.0), np.ones(3), **keywords)


def test_bad_width(spectrum):
    with pytest.raises(ValueError, match=r"width must be above 0, got 0.0"):
        SpectrumDisplay.from_density(spectral_density(spectrum[1]), width=0.0)


# Pruning ------------------------------------------------------------------------------------


def test_path_with_validation(path):
    display = PruningDisplay.from_path(path)
    panel = display.axes_[0, 0]
    training, validation = panel.get_lines()[:2]
    np.testing.assert_array_equal(training.get_xdata(), path.n_weights)
    np.testing.assert_array_equal(training.get_ydata(), path.losses)
    np.testing.assert_array_equal(validation.get_ydata(), path.validation_losses)
    mark = panel.get_lines()[-1]
    at = path.n_weights[path.chosen]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (at, path.validation_losses.min())
    assert legend(display) == [
        "training rows, with the penalty", "validation rows", f"chosen: {at} parameters",
    ]  # fmt: skip
    assert panel.get_xscale() == "log"
    left, right = panel.get_xlim()
    assert left > path.n_weights[0] > path.n_weights[-1] > right
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("parameters left", "mean loss")


def test_path_without_validation(model, rows):
    path = prune(model, *rows, n=3)
    display = PruningDisplay.from_path(path)
    assert legend(display)[0] == "training rows, with the penalty"
    assert len(legend(display)) == 2
    mark = display.axes_[0, 0].get_lines()[-1]
    assert mark.get_ydata()[0] == path.losses[-1]


def test_losses_over_decades_and_losses_below_zero():
    panel = PruningDisplay([50, 10, 3], [0.01, 0.1, 1.0]).plot().axes_[0, 0]
    assert panel.get_yscale() == "log"
    assert list(panel.get_xticks()) == [5, 10, 20, 50]
    panel = PruningDisplay([30, 10, 3], [-0.01, 0.1, 1.0], chosen=-1).plot().axes_[0, 0]
    assert panel.get_yscale() == "linear"
    assert PruningDisplay([7], [1.0]).plot().axes_[0, 0].get_xlim()[0] > 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([3, 2], [1.0]),
            r"losses must have one value for each of the 2 stages, got shape \(1,\)",
        ),
        (([3, 2], [1.0, 2.0], [1.0]), "validation_losses must have one value for each of the 2"),
        (([3, 0], [1.0, 2.0]), "n_weights is 0 at stage 1: the axis is logarithmic"),
        (([3, 2], [1.0, 2.0], None, 2), "chosen=2 is none of the 2 stages"),
    ],
)
def test_a_path_that_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        PruningDisplay(*arguments)


# Where they draw ----------------------------------------------------------------------------


@pytest.fixture
def displays(model, path, spectrum):
    return [
        HintonDisplay.from_estimator(model),
        HintonDisplay.from_estimator(path.model(), standardized=False),
        HintonDisplay(np.random.default_rng(0).normal(size=(70, 12)), biases=[np.ones(12)]).plot(),
        SpectrumDisplay.from_operator(spectrum[1], k=6),
        SpectrumDisplay.from_operator(spectrum[1], scale="symlog"),
        PruningDisplay.from_path(path),
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
        with pytest.raises(ValueError, match="ax has 3 axes; this picture has"):
            display.plot(ax=Figure().subplots(1, 3))


def test_text_of_a_picture_does_not_overlap(displays):
    for display in displays:
        display.figure_.canvas.draw()
        found = [display.figure_._suptitle]
        for panel in display.axes_.flat:
            found += [panel.title, panel.xaxis.label, panel.yaxis.label]
            if panel.get_legend() is not None:
                found += panel.get_legend().get_texts()
            for axis in (panel.xaxis, panel.yaxis):
                low, high = sorted(axis.get_view_interval())
                found += [
                    tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high
                ]
        found = [text for text in found if text is not None and text.get_text().strip()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in found]
        assert len(boxes) > 8
        for k, (one, box) in enumerate(boxes):
            assert display.figure_.bbox.padded(1).fully_containsx(box.x0), one
            assert display.figure_.bbox.padded(1).fully_containsx(box.x1), one
            for other, place in boxes[:k]:
                assert not box.padded(-0.5).overlaps(place), (one, other)


def test_matplotlib_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match=r"pip install 'lmmfit\[plot\]'"):
        PruningDisplay([3, 2], [1.0, 2.0]).plot()


@pytest.mark.parametrize(
    "display", [HintonDisplay, SpectrumDisplay, PruningDisplay], ids=lambda d: d.__name__
)
def test_examples(display):
    module = importlib.import_module(display.__module__)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
