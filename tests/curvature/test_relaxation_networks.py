"""Networks with cycles: fixed points and their derivatives against a plain twin."""

import json
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.curvature import HessianOperator, RelaxationNetwork, UnitNetwork
from lmmfit.curvature import _fixed_points as fixed_points
from lmmfit.optimize import minimize

REFERENCE = Path(__file__).parents[1] / "reference"
TWIN = runpy.run_path(str(REFERENCE / "make_unit_cases.py"))
CASES = {
    case["name"]: case
    for name in ("recurrent_cases", "dag_cases")
    for case in json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))["cases"]
}
ACTIVATIONS = ("identity", "tanh", "logistic", "relu", "softplus", "gelu")
LOSSES = ("squared_error", "huber", "log_loss", "binary_log_loss", "poisson")


def close(found, wanted, rtol=1e-12):
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=rtol * np.max(np.abs(wanted)))


def network_of(case, **options):
    names = ("connections", "activations", "output_units")
    return RelaxationNetwork(*(case[name] for name in names), loss=case["loss"], **options)


def draw_problem(net, n=5, seed=0, scale=1.6):
    """Weights with which relaxing contracts; inputs on every unit; a direction."""
    rng = np.random.default_rng(seed)
    n_out = len(net.output_units)
    if net.loss == "log_loss":
        D = np.eye(n_out)[rng.integers(n_out, size=n)]
    else:
        D = rng.integers(0, 2, size=(n, n_out)).astype(float)
    weight = rng.integers(0, 4, size=n) / 2.0
    weight[0] = 1.5
    W = scale * net.initial_weights(rng)
    return W, rng.normal(size=(n, net.n_units)), D, weight, rng.normal(size=W.shape)


def case_of(net):
    names = ("connections", "activations", "loss", "huber_delta")
    return {name: getattr(net, name) for name in names} | {"output_units": [*net.output_units]}


def networks():
    rng = np.random.default_rng(5)
    for loss in LOSSES:
        connections = rng.random((7, 7)) < 0.5
        connections[:, 2] = False  # an input
        connections[0, 6] = True
        names = rng.choice(ACTIVATIONS, size=7)
        yield RelaxationNetwork(connections, names, [6, 1, 4], loss=loss, huber_delta=0.4)
    for name in ACTIVATIONS:
        yield RelaxationNetwork(np.ones((5, 5)), name, [3, 4])
    # NumPy 2.4.6 negates wrongly in place at strides of eight numbers, and softplus negates.
    yield RelaxationNetwork(np.ones((8, 8)), ["softplus", *["tanh"] * 6, "gelu"], [7])
    yield RelaxationNetwork([[1, 0], [0, 0]], "softplus", [1, 0])  # an input is an output


@pytest.mark.parametrize(("method", "rtol"), [("solve", 1e-13), ("relax", 1e-12)])
@pytest.mark.parametrize("name", CASES)
def test_reference(name, method, rtol):
    case = CASES[name]
    state = network_of(case, method=method).evaluate(case["W"], case["I"], case["D"])
    assert state.value == pytest.approx(case["E"], rel=rtol)
    close(state.units, case.get("Y_fixed_point", case.get("Y")), rtol)
    close(state.gradient, case["grad"], rtol)
    close(state.hessian_vector_product(case["V"]), case["Hv"], rtol)
    assert state.converged.all()
    assert state.is_stable.all()
    if "H" in case:
        close(state.hessian(), case["H"], rtol)


@pytest.mark.parametrize("method", ["solve", "relax"])
@pytest.mark.parametrize("net", [*networks()], ids=repr)
def test_as_the_plain_twin(net, method):
    case = case_of(net)
    net = network_of(case, huber_delta=net.huber_delta, method=method, tol=1e-14)
    W, I, D, weight, V = draw_problem(net)
    V *= net.connections
    state = net.evaluate(W, I, D, weight)
    value, gradient = TWIN["value_and_gradient"](case, W, I, D, weight)
    assert state.value == pytest.approx(value, rel=1e-12)
    close(state.units, TWIN["outputs"](case, W, I)[0])
    close(net.predict(W, I), state.predictions)
    close(state.gradient, gradient)
    close(state.hessian_vector_product(V), TWIN["product"](case, W, V, I, D, weight), 1e-11)


