"""mixedlm: lme4 in Python and Rust."""

from itertools import cycle

import mixedlm

DISTRIBUTIONS = ("mixedlm", "pandas", "numpy", "scipy")


def formula(problem):
    frame = problem.frame
    weights = frame[problem.weights].to_numpy() if problem.weights else None
    offset = frame[problem.offset].to_numpy() if problem.offset else None
    return lambda: mixedlm.lmer(
        problem.formula, frame, REML=problem.reml, weights=weights, offset=offset
    )


def evaluation(problem):
    parsed = mixedlm.lFormula(problem.formula, problem.frame, REML=problem.reml)
    deviance = mixedlm.mkLmerDevfun(parsed)
    points = cycle(problem.arrays["theta"])
    return {"value": lambda: float(deviance(next(points)))}


def describe(fit):
    # Minus twice the log-likelihood, or the REML criterion.
    return {"objective": fit.deviance, "beta": fit.beta, "converged": fit.converged}


VARIANTS = {"formula": formula, "evaluation": evaluation}
