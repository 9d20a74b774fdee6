"""Passes of a filter whose gain is given, as a whole and by the nodes of a network.

A sparse matrix is the tuple of its compressed rows: starts, columns, values. Each row of a series
is computed by itself, so that a series cut into pieces gives the same bits.
"""

import numpy as np

from lmmfit._jit import njit

__all__ = ["filter_dense", "filter_sparse", "run_nodes", "whitened_norms"]


@njit(fastmath=True)
def _dense_product(M, x, out):
    for i in range(len(M)):
        row, total = M[i], 0.0
        for j in range(len(x)):
            total += row[j] * x[j]
        out[i] = total


@njit
def _sparse_product(M, x, out):
    starts, columns, values = M
    for i in range(len(out)):
        total = 0.0
        for a in range(starts[i], starts[i + 1]):
            total += values[a] * x[columns[a]]
        out[i] = total


@njit
def _take_errors(t, Y, y, e, outputs, errors):
    """Innovations of a row; those of missing outputs are kept as NaN, and used as zero."""
    if len(outputs):
        outputs[t] = y
    for i in range(len(y)):
        e[i] = Y[t, i] - y[i]
    if len(errors):
        errors[t] = e
    for i in range(len(y)):
        if np.isnan(e[i]):
            e[i] = 0.0


@njit
def filter_dense(Y, U, A, B, C, K, x, states, outputs, errors):
    """Filter rows with dense matrices, of which each is a stack of one or of one a row.

    ``x`` is the prediction of the first row's state, and is replaced by that of the row after
    the last. Results with no rows are not kept.
    """
    n, o = len(x), Y.shape[1]
    y, e, step, drive = np.empty(o), np.empty(o), np.empty(n), np.zeros(n)
    for t in range(len(Y)):
        _dense_product(C[t % len(C)], x, y)
        _take_errors(t, Y, y, e, outputs, errors)
        _dense_product(K[t % len(K)], e, step)
        for i in range(n):
            x[i] += step[i]
        if len(states):
            states[t] = x
        _dense_product(A[t % len(A)], x, step)
        _dense_product(B[t % len(B)], U[t], drive)
        for i in range(n):
            x[i] = step[i] + drive[i]


@njit
def filter_sparse(Y, U, A, B, C, K, x, states, outputs, errors):
    """The same with sparse matrices: a row costs their nonzeros."""
    n, o = len(x), Y.shape[1]
    y, e, step, drive = np.empty(o), np.empty(o), np.empty(n), np.zeros(n)
    for t in range(len(Y)):
        _sparse_product(C, x, y)
        _take_errors(t, Y, y, e, outputs, errors)
        _sparse_product(K, e, step)
        for i in range(n):
            x[i] += step[i]
        if len(states):
            states[t] = x
        _sparse_product(A, x, step)
        _sparse_product(B, U[t], drive)
        for i in range(n):
            x[i] = step[i] + drive[i]


@njit
def whitened_norms(errors, Lt, rows, out):
    """Squared norms of L^{-1} e for some rows; L is given transposed."""
    o = errors.shape[1]
    e = np.empty(o)
    for r in rows:
        e[:] = errors[r]
        total = 0.0
        for j in range(o):
            column = Lt[j]
            w = e[j] / column[j]
            total += w * w
            for i in range(j + 1, o):
                e[i] -= w * column[i]
        out[r] = total


@njit
def _work(node, M, shares, desks, desk, out):
    """A node's rows of a product. Of all that lies on desks, the node reads its own alone."""
    starts, columns, values = M
    mine = desk[desks[node] : desks[node + 1]]
    for i in range(shares[node], shares[node + 1]):
        total = 0.0
        for a in range(starts[i], starts[i + 1]):
            total += values[a] * mine[columns[a]]
        out[i] = total


@njit
def _lay(node, shares, desks, values, desk):
    """A node lays its own values on its own desk."""
    for k in range(shares[node + 1] - shares[node]):
        desk[desks[node] + k] = values[shares[node] + k]


@njit
def _deliver(mail, desk, sent):
    """Carry values from the senders' desks to the receivers'; NaN, for nothing, is not counted."""
    sources, targets, links = mail
    for a in range(len(sources)):
        value = desk[sources[a]]
        desk[targets[a]] = value
        if len(sent) and not np.isnan(value):
            sent[links[a]] += 1


@njit
def run_nodes(
    Y, U, A, B, C, K, state_shares, output_shares, A_desks, C_desks, K_desks, A_mail, C_mail,
    K_mail, x, states, outputs, sent,
):  # fmt: skip
    """Run a filter as nodes that know only their rows, their outputs and their mail.

    States and outputs are in the order of the nodes: those of node i are from ``shares[i]`` to
    ``shares[i + 1]``. For each matrix a node has a desk, from ``desks[i]`` to ``desks[i + 1]`` of
    an array: first its own values, then those that it receives. The columns of A, C and K count
    the places on the desk of the row's node. ``mail`` is the tuple of the places from which and
    to which values are carried, and the number of the link.
    """
    n, o, nodes = len(x), Y.shape[1], len(state_shares) - 1
    A_desk, C_desk = np.empty(A_desks[nodes]), np.empty(C_desks[nodes])
    K_desk = np.empty(K_desks[nodes])
    y, e, step, drive, nothing = np.empty(o), np.empty(o), np.empty(n), np.empty(n), sent[:0, 0]
    for t in range(len(Y)):
        count = sent[t] if len(sent) else nothing
        for node in range(nodes):
            _lay(node, state_shares, C_desks, x, C_desk)
        _deliver(C_mail, C_desk, count)
        for node in range(nodes):
            _work(node, C, output_shares, C_desks, C_desk, y)
            for i in range(output_shares[node], output_shares[node + 1]):
                e[i] = Y[t, i] - y[i]
            _lay(node, output_shares, K_desks, e, K_desk)
        outputs[t] = y
        _deliver(K_mail, K_desk, count)
        for node in range(nodes):
            for place in range(K_desks[node], K_desks[node + 1]):
                if np.isnan(K_desk[place]):
                    K_desk[place] = 0.0
            _work(node, K, state_shares, K_desks, K_desk, step)
            for i in range(state_shares[node], state_shares[node + 1]):
                x[i] += step[i]
            _lay(node, state_shares, A_desks, x, A_desk)
        states[t] = x
        _deliver(A_mail, A_desk, count)
        _sparse_product(B, U[t], drive)
        for node in range(nodes):
            _work(node, A, state_shares, A_desks, A_desk, step)
            for i in range(state_shares[node], state_shares[node + 1]):
                x[i] = step[i] + drive[i]
