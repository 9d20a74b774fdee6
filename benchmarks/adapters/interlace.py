"""interlace: crossed random effects on scipy's sparse matrices (distribution interlace-lme)."""

import interlace
import numpy as np
from interlace.kenward_roger import kenward_roger as interlace_kenward_roger

from benchmarks._case import Operation

DISTRIBUTIONS = ("interlace-lme", "formulaic", "pandas", "numpy", "scipy")


def formula(problem):
    fit, constant = _fit(problem), 0.0
    if problem.weights:
        # Its llf leaves out the weights' own constant.
        constant = -np.log(problem.frame[problem.weights]).sum()
    return lambda: (fit(), constant)


def satterthwaite(problem):
    return _degrees_of_freedom(problem, interlace.satterthwaite_dfs, "satterthwaite")


def kenward_roger(problem):
    return _degrees_of_freedom(
        problem, lambda fit: interlace_kenward_roger(fit)[1], "kenward-roger"
    )


def profile(problem):
    """Find the intervals it has: those of the standard deviations and correlations."""
    model = _fit(problem)()

    def intervals():
        table = interlace.profile_confint(model)
        others = [np.nan] * (1 + len(model.fe_params))
        return {"values": [*table.iloc[:, 1], *others, *table.iloc[:, 2], *others]}

    return {"profile": Operation(intervals, "profile_confint, random effects only")}


def many(problem):
    """Fit some of the responses."""
    frame, random = _written_out(problem)
    some = problem.spec["responses"]
    fixed = problem.fixed_formula.split("~")[1]
    method = "REML" if problem.reml else "ML"

    def fits():
        models = (
            interlace.fit(f"y{j} ~ {fixed}", frame, random=random, method=method)
            for j in range(some)
        )
        return float(sum(-2 * model.llf for model in models))

    return {"many": Operation(fits, "fit of each", some / problem.arrays["Y"].shape[1])}


def describe(result):
    fit, constant = result
    # Its llf is the restricted one for REML.
    return {
        "objective": -2 * fit.llf + constant,
        "beta": fit.fe_params,
        "converged": fit.converged,
    }


def _fit(problem):
    frame, random = _written_out(problem)
    weights = frame[problem.weights].to_numpy() if problem.weights else None
    offset = frame[problem.offset].to_numpy() if problem.offset else None
    return lambda: interlace.fit(
        problem.fixed_formula,
        frame,
        random=random,
        method="REML" if problem.reml else "ML",
        weights=weights,
        offset=offset,
    )


def _written_out(problem):
    """Write out what it reads differently: the intercept, and the labels of a:b as a column."""
    frame, terms = problem.frame.copy(), []
    for term in problem.terms:
        lhs, group = term["lhs"].strip(), term["group"]
        if not lhs.replace(" ", "").startswith(("0", "1")):
            lhs = f"1 + {lhs}"
        if ":" in group:
            a, b = group.split(":")
            group = f"{a}_{b}"
            frame[group] = frame[a].astype(str) + ":" + frame[b].astype(str)
        terms.append(f"({lhs} {term['bar']} {group})")
    return frame, terms


def _degrees_of_freedom(problem, method, name):
    model = _fit(problem)()
    beta = np.asarray(model.fe_params)
    return {name: Operation(lambda: {"values": method(model), "beta": beta}, f"{name} df")}


VARIANTS = {
    "formula": formula,
    "satterthwaite": satterthwaite,
    "kenward_roger": kenward_roger,
    "profile": profile,
    "many": many,
}
