"""Analysis of variance: F tests of the terms of one model, and comparisons of several models."""

import numpy as np
from scipy.special import chdtrc

from lmmfit.mixed.degrees import small_sample
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.hypotheses import term_hypotheses
from lmmfit.mixed.solution import fit_statistics
from lmmfit.mixed.summary import describe_model
from lmmfit.mixed.table import Table

__all__ = ["anova"]


def anova(model, *others, type=3, ddf="satterthwaite"):
    """Test the terms of a model, or compare models by likelihood-ratio tests.

    With one model, an F test for each term of its fixed effects; with several, each is
    compared with the one before it, in the order of their numbers of parameters. Models fitted
    by REML are refitted by maximum likelihood for a comparison (from their statistics, the
    data are not needed), because restricted likelihoods of different fixed effects cannot be
    compared; a note says so.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    *others : LinearMixedModel
        Models of the same rows to compare it with.
    type : {1, 2, 3}, default=3
        Type 1: each term after those before it; 2: after all that do not contain it; 3: levels
        averaged over those of other factors with equal weights. ``"I"``, ``"II"`` and
        ``"III"`` mean the same.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, default="satterthwaite"
        Denominator degrees of freedom.

    Returns
    -------
    Table
        Columns term, sum_sq, mean_sq, num_df, den_df, f_value, p_value; or, of several models,
        model, n_parameters, aic, bic, loglik, deviance, chisq, df, p_value.

    Raises
    ------
    ValueError
        If type or ddf is unknown, or the models are not of the same rows.

    References
    ----------
    Kuznetsova, A., Brockhoff, P. B. and Christensen, R. H. B. (2017). lmerTest package: tests
    in linear mixed effects models. Journal of Statistical Software 82(13).

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_machines
    >>> from lmmfit.mixed import anova
    >>> frame = load_machines(as_frame=True).frame
    >>> model = lmm("score ~ Machine + (1 | Worker/Machine)", frame)
    >>> print(anova(model))
    term     sum_sq  mean_sq  num_df  den_df  f_value   p_value
    Machine  38.051   19.025       2  10.000   20.576  0.000286
    >>> print(anova(lmm("score ~ Machine + (1 | Worker)", frame), model))
    model                                   n_parameters     aic     bic   loglik  deviance   chisq  df   p_value
    score ~ Machine + (1 | Worker)                     5  303.70  313.65  -146.85    293.70
    score ~ Machine + (1 | Worker/Machine)             6  237.27  249.20  -112.63    225.27  68.434  1   1.31e-16
    Note: models fitted by REML were refitted by maximum likelihood.
    """  # noqa: E501
    if others:
        return _compare((model, *others))
    distribution, sigma2 = small_sample(model, ddf), model.sigma2_
    tests = {name: distribution.f_test(L) for name, L in term_hypotheses(model, type).items()}
    statistics = np.array([test.statistic for test in tests.values()])
    mean_sq = sigma2 * statistics / np.array([test.scale for test in tests.values()])
    num_df = np.array([test.num_df for test in tests.values()])
    return Table(
        {
            "term": np.array(list(tests), dtype=object),
            "sum_sq": mean_sq * num_df,
            "mean_sq": mean_sq,
            "num_df": num_df.astype(np.int64),
            "den_df": np.array([test.den_df for test in tests.values()]),
            "f_value": statistics,
            "p_value": np.array([test.p_value for test in tests.values()]),
        }
    )


def _compare(models):
    """Likelihood-ratio tests of models, fewest parameters first."""
    refitted = any(fit_of(model).method == "reml" for model in models)
    _check_rows(models)
    fits = [maximum_likelihood(model.result_) for model in models]
    order = sorted(range(len(fits)), key=lambda k: fits[k].n_parameters)
    fits = [fits[k] for k in order]
    n, k = models[0].statistics_.n_rows, np.array([fit.n_parameters for fit in fits])
    deviance = np.array([fit.deviance for fit in fits])
    chisq, df = np.append(np.nan, -np.diff(deviance)), np.append(0, np.diff(k))
    with np.errstate(invalid="ignore"):
        p_value = np.where(df > 0, chdtrc(np.maximum(df, 1), np.maximum(chisq, 0.0)), np.nan)
    p_value[0] = np.nan
    return Table(
        {
            "model": np.array([describe_model(models[k]) for k in order], dtype=object),
            "n_parameters": k,
            "aic": deviance + 2 * k,
            "bic": deviance + np.log(n) * k,
            "loglik": -0.5 * deviance,
            "deviance": deviance,
            "chisq": chisq,
            "df": np.array(["", *df[1:].tolist()], dtype=object),
            "p_value": p_value,
        },
        note="models fitted by REML were refitted by maximum likelihood." if refitted else "",
    )


def maximum_likelihood(fit):
    """The fit by maximum likelihood of the same statistics.

    Parameters
    ----------
    fit : MixedFit

    Returns
    -------
    MixedFit

    Raises
    ------
    ValueError
        If the model has a residual structure, whose parameters were estimated by REML.
    """
    if fit.method == "ml":
        return fit
    if fit.residual is not None:
        raise ValueError(
            f"a REML fit with the residual structure {fit.residual.terms.text!r} cannot be "
            "refitted by maximum likelihood from its statistics: fit the model with method='ml'."
        )
    if "maximum_likelihood" not in fit.__dict__:
        found = fit_statistics(fit.statistics, "ml", start=fit.theta)
        fit.__dict__["maximum_likelihood"] = found
    return fit.__dict__["maximum_likelihood"]


def _check_rows(models):
    """Refuse models whose rows or responses differ, as far as the statistics tell."""
    rows = [model.statistics_.n_rows for model in models]
    if len(set(rows)) > 1:
        raise ValueError(
            f"models to compare must be fitted to the same rows; theirs are {rows} in number. "
            "Drop rows with missing values before fitting them."
        )
    plain = [model for model in models if model.result_.residual is None]
    squares = np.array([_response_square(model.statistics_) for model in plain] or [0.0])
    if np.ptp(squares) > 1e-6 * abs(squares).max():
        raise ValueError(
            "models to compare must have the same response, offset and weights; the sums of "
            f"squares of theirs about the mean are {squares.tolist()}."
        )


def _response_square(statistics):
    """Weighted sum of squares of the response, offsets taken off."""
    layout, basis = statistics.layout, statistics.basis
    fixed = [*layout.fixed, len(layout.columns)]
    direction = np.append(-basis.pilot_fit, 1.0)  # the response before its fit was taken off
    square = direction @ statistics.total[np.ix_(fixed, fixed)] @ direction
    square *= basis.response_scale**2
    if basis.shift[-1] and layout.intercept is not None:
        at = layout.intercept
        unit = basis.transform[at, at]
        total = direction @ statistics.total[fixed, at] / unit * basis.response_scale
        square += 2.0 * basis.shift[-1] * total
        square += basis.shift[-1] ** 2 * statistics.total[at, at] / unit**2
    return float(square * basis.weight_unit)
