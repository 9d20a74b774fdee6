"""Models with one parameter held: the -2 log-likelihood as a function of a single parameter.

A standard deviation is held by the first entry of a lower-triangular factor whose effects are
reordered, a correlation by the first two entries of its second row, a fixed effect by taking
its column off the response. The others are found by Newton's method from the point before.
"""

import copy
from dataclasses import replace
from functools import cached_property

import numpy as np

from lmmfit.linalg import lower_factor
from lmmfit.mixed.block_likelihood import BlockCriterion
from lmmfit.mixed.terms import number_groups
from lmmfit.optimize import NewtonResult, minimize_newton

__all__ = ["HeldParameter", "held_parameters", "parameter_names"]

_TOL = 1e-10


class HeldParameter:
    """The residual standard deviation held; base of the others.

    Parameters
    ----------
    criterion : BlockCriterion
        Maximum likelihood.
    fit : MixedFit
        By maximum likelihood.
    name : str
        As lme4 has it: ``sd_x|g``, ``cor_x.z|g``, ``sigma``, or the fixed effect.

    Attributes
    ----------
    estimate : float
        NaN where the parameter is not defined.
    low, high : float
        Ends of its range.
    scale : float
        A length in its units.
    ceiling : float
        Bound of the absolute value of zeta.
    """

    low, high = 0.0, np.inf
    ceiling = np.inf

    def __init__(self, criterion, fit, name):
        self.criterion, self.name = criterion, name
        self.minimum = fit.deviance - criterion.constant
        self.unit = fit.statistics.basis.sigma_unit
        self.log_sigma = 0.5 * np.log(fit.sigma2) - np.log(self.unit)
        self.left = criterion._inverse_map
        self.estimate = self.scale = float(np.sqrt(fit.sigma2))
        self._begin(fit)
        self.point = self.start.copy()

    def restart(self):
        """Begin again from the estimates of the whole model."""
        self.point = self.start.copy()

    def zeta(self, value):
        """Signed root of the deviance above its minimum, and its derivative.

        Parameters
        ----------
        value : float
            At which the parameter is held.

        Returns
        -------
        zeta : float
        slope : float
            NaN at the estimate.
        """
        ceiling = self.ceiling
        self._hold(value)
        result = self._minimize()
        if np.isnan(result.value):
            return np.nan, np.nan
        root = np.sqrt(max(result.value - self.minimum, 0.0))
        side = 1.0 if value >= self.estimate else -1.0
        if root < 1e-5 or root >= ceiling:
            return side * min(root, ceiling), np.nan
        return side * root, side * self._slope(result.x) / (2.0 * root)

    def _begin(self, fit):
        self.start = fit.theta.copy()

    def _hold(self, value):
        self.value = value

    def _minimize(self):
        """Minimise over the free parameters, from the last minimum."""
        if not self.point.size:
            return NewtonResult(self.point, *self._objective(self.point), 0, True, "none is free")
        result = minimize_newton(self._objective, self.point, tol=_TOL, max_iter=50)
        if np.isfinite(result.value):
            self.point = result.x
        return result

    def _objective(self, x):
        """Deviance, gradient and Hessian of the free parameters."""
        value, gradient, hessian = self.criterion.evaluate_at(*self._expand(x), self.left)
        if gradient is None:
            return np.nan, np.full(x.size, np.nan), np.full((x.size, x.size), np.nan)
        self.gradient, jacobian = gradient, self._jacobian(x)
        hessian = jacobian.T @ hessian @ jacobian
        self._add_bend(x, hessian)
        return value, jacobian.T @ gradient, hessian

    def _expand(self, x):
        """Theta and the logarithm of sigma."""
        return x, np.log(self.value / self.unit)

    def _jacobian(self, x):
        return np.eye(x.size + 1, x.size)

    def _add_bend(self, x, hessian):
        """Add what the curvature of the coordinates adds to the Hessian."""

    def _slope(self, x):
        """Derivative of the deviance by the value held."""
        return self.gradient[-1] / self.value


