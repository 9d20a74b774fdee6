"""From stochastic differential equations to their samples."""

import numpy as np
from scipy.linalg import expm

from lmmfit.riccati.checks import as_matrix, as_square, as_symmetric, check_semidefinite

__all__ = ["discretise"]


def discretise(A, Q, dt, B=None):
    """Sample ``dx = A x dt + B u dt + dw`` every ``dt``, exactly.

    The samples follow ``x[t + 1] = F x[t] + G u[t] + w[t]`` with ``F = exp(A dt)``, ``G`` the
    integral of ``exp(A s) B`` over a step, for inputs that are constant within one, and a noise of
    the covariance ``V``, the integral of ``exp(A s) Q exp(A' s)``.

    Parameters
    ----------
    A : array-like of shape (n, n)
    Q : array-like of shape (n, n)
        Positive semidefinite: covariance of w per unit of time.
    dt : float
        Time from one sample to the next, above 0.
    B : array-like of shape (n, k), optional

    Returns
    -------
    F : ndarray of shape (n, n)
    V : ndarray of shape (n, n)
    G : ndarray of shape (n, k) or None

    Raises
    ------
    ValueError
        If a matrix has a wrong shape, is not symmetric or semidefinite as it must be, or if
        ``dt`` is not positive.

    Notes
    -----
    Van Loan's exponential holds exp(-A h), which overflows for fast stable modes and long steps.
    It is taken for a step h = dt / 2^k with a norm of A h below 1, and the step is then doubled:
    V(2h) = V(h) + F(h) V(h) F(h)'.

    References
    ----------
    Van Loan, C. F. (1978). Computing integrals involving the matrix exponential. IEEE
    Transactions on Automatic Control 23(3).

    Examples
    --------
    >>> from lmmfit.riccati import discretise
    >>> F, V, G = discretise([[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 3.0]], 1.0)
    >>> F, V.round(12)
    (array([[1., 1.],
           [0., 1.]]), array([[1. , 1.5],
           [1.5, 3. ]]))
    """
    A = as_square(A, "A")
    n = len(A)
    Q = as_symmetric(Q, "Q", n)
    check_semidefinite(Q, "Q")
    if not (np.isfinite(dt) and dt > 0.0):
        raise ValueError(f"dt must be a positive number, got {dt!r}.")
    inputs = np.zeros((n, 0)) if B is None else as_matrix(B, "B", (n, None))
    k = inputs.shape[1]
    size = np.linalg.norm(A, 1) * dt
    doublings = max(int(np.ceil(np.log2(size))), 0) if size > 1.0 else 0
    h = dt / 2**doublings
    noise = expm(np.block([[-A, Q], [np.zeros((n, n)), A.T]]) * h)
    F = np.ascontiguousarray(noise[n:, n:].T)
    V = F @ noise[:n, n:]
    G = expm(np.block([[A, inputs], [np.zeros((k, n + k))]]) * h)[:n, n:]
    for _ in range(doublings):
        V, G, F = V + F @ V @ F.T, G + F @ G, F @ F
    return F, 0.5 * (V + V.T), None if B is None else G
