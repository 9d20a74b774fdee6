"""Small-sample distributions of tests of the fixed effects.

``small_sample(model, ddf)`` gives the covariance of the fixed effects and the degrees of
freedom of t and F tests by Satterthwaite's method (Fai and Cornelius 1996) or that of Kenward
and Roger (1997), from sums over groups.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc

from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.crossed import CrossedStatistics
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.sensitivity import Sensitivity

__all__ = ["FTest", "SmallSample", "small_sample"]

DDF = ("satterthwaite", "kenward-roger", "normal")
_STEP = 3e-4  # of the differences of the gradient, relative to theta
_DEPENDENT = 1e-8  # eigenvalue of the correlation of functions that depend on one another
_NO_CURVATURE = 1e-8  # eigenvalue of the Hessian below which a direction tells nothing


@dataclass(frozen=True)
class FTest:
    """An F test of several linear functions of the fixed effects.

    Attributes
    ----------
    statistic : float
    num_df, den_df : float
        Degrees of freedom; the latter is infinite for the normal approximation.
    p_value : float
    scale : float
        Factor in ``statistic`` that makes it follow an F distribution (Kenward-Roger); 1 for
        the other methods.
    """

    statistic: float
    num_df: float
    den_df: float
    p_value: float
    scale: float = 1.0


def small_sample(model, ddf="satterthwaite"):
    """Distributions of t and F tests of the fixed effects of a model.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, default="satterthwaite"
        Method for the denominator degrees of freedom. Kenward and Roger's also enlarges the
        covariance of the fixed effects, and needs a REML fit. Computed once for a fit.

    Returns
    -------
    SmallSample

    Raises
    ------
    ValueError
        If ``ddf`` is unknown, or Kenward-Roger is asked of a fit by maximum likelihood.

    References
    ----------
    Fai, A. H. T. and Cornelius, P. L. (1996). Approximate F-tests of multiple degree of freedom
    hypotheses in generalized least squares analyses of unbalanced split-plot experiments.
    Journal of Statistical Computation and Simulation 54, 363-378.

    Kenward, M. G. and Roger, J. H. (1997). Small sample inference for fixed effects from
    restricted maximum likelihood. Biometrics 53, 983-997.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import small_sample
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> small_sample(model).df(np.eye(2)).round(3)
    array([17., 17.])
    """
    if ddf not in DDF:
        raise ValueError(f"ddf must be one of {', '.join(map(repr, DDF))}, got {ddf!r}.")
    fit = fit_of(model)
    kept = fit.__dict__.setdefault("small_samples", {})
    if ddf not in kept:
        if fit.saturated or not fit.statistics.layout.random or not len(fit.beta):
            kept[ddf] = _Residual(fit, ddf)
        elif ddf == "normal":
            kept[ddf] = SmallSample(fit)
        elif ddf == "satterthwaite":
            kept[ddf] = _Satterthwaite(fit)
        else:
            kept[ddf] = _KenwardRoger(fit)
    return kept[ddf]


class SmallSample:
    """Normal approximation: degrees of freedom are infinite.

    Parameters
    ----------
    fit : MixedFit

    Attributes
    ----------
    covariance : ndarray of shape (p, p)
        Of the fixed effects; zero for dropped ones.
    """

    def __init__(self, fit):
        self.fit, self.covariance = fit, fit.beta_covariance

    def df(self, L):
        """Degrees of freedom of ``L beta``, row by row.

        Parameters
        ----------
        L : array-like of shape (k, p)

        Returns
        -------
        ndarray of shape (k,)
        """
        return np.full(len(np.atleast_2d(L)), np.inf)

    def f_test(self, L):
        """Test ``L beta = 0``.

        Parameters
        ----------
        L : array-like of shape (k, p)
            Rows may depend on one another; the rank counts.

        Returns
        -------
        FTest
        """
        axes, estimate, variance = self._axes(L)
        if not variance.size:
            return FTest(np.nan, 0.0, np.nan, np.nan)
        statistic = float(np.mean(estimate**2 / variance))
        return _f_test(statistic, float(variance.size), self._joint_df(axes))

    def _axes(self, L):
        """Uncorrelated linear functions that span those of L, their estimates and variances."""
        L = np.atleast_2d(np.asarray(L, dtype=np.float64))
        covariance = L @ self.covariance @ L.T
        unit = np.sqrt(np.where(covariance.diagonal() > 0.0, covariance.diagonal(), 1.0))
        correlation = np.linalg.eigvalsh(covariance / np.outer(unit, unit))
        rank = int(np.sum(correlation > _DEPENDENT * max(correlation[-1], 0.0)))
        variance, rotation = np.linalg.eigh(covariance)
        used = slice(len(L) - rank, None)
        axes = rotation[:, used].T @ L
        return axes, axes @ self.fit.beta, variance[used]

    def _joint_df(self, axes):
        """Denominator degrees of freedom from those of uncorrelated functions.

        The mean of the F distribution is matched (Fai and Cornelius 1996, method of lmerTest).
        """
        df = self.df(axes)
        if df.size == 1 or np.isinf(df).all() or np.ptp(df) < 1e-8:
            return float(df.mean())
        if (df <= 2.0).any():
            return 2.0
        expected = float(np.sum(df / (df - 2.0)))
        return 2.0 * expected / (expected - df.size)


class _Residual(SmallSample):
    """Linear model: the residual has n - p degrees of freedom, exactly."""

    def __init__(self, fit, ddf):
        super().__init__(fit)
        p = len(fit.beta) - len(fit.aliased)
        self._df = np.inf if ddf == "normal" else float(fit.statistics.n_rows - p)

    def df(self, L):
        return np.full(len(np.atleast_2d(L)), self._df)


class _Satterthwaite(SmallSample):
    """``2 (l'Cl)^2 / Var(l'Cl)``, the variance by the delta method in (theta, sigma)."""

    def __init__(self, fit):
        super().__init__(fit)
        around = Sensitivity(fit)
        basis = fit.statistics.basis
        self._rows = around.kept
        self._back = basis.response_scale * marginal_back(fit, around)
        variance = fit.sigma2 / basis.weight_unit / basis.response_scale**2
        moves = _theta_directions(fit)
        m = around.covariance
        self._covariance = variance * m
        slopes = [variance * (m @ around.slope(move) @ m) for move in moves]
        sigma = np.sqrt(variance)
        self._gradients = np.array([*slopes, 2.0 * sigma * m])
        self.parameter_covariance = 2.0 * _pseudo_inverse(_hessian(fit, moves, variance))

    def df(self, L):
        own = np.atleast_2d(np.asarray(L, dtype=np.float64))[:, self._rows] @ self._back
        variance = np.einsum("ij,jk,ik->i", own, self._covariance, own)
        slopes = np.einsum("ij,tjk,ik->it", own, self._gradients, own)
        spread = np.einsum("it,ts,is->i", slopes, self.parameter_covariance, slopes)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2.0 * variance**2 / spread


class _KenwardRoger(SmallSample):
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
        variance = fit.sigma2 / basis.weight_unit / basis.response_scale**2
        self._rows = around.kept
        self._back = basis.response_scale * marginal_back(fit, around)
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
        self._weights = 2.0 * _pseudo_inverse(expected, 1e-10)
        inner = second - np.einsum("ipr,rs,jst->ijpt", slopes, phi, slopes)
        adjustment = phi @ np.einsum("ij,ijpr->pr", self._weights, inner) @ phi
        self._phi, self._slopes = phi, slopes
        adjusted = phi + 2.0 * adjustment
        own = variance * (self._back @ (0.5 * (adjusted + adjusted.T)) @ self._back.T)
        self.covariance = np.zeros_like(fit.beta_covariance)
        self.covariance[self._rows[:, None], self._rows] = own

    def df(self, L):
        L = np.atleast_2d(np.asarray(L, dtype=np.float64))
        return np.array([self._scaling(row[None])[0] for row in L])

    def f_test(self, L):
        axes, estimate, variance = self._axes(L)
        if not variance.size:
            return FTest(np.nan, 0.0, np.nan, np.nan)
        df, factor = self._scaling(axes)
        statistic = factor * float(np.mean(estimate**2 / variance))
        return _f_test(statistic, float(variance.size), df, factor)

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


def marginal_back(fit, around):
    """Map of the kept fixed effects in the basis to the user's."""
    layout = fit.statistics.layout
    columns = [layout.fixed[j] for j in around.kept]
    return fit.statistics.basis.coefficient_map(layout, columns)


