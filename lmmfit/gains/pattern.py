"""Sparsity patterns: the entries of a matrix that may be nonzero."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, issparse

from lmmfit.gains._pattern_kernels import gather_entries
from lmmfit.gains.lines import Lines
from lmmfit.gains.pattern_forms import (
    entries_of_array,
    entries_of_graph,
    entries_of_sets,
    entries_of_shares,
    is_graph,
    is_sets,
    successors_of,
    within_hops,
)
from lmmfit.gains.pattern_shapes import special_shape
from lmmfit.gains.plain import is_plain

__all__ = ["Pattern", "as_pattern", "graph_pattern"]


@dataclass(frozen=True, eq=False)
class Pattern:
    """The entries chi of an n x o matrix that may be nonzero, in the order of vec(X).

    :func:`as_pattern` builds one, and checks what it is built from.

    Attributes
    ----------
    rows, columns : intp array of shape (size,)
        Column by column, and by rows within a column; no entry twice.
    shape : tuple of int
        (n, o).

    Examples
    --------
    >>> from lmmfit.gains import as_pattern
    >>> pattern = as_pattern([[1, 0], [1, 1]])
    >>> pattern.size, pattern.rows, pattern.columns
    (3, array([0, 1, 1]), array([0, 0, 1]))
    >>> pattern.gather([[1.0, 2.0], [3.0, 4.0]])
    array([1., 3., 4.])
    """

    rows: np.ndarray = field(repr=False)
    columns: np.ndarray = field(repr=False)
    shape: tuple

    def __repr__(self):
        return f"Pattern({self.size} of {self.shape[0]} x {self.shape[1]})"

    def __getstate__(self):  # what is derived is derived again
        return {"rows": self.rows, "columns": self.columns, "shape": self.shape}

    @property
    def size(self):
        """Number of entries."""
        return len(self.rows)

    @cached_property
    def mask(self):
        """Whether an entry may be nonzero, bool ndarray of shape (n, o)."""
        mask = np.zeros(self.shape, bool)
        mask[self.rows, self.columns] = True
        return mask

    @cached_property
    def starts(self):
        """Position of each column's first entry, intp array of shape (o + 1,)."""
        return np.searchsorted(self.columns, np.arange(self.shape[1] + 1)).astype(np.intp)

    @cached_property
    def row_order(self):
        """The entries' positions when they are read row by row, intp array of shape (size,)."""
        return np.lexsort((self.columns, self.rows)).astype(np.intp)

    @cached_property
    def T(self):
        """The pattern of the transpose; ``values[pattern.row_order]`` are its values."""
        order = self.row_order
        turned = Pattern(self.columns[order], self.rows[order], self.shape[::-1])
        vars(turned)["T"] = self
        return turned

    @cached_property
    def _special(self):
        return special_shape(self)

    @property
    def rectangle(self):
        """Rows I and columns J if every entry of I x J may be nonzero, and no other; or None."""
        return self._special[0]

    @property
    def is_scattered(self):
        """Whether no two entries share a row or a column."""
        return self._special[1]

    @cached_property
    def lines(self):
        """The columns, those with equal sets of rows together: :class:`Lines`."""
        return Lines(self)

    @cached_property
    def _flat(self):
        return self.rows * self.shape[1] + self.columns

    def gather(self, M):
        """Values of a matrix at the entries.

        Parameters
        ----------
        M : ndarray or sparse array of shape (n, o)

        Returns
        -------
        ndarray of shape (size,)

        Raises
        ------
        ValueError
            If M has another shape.
        """
        if is_plain(M) and M.shape == self.shape:
            return gather_entries(M, self.rows, self.columns)
        M = M if issparse(M) else np.asarray(M)
        if M.shape != self.shape:
            raise ValueError(f"the pattern has shape {self.shape}, the matrix {M.shape}.")
        if is_plain(M.T):
            return gather_entries(M.T, self.columns, self.rows)
        found = (csr_array(M) if issparse(M) else M)[self.rows, self.columns]
        return found.toarray().ravel() if issparse(found) else np.asarray(found)

    def dense(self, values):
        """The matrix with these values at the entries, and zeros elsewhere.

        Parameters
        ----------
        values : ndarray of shape (size,)

        Returns
        -------
        ndarray of shape (n, o)
        """
        X = np.zeros(self.shape, np.asarray(values).dtype)
        X.reshape(-1)[self._flat] = values
        return X

    def sparse(self, values):
        """The same as a sparse array, which stores every entry, be it zero.

        Parameters
        ----------
        values : ndarray of shape (size,)

        Returns
        -------
        csr_array of shape (n, o)
        """
        values = np.asarray(values)[self.row_order]
        return csr_array((values, self.T.rows, self.T.starts), shape=self.shape)


