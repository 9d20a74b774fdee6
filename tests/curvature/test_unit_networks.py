"""Feed-forward networks of any topology against a plain twin, and what must hold of them."""

import itertools
import json
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.curvature import (
    FeedForwardNetwork,
    HessianOperator,
    UnitNetwork,
)
from lmmfit.optimize import LevenbergMarquardt, minimize

REFERENCE = Path(__file__).parents[1] / "reference"
TWIN = runpy.run_path(str(REFERENCE / "make_unit_cases.py"))
CASES = json.loads((REFERENCE / "dag_cases.json").read_text(encoding="utf-8"))["cases"]
ACTIVATIONS = ("identity", "tanh", "logistic", "relu", "softplus", "gelu")
LOSSES = ("squared_error", "huber", "log_loss", "binary_log_loss", "poisson")
CHAIN = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])


def close(found, wanted, rtol=1e-12):
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=rtol * np.max(np.abs(wanted)))


def draw_problem(net, n=7, seed=0):
    """W, I with inputs on every unit, targets that suit the loss, weights, a direction."""
    rng = np.random.default_rng(seed)
    n_out = len(net.output_units)
    if net.loss == "log_loss":
        D = np.eye(n_out)[rng.integers(n_out, size=n)]
    else:
        D = rng.integers(0, 2, size=(n, n_out)).astype(float)
    W, V = net.unpack(rng.normal(size=(net.n_parameters, 2)) * 0.7).transpose(2, 0, 1)
    weight = rng.integers(0, 4, size=n) / 2.0
    weight[0] = 1.5
    return W, rng.normal(size=(n, net.n_units)), D, weight, V


def case_of(net):
    names = ("connections", "activations", "loss", "huber_delta")
    return {name: getattr(net, name) for name in names} | {"output_units": [*net.output_units]}


def draw_connections(n, density, rng):
    """Connections without cycles, in no order that shows."""
    connections = np.triu(rng.random((n, n)) < density, 1)
    connections[0, n - 1] = True
    shuffled = rng.permutation(n)
    return connections[np.ix_(shuffled, shuffled)], np.argsort(shuffled)[[n - 1, n - 2]]


def networks():
    rng = np.random.default_rng(5)
    for loss in LOSSES:
        connections, outputs = draw_connections(9, 0.6, rng)
        names = rng.choice(ACTIVATIONS, size=9)
        yield UnitNetwork(connections, names, outputs, loss=loss, huber_delta=0.4)
    for name in ACTIVATIONS:
        yield UnitNetwork(np.triu(np.ones((6, 6)), 1), name, [3, 5, 4])
    yield UnitNetwork(CHAIN, "softplus", [1])  # the last unit does not matter
    yield UnitNetwork(CHAIN, "tanh", [0, 2])  # an input is an output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_reference(case):
    net = UnitNetwork(
        case["connections"], case["activations"], case["output_units"], loss=case["loss"]
    )
    state = net.evaluate(case["W"], case["I"], case["D"])
    assert state.value == pytest.approx(case["E"], rel=1e-13)
    close(state.units, case["Y"], rtol=1e-13)
    close(state.gradient, case["grad"], rtol=1e-13)
    close(state.hessian_vector_product(case["V"]), case["Hv"], rtol=1e-13)
    np.testing.assert_array_equal(np.transpose(net.pairs), case["H_order"])
    close(state.hessian(), case["H"], rtol=1e-13)


@pytest.mark.parametrize("net", [*networks()], ids=repr)
def test_as_the_plain_twin(net):
    W, I, D, weight, V = draw_problem(net)
    state, case = net.evaluate(W, I, D, weight), case_of(net)
    value, gradient = TWIN["value_and_gradient"](case, W, I, D, weight)
    assert state.value == pytest.approx(value, rel=1e-13)
    close(state.units, TWIN["outputs"](case, W, I)[0])
    close(state.gradient, gradient)
    close(state.hessian_vector_product(V), TWIN["product"](case, W, V, I, D, weight))


