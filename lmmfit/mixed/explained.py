"""How much of the variance a fitted model explains, and its information criteria.

The variance of a response splits into that of the fixed predictions ``X beta``, that of the
random effects ``z'b`` averaged over the rows, and the residual variance (Nakagawa and
Schielzeth 2013; Johnson 2014 for random slopes). All three follow from the cross-products that
the model keeps.
"""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed._given_rows import columns_of, refuse_structure
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.layout import principal
from lmmfit.mixed.table import Table

__all__ = [
    "InformationCriteria",
    "VarianceExplained",
    "icc",
    "information_criteria",
    "variance_explained",
]


@dataclass(frozen=True, eq=False)
class VarianceExplained:
    """Shares of the variance of the response.

    Attributes
    ----------
    r2_marginal : float
        Share of the fixed effects.
    r2_conditional : float
        Share of fixed and random effects.
    icc_adjusted : float
        Random over random and residual variance.
    icc_unadjusted : float
        Share of the random effects.
    fixed : float
        Variance of ``X beta`` over the rows.
    random : float
        Variance of the random effects, averaged over the rows.
    residual : float
        Residual variance (of a row of weight 1).
    terms : Table
        Columns term, variance, share: the random variance by term. Terms of one grouping
        factor are named as in ``cov_re_``.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.explained import variance_explained
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> print(variance_explained(model))
    R2 marginal 0.2787  R2 conditional 0.7992  ICC adjusted 0.7217  ICC unadjusted 0.5206
    source    variance   share
    fixed        909.0  0.2787
    Subject       1698  0.5206
    residual     654.9  0.2008
    """

    r2_marginal: float
    r2_conditional: float
    icc_adjusted: float
    icc_unadjusted: float
    fixed: float
    random: float
    residual: float
    terms: Table

    def __str__(self):
        total = self.fixed + self.random + self.residual
        ends = _shares(np.array([self.fixed, self.residual]), total)
        table = Table(
            {
                "source": ["fixed", *self.terms["term"], "residual"],
                "variance": [self.fixed, *self.terms["variance"], self.residual],
                "share": [ends[0], *self.terms["share"], ends[1]],
            },
            digits=4,
        )
        head = (
            f"R2 marginal {self.r2_marginal:.4f}  R2 conditional {self.r2_conditional:.4f}  "
            f"ICC adjusted {self.icc_adjusted:.4f}  ICC unadjusted {self.icc_unadjusted:.4f}"
        )
        return f"{head}\n{table}"

    __repr__ = __str__


def variance_explained(model, X=None):
    """Marginal and conditional R2, and intraclass correlations, of a fitted model.

    With ``f`` the variance of ``X beta`` over the rows (divisor n - 1; offsets do not count),
    ``r`` the mean over the rows of ``z' Sigma z`` and ``s`` the residual variance,
    ``r2_marginal = f / (f + r + s)``, ``r2_conditional = (f + r) / (f + r + s)``,
    ``icc_adjusted = r / (r + s)`` and ``icc_unadjusted = r / (f + r + s)``.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    X : data frame or array-like of shape (n, n_features), optional
        The rows to take means over. By default those of the fit, of which only products are
        kept: the means are then weighted by the weights of the fit, if it had any. With rows
        every row counts the same, as in the literature and in R.

    Returns
    -------
    VarianceExplained

    Raises
    ------
    ValueError
        If X is missing and the model has no intercept at all: the mean of ``X beta`` is not
        among the products then; or if the model has a residual structure.

    References
    ----------
    Nakagawa, S. and Schielzeth, H. (2013). A general and simple method for obtaining R2 from
    generalized linear mixed-effects models. Methods in Ecology and Evolution 4, 133-142.

    Johnson, P. C. D. (2014). Extension of Nakagawa and Schielzeth's R2GLMM to random slopes
    models. Methods in Ecology and Evolution 5, 944-946.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_penicillin
    >>> from lmmfit.mixed.explained import variance_explained
    >>> frame = load_penicillin(as_frame=True).frame
    >>> found = variance_explained(lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", frame))
    >>> round(found.r2_marginal, 4), round(found.r2_conditional, 4)
    (0.0, 0.9363)
    >>> found.terms["share"].round(4)
    array([0.1509, 0.7854])
    """
    refuse_structure(model, "the variance explained is not defined")
    fixed, by_term = _from_statistics(model) if X is None else _from_rows(model, X)
    random, residual = float(by_term.sum()), float(model.sigma2_)
    total = fixed + random + residual
    shares = _shares(np.array([fixed, fixed + random, random]), total).tolist()
    return VarianceExplained(
        shares[0], shares[1], float(_shares(random, random + residual)), shares[2],
        fixed, random, residual,
        Table({"term": np.array(list(model.cov_re_), dtype=object), "variance": by_term,
               "share": _shares(by_term, total)}),
    )  # fmt: skip


