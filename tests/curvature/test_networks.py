"""Networks as objects: layout, predictions, scaling, errors, operators."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh

from lmmfit.curvature import (
    FeedForwardNetwork,
    HessianOperator,
    NetworkLayout,
    Scaling,
    finite_difference_product,
    merge_rows,
)


def test_layout_packs_and_unpacks():
    layout = NetworkLayout((3, 2, 4))
    theta = np.arange(float(layout.n_parameters))
    weights, biases = layout.unpack(theta)
    assert [W.shape for W in weights] == [(3, 2), (2, 4)]
    np.testing.assert_array_equal(layout.pack(weights, biases), theta)
    assert layout.is_weight.sum() == 3 * 2 + 2 * 4
    assert layout.describe(0) == "weight 0 -> 0 of layer 1"
    assert layout.describe(5) == "weight 2 -> 1 of layer 1"
    assert layout.describe(7) == "bias 1 of layer 1"
    assert layout.describe(8 + 6) == "weight 1 -> 2 of layer 2"
    assert layout.describe(19) == "bias 3 of layer 2"
    with pytest.raises(IndexError, match="parameter 20"):
        layout.describe(20)


def test_predictions():
    net = FeedForwardNetwork([2, 3], loss="log_loss")
    theta = np.zeros(9)
    X = np.ones((5, 2))
    np.testing.assert_allclose(net.predict(theta, X), 1 / 3)
    np.testing.assert_allclose(net.evaluate(theta, X, np.eye(3)[[0] * 5]).predictions, 1 / 3)
    many = np.random.default_rng(0).normal(size=(40_000, 2))
    theta = np.random.default_rng(1).normal(size=9)
    z = many @ theta[:6].reshape(2, 3) + theta[6:]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict(theta, many), p, rtol=1e-12)


def test_read_only_and_strided_arrays_are_taken():
    net = FeedForwardNetwork([2, 3, 1], "tanh")
    rng = np.random.default_rng(0)
    X, Y, theta = rng.normal(size=(20, 2)), rng.normal(size=20), rng.normal(size=13)
    wanted = net.evaluate(theta, X, Y).hessian_vector_product(theta)
    frozen = X.copy()
    frozen.flags.writeable = False
    wide = np.empty((20, 4))
    wide[:, ::2] = X
    for other in (frozen, np.asfortranarray(X), wide[:, ::2], X.tolist()):
        found = net.evaluate(theta, other, Y).hessian_vector_product(theta)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(layer_sizes=[3]), "at least two layers"),
        (dict(layer_sizes=[3, 0, 1], hidden_activations="tanh"), r"at least 1; got \(3, 0, 1\)"),
        (dict(layer_sizes=[3, 4, 1]), "leaves 1 for hidden layers, and hidden_activations has 0"),
        (dict(layer_sizes=[3, 4, 1], hidden_activations="sine"), "'sine' is none of identity"),
        (dict(layer_sizes=[3, 1], loss="hinge"), "loss='hinge' is none of"),
        (dict(layer_sizes=[3, 1], output_activation="sine"), "output_activation='sine'"),
        (
            dict(layer_sizes=[3, 2], loss="log_loss", output_activation="tanh"),
            "belongs to output_activation='softmax', got 'tanh'",
        ),
        (dict(layer_sizes=[3, 1], alpha=-1.0), "alpha must be finite and at least 0, got -1.0"),
        (dict(layer_sizes=[3, 1], alpha=np.nan), "alpha must be finite"),
        (dict(layer_sizes=[3, 1], loss="huber", huber_delta=0.0), "huber_delta must be above 0"),
    ],
)
def test_impossible_networks(arguments, message):
    with pytest.raises(ValueError, match=message):
        FeedForwardNetwork(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(theta=np.zeros(12)), r"theta must have shape \(13,\).*got \(12,\)"),
        (dict(theta=np.where(np.arange(13) == 7, np.nan, 0.0)), r"theta\[7\], bias 1 of layer 1"),
        (dict(X=np.zeros((4, 3))), r"X must have shape \(n, 2\)"),
        (dict(X=np.zeros((0, 2)), Y=np.zeros(0)), "X has no rows"),
        (dict(X=np.array([["a", "b"]] * 4)), "X must hold numbers"),
        (dict(X=np.array([[0, 0], [0, np.inf], [0, 0], [0, 0]])), "X is inf in row 1 of column 1"),
        (dict(Y=np.zeros(5)), r"Y must have shape \(4, 1\)"),
        (dict(Y=np.zeros((4, 2))), r"Y must have shape \(4, 1\)"),
        (dict(Y=np.array([0, 0, np.nan, 0])), "Y is nan in row 2"),
        (dict(sample_weight=[1, 1, -2, 1]), "sample_weight is negative in row 2: -2"),
        (dict(sample_weight=[1, 1]), "sample_weight must have shape"),
    ],
)
def test_impossible_data(change, message):
    net = FeedForwardNetwork([2, 3, 1], "tanh")
    data = dict(theta=np.zeros(13), X=np.zeros((4, 2)), Y=np.zeros(4)) | change
    with pytest.raises(ValueError, match=message):
        net.evaluate(**data)


@pytest.mark.parametrize(
    ("loss", "Y", "message"),
    [
        ("poisson", [[1.0, 0.0], [2.0, -1.0]], "counts of at least 0: row 1 of column 1.*-1"),
        ("log_loss", [[1.0, 0.0], [-1.0, 2.0]], "row 1 of column 0"),
        ("binary_log_loss", [[1.0, 0.0], [1.0, 2.0]], "1 or 0.*row 1 of column 1 of Y has 2"),
    ],
)
def test_targets_that_a_loss_has_no_value_for(loss, Y, message):
    net = FeedForwardNetwork([1, 2], loss=loss)
    with pytest.raises(ValueError, match=message):
        net.objective([[0.0], [1.0]], Y)


def test_vectors_of_a_wrong_shape():
    net = FeedForwardNetwork([2, 1])
    state = net.evaluate(np.zeros(3), np.zeros((4, 2)), np.zeros(4))
    for v in (np.zeros(4), np.zeros((2, 3)), np.zeros((3, 1, 1)), 1.0):
        with pytest.raises(ValueError, match=r"v must have shape \(3,\) or \(3, k\)"):
            state.hessian_vector_product(v)
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        net.objective(np.zeros((4, 2)), np.zeros(4), dtype=np.float16)
    with pytest.raises(ValueError, match="v is zero"):
        finite_difference_product(state.objective, np.zeros(3), np.zeros(3))


def test_operator_is_scipys():
    net = FeedForwardNetwork([3, 5, 2], "tanh", loss="log_loss", alpha=0.1)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 3)), np.eye(2)[rng.integers(2, size=30)]
    state = net.evaluate(rng.normal(size=net.n_parameters), X, Y)
    H = HessianOperator(state)
    dense = state.hessian()
    np.testing.assert_allclose(H @ np.eye(len(dense)), dense, atol=1e-12)
    np.testing.assert_allclose(H.T @ dense[0], dense @ dense[0], atol=1e-11)
    np.testing.assert_allclose((2 * H).matvec(dense[:, :1]), 2 * dense @ dense[:, :1], atol=1e-11)
    top = eigsh(H, k=2, which="LA", return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(top), np.linalg.eigvalsh(dense)[-2:], rtol=1e-9)
    G = H.gauss_newton
    np.testing.assert_allclose(G @ dense[0], state.gauss_newton_matrix() @ dense[0], atol=1e-11)
    with pytest.raises(ValueError, match="curvature='fisher'"):
        HessianOperator(state, "fisher")


def test_objectives_pickle():
    net = FeedForwardNetwork([2, 3, 1], "tanh", alpha=0.3)
    rng = np.random.default_rng(0)
    objective = net.objective(rng.normal(size=(9, 2)), rng.normal(size=9))
    theta = rng.normal(size=13)
    objective.evaluate(theta)
    copy = pickle.loads(pickle.dumps(objective))
    assert copy.evaluate(theta).value == objective.evaluate(theta).value
    assert copy.network == net


def test_scaling_is_folded_into_the_parameters():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(100.0, 5.0, size=(50, 3)), rng.normal(-7.0, 0.2, size=(50, 2))
    X[:, 1] = 4.0  # constant: keeps its scale
    weight = rng.integers(0, 3, size=50).astype(float)
    scaling = Scaling.of(X, Y, weight, targets=True)
    np.testing.assert_allclose(
        np.average(scaling.inputs(X), axis=0, weights=weight), 0, atol=1e-12
    )
    np.testing.assert_allclose(
        np.average(scaling.targets(Y) ** 2, axis=0, weights=weight), 1, rtol=1e-12
    )
    assert scaling.x_scale[1] == 1.0
    net = FeedForwardNetwork([3, 4, 2], "tanh")
    theta = rng.normal(size=net.n_parameters)
    inside = net.predict(theta, scaling.inputs(X)) * scaling.y_scale + scaling.y_mean
    np.testing.assert_allclose(net.predict(scaling.fold(net.layout, theta), X), inside, rtol=1e-11)
    flat = FeedForwardNetwork([3, 2])  # one layer is both first and last
    theta = rng.normal(size=flat.n_parameters)
    inside = flat.predict(theta, scaling.inputs(X)) * scaling.y_scale + scaling.y_mean
    np.testing.assert_allclose(
        flat.predict(scaling.fold(flat.layout, theta), X), inside, rtol=1e-11
    )
    none = Scaling.none(3, 2)
    np.testing.assert_array_equal(none.fold(flat.layout, theta), theta)


@given(st.integers(0, 10**6))
def test_rows_are_merged_whatever_their_order(seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, size=(20, 2)).astype(float)
    X[rng.random(X.shape) < 0.3] *= -1  # some of them -0.0
    Y, weight = rng.integers(0, 2, size=(20, 1)).astype(float), rng.integers(0, 4, size=20)
    repeated = np.repeat(np.arange(20), weight)
    shuffled = rng.permutation(repeated)
    ones = np.ones(len(repeated))
    wanted = merge_rows(X, Y, weight.astype(float))
    for rows in (repeated, shuffled):
        for found, expected in zip(merge_rows(X[rows], Y[rows], ones), wanted, strict=True):
            np.testing.assert_array_equal(found, expected)
    assert wanted[2].sum() == weight.sum()