@pytest.mark.parametrize("method", ["solve", "relax"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_network_without_cycles_is_a_unit_network(loss, method):
    rng = np.random.default_rng(1)
    connections = np.triu(rng.random((8, 8)) < 0.7, 1)
    names = rng.choice(ACTIVATIONS, size=8)
    feed = UnitNetwork(connections, names, [7, 5], loss=loss)
    net = RelaxationNetwork(connections, names, [7, 5], loss=loss, method=method)
    _, I, D, weight, V = draw_problem(net)
    W = feed.initial_weights(rng)
    one, two = feed.evaluate(W, I, D, weight), net.evaluate(W, I, D, weight)
    assert two.value == pytest.approx(one.value, rel=1e-13)
    close(two.gradient, one.gradient)
    close(two.hessian_vector_product(V), one.hessian_vector_product(V))
    close(two.gauss_newton_vector_product(V), one.gauss_newton_vector_product(V))
    assert two.n_iter <= 9  # a move for each level


def literal(case, W, V, I, D):
    """Equations 10 and 11 as they are printed: e, e' R{y} outside of what sigma' multiplies."""
    y, slope = TWIN["outputs"](case, W, I)
    bend = -2 * y_inner(y, I) * slope
    out = case["output_units"]
    e, curvature = np.zeros_like(y), np.zeros(len(W))
    e[:, out], curvature[out] = y[:, out] - D, 1.0
    repeat = TWIN["repeat"]
    z = repeat(lambda z: slope * (z @ W.T) + e, np.zeros_like(e))
    ry = repeat(lambda ry: slope * (ry @ W + y @ V), np.zeros_like(e))
    rx = ry @ W + y @ V
    rz = repeat(
        lambda rz: slope * (z @ V.T + rz @ W.T) + bend * rx * (z @ W.T) + curvature * ry,
        np.zeros_like(e),
    )
    return y.T @ z, y.T @ rz + ry.T @ z


def y_inner(y, I):
    """Responses of units: outputs without what is added from outside."""
    return y - I


def test_the_printed_equations_are_right_for_linear_outputs_alone():
    case = CASES["rec_tanh_nonlinear_outputs"]
    W, V, I, D = (np.array(case[name]) for name in "WVID")
    gradient, product = literal(case, W, V, I, D)
    error = np.abs(gradient - case["grad"]).max()
    assert error == pytest.approx(case["check"]["literal_grad_err"], rel=1e-10)
    error = np.abs(product - case["Hv"]).max()
    assert error == pytest.approx(case["check"]["literal_Hv_err"], rel=1e-10)
    assert error > 6
    state = network_of(case).evaluate(W, I, D)
    assert np.abs(state.gradient - case["grad"]).max() < 2e-15
    assert np.abs(state.hessian_vector_product(V) - case["Hv"]).max() < 2e-14


@pytest.mark.parametrize("loss", LOSSES)
def test_the_complete_hessian_by_finite_differences(loss):
    names = ["tanh", "logistic", "softplus", "gelu", "tanh", "identity"]
    net = RelaxationNetwork(np.ones((6, 6)), names, [4, 5], loss=loss, huber_delta=10.0)
    W, I, D, weight, _ = draw_problem(net)
    objective, theta = net.objective(I, D, weight), net.pack(W)
    state = objective.evaluate(theta)
    H = state.hessian()
    np.testing.assert_array_equal(H, H.T)
    h = 1e-5
    differences = [
        objective.evaluate(theta + h * v).gradient - objective.evaluate(theta - h * v).gradient
        for v in np.eye(len(theta))
    ]
    close(H, np.array(differences) / (2 * h), rtol=1e-6)
    close(HessianOperator(state) @ theta, H @ theta)


@given(n=st.integers(1, 7), loss=st.sampled_from(LOSSES), seed=st.integers(0, 10**6))
def test_products_are_linear_and_symmetric(n, loss, seed):
    rng = np.random.default_rng(seed)
    connections = rng.random((n, n)) < 0.6
    connections[0, n - 1] = True
    outputs = rng.permutation(n)[: rng.integers(1, n + 1)]
    net = RelaxationNetwork(connections, rng.choice(ACTIVATIONS, size=n), outputs, loss=loss)
    W, I, D, weight, U = draw_problem(net, seed=seed)
    V = rng.normal(size=(n, n))
    state = net.evaluate(W, I, D, weight)
    U, V = U * connections, V * connections
    for product in (state.hessian_vector_product, state.gauss_newton_vector_product):
        PU, PV = product(U), product(V)
        scale = (np.linalg.norm(PU) + np.linalg.norm(PV)) * (1 + np.linalg.norm(U))
        scale *= 1 + np.linalg.norm(V)
        assert abs(np.sum(U * PV) - np.sum(V * PU)) <= 1e-11 * scale
        both = product(np.stack([U, 2 * U - 3 * V], axis=2))
        np.testing.assert_allclose(both[:, :, 0], PU, rtol=0, atol=1e-12 * scale)
        np.testing.assert_allclose(both[:, :, 1], 2 * PU - 3 * PV, rtol=0, atol=1e-11 * scale)
    assert np.sum(V * PV) >= -1e-12 * scale


@given(scale=st.floats(0.0, 1.0), seed=st.integers(0, 10**6))
def test_initial_weights_contract(scale, seed):
    rng = np.random.default_rng(seed)
    net = RelaxationNetwork(np.ones((6, 6)), rng.choice(ACTIVATIONS, size=6), [5])
    W, I, D, _, _ = draw_problem(net, seed=seed, scale=scale)
    assert np.linalg.norm(W, 2) <= 0.5 + 1e-12
    start = 10 * rng.normal(size=I.shape)
    one, two = net.evaluate(W, I, D), net.evaluate(W, I, D, start=start)
    assert one.is_stable.all()
    close(two.units, one.units)
    close(net.predict(W, I, start), one.predictions)


def test_the_gauss_newton_matrix():
    net = RelaxationNetwork(np.ones((5, 5)), "tanh", [3, 4], loss="log_loss")
    W, I, D, weight, V = draw_problem(net)
    state, case, h = net.evaluate(W, I, D, weight), case_of(net), 1e-30
    moved = TWIN["outputs"](case, W + 1j * h * V, I)[0].imag[:, 3:] / h
    y = TWIN["outputs"](case, W, I)[0][:, 3:]
    change = TWIN["loss"](case, y + 1j * h * moved, D)[1].imag / h
    quadratic = weight @ (moved * change).sum(axis=1)
    assert np.sum(V * state.gauss_newton_vector_product(V)) == pytest.approx(quadratic, rel=1e-11)
    G = state.gauss_newton_matrix()
    assert np.linalg.eigvalsh(G)[0] > -1e-12 * np.abs(G).max()


@pytest.mark.parametrize("method", ["solve", "relax"])
def test_many_blocks_of_patterns(method, monkeypatch):
    net = RelaxationNetwork(np.ones((6, 6)), "tanh", [4, 5], method=method)
    W, I, D, weight, V = draw_problem(net, n=23)
    whole = net.evaluate(W, I, D, weight)
    monkeypatch.setattr(RelaxationNetwork, "rows_of_a_block", 5)
    monkeypatch.setattr(fixed_points, "_KEPT", 0)  # inverses are made anew for each product
    parts = net.evaluate(W, I, D, weight)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    close(parts.units, whole.units)
    close(parts.gradient, whole.gradient)
    close(parts.hessian_vector_product(V), whole.hessian_vector_product(V))
    assert parts.converged.shape == parts.residuals.shape == parts.is_stable.shape == (23,)
    wanted = {"y", "newton"} if method == "solve" else {"y", "z", "R{y}", "R{z}"}
    assert set(parts.iterations) == wanted
    assert parts.n_iter == parts.iterations["y"] > 1


@pytest.mark.parametrize("method", ["solve", "relax"])
def test_a_smaller_step_takes_longer_and_goes_to_the_same_place(method):
    found = []
    for step in (1.0, 0.3):
        net = RelaxationNetwork(np.ones((5, 5)), "tanh", [4], method=method, step=step)
        W, I, D, weight, V = draw_problem(net)
        found.append(net.evaluate(W, I, D, weight))
    close(found[1].units, found[0].units)
    close(found[1].hessian_vector_product(V), found[0].hessian_vector_product(V), rtol=1e-11)
    assert found[1].n_iter > 2 * found[0].n_iter


def test_several_fixed_points():
    net = RelaxationNetwork([[1]], "tanh", [0])
    W, I, D = [[2.0]], [[0.0]], [0.0]
    high = net.evaluate(W, I, D, start=[[0.5]])
    low = net.evaluate(W, I, D, start=[[-0.5]])
    middle = net.evaluate(W, I, D)
    assert high.units[0, 0] == pytest.approx(np.tanh(2 * high.units[0, 0]), rel=1e-14)
    assert high.units[0, 0] == -low.units[0, 0] > 0.9
    assert middle.units[0, 0] == 0.0
    assert (high.is_stable, low.is_stable, middle.is_stable) == ([True], [True], [False])


def test_fixed_points_that_relaxing_does_not_reach():
    net = RelaxationNetwork([[1]], "identity", [0], max_iter=50)
    state = net.evaluate([[3.0]], [[1.0], [2.0]], [0.0, 0.0])  # y = 3 y + I
    np.testing.assert_allclose(state.units, [[-0.5], [-1.0]], rtol=1e-15)
    assert state.converged.all()
    assert not state.is_stable.any()
    overshoot = RelaxationNetwork([[1]], "tanh", [0], max_iter=50)
    state = overshoot.evaluate([[-3.0]], [[1.0]], [0.0])  # a cycle of two; small steps settle
    assert state.converged.all()
    assert state.is_stable.all()
    assert state.units[0, 0] == pytest.approx(1 + np.tanh(-3 * state.units[0, 0]), rel=1e-14)


@pytest.mark.parametrize(
    ("W", "message"),
    [
        (-3.0, r"within tol=1e-13 for 2 of 3 patterns; the largest residuals: [12] \("),
        (3.0, r"for 2 of 3 patterns; .*Try a smaller step than 1.*max_iter=40"),
    ],
)
def test_a_fixed_point_that_was_not_reached(W, message):
    activation = "tanh" if W < 0 else "identity"
    net = RelaxationNetwork([[1]], activation, [0], method="relax", max_iter=40)
    I, D = [[0.0], [1.0], [0.5]], np.zeros(3)
    with pytest.warns(RuntimeWarning, match=message):
        state = net.evaluate([[W]], I, D)
    assert state.converged.tolist() == [True, False, False]
    assert (state.residuals[1:] > 1e-3).all()
    if W < 0:
        calm = RelaxationNetwork([[1]], "tanh", [0], method="relax", step=0.3)
        assert calm.evaluate([[W]], I, D).converged.all()


def test_relaxing_that_runs_away_is_not_converged():
    net = RelaxationNetwork([[1]], "identity", [0], method="relax")
    with pytest.warns(RuntimeWarning, match="no fixed point"):
        state = net.evaluate([[30.0]], [[1.0]], [0.0])
    assert not state.converged.any()
    assert not np.isfinite(state.value)
    assert not state.is_stable.any() or np.isfinite(state.units).all()


def test_derivatives_that_have_not_settled():
    net = RelaxationNetwork([[1]], "tanh", [0], method="relax", max_iter=40)
    state = net.evaluate([[0.9]], [[0.0]], [1.0])  # the output is at its fixed point at once
    assert state.converged.all()
    with pytest.warns(RuntimeWarning, match=r"z has not settled .* after max_iter=40 moves"):
        state.gradient  # noqa: B018


@pytest.mark.parametrize("derivative", ["gradient", "hessian_vector_product"])
def test_a_fixed_point_without_a_derivative(derivative):
    net = RelaxationNetwork([[1]], "tanh", [0])
    W = [[1.0]] if derivative == "gradient" else [[1 - 1e-17]]
    state = net.evaluate(W, [[0.5], [0.0]], [0.0, 0.0])
    with pytest.raises(np.linalg.LinAlgError, match="pattern 1 have no derivative"):
        state.gradient, state.hessian_vector_product([[1.0]])


def test_weights_that_are_not_numbers_have_no_value():
    net = RelaxationNetwork([[1]], "tanh", [0])
    objective = net.objective([[0.5]], [0.0])
    with pytest.warns(RuntimeWarning, match="no fixed point"):
        assert np.isnan(objective.evaluate([np.nan]).value)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_training(loss):
    rng = np.random.default_rng(4)
    net = RelaxationNetwork(np.ones((5, 5)), "tanh", [3, 4], loss=loss)
    I = np.zeros((40, 5))
    I[:, :2], I[:, 2] = rng.normal(size=(40, 2)), 1.0
    D = net.predict(2 * net.initial_weights(rng), I)
    objective, theta = net.objective(I, D), net.pack(net.initial_weights(rng))
    before = objective.evaluate(theta)
    result = minimize(objective, theta, max_iter=30, tol=1e-4)
    after = objective.evaluate(result.x)
    assert after.value < before.value
    assert np.abs(after.gradient).max() < 0.01 * np.abs(before.gradient).max()
    assert after.unit_state.converged.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(method="guess"), "method='guess' is neither 'solve' nor 'relax'"),
        (dict(step=0.0), "step must be above 0 and at most 1, got 0.0"),
        (dict(step=np.nan), "step must be above 0"),
        (dict(tol=0.0), "tol must be between 0 and 1, got 0.0"),
        (dict(max_iter=0), "max_iter must be a whole number above 0, got 0"),
        (dict(max_iter=1.5), "max_iter must be a whole number"),
        (dict(activations="sine"), r"activations\[0\] is 'sine'"),
        (dict(output_units=[2]), r"output_units\[0\] is 2; the units are 0 to 1"),
        (dict(output_units=[1, 1]), "which is in the list already"),
    ],
)
def test_impossible_networks(change, message):
    arguments = dict(connections=np.ones((2, 2)), activations="tanh", output_units=[1]) | change
    with pytest.raises(ValueError, match=message):
        RelaxationNetwork(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(W=[[0.0, 0.1], [0.1, 0.0]]), r"W\[1, 0\] is 0.1, but connections has none"),
        (dict(W=[[0.0, np.inf], [0.0, 0.0]]), r"W\[0, 1\] is inf"),
        (dict(I=np.zeros((3, 1))), r"I must have shape \(n, 2\)"),
        (dict(D=[0.0, np.nan, 0.0]), r"D\[1, 0\] is nan"),
        (dict(start=np.zeros((2, 2))), r"start must have shape \(3, 2\)"),
        (dict(start=np.full((3, 2), np.nan)), r"start\[0, 0\] is nan"),
    ],
)
def test_impossible_data(change, message):
    net = RelaxationNetwork([[1, 1], [0, 1]], "tanh", [1])
    data = dict(W=np.zeros((2, 2)), I=np.zeros((3, 2)), D=np.zeros(3)) | change
    with pytest.raises(ValueError, match=message):
        net.evaluate(**data)


def test_pickles():
    net = RelaxationNetwork(np.ones((3, 3)), "tanh", [2], method="relax", step=0.5)
    other = pickle.loads(pickle.dumps(net))
    W, I, D, weight, _ = draw_problem(net)
    assert other.evaluate(W, I, D, weight).value == net.evaluate(W, I, D, weight).value
    assert repr(other) == repr(net)
