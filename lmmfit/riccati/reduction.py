"""Model reduction with a relative error bound: balanced stochastic truncation."""

import numpy as np
from scipy.linalg import solve_triangular

from lmmfit.riccati.balancing import balanced_projection, choose_order, projected_model, tail_sums
from lmmfit.riccati.errors import NotBoundedRealError
from lmmfit.riccati.gramians import bounded_real_factor, gramian_factor
from lmmfit.riccati.model import check_model, likely_frequencies, transfer_function

__all__ = ["balanced_stochastic_truncation"]

_ONE = 1e-7  # distance from 1 at which a characteristic value belongs to a zero on the right


def balanced_stochastic_truncation(A, B, C, D, *, order=None, tol=None, E=None):
    """Reduce a model so that the relative error is small at all frequencies.

    The Gramian P of the inputs, ``A P E' + E P A' + B B' = 0``, is balanced with the solution of
    the Riccati equation (1+) of the spectral factor of ``G G~``: with ``Gamma = E P C' + B D'``
    and ``W = D D'`` it has ``A - Gamma W^{-1} C``, ``Gamma W^{-1/2}`` and ``W^{-1/2} C``. The
    reduced model is stable, with as many zeros in the right half plane as the large one.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
        Stable.
    B : array-like of shape (n, m)
    C : array-like of shape (m, n)
    D : array-like of shape (m, m)
        Not singular.
    order : int, optional
        Order of the reduced model.
    tol : float, optional
        The smallest order with ``error_bound <= tol`` is taken; 1e-4 where no order is given.
    E : array-like or sparse array of shape (n, n), optional
        Of ``E x' = A x + B u``, not singular; the identity by default.

    Returns
    -------
    ReducedModel
        Its ``error_bound`` is the product of ``(1 + s) / (1 - s)`` over the characteristic values
        that were cut off, less 1: it bounds the norm of ``G^{-1} (G - G_r)`` at all frequencies.

    Raises
    ------
    ValueError
        If a matrix has a wrong shape or an element that is not finite, D is singular, or the order
        is above the number of characteristic values, or below that of zeros on the right.
    NotBoundedRealError
        If G is singular at a frequency, so that no relative error exists.
    RiccatiError
        If A is not stable.

    References
    ----------
    Green, M. (1988). A relative error bound for balanced stochastic truncation. IEEE Transactions
    on Automatic Control 33(10).

    Benner, P., Quintana-Orti, E. S. and Quintana-Orti, G. (2001). Efficient numerical algorithms
    for balanced stochastic truncation. International Journal of Applied Mathematics and Computer
    Science 11(5).

    Examples
    --------
    >>> from lmmfit.datasets import make_rlc_ladder
    >>> from lmmfit.riccati import balanced_stochastic_truncation
    >>> ladder = make_rlc_ladder(100)
    >>> model = balanced_stochastic_truncation(ladder.A, ladder.B, ladder.C, ladder.D, tol=1e-3)
    >>> model.order, bool(model.error_bound <= 1e-3), model.is_stable
    (11, True, True)
    """
    A, B, C, D, E = check_model(A, B, C, D, E)
    root = _root_of_feedthrough(D)
    P = gramian_factor(A, B, E)  # 1. of the inputs
    gamma = (P if E is None else E @ P) @ (P.T @ C.T) + B @ D.T
    Bh = solve_triangular(root, gamma.T, lower=True).T  # 2. of the spectral factor
    Ch = solve_triangular(root, C, lower=True)
    try:
        X = bounded_real_factor(A, Bh, Ch, E).Z
    except NotBoundedRealError as error:
        explained = _without_relative_error(A, B, C, D, E, error)
        raise explained from error
    values, left, right = balanced_projection(X, P, E)  # 3. both in balance
    n_zeros = int(np.sum(values >= 1.0 - _ONE))
    with np.errstate(divide="ignore"):
        below = np.minimum(values, 1.0)
        bounds = np.expm1(tail_sums(np.log1p(below) - np.log1p(-below)))
    r = choose_order(order, tol, bounds, smallest=n_zeros)
    return projected_model(A, B, C, D, values, bounds[r], left[:, :r], right[:, :r])


def _root_of_feedthrough(D):
    """Lower triangular root of D D'."""
    values = np.linalg.svd(D, compute_uv=False)
    if values[-1] <= 1e-12 * values[0]:
        raise ValueError(
            f"D must not be singular, its smallest singular value is {values[-1]:.6g}: relative "
            "errors at high frequencies do not exist. Add a small multiple of the identity."
        )
    return np.linalg.qr(D.T, mode="r").T


def _without_relative_error(A, B, C, D, E, error):
    """The error that says at which of some frequencies G is nearest to singular."""
    tried = likely_frequencies(A, E)
    values = np.linalg.svd(transfer_function(A, B, C, D, 1j * tried, E=E), compute_uv=False)
    worst = int(np.argmin(values[:, -1]))
    return NotBoundedRealError(
        "G(s) = D + C (s E - A)^-1 B must not be singular at any frequency: no relative error "
        f"exists there. Its smallest singular value is {values[worst, -1]:.3g} at w = "
        f"{tried[worst]:.6g}. ({error})"
    )
