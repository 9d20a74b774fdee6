"""Linear algebra in exact rational numbers, and the matrices that the tests are about."""

from fractions import Fraction
from math import lcm
from types import SimpleNamespace

import numpy as np
import pytest


def solve(A, b):
    """Solve ``A x = b`` exactly (fraction-free elimination of Bareiss); None if A is singular.

    `A` (n, n) and `b` (n, k) hold numbers; floats are the rationals that they are.
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
        for c in range(width):
            total = scaled[i][n + c] - sum(scaled[i][j] * x[j][c] for j in range(i + 1, n))
            x[i][c] = Fraction(total) / scaled[i][i]
    return x


def inverse(A):
    """Invert exactly; None if A is singular."""
    return solve(A, np.eye(len(A), dtype=int).tolist())


def least_squares(A, b):
    """Solve the normal equations exactly: rationals lose nothing."""
    rows = [[Fraction(v) for v in row] for row in A]
    columns = list(zip(*rows, strict=True))
    gram = [[sum(x * y for x, y in zip(u, v, strict=True)) for v in columns] for u in columns]
    right = [[sum(x * Fraction(y[c]) for x, y in zip(u, b, strict=True)) for c in range(len(b[0]))]
             for u in columns]  # fmt: skip
    return solve(gram, right)


def error(x, exact):
    """Absolute errors (n, k) of floats against rationals, as rationals."""
    return [[abs(Fraction(float(v)) - e) for v, e in zip(*pair, strict=True)]
            for pair in zip(x.tolist(), exact, strict=True)]  # fmt: skip


def norm(A, order):
    """1-norm or infinity norm of rationals."""
    rows = A if order == np.inf else list(zip(*A, strict=True))
    return max(sum(abs(v) for v in row) for row in rows)


def wilkinson(n):
    """The worst case of partial pivoting: elements grow to 2^(n-1)."""
    a = np.eye(n) - np.tril(np.ones((n, n)), -1)
    a[:, -1] = 1.0
    return a


def hilbert(n):
    return 1.0 / (np.arange(n)[:, None] + np.arange(n) + 1.0)


def laeuchli(n, eps):
    """Columns that differ by eps only: A.T @ A loses them (Eldén 2007, example 3.12)."""
    return np.vstack([np.ones(n), eps * np.eye(n)])


def families(rng, n):
    """Matrices of every kind that the literature is afraid of, by name."""
    normal = rng.standard_normal((n, n))
    steps = np.add.outer(np.arange(n), np.arange(n))
    small = laeuchli(n, 10.0 ** -rng.integers(1, 8))
    low_rank = rng.standard_normal((n, max(n - 1, 1))) @ rng.standard_normal((max(n - 1, 1), n))
    return {
        "random": normal,
        "rows and columns graded": normal * np.outer(*10.0 ** rng.uniform(-8, 8, (2, n))),
        "graded": np.ldexp(normal, -12 * steps),
        "hilbert": hilbert(n),
        "vandermonde": np.vander(rng.uniform(0.0, 1.0, n)),
        "vandermonde, equidistant": np.vander(np.linspace(-1.0, 1.0, n)),
        "laeuchli": small.T @ small,
        "wilkinson": wilkinson(n),
        "nearly singular": low_rank + 10.0 ** -rng.integers(6, 14) * normal,
        "triangular": np.triu(normal) + np.eye(n),
        "integers": rng.integers(-9, 10, (n, n)).astype(float) + 20.0 * np.eye(n),
    }


@pytest.fixture(scope="session")
def exact():
    """Exact solutions and norms."""
    return SimpleNamespace(
        solve=solve, inverse=inverse, least_squares=least_squares, error=error, norm=norm
    )


@pytest.fixture(scope="session")
def matrices():
    """Makers of test matrices."""
    return SimpleNamespace(
        families=families, wilkinson=wilkinson, hilbert=hilbert, laeuchli=laeuchli
    )
