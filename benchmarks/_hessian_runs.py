"""What the suite `hessian` asks of a Hessian, and how the answers are judged."""

import gc
from statistics import median_high
from time import perf_counter

import numpy as np

from benchmarks._case import Operation
from benchmarks._networks import network, pack, product, unpack


def eigenvalues(problem, find, read, how):
    """Return the operation that finds eigenvalues at one end of the spectrum.

    Parameters
    ----------
    problem : Problem
        Arrays ``theta``, ``X``, ``Y`` and ``wanted`` (the eigenvalues, ascending).
    find : callable
        Seed -> whatever the package returns; this is timed.
    read : callable
        That -> values (k,), vectors (size, k) in the order of the problem's parameters, and the
        number of products.
    how : str
        What is done.
    """
    wanted = problem.arrays["wanted"]

    def judge(found):
        values, vectors, count = read(found)
        values = np.sort(np.asarray(values, dtype=np.float64))
        return {
            "products": int(count),
            "value error": float(np.abs(values - wanted).max() / np.abs(wanted).max()),
            "residual": max(_residual(problem, x) for x in np.asarray(vectors).T),
        }

    return {"eigenvalues": _over_seeds(problem, find, judge, how)}


def traces(problem, estimates):
    """Return an operation for each way to estimate the trace.

    Parameters
    ----------
    problem : Problem
        Array ``trace``.
    estimates : dict
        Name of the method -> (products, function of a seed that returns the trace).
    """
    wanted = float(problem.arrays["trace"])

    def judged(count):
        return lambda found: {"products": count, "error": abs(float(found) / wanted - 1.0)}

    return {
        f"trace, {name}": _over_seeds(problem, estimate, judged(count), name)
        for name, (count, estimate) in estimates.items()
    }


def densities(problem, estimates):
    """Return an operation for each way to estimate the density of the eigenvalues.

    Parameters
    ----------
    problem : Problem
        Array ``eigenvalues``, all of them.
    estimates : dict
        Operation -> (what is done, function of a seed, function of what that returns that gives
        places, weights and the number of products).
    """
    from scipy.stats import wasserstein_distance

    known = problem.arrays["eigenvalues"]

    def judged(read):
        def judge(found):
            places, weights, count = read(found)
            distance = wasserstein_distance(known, np.ravel(places), None, np.ravel(weights))
            return {"products": int(count), "distance": float(distance / np.ptp(known))}

        return judge

    return {
        name: _over_seeds(problem, estimate, judged(read), how)
        for name, (how, estimate, read) in estimates.items()
    }


def solutions(problem, solve, read, how):
    """Return the operation that solves a system with the damped Gauss-Newton matrix.

    Parameters
    ----------
    problem : Problem
        Array ``b`` (size, seeds); ``damping``.
    solve : callable
        Seed -> the solution with that column, as the package returns it.
    read : callable
        That -> the solution in the order of the problem's parameters, and the products.
    how : str
        What is done.
    """
    arrays, damping = problem.arrays, problem.spec["damping"]

    def judge(found):
        seed, answer = found
        (x, count), b = read(answer), arrays["b"][:, seed]
        rest = b - gauss_newton_product(problem, x) - damping * x
        return {"products": int(count),
                "residual": float(np.linalg.norm(rest) / np.linalg.norm(b))}  # fmt: skip

    return {"solve": _over_seeds(problem, lambda seed: (seed, solve(seed)), judge, how)}


def gauss_newton_product(problem, v):
    """Return the product with the generalised Gauss-Newton matrix, the plain way.

    J'(diag(p) - pp')J v: the derivative J v of the inputs of the output units comes from a step
    into the complex plane, its curvature is that of the cross-entropy, and the rest is a backward
    pass.
    """
    spec, X = problem.spec["network"], problem.arrays["X"]
    (W1, b1), (W2, b2) = unpack(spec["layer_sizes"], problem.arrays["theta"] + 1e-30j * v)
    hidden = np.tanh(X @ W1 + b1)
    outputs = hidden @ W2 + b2
    slope, hidden = outputs.imag / 1e-30, hidden.real
    p = np.exp(outputs.real - outputs.real.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    delta = p * (slope - np.sum(p * slope, axis=1, keepdims=True))
    below = (delta @ W2.real.T) * (1.0 - hidden**2)
    (V1, _), (V2, _) = unpack(spec["layer_sizes"], v)
    return pack([
        (X.T @ below + spec["alpha"] * V1, below.sum(axis=0)),
        (hidden.T @ delta + spec["alpha"] * V2, delta.sum(axis=0)),
    ])  # fmt: skip


def matrix(spec, theta, X, Y):
    """Return the Hessian as lmmfit has it, after a look whether it is the right one.

    Raises
    ------
    ArithmeticError
        If its product with a random vector is not that of the plain derivatives.
    """
    from lmmfit.curvature import FeedForwardNetwork

    H = FeedForwardNetwork(**spec).objective(X, Y).evaluate(theta).hessian()
    v = np.random.default_rng(1).standard_normal(len(theta))
    wanted = product(spec, theta, X, Y, v)
    distance = np.linalg.norm(H @ v - wanted) / np.linalg.norm(wanted)
    if not distance < 1e-12:
        raise ArithmeticError(f"the Hessian is off by {distance:.2g}: nothing can be compared.")
    return H


def state(problem):
    """Return lmmfit's state at the parameters of the problem."""
    X, Y, theta = (problem.arrays[name] for name in ("X", "Y", "theta"))
    return network(problem).evaluate(theta, X, Y)


def _residual(problem, x):
    """Return how far a vector is from an eigenvector, relative to its Rayleigh quotient."""
    arrays = problem.arrays
    x = x / np.linalg.norm(x)
    Hx = product(problem.spec["network"], arrays["theta"], arrays["X"], arrays["Y"], x)
    quotient = x @ Hx
    return float(np.linalg.norm(Hx - quotient * x) / abs(quotient))


def _over_seeds(problem, call, judge, how):
    """Return the operation that calls with each seed, timed alone, and judges every answer.

    The first call is not timed. Figures are medians, of an even number the larger.
    """

    def run():
        call(0)
        seconds, figures = [], []
        for seed in range(problem.spec["seeds"]):
            gc.collect()
            begin = perf_counter()
            found = call(seed)
            seconds.append(perf_counter() - begin)
            figures.append(judge(found))
        middle = {name: median_high(own[name] for own in figures) for name in figures[0]}
        return {"seconds": seconds, "figures": middle}

    return Operation(run, how)
