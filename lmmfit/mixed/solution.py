"""From statistics to a fitted model: estimates in the units of the user."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from lmmfit.linalg import lower_factor
from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.layout import principal
from lmmfit.mixed.marginal import Marginal
from lmmfit.mixed.modes import group_modes
from lmmfit.mixed.newton import optimize_criterion
from lmmfit.mixed.residual import ResidualStructure
from lmmfit.mixed.statistics import MixedStatistics

__all__ = ["MixedFit", "ZeroVariance", "fit_statistics"]


@dataclass(frozen=True, eq=False)
class ZeroVariance:
    """A combination of random effects whose estimated variance is zero.

    Attributes
    ----------
    block : int
        Position of the random term.
    group : str
        Its grouping factor.
    effects : tuple of str
        Names of the random effects of the term.
    weights : ndarray of shape (q,)
        The combination, its largest weight 1.
    derivative : float
        Derivative of the criterion with respect to the variance of the combination (in units
        of the residual variance). Positive: more variance would fit worse.
    """

    block: int
    group: str
    effects: tuple
    weights: np.ndarray
    derivative: float

    def __str__(self):
        parts = [
            f"{weight:+.3g} * {name}"
            for weight, name in zip(self.weights, self.effects, strict=True)
            if abs(weight) > 1e-3
        ]
        combination = " ".join(parts).replace("+1 * ", "+ ").replace("-1 * ", "- ")
        combination = combination.removeprefix("+ ")
        return f"{combination} (derivative {self.derivative:+.3g})"


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A fitted linear mixed model.

    Attributes
    ----------
    statistics : MixedStatistics
    method : {"reml", "ml"}
    theta : ndarray of shape (k,)
        Relative covariance factor, each block's lower triangle column by column.
    lambda_ : ndarray of shape (q, q)
        The same as a matrix; its diagonal is not negative.
    beta : ndarray of shape (p,)
        Fixed effects; 0 for aliased ones.
    beta_covariance : ndarray of shape (p, p)
        Their covariance; 0 for aliased ones.
    sigma2 : float
        Residual variance (of a row of weight 1).
    deviance : float
        The criterion: -2 log-likelihood (ML) or the REML criterion.
    aliased : list of int
        Fixed effects that were dropped.
    n_iter : int
        Evaluations of the criterion.
    converged : bool
    reason : str
        Why the search ended.
    boundary : tuple of ZeroVariance
        Directions of zero variance; empty unless the fit is singular.
    saturated : bool
        Whether the fixed effects reproduce the response exactly.
    residual : ResidualStructure or None
        What the residuals have beside one variance; it is in the statistics, and ``sigma2`` is
        the variance of the first stratum.
    """

    statistics: MixedStatistics
    method: str
    theta: np.ndarray
    lambda_: np.ndarray
    beta: np.ndarray
    beta_covariance: np.ndarray
    sigma2: float
    deviance: float
    aliased: list
    n_iter: int
    converged: bool
    reason: str
    boundary: tuple
    saturated: bool
    residual: ResidualStructure | None = None

    def __getstate__(self):
        """Without what was computed since: it can be computed again, and may be large."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def loglik(self):
        """Log-likelihood, the restricted one for REML."""
        return -0.5 * self.deviance

    @property
    def n_parameters(self):
        """Number of estimated parameters: fixed effects, theta and those of the residuals."""
        own = 0 if self.residual is None else self.residual.n_parameters
        return len(self.beta) - len(self.aliased) + len(self.theta) + 1 + own

    @cached_property
    def marginal(self):
        """Products with the inverse of the marginal covariance (computed at first use)."""
        return Marginal(self)

    @cached_property
    def modes(self):
        """Conditional modes, by grouping factor (computed at first use)."""
        return tuple(group_modes(self, f) for f in range(self.statistics.layout.n_factors))

    @property
    def block_covariances(self):
        """Covariance matrix of the random effects of each term."""
        covariance = self.sigma2 * self.lambda_ @ self.lambda_.T
        return [
            covariance[start:stop, start:stop] for start, stop in self.statistics.layout.blocks
        ]


def fit_statistics(statistics, method="reml", *, start=None, tol=1e-9, max_iter=100):
    """Fit a linear mixed model from its sufficient statistics.

    Parameters
    ----------
    statistics : MixedStatistics
    method : {"reml", "ml"}, default="reml"
    start : ndarray of shape (k,), optional
        Theta to start from.
    tol : float, default=1e-9
        Decrease of the criterion below which a Newton step is the last.
    max_iter : int, default=100
        Newton steps at most.

    Returns
    -------
    MixedFit

    Raises
    ------
    ValueError
        If the method is unknown or theta has the wrong length.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed import MixedStatistics, fit_statistics
    >>> from lmmfit.datasets import load_dyestuff
    >>> data = load_dyestuff()
    >>> one = np.ones((30, 1))
    >>> fit = fit_statistics(MixedStatistics.from_arrays(data.target, one, one, data.data[:, 0]))
    >>> round(float(np.sqrt(fit.sigma2)), 3), round(fit.deviance, 3)
    (49.51, 319.654)
    """
    criterion = profiled_criterion(statistics, method)
    first = None
    if start is not None:
        first = np.linalg.solve(criterion.random_map, criterion.unpack(start))
    optimum = optimize_criterion(criterion, start=first, tol=tol, max_iter=max_iter)
    layout, basis = statistics.layout, statistics.basis
    lambda_ = np.zeros((criterion.q, criterion.q))
    mapped = criterion.random_map @ optimum.lambda_
    for start, stop in layout.blocks:
        lambda_[start:stop, start:stop] = lower_factor(mapped[start:stop, start:stop])
    variance = criterion.rss / criterion.nu * basis.response_scale**2 if criterion.nu > 0 else 0.0
    sigma2 = variance * basis.weight_unit
    beta, covariance = _fixed_effects(criterion)
    deviance = optimum.value
    if optimum.saturated:
        sigma2, variance, deviance = 0.0, 0.0, np.nan if criterion.nu <= 0 else -np.inf
    return MixedFit(
        statistics, method, criterion.pack(lambda_), lambda_, beta, variance * covariance,
        float(sigma2), float(deviance), criterion.aliased, optimum.n_iter, optimum.converged,
        optimum.reason, _report(criterion, optimum), optimum.saturated,
    )  # fmt: skip


def give_to_kept(criterion, coefficients):
    """Let the other columns have what a least-squares fit gave to those that were dropped.

    Parameters
    ----------
    criterion : ProfiledCriterion or BlockCriterion
    coefficients : ndarray of shape (..., p)
        In the basis.

    Returns
    -------
    ndarray of shape (..., n_kept)
    """
    kept, aliased = criterion.fixed, criterion.aliased
    if not aliased:
        return coefficients
    gram = principal(criterion.statistics.total, criterion.statistics.layout.fixed)
    share = np.linalg.solve(gram[kept][:, kept], gram[kept][:, aliased])
    return coefficients[..., kept] + coefficients[..., aliased] @ share.T


def _fixed_effects(criterion):
    """Fixed effects and their covariance over sigma2, in the user's units."""
    statistics, kept, aliased = criterion.statistics, criterion.fixed, criterion.aliased
    layout, basis = statistics.layout, statistics.basis
    columns, pilot = tuple(layout.fixed[j] for j in kept), basis.pilot_fit
    back = criterion.fixed_map
    pilot = give_to_kept(criterion, pilot)
    beta = basis.response_scale * (back @ (criterion.beta - pilot))
    if layout.intercept in columns:
        beta[columns.index(layout.intercept)] += basis.shift[-1]
    covariance = back @ criterion.covariance @ back.T
    if not aliased:
        return beta, covariance
    p = len(layout.fixed)
    all_beta, all_covariance = np.zeros(p), np.zeros((p, p))
    all_beta[kept], all_covariance[np.ix_(kept, kept)] = beta, covariance
    return all_beta, all_covariance


def _report(criterion, optimum):
    """Directions of zero variance in the user's effects."""
    layout = criterion.statistics.layout
    report = []
    for direction in optimum.null_directions:
        rows = slice(*layout.blocks[direction.block])
        weights = np.linalg.solve(criterion.random_map[rows, rows].T, direction.weights)
        largest = weights[np.argmax(np.abs(weights))]
        names = tuple(layout.random_names[rows])
        slope = float(direction.derivative * largest**2)
        levels = criterion.statistics.factor_levels[layout.owners[direction.block]]
        group = ":".join(levels.names)
        report.append(ZeroVariance(direction.block, group, names, weights / largest, slope))
    return tuple(report)
