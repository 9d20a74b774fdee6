"""How a filter is divided between the nodes of a network, and who sends what to whom."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from lmmfit.gains.network_exchange import make_exchange
from lmmfit.gains.network_node import Node
from lmmfit.riccati.checks import as_matrix, as_square

__all__ = ["NetworkPlan", "plan_network"]

_KINDS = {"estimates": "A", "predictions": "C", "innovations": "K"}


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """A filter with the gain K, divided between nodes.

    Attributes
    ----------
    nodes : tuple
        Labels.
    state_nodes : intp array of shape (n,)
        Number of the node, its place in ``nodes``, that owns each state.
    output_nodes : intp array of shape (o,)
        And each output.
    A, B, C, K : csr_array
    links : intp array of shape (L, 2)
        Pairs of nodes (from, to), by number, of which the first sends to the second.
    sizes : ndarray of shape (L, 3)
        Numbers that a link carries in a row: filtered states, which the receiver's rows of A
        need; predicted states, for its rows of C; innovations, for its rows of K.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import plan_network
    >>> A = np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.0, 0.0, 0.9]])
    >>> plan = plan_network(A, np.eye(3), np.diag([0.5, 0.5], k=1) + 0.5 * np.eye(3))
    >>> plan
    NetworkPlan(3 nodes, 2 links, 4 numbers a row)
    >>> plan.links, plan.sizes
    (array([[1, 0],
           [2, 1]]), array([[1, 0, 1],
           [1, 0, 1]]))
    """

    nodes: tuple
    state_nodes: np.ndarray = field(repr=False)
    output_nodes: np.ndarray = field(repr=False)
    A: csr_array = field(repr=False)
    B: csr_array = field(repr=False)
    C: csr_array = field(repr=False)
    K: csr_array = field(repr=False)
    links: np.ndarray = field(repr=False)
    sizes: np.ndarray = field(repr=False)
    _exchanges: dict = field(repr=False)

    def __repr__(self):
        return (
            f"NetworkPlan({len(self.nodes)} nodes, {len(self.links)} links, "
            f"{self.sizes.sum()} numbers a row)"
        )

    @cached_property
    def _numbers(self):
        return {label: i for i, label in enumerate(self.nodes)}

    def node(self, label):
        """What one node keeps and receives.

        Parameters
        ----------
        label : hashable

        Returns
        -------
        Node

        Raises
        ------
        ValueError
            If there is no such node.
        """
        if label not in self._numbers:
            raise ValueError(f"there is no node {label!r}.")
        number = self._numbers[label]
        blocks, holds, receives = {}, {}, {}
        for kind, matrix in _KINDS.items():
            found = self._exchanges[kind]
            desk = slice(*found.desks[number : number + 2])
            rows = slice(*found.shares[number : number + 2])
            holds[kind], owners = found.held[desk], found.owners[desk]
            blocks[matrix] = csr_array(found.local[rows][:, : desk.stop - desk.start])
            receives[kind] = {
                self.nodes[owner]: holds[kind][owners == owner]
                for owner in np.unique(owners[owners != number])
            }
        states = np.flatnonzero(self.state_nodes == number)
        outputs = np.flatnonzero(self.output_nodes == number)
        B = csr_array(self.B[states])
        return Node(label, states, outputs, **blocks, B=B, holds=holds, receives=receives)


def plan_network(A, C, K, *, state_nodes=None, output_nodes=None, B=None):
    """Divide a filter between nodes, each with some states and some outputs.

    A node keeps its rows of A, B, C and K, and sees its own outputs alone. In each row it needs
    three kinds of numbers, of which others send it what it lacks: predicted states, where its
    outputs show them; innovations, where its gain uses them, which is what a sparsity pattern
    restricts; filtered states, where they move its own.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    K : array-like or sparse array of shape (n, o)
    state_nodes : sequence of length n, optional
        Label of the node that owns each state.
    output_nodes : sequence of length o, optional
        And each output. Without both there are as many nodes as the smaller of n and o, which
        must divide the other, with equal consecutive shares.
    B : array-like or sparse array of shape (n, k), optional
        Of known inputs: a node knows all those that its rows use.

    Returns
    -------
    NetworkPlan

    Raises
    ------
    ValueError
        If a matrix has a wrong shape or an element that is not finite, or there is not one label
        for each state and output.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import plan_network
    >>> K = [[0.5, 0.0], [0.4, 0.0], [0.0, 0.6], [0.0, 0.3]]
    >>> A = 0.9 * np.eye(4)
    >>> A[1, 2] = 0.1
    >>> plan = plan_network(A, np.eye(4)[::2], K, state_nodes=["east", "east", "west", "west"],
    ...                     output_nodes=["east", "west"])
    >>> plan.node("east").receives["estimates"]
    {'west': array([2])}
    """
    A = as_square(A, "A", sparse=True)
    n = A.shape[0]
    C = as_matrix(C, "C", (None, n), sparse=True)
    o = C.shape[0]
    K = as_matrix(K, "K", (n, o), sparse=True)
    B = np.zeros((n, 0)) if B is None else as_matrix(B, "B", (n, None), sparse=True)
    A, B, C, K = (_rows_of(M) for M in (A, B, C, K))
    nodes, state_nodes, output_nodes = _number_nodes(n, o, state_nodes, output_nodes)
    parts = {
        "estimates": (A, state_nodes, state_nodes),
        "predictions": (C, output_nodes, state_nodes),
        "innovations": (K, state_nodes, output_nodes),
    }
    N = len(nodes)
    found = {kind: make_exchange(*part, N) for kind, part in parts.items()}
    codes = [exchange.senders * N + exchange.receivers for exchange in found.values()]
    pairs = np.unique(np.concatenate(codes))
    sizes = np.stack([np.bincount(np.searchsorted(pairs, c), minlength=len(pairs)) for c in codes])
    links = np.stack(np.divmod(pairs, N), axis=1)
    return NetworkPlan(
        nodes, state_nodes, output_nodes, A, B, C, K, links, np.ascontiguousarray(sizes.T), found
    )


def _rows_of(M):
    rows = csr_array(M, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _number_nodes(n, o, state_nodes, output_nodes):
    """Labels in the order in which they appear, states first; the number of each one's node."""
    if (state_nodes is None) != (output_nodes is None):
        given, other = ("state_nodes", "output_nodes")[:: 1 if output_nodes is None else -1]
        raise ValueError(f"{given} was given without {other}.")
    if state_nodes is None:
        count = min(n, o)
        if not count or n % count or o % count:
            raise ValueError(
                f"{n} states and {o} outputs do not make equal shares: give state_nodes and "
                "output_nodes, the node of each."
            )
        state_nodes = np.repeat(np.arange(count), n // count)
        output_nodes = np.repeat(np.arange(count), o // count)
    labels = []
    for name, size, given in (("state", n, state_nodes), ("output", o, output_nodes)):
        own = given.tolist() if isinstance(given, np.ndarray) else list(given)
        if len(own) != size:
            raise ValueError(
                f"{name}_nodes has {len(own)} labels, the system {size} {name}s: each has one."
            )
        labels.append(own)
    number = {label: i for i, label in enumerate(dict.fromkeys(labels[0] + labels[1]))}
    codes = (np.array([number[label] for label in own], np.intp) for own in labels)
    return tuple(number), *codes
