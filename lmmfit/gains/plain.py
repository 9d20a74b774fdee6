"""Matrices that kernels take as they are."""

import numpy as np

__all__ = ["is_plain"]

_FLOAT = np.dtype(np.float64)


def is_plain(M):
    """Whether it is a matrix as the kernels are compiled for: float64 in rows, not read-only.

    Parameters
    ----------
    M : object

    Returns
    -------
    bool
    """
    return type(M) is np.ndarray and M.dtype == _FLOAT and M.ndim == 2 and M.flags.carray
