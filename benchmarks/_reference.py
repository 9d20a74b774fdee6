"""Problems from the reference fits of R that lie beside the tests."""

import json
from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent.parent / "tests" / "reference"
SMALL = (
    "sleepstudy_corr_reml",
    "dyestuff2_reml",
    "penicillin_reml",
    "oats_full_reml",
    "ratpup_reml",
)
"""Models of a quick run."""
PYTHON_WORDS = {"yield": "crop"}
"""Columns renamed, since formulas of Python packages cannot have them."""


def models(*, limit=10_000):
    """Return the records of all reference models with at most so many rows.

    Raises
    ------
    FileNotFoundError
        If the reference fits are not beside the tests.
    """
    if not (FOLDER / "lmm.json").exists():
        raise FileNotFoundError(
            "tests/reference/lmm.json is missing: run the benchmarks from a checkout of the "
            "repository, which has the reference fits."
        )
    plain, more = (_read(name) for name in ("lmm", "inference"))
    found = {}
    for model in (*plain["models"], *more["models"], *more["weighted"]):
        if model["n"] <= limit:
            # The weighted models are in both files, only the second has their inference.
            found[model["id"]] = found.get(model["id"], {}) | model
    return list(found.values())


def fits(quick):
    """Return every model as a problem with the objective of its reference fit."""
    return [_problem(model) for model in _chosen(quick)]


def inference(kind, quick):
    """Return the models whose degrees of freedom R gives as problems that expect them.

    Singular fits are left out: there the packages follow different conventions.

    Parameters
    ----------
    kind : {"satterthwaite", "kenward_roger"}
    quick : bool
    """
    problems = []
    for model in _chosen(quick):
        if not model["singular"] and model.get(kind):
            df = model[kind]["df"]
            expected = {kind: {"values": df, "scale": df}}
            problems.append(_problem(model) | {"beta": model["beta"], "expected": expected})
    return problems


def model(name):
    """Return one record by its id."""
    return next(m for m in models(limit=np.inf) if m["id"] == name)


def profile_limits(name):
    """Return ends of the 95 % profile intervals, lower ones first, and the intervals' widths."""
    limits = next(p for p in _read("inference")["profiles"] if p["id"] == name)["limits95"]
    ends = np.array([limits["lower"], limits["upper"]])
    width = np.tile(ends[1] - ends[0], 2)
    return {"values": ends.ravel().tolist(), "scale": width.tolist()}


def original(name):
    """Return a table of `lmmfit.datasets`, or a part of one, by its name in R."""
    return _tables(name).rename(columns=PYTHON_WORDS)


def table(name):
    """Return a table by its name in R; labels of its factors sort in the order of the levels.

    All packages take the same baseline then, whether they know an order of levels or not.
    """
    import pandas as pd

    frame = original(name)
    for column in frame.columns[frame.dtypes == "category"]:
        levels = frame[column].cat.remove_unused_categories().cat
        labels = [f"L{j:04d}_{level}" for j, level in enumerate(levels.categories)]
        frame[column] = pd.Categorical.from_codes(levels.codes, labels)
    return frame


def _problem(model):
    frame = table(model["data"].split()[0])
    formula = model["formula"]
    for word, name in PYTHON_WORDS.items():
        formula = formula.replace(f"{word} ~", f"{name} ~")
    problem = {
        "id": model["id"],
        "formula": formula,
        "reml": model["REML"],
        "reference": model["objective"],
    }
    if model.get("weights"):
        frame["w"] = 1.0 + np.arange(len(frame)) % 3
        problem["weights"] = "w"
    if model.get("offset"):
        squared = model["offset"] == "Days^2"
        frame["o"] = frame["Days"] ** 2 if squared else 10.0 * frame["Days"]
        problem["offset"] = "o"
    return problem | {"frame": frame}


def _chosen(quick):
    return [m for m in models() if not quick or m["id"] in SMALL]


@cache
def _read(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def _tables(name):
    """Return a copy of a table of `lmmfit.datasets`, of a part of one or of a simulated one."""
    import pandas as pd

    from lmmfit import datasets

    path = FOLDER / "data" / f"{name}.csv.gz"
    if path.exists():
        frame = pd.read_csv(path)
        for column, labels in _read("inference")["levels"].get(name, {}).items():
            frame[column] = pd.Categorical(frame[column].astype(str), categories=labels)
        return frame
    stem, students = (name[:8], int(name[8:] or 10**6)) if "InstEval" in name else (name, 0)
    loader = {"RatPupWeight": "ratpup"}.get(stem, stem.lower())
    frame = getattr(datasets, f"load_{loader}")(as_frame=True).frame.copy()
    if students:
        chosen = frame["s"].cat.codes < students
        if students == 400:
            chosen &= frame["d"].cat.codes < 100
        frame = frame[chosen].reset_index(drop=True)
    return frame
