"""Norms, and the estimator of an inverse's norm that needs only solves."""

import numpy as np

from lmmfit.linalg._check import check_finite, check_symmetric
from lmmfit.linalg._dense_kernels import absolute_sums, symmetrise

__all__ = ["check_norm", "checked_norms", "checked_symmetric_norm", "dense_norms",
           "estimate_inverse_norm"]  # fmt: skip


def check_norm(norm, choices=(1, 2, np.inf)):
    """Return `norm` as one of the numbers 1, 2, inf; raise ValueError for anything else."""
    if isinstance(norm, str) and norm == "inf":
        norm = np.inf
    if isinstance(norm, (int, float, np.number)) and norm in choices:
        return norm
    listed = ", ".join(str(choice) for choice in choices)
    raise ValueError(f"norm must be one of {listed}; got {norm!r}.")


def dense_norms(a):
    """Return the 1-norm and the infinity norm of each matrix, as ``{1: ..., inf: ...}``."""
    with np.errstate(over="ignore"):
        size = np.abs(a)
        return {1: size.sum(axis=-2).max(axis=-1), np.inf: size.sum(axis=-1).max(axis=-1)}


def checked_norms(work):
    """Return the norms of a matrix in columns, one pass over it; raise for NaN and infinity."""
    down = np.empty(len(work))
    columns = float(absolute_sums(work.T, down))
    norms = {1: columns, np.inf: float(down.max())}
    if not np.isfinite(columns):
        check_finite(work)
    return norms


def checked_symmetric_norm(work, given):
    """Make a copy exactly symmetric and return its 1-norm; raise if it is far from it."""
    sums = np.empty(len(work))
    gap = symmetrise(work[None], sums)
    norm = float(sums.max())
    if not np.isfinite(norm):
        check_finite(given)
    check_symmetric(given, gap)
    return norm


def estimate_inverse_norm(solve, shape, norm=1):
    """Estimate the 1-norms or infinity norms of inverses: lower bounds, seldom far below.

    Parameters
    ----------
    solve : callable
        ``solve(b, transposed)`` solves with the matrices or their transposes; b is (..., n).
    shape : tuple of int
        ``(..., n)``.
    norm : {1, inf}

    Returns
    -------
    ndarray of shape (...,)

    References
    ----------
    Higham (1988), FORTRAN codes for estimating the one-norm of a real or complex matrix,
    ACM TOMS 14, algorithm 4.1.
    """
    flip, n = norm == np.inf, shape[-1]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x = solve(np.full(shape, 1.0 / n), flip)
        estimate = np.abs(x).sum(axis=-1)
        for _ in range(5):
            gradient = np.abs(solve(np.where(x < 0.0, -1.0, 1.0), not flip))
            unit = np.zeros(shape)
            np.put_along_axis(unit, gradient.argmax(axis=-1, keepdims=True), 1.0, axis=-1)
            new = solve(unit, flip)
            size = np.abs(new).sum(axis=-1)
            better = size > estimate
            if not better.any():
                break
            x, estimate = np.where(better[..., None], new, x), np.maximum(size, estimate)
        # Higham's second vector, against cancellation in the first.
        zigzag = (-1.0) ** np.arange(n) * (1.0 + np.arange(n) / max(n - 1, 1))
        second = solve(np.broadcast_to(zigzag, shape), flip)
        estimate = np.maximum(estimate, 2.0 * np.abs(second).sum(axis=-1) / (3.0 * n))
    return np.where(np.isnan(estimate), np.inf, estimate)