@pytest.mark.parametrize("net", [*networks()], ids=repr)
def test_several_directions_at_once(net):
    W, I, D, weight, _ = draw_problem(net)
    state = net.evaluate(W, I, D, weight)
    V = net.unpack(np.random.default_rng(1).normal(size=(net.n_parameters, 5)))
    for product in (state.hessian_vector_product, state.gauss_newton_vector_product):
        close(product(V), np.stack([product(v) for v in V.transpose(2, 0, 1)], axis=2))
        close(product(V[:, :, :1])[:, :, 0], product(V[:, :, 0]))


@pytest.mark.parametrize("net", [*networks()], ids=repr)
def test_the_gauss_newton_matrix_is_that_of_a_linearised_network(net):
    W, I, D, weight, V = draw_problem(net)
    state, case, h = net.evaluate(W, I, D, weight), case_of(net), 1e-30
    moved = TWIN["outputs"](case, W + 1j * h * V, I)[0].imag / h  # R{y}, nothing of the package
    out = [*net.output_units]
    y = TWIN["outputs"](case, W, I)[0][:, out]
    change = TWIN["loss"](case, y + 1j * h * moved[:, out], D)[1].imag / h
    quadratic = weight @ (moved[:, out] * change).sum(axis=1)
    assert np.sum(V * state.gauss_newton_vector_product(V)) == pytest.approx(quadratic, rel=1e-12)
    G = state.gauss_newton_matrix()
    assert np.linalg.eigvalsh(G)[0] > -1e-12 * np.abs(G).max()
    close(G @ net.pack(V), net.pack(state.gauss_newton_vector_product(V)))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_complete_hessian_by_finite_differences(loss):
    connections, outputs = draw_connections(8, 0.7, np.random.default_rng(3))
    net = UnitNetwork(connections, "tanh", outputs, loss=loss, huber_delta=10.0)
    W, I, D, weight, _ = draw_problem(net)
    objective, theta = net.objective(I, D, weight), net.pack(W)
    state = objective.evaluate(theta)
    H = state.hessian()
    np.testing.assert_array_equal(H, H.T)
    h, ahead, behind = 1e-5, [], []
    for v in np.eye(net.n_parameters):
        ahead.append(objective.evaluate(theta + h * v).gradient)
        behind.append(objective.evaluate(theta - h * v).gradient)
    close(H, (np.array(ahead) - np.array(behind)) / (2 * h), rtol=1e-6)
    close(HessianOperator(state) @ theta, H @ theta)


@given(
    n=st.integers(2, 9),
    density=st.floats(0.1, 1.0),
    loss=st.sampled_from(LOSSES),
    seed=st.integers(0, 10**6),
)
def test_products_are_linear_and_symmetric(n, density, loss, seed):
    rng = np.random.default_rng(seed)
    connections, outputs = draw_connections(n, density, rng)
    net = UnitNetwork(connections, rng.choice(ACTIVATIONS, size=n), outputs, loss=loss)
    W, I, D, weight, U = draw_problem(net, seed=seed)
    V = rng.normal(size=(n, n))
    state = net.evaluate(W, I, D, weight)
    for product in (state.hessian_vector_product, state.gauss_newton_vector_product):
        PU, PV = product(U), product(V)
        assert not PV[~connections].any()
        scale = (np.linalg.norm(PU) + np.linalg.norm(PV)) * (1 + np.linalg.norm(U))
        scale *= 1 + np.linalg.norm(V)
        assert abs(np.sum(U * PV) - np.sum(np.where(connections, V, 0) * PU)) < 1e-12 * scale
        np.testing.assert_allclose(
            product(2 * U - 3 * V), 2 * PU - 3 * PV, rtol=0, atol=1e-12 * scale
        )
    assert np.sum(V * PV) >= -1e-12 * scale