def icc(model):
    """Intraclass correlation of each grouping factor of a fitted model.

    The share of the factor's variance in that of all random effects and the residual: the
    correlation of two rows that share the level of this factor and no other. With slopes, the
    variance of a factor is ``z' Sigma z``, averaged over the rows of the fit.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.

    Returns
    -------
    Table
        Columns group, variance, icc.

    Raises
    ------
    ValueError
        If the model has a residual structure.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_pastes
    >>> from lmmfit.mixed.explained import icc
    >>> print(icc(lmm("strength ~ 1 + (1 | batch/cask)", load_pastes(as_frame=True).frame)))
    group       variance      icc
    batch:cask    8.4337  0.78314
    batch         1.6573  0.15390
    """
    refuse_structure(model, "intraclass correlations are not defined")
    layout, by_term = model.design_.layout, _random_variances(model)
    variance = np.zeros(layout.n_factors)
    np.add.at(variance, list(layout.owners), by_term)
    names = [":".join(names) for names in model.design_.factors]
    share = _shares(variance, variance.sum() + model.sigma2_)
    return Table({"group": np.array(names, dtype=object), "variance": variance, "icc": share})


@dataclass(frozen=True)
class InformationCriteria:
    """Information criteria of a fit; smaller is better.

    Attributes
    ----------
    loglik : float
        Log-likelihood, the restricted one for REML.
    n_parameters : int
        Fixed effects, theta and the residual variance.
    n_rows : int
        Rows with a positive weight.
    aic : float
        Akaike's criterion.
    aicc : float
        The same corrected for few rows; infinite where there are too few.
    bic : float
        Schwarz's criterion, with the number of rows.

    Examples
    --------
    >>> from lmmfit.mixed.explained import InformationCriteria
    >>> InformationCriteria(-100.0, 3, 50, 206.0, 206.522, 211.736).bic
    211.736
    """

    loglik: float
    n_parameters: int
    n_rows: int
    aic: float
    aicc: float
    bic: float


def information_criteria(model):
    """AIC, corrected AIC and BIC of a fitted model, by the conventions of lme4.

    With k parameters, n rows and the maximised log-likelihood l they are ``2k - 2l``,
    ``2k - 2l + 2k(k + 1) / (n - k - 1)`` (Hurvich and Tsai 1989) and ``k log(n) - 2l``.
    Criteria of REML fits can be compared only between models with the same fixed effects.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.

    Returns
    -------
    InformationCriteria

    References
    ----------
    Hurvich, C. M. and Tsai, C.-L. (1989). Regression and time series model selection in small
    samples. Biometrika 76, 297-307.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_dyestuff
    >>> from lmmfit.mixed.explained import information_criteria
    >>> frame = load_dyestuff(as_frame=True).frame
    >>> found = information_criteria(lmm("Yield ~ 1 + (1 | Batch)", frame, method="ml"))
    >>> found.n_parameters, round(found.aic, 3), round(found.aicc, 3), round(found.bic, 3)
    (3, 333.327, 334.25, 337.531)
    """
    fit = fit_of(model)
    k, n = fit.n_parameters, fit.statistics.n_rows
    aic = fit.deviance + 2 * k
    spare = n - k - 1
    aicc = aic + 2 * k * (k + 1) / spare if spare > 0 else np.inf
    bic = fit.deviance + k * np.log(n)
    return InformationCriteria(fit.loglik, k, n, float(aic), float(aicc), float(bic))


def _from_statistics(model):
    """Variance of the fixed predictions, and the mean variance of each term, from products."""
    statistics = model.statistics_
    layout, basis, n = statistics.layout, statistics.basis, statistics.n_rows
    if not layout.fixed:
        return 0.0, _random_variances(model)
    if layout.intercept is None:
        raise ValueError(
            "the model has no intercept, fixed or random, so that its statistics do not hold the "
            "mean of the fixed predictions; give the rows: variance_explained(model, X)."
        )
    ones = 1.0 / basis.transform[layout.intercept, layout.intercept]
    mean = ones * statistics.total[layout.intercept, list(layout.fixed)] / statistics.weight
    centred = principal(statistics.total, layout.fixed) / statistics.weight - np.outer(mean, mean)
    beta = np.linalg.solve(basis.coefficient_map(layout, layout.fixed), model.result_.beta)
    variance = max(float(beta @ centred @ beta), 0.0) * n / max(n - 1, 1)
    return variance, _random_variances(model)


def _random_variances(model):
    """Mean over the rows of ``z' Sigma z`` for each term, from products."""
    fit, statistics = fit_of(model), model.statistics_
    layout = statistics.layout
    half = np.linalg.solve(statistics.basis.random_map(layout), fit.lambda_)
    second = principal(statistics.total, layout.random) / statistics.weight
    spread = fit.sigma2 * (half * (second @ half)).sum(axis=0)
    return np.array([spread[start:stop].sum() for start, stop in layout.blocks])


def _from_rows(model, X):
    """The same from rows, each of which counts the same."""
    fit, layout = fit_of(model), model.design_.layout
    columns = columns_of(model, X)
    vectors, n = model.design_.vectors(columns), len(columns)
    values = [np.ones(n) if vector is None else vector for vector in vectors]
    fixed = sum(
        (beta * values[j] for beta, j in zip(fit.beta, layout.fixed, strict=True)), np.zeros(n)
    )
    by_term = np.zeros(len(layout.blocks))
    for k, ((start, stop), cov) in enumerate(
        zip(layout.blocks, fit.block_covariances, strict=True)
    ):
        z = np.column_stack([values[j] for j in layout.random[start:stop]])
        by_term[k] = np.einsum("na,ab,nb->n", z, cov, z).mean()
    return float(fixed.var(ddof=1)) if n > 1 else 0.0, by_term


def _shares(part, total):
    """Parts of a total; NaN where there is no variance at all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part) / np.float64(total)
