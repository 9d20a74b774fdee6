"""statsmodels' MixedLM, through its formulas and through arrays."""

import numpy as np
import statsmodels.formula.api as smf
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

from benchmarks._case import Unsupported

DISTRIBUTIONS = ("statsmodels", "patsy", "pandas", "numpy", "scipy")


def formula(problem):
    if problem.weights or problem.offset:
        raise Unsupported("MixedLM has neither weights nor offset")
    frame = problem.frame

    def fit():
        model = smf.mixedlm(
            problem.fixed_formula, frame, groups=problem.group, re_formula=f"~{problem.slopes}"
        )
        free = None if problem.correlated else _uncorrelated(model)
        return model.fit(reml=problem.reml, free=free)

    return fit


def arrays(problem):
    y, X, Z, groups = (problem.arrays[name] for name in ("y", "X", "Z", "groups"))
    return lambda: MixedLM(y, X, groups, exog_re=Z).fit(reml=problem.reml)


def describe(fit):
    return {"objective": -2 * fit.llf, "beta": fit.fe_params, "converged": fit.converged}


def _uncorrelated(model):
    """Mark the diagonal of the covariance of random effects as free."""
    return MixedLMParams.from_components(
        fe_params=np.ones(model.k_fe), cov_re=np.eye(model.k_re), vcomp=np.ones(model.k_vc)
    )


VARIANTS = {"formula": formula, "arrays": arrays}
