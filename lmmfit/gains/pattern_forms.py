"""The forms in which a sparsity pattern comes, read into its entries."""

from numbers import Integral
from operator import index

import numpy as np
from scipy.sparse import coo_array, csc_array, csr_array, eye_array, issparse

from lmmfit.gains._pattern_kernels import entries_by_columns
from lmmfit.gains.plain import is_plain

__all__ = [
    "entries_of_array",
    "entries_of_graph",
    "entries_of_sets",
    "entries_of_shares",
    "is_graph",
    "is_sets",
    "successors_of",
    "within_hops",
]


def is_graph(value):
    """Whether it has nodes, and says the neighbours of each.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    return hasattr(value, "nodes") and (hasattr(value, "neighbors") or hasattr(value, "adj"))


def is_sets(value):
    """Whether it is a dict, or a list of sets or ranges.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    if isinstance(value, dict):
        return True
    listed = isinstance(value, list | tuple) and len(value) > 0
    return listed and all(isinstance(v, set | frozenset | range) for v in value)


def entries_of_array(value, name="the pattern"):
    """Where an array is not zero.

    Parameters
    ----------
    value : array-like or sparse array
    name : str

    Returns
    -------
    rows, columns : ndarray of int
        In the order of vec(X).
    shape : tuple of int

    Raises
    ------
    ValueError
        If it does not have two dimensions, or an element is not finite or not a number.
    """
    if issparse(value):
        return _entries_of_sparse(value, name)
    try:
        dense = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name} is a list of rows of different lengths. If they are the columns that "
            "each row may use, write them as sets."
        ) from None
    if dense.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, its shape is {dense.shape}.")
    if dense.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, got an array of {dense.dtype}.")
    plain = is_plain(dense)
    rows, columns, finite = entries_by_columns(
        dense if plain else np.ascontiguousarray(dense != 0).view(np.uint8)
    )
    if not (plain and finite):
        _check_finite(dense[rows, columns], rows, columns, name)
    return rows, columns, dense.shape


def _entries_of_sparse(value, name):
    if value.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, its shape is {value.shape}.")
    found = csc_array(value, copy=True)
    found.sum_duplicates()
    found.eliminate_zeros()
    rows = found.indices.astype(np.intp)
    columns = np.repeat(np.arange(found.shape[1], dtype=np.intp), np.diff(found.indptr))
    _check_finite(found.data, rows, columns, name)
    return rows, columns, found.shape


def _check_finite(values, rows, columns, name):
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        k = bad[np.lexsort((columns[bad], rows[bad]))[0]]  # the first as one reads
        raise ValueError(
            f"{name} is {values[k]} at [{rows[k]}, {columns[k]}]: an entry is free or it is not."
        )


def entries_of_shares(word, shape):
    """``"full"``, or the equal shares of ``"diag"``.

    Parameters
    ----------
    word : str
    shape : tuple of int or None

    Returns
    -------
    rows, columns : ndarray of int
        In the order of vec(X).

    Raises
    ------
    ValueError
        If it is another word, there is no shape, or the shares do not divide.
    """
    if word not in ("diag", "full"):
        raise ValueError(f"pattern={word!r} is neither 'diag' nor 'full'.")
    n, o = _needed(shape, f"pattern={word!r}")
    if word == "full":
        return np.divmod(np.arange(n * o), max(n, 1))[::-1]
    if not n or not o:
        return np.zeros((2, 0), np.intp)
    if n % o and o % n:
        raise ValueError(
            f"pattern='diag' needs n to be a multiple of o, or o of n; the shape is {shape}. "
            "Give the blocks as an array, or as a list of sets of columns."
        )
    longest, blocks = np.arange(max(n, o)), min(n, o)
    shares = longest // (max(n, o) // blocks)
    return (longest, shares) if n >= o else (shares, longest)


def entries_of_sets(sets, shape):
    """The columns that each row may use.

    Parameters
    ----------
    sets : list of sets, or dict of int to iterable of int
    shape : tuple of int or None

    Returns
    -------
    rows, columns : ndarray of int

    Raises
    ------
    ValueError
        If there is no shape, or a row or column is out of range.
    """
    n, o = _needed(shape, "a pattern of index sets")
    if not isinstance(sets, dict):
        if len(sets) != n:
            raise ValueError(
                f"the pattern has {len(sets)} sets of columns, one is needed for each of the "
                f"{n} rows of the shape {shape}."
            )
        sets = dict(enumerate(sets))
    rows, columns = [], []
    for row, members in sets.items():
        i = _whole(row, f"row {row!r} of the pattern")
        if not 0 <= i < n:
            raise ValueError(f"row {i} of the pattern is out of range: there are {n} rows.")
        for member in members:
            j = _whole(member, f"the column {member!r} of row {i} of the pattern")
            if not 0 <= j < o:
                raise ValueError(
                    f"row {i} of the pattern has the column {j}, which is out of range: there "
                    f"are {o} columns, counted from 0."
                )
            rows.append(i)
            columns.append(j)
    return np.array(rows, np.intp), np.array(columns, np.intp)


