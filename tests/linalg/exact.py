"""Linear algebra in exact rational numbers: what the tests compare with."""

from fractions import Fraction
from math import lcm

import numpy as np


def exact_solve(A, b):
    """Solve ``A x = b`` exactly (fraction-free elimination of Bareiss); None if A is singular.

    Elements are Python numbers, or floats taken as the rationals that they are.
    """
    rows = [[Fraction(v) for v in (*row, *right)] for row, right in zip(A, b, strict=True)]
    scaled = [[int(v * lcm(*(w.denominator for w in row))) for v in row] for row in rows]
    n, last = len(scaled), 1
    for k in range(n):
        pivot = next((i for i in range(k, n) if scaled[i][k]), None)
        if pivot is None:
            return None
        scaled[k], scaled[pivot] = scaled[pivot], scaled[k]
        top = scaled[k]
        for i in range(k + 1, n):
            row = scaled[i]
            scaled[i] = [0] * (k + 1) + [
                (top[k] * v - row[k] * t) // last
                for v, t in zip(row[k + 1 :], top[k + 1 :], strict=True)
            ]
        last = top[k]
    width = len(b[0])
    x = [[Fraction(0)] * width for _ in range(n)]
    for i in range(n - 1, -1, -1):
        row = scaled[i]
        for c in range(width):
            total = row[n + c] - sum(row[j] * x[j][c] for j in range(i + 1, n))
            x[i][c] = Fraction(total) / row[i]
    return x


def exact_inverse(A):
    """Invert exactly; None if A is singular."""
    return exact_solve(A, [[int(i == j) for j in range(len(A))] for i in range(len(A))])


def errors(x, exact):
    """Absolute errors of floats against rationals, as rationals."""
    return [[abs(Fraction(float(v)) - e) for v, e in zip(*pair, strict=True)]
            for pair in zip(np.atleast_2d(x.T).T, exact, strict=True)]  # fmt: skip


def norm_inf(A):
    """Largest sum of sizes of a row."""
    return max(sum(abs(v) for v in row) for row in A)
