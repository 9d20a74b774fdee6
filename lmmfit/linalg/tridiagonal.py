"""Tridiagonal systems (Eldén 2007, section 3.5), with a check that it was safe."""

import numpy as np

from lmmfit.linalg._check import check_choice, check_finite
from lmmfit.linalg._tridiagonal_kernels import tridiagonal_many, tridiagonal_one
from lmmfit.linalg.banded import banded_lu

__all__ = ["tridiagonal_solve"]


def tridiagonal_solve(lower, diag, upper, b, *, pivot="auto"):
    """Solve a tridiagonal system, or a stack of them, in time proportional to n.

    Elimination without row exchanges: for one right-hand side 3 n multiplications with an
    addition each, n reciprocals and 2 n products with them (2 n divisions in the textbook). The
    pivots tell how much the elements grew: without growth the computed solution solves a
    neighbouring system exactly, and where they grew more than eightfold the system is solved
    again with partial pivoting.

    Parameters
    ----------
    lower : array_like of shape (..., n - 1)
        Below the diagonal, gamma_2 to gamma_n in Eldén (2007).
    diag : array_like of shape (..., n)
    upper : array_like of shape (..., n - 1)
        Above the diagonal.
    b : array_like of shape (..., n) or (..., n, k)
    pivot : {"auto", False, True}, default="auto"
        Whether to exchange rows: where needed, never, or always.

    Returns
    -------
    ndarray of the shape of `b`

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is singular, or without pivoting a pivot is zero.
    TypeError, ValueError
        If the arguments are not finite or do not fit.

    References
    ----------
    Higham (2002), Accuracy and Stability of Numerical Algorithms, section 9.6; van der Vorst
    (1987), Large tridiagonal and block tridiagonal linear systems on vector and parallel
    computers, Parallel Computing 5 (elimination from both ends).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import tridiagonal_solve
    >>> tridiagonal_solve([2, 2, 2, 2], [4, 5, 5, 5, 5], [2, 2, 2, 2], [6, 9, 9, 9, 7])
    array([1., 1., 1., 1., 1.])

    A hundred thousand systems of order 4 at once, and one that needs an exchange:

    >>> off, main = np.ones((100_000, 3)), np.full((100_000, 4), 4.0)
    >>> tridiagonal_solve(off, main, off, np.ones((100_000, 4))).shape
    (100000, 4)
    >>> tridiagonal_solve([1.0], [0.0, 0.0], [1.0], [2.0, 3.0])
    array([3., 2.])
    """
    pivot = check_choice("pivot", pivot, ("auto", False, True))
    main = _array(diag, "diag", 1)
    if not main.size:
        raise ValueError(f"diag is empty: its shape is {main.shape}.")
    stack, n = main.shape[:-1], main.shape[-1]
    low, up = (
        _array(lower, "lower", main.ndim, (*stack, n - 1)),
        _array(upper, "upper", main.ndim, (*stack, n - 1)),
    )
    right = _array(b, "b", main.ndim)
    vector = right.ndim == main.ndim
    if right.shape[: main.ndim] != main.shape or right.ndim > main.ndim + 1:
        rows = ", ".join(map(str, main.shape))
        raise ValueError(f"b must have the shape ({rows}) or ({rows}, k); it has {right.shape}.")
    if not right.size:
        return np.empty(right.shape)
    m = main.size // n
    system = [d.reshape(m, -1 if n > 1 else d.shape[-1]) for d in (low, main, up)]
    given, right = right, right.reshape(m, n) if vector else right.reshape(m, n, -1)
    if pivot is True:
        unsafe, x = np.ones(m, bool), np.empty(right.shape)
    else:
        unsafe, x = _without_exchanges(system, right)
    if unsafe.any():  # the elements grew, or are not finite
        for name, array in (("lower", low), ("diag", main), ("upper", up), ("b", given)):
            check_finite(array, name)
        if pivot is False and not np.isfinite(x).all():
            bad = ~np.isfinite(x.reshape(m, -1)).all(axis=1)
            raise np.linalg.LinAlgError(
                f"elimination without exchanges met a zero pivot{_where(bad, stack)}: pass "
                'pivot="auto".'
            )
    if pivot is not False and unsafe.any():
        x[unsafe] = _with_exchanges(*(d[unsafe] for d in system), right[unsafe], unsafe, stack)
    return x.reshape(*main.shape) if vector else x.reshape(*main.shape, -1)


def _without_exchanges(system, right):
    """Solve, and say which systems grew or met what is not finite."""
    m, n = right.shape[:2]
    grown, ratios = np.empty(m, np.bool_), np.empty(n)
    if right.ndim == 2:
        x = np.empty(right.shape)
        tridiagonal_one(*system, right, x, ratios, grown)
    else:
        x = right.copy()
        tridiagonal_many(*system, x, ratios, grown)
    # what is not finite spreads to one of the ends
    ends = np.isfinite(x[:, 0]) & np.isfinite(x[:, -1])
    return grown | ~(ends if right.ndim == 2 else ends.all(axis=1)), x


def _with_exchanges(low, main, up, b, chosen, stack):
    """Solve the chosen systems of a stack with partial pivoting."""
    m, n = main.shape
    band = np.zeros((m, 3, n))
    band[:, 0, 1:], band[:, 1], band[:, 2, : n - 1] = up, main, low
    factor = banded_lu(band, 1, 1)
    singular = (factor.U[:, -1] == 0.0).any(axis=1)
    if singular.any():
        bad = np.zeros(len(chosen), bool)
        bad[chosen] = singular
        raise np.linalg.LinAlgError(f"the tridiagonal matrix{_where(bad, stack)} is singular.")
    return factor.solve(b)


def _array(values, name, ndim, shape=None):
    """Return contiguous float64; elements are looked at only if the solution is not finite."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"its elements are of type {array.dtype}")
        array = np.ascontiguousarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must hold real numbers: {error}.") from error
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        raise ValueError(f"{name} has masked elements: fill them first.")
    if np.ndim(values) < ndim:
        raise ValueError(f"{name} must be an array (..., n); got {values!r}.")
    if shape is not None and array.shape != shape:
        raise ValueError(
            f"{name} must have one element less than diag, the shape {shape}; it has "
            f"{array.shape}."
        )
    return array


def _where(bad, stack):
    if not stack:
        return ""
    return f" in system {list(map(int, np.unravel_index(int(np.argmax(bad)), stack)))}"
