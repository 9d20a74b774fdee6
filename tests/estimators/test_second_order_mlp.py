"""SecondOrderMLP as its users meet it."""

import pickle
import warnings

import numpy as np
import pandas
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lmmfit import SecondOrderMLP
from lmmfit.curvature import FeedForwardNetwork
from lmmfit.optimize import LBFGS, NewtonCG

OPTIMIZERS = ("auto", "newton-cg", "scg", "gauss-newton", "lm", "lbfgs", "sgd")


@pytest.fixture(scope="module")
def waves():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(120, 2))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] ** 2


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 2))
    return X, rng.poisson(np.exp(0.5 + 0.6 * X[:, 0]))


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def quiet(model, *data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data, **options)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_regression_by_every_optimizer(optimizer, waves):
    model = SecondOrderMLP((8,), alpha=1e-3, optimizer=optimizer, random_state=0, max_iter=1000)
    quiet(model, *waves)
    assert is_regressor(model)
    assert not is_classifier(model)
    assert model.score(*waves) > (0.95 if optimizer == "sgd" else 0.9995)
    assert len(model.loss_curve_) == model.n_iter_
    assert model.loss_curve_[-1] == pytest.approx(model.loss_)
    assert model.loss_curve_[0] > model.loss_


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_classification_by_every_optimizer(optimizer, iris):
    X, y = iris
    model = SecondOrderMLP(5, loss="log_loss", alpha=0.1, optimizer=optimizer, random_state=0)
    quiet(model, X, y)
    assert is_classifier(model)
    assert not is_regressor(model)
    assert model.score(X, y) > 0.95
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p)


def test_the_loss_is_what_the_network_says(waves):
    X, y = waves
    model = SecondOrderMLP((4, 3), alpha=0.2, random_state=0).fit(X, y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    net = FeedForwardNetwork([2, 4, 3, 1], "tanh", alpha=0.2)
    state = net.evaluate(model.theta_, Z, (y - y.mean()) / y.std())
    assert model.loss_ == pytest.approx(state.value / len(X))
    assert np.max(np.abs(state.gradient)) <= model.tol * len(X)
    inside = net.predict(model.theta_, Z)[:, 0] * y.std() + y.mean()
    np.testing.assert_allclose(model.predict(X), inside, rtol=1e-9)
    a = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    a = np.tanh(a @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(a @ model.coefs_[2] + model.intercepts_[2], inside[:, None])


def test_without_standardization_the_parameters_are_the_coefficients(waves):
    model = SecondOrderMLP((4,), standardize=False, random_state=0).fit(*waves)
    packed = model.network_.layout.pack(model.coefs_, model.intercepts_)
    np.testing.assert_array_equal(packed, model.theta_)


def test_units_of_the_data_do_not_matter(waves):
    X, y = waves
    model = SecondOrderMLP((5,), random_state=0).fit(X, y)
    other = SecondOrderMLP((5,), random_state=0).fit(1e3 + 1e2 * X, -4 + 1e-3 * y)
    np.testing.assert_allclose(
        other.predict(1e3 + 1e2 * X), -4 + 1e-3 * model.predict(X), rtol=1e-6
    )


def test_several_outputs(waves):
    X, y = waves
    Y = np.column_stack([y, -2 * y + X[:, 0], np.ones(len(y))])
    model = SecondOrderMLP((10,), alpha=1e-3, random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    np.testing.assert_allclose(model.predict(X), Y, atol=0.05)
    assert model.n_outputs_ == 3
    column = SecondOrderMLP((5,), random_state=0).fit(X, y[:, None])
    assert column.predict(X).shape == (len(X), 1)
    np.testing.assert_array_equal(
        column.predict(X)[:, 0], SecondOrderMLP((5,), random_state=0).fit(X, y).predict(X)
    )


def test_two_classes_and_several_labels(iris):
    X, y = iris
    two = SecondOrderMLP((4,), loss="log_loss", random_state=0).fit(X, y == "setosa")
    assert two.network_.loss == "binary_log_loss"
    assert two.predict_proba(X).shape == (len(X), 2)
    assert two.predict(X).dtype == bool
    assert two.score(X, y == "setosa") == 1.0
    labels = np.column_stack([y == "setosa", y != "virginica"]).astype(int)
    for given in (labels, csr_matrix(labels)):
        several = SecondOrderMLP((4,), loss="log_loss", random_state=0).fit(X, given)
        assert several.predict_proba(X).shape == (len(X), 2)
        assert several.score(X, labels) > 0.95
        np.testing.assert_array_equal(several.predict(X), several.predict_proba(X) > 0.5)


def test_counts(counts):
    X, y = counts
    model = SecondOrderMLP((3,), loss="poisson", random_state=0).fit(X, y)
    assert (model.predict(X) > 0).all()
    assert np.corrcoef(model.predict(X), np.exp(0.5 + 0.6 * X[:, 0]))[0, 1] > 0.95
    assert model.out_activation_ == "exp"
    with pytest.raises(ValueError, match="counts of at least 0: row 1"):
        SecondOrderMLP(loss="poisson").fit(X[:3], [1, -2, 3])


def test_huber_is_not_led_astray(waves):
    X, y = waves
    wild = y.copy()
    wild[::10] += 30.0
    options = dict(alpha=1.0, random_state=0)
    robust = SecondOrderMLP((6,), loss="huber", huber_delta=0.1, **options).fit(X, wild)
    plain = SecondOrderMLP((6,), **options).fit(X, wild)
    errors = [np.median(np.abs(m.predict(X) - y)) for m in (robust, plain)]
    assert errors[0] < 0.3 * errors[1]


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "poisson", "huber"])
def test_weights_are_repetitions(loss, iris):
    X, y = iris[0][::3], np.arange(50) % 3
    times = np.arange(50) % 4
    model = SecondOrderMLP((4,), loss=loss, random_state=0, tol=1e-9)
    weighted = clone(model).fit(X, y, sample_weight=times)
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(50), times))
    repeated = clone(model).fit(X[rows], y[rows])
    np.testing.assert_array_equal(weighted.theta_, repeated.theta_)


