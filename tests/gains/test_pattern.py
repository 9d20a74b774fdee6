"""Sparsity patterns: every form in which one comes, and what is refused."""

import pickle
from types import SimpleNamespace

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import sparse

from lmmfit.gains import as_pattern, graph_pattern

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6))


def line(n):
    """Neighbours on a line, such as a networkx graph says them."""
    near = {a: [b for b in (a - 1, a + 1) if 0 <= b < n] for a in range(n)}
    return SimpleNamespace(nodes=list(near), neighbors=near.__getitem__)


@settings(max_examples=60, deadline=None)
@given(masks)
def test_entries_are_those_of_vec_and_values_go_both_ways(mask):
    pattern = as_pattern(mask)
    expected = [(i, j) for j in range(mask.shape[1]) for i in range(mask.shape[0]) if mask[i, j]]
    assert list(zip(pattern.rows, pattern.columns, strict=True)) == expected
    assert pattern.size == len(expected)
    assert pattern.shape == mask.shape
    assert pattern.rows.dtype == pattern.columns.dtype == np.intp
    np.testing.assert_array_equal(pattern.mask, mask)
    M = np.arange(1.0, mask.size + 1).reshape(mask.shape)
    values = np.array([M[entry] for entry in expected])
    for form in (M, np.asfortranarray(M), np.repeat(M, 2, 1)[:, ::2], sparse.csr_array(M)):
        np.testing.assert_array_equal(pattern.gather(form), values)
    np.testing.assert_array_equal(pattern.gather(sparse.csc_matrix(M)), values)
    np.testing.assert_array_equal(pattern.dense(values), M * mask)
    np.testing.assert_array_equal(pattern.sparse(values).toarray(), M * mask)
    np.testing.assert_array_equal(np.diff(pattern.starts), mask.sum(0))


@settings(max_examples=30, deadline=None)
@given(masks)
def test_transpose(mask):
    pattern = as_pattern(mask)
    turned = pattern.T
    np.testing.assert_array_equal(turned.mask, mask.T)
    np.testing.assert_array_equal(turned.rows, as_pattern(mask.T).rows)
    assert turned.T is pattern
    M = np.random.default_rng(0).normal(size=mask.shape)
    np.testing.assert_array_equal(pattern.gather(M)[pattern.row_order], turned.gather(M.T))


def test_zeros_among_the_values_stay_stored():
    assert as_pattern("full", (2, 3)).sparse(np.zeros(6)).nnz == 6


def test_pickle():
    pattern = as_pattern("diag", (4, 2))
    assert pattern.T.T is pattern  # a cycle, which is not written
    again = pickle.loads(pickle.dumps(pattern))
    np.testing.assert_array_equal(again.mask, pattern.mask)
    assert set(pickle.loads(pickle.dumps(pattern)).__dict__) == {"rows", "columns", "shape"}


def test_matrix_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"pattern has shape \(2, 2\), the matrix \(2, 3\)"):
        as_pattern("diag", (2, 2)).gather(np.ones((2, 3)))


