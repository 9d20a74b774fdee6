"""Riccati equations and filters of lmmfit."""

from functools import partial

import numpy as np

from benchmarks import _riccati_filters as filters
from benchmarks import _riccati_runs as runs
from benchmarks._riccati_systems import circuit, unpack
from lmmfit.datasets import make_convection_diffusion
from lmmfit.riccati import filter_series, quick_shift, solve_care, solve_dare, steady_filter

TIGHT = 1e-14
"""Residual to which equations are solved that are compared with SLICOT's."""
CHUNK = 10_000
"""Rows of a series that are filtered in one call."""


def cfqadi(problem):
    """Solve with sparse A and shifts from the residual."""
    A, B, C = unpack(problem.arrays, "A", "B", "C")
    return _factor(problem, A, B, C, "hamiltonian", "CFQADI, sparse A")


def cfqadi_dense(problem):
    """Solve with A as an array, whose few factors are kept: one shift as in the paper, or ten."""
    A, B, C, _ = runs.dense_system(problem)
    one = problem.spec["shifts"] == "one"
    how = f"CFQADI, dense A, {'one shift' if one else 'Penzl shifts'}"
    return _factor(problem, A, B, C, "one" if one else "penzl", how)


def _factor(problem, A, B, C, shifts, how):
    sign = problem.spec["sign"]

    def solve():
        chosen = [quick_shift(A, B, C)] if shifts == "one" else shifts
        return solve_care(A, B, C, sign=sign, method="cfqadi", shifts=chosen, tol=TIGHT)

    return runs.solution(problem, solve, _read, how)


def doubling(problem):
    """Double quadratic ADI."""
    A, B, C, sign = runs.dense_system(problem)

    def solve():
        return solve_care(A, B, C, sign=sign, method="doubling")

    return runs.solution(problem, solve, _read, "QADI, doubled")


def qadi(problem):
    """Iterate quadratic ADI with one shift, as printed."""
    A, B, C, sign = runs.dense_system(problem)

    def solve():
        return solve_care(A, B, C, sign=sign, method="qadi", shifts="single", max_iter=300)

    return runs.solution(problem, solve, _read, "QADI, one shift")


def _read(found):
    """X, or its factor, and what is reported."""
    if found.Z is None:
        return found.X, {"steps": found.n_iter}
    return (found.Z,), {"steps": found.n_iter, "columns": int(found.Z.shape[1])}


def large(problem):
    """Solve equations of growing order, both signs."""
    operations = {}
    for n in problem.spec["orders"]:
        line = circuit(n, problem.spec["losses"])
        field = make_convection_diffusion(round(np.sqrt(n)))
        for sign, system in ((1, line), (-1, (field.A, field.B, field.C))):
            name = f"(1{'+' if sign == 1 else '-'}), n = {system[0].shape[0]}"
            operations[name] = _large(system, sign, problem.spec["tol"], name)
    return operations


def _large(system, sign, tol, name):
    A, B, C = system

    def judge(found):
        return {
            "shifts": found.n_iter,
            "columns": int(found.Z.shape[1]),
            "residual": runs.low_rank_residual(A, None, B, C, sign, found.Z),
            "its own": found.residual_norm,
        }

    return runs.timed(lambda: solve_care(A, B, C, sign=sign, tol=tol), judge, name)


def rail(problem):
    """Solve the rail's equations of both signs."""
    A, E, B, C = unpack(problem.arrays, "A", "E", "B", "C")
    spec, operations = problem.spec, {}
    signs = (-1, B, spec["tol"], "(1-)"), (1, problem.arrays["B+"], spec["tol+"], "(1+)")
    for sign, inputs, tol, name in signs:

        def solve(inputs=inputs, sign=sign, tol=tol):
            return solve_care(A, inputs, C, E=E, sign=sign, method="cfqadi", tol=tol)

        operations[name] = runs.low_rank_solution(
            problem, solve, lambda found: (found.Z, found.K, {"shifts": found.n_iter}),
            f"CFQADI {name}", sign=sign, known=spec["norms"][str(sign)],
        )  # fmt: skip
    return operations


def series(problem):
    """Filter in chunks, of which only what was asked for is kept, and that no longer than it."""
    data = filters.Series(problem)
    system = steady_filter(data.A, data.C, data.Q, data.R)

    def through(rows, keep):
        end, total, first = None, 0.0, None
        for begin in range(0, rows, CHUNK):
            stop = min(begin + CHUNK, rows)
            found = filter_series(system, data.Y[begin:stop], start=end, keep=keep)
            end = found.end
            first = found.states if begin == 0 else first
            total += 0.0 if found.loglik is None else found.loglik.sum()
        return first, total

    return {
        "filter": filters.filtering(
            data, lambda rows: through(rows, ("states",)), lambda found: found[0],
            f"filter_series, states, chunks of {CHUNK}",
        ),
        "loglik": filters.likelihood(
            data, lambda rows: through(rows, ("loglik",))[1], "filter_series, loglik, chunks"
        ),
    }  # fmt: skip


def known(problem, solver, method):
    """Solve an example whose solution is known."""
    A, B, C, Q, R, S = (problem.arrays[name] for name in "ABCQRS")
    cross = S if S.any() else None
    return runs.accuracy(problem, lambda: solver(A, B, C, Q=Q, R=R, S=cross, method=method).X)


VARIANTS = {
    "riccati_cfqadi": cfqadi,
    "riccati_cfqadi_dense": cfqadi_dense,
    "riccati_doubling": doubling,
    "riccati_qadi": qadi,
    "riccati_large": large,
    "riccati_rail": rail,
    "series": series,
    "doubling_care": partial(known, solver=solve_care, method="doubling"),
    "newton_care": partial(known, solver=solve_care, method="newton"),
    "doubling_dare": partial(known, solver=solve_dare, method="doubling"),
}
