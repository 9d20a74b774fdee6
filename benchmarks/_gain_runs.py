"""How the suite `gains` times equations and gains, and how it judges them."""

import numpy as np

from benchmarks._case import Operation
from benchmarks._gain_systems import middle_equation, tanks
from benchmarks._machine import peak_memory, reset_peak
from benchmarks._riccati_runs import timed


def equations(problem, solver, what):
    """Return an operation for each number of tanks: solve one equation of the synthesis.

    Parameters
    ----------
    problem : Problem
        ``orders`` are the numbers of tanks for each of ``what``.
    solver : callable
        L, S, C and pattern -> a callable without arguments that returns K; this is timed.
    what : str

    Returns
    -------
    dict of str to Operation
    """
    operations = {}
    for N in problem.spec["orders"][what]:
        equation = middle_equation(N)
        operations[f"N = {N}"] = _equation(equation, solver(*equation), f"{what}, N = {N}", N)
    return operations


def _equation(equation, solve, how, N):
    L, S, C, pattern = equation

    def report(K):
        wanted = pattern.gather(C)
        residual = np.linalg.norm(pattern.gather(L @ K @ S) - wanted) / np.linalg.norm(wanted)
        return {"figures": {"N": N, "residual": float(residual)}}

    return Operation(solve, how, report=report)


def syntheses(problem, synthesis, what):
    """Return an operation for each number of tanks: a whole finite-horizon synthesis.

    Parameters
    ----------
    problem : Problem
        ``orders``, as of `equations`; ``window``, ``tol``.
    synthesis : callable
        The system, a tuple of csr_array, window and tolerance -> a callable that returns the gain
        and the trace that the method says it has.
    what : str

    Returns
    -------
    dict of str to Operation
    """
    operations, spec = {}, problem.spec
    for N in spec["orders"][what]:
        design = synthesis(tanks(N), spec["window"], spec["tol"])
        operations[f"N = {N}"] = timed(
            design, lambda found, N=N: {"N": N, "trace": found[1]}, f"{what}, N = {N}",
            warm=synthesis(tanks(4), spec["window"], spec["tol"]),
        )  # fmt: skip
    return operations


def measured(call, judge, how, *, warm):
    """Return the operation that calls, judges, and looks at the peak of memory.

    Parameters
    ----------
    call, judge, how, warm
        As of `timed`.

    Returns
    -------
    Operation
    """
    before = []

    def start():
        warm()
        before.append(reset_peak())

    def judged(found):
        sizes = {"peak MB": (peak_memory() - before[0]) / 1e6} if before[0] else {}
        return judge(found) | sizes

    return timed(call, judged, how, warm=start)


def difference(K, wanted):
    """Largest difference of two gains, relative to the largest element.

    Parameters
    ----------
    K, wanted : ndarray

    Returns
    -------
    float
    """
    return float(np.abs(K - wanted).max() / np.abs(wanted).max())
