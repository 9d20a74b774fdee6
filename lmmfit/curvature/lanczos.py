"""Gauss rules of a spectrum: Lanczos' recursion from several random vectors at once."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from lmmfit.curvature.estimates import check_probes, is_stochastic, random_signs, rough_products

__all__ = ["GaussRules", "lanczos_rules", "random_probes"]

_KEPT = 2**25  # numbers of the bases that are kept at once


@dataclass(frozen=True, eq=False)
class GaussRules:
    """Quadrature rules for the spectrum, one for each random vector.

    Attributes
    ----------
    nodes, weights : ndarray of shape (n_probes, n_steps)
        The weights of each rule sum to 1; for a function f, the order of the matrix times
        ``(weights * f(nodes)).sum(axis=1).mean()`` estimates the trace of f of the matrix.
    n_products : int
    """

    nodes: np.ndarray
    weights: np.ndarray
    n_products: int


def lanczos_rules(operator, *, n_probes=10, n_steps=50, seed=0):
    """Run Lanczos' recursion from random vectors and turn each run into a Gauss rule.

    The moments v_i . v_j of Skilling (1989) determine the same rules, but lose all digits beyond
    about ten products; the recursion with full reorthogonalisation does not.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.
    n_probes : int, default=10
        Random vectors, which share their products.
    n_steps : int, default=50
        Products for each; no more than the order of the matrix.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    GaussRules

    Raises
    ------
    ValueError
        If there is no probe or no step, or each product of the operator comes from another batch.

    References
    ----------
    Golub, G. H. and Welsch, J. H. (1969). Calculation of Gauss quadrature rules. Mathematics of
    Computation 23.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import lanczos_rules
    >>> rules = lanczos_rules(aslinearoperator(np.diag([1.0, 2.0, 4.0])), n_probes=1)
    >>> rules.nodes.round(10)
    array([[1., 2., 4.]])
    """
    check_probes("n_probes", n_probes, 1)
    check_probes("n_steps", n_steps, 1)
    if is_stochastic(operator):
        raise ValueError(
            "Lanczos' recursion needs the same matrix in each product, and each product of this "
            "operator comes from another batch: use method='chebyshev' or 'skilling'."
        )
    size, multiply = operator.shape[0], rough_products(operator)
    steps = min(n_steps, size)
    probes = random_probes(np.random.default_rng(seed), size, n_probes)
    at_once = max(1, _KEPT // (size * steps))
    nodes, weights = np.empty((n_probes, steps)), np.empty((n_probes, steps))
    for start in range(0, n_probes, at_once):
        diagonals, sides = _recursion(multiply, probes[:, start : start + at_once], steps)
        for i, (diagonal, side) in enumerate(zip(diagonals, sides, strict=True), start=start):
            nodes[i], vectors = eigh_tridiagonal(diagonal, side)
            weights[i] = vectors[0] ** 2
    return GaussRules(nodes, weights, n_probes * steps)


def random_probes(rng, size, count):
    """Vectors of independent signs, of length 1.

    Parameters
    ----------
    rng : numpy.random.Generator
    size, count : int

    Returns
    -------
    ndarray of shape (size, count)
    """
    return random_signs(rng, size, count) / np.sqrt(size)


def _recursion(multiply, V, steps):
    """Tridiagonal matrices (diagonals, sides) of the recursions from the columns of V."""
    size, count = V.shape
    bases = np.zeros((count, steps, size))
    diagonals, sides = np.zeros((count, steps)), np.zeros((count, steps - 1))
    scale = 0.0
    for j in range(steps):
        bases[:, j] = V.T
        W = multiply(V).T
        diagonals[:, j] = np.sum(bases[:, j] * W, axis=1)
        if j == steps - 1:
            break
        W = W - diagonals[:, j, None] * bases[:, j]
        if j:
            W -= sides[:, j - 1, None] * bases[:, j - 1]
        for basis, w in zip(bases, W, strict=True):  # what rounding has left of the others
            w -= (basis[: j + 1] @ w) @ basis[: j + 1]
        lengths = np.linalg.norm(W, axis=1)
        scale = max(scale, np.abs(diagonals[:, j]).max(), lengths.max())
        going = lengths > 1e-12 * scale  # otherwise the basis spans an invariant space
        sides[:, j] = np.where(going, lengths, 0.0)
        V = (W * np.where(going, 1.0 / np.where(going, lengths, 1.0), 0.0)[:, None]).T
    return diagonals, sides
