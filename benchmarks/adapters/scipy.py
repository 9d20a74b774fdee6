"""SciPy's linear algebra, the LAPACK routines below it, its L-BFGS, and its Riccati equations."""

from functools import partial

import numpy as np
import scipy.linalg
import scipy.optimize
from scipy.linalg import lapack

from benchmarks import _riccati_runs
from benchmarks._case import drop
from benchmarks._network_runs import runs
from benchmarks._networks import network

DISTRIBUTIONS = ("scipy", "numpy")


def tridiagonal(problem):
    """Solve one tridiagonal system."""
    lower, diag, upper, b = (problem.arrays[name] for name in ("lower", "diag", "upper", "b"))
    ab = np.zeros((3, len(diag)))
    ab[0, 1:], ab[1], ab[2, :-1] = upper, diag, lower
    return {"solve": lambda: drop(scipy.linalg.solve_banded((1, 1), ab, b))}


def stacks(problem):
    """Loop over the systems, without the check for finite elements."""
    a, spd, b = (problem.arrays[name] for name in ("a", "spd", "b"))
    ab = np.zeros((len(a), 3, 4))
    ab[:, 0, 1:] = ab[:, 2, :-1] = a[:, 0, :3]
    ab[:, 1] = spd[:, 0] + 9.0

    def lu():
        for one, right in zip(a, b, strict=True):
            factor = scipy.linalg.lu_factor(one, check_finite=False)
            scipy.linalg.lu_solve(factor, right, check_finite=False)

    def cholesky():
        for one, right in zip(spd, b, strict=True):
            factor = scipy.linalg.cho_factor(one, check_finite=False)
            scipy.linalg.cho_solve(factor, right, check_finite=False)

    def tridiagonal():
        for one, right in zip(ab, b, strict=True):
            scipy.linalg.solve_banded((1, 1), one, right, check_finite=False)

    return {"lu, solve": lu, "cholesky, solve": cholesky, "tridiagonal solve": tridiagonal}


def band(problem):
    """Solve one band system."""
    b = problem.arrays["b"]
    operations = {}
    for w in (2, 5, 20):
        ab = problem.arrays[f"ab{w}"]
        operations[f"lu, w = {w}"] = lambda ab=ab, w=w: drop(
            scipy.linalg.solve_banded((w, w), ab, b)
        )
        operations[f"cholesky, w = {w}"] = lambda ab=ab, w=w: drop(
            scipy.linalg.solveh_banded(ab[: w + 1], b)
        )
    return operations


def dense(problem):
    """Call LAPACK directly."""
    a, spd, b = (problem.arrays[name] for name in ("a", "spd", "b"))

    def lu():
        factor, pivots, _ = lapack.dgetrf(a)
        lapack.dgetrs(factor, pivots, b)

    def cholesky():
        factor, _ = lapack.dpotrf(spd)
        lapack.dpotrs(factor, b)

    return {
        "lu, solve": lu,
        "cholesky, solve": cholesky,
        "pivoted qr": lambda: drop(lapack.dgeqp3(a)),
    }


def least_squares(problem):
    """Solve by LAPACK's complete orthogonal factorization."""
    a, b = problem.arrays["a"], problem.arrays["b"]
    return {"lstsq, gelsy": lambda: drop(scipy.linalg.lstsq(a, b, lapack_driver="gelsy"))}


def bounds(problem):
    """Solve without any bound."""
    a, b = problem.arrays["a"], problem.arrays["b"]
    return {"solve, no bound": lambda: drop(scipy.linalg.solve(a, b))}


def care(problem):
    """Solve a continuous Riccati equation by the QZ algorithm."""
    A, B, C, sign = _riccati_runs.dense_system(problem)
    Q, R = C.T @ C, -sign * np.eye(B.shape[1])

    def solve():
        return scipy.linalg.solve_continuous_are(A, B, Q, R)

    return _riccati_runs.solution(problem, solve, lambda X: (X, {}), "solve_continuous_are")


def _known(problem, solver):
    """Solve an example of a Riccati equation whose solution is known."""
    *matrices, S = _riccati_runs.example(problem)
    return _riccati_runs.accuracy(problem, lambda: solver(*matrices, s=S if S.any() else None))


def _lbfgs(problem):
    """Minimise with lmmfit's own value and gradient, to the last decrease."""
    objective = network(problem).objective(problem.arrays["X"], problem.arrays["Y"])
    options = {"maxcor": 10, "ftol": 0.0, "gtol": problem.spec["tol"]}
    options |= {"maxiter": 10**9, "maxfun": 10**9}

    def value_and_gradient(theta):
        state = objective.evaluate(theta)
        return state.value, state.gradient

    def descend(theta, trail):
        def callback(intermediate_result):
            if trail.add(intermediate_result.x):
                raise StopIteration

        scipy.optimize.minimize(
            value_and_gradient,
            theta,
            jac=True,
            method="L-BFGS-B",
            callback=callback,
            options=options,
        )

    return descend


VARIANTS = {
    "tridiagonal": tridiagonal,
    "stacks": stacks,
    "band": band,
    "dense": dense,
    "least_squares": least_squares,
    "bounds": bounds,
    "care": care,
    "known_care": partial(_known, solver=scipy.linalg.solve_continuous_are),
    "known_dare": partial(_known, solver=scipy.linalg.solve_discrete_are),
    "lbfgs": partial(runs, descent=_lbfgs, name="l-bfgs-b"),
}
