"""Models: those given, checked; small ones in their place; the frequency response of either."""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import issparse

from lmmfit.riccati.certificate import rightmost_eigenvalue, typical_size
from lmmfit.riccati.checks import as_matrix, as_square, check_descriptor
from lmmfit.riccati.errors import RiccatiError
from lmmfit.riccati.shifted_solver import ShiftedSolver
from lmmfit.riccati.shifts import penzl_shifts
from lmmfit.riccati.solution import RiccatiSolution
from lmmfit.riccati.stability import is_provably_stable

__all__ = [
    "ReducedModel",
    "check_model",
    "check_stable",
    "likely_frequencies",
    "transfer_function",
]

_SMALL = 400  # order up to which all eigenvalues are cheap


@dataclass(frozen=True, eq=False)
class ReducedModel:
    """Small model ``x' = A x + B u, y = C x + D u`` in place of a large one.

    Attributes
    ----------
    A : ndarray of shape (r, r)
    B : ndarray of shape (r, m)
    C : ndarray of shape (p, r)
    D : ndarray of shape (p, m)
    characteristic_values : ndarray of shape (k,)
        Of the large model, in falling order, those above rounding; the first r were kept.
    error_bound : float
        Bound that a theorem gives; of which error the function that reduces says.
    rightmost : complex
        Eigenvalue of the reduced A with the largest real part.
    left, right : ndarray of shape (n, r)
        Projections: ``left' E right = I`` and the reduced A is ``left' A right``.
    passivity : RiccatiSolution or None
        Solution of the reduced positive real equation, which proves that the model is passive;
        None where that was not asked for.

    Examples
    --------
    >>> from lmmfit.datasets import make_rlc_ladder
    >>> from lmmfit.riccati import passivity_preserving_reduction
    >>> ladder = make_rlc_ladder(20)
    >>> model = passivity_preserving_reduction(ladder.A, ladder.B, ladder.C, ladder.D, order=6)
    >>> model.order, model.is_stable, model.is_passive
    (6, True, True)
    >>> model.transfer([0.0]).shape
    (1, 1, 1)
    """

    A: np.ndarray = field(repr=False)
    B: np.ndarray = field(repr=False)
    C: np.ndarray = field(repr=False)
    D: np.ndarray = field(repr=False)
    characteristic_values: np.ndarray
    error_bound: float
    rightmost: complex
    left: np.ndarray = field(repr=False)
    right: np.ndarray = field(repr=False)
    passivity: RiccatiSolution | None = field(repr=False, default=None)

    @property
    def order(self):
        """Number of states, r."""
        return len(self.A)

    @property
    def is_stable(self):
        """Whether all eigenvalues of A are in the left half plane."""
        return self.rightmost.real < 0

    @property
    def is_passive(self):
        """Whether passivity is proven."""
        return self.passivity is not None and self.passivity.converged

    def transfer(self, s):
        """The transfer function, ``D + C (s - A)^{-1} B``.

        Parameters
        ----------
        s : array-like of shape (k,)
            Complex frequencies.

        Returns
        -------
        ndarray of shape (k, p, m)
        """
        return transfer_function(self.A, self.B, self.C, self.D, s)


def transfer_function(A, B, C, D, s, *, E=None):
    """``D + C (s E - A)^{-1} B`` at complex frequencies, by one factorization each.

    Parameters
    ----------
    A, E : array-like or sparse array of shape (n, n)
        E is the identity by default.
    B : array-like of shape (n, m)
    C : array-like of shape (p, n)
    D : array-like of shape (p, m)
    s : array-like of shape (k,)

    Returns
    -------
    ndarray of shape (k, p, m)

    Raises
    ------
    ValueError
        If a shape is wrong or an element is not finite.

    Examples
    --------
    >>> from lmmfit.riccati import transfer_function
    >>> transfer_function([[-1.0]], [[1.0]], [[1.0]], [[0.0]], [0.0, 1j]).ravel()
    array([1. +0.j , 0.5-0.5j])
    """
    A = as_square(A, "A", sparse=True)
    n = A.shape[0]
    B = as_matrix(B, "B", (n, None))
    C = as_matrix(C, "C", (None, n))
    D = as_matrix(D, "D", (len(C), B.shape[1]))
    E = None if E is None else check_descriptor(E, n)
    solver = ShiftedSolver(A.T, None if E is None else E.T)  # of the transposes: A - s E
    points = np.atleast_1d(np.asarray(s, dtype=complex))
    return np.array([D - C @ solver(-point, B) for point in points])


def likely_frequencies(A, E=None):
    """Frequencies at which a response may be largest: sizes and imaginary parts of Ritz values.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.

    Returns
    -------
    ndarray

    """
    ritz = np.array(penzl_shifts(A, 20, E=E))
    return np.unique(np.r_[0.0, np.abs(ritz), np.abs(ritz.imag)])


def check_model(A, B, C, D, E=None):
    """The matrices of a square model, checked.

    Parameters
    ----------
    A, E : array-like or sparse array of shape (n, n)
        E may be None, for the identity.
    B : array-like of shape (n, m)
    C : array-like of shape (m, n)
    D : array-like of shape (m, m)

    Returns
    -------
    tuple
        The five, as float64 arrays; A and E sparse (CSC) where they were.

    Raises
    ------
    ValueError
        If a shape is wrong or an element is not finite.
    RiccatiError
        If A is not stable.

    """
    A = as_square(A, "A", sparse=True)
    n = A.shape[0]
    B = as_matrix(B, "B", (n, None))
    m = B.shape[1]
    C, D = as_matrix(C, "C", (m, n)), as_matrix(D, "D", (m, m))
    E = None if E is None else check_descriptor(E, n)
    if n <= _SMALL or not (issparse(A) or issparse(E)):
        check_stable(A, E)  # for others the iterations prove it, if they converge
    return A, B, C, D, E


def check_stable(A, E=None):
    """Refuse a model with a mode that is not stable.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.

    Raises
    ------
    RiccatiError
        If there is one.
    """
    if is_provably_stable(A, E):
        return
    rightmost = rightmost_eigenvalue(A, E=E, scale=typical_size(A, E))
    if rightmost.real >= 0:
        raise RiccatiError(
            f"A has the mode {rightmost:.6g}, which is not stable: reduce the stable part alone."
        )
