"""The networks of lmmfit: derivatives and optimisers."""

from functools import partial

import numpy as np

from benchmarks._case import Operation
from benchmarks._network_runs import Trail, best_of_ten, runs, searched
from benchmarks._networks import network, relative_error

OPTIMIZERS = {
    "newton-cg": "NewtonCG",
    "lbfgs": "LBFGS",
    "scg": "SCG",
    "lm": "LevenbergMarquardt",
    "gauss-newton": "GaussNewton",
}
STEPS = 10.0 ** -np.arange(9)
"""Displacements along v that the difference of gradients is tried with."""


def products(problem):
    """Evaluate value and gradient, and multiply by the Hessian where they are known."""
    theta, v = problem.arrays["theta"], problem.arrays["v"]
    operations = {}
    for dtype in ("float64", "float32"):
        objective = _objective(problem, dtype)
        point, direction = theta.astype(dtype), v.astype(dtype)
        state = objective.evaluate(point)
        operations[f"gradient, {dtype}"] = Operation(
            lambda objective=objective, point=point: objective.evaluate(point).gradient,
            report=relative_error(problem, "gradient"),
        )
        operations[f"product, {dtype}"] = Operation(
            partial(state.hessian_vector_product, direction),
            report=relative_error(problem, "product"),
        )
    return operations


def single(problem):
    """Multiply and minimise in single precision, exactly and by differences of gradients."""
    from lmmfit.curvature import finite_difference_product

    objective, theta = _objective(problem, "float32"), problem.arrays["theta"].astype("float32")
    v = problem.arrays["v"].astype("float32")
    state, distance = objective.evaluate(theta), relative_error(problem, "product")
    state.hessian_vector_product(v)  # nothing is compiled later

    def error(products):
        return {"figures": {"relative error": min(distance(Hv)["error"] for Hv in products)}}

    def exact():
        return [state.hessian_vector_product(v)]

    def differences():
        return [finite_difference_product(objective, theta, v, step=step) for step in STEPS]

    return {
        "product": Operation(exact, "product, exact", report=error),
        "product, difference": Operation(
            differences, f"product, the best of {len(STEPS)} differences", report=error
        ),
        "scg": Operation(partial(_smallest_gradient, problem, False), "scg, exact"),
        "scg, differences": Operation(
            partial(_smallest_gradient, problem, True), "scg, differences"
        ),
    }


def xor(problem):
    """Fit the exclusive or from ten starts."""
    from lmmfit import SecondOrderMLP

    def fit(X, y, seed):
        model = SecondOrderMLP((2,), alpha=0.0, n_init=10, random_state=seed)
        return model.fit(X, y).predict(X)

    return best_of_ten(problem, fit)


def _search(problem, name, **settings):
    """Search over penalties and widths; the estimator scales inputs and targets itself."""
    from lmmfit import SecondOrderMLP

    loss = "log_loss" if problem.spec["classes"] else "squared_error"
    model = SecondOrderMLP(loss=loss, random_state=0, **settings)
    model.fit(problem.arrays["X"][::5], problem.arrays["Y"][::5])  # nothing is compiled later
    return searched(problem, model, name)


def _objective(problem, dtype):
    return network(problem).objective(problem.arrays["X"], problem.arrays["Y"], dtype=dtype)


def _descent(problem, optimizer, dtype="float64", **options):
    """Return a function that minimises from a start."""
    from lmmfit import optimize

    objective, method = _objective(problem, dtype), getattr(optimize, optimizer)(**options)

    def descend(theta, trail):
        optimize.minimize(
            objective,
            theta,
            method,
            tol=problem.spec["tol"],
            max_iter=10**9,
            callback=lambda run: trail.add(run.x),
        )

    return descend


def _smallest_gradient(problem, differences):
    """Run from each start in single precision; return how small the gradient becomes."""
    descend = _descent(problem, "SCG", "float32", differences=differences)
    judge, ratios, seconds = _objective(problem, "float64"), [], []
    for theta in problem.arrays["starts"]:
        trail = Trail(problem.spec["limit"])
        descend(theta, trail)
        norms = [np.linalg.norm(judge.evaluate(point).gradient) for _, point in trail.points]
        ratios.append(min(norms) / np.linalg.norm(judge.evaluate(theta).gradient))
        seconds.append(trail.points[int(np.argmin(norms))][0])
    return {"seconds": seconds, "figures": {"least |g|": float(np.median(ratios))}}


VARIANTS = {
    "products": products,
    "single": single,
    "xor": xor,
    "search": partial(_search, name="auto"),
    **{
        name: partial(runs, descent=partial(_descent, optimizer=optimizer), name=name)
        for name, optimizer in OPTIMIZERS.items()
    },
}
