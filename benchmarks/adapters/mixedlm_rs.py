"""mixedlm-rs: one grouping factor, statsmodels' interface, Rust."""

from itertools import cycle

import mixedlm_rs
import numpy as np

from benchmarks._case import Operation, Unsupported

DISTRIBUTIONS = ("mixedlm-rs", "patsy", "pandas", "numpy", "scipy")


def formula(problem):
    if not problem.single:
        raise Unsupported("mixedlm-rs has a single grouping factor")
    if problem.weights or problem.offset:
        raise Unsupported("mixedlm-rs has neither weights nor offset")
    if not problem.correlated:
        raise Unsupported("mixedlm-rs has no uncorrelated random effects")
    frame = problem.frame
    return lambda: mixedlm_rs.mixedlm(
        problem.fixed_formula, frame, groups=problem.group, re_formula=f"~{problem.slopes}"
    ).fit(reml=problem.reml)


def arrays(problem):
    y, X, Z, groups = (problem.arrays[name] for name in ("y", "X", "Z", "groups"))
    return lambda: mixedlm_rs.MixedLM(y, X, groups, exog_re=Z).fit(reml=problem.reml)


def evaluation(problem):
    y, X, Z, groups = (problem.arrays[name] for name in ("y", "X", "Z", "groups"))
    levels, codes = np.unique(groups, return_inverse=True)
    core = mixedlm_rs.LmmCore(y, X, Z, codes.astype(np.int64), len(levels))
    points, others = (cycle([list(t) for t in problem.arrays["theta"]]) for _ in range(2))
    return {
        "value": lambda: core.deviance(next(points), problem.reml),
        "value + gradient": lambda: core.deviance_grad(next(others), problem.reml)[0],
    }


def many(problem):
    """Fit some of the responses from their arrays."""
    Y, X, Z, groups = (problem.arrays[name] for name in ("Y", "X", "Z", "groups"))
    some = problem.spec["responses"]

    def fits():
        models = (mixedlm_rs.MixedLM(y, X, groups, exog_re=Z) for y in Y.T[:some])
        return float(sum(-2 * model.fit(reml=problem.reml).llf for model in models))

    return {"many": Operation(fits, "MixedLM of each, arrays", some / Y.shape[1])}


def describe(fit):
    return {"objective": -2 * fit.llf, "beta": fit.fe_params, "converged": fit.converged}


VARIANTS = {"formula": formula, "arrays": arrays, "evaluation": evaluation, "many": many}
