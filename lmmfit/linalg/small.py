"""Factors of matrices so small that LAPACK's call is most of the work.

NumPy's wrappers spend ten microseconds and more on checks before a 2 x 2 matrix is touched;
an optimiser that factors one in each step feels it. These call LAPACK directly.
"""

from functools import lru_cache

import numpy as np
from scipy.linalg.lapack import dgeqrf, dpotrf, dsyev

__all__ = ["lower_factor", "semidefinite_root", "symmetric_eigen"]


def symmetric_eigen(a):
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix.

    Parameters
    ----------
    a : ndarray of shape (k, k)
        The lower triangle is read.

    Returns
    -------
    values : ndarray of shape (k,)
    vectors : ndarray of shape (k, k)

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not finite or the iteration does not converge.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import symmetric_eigen
    >>> symmetric_eigen(np.array([[2.0, 1.0], [1.0, 2.0]]))[0]
    array([1., 3.])
    """
    values, vectors, info = dsyev(a, lower=1)
    if info or not np.isfinite(values[-1]):
        raise np.linalg.LinAlgError("the eigenvalues of a matrix that is not finite do not exist.")
    return values, vectors


def semidefinite_root(a):
    """Lower-triangular L with ``L @ L.T`` equal to a positive semidefinite matrix.

    Parameters
    ----------
    a : ndarray of shape (k, k)
        Symmetric; negative eigenvalues (of rounding) count as zero.

    Returns
    -------
    ndarray of shape (k, k)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import semidefinite_root
    >>> root = semidefinite_root(np.ones((2, 2)))
    >>> bool(np.abs(root @ root.T - 1.0).max() < 1e-12)
    True
    """
    factor, info = dpotrf(a, lower=1, clean=1)
    if not info:
        return factor
    values, vectors = symmetric_eigen(a)
    return lower_factor(vectors * np.sqrt(np.maximum(values, 0.0)))


def lower_factor(root):
    """Lower-triangular L, its diagonal not negative, with ``L @ L.T == root @ root.T``.

    Parameters
    ----------
    root : ndarray of shape (k, k)

    Returns
    -------
    ndarray of shape (k, k)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import lower_factor
    >>> lower_factor(np.array([[0.0, 2.0], [1.0, 0.0]]))
    array([[2., 0.],
           [0., 1.]])
    """
    if root.size < 2:
        return np.abs(root)
    factor = dgeqrf(root.T)[0].T
    return np.where(_lower(len(factor)), factor * np.copysign(1.0, factor.diagonal()), 0.0) + 0.0


@lru_cache(maxsize=32)
def _lower(k):
    return np.tri(k, dtype=bool)
