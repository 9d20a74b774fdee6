"""Networks that scikit-learn has trained, as ours."""

import numpy as np

from lmmfit.curvature.feedforward import FeedForwardNetwork

__all__ = ["network_of_sklearn", "state_of_sklearn"]

_LOSSES = {"identity": "squared_error", "exp": "poisson", "softmax": "log_loss",
           "logistic": "binary_log_loss"}  # fmt: skip


def network_of_sklearn(model):
    """The network of a fitted MLPClassifier or MLPRegressor, and its parameters.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor

    Returns
    -------
    network : FeedForwardNetwork
    theta : ndarray of shape (n_parameters,)

    Raises
    ------
    ValueError
        If it is not such a model, or not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPRegressor
    >>> from lmmfit.curvature import network_of_sklearn
    >>> X = np.linspace(-1, 1, 30)[:, None]
    >>> settings = {"solver": "lbfgs", "max_iter": 5000, "random_state": 0}
    >>> model = MLPRegressor(hidden_layer_sizes=(3,), **settings).fit(X, X[:, 0] ** 2)
    >>> network, theta = network_of_sklearn(model)
    >>> bool(np.allclose(network.predict(theta, X)[:, 0], model.predict(X)))
    True
    """
    if not all(hasattr(model, name) for name in ("coefs_", "intercepts_", "out_activation_")):
        raise ValueError(
            "the model must be a fitted MLPClassifier or MLPRegressor of scikit-learn, got "
            f"{model!r}: call fit first."
        )
    sizes = [len(model.coefs_[0]), *(W.shape[1] for W in model.coefs_)]
    network = FeedForwardNetwork(
        sizes, model.activation, loss=_LOSSES[model.out_activation_], alpha=float(model.alpha)
    )
    return network, network.layout.pack(model.coefs_, model.intercepts_)


def state_of_sklearn(model, X, y, sample_weight=None):
    """Our objective at the parameters of a fitted MLPClassifier or MLPRegressor.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,) or (n, k)
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    NetworkState

    Raises
    ------
    ValueError
        If y has a label that the model does not know.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPRegressor
    >>> from lmmfit.curvature import state_of_sklearn
    >>> X = np.linspace(-1, 1, 30)[:, None]
    >>> settings = {"solver": "lbfgs", "max_iter": 5000, "random_state": 0}
    >>> model = MLPRegressor(hidden_layer_sizes=(3,), **settings).fit(X, X[:, 0] ** 2)
    >>> state = state_of_sklearn(model, X, X[:, 0] ** 2)
    >>> bool(np.isclose(state.value / 30, model.loss_))
    True
    """
    network, theta = network_of_sklearn(model)
    return network.evaluate(theta, X, _targets(model, y), sample_weight)


def _targets(model, y):
    y = np.asarray(y)
    classes = getattr(model, "classes_", None)
    if classes is None or (y.ndim == 2 and y.shape[1] == model.n_outputs_ > 1):
        return y.astype(np.float64)
    y = y.ravel()
    at = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    unknown = classes[at] != y
    if unknown.any():
        row = int(np.argmax(unknown))
        raise ValueError(
            f"y has the label {y[row : row + 1].tolist()[0]!r} in row {row}, which the model does "
            f"not know: {classes.tolist()}."
        )
    if len(classes) == 2:
        return at.astype(np.float64)
    return np.eye(len(classes))[at]
