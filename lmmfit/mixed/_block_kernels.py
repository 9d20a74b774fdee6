"""Kernels of the block Cholesky factorisation of a model with several grouping factors.

The unknowns are the random effects: those of the sparse factors, level by level of each, then
the dense ones. A node is a level of a sparse factor; its list names the later unknowns that
occur with it, in ascending order. A sparse factor is nested in the next one, so that the list
of a node begins with the unknowns of its ancestors, and what follows them is part of the list
of its parent: ``link`` says where. Eliminating nodes in order then fills nothing but the dense
part. ``shape`` has one row a sparse factor: first node, first unknown, effects.

With C what elimination has left of a node's ``Z'Z``, B of its products with its list and
``P = root root'``, everything is written with ``K = root (I + root' C root)^-1 root'``, which
needs no inverse of P and so holds at singular P too (Henderson 1975).
"""

import numpy as np

from lmmfit._jit import njit


@njit(fastmath=True)
def eliminate(shape, pointer, index, parent, link, roots, gram, values, half, dense):
    """Factor the sparse part; return the logarithm of its determinant.

    ``gram`` (nodes x q x q) and ``values`` (entries x q) become C and B of each node, ``half``
    (nodes x q x q) its ``(I + root' C root)^-1/2 root'``, so that ``K = half' half``; ``dense``
    (lower triangle) becomes the Schur complement. ``roots`` has one q x q matrix a factor.
    """
    n_levels, n_nodes = shape.shape[0] - 1, shape[-1, 0]
    first_dense, log_determinant = shape[-1, 1], 0.0
    longest = 0
    for j in range(n_nodes):
        longest = max(longest, pointer[j + 1] - pointer[j])
    scaled = np.empty((gram.shape[1], longest))
    at = np.empty(longest, np.int64)
    room = np.empty((2, gram.shape[1], gram.shape[1]))
    product = 1.0
    for level in range(n_levels):
        q = shape[level, 2]
        width = 0
        for above in range(level + 1, n_levels):
            width += shape[above, 2]
        for j in range(shape[level, 0], shape[level + 1, 0]):
            product *= _half(roots[level], gram[j], q, room, half[j])
            if not 1e-100 < product < 1e100:
                log_determinant += np.log(product)
                product = 1.0
            start, n = pointer[j], pointer[j + 1] - pointer[j]
            for k in range(q):
                row, factor = scaled[k, :n], half[j, k]
                for e in range(n):
                    s = 0.0
                    for a in range(q):
                        s += factor[a] * values[start + e, a]
                    row[e] = s
            if width:
                _update_ancestors(
                    level, j, start, n, shape, pointer, parent, link, q, scaled, at, gram, values
                )
            own = index[start + width : start + n]
            for k in range(q):
                row = scaled[k, width:n]
                for e in range(own.size):
                    target, factor = dense[own[e] - first_dense], row[e]
                    for f in range(e + 1):
                        target[own[f] - first_dense] -= factor * row[f]
    return log_determinant + np.log(product)


@njit(fastmath=True)
def _half(root, gram, q, room, half):
    """Fill half of a node; return the determinant of ``I + root' gram root``."""
    product, factor = room[0], room[1]
    for a in range(q):
        for b in range(q):
            s = 0.0
            for k in range(q):
                s += gram[a, k] * root[k, b]
            product[a, b] = s
    determinant = 1.0
    for a in range(q):
        for b in range(a + 1):
            s = 1.0 if a == b else 0.0
            for k in range(q):
                s += root[k, a] * product[k, b]
            for k in range(b):
                s -= factor[a, k] * factor[b, k]
            if a == b:
                factor[a, a] = np.sqrt(s)
                determinant *= s
            else:
                factor[a, b] = s / factor[b, b]
    for a in range(q):
        for b in range(q):
            s = root[b, a]
            for k in range(a):
                s -= factor[a, k] * half[k, b]
            half[a, b] = s / factor[a, a]
    return determinant


@njit(fastmath=True)
def _update_ancestors(
    level, j, start, n, shape, pointer, parent, link, q, scaled, at, gram, values
):
    """Take the node's share off the products of its ancestors."""
    n_levels, done, node = shape.shape[0] - 1, 0, j
    for e in range(n):
        at[e] = start + e
    for above in range(level + 1, n_levels):
        node, size = parent[node], shape[above, 2]
        for a in range(size):
            for b in range(size):
                for k in range(q):
                    gram[node, a, b] -= scaled[k, done + a] * scaled[k, done + b]
        for e in range(done + size, n):
            at[e] = link[at[e]]
            for a in range(size):
                for k in range(q):
                    values[at[e], a] -= scaled[k, done + a] * scaled[k, e]
        done += size


