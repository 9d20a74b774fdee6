"""Examples of CAREX and DAREX whose solutions lie beside the tests, proven in 100 digits."""

import json
from pathlib import Path

import numpy as np
from scipy.linalg import circulant

FILE = Path(__file__).parent.parent / "tests" / "reference" / "riccati" / "benchmark_cases.json"


def examples(equation):
    """Return the examples as problems.

    Parameters
    ----------
    equation : {"care", "dare"}

    Returns
    -------
    list of dict
        Arrays A, B, C, Q, R, S, X; ``rounding`` is the relative change of X, in first order, by
        changes of the matrices of 2^-53 of their sizes.

    Raises
    ------
    FileNotFoundError
        If the examples are not beside the tests.
    """
    if not FILE.exists():
        raise FileNotFoundError(
            "tests/reference/riccati/benchmark_cases.json is missing: run the benchmarks from a "
            "checkout of the repository, which has the examples."
        )
    stored = json.loads(FILE.read_text())
    return [_problem(case) for case in stored if case["equation"] == equation]


def _problem(case):
    arrays = {name: np.array(case[name]) for name in "ABCQRSX" if name in case}
    if case.get("circulant"):
        arrays = {name: circulant(column[:, 0]) for name, column in arrays.items()}
    arrays.setdefault("S", np.zeros_like(arrays["B"]))
    rounding = 2.0**-53 * max(case["condition"] or 1.0, 1.0)
    return {"id": case["name"], "arrays": arrays, "rounding": rounding, "reference": 0.0}
