"""The Kalman filter as an estimator: defaults, series with gaps, streams, errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csc_matrix, csr_array, eye_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from lmmfit import RiccatiFilter
from lmmfit.riccati import (
    NotDetectableError,
    filter_series,
    kalman_bucy,
    smooth_series,
    start_filter,
    steady_filter,
)

NILE = sm.datasets.nile.load_pandas().data["volume"].to_numpy()[:, None]
KNOWN = {"Q": [[1469.1]], "R": [[15099.0]]}

# A row is filtered with all rows before it: their order, and which of them are given, matter.
ORDER = {
    "check_methods_subset_invariance": "a state depends on all rows before its own",
    "check_methods_sample_order_invariance": "the order of the rows is that of time",
}


@parametrize_with_checks(
    [
        RiccatiFilter(),
        RiccatiFilter(em=("Q", "R"), n_iter_em=5),
        RiccatiFilter(states="smoothed"),
    ],
    expected_failed_checks=lambda estimator: ORDER,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def moving(seed=0, T=300):
    """A point that moves in the plane, observed where it is."""
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    A, C = np.kron(np.eye(2), step), np.kron(np.eye(2), [[1.0, 0.0]])
    Q = np.kron(np.eye(2), 0.01 * np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]]))
    model = RiccatiFilter(A, C, Q, np.eye(2)).fit(np.zeros((1, 2)))
    return model, model.simulate(T, random_state=seed)


def test_attributes_are_those_of_the_steady_filter():
    model, Y = moving()
    model = clone(model).fit(Y)
    f = steady_filter(model.A, model.C, model.Q, model.R)
    for name in ("K", "K_predictor", "P", "P_filtered", "S", "A", "C", "Q", "R"):
        assert_array_equal(getattr(model, f"{name}_"), getattr(f, name))
    assert model.spectral_radius_ == f.spectral_radius < 1
    assert model.residual_norm_ < 1e-12
    assert model.converged_ is True
    assert model.n_features_in_ == 2
    assert model.loglik_ == pytest.approx(filter_series(f, Y).loglik.sum())
    assert model.score(Y) == pytest.approx(model.loglik_ / len(Y))
    assert_array_equal(model.initial_state_, np.zeros(4))


def test_methods_are_those_of_the_functions():
    model, Y = moving()
    Y[50:60] = np.nan
    f, run = model.filter_, filter_series(model.filter_, Y)
    assert_array_equal(model.transform(Y), run.states)
    assert_array_equal(model.predict(Y), run.outputs)
    assert_array_equal(model.score_samples(Y), run.loglik)
    assert_array_equal(model.innovations(Y), Y - run.outputs)
    assert_array_equal(model.smooth(Y), smooth_series(f, Y).states)
    smoothed = clone(model).set_params(states="smoothed").fit(Y)
    assert_array_equal(smoothed.transform(Y), model.smooth(Y))
    assert_array_equal(smoothed.fit_transform(Y), model.smooth(Y))
    means, std = model.forecast(Y, 10, return_std=True)
    assert_array_equal(means, model.forecast(Y, 10))
    assert (np.diff(std, axis=0) > 0).all()
    truth = model.simulate(300, random_state=0)
    inside = np.abs(truth[50:60] - model.predict(Y)[50:60]) < 4 * std.max()
    assert inside.all()


def test_the_default_is_a_local_level():
    rng = np.random.default_rng(0)
    levels = np.cumsum(rng.standard_normal((20_000, 2)) * [1.0, 0.3], axis=0)
    Y = levels + rng.standard_normal((20_000, 2)) * [0.5, 2.0] + [100.0, 0.0]
    Y[rng.random(Y.shape) < 0.05] = np.nan
    model = RiccatiFilter().fit(Y)
    assert_allclose(np.diag(model.Q_), [1.0, 0.09], atol=0.2)
    assert_allclose(np.diag(model.R_), [0.25, 4.0], atol=0.2)
    assert_array_equal(model.A_, np.eye(2))
    assert np.nanvar(Y - model.predict(Y)) < np.nanvar(np.diff(Y, axis=0))
    given = RiccatiFilter(R=np.diag([0.25, 4.0])).fit(Y)
    assert_allclose(np.diag(given.Q_), [1.0, 0.09], atol=0.2)
    given = RiccatiFilter(Q=np.diag([1.0, 0.09])).fit(Y)
    assert_allclose(np.diag(given.R_), [0.25, 4.0], atol=0.2)


@pytest.mark.parametrize(
    "X",
    [np.zeros((1, 3)), np.ones((20, 2)), np.full((5, 2), np.nan), np.arange(30.0)[:, None],
     np.array([[1e60], [-1e-60], [3.0]]), np.arange(40.0).reshape(4, 10) ** 2],
)  # fmt: skip
def test_any_table_can_be_fitted(X):
    model = RiccatiFilter().fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert np.linalg.eigvalsh(model.Q_).min() > 0
    assert np.linalg.eigvalsh(model.R_).min() > 0


def test_em_on_the_nile():
    model = RiccatiFilter(
        initial_state=[0.0], initial_cov=[[1e7]], em=("Q", "R"), n_iter_em=500, tol_em=1e-8
    ).fit(NILE)
    assert_allclose([model.R_[0, 0], model.Q_[0, 0]], [15099.0, 1469.1], rtol=1e-3)
    assert model.converged_
    assert model.em_.loglik == pytest.approx(model.loglik_)
    assert np.diff(model.em_.history).min() >= -1e-9


def test_what_is_not_given_is_found_by_em():
    true, Y = moving(T=600)
    model = RiccatiFilter(true.A, true.C, R=true.R, n_iter_em=30).fit(Y)
    assert_array_equal(model.R_, np.eye(2))
    assert not np.allclose(model.Q_, np.eye(4))
    assert model.em_.history[-1] > model.em_.history[0]
    assert model.score(Y) > -6.0


def test_continuous_time():
    A, C, Q, R = np.array([[0.0, 1.0], [-1.0, -0.2]]), np.eye(2)[:1], np.eye(2), np.eye(1)
    Y = np.random.default_rng(0).standard_normal((50, 1))
    model = RiccatiFilter(A, C, Q, R, time="continuous", dt=0.5).fit(Y)
    f = steady_filter(A, C, Q, R, time="continuous", dt=0.5)
    assert_array_equal(model.transform(Y), filter_series(f, Y).states)
    gain = RiccatiFilter(A, C, Q, R, time="continuous").fit(Y)
    assert_array_equal(gain.K_, kalman_bucy(A, C, Q, R).K)
    assert gain.rightmost_.real < 0
    with pytest.raises(ValueError, match="give dt, the time from one row to the next"):
        gain.transform(Y)
    gain.set_params(dt=0.5).fit(Y)
    assert not hasattr(gain, "rightmost_")
    assert_array_equal(gain.K_, model.K_)


def described(seed=0):
    """Matrices of a model with correlated noises, inputs and an E, and a series with a gap."""
    rng = np.random.default_rng(seed)
    A, E, W = rng.standard_normal((3, 3)), rng.standard_normal((3, 3)), rng.standard_normal((5, 5))
    both = W @ W.T + np.eye(5)
    matrices = {"A": E @ A * (0.9 / np.abs(np.linalg.eigvals(A)).max()), "E": E}
    matrices |= {"Q": both[:3, :3], "S": both[:3, 3:], "R": both[3:, 3:]}
    matrices |= {"C": rng.standard_normal((2, 3)), "B": rng.standard_normal((3, 1))}
    Y, U = rng.standard_normal((80, 2)), rng.standard_normal((80, 1))
    Y[30, 0] = np.nan
    return matrices, Y, U


def test_cross_covariance_and_descriptor():
    given, Y, U = described()
    model = RiccatiFilter(**given).fit(Y, U=U)
    f = steady_filter(**given)
    inverse = np.linalg.inv(given["E"])
    assert_allclose(model.A_, inverse @ given["A"], atol=1e-12)
    assert_allclose(model.B_, inverse @ given["B"], atol=1e-12)
    assert_allclose(model.Q_, inverse @ given["Q"] @ inverse.T, atol=1e-11)
    assert_allclose(model.cross_, inverse @ given["S"], atol=1e-12)
    assert_array_equal(model.S_, f.S)
    assert_array_equal(model.K_predictor_, f.K_predictor)
    assert_array_equal(model.transform(Y, U), filter_series(f, Y, U).states)
    assert_array_equal(model.smooth(Y, U), smooth_series(f, Y, U).states)
    assert_array_equal(clone(model).fit(Y, U=U).transform(Y, U), model.transform(Y, U))
    assert model.simulate(10, U[:10], random_state=0).shape == (10, 2)
    same = pickle.loads(pickle.dumps(model))
    assert_array_equal(same.predict(Y, U), model.predict(Y, U))
    model.set_params(S=None).fit(Y, U=U)
    assert not model.cross_.any()
    assert_array_equal(model.K_predictor_, model.A_ @ model.K_)


@pytest.mark.parametrize("wrap", [csr_array, csc_matrix, coo_array])
def test_sparse_matrices(wrap):
    given, Y, U = described()
    model = RiccatiFilter(**given).fit(Y, U=U)
    sparse = RiccatiFilter(**{name: wrap(M) for name, M in given.items()})
    assert_array_equal(clone(sparse).fit(Y, U=U).transform(Y, U), model.transform(Y, U))
    del given["B"], given["S"]
    continuous = {"A": given["A"] - 3.0 * given["E"], "time": "continuous"}
    plain = RiccatiFilter(**{**given, **continuous}).fit(Y)
    wrapped = {**{name: wrap(M) for name, M in given.items()}, "A": wrap(continuous["A"])}
    sparse = RiccatiFilter(**wrapped, time="continuous").fit(Y)
    assert_array_equal(sparse.K_, plain.K_)
    assert_array_equal(sparse.A_, plain.A_)
    level = RiccatiFilter(R=wrap(np.diag([1.0, 2.0]))).fit(Y)
    assert_array_equal(level.Q_, RiccatiFilter(R=np.diag([1.0, 2.0])).fit(Y).Q_)


def test_continuous_time_with_cross_covariance():
    given, Y, _ = described()
    del given["B"]
    given["A"] -= 3.0 * given["E"]
    model = RiccatiFilter(**given, time="continuous").fit(Y)
    assert_array_equal(model.K_, kalman_bucy(**given).K)
    inverse = np.linalg.inv(given["E"])
    assert_allclose(model.cross_, inverse @ given["S"], atol=1e-12)
    K = (model.P_ @ model.C_.T + model.cross_) @ np.linalg.inv(model.R_)
    assert_allclose(model.K_, K, atol=1e-10)
    modes = np.linalg.eigvals(model.A_ - K @ model.C_)
    assert_allclose(model.rightmost_.real, modes.real.max())


@pytest.mark.parametrize("wrap", [np.array, csr_array])
def test_em_finds_the_folded_matrices(wrap):
    given, Y, U = described()
    E, inverse = given["E"], np.linalg.inv(given["E"])
    options = {"C": given["C"], "n_iter_em": 5}
    found = RiccatiFilter(wrap(given["A"]), B=given["B"], E=wrap(E), **options).fit(Y, U=U)
    plain = RiccatiFilter(inverse @ given["A"], B=inverse @ given["B"], **options).fit(Y, U=U)
    assert_allclose(found.Q_, plain.Q_, rtol=1e-7)
    assert_allclose(found.R_, plain.R_, rtol=1e-7)
    assert found.loglik_ == pytest.approx(plain.loglik_)
    options |= {"Q": E @ E.T, "em": ("A", "R"), "R": np.eye(2)}
    found = RiccatiFilter(given["A"], B=given["B"], E=wrap(E), **options).fit(Y, U=U)
    assert_allclose(found.Q_, np.eye(3), atol=1e-11)
    assert np.diff(found.em_.history).min() >= -1e-9
    level = RiccatiFilter(E=2.0 * np.eye(2), n_iter_em=3).fit(Y)  # states that halve at each row
    assert_array_equal(level.A_, 0.5 * np.eye(2))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"em": ("Q",)}, "S was given, but Q and R are estimated .* S = 0: em must be None"),
        ({"Q": None}, "S = 0: give Q too"),
        ({"Q": None, "R": None}, "S = 0: give Q and R too"),
        ({"S": 9.0 * np.ones((3, 2))}, r"\[Q S; S' R\] must be positive semidefinite, its small"),
        ({"S": np.ones((2, 2))}, r"S must have shape \(3, 2\), got \(2, 2\)"),
        ({"E": np.ones((3, 3))}, "E must not be singular, its condition number is"),
        ({"E": eye_array(4)}, r"E must have shape \(3, 3\), got \(4, 4\)"),
        ({"time": "continuous", "dt": 0.1}, "S is the covariance of w and v at the same time"),
        ({"time": "continuous"}, "B was given, but time='continuous' without dt .* gain alone"),
        ({"time": "continuous", "B": None}, "U was given, but time='continuous' without dt"),
    ],
)
def test_bad_cross_covariances_and_descriptors(changed, message):
    given, Y, U = described()
    with pytest.raises(ValueError, match=message):
        RiccatiFilter(**{**given, **changed}).fit(Y, U=U)


def test_inputs_drive_the_states():
    rng = np.random.default_rng(0)
    U = rng.standard_normal((100, 1))
    model = RiccatiFilter([[0.9]], [[1.0]], [[0.01]], [[0.01]], [[2.0]])
    f = steady_filter([[0.9]], [[1.0]], [[0.01]], [[0.01]], [[2.0]])
    Y = rng.standard_normal((100, 1))
    model.fit(Y, U=U)
    run = filter_series(f, Y, U)
    assert_array_equal(model.transform(Y, U), run.states)
    assert model.score(Y, U=U) == pytest.approx(run.loglik.mean())
    assert model.forecast(Y, 2, U, U_next=[[1.0], [0.0]]).shape == (2, 1)
    with pytest.raises(ValueError, match="the system has 1 inputs: give U"):
        model.predict(Y)


def test_several_series():
    model, Y = moving()
    many = [Y[:100], Y[100:130], Y[130:]]
    model = clone(model).fit(many)
    assert [len(x) for x in model.transform(many)] == [100, 30, 170]
    assert_array_equal(model.predict(many)[1], model.predict(Y[100:130]))
    total = sum(model.score(y) * len(y) for y in many)
    assert model.score(many) * 300 == pytest.approx(total) == pytest.approx(model.loglik_)
    assert len(model.forecast(many, 3)) == 3
    with pytest.raises(ValueError, match="3 series, but U inputs for 1"):
        model.transform(many, [None])


def test_a_stream_gives_the_same_bits():
    model, Y = moving()
    Y[40:43, 0] = np.nan
    state, parts = None, []
    for rows in np.array_split(Y, [1, 2, 41, 42, 200]):
        states, state = model.update(state, rows)
        parts.append(states)
    assert_array_equal(np.vstack(parts), model.transform(Y))
    assert state.n_rows == 300
    state = pickle.loads(pickle.dumps(state))
    assert_array_equal(model.update(state, Y[:3])[0][0].shape, (4,))
    with pytest.raises(ValueError, match="a stream is one"):
        model.update(None, [Y, Y])


def test_start():
    model = RiccatiFilter(**KNOWN).fit(NILE)
    assert_allclose(model.initial_state_, NILE.mean())
    start = start_filter(model.filter_, [1000.0], [[500.0]])
    given = RiccatiFilter(**KNOWN, initial_state=[1000.0], initial_cov=[[500.0]]).fit(NILE)
    expected = filter_series(model.filter_, NILE, start=start)
    assert_array_equal(given.transform(NILE), expected.states)


def test_frames_and_pipelines():
    table = pd.DataFrame({"a": NILE.ravel(), "b": NILE.ravel()[::-1]})
    model = RiccatiFilter().fit(table)
    assert list(model.feature_names_in_) == ["a", "b"]
    out = model.set_output(transform="pandas").transform(table)
    assert list(out.columns) == ["riccatifilter0", "riccatifilter1"]
    assert out.index.equals(table.index)
    chain = make_pipeline(StandardScaler(), RiccatiFilter()).fit(table)
    assert chain.predict(table).shape == (100, 2)
    assert np.isfinite(chain.score(table))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"Q": [[-1.0]]}, "Q must be positive semidefinite, its smallest eigenvalue is -1"),
        ({"Q": [[0.0]]}, "Q does not drive the mode 1 of A"),
        ({"Q": [[1.0]], "R": [[0.0]]}, "R must be positive definite"),
        ({"C": [[1.0], [1.0]]}, "C must have a row for each of the 1 columns of X"),
        ({"A": np.eye(2)}, "Give C too"),
        ({"A": [[1.0, 2.0]], "C": [[1.0, 0.0]]}, r"A has the shape \(1, 2\)"),
        ({"initial_state": [1.0, 2.0]}, "initial_state must have shape"),
        ({"initial_cov": "stationary"}, "needs a stable A"),
        ({"initial_cov": "wide"}, "initial_cov"),
        ({"em": ("Z",)}, "update="),
        ({"time": "continuous"}, "takes A, Q and R as given; A is missing"),
        ({"dt": 1.0}, "dt=1.0 is for time='continuous'"),
        ({"dt": -1.0}, "dt"),
        ({"solver": "magic"}, "'magic' is none of"),
    ],
)
def test_a_failed_fit_changes_nothing(options, message):
    model = RiccatiFilter(**KNOWN).fit(NILE)
    before = model.transform(NILE)
    attributes = set(vars(model))
    model.set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(NILE)
    assert set(vars(model)) == attributes
    assert_array_equal(model.transform(NILE), before)


def test_undetectable_modes_are_named():
    with pytest.raises(NotDetectableError, match="C does not see the mode 1 of A"):
        RiccatiFilter(np.diag([1.0, 0.5]), [[0.0, 1.0]], np.eye(2), [[1.0]]).fit(NILE)


def test_bad_values():
    model = RiccatiFilter(**KNOWN)
    with pytest.raises(NotFittedError):
        model.transform(NILE)
    with pytest.raises(ValueError, match="infinity"):
        model.fit([[1.0], [np.inf]])
    with pytest.raises(ValueError, match="features"):
        model.fit(NILE).transform(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="at least 1"):
        model.forecast(NILE, 0)
