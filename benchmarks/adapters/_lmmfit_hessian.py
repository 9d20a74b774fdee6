"""What lmmfit answers about a Hessian."""

import numpy as np

from benchmarks import _hessian_runs as runs
from benchmarks._case import Operation
from benchmarks._networks import relative_error

METHODS = ("hutchinson", "hutch++", "xtrace")


def single_products(problem):
    """Multiply by some vectors, one after another and all at once."""
    H, V = _operator(problem), problem.arrays["V"]
    columns, report = np.ascontiguousarray(V.T), relative_error(problem, "products")

    def one_by_one():
        return [H @ v for v in columns]

    return {
        "product": Operation(
            one_by_one, "one by one", report=lambda found: report(np.column_stack(found))
        ),
        "product, at once": Operation(lambda: H @ V, "at once", report=report),
    }


def eigenvalues(problem):
    """Find eigenvalues of one end."""
    H, spec = _operator(problem), problem.spec

    def find(seed):
        return H.eigsh(spec["count"], spec["which"], tol=spec["tol"], seed=seed)

    def read(pairs):
        return pairs.values, pairs.vectors, pairs.n_products

    return runs.eigenvalues(problem, find, read, "eigsh")


def traces(problem):
    """Estimate the trace by each method."""
    H, count = _operator(problem), problem.spec["products"]
    estimates = {
        name: (count, lambda seed, name=name: H.trace(name, n_products=count, seed=seed))
        for name in METHODS
    }
    return runs.traces(problem, estimates)


def densities(problem):
    """Estimate the density by stochastic Lanczos quadrature."""
    H, spec = _operator(problem), problem.spec

    def estimate(seed):
        return H.density(n_probes=spec["probes"], n_products=spec["steps"], seed=seed)

    def read(density):
        return density.nodes, density.weights, density.n_products

    return runs.densities(problem, {"density": ("density", estimate, read)})


def solve(problem):
    """Solve a system with the Gauss-Newton matrix."""
    G, spec, b = _operator(problem).gauss_newton, problem.spec, problem.arrays["b"]

    def find(seed):
        return G.solve(b[:, seed], damping=spec["damping"], tol=spec["tol"])

    return runs.solutions(problem, find, lambda found: (found.x, found.n_products), "solve, cg")


def _operator(problem):
    """Return the Hessian where value and gradient are known."""
    from lmmfit.curvature import HessianOperator

    state = runs.state(problem)
    state.gradient  # noqa: B018
    return HessianOperator(state)


VARIANTS = {
    f"hessian_{function.__name__}": function
    for function in (single_products, eigenvalues, traces, densities, solve)
}
