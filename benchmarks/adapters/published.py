"""Sparse gains as their papers compute them, written down in NumPy: nobody ships them for Python.

Formula (3) and Algorithm 1 are those of Pedroso and Batista (2021), the finite-horizon method is
that of Viegas et al. (2018), section 5, whose weights L are printed as a sum over products of
loops. All matrices are dense.
"""

from functools import partial

import numpy as np

from benchmarks import _gain_runs as runs
from lmmfit.gains import finite_horizon_gain, kronecker_solution, one_step_gain

DISTRIBUTIONS = ()
"""The package has none; NumPy's version is the machine's."""


def formula(A, B, C, pattern):
    """Formula (3): select from the Kronecker product by two products with Z."""
    return kronecker_solution(A, B, C, pattern)


def algorithm(A, B, C, pattern):
    """Algorithm 1: gather S, whose double loop is one of indices here, and factorise it."""
    i, j = pattern
    S = A[i[:, None], i] * B[j, j[:, None]]
    X = np.zeros_like(C)
    X[i, j] = np.linalg.solve(S, C[i, j])
    return X


def as_printed(A, C, gains, i):
    """L = I + the sum over m > i of G'G, G = (I - K(m) C) A ... (I - K(i + 1) C) A."""
    n = len(A)
    L = np.eye(n)
    for m in range(i + 1, len(gains)):
        G = np.eye(n)
        for j in range(i + 1, m + 1):
            G = (np.eye(n) - gains[j] @ C) @ A @ G
        L += G.T @ G
    return L


def kept_loops(A, C, gains, i):
    """The same sum; the loop of each gain is made once."""
    loops = [A - K @ (C @ A) for K in gains[i + 1 :]]
    L = np.eye(len(A))
    for m in range(len(loops)):
        G = loops[0]
        for F in loops[1 : m + 1]:
            G = F @ G
        L += G.T @ G
    return L


def running_products(A, C, gains, i):
    """The same sum; each product is made of the one before."""
    L, G, CA = np.eye(len(A)), np.eye(len(A)), C @ A
    for K in gains[i + 1 :]:
        G = (A - K @ CA) @ G
        L += G.T @ G
    return L


def finite_horizon(system, W, tol, solve, weights, start=None, max_iter=100):
    """Sweep the gains of a window until the trace settles; return a gain, a trace and sweeps."""
    A, C, Q, R, pattern = system
    n = len(A)
    P = [np.zeros((n, n)) if start is None else start, *[None] * W]
    gains, last = [None] * W, 0.0

    def step(i, K):
        left = np.eye(n) - K @ C
        P[i + 1] = left @ (A @ P[i] @ A.T + Q) @ left.T + K @ R @ K.T

    def gain(i, L):
        M = A @ P[i] @ A.T + Q
        return solve(L, C @ M @ C.T + R, L @ M @ C.T, pattern)

    for i in range(W):  # the one-step method
        gains[i] = gain(i, np.eye(n))
        step(i, gains[i])
    sweeps = 0
    while sweeps < max_iter:
        sweeps += 1
        for i in reversed(range(W)):
            gains[i] = gain(i, weights(A, C, gains, i))
        for i in range(W):
            step(i, gains[i])
        traces = np.array([p.trace() for p in P[1:]])
        changes = np.abs(np.diff(traces)) / traces[:-1]
        at = int(changes.argmin()) + 1
        if changes[at - 1] < 0.1 * tol:
            if abs(traces[at] - last) < tol * last:
                break
            last = traces[at]
    return gains[at], float(traces[at]), sweeps


def equation(problem, solve, what):
    """Solve one equation of the synthesis for tanks."""

    def solver(L, S, C, pattern):
        chosen = pattern if solve is formula else (pattern.rows, pattern.columns)
        return lambda: solve(L, S, C, chosen)

    return runs.equations(problem, solver, what)


def synthesis(problem, solve, weights, what):
    """Design filters for tanks."""

    def of(system, W, tol):
        *matrices, pattern = (M.toarray() for M in system)
        chosen = pattern if solve is formula else pattern.nonzero()
        return lambda: finite_horizon((*matrices, chosen), W, tol, solve, weights)

    return runs.syntheses(problem, of, what)


def random_network(problem, weights, what):
    """Design the filter of a random network from the one-step method's covariance."""
    *matrices, E = (problem.arrays[name] for name in ("A", "C", "Q", "R", "E"))
    W, tol = problem.spec["window"], problem.spec["tol"]
    start = one_step_gain(*matrices, E, tol=tol).P_last

    def judge(found):
        ours = finite_horizon_gain(*matrices, E, window=W, tol=tol, initial_cov=start)
        return {
            "trace": found[1],
            "sweeps": found[2],
            "difference": runs.difference(found[0], ours.K),
        }

    system = (*matrices, E.nonzero())
    return runs.timed(
        lambda: finite_horizon(system, W, tol, algorithm, weights, start), judge, what
    )


FORMULA, ALGORITHM = "formula (3)", "Algorithm 1"
"""Names of the solvers in the tables, and in the numbers of tanks of a case."""
RUNNING = "Algorithm 1, running products"
VARIANTS = {
    "equation_formula": partial(equation, solve=formula, what=FORMULA),
    "equation_algorithm": partial(equation, solve=algorithm, what=ALGORITHM),
    "synthesis_formula": partial(synthesis, solve=formula, weights=as_printed, what=FORMULA),
    "synthesis_algorithm": partial(synthesis, solve=algorithm, weights=as_printed, what=ALGORITHM),
    "synthesis_running": partial(
        synthesis, solve=algorithm, weights=running_products, what=RUNNING
    ),
    "network_double_sum": partial(
        random_network, weights=as_printed, what="Algorithm 1, double sum as printed"
    ),
    "network_kept_loops": partial(
        random_network, weights=kept_loops, what="Algorithm 1, double sum, loops kept"
    ),
    "network_running": partial(random_network, weights=running_products, what=RUNNING),
}
