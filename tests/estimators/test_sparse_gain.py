"""Sparse gains as an estimator: reference traces, patterns, series, nodes, regulators, errors."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import solve_discrete_are
from scipy.sparse import csr_array, csr_matrix, diags_array, eye_array, issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from lmmfit import RiccatiFilter, SparseGainEstimator
from lmmfit.gains import (
    GainError,
    UnstableGainError,
    as_pattern,
    error_density,
    filter_moving_horizon,
    filter_with_gain,
    graph_pattern,
    solve_stein,
    steady_gain,
    steady_regulator,
)
from lmmfit.riccati import NotDetectableError, NotStabilizableError, steady_filter

REFERENCE = Path(__file__).parents[1] / "reference" / "gains"
METHODS = ["steady", "one-step", "finite-horizon", "moving-horizon"]
CONSTANT = METHODS[:3]

# A row is filtered with all rows before it: their order, and which of them are given, matter.
ORDER = {
    "check_methods_subset_invariance": "a state depends on all rows before its own",
    "check_methods_sample_order_invariance": "the order of the rows is that of time",
}


@parametrize_with_checks(
    [SparseGainEstimator(), SparseGainEstimator(method="moving-horizon", sparse_output=True)],
    expected_failed_checks=lambda estimator: ORDER,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def reference(name):
    with open(REFERENCE / f"{name}.json") as file:
        found = json.load(file)
    return {k: np.array(v) if isinstance(v, list) else v for k, v in found.items()}


VIEGAS, TUTORIAL = reference("viegas2018_W30"), reference("lqr_tutorial")
FILTER = {name: VIEGAS[name] for name in "ACQR"} | {"pattern": VIEGAS["E"]}
REGULATOR = {name: TUTORIAL[name] for name in "ABQR"}
REGULATOR |= {"pattern": TUTORIAL["E"], "problem": "regulator"}


class Graph:
    """As much of a graph as networkx would offer."""

    def __init__(self, steps):
        self.nodes = tuple(steps)
        self._steps = steps

    def neighbors(self, node):
        return iter(self._steps[node])


LINE = {"a": "b", "b": "ac", "c": "bd", "d": "c"}
ADJACENCY = np.diag(np.ones(3), 1) + np.diag(np.ones(3), -1)


def network(seed=0, T=80):
    """A line of four nodes with two states and one output each, and what they see."""
    rng = np.random.default_rng(seed)
    A = np.kron(np.eye(4) + 0.4 * ADJACENCY, rng.uniform(-0.6, 0.6, (2, 2)))
    A *= 0.95 / np.abs(np.linalg.eigvals(A)).max()
    C = np.kron(np.eye(4), [[1.0, 0.5]])
    given = {"A": A, "C": C, "Q": np.eye(8), "R": np.eye(4)}
    x, Y = np.zeros(8), np.empty((T, 4))
    for t in range(T):
        Y[t] = C @ x + rng.standard_normal(4)
        x = A @ x + rng.standard_normal(8)
    return given, Y


def with_gaps(Y):
    Y = Y.copy()
    Y[5, 0] = Y[20:24, 2] = Y[30] = np.nan
    return Y


# --- reference values


def test_steady_filter_of_the_reference():
    expected = reference("ours_steady_viegas2018_W30")
    model = SparseGainEstimator(**FILTER).fit()
    assert model.trace_ == pytest.approx(20.44289207, abs=5e-9)
    assert_allclose(model.gain_, expected["K"], atol=1e-6)
    bound = np.trace(steady_filter(*(VIEGAS[name] for name in "ACQR")).P_filtered)
    assert model.centralized_trace_ == pytest.approx(bound, rel=1e-10)
    assert bound == pytest.approx(VIEGAS["trace_centralized"], rel=1e-6)  # stopped early
    assert model.gap_ == pytest.approx(model.trace_ / bound, rel=1e-10)
    assert model.gradient_norm_ < 1e-6
    assert model.spectral_radius_ < 1.0
    assert model.converged_
    assert model.n_iter_ >= 1
    assert_array_equal(model.pattern_, VIEGAS["E"] != 0)
    assert not model.gain_[VIEGAS["E"] == 0].any()
    assert np.diff(model.trace_history_).max() <= 1e-9


def test_one_step_filter_of_the_reference():
    model = SparseGainEstimator(**FILTER, method="one-step").fit()
    assert model.trace_history_[-1] == pytest.approx(24.370544991717914, rel=1e-12)
    assert_allclose(model.gain_, VIEGAS["K_one_step"], atol=1e-9)
    tight = SparseGainEstimator(**FILTER, method="one-step", tol=1e-12).fit()
    assert tight.trace_ == pytest.approx(VIEGAS["trace_one_step_tight"], rel=1e-10)
    assert tight.n_iter_ > model.n_iter_


def test_finite_horizon_filter_of_the_reference():
    model = SparseGainEstimator(**FILTER, method="finite-horizon", window=30).fit()
    assert model.trace_history_[-1] == pytest.approx(VIEGAS["trace_finite_horizon"], rel=1e-9)
    assert_allclose(model.gain_, VIEGAS["K_finite_horizon"], atol=1e-8)


def test_moving_horizon_filter_of_the_reference():
    expected = reference("viegas2018_mfh_W5")
    model = SparseGainEstimator(**FILTER, method="moving-horizon").fit()
    assert model.gain_.shape == (5, 5, 4)
    assert model.trace_history_[-1] == pytest.approx(expected["trace"], rel=1e-9)
    assert model.trace_ == pytest.approx(np.trace(model.covariance_), rel=1e-10)
    assert 1.0 < model.gap_ < 20.44289207 / VIEGAS["trace_centralized"]
    assert not hasattr(model, "gradient_norm_")
    assert not hasattr(model, "filter_")
    assert (
        SparseGainEstimator(**FILTER, method="moving-horizon", window=2).fit().gain_.shape[0] == 2
    )


@pytest.mark.parametrize("method", CONSTANT)
def test_covariances_are_exact(method):
    model = SparseGainEstimator(**FILTER, method=method).fit()
    left = np.eye(5) - model.gain_ @ model.C_
    W = left @ model.Q_ @ left.T + model.gain_ @ model.R_ @ model.gain_.T
    assert_allclose(model.covariance_, solve_stein(left @ model.A_, W)[0], atol=1e-9)
    assert model.trace_ == pytest.approx(np.trace(model.covariance_), rel=1e-12)
    assert model.spectral_radius_ == pytest.approx(
        np.abs(np.linalg.eigvals(left @ model.A_)).max(), rel=1e-8
    )


def test_moving_horizon_covariance_is_that_of_many_steps():
    model = SparseGainEstimator(**FILTER, method="moving-horizon", window=3).fit()
    P = np.zeros((5, 5))
    for _ in range(400):
        for K in model.gain_:
            M, left = model.A_ @ P @ model.A_.T + model.Q_, np.eye(5) - K @ model.C_
            P = left @ M @ left.T + K @ model.R_ @ K.T
    assert_allclose(model.covariance_, P, rtol=1e-9)


@pytest.mark.parametrize(
    ("method", "trace"), [("steady", 21.760672), ("one-step", TUTORIAL["trace_one_step"])]
)
def test_regulators_of_the_reference(method, trace):
    model = SparseGainEstimator(**REGULATOR, method=method).fit()
    assert model.gain_.shape == (3, 5)
    found = model.trace_ if method == "steady" else model.trace_history_[-1]
    assert found == pytest.approx(trace, abs=5e-7)
    bound = np.trace(solve_discrete_are(*(TUTORIAL[name] for name in "ABQR")))
    assert model.centralized_trace_ == pytest.approx(bound, rel=1e-9)
    assert bound == pytest.approx(
        TUTORIAL["trace_centralized"], rel=1e-6
    )  # which has stopped early
    assert model.gap_ > 1.0
    assert np.abs(np.linalg.eigvals(model.A_ - model.B_ @ model.gain_)).max() < 1.0
    assert_array_equal(model.pattern_, TUTORIAL["E"] != 0)
    assert not any(hasattr(model, name) for name in ("C_", "filter_", "initial_state_"))


def test_the_full_pattern_is_the_kalman_filter():
    given, Y = network()
    model = SparseGainEstimator(**given, pattern="full").fit(Y)
    central = RiccatiFilter(**given).fit(Y)
    assert_allclose(model.gain_, central.K_, atol=1e-7)
    assert model.gap_ == pytest.approx(1.0, abs=1e-10)
    assert_allclose(model.transform(Y), central.transform(Y), atol=1e-5)
    assert model.loglik_ == pytest.approx(central.loglik_, rel=1e-6)


# --- patterns


def patterns_of_the_line():
    graph = Graph(LINE)
    mask = np.kron(np.eye(4) + ADJACENCY, np.ones((2, 1)))
    columns = [{j for j in range(4) if mask[i, j]} for i in range(8)]
    return {
        "array": {"pattern": mask},
        "list": {"pattern": mask.astype(int).tolist()},
        "frame": {"pattern": pd.DataFrame(mask)},
        "csr_array": {"pattern": csr_array(mask)},
        "csr_matrix": {"pattern": csr_matrix(mask)},
        "sets": {"pattern": columns},
        "dict": {"pattern": dict(enumerate(columns))},
        "Pattern": {"pattern": as_pattern(mask)},
        "graph_pattern": {"pattern": graph_pattern(ADJACENCY, (8, 4))},
        "graph": {"pattern": graph},
        "graph, hops": {"pattern": graph, "hops": 1},
        "adjacency": {"pattern": ADJACENCY, "hops": 1},
        "sparse adjacency": {"pattern": csr_array(ADJACENCY), "hops": 1},
        "graph, nodes": {
            "pattern": graph, "state_nodes": list("aabbccdd"), "output_nodes": list("abcd"),
        },
    }  # fmt: skip


@pytest.mark.parametrize("form", patterns_of_the_line())
def test_forms_of_a_pattern(form):
    given, _ = network()
    options = patterns_of_the_line()
    expected = SparseGainEstimator(**given, **options["array"], method="one-step").fit()
    model = SparseGainEstimator(**given, **options[form], method="one-step")
    model = clone(model).fit()
    assert_array_equal(model.pattern_, expected.pattern_)
    assert_array_equal(model.gain_, expected.gain_)


def test_hops_widen_the_pattern():
    given, _ = network()
    traces = [
        SparseGainEstimator(**given, pattern=Graph(LINE), hops=hops).fit().trace_
        for hops in range(4)
    ]
    assert np.diff(traces).max() < 0.0
    own = SparseGainEstimator(**given, pattern="diag").fit()
    assert traces[0] == pytest.approx(own.trace_, rel=1e-10)
    assert traces[3] == pytest.approx(own.centralized_trace_, rel=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_pattern_predicts_alone(method):
    given, Y = network()
    model = SparseGainEstimator(**given, pattern=np.zeros((8, 4)), method=method).fit(Y)
    assert not np.any(model.gain_)
    assert_array_equal(model.predict(Y), np.zeros_like(Y))
    assert_allclose(model.covariance_, solve_stein(given["A"], given["Q"])[0], rtol=1e-9)


def test_nodes_may_own_anything():
    given, Y = network()
    order = np.random.default_rng(1).permutation(8)
    shuffled = given | {"A": given["A"][np.ix_(order, order)], "C": given["C"][:, order]}
    nodes = {"output_nodes": list("abcd"), "pattern": Graph(LINE)}
    own = np.array(list("aabbccdd"))
    expected = SparseGainEstimator(**given, **nodes, state_nodes=own).fit()
    model = SparseGainEstimator(**shuffled, **nodes, state_nodes=own[order]).fit()
    assert_allclose(model.gain_, expected.gain_[order], atol=1e-7)
    run = model.simulate_network(Y)
    assert set(run.nodes) == set("abcd")
    assert_allclose(run.states, model.transform(Y), rtol=0.0, atol=1e-12)


def test_a_regulator_on_a_graph():
    given, _ = network()
    B = given["C"].T
    nodes = {"state_nodes": list("aabbccdd"), "output_nodes": list("abcd")}
    model = SparseGainEstimator(
        given["A"], None, given["Q"], given["R"], Graph(LINE), problem="regulator", B=B, **nodes
    ).fit()
    mask = np.kron(np.eye(4) + ADJACENCY, np.ones((1, 2)))
    assert_array_equal(model.pattern_, mask != 0)
    expected = steady_regulator(given["A"], B, given["Q"], given["R"], mask)
    assert model.trace_ == pytest.approx(expected.trace, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"method": "moving-horizon", "window": 3}])
def test_sparse_output(options):
    given, Y = network()
    dense = SparseGainEstimator(**given, pattern=ADJACENCY, hops=1, **options).fit(Y)
    model = clone(dense).set_params(sparse_output=True).fit(Y)
    gains = model.gain_ if options else [model.gain_]
    assert all(issparse(gain) and gain.nnz == 20 for gain in gains)
    assert_array_equal(np.squeeze([gain.toarray() for gain in gains]), dense.gain_)
    assert issparse(model.pattern_)
    assert model.pattern_.dtype == bool
    assert_array_equal(model.pattern_.toarray(), dense.pattern_)
    assert_array_equal(model.transform(Y), dense.transform(Y))


@pytest.mark.parametrize("wrap", [csr_array, csr_matrix, pd.DataFrame, np.ndarray.tolist])
def test_matrices_in_other_forms(wrap):
    given, Y = network()
    expected = SparseGainEstimator(**given).fit(Y)
    model = SparseGainEstimator(**{name: wrap(M) for name, M in given.items()}).fit(Y)
    assert_allclose(model.gain_, expected.gain_, atol=1e-12)
    assert isinstance(model.A_, np.ndarray)
    assert_allclose(model.transform(Y), expected.transform(Y), atol=1e-10)


@pytest.mark.parametrize("method", ["one-step", "moving-horizon"])
def test_large_networks_are_worked_with_as_sparse(method):
    n = 160
    line = diags_array([np.full(n - 1, 0.1), np.full(n, 0.8), np.full(n - 1, 0.1)],
                       offsets=[-1, 0, 1]).tocsr()  # fmt: skip
    one = eye_array(n, format="csr")
    model = SparseGainEstimator(
        line, one, one, one, line, hops=0, method=method, window=2, sparse_output=True
    ).fit()
    assert issparse(model._problem.A)
    assert model.trace_ == pytest.approx(np.trace(model.covariance_), rel=1e-10)
    dense = clone(model).set_params(A=line.toarray(), sparse_output=False).fit()
    assert model.trace_ == pytest.approx(dense.trace_, rel=1e-10)
    Y = np.random.default_rng(0).standard_normal((5, n))
    assert_allclose(model.transform(Y), dense.transform(Y), atol=1e-10)
    assert np.isfinite(model.score(Y))
    assert 1.0 < model.gap_ < 1.1


# --- series


@pytest.mark.parametrize("method", METHODS)
def test_with_and_without_a_table(method):
    given, Y = network()
    Y = with_gaps(Y)
    one = SparseGainEstimator(**given, method=method).fit(Y)
    two = SparseGainEstimator(**given, method=method).fit()
    assert_array_equal(one.gain_, two.gain_)
    assert_array_equal(one.transform(Y), two.transform(Y))
    assert_array_equal(one.fit_transform(Y), two.transform(Y))
    assert_array_equal(one.predict(Y), two.predict(Y))
    assert one.n_features_in_ == two.n_features_in_ == 4
    assert one.loglik_ == pytest.approx(two.score_samples(Y).sum())
    assert one.score(Y) == pytest.approx(one.loglik_ / len(Y))
    assert not hasattr(two, "loglik_")


@pytest.mark.parametrize("method", CONSTANT)
def test_methods_are_those_of_the_functions(method):
    given, Y = network()
    Y = with_gaps(Y)
    model = SparseGainEstimator(**given, method=method).fit(Y)
    run = filter_with_gain(model.filter_, Y)
    assert_array_equal(model.transform(Y), run.states)
    assert_array_equal(model.predict(Y), run.outputs)
    assert_array_equal(model.score_samples(Y), run.loglik)
    assert_array_equal(model.innovations(Y), Y - run.outputs)
    assert model.score_samples(Y)[30] == 0.0


def test_a_filter_in_plain_numpy():
    given, Y = network()
    Y = with_gaps(Y)
    model = SparseGainEstimator(**given, initial_state=np.arange(8.0)).fit(Y)
    x = np.arange(8.0)
    for y, state, output in zip(Y, model.transform(Y), model.predict(Y), strict=True):
        assert_allclose(output, given["C"] @ x, atol=1e-11)
        x = x + model.gain_ @ np.nan_to_num(y - given["C"] @ x)
        assert_allclose(state, x, atol=1e-11)
        x = given["A"] @ x


def test_moving_horizon_methods():
    given, Y = network()
    Y, start = with_gaps(Y), np.arange(8.0)
    model = SparseGainEstimator(**given, method="moving-horizon", window=3, initial_state=start)
    model.fit(Y)
    A, C = given["A"], given["C"]
    states, outputs = filter_moving_horizon(A, C, model.gain_, Y, initial_state=start)
    assert_array_equal(model.transform(Y), states)
    assert_array_equal(model.predict(Y), outputs)
    assert_array_equal(model.innovations(Y), Y - outputs)
    S = C @ (A @ model.covariance_ @ A.T + given["Q"]) @ C.T + given["R"]
    assert_allclose(model.score_samples(Y), error_density(Y - outputs, S), rtol=1e-10)


def test_the_score_is_that_of_the_errors_there_are():
    given, Y = network(T=3000)
    for method in ("steady", "moving-horizon"):
        model = SparseGainEstimator(**given, method=method).fit()
        errors = model.innovations(Y)[100:]
        own = error_density(errors, np.cov(errors.T)).mean()
        assert model.score(Y[100:]) == pytest.approx(own, abs=0.05)


def test_better_gains_have_better_scores():
    given, Y = network(T=4000)
    scores = [
        SparseGainEstimator(**given, pattern=ADJACENCY, hops=hops).fit(Y).score(Y)
        for hops in (0, 3)
    ]
    assert scores[0] < scores[1]


def test_known_inputs():
    given, Y = network()
    rng = np.random.default_rng(0)
    B, U = rng.standard_normal((8, 2)), rng.standard_normal((len(Y), 2))
    model = SparseGainEstimator(**given, B=B).fit(Y, U=U)
    run = filter_with_gain(model.filter_, Y, U)
    assert_array_equal(model.transform(Y, U), run.states)
    assert_array_equal(model.fit_transform(Y, U=U), run.states)
    assert model.score(Y, U=U) == pytest.approx(run.loglik.mean())
    assert_allclose(model.simulate_network(Y, U).states, run.states, rtol=0.0, atol=1e-12)
    with pytest.raises(ValueError, match="the system has 2 inputs: give U"):
        model.predict(Y)


@pytest.mark.parametrize("method", METHODS)
def test_several_series(method):
    given, Y = network()
    many = [Y[:20], Y[20:25], Y[25:]]
    model = SparseGainEstimator(**given, method=method).fit(many)
    assert [len(x) for x in model.transform(many)] == [20, 5, 55]
    assert_array_equal(model.predict(many)[1], model.predict(Y[20:25]))
    assert_array_equal(model.innovations(many)[2], model.innovations(Y[25:]))
    total = sum(model.score(y) * len(y) for y in many)
    assert model.score(many) * 80 == pytest.approx(total) == pytest.approx(model.loglik_)
    with pytest.raises(ValueError, match="3 series, but U inputs for 1"):
        model.transform(many, [None])


def test_a_stream_gives_the_same_bits():
    given, Y = network()
    Y = with_gaps(Y)
    model = SparseGainEstimator(**given, initial_state=np.ones(8)).fit(Y)
    state, parts = None, []
    for rows in np.array_split(Y, [1, 2, 31, 50]):
        states, state = model.update(state, rows)
        parts.append(states)
    assert_array_equal(np.vstack(parts), model.transform(Y))
    assert state.n_rows == len(Y)
    state = pickle.loads(pickle.dumps(state))
    assert model.update(state, Y[:3])[1].n_rows == len(Y) + 3
    with pytest.raises(ValueError, match="X is a list of series: update takes one at a time"):
        model.update(None, [Y, Y])


@pytest.mark.parametrize("pattern", ["diag", "full", "graph"])
@pytest.mark.parametrize("method", CONSTANT)
def test_nodes_find_what_one_place_finds(pattern, method):
    given, Y = network()
    Y = with_gaps(Y)
    pattern = Graph(LINE) if pattern == "graph" else pattern
    model = SparseGainEstimator(
        **given, pattern=pattern, method=method, initial_state=np.ones(8)
    ).fit(Y)
    run = model.simulate_network(Y)
    assert_allclose(run.states, model.transform(Y), rtol=0.0, atol=1e-12)
    assert_allclose(run.outputs, model.predict(Y), rtol=0.0, atol=1e-12)
    assert run.messages.shape == (len(Y), len(run.links))
    assert model.simulate_network(Y, count_messages=False).messages is None
    if not isinstance(pattern, str):
        assert run.nodes == tuple("abcd")
        assert set(np.abs(np.diff(run.links))[:, 0]) == {1}  # neighbours alone


def test_nodes_are_those_of_the_fit():
    given, Y = network()
    model = SparseGainEstimator(**given, pattern=Graph(LINE)).fit(Y)
    model.set_params(pattern="full", state_nodes=["x"] * 8)
    assert model.simulate_network(Y).nodes == tuple("abcd")


# --- regulators


@pytest.mark.parametrize("method", CONSTANT)
def test_a_regulator_gives_inputs(method):
    X = np.random.default_rng(0).standard_normal((30, 5))
    model = SparseGainEstimator(**REGULATOR, method=method).fit(X)
    assert model.n_features_in_ == 5
    assert_allclose(model.transform(X), -X @ model.gain_.T, atol=1e-12)
    assert_array_equal(model.predict(X), model.transform(X))
    assert_array_equal(clone(model).fit().transform(X), model.transform(X))
    assert len(model.get_feature_names_out()) == 3
    assert [len(u) for u in model.predict([X[:10], X])] == [10, 30]
    assert not hasattr(model, "loglik_")


def test_the_score_of_a_regulator_is_the_cost_to_come():
    model = SparseGainEstimator(**REGULATOR).fit()
    start = np.random.default_rng(0).standard_normal((4, 5))
    costs, x = np.zeros(4), start
    for _ in range(500):
        u = model.predict(x)
        costs += np.einsum("ti,ij,tj->t", x, model.Q_, x)
        costs += np.einsum("ti,ij,tj->t", u, model.R_, u)
        x = x @ model.A_.T + u @ model.B_.T
    assert_allclose(model.score_samples(start), -costs, rtol=1e-9)
    assert model.score(start) == pytest.approx(-costs.mean(), rel=1e-9)
    assert model.score(np.sqrt(5.0) * np.eye(5)) == pytest.approx(-model.trace_)


def test_a_regulator_with_a_cross_weight():
    rng = np.random.default_rng(0)
    both = rng.standard_normal((8, 8))
    both = both @ both.T + np.eye(8)
    given = REGULATOR | {"Q": both[:5, :5], "R": both[5:, 5:], "S": both[:5, 5:]}
    model = SparseGainEstimator(**given).fit()
    names = ("A", "B", "Q", "R", "pattern")
    expected = steady_regulator(*(given[name] for name in names), S=given["S"])
    assert_array_equal(model.gain_, expected.K)
    with pytest.raises(ValueError, match=r"\[Q S; S' R\] must be positive semidefinite"):
        model.set_params(S=9.0 * given["S"]).fit()


@pytest.mark.parametrize("method", ["innovations", "update", "simulate_network"])
def test_what_a_regulator_does_not_do(method):
    model, X = SparseGainEstimator(**REGULATOR).fit(), np.zeros((3, 5))
    arguments = (None, X) if method == "update" else (X,)
    with pytest.raises(ValueError, match="a regulator"):
        getattr(model, method)(*arguments)
    with pytest.raises(ValueError, match="contains NaN"):
        model.predict(np.full((3, 5), np.nan))
    with pytest.raises(ValueError, match="a regulator finds the inputs itself"):
        model.predict(X, X)


@pytest.mark.parametrize("method", ["update", "simulate_network"])
def test_what_a_moving_horizon_does_not_do(method):
    model, X = SparseGainEstimator(**FILTER, method="moving-horizon").fit(), np.zeros((3, 4))
    arguments = (None, X) if method == "update" else (X,)
    with pytest.raises(ValueError, match=f"{method} is for a filter with one constant gain"):
        getattr(model, method)(*arguments)
    with pytest.raises(ValueError, match="takes no known inputs"):
        model.predict(X, X)


# --- defaults and estimates


@pytest.mark.parametrize(
    "X",
    [np.zeros((1, 3)), np.ones((20, 2)), np.full((5, 2), np.nan), np.arange(30.0)[:, None],
     np.array([[1e60], [-1e-60], [3.0]]), np.arange(40.0).reshape(4, 10) ** 2],
)  # fmt: skip
@pytest.mark.parametrize("method", METHODS)
def test_any_table_can_be_fitted(X, method):
    model = SparseGainEstimator(method=method).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert model.spectral_radius_ < 1.0


def test_the_default_is_a_local_level():
    rng = np.random.default_rng(0)
    levels = np.cumsum(rng.standard_normal((500, 2)) * [1.0, 0.3], axis=0)
    Y = levels + rng.standard_normal((500, 2)) * [0.5, 2.0] + [100.0, 0.0]
    Y[rng.random(Y.shape) < 0.05] = np.nan
    model, central = SparseGainEstimator().fit(Y), RiccatiFilter().fit(Y)
    assert_array_equal(model.A_, np.eye(2))
    assert_allclose(model.Q_, central.Q_)
    assert_allclose(model.R_, central.R_)
    assert_allclose(model.gain_, central.K_, atol=1e-7)  # levels that have nothing in common
    assert model.gap_ == pytest.approx(1.0)
    assert_allclose(model.initial_state_, np.nanmean(Y, axis=0))
    assert model.em_ is None
    given = SparseGainEstimator(R=np.diag([0.25, 4.0])).fit(Y)
    assert_array_equal(given.R_, np.diag([0.25, 4.0]))


def test_what_is_not_given_is_found_by_em():
    given, Y = network(T=60)
    given.pop("Q")
    model, central = SparseGainEstimator(**given).fit(Y), RiccatiFilter(**given).fit(Y)
    assert_array_equal(model.Q_, central.Q_)
    assert model.em_.n_iter == central.em_.n_iter
    expected = steady_gain(given["A"], given["C"], model.Q_, given["R"], "diag")
    assert_array_equal(model.gain_, expected.K)


@pytest.mark.parametrize("T", [1, 7])
def test_initial_states(T):
    model = SparseGainEstimator(**FILTER, initial_state=np.arange(5)).fit()
    assert_array_equal(model.initial_state_, np.arange(5.0))
    assert_allclose(model.predict(np.zeros((T, 4)))[0], model.C_ @ np.arange(5.0))
    assert_array_equal(SparseGainEstimator(**FILTER).fit().initial_state_, np.zeros(5))


# --- starts


@pytest.mark.parametrize("options", [FILTER, REGULATOR])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_warm_start_takes_fewer_steps(options, sparse):
    model = SparseGainEstimator(**options, warm_start=True, sparse_output=sparse).fit()
    first, trace = model.n_iter_, model.trace_
    model.set_params(R=1.001 * options["R"]).fit()
    cold = clone(model).fit()
    assert model.n_iter_ < cold.n_iter_
    assert model.trace_ == pytest.approx(cold.trace_, rel=1e-12)
    model.set_params(R=options["R"]).fit()
    assert model.n_iter_ < first
    assert model.trace_ == pytest.approx(trace, rel=1e-12)


def test_a_warm_start_fits_the_new_pattern_or_is_not_made():
    model = SparseGainEstimator(**FILTER, warm_start=True, method="moving-horizon").fit()
    model.set_params(method="steady", pattern="full").fit()  # a sequence starts nothing
    full = model.trace_
    assert full == pytest.approx(model.centralized_trace_, rel=1e-10)
    model.set_params(pattern=FILTER["pattern"]).fit()
    assert not model.gain_[FILTER["pattern"] == 0].any()
    assert model.trace_ == pytest.approx(20.44289207, abs=5e-9)
    model.set_params(C=-FILTER["C"]).fit()  # the old gain makes this one unstable
    assert_allclose(model.gain_, -SparseGainEstimator(**FILTER).fit().gain_, atol=1e-6)
    given, Y = network()
    model.set_params(**given, pattern="diag").fit(Y)  # another shape
    assert model.gain_.shape == (8, 4)


@pytest.mark.parametrize("kind", [int, np.random.RandomState, np.random.default_rng])
def test_several_starts(kind):
    model = SparseGainEstimator(**FILTER, n_init=3, random_state=kind(3))
    model = clone(model).fit()
    assert model.trace_ == pytest.approx(20.44289207, abs=5e-9)


def test_a_method_that_has_not_converged_says_so():
    with pytest.warns(RuntimeWarning, match="has not converged after 2 steps"):
        model = SparseGainEstimator(**FILTER, max_iter=2).fit()
    assert model.converged_ is False
    assert model.n_iter_ == 2
    with pytest.warns(RuntimeWarning, match="Allow more max_iter"):
        SparseGainEstimator(**FILTER, method="one-step", max_iter=2).fit()


# --- scikit-learn


def test_frames_and_pipelines():
    given, Y = network()
    table = pd.DataFrame(Y, columns=list("wxyz"))
    model = SparseGainEstimator(**given).fit(table)
    assert list(model.feature_names_in_) == list("wxyz")
    out = model.set_output(transform="pandas").transform(table)
    assert list(out.columns) == [f"sparsegainestimator{i}" for i in range(8)]
    assert out.index.equals(table.index)
    assert model.fit().transform(table).shape == (80, 8)  # fit has seen no names: any will do
    assert not hasattr(model, "feature_names_in_")
    chain = make_pipeline(StandardScaler(), SparseGainEstimator(**given)).fit(table)
    assert chain.predict(table).shape == (80, 4)
    assert np.isfinite(chain.score(table))
    assert make_pipeline(SparseGainEstimator(), SparseGainEstimator()).fit_transform(Y).shape == (
        80,
        4,
    )


@pytest.mark.parametrize(
    "grid",
    [{"hops": [0, 1, 2]}, {"method": METHODS}, {"pattern": ["diag", "full"], "hops": [None]}],
)
def test_grid_search(grid):
    given, Y = network()
    model = SparseGainEstimator(**given, pattern=Graph(LINE))
    search = GridSearchCV(model, grid, cv=TimeSeriesSplit(2)).fit(Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.transform(Y).shape == (80, 8)
    assert np.isfinite(search.score(Y))


@pytest.mark.parametrize("options", [FILTER, REGULATOR, FILTER | {"method": "moving-horizon"}])
def test_copies_do_the_same(options):
    model = SparseGainEstimator(**options).fit()
    X = np.random.default_rng(0).standard_normal((20, model.n_features_in_))
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_array_equal(other.transform(X), model.transform(X))
        assert other.gap_ == pytest.approx(model.gap_)
    assert not hasattr(clone(model), "gain_")
    assert clone(model).get_params().keys() == model.get_params().keys()


def test_what_one_kind_of_fit_leaves_the_next_takes_away():
    X = np.random.default_rng(0).standard_normal((20, 5))
    model = SparseGainEstimator(**FILTER).fit(X[:, :4])
    only = {"C_", "filter_", "initial_state_", "loglik_"}
    assert only <= set(vars(model))
    model.set_params(**REGULATOR, C=None).fit(X)
    assert not only & set(vars(model))
    assert model.n_features_in_ == 5


# --- what is refused


def changed(M, place, value):
    M = np.array(M, dtype=float)
    M[place] = value
    return M


INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])

REFUSED = [
    ({"pattern": np.ones((4, 5))}, r"the pattern must have shape \(5, 4\), got \(4, 5\)"),
    ({"pattern": changed(VIEGAS["E"], (2, 1), np.nan)}, r"the pattern is nan at \[2, 1\]"),
    ({"pattern": "diagonal"}, "'diagonal' is neither 'diag' nor 'full'"),
    ({"pattern": "diag"}, "needs n to be a multiple of o"),
    ({"pattern": [{0}, {1}, {2}, {3}, {4}]}, "row 4 of the pattern has the column 4"),
    ({"pattern": Graph(LINE)}, "the 5 rows do not divide into equal shares of the 4 nodes"),
    ({"pattern": Graph(LINE), "state_nodes": list("abcde")}, "state_nodes.4. is 'e', which is no"),
    ({"output_nodes": list("abc")}, "output_nodes has 3 labels, for 4: each output has one"),
    ({"hops": 1}, "the adjacency matrix must be square"),
    ({"hops": 1, "pattern": "diag"}, "hops=1 is for a graph .* the pattern is 'diag'"),
    ({"hops": 2, "pattern": as_pattern("full", (5, 4))}, "the pattern is Pattern"),
    ({"hops": 0, "pattern": 3.0}, "must have two dimensions"),
    ({"hops": -1}, "'hops' parameter"),
    ({"A": changed(VIEGAS["A"], (1, 3), np.nan)}, r"A\[1, 3\] is nan"),
    ({"A": VIEGAS["A"][:, :3]}, r"A must be a square matrix, its shape is \(5, 3\)"),
    ({"C": VIEGAS["C"][:, :3]}, r"C must have shape \(any, 5\), got \(4, 3\)"),
    ({"C": changed(VIEGAS["C"], (0, 2), np.inf)}, r"C\[0, 2\] is inf"),
    ({"Q": changed(VIEGAS["Q"], (1, 4), 50.0)}, r"Q.*\[1, 4\]"),
    ({"Q": np.diag([1.0, 1.0, 1.0, 1.0, -0.5])}, "Q must be positive semidefinite, .* is -0.5"),
    ({"R": np.kron(np.eye(2), INDEFINITE)}, "R must be positive definite, .* is -1"),
    ({"R": np.eye(5)}, r"R must have shape \(4, 4\), got \(5, 5\)"),
    ({"B": np.ones((4, 1))}, r"B must have shape \(5, any\), got \(4, 1\)"),
    ({"S": np.ones((5, 4))}, "S is the cross weight of a regulator"),
    ({"A": None, "Q": None}, "fit without X needs A, C, Q and R: A and Q are missing. Or give X"),
    ({"R": None}, "R is missing"),
    ({"initial_state": [1.0, 2.0]}, r"initial_state must have shape \(1, 5\)"),
    ({"method": "best"}, "'method' parameter"),
    ({"problem": "lqr"}, "'problem' parameter"),
    ({"tol": 2.0}, "'tol' parameter"),
    ({"window": 1, "method": "finite-horizon"}, "at least 2, got 1"),
    ({"window": 2, "method": "finite-horizon"}, "Give a longer window"),
    ({"method": "moving-horizon", "B": np.ones((5, 1))}, "takes no known inputs: leave B out"),
    ({"problem": "regulator", "B": np.ones((5, 4))}, "C is of a filter's outputs"),
    ({"problem": "regulator", "C": None}, "problem='regulator' needs A, B, Q and R: B is missing"),
    ({"problem": "regulator", "C": None, "B": np.ones((5, 4)), "method": "moving-horizon"},
     "makes filters alone; for a regulator take 'steady'"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_a_failed_fit_changes_nothing(options, message):
    Y = np.random.default_rng(0).standard_normal((10, 4))
    model = SparseGainEstimator(**FILTER).fit(Y)
    before, attributes = model.transform(Y), dict(vars(model))
    model.set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit()
    model.set_params(**{name: attributes[name] for name in options})
    assert vars(model).keys() == attributes.keys()
    assert all(vars(model)[name] is value for name, value in attributes.items())
    assert_array_equal(model.transform(Y), before)


def test_modes_that_nobody_sees_are_named():
    A = np.diag([0.5, 1.25, 0.3])
    with pytest.raises(NotDetectableError, match=r"sees the mode 1.25 of A.*largest in state 1"):
        SparseGainEstimator(A, np.eye(3)[::2], np.eye(3), np.eye(2), "full").fit()
    with pytest.raises(
        NotStabilizableError, match=r"reaches the mode 1.25 of A.*largest in state 1"
    ):
        SparseGainEstimator(
            A, None, np.eye(3), np.eye(2), "full", problem="regulator", B=np.eye(3)[:, ::2]
        ).fit()


@pytest.mark.parametrize("method", METHODS)
def test_unstable_gains_are_refused_with_what_to_try(method):
    A = np.array([[1.2, 0.0], [1.0, 0.5]])  # the output sees the first state, which may not use it
    model = SparseGainEstimator(A, [[1.0, 0.0]], np.eye(2), [[1.0]], [[0], [1]], method=method)
    with pytest.raises(UnstableGainError, match=r"[Ww]iden the pattern"):
        model.fit()
    assert not hasattr(model, "gain_")
    assert issubclass(UnstableGainError, GainError)


def test_bad_tables():
    model = SparseGainEstimator(**FILTER)
    Y = np.zeros((3, 4))
    with pytest.raises(NotFittedError):
        model.transform(Y)
    with pytest.raises(NotFittedError):
        _ = model.gap_
    assert not hasattr(model, "centralized_trace_")
    with pytest.raises(ValueError, match="C must have a row for each of the 3 columns of X"):
        model.fit(Y[:, :3])
    with pytest.raises(ValueError, match="infinity"):
        model.fit(np.full((3, 4), np.inf))
    with pytest.raises(ValueError, match="U was given without X"):
        model.fit(U=Y)
    for fitted in (model.fit(Y), clone(model).fit()):
        with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 4 features"):
            fitted.transform(Y[:, :3])
    regulator = SparseGainEstimator(**REGULATOR)
    with pytest.raises(ValueError, match="one column for each of the 5 of A, got 4 columns"):
        regulator.fit(Y)
    with pytest.raises(ValueError, match="contains NaN"):
        regulator.fit(np.full((3, 5), np.nan))
    with pytest.raises(ValueError, match="finds the inputs itself"):
        regulator.fit(np.zeros((3, 5)), U=Y)
    assert not hasattr(regulator, "n_features_in_")


def test_nodes_must_be_told_where_shares_are_not_equal():
    model = SparseGainEstimator(**FILTER).fit()
    with pytest.raises(ValueError, match="5 states and 4 outputs do not make equal shares"):
        model.simulate_network(np.zeros((3, 4)))
    model.set_params(state_nodes=list("aabcd"), output_nodes=list("abcd")).fit()
    assert model.simulate_network(np.zeros((3, 4))).nodes == tuple("abcd")
