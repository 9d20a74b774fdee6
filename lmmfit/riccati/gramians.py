"""Factors that are balanced: Gramian of the inputs, solution of the bounded real equation."""

from functools import partial

import numpy as np
from scipy.sparse import issparse

from lmmfit.riccati.care import solve_care
from lmmfit.riccati.certificate import rightmost_eigenvalue, typical_size
from lmmfit.riccati.checks import few_columns
from lmmfit.riccati.errors import NotBoundedRealError, RiccatiError
from lmmfit.riccati.factor_iteration import FactorIteration, cfqadi
from lmmfit.riccati.hamiltonian_shifts import HamiltonianShifts
from lmmfit.riccati.lyapunov import solve_lyapunov
from lmmfit.riccati.model import check_stable
from lmmfit.riccati.solution import RiccatiSolution

__all__ = ["bounded_real_factor", "gramian_factor"]

_REACHED = 1e-12  # residual with which such an iteration may end after all
_EDGE = 1e-7  # distance from the imaginary axis, relative to A, that rounding may make
_TINY = 1e-20  # residual of the factors, in which small characteristic values are still right


def gramian_factor(A, B, E=None):
    """Factor of the Gramian of the inputs, ``A P E' + E P A' + B B' = 0``.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    B : ndarray of shape (n, m)

    Returns
    -------
    ndarray of shape (n, k)
    """
    At, Et = A.T, None if E is None else E.T
    if few_columns(B.shape[1], len(B)) and not (issparse(A) or issparse(E)):
        return solve_lyapunov(At, B.T, E=Et, method="doubling").Z
    it = _iterated(At, np.empty((len(B), 0)), B.T, Et, np.empty((len(B), 0)))
    if not it.history[-1] <= _REACHED:
        check_stable(A, E)
        raise RiccatiError(
            f"no Gramian of the inputs was found: the residual is {it.history[-1]:.2g} after "
            f"{len(it.shifts)} shifts."
        )
    return it.Z


def bounded_real_factor(A, B, C, E=None):
    """Solution of (1+) for ``A - B C, B, C``, as a factor.

    A sparse A stays as it is: the iteration starts from the feedback -C in place of 0. Iterates
    grow from 0 to the least solution, which is the stabilizing one. That it is positive
    semidefinite proves that all modes of A are stable that C sees: for Av = av it gives ``2 Re(a)
    v'Xv <= 0``, with Cv = 0 where Xv = 0.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    B : ndarray of shape (n, m)
    C : ndarray of shape (m, n)

    Returns
    -------
    RiccatiSolution

    Raises
    ------
    NotBoundedRealError
        If there is none.
    """
    if not C.any():
        return _nothing(A, B, C, E)
    if not (issparse(A) or issparse(E)):
        few = few_columns(B.shape[1] + len(C), len(B))
        method, tol = ("doubling", 1e-12) if few else ("cfqadi", _TINY)
        solution = solve_care(A - B @ C, B, C, sign=1, E=E, method=method, tol=tol)
        if solution.rightmost.real >= -_EDGE * typical_size(A, E):
            raise NotBoundedRealError(
                f"the closed loop has the eigenvalue {solution.rightmost:.4g}, on the imaginary "
                "axis to rounding: the norm of C (s - A)^-1 B is 1."
            )
        return solution
    it = _iterated(A, B, C, E, -C.T)
    if not it.history[-1] <= _REACHED:
        check_stable(A, E)
        raise NotBoundedRealError(
            "no solution of the equation with the plus sign was found: the residual is "
            f"{it.history[-1]:.2g} after {len(it.shifts)} shifts."
        )
    K = it.feedback.T
    ask = partial(rightmost_eigenvalue, A, B, K, E=E, scale=typical_size(A, E))
    return RiccatiSolution(
        K + C, it.history[-1], True, len(it.shifts), it.shifts, it.history, "cfqadi", it.Z,
        _rightmost=ask,
    )  # fmt: skip


def _iterated(A, B, C, E, feedback):
    """CFQADI with the sign plus from a given feedback."""
    following = HamiltonianShifts(A, B, C, 1, E=E, stable=True)
    start = FactorIteration(C.T.copy(), feedback, [])
    with np.errstate(all="ignore"):  # what diverges is told by its residual
        return cfqadi(A, B, C, 1, following, E=E, tol=_TINY, max_iter=1000, start=start)


def _nothing(A, B, C, E):
    Z, ask = np.zeros((len(B), 1)), partial(rightmost_eigenvalue, A, E=E)
    return RiccatiSolution(np.zeros_like(C), 0.0, True, 0, [], [], "cfqadi", Z, _rightmost=ask)