@njit(fastmath=True)
def forward(shape, pointer, index, half, values, columns, gram):
    """Take the sparse unknowns out of right-hand sides; return their quadratic form.

    ``columns`` (unknowns x c) become what is left of each, node by node; ``gram`` (c x c)
    receives ``sum K-form`` of them, to be taken off their products with each other.
    """
    n_levels, c = shape.shape[0] - 1, columns.shape[1]
    reduced = np.empty((values.shape[1], c))
    for level in range(n_levels):
        q = shape[level, 2]
        for j in range(shape[level, 0], shape[level + 1, 0]):
            first = shape[level, 1] + (j - shape[level, 0]) * q
            for k in range(q):
                for x in range(c):
                    s = 0.0
                    for a in range(q):
                        s += half[j, k, a] * columns[first + a, x]
                    reduced[k, x] = s
                for x in range(c):
                    for y in range(x + 1):
                        gram[x, y] += reduced[k, x] * reduced[k, y]
            for e in range(pointer[j], pointer[j + 1]):
                target = columns[index[e]]
                for k in range(q):
                    s = 0.0
                    for a in range(q):
                        s += half[j, k, a] * values[e, a]
                    for x in range(c):
                        target[x] -= s * reduced[k, x]
    for x in range(c):
        for y in range(x):
            gram[y, x] = gram[x, y]


@njit(fastmath=True)
def backward(shape, pointer, index, half, gram, values, columns, solved):
    """Put the sparse unknowns back.

    From ``columns`` as :func:`forward` leaves them and ``solved`` (unknowns x c), whose dense
    rows hold ``P Z'V^-1 x``, fill the sparse rows of ``solved``; ``columns`` become
    ``Z'V^-1 x``.
    """
    c = columns.shape[1]
    reduced = np.empty((values.shape[1], c))
    for level in range(shape.shape[0] - 2, -1, -1):
        q = shape[level, 2]
        for j in range(shape[level + 1, 0] - 1, shape[level, 0] - 1, -1):
            first = shape[level, 1] + (j - shape[level, 0]) * q
            for e in range(pointer[j], pointer[j + 1]):
                source = solved[index[e]]
                for a in range(q):
                    own, factor = columns[first + a], values[e, a]
                    for x in range(c):
                        own[x] -= factor * source[x]
            for k in range(q):
                for x in range(c):
                    s = 0.0
                    for a in range(q):
                        s += half[j, k, a] * columns[first + a, x]
                    reduced[k, x] = s
            for a in range(q):
                for x in range(c):
                    s = 0.0
                    for k in range(q):
                        s += half[j, k, a] * reduced[k, x]
                    solved[first + a, x] = s
            for a in range(q):
                for x in range(c):
                    for b in range(q):
                        columns[first + a, x] -= gram[j, a, b] * solved[first + b, x]


@njit(fastmath=True)
def select(
    shape, pointer, index, parent, link, half, gram, values, dense, by_list, by_node, sums, each
):
    """Sum the diagonal blocks of ``T = Z'V^-1 Z`` over the levels of each sparse factor.

    ``dense`` (lower triangle) holds K of the dense unknowns. ``by_list`` (entries x q) and
    ``by_node`` (nodes x q x q) receive K of the nodes that have descendants; ``sums`` has one
    q x q matrix a factor, and ``each``, unless empty, every block (nodes x q x q).
    """
    n_levels, first_dense = shape.shape[0] - 1, shape[-1, 1]
    longest = 0
    for j in range(shape[-1, 0]):
        longest = max(longest, pointer[j + 1] - pointer[j])
    size = gram.shape[1]
    spread, at = np.empty((longest, size)), np.empty(longest, np.int64)
    middle, left, block = np.empty((size, size)), np.empty((size, size)), np.empty((size, size))
    for level in range(n_levels - 1, -1, -1):
        q, width = shape[level, 2], 0
        for above in range(level + 1, n_levels):
            width += shape[above, 2]
        for j in range(shape[level, 0], shape[level + 1, 0]):
            start, n = pointer[j], pointer[j + 1] - pointer[j]
            spread[:n] = 0.0
            if width:
                _spread_ancestors(
                    level, j, start, n, shape, parent, link, q, values, by_list, by_node, at,
                    spread,
                )  # fmt: skip
            for k in range(q):
                for e in range(width, n):
                    source = dense[index[start + e] - first_dense]
                    own, s = values[start + e, k], 0.0
                    for f in range(width, e):
                        weight = source[index[start + f] - first_dense]
                        s += weight * values[start + f, k]
                        spread[f, k] += weight * own
                    spread[e, k] += s + source[index[start + e] - first_dense] * own
            for a in range(q):
                for b in range(q):
                    s, t = 0.0, 0.0
                    for e in range(n):
                        s += values[start + e, a] * spread[e, b]
                    for k in range(q):
                        t += half[j, k, a] * half[j, k, b]
                    middle[a, b] = s
                    block[a, b] = t
            if level:
                for e in range(n):
                    for a in range(q):
                        s = 0.0
                        for b in range(q):
                            s -= spread[e, b] * block[b, a]
                        by_list[start + e, a] = s
                for a in range(q):
                    for b in range(q):
                        s = 0.0
                        for k in range(q):
                            s += block[a, k] * middle[k, b]
                        left[a, b] = s
                for a in range(q):
                    for b in range(q):
                        s = block[a, b]
                        for k in range(q):
                            s += left[a, k] * block[k, b]
                        by_node[j, a, b] = s
            # T = (I - C K) C - (I - C K) M (I - K C), with M the product above
            for a in range(q):
                for b in range(q):
                    s = 1.0 if a == b else 0.0
                    for k in range(q):
                        s -= gram[j, a, k] * block[k, b]
                    left[a, b] = s
            for a in range(q):
                for b in range(q):
                    s = 0.0
                    for k in range(q):
                        t = gram[j, k, b]
                        for i in range(q):
                            t -= middle[k, i] * left[b, i]
                        s += left[a, k] * t
                    sums[level, a, b] += s
                    if each.size:
                        each[j, a, b] = s


