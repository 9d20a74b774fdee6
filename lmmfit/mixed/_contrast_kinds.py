"""Weights of the usual families of contrasts between m means."""

from fractions import Fraction
from math import gcd, lcm
from numbers import Real

import numpy as np

__all__ = ["KINDS", "contrast_weights"]

KINDS = ("pairwise", "reference", "sequential", "effect", "polynomial")
_DEGREES = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")


def contrast_weights(kind, labels, reference=0):
    """Weights of a family of contrasts, and their names.

    Parameters
    ----------
    kind : str or dict of str to sequence
        One of ``KINDS``, or weights by name.
    labels : list of str
        Of the m means.
    reference : int, default=0
        Position of the mean that "reference" compares with.

    Returns
    -------
    names : list of str
    weights : ndarray of shape (k, m)

    Raises
    ------
    ValueError
        If the kind is unknown, needs more means, or weights do not fit them.
    """
    m = len(labels)
    if isinstance(kind, dict):
        return list(kind), _own_weights(kind, labels)
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS} or a dict of weights, got {kind!r}.")
    if m < 2:
        raise ValueError(
            f"kind={kind!r} compares means, and there is only one in each family "
            f"({labels[0] or 'the overall mean'}): give marginal_means more factors, or contrast "
            "fewer by columns."
        )
    if kind == "polynomial":
        degree = min(m - 1, len(_DEGREES))
        return list(_DEGREES[:degree]), _polynomials(m, degree)
    if kind == "effect":
        return [f"{label} effect" for label in labels], np.eye(m) - 1.0 / m
    if kind == "pairwise":
        pairs = [(i, j) for i in range(m) for j in range(i + 1, m)]
    elif kind == "reference":
        pairs = [(i, reference) for i in range(m) if i != reference]
    else:
        pairs = [(i + 1, i) for i in range(m - 1)]
    names = [f"{labels[i]} - {labels[j]}" for i, j in pairs]
    weights = np.zeros((len(pairs), m))
    for row, (i, j) in zip(weights, pairs, strict=True):
        row[i], row[j] = 1.0, -1.0
    return names, weights


def _own_weights(kind, labels):
    for name, row in kind.items():
        row = list(row)
        if len(row) != len(labels) or not all(isinstance(weight, Real) for weight in row):
            raise ValueError(
                f"the contrast {name!r} must have one number for each of the {len(labels)} means "
                f"{labels}, got {row}."
            )
    if not kind:
        raise ValueError("kind is empty; give at least one contrast.")
    return np.array([list(row) for row in kind.values()], dtype=np.float64)


def _polynomials(m, degree):
    """Orthogonal polynomials of m equally spaced points, in the smallest whole numbers."""
    points = [Fraction(2 * i - m + 1) for i in range(m)]
    basis = [[Fraction(1)] * m]
    for _ in range(degree):
        values = [a * b for a, b in zip(basis[-1], points, strict=True)]
        for earlier in basis:
            share = sum(map(lambda a, b: a * b, values, earlier)) / sum(a * a for a in earlier)
            values = [a - share * b for a, b in zip(values, earlier, strict=True)]
        basis.append(values)
    rows = []
    for values in basis[1:]:
        scale = lcm(*(value.denominator for value in values))
        whole = [int(value * scale) for value in values]
        rows.append(np.array(whole) / gcd(*whole))
    return np.array(rows)
