"""Inference for fixed effects over a fitted model."""

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from lmmfit.mixed.degrees import small_sample
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.table import Table

__all__ = ["coefficient_table", "wald_intervals"]


def coefficient_table(model, ddf="satterthwaite"):
    """Estimates, standard errors, statistics and p-values of the fixed effects.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, default="satterthwaite"
        Degrees of freedom of the t statistics; the standard normal is right for many groups.
        Kenward and Roger's method enlarges the standard errors too.

    Returns
    -------
    Table
        Columns name, estimate, std_error, df, statistic, p_value (two-sided).

    Raises
    ------
    ValueError
        If ``ddf`` is not one of those above, or Kenward-Roger is asked of a fit by ML.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import coefficient_table
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> print(coefficient_table(model))
    name         estimate  std_error      df  statistic   p_value
    (Intercept)    251.41     6.8246  17.000     36.838    <1e-16
    Days           10.467     1.5458  17.000     6.7715  3.26e-06
    """
    distribution = small_sample(model, ddf)
    effects = model.fixed_effects_
    p = len(model.result_.beta)
    kept = [j for j in range(p) if j not in model.result_.aliased]
    std_error = np.sqrt(distribution.covariance.diagonal()[kept])
    df = distribution.df(np.eye(p)[kept])
    with np.errstate(divide="ignore", invalid="ignore"):  # an exact fit has no errors
        statistic = effects["estimate"] / std_error
    return Table(
        {
            "name": effects["name"],
            "estimate": effects["estimate"],
            "std_error": std_error,
            "df": df,
            "statistic": statistic,
            "p_value": two_sided(statistic, df),
        }
    )


def two_sided(statistic, df):
    """Two-sided p-values of t statistics; the normal distribution for infinite df."""
    size = -np.abs(statistic)
    finite = np.isfinite(df)
    return 2.0 * np.where(finite, stdtr(np.where(finite, df, 1.0), size), ndtr(size))


def wald_intervals(model, level=0.95):
    """Wald confidence intervals of the fixed effects.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    level : float, default=0.95
        Confidence level, between 0 and 1.

    Returns
    -------
    Table
        Columns name, lower, upper.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import wald_intervals
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> print(wald_intervals(model))
    name          lower   upper
    (Intercept)  238.03  264.78
    Days         7.4376  13.497
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95, got {level}.")
    fit_of(model)
    effects = model.fixed_effects_
    half = ndtri(0.5 + 0.5 * level) * effects["std_error"]
    return Table(
        {
            "name": effects["name"],
            "lower": effects["estimate"] - half,
            "upper": effects["estimate"] + half,
        }
    )
