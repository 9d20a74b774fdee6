"""Model reduction that keeps passivity: balancing of two positive real equations."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from scipy.linalg import solve_triangular

from lmmfit.riccati.balancing import balanced_projection, choose_order, projected_model, tail_sums
from lmmfit.riccati.errors import NotBoundedRealError
from lmmfit.riccati.gramians import bounded_real_factor
from lmmfit.riccati.model import check_model, likely_frequencies, transfer_function

__all__ = ["passivity_preserving_reduction", "solve_positive_real"]


def solve_positive_real(A, B, C, D, *, E=None):
    """Solve the positive real equation: a proof that a model is passive.

    ``A'XE + E'XA + (E'XB - C') W^{-1} (B'XE - C) = 0`` with ``W = D + D'`` is the equation (1+) of
    ``A - B W^{-1} C``, ``B W^{-1/2}`` and ``W^{-1/2} C``. It has a stabilizing solution X >= 0 if
    and only if ``G(iw) + G(iw)^H`` is positive definite at all frequencies, infinity included, for
    ``G(s) = D + C (s E - A)^{-1} B`` with a stable A (positive real lemma).

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
        Stable.
    B : array-like of shape (n, m)
    C : array-like of shape (m, n)
    D : array-like of shape (m, m)
        With a positive definite ``D + D'``.
    E : array-like or sparse array of shape (n, n), optional
        Not singular; the identity by default.

    Returns
    -------
    RiccatiSolution
        With the factor ``Z``, and the gain ``K = W^{-1} (B'XE - C)`` whose closed loop ``A + B K``
        is stable. x'E'XEx is the energy that can be drawn from a state x at most.

    Raises
    ------
    ValueError
        If a matrix has a wrong shape or an element that is not finite, or ``D + D'`` is singular.
    NotBoundedRealError
        If the model is not passive.
    RiccatiError
        If A is not stable.

    References
    ----------
    Anderson, B. D. O. and Vongpanitlerd, S. (1973). Network Analysis and Synthesis. Prentice-Hall.

    Examples
    --------
    >>> from lmmfit.riccati import solve_positive_real
    >>> solution = solve_positive_real([[-1.0]], [[1.0]], [[1.0]], [[1.0]])
    >>> solution.X.round(6), solution.converged
    (array([[0.171573]]), True)
    """
    A, B, C, D, E = check_model(A, B, C, D, E)
    root, Bh, Ch = _by_resistance(B, C, D)
    with _in_words_of_passivity(A, B, C, D, E):
        solution = bounded_real_factor(A, Bh, Ch, E)
    K = solve_triangular(root.T, solution.K - Ch)
    return replace(solution, K=K)


def passivity_preserving_reduction(A, B, C, D, *, order=None, tol=None, E=None):
    """Reduce a passive model to a small one that is passive too.

    The positive real equation, which is (1+) for ``A - B W^{-1} C``, ``B W^{-1/2}`` and ``W^{-1/2}
    C`` with ``W = D + D'``, and its dual are balanced by the square-root method, from factors of
    their solutions. The reduced model is stable and passive, which is proven once more from
    its own matrices.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
        Stable.
    B : array-like of shape (n, m)
    C : array-like of shape (m, n)
    D : array-like of shape (m, m)
        With a positive definite ``D + D'``.
    order : int, optional
        Order of the reduced model.
    tol : float, optional
        The smallest order with ``error_bound <= tol`` is taken; 1e-4 where no order is given.
    E : array-like or sparse array of shape (n, n), optional
        Of ``E x' = A x + B u``, not singular; the identity by default.

    Returns
    -------
    ReducedModel
        Its ``error_bound`` is twice the sum of the characteristic values that were cut off, times
        the norm of ``W^{-1}``: it bounds the norm of ``(D' + G)^{-1} - (D' + G_r)^{-1}`` at all
        frequencies. ``passivity`` is the solution of its positive real equation.

    Raises
    ------
    ValueError
        If a matrix has a wrong shape or an element that is not finite, ``D + D'`` is singular, or
        the order is above the number of characteristic values.
    NotBoundedRealError
        If the model is not passive.
    RiccatiError
        If A is not stable.

    References
    ----------
    Phillips, J. R., Daniel, L. and Silveira, L. M. (2003). Guaranteed passive balancing
    transformations for model order reduction. IEEE Transactions on Computer-Aided Design 22(8).

    Gugercin, S. and Antoulas, A. C. (2004). A survey of model reduction by balanced truncation and
    some new results. International Journal of Control 77(8), section 4.

    Examples
    --------
    >>> from lmmfit.datasets import make_rlc_ladder
    >>> from lmmfit.riccati import passivity_preserving_reduction
    >>> ladder = make_rlc_ladder(200)
    >>> model = passivity_preserving_reduction(ladder.A, ladder.B, ladder.C, ladder.D, order=10)
    >>> model.characteristic_values[:3].round(6)
    array([0.238583, 0.15121 , 0.072956])
    >>> model.is_passive, round(model.error_bound, 4)
    (True, 0.0003)
    """
    A, B, C, D, E = check_model(A, B, C, D, E)
    root, Bh, Ch = _by_resistance(B, C, D)
    with _in_words_of_passivity(A, B, C, D, E):
        X = bounded_real_factor(A, Bh, Ch, E).Z  # 1. the equation and its dual
        Y = bounded_real_factor(A.T, Ch.T, Bh.T, None if E is None else E.T).Z
    values, left, right = balanced_projection(X, Y, E)  # 2. both in balance
    bounds = 2.0 * tail_sums(values) / np.linalg.norm(root, -2) ** 2
    r = choose_order(order, tol, bounds)
    model = projected_model(A, B, C, D, values, bounds[r], left[:, :r], right[:, :r])
    proof = solve_positive_real(model.A, model.B, model.C, model.D)  # 3. of passivity
    return replace(model, passivity=proof)


def _by_resistance(B, C, D):
    """Lower triangular root of W = D + D'; ``B W^{-1/2}`` and ``W^{-1/2} C``."""
    values = np.linalg.eigvalsh(D + D.T)
    if values[0] <= 1e-12 * np.abs(values).max():
        kind = NotBoundedRealError if values[0] < -1e-12 * np.abs(values).max() else ValueError
        raise kind(
            f"D + D' must be positive definite, its smallest eigenvalue is {values[0]:.6g}. A "
            "model with a negative one is not passive; to a singular one add a small resistance."
        )
    root = np.linalg.cholesky(D + D.T)
    return root, solve_triangular(root, B.T, lower=True).T, solve_triangular(root, C, lower=True)


@contextmanager
def _in_words_of_passivity(A, B, C, D, E):
    """Turn the error about the bounded real equation into one about the model."""
    try:
        yield
    except NotBoundedRealError as error:
        raise _not_passive(A, B, C, D, E, error) from error


def _not_passive(A, B, C, D, E, error):
    """The error that says at which frequency the model gives energy."""
    tried = likely_frequencies(A, E)
    G = transfer_function(A, B, C, D, 1j * tried, E=E)
    values = np.linalg.eigvalsh(G + G.conj().transpose(0, 2, 1))[:, 0]
    worst = int(np.argmin(values))
    if values[worst] > 0.0:
        return NotBoundedRealError(f"the model could not be proven passive: {error}")
    return NotBoundedRealError(
        "the model is not passive: G(iw) + G(iw)^H must be positive definite at all frequencies, "
        f"and its smallest eigenvalue is {values[worst]:.4g} at w = {tried[worst]:.6g}, the "
        f"lowest of {len(tried)} tried. ({error})"
    )
