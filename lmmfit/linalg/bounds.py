"""A solution and a bound of its error that holds (Eldén 2007, section 3.4, made a posteriori)."""

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import LinAlgWarning

from lmmfit.linalg._check import as_matrix, as_right_hand_side
from lmmfit.linalg._scaling import ScaledSystem, exponent, exponent_of
from lmmfit.linalg.bounded_least_squares import LeastSquaresProblem
from lmmfit.linalg.gaussian import LU, lu
from lmmfit.linalg.orthogonal import QR
from lmmfit.linalg.refinement import refine as refine_pair
from lmmfit.linalg.refinement import residual
from lmmfit.linalg.verified import TINY, gamma, verified_inverse

__all__ = ["BoundedSolution", "solve_with_bounds"]

_MOST_DIGITS = 15  # decimal digits that double precision holds


@dataclass(frozen=True, eq=False)
class BoundedSolution:
    """A solution and what is known of its error, from `solve_with_bounds`.

    Numbers are arrays of shape (k,) where there were k right-hand sides.

    Attributes
    ----------
    x : ndarray of shape (n,) or (n, k)
    error_bound : ndarray of the shape of x
        The exact solution is within this of x, element by element.
    relative_error_bound : float
        Bound of ``max|x - exact| / max|exact|``.
    digits : int
        Significant decimal digits of the largest element of x that can be trusted, from 0 to 15.
    backward_error : float
        The smallest ``norm(dA) / norm(A)`` in the infinity norm for which x solves
        ``(A + dA) x = b`` exactly, as computed from the residual; for least squares, the
        smaller of two such changes in the Frobenius norm (Stewart 1977).
    verified : bool
        False if A is too close to a singular matrix to prove anything, or the solution is
        beyond the range of double precision: bounds are infinite.
    n_refinements : int
        Corrections made after Gaussian elimination.
    factor : LU or QR
    growth_factor : float
        g_n of Theorem 3.6; computed when asked for. 1.0 for least squares: Householder
        transformations do not let columns grow.
    condition : float
        Estimate of the condition number in the infinity norm.

    Examples
    --------
    >>> from lmmfit.linalg import solve_with_bounds
    >>> solve_with_bounds([[2.0, 1.0], [1.0, 3.0]], [3.0, 4.0]).growth_factor
    1.0
    """

    x: np.ndarray
    error_bound: np.ndarray
    relative_error_bound: float | np.ndarray
    digits: int | np.ndarray
    backward_error: float | np.ndarray
    verified: bool
    n_refinements: int
    factor: LU | QR = field(repr=False)

    @property
    def growth_factor(self):
        """Growth of the elements during elimination."""
        return getattr(self.factor, "growth_factor", 1.0)

    @property
    def condition(self):
        """Estimate of the condition number in the infinity norm."""
        return self.factor.condition(np.inf)


def solve_with_bounds(A, b, *, refine=True):
    """Solve ``A x = b``, or minimise ``norm(A x - b)``, and bound the error, rounding included.

    Gaussian elimination with partial pivoting, an approximate inverse R, and a proof that
    ``norm(I - R A) < 1``; then ``|x - exact|`` is at most ``|R r|`` and a little more, with the
    residual r computed in twice the working precision. A and b are taken as exact: see
    `perturbation_bound` for what their own errors do. About 5 n^3 operations; matrices up to
    n = 300 that are singular to working precision are tried with an inverse of twice the
    precision, which succeeds to condition numbers of about 1e28. A tall matrix is triangularised
    by Householder transformations, with a proof that its columns are independent.

    Parameters
    ----------
    A : array_like of shape (m, n)
        Square, or with more rows than columns.
    b : array_like of shape (m,) or (m, k)
        All right-hand sides share the factors and the proof.
    refine : bool, default=True
        Refine the solution until it is correct to the last digits. Without it x is what
        elimination gives, and the bound tells how good that is.

    Returns
    -------
    BoundedSolution

    Warns
    -----
    scipy.linalg.LinAlgWarning
        If no digit can be trusted, with the reason.

    Raises
    ------
    numpy.linalg.LinAlgError
        If elimination meets a zero pivot and no other way gives a solution.
    TypeError, ValueError
        If the arguments are not finite or do not fit.

    References
    ----------
    Rump (2010), Verification methods: rigorous results using floating-point arithmetic, Acta
    Numerica 19, section 10.

    Examples
    --------
    The Hilbert matrix of order 8 has a condition number of 1.5e10, which costs up to ten of
    sixteen digits; how many depends on the order in which a processor adds.

    >>> import numpy as np
    >>> from lmmfit.linalg import solve_with_bounds
    >>> A = 1.0 / (np.arange(8)[:, None] + np.arange(8) + 1.0)
    >>> plain = solve_with_bounds(A, A.sum(axis=1), refine=False)
    >>> 5 <= plain.digits <= 10
    True
    >>> refined = solve_with_bounds(A, A.sum(axis=1))
    >>> refined.digits, bool((refined.error_bound <= 1.2e-16 * abs(refined.x)).all())
    (15, True)
    """
    a = as_matrix(A, double=True)
    if a.shape[0] < a.shape[1]:
        raise ValueError(
            f"A has fewer rows than columns, {a.shape}: the solution is not unique. "
            "least_squares(A, b) gives the one of minimum norm."
        )
    right, vector = as_right_hand_side(b, a.shape[:1])
    square = a.shape[0] == a.shape[1]
    problem = _Problem(a, right) if square else LeastSquaresProblem(a, right)
    high, low, steps = problem.solve(refine)
    bound = problem.bound(high, low)
    with np.errstate(over="ignore", invalid="ignore"):  # a solution may be beyond all floats
        x = problem.system.unscale(high)
        error_bound = problem.system.unscale(bound) + 1e-323  # subnormal numbers are rounded
    error_bound = np.where(np.isfinite(x) & np.isfinite(error_bound), error_bound, np.inf)
    verified = bool(np.isfinite(error_bound).all())
    if problem.proved:
        error_bound[:, ~right.any(axis=0)] = 0.0  # x = 0, and there is no other
    relative = _relative(x, error_bound)
    if not np.isfinite(relative).all():
        warnings.warn(
            f"no digit of the solution can be trusted: {_reason(problem, verified, refine)}.",
            LinAlgWarning, stacklevel=2,
        )  # fmt: skip
    numbers = relative, _digits(relative), problem.backward_error(high)
    if vector:
        x, error_bound = x[:, 0], error_bound[:, 0]
        numbers = float(relative[0]), int(numbers[1][0]), float(numbers[2][0])
    return BoundedSolution(x, error_bound, *numbers, verified, steps, problem.factor)


