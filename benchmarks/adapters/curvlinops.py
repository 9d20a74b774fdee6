"""curvlinops: linear operators of curvature on PyTorch."""

import numpy as np
import torch
from curvlinops import (
    CGInverseLinearOperator,
    GGNLinearOperator,
    HessianLinearOperator,
    hutchinson_trace,
    hutchpp_trace,
    lanczos_approximate_spectrum,
    xtrace,
)
from curvlinops._torch_base import PyTorchLinearOperator
from curvlinops.papyan2020traces.spectrum import fast_lanczos
from scipy.sparse.linalg import eigsh
from torch import nn

from benchmarks import _hessian_runs as runs
from benchmarks._case import Operation
from benchmarks._hessian_torch import data, flat, model, parts, vector, vectors
from benchmarks._networks import relative_error

DISTRIBUTIONS = ("curvlinops-for-pytorch", "torch")


def products(problem):
    """Multiply by the Hessian; all patterns are one batch, and nothing is checked."""
    operations = {}
    for dtype in ("float64", "float32"):
        operator = _operator(problem, getattr(torch, dtype))
        v = [part.to(getattr(torch, dtype)) for part in parts(problem, problem.arrays["v"])]
        operations[f"product, {dtype}"] = Operation(
            lambda operator=operator, v=v: operator @ v, report=_report(problem)
        )
    return operations


def single_products(problem):
    """Multiply by some vectors, one after another and all at once."""
    H, report = _penalised(problem), relative_error(problem, "products")
    columns = [flat(problem, v) for v in problem.arrays["V"].T]
    V = torch.stack(columns, dim=1)

    def one_by_one():
        return [H @ v for v in columns]

    def judge(found):
        return report(vectors(problem, found.numpy()))

    return {
        "product": Operation(
            one_by_one, "one by one", report=lambda found: judge(torch.stack(found, dim=1))
        ),
        "product, at once": Operation(lambda: H @ V, "at once", report=judge),
    }


def eigenvalues(problem, room=None):
    """Find eigenvalues of one end by SciPy's eigsh, as the package advises."""
    H, spec = _penalised(problem), problem.spec
    matrix = H.to_scipy()

    def find(seed):
        H.made.clear()
        start = np.random.default_rng(seed).standard_normal(H.shape[0])
        return eigsh(
            matrix, spec["count"], which=spec["which"], tol=spec["tol"], v0=start, ncv=room
        )

    def read(found):
        return found[0], vectors(problem, found[1]), sum(H.made)

    how = "scipy's eigsh" + (f", {room} vectors kept" if room else "")
    return runs.eigenvalues(problem, find, read, how)


def eigenvalues_wide(problem):
    """Keep as many vectors as lmmfit does for the low end."""
    return eigenvalues(problem, 150)


def traces(problem):
    """Estimate the trace by each method; Hutch++ needs products in threes."""
    H, count = _penalised(problem), problem.spec["products"]

    def seeded(method, made):
        def estimate(seed):
            _begin(H, seed)
            return method(H, made)

        return made, estimate

    return runs.traces(problem, {
        "hutchinson": seeded(hutchinson_trace, count),
        "hutch++": seeded(hutchpp_trace, 3 * (count // 3)),
        "xtrace": seeded(xtrace, count),
    })  # fmt: skip


def densities(problem):
    """Estimate the density by stochastic Lanczos quadrature: on a grid, and its Gauss rules.

    What the grid's density adds is the search for the ends of the spectrum, and a normal
    distribution about each point.
    """
    H, steps, probes = _penalised(problem), problem.spec["steps"], problem.spec["probes"]

    def smooth(seed):
        _begin(H, seed)
        return lanczos_approximate_spectrum(H, steps, num_repeats=probes)

    def rules(seed):
        _begin(H, seed)
        return [fast_lanczos(H, steps) for _ in range(probes)]

    def read_smooth(found):
        return *(part.numpy() for part in found), sum(H.made)

    def read_rules(found):
        nodes, weights = zip(*((nodes, y[0] ** 2) for nodes, y in found), strict=True)
        return np.ravel(nodes), np.ravel(weights), sum(H.made)

    return runs.densities(problem, {
        "density": ("lanczos_approximate_spectrum", smooth, read_smooth),
        "density, rules": ("fast_lanczos alone", rules, read_rules),
    })  # fmt: skip


def solve(problem):
    """Solve a system with the Gauss-Newton matrix by conjugate gradients."""
    G = _penalised(problem, GGNLinearOperator, problem.spec["damping"])
    columns = [flat(problem, b) for b in problem.arrays["b"].T]
    # With its default eps, 1e-10, steps are left out once p'Ap is below that, at a residual of
    # about 1e-6, and six times as many products are needed.
    inverse = CGInverseLinearOperator(G, tolerance=problem.spec["tol"], eps=1e-20, max_iter=10_000)

    def find(seed):
        G.made.clear()
        return inverse @ columns[seed]

    def read(found):
        return vectors(problem, found.numpy()), sum(G.made)

    return runs.solutions(problem, find, read, "CGInverseLinearOperator")


class _Diagonal(PyTorchLinearOperator):
    """Second derivatives of the penalty and a damping; counts the products."""

    SELF_ADJOINT = True
    device, dtype = torch.device("cpu"), torch.float64

    def __init__(self, shapes, alpha, damping):
        super().__init__(shapes, shapes)
        # A penalty shrinks the weights, not the biases.
        self._factors = [damping + alpha * (len(shape) == 2) for shape in shapes]
        self.made = []

    def _matmat(self, X):
        self.made.append(X[0].shape[-1])
        return [factor * x for factor, x in zip(self._factors, X, strict=True)]


def _penalised(problem, kind=HessianLinearOperator, damping=0.0):
    """Return the operator with penalty and damping added, which the package's own lacks."""
    network = problem.spec["network"]
    shapes = [tuple(part.shape) for part in parts(problem, problem.arrays["theta"])]
    diagonal = _Diagonal(shapes, network["alpha"], damping)
    total = _operator(problem, torch.float64, kind) + diagonal
    total.made = diagonal.made
    total @ flat(problem, problem.arrays["theta"])  # nothing is imported or warned of later
    return total


def _begin(H, seed):
    """Seed the random vectors and count from zero."""
    torch.manual_seed(seed)
    H.made.clear()


def _operator(problem, dtype, kind=HessianLinearOperator):
    classes = problem.spec["network"]["loss"] == "log_loss"
    loss = nn.CrossEntropyLoss(reduction="sum") if classes else nn.MSELoss(reduction="sum")
    net = model(problem, dtype)
    return kind(
        net, loss, list(net.parameters()), [data(problem, dtype)], check_deterministic=False
    )


def _report(problem):
    error_of = relative_error(problem, "product")
    # Its squared error is not halved.
    scale = 1.0 if problem.spec["network"]["loss"] == "log_loss" else 0.5
    return lambda found: error_of(scale * vector(found))


VARIANTS = {
    "products": products,
    "hessian_eigenvalues_wide": eigenvalues_wide,
    **{
        f"hessian_{function.__name__}": function
        for function in (single_products, eigenvalues, traces, densities, solve)
    },
}
