"""The discrete algebraic Riccati equation."""

import warnings

import numpy as np
from scipy.linalg import LinAlgWarning, lu_factor, lu_solve, solve_discrete_are, solve_triangular

from lmmfit._threads import blas_threads_for
from lmmfit.riccati.certificate import closed_loop_radius
from lmmfit.riccati.checks import (
    as_dense,
    as_matrix,
    as_square,
    as_symmetric,
    check_definite,
    check_descriptor,
    check_options,
    check_semidefinite,
)
from lmmfit.riccati.doubling import RiccatiMap, double_until, iterate_map
from lmmfit.riccati.errors import RiccatiError
from lmmfit.riccati.modes import check_modes
from lmmfit.riccati.solution import RiccatiSolution

__all__ = ["solve_dare"]

_METHODS = ("auto", "doubling", "iteration", "schur")
_ROUNDING = 1e-11  # residual relative to the terms that may be all that a hard problem allows


def solve_dare(
    A, B, C, *, E=None, Q=None, R=None, S=None, method="auto", tol=1e-12, max_iter=None
):
    """Solve a discrete algebraic Riccati equation.

    ``A'XA - E'XE - (A'XB + S)(R + B'XB)^{-1}(B'XA + S') + C'QC = 0``, for the solution whose
    closed loop ``A - B K``, with ``K = (R + B'XB)^{-1}(B'XA + S')``, is stable.

    Parameters
    ----------
    A : array-like of shape (n, n)
    B : array-like of shape (n, m)
    C : array-like of shape (p, n)
    E : array-like of shape (n, n), optional
        Not singular; the identity by default.
    Q : array-like of shape (p, p), optional
        Positive semidefinite; the identity by default.
    R : array-like of shape (m, m), optional
        Positive definite; the identity by default.
    S : array-like of shape (n, m), optional
        Zero by default.
    method : {"auto", "doubling", "iteration", "schur"}, default="auto"
        ``doubling``: the iterates 1, 2, 4, 8, ... of the Riccati recursion alone. ``iteration``:
        the recursion step by step. ``schur``: SciPy's. ``auto`` is ``doubling``.
    tol : float, default=1e-12
        Residual relative to the sizes of the terms.
    max_iter : int, optional
        Steps: 60 doublings, or 100 000 of the recursion.

    Returns
    -------
    RiccatiSolution
        ``rightmost`` is the largest size of an eigenvalue of the closed loop.

    Warns
    -----
    RuntimeWarning
        If the residual is above ``tol`` and above rounding.

    Raises
    ------
    ValueError
        If a matrix has a wrong shape, an element that is not finite, or is not symmetric or
        definite as it must be.
    NotStabilizableError, NotDetectableError
        If an unstable mode is not reached or not seen.
    RiccatiError
        If no stabilizing solution was found.

    References
    ----------
    Chu, E. K.-W., Fan, H.-Y., Lin, W.-W. and Wang, C.-S. (2004). Structure-preserving algorithms
    for periodic discrete-time algebraic Riccati equations. International Journal of Control 77(8).

    Examples
    --------
    >>> from lmmfit.riccati import solve_dare
    >>> solution = solve_dare([[1.0]], [[1.0]], [[1.0]], Q=[[1469.1]], R=[[15099.0]])
    >>> solution.X.round(6)  # the variance of the level of the Nile, predicted
    array([[5501.257942]])
    """
    check_options(method, _METHODS, tol, max_iter)
    A = as_square(A, "A")
    n = len(A)
    B, C = as_matrix(B, "B", (n, None)), as_matrix(C, "C", (None, n))
    m = B.shape[1]
    E = None if E is None else as_dense(check_descriptor(E, n))
    Q = np.eye(len(C)) if Q is None else as_symmetric(Q, "Q", len(C))
    R = np.eye(m) if R is None else as_symmetric(R, "R", m)
    check_semidefinite(Q, "Q")
    root = check_definite(R, "R")
    S = np.zeros((n, m)) if S is None else as_matrix(S, "S", (n, m))
    method = "doubling" if method == "auto" else method
    lu = None if E is None else lu_factor(E, check_finite=False)
    if lu is not None:  # for Y = E'XE
        A, B = lu_solve(lu, A), lu_solve(lu, B)
    H, T = C.T @ Q @ C, solve_triangular(root, S.T, lower=True)
    U = solve_triangular(root, B.T, lower=True).T  # B R^{-1} B' = U U'
    closed, constant = A - U @ T, H - T.T @ T
    check_semidefinite(0.5 * (constant + constant.T), "C'QC - S R^-1 S'", np.linalg.norm(H))
    check_modes(closed, B, constant, discrete=True)
    with blas_threads_for(n):
        Y, history = _solve(method, closed, U, constant, (A, B, H, R, S), max_iter)
        return _certify(A, B, H, R, S, lu, Y, history, method, tol)


def _solve(method, closed, U, constant, given, max_iter):
    step = RiccatiMap(closed, U @ U.T, constant)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # the certificate says it better
        try:
            if method == "iteration":
                zero = np.zeros_like(constant)
                return iterate_map([step], zero, tol=1e-15, max_iter=max_iter or 100_000)
            if method == "schur":
                A, B, H, R, S = given
                return solve_discrete_are(A, B, H, R, s=S), [np.nan]
            found, history = double_until(step, tol=1e-15, max_iter=max_iter or 60)
        except np.linalg.LinAlgError as error:
            raise RiccatiError(
                f"no stabilizing solution was found: method={method!r} broke down ({error})."
            ) from error
    return found.h, history


def _certify(A, B, H, R, S, lu, Y, history, method, tol):
    """Test residual and closed loop; the record."""
    if not np.isfinite(Y).all():
        raise RiccatiError(f"no stabilizing solution was found: method={method!r} diverged.")
    YA, middle = Y @ A, R + B.T @ Y @ B
    K = np.linalg.solve(middle, B.T @ YA + S.T)
    terms = A.T @ YA, (YA.T @ B + S) @ K
    size = np.linalg.norm(terms[0]) + np.linalg.norm(Y) + np.linalg.norm(terms[1])
    residual = np.linalg.norm(terms[0] - Y - terms[1] + H) / max(size + np.linalg.norm(H), 1e-300)
    radius = closed_loop_radius(A - B @ K)
    if not radius < 1.0:
        raise RiccatiError(
            f"no stabilizing solution was found: method={method!r} ends with a closed loop of "
            f"spectral radius {radius:.6g} and the residual {residual:.2g}."
        )
    converged = bool(residual <= max(tol, _ROUNDING))
    if not converged:
        warnings.warn(
            f"the residual is {residual:.2g} after {len(history)} steps of method={method!r}, "
            f"above tol={tol:g}. Allow more max_iter.",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    X = Y if lu is None else lu_solve(lu, lu_solve(lu, Y, trans=1).T, trans=1)
    return RiccatiSolution(
        K, float(residual), converged, len(history), [], history, method, None,
        0.5 * (X + X.T), radius,
    )  # fmt: skip
