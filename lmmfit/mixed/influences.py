"""Residuals, leverage and influence: what single rows and whole groups do to a fit.

A fitted model keeps products and no rows, so these functions take the data again: X and y as
for ``fit``, or the data frame of :func:`lmmfit.lmm` alone. Rows with missing values, which
``lmm`` drops, have to be dropped first.
"""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed._deletion import hold_theta, refit_without
from lmmfit.mixed._given_rows import GivenRows, refuse_structure
from lmmfit.mixed._grouped_rows import GroupedRows
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.prediction import fitted_variance, predict_rows
from lmmfit.mixed.table import Table

__all__ = ["Influence", "cooks_distance", "influence", "leverage", "residuals"]

_KINDS = ("response", "pearson", "standardized", "marginal")


def leverage(model, X, *, sample_weight=None):
    """Diagonal of the hat matrix of the conditional fit.

    It maps the response to the fitted values, random effects included, at the estimated
    covariances (lme4's ``hatvalues``); its trace counts the effective parameters (Hodges and
    Sargent 2001). With weight w and ``v = Var(x'beta_hat + z'(b_hat - b))`` it is
    ``w v / sigma2``.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    X : data frame or array-like of shape (n, n_features)
        Rows of the fit.
    sample_weight : array-like of shape (n,) or str, optional
        Their weights, or the column that holds them; needed if the fit had weights.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If the fit leaves no residual variance, a value is missing or a level is new.

    References
    ----------
    Hodges, J. S. and Sargent, D. J. (2001). Counting degrees of freedom in hierarchical and
    other richly-parameterised models. Biometrika 88, 367-379.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.influences import leverage
    >>> frame = load_sleepstudy(as_frame=True).frame
    >>> found = leverage(lmm("Reaction ~ Days + (Days | Subject)", frame), frame)
    >>> found[:3].round(3), round(float(found.sum()), 2)
    (array([0.229, 0.17 , 0.127]), 29.02)
    """
    _check_residual(model)
    rows = GivenRows.check(model, X)
    return _leverage(model, rows, rows.weights(model, sample_weight))


def residuals(model, X, y=None, kind="response", *, sample_weight=None):
    """Residuals of a fitted model.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    X : data frame or array-like of shape (n, n_features)
        Rows of the fit.
    y : array-like of shape (n,), optional
        Response; by default what the formula of :func:`lmmfit.lmm` takes from X.
    kind : {"response", "pearson", "standardized", "marginal"}, default="response"
        ``"response"``: response less fitted value, random effects included; ``"pearson"``:
        the same times the root of the weight; ``"standardized"``: that divided by its
        estimated standard deviation ``sigma sqrt(1 - leverage)``; ``"marginal"``: response
        less the prediction of the fixed effects and the offset alone.
    sample_weight : array-like of shape (n,) or str, optional
        Weights of the rows, or the column that holds them; needed for Pearson and
        standardized residuals if the fit had weights.

    Returns
    -------
    ndarray of shape (n,)
        NaN for standardized residuals of rows of leverage 1.

    Raises
    ------
    ValueError
        If the kind is unknown, a value is missing or a level is new.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.influences import residuals
    >>> frame = load_sleepstudy(as_frame=True).frame
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", frame)
    >>> residuals(model, frame)[:3].round(2)
    array([ -4.1 , -14.63, -42.2 ])
    >>> residuals(model, frame, kind="standardized")[:3].round(2)
    array([-0.18, -0.63, -1.76])
    """
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}, got {kind!r}.")
    if kind == "pearson":
        refuse_structure(model, "there are no Pearson residuals")
    if kind == "standardized":
        _check_residual(model)
    rows = GivenRows.check(model, X)
    plain = _residuals(model, rows, y, conditional=kind != "marginal")
    if kind in ("response", "marginal"):
        return plain
    weights = rows.weights(model, sample_weight)
    pearson = plain if weights is None else np.sqrt(weights) * plain
    if kind == "pearson":
        return pearson
    return pearson / np.sqrt(model.sigma2_ * _distance_from_one(_leverage(model, rows, weights)))


