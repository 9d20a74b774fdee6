"""The gain of a problem, by the method that an estimator names."""

import numpy as np

from lmmfit.gains import UnstableGainError
from lmmfit.gains.finite_horizon import solve_finite_horizon
from lmmfit.gains.moving_horizon import solve_moving_horizon
from lmmfit.gains.one_step import solve_one_step
from lmmfit.gains.steady import solve_steady

__all__ = ["find_gain"]


def find_gain(model, problem):
    """The gain of a problem by the method of a model.

    Parameters
    ----------
    model : SparseGainEstimator
    problem : GainProblem

    Returns
    -------
    GainSolution or GainSequence

    Raises
    ------
    ValueError
        If an option is wrong, or no such gain was found.
    """
    options = {"tol": model.tol, "max_iter": model.max_iter}
    if model.method in ("finite-horizon", "moving-horizon") and model.window != "auto":
        options["window"] = model.window
    options = {name: value for name, value in options.items() if value is not None}
    if model.method == "one-step":
        return solve_one_step(problem, **options)
    if model.method == "finite-horizon":
        return solve_finite_horizon(problem, **options)
    if model.method == "moving-horizon":
        return solve_moving_horizon(problem, **options)
    options |= {"n_init": model.n_init, "random_state": _seed(model.random_state)}
    start = _warm_start(model, problem)
    if start is not None:
        try:
            return solve_steady(problem, start=start, **options)
        except UnstableGainError:  # of another system: its gain is of no use for this one
            pass
    return solve_steady(problem, **options)


def _seed(random_state):
    """What numpy's generators are seeded by."""
    if isinstance(random_state, np.random.RandomState):
        return random_state.randint(np.iinfo(np.int32).max)
    return random_state


def _warm_start(model, problem):
    """The gain that a model has, without what is off the pattern, if it fits the problem."""
    gain = getattr(model, "gain_", None) if model.warm_start else None
    pattern = problem.pattern if problem.kind == "filter" else problem.pattern.T
    if gain is None or isinstance(gain, list) or gain.shape != pattern.shape:
        return None
    return pattern.dense(pattern.gather(gain))
