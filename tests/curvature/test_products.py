"""Derivatives of networks against a plain twin, and what must hold of any of them."""

import itertools
import multiprocessing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.curvature import (
    FeedForwardNetwork,
    finite_difference_product,
    gauss_newton_vector_product,
    hessian_vector_product,
)

ACTIVATIONS = ("identity", "tanh", "logistic", "relu", "softplus", "gelu")
LOSSES = ("squared_error", "huber", "log_loss", "binary_log_loss", "poisson")


def close(found, wanted, rtol=1e-11):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=rtol * np.max(np.abs(wanted)))


def networks():
    for activation, loss in itertools.product(ACTIVATIONS, LOSSES):
        yield FeedForwardNetwork([3, 5, 4, 3], activation, loss=loss, alpha=0.3)
    for output in (*ACTIVATIONS, "exp"):
        for loss in ("squared_error", "huber"):
            yield FeedForwardNetwork([2, 4, 2], "tanh", output, loss, huber_delta=0.7)
    yield FeedForwardNetwork([4, 3])
    yield FeedForwardNetwork([4, 3], loss="log_loss", alpha=0.5, penalise_biases=True)
    yield FeedForwardNetwork([1, 2, 3, 4, 1], ["gelu", "relu", "softplus"])


@pytest.mark.parametrize("net", [*networks()], ids=repr)
def test_as_the_plain_twin(net, plain, make_problem):
    X, Y, weight, theta, v = make_problem(net)
    state, twin = net.evaluate(theta, X, Y, weight), plain(net)
    value, gradient = twin.value_and_gradient(theta, X, Y, weight)
    assert state.value == pytest.approx(value, rel=1e-13)
    close(state.gradient, gradient)
    close(state.hessian_vector_product(v), twin.product(theta, v, X, Y, weight))


@pytest.mark.parametrize("net", [*networks()], ids=repr)
def test_several_vectors_at_once(net, make_problem):
    X, Y, weight, theta, _ = make_problem(net)
    state = net.evaluate(theta, X, Y, weight)
    V = np.random.default_rng(1).normal(size=(net.n_parameters, 7))
    for product in (state.hessian_vector_product, state.gauss_newton_vector_product):
        close(product(V), np.column_stack([product(v) for v in V.T]))
        close(product(V[:, :1])[:, 0], product(V[:, 0]))


@pytest.mark.parametrize("net", [*networks()], ids=repr)
def test_the_gauss_newton_matrix_is_positive_semidefinite(net, make_problem):
    X, Y, weight, theta, v = make_problem(net)
    state = net.evaluate(theta, X, Y, weight)
    G = state.gauss_newton_matrix()
    close(G @ v, state.gauss_newton_vector_product(v))
    lowest = np.linalg.eigvalsh(G)[0]
    assert lowest > -1e-12 * np.abs(G).max()


@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    activation=st.sampled_from(ACTIVATIONS),
    loss=st.sampled_from(LOSSES),
    n=st.integers(1, 12),
    seed=st.integers(0, 10**6),
)
def test_products_are_linear_and_symmetric(sizes, activation, loss, n, seed):
    net = FeedForwardNetwork(sizes, activation, loss=loss, alpha=0.1)
    rng = np.random.default_rng(seed)
    X, theta = rng.normal(size=(n, sizes[0])), rng.normal(size=net.n_parameters)
    Y = rng.integers(0, 2, size=(n, sizes[-1])).astype(float)
    state = net.evaluate(theta, X, Y)
    u, v = rng.normal(size=(2, net.n_parameters))
    H, G = state.hessian_vector_product, state.gauss_newton_vector_product
    for product in (H, G):
        Pu, Pv = product(u), product(v)
        scale = np.linalg.norm(Pu) + np.linalg.norm(Pv) + 1e-300
        assert abs(u @ Pv - v @ Pu) < 1e-12 * scale * np.linalg.norm(u) * np.linalg.norm(v)
        close(product(2 * u - 3 * v), 2 * Pu - 3 * Pv, rtol=1e-11)
    assert v @ G(v) >= -1e-12 * scale * np.linalg.norm(v)