def cooks_distance(model, X, y=None, *, sample_weight=None):
    """Cook's distance of each row, at the estimated covariances.

    With r the Pearson residual, h the leverage and p the number of fixed effects it is
    ``(r / (1 - h))^2 h / (p sigma2)``, as in lme4. Random effects count as part of the fit
    here; :func:`influence` leaves whole groups out.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    X : data frame or array-like of shape (n, n_features)
        Rows of the fit.
    y : array-like of shape (n,), optional
        Response; by default what the formula of :func:`lmmfit.lmm` takes from X.
    sample_weight : array-like of shape (n,) or str, optional
        Weights of the rows, or the column that holds them; needed if the fit had weights.

    Returns
    -------
    ndarray of shape (n,)
        NaN for rows of leverage 1.

    Raises
    ------
    ValueError
        If there are no fixed effects or no residual variance, a value is missing or a level
        is new.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.influences import cooks_distance
    >>> frame = load_sleepstudy(as_frame=True).frame
    >>> found = cooks_distance(lmm("Reaction ~ Days + (Days | Subject)", frame), frame)
    >>> int(found.argmax()), round(float(found.max()), 2)
    (59, 4.33)
    """
    _check_residual(model)
    rows, p = GivenRows.check(model, X), _rank(model)
    weights = rows.weights(model, sample_weight)
    plain, h = _residuals(model, rows, y), _leverage(model, rows, weights)
    square = plain**2 if weights is None else weights * plain**2
    return square / _distance_from_one(h) ** 2 * h / (p * model.sigma2_)


@dataclass(frozen=True, eq=False)
class Influence:
    """Fits of a model without each level of a grouping column in turn.

    Attributes
    ----------
    by : str
        The grouping column.
    levels : ndarray of shape (m,)
        Its levels.
    counts : ndarray of shape (m,)
        Rows of each.
    names : tuple of str
        Names of the fixed effects.
    estimates : ndarray of shape (m, p)
        Fixed effects without the level; NaN where the other rows do not determine them.
    std_errors : ndarray of shape (m, p)
        Their standard errors.
    change : ndarray of shape (m, p)
        What the level adds: the estimate with all rows less that without it (dfbeta).
    cooks_distance : ndarray of shape (m,)
        ``change' Cov(beta)^-1 change / p`` with the covariance of the whole fit.
    sigma : ndarray of shape (m,)
        Residual standard deviation without the level.
    theta : ndarray of shape (m, k)
        Relative covariance factor without the level.
    converged : ndarray of shape (m,), bool
        Whether the fit without the level was certified.
    refit : bool
        Whether the covariances were estimated anew.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_dyestuff
    >>> from lmmfit.mixed.influences import influence
    >>> frame = load_dyestuff(as_frame=True).frame
    >>> print(influence(lmm("Yield ~ 1 + (1 | Batch)", frame), frame))
    level  n_rows  cooks_distance  sigma  change (Intercept)
    A           5         0.05390  46.33              -4.500
    B           5       2.662e-05  52.15              0.1000
    C           5          0.1418  51.51               7.300
    D           5         0.09265  44.69              -5.900
    E           5          0.5596  49.41               14.50
    F           5          0.3520  52.43              -11.50
    """

    by: str
    levels: np.ndarray
    counts: np.ndarray
    names: tuple
    estimates: np.ndarray
    std_errors: np.ndarray
    change: np.ndarray
    cooks_distance: np.ndarray
    sigma: np.ndarray
    theta: np.ndarray
    converged: np.ndarray
    refit: bool

    @property
    def table(self):
        """Columns level, n_rows, cooks_distance, sigma, and the fixed effects' changes."""
        columns = {
            "level": self.levels, "n_rows": self.counts,
            "cooks_distance": self.cooks_distance, "sigma": self.sigma,
        }  # fmt: skip
        changes = zip(self.names, self.change.T, strict=True)
        return Table(columns | {f"change {name}": own for name, own in changes}, digits=4)

    def __str__(self):
        return str(self.table)

    __repr__ = __str__


