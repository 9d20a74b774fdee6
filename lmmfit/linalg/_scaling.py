"""Scaling by powers of two: it changes no digit.

Exponents are added as integers and applied once by ``ldexp``, so that nothing passes through
numbers that are too small to have all their digits.
"""

import numpy as np

__all__ = ["EPS", "ScaledSystem", "equilibrate", "exponent", "exponent_of", "power_of_two"]

EPS = 2.0**-53
"""Unit roundoff of double precision."""

_NONE = -(10**6)  # exponent of zero


def power_of_two(a, axis=None):
    """Powers of two that bring the largest elements to [1/2, 1); 1 for zeros."""
    return np.ldexp(1.0, np.clip(-exponent(a, axis), -1000, 1000))


def exponent(a, axis=None):
    """Exponents e that bring the largest of ``ldexp(a, -e)`` to [1/2, 1); 0 for zeros."""
    return np.frexp(np.abs(a).max(axis=axis, initial=0.0))[1]


def exponent_of(a, shift, axis=0):
    """The same for ``ldexp(a, shift)``, which itself may be out of range."""
    top = np.where(a != 0.0, np.frexp(a)[1] + shift, _NONE).max(axis=axis)
    return np.where(top > _NONE, top, 0)


def equilibrate(a):
    """Exponents r, c for which ``ldexp(a, -(r[:, None] + c))`` has its largest elements near 1."""
    rows = exponent(a, axis=1)
    return rows, exponent_of(a, -rows[:, None])


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
        self.size = exponent_of(b, -self.rows[:, None])
        self.b = np.ldexp(b, -(self.rows[:, None] + self.size))

    def scale(self, x):
        """Express a solution, or what else has its units, in those of the scaled system."""
        return np.ldexp(x, self.columns[:, None] - self.size)

    def unscale(self, x):
        """Express it in the user's units."""
        return np.ldexp(x, self.size - self.columns[:, None])