class _HeldDeviation(HeldParameter):
    """A standard deviation: the first entry of the factor, times sigma."""

    def __init__(self, criterion, fit, name, effect):
        self.first = [effect]
        super().__init__(criterion, fit, name)

    def _begin(self, fit):
        turn, theta, positions = _turned(self.criterion, fit, self.first)
        self.left, self.at = self.left @ turn, int(positions[0])
        self.others = np.delete(np.arange(theta.size), self.at)
        self.estimate = float(abs(theta[self.at]) * np.sqrt(fit.sigma2))
        self.scale = max(self.estimate, float(np.sqrt(fit.sigma2)))
        self.start = np.append(theta[self.others], self.log_sigma)

    def _expand(self, x):
        theta = np.empty(x.size)
        theta[self.others] = x[:-1]
        theta[self.at] = self.value / (self.unit * np.exp(x[-1]))
        return theta, x[-1]

    def _jacobian(self, x):
        jacobian = np.zeros((x.size + 1, x.size))
        jacobian[self.others, np.arange(x.size - 1)] = 1.0
        jacobian[-1, -1] = 1.0
        jacobian[self.at, -1] = -self._expand(x)[0][self.at]
        return jacobian

    def _add_bend(self, x, hessian):
        hessian[-1, -1] += self.gradient[self.at] * self._expand(x)[0][self.at]

    def _slope(self, x):
        return self.gradient[self.at] / (self.unit * np.exp(x[-1]))


class _HeldCorrelation(HeldParameter):
    """A correlation: the direction of the first two entries of the second row."""

    low, high = -1.0, 1.0

    def __init__(self, criterion, fit, name, effects):
        self.first = effects
        super().__init__(criterion, fit, name)

    def _begin(self, fit):
        turn, theta, positions = _turned(self.criterion, fit, self.first)
        size = int(np.sqrt(2 * positions.size))
        self.left = self.left @ turn
        self.at = np.array([positions[1], positions[size]])
        self.others = np.delete(np.arange(theta.size), self.at)
        length, scale = float(np.hypot(*theta[self.at])), 0.5
        known = length > 0.0 and theta[positions[0]] != 0.0
        self.estimate, self.scale = theta[self.at[0]] / length if known else np.nan, scale
        self.start = np.concatenate([[length], theta[self.others], [self.log_sigma]])
        self.lengths = np.array([0, 1 + int(np.flatnonzero(self.others == positions[0])[0])])

    @cached_property
    def ceiling(self):
        """Largest zeta: without one of the variances every correlation fits alike."""
        self._hold(self.estimate)
        found = []
        for length in self.lengths:
            free = np.arange(self.start.size) != length
            found.append(self._minimize_free(free, np.where(free, self.start, 0.0)).value)
        least = np.nanmin(found) - self.minimum if np.isfinite(found).any() else np.inf
        return float(np.sqrt(max(least, 0.0)))

    def _minimize(self):
        """Minimise with both lengths positive: a negative one is the mirrored correlation."""
        result = super()._minimize()
        if (result.x[self.lengths] <= 0.0).any():
            self.restart()
            return replace(result, value=np.inf)  # the ceiling is what is left
        return result

    def _minimize_free(self, free, x):
        def objective(own):
            x[free] = own
            value, gradient, hessian = self._objective(x)
            return value, gradient[free], hessian[np.ix_(free, free)]

        result = minimize_newton(objective, x[free], tol=_TOL, max_iter=50)
        x[free] = result.x
        return replace(result, x=x)

    @property
    def _direction(self):
        return np.array([self.value, np.sqrt(max(1.0 - self.value**2, 0.0))])

    def _expand(self, x):
        theta = np.empty(x.size)  # one fewer than theta is free, sigma is one more
        theta[self.others], theta[self.at] = x[1:-1], x[0] * self._direction
        return theta, x[-1]

    def _jacobian(self, x):
        jacobian = np.zeros((x.size + 1, x.size))
        jacobian[self.others, 1 + np.arange(self.others.size)] = 1.0
        jacobian[self.at, 0], jacobian[-1, -1] = self._direction, 1.0
        return jacobian

    def _slope(self, x):
        along, across = self._direction
        turn = np.array([1.0, -along / across if across > 0.0 else 0.0])
        return x[0] * (self.gradient[self.at] @ turn)


