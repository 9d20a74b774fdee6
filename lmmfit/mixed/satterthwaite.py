"""Satterthwaite's degrees of freedom (Giesbrecht and Burns 1985; Fai and Cornelius 1996)."""

import numpy as np

from lmmfit.linalg import lower_factor
from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.crossed import CrossedStatistics
from lmmfit.mixed.reference_distributions import SmallSample, fixed_map, pseudo_inverse
from lmmfit.mixed.sensitivity import Sensitivity

__all__ = ["Satterthwaite", "basis_factor"]

_STEP = 3e-4  # of the differences of the gradient, relative to the factor


class Satterthwaite(SmallSample):
    """``2 (l'Cl)^2 / Var(l'Cl)``, the variance by the delta method in (theta, sigma)."""

    def __init__(self, fit):
        super().__init__(fit)
        around = Sensitivity(fit)
        basis = fit.statistics.basis
        self._rows = around.kept
        self._back = basis.response_scale * fixed_map(fit, around)
        variance = fit.sigma2 / basis.sigma_unit**2
        lower = basis_factor(fit)
        moves = _theta_directions(fit, lower)
        m = around.covariance
        self._covariance = variance * m
        slopes = [variance * (m @ around.slope(move) @ m) for move in moves]
        sigma = np.sqrt(variance)
        self._gradients = np.array([*slopes, 2.0 * sigma * m])
        self.parameter_covariance = 2.0 * pseudo_inverse(_hessian(fit, lower, moves, variance))

    def df(self, L):
        """Degrees of freedom of ``L beta``, row by row."""
        own = np.atleast_2d(np.asarray(L, dtype=np.float64))[:, self._rows] @ self._back
        variance = np.einsum("ij,jk,ik->i", own, self._covariance, own)
        slopes = np.einsum("ij,tjk,ik->it", own, self._gradients, own)
        spread = np.einsum("it,ts,is->i", slopes, self.parameter_covariance, slopes)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2.0 * variance**2 / spread


def basis_factor(fit):
    """Relative covariance factor in the basis, lower triangular block by block.

    Columns there have unit mean square and, where the model allows it, mean zero, so that the
    entries are of one size and hardly depend on each other.
    """
    lower = np.zeros_like(fit.marginal.root)
    for start, stop in fit.statistics.layout.blocks:
        own = slice(start, stop)
        lower[own, own] = lower_factor(fit.marginal.root[own, own])
    return lower


def _theta_directions(fit, lower):
    """Change of the relative covariance with each entry of the factor in the basis."""
    axes = np.eye(len(lower))
    half = [
        np.outer(axes[row], lower[:, column])
        for row, column in zip(*fit.statistics.layout.theta_positions, strict=True)
    ]
    return [own + own.T for own in half]


def _hessian(fit, lower, moves, variance):
    """Hessian of -2 log-likelihood in (theta, sigma), sigma in units of the basis."""
    profiled = _profiled_hessian(fit, lower)
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


def _profiled_hessian(fit, lower):
    """Hessian of the profiled criterion: exact, or differences of the exact gradient."""
    criterion = profiled_criterion(fit.statistics, fit.method)
    if not isinstance(fit.statistics, CrossedStatistics):
        return criterion.evaluate_factor(lower, order=2)[2]
    k = criterion.n_theta
    hessian = np.empty((k, k))
    for t, (row, column) in enumerate(zip(*fit.statistics.layout.theta_positions, strict=True)):
        step = np.zeros_like(lower)
        step[row, column] = _STEP * max(abs(lower[row, column]), 0.3 * abs(lower[row]).max(), 0.1)
        above, below = (criterion.evaluate_factor(lower + s * step, order=1)[1] for s in (1, -1))
        if above is None or below is None:  # rounding has swallowed the residual
            return np.full((k, k), np.nan)
        hessian[t] = (above - below) / (2.0 * step[row, column])
    return 0.5 * (hessian + hessian.T)
