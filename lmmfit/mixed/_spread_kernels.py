"""Kernel for the conditional variance of a combination of random effects, row by row."""

import numpy as np

from lmmfit._jit import njit


@njit(fastmath=True)
def spread_rows(shape, pointer, index, parent, half, values, dense, nodes, first, z, out):
    """Add ``z'K z`` of each row to ``out``; K is the relative conditional covariance.

    ``nodes`` (rows x sparse factors) names the node of each row, -1 for none, ``first``
    (rows x dense factors) its first dense unknown, and ``z`` (rows x factors x q) the row of
    Z. The row of Z is eliminated like a right-hand side, along the lists of its own nodes.
    """
    n_levels, q = shape.shape[0] - 1, values.shape[1]
    work = np.zeros(shape[-1, 1] + dense.shape[0])
    seen = np.zeros(work.size, np.bool_)
    support = np.empty(dense.shape[0], np.int64)
    current, following = np.empty(n_levels + 1, np.int64), np.empty(n_levels + 1, np.int64)
    reduced = np.empty(q)
    for i in range(out.size):
        total, n_support, n_current = 0.0, 0, 0
        for level in range(n_levels):
            if nodes[i, level] >= 0:
                at = shape[level, 1] + (nodes[i, level] - shape[level, 0]) * shape[level, 2]
                for a in range(shape[level, 2]):
                    work[at + a] = z[i, level, a]
        for k in range(first.shape[1]):
            if first[i, k] >= 0:
                for a in range(q):
                    if z[i, n_levels + k, a] != 0.0:
                        at = first[i, k] + a
                        work[at] += z[i, n_levels + k, a]
                        support[n_support] = at
                        n_support += 1
                        seen[at] = True
        for level in range(n_levels):
            width, own, n_next = shape[level, 2], nodes[i, level], 0
            known = own < 0
            for c in range(n_current):
                known |= current[c] == own
            if not known:
                current[n_current] = own
                n_current += 1
            for c in range(n_current):
                j = current[c]
                at = shape[level, 1] + (j - shape[level, 0]) * width
                for k in range(width):
                    s = 0.0
                    for a in range(width):
                        s += half[j, k, a] * work[at + a]
                    reduced[k] = s
                    total += s * s
                for e in range(pointer[j], pointer[j + 1]):
                    s = 0.0
                    for k in range(width):
                        t = 0.0
                        for a in range(width):
                            t += half[j, k, a] * values[e, a]
                        s += t * reduced[k]
                    other = index[e]
                    work[other] -= s
                    if other >= shape[-1, 1] and not seen[other]:
                        support[n_support] = other
                        n_support += 1
                        seen[other] = True
                for a in range(width):
                    work[at + a] = 0.0
                if parent[j] >= 0:
                    fresh = True
                    for d in range(n_next):
                        fresh &= following[d] != parent[j]
                    if fresh:
                        following[n_next] = parent[j]
                        n_next += 1
            for d in range(n_next):
                current[d] = following[d]
            n_current = n_next
        for a in range(n_support):
            row, s = support[a] - shape[-1, 1], 0.0
            for b in range(n_support):
                column = support[b] - shape[-1, 1]
                value = dense[row, column] if column <= row else dense[column, row]
                s += value * work[support[b]]
            total += work[support[a]] * s
        for a in range(n_support):
            work[support[a]] = 0.0
            seen[support[a]] = False
        out[i] += total
