"""Scaling by powers of two: it changes no digit.

Exponents are added as integers and applied once by ``ldexp``, so that nothing passes through
numbers that are too small to have all their digits.
"""

import numpy as np

__all__ = ["EPS", "ScaledSystem", "equilibrate", "exponent", "power_of_two"]

EPS = 2.0**-53
"""Unit roundoff of double precision."""

_NONE = -(10**6)  # exponent of zero


def power_of_two(a, axis=None):
    """Powers of two that bring the largest elements to [1/2, 1); 1 for zeros."""
    return np.ldexp(1.0, np.clip(-exponent(a, axis), -1000, 1000))


def exponent(a, axis=None):
    """Exponents e that bring the largest of ``ldexp(a, -e)`` to [1/2, 1); 0 for zeros."""
    return np.frexp(np.abs(a).max(axis=axis, initial=0.0))[1]


def equilibrate(a):
    """Exponents r, c for which ``ldexp(a, -(r[:, None] + c))`` has its largest elements near 1."""
    sizes = np.where(a != 0.0, np.frexp(a)[1], _NONE)
    rows = sizes.max(axis=1)
    rows = np.where(rows > _NONE, rows, 0)
    columns = (sizes - rows[:, None]).max(axis=0)
    return rows, np.where(columns > _NONE // 2, columns, 0)


class ScaledSystem:
    """``A x = b`` with rows, columns and right-hand sides scaled.

    Attributes
    ----------
    a : ndarray of shape (m, n)
    at : ndarray of shape (n, m)
        Its transpose, contiguous.
    b : ndarray of shape (m, k)
    rows, columns, size : ndarray of int
        The elements are ``ldexp(a, -(rows[:, None] + columns))`` and
        ``ldexp(b, -(rows[:, None] + size))``, where the last is of shape (k,).
    """

    def __init__(self, a, b, *, scale_rows=True):
        if scale_rows:
            self.rows, self.columns = equilibrate(a)
        else:
            self.rows, self.columns = np.zeros(len(a), np.int32), exponent(a, axis=0)
        self.a = np.ldexp(a, -(self.rows[:, None] + self.columns))
        self.at = np.ascontiguousarray(self.a.T)
        sizes = np.where(b != 0.0, np.frexp(b)[1] - self.rows[:, None], _NONE)
        size = sizes.max(axis=0)
        self.size = np.where(size > _NONE, size, 0)
        self.b = np.ldexp(b, -(self.rows[:, None] + self.size))

    def scale(self, x):
        """Express a solution, or what else has its units, in those of the scaled system."""
        return np.ldexp(x, self.columns[:, None] - self.size)

    def unscale(self, x):
        """Express it in the user's units."""
        return np.ldexp(x, self.size - self.columns[:, None])
