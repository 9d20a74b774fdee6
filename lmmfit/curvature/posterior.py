"""Laplace's approximation: the posterior of the parameters, the evidence for the penalty."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri
from scipy.sparse.linalg import LinearOperator

from lmmfit.curvature.estimates import Estimate, average, random_signs
from lmmfit.curvature.inverse import solve_hessian
from lmmfit.curvature.operator import HessianOperator
from lmmfit.curvature.traces import estimate_logdet

__all__ = ["LaplacePosterior", "effective_parameters", "evidence_alpha", "laplace_posterior"]

_DENSE = 2000  # parameters up to which matrices are formed
_ROWS = 2**24  # numbers of a Jacobian that are formed at once
_FREE = 1e-14  # eigenvalue, relative to the largest, times the order, that is taken for zero
_PROBES = 30  # for the trace of a matrix that is not formed


@dataclass(frozen=True, eq=False)
class LaplacePosterior:
    """Normal approximation of the posterior at a minimum; made by :func:`laplace_posterior`.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    sigma2 : float
        Variance of the errors, 1 where the loss is a likelihood.
    effective_parameters : float
        MacKay's gamma: directions that the data, not the penalty, decide.
    log_evidence : float
        Logarithm of the probability of the data given the penalty (MacKay 1992), where
        parameters without one are given the prior of the others: a flat prior has no probability
        to compare. It is that of the given ``sigma2``, or else the highest of any variance. NaN
        without a penalty.
    curvature : str
    root : ndarray of shape (n_parameters, rank) or None
        R with ``R R'`` the inverse of the matrix of second derivatives; None for large networks.
    free : ndarray of shape (n_parameters, n_free) or None
        Directions that neither data nor penalty decide, such as the bias of a unit whose outputs
        have no weight. They are given the prior of the other parameters; without any penalty,
        predictions that depend on them are refused.
    network : FeedForwardNetwork
    mask : ndarray of bool of shape (n_parameters,) or None
        Parameters that are not fixed at zero; covariance and root are of these.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit import SecondOrderMLP
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> model = SecondOrderMLP((4,), random_state=0).fit(X, X[:, 0])
    >>> posterior = model.posterior_
    >>> posterior.covariance.shape, posterior.output_covariance(model.scaling_.inputs(X)).shape
    ((13, 13), (50, 1, 1))
    """

    theta: np.ndarray = field(repr=False)
    sigma2: float
    effective_parameters: float
    log_evidence: float
    curvature: str
    root: np.ndarray | None = field(repr=False)
    free: np.ndarray | None = field(repr=False)
    network: object = field(repr=False)
    mask: np.ndarray | None = field(repr=False)
    _operator: HessianOperator | None = field(repr=False)

    @cached_property
    def covariance(self):
        """Covariance of the parameters, (n_parameters, n_parameters)."""
        if self.root is None:
            return self.sigma2 * solve_hessian(self._operator, np.eye(self._size), tol=1e-6).x
        return self.sigma2 * (self.root @ self.root.T)

    def output_covariance(self, X):
        """Covariance of the outputs of the linearised network (MacKay 1992).

        Parameters
        ----------
        X : array-like of shape (n, n_in)

        Returns
        -------
        ndarray of shape (n, n_out, n_out)
            Of the inputs of the output units where the loss brings their activation: of
            logits, or logarithms of rates.
        """
        network, X = self.network, np.asarray(X, dtype=np.float64)
        k = network.layer_sizes[-1]
        at_once = max(1, _ROWS // (network.n_parameters * k))
        parts = [np.empty((0, k, k))]
        for start in range(0, len(X), at_once):
            block = X[start : start + at_once]
            state = network.evaluate(self.theta, block, np.zeros((len(block), k)))
            jacobian = state.output_jacobian()
            jacobian = jacobian if self.mask is None else jacobian[:, :, self.mask]
            parts.append(self._sandwich(jacobian, start))
        return np.concatenate(parts)

    @property
    def _size(self):
        return len(self.theta) if self.mask is None else int(self.mask.sum())

    def _sandwich(self, jacobian, start):
        """Covariances of the outputs of some rows from their Jacobians (n, k, size)."""
        n, k, size = jacobian.shape
        flat = jacobian.reshape(n * k, size)
        if self.root is None:
            right = solve_hessian(self._operator, flat.T, tol=1e-6).x.T.reshape(n, k, size)
            return self.sigma2 * np.einsum("nip,njp->nij", jacobian, right)
        if self.root.shape[1] < size:
            along = np.abs(flat @ self.free).max(axis=1)
            bad = along > 1e-5 * np.linalg.norm(flat, axis=1)
            if bad.any():
                row = start + int(np.argmax(bad)) // k
                raise ValueError(
                    f"the outputs of row {row} depend on a direction of the parameters that "
                    "neither the data nor a penalty decide: their variance is infinite. Train "
                    "with an alpha above 0."
                )
        half = (flat @ self.root).reshape(n, k, -1)
        return self.sigma2 * np.einsum("nip,njp->nij", half, half)


def laplace_posterior(state, *, curvature="gauss-newton", sigma2=None):
    """Approximate the posterior of the parameters by a normal distribution.

    Its precision is the matrix of second derivatives at the minimum, over the variance of the
    errors; the penalty is the logarithm of a normal prior.

    Parameters
    ----------
    state : NetworkState or MaskedState
        At a minimum.
    curvature : {"gauss-newton", "hessian"}, default="gauss-newton"
        The Gauss-Newton matrix is positive semidefinite wherever it is taken; the Hessian only at
        a minimum.
    sigma2 : float, optional
        Variance of the errors, for ``squared_error`` and ``huber``; by default that of the
        residuals, over n k - gamma (MacKay 1992). 1 for the other losses.

    Returns
    -------
    LaplacePosterior

    Raises
    ------
    ValueError
        If the Hessian has a negative eigenvalue, or residuals leave no degree of freedom.

    References
    ----------
    MacKay, D. J. C. (1992). A practical Bayesian framework for backpropagation networks. Neural
    Computation 4(3).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, laplace_posterior
    >>> X, y = np.array([[-1.0], [0.0], [1.0]]), np.array([-1.0, 0.0, 1.0])
    >>> state = FeedForwardNetwork([1, 1]).evaluate([1.0, 0.0], X, y)
    >>> laplace_posterior(state, sigma2=1.0).output_covariance([[0.0], [2.0]]).ravel().round(6)
    array([0.333333, 2.333333])
    """
    A = _matrix(state, curvature)
    root, free = _inverse_root(A)
    gamma = _gamma(state, curvature, root)
    evidence = _log_evidence(state, sigma2, A)
    sigma2 = _noise(state, gamma) if sigma2 is None else float(sigma2)
    objective, lent = state.objective, float(state.penalty.max(initial=0.0))
    if root is not None and free.size and lent > 0:  # the prior of the others, for want of one
        root = np.hstack([root, free / np.sqrt(lent)])
    return LaplacePosterior(
        objective.expand(state.theta), sigma2, gamma, evidence,
        curvature, root, free, objective.network, getattr(objective, "mask", None),
        HessianOperator(state, curvature) if root is None else None,
    )  # fmt: skip


def effective_parameters(state, *, method="mackay", curvature="gauss-newton", seed=0):
    """Number of parameters that the data decide.

    Parameters
    ----------
    state : NetworkState or MaskedState
        At a minimum.
    method : {"mackay", "moody"}, default="mackay"
        ``mackay``: the trace of the inverse times the data's part of the second derivatives,
        the sum of lambda / (lambda + alpha). ``moody``: the trace of ``J H^{-1} J'``, with the
        root J of the Gauss-Newton matrix: what a change of the targets does to the predictions.
        The expected loss of new data exceeds that of the training data by about
        ``sigma2`` times it, over n, for half squared errors.
    curvature : {"gauss-newton", "hessian"}, default="gauss-newton"
        Second derivatives that are inverted; ``moody`` with ``hessian`` is Moody's own.
    seed : int or numpy.random.Generator, default=0
        Of the vectors that estimate the trace beyond 2000 parameters.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If the Hessian has a negative eigenvalue: the point is no minimum.

    References
    ----------
    MacKay, D. J. C. (1992). Bayesian interpolation. Neural Computation 4(3).

    Moody, J. E. (1992). The effective number of parameters: an analysis of generalization and
    regularization in nonlinear learning systems. NIPS 4.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, effective_parameters
    >>> X, y = np.array([[-1.0], [0.0], [1.0]]), np.array([-1.0, 0.0, 1.0])
    >>> state = FeedForwardNetwork([1, 1], alpha=2.0).evaluate([0.5, 0.0], X, y)
    >>> round(float(effective_parameters(state)), 12)  # the weight counts by half, the bias whole
    1.5
    """
    if method not in ("mackay", "moody"):
        raise ValueError(f"method={method!r} is neither 'mackay' nor 'moody'.")
    size = len(state.theta)
    if size > _DENSE:
        return _estimate(state, method, curvature, np.random.default_rng(seed))
    root, _ = _inverse_root(_matrix(state, curvature))
    if method == "mackay":
        value = _decided(state, root)
    else:
        data = state.gauss_newton_matrix() - np.diag(state.penalty)
        value = np.sum(root * (data @ root))
    return Estimate(float(value), 0.0, size)


def _gamma(state, curvature, root):
    """MacKay's number of parameters; an estimate where there is no root."""
    if root is None:
        return effective_parameters(state, curvature=curvature).value
    return _decided(state, root)


