"""The summary of a fitted model, in the order in which lme4 prints it."""

import html
from dataclasses import dataclass

import numpy as np

from lmmfit.mixed.collinearity import describe_collinearity
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.inference import coefficient_table
from lmmfit.mixed.table import Table

__all__ = ["Summary", "summarize", "variance_table"]

_METHODS = {"reml": "REML", "ml": "maximum likelihood"}


@dataclass(frozen=True, eq=False)
class Summary:
    """What a fit found: ``print`` it, show it in a notebook, or take its tables.

    Attributes
    ----------
    title : str
    model : str
        The formula, or the fixed and random parts.
    criteria : dict of str to float
        Criterion, log-likelihood and information criteria.
    random : Table
        Variances, standard deviations and correlations.
    sizes : str
        Numbers of rows and groups.
    fixed : Table
        Fixed effects with standard errors, statistics and p-values.
    notes : list of str
        What the reader should know: singular or uncertified fits, dropped columns.
    residual : str
        The residual structure; empty where there is none.
    """

    title: str
    model: str
    criteria: dict
    random: Table
    sizes: str
    fixed: Table
    notes: list
    residual: str = ""

    def __str__(self):
        criteria = "  ".join(f"{name} {value:.4f}" for name, value in self.criteria.items())
        parts = [f"{self.title}\n{self.model}", criteria]
        parts.append(f"Random effects:\n{_indent(self.random)}\n{self.sizes}")
        parts += [self.residual] * bool(self.residual)
        parts.append(f"Fixed effects:\n{_indent(self.fixed)}")
        parts += [f"Note: {note}" for note in self.notes]
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self):
        criteria = "".join(
            f"<td><b>{html.escape(name)}</b> {value:.4f}</td>"
            for name, value in self.criteria.items()
        )
        notes = "".join(f"<p><b>Note:</b> {html.escape(note)}</p>" for note in self.notes)
        residual = f"<pre>{html.escape(self.residual)}</pre>" if self.residual else ""
        return (
            f"<div><h4>{html.escape(self.title)}</h4><p><code>{html.escape(self.model)}</code></p>"
            f"<table><tr>{criteria}</tr></table>"
            f"<p><b>Random effects</b></p>{self.random._repr_html_()}<p>{html.escape(self.sizes)}"
            f"</p>{residual}<p><b>Fixed effects</b></p>{self.fixed._repr_html_()}{notes}</div>"
        )


def summarize(model, ddf="satterthwaite"):
    """Summarise a fitted linear mixed model.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, default="satterthwaite"
        Degrees of freedom of the tests of fixed effects.

    Returns
    -------
    Summary

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_dyestuff
    >>> print(lmm("Yield ~ 1 + (1 | Batch)", load_dyestuff(as_frame=True).frame).summary())
    Linear mixed model fitted by REML
    Yield ~ 1 + (1 | Batch)
    <BLANKLINE>
    REML criterion 319.6543  logLik -159.8271  AIC 325.6543  BIC 329.8579
    <BLANKLINE>
    Random effects:
      group     effect       variance  std_dev
      Batch     (Intercept)    1764.0   42.001
      residual                 2451.3   49.510
    30 rows; Batch: 6 levels
    <BLANKLINE>
    Fixed effects:
      name         estimate  std_error      df  t_value   p_value
      (Intercept)    1527.5     19.383  5.0000   78.804  6.23e-09
    """
    fit = fit_of(model)
    n, k = fit.statistics.n_rows, fit.n_parameters
    name = "REML criterion" if fit.method == "reml" else "-2 logLik"
    criteria = {
        name: fit.deviance,
        "logLik": fit.loglik,
        "AIC": fit.deviance + 2 * k,
        "BIC": fit.deviance + np.log(n) * k,
    }
    kind = "Linear mixed model" if model.design_.terms else "Linear model"
    coefficients = coefficient_table(model, ddf)
    fixed = {column: coefficients[column] for column in ("name", "estimate", "std_error")}
    if ddf != "normal":
        fixed["df"] = coefficients["df"]
    fixed["z_value" if ddf == "normal" else "t_value"] = coefficients["statistic"]
    fixed["p_value"] = coefficients["p_value"]
    sizes = f"{n} rows"
    for levels in fit.statistics.factor_levels:
        sizes += f"; {':'.join(levels.names)}: {len(levels)} levels"
    return Summary(
        f"{kind} fitted by {_METHODS[fit.method]}", describe_model(model), criteria,
        variance_table(model), sizes, Table(fixed), _notes(model), _describe_residual(model),
    )  # fmt: skip


