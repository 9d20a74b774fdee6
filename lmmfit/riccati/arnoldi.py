"""Arnoldi's method: what a few products tell of a matrix's eigenvalues."""

import numpy as np
from scipy.linalg import eigvals

__all__ = ["ritz_values"]


def ritz_values(product, v, steps):
    """Ritz values of Arnoldi's method.

    Parameters
    ----------
    product : callable
        Of a vector of shape (n,) with the matrix.
    v : ndarray of shape (n,)
        Start.
    steps : int
        Products; fewer, n at most, where the space is then invariant.

    Returns
    -------
    ndarray of shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati.arnoldi import ritz_values
    >>> A = np.diag([1.0, 2.0])
    >>> np.sort(ritz_values(lambda x: A @ x, np.ones(2), 5).real).round(12)
    array([1., 2.])
    """
    steps = min(steps, len(v))
    V, H = np.empty((steps + 1, len(v))), np.zeros((steps + 1, steps))
    V[0] = v / np.linalg.norm(v)
    for j in range(steps):
        w = product(V[j])
        for _ in range(2):  # twice is enough
            c = V[: j + 1] @ w
            H[: j + 1, j] += c
            w = w - c @ V[: j + 1]
        H[j + 1, j] = np.linalg.norm(w)
        if not H[j + 1, j] > 1e-14 * np.abs(H[: j + 1, j]).max():
            return eigvals(H[: j + 1, : j + 1])
        V[j + 1] = w / H[j + 1, j]
    return eigvals(H[:steps])
