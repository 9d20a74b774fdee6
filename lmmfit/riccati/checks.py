"""Matrices of a system, checked: shape, finite, symmetric, definite; modes that stay hidden."""

from numbers import Integral

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dgecon, dgetrf
from scipy.sparse import csc_array, issparse
from scipy.sparse.linalg import LinearOperator, norm, onenormest, splu

__all__ = [
    "as_dense",
    "as_matrix",
    "as_square",
    "as_symmetric",
    "check_definite",
    "check_descriptor",
    "check_options",
    "check_semidefinite",
    "condition_number",
    "few_columns",
    "inverse_norm",
    "semidefinite_root",
    "thin_root",
]

_SYMMETRIC = 1e-10  # asymmetry, relative to the largest element, that counts as rounding

_FEW = 4  # columns, times this, that are few beside the order


def as_dense(M):
    """A matrix as an ndarray.

    Parameters
    ----------
    M : ndarray, sparse array or None

    Returns
    -------
    ndarray or None
    """
    return M.toarray() if issparse(M) else M


def few_columns(count, order):
    """Whether matrices of so many columns are thin enough to work with factors.

    Parameters
    ----------
    count, order : int

    Returns
    -------
    bool
    """
    return _FEW * count <= order


def as_matrix(value, name, shape=(None, None), *, sparse=False):
    """A finite matrix of numbers, of a given shape.

    Parameters
    ----------
    value : array-like or sparse array
    name : str
    shape : tuple of int or None
        None where any number of rows or columns will do.
    sparse : bool
        Whether a sparse array may stay one (CSC).

    Returns
    -------
    ndarray or sparse array

    Raises
    ------
    ValueError
        If it has another shape, or an element is not finite.
    """
    found = np.shape(value)
    if issparse(value):
        matrix = value.tocsc().astype(np.float64) if sparse else value.toarray()
    else:
        matrix = np.asarray(value)
        if matrix.dtype.kind not in "fiub":
            raise ValueError(f"{name} must hold real numbers, got an array of {matrix.dtype}.")
        matrix = matrix.astype(np.float64)
        matrix = np.atleast_2d(matrix) if matrix.ndim < 2 and None not in shape else matrix
    wanted = "(" + ", ".join("any" if k is None else str(k) for k in shape) + ")"
    if matrix.ndim != 2 or any(
        k is not None and k != n for k, n in zip(shape, matrix.shape, strict=True)
    ):
        raise ValueError(f"{name} must have shape {wanted}, got {found}.")
    data = matrix.data if issparse(matrix) else matrix
    if not np.isfinite(data).all():
        dense = as_dense(matrix)
        i, j = map(int, np.argwhere(~np.isfinite(dense))[0])
        raise ValueError(f"{name}[{i}, {j}] is {dense[i, j]}.")
    return matrix


def as_square(value, name, *, sparse=False):
    """A finite square matrix of numbers.

    Parameters
    ----------
    value : array-like or sparse array
    name : str
    sparse : bool
        Whether a sparse array may stay one (CSC).

    Returns
    -------
    ndarray or sparse array of shape (n, n)

    Raises
    ------
    ValueError
        If it is not square, has no rows, or an element is not finite.
    """
    found = np.shape(value)
    if len(found) != 2 or found[0] != found[1] or not found[0]:
        raise ValueError(f"{name} must be a square matrix, its shape is {found}.")
    return as_matrix(value, name, sparse=sparse)


def as_symmetric(value, name, size):
    """A symmetric matrix; what rounding has made of one is averaged.

    Parameters
    ----------
    value : array-like of shape (size, size)
    name : str
    size : int

    Returns
    -------
    ndarray of shape (size, size)

    Raises
    ------
    ValueError
        If it is not symmetric.
    """
    matrix = as_matrix(value, name, (size, size))
    gap = np.abs(matrix - matrix.T)
    if gap.max(initial=0.0) > _SYMMETRIC * np.abs(matrix).max(initial=0.0):
        i, j = map(int, np.unravel_index(np.argmax(gap), gap.shape))
        raise ValueError(
            f"{name} must be symmetric: {name}[{i}, {j}] is {matrix[i, j]:.6g} and "
            f"{name}[{j}, {i}] is {matrix[j, i]:.6g}."
        )
    return 0.5 * (matrix + matrix.T)


