"""Satterthwaite's degrees of freedom (Giesbrecht and Burns 1985; Fai and Cornelius 1996)."""

import numpy as np

from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.crossed import CrossedStatistics
from lmmfit.mixed.reference_distributions import SmallSample, fixed_map, pseudo_inverse
from lmmfit.mixed.sensitivity import Sensitivity

__all__ = ["Satterthwaite"]

_STEP = 3e-4  # of the differences of the gradient, relative to theta


class Satterthwaite(SmallSample):
    """``2 (l'Cl)^2 / Var(l'Cl)``, the variance by the delta method in (theta, sigma)."""

    def __init__(self, fit):
        super().__init__(fit)
        around = Sensitivity(fit)
        basis = fit.statistics.basis
        self._rows = around.kept
        self._back = basis.response_scale * fixed_map(fit, around)
        variance = fit.sigma2 / basis.weight_unit / basis.response_scale**2
        moves = _theta_directions(fit)
        m = around.covariance
        self._covariance = variance * m
        slopes = [variance * (m @ around.slope(move) @ m) for move in moves]
        sigma = np.sqrt(variance)
        self._gradients = np.array([*slopes, 2.0 * sigma * m])
        self.parameter_covariance = 2.0 * pseudo_inverse(_hessian(fit, moves, variance))

    def df(self, L):
        """Degrees of freedom of ``L beta``, row by row."""
        own = np.atleast_2d(np.asarray(L, dtype=np.float64))[:, self._rows] @ self._back
        variance = np.einsum("ij,jk,ik->i", own, self._covariance, own)
        slopes = np.einsum("ij,tjk,ik->it", own, self._gradients, own)
        spread = np.einsum("it,ts,is->i", slopes, self.parameter_covariance, slopes)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2.0 * variance**2 / spread


def _theta_directions(fit):
    """Change of the relative covariance, in the basis, with each theta of the user."""
    layout, scale = fit.statistics.layout, fit.marginal.scale
    left = np.linalg.inv(scale) * np.sqrt(fit.statistics.basis.weight_unit)
    half = [
        np.outer(left[:, row], fit.marginal.root[:, column])
        for row, column in zip(*layout.theta_positions, strict=True)
    ]
    return [own + own.T for own in half]


def _hessian(fit, moves, variance):
    """Hessian of -2 log-likelihood in (theta, sigma), sigma in units of the basis."""
    profiled = _profiled_hessian(fit)
    marginal, nu = fit.marginal, _nu(fit)
    slopes = []
    for move in moves:
        moved = 0.0
        for f, own in enumerate(marginal.system.effects):
            r = marginal.system.by_level(marginal.residual, f)
            moved -= float(np.sum(move[own[:, None], own] * (r.T @ r)))
        slopes.append(moved)
    slopes, rss, sigma = np.array(slopes), nu * variance, np.sqrt(variance)
    k = len(slopes)
    hessian = np.empty((k + 1, k + 1))
    hessian[:k, :k] = profiled + nu / rss**2 * np.outer(slopes, slopes)
    hessian[:k, k] = hessian[k, :k] = -2.0 * slopes / sigma**3
    hessian[k, k] = 4.0 * nu / variance
    return hessian


def _nu(fit):
    p = len(fit.beta) - len(fit.aliased)
    return fit.statistics.n_rows - (p if fit.method == "reml" else 0)


def _profiled_hessian(fit):
    """Hessian of the profiled criterion: exact, or differences of the exact gradient."""
    criterion = profiled_criterion(fit.statistics, fit.method)
    if not isinstance(fit.statistics, CrossedStatistics):
        return criterion.evaluate(fit.theta, order=2).hessian
    return gradient_differences(criterion, fit.theta)


def gradient_differences(criterion, theta):
    """Hessian by central differences of the exact gradient.

    Parameters
    ----------
    criterion : ProfiledCriterion or BlockCriterion
    theta : ndarray of shape (k,)

    Returns
    -------
    ndarray of shape (k, k)
    """
    k = theta.size
    hessian = np.empty((k, k))
    for t in range(k):
        step = np.zeros(k)
        step[t] = _STEP * max(abs(theta[t]), 0.1 * np.abs(theta).max(), 1e-3)
        above, below = (criterion.evaluate(theta + s * step, 1).gradient for s in (1.0, -1.0))
        hessian[t] = (above - below) / (2.0 * step[t])
    return 0.5 * (hessian + hessian.T)
