"""The continuous algebraic Riccati equation."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.linalg import LinAlgWarning, solve_triangular
from scipy.sparse import issparse

from lmmfit._threads import blas_threads_for
from lmmfit.riccati.bernoulli import stabilizing_start
from lmmfit.riccati.certificate import rightmost_eigenvalue
from lmmfit.riccati.checks import as_dense, check_options
from lmmfit.riccati.dense import solve_dense
from lmmfit.riccati.errors import NotBoundedRealError, RiccatiError
from lmmfit.riccati.factor_iteration import cfqadi
from lmmfit.riccati.hamiltonian_shifts import factor_shifts
from lmmfit.riccati.modes import check_modes
from lmmfit.riccati.norms import hinf_norm
from lmmfit.riccati.problem import fold_equation, has_few_columns, with_sparse_matrices
from lmmfit.riccati.shifted_solver import ShiftedSolver
from lmmfit.riccati.shifts import check_shifts
from lmmfit.riccati.solution import RiccatiSolution
from lmmfit.riccati.stability import has_growing_mode, is_provably_stable

__all__ = ["solve_care"]

_METHODS = ("auto", "doubling", "qadi", "cfqadi", "newton", "schur")
_DENSE = 3000  # order up to which dense methods are an alternative
_LARGE = 250  # order from which all modes of A are not looked for without need
_NORMED = 500  # order up to which the norm of a system is computed where a method fails
_ROUNDING = 1e-11  # residual relative to the terms that may be all that a hard problem allows


def solve_care(
    A, B, C, *, sign=-1, E=None, Q=None, R=None, S=None, method="auto", shifts="auto",
    tol=1e-12, max_iter=None,
):  # fmt: skip
    """Solve a continuous algebraic Riccati equation.

    ``A'XE + E'XA + sign (E'XB + S) R^{-1} (B'XE + S') + C'QC = 0``, for the solution whose closed
    loop ``A + sign B K`` is stable. ``sign=-1`` is the equation of regulators and filters,
    ``sign=1`` that of bounded real systems, norms and passive reduction.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    B : array-like of shape (n, m)
    C : array-like of shape (p, n)
    sign : {-1, 1}, default=-1
    E : array-like or sparse array of shape (n, n), optional
        Not singular; the identity by default.
    Q : array-like of shape (p, p), optional
        Positive semidefinite; the identity by default.
    R : array-like of shape (m, m), optional
        Positive definite; the identity by default.
    S : array-like of shape (n, m), optional
        Zero by default. It makes a sparse A dense.
    method : {"auto", "doubling", "qadi", "cfqadi", "newton", "schur"}, default="auto"
        ``doubling``: quadratic ADI with one shift, whose iterates 1, 2, 4, 8, ... are computed
        alone; in factors where B and C have few columns. ``qadi``: quadratic ADI step by step.
        ``cfqadi``: its Cholesky factor variant, for sparse A or few columns. ``newton``:
        Kleinman's iteration with exact line search. ``schur``: SciPy's. ``auto`` is ``cfqadi``
        where A is sparse, or dense with hardly any element that is not zero, and B and C have few
        columns; else, or where that does not converge, it is ``doubling`` up to the order 3000.
    shifts : "auto", "single", "penzl", "hamiltonian" or sequence of numbers, default="auto"
        For ``qadi`` and ``cfqadi`` in turn, with negative real parts; the first for ``doubling``.
        Of a complex pair one is enough. ``auto`` takes ``hamiltonian`` for ``cfqadi``, else
        ``single``.
    tol : float, default=1e-12
        Residual, as :class:`RiccatiSolution` measures it.
    max_iter : int, optional
        Steps: 60 doublings, 2000 steps of quadratic ADI, 500 shifts, 50 Newton steps.

    Returns
    -------
    RiccatiSolution

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
    NotBoundedRealError
        With ``sign=1``, if the norm of ``C (s E - A)^{-1} B`` is not below 1.
    RiccatiError
        If no stabilizing solution was found.

    References
    ----------
    Wong, N. and Balakrishnan, V. (2005). Quadratic alternating direction implicit iteration for
    the fast solution of algebraic Riccati equations. ISPACS.

    Benner, P., Bujanovic, Z., Kuerschner, P. and Saak, J. (2018). RADI: a low-rank ADI-type
    algorithm for large scale algebraic Riccati equations. Numerische Mathematik 138.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import solve_care
    >>> A, B, C = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.0], [1.0]]), np.eye(2)
    >>> solution = solve_care(A, B, C)
    >>> solution.X.round(6)
    array([[1.732051, 1.      ],
           [1.      , 1.732051]])
    >>> solution.converged, bool(solution.rightmost.real < 0)
    (True, True)
    """
    check_options(method, _METHODS, tol, max_iter)
    shifts = check_shifts(shifts)
    problem = fold_equation(A, B, C, sign, E, Q, R, S)
    if method in ("auto", "cfqadi"):
        problem = with_sparse_matrices(problem)
    with blas_threads_for(len(problem.B), sparse=issparse(problem.A)):
        alternative = None
        if method == "auto":
            method, alternative, max_iter = _choice(problem, max_iter)
        start, stable = None, is_provably_stable(problem.A, problem.E)
        if method == "doubling" and not stable and _is_worth_trying(problem):
            solution = _doubling_from_zero(problem, shifts, tol, max_iter)
            if solution is not None:
                return _certify(problem, solution, tol, True)
        if not stable:
            start, stable = _first_iterate(problem)
        solution = _solve(problem, start, method, alternative, shifts, tol, max_iter)
        return _certify(problem, solution, tol, stable)


def _choice(problem, max_iter):
    """The method that suits, the one after it, and the number of steps."""
    n = len(problem.B)
    few = issparse(problem.A) and has_few_columns(problem)
    if n <= _DENSE and not few:
        return "doubling", None, max_iter
    if n > _DENSE or max_iter is not None:
        return "cfqadi", None, max_iter
    # Pairs of shifts: Z has n / 2 columns.
    return "cfqadi", "doubling", max(60, n // (4 * len(problem.C)))


def _is_worth_trying(problem):
    """Whether to look for a stable loop first, as all modes of a large dense A would cost more."""
    A, E = problem.A, problem.E
    if len(problem.B) < _LARGE or issparse(A) or E is not None:
        return False
    return not has_growing_mode(A)


def _doubling_from_zero(problem, shifts, tol, max_iter):
    """What doubling from zero ends with, if it proves the loop stable; else nothing."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = solve_dense(problem, None, "doubling", shifts, tol, max_iter)
    except (np.linalg.LinAlgError, NotBoundedRealError):  # the usual way says why
        return None
    return found if found.proven and found.residual_norm <= max(tol, _ROUNDING) else None


