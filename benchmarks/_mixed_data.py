"""Data of the mixed-model suite: simulated tables, and the reference fits."""

import json
from pathlib import Path

import numpy as np

REFERENCE = Path(__file__).parent.parent / "tests" / "reference" / "lmm.json"
"""lme4 fits with their optimum polished; ``models`` holds one record a model."""


TRAPS = (
    {
        "id": "orthodont_slope_sex_reml",
        "data": "Orthodont",
        "formula": "distance ~ age * Sex + (age | Subject)",
        "REML": True,
        "objective": 432.581661502608,
    },
)
"""Models on which a package stops short: lme4 1.1-31, polished by a simplex search."""


def longitudinal(groups, rows, *, keys, covariates=1, slopes=1, seed=0):
    """Simulate ``y ~ x + (x | g)``.

    Parameters
    ----------
    groups : int
        Number of groups.
    rows : int or (int, int)
        Rows altogether, each of a group drawn at random, in no order; or the range of rows
        a group, group after group.
    keys : {"int", "str"}
        Type of the grouping column.
    covariates, slopes : int
        Standard normal covariates, and how many of them have a random slope.
    seed : int
        Of the generator.

    Returns
    -------
    frame : DataFrame
        Columns y, x (or x1, x2, ...) and g.
    arrays : dict
        y, X and Z with their constant columns, groups (integers).
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    if isinstance(rows, int):
        g = rng.integers(groups, size=rows)
    else:
        g = np.repeat(np.arange(groups), rng.integers(rows[0], rows[1] + 1, size=groups))
    x = rng.standard_normal((len(g), covariates))
    q = slopes + 1
    factor = np.tril(np.full((q, q), 0.2)) + np.diag(np.linspace(0.8, 0.4, q))
    b = rng.standard_normal((groups, q)) @ factor.T
    X = np.column_stack([np.ones(len(g)), x])
    Z = np.ascontiguousarray(X[:, :q])
    beta = np.linspace(1.0, 2.0, covariates + 1)
    y = X @ beta + (Z * b[g]).sum(axis=1) + rng.standard_normal(len(g))
    names = ["x"] if covariates == 1 else [f"x{j + 1}" for j in range(covariates)]
    frame = pd.DataFrame({"y": y} | {name: x[:, j] for j, name in enumerate(names)})
    if keys == "str":
        frame["g"] = pd.Series([f"subject-{i:06d}" for i in range(groups)])[g].array
    else:
        frame["g"] = g
    return frame, {"y": y, "X": X, "Z": Z, "groups": g}


def balanced(groups, rows, *, seed=0):
    """Return arrays of ``y ~ x + (x | g)``, so many rows in each group, group after group."""
    frame, arrays = longitudinal(groups, (rows, rows), keys="int", seed=seed)
    rng = np.random.default_rng(seed + 1)
    theta = np.array([0.9, 0.2, 0.7]) + 0.05 * rng.standard_normal((16, 3))
    return frame, arrays | {"theta": theta}


def observation(n, p, q, *, seed=0):
    """Return y, X, Z of one observation with its parameters beta, L and sigma2."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, p - 1))])
    Z = np.column_stack([np.ones(n), rng.standard_normal((n, q - 1))])
    beta = np.linspace(-1.0, 1.0, p)
    L = np.linalg.cholesky(np.full((q, q), 0.1) + 0.9 * np.eye(q))
    sigma2 = 1.5
    b = L @ rng.standard_normal(q)
    y = X @ beta + Z @ b + np.sqrt(sigma2) * rng.standard_normal(n)
    return {"y": y, "X": X, "Z": Z, "beta": beta, "L": L, "sigma2": np.array(sigma2)}


def responses(count, rows, groups, *, seed=0):
    """Return one table with x and g, and arrays with so many responses ``Y`` of its rows."""
    frame, arrays = longitudinal(groups, rows, keys="int", seed=seed)
    rng = np.random.default_rng(seed + 1)
    g, x = arrays["groups"], arrays["X"][:, 1]
    spread = rng.uniform(0.2, 1.5, size=(2, count))  # of the intercepts and slopes
    b = spread[:, None, :] * rng.standard_normal((2, groups, count))
    noise = rng.standard_normal((rows, count))
    Y = rng.standard_normal(count) + b[0][g] + (0.5 + b[1][g]) * x[:, None] + noise
    return frame[["x", "g"]].copy(), {"Y": Y, "X": arrays["X"], "groups": g}


def sleepstudy():
    """Return the sleepstudy table and its arrays."""
    frame = _load("sleepstudy")
    X = np.column_stack([np.ones(len(frame)), frame["Days"].to_numpy(float)])
    groups = frame["Subject"].cat.codes.to_numpy(np.int64)
    arrays = {"y": frame["Reaction"].to_numpy(float), "X": X, "Z": X.copy(), "groups": groups}
    return frame, arrays


def reference_problems():
    """Return a problem for every reference model with one grouping factor.

    Raises
    ------
    FileNotFoundError
        If the reference fits are not beside the tests.
    """
    if not REFERENCE.exists():
        raise FileNotFoundError(
            "tests/reference/lmm.json is missing: run the benchmarks from a checkout of the "
            "repository, which has the reference fits."
        )
    models = json.loads(REFERENCE.read_text())["models"]
    models = [model for model in models if len(model["groups"]) == 1]
    return [_reference_problem(model) for model in (*models, *TRAPS)]


def _reference_problem(model):
    """Return one reference model, with its weights or offset as a column."""
    frame = _load(model["data"].split()[0])
    problem = {
        "id": model["id"],
        "formula": model["formula"],
        "reml": model["REML"],
        "reference": model["objective"],
    }
    if model.get("weights"):
        frame["w"] = 1.0 + np.arange(len(frame)) % 3
        problem["weights"] = "w"
    if model.get("offset"):
        frame["o"] = 10.0 * frame["Days"]
        problem["offset"] = "o"
    return problem | {"frame": frame}


def _load(name):
    """Load a table of `lmmfit.datasets` by its name in R."""
    from lmmfit import datasets

    loader = {"RatPupWeight": "ratpup"}.get(name, name.lower())
    return getattr(datasets, f"load_{loader}")(as_frame=True).frame
