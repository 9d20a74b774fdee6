"""The harness of the benchmarks, without measuring anything."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("benchmarks", reason="run as python -m pytest in a checkout")

from benchmarks import SUITES
from benchmarks._case import Operation, Problem
from benchmarks._report import text_table
from benchmarks._runner import _compare
from benchmarks._worker import measure

ADAPTERS = Path(import_module("benchmarks").__file__).parent / "adapters"


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("suite", SUITES)
def test_cases_name_adapters_that_exist(suite, quick):
    cases = import_module(f"benchmarks.{suite}").cases(quick)
    names = [case.name for case in cases]
    assert len(names) == len(set(names))
    for case in cases:
        assert case.commands or case.entries
        for adapter, _ in case.entries:
            assert (ADAPTERS / f"{adapter}.py").exists()


@pytest.mark.parametrize(
    ("formula", "fixed", "random", "group", "single"),
    [
        ("y ~ 1 + (1 | a/b)", "y ~ 1", "(1 | a/b)", "a", False),
        ("y ~ (1 | s) + x * z + (1 + x || d)", "y ~ x * z", "(1 | s) + (1 + x || d)", "s", False),
        ("y ~ x + (x | g)", "y ~ x", "(x | g)", "g", True),
    ],
)
def test_formulas_are_split(formula, fixed, random, group, single):
    problem = Problem({"id": "one", "formula": formula})
    assert (problem.fixed_formula, problem.random) == (fixed, random)
    assert (problem.group, problem.single) == (group, single)


def test_values_are_compared_in_the_order_of_the_estimates():
    problem = {"beta": [1.0, 2.0], "expected": {"df": {"values": [10.0, 20.0], "scale": [10, 20]}}}
    row = {"variant": "df", "values": [22.0, 10.0], "beta": [2.0, 1.0]}
    _compare(row, problem)
    assert row["error"] == pytest.approx(0.1)


def test_a_value_that_is_not_given_is_not_compared():
    problem = {"expected": {"profile": {"values": [1.0, 2.0], "scale": [1.0, 1.0]}}}
    row = {"variant": "profile", "values": [None, 2.5]}
    _compare(row, problem)
    assert row["error"] == pytest.approx(0.5)


def test_a_part_of_the_work_is_scaled_to_all_of_it():
    def call():
        return {"values": [1.0]}

    adapter = SimpleNamespace(
        DISTRIBUTIONS=(),
        VARIANTS={
            "half": lambda problem: {"all": Operation(call, "half", 0.5)},
            "whole": lambda problem: {"all": call},
        },
    )
    job = {"cold": False, "repeats": 0, "warmup_groups": None, "budget": 0.0, "trace": False}
    (row,) = measure(adapter, "half", Problem({"id": "one"}), job)
    assert (row["how"], row["share"], row["values"]) == ("half", 0.5, [1.0])
    assert "share" not in measure(adapter, "whole", Problem({"id": "one"}), job)[0]


def test_right_and_wrong_answers_are_counted():
    def row(adapter, problem, difference, median=1.0):
        return {
            "adapter": adapter, "variant": "formula", "operation": "fit", "problem": problem,
            "status": "ok", "reference": 0.0, "difference": difference, "median": median,
        }  # fmt: skip

    refused = row("rival", "third", 0.0) | {"status": "unsupported", "message": "no weights"}
    case = {
        "name": "reference", "title": "", "quick": False, "claims": [], "units": None,
        "accuracy": {"field": "difference", "close": 1e-6, "right": 1e-4},
        "rows": [
            *(row("lmmfit", name, 0.0) for name in ("first", "second", "third")),
            row("rival", "first", 1e-5, 3.0), row("rival", "second", 0.2), refused,
        ],
    }  # fmt: skip
    lines = text_table(case).splitlines()
    assert lines[3].split() == ["lmmfit", "formula", "3", "3", "3", "0", "0", "0", "2.00", "s",
                                "3.00", "s", "1.00"]  # fmt: skip
    assert lines[4].split() == ["rival", "formula", "3", "0", "1", "1", "1", "0", "4.00", "s",
                                "4.00", "s", "2.00"]  # fmt: skip
    assert "wrong: rival: second 2.0e-01" in text_table(case)


def test_products_that_judge_solutions_are_those_of_the_network():
    from benchmarks._hessian_runs import gauss_newton_product, matrix, state

    rng = np.random.default_rng(0)
    spec = {"layer_sizes": (4, 3, 5), "hidden_activations": "tanh", "loss": "log_loss",
            "alpha": 0.7}  # fmt: skip
    problem = Problem({"id": "one", "network": spec})
    problem.arrays = {
        "X": rng.standard_normal((30, 4)), "Y": np.eye(5)[rng.integers(5, size=30)],
        "theta": rng.standard_normal(35),
    }  # fmt: skip
    v = rng.standard_normal(35)
    G = state(problem).gauss_newton_matrix()
    np.testing.assert_allclose(gauss_newton_product(problem, v), G @ v, rtol=1e-12, atol=1e-12)
    arrays = problem.arrays
    assert matrix(spec, arrays["theta"], arrays["X"], arrays["Y"]).shape == (35, 35)


def test_exponents_are_those_of_large_sizes():
    from benchmarks._claims import growth

    def row(adapter, n, seconds):
        return {
            "adapter": adapter,
            "status": "ok",
            "seconds": [seconds, 2 * seconds],
            "figures": {"N": n},
        }

    rows = [row("lmmfit", n, 3e-6 * n**2 if n > 40 else 1.0) for n in (10, 50, 60, 200)]
    rows += [row("rival", n, 1e-7 * n**4.5) for n in (10, 50, 60)]
    rival, ours = {"adapter": "rival"}, {"adapter": "lmmfit"}
    assert growth("", ours, above=40, at_most=2.77).check(rows)["value"] == pytest.approx(2.0)
    ratio = growth("", rival, over=ours, above=40, at_least=2.0).check(rows)
    assert (ratio["value"], ratio["met"]) == (pytest.approx(2.5), True)
    assert growth("", ours, above=100, at_most=2.77).check(rows)["met"] is None


@pytest.mark.parametrize(
    ("value", "bound", "shown"),
    [(93.46, 50.0, "93.5"), (1441.4285, 1441.43, "1441.4285"), (4.7631e-7, 5e-7, "4.763e-07")],
)
def test_a_claim_shows_on_which_side_of_its_bound_it_is(value, bound, shown):
    from benchmarks._report import _apart

    assert float(_apart(value, bound)) == pytest.approx(float(shown), rel=1e-4)
    assert (float(_apart(value, bound)) > bound) == (value > bound)


def test_every_library_is_held_to_the_threads_of_the_case():
    from benchmarks._machine import held_to

    assert set(held_to(2).values()) == {"2"}
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"} <= set(held_to(1))


def test_published_methods_design_the_gains_that_they_are_compared_with():
    from benchmarks import _gain_systems as systems
    from benchmarks.adapters import published
    from lmmfit.gains import finite_horizon_gain

    system = systems.tanks(6)
    ours = finite_horizon_gain(*system, window=40)
    *matrices, E = (M.toarray() for M in system)
    sums = (published.as_printed, published.kept_loops, published.running_products)
    for solve, pattern in ((published.formula, E), (published.algorithm, E.nonzero())):
        for weights in sums:
            found = published.finite_horizon((*matrices, pattern), 40, 1e-5, solve, weights)
            np.testing.assert_allclose(found[0], ours.K, rtol=1e-9, atol=1e-12)
            assert found[1] == pytest.approx(ours.trace_history[-1], rel=1e-10)
            assert found[2] == ours.n_iter


def test_networks_that_are_not_shipped_are_asked_for(monkeypatch, tmp_path):
    from benchmarks._gain_systems import network

    monkeypatch.setenv("LMMFIT_DECENTER", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="LMMFIT_DECENTER"):
        network(40)
