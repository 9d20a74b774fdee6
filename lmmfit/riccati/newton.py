"""Newton's method for Riccati equations, with exact line search."""

import numpy as np
from scipy.linalg import solve_continuous_lyapunov

__all__ = ["newton_care"]

_STALLED = 1e-8  # relative residual below which one that does not halve is rounding
_WORTH = 0.7  # of the squared residual may be left by a step that is not a whole one


def newton_care(A, G, H, X, *, tol=1e-15, max_iter=50):
    """Improve a solution of ``A'X + XA - XGX + H = 0``.

    Each step solves a Lyapunov equation with the closed loop; the length of the step minimises the
    residual along it, a polynomial of degree four (Benner and Byers 1998).

    Parameters
    ----------
    A : ndarray of shape (n, n)
    G, H : ndarray of shape (n, n)
        Symmetric.
    X : ndarray of shape (n, n)
        Start, whose closed loop ``A - GX`` is stable.
    tol : float
        Residual relative to the terms of the equation.
    max_iter : int

    Returns
    -------
    X : ndarray of shape (n, n)
    history : list of float
        Relative residual before each step, and at the end.

    References
    ----------
    Kleinman, D. L. (1968). On an iterative technique for Riccati equation computations. IEEE
    Transactions on Automatic Control 13(1).

    Benner, P. and Byers, R. (1998). An exact line search method for solving generalized
    continuous-time algebraic Riccati equations. IEEE Transactions on Automatic Control 43(1).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import newton_care
    >>> one = np.ones((1, 1))
    >>> newton_care(-one, one, one, 0 * one)[0].round(12)
    array([[0.41421356]])
    """
    history, best = [], (np.inf, X)
    for _ in range(max_iter):
        R, size = _residual(A, G, H, X)
        history.append(np.linalg.norm(R) / size)
        if history[-1] < best[0]:
            best = (history[-1], X)
        stalls = len(history) > 2 and _STALLED > history[-1] > 0.5 * history[-2]
        if history[-1] <= tol or stalls:
            break
        closed = A - G @ X
        N = solve_continuous_lyapunov(closed.T, -R)
        N = 0.5 * (N + N.T)
        X = X + _length(R, N @ G @ N) * N
    else:
        R, size = _residual(A, G, H, X)
        history.append(np.linalg.norm(R) / size)
        if history[-1] < best[0]:
            best = (history[-1], X)
    return best[1], history


def _residual(A, G, H, X):
    XA = X @ A
    XGX = X @ G @ X
    size = 2 * np.linalg.norm(XA) + np.linalg.norm(XGX) + np.linalg.norm(H)
    return XA.T + XA - XGX + H, max(size, 1e-300)


def _length(R, V):
    """Minimum over (0, 2] of |(1 - t) R - t^2 V|^2."""
    rr, rv, vv = np.sum(R * R), np.sum(R * V), np.sum(V * V)

    def value(t):
        return (1 - t) ** 2 * rr - 2 * (1 - t) * t * t * rv + t**4 * vv

    roots = np.roots([4 * vv, 6 * rv, 2 * rr - 4 * rv, -2 * rr])
    real = roots.real[(np.abs(roots.imag) < 1e-8) & (roots.real > 0) & (roots.real <= 2)]
    best = min([1.0, *real], key=value)
    # Far below the solution short steps would take for ever; the whole one goes above it, from
    # where Kleinman's iteration comes down for certain.
    return best if value(best) <= _WORTH * rr else 1.0