def _decided(state, root):
    """Sum over the directions of what the penalty does not decide."""
    return float(root.shape[1] - np.sum(state.penalty[:, None] * root**2))


def _estimate(state, method, curvature, rng):
    """Hutchinson's estimate of the trace of A^{-1} D."""
    signs = random_signs(rng, len(state.theta), _PROBES)
    data = "gauss-newton" if method == "moody" else curvature
    product = HessianOperator(state, data).matmat(signs) - state.penalty[:, None] * signs
    solution = solve_hessian(HessianOperator(state, curvature), product, tol=1e-6)
    return average(np.sum(signs * solution.x, axis=0), solution.n_products + _PROBES)


def evidence_alpha(state, curvature="gauss-newton"):
    """The penalty that MacKay's rule takes next: gamma sigma2 over the squared weights.

    Where it is the penalty of the network itself, the evidence has its maximum.

    Parameters
    ----------
    state : NetworkState or MaskedState
        At the minimum for the present penalty, which must be above 0.
    curvature : {"gauss-newton", "hessian"}, default="gauss-newton"

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If no parameter is penalised, or the Hessian has a negative eigenvalue.

    References
    ----------
    MacKay, D. J. C. (1992). A practical Bayesian framework for backpropagation networks. Neural
    Computation 4(3).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, evidence_alpha
    >>> X, y = np.array([[-1.0], [0.0], [1.0]]), np.array([-1.0, 0.1, 1.0])
    >>> state = FeedForwardNetwork([1, 1], alpha=0.01).evaluate([0.99, 0.03], X, y)
    >>> round(evidence_alpha(state), 4)
    0.007
    """
    held = state.penalty > 0
    if not held.any():
        raise ValueError("the network has no penalty: give it an alpha above 0 to begin from.")
    root, free = _inverse_root(_matrix(state, curvature))
    gamma, n_free = _gamma(state, curvature, root), 0 if root is None else free.shape[1]
    # Of gamma, the part that a penalty holds: free directions are not in it.
    decided = max(gamma - (np.sum(~held) - n_free), 1e-12)
    squares = float(state.theta[held] @ state.theta[held])
    return float(decided * _noise(state, gamma) / max(squares, 1e-300))


