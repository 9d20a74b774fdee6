"""Targets of a network: how y becomes columns of numbers, and predictions become y again."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

__all__ = ["as_targets", "make_responses"]


def make_responses(loss, y, classes=None):
    """Choose how to encode y.

    Parameters
    ----------
    loss : str
        Of the estimator.
    y : array-like of shape (n,) or (n, k)
    classes : array-like of shape (n_classes,), optional
        All labels that will ever occur.

    Returns
    -------
    Numbers, Classes or Labels

    Raises
    ------
    ValueError
        If y does not suit the loss, or has one class.
    """
    if loss != "log_loss":
        return Numbers(np.ndim(y) == 1)
    check_classification_targets(y)
    if type_of_target(y, input_name="y").startswith("multilabel"):
        return Labels(np.shape(y)[1])
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        raise ValueError(
            f"y has {np.shape(y)[1]} columns of several classes each; log_loss takes one column "
            "of classes, or columns of 0 and 1 (several labels). Fit an estimator for each column."
        )
    found = np.unique(column_or_1d(y) if classes is None else classes)
    if len(found) < 2:
        raise ValueError(
            f"log_loss needs at least two classes, y has one class: {found.tolist()[0]!r}."
        )
    return Classes(found)


def as_targets(y):
    """The array behind y, without missing values; sparse indicator matrices stay sparse."""
    y = y if issparse(y) else np.asarray(y)
    assert_all_finite(y.data if issparse(y) else y, input_name="y")
    return y


class Numbers:
    """Responses that are numbers, one column or several."""

    classes = None

    def __init__(self, is_single):
        self.is_single = is_single

    def loss(self, loss):
        """The network's name for the estimator's loss."""
        return loss

    def encode(self, y):
        """Columns of numbers."""
        y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        if (y.ndim == 1) != self.is_single and not (y.ndim == 2 and y.shape[1] == 1):
            raise ValueError(f"y has shape {y.shape}, earlier y had {1 if self.is_single else 2} "
                             "dimensions.")  # fmt: skip
        return y.reshape(len(y), -1)

    def decode(self, outputs):
        """Predictions in the shape of y."""
        return outputs[:, 0] if self.is_single else outputs


class Classes:
    """One label of several classes; a single column where there are two."""

    def __init__(self, classes):
        self.classes = classes

    def loss(self, loss):
        """Softmax for several classes, a logistic output for two."""
        return "binary_log_loss" if len(self.classes) == 2 else "log_loss"

    def encode(self, y):
        """A column of 0 and 1 for each class; for two classes that of the second."""
        y = column_or_1d(y, warn=True)
        at = np.searchsorted(self.classes, y)
        at[at == len(self.classes)] = 0
        unseen = self.classes[at] != y
        if unseen.any():
            row = int(np.argmax(unseen))
            raise ValueError(
                f"y has the label {y[row : row + 1].tolist()[0]!r} in row {row}, which is none "
                f"of the classes seen first: {self.classes.tolist()}."
            )
        if len(self.classes) == 2:
            return at[:, None].astype(np.float64)
        return np.eye(len(self.classes))[at]

    def probabilities(self, outputs):
        """A column for each class."""
        return np.hstack([1.0 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def decode(self, outputs):
        """The most probable class."""
        return self.classes[np.argmax(self.probabilities(outputs), axis=1)]


class Labels:
    """Several labels at once, each there or not."""

    def __init__(self, count):
        self.classes = np.arange(count)

    def loss(self, loss):
        """A logistic output for each label."""
        return "binary_log_loss"

    def encode(self, y):
        """The indicator matrix."""
        y = check_array(y, dtype=np.float64, accept_sparse=True, input_name="y")
        y = y.toarray() if issparse(y) else y
        if y.shape[1] != len(self.classes) or not np.isin(y, (0.0, 1.0)).all():
            raise ValueError(
                f"y must be an indicator matrix of 0 and 1 with {len(self.classes)} columns, got "
                f"shape {y.shape}."
            )
        return y

    def probabilities(self, outputs):
        """The probability that each label is there."""
        return outputs

    def decode(self, outputs):
        """The labels that are more probable than not."""
        return (outputs > 0.5).astype(np.int64)
