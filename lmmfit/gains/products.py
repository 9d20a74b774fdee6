"""Products that dense and sparse matrices share, and the spectral radius of either."""

from itertools import pairwise

import numpy as np
from scipy.linalg import eigvals
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigs

from lmmfit.gains._product_kernels import congruence_rows, multiply_rows, product_entries
from lmmfit.gains.sparse_rows import Rows

__all__ = [
    "congruence",
    "diagonal_of",
    "less_identity",
    "multiply",
    "product_on",
    "spectral_radius",
]

_DENSE = 400  # order up to which all eigenvalues are computed
_COLUMNS = 60  # of Krylov's space for the largest
_BLOCKED, _BLOCKS = 400, 4  # order from which a symmetric product is formed in blocks
_FEW = 8  # columns for each entry of a pattern from which single entries of a product pay


def congruence(F, P, more=None):
    """F P F' of a symmetric P, and more of the kind.

    Parameters
    ----------
    F : ndarray, csr_array or Rows of shape (k, n)
    P : ndarray of shape (n, n)
        Symmetric.
    more : ndarray of shape (k, k), optional
        Symmetric; what it is added to.

    Returns
    -------
    ndarray of shape (k, k)
    """
    if isinstance(F, np.ndarray):  # asked for some hundred thousand times
        found = _symmetric_product(F @ P, F) if len(F) >= _BLOCKED else F @ P @ F.T
        return found if more is None else found + more
    out = np.zeros((F.shape[0], F.shape[0])) if more is None else more.copy()
    congruence_rows(F.indptr, F.indices, F.data, np.ascontiguousarray(P), out)
    return out


def _symmetric_product(X, F):
    """X F' where it is symmetric: blocks of the lower half, mirrored, are 5/8 of the work."""
    k = len(F)
    out = np.empty((k, k))
    bounds = np.linspace(0, k, _BLOCKS + 1).astype(int)
    for a, b in pairwise(bounds):
        np.matmul(X[a:b], F[:b].T, out=out[a:b, :b])
        out[:a, a:b] = out[a:b, :a].T
    return out


def diagonal_of(M):
    """The diagonal of a matrix in rows or in columns, as a view to write to.

    Parameters
    ----------
    M : ndarray of shape (n, n)
        Contiguous.

    Returns
    -------
    ndarray of shape (n,)
    """
    return M.reshape(-1, order="A")[:: len(M) + 1]


def less_identity(M):
    """I - M.

    Parameters
    ----------
    M : ndarray of shape (n, n)

    Returns
    -------
    ndarray of shape (n, n)
    """
    T = np.negative(M)
    diagonal_of(T)[:] += 1.0
    return T


def multiply(F, M):
    """F M of a dense M.

    Parameters
    ----------
    F : ndarray or Rows of shape (k, n)
    M : ndarray of shape (n, m)

    Returns
    -------
    ndarray of shape (k, m)
    """
    if isinstance(F, np.ndarray):
        return F @ M
    out = np.zeros((F.shape[0], M.shape[1]))
    multiply_rows(F.indptr, F.indices, F.data, np.ascontiguousarray(M), out)
    return out


def product_on(pattern, L, M):
    """The entries of L M on a pattern.

    Parameters
    ----------
    pattern : Pattern
        Of shape (n, o).
    L : ndarray of shape (n, k)
    M : ndarray of shape (k, o)

    Returns
    -------
    ndarray of shape (size,)
    """
    n, o = pattern.shape
    if _FEW * pattern.size > n * o:
        return pattern.gather(L @ M)
    out = np.empty(pattern.size)
    L, Mt = np.ascontiguousarray(L), np.ascontiguousarray(M.T)
    product_entries(pattern.rows, pattern.columns, L, Mt, out)
    return out


def spectral_radius(F):
    """Largest size of an eigenvalue.

    The eigenvalues of a matrix are those of its strongly connected parts: parts are taken apart
    first, and only of large ones the largest eigenvalue alone is sought (Arnoldi's method).

    Parameters
    ----------
    F : ndarray, sparse array or Rows of shape (n, n)

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import spectral_radius
    >>> spectral_radius(np.array([[0.5, 9.0], [0.0, -0.8]]))
    0.8
    """
    F = F.csr() if isinstance(F, Rows) else csr_array(F)
    n = F.shape[0]
    if not n:
        return 0.0
    count, labels = connected_components(F, directed=True, connection="strong")
    if count == 1:
        return _radius_of_part(F)
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    ends = np.cumsum(sizes)
    alone = sizes[labels] == 1
    largest = np.abs(F.diagonal()[alone]).max(initial=0.0)
    for part in np.flatnonzero(sizes > 1):
        members = order[ends[part] - sizes[part] : ends[part]]
        largest = max(largest, _radius_of_part(F[members][:, members]))
    return float(largest)


def _radius_of_part(F):
    n = F.shape[0]
    if n > _DENSE:
        try:
            found = eigs(
                F, k=4, which="LM", v0=np.random.default_rng(0).standard_normal(n),
                ncv=_COLUMNS, tol=1e-10, maxiter=100, return_eigenvectors=False,
            )  # fmt: skip
            return float(np.abs(found).max())
        except ArpackNoConvergence:  # crowded: then all of them
            pass
    return float(np.abs(eigvals(F.toarray())).max())
