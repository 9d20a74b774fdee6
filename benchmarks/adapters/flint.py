"""Ball arithmetic of FLINT: solutions with proved error bounds."""

from flint import arb_mat, ctx

DISTRIBUTIONS = ("python-flint",)


def bounds(problem):
    """Solve at twice the working precision, as the residuals of lmmfit have."""
    ctx.prec = 106
    a, b = arb_mat(problem.arrays["a"].tolist()), arb_mat([[v] for v in problem.arrays["b"]])

    def solve():
        a.solve(b)

    return {"solve with a bound": solve}


VARIANTS = {"bounds": bounds}