def test_class_weights(iris):
    X, y = iris
    rows = np.r_[0:50, 50:60]  # fifty of one class, ten of the other
    X, y = X[rows, 1:2], y[rows]
    even = SecondOrderMLP((2,), loss="log_loss", class_weight="balanced", random_state=0).fit(X, y)
    weight = np.where(y == "setosa", 60 / 100, 60 / 20)
    same = SecondOrderMLP((2,), loss="log_loss", random_state=0).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(even.predict_proba(X), same.predict_proba(X), rtol=1e-6)
    plain = SecondOrderMLP((2,), loss="log_loss", random_state=0).fit(X, y)
    assert even.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean()
    with pytest.raises(ValueError, match="class_weight is for loss='log_loss'"):
        SecondOrderMLP(class_weight="balanced").fit(X, np.arange(60.0))


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_warm_start_goes_on_exactly(optimizer, loss, iris):
    X, y = iris[0], np.arange(150) % 3 + iris[0][:, 0] // 6
    options = dict(loss=loss, optimizer=optimizer, random_state=3, tol=0.0)
    whole = quiet(SecondOrderMLP((4,), max_iter=14, **options), X, y)
    parts = SecondOrderMLP((4,), max_iter=7, warm_start=True, **options)
    quiet(parts, X, y)
    assert parts.n_iter_ == 7
    quiet(pickle.loads(pickle.dumps(parts)), X, y)
    quiet(parts, X, y)
    np.testing.assert_array_equal(parts.theta_, whole.theta_)
    assert parts.n_iter_ == 14
    assert parts.loss_curve_ == whole.loss_curve_


def test_warm_start_with_other_data_and_other_settings(waves):
    X, y = waves
    model = SecondOrderMLP((5,), warm_start=True, random_state=0).fit(X[:60], y[:60])
    first = model.theta_
    model.fit(X, y)
    assert not np.array_equal(first, model.theta_)
    fresh = SecondOrderMLP((5,), random_state=0).fit(X, y)
    assert model.n_iter_ > 0
    assert fresh.score(X, y) == pytest.approx(model.score(X, y), abs=0.05)
    before = model.theta_
    model.set_params(hidden_layer_sizes=(6,))
    with pytest.raises(ValueError, match=r"\(2, 5, 1\).*\(2, 6, 1\) .*warm_start=False"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.theta_, before)


def test_early_stopping():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 10))
    y = X[:, 0] + rng.normal(size=120)
    options = dict(alpha=0.0, random_state=0, optimizer="newton-cg", max_iter=300)
    early = SecondOrderMLP((30,), early_stopping=True, validation_fraction=0.25, **options)
    early.fit(X, y)
    late = quiet(SecondOrderMLP((30,), **options), X, y)
    assert early.reason_ == "early stopping"
    assert early.converged_
    curve = early.validation_loss_curve_
    assert len(curve) == early.n_iter_
    assert np.argmin(curve) == early.n_iter_ - 1 - early.n_iter_no_change
    fresh = rng.normal(size=(500, 10))
    assert early.score(fresh, fresh[:, 0]) > late.score(fresh, fresh[:, 0])
    labels = np.where(y > 0, "high", "low")
    sorted_out = SecondOrderMLP((5,), loss="log_loss", early_stopping=True, random_state=0)
    assert sorted_out.fit(X, labels).score(X, labels) > 0.6


