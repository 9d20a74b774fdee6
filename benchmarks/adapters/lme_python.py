"""lme-python: lme-rs behind Python, from polars DataFrames."""

import lme_python
import numpy as np

from benchmarks._case import Operation

DISTRIBUTIONS = ("lme-python", "polars")


def formula(problem):
    frame = problem.polars_frame
    model = problem.formula + (f" + offset({problem.offset})" if problem.offset else "")
    if problem.weights:
        weights = frame[problem.weights].cast(float)
        # Its objective leaves out the weights' own constant, -sum(log w).
        constant, weights = -weights.log().sum(), weights.to_list()
        return lambda: (
            lme_python.lmer_weighted(model, frame, problem.reml, weights=weights),
            constant,
        )
    return lambda: (lme_python.lmer(model, frame, problem.reml), 0.0)


def prepared(problem):
    """Time the optimisation alone: formula and data are read before."""
    model = lme_python.prepare_lmer(problem.formula, problem.polars_frame)
    return lambda: (model.fit(reml=problem.reml), 0.0)


def refit(problem):
    """Time the optimisation alone, as an operation that others have too."""
    return {"refit": Operation(prepared(problem), "prepared")}


def satterthwaite(problem):
    return _degrees_of_freedom(problem, "satterthwaite")


def kenward_roger(problem):
    return _degrees_of_freedom(problem, "kenward_roger")


def profile(problem):
    (fit, _), frame = formula(problem)(), problem.polars_frame

    def intervals():
        found = fit.confint(method="profile", data=frame, which="all")
        return {"values": [*found.lower, *found.upper]}

    return {"profile": Operation(intervals, "confint")}


def bootstrap(problem):
    (fit, _), frame = formula(problem)(), problem.polars_frame
    resamples = problem.spec["resamples"]

    def refits():
        result = lme_python.boot_lmer(
            problem.formula, frame, fit, nsim=resamples, reml=problem.reml, seed=0, n_jobs=1
        )
        beta = [one.coefficients for one in result.replicates]
        return {"values": np.std(beta, axis=0, ddof=1)}

    return {"bootstrap": Operation(refits, f"boot_lmer, {resamples} refits")}


def many(problem):
    """Fit some of the responses, from the formula and from what was prepared once."""
    frame, some = problem.polars_frame, problem.spec["responses"]
    share = some / problem.arrays["Y"].shape[1]
    names = [f"y{j}" for j in range(some)]
    right = problem.formula.split("~")[1]
    model = lme_python.prepare_lmer(f"y0 ~ {right}", frame)
    responses = [frame[y].to_list() for y in names]

    def fits():
        models = (lme_python.lmer(f"{y} ~ {right}", frame, problem.reml) for y in names)
        return float(sum(fit.deviance for fit in models))

    def refits():
        return float(sum(model.fit(reml=problem.reml, y=y).deviance for y in responses))

    return {
        "many": Operation(fits, "lmer of each", share),
        "many, refit": Operation(refits, "prepared once, fit of each", share),
    }


def describe(result):
    fit, constant = result
    # Minus twice the log-likelihood, or the REML criterion.
    objective = fit.deviance + constant
    return {"objective": objective, "beta": fit.coefficients, "converged": fit.converged}


def _degrees_of_freedom(problem, method):
    (fit, _), frame = formula(problem)(), problem.polars_frame

    def df():
        getattr(fit, f"with_{method}")(frame)
        return {"values": getattr(fit, f"{method}_dfs"), "beta": fit.coefficients}

    name = method.replace("_", "-")
    return {name: Operation(df, f"{name} df")}


VARIANTS = {
    "formula": formula,
    "prepared": prepared,
    "refit": refit,
    "satterthwaite": satterthwaite,
    "kenward_roger": kenward_roger,
    "profile": profile,
    "bootstrap": bootstrap,
    "many": many,
}
