"""lmmfit itself."""

from functools import cache, partial
from itertools import cycle

import numpy as np

import lmmfit
from benchmarks._case import Operation
from benchmarks.adapters import (
    _lmmfit_gains,
    _lmmfit_hessian,
    _lmmfit_linalg,
    _lmmfit_networks,
    _lmmfit_riccati,
)
from lmmfit import LinearMixedModel

DISTRIBUTIONS = ("lmmfit", "numpy", "scipy", "numba", "scikit-learn", "pandas", "formulaic")


def lmm(problem):
    """Fit a formula to a pandas DataFrame."""
    frame = problem.frame
    weights = frame[problem.weights].to_numpy() if problem.weights else None
    formula = problem.formula + (f" + offset({problem.offset})" if problem.offset else "")
    method = _method(problem)
    return lambda: lmmfit.lmm(formula, frame, method=method, sample_weight=weights)


def estimator(problem):
    """Use scikit-learn's interface on a pandas DataFrame."""
    frame = problem.frame
    X, y = frame.drop(columns=problem.response), frame[problem.response]
    return lambda: LinearMixedModel(random=problem.random, method=_method(problem)).fit(X, y)


def polars(problem):
    """Use scikit-learn's interface on a polars DataFrame."""
    frame = problem.polars_frame
    X, y = frame.drop(problem.response), frame[problem.response]
    return lambda: LinearMixedModel(random=problem.random, method=_method(problem)).fit(X, y)


def arrays(problem):
    """Use scikit-learn's interface on an ndarray whose last column is the group."""
    y, X, Z, groups = (problem.arrays[name] for name in ("y", "X", "Z", "groups"))
    X = np.column_stack([X[:, 1:], groups])
    slopes = " + ".join(f"x{j}" for j in range(Z.shape[1] - 1))
    random = f"({slopes or 1} | x{X.shape[1] - 1})"
    return lambda: LinearMixedModel(random=random, method=_method(problem)).fit(X, y)


def evaluation(problem):
    """Evaluate the criterion alone, beside passes that only read its statistics."""
    from lmmfit.mixed import MixedStatistics, profiled_criterion

    y, X, Z, groups = (problem.arrays[name] for name in ("y", "X", "Z", "groups"))
    statistics = MixedStatistics.from_arrays(y, X, Z, groups)
    criterion = profiled_criterion(statistics, method=_method(problem))
    flat, total = statistics.products.ravel(order="K"), _compiled_sum()
    # Each operation goes round the same points, so that their first values agree.
    points = [cycle(problem.arrays["theta"]) for _ in range(4)]

    def read(reader):
        reader()

    def evaluate(order):
        return _value(criterion.evaluate(next(points[order]), order=order))

    return {
        "read, products.sum()": lambda: read(statistics.products.sum),
        "read, numba loop": lambda: read(lambda: total(flat)),
        "value": lambda: float(criterion(next(points[3]))),
        "value, evaluate(order=0)": lambda: evaluate(0),
        "value + gradient": lambda: evaluate(1),
        "value + gradient + Hessian": lambda: evaluate(2),
    }


def seed(problem):
    """Evaluate the log-likelihood of one observation, by both of its formulas."""
    from lmmfit.mixed import LmmObservation, log_likelihood, log_likelihood_inverse

    y, X, Z, beta, L = (problem.arrays[name] for name in ("y", "X", "Z", "beta", "L"))
    sigma2 = float(problem.arrays["sigma2"])
    inverse = np.linalg.inv(L)
    observation = LmmObservation(y, X, Z)
    return {
        "log_likelihood": partial(log_likelihood, observation, beta, L, sigma2),
        "log_likelihood_inverse": partial(
            log_likelihood_inverse, observation, beta, inverse, sigma2
        ),
    }


def refit(problem):
    """Fit again from the statistics that a first fit has made of the rows."""
    from lmmfit.mixed import fit_statistics

    statistics, method = lmm(problem)().statistics_, _method(problem)

    def again():
        return {"objective": fit_statistics(statistics, method).deviance}

    return {"refit": Operation(again, "fit_statistics")}


def satterthwaite(problem):
    """Find degrees of freedom by Satterthwaite's method, the model given."""
    return _degrees_of_freedom(problem, "satterthwaite")


def kenward_roger(problem):
    """Find degrees of freedom and the covariance by Kenward and Roger, the model given."""
    return _degrees_of_freedom(problem, "kenward-roger")


def profile(problem):
    """Find profile intervals of all parameters, the model given."""
    from lmmfit.mixed import profile_intervals

    fresh = _as_fitted(lmm(problem)())

    def intervals():
        table = profile_intervals(fresh())
        return {"values": [*table["lower"], *table["upper"]]}

    return {"profile": Operation(intervals, "profile_intervals")}


def bootstrap(problem):
    """Refit the model to simulated responses."""
    from lmmfit.mixed import bootstrap

    model, resamples = lmm(problem)(), problem.spec["resamples"]
    fresh, fixed = _as_fitted(model), list(model.fixed_effects_["name"])

    def refits():
        result = bootstrap(fresh(), resamples, random_state=0)
        return {"values": result.std_error[[result.names.index(name) for name in fixed]]}

    return {"bootstrap": Operation(refits, f"bootstrap, {resamples} refits")}


def many(problem):
    """Fit all responses at once."""
    Y, frame = problem.arrays["Y"], problem.frame[["x", "g"]]
    some = problem.spec["responses"]

    def fits():
        model = LinearMixedModel(random=problem.random, method=_method(problem)).fit(frame, Y)
        return float(np.sum(model.deviance_[:some]))

    return {"many": Operation(fits, "all responses at once")}


def describe(model):
    beta = np.asarray(model.fixed_effects_["estimate"])
    return {"objective": model.deviance_, "beta": beta, "converged": model.converged_}


@cache
def _compiled_sum():
    """Return a loop that reads an array once; the compiler makes it a vector loop."""
    import numba

    @numba.njit(fastmath=True)
    def total(values):
        result = 0.0
        for i in range(values.size):
            result += values[i]
        return result

    return total


def _degrees_of_freedom(problem, ddf):
    from lmmfit.mixed import small_sample

    model = lmm(problem)()
    fresh = _as_fitted(model)
    names = model.fixed_effects_["name"]
    beta = np.asarray(model.fixed_effects_["estimate"])

    def df():
        return {"values": small_sample(fresh(), ddf).df(np.eye(len(names))), "beta": beta}

    return {ddf: Operation(df, f"{ddf} df")}


def _as_fitted(model):
    """Return a function that gives the model without what was computed since its fit."""
    result = model.result_
    at_first = dict(result.__dict__)

    def fresh():
        result.__dict__.clear()
        result.__dict__.update(at_first)
        return model

    return fresh


def _method(problem):
    return "reml" if problem.reml else "ml"


def _value(evaluated):
    """Return the criterion of whatever record an evaluation gives."""
    value = evaluated[0] if isinstance(evaluated, tuple) else evaluated
    return float(getattr(value, "value", value))


VARIANTS = {
    "lmm": lmm,
    "estimator": estimator,
    "polars": polars,
    "arrays": arrays,
    "evaluation": evaluation,
    "seed": seed,
    "refit": refit,
    "satterthwaite": satterthwaite,
    "kenward_roger": kenward_roger,
    "profile": profile,
    "bootstrap": bootstrap,
    "many": many,
    **_lmmfit_gains.VARIANTS,
    **_lmmfit_hessian.VARIANTS,
    **_lmmfit_linalg.VARIANTS,
    **_lmmfit_networks.VARIANTS,
    **_lmmfit_riccati.VARIANTS,
}
