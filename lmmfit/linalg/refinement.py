"""Iterative refinement with residuals in twice the working precision."""

import operator
from dataclasses import dataclass

import numpy as np

from lmmfit.linalg._check import as_matrix, as_right_hand_side
from lmmfit.linalg._residual_kernels import pair_residual
from lmmfit.linalg._scaling import EPS, ScaledSystem, exponent_of
from lmmfit.linalg.gaussian import lu

__all__ = ["Refinement", "iterative_refinement", "refine", "residual"]


@dataclass(frozen=True, eq=False)
class Refinement:
    """A refined solution, from `iterative_refinement`.

    Attributes
    ----------
    x : ndarray of shape (n,) or (n, k)
        Correct to about one unit in the last place where it converged.
    correction : ndarray of the shape of x
        What rounding takes off x: ``x + correction`` is nearer to the solution.
    n_iter : int
        Corrections made.
    converged : bool
        Whether the last one was below rounding in every right-hand side. A matrix with a
        condition number near 1e16 does not let it.
    corrections : tuple of float
        Largest relative size of each correction.

    Examples
    --------
    >>> from lmmfit.linalg import iterative_refinement
    >>> iterative_refinement([[3.0, 1.0], [1.0, 2.0]], [5.0, 5.0]).converged
    True
    """

    x: np.ndarray
    correction: np.ndarray
    n_iter: int
    converged: bool
    corrections: tuple


def iterative_refinement(A, b, x=None, *, factor=None, max_iter=20):
    """Refine the solution of ``A x = b``: solve for the residual, and add.

    The residual is computed with twice the working precision, and x is held as a sum of two
    numbers, so that the error left does not depend on the condition number as long as the
    corrections shrink at all.

    Parameters
    ----------
    A : array_like of shape (n, n)
    b : array_like of shape (n,) or (n, k)
    x : array_like of the shape of b, optional
        Where to start; the solution by `factor` otherwise.
    factor : object with ``solve``, optional
        Factor of A, or of a matrix close to A; ``lu(A)`` by default.
    max_iter : int, default=20
        At most so many corrections.

    Returns
    -------
    Refinement

    Raises
    ------
    numpy.linalg.LinAlgError
        If the factor is singular.
    TypeError, ValueError
        If the arguments are not finite or do not fit.

    References
    ----------
    Demmel et al. (2006), Error bounds from extra-precise iterative refinement, ACM TOMS 32.

    Examples
    --------
    A float32 factor is enough for a solution in double precision.

    >>> import numpy as np
    >>> from lmmfit.linalg import iterative_refinement, lu
    >>> A = np.array([[4.0, 1.0], [2.0, 3.0]])
    >>> rough = lu(A.astype(np.float32))
    >>> iterative_refinement(A, [1.0, 2.0], factor=rough).x
    array([0.1, 0.6])
    """
    a = as_matrix(A, square=True, double=True)
    right, vector = as_right_hand_side(b, a.shape[:1])
    if operator.index(max_iter) < 0:
        raise ValueError(f"max_iter must not be negative; got {max_iter}.")
    factor = lu(a) if factor is None else factor
    system = ScaledSystem(a, right)

    def correct(r, _):
        # within the range of a float32 factor, whatever the units of A and b
        sizes = exponent_of(r, system.rows[:, None])
        step = factor.solve(np.ldexp(r, system.rows[:, None] - sizes)).astype(np.float64)
        return np.ldexp(step, system.columns[:, None] + sizes)

    if x is None:
        start = correct(system.b, None)
    else:
        given = as_right_hand_side(x, a.shape[:1], name="x")[0]
        if given.shape != right.shape:
            raise ValueError(f"x has {given.shape[1]} columns and b {right.shape[1]}.")
        start = system.scale(given)
    high, low, sizes, done = refine(system.at, system.b, start, correct, max_iter)
    high, low = system.unscale(high), system.unscale(low)
    if vector:
        high, low = high[:, 0], low[:, 0]
    return Refinement(high, low, len(sizes), done, tuple(sizes))


def refine(at, b, high, correct, max_iter=20):
    """Correct ``high`` while the corrections at least halve; return the solution as a pair.

    Parameters
    ----------
    at : ndarray of shape (n, m)
        The matrix transposed, contiguous; neither it nor b near overflow.
    b : ndarray of shape (m, k)
    high : ndarray of shape (n, k)
    correct : callable
        Residual, as a pair of arrays (m, k) -> approximate solution (n, k).
    max_iter : int

    Returns
    -------
    high, low : ndarray of shape (n, k)
    sizes : list of float
        Relative sizes of the corrections.
    converged : bool
    """
    low, sizes = np.zeros_like(high), []
    previous = np.full(b.shape[1], np.inf)
    open_ = np.ones(b.shape[1], bool)
    for _ in range(max_iter):
        step = correct(*residual(at, high, low, b))
        norm = np.abs(high).max(axis=0, initial=0.0)
        size = np.abs(step).max(axis=0, initial=0.0)
        size = np.divide(size, norm, out=np.where(size > 0.0, 1.0, 0.0), where=norm > 0.0)
        open_ &= np.isfinite(size) & (size <= 0.5 * previous)
        if not open_.any():
            break
        step = np.where(open_, step, 0.0)
        total = high + step
        part = total - high
        low += (high - (total - part)) + (step - part)
        high = total + low
        low -= high - total
        previous = np.where(open_, size, previous)
        sizes.append(float(size[open_].max()))
        open_ &= size > EPS**2
        if not open_.any():
            break
    return high, low, sizes, bool((previous <= 4.0 * EPS).all())


def residual(at, high, low, b):
    """``b - A (high + low)`` as a pair of arrays (m, k); see `pair_residual`."""
    rows = [np.ascontiguousarray(x.T) for x in (high, low, b)]
    r_high, r_low = np.empty((2, *rows[2].shape))
    pair_residual(at, *rows, r_high, r_low)
    return r_high.T, r_low.T
