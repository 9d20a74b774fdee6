"""A start from moments: the variances at which quadratic forms are what they are expected to be.

With ``r_l = Z_l' M y``, M the projection that takes the fixed effects off, and any weights A the
sums ``S_f = sum_l A_l r_l r_l' A_l'`` over the levels of a factor have expectations linear in
the variances (Henderson 1953; Rao 1971)::

    E S_f = s2 sum_l A_l Z_l'M Z_l A_l' + sum_g sum_lm (A_l Z_l'M Z_m) Omega_g (A_l Z_l'M Z_m)'

Solving them is a start that saves evaluations where one takes long. The weights are those of a
model with the one factor alone, whose variances are that of the residual.
"""

import numpy as np

from lmmfit.linalg import lower_factor, symmetric_eigen
from lmmfit.mixed.crossed import factor_products
from lmmfit.mixed.layout import principal

__all__ = ["moment_factor"]

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
    forms, blocks = _Forms(statistics, fixed), statistics.layout.blocks
    residual, variances = forms.solve()
    if not residual > 0.0 or not np.isfinite(variances).all():
        return np.eye(len(variances))
    lambda_ = np.zeros_like(variances)
    for start, stop in blocks:
        sizes, axes = symmetric_eigen(variances[start:stop, start:stop] / residual)
        root = axes * np.sqrt(np.maximum(sizes, _LEAST))
        lambda_[start:stop, start:stop] = lower_factor(root)
    return lambda_


class _Forms:
    """Quadratic forms of the levels of each factor, and what their expectations are made of."""

    def __init__(self, statistics, fixed):
        layout = statistics.layout
        columns = *(layout.fixed[j] for j in fixed), len(layout.columns)
        total = principal(statistics.total, columns)
        gram, right = total[:-1, :-1], total[:-1, -1]
        self.inverse = np.linalg.inv(gram)
        beta = self.inverse @ right
        self.square, self.nu = total[-1, -1] - right @ beta, statistics.n_rows - len(fixed)
        self.factors, pairs = factor_products(statistics)
        self.effects = layout.effects
        self.places = [
            (f, a, b) for f, own in enumerate(layout.effects)
            for a in range(own.size) for b in range(own.size)
            if any(s <= own[a] < e and s <= own[b] < e for s, e in layout.blocks)
        ]  # fmt: skip
        self.cross = [part.cross[:, :, [*fixed]] for part in self.factors]
        self.left = [part.cross[:, :, -1] - own @ beta
                     for part, own in zip(self.factors, self.cross, strict=True)]  # fmt: skip
        self.pairs = {}
        for f, part in enumerate(self.factors):
            every = np.arange(len(part))
            self.pairs[f, f] = every, every, part.gram
        for (f, g), part in pairs.items():
            self.pairs[f, g] = part.rows, part.columns, part.values
            self.pairs[g, f] = part.columns, part.rows, part.values.swapaxes(1, 2)
        self.within = [
            part.gram - own @ self.inverse @ own.swapaxes(1, 2)
            for part, own in zip(self.factors, self.cross, strict=True)
        ]

    def solve(self):
        """Residual variance and covariance of the random effects (q, q)."""
        solution = np.linalg.lstsq(*self.equations())[0]
        q = sum(own.size for own in self.effects)
        variances = np.zeros((q, q))
        for (f, a, b), value in zip(self.places, solution, strict=False):
            variances[self.effects[f][a], self.effects[f][b]] = value
        return solution[-1], variances

    def equations(self):
        """Matrix and right-hand side for the covariances, by place, and the residual variance."""
        n = len(self.places)
        matrix, right = np.zeros((n + 1, n + 1)), np.empty(n + 1)
        matrix[n, n], right[n] = self.nu, self.square
        form, noise, slope = [], [], {}
        for f, part in enumerate(self.factors):
            weight = np.linalg.inv(np.eye(part.gram.shape[1]) + part.gram)
            r = (weight @ self.left[f][:, :, None])[:, :, 0]
            form.append(r.T @ r)
            noise.append((weight @ self.within[f] @ weight.swapaxes(1, 2)).sum(axis=0))
            for g in range(len(self.factors)):
                slope[f, g] = self._slope(f, g, weight)
        for i, (f, a, b) in enumerate(self.places):
            right[i], matrix[i, n] = form[f][a, b], noise[f][a, b]
            matrix[n, i] = self.within[f][:, a, b].sum()
            matrix[i, :n] = [slope[f, g][a, b, c, d] for g, c, d in self.places]
        return matrix, right

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