@njit(fastmath=True)
def _spread_ancestors(
    level, j, start, n, shape, parent, link, q, values, by_list, by_node, at, spread
):
    """Add the products of the ancestors' rows and columns of K with the node's values."""
    n_levels, done, node = shape.shape[0] - 1, 0, j
    for e in range(n):
        at[e] = start + e
    for above in range(level + 1, n_levels):
        node, size = parent[node], shape[above, 2]
        for a in range(size):
            for b in range(size):
                for k in range(q):
                    spread[done + a, k] += by_node[node, a, b] * values[start + done + b, k]
        for e in range(done + size, n):
            at[e] = link[at[e]]
            for a in range(size):
                weight = by_list[at[e], a]
                for k in range(q):
                    spread[done + a, k] += weight * values[start + e, k]
                    spread[e, k] += weight * values[start + done + a, k]
        done += size


@njit(fastmath=True)
def add_product(lower, vectors, sign, out):
    """Add ``sign * A @ vectors`` (n x c) to ``out``, A given by its lower triangle."""
    n, c = vectors.shape
    begin = np.empty(n, np.int64)  # of what is not zero in each row
    for i in range(n):
        begin[i] = 0
        while begin[i] < i and lower[i, begin[i]] == 0.0:
            begin[i] += 1
    vector, own = np.empty((c, n)), np.zeros((c, n))
    for x in range(c):
        for i in range(n):
            vector[x, i] = sign * vectors[i, x]
    for i in range(n):
        row = lower[i]
        for x in range(c):
            source, target, s = vector[x], own[x], 0.0
            factor = source[i]
            for k in range(begin[i], i):
                s += row[k] * source[k]
                target[k] += row[k] * factor
            target[i] += s + row[i] * factor
    for i in range(n):
        for x in range(c):
            out[i, x] += own[x, i]


@njit(fastmath=True)
def multiply(shape, pointer, index, gram, values, dense, vectors, out):
    """Write ``Z'Z @ vectors`` (unknowns x c) to ``out``; ``dense`` is a lower triangle."""
    n_levels, c, first_dense = shape.shape[0] - 1, vectors.shape[1], shape[-1, 1]
    out[:] = 0.0
    for level in range(n_levels):
        q = shape[level, 2]
        for j in range(shape[level, 0], shape[level + 1, 0]):
            first = shape[level, 1] + (j - shape[level, 0]) * q
            for a in range(q):
                for b in range(q):
                    for x in range(c):
                        out[first + a, x] += gram[j, a, b] * vectors[first + b, x]
            for e in range(pointer[j], pointer[j + 1]):
                other = index[e]
                for a in range(q):
                    weight = values[e, a]
                    for x in range(c):
                        out[first + a, x] += weight * vectors[other, x]
                        out[other, x] += weight * vectors[first + a, x]
    add_product(dense, vectors[first_dense:], 1.0, out[first_dense:])


@njit(fastmath=True)
def sandwich(matrix, owner, roots, effects, diagonal, out):
    """Write the lower triangle of ``R' A R``, plus ``diagonal`` on the diagonal, to ``out``.

    ``matrix`` is the lower triangle of A; R is block-diagonal, with one block of the size
    ``effects[k]`` from ``roots[k]`` for each level of dense factor k. ``owner`` has for each
    unknown its factor and its place in the level.
    """
    n, q = matrix.shape[0], roots.shape[1]
    rows = np.empty((q, n))
    first = 0
    while first < n:
        own = owner[first, 0]
        size = effects[own]
        for a in range(size):  # rows of A R, up to the end of this level
            row = rows[a]
            k = 0
            while k < first + size:
                other = owner[k, 0]
                width = effects[other]
                for b in range(width):
                    s = 0.0
                    for c in range(width):
                        i, j = first + a, k + c
                        s += (matrix[i, j] if j <= i else matrix[j, i]) * roots[other, c, b]
                    row[k + b] = s
                k += width
        for a in range(size):
            target = out[first + a, : first + a + 1]
            target[:] = 0.0
            for c in range(size):
                weight, row = roots[own, c, a], rows[c, : first + a + 1]
                for k in range(target.size):
                    target[k] += weight * row[k]
            target[first + a] += diagonal
        first += size
