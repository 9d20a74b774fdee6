"""Random networks and power grids: structure, recipe, physics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.sparse import issparse
from scipy.sparse.csgraph import connected_components

from lmmfit.datasets import make_power_grid, make_random_network
from lmmfit.gains import one_step_gain, spectral_radius


@given(
    st.integers(1, 30), st.integers(1, 3), st.integers(0, 5), st.integers(0, 7),
    st.integers(0, 2**32 - 1), st.booleans(),
)  # fmt: skip
def test_recipe_of_random_networks(n_nodes, n_states, max_neighbors, reach, seed, sparse):
    found = make_random_network(
        n_nodes, n_states=n_states, n_outputs=1 + seed % n_states, max_neighbors=max_neighbors,
        reach=reach, random_state=seed, sparse=sparse,
    )  # fmt: skip
    A, C, Q, R, graph, pattern = (
        found[k].toarray() if sparse else found[k]
        for k in ("A", "C", "Q", "R", "graph", "pattern")
    )
    assert all(issparse(found[k]) == sparse for k in ("A", "C", "Q", "R", "graph", "pattern"))
    near = np.subtract.outer(np.arange(n_nodes), np.arange(n_nodes))
    assert (np.abs(near)[graph] <= reach).all()
    assert not graph.diagonal().any()
    most = np.minimum(max_neighbors, (np.abs(near) <= reach).sum(axis=1) - 1)
    degrees = graph.sum(axis=1)
    assert (degrees <= most).all()
    assert (degrees >= np.minimum(most, 1)).all()
    # Of blocks: those of the graph and the diagonal.
    to_nodes = np.kron(np.eye(n_nodes), np.ones((1, n_states)))
    blocks = (to_nodes @ (A != 0) @ to_nodes.T) > 0
    np.testing.assert_array_equal(blocks, graph | np.eye(n_nodes, dtype=bool))
    own = np.kron(np.eye(n_nodes), np.ones((n_states, n_states))) > 0
    assert np.abs((A - 0.8 * np.eye(len(A)))[own]).max() <= 0.15
    assert np.abs(A[~own]).max(initial=0.0) <= 0.2
    assert np.abs(C).max() <= 1.0
    np.testing.assert_array_equal((C != 0).T, pattern)
    np.testing.assert_allclose(Q, 0.5 * A @ A.T, atol=1e-14)
    np.testing.assert_allclose(R, 0.5 * C @ C.T, atol=1e-14)
    np.testing.assert_array_equal(found.state_nodes, np.repeat(np.arange(n_nodes), n_states))
    nodes = found.state_nodes[:, None] == found.output_nodes
    np.testing.assert_array_equal(pattern, nodes)


def test_random_networks_repeat_and_scale():
    first, again, other = (make_random_network(60, random_state=s) for s in (1, 1, 2))
    assert (first.A != again.A).nnz == 0
    assert (first.C != again.C).nnz == 0
    assert (first.A != other.A).nnz > 0
    scaled = make_random_network(60, spectral_radius=0.9, random_state=1)
    assert spectral_radius(scaled.A) == pytest.approx(0.9, rel=1e-9)
    np.testing.assert_allclose(scaled.Q.toarray(), 0.5 * (scaled.A @ scaled.A.T).toarray())
    assert (scaled.graph != first.graph).nnz == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_nodes": 0}, ValueError, "n_nodes == 0"),
        ({"n_nodes": 2.5}, TypeError, "n_nodes"),
        ({"n_outputs": 3}, ValueError, "n_outputs == 3, must be <= 2"),
        ({"max_neighbors": -1}, ValueError, "max_neighbors"),
        ({"spectral_radius": 0.0}, ValueError, "spectral_radius"),
    ],
)
def test_what_random_networks_refuse(arguments, error, message):
    with pytest.raises(error, match=message):
        make_random_network(**arguments)


@pytest.mark.parametrize(("n_buses", "seed"), [(2, 0), (3, 1), (20, 2), (40, 3)])
def test_power_grids_are_swing_equations(n_buses, seed):
    grid = make_power_grid(n_buses, drop=0.0, random_state=seed, sparse=False)
    A, N = grid.A_continuous, n_buses
    graph = grid.graph
    assert connected_components(graph)[0] == 1
    np.testing.assert_array_equal(graph, graph.T)
    assert (graph.sum(axis=1) >= min(2, N - 1)).all()
    angles, speeds = slice(0, 2 * N, 2), slice(1, 2 * N, 2)
    np.testing.assert_array_equal(A[angles, angles], 0.0)
    np.testing.assert_array_equal(A[angles, speeds], np.eye(N))
    np.testing.assert_array_equal(A[speeds, speeds], -0.5 * np.eye(N))
    forces = A[speeds, angles]
    np.testing.assert_allclose(forces.sum(axis=1), 0.0, atol=1e-10)
    np.testing.assert_array_equal(forces - np.diag(np.diag(forces)) > 0, graph)
    M = 1.0 / grid.B_continuous[1::2].diagonal()
    np.testing.assert_allclose(M[:, None] * forces, (M[:, None] * forces).T, rtol=1e-12)
    assert ((M >= 6.0 / (100 * np.pi)) & (M <= 12.0 / (100 * np.pi))).all()
    np.testing.assert_allclose(grid.A, expm(0.02 * A), atol=1e-12)
    together = np.tile([1.0, 0.0], N)
    np.testing.assert_allclose(grid.A @ together, together, atol=1e-12)
    assert spectral_radius(grid.A) == pytest.approx(1.0, abs=1e-6)


def test_outputs_of_power_grids():
    grid = make_power_grid(12, phasor_share=0.25, random_state=0)
    assert len(grid.phasors) == 3
    C = grid.C.toarray()
    for row, node, name in zip(C, grid.output_nodes, grid.output_names, strict=True):
        (column,) = np.flatnonzero(row)
        assert grid.state_names[column] == name
        assert grid.state_nodes[column] == node
    angles = [name for name in grid.output_names if name.startswith("angle")]
    assert angles == [f"angle{i}" for i in grid.phasors]
    variances = np.where([name.startswith("angle") for name in grid.output_names], 25e-6, 0.0)
    np.testing.assert_allclose(grid.R.diagonal()[variances > 0], 25e-6)
    assert len(make_power_grid(4, phasor_share=0.0, random_state=0).phasors) == 1


def test_what_is_dropped_hardly_matters():
    exact = make_power_grid(60, drop=0.0, random_state=0, sparse=False)
    near = make_power_grid(60, random_state=0)
    assert near.A.nnz < 0.25 * exact.A.size
    np.testing.assert_allclose(near.Q.toarray(), exact.Q, atol=1e-8 * exact.Q.max())
    second = np.linalg.matrix_power(near.A.toarray(), 50)
    expected = np.linalg.matrix_power(exact.A, 50)
    assert np.linalg.norm(second - expected) < 1e-6 * np.linalg.norm(expected)
    lines_alone = make_power_grid(60, drop=1e-3, random_state=0)
    to_buses = np.kron(np.eye(60), np.ones((1, 2)))
    heard = (to_buses @ (lines_alone.A.toarray() != 0) @ to_buses.T) > 0
    assert not (heard & ~(lines_alone.graph.toarray() | np.eye(60, dtype=bool))).any()
    together = np.tile([1.0, 0.0], 60)
    np.testing.assert_allclose(lines_alone.A @ together, together, atol=1e-12)


def test_a_gain_of_own_measurements_holds_a_power_grid():
    grid = make_power_grid(15, random_state=0)
    found = one_step_gain(grid.A, grid.C, grid.Q, grid.R, grid.pattern)
    assert found.spectral_radius < 1.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_buses": 1}, ValueError, "n_buses == 1"),
        ({"dt": 0.0}, ValueError, "dt == 0"),
        ({"inertia": (3.0, -1.0)}, ValueError, r"inertia\[1\]"),
        ({"phasor_share": 2.0}, ValueError, "phasor_share"),
        ({"drop": "all"}, TypeError, "drop"),
    ],
)
def test_what_power_grids_refuse(arguments, error, message):
    with pytest.raises(error, match=message):
        make_power_grid(**{"n_buses": 5, **arguments})