def as_pattern(pattern, shape=None, *, hops=1, row_nodes=None, column_nodes=None):
    """Read a sparsity pattern in any of its forms.

    Parameters
    ----------
    pattern : Pattern, array-like, sparse array, str, list of sets, dict or graph
        - array or sparse array: what is not zero may be nonzero;
        - ``"full"``: every entry;
        - ``"diag"``: the diagonal of a square matrix. Where n is a multiple of o, or o of n,
          equal consecutive shares, the blocks of a block-diagonal matrix;
        - a list of n sets (or ranges): the columns that each row may use. A dict from rows to
          columns leaves empty what it does not name. A list of lists is an array, never this;
        - a graph such as those of networkx (``nodes``, and ``neighbors(node)`` or ``adj``):
          row i may use column j where the node of j is within ``hops`` steps of the node of i.
          The steps of a directed graph go to successors. For a graph given by its adjacency
          matrix there is :func:`graph_pattern`.
    shape : tuple of int, optional
        (n, o). Needed with a str, sets or a dict; checked otherwise.
    hops : int, default=1
        For a graph; 0 for each node's own columns.
    row_nodes, column_nodes : sequence of nodes, optional
        For a graph: the node that owns each row, and each column. By default equal consecutive
        shares in the order of the graph's nodes.

    Returns
    -------
    Pattern
        Empty where nothing may be nonzero, which is legal: X is then zero.

    Raises
    ------
    ValueError
        If the shape is another one, an element is not finite, an index is out of range, or the
        nodes do not fit the graph or the shape.

    Examples
    --------
    >>> from lmmfit.gains import as_pattern
    >>> as_pattern("diag", (4, 2)).mask.astype(int)
    array([[1, 0],
           [1, 0],
           [0, 1],
           [0, 1]])
    >>> as_pattern([{0, 2}, {1}], (2, 3)).mask.astype(int)
    array([[1, 0, 1],
           [0, 1, 0]])
    """
    if shape is not None:
        shape = _as_shape(shape)
    if is_graph(pattern):
        adjacency, labels = successors_of(pattern)
        return _of_graph(adjacency, labels, shape, hops, row_nodes, column_nodes)
    if row_nodes is not None or column_nodes is not None or hops != 1:
        raise ValueError(
            "hops, row_nodes and column_nodes are for a graph, the pattern is of the type "
            f"{type(pattern).__name__}. For a graph's adjacency matrix call graph_pattern."
        )
    if isinstance(pattern, Pattern):
        found = pattern
    elif isinstance(pattern, str):
        found = Pattern(*entries_of_shares(pattern, shape), shape)
    elif is_sets(pattern):
        found = _of_entries(*entries_of_sets(pattern, shape), shape)
    else:
        found = Pattern(*entries_of_array(pattern))
    if shape is not None and found.shape != shape:
        raise ValueError(f"the pattern must have shape {shape}, got {found.shape}.")
    return found


def graph_pattern(adjacency, shape=None, *, hops=1, row_nodes=None, column_nodes=None):
    """Pattern of what each node of a network may use, from the adjacency matrix of its graph.

    Parameters
    ----------
    adjacency : array-like or sparse array of shape (n_nodes, n_nodes)
        An element [a, b] that is not zero is a step from node a to node b, by which the rows of
        a may use the columns of b. The diagonal says nothing: a node reaches itself.
    shape : tuple of int, optional
        (n, o), of the pattern. By default the numbers of ``row_nodes`` and ``column_nodes``, or
        one row and one column a node.
    hops : int, default=1
        Steps within which a node may use another's columns.
    row_nodes, column_nodes : array-like of int, optional
        Number of the node that owns each row, and each column. By default equal consecutive
        shares.

    Returns
    -------
    Pattern

    Raises
    ------
    ValueError
        If the adjacency is not square, the nodes do not divide the rows or columns equally, or
        a node is not one of the graph's.

    Examples
    --------
    A line of three nodes with two states and one output each:

    >>> import numpy as np
    >>> from lmmfit.gains import graph_pattern
    >>> line = np.diag([1, 1], 1) + np.diag([1, 1], -1)
    >>> graph_pattern(line, (6, 3)).mask.astype(int)[::2]
    array([[1, 1, 0],
           [1, 1, 1],
           [0, 1, 1]])
    """
    rows, columns, found = entries_of_array(adjacency, "the adjacency matrix")
    if found[0] != found[1] or not found[0]:
        raise ValueError(f"the adjacency matrix must be square, its shape is {found}.")
    steps = csr_array((np.ones(len(rows), bool), (rows, columns)), shape=found)
    shape = None if shape is None else _as_shape(shape)
    return _of_graph(steps, range(found[0]), shape, hops, row_nodes, column_nodes)


def _of_graph(steps, labels, shape, hops, row_nodes, column_nodes):
    reach = within_hops(steps, hops)
    return _of_entries(*entries_of_graph(reach, labels, shape, row_nodes, column_nodes))


def _of_entries(rows, columns, shape):
    """A pattern of entries in any order, each but once."""
    flat = np.unique(np.asarray(columns, np.intp) * shape[0] + np.asarray(rows, np.intp))
    columns, rows = np.divmod(flat, max(shape[0], 1))
    return Pattern(rows.astype(np.intp), columns.astype(np.intp), shape)


def _as_shape(shape):
    try:
        n, o = map(int, shape)
    except (TypeError, ValueError):
        raise ValueError(f"shape must be two whole numbers, got {shape!r}.") from None
    if n < 0 or o < 0:
        raise ValueError(f"shape must not be negative, got {shape!r}.")
    return n, o
