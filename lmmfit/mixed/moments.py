"""A start from moments: the variances at which quadratic forms are what they are expected to be.

With ``r_l = Z_l' M y``, M the projection that takes the fixed effects off, and any weights A the
sums ``S_f = sum_l A_l r_l r_l' A_l'`` over the levels of a factor have expectations linear in
the variances (Henderson 1953; Rao 1971)::

    E S_f = s2 sum_l A_l Z_l'M Z_l A_l' + sum_g sum_lm (A_l Z_l'M Z_m) Omega_g (A_l Z_l'M Z_m)'

Solving them is a start that saves evaluations where one takes long. The weights are those of a
model with the one factor alone, whose variances are that of the residual.
"""

import numpy as np

from lmmfit.mixed.crossed import factor_products
from lmmfit.mixed.layout import principal

__all__ = ["moment_factor", "moment_factors"]

_LEAST = 1e-3  # variance to start from, in units of the residual variance and of the basis


def moment_factor(statistics, fixed):
    """Relative covariance factor by the method of moments.

    Parameters
    ----------
    statistics : MixedStatistics or CrossedStatistics
    fixed : list of int
        Fixed effects (positions in the layout) that are kept.

    Returns
    -------
    ndarray of shape (q, q)
        Block lower-triangular and positive definite, in the basis of the statistics; the
        identity where the moments ask for no residual variance.
    """
    layout, (factors, _) = statistics.layout, factor_products(statistics)
    by_level = [part.cross[None, :, :, -1] for part in factors]
    right = statistics.total[-1, layout.fixed_positions[[*fixed]]]
    return moment_factors(statistics, fixed, by_level, right[None], statistics.total[-1:, -1])[0]


def moment_factors(statistics, fixed, by_level, right, square):
    """As :func:`moment_factor` for k responses, from their products.

    Parameters
    ----------
    statistics : MixedStatistics or CrossedStatistics
        Of the design.
    fixed : list of int
    by_level : list of ndarray of shape (k, levels, q)
        ``Z'y`` by grouping factor.
    right : ndarray of shape (k, p)
        ``X'y`` of the fixed effects that are kept.
    square : ndarray of shape (k,)
        ``y'y``.

    Returns
    -------
    ndarray of shape (k, q, q)
    """
    residual, variances = _Forms(statistics, fixed).solve(by_level, right, square)
    lambda_, identity = np.zeros_like(variances), np.eye(variances.shape[1])
    for start, stop in statistics.layout.blocks:
        own = slice(start, stop)
        with np.errstate(all="ignore"):
            relative = variances[:, own, own] / residual[:, None, None]
        bad = ~(residual > 0.0) | ~np.isfinite(relative).all(axis=(1, 2))
        relative[bad] = identity[own, own]
        sizes, axes = np.linalg.eigh(relative)
        large = axes * np.maximum(sizes, _LEAST)[:, None, :] @ axes.swapaxes(1, 2)
        lambda_[:, own, own] = np.linalg.cholesky(large)
    return lambda_


class _Forms:
    """Quadratic forms of the levels of each factor, and what their expectations are made of."""

    def __init__(self, statistics, fixed):
        layout = statistics.layout
        gram = principal(statistics.total, tuple(layout.fixed[j] for j in fixed))
        self.inverse, self.nu = np.linalg.inv(gram), statistics.n_rows - len(fixed)
        self.factors, pairs = factor_products(statistics)
        self.effects = layout.effects
        self.places = [
            (f, a, b) for f, own in enumerate(layout.effects)
            for a in range(own.size) for b in range(own.size)
            if any(s <= own[a] < e and s <= own[b] < e for s, e in layout.blocks)
        ]  # fmt: skip
        self.cross = [part.cross[:, :, [*fixed]] for part in self.factors]
        self.weights = [
            np.linalg.inv(np.eye(part.gram.shape[1]) + part.gram) for part in self.factors
        ]
        self.pairs = {}
        for f, part in enumerate(self.factors):
            every = np.arange(len(part))
            self.pairs[f, f] = every, every, part.gram
        for (f, g), part in pairs.items():
            self.pairs[f, g] = part.rows, part.columns, part.values
            self.pairs[g, f] = part.columns, part.rows, part.values.swapaxes(1, 2)

    def solve(self, by_level, right, square):
        """Residual variances (k,) and covariances of the random effects (k, q, q)."""
        equations, forms = self.equations(), self.forms(by_level, right, square)
        solution = np.linalg.lstsq(equations, forms.T)[0].T
        q = sum(own.size for own in self.effects)
        variances = np.zeros((len(square), q, q))
        for i, (f, a, b) in enumerate(self.places):
            variances[:, self.effects[f][a], self.effects[f][b]] = solution[:, i]
        return solution[:, -1], variances

    def forms(self, by_level, right, square):
        """Sums of squares and products by place, and that of the residuals: (k, n + 1)."""
        beta = right @ self.inverse
        out = np.empty((len(square), len(self.places) + 1))
        out[:, -1] = square - np.einsum("kp,kp->k", right, beta)
        sums = []
        for own, cross, weight in zip(by_level, self.cross, self.weights, strict=True):
            left = own - np.tensordot(beta, cross, axes=(1, 2))
            left = np.einsum("mab,kmb->kma", weight, left)
            sums.append(np.einsum("kma,kmb->kab", left, left))
        for i, (f, a, b) in enumerate(self.places):
            out[:, i] = sums[f][:, a, b]
        return out

    def equations(self):
        """Their expectations, as coefficients of the covariances and the residual variance."""
        n = len(self.places)
        matrix = np.zeros((n + 1, n + 1))
        matrix[n, n] = self.nu
        within, noise, slope = [], [], {}
        for f, (part, cross) in enumerate(zip(self.factors, self.cross, strict=True)):
            weight = self.weights[f]
            within.append(part.gram - cross @ self.inverse @ cross.swapaxes(1, 2))
            noise.append((weight @ within[f] @ weight.swapaxes(1, 2)).sum(axis=0))
            for g in range(len(self.factors)):
                slope[f, g] = self._slope(f, g, weight)
        for i, (f, a, b) in enumerate(self.places):
            matrix[i, n], matrix[n, i] = noise[f][a, b], within[f][:, a, b].sum()
            matrix[i, :n] = [slope[f, g][a, b, c, d] for g, c, d in self.places]
        return matrix

    def _slope(self, f, g, weight):
        """``sum_lm B_ac B_bd`` for ``B = A_l Z_l'M Z_m``: (a, b, c, d)."""
        rows, columns, values = self.pairs[f, g]
        own, other = weight @ self.cross[f] @ self.inverse, self.cross[g]
        sparse = np.einsum("eab,ebc->eac", weight[rows], values)
        taken = np.einsum("eax,ecx->eac", own[rows], other[columns])
        mixed = _outer(sparse, taken)
        projected = np.tensordot(_outer(own, own), _outer(other, other), axes=((2, 3), (2, 3)))
        return _outer(sparse, sparse) - mixed - mixed.transpose(1, 0, 3, 2) + projected


def _outer(x, y):
    """``sum_e x[e, a, c] y[e, b, d]``: (a, b, c, d)."""
    return np.tensordot(x, y, axes=(0, 0)).swapaxes(1, 2)
