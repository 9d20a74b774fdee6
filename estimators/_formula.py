"""Mixed models from one formula."""

import warnings

import narwhals as nw
import numpy as np

from lmmfit.estimators._mixed import LinearMixedModel
from lmmfit.mixed.columns import FrameColumns
from lmmfit.mixed.design import evaluate_expression
from lmmfit.mixed.formula import needed_columns
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
        Further parameters of :class:`LinearMixedModel`.

    Returns
    -------
    LinearMixedModel
        Fitted; ``formula_`` keeps the formula. Predict takes data frames with the columns
        that the right-hand side mentions.

    Raises
    ------
    ValueError
        If the formula does not parse, or names a column that the data do not have.
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
    frame = nw.from_native(data, eager_only=True)
    if isinstance(sample_weight, str):
        _require(sample_weight, frame, "sample_weight")
        sample_weight = frame.get_column(sample_weight).to_numpy()
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weight is not None and weight.shape != (len(frame),):
        raise ValueError(
            f"sample_weight must have one value for each of the {len(frame)} rows of data, got "
            f"shape {weight.shape}."
        )
    needed = needed_columns(formula, frame.columns)
    frame, weight = _drop_missing(frame.select(needed), weight)
    columns = FrameColumns(frame)
    y = evaluate_expression(response, columns, "the response")
    model = LinearMixedModel(random, fixed=fixed, method=method, **parameters)
    model.fit(frame.to_native(), y, sample_weight=weight)
    model.formula_ = formula
    return model


def _drop_missing(frame, weight):
    """Drop rows in which a needed value is missing, and say how many."""
    missing = np.zeros(len(frame), dtype=bool)
    culprits = []
    for name in frame.columns:
        series = frame.get_column(name)
        own = series.is_null()
        if series.dtype.is_float():
            own = own | series.is_nan()
        if own.any():
            culprits.append(name)
            missing |= own.to_numpy()
    if weight is not None and np.isnan(weight).any():
        culprits.append("sample_weight")
        missing |= np.isnan(weight)
    if not culprits:
        return frame, weight
    warnings.warn(
        f"{int(missing.sum())} of {len(frame)} rows were dropped: values are missing in "
        f"{culprits}.", UserWarning, 3,
    )  # fmt: skip
    keep = ~missing
    return frame.filter(keep.tolist()), None if weight is None else weight[keep]


def _require(name, frame, what):
    if name not in frame.columns:
        raise ValueError(f"{what} names the column {name!r}; the columns are {frame.columns}.")
