"""The rows of a fit, given again: the model keeps products and no rows."""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed.columns import ArrayColumns, as_columns
from lmmfit.mixed.design import evaluate_expression, require_column
from lmmfit.mixed.terms import split_formula

__all__ = ["GivenRows", "columns_of", "refuse_structure", "response_of"]


@dataclass(frozen=True, eq=False)
class GivenRows:
    """Checked rows of a fitted model.

    Attributes
    ----------
    columns : PandasColumns, FrameColumns or ArrayColumns
    vectors : list of ndarray of shape (n,)
        The columns of V, None for ones.
    codes : list of ndarray of shape (n,), int64
        Level of each row, by factor.
    """

    columns: object
    vectors: list
    codes: list

    @classmethod
    def check(cls, model, X):
        """View X as the model does; every value finite and every level known.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted.
        X : data frame or array-like of shape (n, n_features)

        Returns
        -------
        GivenRows
        """
        columns, design = columns_of(model, X), model.design_
        vectors = design.vectors(columns)
        for name, vector in zip(design.layout.columns, vectors, strict=True):
            if vector is not None:
                _check_finite(f"column {name!r}", vector)
        codes = design.find(columns, model.statistics_.factor_levels)
        for own, names in zip(codes, design.factors, strict=True):
            if (own < 0).any():
                row = int(np.argmin(own))
                label = ":".join(str(_value(columns.raw(name), row)) for name in names)
                raise ValueError(
                    f"level {label!r} of {':'.join(names)!r} in row {row} was not there at fit; "
                    "residuals and influence are those of the rows of the fit."
                )
        return cls(columns, vectors, codes)

    def __len__(self):
        return len(self.columns)

    def response(self, model, y):
        """Response of the rows: y, or what the model's formula takes from X.

        Parameters
        ----------
        model : LinearMixedModel
        y : array-like of shape (n,) or None

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            If y is None and the model has no formula, or a value is not finite.
        """
        if y is not None:
            values = response_of(model, y, len(self))[0]
        elif hasattr(model, "formula_"):
            values = evaluate_expression(
                split_formula(model.formula_)[0], self.columns, "the response"
            )
        else:
            raise ValueError(
                "y is missing: only a model made by lmm() can take the response from the frame."
            )
        _check_finite("the response", values)
        return values

    def weights(self, model, sample_weight):
        """Weights of the rows, or None.

        Parameters
        ----------
        model : LinearMixedModel
        sample_weight : array-like of shape (n,), str or None
            A string names a column of X.

        Returns
        -------
        ndarray of shape (n,) or None

        Raises
        ------
        ValueError
            If there are none and the model was fitted with some, or one is bad.
        """
        if sample_weight is None:
            statistics = model.statistics_
            total = statistics.weight * statistics.basis.weight_unit
            if statistics.sum_log_weight != 0.0 or not np.isclose(total, statistics.n_rows):
                raise ValueError(
                    "the model was fitted with weights; give those of the rows as sample_weight "
                    "(an array, or the name of a column of X)."
                )
            return None
        if isinstance(sample_weight, str):
            require_column(sample_weight, self.columns, "sample_weight names")
            sample_weight = self.columns.numeric(sample_weight)
        weights = np.asarray(sample_weight, dtype=np.float64)
        if weights.shape != (len(self),):
            raise ValueError(f"sample_weight must have shape ({len(self)},), got {weights.shape}.")
        good = np.isfinite(weights) & (weights >= 0.0)
        if not good.all():
            row = int(np.argmin(good))
            raise ValueError(
                f"sample_weight must be finite and not negative; row {row} has {weights[row]}."
            )
        return weights


def columns_of(model, X):
    """View X by columns, under the names that the model knows.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    X : data frame or array-like of shape (n, n_features)

    Returns
    -------
    PandasColumns, FrameColumns or ArrayColumns
    """
    columns = as_columns(X)
    if columns is not None:
        return columns
    return ArrayColumns(np.asarray(X), getattr(model, "feature_names_in_", None))


def response_of(model, y, n_rows):
    """Values and name of the response.

    Parameters
    ----------
    model : LinearMixedModel
    y : array-like of shape (n_rows,)
    n_rows : int

    Returns
    -------
    values : ndarray of shape (n_rows,)
    name : str

    Raises
    ------
    ValueError
        If y does not have one value for each row of X.
    """
    values = np.asarray(y, dtype=np.float64)
    if values.shape != (n_rows,):
        raise ValueError(f"y must have one value for each of the {n_rows} rows of X, got shape "
                         f"{values.shape}.")  # fmt: skip
    name = getattr(y, "name", None)
    if name is None and hasattr(model, "formula_"):
        name = model.formula_.split("~")[0].strip()
    return values, str(name) if name is not None else "response"


def refuse_structure(model, what):
    """Raise a ValueError if the residuals of a model have a structure of their own.

    Parameters
    ----------
    model : LinearMixedModel
    what : str
        What cannot be computed, for the message.
    """
    structure = getattr(model, "residual_", None)
    if structure is not None:
        raise ValueError(
            f"{what} for a model with a residual structure ({model.residual!r}): its residuals "
            "have no common variance."
        )


def _check_finite(what, values):
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        kind = "NaN" if np.isnan(values[row]) else "infinity"
        raise ValueError(f"{what} contains {kind}, first in row {row}: drop such rows, as lmm().")


def _value(column, row):
    return column.iloc[row] if hasattr(column, "iloc") else column[row]
