"""Inputs and targets in units of their own spread, and back."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Scaling", "merge_rows"]

_MERGED = 5_000_000  # numbers up to which equal rows are looked for


@dataclass(frozen=True, eq=False)
class Scaling:
    """Shift and scale of each input and target of a network.

    Parameters
    ----------
    x_mean, x_scale : ndarray of shape (n_in,)
    y_mean, y_scale : ndarray of shape (n_out,)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import Scaling
    >>> X, Y = np.array([[1.0], [3.0]]), np.array([[10.0], [30.0]])
    >>> scaling = Scaling.of(X, Y, np.ones(2), targets=True)
    >>> scaling.inputs(X).ravel(), scaling.targets(Y).ravel()
    (array([-1.,  1.]), array([-1.,  1.]))
    """

    x_mean: np.ndarray
    x_scale: np.ndarray
    y_mean: np.ndarray
    y_scale: np.ndarray

    @classmethod
    def of(cls, X, Y, weight, *, targets):
        """Weighted means and standard deviations; constant columns keep their scale.

        Parameters
        ----------
        X : ndarray of shape (n, n_in)
        Y : ndarray of shape (n, n_out)
        weight : ndarray of shape (n,)
        targets : bool
            Whether targets are scaled too.

        Returns
        -------
        Scaling
        """
        y = _moments(Y, weight) if targets else (np.zeros(Y.shape[1]), np.ones(Y.shape[1]))
        return cls(*_moments(X, weight), *y)

    @classmethod
    def none(cls, n_in, n_out):
        """The scaling that changes nothing.

        Parameters
        ----------
        n_in, n_out : int

        Returns
        -------
        Scaling
        """
        return cls(np.zeros(n_in), np.ones(n_in), np.zeros(n_out), np.ones(n_out))

    def inputs(self, X):
        """Scale inputs, (n, n_in)."""
        return (X - self.x_mean) / self.x_scale

    def targets(self, Y):
        """Scale targets, (n, n_out)."""
        return (Y - self.y_mean) / self.y_scale

    def fold(self, layout, theta):
        """Parameters that do the same to inputs and targets as they were.

        Parameters
        ----------
        layout : NetworkLayout
        theta : ndarray of shape (n_parameters,)
            For scaled inputs and targets.

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        theta = np.array(theta, dtype=np.float64)
        weights, biases = layout.unpack(theta)
        weights[0] /= self.x_scale[:, None]
        biases[0] -= self.x_mean @ weights[0]
        weights[-1] *= self.y_scale
        biases[-1] *= self.y_scale
        biases[-1] += self.y_mean
        return theta


def _moments(A, weight):
    total = weight.sum()
    mean = weight @ A / total
    scale = np.sqrt(weight @ (A - mean) ** 2 / total)
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)


def merge_rows(X, Y, weight):
    """Count equal rows once, with the sum of their weights, and leave out those of weight 0.

    The rows come in the order of their bytes, so that a row given twice, and a row of weight 2,
    wherever they stand, give the same data to the last bit. Very large data are only rid of rows
    of weight 0.

    Parameters
    ----------
    X : ndarray of shape (n, n_in)
    Y : ndarray of shape (n, n_out)
    weight : ndarray of shape (n,)

    Returns
    -------
    X, Y, weight : ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import merge_rows
    >>> X, Y = np.array([[2.0], [1.0], [2.0]]), np.array([[0.0], [5.0], [0.0]])
    >>> merge_rows(X, Y, np.ones(3))[2]
    array([2., 1.])
    """
    kept = weight > 0
    if not kept.all():
        X, Y, weight = X[kept], Y[kept], weight[kept]
    rows = np.ascontiguousarray(np.hstack([X, Y])) + 0.0  # no -0.0, whose bytes differ
    if rows.size > _MERGED:
        return X, Y, weight
    raw = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, place = np.unique(raw, return_index=True, return_inverse=True)
    return X[first], Y[first], np.bincount(place, weight)
