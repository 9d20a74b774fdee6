"""Objectives of which some parameters are fixed at zero."""

from functools import cached_property

import numpy as np

from lmmfit.curvature._checks import as_directions

__all__ = ["MaskedObjective", "MaskedState", "check_mask"]


def check_mask(mask, size):
    """Refuse what is no mask of the parameters.

    Parameters
    ----------
    mask : array-like of bool of shape (size,)
        True where a parameter is kept.
    size : int

    Returns
    -------
    ndarray of bool of shape (size,)

    Raises
    ------
    ValueError
        If the shape does not fit, or it holds no booleans.

    Examples
    --------
    >>> from lmmfit.curvature import check_mask
    >>> check_mask([True, False], 2)
    array([ True, False])
    """
    mask = np.asarray(mask)
    if mask.shape != (size,) or mask.dtype != bool:
        raise ValueError(
            f"mask must hold {size} booleans, True where a parameter is kept; got an array of "
            f"{mask.dtype} of shape {mask.shape}."
        )
    return mask


class MaskedObjective:
    """An objective in some of its parameters; the others are zero.

    Optimisers see the kept parameters alone, in their order.

    Parameters
    ----------
    objective : NetworkObjective or BoltzmannObjective
        Anything with ``n_parameters`` and ``evaluate(theta)``.
    mask : array-like of bool of shape (n_parameters,)
        True where a parameter is kept.

    Attributes
    ----------
    objective : NetworkObjective
        Of all parameters.
    mask : ndarray of bool of shape (n_parameters,)
    n_parameters : int
        Those that are kept.

    Raises
    ------
    ValueError
        If the mask does not fit or keeps nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, MaskedObjective
    >>> from lmmfit.optimize import minimize
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> objective = FeedForwardNetwork([2, 1]).objective(X, [2.0, 0.0, 2.0])
    >>> masked = MaskedObjective(objective, [True, False, True])
    >>> masked.expand(minimize(masked, np.zeros(2)).x).round(6)
    array([2., 0., 0.])
    """

    def __init__(self, objective, mask):
        mask = check_mask(mask, objective.n_parameters)
        if not mask.any():
            raise ValueError("mask keeps no parameter.")
        self.objective, self.mask = objective, mask
        self.dtype = getattr(objective, "dtype", np.dtype(np.float64))
        self.kept = np.flatnonzero(mask)

    @property
    def network(self):
        """The network of the objective."""
        return self.objective.network

    @property
    def n_parameters(self):
        """Parameters that are kept."""
        return len(self.kept)

    @property
    def n_patterns(self):
        """Rows of X."""
        return self.objective.n_patterns

    @property
    def n_residuals(self):
        """Generalised residuals."""
        return self.objective.n_residuals

    @property
    def total_weight(self):
        """Sum of the weights of the patterns."""
        return self.objective.total_weight

    def expand(self, x):
        """All parameters: zero where they are not kept.

        Parameters
        ----------
        x : ndarray of shape (n_kept,) or (n_kept, m)

        Returns
        -------
        ndarray of shape (n_all,) or (n_all, m)
        """
        x = np.asarray(x)
        full = np.zeros((len(self.mask), *x.shape[1:]), x.dtype)
        full[self.kept] = x
        return full

    def restrict(self, theta):
        """The parameters that are kept.

        Parameters
        ----------
        theta : ndarray of shape (n_all,)

        Returns
        -------
        ndarray of shape (n_kept,)
        """
        return np.asarray(theta)[self.kept]

    def evaluate(self, x):
        """Propagate the patterns forward; derivatives follow when they are asked for.

        Parameters
        ----------
        x : ndarray of shape (n_kept,)

        Returns
        -------
        MaskedState
        """
        x = np.asarray(x, dtype=self.dtype)
        if x.shape != (self.n_parameters,):
            raise ValueError(
                f"x must have shape ({self.n_parameters},), the parameters that are kept; got "
                f"{x.shape}."
            )
        return MaskedState(self, self.objective.evaluate(self.expand(x)))

    def with_network(self, network):
        """Another network of the same shape on the same data, with the same mask.

        Parameters
        ----------
        network : FeedForwardNetwork

        Returns
        -------
        MaskedObjective
        """
        return MaskedObjective(self.objective.with_network(network), self.mask)

    def share(self, rows):
        """The objective on a batch, and the scale to all rows: see `NetworkObjective`.

        Parameters
        ----------
        rows : slice or ndarray of int

        Returns
        -------
        objective : MaskedObjective
        scale : float
        """
        part, scale = self.objective.share(rows)
        return MaskedObjective(part, self.mask), scale