def _noise(state, gamma):
    """Variance of the errors from the residuals."""
    objective, network = state.objective, state.objective.network
    if network.loss not in ("squared_error", "huber"):
        return 1.0
    left = objective.total_weight * network.layer_sizes[-1] - gamma
    if not left > 0:
        raise ValueError(
            f"{gamma:.6g} effective parameters leave no degree of freedom of "
            f"{objective.total_weight * network.layer_sizes[-1]:.6g} targets for the variance of "
            "the errors: give sigma2, or a larger alpha."
        )
    return 2.0 * _data_value(state) / left


def _data_value(state):
    return float(state.value - 0.5 * ((state.penalty * state.theta) @ state.theta))


def _matrix(state, curvature):
    """The second derivatives: a matrix, or an operator where that would be large."""
    if curvature not in ("hessian", "gauss-newton"):
        raise ValueError(f"curvature={curvature!r} is neither 'hessian' nor 'gauss-newton'.")
    if len(state.theta) > _DENSE:
        return HessianOperator(state, curvature)
    return state.hessian() if curvature == "hessian" else state.gauss_newton_matrix()


def _inverse_root(A):
    """Root of the inverse, and free directions."""
    if isinstance(A, HessianOperator):
        return None, None
    size = len(A)
    factor, failed = dpotrf(A, lower=1, clean=1)
    pivots = np.diag(factor)
    if not failed and pivots.min() ** 2 > _FREE * size * pivots.max() ** 2:
        return dtrtri(factor, lower=1)[0].T, np.empty((size, 0))
    values, vectors = np.linalg.eigh(A)
    rounding = _FREE * size * values[-1]
    if values[0] < -rounding:
        raise ValueError(
            f"the Hessian has the eigenvalue {values[0]:.3g}: the point is no minimum. Train on, "
            "or take curvature='gauss-newton'."
        )
    kept = values > rounding
    return vectors[:, kept] / np.sqrt(values[kept]), vectors[:, ~kept]


def _log_evidence(state, sigma2, A):
    """MacKay (1992), with alpha / beta the penalty and 1 / beta = sigma2."""
    penalty, network = state.penalty, state.objective.network
    if not penalty.any():
        return np.nan
    lent = np.where(penalty > 0, 0.0, penalty.max())  # for those that have none
    if isinstance(A, HessianOperator):
        lifted = LinearOperator(
            A.shape, matvec=lambda v: A.matvec(v) + lent * v, dtype=np.float64,
            matmat=lambda V: A.matmat(V) + lent[:, None] * V,
        )  # fmt: skip
        logdet = estimate_logdet(lifted).value
    else:
        logdet = np.linalg.slogdet(A + np.diag(lent))[1]
    value = 0.5 * float(np.log(penalty + lent).sum()) - 0.5 * logdet
    loss = float(state.value + 0.5 * (lent * state.theta) @ state.theta)
    if network.loss not in ("squared_error", "huber"):
        return value - loss
    count = state.objective.total_weight * network.layer_sizes[-1]
    sigma2 = 2.0 * loss / count if sigma2 is None else sigma2
    return float(value - loss / sigma2 - 0.5 * count * np.log(2.0 * np.pi * sigma2))
