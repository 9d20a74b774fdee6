"""Least-squares solutions with a bound of their error that holds.

With S close to the inverse of R, the columns of B = A S are nearly orthonormal whatever the
condition of A; ``alpha = norm(I - B'B) < 1`` proves full rank, and the error of x is

    exact - x = (A'A)^-1 A'r = S (B'B)^-1 S'g,   g = A'r,   r = b - A x,

with g computed in twice the working precision, twice over. ``(B'B)^-1`` differs from I by at most
``alpha / (1 - alpha)`` in norm. See Rump (2010), Acta Numerica 19, section 10, for the square
case, and Bjorck (1996), section 2.4, for the correction ``S S'g``.
"""

from dataclasses import replace

import numpy as np

from lmmfit.linalg._check import lapack
from lmmfit.linalg._factor import frozen
from lmmfit.linalg._scaling import ScaledSystem, exponent
from lmmfit.linalg.lstsq import least_squares
from lmmfit.linalg.orthogonal import qr
from lmmfit.linalg.refinement import refine, residual
from lmmfit.linalg.verified import TINY, gamma

__all__ = ["LeastSquaresProblem"]


class LeastSquaresProblem:
    """The problem with its columns scaled, and a proof of full rank if there is one."""

    def __init__(self, a, b):
        self.given = a
        self.system = ScaledSystem(a, b, scale_rows=False)
        self.a, self.at, self.b = self.system.a, self.system.at, self.system.b
        self.rows = np.ascontiguousarray(self.a)
        self.alpha, self.root = np.inf, None
        self.scaled = qr(self.a, pivot=False)
        triangle = self.scaled.R
        if triangle.diagonal().all():
            with np.errstate(all="ignore"):
                self.root = lapack(np.float64, "trtri")(triangle)[0]
                self.alpha = self._orthogonality() if np.isfinite(self.root).all() else np.inf

    def _orthogonality(self):
        """Bound ``norm(I - B'B)`` in the 2-norm, for the exact B = A S."""
        m, n = self.a.shape
        b = self.a @ self.root
        hidden = gamma(2 * n + 8) * np.linalg.norm(np.abs(self.a) @ np.abs(self.root)) + TINY
        gap = np.abs(b.T @ b - np.eye(n)).sum(axis=1).max()
        size = np.linalg.norm(b)
        return float(
            (gap + gamma(2 * m + 8) * (size**2 + n) + (2.0 * size + hidden) * hidden)
            * (1.0 + 1e-14 * (m + n))
        )

    @property
    def factor(self):
        """The factor of A as given: scaling the columns scales those of R, and nothing else."""
        rows, columns = np.triu_indices(len(self.scaled.tau), m=self.a.shape[1])
        packed = self.scaled.packed.copy()
        with np.errstate(over="ignore"):
            packed[rows, columns] = np.ldexp(packed[rows, columns], self.system.columns[columns])
        return replace(self.scaled, packed=frozen(packed))

    @property
    def proved(self):
        """Whether the columns are shown to be independent."""
        return self.alpha < 1.0

    def solve(self, refined):
        """Return the solution as a pair, and the number of corrections."""
        if self.proved:
            high = self.root @ self.scaled.rotate(self.b)
        else:
            high = least_squares(self.a, self.b, method="qr").x
        if not refined or not self.proved:
            return high, np.zeros_like(high), 0

        def correct(r, rest):
            return self.root @ (self.root.T @ self._gradient(r, rest)[0])

        high, low, sizes, _ = refine(self.at, self.b, high, correct)
        return high, low, len(sizes)

    def bound(self, high, low):
        """Bound ``|exact - high|``: the pair's error by the proof, and the rest of the pair."""
        if not self.proved:
            return np.full(high.shape, np.inf)
        m, n = self.a.shape
        r, rest = residual(self.at, high, low, self.b)
        gradient, left = self._gradient(r, rest)
        size = np.abs(self.a) @ (np.abs(high) + np.abs(low)) + np.abs(self.b)
        tiny = TINY * (1.0 + np.abs(high).sum(axis=0) + np.abs(r).sum(axis=0))
        hidden = 1.01 * gamma(2 * n + 2) ** 2 * size + tiny  # of the residual
        sizes = np.abs(self.at) @ (np.abs(r) + np.abs(rest))
        hidden = np.abs(self.at) @ hidden + gamma(2 * m + 2) ** 2 * sizes
        hidden = 1.01 * hidden + np.abs(left) + tiny
        root = np.abs(self.root)
        t = self.root.T @ gradient
        hidden = 1.01 * (root.T @ (hidden + gamma(2 * n + 8) * np.abs(gradient))) + TINY
        length = np.sqrt(n) * (np.abs(t) + hidden).max(axis=0)  # no squares of what is tiny
        lost = self.alpha / (1.0 - self.alpha) * length
        error = np.abs(self.root @ t) + 1.01 * (
            root @ (hidden + gamma(2 * n + 8) * np.abs(t))
            + np.linalg.norm(root, axis=1)[:, None] * lost
        )
        return (np.abs(low) + error) * (1.0 + 1e-14) + TINY

    def backward_error(self, high):
        """Relative size of a change of A that makes x exact (Stewart 1977), in the 2-norm."""
        r, rest = residual(self.at, high, np.zeros_like(high), self.b)
        unit, columns = exponent(self.given), self.system.columns[:, None]
        norm = np.linalg.norm(np.ldexp(self.given, -unit))
        length = np.linalg.norm(r, axis=0)
        with np.errstate(over="ignore"):
            gradient = np.ldexp(self._gradient(r, rest)[0], columns - unit)
            size = norm * np.linalg.norm(np.ldexp(high, unit - columns), axis=0)
        turned = np.divide(np.linalg.norm(gradient, axis=0), norm * length,
                           out=np.zeros(len(length)), where=length > 0.0)  # fmt: skip
        shifted = np.divide(
            length, size, out=np.where(length > 0.0, np.inf, 0.0), where=size > 0.0
        )
        return np.minimum(turned, shifted)

    def _gradient(self, r, rest):
        """``A'r`` of a residual given as a pair, as a pair."""
        high, low = residual(self.rows, r, rest, np.zeros((self.a.shape[1], r.shape[1])))
        return -high, -low
