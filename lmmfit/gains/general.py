"""Square systems of any kind: one solution, infinitely many, or none."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import svd
from scipy.linalg.lapack import dgecon, dgetrf, dgetrs, dlange

__all__ = ["Found", "solve_square"]

_EPS = np.finfo(float).eps


class Found(NamedTuple):
    """What a method finds: values at the entries, the rank of S, and what is not determined."""

    x: np.ndarray
    rank: int
    rcond: float | None = None
    loose: int | None = None  # number of an entry that is not determined
    n_iter: int = 0
    method: str | None = None  # None for the one that was asked for


def solve_square(S, r):
    """Solve S x = r, by the least squares of minimum norm where S is singular.

    S counts as singular if an estimate of its reciprocal condition number is below its order
    times the rounding unit. Its rank is then the number of singular values that are larger than
    that, relative to the largest.

    Parameters
    ----------
    S : ndarray of shape (m, m)
    r : ndarray of shape (m,) or (m, k)

    Returns
    -------
    Found
        Its ``x`` has the shape of r; its ``loose`` is the largest element of a null vector.
    """
    m = len(S)
    lu, pivots, info = dgetrf(S)
    rcond = 0.0 if info else float(dgecon(lu, dlange("1", S))[0])
    if rcond >= m * _EPS:
        return Found(dgetrs(lu, pivots, r)[0], m, rcond)
    U, s, Vt = svd(S)
    rank = int((s > m * _EPS * s[0]).sum())
    if rank == m:
        return Found(dgetrs(lu, pivots, r)[0], m, rcond)
    x = (Vt[:rank].T / s[:rank]) @ (U[:, :rank].T @ r)
    return Found(x, rank, rcond, int(np.argmax(np.abs(Vt[-1]))))