def check_semidefinite(matrix, name, scale=0.0):
    """Refuse a symmetric matrix with a negative eigenvalue.

    Parameters
    ----------
    matrix : ndarray of shape (size, size)
    name : str
    scale : float, default=0.0
        Size of the terms of which the matrix is the difference, and has the rounding.

    Raises
    ------
    ValueError
        Naming the eigenvalue.
    """
    if not matrix.size:
        return
    values = eigh(matrix, eigvals_only=True)
    if values[0] < -1e-12 * max(values[-1], abs(values[0]), scale) * len(matrix):
        raise ValueError(
            f"{name} must be positive semidefinite, its smallest eigenvalue is {values[0]:.6g}."
        )


def semidefinite_root(value, name, size):
    """C with C'C = the matrix, of full row rank; a row of zeros for zero.

    Parameters
    ----------
    value : array-like or sparse array of shape (size, size)
    name : str
    size : int

    Returns
    -------
    ndarray of shape (rank, size)

    Raises
    ------
    ValueError
        If it has another shape, or is not symmetric and positive semidefinite.
    """
    matrix = as_symmetric(value, name, size)
    check_semidefinite(matrix, name)
    return thin_root(matrix)


def thin_root(matrix, scale=0.0):
    """C with C'C = the matrix but for its rounding; a row of zeros for zero.

    Parameters
    ----------
    matrix : ndarray of shape (size, size)
        Symmetric and, but for rounding, positive semidefinite.
    scale : float, default=0.0
        As for :func:`check_semidefinite`.

    Returns
    -------
    ndarray of shape (rank, size)
    """
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-14 * len(matrix) * max(values[-1], scale)
    if not kept.any():
        return np.zeros((1, len(matrix)))
    return np.sqrt(values[kept])[:, None] * vectors[:, kept].T


def check_definite(matrix, name):
    """Refuse a symmetric matrix that is not positive definite.

    Parameters
    ----------
    matrix : ndarray of shape (size, size)
    name : str

    Returns
    -------
    ndarray of shape (size, size)
        Its lower Cholesky factor.

    Raises
    ------
    ValueError
        Naming the eigenvalue.
    """
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        smallest = eigh(matrix, eigvals_only=True)[0]
        raise ValueError(
            f"{name} must be positive definite, its smallest eigenvalue is {smallest:.6g}."
        ) from None


def check_descriptor(E, n):
    """E, which must not be singular.

    Parameters
    ----------
    E : array-like or sparse array of shape (n, n)
    n : int

    Returns
    -------
    ndarray or sparse array of shape (n, n)

    Raises
    ------
    ValueError
        Naming its condition number.
    """
    E = as_matrix(E, "E", (n, n), sparse=True)
    condition = _condition_sparse(E) if issparse(E) else condition_number(E)
    if not condition < 1.0 / np.finfo(float).eps:
        raise ValueError(
            f"E must not be singular, its condition number is {condition:.6g}. Where it is, some "
            "states follow from the others: solve for them, and leave them out."
        )
    return E


def condition_number(E):
    """Estimate of the condition number in the norm of column sums.

    Parameters
    ----------
    E : ndarray of shape (n, n)

    Returns
    -------
    float
    """
    reciprocal = dgecon(dgetrf(E)[0], np.linalg.norm(E, 1))[0]
    return 1.0 / reciprocal if reciprocal > 0.0 else np.inf


def _condition_sparse(E):
    try:
        lu = splu(csc_array(E))
    except RuntimeError:  # SuperLU met a zero pivot
        return np.inf
    return norm(E, 1) * inverse_norm(lu)


def inverse_norm(lu):
    """Estimate of the norm of column sums of an inverse, from a sparse factorisation.

    Parameters
    ----------
    lu : SuperLU

    Returns
    -------
    float
    """
    inverse = LinearOperator(
        lu.shape, matvec=lu.solve, rmatvec=lambda x: lu.solve(x, "T"), dtype=float,
        matmat=lu.solve, rmatmat=lambda x: lu.solve(x, "T"),
    )  # fmt: skip
    return onenormest(inverse)


def check_options(method, methods, tol, max_iter):
    """Refuse a method that there is not, and a tolerance or number of steps that means nothing.

    Parameters
    ----------
    method : str
    methods : tuple of str
    tol : float
    max_iter : int or None

    Raises
    ------
    ValueError
        Naming it.
    """
    if method not in methods:
        raise ValueError(f"method={method!r} is none of {', '.join(methods)}.")
    if not 0.0 < tol < 1.0:
        raise ValueError(f"tol must be between 0 and 1, got {tol!r}.")
    whole = isinstance(max_iter, Integral) and not isinstance(max_iter, bool)
    if max_iter is not None and not (whole and max_iter >= 1):
        raise ValueError(f"max_iter must be a whole number of at least 1, got {max_iter!r}.")
