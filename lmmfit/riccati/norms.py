"""The largest gain of a stable system over all frequencies."""

import numpy as np
from scipy.linalg import eigvals, lu_factor, lu_solve

from lmmfit.riccati.checks import as_dense, as_matrix, as_square, check_descriptor

__all__ = ["hinf_norm"]

_ON_AXIS = 1e-8  # real part, relative to the size, of an eigenvalue that is on the imaginary axis


def hinf_norm(A, B, C, *, E=None, tol=1e-8, max_iter=30):
    """H-infinity norm of ``C (s E - A)^{-1} B``, and where it is reached.

    From the largest gain at likely frequencies the level rises: where a Hamiltonian matrix has
    imaginary eigenvalues the gain crosses the level, and between crossings it is above it
    (Bruinsma and Steinbuch 1990). It takes the eigenvalues of a matrix of order 2 n for each of a
    few steps.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
        Stable.
    B : array-like of shape (n, m)
    C : array-like of shape (p, n)
    E : array-like or sparse array of shape (n, n), optional
        Not singular; the identity by default.
    tol : float, default=1e-8
        Relative accuracy of the norm.
    max_iter : int, default=30

    Returns
    -------
    norm : float
        Infinite for an A that is not stable.
    frequency : float

    Raises
    ------
    ValueError
        If a matrix has a wrong shape or an element that is not finite, or E is singular.

    References
    ----------
    Bruinsma, N. A. and Steinbuch, M. (1990). A fast algorithm to compute the H-infinity norm of a
    transfer function matrix. Systems and Control Letters 14(4).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import hinf_norm
    >>> A = np.array([[-0.1, 1.0], [-1.0, -0.1]])
    >>> norm, frequency = hinf_norm(A, [[0.0], [1.0]], [[1.0, 0.0]])
    >>> round(norm, 6), round(frequency, 3)
    (5.0, 0.995)
    """
    A = as_square(A, "A")
    n = len(A)
    B, C = as_matrix(B, "B", (n, None)), as_matrix(C, "C", (None, n))
    if E is not None:
        E = check_descriptor(E, n)
        lu = lu_factor(as_dense(E), check_finite=False)
        A, B = lu_solve(lu, A), lu_solve(lu, B)
    modes = eigvals(A)
    if modes.real.max() >= 0.0:
        return np.inf, float(abs(modes[np.argmax(modes.real)].imag))
    level, frequency = _largest(A, B, C, np.abs(np.r_[0.0, modes.imag, np.abs(modes)]))
    for _ in range(max_iter):
        crossings = _crossings(A, B, C, (1.0 + 2.0 * tol) * max(level, 1e-300))
        if len(crossings) < 2:
            break
        higher = _largest(A, B, C, 0.5 * (crossings[1:] + crossings[:-1]))
        if higher[0] <= level:
            break
        level, frequency = higher
    return level, frequency


def _largest(A, B, C, frequencies):
    """Largest singular value over frequencies, and the one where it is reached."""
    tried = np.unique(frequencies)
    one = np.eye(len(A))
    gains = [np.linalg.norm(C @ np.linalg.solve(1j * w * one - A, B), 2) for w in tried]
    best = int(np.argmax(gains))
    return float(gains[best]), float(tried[best])


def _crossings(A, B, C, level):
    """Frequencies at which a singular value is equal to the level."""
    H = np.block([[A, B @ B.T / level], [-C.T @ C / level, -A.T]])
    values = eigvals(H)
    size = np.maximum(np.abs(values), 1e-3 * np.abs(values).max())
    return np.unique(np.abs(values.imag[np.abs(values.real) <= _ON_AXIS * size]))
