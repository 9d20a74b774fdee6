"""The kernels of the block Cholesky factorisation where every factor has a single effect.

The same steps with the same arguments as in ``_block_kernels``, on numbers instead of small
matrices: several times faster, and what most models with several factors need.
"""

import numpy as np

from lmmfit._jit import njit
from lmmfit.mixed._block_kernels import add_product


@njit
def eliminate(shape, pointer, index, parent, link, roots, gram, values, half, dense):
    """Factor the sparse part; return the logarithm of its determinant."""
    n_levels, first_dense, longest = shape.shape[0] - 1, shape[-1, 1], 0
    for j in range(shape[-1, 0]):
        longest = max(longest, pointer[j + 1] - pointer[j])
    row, at = np.empty(longest), np.empty(longest, np.int64)
    log_determinant, product = 0.0, 1.0
    for level in range(n_levels):
        root, width = roots[level, 0, 0], n_levels - 1 - level
        for j in range(shape[level, 0], shape[level + 1, 0]):
            determinant = 1.0 + root * root * gram[j, 0, 0]
            product *= determinant
            if not 1e-100 < product < 1e100:
                log_determinant += np.log(product)
                product = 1.0
            own = root / np.sqrt(determinant)
            half[j, 0, 0] = own
            start, n, node = pointer[j], pointer[j + 1] - pointer[j], j
            for e in range(n):
                row[e], at[e] = own * values[start + e, 0], start + e
            for a in range(width):  # the ancestors
                node = parent[node]
                gram[node, 0, 0] -= row[a] * row[a]
                for e in range(a + 1, n):
                    at[e] = link[at[e]]
                    values[at[e], 0] -= row[a] * row[e]
            for e in range(width, n):
                at[e] = index[start + e] - first_dense
                i, factor = at[e], row[e]
                for f in range(width, e + 1):
                    dense[i, at[f]] -= factor * row[f]
    return log_determinant + np.log(product)


@njit
def forward(shape, pointer, index, half, values, columns, gram):
    """Take the sparse unknowns out of right-hand sides; return their quadratic form."""
    c = columns.shape[1]
    reduced = np.empty(c)
    for level in range(shape.shape[0] - 1):
        for j in range(shape[level, 0], shape[level + 1, 0]):
            i, own = shape[level, 1] + j - shape[level, 0], half[j, 0, 0]
            for x in range(c):
                reduced[x] = own * columns[i, x]
                for y in range(x + 1):
                    gram[x, y] += reduced[x] * reduced[y]
            for e in range(pointer[j], pointer[j + 1]):
                target, weight = index[e], own * values[e, 0]
                for x in range(c):
                    columns[target, x] -= weight * reduced[x]
    for x in range(c):
        for y in range(x):
            gram[y, x] = gram[x, y]


@njit
def backward(shape, pointer, index, half, gram, values, columns, solved):
    """Put the sparse unknowns back."""
    c = columns.shape[1]
    for level in range(shape.shape[0] - 2, -1, -1):
        for j in range(shape[level + 1, 0] - 1, shape[level, 0] - 1, -1):
            i, own = shape[level, 1] + j - shape[level, 0], half[j, 0, 0] * half[j, 0, 0]
            for e in range(pointer[j], pointer[j + 1]):
                source, weight = index[e], values[e, 0]
                for x in range(c):
                    columns[i, x] -= weight * solved[source, x]
            for x in range(c):
                solved[i, x] = own * columns[i, x]
                columns[i, x] -= gram[j, 0, 0] * solved[i, x]


@njit
def select(
    shape, pointer, index, parent, link, half, gram, values, dense, by_list, by_node, sums, each
):
    """Sum ``T = Z'V^-1 Z`` on its diagonal over the levels of each sparse factor."""
    n_levels, first_dense, longest = shape.shape[0] - 1, shape[-1, 1], 0
    for j in range(shape[-1, 0]):
        longest = max(longest, pointer[j + 1] - pointer[j])
    row, spread = np.empty(longest), np.empty(longest)
    at = np.empty(longest, np.int64)
    for level in range(n_levels - 1, -1, -1):
        width = n_levels - 1 - level
        for j in range(shape[level, 0], shape[level + 1, 0]):
            start, n, node, middle = pointer[j], pointer[j + 1] - pointer[j], j, 0.0
            for e in range(n):
                row[e], spread[e], at[e] = values[start + e, 0], 0.0, start + e
            for a in range(width):
                node = parent[node]
                spread[a] += by_node[node, 0, 0] * row[a]
                for e in range(a + 1, n):
                    at[e] = link[at[e]]
                    weight = by_list[at[e], 0]
                    spread[a] += weight * row[e]
                    spread[e] += weight * row[a]
            for e in range(width, n):
                at[e] = index[start + e] - first_dense
            if level:
                for e in range(width, n):
                    i, own = at[e], row[e]
                    for f in range(width, e):
                        spread[e] += dense[i, at[f]] * row[f]
                        spread[f] += dense[i, at[f]] * own
                    spread[e] += dense[i, i] * own
                for e in range(n):
                    middle += row[e] * spread[e]
            else:  # of the dense part the quadratic form alone is wanted
                for e in range(n):
                    middle += row[e] * spread[e]
                for e in range(width, n):
                    source, s = dense[at[e]], 0.0
                    for f in range(width, e):
                        s += source[at[f]] * row[f]
                    middle += row[e] * (2.0 * s + source[at[e]] * row[e])
            own = half[j, 0, 0] * half[j, 0, 0]
            if level:
                for e in range(n):
                    by_list[start + e, 0] = -spread[e] * own
                by_node[j, 0, 0] = own + own * middle * own
            # T = (1 - C K) C - (1 - C K) M (1 - K C)
            left = 1.0 - gram[j, 0, 0] * own
            s = left * (gram[j, 0, 0] - middle * left)
            sums[level, 0, 0] += s
            if each.size:
                each[j, 0, 0] = s


@njit
def multiply(shape, pointer, index, gram, values, dense, vectors, out):
    """Write ``Z'Z @ vectors`` (unknowns x c) to ``out``; ``dense`` is a lower triangle."""
    c, first_dense = vectors.shape[1], shape[-1, 1]
    for i in range(out.shape[0]):
        for x in range(c):
            out[i, x] = 0.0
    for level in range(shape.shape[0] - 1):
        for j in range(shape[level, 0], shape[level + 1, 0]):
            i = shape[level, 1] + j - shape[level, 0]
            for x in range(c):
                out[i, x] += gram[j, 0, 0] * vectors[i, x]
            for e in range(pointer[j], pointer[j + 1]):
                other, weight = index[e], values[e, 0]
                for x in range(c):
                    out[i, x] += weight * vectors[other, x]
                    out[other, x] += weight * vectors[i, x]
    add_product(dense, vectors[first_dense:], 1.0, out[first_dense:])


@njit
def sandwich(matrix, owner, roots, effects, diagonal, out):
    """Write the lower triangle of ``R A R``, plus ``diagonal`` on the diagonal, to ``out``."""
    scale = np.empty(matrix.shape[0])
    for i in range(scale.size):
        scale[i] = roots[owner[i, 0], 0, 0]
        for k in range(i + 1):
            out[i, k] = scale[i] * scale[k] * matrix[i, k]
        out[i, i] += diagonal
