"""The inverse Hessian from a few pairs of steps and gradient changes."""

from dataclasses import dataclass

import numpy as np

from lmmfit._jit import njit

__all__ = ["LimitedMemory", "SteepestDescent", "apply_inverse", "no_pairs"]


def apply_inverse(steps, products, v):
    """Multiply by the BFGS approximation of the inverse Hessian.

    Parameters
    ----------
    steps : ndarray of shape (m, k)
        Oldest first.
    products : ndarray of shape (m, k)
        The Hessian times each step, or the gradient's change along it.
    v : ndarray of shape (k,)

    Returns
    -------
    ndarray of shape (k,)

    References
    ----------
    Nocedal, J. and Wright, S. J. (2006). Numerical Optimization, algorithm 7.4.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import apply_inverse
    >>> apply_inverse(np.eye(2), np.diag([4.0, 2.0]), np.ones(2))
    array([0.25, 0.5 ])
    """
    return _two_loops(steps, products, v) if len(steps) else v.copy()


@njit(fastmath=True)
def _two_loops(steps, products, v):
    m, k = steps.shape
    r = v.copy()
    rho = np.empty(m)
    share = np.empty(m)
    for i in range(m - 1, -1, -1):
        s = steps[i]
        y = products[i]
        curvature = 0.0
        along = 0.0
        for j in range(k):
            curvature += s[j] * y[j]
            along += s[j] * r[j]
        rho[i] = 1.0 / curvature
        share[i] = along * rho[i]
        for j in range(k):
            r[j] -= share[i] * y[j]
    square = 0.0
    for j in range(k):
        square += products[m - 1, j] * products[m - 1, j]
    scale = 1.0 / (rho[m - 1] * square)
    for j in range(k):
        r[j] *= scale
    for i in range(m):
        s = steps[i]
        y = products[i]
        along = 0.0
        for j in range(k):
            along += y[j] * r[j]
        rest = share[i] - rho[i] * along
        for j in range(k):
            r[j] += rest * s[j]
    return r


def no_pairs(x):
    """Steps and products of nothing yet."""
    return np.empty((0, len(x))), np.empty((0, len(x)))


@dataclass(frozen=True)
class LimitedMemory:
    """Descent of L-BFGS: the gradient times the approximate inverse Hessian.

    Parameters
    ----------
    memory : int, default=10
        Pairs that are kept.

    Examples
    --------
    >>> from lmmfit.optimize import LineSearch, LimitedMemory, Recombined
    >>> Recombined(LimitedMemory(memory=5), LineSearch()).descent.memory
    5
    """

    memory: int = 10

    def start(self, run):
        """Begin without pairs."""
        run.memory.pairs, run.memory.last = no_pairs(run.x), None

    def direction(self, run):
        """Direction of descent, with the length that a full step would have."""
        m = run.memory
        if m.last is not None:
            s, y = run.x - m.last[0], run.gradient - m.last[1]
            curvature = s @ y
            if curvature > 1e-10 * np.sqrt((s @ s) * (y @ y)):
                m.pairs = tuple(
                    np.vstack([kept[-self.memory + 1 :] if self.memory > 1 else kept[:0], new])
                    for kept, new in zip(m.pairs, (s, y), strict=True)
                )
        m.last = run.x, run.gradient
        d = -apply_inverse(*m.pairs, run.gradient)
        return d if len(m.pairs[0]) else d / max(1.0, np.sqrt(d @ d))


@dataclass(frozen=True)
class SteepestDescent:
    """Descent along the gradient; with :class:`ExactLineSearch`, Cauchy's method.

    Examples
    --------
    >>> from lmmfit.optimize import ExactLineSearch, Recombined, SteepestDescent
    >>> Recombined(SteepestDescent(), ExactLineSearch()).search
    ExactLineSearch(...)
    """

    def start(self, run):
        """Nothing to remember."""

    def direction(self, run):
        """Minus the gradient, of length 1 at most."""
        return -run.gradient / max(1.0, np.sqrt(run.gradient @ run.gradient))
