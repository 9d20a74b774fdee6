"""Tables as the estimator of a sparse gain takes them: one, several, or none."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from lmmfit.riccati.kalman import series_of

__all__ = ["read_tables"]


def read_tables(model, X, U, kind, *, reset=False):
    """Checked series and inputs, as lists, and whether they were given so.

    Parameters
    ----------
    model : SparseGainEstimator
    X : array-like of shape (T, columns), list of such, or None
        None only for a fit.
    U : array-like, list of such, or None
    kind : {"filter", "regulator"}
        A regulator has no use for states that are missing.
    reset : bool
        Whether this is a fit, which decides on the columns.

    Returns
    -------
    series : list of ndarray
        Empty where X is None.
    inputs : list of array-like or None
    many : bool

    Raises
    ------
    ValueError
        If a table is not of numbers, or has other columns than that of fit.
    """
    if reset and X is None:
        if U is not None:
            raise ValueError("U was given without X: the inputs are those of its rows.")
        return [], [], False
    finite = True if kind == "regulator" else "allow-nan"
    options = {"dtype": np.float64, "order": "C", "ensure_all_finite": finite}
    tables, inputs, many = series_of(X, U)
    if not reset and not model._seen_a_table:  # of columns without names: any names will do
        tables = [check_array(table, **options, estimator=model) for table in tables]
    series = [
        validate_data(model, table, reset=reset and i == 0, **options)
        for i, table in enumerate(tables)
    ]
    return series, inputs, many
