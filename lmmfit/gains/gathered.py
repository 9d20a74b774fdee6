"""The matrix S of the equation in the entries of the pattern, and its products."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.sparse import issparse

from lmmfit._threads import worker_threads
from lmmfit.gains._equation_kernels import (
    gather_rows,
    gather_scaled,
    gather_symmetric,
    product_columns,
)

__all__ = ["gather_matrix", "gather_unit", "in_rows", "product_entries", "uses_full_products"]

_FULL = 12  # a product of full matrices does so many more operations in the same time


def in_rows(M):
    """A symmetric matrix in rows.

    Parameters
    ----------
    M : ndarray of shape (n, n)

    Returns
    -------
    ndarray of shape (n, n)
    """
    return M if M.flags.c_contiguous else np.ascontiguousarray(M.T)


def gather_matrix(pattern, A, B, *, symmetric, parallel=False):
    """S[p, q] = A[i, k] B[l, j] with (i, j), (k, l) the entries p, q (equation 7).

    Parameters
    ----------
    pattern : Pattern
    A : ndarray of shape (n, n)
    B : ndarray of shape (o, o)
    symmetric : bool
        Whether A and B are: only the elements with q >= p are then set.
    parallel : bool, default=False
        Whether rows of S are gathered by several threads.

    Returns
    -------
    ndarray of shape (size, size)

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Efficient algorithm for the computation of the solution
    to a sparse matrix equation in distributed control theory. Mathematics 9(13), equation 7.
    """
    m = pattern.size
    S = np.empty((m, m))
    kernel = gather_symmetric if symmetric else gather_rows
    right = B if symmetric else np.ascontiguousarray(B.T)
    given = (np.ascontiguousarray(A), right, pattern.rows, pattern.columns)
    _by_rows(kernel, given, (S,), parallel)
    return S


def gather_unit(pattern, A, B, *, parallel=False):
    """D S D with a diagonal of ones, for symmetric A and B.

    Parameters
    ----------
    pattern : Pattern
    A : ndarray of shape (n, n)
    B : ndarray of shape (o, o)
        In rows, as A.
    parallel : bool, default=False

    Returns
    -------
    S : ndarray of shape (size, size), or None
        Only the elements with q >= p are set. None if an element of the diagonal of S is not
        positive.
    scale : ndarray of shape (size,)
        The diagonal of D.
    norm : float
        Largest sum of sizes in a row, or column, of D S D.
    """
    m = pattern.size
    S, scale = np.empty((m, m)), np.empty(m)
    norm = max(
        _by_rows(gather_scaled, (A, B, pattern.rows, pattern.columns), (S, scale), parallel)
    )
    return (S if norm >= 0.0 else None), scale, norm


def _by_rows(kernel, given, found, parallel):
    """What a kernel returns for all rows of S, or for parts of them that several threads share."""
    m = len(found[0])
    if not parallel or (threads := worker_threads()) == 1:
        return [kernel(*given, 0, m, *found)]
    bounds = np.linspace(0, m, 8 * threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda p, q: kernel(*given, p, q, *found), bounds[:-1], bounds[1:]))


def uses_full_products(pattern):
    """Whether a pattern has so many entries that X is better multiplied as a full matrix.

    Parameters
    ----------
    pattern : Pattern

    Returns
    -------
    bool
    """
    n, o = pattern.shape
    return _FULL * pattern.size > n * o


def product_entries(pattern, A, B, x, At=None):
    """S x: the entries of A X B, without S.

    Parameters
    ----------
    pattern : Pattern
    A : ndarray or sparse array of shape (n, n), or ndarray of shape (n,)
        One dimension for a diagonal matrix.
    B : ndarray or sparse array of shape (o, o), or ndarray of shape (o,)
    x : ndarray of shape (size,)
    At : ndarray of shape (n, n), optional
        A' in rows, where it is known: A itself if that is symmetric.

    Returns
    -------
    ndarray of shape (size,)
    """
    if A.ndim == 1 and B.ndim == 1:
        return A[pattern.rows] * x * B[pattern.columns]
    if A.ndim == 1:
        return A[pattern.rows] * pattern.gather(pattern.sparse(x) @ B)
    if B.ndim == 1:
        return B[pattern.columns] * pattern.gather((pattern.sparse(x).T @ A.T).T)
    if issparse(A) or issparse(B):
        return pattern.gather(A @ pattern.sparse(x) @ B)
    if uses_full_products(pattern):
        return pattern.gather(A @ pattern.dense(x) @ B)
    y = np.zeros(pattern.size)
    product_columns(
        np.ascontiguousarray(A.T) if At is None else At, np.ascontiguousarray(B), pattern.rows,
        pattern.columns, pattern.starts, x, 0, pattern.shape[1], y,
    )  # fmt: skip
    return y
