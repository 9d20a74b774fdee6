"""PyHessian: power iteration, Hutchinson's trace and stochastic Lanczos quadrature on PyTorch.

Its gradient with its graph is made once, and not timed. Random vectors and small matrices have
torch's default type, which is therefore set to double precision here, and `torch.eig`, which
torch has removed, is given back for its tridiagonal matrices.
"""

from importlib import import_module

import numpy as np
import torch

from benchmarks import _hessian_runs as runs
from benchmarks._case import Operation, Unsupported
from benchmarks._hessian_torch import data, loss, model, parts, vector
from benchmarks._networks import relative_error

DISTRIBUTIONS = ("pyhessian", "torch")
module = import_module("pyhessian.hessian")  # the package has a class of that name
TOLERANCE = 1e-12
"""Of changes of an eigenvalue: as the square of the residual that is asked for."""


def single_products(problem):
    """Multiply by some vectors, one after another."""
    H = _hessian(problem)
    columns = [parts(problem, v) for v in problem.arrays["V"].T]
    report = relative_error(problem, "products")

    def one_by_one():
        return [module.hessian_vector_product(H.gradsH, H.params, v) for v in columns]

    return {
        "product": Operation(
            one_by_one,
            "one by one",
            report=lambda found: report(np.column_stack([vector(Hv) for Hv in found])),
        )
    }


def eigenvalues(problem):
    """Find the largest eigenvalues by power iteration."""
    if problem.spec["which"] != "LA":
        raise Unsupported("finds eigenvalues of largest size only")
    H, count, calls = _hessian(problem), problem.spec["count"], _Counted()

    def find(seed):
        torch.manual_seed(seed)
        with calls:
            return H.eigenvalues(maxIter=10_000, tol=TOLERANCE, top_n=count)

    def read(found):
        values, vectors = found
        return values, np.column_stack([vector(x) for x in vectors]), calls.count

    return runs.eigenvalues(problem, find, read, "eigenvalues, power iteration")


def traces(problem):
    """Estimate the trace by Hutchinson's method; a tolerance of 0 makes all products."""
    H, count = _hessian(problem), problem.spec["products"]

    def estimate(seed):
        torch.manual_seed(seed)
        return np.mean(H.trace(maxIter=count, tol=0.0))

    return runs.traces(problem, {"hutchinson": (count, estimate)})


def densities(problem):
    """Estimate the density by stochastic Lanczos quadrature."""
    H, spec, calls = _hessian(problem), problem.spec, _Counted()

    def estimate(seed):
        torch.manual_seed(seed)
        with calls:
            return H.density(iter=spec["steps"], n_v=spec["probes"])

    def read(found):
        return *found, calls.count

    return runs.densities(problem, {"density": ("density", estimate, read)})


def solve(problem):
    """Refuse: it has products with the Hessian alone."""
    raise Unsupported("has no inverse and no Gauss-Newton matrix")


def _hessian(problem):
    torch.set_default_dtype(torch.float64)
    torch.eig = _eig
    net = model(problem)
    return module.hessian(net, loss(problem, net), data=data(problem), cuda=False)


def _eig(matrix, eigenvectors=True):
    """Stand in for `torch.eig` of symmetric matrices: real and imaginary parts, vectors."""
    values, vectors = torch.linalg.eigh(matrix)
    return torch.stack([values, torch.zeros_like(values)], dim=1), vectors


class _Counted:
    """Counts the products that PyHessian makes within a block."""

    def __enter__(self):
        self.count, self._product = 0, module.hessian_vector_product
        module.hessian_vector_product = self._counting

    def _counting(self, *arguments):
        self.count += 1
        return self._product(*arguments)

    def __exit__(self, *_):
        module.hessian_vector_product = self._product


VARIANTS = {
    f"hessian_{function.__name__}": function
    for function in (single_products, eigenvalues, traces, densities, solve)
}
