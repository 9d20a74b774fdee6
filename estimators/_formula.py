"""Mixed models from one formula."""

import warnings

import numpy as np

from lmmfit.estimators._mixed import LinearMixedModel
from lmmfit.mixed.columns import as_columns
from lmmfit.mixed.design import evaluate_expression, require_column
from lmmfit.mixed.formula import needed_columns
from lmmfit.mixed.residual import residual_columns
from lmmfit.mixed.terms import split_formula


def lmm(formula, data, *, method="reml", sample_weight=None, **parameters):
    """Fit a linear mixed model from a formula.

    Parameters
    ----------
    formula : str
        ``"response ~ fixed + (lhs | group)"``: the fixed part in the grammar of formulaic
        (categorical columns, interactions ``a * b``, ``I(x**2)``, ``log(x)``,
        ``offset(v)``), the random terms in that of lme4.
    data : data frame
        pandas, polars, pyarrow or any other that narwhals reads.
    method : {"reml", "ml"}, default="reml"
    sample_weight : array-like of shape (n,) or str, optional
        Inverse relative variances of the residuals, or the column that holds them.
    **parameters
        Further parameters of :class:`LinearMixedModel`, such as ``residual="ident(s)"``.

    Returns
    -------
    LinearMixedModel
        Fitted; ``formula_`` keeps the formula. Predict takes data frames with the columns
        that the right-hand side mentions.

    Raises
    ------
    ValueError
        If the formula does not parse, or names a column that the data do not have.
    TypeError
        If the formula is no string or data no data frame.
    ImportError
        If the fixed part needs formulaic and it is not installed.

    Warns
    -----
    UserWarning
        If rows were dropped because a value was missing; it counts them.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> print(model.fixed_effects_)
    name         estimate  std_error
    (Intercept)    251.41     6.8246
    Days           10.467     1.5458
    """
    response, fixed, random = split_formula(formula)
    columns = as_columns(data)
    if columns is None:
        raise TypeError(
            "data must be a data frame (pandas, polars, pyarrow, ...) with columns named by "
            f"strings, got {type(data).__name__}."
        )
    if isinstance(sample_weight, str):
        require_column(sample_weight, columns, "sample_weight names")
        if not columns.is_numeric(sample_weight):
            raise ValueError(f"the column {sample_weight!r} of sample_weight holds no numbers.")
        sample_weight = columns.numeric(sample_weight)
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weight is not None and weight.shape != (len(columns),):
        raise ValueError(
            f"sample_weight must have one value for each of the {len(columns)} rows of data, got "
            f"shape {weight.shape}."
        )
    needed = {*needed_columns(formula, columns.names)}
    needed.update(residual_columns(parameters.get("residual")))
    needed = [name for name in columns.names if name in needed]
    columns, weight = _drop_missing(columns, needed, weight)
    y = evaluate_expression(response, columns, "the response")
    model = LinearMixedModel(random, fixed=fixed, method=method, **parameters)
    model.fit(columns, y, sample_weight=weight)
    model.formula_ = formula
    return model


def _drop_missing(columns, needed, weight):
    """Drop rows in which a needed value is missing, and say how many."""
    flags = {name: columns.missing(name) for name in needed}
    if weight is not None and np.isnan(weight).any():
        flags["sample_weight"] = np.isnan(weight)
    culprits = [name for name, missing in flags.items() if missing is not None]
    if not culprits:
        return columns, weight
    keep = ~np.logical_or.reduce([flags[name] for name in culprits])
    warnings.warn(
        f"{int((~keep).sum())} of {len(columns)} rows were dropped: values are missing in "
        f"{culprits}.", UserWarning, 3,
    )  # fmt: skip
    return columns.select(needed).filter(keep), None if weight is None else weight[keep]
