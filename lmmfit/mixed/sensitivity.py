"""How the covariance of the fixed effects depends on the variance parameters, as group sums.

All in the basis of the statistics and in units of the residual variance, with
``U = Z'V^-1 X``, ``T = Z'V^-1 Z`` and ``M = (X'V^-1 X)^-1``: a change E of the relative
covariance P of the random effects (the same for every level) changes ``X'V^-1 X`` by
``-U'E U``, and everything that small-sample inference needs is made of ``U'E_i U``,
``U'E_i T E_j U`` and ``tr(T E_i T E_j)``.
"""

from functools import cached_property

import numpy as np

from lmmfit.mixed.block_factor import BlockFactor

__all__ = ["Sensitivity"]

_DENSE = 1500  # unknowns up to which T is made as a matrix
_STEP = 1e-3  # of the differences that replace it beyond, relative to the mean variance


class Sensitivity:
    """Derivatives of ``X'V^-1 X`` and of V by the covariance of the random effects.

    Parameters
    ----------
    fit : MixedFit

    Attributes
    ----------
    kept : ndarray of int
        Fixed effects that were not dropped.
    moment : list of ndarray of shape (q, q, p, p)
        By factor, the sums over its levels of ``U_a' U_b``.
    covariance : ndarray of shape (p, p)
        M.
    """

    def __init__(self, fit):
        marginal = fit.marginal
        self.marginal, self.system = marginal, marginal.system
        self.kept = np.setdiff1d(np.arange(len(fit.beta)), fit.aliased)
        self.cross = np.ascontiguousarray(marginal.cross[:, self.kept])
        statistics, p = fit.statistics, self.kept.size
        columns = np.array(statistics.layout.fixed, dtype=np.int64)[self.kept]
        total = statistics.total[columns[:, None], columns]
        information = total - marginal.square[self.kept[:, None], self.kept]
        self.covariance = np.linalg.inv(information)
        self.information = information
        self.moment = []
        for f, effects in enumerate(self.system.effects):
            own = self.system.by_level(self.cross, f).reshape(-1, effects.size * p)
            four = (own.T @ own).reshape(effects.size, p, effects.size, p)
            self.moment.append(four.swapaxes(1, 2))

    def factor_of(self, direction):
        """Factor whose covariance a direction (q, q) changes."""
        used = np.flatnonzero(np.any(direction != 0.0, axis=1))
        for f, effects in enumerate(self.system.effects):
            if np.isin(used, effects).all():
                return f
        raise ValueError("a direction may change the covariance of one factor only.")

    def slope(self, direction):
        """``U'E U`` for a direction E.

        Parameters
        ----------
        direction : ndarray of shape (q, q)
            Symmetric, of the effects of one factor.

        Returns
        -------
        ndarray of shape (p, p)
        """
        f = self.factor_of(direction)
        own = self.system.effects[f]
        return np.einsum("ab,abpr->pr", direction[own[:, None], own], self.moment[f])

    def products(self, directions):
        """``U'E_i T E_j U`` for all pairs of directions.

        Parameters
        ----------
        directions : list of ndarray of shape (q, q)

        Returns
        -------
        ndarray of shape (k, k, p, p)
        """
        k, p = len(directions), self.kept.size
        if len(self.system.sizes) == 1:
            return self._products_of_one_factor(directions)
        moved = np.zeros((len(self.system), k, p))
        for i, direction in enumerate(directions):
            f = self.factor_of(direction)
            own = self.system.effects[f]
            part = direction[own[:, None], own] @ self.system.by_level(self.cross, f)
            moved[self.system.rows(f), i] = part.reshape(-1, p)
        flat = moved.reshape(len(moved), k * p)
        inner = flat.T @ self.marginal.factor.multiply(flat)
        return inner.reshape(k, p, k, p).swapaxes(1, 2)

    def _products_of_one_factor(self, directions):
        """The same where T is block-diagonal: sums over the levels."""
        blocks, p = self.marginal.blocks[0], self.kept.size
        m, q = len(blocks), blocks.shape[1]
        u = self.cross.reshape(m, q * p)
        six = np.empty((q, q, q, p, q, p))  # sum of T[b, c] U[a]' U[d]
        for b in range(q):
            for c in range(b + 1):
                six[b, c] = ((u * blocks[:, b, c, None]).T @ u).reshape(q, p, q, p)
                six[c, b] = six[b, c]
        e = np.stack(directions)
        half = np.einsum("iab,bcapdr->icdpr", e, six)
        return np.einsum("icdpr,jcd->ijpr", half, e)

    def trace(self, direction):
        """``tr(T E)``."""
        f = self.factor_of(direction)
        own = self.system.effects[f]
        return float(np.sum(direction[own[:, None], own] * self._sums[f]))

    @cached_property
    def _sums(self):
        return [own.sum(axis=0) for own in self.marginal.blocks]

    def traces(self, directions):
        """``tr(T E_i T E_j)`` for all pairs of directions.

        Parameters
        ----------
        directions : list of ndarray of shape (q, q)
            Positive semidefinite.

        Returns
        -------
        ndarray of shape (k, k)
        """
        k = len(directions)
        if len(self.system.sizes) == 1:
            blocks, e = self.marginal.blocks[0], np.stack(directions)
            q = blocks.shape[1]
            flat = blocks.reshape(-1, q * q)
            four = (flat.T @ flat).reshape(q, q, q, q)  # sum of T[a, b] T[c, d]
            return np.einsum("ibc,abcd,jda->ij", e, four, e)
        if len(self.system) <= _DENSE:
            return self._traces_by_matrix(directions)
        out = np.empty((k, k))
        for j, direction in enumerate(directions):
            change = self._difference(direction)
            for i, other in enumerate(directions):
                f = self.factor_of(other)
                own = self.system.effects[f]
                out[i, j] = -np.sum(other[own[:, None], own] * change[f])
        return 0.5 * (out + out.T)

    def _traces_by_matrix(self, directions):
        matrix = self.marginal.factor.multiply(np.eye(len(self.system)))
        moved = []
        for direction in directions:
            f = self.factor_of(direction)
            own = self.system.effects[f]
            rows = matrix[self.system.rows(f)].reshape(-1, own.size, len(matrix))
            part = np.zeros_like(matrix)
            part[self.system.rows(f)] = (direction[own[:, None], own] @ rows).reshape(
                -1, len(matrix)
            )
            moved.append(part)
        return np.array([[np.sum(a * b.T) for b in moved] for a in moved])

    def _root(self, covariance):
        """Square root of a covariance, factor by factor."""
        root = np.zeros_like(covariance)
        for own in self.system.effects:
            values, axes = np.linalg.eigh(covariance[own[:, None], own])
            root[own[:, None], own] = axes * np.sqrt(np.maximum(values, 0.0))
        return root

    def _difference(self, direction):
        """Derivative of the sums of T along a direction, by four points on one side.

        The sums are the derivative of ``log|V|`` and smooth in P up to the boundary of the
        covariances, where only one side is open.
        """
        root, system = self.marginal.root, self.system
        covariance = root @ root.T
        own = np.flatnonzero(np.any(direction != 0.0, axis=1))
        unit = float(np.trace(covariance[own[:, None], own])) / own.size or 1.0
        step = _STEP * unit / float(np.abs(direction).max())
        factor, out = BlockFactor(system), None
        with factor.limited:
            for k, weight in enumerate((-11.0, 18.0, -9.0, 2.0)):
                factor.update(self._root(covariance + k * step * direction), inverse=True)
                part = [weight / (6.0 * step) * own for own in factor.block_sums()]
                out = part if out is None else [a + b for a, b in zip(out, part, strict=True)]
        return out