def _theta_directions(fit):
    """Change of the relative covariance, in the basis, with each theta of the user."""
    layout, scale = fit.statistics.layout, fit.marginal.scale
    left = np.linalg.inv(scale) * np.sqrt(fit.statistics.basis.weight_unit)
    half = [
        np.outer(left[:, row], fit.marginal.root[:, column])
        for row, column in zip(*layout.theta_positions, strict=True)
    ]
    return [own + own.T for own in half]


def _covariance_directions(fit):
    """Positive semidefinite directions that span the covariances of the random effects."""
    layout, out = fit.statistics.layout, []
    for row, column in zip(*layout.theta_positions, strict=True):
        axis = np.zeros(len(layout.random))
        axis[[row, column]] = 1.0
        out.append(np.outer(axis, axis))
    return out


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


def _pseudo_inverse(matrix, tol=_NO_CURVATURE):
    """Inverse over the directions of positive curvature."""
    values, axes = np.linalg.eigh(matrix)
    used = values > tol
    return (axes[:, used] / values[used]) @ axes[:, used].T


def _ratio(top, bottom):
    """0/0 is one (Kenward and Roger's convention)."""
    if abs(top) < 1e-14 and abs(bottom) < 1e-14:
        return 1.0
    return top / bottom


def _f_test(statistic, num_df, den_df, scale=1.0):
    if np.isinf(den_df):
        p_value = chdtrc(num_df, num_df * statistic)
    else:
        p_value = fdtrc(num_df, den_df, statistic)
    return FTest(statistic, num_df, den_df, float(p_value), float(scale))