def test_curves_hold_every_iteration(iris):
    X, y = iris
    model = SecondOrderMLP((4,), loss="log_loss", n_init=3, random_state=0, max_iter=400)
    for _ in range(2):
        quiet(model, X, y)
        assert len(model.loss_curve_) == model.n_iter_
        assert model.loss_curve_[-1] == model.loss_
    with pytest.warns(ConvergenceWarning, match="max_iter=6 iterations"):
        model.set_params(max_iter=6, tol=0.0).fit(X, y)
    assert model.n_iter_ == 6
    early = SecondOrderMLP((9,), loss="log_loss", alpha=0.0, early_stopping=True, random_state=0)
    quiet(early, X, y)
    assert early.loss_ > early.loss_curve_[-1]  # that of the iteration it went back to


def test_warnings_point_at_the_call(waves):
    with pytest.warns(ConvergenceWarning) as caught:
        SecondOrderMLP((5,), max_iter=1).fit(*waves)
    assert caught[0].filename == __file__


def test_auto_leaves_relu_to_gradients(iris):
    model = SecondOrderMLP((5,), activation="relu", loss="log_loss", random_state=0)
    quiet(model, *iris)
    assert isinstance(model.run_.optimizer, LBFGS)


def test_early_stopping_with_a_class_of_one_row():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), np.r_[np.zeros(39), 1.0]
    model = SecondOrderMLP((2,), loss="log_loss", early_stopping=True, random_state=0)
    assert quiet(model, X, y).predict(X).shape == (40,)


def test_several_starts_solve_xor():
    X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = [0, 1, 1, 0]
    for seed in range(5):
        model = SecondOrderMLP((2,), alpha=0.0, n_init=10, random_state=seed).fit(X, y)
        np.testing.assert_allclose(model.predict(X), y, atol=1e-3)
        classifier = SecondOrderMLP(
            (2,), loss="log_loss", alpha=1e-3, n_init=10, random_state=seed
        )
        np.testing.assert_array_equal(classifier.fit(X, y).predict(X), y)


def test_high_precision_regression():
    x = np.linspace(-1, 1, 60)[:, None]
    model = SecondOrderMLP((5,), alpha=0.0, tol=0.0, optimizer="lm", random_state=1)
    quiet(model, x, np.sin(2 * x[:, 0]))
    assert np.mean((model.predict(x) - np.sin(2 * x[:, 0])) ** 2) < 1e-12


def test_optimizer_objects_and_limits(waves, capsys):
    model = SecondOrderMLP((5,), optimizer=LBFGS(memory=3), max_iter=4, random_state=0, verbose=2)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=4 iterations.*raise max_iter"):
        model.fit(*waves)
    assert model.run_.optimizer.memory == 3
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told] == ["iteration 2", "iteration 4"]
    with pytest.warns(ConvergenceWarning, match="max_time=1e-09 seconds"):
        SecondOrderMLP((5,), max_time=1e-9).fit(*waves)
    assert clone(SecondOrderMLP(optimizer=NewtonCG(radius=2.0))).optimizer.radius == 2.0