class MaskedState:
    """A state of a network in the parameters that are kept: see :class:`NetworkState`.

    Parameters
    ----------
    objective : MaskedObjective
    state : NetworkState
        Of all parameters.

    Attributes
    ----------
    theta, gradient : ndarray of shape (n_kept,)
    value : float
    """

    def __init__(self, objective, state):
        self.objective, self.state = objective, state
        self.value = state.value

    @property
    def theta(self):
        """The kept parameters."""
        return self.state.theta[self.objective.kept]

    @cached_property
    def gradient(self):
        """Derivatives by the kept parameters."""
        return self.state.gradient[self.objective.kept]

    @property
    def penalty(self):
        """The penalty's second derivative by each kept parameter."""
        return self.state.penalty[self.objective.kept]

    @property
    def predictions(self):
        """Outputs of the network for each pattern."""
        return self.state.predictions

    @property
    def residuals(self):
        """Errors times the roots of the weights; None but for squared error."""
        return self.state.residuals

    def hessian_vector_product(self, v):
        """Multiply by the Hessian.

        Parameters
        ----------
        v : ndarray of shape (n_kept,) or (n_kept, m)

        Returns
        -------
        ndarray of the shape of v
        """
        return self.state.hessian_vector_product(self._expand(v))[self.objective.kept]

    def gauss_newton_vector_product(self, v):
        """Multiply by the generalised Gauss-Newton matrix.

        Parameters
        ----------
        v : ndarray of shape (n_kept,) or (n_kept, m)

        Returns
        -------
        ndarray of the shape of v
        """
        return self.state.gauss_newton_vector_product(self._expand(v))[self.objective.kept]

    def hessian(self):
        """The Hessian.

        Returns
        -------
        ndarray of shape (n_kept, n_kept)
        """
        matrix = self.hessian_vector_product(np.eye(self.objective.n_parameters))
        return 0.5 * (matrix + matrix.T)

    def gauss_newton_matrix(self):
        """The generalised Gauss-Newton matrix.

        Returns
        -------
        ndarray of shape (n_kept, n_kept)
        """
        return self.state.gauss_newton_matrix()[np.ix_(self.objective.kept, self.objective.kept)]

    def gauss_newton_root(self):
        """Root of the Gauss-Newton matrix of the data, and residuals.

        Returns
        -------
        root : ndarray of shape (n * n_out, n_kept)
        residuals : ndarray of shape (n * n_out,)
        """
        root, residuals = self.state.gauss_newton_root()
        return np.ascontiguousarray(root[:, self.objective.kept]), residuals

    def jacobian_transpose_product(self, u):
        """Back-propagate given errors.

        Parameters
        ----------
        u : ndarray of shape (n * n_out,)

        Returns
        -------
        ndarray of shape (n_kept,)
        """
        return self.state.jacobian_transpose_product(u)[self.objective.kept]

    def output_jacobian(self):
        """Derivatives of the outputs by the kept parameters.

        Returns
        -------
        ndarray of shape (n, n_out, n_kept)
        """
        return self.state.output_jacobian()[:, :, self.objective.kept]

    def single_precision(self):
        """The same state for products in single precision.

        Returns
        -------
        MaskedState
        """
        if not hasattr(self.state, "single_precision"):
            return self
        single = self.state.single_precision()
        return self if single is self.state else MaskedState(self.objective, single)

    def _expand(self, v):
        o = self.objective
        return o.expand(as_directions(v, o.n_parameters, "kept parameters", o.dtype))
