"""The matrices on either side of the unknown, checked, and what is special of them."""

from functools import cached_property

import numpy as np
from scipy.sparse import issparse

from lmmfit.gains._equation_kernels import describe, is_finite
from lmmfit.gains.plain import is_plain
from lmmfit.riccati.checks import as_matrix, as_square

__all__ = ["Side", "as_right_hand_side", "as_side"]


class Side:
    """A or B, and what is special of it.

    Parameters
    ----------
    M : ndarray or sparse array of shape (n, n)
        An ndarray is plain.
    diagonal : ndarray of shape (n,) or None
        If there is nothing else.
    symmetric : bool or None
        But for rounding; None where it is not known yet.

    Attributes
    ----------
    sparse : bool
    """

    def __init__(self, M, diagonal, symmetric=None):
        self.M, self.diagonal, self._symmetric = M, diagonal, symmetric
        self.sparse = type(M) is not np.ndarray

    @cached_property
    def _dense(self):
        return np.ascontiguousarray(self.M.toarray())

    @property
    def full(self):
        """The matrix as an ndarray in rows."""
        return self._dense if self.sparse else self.M

    @property
    def symmetric(self):
        """Whether it is symmetric but for rounding."""
        if self._symmetric is None:
            self._symmetric = describe(self._dense)[2]
        return self._symmetric


def as_side(value, name):
    """A finite square matrix, with what is special of it.

    A plain matrix is taken as it is after one pass; anything else, and whatever is wrong, goes
    through the checks that say what.

    Parameters
    ----------
    value : array-like or sparse array of shape (n, n)
    name : str

    Returns
    -------
    Side

    Raises
    ------
    ValueError
        If it is not square, has no rows, or an element is not finite.
    """
    finite = False
    if is_plain(value) and value.shape[0] == value.shape[1] > 0:
        finite, diagonal, symmetric = describe(value)
    if not finite:
        value = as_square(value, name, sparse=True)
        if issparse(value):
            d = value.diagonal()
            return Side(value, d if value.count_nonzero() == np.count_nonzero(d) else None)
        value = np.ascontiguousarray(value)
        _, diagonal, symmetric = describe(value)
    return Side(value, value.diagonal() if diagonal else None, symmetric)


def as_right_hand_side(value, shape):
    """C, a finite matrix.

    Parameters
    ----------
    value : array-like or sparse array of shape (n, o)
    shape : tuple of int

    Returns
    -------
    ndarray or sparse array of shape (n, o)

    Raises
    ------
    ValueError
        If it has another shape, or an element is not finite.
    """
    if is_plain(value) and value.shape == shape and is_finite(value):
        return value
    return as_matrix(value, "C", shape, sparse=True)
