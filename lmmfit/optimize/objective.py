"""Objectives from plain functions."""

from functools import cached_property

import numpy as np

__all__ = ["Objective"]


class Objective:
    """A function to minimise, from functions of arrays.

    Parameters
    ----------
    function : callable
        ``function(x)`` returns value and gradient, of shape (k,).
    product : callable, optional
        ``product(x, v)`` returns the Hessian at x times v.
    residuals : callable, optional
        ``residuals(x)`` returns r, of shape (n,), and its Jacobian, of shape (n, k), where the
        value is half the sum of squares of r. The Gauss-Newton matrix is made of it.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import Objective
    >>> cubic = Objective(lambda x: (x @ x**2, 3 * x**2), lambda x, v: 6 * x * v)
    >>> cubic.evaluate(np.array([2.0])).hessian_vector_product(np.array([1.0]))
    array([12.])
    """

    def __init__(self, function, product=None, *, residuals=None):
        self.function, self.product, self.residuals = function, product, residuals

    def evaluate(self, x):
        """Value and gradient at a point, and products with second derivatives.

        Parameters
        ----------
        x : ndarray of shape (k,)

        Returns
        -------
        _Point
        """
        return _Point(self, np.asarray(x, dtype=np.float64))


class _Point:
    def __init__(self, objective, x):
        self.objective, self.x = objective, x
        value, gradient = objective.function(x)
        self.value, self.gradient = float(value), np.asarray(gradient, dtype=np.float64)

    def hessian_vector_product(self, v):
        if self.objective.product is None:
            raise ValueError(
                "this optimiser multiplies by the Hessian: give Objective(function, product), "
                "or use LBFGS, which needs gradients alone."
            )
        v, product = np.asarray(v), self.objective.product
        if v.ndim == 2:
            return np.column_stack([product(self.x, column) for column in v.T])
        return np.asarray(product(self.x, v))

    @property
    def theta(self):  # as networks call it
        return self.x

    def gauss_newton_vector_product(self, v):
        root = self.gauss_newton_root()[0]
        return root.T @ (root @ v)

    def gauss_newton_matrix(self):
        root = self.gauss_newton_root()[0]
        return root.T @ root

    def gauss_newton_root(self):
        r, jacobian = self._squares
        return jacobian, r

    @property
    def residuals(self):
        return self._squares[0]

    def jacobian_transpose_product(self, u):
        return self._squares[1].T @ u

    @cached_property
    def _squares(self):
        if self.objective.residuals is None:
            raise ValueError(
                "this optimiser needs a sum of squares: give Objective(function, "
                "residuals=...), which returns the residuals and their Jacobian."
            )
        r, jacobian = self.objective.residuals(self.x)
        return np.asarray(r, dtype=np.float64), np.asarray(jacobian, dtype=np.float64)