@given(seed=st.integers(0, 10**6))
def test_units_can_be_numbered_in_any_way(seed):
    rng = np.random.default_rng(seed)
    connections, outputs = draw_connections(7, 0.5, rng)
    names = rng.choice(ACTIVATIONS, size=7)
    net = UnitNetwork(connections, names, outputs)
    W, I, D, weight, V = draw_problem(net, seed=seed)
    state = net.evaluate(W, I, D, weight)
    p = rng.permutation(7)
    other = UnitNetwork(connections[np.ix_(p, p)], names[p], np.argsort(p)[outputs])
    moved = other.evaluate(W[np.ix_(p, p)], I[:, p], D, weight)
    assert moved.value == pytest.approx(state.value, rel=1e-12)
    close(moved.units, state.units[:, p])
    HV = moved.hessian_vector_product(V[np.ix_(p, p)])
    wanted = state.hessian_vector_product(V)[np.ix_(p, p)]
    np.testing.assert_allclose(HV, wanted, atol=1e-11 * (1 + np.abs(wanted).max()))


def as_units(net, theta):
    """A layered network as units: inputs, one that is always 1 for the biases, the others."""
    sizes = net.layer_sizes
    n, starts = sum(sizes) + 1, [0, sizes[0] + 1]
    for size in sizes[1:]:
        starts.append(starts[-1] + size)
    W, connections = np.zeros((n, n)), np.zeros((n, n), dtype=bool)
    names = ["identity"] * n
    weights, biases = net.layout.unpack(theta)
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        below = slice(starts[layer], starts[layer] + sizes[layer])
        here = slice(starts[layer + 1], starts[layer + 2])
        W[below, here], W[sizes[0], here] = w, b
        connections[below, here] = connections[sizes[0], here] = True
        if layer < len(net.hidden_activations):
            names[here] = [net.hidden_activations[layer]] * sizes[layer + 1]
    return UnitNetwork(connections, names, range(n - sizes[-1], n), loss=net.loss), W


@pytest.mark.parametrize("loss", LOSSES)
def test_layers_are_a_layered_network(loss):
    layered = FeedForwardNetwork([3, 5, 4, 2], ["tanh", "softplus"], loss=loss)
    rng = np.random.default_rng(0)
    theta, v = rng.normal(size=(2, layered.n_parameters))
    X = rng.normal(size=(2500, 3))  # more than a block of patterns
    Y = np.eye(2)[rng.integers(2, size=2500)]
    weight = rng.uniform(size=2500)
    net, W = as_units(layered, theta)
    V = as_units(layered, v)[1]
    I = np.zeros((2500, net.n_units))
    I[:, :3], I[:, 3] = X, 1.0
    one, two = layered.evaluate(theta, X, Y, weight), net.evaluate(W, I, Y, weight)
    assert two.value == pytest.approx(one.value, rel=1e-12)
    close(two.predictions, one.predictions)
    close(net.predict(W, I), one.predictions)
    close(two.gradient, as_units(layered, one.gradient)[1])
    close(two.hessian_vector_product(V), as_units(layered, one.hessian_vector_product(v))[1])
    wanted = as_units(layered, one.gauss_newton_vector_product(v))[1]
    close(two.gauss_newton_vector_product(V), wanted)


def test_inputs_are_their_external_input():
    I, D = np.array([[0.3, 0.0, 0.0]]), np.array([0.0])
    W = np.array([[0, 2.0, 1.0], [0, 0, 1.0], [0, 0, 0]])
    for name in ACTIVATIONS:  # not sigma(0) more
        net = UnitNetwork(CHAIN, [name, "identity", "identity"], [2])
        assert net.evaluate(W, I, D).units[0] == pytest.approx([0.3, 0.6, 0.9])
    np.testing.assert_array_equal(net.input_units, [0])


