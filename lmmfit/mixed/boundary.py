"""The certificate of optimality on the boundary of the covariance matrices.

At a singular Lambda the gradient with respect to theta vanishes in the null directions
whatever the data say. In terms of P = Lambda Lambda' the optimality conditions are those of
the cone of positive semidefinite matrices: with D the derivative of the criterion with
respect to P and N a basis of the null space of P, ``D P = 0`` and ``N' D N`` positive
semidefinite. Where N' D N has a negative eigenvalue, its eigenvector is a direction of
variance that the data ask for.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from lmmfit.linalg import lower_factor, semidefinite_root, symmetric_eigen

__all__ = ["NullDirection", "escape", "null_directions", "project"]

_NULL_SD = 1e-4  # relative standard deviation below which a direction is examined


@dataclass(frozen=True, eq=False)
class NullDirection:
    """A combination of the random effects of one block that has no variance.

    Attributes
    ----------
    block : int
        Position of the block.
    weights : ndarray of shape (q_block,)
        The combination, in the basis of the statistics.
    derivative : float
        Derivative of the criterion with respect to the variance of the combination, relative
        to the residual variance: not negative at an optimum.
    """

    block: int
    weights: np.ndarray
    derivative: float


def project(lambda_, blocks):
    """Set the nearly vanishing directions of each block to zero.

    Parameters
    ----------
    lambda_ : ndarray of shape (q, q)
    blocks : sequence of (int, int)

    Returns
    -------
    projected : ndarray of shape (q, q)
        A square root of the projected covariance.
    n_null : int
        Number of directions of zero variance.
    """
    projected, n_null = lambda_.copy(), 0
    for start, stop in blocks:
        own = lambda_[start:stop, start:stop]
        if _is_well_conditioned(own):
            continue
        variances, axes = symmetric_eigen(own @ own.T)
        null = variances <= _NULL_SD**2 * max(1.0, variances[-1])
        if null.any():
            n_null += int(null.sum())
            root = axes * np.sqrt(np.where(null, 0.0, variances))
            projected[start:stop, start:stop] = lower_factor(root)
    return projected, n_null


def _is_well_conditioned(lower):
    """Whether the determinant alone shows that no direction of ``lower @ lower.T`` is null.

    The least eigenvalue is at least the determinant over the trace to the power q - 1.
    """
    determinant = prod(lower.diagonal().tolist()) ** 2
    trace = float(np.vdot(lower, lower))
    return determinant > 2.0 * _NULL_SD**2 * max(1.0, trace) * trace ** (len(lower) - 1)


def null_directions(projected, derivative, blocks):
    """Diagonalise the derivative over the null space of each block.

    Parameters
    ----------
    projected : ndarray of shape (q, q)
        From :func:`project`.
    derivative : ndarray of shape (q, q)
        D at that point.
    blocks : sequence of (int, int)

    Returns
    -------
    list of NullDirection
    """
    directions = []
    for block, (start, stop) in enumerate(blocks):
        own = projected[start:stop, start:stop]
        variances, axes = symmetric_eigen(own @ own.T)
        axes = axes[:, variances <= 0.5 * _NULL_SD**2 * max(1.0, variances[-1])]
        if not axes.size:
            continue
        slopes, rotation = symmetric_eigen(axes.T @ derivative[start:stop, start:stop] @ axes)
        directions += [
            NullDirection(block, axes @ rotation[:, k], float(slopes[k]))
            for k in range(len(slopes))
        ]
    return directions


def escape(projected, directions, blocks, size):
    """Give each direction that the data ask for some variance.

    Parameters
    ----------
    projected : ndarray of shape (q, q)
    directions : list of NullDirection
    blocks : sequence of (int, int)
    size : float
        Relative standard deviation to give.

    Returns
    -------
    ndarray of shape (q, q)
        A square root of the enlarged covariance.
    """
    covariance = projected @ projected.T
    for direction in directions:
        if direction.derivative < 0.0:
            start, stop = blocks[direction.block]
            added = size**2 * np.outer(direction.weights, direction.weights)
            covariance[start:stop, start:stop] += added
    return semidefinite_root(covariance)
