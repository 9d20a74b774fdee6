"""What can be asked of a Hessian: eigenvalues, traces, densities, products and inverses."""

from functools import cache

import numpy as np

from benchmarks import _networks as networks
from benchmarks._case import Case
from benchmarks._claims import faster, figure
from benchmarks._hessian_runs import matrix

OURS = {"adapter": "lmmfit"}
CURVLINOPS = {"adapter": "curvlinops"}
PYHESSIAN = {"adapter": "pyhessian"}
EIGENTHINGS = {"adapter": "hessian_eigenthings"}
EVERYONE = ("lmmfit", "curvlinops", "pyhessian", "hessian_eigenthings")
NAMES = {"curvlinops": "curvlinops", "pyhessian": "PyHessian",
         "hessian_eigenthings": "hessian-eigenthings"}  # fmt: skip
TIMES = 5
"""How many times faster each claim asks lmmfit to be."""
TOLERANCE = 1e-6
EARLY, LATE = 20, 50
"""Iterations of L-BFGS before. Negative eigenvalues stand alone at first, and crowd later."""


def cases(quick):
    """Return the cases of the suite; if `quick`, of a smaller network with fewer repetitions."""
    return [
        _products(quick),
        _eigenvalues("largest", "largest eigenvalue", "LA", 1, quick),
        _eigenvalues("five", "five largest eigenvalues", "LA", 5, quick),
        _eigenvalues("smallest", "smallest (most negative) eigenvalue", "SA", 1, quick),
        *(() if quick else (_smallest_later(),)),
        _trace(quick),
        _density(quick),
        _inverse(quick),
    ]


def _products(quick):
    count = 20

    def make():
        spec, arrays = _trained(quick)
        V = np.random.default_rng(0).standard_normal((arrays["theta"].size, count))
        products = _hessian(quick)[0] @ V
        return [{"id": "products", "network": spec,
                 "arrays": arrays | {"V": V, "products": products}}]  # fmt: skip

    product = {"operation": "product"}
    return Case(
        "products",
        f"{count} products with the Hessian {_of(quick)}; error: relative distance from the "
        "products with the matrix",
        make=make,
        entries=_entries("single_products"),
        rounds=1 if quick else 3,
        repeats=3 if quick else 10,
        budget=2.0 if quick else 4.0,
        units=("product", count),
        claims=(
            *_faster("one by one", EVERYONE[1:], product),
            *_faster("all at once", ("curvlinops",), {"operation": "product, at once"}),
        ),
    )


def _smallest_later():
    what = "smallest eigenvalue, where others are within one per cent of it,"
    return _eigenvalues("smallest_later", what, "SA", 1, False, after=LATE, seeds=1)


def _eigenvalues(name, what, which, count, quick, after=EARLY, seeds=5):
    def make():
        spec, arrays = _trained(quick, after)
        known = _hessian(quick, after)[1]
        wanted = known[:count] if which == "SA" else known[-count:]
        return [{"id": name, "network": spec, "arrays": arrays | {"wanted": wanted},
                 "which": which, "count": count, "tol": TOLERANCE,
                 "seeds": 1 if quick else seeds}]  # fmt: skip

    rivals = EVERYONE[1:] if which == "LA" else ("curvlinops", "hessian_eigenthings")
    entries = _entries("eigenvalues")
    if which == "SA":
        wide = ("curvlinops", "hessian_eigenvalues_wide")
        # With the default of vectors kept, the later one takes a thousand products.
        entries = (*(e for e in entries if after == EARLY or e[0] != "curvlinops"), wide)
    return _once(
        name,
        f"{what} of the Hessian {_of(quick, after)}, to a residual of {TOLERANCE:.0e}; residual: "
        "|Hx - rx| over |r|, r = x'Hx, x of length 1, the worst of all; value error: over the "
        "largest in size of those asked for",
        make,
        entries,
        (
            *_faster("", rivals, {"operation": "eigenvalues"}),
            figure("residual of ours", "residual", OURS, at_most=TOLERANCE),
        ),
    )


