"""Checks of what a user passes: every room of this package enters through them."""

from functools import lru_cache

import numpy as np
from scipy.linalg.lapack import get_lapack_funcs

__all__ = ["as_matrix", "as_right_hand_side", "check_choice", "check_finite", "check_symmetric",
           "lapack"]  # fmt: skip

_SMALL = 4096  # elements, up to which flags for all of them cost less than a sum's guard


@lru_cache(maxsize=256)
def lapack(dtype, *names):
    """LAPACK's functions of one precision, looked up once: the lookup costs microseconds."""
    functions = get_lapack_funcs(names, dtype=dtype)
    return functions[0] if len(names) == 1 else functions


def as_matrix(A, name="A", *, square=False, stack=False, double=False, finite=True):
    """Return `A` as an array of floats: not copied if it is one, float32 kept unless `double`.

    Parameters
    ----------
    A : array_like of shape (m, n), or (..., m, n) if `stack`
    name : str
        What the messages call it.
    square, stack, double, finite : bool
        Demand m = n; allow a stack of matrices; convert float32 to float64; look for NaN and
        infinity (a caller that computes a norm sees them there, and calls `check_finite`).

    Returns
    -------
    ndarray of float32 or float64

    Raises
    ------
    TypeError
        Not numbers, complex numbers, or a sparse matrix.
    ValueError
        Wrong shape, no elements, NaN or infinity.
    """
    a = _as_floats(A, name, double)
    if a.ndim != 2 and not (stack and a.ndim > 2):
        more = " or a stack (..., m, n) of them" if stack else ""
        raise ValueError(f"{name} must be a matrix (m, n){more}; it has the shape {a.shape}.")
    if not a.size:
        raise ValueError(f"{name} is empty: its shape is {a.shape}.")
    if square and a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{name} must be square; its shape is {a.shape}.")
    if finite:
        check_finite(a, name)
    return a


def as_right_hand_side(b, shape, dtype=np.float64, name="b"):
    """Return `b` as a new array (..., n, k) that may be overwritten, and whether it was (..., n).

    Parameters
    ----------
    b : array_like of shape (..., n) or (..., n, k)
    shape : tuple of int
        ``(..., n)``: the stack and the rows that it must have.
    dtype : data-type
        Of the factor, and of the result.
    name : str
        What the messages call it.
    """
    given = _as_floats(b, name, False)
    vector = given.ndim == len(shape)
    if (given.shape if vector else given.shape[:-1]) != tuple(shape):
        rows = ", ".join(map(str, shape))
        raise ValueError(
            f"{name} must have the shape ({rows}{',' if len(shape) == 1 else ''}) or ({rows}, k); "
            f"it has {given.shape}."
        )
    check_finite(given, name)
    if given.dtype == dtype:
        b = given.copy()
    else:
        with np.errstate(over="ignore"):
            b = given.astype(dtype)
    if b.dtype != given.dtype and not np.isfinite(b).all():
        raise ValueError(f"{name} has elements beyond the range of {b.dtype}, the factor's type.")
    return (b[..., None] if vector else b), vector


def check_symmetric(a, gap, name="A"):
    """Raise ValueError where elements that mirror each other differ by more than rounding.

    `gap` is the largest difference, as the kernel found it: seldom anything but 0. Each is
    compared with the largest elements of its row and of its column.
    """
    if not gap:
        return
    difference = np.abs(a - np.swapaxes(a, -1, -2))
    largest = np.sqrt(np.abs(a).max(axis=-1))
    tolerance = 1e-10 if a.dtype == np.float64 else 1e-5
    excess = difference - tolerance * largest[..., :, None] * largest[..., None, :]
    if not (excess > 0.0).any():
        return
    *place, i, j = map(int, np.unravel_index(excess.argmax(), a.shape))
    one, two = (*place, i, j), (*place, j, i)
    raise ValueError(
        f"{name} is not symmetric: {_entry(name, one)} is {a[one]:.6g} and {_entry(name, two)} is "
        f"{a[two]:.6g}. Symmetrise it by ({name} + {name}.T) / 2 if the difference is of rounding."
    )


def check_choice(name, value, choices):
    """Return the one of `choices` that `value` is; raise ValueError for anything else.

    True and False are choices of their own: 1 and 0 do not stand for them.
    """
    for choice in choices:
        kind = (bool, np.bool_) if isinstance(choice, bool) else str
        if isinstance(value, kind) and value == choice:
            return choice
    listed = ", ".join(repr(choice) for choice in choices)
    raise ValueError(f"{name} must be one of {listed}; got {value!r}.")


def _as_floats(A, name, double):
    if hasattr(A, "tocsc"):
        raise TypeError(
            f"{name} is a sparse matrix, which is not taken here: pass {name}.toarray()."
        )
    if np.ma.isMaskedArray(A) and np.ma.is_masked(A):
        raise ValueError(f"{name} has masked elements: fill them or drop their rows.")
    try:
        a = np.asarray(A)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from error
    if a.dtype.kind == "c":
        raise TypeError(f"{name} is complex; only real matrices are supported.")
    if a.dtype.kind not in "fiubO":
        raise TypeError(f"{name} must hold numbers; its elements are of type {a.dtype}.")
    keep = a.dtype == np.float32 and not double
    try:
        with np.errstate(over="ignore"):
            return a if keep else a.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} must hold real numbers: {error}.") from error


def check_finite(a, name="A"):
    """Raise ValueError with the first element that is NaN or infinite."""
    if a.size < _SMALL:
        if np.isfinite(a).all():
            return
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # a sum writes no array of flags
            if np.isfinite(a.sum()) or np.isfinite(a).all():
                return
    place = tuple(map(int, np.argwhere(~np.isfinite(a))[0]))
    raise ValueError(f"{_entry(name, place)} is {a[place]}: all elements must be finite.")


def _entry(name, place):
    return f"{name}[{', '.join(map(str, place))}]"
