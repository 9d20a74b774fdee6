"""lme-python: lme-rs behind Python, from polars DataFrames."""

import lme_python

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


def describe(result):
    fit, constant = result
    # Minus twice the log-likelihood, or the REML criterion.
    objective = fit.deviance + constant
    return {"objective": objective, "beta": fit.coefficients, "converged": fit.converged}


VARIANTS = {"formula": formula, "prepared": prepared}