def test_a_weight_is_a_repetition():
    net = UnitNetwork(np.triu(np.ones((5, 5)), 1), "gelu", [3, 4], loss="log_loss")
    W, I, D, _, V = draw_problem(net, n=4)
    times = np.array([2, 0, 1, 3])
    weighted = net.evaluate(W, I, D, times)
    repeated = net.evaluate(W, np.repeat(I, times, axis=0), np.repeat(D, times, axis=0))
    assert weighted.value == pytest.approx(repeated.value, rel=1e-13)
    close(weighted.hessian_vector_product(V), repeated.hessian_vector_product(V))


def test_saturated_units_stay_finite():
    for name in ACTIVATIONS:
        net = UnitNetwork(np.triu(np.ones((5, 5)), 1), name, [4])
        W, I, D, _, V = draw_problem(net)
        state = net.evaluate(1e3 * W, I, D)
        for part in (state.gradient, state.hessian_vector_product(V)):
            assert np.isfinite(part).all()


def test_training():
    rng = np.random.default_rng(2)
    connections = np.triu(np.ones((6, 6)), 1)
    connections[:3, :3] = 0
    net = UnitNetwork(connections, ["identity"] * 3 + ["tanh"] * 2 + ["identity"], [5])
    I = np.zeros((200, 6))
    I[:, :2], I[:, 2] = rng.normal(size=(200, 2)), 1.0
    D = net.predict(2 * net.initial_weights(rng), I) + 0.1 * rng.normal(size=(200, 1))
    objective, theta = net.objective(I, D), net.pack(net.initial_weights(rng))
    result = minimize(objective, theta)
    assert result.converged
    assert np.abs(objective.evaluate(result.x).gradient).max() < 1e-8
    assert result.value < 0.5 * 200 * 0.12**2
    near = result.x + 0.02 * rng.normal(size=len(theta))
    other = minimize(objective, near, LevenbergMarquardt(), max_iter=200)
    assert other.value == pytest.approx(result.value, rel=1e-6)


def test_weights_are_packed_row_by_row():
    net = UnitNetwork(CHAIN, "tanh", [2])
    W = np.array([[0, 1.0, 2.0], [0, 0, 3.0], [0, 0, 0]])
    np.testing.assert_array_equal(net.pack(W), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(net.unpack([1.0, 2.0, 3.0]), W)
    assert net.unpack(np.ones((3, 4))).shape == (3, 3, 4)
    assert net.n_parameters == 3
    with pytest.raises(ValueError, match=r"theta must have shape \(3,\) or \(3, k\).*\(4,\)"):
        net.unpack(np.ones(4))
    assert repr(net) == (
        "UnitNetwork(n_units=3, n_parameters=3, output_units=(2,), loss='squared_error')"
    )
    state = pickle.loads(pickle.dumps(net)).evaluate(W, np.ones((2, 3)), [0.0, 1.0])
    assert np.isfinite(state.value)
    with pytest.raises(ValueError, match="read-only"):
        net.connections[0, 0] = True


def test_entries_of_v_without_a_connection_are_ignored():
    net = UnitNetwork(CHAIN, "tanh", [2])
    W, I, D, weight, V = draw_problem(net)
    state = net.evaluate(W, I, D, weight)
    filled = np.where(CHAIN, V, np.nan)
    np.testing.assert_array_equal(
        state.hessian_vector_product(filled), state.hessian_vector_product(V)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(connections=np.ones((2, 3))), r"connections must be a square array.*\(2, 3\)"),
        (dict(connections=[["a"]]), "connections must be a square array"),
        (dict(connections=[[0, 0.5], [0, 0]]), r"connections\[0, 1\] is 0.5: 1 stands"),
        (dict(connections=[[0, np.nan], [0, 0]]), r"connections\[0, 1\] is nan"),
        (dict(connections=np.zeros((3, 3))), "connections has no connection"),
        (dict(connections=np.eye(3)), "form a cycle, 0 -> 0: .*RelaxationNetwork"),
        (dict(activations=["tanh"] * 2), "one for each of the 3 units; got 2"),
        (dict(activations=["tanh", "sine", "tanh"]), r"activations\[1\] is 'sine', none of"),
        (dict(activations="softmax"), r"activations\[0\] is 'softmax'"),
        (dict(output_units=[]), "at least one unit number"),
        (dict(output_units=[1.5]), "unit number"),
        (dict(output_units=[2, 3]), r"output_units\[1\] is 3; the units are 0 to 2"),
        (dict(output_units=[-1]), r"output_units\[0\] is -1"),
        (dict(output_units=[2, 1, 2]), r"output_units\[2\] is 2, which is in the list already"),
        (dict(loss="hinge"), "loss='hinge' is none of"),
        (dict(loss="huber", huber_delta=0.0), "huber_delta must be above 0"),
    ],
)
def test_impossible_networks(change, message):
    arguments = dict(connections=CHAIN, activations="tanh", output_units=[2]) | change
    with pytest.raises(ValueError, match=message):
        UnitNetwork(**arguments)