def test_relu_with_newton_warns(waves):
    with pytest.warns(UserWarning, match="relu has kinks.*activation='gelu'"):
        quiet(
            SecondOrderMLP((5,), activation="relu", optimizer="newton-cg", random_state=0), *waves
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        SecondOrderMLP((5,), activation="relu", optimizer="lbfgs", random_state=0).fit(*waves)


def test_activations_by_layer(waves):
    model = SecondOrderMLP((5, 4), activation=["gelu", "tanh"], random_state=0).fit(*waves)
    assert model.network_.hidden_activations == ("gelu", "tanh")
    with pytest.raises(ValueError, match=r"names 1 hidden layers, .*\(5, 4\) has 2"):
        SecondOrderMLP((5, 4), activation=["gelu"]).fit(*waves)
    linear = SecondOrderMLP((), alpha=0.0, random_state=0).fit(*waves)
    X = np.column_stack([np.ones(len(waves[0])), waves[0]])
    wanted = np.linalg.lstsq(X, waves[1], rcond=None)[0]
    np.testing.assert_allclose(
        [*linear.intercepts_[0], *linear.coefs_[0][:, 0]], wanted, atol=1e-5
    )


def test_hessian_operator(iris):
    X, y = iris
    model = SecondOrderMLP((4,), loss="log_loss", random_state=0).fit(X, y)
    H = model.hessian_operator(X, y)
    assert isinstance(H, LinearOperator)
    assert H.shape == (len(model.theta_),) * 2
    dense = H @ np.eye(H.shape[0])
    smallest = np.linalg.eigvalsh(dense)[0]
    assert smallest > -1e-6  # a minimum
    top = eigsh(H, k=1, which="LA", return_eigenvectors=False)[0]
    assert top == pytest.approx(np.linalg.eigvalsh(dense)[-1])
    doubled = model.hessian_operator(X, y, sample_weight=2 * np.ones(len(X)))
    penalty = np.diag(model.network_.penalty)
    np.testing.assert_allclose(doubled @ np.eye(len(dense)), 2 * dense - penalty, atol=1e-9)
    assert np.linalg.eigvalsh(H.gauss_newton @ np.eye(len(dense)))[0] > -1e-10


@pytest.mark.parametrize("batch_size", [1, 25, "auto"])
def test_partial_fit_needs_no_learning_rate(batch_size):
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(X))
    train, test = rows[:1400], rows[1400:]
    model = SecondOrderMLP((20,), loss="log_loss", batch_size=batch_size, random_state=0)
    for turn in range(2 if batch_size == 1 else 20):
        for part in np.array_split(train, 2):
            model.partial_fit(X[part], y[part], classes=np.arange(10) if turn == 0 else None)
    assert model.score(X[test], y[test]) > 0.85
    assert model.n_iter_ == len(model.loss_curve_) == (4 if batch_size == 1 else 40)


def test_partial_fit_goes_on_after_fit(waves):
    X, y = waves
    model = SecondOrderMLP((5,), random_state=0).fit(X, y)
    fitted = model.theta_
    model.partial_fit(X, y)
    assert np.linalg.norm(model.theta_ - fitted) < 0.05 * np.linalg.norm(fitted)
    learnt = model.theta_
    assert not hasattr(model, "run_")
    model.set_params(warm_start=True, max_iter=1, tol=1e-12)
    quiet(model, X, y)  # from what was learnt
    assert 0 < np.linalg.norm(model.theta_ - learnt) < 0.05 * np.linalg.norm(fitted)
    model.set_params(warm_start=False, max_iter=500, tol=1e-4).fit(X, y)
    np.testing.assert_array_equal(model.theta_, fitted)


def test_partial_fit_keeps_what_was_learnt_on_an_error(iris):
    X, y = iris
    model = SecondOrderMLP((5,), loss="log_loss", random_state=0)
    with pytest.raises(ValueError, match=r"y has one class: .*setosa"):
        model.partial_fit(X[:20], y[:20])
    assert not hasattr(model, "classes_")
    model.partial_fit(X[:20], y[:20], classes=["setosa", "versicolor"])
    before = pickle.dumps(model.__dict__)
    with pytest.raises(ValueError, match=r"label .*virginica.* in row 0, which is none of"):
        model.partial_fit(X[120:], y[120:])
    with pytest.raises(ValueError, match="are not those of the first call"):
        model.partial_fit(X[:20], y[:20], classes=["setosa", "other"])
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.where(X > 5, np.nan, X), y)
    assert pickle.dumps(model.__dict__) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(X=[[0.0, np.nan]] * 3), "NaN"),
        (dict(y=[0.0, np.inf, 1.0]), "infinity"),
        (dict(y=None), "y"),
        (dict(y=[1.0, 2.0]), "X has 3 rows and y 2"),
        (dict(sample_weight=[1.0, -1.0, 1.0]), "[Nn]egative"),
        (dict(sample_weight=[0.0, 0.0, 0.0]), "zero"),
        (dict(hidden_layer_sizes=(0,)), r"at least 1; got \(2, 0, 1\)"),
        (dict(hidden_layer_sizes=(2.5,)), "at least 1"),
        (dict(hidden_layer_sizes="many"), "hidden_layer_sizes"),
        (dict(activation="sine"), "activation"),
        (dict(optimizer="adam"), "optimizer"),
        (dict(loss="hinge"), "loss"),
        (dict(alpha=-1.0), "alpha"),
        (dict(n_init=0), "n_init"),
        (dict(loss="log_loss", y=["a", "a", "a"]), "y has one class: .*'a'"),
        (dict(loss="log_loss", y=[[1, 2], [2, 3], [3, 1]]), "2 columns of several classes each"),
        (dict(loss="log_loss", y=[0.5, 1.5, 2.25]), "Unknown label type: continuous"),
        (dict(loss="poisson", y=[1.0, -1.0, 2.0]), "row 1 of column 0 of Y has -1"),
    ],
)
def test_bad_input_leaves_the_model_as_it_was(change, message):
    X, y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 2.0])
    model = SecondOrderMLP((2,), random_state=0).fit(X, y)
    before, known = model.predict(X), set(vars(model))
    data = {"X": X, "y": y, "sample_weight": None}
    data.update({k: change.pop(k) for k in list(change) if k in data})
    model.set_params(**change)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(**data)
    assert set(vars(model)) == known
    np.testing.assert_array_equal(model.predict(X), before)