def _solve(problem, start, method, alternative, shifts, tol, max_iter):
    """The solution by a method, or by the one after it if that does not converge."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            for kind in (LinAlgWarning, RuntimeWarning):  # the certificate says it better
                warnings.simplefilter("ignore", kind)
            if method == "cfqadi":
                solution = _by_factors(problem, start, shifts, tol, max_iter or 500)
                if alternative is None or solution.residual_norm <= tol:
                    return solution
                method, shifts, max_iter = alternative, "auto", None  # no Z with few columns
            return solve_dense(problem, start, method, shifts, tol, max_iter)
    except (np.linalg.LinAlgError, FloatingPointError, NotBoundedRealError) as error:
        found = _explanation(problem, [], f"method={method!r} broke down ({error})")
        if isinstance(error, NotBoundedRealError) and not isinstance(found, NotBoundedRealError):
            found = error  # the system is too large for its norm
        raise found from error


def _first_iterate(problem):
    """Where to begin with an unstable A, nothing for a stable one; and whether it is stable."""
    A, B, C, E = problem.A, problem.B, problem.C, problem.E
    Q, M = check_modes(A, B, C, E=E)
    if not M.size:
        return None, True
    if problem.sign == 1:
        modes = np.linalg.eigvals(M)
        raise NotBoundedRealError(
            f"A has the mode {modes[np.argmax(modes.real)]:.6g}, which is not stable: "
            "C (s - A)^-1 B is not bounded real."
        )
    if np.linalg.eigvals(M).real.min() <= 1e-8 * np.abs(M).max():
        # Modes on the imaginary axis have no mirror image; zero does for these.
        return None, False
    return stabilizing_start(Q, M, B, C, E=E), False


def _by_factors(problem, start, shifts, tol, max_iter):
    A, B, C, E, sign = problem.A, problem.B, problem.C, problem.E, problem.sign
    following, kept = factor_shifts(A, B, C, sign, shifts, E=E)
    it = cfqadi(A, B, C, sign, following, E=E, tol=tol, max_iter=max_iter, start=start, kept=kept)
    residual = it.history[-1] if it.history else 0.0
    return RiccatiSolution(
        problem.gain(it.feedback), residual, False, len(it.shifts), it.shifts,
        it.history, "cfqadi", it.Z,
    )  # fmt: skip


def _certify(problem, solution, tol, stable):
    """Test the closed loop and the residual; say what is wrong where one fails.

    With a stable A the positive semidefinite solution is the one that stabilizes: once it is found
    nothing is left to test but the residual.
    """
    residual = solution.residual_norm
    finite = np.isfinite(residual) and np.isfinite(solution.K).all()
    least = 1e-14 if solution.method == "cfqadi" else _ROUNDING
    converged = bool(finite and residual <= max(tol, least))
    ask = _rightmost_of(problem, solution)
    if converged and (solution.proven or (solution.Z is not None and stable)):
        stable, rightmost = True, ask
    else:
        rightmost = ask() if finite else complex(np.nan)
        stable = rightmost.real < 0
    if not stable or (problem.sign == 1 and _is_not_bounded(problem, solution, converged)):
        shown = rightmost() if callable(rightmost) else rightmost
        raise _explanation(
            problem, solution.shifts,
            f"method={solution.method!r} ends after {solution.n_iter} steps with the closed-loop "
            f"eigenvalue {shown:.6g} and the residual {residual:.2g}",
        )  # fmt: skip
    if not converged:
        warnings.warn(
            f"the residual is {residual:.2g} after {solution.n_iter} steps of "
            f"method={solution.method!r}, above tol={tol:g}. Allow more max_iter, or take other "
            "shifts.",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    return replace(solution, converged=converged, _rightmost=rightmost)


def _rightmost_of(problem, solution):
    """Function that computes the closed loop's eigenvalue with the largest real part."""
    gain = solution.K if problem.root is None else problem.root.T @ solution.K
    if problem.cross is not None:  # the folded A has its part of the gain already
        gain = gain - solve_triangular(problem.root, problem.cross.T, lower=True)
    scale = abs(solution.shifts[-1]) if solution.shifts else None
    return partial(
        rightmost_eigenvalue, problem.A, problem.B, problem.sign * gain, E=problem.E, scale=scale
    )


