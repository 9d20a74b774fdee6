"""Products with the inverse of the marginal covariance at a fit: all inference is made of them.

With ``V = I + Z P Z'`` (in units of the residual variance, P that of the random effects) they
are ``Z'V^-1 X``, ``Z'V^-1 (y - X beta)`` and the blocks of ``Z'V^-1 Z`` on its diagonal; no
matrix of the size of the data is made.
"""

from functools import cached_property

import numpy as np

from lmmfit.mixed._spread_kernels import spread_rows
from lmmfit.mixed.block_factor import BlockFactor
from lmmfit.mixed.blocks import BlockSystem

__all__ = ["Marginal"]


class Marginal:
    """Products with ``V^-1`` at a fit, in the basis of the statistics.

    Parameters
    ----------
    fit : MixedFit

    Attributes
    ----------
    system : BlockSystem
    factor : BlockFactor
    root : ndarray of shape (q, q)
        Square root of P.
    cross : ndarray of shape (n_unknowns, p)
        ``Z'V^-1 X``.
    residual : ndarray of shape (n_unknowns,)
        ``Z'V^-1 (y - X beta)``.
    modes : ndarray of shape (n_unknowns, p + 1)
        P times these two.
    scale : ndarray of shape (q, q)
        Maps random effects in the basis to the user's.
    back : ndarray of shape (p, p)
        Maps fixed effects in the basis to the user's (the response's scale and shift apart).
    """

    def __init__(self, fit):
        statistics = fit.statistics
        layout, basis = statistics.layout, statistics.basis
        self.fit, self.system = fit, BlockSystem.of(statistics)
        self.factor = BlockFactor(self.system)
        self.scale = basis.random_map(layout)
        self.root = basis.relative_root(layout, fit.lambda_)
        self.back = basis.coefficient_map(layout, layout.fixed)
        self.factor.update(self.root)
        columns = self.system.cross.copy()
        solved, square = self.factor.solve(columns)
        gamma = _basis_coefficients(fit, self.back)
        self.cross, self.residual = columns[:, :-1], columns[:, -1] - columns[:, :-1] @ gamma
        solved[:, -1] -= solved[:, :-1] @ gamma
        self.modes, self.square = solved, square

    @cached_property
    def blocks(self):
        """Blocks of ``Z'V^-1 Z`` on its diagonal, (levels, q, q) by factor."""
        return self.factor.block_sums(each=True)

    def conditional_variance(self, codes, z):
        """``z'K z`` for rows z of Z, with ``K = P - P Z'V^-1 Z P``.

        Parameters
        ----------
        codes : list of ndarray of shape (n,), int64
            Level of each row, by factor; effects of a level -1 have their prior variance.
        z : ndarray of shape (n, q)
            In the user's units.

        Returns
        -------
        ndarray of shape (n,)
        """
        system, z = self.system, z @ self.scale
        order, n = system.sparse + system.dense, len(z)
        q = system.gram.shape[1]
        parts, places = np.zeros((n, len(order), q)), np.empty((n, len(order)), dtype=np.int64)
        out = np.zeros(n)
        for k, f in enumerate(order):
            own = system.effects[f]
            known = codes[f] >= 0
            parts[:, k, : own.size] = z[:, own]
            if k < len(system.sparse):
                places[:, k] = system.shape[k, 0] + codes[f]
            else:
                places[:, k] = system.places[f][codes[f]]
            places[~known, k] = -1
            prior = z[~known][:, own] @ self.root[own[:, None], own]
            out[~known] += (prior**2).sum(axis=1)
        split = len(system.sparse)
        spread_rows(
            *self.factor.tree, system.parent, *self.factor.sparse_part, self.factor.kernel(),
            np.ascontiguousarray(places[:, :split]), np.ascontiguousarray(places[:, split:]),
            parts, out,
        )  # fmt: skip
        return out


def _basis_coefficients(fit, back):
    """Fixed effects as coefficients of the columns in the basis of the statistics."""
    layout, basis = fit.statistics.layout, fit.statistics.basis
    beta = fit.beta.copy()
    if layout.intercept in layout.fixed:
        beta[layout.fixed.index(layout.intercept)] -= basis.shift[-1]
    return np.linalg.solve(back, beta) / basis.response_scale + basis.pilot_fit
