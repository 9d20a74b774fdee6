"""The optimum of a model with a residual structure.

The criterion is minimised over theta by :func:`fit_statistics` for every value of the residual
parameters eta; over eta by Newton's method. At the inner optimum the gradient of the minimum is
the partial derivative of the criterion (the envelope theorem), and its Hessian the Schur
complement ``D_ee - D_et D_tt^-1 D_te``. Derivatives to eta are central differences at fixed
theta, of the criterion and of its exact gradient.
"""

from dataclasses import replace

import numpy as np

from lmmfit.linalg import symmetric_eigen
from lmmfit.mixed.block_likelihood import BlockCriterion
from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.residual import ResidualStructure
from lmmfit.mixed.solution import fit_statistics
from lmmfit.optimize import minimize_newton

__all__ = ["fit_residual"]

_STEP = 3e-4  # of log(delta) and arctanh(phi)
_SCAN = np.arctanh([-0.5, 0.0, 0.4, 0.7, 0.9])  # the criterion may have two minima along phi
_FARTHEST = 10.0  # eta beyond which a standard deviation goes to zero, or phi to 1 or -1
_FLAT = 1e-7  # curvature, relative to that of single parameters, that determines nothing


def fit_residual(statistics, method="reml", *, tol=1e-9, max_iter=100):
    """Fit a linear mixed model together with its residual structure.

    Parameters
    ----------
    statistics : ResidualStatistics
    method : {"reml", "ml"}, default="reml"
    tol : float, default=1e-9
        Decrease of the criterion below which a Newton step is the last.
    max_iter : int, default=100
        Newton steps at most, for theta and for the residual parameters.

    Returns
    -------
    MixedFit
        With the ResidualStructure in ``residual``; ``converged`` needs both optima. Standard
        errors of fixed effects take the residual structure as known.

    Examples
    --------
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import as_columns, bind_design
    >>> from lmmfit.mixed.residual import parse_residual
    >>> from lmmfit.mixed.residual_fit import fit_residual
    >>> from lmmfit.mixed.residual_statistics import ResidualStatistics
    >>> frame = load_sleepstudy(as_frame=True).frame
    >>> columns, y = as_columns(frame), frame["Reaction"].to_numpy()
    >>> design = bind_design(columns, "(1 | Subject)", "Days")
    >>> terms = parse_residual("ar1(Days | Subject)")
    >>> fit = fit_residual(ResidualStatistics.summarize(design, columns, y, terms))
    >>> round(fit.loglik, 4), round(fit.residual.phi, 4)
    (-868.0955, 0.6531)
    """
    search = _Search(statistics, method, {"tol": tol, "max_iter": max_iter})
    start = search.start()
    if start is None:
        return search.finish(search.zero, None)
    result = minimize_newton(
        search.evaluate, start, tol=tol, max_iter=max_iter, callback=search.is_far
    )
    return search.finish(result.x, result)


