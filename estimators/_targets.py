"""The response and the weights of a fit, checked."""

import numpy as np
from sklearn.utils.validation import _check_sample_weight, check_array, column_or_1d

from lmmfit.estimators import _many


def check_targets(model, y, sample_weight, columns, earlier=None):
    """Check the response, or responses, and the weights.

    Parameters
    ----------
    model : LinearMixedModel
        Learns the names of many responses.
    y : array-like of shape (n,) or (n, k)
    sample_weight : array-like of shape (n,) or None
    columns : FrameColumns or ArrayColumns
    earlier : MixedStatistics or CrossedStatistics, optional
        Those that ``partial_fit`` adds to.

    Returns
    -------
    y : ndarray of shape (n,) or (n, k)
    sample_weight : ndarray of shape (n,) or None

    Raises
    ------
    ValueError
        If shapes do not agree or a value is no number.
    """
    if y is None:
        raise ValueError(
            f"requires y to be passed, but the target y is None: {type(model).__name__} is "
            "a regressor."
        )
    if _many.is_many(y):
        if earlier is not None or model.residual is not None:
            what = "partial_fit" if earlier is not None else "a residual structure"
            raise ValueError(f"{what} takes one response, got y of shape {np.shape(y)}.")
        model.response_names_ = _many.response_names(y)
    values = y.to_numpy() if hasattr(y, "to_numpy") else y
    plain = isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiub"
    if hasattr(model, "response_names_"):
        y = check_array(values, dtype=np.float64, ensure_all_finite=False, input_name="y")
    elif not plain:
        y = column_or_1d(y, dtype=np.float64, warn=True)
    else:
        y = values
    y = np.asarray(y, dtype=np.float64)
    if len(y) != len(columns):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"X has {len(columns)} rows and y {len(y)}."
        )
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, y, dtype=np.float64)
    return y, sample_weight