def test_the_units_of_a_cycle_are_named():
    connections = np.zeros((6, 6))
    for i, j in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 2), (4, 5)):
        connections[i, j] = 1
    with pytest.raises(ValueError, match="a cycle, ") as error:
        UnitNetwork(connections, "tanh", [5])
    named = str(error.value).split("a cycle, ")[1].split(":")[0].split(" -> ")
    assert named[0] == named[-1]
    assert sorted(named[1:]) == ["2", "3", "4"]
    for source, destination in itertools.pairwise(named):
        assert connections[int(source), int(destination)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(W=np.zeros((2, 3))), r"W must have shape \(3, 3\) for 3 units.*\(2, 3\)"),
        (dict(W=np.where(CHAIN, np.nan, 0)), r"W\[0, 1\] is nan"),
        (dict(W=CHAIN.T), r"W\[1, 0\] is 1, but connections has none from unit 1.*transposed"),
        (dict(I=np.zeros((4, 1))), r"I must have shape \(n, 3\)"),
        (dict(I=np.full((4, 3), np.inf)), r"I\[0, 0\] is inf"),
        (dict(I=np.zeros((0, 3)), D=np.zeros(0)), "I has no rows"),
        (dict(I=np.full((4, 3), "a")), "I must hold numbers"),
        (dict(D=np.zeros(5)), r"D must have shape \(4, 1\)"),
        (dict(D=np.array([0, 0, np.nan, 0])), r"D\[2, 0\] is nan"),
        (dict(sample_weight=[1, 1, -2, 1]), "sample_weight is negative in row 2: -2"),
        (dict(sample_weight=[1, 1]), r"sample_weight must have shape \(4, 1\)"),
    ],
)
def test_impossible_data(change, message):
    net = UnitNetwork(CHAIN, "tanh", [2])
    data = dict(W=1.0 * CHAIN, I=np.zeros((4, 3)), D=np.zeros(4)) | change
    with pytest.raises(ValueError, match=message):
        net.evaluate(**data)


def test_targets_that_a_loss_has_no_value_for():
    net = UnitNetwork(CHAIN, "tanh", [1, 2], loss="poisson")
    with pytest.raises(ValueError, match="row 1 of column 1 of D has -1"):
        net.objective(np.zeros((2, 3)), [[1.0, 0.0], [2.0, -1.0]])


def test_vectors_of_a_wrong_shape():
    net = UnitNetwork(CHAIN, "tanh", [2])
    objective = net.objective(np.zeros((4, 3)), np.zeros(4))
    state = objective.evaluate(np.zeros(3))
    with pytest.raises(ValueError, match=r"v must have shape \(3,\) or \(3, k\)"):
        state.hessian_vector_product(np.zeros(4))
    with pytest.raises(ValueError, match=r"V must have shape \(3, 3\) or \(3, 3, k\)"):
        state.unit_state.hessian_vector_product(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"theta must have shape \(3,\)"):
        objective.evaluate(np.zeros(2))
