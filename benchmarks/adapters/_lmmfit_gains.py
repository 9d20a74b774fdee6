"""Sparse gains of lmmfit."""

from functools import partial

from benchmarks import _gain_runs as runs
from benchmarks._gain_systems import tanks
from lmmfit.gains import (
    DefiniteSolver,
    centralized_gain,
    filter_problem,
    finite_horizon_gain,
    finite_horizon_regulator,
    one_step_gain,
    one_step_regulator,
    regulator_problem,
    solve_sparse_equation,
    steady_gain,
    steady_regulator,
)

METHODS = {
    "one-step": (one_step_gain, one_step_regulator),
    "finite-horizon": (finite_horizon_gain, finite_horizon_regulator),
    "steady": (steady_gain, steady_regulator),
}
"""Name of a method -> its functions for filters and for regulators."""


def definite(problem):
    """Solve an equation as the synthesis does, with what belongs to the pattern made before."""

    def solver(L, S, C, pattern):
        planned, r = DefiniteSolver(pattern), pattern.gather(C)
        return lambda: pattern.dense(planned.solve(L, S, r))

    return runs.equations(problem, solver, "DefiniteSolver")


def sparse_equation(problem):
    """Solve an equation that has to be read, checked and certified."""

    def solver(L, S, C, pattern):
        return lambda: solve_sparse_equation(L, S, C, pattern).X

    return runs.equations(problem, solver, "solve_sparse_equation")


def synthesis(problem):
    """Design filters for tanks by the finite-horizon method."""

    def of(system, W, tol):
        def design():
            found = finite_horizon_gain(*system, window=W, tol=tol)
            return found.K, found.trace_history[-1]

        return design

    return runs.syntheses(problem, of, "finite_horizon_gain")


def tank_methods(problem):
    """Design the filter of many tanks by each method."""
    spec = problem.spec
    return _methods(spec["methods"], tanks(spec["n_tanks"], spec["correlation"]))


def network_methods(problem):
    """Design the filter of a random network by each method."""
    system = [problem.arrays[name] for name in ("A", "C", "Q", "R", "E")]
    methods = problem.spec["methods"]
    for options in methods.values():
        if options.pop("from_one_step", False):
            options["initial_cov"] = one_step_gain(*system, tol=options["tol"]).P_last
    return _methods(methods, system)


def _methods(methods, system):
    """Return an operation for each method; a known trace is compared."""
    operations, few = {}, tanks(4)
    for name, options in methods.items():
        method, known = METHODS[name][0], options.pop("known", None)
        operations[name] = runs.measured(
            partial(method, *system, **options), partial(_certificate, known), name,
            warm=partial(method, *few),
        )  # fmt: skip
    return operations


def _certificate(known, found):
    own = found.trace_history[-1]
    return {
        "trace": found.trace,
        "its own": own,
        **_beside(own, known),
        "steps": found.n_iter,
        "spectral radius": found.spectral_radius,
        "gradient": found.gradient_norm,
    }


def _beside(trace, known):
    return {} if known is None else {"known": known, "off": abs(trace - known)}


def examples(problem):
    """Design the filter, or the regulator, of an example by each method."""
    system = [problem.arrays[name] for name in ("A", "C", "Q", "R", "E")]
    regulator, operations = problem.spec["regulator"], {}
    make = regulator_problem if regulator else filter_problem
    for name, options in problem.spec["methods"].items():
        known = options.pop("known")
        if name == "centralised":
            design, judge = partial(centralized_gain, make(*system)), partial(_bound, known)
        else:
            design = partial(METHODS[name][regulator], *system, **options)
            judge = partial(_certificate, known)
        operations[name] = runs.timed(design, judge, name)
    return operations


def _bound(known, found):
    trace = float(found[1].trace())
    return {"trace": trace, "its own": trace} | _beside(trace, known)


VARIANTS = {
    "gains_definite": definite,
    "gains_equation": sparse_equation,
    "gains_synthesis": synthesis,
    "gains_tanks": tank_methods,
    "gains_network": network_methods,
    "gains_examples": examples,
}