def _trace(quick):
    count = 100

    def make():
        spec, arrays = _trained(quick)
        trace = np.trace(_hessian(quick)[0])
        return [{"id": "trace", "network": spec, "arrays": arrays | {"trace": trace},
                 "products": count, "seeds": 3 if quick else 7}]  # fmt: skip

    xtrace, signs, both = (
        {"operation": f"trace, {name}"} for name in ("xtrace", "hutchinson", "hutch++")
    )
    return _once(
        "trace",
        f"trace of the Hessian {_of(quick)}, from {count} products; error: relative, median over "
        "the seeds",
        make,
        _entries("traces"),
        (
            *_faster("Hutchinson's", EVERYONE[1:], signs),
            *_faster("Hutch++", ("curvlinops", "hessian_eigenthings"), both),
            *_faster("XTrace", ("curvlinops",), xtrace),
        ),
    )


def _density(quick):
    probes, steps = 5, 50

    def make():
        spec, arrays = _trained(quick)
        known = _hessian(quick)[1]
        return [{"id": "density", "network": spec, "arrays": arrays | {"eigenvalues": known},
                 "probes": probes, "steps": steps, "seeds": 1 if quick else 3}]  # fmt: skip

    return _once(
        "density",
        f"density of the eigenvalues of the Hessian {_of(quick)}, by stochastic Lanczos "
        f"quadrature, {probes} probes of {steps} products; distance: Wasserstein's to all "
        "eigenvalues, over the length of the spectrum, median over the seeds",
        make,
        _entries("densities"),
        _faster("", EVERYONE[1:], {"operation": ("density", "density, rules")}),
    )


def _inverse(quick):
    damping, seeds = 1.0, 1 if quick else 5

    def make():
        spec, arrays = _trained(quick)
        b = np.random.default_rng(0).standard_normal((arrays["theta"].size, seeds))
        return [{"id": "inverse", "network": spec, "arrays": arrays | {"b": b},
                 "damping": damping, "tol": TOLERANCE, "seeds": seeds}]  # fmt: skip

    return _once(
        "inverse",
        f"solution of (G + {damping:g} I) x = b with the Gauss-Newton matrix G {_of(quick)}, by "
        f"conjugate gradients to a residual of {TOLERANCE:.0e}; residual: |b - (G + {damping:g} "
        "I) x| over |b|",
        make,
        _entries("solve"),
        (
            *_faster("", ("curvlinops",), {"operation": "solve"}),
            figure("residual of ours", "residual", OURS, at_most=TOLERANCE),
        ),
    )


def _once(name, title, make, entries, claims):
    """Return a case whose operations time their own calls, one for each seed."""
    return Case(
        name,
        title,
        make=make,
        entries=entries,
        rounds=1,
        repeats=0,
        timeout=120.0,
        claims=claims,
    )


def _entries(question):
    return tuple((adapter, f"hessian_{question}") for adapter in EVERYONE)


def _faster(what, rivals, operation):
    what = f", {what}" if what else ""
    return tuple(
        faster(f"than {NAMES[rival]}{what}", {"adapter": rival} | operation, OURS | operation,
               at_least=TIMES)
        for rival in rivals
    )  # fmt: skip


def _of(quick, after=EARLY):
    rows, hidden = _size(quick)
    return (
        f"of a 64-{hidden}-10 network of tanh units, cross-entropy, alpha = 1, {rows} digits, "
        f"after {after} iterations of L-BFGS"
    )


def _size(quick):
    return (600, 16) if quick else (1797, 32)


@cache
def _trained(quick, after=EARLY):
    """Return a network, and its data and parameters after some iterations."""
    from sklearn.datasets import load_digits

    from lmmfit.curvature import FeedForwardNetwork
    from lmmfit.optimize import LBFGS, minimize

    rows, hidden = _size(quick)
    X, y = load_digits(return_X_y=True)
    X, Y = X[:rows] / 16, np.eye(10)[y[:rows]]
    spec = {"layer_sizes": (64, hidden, 10), "hidden_activations": "tanh", "loss": "log_loss",
            "alpha": 1.0}  # fmt: skip
    objective = FeedForwardNetwork(**spec).objective(X, Y)
    theta = minimize(objective, networks.starts(spec, 1)[0], LBFGS(), max_iter=after).x
    return spec, {"X": X, "Y": Y, "theta": theta}


@cache
def _hessian(quick, after=EARLY):
    """Return the matrix and all its eigenvalues."""
    spec, arrays = _trained(quick, after)
    H = matrix(spec, arrays["theta"], arrays["X"], arrays["Y"])
    return H, np.linalg.eigvalsh(H)
