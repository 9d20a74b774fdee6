"""An approximate inverse with a proof: ``norm(I - R A) <= alpha < 1``, whatever rounding did.

If alpha is below 1, A is nonsingular and ``inv(A) = inv(I - G) R`` with ``G = I - R A``. Every
bound here adds what rounding may have hidden: a computed sum of n products errs by at most
``gamma(n)`` times the sum of their sizes, in any order of summation (Higham 2002, section 3.1).

References: Rump (2010), Verification methods, Acta Numerica 19, sections 10.1 and 10.5; Rump
(2009), Inversion of extremely ill-conditioned matrices in floating-point, JJIAM 26.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lmmfit.linalg._check import lapack
from lmmfit.linalg._scaling import EPS, equilibrate
from lmmfit.linalg.refinement import residual

__all__ = ["TINY", "Inverse", "gamma", "inverse_norm_bound", "verified_inverse"]

TINY = 1e-290  # more than all that underflow can take from numbers of order 1
_PAIRS = 300  # up to this order an inverse in twice the precision is tried: 60 n^3 operations


def gamma(n):
    """Bound the relative error of n operations: n u / (1 - n u)."""
    return n * EPS / (1.0 - n * EPS)


@dataclass(frozen=True, eq=False)
class Inverse:
    """An approximate inverse R of a matrix, and bounds of ``G = I - R A``.

    Attributes
    ----------
    high, low : ndarray of shape (n, n)
        R as a sum; `low` is None where one array was enough.
    rows : ndarray of shape (n,)
        Bounds of the row sums of the sizes of G's elements.
    alpha : float
        Their largest: nothing is proved unless it is below 1.
    """

    high: np.ndarray
    low: np.ndarray | None
    rows: np.ndarray
    alpha: float

    def times(self, r, error):
        """Bound ``|R r|`` for every r within `error` of the given one, both of shape (n, k)."""
        size = np.abs(r)
        # |R| (...) is itself rounded: gamma(2n + 8) covers that too
        slack = np.abs(self.high) @ (gamma(2 * len(r) + 8) * size + 1.01 * error)
        if self.low is not None:
            slack += 1.01 * (np.abs(self.low) @ (size + error))
        return np.abs(self.high @ r) + slack + TINY

    def correct(self, r, rest=None):
        """``R r``: an approximate solution; the rest of a residual does not matter for it."""
        return self.high @ r

    def elementwise_bound(self):
        """Bound the elements of ``|inv(A)|``, and those of ``|inv(A) - R|``."""
        size = np.abs(self.high) if self.low is None else np.abs(self.high) + np.abs(self.low)
        gap = np.outer(self.rows, size.max(axis=0)) / (1.0 - self.alpha) * (1.0 + 1e-14)
        if self.low is not None:
            gap += np.abs(self.low)
        return (size + gap) * (1.0 + 1e-14), gap


def verified_inverse(a):
    """Invert a matrix whose elements are of order 1, with ever more care until it is proved.

    Parameters
    ----------
    a : ndarray of shape (n, n)
        Equilibrated; see `equilibrate`.

    Returns
    -------
    Inverse
        The first with alpha below 1/2, or the best one; None if every attempt broke down.
    """
    best = None
    for attempt in (_by_elimination, _by_rotations, _by_pairs):
        if attempt is _by_pairs and len(a) > _PAIRS:
            continue
        with np.errstate(all="ignore"):
            found = attempt(a)
        if found is not None and (best is None or not found.alpha >= best.alpha):
            best = found
        if best is not None and best.alpha < 0.5:
            break
    return best


def _by_elimination(a):
    factor, invert = lapack(np.float64, "getrf", "getri")
    packed, pivots, failed = factor(np.array(a, order="F"), overwrite_a=True)
    return None if failed else _prove(a, invert(packed, pivots, overwrite_lu=True)[0])


def _by_rotations(a):
    q, r = np.linalg.qr(a)
    inverse, failed = lapack(np.float64, "trtrs")(r, q.T)
    return None if failed else _prove(a, inverse)


def _by_pairs(a):
    """Precondition by the inverse of a neighbour, twice if needed (Rump 2009)."""
    nearby = a * (1.0 + 4.0 * EPS * np.random.default_rng(0).choice((-1.0, 1.0), a.shape))
    try:
        high = np.linalg.inv(nearby)
        low = np.zeros_like(high)
        zero, rows = np.zeros_like(a), np.ascontiguousarray(a)
        for _ in range(3):
            if not np.isfinite(high).all() or np.abs(high).max() > 1e280:
                return None
            product = -residual(rows, high.T, low.T, zero)[0].T  # R A, correctly rounded
            fix = np.linalg.inv(product)
            high, low = residual(np.ascontiguousarray(fix.T), -high, -low, zero)
            found = _prove_pair(a, high, low)
            if found is not None and found.alpha < 0.5:
                break
    except np.linalg.LinAlgError:
        return None
    return found


def _prove(a, inverse):
    """Bound ``I - R A`` from a product by BLAS."""
    if not np.isfinite(inverse).all():
        return None
    n = len(a)
    gap = inverse @ a
    gap[np.diag_indices(n)] -= 1.0
    hidden = np.abs(inverse) @ np.abs(a).sum(axis=1) + 1.0
    rows = (np.abs(gap).sum(axis=1) + gamma(2 * n + 8) * hidden) * (1.0 + 1e-14 * n) + TINY
    rows = np.where(np.isfinite(rows), rows, np.inf)
    return Inverse(inverse, None, rows, float(rows.max()))


def _prove_pair(a, high, low):
    """Bound ``I - R A`` from a product in twice the precision."""
    if not np.isfinite(high).all():
        return None
    n = len(a)
    gap = residual(np.ascontiguousarray(a), high.T, low.T, np.eye(n))[0].T
    hidden = (np.abs(high) + np.abs(low)) @ np.abs(a).sum(axis=1) + 1.0
    sums = np.abs(gap).sum(axis=1)
    rows = (sums + 1.01 * gamma(2 * n + 2) ** 2 * hidden) * (1.0 + 1e-14 * n) + n * TINY
    return Inverse(np.ascontiguousarray(high), np.ascontiguousarray(low), rows, float(rows.max()))


def inverse_norm_bound(a, norm):
    """Bound the norm of the inverse from above; ``inf`` if it cannot be shown to exist.

    Parameters
    ----------
    a : ndarray of shape (n, n)
    norm : {1, 2, inf}

    Returns
    -------
    fractions.Fraction, or float
        A rational number, because its size may be beyond that of any float.
    """
    rows, columns = equilibrate(a)
    found = verified_inverse(np.ldexp(a, -(rows[:, None] + columns)))
    if found is None or not found.alpha < 1.0:
        return np.inf
    size, gap = found.elementwise_bound()
    unscale = -(columns[:, None] + rows)
    top = int((np.frexp(size)[1] + unscale).max())
    size, gap = np.ldexp(size, unscale - top), np.ldexp(gap, unscale - top)
    slack = 1.0 + 16.0 * (len(a) + 4) * EPS
    if norm == 2:
        center = np.linalg.norm(np.ldexp(found.high, unscale - top), 2) * (1.0 + 1e-12)
        value = center + np.linalg.norm(gap)
    else:
        value = np.linalg.norm(size, norm)
    return Fraction(float(value * slack)) * Fraction(2) ** top