def test_unfitted_and_wrong_columns(waves):
    X, y = waves
    for call in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(SecondOrderMLP(loss="log_loss"), call)(X)
    assert not hasattr(SecondOrderMLP(), "predict_proba")
    model = SecondOrderMLP((3,), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="3 features, but SecondOrderMLP is expecting 2"):
        model.predict(np.ones((4, 3)))


def test_data_frames(waves):
    X, y = pandas.DataFrame(waves[0], columns=["a", "b"]), pandas.Series(waves[1])
    model = SecondOrderMLP((3,), random_state=0).fit(X, y)
    assert list(model.feature_names_in_) == ["a", "b"]
    plain = SecondOrderMLP((3,), random_state=0).fit(*waves)
    np.testing.assert_array_equal(model.predict(X), plain.predict(waves[0]))


def test_callbacks_see_each_iteration_and_may_stop(waves):
    class Recorder:
        def __init__(self):
            self.scores = []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            if context.task_name == "iteration":
                self.scores.append(fitted_estimator.score(X, y))
                return len(self.scores) == 5
            return False

    X, y = waves
    recorder = Recorder()
    model = SecondOrderMLP((5,), random_state=0).set_callbacks(recorder)
    model.fit(X, y)
    assert model.reason_ == "callback"
    assert len(recorder.scores) == model.n_iter_ == 5
    assert recorder.scores[-1] == pytest.approx(model.score(X, y))


def test_pipelines_and_searches(iris):
    X, y = iris
    model = make_pipeline(StandardScaler(), SecondOrderMLP((4,), loss="log_loss", random_state=0))
    assert cross_val_score(model, X, y).mean() > 0.93
    grid = {"secondordermlp__alpha": [0.1, 1.0], "secondordermlp__hidden_layer_sizes": [(3,), 6]}
    search = GridSearchCV(model, grid, scoring="neg_log_loss").fit(X, y)
    assert set(search.best_params_) == set(grid)
    p = cross_val_predict(model, X, y, method="predict_proba")
    assert p.shape == (len(X), 3)


def test_pickles_are_small_and_predict_the_same(iris):
    X, y = iris
    model = SecondOrderMLP((4,), loss="log_loss", random_state=0).fit(X, y)
    text = pickle.dumps(model)
    assert len(text) < 50_000
    np.testing.assert_array_equal(pickle.loads(text).predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("load", "loss", "alpha", "least"),
    [
        (load_diabetes, "squared_error", 10.0, 0.47),
        (load_breast_cancer, "log_loss", 3.0, 0.97),
        (load_wine, "log_loss", 3.0, 0.97),
    ],
)
def test_scores_on_known_data(load, loss, alpha, least):
    X, y = load(return_X_y=True)
    model = SecondOrderMLP((20,), loss=loss, alpha=alpha, random_state=0)
    assert cross_val_score(model, X, y).mean() > least


def test_coefficients_work_in_scikit_learns_network(iris):
    X, y = iris
    model = SecondOrderMLP((4,), loss="log_loss", random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = MLPClassifier((4,), activation="tanh", max_iter=1).fit(X, y)
    theirs.coefs_, theirs.intercepts_ = model.coefs_, model.intercepts_
    np.testing.assert_allclose(theirs.predict_proba(X), model.predict_proba(X), atol=1e-12)


def test_the_objective_of_scikit_learn_for_several_outputs_is_not_ours():
    # scikit-learn #8349: its loss is averaged over the outputs, its gradient is not. The same
    # minimum is ours with the penalty as it is, theirs with the penalty divided.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    Y = X @ rng.normal(size=(3, 4)) + 0.1 * rng.normal(size=(80, 4))
    model = SecondOrderMLP((), alpha=7.0, standardize=False, random_state=0, tol=1e-10).fit(X, Y)
    centred = X - X.mean(axis=0)
    ridge = np.linalg.solve(centred.T @ centred + 7.0 * np.eye(3), centred.T @ Y)
    np.testing.assert_allclose(model.coefs_[0], ridge, rtol=1e-6)
