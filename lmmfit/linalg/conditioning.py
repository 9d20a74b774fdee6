"""Condition numbers, and what a perturbation does to a solution (Eldén 2007, section 3.3)."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.sparse import issparse

from lmmfit.linalg._check import as_matrix, as_right_hand_side, lapack
from lmmfit.linalg._norms import check_norm, dense_norms
from lmmfit.linalg._scaling import EPS, exponent
from lmmfit.linalg.gaussian import lu
from lmmfit.linalg.verified import inverse_norm_bound

__all__ = ["PerturbationBound", "condition_number", "perturbation_bound"]

_EXACT = 500  # up to here singular values cost no more than an estimate is worth


def condition_number(A, norm=2, *, exact=False):
    """Condition number ``norm(A) * norm(inv(A))``.

    Parameters
    ----------
    A : array_like of shape (m, n), or sparse array of shape (n, n)
        A matrix that is not square has a condition number in the 2-norm only, the ratio of
        its largest to its smallest singular value.
    norm : {1, 2, inf}, default=2
        The operator norm.
    exact : bool, default=False
        Compute the inverse (1, inf) or all singular values (2). Otherwise an estimator
        of LAPACK is used: a lower bound, seldom off by more than a factor of 3. In the 2-norm a
        matrix with up to 500 columns or rows always gets its singular values.

    Returns
    -------
    float
        ``inf`` where a pivot or a singular value is computed as zero; a matrix that is
        singular but for rounding has one of about 1e16.

    Raises
    ------
    TypeError, ValueError
        If `A` is not an array of finite real numbers, or not square and `norm` is not 2.

    References
    ----------
    Higham (2002), Accuracy and Stability of Numerical Algorithms, chapter 15.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import condition_number
    >>> A = np.column_stack([np.ones(5), np.arange(1.0, 6.0)])
    >>> round(condition_number(A), 4)
    8.3657
    >>> round(condition_number(A.T @ A, 1), 1)
    98.0
    """
    norm = check_norm(norm)
    if issparse(A):
        return _sparse_condition(A, norm, exact)
    a = as_matrix(A, square=norm != 2)
    if norm != 2:
        return _inverse_condition(a, norm) if exact else lu(a).condition(norm)
    if exact or min(a.shape) <= _EXACT:
        values = np.linalg.svd(_triangle(a), compute_uv=False)
        return float(values[0] / values[-1]) if values[-1] else np.inf
    return _two_norm_estimate(_triangle(a))


def _inverse_condition(a, norm):
    factor = lu(a)
    if factor.logdet() == -np.inf:
        return np.inf
    with np.errstate(all="ignore"):
        value = float(dense_norms(a)[norm] * dense_norms(factor.solve(np.eye(len(a))))[norm])
    return value if math.isfinite(value) else np.inf


def _triangle(a):
    """Return R of an A that is far from square: the same singular values from fewer rows."""
    a = a if a.shape[0] >= a.shape[1] else a.T
    return np.linalg.qr(a, mode="r") if a.shape[0] > 1.5 * a.shape[1] else a


def _two_norm_estimate(a):
    """Power iterations with R'R and its inverse; each ends when it gains under one percent."""
    r = np.linalg.qr(a, mode="r")
    if not r.diagonal().all():
        return np.inf
    solve = lapack(r.dtype, "trtrs")
    r = np.asfortranarray(r)
    largest = _power(lambda v: r.T @ (r @ v), r.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        inverse = _power(lambda v: solve(r, solve(r, v, trans=1)[0])[0], r.shape[1])
    value = math.sqrt(largest) * math.sqrt(inverse)
    return value if math.isfinite(value) else np.inf


def _power(apply, n):
    vector = np.random.default_rng(0).standard_normal(n)
    vector /= np.linalg.norm(vector)
    value = 0.0
    for _ in range(100):
        vector = apply(vector)
        size = float(np.linalg.norm(vector))
        if not 0.0 < size < np.inf or size <= 1.001 * value:
            return max(size, value)
        value, vector = size, vector / size
    return value


def _sparse_condition(A, norm, exact):
    if exact or norm == 2:
        raise ValueError(
            "a sparse matrix has an estimate in the norms 1 and inf only: pass norm=1, "
            "exact=False, or the dense array A.toarray()."
        )
    try:
        return lu(A).condition(norm)
    except np.linalg.LinAlgError:
        return np.inf


@dataclass(frozen=True)
class PerturbationBound:
    """What Theorem 3.5 says of a perturbed system, from `perturbation_bound`.

    Attributes
    ----------
    r : float
        Bound of ``norm(dA) * norm(inv(A))``; below 1.
    condition : float
        Bound of the condition number.
    relative_bound : float
        ``norm(y - x) / norm(x)`` is at most this, for the solutions x of ``A x = b`` and y of
        ``(A + dA) y = b + db``.
    inverse_norm : float
        Bound of ``norm(inv(A))``.
    perturbed_inverse_norm : float
        Bound of ``norm(inv(A + dA))``.
    norm : {1, 2, inf}

    Examples
    --------
    >>> from lmmfit.linalg import perturbation_bound
    >>> bound = perturbation_bound([[2.0, 0.0], [0.0, 1.0]], [2.0, 1.0], 0.1)
    >>> round(bound.r, 12), round(bound.relative_bound, 12)
    (0.1, 0.111111111111)
    """

    r: float
    condition: float
    relative_bound: float
    inverse_norm: float
    perturbed_inverse_norm: float
    norm: float


def perturbation_bound(A, b, dA=0.0, db=0.0, *, norm=np.inf):
    """Bound what perturbations of A and b change in the solution of ``A x = b``.

    Theorem 3.5: if ``r = norm(dA) * norm(inv(A)) < 1``, then A + dA is nonsingular and

        norm(y - x) / norm(x) <= kappa(A) / (1 - r) * (norm(dA) / norm(A) + norm(db) / norm(b)).

    The bound holds in spite of rounding: the norm of the inverse is a verified upper bound,
    and every other step is rounded in favour of the bound.

    Parameters
    ----------
    A : array_like of shape (n, n)
    b : array_like of shape (n,)
    dA : array_like of shape (n, n), or float
        The perturbation, or its norm.
    db : array_like of shape (n,), or float
        The perturbation, or its norm.
    norm : {1, 2, inf}, default=inf
        Vector norm and its operator norm.

    Returns
    -------
    PerturbationBound

    Raises
    ------
    numpy.linalg.LinAlgError
        If r is not below 1: then A + dA may be singular and nothing can be said. Also if A is
        singular to working precision.
    TypeError, ValueError
        If the arguments are not finite, do not fit, or b is zero.

    References
    ----------
    Golub and Van Loan (2013), Matrix Computations, theorem 2.6.2.

    Examples
    --------
    >>> from lmmfit.linalg import perturbation_bound
    >>> A = [[1.0, 1.0], [1.0, 1.01]]
    >>> round(perturbation_bound(A, [2.0, 2.01], 1e-4).relative_bound, 5)
    0.02051
    >>> perturbation_bound(A, [2.0, 2.01], 0.01)
    Traceback (most recent call last):
        ...
    numpy.linalg.LinAlgError: r = norm(dA) * norm(inv(A)) = 2.01 is not below 1: a perturbation \
of the size 0.01 may make A singular. The theorem holds for norm(dA) < 0.00498.
    """
    norm = check_norm(norm)
    a = as_matrix(A, square=True, double=True)
    right, vector = as_right_hand_side(b, a.shape[:1])
    if not vector:
        raise ValueError(f"b must be one right-hand side (n,); it has the shape {right.shape}.")
    size_a, size_b = _norm(a, norm), _norm(right[:, 0], norm, from_below=True)
    if not size_b:
        raise ValueError("b is zero: so is x, and a relative change of it has no meaning.")
    size_da, size_db = _size(dA, a.shape, "dA", norm), _size(db, a.shape[:1], "db", norm)
    inverse = inverse_norm_bound(a, norm)
    if inverse == np.inf:
        raise np.linalg.LinAlgError(
            "A is singular to working precision: any perturbation may make it singular."
        )
    r = size_da * inverse
    if r >= 1:
        raise np.linalg.LinAlgError(
            f"r = norm(dA) * norm(inv(A)) = {float(r):.3g} is not below 1: a perturbation of the "
            f"size {float(size_da):.3g} may make A singular. The theorem holds for norm(dA) < "
            f"{float(1 / inverse):.3g}."
        )
    after = inverse / (1 - r)
    relative = after * (size_da + size_a * size_db / size_b)
    return PerturbationBound(*map(_upward, (r, size_a * inverse, relative, inverse, after)), norm)


def _norm(array, norm, *, from_below=False):
    """Bound a norm by a rational number, which neither overflows nor underflows."""
    unit, slack = int(exponent(array)), 16.0 * (len(array) + 4) * EPS
    size = float(np.linalg.norm(np.ldexp(array, -unit), norm))
    return Fraction(size * (1.0 - slack if from_below else 1.0 + slack)) * Fraction(2) ** unit


def _upward(value):
    """Round a rational number to a float that is not below it."""
    try:
        nearest = float(value)
    except OverflowError:
        return math.inf
    return nearest if nearest >= value else math.nextafter(nearest, math.inf)


def _size(perturbation, shape, name, norm):
    """Return the norm of a perturbation given as an array, or as its norm."""
    if np.ndim(perturbation) == 0:
        size = float(as_matrix([[perturbation]], name, double=True)[0, 0])
        if size < 0.0:
            raise ValueError(f"{name} is a norm and must not be negative; got {size}.")
        return Fraction(size)
    if len(shape) == 2:
        array = as_matrix(perturbation, name, double=True)
        if array.shape != shape:
            raise ValueError(f"{name} must have the shape of A, {shape}; it has {array.shape}.")
        return _norm(array, norm)
    array, vector = as_right_hand_side(perturbation, shape, name=name)
    if not vector:
        raise ValueError(f"{name} must have the shape {shape}; it has {array.shape}.")
    return _norm(array[:, 0], norm)
