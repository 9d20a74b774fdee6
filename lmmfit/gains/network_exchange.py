"""What the nodes of a network must hear of each other for one product of a matrix."""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

__all__ = ["Exchange", "make_exchange", "starts_of"]


@dataclass(frozen=True, eq=False)
class Exchange:
    """A product M v whose rows and whose v belong to nodes.

    Each node has a desk: its own elements of v, then those that its rows need from others.

    Attributes
    ----------
    rows : intp array of shape (m,)
        The rows of M, in the order of the nodes.
    shares : int64 array of shape (n_nodes + 1,)
        Where each node's rows begin in that order.
    local : csr_array of shape (m, width)
        The rows of M in that order; a column is a place on the desk of the row's node.
    desks : int64 array of shape (n_nodes + 1,)
        Where each node's desk begins, of all desks in a row.
    held : intp array of shape (desks[-1],)
        Which element of v lies at a place.
    owners : intp array of shape (desks[-1],)
        The node to which it belongs, which sends it if that is another node.
    sources, targets : int64 array of shape (letters,)
        From which place to which the numbers are carried.
    senders, receivers : intp array of shape (letters,)
        Their nodes.
    """

    rows: np.ndarray = field(repr=False)
    shares: np.ndarray = field(repr=False)
    local: csr_array = field(repr=False)
    desks: np.ndarray = field(repr=False)
    held: np.ndarray = field(repr=False)
    owners: np.ndarray = field(repr=False)
    sources: np.ndarray = field(repr=False)
    targets: np.ndarray = field(repr=False)
    senders: np.ndarray = field(repr=False)
    receivers: np.ndarray = field(repr=False)


def starts_of(nodes, n_nodes):
    """Where each node's elements begin, when they are sorted by nodes.

    Parameters
    ----------
    nodes : intp array
        Node of each element.
    n_nodes : int

    Returns
    -------
    int64 array of shape (n_nodes + 1,)
    """
    ends = np.cumsum(np.bincount(nodes, minlength=n_nodes))
    return np.concatenate([[0], ends]).astype(np.int64)


def make_exchange(M, row_nodes, column_nodes, n_nodes):
    """Find who needs what, and lay out desks and mail.

    Parameters
    ----------
    M : csr_array of shape (m, k)
        Without stored zeros.
    row_nodes : intp array of shape (m,)
    column_nodes : intp array of shape (k,)
    n_nodes : int

    Returns
    -------
    Exchange
    """
    k = M.shape[1]
    rows = np.argsort(row_nodes, kind="stable")
    ordered = csr_array(M[rows])
    readers = np.repeat(row_nodes[rows], np.diff(ordered.indptr))
    everything = np.arange(k)

    def keys(nodes, columns):  # one number for (node, whether it is another's, column): sorted
        return (2 * nodes + (column_nodes[columns] != nodes)) * k + columns

    own, read = keys(column_nodes, everything), keys(readers, ordered.indices.astype(np.intp))
    places = np.union1d(own, read)
    holders, held = np.divmod(places, max(2 * k, 1))
    held %= max(k, 1)
    desks = starts_of(holders, n_nodes)
    owners = column_nodes[held]
    targets = np.flatnonzero(owners != holders)
    at = np.searchsorted(places, read) - desks[readers]
    width = int(np.diff(desks).max(initial=0))
    local = csr_array((ordered.data, at, ordered.indptr), shape=(len(rows), width))
    sources = np.searchsorted(places, own)[held[targets]]
    return Exchange(
        rows, starts_of(row_nodes, n_nodes), local, desks, held, owners,
        sources.astype(np.int64), targets.astype(np.int64), owners[targets], holders[targets],
    )  # fmt: skip
