"""Scaling by powers of two: it changes no digit."""

import numpy as np

__all__ = ["EPS", "equilibrate", "power_of_two"]

EPS = 2.0**-53
"""Unit roundoff of double precision."""


def power_of_two(a, axis=None):
    """Powers of two that bring the largest elements to [1/2, 1); 1 for zeros."""
    largest = np.abs(a).max(axis=axis, initial=0.0)
    exponent = np.clip(np.frexp(largest)[1], -1000, 1000)
    return np.ldexp(1.0, -exponent)


def equilibrate(a):
    """Powers of two r, c such that ``r[:, None] * a * c`` has its largest elements near 1."""
    rows = power_of_two(a, axis=1)
    return rows, power_of_two(a * rows[:, None], axis=0)
