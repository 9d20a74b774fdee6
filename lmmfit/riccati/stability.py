"""Proofs that a matrix is stable, and a look for modes that grow, without all eigenvalues."""

import numpy as np
from scipy.linalg import lu_solve
from scipy.linalg.lapack import dgetrf, dpotrf
from scipy.sparse import csc_array, issparse
from scipy.sparse.linalg import splu

from lmmfit.riccati.arnoldi import ritz_values
from lmmfit.riccati.certificate import typical_size

__all__ = ["has_growing_mode", "is_dissipative", "is_provably_stable", "is_stable_metzler"]


def is_provably_stable(A, E=None):
    """Whether A, or the pencil of A and E, is stable by a proof that takes no eigenvalues.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default.

    Returns
    -------
    bool
        False says nothing. See :func:`is_dissipative` and :func:`is_stable_metzler`.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import is_dissipative, is_provably_stable
    >>> A = np.array([[-1.0, 5.0], [0.1, -1.0]])
    >>> is_provably_stable(A), is_dissipative(A)
    (True, False)
    """
    return is_dissipative(A, E) or is_stable_metzler(A, E)


def is_dissipative(A, E=None):
    """Whether A + A' is negative definite and E positive definite: a proof of stability.

    Passive circuits and diffusion are. It takes one factorisation, and no eigenvalues.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default.

    Returns
    -------
    bool
        False says nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import is_dissipative
    >>> is_dissipative(np.array([[-1.0, 5.0], [-5.0, -1.0]])), is_dissipative(np.zeros((1, 1)))
    (True, False)
    """
    if E is not None:
        gap = abs(E - E.T)
        if gap.max() > 1e-12 * abs(E).max() or not _is_definite(E):
            return False
    return _is_definite(-(A + A.T))


def is_stable_metzler(A, E=None):
    """Whether no element off the diagonal of A is negative, and A v is for a positive v.

    It proves that A is stable (Berman and Plemmons 1994, chapter 6), and takes one factorisation:
    v is the solution of ``A v = -1``. Compartments are, chemical reactions of first order, and
    convection with diffusion on a fine mesh.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default; it must be diagonal and positive.

    Returns
    -------
    bool
        False says nothing.

    References
    ----------
    Berman, A. and Plemmons, R. J. (1994). Nonnegative Matrices in the Mathematical Sciences. SIAM.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import is_stable_metzler
    >>> is_stable_metzler(np.array([[-1.0, 5.0], [0.1, -1.0]]))
    True
    >>> is_stable_metzler(np.array([[-1.0, 5.0], [0.3, -1.0]]))
    False
    """
    if E is not None:
        entries, diagonal = abs(E), E.diagonal()
        if not (diagonal > 0).all() or entries.sum() != diagonal.sum():
            return False
    if not (A.diagonal() < 0).all():
        return False
    if issparse(A):
        A = csc_array(A)
        if np.sum(A.data < 0) > A.shape[0]:
            return False
        try:
            v = splu(A).solve(-np.ones(A.shape[0]))
        except RuntimeError:  # singular: it is not stable
            return False
    else:
        if np.sum(A < 0) > len(A):
            return False
        lu, pivots, failed = dgetrf(A)
        v = -np.ones(len(A)) if failed else lu_solve((lu, pivots), -np.ones(len(A)))
    return bool((v > 0).all() and (A @ v < 0).all())


def has_growing_mode(A, *, steps=40, seed=0):
    """Whether Arnoldi's method sees a mode of A that does not decay.

    It looks at the Cayley transform (x + a) / (x - a), a > 0, that takes such modes out of the
    unit circle. A few steps are no proof that there is none.

    Parameters
    ----------
    A : ndarray of shape (n, n)
    steps : int, default=40
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import has_growing_mode
    >>> has_growing_mode(np.diag([-1.0, -2.0, 0.5])), has_growing_mode(np.diag([-1.0, -2.0]))
    (True, False)
    """
    n, a = len(A), typical_size(A)
    lu, pivots, failed = dgetrf(A - a * np.eye(n))
    if failed:  # a itself is a mode
        return True

    def cayley(x):
        return x + 2.0 * a * lu_solve((lu, pivots), x, check_finite=False)

    start = np.random.default_rng(seed).standard_normal(n)
    return bool(np.abs(ritz_values(cayley, start, steps)).max() >= 1.0 - 1e-12)


def _is_definite(M):
    if issparse(M):
        M = csc_array(M)
        if not (M.diagonal() > 0).all():
            return False
        lu = splu(
            M, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
        pivots = lu.U.diagonal()
        kept_order = np.array_equal(lu.perm_r, lu.perm_c)  # pivots are those of L D L'
        return bool(kept_order and pivots.min() > 1e-13 * pivots.max())
    factor, failed = dpotrf(M, lower=1)
    pivots = np.diag(factor) ** 2
    return bool(not failed and pivots.min() > 1e-13 * pivots.max())
