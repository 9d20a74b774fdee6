"""Small matrix steps, and the gain of a row, that the passes of filter and smoother share."""

import numpy as np

from lmmfit._jit import njit

__all__ = [
    "add",
    "add_product",
    "cholesky",
    "column",
    "gain",
    "multiply",
    "pick",
    "present",
    "solve_lower",
    "solve_lower_transposed",
    "symmetrise",
    "turn",
]


@njit(fastmath={"contract"})
def add_product(out, Mt, x):
    """Add M x; M is given transposed, so that the inner loop runs along its rows."""
    k, n = Mt.shape
    j = 0
    while j + 4 <= k:
        a, b, c, d = x[j], x[j + 1], x[j + 2], x[j + 3]
        m0, m1, m2, m3 = Mt[j], Mt[j + 1], Mt[j + 2], Mt[j + 3]
        for i in range(n):
            out[i] = (((out[i] + m0[i] * a) + m1[i] * b) + m2[i] * c) + m3[i] * d
        j += 4
    while j < k:
        a, m0 = x[j], Mt[j]
        for i in range(n):
            out[i] += m0[i] * a
        j += 1


@njit
def multiply(A, B):
    """A B, of contiguous matrices: one kind of product for all is one to compile."""
    return np.dot(A, B)


@njit
def turn(M):
    """A contiguous transpose."""
    k, n = M.shape
    T = np.empty((n, k))
    for i in range(k):
        for j in range(n):
            T[j, i] = M[i, j]
    return T


@njit
def add(M, factor, other):
    """Add a multiple of a matrix."""
    k, n = M.shape
    for i in range(k):
        for j in range(n):
            M[i, j] += factor * other[i, j]


@njit
def symmetrise(M):
    """Replace M by (M + M') / 2."""
    n = len(M)
    for i in range(n):
        for j in range(i):
            mean = 0.5 * (M[i, j] + M[j, i])
            M[i, j] = mean
            M[j, i] = mean


@njit
def cholesky(S):
    """Replace the lower triangle of S by its Cholesky factor."""
    m = len(S)
    for j in range(m):
        for i in range(j, m):
            value = S[i, j]
            for k in range(j):
                value -= S[i, k] * S[j, k]
            if i == j:
                if not value > 0.0:
                    raise ValueError("the covariance of an innovation is not positive definite.")
                S[j, j] = np.sqrt(value)
            else:
                S[i, j] = value / S[j, j]


@njit
def solve_lower(L, M):
    """Replace M by L^{-1} M."""
    n = M.shape[1]
    for a in range(len(L)):
        for b in range(a):
            for i in range(n):
                M[a, i] -= L[a, b] * M[b, i]
        for i in range(n):
            M[a, i] /= L[a, a]


@njit
def solve_lower_transposed(L, M):
    """Replace M by L^{-T} M."""
    m, n = M.shape
    for a in range(m - 1, -1, -1):
        for b in range(a + 1, m):
            for i in range(n):
                M[a, i] -= L[b, a] * M[b, i]
        for i in range(n):
            M[a, i] /= L[a, a]


@njit
def present(e):
    """Indices of the elements that are there: their e is no NaN."""
    seen, m = np.empty(len(e), np.int64), 0
    for i in range(len(e)):
        if not np.isnan(e[i]):
            seen[m] = i
            m += 1
    return seen[:m]


@njit
def pick(M, rows, columns):
    """A part of a matrix."""
    out = np.empty((len(rows), len(columns)))
    for a in range(len(rows)):
        for b in range(len(columns)):
            out[a, b] = M[rows[a], columns[b]]
    return out


@njit
def column(e, seen):
    """Elements of a vector, as a matrix with one column."""
    out = np.empty((len(seen), 1))
    for a in range(len(seen)):
        out[a, 0] = e[seen[a]]
    return out


@njit
def gain(cov, C, R, seen):
    """What the elements ``seen`` say, at the covariance ``cov``.

    Returns C of them, R of them, the Cholesky factor of S, C P and K', both by rows.
    """
    Co, Ro = pick(C, seen, np.arange(C.shape[1])), pick(R, seen, seen)
    PC = multiply(Co, cov)
    L = multiply(PC, turn(Co))
    add(L, 1.0, Ro)
    symmetrise(L)
    cholesky(L)
    G = PC.copy()
    solve_lower(L, G)
    solve_lower_transposed(L, G)
    return Co, Ro, L, PC, G
