"""The network of an estimator and the data it is trained on."""

from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight

from lmmfit import curvature
from lmmfit.estimators._responses import as_targets

__all__ = [
    "check_rows", "choose_network", "continue_network", "make_objective", "row_weights",
    "split_rows", "with_mask",
]  # fmt: skip

_FIRST = 3.0  # penalty that the search for the one of largest evidence begins with


def check_rows(X, Y, weight):
    """Refuse numbers of rows that differ, and rows that all have weight 0.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    Y : ndarray of shape (n, n_out)
    weight : ndarray of shape (n,)
    """
    if len(Y) != len(X):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"X has {len(X)} rows and y {len(Y)}."
        )
    if not weight.sum() > 0.0:
        raise ValueError("sample_weight is zero for every row: nothing is left to fit.")


def row_weights(model, y, sample_weight, X):
    """Weights of the rows, those of their classes included.

    Parameters
    ----------
    model : SecondOrderMLP
    y : ndarray of shape (n,) or (n, k)
    sample_weight : array-like of shape (n,) or None
    X : ndarray of shape (n, n_features)

    Returns
    -------
    ndarray of shape (n,)
    """
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if model.class_weight is not None:
        if model.loss != "log_loss":
            raise ValueError(f"class_weight is for loss='log_loss', not {model.loss!r}.")
        weight = weight * compute_sample_weight(model.class_weight, y)
    return weight


def choose_network(model, X, Y, weight):
    """Set the classes, the network and the scaling of a model that begins anew.

    Parameters
    ----------
    model : SecondOrderMLP
    X : ndarray of shape (n, n_features)
    Y : ndarray of shape (n, n_out)
    weight : ndarray of shape (n,)
    """
    if model._responses.classes is not None:
        model.classes_ = model._responses.classes
    model.network_ = _network(model, X.shape[1], Y.shape[1])
    model.network_.loss_function.check(Y)
    if model.standardize:
        rows = curvature.merge_rows(X, Y, weight)
        numbers = model.loss in ("squared_error", "huber")
        model.scaling_ = curvature.Scaling.of(*rows, targets=numbers)
    else:
        model.scaling_ = curvature.Scaling.none(X.shape[1], Y.shape[1])


def continue_network(model, Y):
    """Take over changed settings; refuse to go on with a network of another shape.

    Parameters
    ----------
    model : SecondOrderMLP
    Y : ndarray of shape (n, n_out)
    """
    before = model.network_
    wanted = _network(model, model.n_features_in_, Y.shape[1])
    if wanted.layer_sizes != before.layer_sizes or wanted.loss != before.loss:
        raise ValueError(
            f"training goes on with the network as it was, layer sizes {before.layer_sizes} and "
            f"loss {before.loss!r}; they are {wanted.layer_sizes} and {wanted.loss!r} now. Fit "
            "anew, with warm_start=False."
        )
    if model.alpha == "evidence":
        wanted = replace(wanted, alpha=before.alpha)
    model.network_ = wanted


def make_objective(model, X, Y, weight, network=None):
    """The network with scaled data.

    Parameters
    ----------
    model : SecondOrderMLP
    X : ndarray of shape (n, n_features)
    Y : ndarray of shape (n, n_out)
    weight : ndarray of shape (n,)
    network : FeedForwardNetwork, optional
        In place of the model's.

    Returns
    -------
    NetworkObjective
    """
    scaled = model.scaling_.inputs(X), model.scaling_.targets(Y)
    return (network or model.network_).objective(*scaled, weight)


def with_mask(model, objective):
    """The objective in the parameters that the model's mask keeps.

    Parameters
    ----------
    model : SecondOrderMLP
    objective : NetworkObjective

    Returns
    -------
    NetworkObjective or MaskedObjective
    """
    if model.mask is None:
        return objective
    return curvature.MaskedObjective(objective, model.mask)


def split_rows(model, X, y, rng):
    """Rows to train on, and rows held out for early stopping.

    Parameters
    ----------
    model : SecondOrderMLP
    X : ndarray of shape (n, n_features)
    y : array-like of shape (n,) or (n, k)
    rng : numpy.random.RandomState

    Returns
    -------
    rows : slice or ndarray of int
    held_out : ndarray of int or None
    """
    if not model.early_stopping:
        return slice(None), None
    y = as_targets(y)
    labels = y if model.loss == "log_loss" and np.ndim(y) == 1 else None
    if labels is not None:
        rarest = np.unique(labels, return_counts=True)[1].min()
        room = len(X) * min(model.validation_fraction, 1.0 - model.validation_fraction)
        if rarest < 2 or room < len(model.classes_):
            labels = None  # too few rows for each class to have its share of both parts
    return train_test_split(
        np.arange(len(X)), test_size=model.validation_fraction, stratify=labels,
        random_state=rng.randint(np.iinfo(np.int32).max),
    )  # fmt: skip


def _network(model, n_in, n_out):
    hidden = model.hidden_layer_sizes
    hidden = (hidden,) if isinstance(hidden, Integral) else tuple(hidden)
    if not isinstance(model.activation, str) and len(model.activation) != len(hidden):
        raise ValueError(
            f"activation names {len(model.activation)} hidden layers, hidden_layer_sizes={hidden} "
            f"has {len(hidden)}: give one name for all, or one for each."
        )
    return curvature.FeedForwardNetwork(
        (n_in, *hidden, n_out), model.activation, loss=model._responses.loss(model.loss),
        alpha=_FIRST if model.alpha == "evidence" else model.alpha, huber_delta=model.huber_delta,
    )  # fmt: skip
