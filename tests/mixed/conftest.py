"""Dense twins: the model by n x n matrices, as in the textbooks, and problems to try them on."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize


def positions(q):
    """Row and column of each entry of theta: the lower triangle, column by column."""
    return [(row, column) for column in range(q) for row in range(column, q)]


def unpack(theta, q):
    """Theta as the lower-triangular factor."""
    factor = np.zeros((q, q))
    for value, at in zip(theta, positions(q), strict=True):
        factor[at] = value
    return factor


def incidence(Z, groups):
    """The n x mq design of all random effects and the number of groups."""
    labels, codes = np.unique(groups, return_inverse=True)
    n, q = Z.shape
    full = np.zeros((n, len(labels), q))
    full[np.arange(n), codes] = Z
    return full.reshape(n, -1), len(labels)


def evaluate(theta, y, X, Z, groups, method="reml", weights=None, order=2):
    """Criterion, gradient and Hessian from V = W^-1 + Z P Z', differentiated entry by entry."""
    n, p = X.shape
    q = Z.shape[1]
    weights = np.ones(n) if weights is None else weights
    design, m = incidence(Z, groups)
    factor = unpack(theta, q)

    def spread(matrix):
        return design @ np.kron(np.eye(m), matrix) @ design.T

    V = np.diag(1.0 / weights) + spread(factor @ factor.T)
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    M = inverse - inverse @ X @ np.linalg.solve(information, X.T @ inverse)
    u = M @ y
    rss, nu = y @ u, n - p if method == "reml" else n
    value = np.linalg.slogdet(V)[1] + nu * (1.0 + np.log(2.0 * np.pi * rss / nu))
    if method == "reml":
        value += np.linalg.slogdet(information)[1]
    if not order:
        return value
    W = M if method == "reml" else inverse
    moves = []
    for row, column in positions(q):
        move = np.outer(np.eye(q)[row], factor[:, column])
        moves.append(spread(move + move.T))
    slope = np.array([-u @ move @ u for move in moves])
    gradient = np.array([np.sum(W * move) for move in moves]) + nu / rss * slope
    k = len(moves)
    hessian = np.empty((k, k))
    for s in range(k):
        for t in range(k):
            bend = np.zeros((q, q))
            (r1, c1), (r2, c2) = positions(q)[s], positions(q)[t]
            if c1 == c2:
                bend[r1, r2] += 1.0
                bend[r2, r1] += 1.0
            bend = spread(bend)
            second = 2.0 * u @ moves[s] @ M @ moves[t] @ u - u @ bend @ u
            hessian[s, t] = (
                np.sum(W * bend)
                - np.sum((W @ moves[s]) * (W @ moves[t]).T)
                + nu * (second / rss - slope[s] * slope[t] / rss**2)
            )
    return value, gradient, hessian


def density(beta, sigma2, theta, y, X, Z, groups):
    """Minus twice the normal log-density of y: nothing is profiled out."""
    design, m = incidence(Z, groups)
    factor = unpack(theta, Z.shape[1])
    V = sigma2 * (np.eye(len(y)) + design @ np.kron(np.eye(m), factor @ factor.T) @ design.T)
    residual = y - X @ beta
    return (
        len(y) * np.log(2.0 * np.pi)
        + np.linalg.slogdet(V)[1]
        + residual @ np.linalg.solve(V, residual)
    )


def minimum(y, X, Z, groups, method="reml", weights=None, starts=6, seed=0):
    """Lowest value of the criterion that L-BFGS-B finds from several starts."""
    rng = np.random.default_rng(seed)
    k = len(positions(Z.shape[1]))

    def objective(theta):
        return evaluate(theta, y, X, Z, groups, method, weights)[:2]

    first = unpack(np.zeros(k), Z.shape[1]) + np.eye(Z.shape[1])
    begin = np.array([first[at] for at in positions(Z.shape[1])])
    points = [begin, *(rng.normal(0, scale, k) for scale in np.geomspace(0.1, 3, starts - 1))]
    found = [
        scipy.optimize.minimize(
            objective, x, jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-8}
        )
        for x in points
    ]
    return min(result.fun for result in found)


def problem(q=2, p=2, m=8, rows=(1, 7), seed=0, intercept=True, shared=True, weighted=False):
    """A random problem whose groups differ in size; columns of Z are columns of X if shared."""
    rng = np.random.default_rng([seed, q, p, m])
    sizes = rng.integers(*rows, size=m)
    groups = np.repeat(np.arange(m), sizes)
    n = len(groups)
    X, Z = rng.normal(size=(n, p)), rng.normal(size=(n, q))
    if intercept:
        X[:, :1], Z[:, :1] = 1.0, 1.0
    if shared:
        common = min(p, q)
        Z[:, :common] = X[:, :common]
    effects = rng.normal(size=(m, q)) @ rng.normal(size=(q, q))
    y = X @ rng.normal(size=p) + np.sum(Z * effects[groups], axis=1) + rng.normal(size=n)
    weights = rng.uniform(0.3, 3.0, size=n) if weighted else None
    return SimpleNamespace(y=y, X=X, Z=Z, groups=groups, weights=weights)


@pytest.fixture(scope="session")
def dense():
    """The twins of this file."""
    return SimpleNamespace(
        positions=positions,
        unpack=unpack,
        evaluate=evaluate,
        density=density,
        minimum=minimum,
        problem=problem,
    )