def influence(model, X, y=None, *, by=None, sample_weight=None, refit=True, n_jobs=None):
    """Leave one group out: the model fitted without each level of a grouping column in turn.

    Each fit starts from the estimate with all rows and is certified like any other. With one
    grouping factor, left out by its levels, the rows are read once for all fits; otherwise
    the products are made anew from the rows that stay.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    X : data frame or array-like of shape (n, n_features)
        Rows of the fit, all of them: products by level do not hold what a level adds to
        ``y'y`` and ``X'X``.
    y : array-like of shape (n,), optional
        Response; by default what the formula of :func:`lmmfit.lmm` takes from X.
    by : str, optional
        Grouping factor such as ``"batch:cask"``, or any column of X; by default the only
        grouping factor.
    sample_weight : array-like of shape (n,) or str, optional
        Weights of the rows, or the column that holds them; needed if the fit had weights.
    refit : bool, default=True
        Whether to estimate the covariances anew. False holds theta: exact for the fixed
        effects given theta, and one pass for all levels. It needs groups that share no level
        of a grouping factor.
    n_jobs : int, optional
        Threads for the fits, as joblib counts them; 1 by default.

    Returns
    -------
    Influence

    Raises
    ------
    ValueError
        If ``by`` is missing, unknown or has one level, the rows are not those of the fit, or
        groups are not independent and ``refit=False``.

    References
    ----------
    Cook, R. D. (1977). Detection of influential observation in linear regression.
    Technometrics 19, 15-18.

    Demidenko, E. and Stukel, T. A. (2005). Influence analysis for linear mixed-effects models.
    Statistics in Medicine 24, 893-909.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.influences import influence
    >>> frame = load_sleepstudy(as_frame=True).frame
    >>> found = influence(lmm("Reaction ~ Days + (Days | Subject)", frame), frame)
    >>> largest = found.cooks_distance.argmax()
    >>> found.levels[largest], round(float(found.cooks_distance[largest]), 3)
    ('309', 0.149)
    >>> found.estimates[largest].round(2)
    array([254.13,  10.95])
    """
    fit = fit_of(model)
    _check_residual(model)
    _rank(model)
    given = GroupedRows.check(model, X, y, by, sample_weight)
    found = refit_without(fit, given, n_jobs) if refit else hold_theta(fit, given)
    beta, error, sigma, theta, converged = found
    kept = [j for j in range(len(fit.beta)) if j not in fit.aliased]
    names = tuple(model.design_.layout.fixed_names[j] for j in kept)
    change = fit.beta[kept] - beta[:, kept]
    solved = np.linalg.solve(fit.beta_covariance[np.ix_(kept, kept)], change.T).T
    distance = (change * solved).sum(axis=1) / len(kept)
    return Influence(
        given.by, given.labels, given.counts, names, beta[:, kept], error[:, kept], change,
        distance, sigma, theta, converged, refit,
    )  # fmt: skip


def _residuals(model, rows, y, conditional=True):
    values = rows.response(model, y)
    fitted = predict_rows(model.result_, model.design_, rows.columns, conditional=conditional)
    return values - fitted


def _leverage(model, rows, weights):
    variance = fitted_variance(model.result_, rows.vectors, rows.codes, len(rows))
    return (variance if weights is None else weights * variance) / model.sigma2_


def _distance_from_one(leverage):
    """``1 - h``, NaN where nothing is left."""
    left = 1.0 - leverage
    return np.where(left > 1e-12, left, np.nan)


def _check_residual(model):
    refuse_structure(model, "leverage and influence are not defined")
    if not model.sigma2_ > 0.0:
        raise ValueError(
            "the fit leaves no residual variance: leverage and influence have no meaning."
        )


def _rank(model):
    """Number of fixed effects that were not dropped."""
    p = len(model.result_.beta) - len(model.result_.aliased)
    if not p:
        raise ValueError("the model has no fixed effects, and Cook's distance is about them.")
    return p