class _HeldFixedEffect(HeldParameter):
    """A fixed effect: its column, times the value, is taken off the response."""

    low, high = -np.inf, np.inf

    def __init__(self, criterion, fit, name, effect):
        self.effect = effect
        super().__init__(criterion, fit, name)

    def _begin(self, fit):
        layout, whole = fit.statistics.layout, self.criterion
        columns = [layout.fixed[i] for i in whole.fixed]
        at = whole.fixed.index(self.effect)
        p = len(columns)
        to_user = np.eye(p + 1)
        back = fit.statistics.basis.coefficient_map(layout, columns)
        to_user[:-1, :-1] = np.linalg.inv(back)
        order = [*(i for i in range(p) if i != at), at, p]
        self._cross = np.ascontiguousarray((whole._cross @ to_user)[:, order])
        self._total = (to_user.T @ whole._total @ to_user)[np.ix_(order, order)]
        whole.evaluate(fit.theta)
        self._coefficient = float((back @ whole.beta)[at])
        self._response_scale = fit.statistics.basis.response_scale
        self.estimate = float(fit.beta[self.effect])
        self.scale = 2.0 * float(np.sqrt(fit.beta_covariance[self.effect, self.effect]))
        self.criterion = copy.copy(whole)
        self.criterion.fixed = whole.fixed[:-1]
        self.start = fit.theta.copy()

    def _hold(self, value):
        taken = self._coefficient + (value - self.estimate) / self._response_scale
        p = len(self.criterion.fixed)
        move = np.zeros((p + 2, p + 1))
        move[:p, :p], move[p, p], move[p + 1, p] = np.eye(p), -taken, 1.0
        self._move = move
        self.criterion._cross = self._cross @ move
        self.criterion._total = move.T @ self._total @ move

    def _objective(self, x):
        found = self.criterion._evaluate(x, self.left, 2)
        if found[1] is None:
            return np.nan, np.full(x.size, np.nan), np.full((x.size, x.size), np.nan)
        return found

    def _slope(self, x):
        """``-2 x'V^-1 (y - X beta)`` over the residual variance, x the column held."""
        criterion, p = self.criterion, len(self.criterion.fixed)
        criterion.factor.update(self.left @ criterion.unpack(x))
        _, square = criterion.factor.solve(np.column_stack([self._cross[:, p], criterion._cross]))
        row = self._total[p] @ self._move - square[0, 1:]
        residual = row[-1] - row[:-1] @ criterion.beta
        return -2.0 * criterion.nu / criterion.rss * residual / self._response_scale


def held_parameters(fit, names=None):
    """Parameters of a fit by maximum likelihood, each ready to be held.

    Parameters
    ----------
    fit : MixedFit
        By maximum likelihood.
    names : sequence of str, optional
        Those wanted; by default all.

    Returns
    -------
    list of HeldParameter
        Random effects, residual, fixed effects.
    """
    criterion = BlockCriterion(fit.statistics, "ml")
    kinds = {"sd": _HeldDeviation, "cor": _HeldCorrelation, "fixed": _HeldFixedEffect}
    found = []
    for name, (kind, *where) in _parameters(fit).items():
        if names is None or name in names:
            found.append(kinds.get(kind, HeldParameter)(criterion, fit, name, *where))
    return found


def parameter_names(fit):
    """Names of all parameters: random effects, residual, fixed effects.

    Parameters
    ----------
    fit : MixedFit

    Returns
    -------
    list of str
    """
    return list(_parameters(fit))


def _parameters(fit):
    """Kind and place of every parameter, by name."""
    layout, found = fit.statistics.layout, {}
    groups = [":".join(fit.statistics.factor_levels[own].names) for own in layout.owners]
    for key, (start, stop) in zip(number_groups(groups), layout.blocks, strict=True):
        names = layout.random_names
        for a in range(start, stop):
            found[f"sd_{names[a]}|{key}"] = "sd", a
            for b in range(a + 1, stop):
                found[f"cor_{names[b]}.{names[a]}|{key}"] = "cor", [a, b]
    found["sigma"] = ("sigma",)
    for j, name in enumerate(layout.fixed_names):
        if j not in fit.aliased:
            found[f"{name} (fixed)" if name in found else name] = "fixed", j
    return found


def _turned(criterion, fit, first):
    """A frame in which some effects of a block come first, and the fit in that frame."""
    layout = fit.statistics.layout
    start, stop = next(own for own in layout.blocks if own[0] <= first[0] < own[1])
    order = [*first, *(k for k in range(start, stop) if k not in first)]
    turn = np.eye(len(layout.random))
    turn[:, start:stop] = 0.0
    turn[order, np.arange(start, stop)] = 1.0
    lambda_ = turn.T @ fit.lambda_
    lambda_[start:stop, start:stop] = lower_factor(lambda_[start:stop, start:stop])
    rows, _ = layout.theta_positions
    return turn, criterion.pack(lambda_), np.flatnonzero((rows >= start) & (rows < stop))
