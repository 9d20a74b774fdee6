"""Linear quadratic regulators."""

from lmmfit.riccati.care import solve_care
from lmmfit.riccati.checks import as_square, semidefinite_root
from lmmfit.riccati.dare import solve_dare

__all__ = ["dlqr", "lqr"]


def lqr(A, B, Q, R, *, E=None, S=None, **options):
    """Regulator u = -K x that minimises the integral of x'Qx + u'Ru + 2 x'Su.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
        Of E dx/dt = A x + B u.
    B : array-like of shape (n, m)
    Q : array-like of shape (n, n)
        Positive semidefinite.
    R : array-like of shape (m, m)
        Positive definite.
    E : array-like or sparse array of shape (n, n), optional
    S : array-like of shape (n, m), optional
    **options
        Those of :func:`solve_care`.

    Returns
    -------
    RiccatiSolution
        With the gain ``K`` and the cost x'E'XEx from a state x.

    Raises
    ------
    ValueError
        As :func:`solve_care`.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import lqr
    >>> lqr([[0.0, 1.0], [0.0, 0.0]], [[0.0], [1.0]], np.eye(2), [[1.0]]).K.round(6)
    array([[1.      , 1.732051]])
    """
    A = as_square(A, "A", sparse=True)
    return solve_care(A, B, semidefinite_root(Q, "Q", A.shape[0]), E=E, R=R, S=S, **options)


def dlqr(A, B, Q, R, *, E=None, S=None, **options):
    """Regulator u = -K x that minimises the sum of x'Qx + u'Ru + 2 x'Su over discrete time.

    Parameters
    ----------
    A : array-like of shape (n, n)
        Of E x[t + 1] = A x[t] + B u[t].
    B : array-like of shape (n, m)
    Q : array-like of shape (n, n)
        Positive semidefinite.
    R : array-like of shape (m, m)
        Positive definite.
    E : array-like of shape (n, n), optional
    S : array-like of shape (n, m), optional
    **options
        Those of :func:`solve_dare`.

    Returns
    -------
    RiccatiSolution

    Raises
    ------
    ValueError
        As :func:`solve_dare`.

    Examples
    --------
    >>> from lmmfit.riccati import dlqr
    >>> dlqr([[1.0]], [[1.0]], [[1.0]], [[1.0]]).K.round(6)
    array([[0.618034]])
    """
    A = as_square(A, "A")
    return solve_dare(A, B, semidefinite_root(Q, "Q", len(A)), E=E, R=R, S=S, **options)
