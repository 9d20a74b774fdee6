"""The profiled criterion of a model with several grouping factors.

With ``T = Z'V^-1 Z``, ``U = Z'V^-1 X``, ``r = Z'V^-1 (y - X beta)`` and ``M = (X'V^-1 X)^-1``
the derivative to the relative covariance P of a factor is the sum over its levels of
``T - nu/rss r r'``, and for REML ``- U M U'``. The Hessian replaces the trace
of the observed information by its average (Gilmour, Thompson and Cullis 1995), whose
quadratic forms need one more solution with the same factor.
"""

from functools import cached_property
from math import log, pi

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from lmmfit.mixed._block_descent_kernels import descend_blocks, evaluate_blocks
from lmmfit.mixed._intercept_descent_kernels import descend_intercepts, evaluate_intercepts
from lmmfit.mixed.block_factor import BlockFactor
from lmmfit.mixed.blocks import BlockSystem
from lmmfit.mixed.layout import principal
from lmmfit.mixed.likelihood import ProfiledCriterion, check_method
from lmmfit.mixed.moments import moment_factor
from lmmfit.optimize import minimize_newton

__all__ = ["BlockCriterion"]

_HALVINGS = 60  # of a start
_SMALL = 48  # unknowns of the dense part below which compiled loops beat LAPACK


