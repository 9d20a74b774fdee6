"""Linear algebra: what it costs to be careful, and what small systems cost."""

import numpy as np

from benchmarks._case import Case
from benchmarks._claims import faster, within

OURS = {"adapter": "lmmfit"}
SCIPY = {"adapter": "scipy"}
NUMPY = {"adapter": "numpy"}


def cases(quick):
    """Return the cases of the suite, smaller ones if `quick`."""
    return [
        _tridiagonal(10**5 if quick else 10**6, quick),
        _stacks(10**4 if quick else 10**5, quick),
        _band(10**4 if quick else 10**5, quick),
        *(_dense(n, quick) for n in ((200,) if quick else (200, 1000, 2000))),
        _least_squares("tall", *((10**4, 20) if quick else (10**5, 20)), quick),
        _least_squares("square_ish", *((1000, 100) if quick else (5000, 500)), quick),
        _bounds(50 if quick else 200, quick),
    ]


def _case(name, title, arrays, variant, adapters, claims, quick, **settings):
    def make():
        return [{"id": name, "arrays": arrays(np.random.default_rng(0))}]

    return Case(
        name, title, make, tuple((adapter, variant) for adapter in adapters), claims=claims,
        **({"rounds": 1 if quick else 3, "repeats": 5 if quick else 15} | settings),
    )  # fmt: skip


def _tridiagonal(n, quick):
    def arrays(rng):
        return {"lower": rng.uniform(-1, 1, n - 1), "diag": rng.uniform(3, 4, n),
                "upper": rng.uniform(-1, 1, n - 1), "b": rng.standard_normal(n)}  # fmt: skip

    memory = OURS | {"operation": "one pass: read the system, write x"}
    solve = OURS | {"operation": "solve"}
    return _case(
        "tridiagonal",
        f"one tridiagonal system, n = {n}",
        arrays,
        "tridiagonal",
        ("lmmfit", "scipy"),
        (
            within("solve over one pass through the memory", solve, memory, at_most=3),
            faster("than scipy's solve_banded", SCIPY, solve, at_least=1),
        ),
        quick,
    )


def _stacks(m, quick):
    def arrays(rng):
        root = rng.standard_normal((m, 4, 4))
        return {"a": root, "spd": root @ np.swapaxes(root, 1, 2) + np.eye(4),
                "b": rng.standard_normal((m, 4))}  # fmt: skip

    operations = ("lu, solve", "cholesky, solve", "tridiagonal solve")
    return _case(
        "stacks",
        f"{m} systems of order 4",
        arrays,
        "stacks",
        ("lmmfit", "scipy", "numpy"),
        tuple(
            faster(f"than a loop over scipy: {name}", SCIPY | {"operation": name},
                   OURS | {"operation": name}, at_least=20)
            for name in operations
        ),
        quick,
        repeats=3,
    )  # fmt: skip


def _band(n, quick):
    def arrays(rng):
        bands = {f"ab{w}": rng.standard_normal((2 * w + 1, n)) for w in (2, 5, 20)}
        for w in (2, 5, 20):
            bands[f"ab{w}"][w] += 4.0 * w + 2.0
        return bands | {"b": rng.standard_normal(n)}

    return _case(
        "band",
        f"one band system with w diagonals on either side, n = {n}",
        arrays,
        "band",
        ("lmmfit", "scipy"),
        (),
        quick,
        repeats=5,
    )


def _dense(n, quick):
    def arrays(rng):
        a = rng.standard_normal((n, n))
        return {"a": a, "spd": a @ a.T + n * np.eye(n), "b": rng.standard_normal(n)}

    operations = ("lu, solve", "cholesky, solve", "pivoted qr")
    return _case(
        f"dense_{n}",
        f"one dense matrix, n = {n}, beside LAPACK called directly",
        arrays,
        "dense",
        ("lmmfit", "scipy"),
        tuple(
            within(f"{name} over LAPACK", OURS | {"operation": name},
                   SCIPY | {"operation": name}, at_most=1.1)
            for name in operations
        ),
        quick,
    )  # fmt: skip


def _least_squares(name, m, n, quick):
    def arrays(rng):
        return {"a": rng.standard_normal((m, n)), "b": rng.standard_normal((m, 3))}

    default = OURS | {"operation": "default"}
    return _case(
        f"least_squares_{name}",
        f"least squares with 3 right-hand sides, {m} x {n}, well-conditioned",
        arrays,
        "least_squares",
        ("lmmfit", "numpy", "scipy"),
        (faster("than numpy's lstsq", NUMPY, default, at_least=1),),
        quick,
        repeats=5,
    )


def _bounds(n, quick):
    def arrays(rng):
        return {"a": rng.standard_normal((n, n)), "b": rng.standard_normal(n)}

    return _case(
        "bounds",
        f"a solution with a proved error bound, random matrix, n = {n}",
        arrays,
        "bounds",
        ("lmmfit", "flint", "scipy"),
        (faster("than ball arithmetic", {"adapter": "flint"}, OURS, at_least=1),),
        quick,
        repeats=5,
    )