class _Search:
    """The minimum over theta as a function of eta."""

    def __init__(self, statistics, method, options):
        self.statistics, self.method, self.options = statistics, method, options
        self.has_phi = bool(statistics.rows.terms.group)
        self.zero = np.zeros(statistics.n_strata - 1 + self.has_phi)
        self.n, self.last = 0, (None, None)

    def unpack(self, eta):
        """Delta and phi of eta."""
        n = self.statistics.n_strata
        phi = float(np.tanh(eta[-1])) if self.has_phi else None
        return np.exp(np.append(0.0, eta[: n - 1])), phi

    def criterion(self, eta):
        """The criterion as a function of theta."""
        self.n += 1
        return profiled_criterion(self.statistics.at(*self.unpack(eta)), self.method)

    def fit(self, eta, start=None):
        """Minimise over theta."""
        if self.last[0] is None or not np.array_equal(eta, self.last[0]):
            statistics = self.statistics.at(*self.unpack(eta))
            fit = fit_statistics(statistics, self.method, start=start, **self.options)
            self.n, self.last = self.n + fit.n_iter, (eta, fit)
        return self.last[1]

    def start(self):
        """Strata by their squares around the pooled fit, phi by a scan; None without residual."""
        if self.fit(self.zero).saturated:
            return None
        eta = self.zero.copy()
        squares = np.log(_mean_squares(self.statistics))
        eta[: squares.size - 1] = 0.5 * (squares[1:] - squares[0])
        if self.has_phi:
            points = [np.append(eta[:-1], z) for z in _SCAN]
            fits = [self.fit(point) for point in points]
            best = int(np.argmin([np.nan_to_num(fit.deviance, nan=np.inf) for fit in fits]))
            eta, self.last = points[best], (points[best], fits[best])
        return eta

    def evaluate(self, eta):
        """Value, gradient and Hessian at eta, theta eliminated; NaN where rounding rules."""
        warm = self.last[1]
        fit = self.fit(eta, warm.theta if np.isfinite(warm.deviance) else None)
        value, slope, curvature = _derivatives(
            profiled_criterion(fit.statistics, self.method), fit.theta
        )
        gradient, hessian, mixed = self._differences(eta, fit.theta, value)
        if not np.isfinite(curvature).all() or not np.isfinite(mixed).all():
            return np.nan, gradient, hessian
        share = mixed @ _pseudo_inverse(curvature)
        gradient, hessian = gradient - share @ slope, hessian - share @ mixed.T
        return value if hessian.diagonal().any() else np.nan, gradient, hessian

    def _differences(self, eta, theta, value):
        """Derivatives to eta at fixed theta: gradient, Hessian, and that to eta and theta."""
        k, moves = eta.size, _STEP * np.eye(eta.size)
        up, ahead = self._slopes(eta + moves, theta)
        down, behind = self._slopes(eta - moves, theta)
        hessian = np.diag(up + down - 2.0 * value)
        for i in range(k):
            for j in range(i):
                both = self.criterion(eta + moves[i] + moves[j])(theta)
                both += self.criterion(eta - moves[i] - moves[j])(theta)
                singles = up[i] + down[i] + up[j] + down[j]
                hessian[i, j] = hessian[j, i] = 0.5 * (both - singles) + value
        return (up - down) / (2 * _STEP), hessian / _STEP**2, (ahead - behind) / (2 * _STEP)

    def _slopes(self, points, theta):
        """Values and gradients to theta at several eta."""
        values, slopes = np.empty(len(points)), np.full((len(points), theta.size), np.nan)
        for k, point in enumerate(points):
            found = self.criterion(point).evaluate(theta, min(theta.size, 1))
            values[k] = found.value
            if found.gradient is not None:
                slopes[k] = found.gradient
        return values, slopes

    @staticmethod
    def is_far(step, eta, value):
        """Whether a parameter goes to its limit; a callback of Newton's method."""
        return np.abs(eta).max() > _FARTHEST

    def finish(self, eta, result):
        """The fit at eta, with what is known of eta."""
        fit, (delta, phi) = self.fit(eta), self.unpack(eta)
        covariance, reason = np.full((eta.size, eta.size), np.nan), fit.reason
        converged = fit.converged and (result is None or result.converged)
        terms, levels = self.statistics.rows.terms, self.statistics.rows.levels
        if result is not None and result.converged and fit.converged:
            if _is_determined(result.hessian):
                covariance = 2.0 * np.linalg.inv(result.hessian)
            else:
                converged, reason = False, "the data do not determine the residual structure"
        elif result is not None and fit.converged:
            reason = f"residual structure: {result.reason}"
        structure = ResidualStructure(terms, levels, delta, phi, eta, covariance)
        if not converged and self.is_far(0, eta, 0.0):
            name = structure.table["parameter"][levels is not None :][np.argmax(np.abs(eta))]
            reason = f"residual structure: {name} goes to its limit"
        return replace(fit, residual=structure, n_iter=self.n, converged=converged, reason=reason)


def _mean_squares(statistics):
    """Mean square of each stratum around the common least-squares fit."""
    total, fixed = statistics.plain.total, list(statistics.plain.layout.fixed)
    beta = np.linalg.lstsq(total[np.ix_(fixed, fixed)], total[fixed, -1], rcond=None)[0]
    squares = (statistics.values[-1] - beta @ statistics.values[fixed]) ** 2
    mean = np.bincount(statistics.rows.strata, squares, statistics.n_strata) / statistics.counts
    return np.maximum(mean, 1e-8 * mean.max())


def _derivatives(criterion, theta):
    """Value, gradient and exact Hessian with respect to theta."""
    if not theta.size:
        return criterion(theta), np.empty(0), np.empty((0, 0))
    found = criterion.evaluate(theta, 2)
    if not np.isfinite(found.value):
        return found.value, np.full(theta.size, np.nan), np.full((theta.size, theta.size), np.nan)
    if not isinstance(criterion, BlockCriterion):
        return found.value, found.gradient, found.hessian
    exact = np.empty_like(found.hessian)  # that of several factors averages the information
    for t, own in enumerate(found.hessian.diagonal()):
        move = np.zeros(theta.size)
        move[t] = 1e-3 / np.sqrt(abs(own)) if own else 1e-4
        sides = [criterion.evaluate(theta + sign * move, 1).gradient for sign in (1.0, -1.0)]
        exact[t] = (sides[0] - sides[1]) / (2.0 * move[t])
    return found.value, found.gradient, 0.5 * (exact + exact.T)


def _scaled_eigen(matrix):
    """Eigenvalues and axes, each parameter in units of its own curvature, and these units."""
    own = np.abs(matrix.diagonal())
    unit = 1.0 / np.sqrt(np.maximum(own, 1e-14 * own.max() + 1e-300))
    return *symmetric_eigen(matrix * unit[:, None] * unit), unit


def _pseudo_inverse(matrix):
    """Inverse that leaves flat directions alone, such as turns of a singular factor."""
    if not matrix.size:
        return matrix
    values, axes, unit = _scaled_eigen(matrix)
    kept = values > _FLAT
    axes = (unit[:, None] * axes)[:, kept]
    return (axes / values[kept]) @ axes.T


def _is_determined(hessian):
    return _scaled_eigen(hessian)[0][0] > _FLAT
