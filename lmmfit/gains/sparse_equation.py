"""The equation with sparse A and B: S stored sparse, and its sparse LU factorisation."""

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import norm, splu

from lmmfit.gains._equation_kernels import count_sparse, fill_sparse
from lmmfit.gains.equation_solution import SingularEquationError
from lmmfit.gains.general import Found, solve_square
from lmmfit.riccati.checks import inverse_norm

__all__ = ["by_sparse_lu", "sparse_counts", "sparse_matrix"]

_EPS = np.finfo(float).eps
_DENSE = 3000  # order up to which the rank of a singular S is computed


def sparse_counts(pattern, A, B):
    """Nonzeros in each column of S.

    Parameters
    ----------
    pattern : Pattern
    A : sparse array of shape (n, n)
    B : sparse array of shape (o, o)

    Returns
    -------
    ndarray of int of shape (size,)
    """
    A, B = _columns_and_rows(A, B)
    counts = np.empty(pattern.size, np.int64)
    count_sparse(
        A.indptr, A.indices, B.indptr, B.indices, A.shape[0], pattern.rows, pattern.columns,
        pattern.starts, counts,
    )  # fmt: skip
    return counts


def sparse_matrix(pattern, A, B, counts=None):
    """S[p, q] = A[i, k] B[l, j] with (i, j), (k, l) the entries p, q, from sparse A and B.

    Parameters
    ----------
    pattern : Pattern
    A : sparse array of shape (n, n)
    B : sparse array of shape (o, o)
    counts : ndarray of int of shape (size,), optional
        Of :func:`sparse_counts`.

    Returns
    -------
    csc_array of shape (size, size)
    """
    counts = sparse_counts(pattern, A, B) if counts is None else counts
    A, B = _columns_and_rows(A, B)
    starts = np.concatenate([[0], np.cumsum(counts)])
    rows, data = np.empty(starts[-1], np.int64), np.empty(starts[-1])
    fill_sparse(
        A.indptr, A.indices, A.data, B.indptr, B.indices, B.data, A.shape[0], pattern.rows,
        pattern.columns, pattern.starts, starts, rows, data,
    )  # fmt: skip
    return csc_array((data, rows, starts), shape=(pattern.size, pattern.size))


def by_sparse_lu(pattern, A, B, r, counts=None):
    """Sparse LU factorisation of S.

    Parameters
    ----------
    pattern : Pattern
    A : sparse array of shape (n, n)
    B : sparse array of shape (o, o)
    r : ndarray of shape (size,)
    counts : ndarray of int of shape (size,), optional
        Of :func:`sparse_counts`.

    Returns
    -------
    Found

    Raises
    ------
    SingularEquationError
        If S is singular, and too large for its rank to be computed.
    """
    S = sparse_matrix(pattern, A, B, counts)
    m = pattern.size
    try:
        lu = splu(S)
    except RuntimeError:  # SuperLU met a zero pivot
        rcond = 0.0
    else:
        rcond = float(1.0 / (norm(S, 1) * inverse_norm(lu)))
        if rcond >= m * _EPS:
            return Found(lu.solve(r), m, rcond)
    if m > _DENSE:
        raise SingularEquationError(
            f"the equation has no solution or infinitely many: S, of order {m}, is singular "
            f"(reciprocal condition number {rcond:.2g}), and too large to find its rank. Leave "
            "entries out of the pattern that A and B do not determine.",
            size=m,
        )
    return solve_square(S.toarray(), r)


def _columns_and_rows(A, B):
    """A in columns, B in rows with their indices in order: then so are those of S."""
    A, B = csc_array(A), csr_array(B)
    B.sort_indices()
    return A, B
