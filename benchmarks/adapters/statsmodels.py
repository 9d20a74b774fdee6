"""statsmodels: MixedLM through its formulas and through arrays, and its Kalman filter."""

import numpy as np
import statsmodels.formula.api as smf
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

from benchmarks._case import Operation, Unsupported
from benchmarks.adapters import _statsmodels_filters

DISTRIBUTIONS = ("statsmodels", "patsy", "pandas", "numpy", "scipy")


def formula(problem):
    if problem.weights or problem.offset:
        raise Unsupported("MixedLM has neither weights nor offset")
    if not problem.single:
        return _several_factors(problem)
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


def many(problem):
    """Fit some of the responses from their arrays."""
    Y, X, Z, groups = (problem.arrays[name] for name in ("Y", "X", "Z", "groups"))
    some = problem.spec["responses"]

    def fits():
        models = (MixedLM(y, X, groups, exog_re=Z) for y in Y.T[:some])
        return float(sum(-2 * model.fit(reml=problem.reml).llf for model in models))

    return {"many": Operation(fits, "MixedLM of each, arrays", some / Y.shape[1])}


def describe(fit):
    return {"objective": -2 * fit.llf, "beta": fit.fe_params, "converged": fit.converged}


def _several_factors(problem):
    """Write a nested model by its outer factor, a crossed one as a single group of all rows."""
    terms = []
    for term in problem.terms:
        outer, _, inner = term["group"].partition("/")
        terms.append((term["lhs"].strip(), outer))
        if inner:
            terms.append((term["lhs"].strip(), f"{outer}:{inner}"))
    slopes = [(lhs, group) for lhs, group in terms if lhs != "1"]
    if any(term["bar"] == "||" for term in problem.terms):
        raise Unsupported("MixedLM with variance components has no uncorrelated slopes")
    frame = problem.frame
    outer = [(lhs, group) for lhs, group in terms if ":" not in group]
    nested = [group for _, group in terms if ":" in group]
    if len(outer) == 1 and all(outer[0][1] in group.split(":") for group in nested):
        lhs, groups = outer[0]
        if any(group in nested for _, group in slopes):
            raise Unsupported("MixedLM has no correlated slopes of a nested factor")
        inner = [next(name for name in g.split(":") if name != groups) for g in nested]
        settings = {"re_formula": f"~{lhs}"}
        components = {name: f"0 + C({name})" for name in inner}
    elif slopes:
        raise Unsupported("MixedLM has no correlated slopes of crossed factors")
    else:
        groups, settings = np.ones(len(frame)), {}
        components = {
            group.replace(":", "_"): "0 + " + ":".join(f"C({name})" for name in group.split(":"))
            for _, group in terms
        }
    return lambda: smf.mixedlm(
        problem.fixed_formula, frame, groups=groups, vc_formula=components, **settings
    ).fit(reml=problem.reml)


def _uncorrelated(model):
    """Mark the diagonal of the covariance of random effects as free."""
    return MixedLMParams.from_components(
        fe_params=np.ones(model.k_fe), cov_re=np.eye(model.k_re), vcomp=np.ones(model.k_vc)
    )


VARIANTS = {"formula": formula, "arrays": arrays, "many": many} | _statsmodels_filters.VARIANTS
