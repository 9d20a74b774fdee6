"""What every test needs: caches, random draws and screens that are the same everywhere."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _kernel_sources():
    """Files with numba kernels: those that import the wrapper, and the wrapper itself."""
    for path in sorted((ROOT / "lmmfit").rglob("*.py")):
        if path.name == "_jit.py" or "lmmfit._jit" in path.read_text(encoding="utf-8"):
            yield path


def _use_own_numba_cache():
    """Keep compiled kernels by the content of every kernel source.

    The cache on disk does not see that a kernel changed which another file calls.
    """
    digest = hashlib.sha256()
    for path in _kernel_sources():
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    cache = ROOT / ".numba_cache" / digest.hexdigest()[:16]
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(cache, os.W_OK):
        os.environ["NUMBA_CACHE_DIR"] = str(cache)


# Both are read at import: by numba, and by scipy for the array API check of scikit-learn.
_use_own_numba_cache()
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

import json  # noqa: E402
import warnings  # noqa: E402

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=25,
    database=None,
    print_blob=False,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def reference():
    """Fits of lme4, as read from lmm.json: models and extras by id."""
    text = (ROOT / "tests" / "reference" / "lmm.json").read_text(encoding="utf-8")
    content = json.loads(text)
    return {case["id"]: case for case in (*content["models"], *content["extra"])}


@pytest.fixture(scope="session")
def frames():
    """Every bundled table as a data frame, loaded once; tests copy before they change one."""
    from lmmfit import datasets

    return {
        name.removeprefix("load_"): getattr(datasets, name)(as_frame=True).frame
        for name in datasets.__all__
        if name.startswith("load_")
    }


@pytest.fixture(scope="session")
def fitted(reference, frames):
    """Function from the id of a reference model to its fit, made once a session."""
    from lmmfit import lmm

    models = {}

    def fit(name):
        if name not in models:
            case = reference[name]
            frame = frames[case["data"].split()[0].lower().removesuffix("weight")].copy()
            row = np.arange(len(frame))
            frame["w"], frame["o"] = 1.0 + row % 3, 10.0 * frame.get("Days", 0.0)
            formula = case["formula"] + (" + offset(o)" if case["offset"] else "")
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                models[name] = lmm(
                    formula,
                    frame,
                    method="reml" if case["REML"] else "ml",
                    sample_weight="w" if case["weights"] else None,
                )
        return models[name]

    return fit


@pytest.fixture(scope="session")
def inference():
    """Numbers of R for inference, as read from inference.json."""
    text = (ROOT / "tests" / "reference" / "inference.json").read_text(encoding="utf-8")
    return json.loads(text)


@pytest.fixture(scope="session")
def tables(frames, inference):
    """Function from the name of a table in inference.json to its data frame; copy to change."""
    import pandas

    simulated = {
        path.name.removesuffix(".csv.gz"): pandas.read_csv(path)
        for path in (ROOT / "tests" / "reference" / "data").glob("*.csv.gz")
    }
    for name, levels in inference["levels"].items():
        for column, labels in levels.items():
            own = simulated[name][column].astype(str)
            simulated[name][column] = pandas.Categorical(own, categories=labels)
    students = frames["insteval"]["s"].cat.codes
    teachers = frames["insteval"]["d"].cat.codes
    lines = [2, 5, 6, 13, 49, 58, 77, 110, 111, 112, 163]
    cut = {
        "InstEval40": frames["insteval"][students < 40],
        "InstEval400": frames["insteval"][(students < 400) & (teachers < 100)],
        "sleepstudy_gaps": frames["sleepstudy"].drop(index=lines),
    }
    plain = frames["oats"]
    frames_of_r = {**frames, **simulated, **cut, "ratpupweight": frames["ratpup"]}
    frames_of_r["oats"] = plain.assign(nf=pandas.Categorical(plain["nitro"].astype(str)))
    lookup = {name.lower(): frame for name, frame in frames_of_r.items()}
    return lambda name: lookup[name.lower()]


@pytest.fixture(scope="session")
def fit_table(tables):
    """Function from table, formula and method to a fit, made once a session."""
    from lmmfit import lmm

    models = {}

    def fit(table, formula, method="reml"):
        key = table, formula, method
        if key not in models:
            models[key] = lmm(formula, tables(table), method=method)
        return models[key]

    return fit