@pytest.mark.parametrize("loss", LOSSES)
def test_unit_vectors_give_the_columns_of_the_hessian(loss, make_problem):
    net = FeedForwardNetwork([3, 4, 2], "tanh", loss=loss)
    X, Y, weight, theta, _ = make_problem(net)
    state = net.evaluate(theta, X, Y, weight)
    H = state.hessian()
    for j, e in enumerate(np.eye(net.n_parameters)):
        close(state.hessian_vector_product(e), H[:, j], rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_is_a_repetition(loss, make_problem):
    net = FeedForwardNetwork([3, 4, 2], "gelu", loss=loss, alpha=0.2)
    X, Y, _, theta, v = make_problem(net)
    times = np.array([0, 1, 2, 3, 1, 0, 2, 1, 5])
    weighted = net.evaluate(theta, X, Y, times)
    repeated = net.evaluate(theta, np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0))
    assert weighted.value == pytest.approx(repeated.value, rel=1e-13)
    close(weighted.gradient, repeated.gradient)
    for name in ("hessian_vector_product", "gauss_newton_vector_product"):
        close(getattr(weighted, name)(v), getattr(repeated, name)(v))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_value_is_the_primitive_of_its_gradient(loss, make_problem):
    # Averaging the loss over outputs, but not the gradient, is a known mistake elsewhere.
    net = FeedForwardNetwork([3, 4, 5], "tanh", loss=loss, alpha=0.7)
    X, Y, weight, theta, _ = make_problem(net)
    gradient = net.evaluate(theta, X, Y, weight).gradient
    h = 1e-5
    for j in range(0, net.n_parameters, 7):
        step = h * np.eye(net.n_parameters)[j]
        ahead, behind = (net.evaluate(theta + s, X, Y, weight).value for s in (step, -step))
        assert (ahead - behind) / (2 * h) == pytest.approx(gradient[j], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [30.0, 3e3])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "binary_log_loss"])
@pytest.mark.parametrize("activation", ["tanh", "logistic", "softplus", "gelu"])
def test_saturated_units_stay_finite(activation, loss, scale, dtype, make_problem):
    net = FeedForwardNetwork([3, 6, 6, 2], activation, loss=loss)
    X, Y, _, theta, v = make_problem(net)
    theta, X = (scale * theta).astype(dtype), X.astype(dtype)
    state = net.evaluate(theta, X, Y)
    results = (
        state.value,
        state.gradient,
        state.hessian_vector_product(v),
        state.gauss_newton_vector_product(v),
    )
    assert all(np.isfinite(part).all() for part in results)


def test_logistic_outputs_far_out_are_exact(make_problem):
    net = FeedForwardNetwork([1, 1], loss="binary_log_loss")
    state = net.evaluate([1.0, 0.0], [[-800.0], [800.0], [40.0]], [0.0, 1.0, 0.0])
    assert state.value == pytest.approx(40.0, rel=1e-15)
    np.testing.assert_array_equal(state.predictions[:2, 0], [0.0, 1.0])
    assert state.gradient == pytest.approx([40.0, 1.0])


def test_single_precision_is_close(make_problem):
    net = FeedForwardNetwork([8, 16, 12, 3], "tanh", loss="log_loss", alpha=0.1)
    X, Y, weight, theta, v = make_problem(net, n=200)
    theta *= 0.5
    double = net.evaluate(theta, X, Y, weight)
    single = net.evaluate(theta.astype("f4"), X.astype("f4"), Y, weight)
    assert single.gradient.dtype == single.hessian_vector_product(v).dtype == np.float32
    close(single.gradient, double.gradient, rtol=1e-5)
    close(single.hessian_vector_product(v), double.hessian_vector_product(v), rtol=1e-5)


def test_mixed_precision_shares_value_and_gradient(make_problem):
    net = FeedForwardNetwork([20, 40, 3], "softplus", loss="log_loss")
    X, Y, weight, theta, v = make_problem(net, n=900)
    state = net.evaluate(0.3 * theta, X, Y, weight)
    single = state.single_precision()
    assert single is not state
    assert single.value == state.value
    np.testing.assert_array_equal(single.gradient, state.gradient)
    close(single.hessian_vector_product(v), state.hessian_vector_product(v), rtol=1e-5)
    small = net.evaluate(theta, X[:5], Y[:5])
    assert small.single_precision() is small  # nothing would be saved


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_many_blocks_and_any_number_of_threads(loss, plain, make_problem, monkeypatch):
    net = FeedForwardNetwork([40, 50, 3], "tanh", loss=loss, alpha=0.1)
    X, Y, weight, theta, v = make_problem(net, n=3001)
    theta *= 0.2
    found = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        state = net.evaluate(theta, X, Y, weight)
        found.append((
            state.value,
            state.gradient,
            state.hessian_vector_product(v),
            state.gauss_newton_vector_product(np.column_stack([v, -v, 2 * v])),
            state.gauss_newton_matrix(),
        ))  # fmt: skip
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    twin = plain(net)
    value, gradient = twin.value_and_gradient(theta, X, Y, weight)
    assert found[0][0] == pytest.approx(value, rel=1e-12)
    close(found[0][1], gradient)
    close(found[0][2], twin.product(theta, v, X, Y, weight))
    close(found[0][4] @ v, found[0][3][:, 0])