def successors_of(graph):
    """Adjacency matrix of a graph such as those of networkx.

    Parameters
    ----------
    graph : object with ``nodes``, and ``neighbors`` or ``adj``

    Returns
    -------
    csr_array of shape (n_nodes, n_nodes)
        True at [a, b] for a step from a to b; of a directed graph, to successors.
    labels : list
        Its nodes, in order.

    Raises
    ------
    ValueError
        If there are no nodes.
    """
    labels = list(graph.nodes() if callable(graph.nodes) else graph.nodes)
    if not labels:
        raise ValueError("the graph has no nodes.")
    number = {label: k for k, label in enumerate(labels)}
    listed = graph.neighbors if hasattr(graph, "neighbors") else graph.adj.__getitem__
    steps = [(number[a], number[b]) for a in labels for b in listed(a)]
    ends = np.array(steps, np.intp).reshape(-1, 2).T
    shape = (len(labels), len(labels))
    return csr_array((np.ones(len(steps), bool), tuple(ends)), shape=shape), labels


def within_hops(steps, hops):
    """Which nodes are within so many steps of which.

    Parameters
    ----------
    steps : csr_array of bool of shape (n_nodes, n_nodes)
    hops : int

    Returns
    -------
    csr_array of bool of shape (n_nodes, n_nodes)

    Raises
    ------
    ValueError
        If ``hops`` is not a whole number of at least 0.
    """
    if isinstance(hops, bool) or not isinstance(hops, Integral) or hops < 0:
        raise ValueError(f"hops must be a whole number of at least 0, got {hops!r}.")
    reach = eye_array(steps.shape[0], dtype=bool, format="csr")
    once = csr_array(steps + reach)
    for _ in range(int(hops)):
        known, reach = reach.nnz, csr_array(reach @ once)
        if reach.nnz == known:
            break  # nothing further is connected
    return reach


def entries_of_graph(reach, labels, shape, row_nodes, column_nodes):
    """Entries [i, j] where the node of j is within reach of the node of i.

    Parameters
    ----------
    reach : csr_array of bool of shape (n_nodes, n_nodes)
    labels : sequence
        Of the nodes.
    shape : tuple of int or None
    row_nodes, column_nodes : sequence of labels or None

    Returns
    -------
    rows, columns : ndarray of int
    shape : tuple of int

    Raises
    ------
    ValueError
        If a label is not one of the graph, or shares do not divide.
    """
    n, o = shape if shape is not None else (None, None)
    number = {label: k for k, label in enumerate(labels)}
    of_rows = _owners(row_nodes, number, n, "row")
    of_columns = _owners(column_nodes, number, o, "column")
    entries = coo_array(reach[of_rows][:, of_columns])
    return entries.row, entries.col, (len(of_rows), len(of_columns))


def _owners(nodes, number, count, what):
    """Number of the node that owns each row, or each column."""
    if nodes is None:
        count = len(number) if count is None else count
        share, rest = divmod(count, len(number))
        if rest:
            raise ValueError(
                f"the {count} {what}s do not divide into equal shares of the {len(number)} "
                f"nodes: say with {what}_nodes which node owns each."
            )
        return np.repeat(np.arange(len(number)), share)
    nodes = list(nodes)
    if count is not None and len(nodes) != count:
        raise ValueError(f"{what}_nodes has {len(nodes)} nodes for {count} {what}s.")
    for k, node in enumerate(nodes):
        if node not in number:
            raise ValueError(f"{what}_nodes[{k}] is {node!r}, which is no node of the graph.")
    return np.array([number[node] for node in nodes], np.intp)


def _needed(shape, what):
    if shape is None:
        raise ValueError(f"{what} needs the shape (n, o).")
    return shape


def _whole(value, what):
    try:
        return index(value)
    except TypeError:
        raise ValueError(f"{what} is not a whole number.") from None