def _is_not_bounded(problem, solution, converged):
    """Whether a result for the plus sign is none: the gain reaches 1, or may do so."""
    if converged:
        return _largest_gain(problem, solution.shifts[-1:])[0] >= 1.0 - 1e-12
    if len(problem.B) <= _NORMED:
        return _norm(problem)[0] >= 1.0
    return solution.residual_norm > 1e-3


def _explanation(problem, shifts, what):
    """The error that says why there is no stabilizing solution."""
    if problem.sign == 1:
        small = len(problem.B) <= _NORMED
        gain, frequency = _norm(problem) if small else _largest_gain(problem, shifts)
        if gain >= 1.0 - 1e-8:
            return NotBoundedRealError(
                f"C (s - A)^-1 B is not bounded real: its norm is at least {gain:.6g} at the "
                f"frequency {frequency:.6g}, and must be below 1."
            )
    return RiccatiError(
        f"no stabilizing solution was found: {what}. Allow more max_iter, or try another method; "
        "eigenvalues of the Hamiltonian may lie on the imaginary axis."
    )


def _norm(problem):
    return hinf_norm(as_dense(problem.A), problem.B, problem.C, E=problem.E)


def _largest_gain(problem, shifts):
    """Largest gain at the frequency 0 and those of shifts, and where it is."""
    A, B, C = problem.A, problem.B, problem.C
    solver = ShiftedSolver(A.T, None if problem.E is None else problem.E.T)
    found = (0.0, 0.0)
    for frequency in {0.0, *(float(np.imag(p)) for p in shifts)}:
        solved = solver(-1j * frequency if frequency else 0.0, B)
        found = max(found, (float(np.linalg.norm(C @ solved, 2)), frequency))
    return found
