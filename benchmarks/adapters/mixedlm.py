"""mixedlm: lme4 in Python and Rust."""

from itertools import cycle

import mixedlm
import numpy as np
from mixedlm.inference.ddf import clear_vcov_grad_cache

from benchmarks._case import Operation

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


def refit(problem):
    model = formula(problem)()
    return {"refit": Operation(model.refit, "refit")}


def satterthwaite(problem):
    return _degrees_of_freedom(problem, mixedlm.satterthwaite_df, "satterthwaite")


def kenward_roger(problem):
    return _degrees_of_freedom(problem, mixedlm.kenward_roger_df, "kenward-roger")


def profile(problem):
    """Find the intervals it has: those of the fixed effects."""
    model = formula(problem)()

    def intervals():
        fixed = model.confint(method="profile")
        others = [np.nan] * (len(model.theta) + 1)
        lower, upper = zip(*fixed.values(), strict=True)
        return {"values": [*others, *lower, *others, *upper]}

    return {"profile": Operation(intervals, "confint, fixed effects only")}


def bootstrap(problem):
    """Refit a tenth of the resamples, one process."""
    model, resamples = formula(problem)(), problem.spec["resamples"]

    def refits():
        result = mixedlm.bootMer(model, nsim=resamples // 10, seed=0)
        return {"values": np.std(result.beta_samples, axis=0, ddof=1)}

    return {"bootstrap": Operation(refits, f"bootMer, {resamples} refits", 0.1)}


def many(problem):
    """Fit some of the responses, from the formula and by its refit."""
    frame, some = problem.frame, problem.spec["responses"]
    share = some / problem.arrays["Y"].shape[1]
    names = [f"y{j}" for j in range(some)]
    right = problem.formula.split("~")[1]
    model = mixedlm.lmer(f"y0 ~ {right}", frame, REML=problem.reml)

    def fits():
        models = (mixedlm.lmer(f"{y} ~ {right}", frame, REML=problem.reml) for y in names)
        return float(sum(fit.deviance for fit in models))

    def refits():
        return float(sum(model.refit(frame[y].to_numpy()).deviance for y in names))

    return {
        "many": Operation(fits, "lmer of each", share),
        "many, refit": Operation(refits, "refit to each", share),
    }


def describe(fit):
    # Minus twice the log-likelihood, or the REML criterion.
    return {"objective": fit.deviance, "beta": fit.beta, "converged": fit.converged}


def _degrees_of_freedom(problem, method, name):
    model = formula(problem)()

    def df():
        clear_vcov_grad_cache()
        return {"values": method(model).df, "beta": model.beta}

    return {name: Operation(df, f"{name} df")}


VARIANTS = {
    "formula": formula,
    "evaluation": evaluation,
    "refit": refit,
    "satterthwaite": satterthwaite,
    "kenward_roger": kenward_roger,
    "profile": profile,
    "bootstrap": bootstrap,
    "many": many,
}