class BlockCriterion(ProfiledCriterion):
    """The criterion of several grouping factors as a function of theta.

    As :class:`ProfiledCriterion`; the Hessian is the average-information approximation, exact
    in what the curvature of ``P = Lambda Lambda'`` adds.

    Parameters
    ----------
    statistics : MixedStatistics or CrossedStatistics
    method : {"reml", "ml"}, default="reml"
    """

    def __init__(self, statistics, method="reml"):
        check_method(method)
        known = BlockSystem.of(statistics).prepared
        if method not in known:
            super().__init__(statistics, method)
            self._at_zero = self._profile(self._total, 0.0), self.rss  # no random effects
            known[method] = {
                name: own for name, own in vars(self).items() if own is not statistics
            }
        vars(self).update(known[method], statistics=statistics)

    def _prepare(self):
        self.system = BlockSystem.of(self.statistics)
        columns = *(self.statistics.layout.fixed[j] for j in self.fixed), -1
        self._total = principal(self.statistics.total, columns)
        self._cross = np.ascontiguousarray(self.system.cross[:, [*self.fixed, -1]])
        self._identity, self._at_zero = np.eye(self.q), None
        self.beta = self.covariance = self.derivative = self.rss = None
        self._is_small = self.system.n_dense <= _SMALL and self.q > 0
        self._prepare_small()

    @cached_property
    def factor(self):
        """Factor of the last evaluation that was not compiled."""
        return BlockFactor(self.system)

    def _prepare_small(self):
        """What the compiled evaluation takes beside the system."""
        system = self.system
        order = system.sparse + system.dense
        counts = np.array([system.effects[f].size for f in order], dtype=np.int64)
        effects = np.zeros((len(order), max(counts, default=1)), dtype=np.int64)
        for row, f in zip(effects, order, strict=True):
            row[: system.effects[f].size] = system.effects[f]
        self._structure = (
            system.shape, system.pointer, system.index, system.parent, system.link, system.gram,
            system.values, system.dense_gram,
        )  # fmt: skip
        self._roles = system.owner, effects, counts
        self._evaluate_small, self._descend_compiled = (
            (evaluate_blocks, descend_blocks) if effects.shape[1] > 1
            else (evaluate_intercepts, descend_intercepts)
        )  # fmt: skip

    def _small_arguments(self, theta, left_map):
        p, k = len(self.fixed), self.n_theta
        self.beta, self.covariance = np.empty(p), np.empty((p, p))
        self.derivative = np.zeros((self.q, self.q))
        outputs = self.beta, self.covariance, self.derivative, np.empty(k + 1)
        return (
            *self._structure, self._cross, *self._roles, self._total, float(self.nu), self.reml,
            theta, np.ascontiguousarray(left_map), self._rows, self._columns, *outputs,
            np.empty((k + 1, k + 1)),
        )  # fmt: skip

    def _evaluate(self, theta, left_map, order):
        if self._is_small:
            arguments = self._small_arguments(theta, left_map)
            value, self.rss = self._evaluate_small(order, np.nan, *arguments)
            k = theta.size
            if not order or np.isnan(value):
                return value, None, None
            return value, arguments[-2][:k], arguments[-1][:k, :k] if order == 2 else None
        root = left_map @ self.unpack(theta)
        if not self.factor.update(root, inverse=order > 0):
            return np.nan, None, None
        columns = self._cross.copy()
        _, square = self.factor.solve(columns)
        value = self._profile(self._total - square, self.factor.log_determinant)
        if not order or np.isnan(value):
            return value, None, None
        weight = self.nu / self.rss
        gradient, hessian, along = self._derivatives(columns, left_map, root, weight, order)
        if order == 2:  # the residual variance is profiled out
            hessian -= weight / self.rss * np.outer(along, along)
        return value, gradient, hessian

    def _derivatives(self, columns, left_map, root, weight, order):
        """Gradient, Hessian and ``r' dP/dtheta r`` at a residual variance of one over weight."""
        cross = columns[:, :-1]
        residual = columns[:, -1] - cross @ self.beta
        self.derivative = self._differentiate(cross, residual, weight)
        slope = left_map.T @ self.derivative
        gradient = 2.0 * self.pack(slope @ root)
        if order < 2:
            return gradient, None, None
        moved = self._moves(residual, left_map, root)
        hessian = weight * self._information(moved, cross) + self._bend(slope @ left_map)
        return gradient, hessian, moved.T @ residual

    def evaluate_at(self, theta, log_sigma, left_map):
        """-2 log-likelihood with the residual variance not profiled out.

        Parameters
        ----------
        theta : ndarray of shape (k,)
        log_sigma : float
            Logarithm of the residual standard deviation, in the basis.
        left_map : ndarray of shape (q, q)
            ``left_map @ unpack(theta)`` is the square root of P in the basis.

        Returns
        -------
        value : float
            Without the constant.
        gradient : ndarray of shape (k + 1,)
            With respect to theta and the logarithm of sigma.
        hessian : ndarray of shape (k + 1, k + 1)
            By average information.
        """
        if self._is_small:
            arguments = self._small_arguments(theta, left_map)
            value, self.rss = self._evaluate_small(2, log_sigma, *arguments)
            return (np.nan, None, None) if np.isnan(value) else (value, *arguments[-2:])
        k, root = theta.size, left_map @ self.unpack(theta)
        if not self.factor.update(root, inverse=True):
            return np.nan, None, None
        columns = self._cross.copy()
        _, square = self.factor.solve(columns)
        log_determinant = self.factor.log_determinant
        if np.isnan(self._profile(self._total - square, log_determinant)):
            return np.nan, None, None
        weight = float(np.exp(-2.0 * log_sigma))
        value = log_determinant + self.rss * weight
        value += self.nu * (log(2.0 * pi) + 2.0 * log_sigma)
        gradient, hessian = np.empty(k + 1), np.empty((k + 1, k + 1))
        gradient[:k], hessian[:k, :k], along = self._derivatives(
            columns, left_map, root, weight, 2
        )
        gradient[k] = 2.0 * (self.nu - self.rss * weight)
        hessian[:k, k] = hessian[k, :k] = 2.0 * weight * along
        hessian[k, k] = 4.0 * self.rss * weight
        return value, gradient, hessian

    def _profile(self, products, log_determinant):
        """Solve for beta given ``[X y]'V^-1[X y]``; value of the criterion."""
        p, nu = len(self.fixed), self.nu
        chol, info = dpotrf(products[:p, :p], lower=1) if p else (np.empty((0, 0)), 0)
        if info:
            return np.nan
        self.beta = dpotrs(chol, products[:p, -1], lower=1)[0] if p else np.empty(0)
        lower = dpotri(chol, lower=1)[0] if p else chol
        self.covariance = np.tril(lower) + np.tril(lower, -1).T
        self.rss = float(products[-1, -1] - products[:p, -1] @ self.beta)
        if not self.rss > 0.0 or nu <= 0:
            return np.nan
        value = log_determinant + nu * (1.0 + log(2.0 * pi * self.rss / nu))
        if self.reml:
            value += 2.0 * np.log(chol.diagonal()).sum()
        return value

    def _differentiate(self, cross, residual, weight):
        """Derivative of the criterion to P, block-diagonal by factor."""
        system, slope = self.system, np.zeros((self.q, self.q))
        for f, trace in enumerate(self.factor.block_sums()):
            own, r = system.effects[f], system.by_level(residual, f)
            part = trace - weight * (r.T @ r)
            if self.reml and cross.shape[1]:
                u = system.by_level(cross, f)
                part = part - np.tensordot(u @ self.covariance, u, axes=([0, 2], [0, 2]))
            slope[own[:, None], own] = part
        return slope

    def _information(self, moved, cross):
        """``y'P V_s P V_t P y`` for the moves of every theta."""
        share = moved.T @ cross
        return self.factor.quadratic(moved) - share @ self.covariance @ share.T

    def _bend(self, slope):
        """What the curvature of P in theta adds to the Hessian."""
        rows, columns = self._rows, self._columns
        return 2.0 * (columns[:, None] == columns) * slope[rows[:, None], rows]

    def _moves(self, residual, left_map, root):
        """``dP/dtheta r`` for each theta, (n_unknowns, k)."""
        system = self.system
        moved = np.zeros((len(system), self.n_theta))
        for f in range(len(system.sizes)):
            own, r = system.effects[f], system.by_level(residual, f)
            for t in np.flatnonzero(np.isin(self._rows, own)):
                first, second = left_map[own, self._rows[t]], root[own, self._columns[t]]
                part = np.outer(r @ second, first) + np.outer(r @ first, second)
                moved[system.rows(f), t] = part.ravel()
        return moved

    def first_factor(self):
        """Factor to start from: that of moments, where an evaluation takes longer than they do.

        Returns
        -------
        ndarray of shape (q, q)
        """
        return self._identity if self._is_small else moment_factor(self.statistics, self.fixed)

    def descend(self, lambda_, n_em, n_newton, tol):
        """Newton's method within a trust region, compiled for small models.

        Average information is positive semidefinite far from the optimum too, so that no EM
        steps have to come first.

        Parameters
        ----------
        lambda_ : ndarray of shape (q, q)
            Block lower-triangular factor in the basis of the statistics.
        n_em, n_newton : int
            EM steps, of which none are taken, and Newton steps at most.
        tol : float
            Decrease below which a Newton step is the last.

        Returns
        -------
        tuple
            As that of :class:`ProfiledCriterion`.
        """
        if self._at_zero is None:  # of another response
            self._at_zero = self._profile(self._total, 0.0), self.rss
        at_zero, rss_at_zero, n = *self._at_zero, 1
        if self._is_small:
            lambda_, arguments = self._descend_small(self.pack(lambda_), 4 * n_newton, tol)
            if arguments is not None:
                return lambda_, *arguments, at_zero, rss_at_zero
            n += n_newton
        with self.factor.limited:
            for _ in range(_HALVINGS):
                result = minimize_newton(
                    lambda theta: self._evaluate(theta, self._identity, 2), self.pack(lambda_),
                    value_at=lambda theta: self._evaluate(theta, self._identity, 0)[0], tol=tol,
                    max_iter=n_newton,
                )  # fmt: skip
                n += result.n_iter + 1
                if np.isfinite(result.value):
                    break
                lambda_ = 0.5 * lambda_  # so large that rounding has swallowed the residual
        outcome = result.value, result.gradient, result.hessian
        return self.unpack(result.x), outcome, n, result.converged, at_zero, rss_at_zero

    def _descend_small(self, theta, n_newton, tol):
        """The compiled steps: where they ended, and the outcome unless they did not converge."""
        k = theta.size
        arguments = self._small_arguments(theta, self._identity)
        arguments = (*arguments[:-2], np.empty(k), np.empty((k, k)))
        value, self.rss, n, converged = self._descend_compiled(n_newton, tol, *arguments)
        where = self.unpack(theta)
        if not converged or np.isnan(value):
            return where, None
        return where, ((value, *arguments[-2:]), n, True)
