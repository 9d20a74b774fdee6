"""Lyapunov equations ``A'WE + E'WA + C'C = 0``: solved by one of four methods, and certified."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.sparse import issparse

from lmmfit.riccati.adi import solve_by_adi, solve_by_cfadi
from lmmfit.riccati.certificate import rightmost_eigenvalue, typical_size
from lmmfit.riccati.checks import as_matrix, as_square, check_descriptor, check_options
from lmmfit.riccati.dense_lyapunov import solve_by_doubling, solve_by_schur
from lmmfit.riccati.errors import RiccatiError
from lmmfit.riccati.shifts import check_shifts
from lmmfit.riccati.stability import is_provably_stable

__all__ = ["solve_lyapunov"]

_SOLVERS = {
    "adi": solve_by_adi,
    "cfadi": solve_by_cfadi,
    "doubling": solve_by_doubling,
    "schur": solve_by_schur,
}
_METHODS = ("auto", *_SOLVERS)
_ROUNDING = 1e-11  # residual relative to the terms that may be all there is to have


def solve_lyapunov(A, C, *, E=None, method="auto", shifts="auto", tol=1e-12, max_iter=None):
    """Solve ``A'WE + E'WA + C'C = 0`` for a stable A.

    With A', E' and B' for A, E and C it is the equation of the controllability Gramian, ``A W E' +
    E W A' + B B' = 0``.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
        All eigenvalues of (A, E) in the left half plane.
    C : array-like of shape (p, n)
    E : array-like or sparse array of shape (n, n), optional
        Not singular; the identity by default.
    method : {"auto", "adi", "cfadi", "doubling", "schur"}, default="auto"
        ``adi``: alternating direction implicit iteration with the full W. ``cfadi``: its Cholesky
        factor variant, for sparse A or few rows of C. ``doubling``: ADI with one shift, whose
        iterates 1, 2, 4, 8, ... are computed alone; in factors where C has few rows. ``schur``:
        SciPy's Bartels-Stewart method. ``auto`` is ``cfadi`` for sparse A, ``doubling`` otherwise.
    shifts : "auto", "single", "penzl", "hamiltonian" or sequence of numbers, default="auto"
        For ``adi`` and ``cfadi`` in turn, with negative real parts; the first for ``doubling``. Of
        a complex pair one is enough. ``auto`` takes ``penzl`` for ``adi`` and ``hamiltonian``,
        which is for ``cfadi`` alone, for ``cfadi``.
    tol : float, default=1e-12
        Residual, as :class:`LyapunovSolution` measures it.
    max_iter : int, optional
        Steps: 60 doublings, 500 shifts.

    Returns
    -------
    LyapunovSolution

    Warns
    -----
    RuntimeWarning
        If the residual is above ``tol`` and above rounding.

    Raises
    ------
    ValueError
        If a matrix has a wrong shape or an element that is not finite.
    RiccatiError
        If A has a mode that is not stable, or the method found no solution.

    References
    ----------
    Wong, N. and Balakrishnan, V. (2005). Quadratic alternating direction implicit iteration for
    the fast solution of algebraic Riccati equations. ISPACS 2005, equations 3 to 8.

    Li, J.-R. and White, J. (2004). Low-rank solution of Lyapunov equations. SIAM Review 46(4).

    Benner, P., Kuerschner, P. and Saak, J. (2013). Efficient handling of complex shift parameters
    in the low-rank Cholesky factor ADI method. Numerical Algorithms 62(2).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import solve_lyapunov
    >>> A, C = np.array([[-1.0, 1.0], [0.0, -2.0]]), np.array([[1.0, 0.0]])
    >>> solution = solve_lyapunov(A, C)
    >>> solution.W.round(6)
    array([[0.5     , 0.166667],
           [0.166667, 0.083333]])
    >>> solve_lyapunov(A, C, method="cfadi", shifts=[-1.0, -2.0]).Z.shape
    (2, 2)
    """
    check_options(method, _METHODS, tol, max_iter)
    shifts = check_shifts(shifts)
    A = as_square(A, "A", sparse=True)
    n = A.shape[0]
    C, E = as_matrix(C, "C", (None, n)), None if E is None else check_descriptor(E, n)
    if method == "auto":
        method = "cfadi" if issparse(A) or issparse(E) else "doubling"
    rightmost = _stable_mode(A, E)
    with np.errstate(all="ignore"):  # what breaks down has a residual that is not finite
        solution = _SOLVERS[method](A, C, E, shifts, tol, max_iter)
    least = 1e-13 if method == "cfadi" else _ROUNDING
    small = solution.residual_norm <= max(tol, least)
    if not np.isfinite(solution.residual_norm):
        raise RiccatiError(
            f"method={method!r} found no solution: the residual is {solution.residual_norm:.2g} "
            f"after {solution.n_iter} steps. Try other shifts, or method='schur'."
        )
    if not small:
        warnings.warn(
            f"the residual is {solution.residual_norm:.2g} after {solution.n_iter} steps of "
            f"method={method!r}, above tol={tol:g}. Allow more max_iter, or other shifts.",
            RuntimeWarning, stacklevel=2,
        )  # fmt: skip
    return replace(solution, converged=small, _rightmost=rightmost)


def _stable_mode(A, E):
    """The rightmost eigenvalue, or a function that computes it where stability is clear."""
    ask = partial(rightmost_eigenvalue, A, E=E, scale=typical_size(A, E))
    if is_provably_stable(A, E):
        return ask
    rightmost = ask()
    if not rightmost.real < 0:
        raise RiccatiError(
            f"A has the mode {rightmost:.6g}, which is not stable: A'WE + E'WA + C'C = 0 has one "
            "positive semidefinite solution only where all modes are in the left half plane."
        )
    return rightmost
