"""hessian-eigenthings: Lanczos' method and stochastic estimates on PyTorch."""

import numpy as np
from hessian_eigenthings.algorithms import lanczos, spectral_density, trace
from hessian_eigenthings.operators import HessianOperator

from benchmarks import _hessian_runs as runs
from benchmarks._case import Operation, Unsupported
from benchmarks._hessian_torch import data, flat, loss, model, vectors
from benchmarks._networks import relative_error

DISTRIBUTIONS = ("hessian-eigenthings", "torch")
STEPS = {"largest": 20, "five": 20, "smallest": 50, "smallest_later": 310}
"""Lanczos' steps, which the caller has to choose: the fewest, in tens, that reach a residual of
1e-6 on the network of the full size from every seed."""


def single_products(problem):
    """Multiply by some vectors, one after another."""
    H, report = _operator(problem), relative_error(problem, "products")
    columns = [flat(problem, v) for v in problem.arrays["V"].T]

    def one_by_one():
        return [H @ v for v in columns]

    def judge(found):
        return report(vectors(problem, np.column_stack([Hv.numpy() for Hv in found])))

    return {"product": Operation(one_by_one, "one by one", report=judge)}


def eigenvalues(problem):
    """Find eigenvalues of one end by a fixed number of steps."""
    H, spec = _operator(problem), problem.spec
    steps = STEPS[problem.id]

    def find(seed):
        return lanczos(
            H, k=spec["count"], max_iter=steps, tol=spec["tol"], which=spec["which"], seed=seed
        )

    def read(found):
        columns = vectors(problem, found.eigenvectors.numpy().T)
        return found.eigenvalues.numpy(), columns, found.iterations

    return runs.eigenvalues(problem, find, read, f"lanczos, {steps} steps")


def traces(problem):
    """Estimate the trace by both methods."""
    H, count = _operator(problem), problem.spec["products"]
    estimates = {
        name: (
            made,
            lambda seed, name=name: trace(H, num_matvecs=count, method=name, seed=seed).estimate,
        )
        for name, made in (("hutchinson", count), ("hutch++", 3 * (count // 3)))
    }
    return runs.traces(problem, estimates)


def densities(problem):
    """Estimate the density by stochastic Lanczos quadrature; its Gauss rules are compared."""
    H, spec = _operator(problem), problem.spec

    def estimate(seed):
        return spectral_density(
            H, num_runs=spec["probes"], lanczos_steps=spec["steps"], seed=1000 * seed
        )

    def read(found):
        nodes, weights = found.raw_eigenvalues.numpy(), found.raw_weights.numpy()
        return nodes, weights, nodes.size

    return runs.densities(problem, {"density": ("spectral_density", estimate, read)})


def solve(problem):
    """Refuse: there is no solver."""
    raise Unsupported("has no inverse")


def _operator(problem):
    net = model(problem)
    value = loss(problem, net)
    return HessianOperator(net, [data(problem)], lambda net, batch: value(net(batch[0]), batch[1]))


VARIANTS = {
    f"hessian_{function.__name__}": function
    for function in (single_products, eigenvalues, traces, densities, solve)
}