def test_states_do_not_share_memory_that_matters(make_problem):
    net = FeedForwardNetwork([3, 4, 2], "tanh")
    X, Y, weight, theta, v = make_problem(net)
    objective = net.objective(X, Y, weight)
    first = objective.evaluate(theta)
    wanted, outputs = first.hessian_vector_product(v), first.predictions
    before = outputs.copy()
    second = objective.evaluate(-theta)
    second.hessian_vector_product(v)
    np.testing.assert_array_equal(first.hessian_vector_product(v), wanted)
    del first, second
    objective.evaluate(2 * theta).gradient  # noqa: B018  (takes over the memory)
    np.testing.assert_array_equal(outputs, before)


def test_jacobian_transpose_product(make_problem):
    for output in ("identity", "tanh", "gelu"):
        net = FeedForwardNetwork([3, 4, 2], "gelu", output, alpha=0.4)
        X, Y, weight, theta, _ = make_problem(net)
        state = net.evaluate(theta, X, Y, weight)
        root, residuals = state.gauss_newton_root()
        assert 0.5 * residuals @ residuals == pytest.approx(
            state.value - 0.5 * (state.penalty * theta) @ theta
        )
        u = np.random.default_rng(3).normal(size=residuals.size)
        close(state.jacobian_transpose_product(u), root.T @ u)
        h = 1e-6
        ahead = net.evaluate(theta + h * np.eye(len(theta))[1], X, Y, weight).residuals
        np.testing.assert_allclose((ahead - residuals) / h, root[:, 1], atol=1e-4)


def test_finite_differences_lose_half_the_digits(make_problem):
    net = FeedForwardNetwork([5, 8, 2], "tanh", loss="log_loss")
    X, Y, weight, theta, v = make_problem(net, n=50)
    errors = {}
    for dtype in (np.float64, np.float32):
        objective = net.objective(X, Y, weight, dtype=dtype)
        exact = net.evaluate(theta, X, Y, weight).hessian_vector_product(v)
        steps = 10.0 ** np.arange(-7, 0)
        differences = [
            finite_difference_product(objective, theta.astype(dtype), v, step=s) for s in steps
        ]
        size = np.linalg.norm(exact)
        errors[dtype] = (
            min(np.linalg.norm(d - exact) for d in differences) / size,
            np.linalg.norm(hessian_vector_product(objective, theta, v) - exact) / size,
        )
    assert errors[np.float64][0] > 1e-10
    assert errors[np.float64][1] < 1e-14
    assert errors[np.float32][0] > 1e-4
    assert errors[np.float32][1] < 1e-6


def test_products_in_one_call(make_problem):
    net = FeedForwardNetwork([3, 4, 2], "tanh")
    X, Y, weight, theta, v = make_problem(net)
    objective, state = net.objective(X, Y, weight), net.evaluate(theta, X, Y, weight)
    wanted = state.hessian_vector_product(v), state.gauss_newton_vector_product(v)
    np.testing.assert_array_equal(hessian_vector_product(objective, theta, v), wanted[0])
    np.testing.assert_array_equal(gauss_newton_vector_product(objective, theta, v), wanted[1])


def test_a_share_of_the_data_has_its_share_of_the_penalty(make_problem):
    net = FeedForwardNetwork([3, 4, 2], "tanh", alpha=0.8)
    X, Y, weight, theta, _ = make_problem(net, n=12)
    objective = net.objective(X, Y, weight)
    rows = np.array_split(np.arange(12), 3)
    parts = [objective.share(part) for part in rows]
    total = sum(part.evaluate(theta).value for part, _ in parts)
    assert total == pytest.approx(objective.evaluate(theta).value)
    for part, scale in parts:
        assert scale == pytest.approx(objective.total_weight / part.total_weight)


def _product_in_a_child(objective, theta, v):
    return objective.evaluate(theta).hessian_vector_product(v)


def test_a_forked_child_has_its_own_threads(make_problem, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    net = FeedForwardNetwork([40, 50, 3], "tanh")
    X, Y, weight, theta, v = make_problem(net, n=3000)
    objective = net.objective(X, Y, weight)
    wanted = objective.evaluate(theta).hessian_vector_product(v)  # starts threads here
    with multiprocessing.get_context("fork").Pool(1) as pool:
        task = pool.apply_async(_product_in_a_child, (objective, theta, v))
        np.testing.assert_array_equal(task.get(timeout=60), wanted)
