"""The linear algebra of lmmfit."""

import numpy as np

from benchmarks._case import drop
from lmmfit import linalg


def tridiagonal(problem):
    """Solve one system, and stream the memory of the system once."""
    import numba

    @numba.njit(fastmath=True)
    def stream(lower, diag, upper, b, x):
        for i in range(x.size):
            x[i] = lower[i] + diag[i] + upper[i] + b[i]

    system = [problem.arrays[name] for name in ("lower", "diag", "upper", "b")]

    def one_pass():
        stream(*system, np.empty(len(system[0])))

    return {
        "solve": lambda: drop(linalg.tridiagonal_solve(*system)),
        "one pass: read the system, write x": one_pass,
    }


def stacks(problem):
    """Solve many small systems at once."""
    a, spd, b = (problem.arrays[name] for name in ("a", "spd", "b"))
    off, main = a[:, 0, :3].copy(), spd[:, 0] + 9.0
    return {
        "lu, solve": lambda: drop(linalg.lu(a).solve(b)),
        "cholesky, solve": lambda: drop(linalg.cholesky(spd).solve(b)),
        "tridiagonal solve": lambda: drop(linalg.tridiagonal_solve(off, main, off, b)),
    }


def band(problem):
    """Factor a band matrix and solve with it."""
    b = problem.arrays["b"]
    operations = {}
    for w in (2, 5, 20):
        ab = problem.arrays[f"ab{w}"]
        operations[f"lu, w = {w}"] = lambda ab=ab, w=w: drop(linalg.banded_lu(ab, w, w).solve(b))
        operations[f"lu, not pivoted, w = {w}"] = lambda ab=ab, w=w: drop(
            linalg.banded_lu(ab, w, w, pivot=False).solve(b)
        )
        operations[f"cholesky, w = {w}"] = lambda ab=ab, w=w: drop(
            linalg.banded_cholesky(ab[: w + 1]).solve(b)
        )
    return operations


def dense(problem):
    """Factor a dense matrix and solve with it."""
    a, spd, b = (problem.arrays[name] for name in ("a", "spd", "b"))
    return {
        "lu, solve": lambda: drop(linalg.lu(a).solve(b)),
        "cholesky, solve": lambda: drop(linalg.cholesky(spd).solve(b)),
        "pivoted qr": lambda: drop(linalg.qr(a)),
    }


def least_squares(problem):
    """Solve for all right-hand sides, with each method."""
    a, b = problem.arrays["a"], problem.arrays["b"]
    methods = {"default": "auto", "qr": "qr", "normal": "normal", "svd": "svd"}
    return {
        name: lambda method=method: drop(linalg.least_squares(a, b, method=method))
        for name, method in methods.items()
    }


def bounds(problem):
    """Solve, refine, and prove a bound."""
    a, b = problem.arrays["a"], problem.arrays["b"]
    return {"solve with a bound": lambda: drop(linalg.solve_with_bounds(a, b))}


VARIANTS = {
    "tridiagonal": tridiagonal,
    "stacks": stacks,
    "band": band,
    "dense": dense,
    "least_squares": least_squares,
    "bounds": bounds,
}