def variance_table(model):
    """Variances, standard deviations and correlations of the random effects.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.

    Returns
    -------
    Table
        Columns group, effect, variance, std_dev, and one for the correlations with each
        earlier effect of the term; the residual comes last.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import variance_table
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> variance_table(model)["std_dev"].round(3)
    array([24.74 ,  5.922, 25.592])
    """
    fit_of(model)
    layout, rows = model.design_.layout, []
    width = 0
    for (group, covariance), (start, stop) in zip(
        model.cov_re_.items(), layout.blocks, strict=True
    ):
        sd = np.sqrt(np.diag(covariance))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = covariance / np.outer(sd, sd)
        for a, effect in enumerate(layout.random_names[start:stop]):
            earlier = correlation[a, :a].tolist()
            width = max(width, len(earlier))
            rows.append((group if a == 0 else "", effect, covariance[a, a], sd[a], earlier))
    rows.append(("residual", "", model.sigma2_, np.sqrt(model.sigma2_), []))
    columns = {
        "group": [row[0] for row in rows],
        "effect": [row[1] for row in rows],
        "variance": np.array([row[2] for row in rows]),
        "std_dev": np.array([row[3] for row in rows]),
    }
    for j in range(width):
        name = "corr" if j == 0 else f"corr_{j + 1}"
        columns[name] = np.array([row[4][j] if j < len(row[4]) else np.nan for row in rows])
    return Table(columns)


def describe_model(model):
    """The formula of a model, or one made of its fixed and random parts.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.

    Returns
    -------
    str
    """
    if hasattr(model, "formula_"):
        return model.formula_
    fixed = model.fixed
    if fixed is None:
        fixed = " + ".join(name for name in model.design_.layout.fixed_names[:8])
        hidden = len(model.design_.layout.fixed) - 8
        fixed += f" + ... ({hidden} more)" * (hidden > 0)
    return f"y ~ {fixed.replace('(Intercept)', '1') or '0'}" + (
        f" + {model.random}" if model.random else ""
    )


def _describe_residual(model):
    structure = model.result_.residual
    if structure is None:
        return ""
    head = f"Residual structure {structure.terms.text}"
    if structure.strata:
        head += f" (the residual above is that of {structure.strata[0]})"
    return f"{head}:\n{_indent(structure.table)}"


def _notes(model):
    notes = []
    if model.singular_:
        keys = list(model.cov_re_)
        where = "; ".join(f"{keys[zero.block]}: {zero}" for zero in model.boundary_report_)
        notes.append(
            f"the fit is singular: no variance is left for {where}. The optimum is certified: "
            "more variance there would fit worse. A simpler random part describes the data as "
            "well."
        )
    told = describe_collinearity(model.statistics_, bool(model.aliased_))
    if model.aliased_:
        notes.append(
            f"dropped, because the other columns determine them: {model.aliased_}: {told}."
        )
    elif told:
        notes.append(f"the fixed effects are nearly collinear: {told}.")
    if model.result_.saturated:
        notes.append("the fixed effects fit the response exactly; the likelihood is unbounded.")
    if not model.converged_:
        notes.append(f"no optimum was certified: {model.result_.reason}.")
    return notes


def _indent(table):
    return "\n".join(f"  {line}" for line in str(table).splitlines())