FORMS = {
    "array": ([[1, 0, 2], [0, 0, -1]], {}),
    "sparse": (sparse.csr_array([[1, 0, 2], [0, 0, -1]]), {}),
    "coo twice": (sparse.coo_array(([1.0, 1, 1, 1], ([0, 0, 0, 1], [0, 2, 2, 2]))), {}),
    "sets": ([{0, 2}, frozenset({2})], {"shape": (2, 3)}),
    "ranges": ([range(0, 3, 2), range(2, 3)], {"shape": (2, 3)}),
    "dict": ({0: [2, 0, 2], 1: {2}}, {"shape": (2, 3)}),
    "pattern": (as_pattern([[1, 0, 2], [0, 0, -1]]), {"shape": [2, 3]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_the_same_pattern(form):
    given, options = FORMS[form]
    mask = as_pattern(given, **options).mask
    np.testing.assert_array_equal(mask, [[True, False, True], [False, False, True]])


def test_shapes_for_which_the_equation_is_easier():
    """Kernels, against what the words say."""
    rng = np.random.default_rng(2)
    for _ in range(300):
        n, o = rng.integers(1, 5, 2)
        mask = rng.uniform(size=(n, o)) < rng.choice([0.2, 0.5, 0.95])
        if rng.uniform() < 0.3:
            mask = np.outer(mask.any(1), mask.any(0))
        pattern, I, J = as_pattern(mask), mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        whole = mask.any() and mask.sum() == len(I) * len(J)
        assert (pattern.rectangle is not None) == whole
        if whole:
            np.testing.assert_array_equal(pattern.rectangle[0], I)
            np.testing.assert_array_equal(pattern.rectangle[1], J)
        alone = mask.sum(0).max() <= 1 and mask.sum(1).max() <= 1
        assert pattern.is_scattered == alone


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32, np.float64, ">f8"])
def test_arrays_of_any_numbers_in_any_order(dtype):
    mask = np.array([[1, 0, 2, 0], [0, 0, 1, 0], [3, 1, 0, 0]])
    frozen = mask.astype(dtype)
    frozen.flags.writeable = False
    forms = mask.astype(dtype), np.asfortranarray(mask.astype(dtype)), frozen
    for form in (*forms, np.repeat(forms[0], 2, 1)[:, ::2], forms[0].tolist()):
        pattern = as_pattern(form)
        np.testing.assert_array_equal(pattern.rows, [0, 2, 2, 0, 1])
        np.testing.assert_array_equal(pattern.columns, [0, 0, 1, 2, 2])


def test_zeros_stored_in_a_sparse_array_are_zeros():
    stored = sparse.coo_array(([0.0, 1.0, 1.0, -1.0], ([0, 1, 0, 0], [0, 0, 1, 1])))
    np.testing.assert_array_equal(as_pattern(stored).mask, [[False, False], [True, False]])


@pytest.mark.parametrize(("n", "o"), [(3, 3), (6, 3), (3, 6), (4, 1), (1, 4), (0, 3)])
def test_diagonal_shares(n, o):
    blocks = np.kron(np.eye(min(n, o)), np.ones((max(n // max(o, 1), 1), max(o // max(n, 1), 1))))
    expected = blocks if n else np.zeros((n, o))
    np.testing.assert_array_equal(as_pattern("diag", (n, o)).mask, expected)


def test_full_and_empty():
    assert as_pattern("full", (2, 3)).mask.all()
    assert as_pattern({}, (2, 3)).size == 0
    assert as_pattern(np.zeros((2, 3))).size == 0


@pytest.mark.parametrize("hops", [0, 1, 2, 3, 9])
def test_graphs_reach_as_far_as_their_hops(hops):
    distance = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    expected = distance <= hops
    adjacency = (distance == 1).astype(float)
    by_adj = SimpleNamespace(
        nodes=lambda: range(5), adj=dict(enumerate(map(np.flatnonzero, adjacency)))
    )
    np.testing.assert_array_equal(as_pattern(line(5), hops=hops).mask, expected)
    np.testing.assert_array_equal(as_pattern(by_adj, hops=hops).mask, expected)
    for form in (adjacency, sparse.coo_array(adjacency)):
        np.testing.assert_array_equal(graph_pattern(form, hops=hops).mask, expected)
    np.testing.assert_array_equal(
        as_pattern(line(5), (10, 15), hops=hops).mask, np.kron(expected, np.ones((2, 3)))
    )


def test_steps_of_a_directed_graph_go_to_successors():
    chain = SimpleNamespace(nodes=["a", "b", "c"], adj={"a": ["b"], "b": ["c"], "c": []})
    expected = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]], bool)
    np.testing.assert_array_equal(as_pattern(chain).mask, expected)
    np.testing.assert_array_equal(graph_pattern(np.diag([1, 1], 1)).mask, expected)


def test_rows_and_columns_go_to_the_nodes_that_own_them():
    chain = SimpleNamespace(nodes=["a", "b", "c"], adj={"a": ["b"], "b": ["c"], "c": []})
    pattern = as_pattern(chain, row_nodes=list("caab"), column_nodes=list("bcab"))
    expected = [[0, 1, 0, 0], [1, 0, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1]]
    np.testing.assert_array_equal(pattern.mask, np.array(expected, bool))
    again = graph_pattern(np.diag([1, 1], 1), row_nodes=[2, 0, 0, 1], column_nodes=[1, 2, 0, 1])
    np.testing.assert_array_equal(again.mask, pattern.mask)


def test_networkx():
    np.testing.assert_array_equal(
        as_pattern(networkx.path_graph(4)).mask, as_pattern(line(4)).mask
    )
    directed = as_pattern(networkx.DiGraph([(0, 1), (1, 2)])).mask
    np.testing.assert_array_equal(directed, np.triu(np.tril(np.ones((3, 3), bool), 1)))


REFUSED = {
    "shape": (([[1, 0]], (2, 2)), {}, r"must have shape \(2, 2\), got \(1, 2\)"),
    "pattern": ((as_pattern([[1]]), (2, 2)), {}, r"must have shape \(2, 2\), got \(1, 1\)"),
    "nan": (([[1, 0], [0, np.nan]],), {}, r"is nan at \[1, 1\]"),
    "first nan": (([[1, np.inf], [np.nan, 0]],), {}, r"is inf at \[0, 1\]"),
    "sparse inf": ((sparse.csr_array([[0, 0], [np.inf, 0]]),), {}, r"inf at \[1, 0\]"),
    "vector": (([1, 0],), {}, r"two dimensions, its shape is \(2,\)"),
    "ragged": (([[1], [0, 1]],), {}, "write them as sets"),
    "objects": (([["a", "b"]],), {}, "must hold numbers"),
    "word": (("ring", (2, 2)), {}, "'ring' is neither"),
    "no shape": (("diag",), {}, r"pattern='diag' needs the shape"),
    "no shape of sets": (([{0}],), {}, "needs the shape"),
    "shares": (("diag", (3, 2)), {}, r"multiple of o, or o of n; the shape is \(3, 2\)"),
    "sets short": (([{0}], (2, 2)), {}, "has 1 sets of columns, one is needed for each of the 2"),
    "column": (([{0}, {2}], (2, 2)), {}, "row 1 of the pattern has the column 2"),
    "negative": (([{0}, {-1}], (2, 2)), {}, "row 1 of the pattern has the column -1"),
    "no index": (([{0}, {0.5}], (2, 2)), {}, "column 0.5 of row 1 of the pattern is not a whole"),
    "row": (({2: [0]}, (2, 2)), {}, "row 2 of the pattern is out of range: there are 2 rows"),
    "row label": (({"a": [0]}, (2, 2)), {}, "row 'a' of the pattern is not a whole number"),
    "bad shape": (("full", 3), {}, "shape must be two whole numbers"),
    "negative shape": (("full", (3, -1)), {}, "shape must not be negative"),
    "hops without graph": (([[1]],), {"hops": 2}, "call graph_pattern"),
    "nodes without graph": (([[1]],), {"row_nodes": [0]}, "call graph_pattern"),
    "hops": ((line(2),), {"hops": -1}, "hops must be a whole number of at least 0, got -1"),
    "half hops": ((line(2),), {"hops": 0.5}, "got 0.5"),
    "graph shares": ((line(2), (3, 2)), {}, "the 3 rows do not divide .* row_nodes"),
    "graph nodes": ((line(2), (3, 2)), {"row_nodes": [0, 1]}, "row_nodes has 2 nodes for 3 rows"),
    "label": ((line(2),), {"column_nodes": [0, 7]}, r"column_nodes\[1\] is 7, which is no node"),
    "no nodes": ((SimpleNamespace(nodes=[], adj={}),), {}, "the graph has no nodes"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    positional, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        as_pattern(*positional, **options)


@pytest.mark.parametrize(
    ("adjacency", "message"),
    [
        (np.ones((2, 3)), r"must be square, its shape is \(2, 3\)"),
        ([[1.0, np.nan], [0.0, 0.0]], r"adjacency matrix is nan at \[0, 1\]"),
    ],
)
def test_adjacency_refused(adjacency, message):
    with pytest.raises(ValueError, match=message):
        graph_pattern(adjacency)