class _Problem:
    """The system, scaled, and an approximate inverse if one can be proved."""

    def __init__(self, a, b):
        self.system = ScaledSystem(a, b)
        self.factor, self.given = lu(a), b
        self.norm = np.linalg.norm(np.ldexp(a, -exponent(a)), np.inf), exponent(a)
        found = verified_inverse(self.system.a)
        self.inverse = found if found is not None and found.alpha < 1.0 else None

    @property
    def proved(self):
        """Whether A is shown to be nonsingular."""
        return self.inverse is not None

    def solve(self, refined):
        """Return the solution as a pair, and the number of corrections."""
        start = None
        if self.factor.logdet() > -np.inf or not self.proved or not refined:
            with np.errstate(over="ignore", invalid="ignore"):
                start = self.system.scale(self.factor.solve(self.given))
        if start is None or not np.isfinite(start).all():
            b = self.system.b
            start = self.inverse.correct(b) if self.proved else np.zeros_like(b)
        if not refined or not self.proved:
            return start, np.zeros_like(start), 0
        system = self.system
        high, low, sizes, _ = refine_pair(system.at, system.b, start, self.inverse.correct)
        return high, low, len(sizes)

    def bound(self, high, low):
        """Bound ``|exact - high|``: the pair's error by the proof, and the rest of the pair."""
        if not self.proved:
            return np.full(high.shape, np.inf)
        a, b = self.system.a, self.system.b
        r, rest = residual(self.system.at, high, low, b)
        x = np.abs(high) + np.abs(low)
        hidden = np.abs(rest) + 1.01 * gamma(2 * len(r) + 2) ** 2 * (np.abs(a) @ x + np.abs(b))
        first = self.inverse.times(r, hidden + TINY * (1.0 + x.sum(axis=0)))
        largest = first.max(axis=0) / (1.0 - self.inverse.alpha)
        error = first + self.inverse.rows[:, None] * largest * (1.0 + 1e-14)
        return (np.abs(low) + error) * (1.0 + 1e-14)

    def backward_error(self, high):
        """``norm(r) / (norm(A) norm(x))`` of what is returned (Rigal and Gaches 1967)."""
        system, (norm, unit) = self.system, self.norm
        r = residual(system.at, high, np.zeros_like(high), system.b)[0]
        top = exponent_of(high, -system.columns[:, None])
        x = np.abs(np.ldexp(high, -(system.columns[:, None] + top))).max(axis=0)
        with np.errstate(over="ignore"):
            r = np.abs(np.ldexp(r, system.rows[:, None] - unit - top)).max(axis=0)
        return np.divide(r, norm * x, out=np.where(r > 0.0, np.inf, 0.0), where=x > 0.0)


def _reason(problem, verified, refined):
    """Say why nothing is known of a solution."""
    if not problem.proved:
        condition = problem.factor.condition(np.inf)
        return f"A is singular to working precision (condition number about {condition:.1e})"
    if not verified:
        return "it is beyond the range of double precision"
    if refined:
        return "it may be zero; error_bound tells how far from it"
    return "the bound of its error exceeds it. Use refine=True"


def _relative(x, bound):
    """Bound the relative error from x, the exact solution being within `bound` of it."""
    top, largest = bound.max(axis=0), np.abs(x).max(axis=0)
    with np.errstate(invalid="ignore"):
        room = largest - top
    out = np.where(top == 0.0, 0.0, np.inf)
    return np.divide(top, room, out=out, where=room > 0.0) * (1.0 + 1e-14)


def _digits(relative):
    with np.errstate(divide="ignore"):
        digits = np.floor(-np.log10(2.0 * np.maximum(relative, 1e-300)))
    return np.clip(digits, 0, _MOST_DIGITS).astype(int)
