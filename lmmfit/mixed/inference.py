"""Inference for fixed effects over a fitted model."""

import numpy as np
from scipy.special import ndtr, ndtri

from lmmfit.mixed.table import Table

__all__ = ["coefficient_table", "wald_intervals"]


def coefficient_table(model, ddf="normal"):
    """Estimates, standard errors, statistics and p-values of the fixed effects.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    ddf : {"normal"}, default="normal"
        Reference distribution of the statistics: the standard normal, right for many groups.

    Returns
    -------
    Table
        Columns name, estimate, std_error, df, statistic, p_value (two-sided).

    Raises
    ------
    ValueError
        If ``ddf`` is not one of those above.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import coefficient_table
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> coefficient_table(model)["statistic"].round(2)
    array([36.84,  6.77])
    """
    if ddf != "normal":
        raise ValueError(f"ddf must be 'normal', got {ddf!r}.")
    effects = model.fixed_effects_
    with np.errstate(divide="ignore", invalid="ignore"):  # an exact fit has no errors
        statistic = effects["estimate"] / effects["std_error"]
    return Table(
        {
            "name": effects["name"],
            "estimate": effects["estimate"],
            "std_error": effects["std_error"],
            "df": np.full(len(effects), np.inf),
            "statistic": statistic,
            "p_value": 2.0 * ndtr(-np.abs(statistic)),
        }
    )


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
    name         lower   upper
    (Intercept)  238.03  264.78
    Days         7.4376  13.497
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}.")
    effects = model.fixed_effects_
    half = ndtri(0.5 + 0.5 * level) * effects["std_error"]
    return Table(
        {
            "name": effects["name"],
            "lower": effects["estimate"] - half,
            "upper": effects["estimate"] + half,
        }
    )
