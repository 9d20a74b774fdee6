"""NumPy's linear algebra."""

import numpy as np

from benchmarks._case import drop

DISTRIBUTIONS = ("numpy",)


def stacks(problem):
    """Solve a stack of systems in one call."""
    a, b = problem.arrays["a"], problem.arrays["b"]
    return {"lu, solve": lambda: drop(np.linalg.solve(a, b[..., None]))}


def least_squares(problem):
    """Solve by singular values."""
    a, b = problem.arrays["a"], problem.arrays["b"]
    return {"lstsq": lambda: drop(np.linalg.lstsq(a, b, rcond=None))}


VARIANTS = {"stacks": stacks, "least_squares": least_squares}
