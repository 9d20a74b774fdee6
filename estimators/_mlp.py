"""Multilayer perceptrons trained with exact second derivatives."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._tags import ClassifierTags, RegressorTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from lmmfit import curvature, optimize
from lmmfit.estimators._fitting import unchanged_on_error
from lmmfit.estimators._learning import fit_network, learn_rows, prune_copy
from lmmfit.estimators._network import check_rows, make_objective, row_weights, with_mask
from lmmfit.estimators._parameters import check_parameters
from lmmfit.estimators._responses import as_targets
from lmmfit.estimators._training import NAMED
from lmmfit.estimators._uncertainty import PosteriorMixin, predictive_std
from lmmfit.estimators._warnings import warn_of_training

_CALLER = 4  # frames between a warning and the call of fit


def _is_classifier(model):
    return model.loss == "log_loss"


class SecondOrderMLP(PosteriorMixin, CallbackSupportMixin, BaseEstimator):
    """Multilayer perceptron trained with exact second derivatives.

    Products with the Hessian cost about two gradients and are exact, so that Newton's method,
    scaled conjugate gradients and Levenberg-Marquardt can be used on networks. ``loss`` decides
    the kind: ``"log_loss"`` is a classifier, the others are regressors.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; ``()`` is a linear model.
    activation : str or sequence of str, default="tanh"
        ``identity``, ``tanh``, ``logistic``, ``relu``, ``softplus`` or ``gelu``, for all hidden
        layers or one each.
    loss : {"squared_error", "huber", "poisson", "log_loss"}, default="squared_error"
        Half the squared error; Huber's loss; for counts y with the rate exp(z), ``exp(z) - y z``,
        which can be negative; cross-entropy, of classes or of an indicator matrix of labels.
    optimizer : str or lmmfit.optimize.Optimizer, default="auto"
        ``newton-cg``, ``scg``, ``gauss-newton``, ``lm`` (Levenberg-Marquardt), ``lbfgs``,
        ``sgd``, or an object. ``auto`` takes Levenberg-Marquardt for squared errors with a
        small ``alpha`` and up to 1500 parameters, giving way to ``newton-cg`` where errors stay
        large; ``lbfgs`` from 100 000 parameters; ``newton-cg`` otherwise.
    alpha : float or "evidence", default=3.0
        Half of it times the sum of squared weights is added to the sum of the losses, in units
        of the standardized data. It does not depend on the number of rows; 0 leaves weights free,
        for functions without noise. ``"evidence"`` finds the value under which the data are most
        probable (MacKay 1992): see ``alpha_``.
    max_iter : int, default=500
        Iterations at most. One of Newton's method does the work of some tens of ``lbfgs``.
    tol : float, default=1e-4
        Largest derivative of the mean loss at the end; for ``squared_error`` and ``huber`` times
        the root of twice that loss, down to 1e-4 of ``tol``: errors near zero are made smaller
        still.
    max_time : float, default=None
        Seconds after which no iteration begins; with several starts, for each of them.
    n_init : int, default=1
        Random starts; all but the best are given up early, half of them at a time.
    early_stopping : bool, default=False
        Whether to stop when the loss of held-out rows no longer falls, and to go back to where it
        was lowest.
    validation_fraction : float, default=0.1
        Share of the rows that are held out.
    n_iter_no_change : int, default=10
        Iterations without a lower loss after which to stop early.
    warm_start : bool, default=False
        Whether fit goes on where the last one ended. On the same data, two fits of ten
        iterations give bit for bit what one of twenty gives.
    class_weight : dict or "balanced", default=None
        Weights of the classes; multiplied with ``sample_weight``.
    standardize : bool, default=True
        Whether to scale inputs, and targets of ``squared_error`` and ``huber``, to mean 0 and
        standard deviation 1 for the training. The coefficients are for the data as they are.
    huber_delta : float, default=1.0
        Error at which ``huber`` turns linear, in units of the standardized target: wild values
        are a part of its standard deviation, so that many or large ones ask for less than 1.
    batch_size : int or "auto", default="auto"
        Rows of a batch of ``sgd`` and ``partial_fit``; ``auto`` is 200.
    mask : array-like of bool of shape (n_parameters,), default=None
        True for the weights and biases that are trained, in the order of ``theta_``; the others
        stay zero. :func:`lmmfit.curvature.prune` finds masks.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        Iterations from one printed line to the next; 0 for none.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (inputs x outputs) and biases of each layer, for data as they are.
    classes_ : ndarray of shape (n_classes,)
        Of a classifier.
    alpha_ : float
        The penalty used.
    loss_ : float
        Mean loss, penalty included.
    loss_curve_ : list of float
        The same after each iteration.
    validation_loss_curve_ : list of float
        Mean loss of the held-out rows, without the penalty; with ``early_stopping``.
    n_iter_ : int
        Iterations.
    converged_ : bool
        Whether ``tol`` was reached, or the rounding of the loss; not after ``partial_fit``.
    reason_ : str
        Why the training ended.
    network_ : FeedForwardNetwork
    theta_ : ndarray of shape (n_parameters,)
        Parameters for standardized data: see ``network_``.
    scaling_ : Scaling
        To standardized data.
    run_ : Run
        State of the optimiser.
    posterior_ : LaplacePosterior
        Normal approximation of the posterior, computed when first asked for.
    n_layers_, n_outputs_ : int
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    lmmfit.curvature.FeedForwardNetwork : The network alone, over arrays.
    lmmfit.optimize.minimize : The optimisers, for any objective.

    Notes
    -----
    Weights of rows count as repetitions: a weight of 2 is a row given twice, 0 one left out.
    ``relu`` has kinks, at which its second derivative is not what Newton's method takes it for:
    ``gelu`` or ``softplus`` are the smooth alternatives.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit import SecondOrderMLP
    >>> X = np.linspace(-1, 1, 60)[:, None]
    >>> y = np.sin(2 * X[:, 0])
    >>> model = SecondOrderMLP((5,), alpha=0.0, random_state=0).fit(X, y)
    >>> model.score(X, y) > 1 - 1e-9
    True

    A classifier:

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SecondOrderMLP((8,), loss="log_loss", random_state=0).fit(X, y)
    >>> model.predict_proba(X[:1]).round(2)
    array([[0.98, 0.02, 0.  ]])
    """

    _parameter_constraints = {  # noqa: RUF012
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "activation": [
            StrOptions({"identity", "tanh", "logistic", "relu", "softplus", "gelu"}),
            "array-like",
        ],
        "loss": [StrOptions({"squared_error", "huber", "poisson", "log_loss"})],
        "optimizer": [StrOptions({"auto", "sgd", *NAMED}), optimize.Optimizer],
        "alpha": [Interval(Real, 0.0, None, closed="left"), StrOptions({"evidence"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_time": [Interval(Real, 0.0, None, closed="neither"), None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "standardize": ["boolean"],
        "huber_delta": [Interval(Real, 0.0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "mask": ["array-like", None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        activation="tanh",
        loss="squared_error",
        optimizer="auto",
        alpha=3.0,
        max_iter=500,
        tol=1e-4,
        max_time=None,
        n_init=1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        class_weight=None,
        standardize=True,
        huber_delta=1.0,
        batch_size="auto",
        mask=None,
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.max_time = max_time
        self.n_init = n_init
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.class_weight = class_weight
        self.standardize = standardize
        self.huber_delta = huber_delta
        self.batch_size = batch_size
        self.mask = mask
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, k)
            Numbers, counts for ``poisson``; for ``log_loss`` labels of any kind, or an indicator
            matrix of 0 and 1.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows, as repetitions.

        Returns
        -------
        SecondOrderMLP
            The fitted estimator.

        Raises
        ------
        ValueError
            If a value is missing or does not suit the loss. The estimator is then as it was.
        """
        check_parameters(self)
        with unchanged_on_error(self):
            fit_network(self, X, y, sample_weight)
        warn_of_training(self, _CALLER)
        return self

    @with_callbacks
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go once over some rows with stochastic gradient descent.

        The learning rate follows the largest eigenvalue of the Hessian, estimated from the same
        rows; none has to be chosen. Inputs and targets are scaled as those of the first call.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, k)
        classes : array-like of shape (n_classes,), optional
            All labels that will ever occur; needed at the first call of a classifier unless y
            has all of them.
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        SecondOrderMLP
            The estimator.

        Raises
        ------
        ValueError
            As for fit, and for a label that is none of the classes; what was learnt before is
            kept.
        """
        check_parameters(self)
        with unchanged_on_error(self):
            learn_rows(self, X, y, classes, sample_weight)
        return self

    def predict(self, X, *, return_std=False):
        """Predict numbers or labels.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        return_std : bool, default=False
            Whether a regressor returns the standard deviation of a new observation as well: the
            uncertainty of the weights, by the linearised Laplace approximation, and the variance
            of the errors. It needs an ``alpha`` above 0.

        Returns
        -------
        y : ndarray of shape (n,) or (n, k)
        y_std : ndarray of the same shape, only with ``return_std``

        Raises
        ------
        ValueError
            With ``return_std``: for a classifier; if the data were too many to be kept, or came
            in batches (see :meth:`fit_posterior`); if a direction of the weights is free.
        """
        outputs = self._outputs(X)
        y = self._responses.decode(outputs)
        if not return_std:
            return y
        return y, self._responses.decode(predictive_std(self, X, outputs))

    @available_if(_is_classifier)
    def predict_proba(self, X):
        """Probabilities of the classes, or of each label being there.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        outputs = self._outputs(X)
        return self._responses.probabilities(outputs)

    @available_if(_is_classifier)
    def predict_log_proba(self, X):
        """Logarithms of the probabilities.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score(self, X, y, sample_weight=None):
        """Accuracy of a classifier, coefficient of determination of a regressor.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, k)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float
        """
        measure = accuracy_score if _is_classifier(self) else r2_score
        return measure(y, self.predict(X), sample_weight=sample_weight)

    def hessian_operator(self, X, y, sample_weight=None):
        """The Hessian of the training objective on some data, at the fitted parameters.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, k)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        HessianOperator
            A :class:`scipy.sparse.linalg.LinearOperator` over ``theta_``: the weights and
            biases of each layer, for standardized data; with a ``mask``, over those it keeps. Its
            ``gauss_newton`` is the same for the generalised Gauss-Newton matrix.
        """
        objective = with_mask(self, self.objective(X, y, sample_weight))
        return curvature.HessianOperator(objective.evaluate(objective.restrict(self.theta_)))

    def objective(self, X, y, sample_weight=None):
        """The training objective on some data: a function of ``theta_``, for standardized data.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, k)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        NetworkObjective
            Of all parameters, whatever the ``mask``.
        """
        check_is_fitted(self)
        X = self._check_inputs(X, reset=False)
        y = as_targets(y)
        Y, weight = self._responses.encode(y), row_weights(self, y, sample_weight, X)
        check_rows(X, Y, weight)
        return make_objective(self, X, Y, weight)

    def pruned(self, mask, theta=None):
        """A fitted copy with fewer parameters; its ``mask`` keeps later fits as small.

        Parameters
        ----------
        mask : array-like of bool of shape (n_parameters,)
            True for the parameters that are kept.
        theta : ndarray of shape (n_parameters,), optional
            Its parameters; by default ``theta_`` with zeros.

        Returns
        -------
        SecondOrderMLP

        Raises
        ------
        ValueError
            If the mask does not fit.
        """
        check_is_fitted(self)
        return prune_copy(self, mask, theta)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = not _is_classifier(self)
        tags.target_tags.positive_only = self.loss == "poisson"
        if _is_classifier(self):
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
            tags.classifier_tags.multi_label = True
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags

    def attributes_at(self, theta):
        """Fitted attributes at other parameters; what callbacks see of a fit on its way.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)

        Returns
        -------
        dict
        """
        folded = self.scaling_.fold(self.network_.layout, theta)
        weights, biases = self.network_.layout.unpack(folded)
        known = ("network_", "scaling_", "_responses", "classes_", "n_features_in_")
        return {
            **{name: getattr(self, name) for name in known if hasattr(self, name)},
            "theta_": theta, "coefs_": weights, "intercepts_": biases, "_folded": folded,
            "n_layers_": len(weights) + 1, "n_outputs_": len(biases[-1]),
            "out_activation_": self.network_.loss_function.activation,
            "alpha_": self.network_.alpha,
        }  # fmt: skip

    def _outputs(self, X):
        check_is_fitted(self)
        X = self._check_inputs(X, reset=False)
        return self.network_.predict(self._folded, X)

    def _check_inputs(self, X, reset):
        return validate_data(self, X, dtype=np.float64, reset=reset)
