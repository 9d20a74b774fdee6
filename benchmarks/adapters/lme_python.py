"""lme-python: lme-rs behind Python, from polars DataFrames."""

import lme_python

DISTRIBUTIONS = ("lme-python", "polars")


def formula(problem):
    frame = problem.polars_frame
    model = problem.formula + (f" + offset({problem.offset})" if problem.offset else "")
    if problem.weights:
        weights = frame[problem.weights].cast(float).to_list()
        return lambda: lme_python.lmer_weighted(model, frame, problem.reml, weights=weights)
    return lambda: lme_python.lmer(model, frame, problem.reml)


def prepared(problem):
    """Time the optimisation alone: formula and data are read before."""
    model = lme_python.prepare_lmer(problem.formula, problem.polars_frame)
    return lambda: model.fit(reml=problem.reml)


def describe(fit):
    objective = fit.deviance if fit.reml_criterion is None else fit.reml_criterion
    return {"objective": objective, "beta": fit.coefficients, "converged": fit.converged}


VARIANTS = {"formula": formula, "prepared": prepared}
