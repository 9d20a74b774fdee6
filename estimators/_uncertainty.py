"""Standard deviations and intervals of a network's predictions."""

import numpy as np
from scipy.special import ndtri
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from lmmfit import curvature as second_derivatives  # loaded when first asked for
from lmmfit.estimators._network import make_objective, with_mask

__all__ = ["PosteriorMixin", "predictive_std"]


def _is_regressor(model):
    return model.loss != "log_loss"


class PosteriorMixin:
    """Methods of a network that ask how certain its weights are."""

    @available_if(_is_regressor)
    def predict_interval(self, X, level=0.95):
        """Interval that a new observation lies in, with the given probability.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        level : float, default=0.95

        Returns
        -------
        lower, upper : ndarray of shape (n,) or (n, k)
            The prediction, less and more a normal quantile of standard deviations; counts are
            not below 0.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1; as for ``predict`` with ``return_std``.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must be between 0 and 1, got {level!r}.")
        y, std = self.predict(X, return_std=True)
        half = ndtri(0.5 + 0.5 * level) * std
        lower = np.maximum(y - half, 0.0) if self.loss == "poisson" else y - half
        return lower, y + half

    def fit_posterior(self, X, y, sample_weight=None, *, curvature="gauss-newton"):
        """Approximate the posterior of the weights from given rows.

        ``posterior_`` does it from the rows of the last fit; this is for rows that were not kept,
        because they were many (five million numbers) or came in batches, and for the exact
        Hessian.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, k)
        sample_weight : array-like of shape (n,), optional
        curvature : {"gauss-newton", "hessian"}, default="gauss-newton"

        Returns
        -------
        SecondOrderMLP
            The estimator.

        Raises
        ------
        ValueError
            If the matrix of second derivatives is not positive definite.
        """
        state = self.hessian_operator(X, y, sample_weight).state
        self._posterior = second_derivatives.laplace_posterior(state, curvature=curvature)
        return self

    @property
    def posterior_(self):
        """The posterior of the weights: :class:`lmmfit.curvature.LaplacePosterior`."""
        check_is_fitted(self)
        if "_posterior" not in self.__dict__:
            if "_rows" not in self.__dict__:
                raise AttributeError(
                    "the rows were not kept, because they are many or came in batches: call "
                    "fit_posterior(X, y) first."
                )
            objective = with_mask(self, make_objective(self, *self._rows))
            state = objective.evaluate(objective.restrict(self.theta_))
            self._posterior = second_derivatives.laplace_posterior(state)
        return self._posterior


def predictive_std(model, X, outputs):
    """Standard deviations of new observations.

    Parameters
    ----------
    model : SecondOrderMLP
    X : array-like of shape (n, n_features)
    outputs : ndarray of shape (n, n_out)
        What the network predicts.

    Returns
    -------
    ndarray of shape (n, n_out)
    """
    if model.loss == "log_loss":
        raise ValueError(
            "return_std is for regressors; predict_proba says how uncertain a class is."
        )
    try:
        posterior = model.posterior_
    except AttributeError as error:
        raise ValueError(str(error)) from error
    X = model.scaling_.inputs(model._check_inputs(X, reset=False))
    covariance = posterior.output_covariance(X)
    variance = np.einsum("nii->ni", covariance)
    if model.loss == "poisson":  # of the logarithm of the rate, and of a count of that rate
        return np.sqrt(outputs + outputs**2 * variance)
    return np.sqrt(variance + posterior.sigma2) * model.scaling_.y_scale
