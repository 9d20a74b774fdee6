"""Whether a closed loop is stable: the proof that a small residual alone is not."""

from functools import partial

import numpy as np
from scipy.linalg import eigvals, lu_factor, lu_solve
from scipy.sparse import csc_array, eye_array, issparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, splu

from lmmfit.riccati.checks import as_dense

__all__ = ["closed_loop_radius", "rightmost_eigenvalue", "typical_size"]

_DENSE = 2000  # order up to which all eigenvalues are computed
_FORMED = 4000  # order up to which they are, where Arnoldi's method does not converge


def rightmost_eigenvalue(A, B=None, K=None, *, E=None, scale=None, seed=0):
    """Eigenvalue of ``(A + B K, E)`` with the largest real part.

    Large sparse matrices are turned by a Cayley transform, (x + a) / (x - a) with a > 0: it takes
    exactly the unstable eigenvalues out of the unit circle, where Arnoldi's method finds them
    first, wherever on the imaginary axis they cross it.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default.
    B : ndarray of shape (n, m), optional
    K : ndarray of shape (m, n), optional
    scale : float, optional
        a: the size of typical eigenvalues.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    complex

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import rightmost_eigenvalue
    >>> B, K = np.array([[0.0], [1.0]]), np.array([[0.0, -5.0]])
    >>> rightmost_eigenvalue(np.diag([-1.0, 2.0]), B, K)
    (-1+0j)
    """
    n = A.shape[0]
    if n <= _DENSE:
        loop, right = as_dense(A), None if E is None else as_dense(E)
        if B is not None:
            loop = loop + B @ K
        values = eigvals(loop, right)
        return complex(values[np.argmax(values.real)])
    return _by_cayley(A, B, K, E, scale, np.random.default_rng(seed))


def _by_cayley(A, B, K, E, scale, rng):
    n = A.shape[0]
    a = float(scale or typical_size(A, E))
    if issparse(A):
        E = eye_array(n, format="csc") if E is None else E
        solve = splu(csc_array(A - a * E)).solve
    else:
        E = np.eye(n) if E is None else as_dense(E)
        lu = lu_factor(A - a * E, check_finite=False)
        solve = partial(lu_solve, lu, check_finite=False)
    if B is None:
        B, K = np.zeros((n, 0)), np.zeros((0, n))
    WB = solve(np.ascontiguousarray(B)) if B.shape[1] else B
    inner = np.eye(B.shape[1]) + K @ WB

    def cayley(x):  # (A + B K - a E)^{-1} (A + B K + a E) x = x + 2 a (...)^{-1} E x
        y = solve(E @ x)
        if B.shape[1]:
            y = y - WB @ np.linalg.solve(inner, K @ y)
        return x + 2.0 * a * y

    operator = LinearOperator((n, n), cayley, dtype=np.float64)
    try:
        _, vectors = eigs(
            operator, k=6, which="LM", v0=rng.standard_normal(n), ncv=80, tol=1e-8, maxiter=60
        )
    except ArpackNoConvergence:
        if n > _FORMED:
            return complex(np.nan)
        values = eigvals(as_dense(A) + B @ K, as_dense(E))
        return complex(values[np.argmax(values.real)])
    # Rayleigh's quotients: the transform has lost the digits of values far from a.
    images = A @ vectors + B @ (K @ vectors)
    values = np.sum(vectors.conj() * images, axis=0) / np.sum(
        vectors.conj() * (E @ vectors), axis=0
    )
    return complex(values[np.argmax(values.real)])


def closed_loop_radius(A, *, E=None):
    """Largest size of an eigenvalue of ``(A, E)``: below 1 where a discrete loop is stable.

    Parameters
    ----------
    A, E : ndarray of shape (n, n)

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import closed_loop_radius
    >>> closed_loop_radius(np.diag([0.5, -0.9]))
    0.9
    """
    return float(np.abs(eigvals(A, E)).max(initial=0.0))


def typical_size(A, E=None):
    """Size of the elements of A relative to those of E: a rough scale of eigenvalues.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import typical_size
    >>> typical_size(np.diag([-1.0, -3.0]))
    2.0
    """
    size = np.abs(A).sum() / (A.shape[0] if E is None else np.abs(E).sum())
    return float(size) if size > 0 else 1.0
