"""The square-root method: projections that balance two factors, the order, the reduced model."""

import numpy as np

from lmmfit.riccati.certificate import rightmost_eigenvalue
from lmmfit.riccati.errors import RiccatiError
from lmmfit.riccati.model import ReducedModel

__all__ = ["balanced_projection", "choose_order", "projected_model", "tail_sums"]


def balanced_projection(X, P, E=None):
    """Projections that bring the matrices X X' and P P' to the same diagonal.

    The square-root method: singular values of ``X' E P``, no product of a factor with itself.

    Parameters
    ----------
    X : ndarray of shape (n, j)
        Factor for the outputs.
    P : ndarray of shape (n, k)
        Factor for the inputs.
    E : ndarray or sparse array of shape (n, n), optional

    Returns
    -------
    values : ndarray of shape (r,)
        Characteristic values, falling; those that are rounding are left out.
    left, right : ndarray of shape (n, r)
        With ``left' E right = I``.

    References
    ----------
    Tombs, M. S. and Postlethwaite, I. (1987). Truncated balanced realization of a stable
    non-minimal state-space system. International Journal of Control 46(4).

    """
    U, values, Vt = np.linalg.svd(X.T @ (P if E is None else E @ P), full_matrices=False)
    # Those below come with vectors that rounding has made, which the projections would carry.
    kept = values > np.finfo(float).eps * max(len(X), 1) * values.max(initial=0.0)
    kept &= values > 0
    scale = np.sqrt(values[kept])
    return values[kept], X @ U[:, kept] / scale, P @ Vt[kept].T / scale


def choose_order(order, tol, bounds, smallest=0):
    """The order asked for, or the smallest one whose error bound is within ``tol``.

    Parameters
    ----------
    order : int or None
    tol : float or None
    bounds : ndarray of shape (k + 1,)
        Error bound of each order from 0 to k.
    smallest : int
        Order below which the method does not work.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If both are given, or one is out of its range.

    """
    most = len(bounds) - 1
    if not most:
        raise ValueError(
            "there is nothing to reduce: no state is both reached by an input and seen by an "
            "output, the model is D alone."
        )
    if order is not None and tol is not None:
        raise ValueError("give order or tol, not both.")
    if order is None:
        tol = 1e-4 if tol is None else tol
        if not 0.0 < tol < np.inf:
            raise ValueError(f"tol must be above 0, got {tol!r}.")
        return max(smallest, min(1, most), int(np.argmax(bounds <= tol)))
    if int(order) != order or not 1 <= order <= most:
        raise ValueError(
            f"order must be a whole number from 1 to {most}, the characteristic values above "
            f"rounding, got {order!r}."
        )
    if order < smallest:
        raise ValueError(
            f"order={order} is too small: {smallest} characteristic values are 1, one for each "
            "zero in the right half plane, and must be kept."
        )
    return int(order)


def tail_sums(values):
    """Sums of the last k, k - 1, ..., 0 of k values.

    Parameters
    ----------
    values : ndarray of shape (k,)

    Returns
    -------
    ndarray of shape (k + 1,)
    """
    return np.r_[np.cumsum(values[::-1])[::-1], 0.0]


def projected_model(A, B, C, D, values, bound, left, right):
    """The model that two projections make, if it is stable.

    Parameters
    ----------
    A, B, C, D : ndarray or sparse array
        The large model.
    values : ndarray of shape (k,)
        Its characteristic values.
    bound : float
        Error bound.
    left, right : ndarray of shape (n, r)

    Returns
    -------
    ReducedModel

    Raises
    ------
    RiccatiError
        If rounding has made the reduced model unstable.
    """
    reduced = left.T @ (A @ right)
    rightmost = rightmost_eigenvalue(reduced)
    if not rightmost.real < 0:
        raise RiccatiError(
            f"the model of order {len(reduced)} is not stable, rounding has given it the mode "
            f"{rightmost:.6g}: its last characteristic value {values[len(reduced) - 1]:.2g} is "
            "too small. Take a smaller order."
        )
    return ReducedModel(
        reduced, left.T @ B, C @ right, D, values, float(bound), rightmost, left, right
    )
