"""A filter run by the nodes of a network, which speak with each other by mail alone."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from scipy.sparse import csr_array

from lmmfit.gains._run_kernels import run_nodes
from lmmfit.gains.fixed_gain import GainFilter, compressed_rows
from lmmfit.gains.gain_series import GainState, as_start
from lmmfit.gains.network_plan import NetworkPlan, plan_network
from lmmfit.riccati.kalman import as_inputs, as_outputs

__all__ = ["NetworkRun", "simulate_network"]


@dataclass(frozen=True, eq=False)
class NetworkRun:
    """What the nodes of a network found, and what it cost them in messages.

    Attributes
    ----------
    states : ndarray of shape (T, n)
        x[t|t], each element by the node that owns it.
    outputs : ndarray of shape (T, o)
        C x[t|t-1].
    messages : ndarray of shape (T, L) or None
        Numbers that each link carried in each row. An innovation that is missing is not sent.
    links : intp array of shape (L, 2)
        Numbers of the nodes (from, to).
    nodes : tuple
        Labels.
    end : GainState
        From which a run goes on.

    Examples
    --------
    >>> from lmmfit.gains import simulate_network
    >>> A, C, K = [[0.5, 0.5], [0.0, 0.5]], [[1, 0], [0, 1]], [[0.5, 0], [0, 0.5]]
    >>> run = simulate_network((A, C, K), [[4.0, 8.0], [2.0, 2.0]])
    >>> run.states, run.messages, run.links
    (array([[2. , 4. ],
           [2.5, 2. ]]), array([[1],
           [1]], dtype=int32), array([[1, 0]]))
    """

    states: np.ndarray = field(repr=False)
    outputs: np.ndarray = field(repr=False)
    messages: np.ndarray | None = field(repr=False)
    links: np.ndarray = field(repr=False)
    nodes: tuple = field(repr=False)
    end: GainState = field(repr=False)


def simulate_network(
    system, Y, U=None, *, plan=None, state_nodes=None, output_nodes=None, start=None,
    count_messages=True,
):  # fmt: skip
    """Run a filter as communicating nodes: the same numbers as in one place.

    A node computes with what lies on its own desk: its rows of the matrices, its outputs, and
    what was sent to it. See :func:`plan_network` for what is sent. The result differs from that of
    :func:`filter_with_gain` by rounding at most.

    Parameters
    ----------
    system : GainFilter, NetworkPlan, or tuple
        A tuple is (A, C, K) or (A, C, K, B).
    Y : array-like of shape (T, o)
        Rows are time; NaN is missing.
    U : array-like of shape (T, k), optional
        Known inputs; needed if the system has any.
    plan : NetworkPlan, optional
        Of this very system; made here by default.
    state_nodes, output_nodes : sequence, optional
        Node of each state and output, for :func:`plan_network`.
    start : GainState or array-like of shape (n,), optional
        Prediction of the first row's state; zero by default.
    count_messages : bool, default=True
        Whether numbers sent are counted.

    Returns
    -------
    NetworkRun

    Raises
    ------
    ValueError
        If a shape is wrong, an element infinite, or the plan is that of another system.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import constant_gain_filter, filter_with_gain, simulate_network
    >>> A = np.array([[0.9, 0.2], [0.1, 0.8]])
    >>> system = constant_gain_filter(A, np.eye(2), np.eye(2), np.eye(2), 0.6 * np.eye(2))
    >>> Y = np.random.default_rng(0).standard_normal((50, 2))
    >>> run, central = simulate_network(system, Y), filter_with_gain(system, Y)
    >>> bool(np.allclose(run.states, central.states, rtol=0.0, atol=1e-12))
    True
    """
    plan = _plan_for(system, plan, state_nodes, output_nodes)
    shapes = SimpleNamespace(C=plan.output_nodes, B=plan.B)
    Y = as_outputs(shapes, Y)
    U = as_inputs(shapes, U, len(Y))
    start = as_start(start, len(plan.state_nodes))
    by_state, by_output, arrays = _kernel_arrays(plan)
    x = start.mean[by_state]
    T, L = len(Y), len(plan.links)
    states, outputs = np.empty((T, len(by_state))), np.empty((T, len(by_output)))
    sent = np.zeros((T if count_messages else 0, L), np.int32)
    own = np.ascontiguousarray(Y[:, by_output])  # each node's outputs side by side
    run_nodes(own, U, *arrays, x, states, outputs, sent)
    mean = np.empty_like(x)
    mean[by_state] = x
    return NetworkRun(
        _in_order(states, by_state), _in_order(outputs, by_output),
        sent if count_messages else None, plan.links, plan.nodes,
        GainState(mean, start.n_rows + T),
    )  # fmt: skip


def _plan_for(system, plan, state_nodes, output_nodes):
    """The plan that was given, if it is that of the system; otherwise a new one."""
    if isinstance(system, NetworkPlan):
        plan = system if plan is None else plan
    A, C, K, B = _matrices_of(system)
    if plan is None:
        return plan_network(A, C, K, B=B, state_nodes=state_nodes, output_nodes=output_nodes)
    if state_nodes is not None or output_nodes is not None:
        raise ValueError(
            "the plan says which node owns what: leave state_nodes, output_nodes out."
        )
    B = csr_array((plan.A.shape[0], 0)) if B is None else B
    for name, M in (("A", A), ("B", B), ("C", C), ("K", K)):
        own, M = getattr(plan, name), csr_array(M)
        if own.shape != M.shape or (own != M).nnz:
            raise ValueError(f"the plan was made for another {name} than the system's.")
    return plan


def _matrices_of(system):
    if isinstance(system, NetworkPlan | GainFilter):
        return system.A, system.C, system.K, system.B
    matrices = tuple(system)
    if len(matrices) not in (3, 4):
        raise ValueError(
            "system must be a GainFilter, a NetworkPlan, or the tuple (A, C, K) or "
            f"(A, C, K, B), got {len(matrices)} matrices."
        )
    return (*matrices, None)[:4]


def _kernel_arrays(plan):
    """States and outputs in the order of nodes; what the kernel takes."""
    found = [plan._exchanges[kind] for kind in ("estimates", "predictions", "innovations")]
    by_state, by_output = found[0].rows, found[1].rows
    N = len(plan.nodes)
    pairs = plan.links[:, 0] * N + plan.links[:, 1]
    mail = [
        (part.sources, part.targets, np.searchsorted(pairs, part.senders * N + part.receivers))
        for part in found
    ]
    A, C, K = (compressed_rows(part.local) for part in found)
    B = compressed_rows(plan.B[by_state])
    shares = found[0].shares, found[1].shares
    return by_state, by_output, (A, B, C, K, *shares, *(part.desks for part in found), *mail)


def _in_order(values, order):
    """Columns in the order of the system from those in the order of nodes."""
    found = np.empty_like(values)
    found[:, order] = values
    return found
