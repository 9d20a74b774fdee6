"""Covariance and degrees of freedom of Kenward and Roger (1997), from sums over groups."""

import numpy as np

from lmmfit.mixed.reference_distributions import (
    FTest,
    SmallSample,
    f_test,
    fixed_map,
    pseudo_inverse,
)
from lmmfit.mixed.sensitivity import Sensitivity

__all__ = ["KenwardRoger"]


class KenwardRoger(SmallSample):
    """Adjusted covariance and F distribution of Kenward and Roger (1997).

    The covariance of the response is linear in the covariances of the random effects and the
    residual variance. Directions that span the same space give the same result, so that the
    residual's may be replaced by V itself, which makes all its sums trivial.
    """

    def __init__(self, fit):
        if fit.method != "reml":
            raise ValueError(
                "Kenward-Roger needs a REML fit: the adjustment is derived for restricted "
                "likelihood. Fit with method='reml', or use ddf='satterthwaite'."
            )
        super().__init__(fit)
        around = Sensitivity(fit)
        basis = fit.statistics.basis
        variance = fit.sigma2 / basis.sigma_unit**2
        self._rows = around.kept
        self._back = basis.response_scale * fixed_map(fit, around)
        directions = _covariance_directions(fit)
        phi, information = around.covariance, around.information
        slopes = np.array([-around.slope(e) for e in directions] + [-information])
        k, p = len(directions), len(phi)
        second = np.empty((k + 1, k + 1, p, p))
        second[:k, :k] = around.products(directions)
        second[k, :k] = second[:k, k] = -slopes[:k]
        second[k, k] = information
        traces = np.empty((k + 1, k + 1))
        traces[:k, :k] = around.traces(directions)
        traces[k, :k] = traces[:k, k] = [around.trace(e) for e in directions]
        traces[k, k] = fit.statistics.n_rows
        moved = phi @ slopes  # Phi P_i
        expected = (
            traces
            - 2.0 * np.einsum("pr,ijrp->ij", phi, second)
            + np.einsum("ipr,jrp->ij", moved, moved)
        )
        self._weights = 2.0 * pseudo_inverse(expected, 1e-10)
        inner = second - np.einsum("ipr,rs,jst->ijpt", slopes, phi, slopes)
        adjustment = phi @ np.einsum("ij,ijpr->pr", self._weights, inner) @ phi
        self._phi, self._slopes = phi, slopes
        adjusted = phi + 2.0 * adjustment
        own = variance * (self._back @ (0.5 * (adjusted + adjusted.T)) @ self._back.T)
        self.covariance = np.zeros_like(fit.beta_covariance)
        self.covariance[self._rows[:, None], self._rows] = own

    def df(self, L):
        """Degrees of freedom of ``L beta``, row by row."""
        L = np.atleast_2d(np.asarray(L, dtype=np.float64))
        return np.array([self._scaling(row[None])[0] for row in L])

    def f_test(self, L):
        """Test ``L beta = 0``; the rank of L counts."""
        axes, estimate, variance = self._axes(L)
        if not variance.size:
            return FTest(np.nan, 0.0, np.nan, np.nan)
        df, factor = self._scaling(axes)
        statistic = factor * float(np.mean(estimate**2 / variance))
        return f_test(statistic, float(variance.size), df, factor)

    def _scaling(self, L):
        """Denominator degrees of freedom and scale of the F statistic (their section 3)."""
        own = L[:, self._rows] @ self._back
        if not np.any(own):
            return np.nan, 1.0
        q, phi = len(own), self._phi
        theta = own.T @ np.linalg.solve(own @ phi @ own.T, own)
        parts = theta @ phi @ self._slopes @ phi
        diagonal = np.trace(parts, axis1=1, axis2=2)
        a1 = float(diagonal @ self._weights @ diagonal)
        a2 = float(np.einsum("ij,ipr,jrp->", self._weights, parts, parts))
        if a2 <= 0.0:
            return np.inf, 1.0
        b = (a1 + 6.0 * a2) / (2.0 * q)
        g = ((q + 1.0) * a1 - (q + 4.0) * a2) / ((q + 2.0) * a2)
        bottom = 3.0 * q + 2.0 * (1.0 - g)
        v0 = 1.0 + g / bottom * b
        v1 = 1.0 - (q - g) / bottom * b
        v2 = 1.0 - (q + 2.0 - g) / bottom * b
        v0 = 0.0 if abs(v0) < 1e-10 else v0
        rho = _ratio(1.0 - a2 / q, v1) ** 2 * v0 / v2 / q
        df = 4.0 + (q + 2.0) / (q * rho - 1.0)
        factor = 1.0 if abs(df - 2.0) < 1e-2 else df * (1.0 - a2 / q) / (df - 2.0)
        return df, factor


def _covariance_directions(fit):
    """Positive semidefinite directions that span the covariances of the random effects."""
    layout, out = fit.statistics.layout, []
    for row, column in zip(*layout.theta_positions, strict=True):
        axis = np.zeros(len(layout.random))
        axis[[row, column]] = 1.0
        out.append(np.outer(axis, axis))
    return out


def _ratio(top, bottom):
    """0/0 is one (Kenward and Roger's convention)."""
    if abs(top) < 1e-14 and abs(bottom) < 1e-14:
        return 1.0
    return top / bottom
