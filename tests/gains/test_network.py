"""Filters that run as communicating nodes: the same numbers, and nothing that was not sent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from lmmfit.datasets import make_power_grid, make_random_network, make_tank_network
from lmmfit.gains import (
    constant_gain_filter,
    filter_with_gain,
    filter_with_gains,
    one_step_gain,
    plan_network,
    simulate_network,
)
from lmmfit.gains._run_kernels import _work
from lmmfit.gains.fixed_gain import compressed_rows

KINDS = {"estimates": "A", "predictions": "C", "innovations": "K"}


class Agent:
    """A node in plain Python: it is built from a Node alone, and has an inbox."""

    def __init__(self, node, start):
        self.node, self.inbox = node, {}
        self.prediction = start

    def desk(self, kind, own):
        """Own values, then what lies in the inbox; NaN where nothing came."""
        node, desk = self.node, np.full(len(self.node.holds[kind]), np.nan)
        desk[: len(own)] = own
        for sender, elements in node.receives[kind].items():
            values = self.inbox.pop((kind, sender))
            desk[np.searchsorted(node.holds[kind][len(own) :], elements) + len(own)] = values
        return desk


def by_hand(plan, Y, U, start):
    """The filter as agents that send each other dicts; messages are counted."""
    agents = {label: Agent(plan.node(label), None) for label in plan.nodes}
    for agent in agents.values():
        agent.prediction = start[agent.node.states]
    states, outputs = np.empty((len(Y), len(plan.state_nodes))), np.empty(Y.shape)
    sent = []

    def mail(kind, values_of):
        for agent in agents.values():
            for sender, elements in agent.node.receives[kind].items():
                source = agents[sender]
                own = source.node.outputs if kind == "innovations" else source.node.states
                values = values_of(source)[np.searchsorted(own, elements)]
                agent.inbox[kind, sender] = values
                key = plan.nodes.index(sender), plan.nodes.index(agent.node.label)
                counts[key] = counts.get(key, 0) + np.count_nonzero(~np.isnan(values))

    for t, y in enumerate(Y):
        counts = {}
        mail("predictions", lambda agent: agent.prediction)
        for agent in agents.values():
            node = agent.node
            outputs[t, node.outputs] = node.C @ agent.desk("predictions", agent.prediction)
            agent.error = y[node.outputs] - outputs[t, node.outputs]
        mail("innovations", lambda agent: agent.error)
        for agent in agents.values():
            errors = np.nan_to_num(agent.desk("innovations", agent.error))
            agent.estimate = agent.prediction + agent.node.K @ errors
            states[t, agent.node.states] = agent.estimate
        mail("estimates", lambda agent: agent.estimate)
        for agent in agents.values():
            agent.prediction = agent.node.A @ agent.desk("estimates", agent.estimate)
            agent.prediction = agent.prediction + agent.node.B @ U[t]
        sent.append([counts.get(tuple(link), 0) for link in plan.links.tolist()])
    return states, outputs, np.array(sent).reshape(len(Y), len(plan.links))


def a_network(n, o, k, nodes, seed):
    """Sparse matrices, and labels in any order, of which some may have no state or output."""
    rng = np.random.default_rng(seed)
    A, C, K, B = (
        csr_array(random_array(shape, density=0.4, rng=rng))
        for shape in ((n, n), (o, n), (n, o), (n, k))
    )
    labels = [f"node {i}" for i in range(nodes)]
    state_nodes, output_nodes = rng.choice(labels, n).tolist(), rng.choice(labels, o).tolist()
    Y, U = rng.standard_normal((5, o)), rng.standard_normal((5, k))
    Y[rng.random(Y.shape) < 0.2] = np.nan
    return (0.5 * A, C, 0.5 * K, B), state_nodes, output_nodes, Y, U, rng.standard_normal(n)


@given(
    st.integers(1, 8), st.integers(1, 6), st.integers(1, 3), st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_networks_equal_the_central_run_and_agents_by_hand(n, o, k, nodes, seed):
    (A, C, K, B), state_nodes, output_nodes, Y, U, start = a_network(n, o, k, nodes, seed)
    plan = plan_network(A, C, K, B=B, state_nodes=state_nodes, output_nodes=output_nodes)
    run = simulate_network(plan, Y, U, start=start)
    dense = (M.toarray() for M in (A, C, K))
    central = filter_with_gains(*dense, Y, U, B.toarray(), start)
    np.testing.assert_allclose(run.states, central.states, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(run.outputs, central.outputs, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(run.end.mean, central.end.mean, rtol=0.0, atol=1e-12)
    states, outputs, sent = by_hand(plan, Y, U, start)
    np.testing.assert_allclose(run.states, states, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(run.outputs, outputs, rtol=0.0, atol=1e-12)
    np.testing.assert_array_equal(run.messages, sent)
    complete = simulate_network(plan, np.zeros_like(Y), U)
    np.testing.assert_array_equal(complete.messages, np.tile(plan.sizes.sum(axis=1), (5, 1)))


@given(
    st.integers(1, 8), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_plans_send_what_is_needed_and_no_more(n, o, nodes, seed):
    (A, C, K, _), state_nodes, output_nodes, *_ = a_network(n, o, 1, nodes, seed)
    plan = plan_network(A, C, K, state_nodes=state_nodes, output_nodes=output_nodes)
    assert set(plan.nodes) == {*state_nodes, *output_nodes}
    matrices = {"estimates": A, "predictions": C, "innovations": K}
    owners = {"estimates": state_nodes, "predictions": state_nodes, "innovations": output_nodes}
    total = 0
    for label in plan.nodes:
        node = plan.node(label)
        own = {
            "estimates": np.flatnonzero([name == label for name in state_nodes]),
            "innovations": np.flatnonzero([name == label for name in output_nodes]),
        }
        own["predictions"] = own["estimates"]
        np.testing.assert_array_equal(node.states, own["estimates"])
        np.testing.assert_array_equal(node.outputs, own["innovations"])
        for kind, M in matrices.items():
            rows = M.toarray()[node.outputs if kind == "predictions" else node.states]
            needed = np.flatnonzero((rows != 0).any(axis=0))
            received = np.setdiff1d(needed, own[kind])
            np.testing.assert_array_equal(node.holds[kind], np.concatenate([own[kind], received]))
            block = getattr(node, KINDS[kind]).toarray()
            np.testing.assert_array_equal(block, rows[:, node.holds[kind]])
            heard = [j for elements in node.receives[kind].values() for j in elements]
            np.testing.assert_array_equal(np.sort(heard), received)
            for sender, elements in node.receives[kind].items():
                assert sender != label
                assert all(owners[kind][j] == sender for j in elements)
            total += len(received)
    assert plan.sizes.sum() == total
    assert (plan.sizes.sum(axis=1) > 0).all()
    assert len(np.unique(plan.links, axis=0)) == len(plan.links)


def test_a_node_reads_its_own_desk_alone():
    net = make_random_network(30, random_state=0)
    plan = plan_network(net.A, net.C, 0.1 * net.pattern.astype(float))
    rng = np.random.default_rng(0)
    for kind in KINDS:
        part = plan._exchanges[kind]
        local, full = compressed_rows(part.local), rng.standard_normal(part.desks[-1])
        expected = np.empty(len(part.rows))
        for node in range(30):
            _work(node, local, part.shares, part.desks, full, expected)
        assert np.isfinite(expected).all()
        for node in range(30):
            desk = np.full_like(full, np.nan)  # what others know is unreadable
            mine = slice(part.desks[node], part.desks[node + 1])
            desk[mine] = full[mine]
            found = np.full_like(expected, np.nan)
            _work(node, local, part.shares, part.desks, desk, found)
            rows = slice(part.shares[node], part.shares[node + 1])
            np.testing.assert_array_equal(found[rows], expected[rows])
            assert np.isnan(found).sum() == len(found) - (rows.stop - rows.start)


def test_what_no_one_hears_of_changes_no_one_else():
    tanks = make_tank_network(8)
    system = (tanks.A, tanks.C, 0.2 * tanks.pattern.astype(float))
    Y = np.random.default_rng(0).standard_normal((20, 8))
    usual = simulate_network(system, Y).states
    Y[:, 0] = 1e6  # a lower tank, of which no other needs to know
    np.testing.assert_array_equal(simulate_network(system, Y).states[:, 1:], usual[:, 1:])
    Y[:, 4] = np.nan  # the tank above it
    changed = simulate_network(system, Y).states
    kept = [1, 2, 3, 5, 6, 7]
    np.testing.assert_array_equal(changed[:, kept], usual[:, kept])


EXAMPLES = {
    "tanks": lambda: make_tank_network(40),
    "random": lambda: make_random_network(50, spectral_radius=0.95, random_state=0),
    "grid": lambda: make_power_grid(12, random_state=0, drop=1e-3),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_equal_the_central_run(name):
    net = EXAMPLES[name]()
    K = one_step_gain(net.A, net.C, net.Q, net.R, net.pattern).K
    system = constant_gain_filter(net.A, net.C, net.Q, net.R, K)
    o = net.C.shape[0]
    Y = np.random.default_rng(0).standard_normal((60, o))
    Y[::7, ::3] = np.nan
    central = filter_with_gain(system, Y)
    run = simulate_network(
        system, Y, state_nodes=net.state_nodes, output_nodes=net.output_nodes
    )  # fmt: skip
    size = np.abs(central.states).max()
    np.testing.assert_allclose(run.states, central.states, rtol=0.0, atol=1e-12 * size)
    np.testing.assert_allclose(run.outputs, central.outputs, rtol=0.0, atol=1e-12 * size)
    assert run.messages.shape == (60, len(run.links))
    if name == "tanks":  # a lower tank must hear from the one above it, and that is all
        np.testing.assert_array_equal(run.links, [[i + 20, i] for i in range(20)])
    if name == "random":
        np.testing.assert_array_equal(run.messages, 2)
        links = sorted(zip(*net.graph.nonzero(), strict=True))
        assert sorted((i, j) for j, i in run.links.tolist()) == links


def test_patterns_of_neighbours_cost_innovations():
    line = np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1)
    plan = plan_network(0.9 * np.eye(6), np.eye(6), 0.2 * line)
    np.testing.assert_array_equal(plan.sizes, np.tile([0, 0, 1], (10, 1)))
    Y = np.zeros((3, 6))
    Y[1, 2] = np.nan
    run = simulate_network(plan, Y)
    silent = (run.links[:, 0] == 2) & (np.arange(3)[:, None] == 1)
    np.testing.assert_array_equal(run.messages, np.where(silent, 0, 1))
    assert simulate_network(plan, Y, count_messages=False).messages is None


def test_runs_go_on_where_they_ended():
    (A, C, K, B), state_nodes, output_nodes, Y, U, start = a_network(7, 5, 2, 3, 0)
    plan = plan_network(A, C, K, B=B, state_nodes=state_nodes, output_nodes=output_nodes)
    whole = simulate_network(plan, Y, U, start=start)
    first = simulate_network(plan, Y[:2], U[:2], start=start)
    second = simulate_network((A, C, K, B), Y[2:], U[2:], plan=plan, start=first.end)
    np.testing.assert_array_equal(np.concatenate([first.states, second.states]), whole.states)
    np.testing.assert_array_equal(second.end.mean, whole.end.mean)
    assert second.end.n_rows == 5


def test_explicit_zeros_are_not_sent():
    A = csr_array(([0.5, 0.0, 0.5], ([0, 0, 1], [0, 1, 1])), shape=(2, 2))
    plan = plan_network(A, np.eye(2), 0.5 * np.eye(2))
    assert len(plan.links) == 0
    assert A.nnz == 3
    assert simulate_network(plan, np.ones((2, 2))).messages.shape == (2, 0)


def test_a_thousand_nodes():
    net = make_random_network(1000, spectral_radius=0.95, random_state=0)
    K = 0.1 * net.pattern.astype(float)
    plan = plan_network(net.A, net.C, K)
    run = simulate_network(plan, np.ones((100, 1000)))
    assert run.messages.sum() == 100 * 2 * net.graph.nnz


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"A": np.ones((3, 2))}, "A must be a square matrix"),
        ({"A": [[np.nan, 0.0], [0.0, 1.0]]}, r"A\[0, 0\] is nan"),
        ({"C": np.ones((2, 3))}, r"C must have shape \(any, 2\)"),
        ({"K": np.ones((2, 3))}, r"K must have shape \(2, 2\), got \(2, 3\)"),
        ({"B": np.ones((3, 1))}, r"B must have shape \(2, any\)"),
        ({"state_nodes": [0, 1]}, "state_nodes was given without output_nodes"),
        ({"output_nodes": [0, 1]}, "output_nodes was given without state_nodes"),
        (
            {"state_nodes": [0], "output_nodes": [0, 1]},
            "state_nodes has 1 labels, the system 2 states",
        ),
        (
            {"state_nodes": [0, 1], "output_nodes": [0, 1, 2]},
            "output_nodes has 3 labels, the system 2 outputs",
        ),
    ],
)
def test_what_plans_refuse(arguments, message):
    eye = np.eye(2)
    with pytest.raises(ValueError, match=message):
        plan_network(**{"A": eye, "C": eye, "K": eye, **arguments})


def test_shares_that_are_not_equal_are_refused():
    with pytest.raises(ValueError, match="5 states and 4 outputs do not make equal shares"):
        plan_network(np.eye(5), np.ones((4, 5)), np.ones((5, 4)))
    plan = plan_network(np.eye(4), np.eye(4)[::2], np.eye(4)[:, ::2])
    assert plan.nodes == (0, 1)
    with pytest.raises(ValueError, match="there is no node 'west'"):
        plan.node("west")


def test_what_runs_refuse():
    eye, Y = np.eye(2), np.ones((3, 2))
    plan = plan_network(eye, eye, 0.5 * eye)
    with pytest.raises(ValueError, match=r"the tuple \(A, C, K\).*got 2 matrices"):
        simulate_network((eye, eye), Y)
    with pytest.raises(ValueError, match="the plan was made for another K"):
        simulate_network((eye, eye, 0.4 * eye), Y, plan=plan)
    with pytest.raises(ValueError, match="leave state_nodes, output_nodes out"):
        simulate_network(plan, Y, state_nodes=[0, 1])
    with pytest.raises(ValueError, match="Y must have one column for each of 2 outputs"):
        simulate_network(plan, np.ones((3, 3)))
    with pytest.raises(ValueError, match="U was given, but the system has no B"):
        simulate_network(plan, Y, np.ones((3, 1)))
    with pytest.raises(ValueError, match="start must have one element for each of 2 states"):
        simulate_network(plan, Y, start=np.ones(1))
