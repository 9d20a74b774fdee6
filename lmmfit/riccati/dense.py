"""Dense methods for the continuous equation: doubling, quadratic ADI, Newton, Schur."""

from dataclasses import replace

import numpy as np
from scipy.linalg import lu_factor, lu_solve, solve_continuous_are

from lmmfit.riccati.bernoulli import stabilizing_start
from lmmfit.riccati.checks import as_dense, condition_number
from lmmfit.riccati.doubling import compose, double_until, iterate_map, qadi_map
from lmmfit.riccati.errors import NotStabilizableError
from lmmfit.riccati.factored import double_factored, factored_qadi_map
from lmmfit.riccati.modes import unstable_space
from lmmfit.riccati.newton import newton_care
from lmmfit.riccati.problem import has_few_columns
from lmmfit.riccati.shifts import named_shifts, quick_shift
from lmmfit.riccati.solution import RiccatiSolution

__all__ = ["solve_dense"]

_SURELY = 0.5  # norm of a power of the loop's Cayley transform, rounding far below 1


def solve_dense(problem, start, method, shifts, tol, max_iter):
    """Solve Y = E'XE for E^{-1}A and E^{-1}B, with B and C brought to equal size.

    Of an unstable A the solution is that of the Bernoulli equation, Y0, and that of the equation
    of the loop that Y0 closes, whose constant term is C'C again.

    Parameters
    ----------
    problem : CareProblem
    start : FactorIteration or None
        Of an unstable A.
    method : {"doubling", "qadi", "newton", "schur"}
    shifts : str or list of float or complex
    tol : float
    max_iter : int or None

    Returns
    -------
    RiccatiSolution
        Not yet certified.

    Raises
    ------
    LinAlgError, NotBoundedRealError
        If the method breaks down.
    """
    A, B, C, sign = problem.A, problem.B, problem.C, problem.sign
    A, E = as_dense(A), as_dense(problem.E)
    lu = None if E is None else lu_factor(E, check_finite=False)
    if lu is not None:
        A, B = lu_solve(lu, A), lu_solve(lu, B)
    sizes = np.linalg.norm(B), np.linalg.norm(C)
    balance = np.sqrt(sizes[1] / sizes[0]) if min(sizes) > 0 else 1.0
    inner = replace(problem, A=A, B=B * balance, C=C / balance, E=None)
    first = np.empty((len(A), 0))
    if start is not None and method != "schur":
        first = start.Z if E is None else E.T @ start.Z
        inner = replace(inner, A=A + sign * B @ start.feedback.T)
    Y, Z, used, history, proven = _SOLVERS[method](inner, shifts, tol, max_iter)
    Z = None if Z is None else np.hstack([first, Z * balance])
    Y = first @ first.T + balance**2 * Y if Z is None else Z @ Z.T
    residual = _residual(A, B, C, sign, Y)
    feedback = Y @ B
    if lu is not None:
        Z = None if Z is None else lu_solve(lu, Z, trans=1)
        Y = lu_solve(lu, lu_solve(lu, Y, trans=1).T, trans=1)
    return RiccatiSolution(
        problem.gain(feedback), residual, False, len(history), used, history, method, Z,
        0.5 * (Y + Y.T), proven=proven,
    )  # fmt: skip


def _residual(A, B, C, sign, Y):
    """Residual relative to the sizes of the terms."""
    YA, YB = Y @ A, Y @ B
    quadratic, constant = YB @ YB.T, C.T @ C
    size = 2 * np.linalg.norm(YA) + np.linalg.norm(quadratic) + np.linalg.norm(constant)
    return float(np.linalg.norm(YA + YA.T + sign * quadratic + constant) / max(size, 1e-300))


def _doubling(problem, shifts, tol, max_iter):
    A, B, C, sign = problem.A, problem.B, problem.C, problem.sign
    named = isinstance(shifts, str)
    shift = _regular_shift(A, quick_shift(A, B, C)) if named else -abs(shifts[0])
    most = max_iter or 60
    if has_few_columns(problem):
        V, history, last = double_factored(
            factored_qadi_map(A, B, C, sign, shift), tol=1e-15, max_iter=most
        )
        return None, V, [shift], history, _proves_stable(last.slope(V))
    last, history = double_until(qadi_map(A, B, C, sign, shift), tol=1e-15, max_iter=most)
    proven = _proves_stable(last.slope(last.h))
    return _refined(problem, last.h), None, [shift], history, proven


def _proves_stable(T):
    return bool(np.linalg.norm(T) < _SURELY)


def _regular_shift(A, shift):
    """The shift, or one near it that is not the negative of an eigenvalue of an unstable A."""
    tried = []
    for factor in (1.0, 1.37, 0.71):
        tried.append((condition_number(A + factor * shift * np.eye(len(A))), factor * shift))
        if tried[-1][0] < 1e4:
            return factor * shift
    return min(tried)[1]


def _refined(problem, X):
    """One or two Newton steps, where doubling has lost digits."""
    A, B, C, sign = problem.A, problem.B, problem.C, problem.sign
    if not np.isfinite(X).all() or _residual(A, B, C, sign, X) <= 1e-15:
        return X
    return newton_care(A, -sign * B @ B.T, C.T @ C, X, max_iter=3)[0]


def _qadi(problem, shifts, tol, max_iter):
    A, B, C, sign = problem.A, problem.B, problem.C, problem.sign
    used = named_shifts(A, B, C, sign, shifts)
    maps, skip = [], None
    for p in map(complex, used):
        if p == skip:
            skip = None
        elif p.imag:
            pair = compose(*(qadi_map(A, B, C, sign, q) for q in (p, p.conjugate())))
            maps.append(type(pair)(pair.a.real, pair.g.real, pair.h.real))
            skip = p.conjugate()
        else:
            maps.append(qadi_map(A, B, C, sign, p.real))
    zero = np.zeros_like(A)
    X, history = iterate_map(maps, zero, tol=0.1 * tol, max_iter=max_iter or 2000)
    return X, None, used, history, False


def _newton(problem, shifts, tol, max_iter):
    A, B, C, sign = problem.A, problem.B, problem.C, problem.sign
    start = np.zeros_like(A) if sign == 1 else _off_the_axis(A, B, C)
    X, history = newton_care(A, -sign * B @ B.T, C.T @ C, start, max_iter=max_iter or 50)
    return X, None, [], history, False


def _off_the_axis(A, B, C):
    """A start that stabilizes modes on the imaginary axis too: Bernoulli's for A + b I, b > 0."""
    rightmost = np.linalg.eigvals(A).real.max()
    size = np.linalg.norm(A, 1)
    if rightmost < -1e-8 * size:
        return np.zeros_like(A)
    for part in (0.1, 0.01, 1e-3):  # a smaller one brings in fewer modes that no input reaches
        moved = A + part * max(size, 1e-300) * np.eye(len(A))
        try:
            Z = stabilizing_start(*unstable_space(moved), B, C).Z
        except NotStabilizableError:
            continue
        return Z @ Z.T
    return np.zeros_like(A)


def _schur(problem, shifts, tol, max_iter):
    A, B, C, sign = problem.A, problem.B, problem.C, problem.sign
    X = solve_continuous_are(A, B, C.T @ C, -sign * np.eye(B.shape[1]))
    return X, None, [], [_residual(A, B, C, sign, X)], False


_SOLVERS = {"doubling": _doubling, "qadi": _qadi, "newton": _newton, "schur": _schur}
