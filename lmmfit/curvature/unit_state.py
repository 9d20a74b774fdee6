"""A network of single units at one matrix of weights, and its objective for optimisers."""

from functools import cached_property

import numpy as np

from lmmfit.curvature._checks import as_directions

__all__ = ["UnitObjective", "UnitState", "WeightState"]

_WIDE = 2**21  # numbers in one array of a block when several directions share a product


class UnitState:
    """A network at one matrix of weights W: value, gradient, products with second derivatives.

    All of them are matrices like W, with zeros where there is no connection. Outputs of units
    are computed at once, derivatives when they are asked for.

    Parameters
    ----------
    objective : UnitObjective
    W : ndarray of shape (n_units, n_units)

    Attributes
    ----------
    W : ndarray of shape (n_units, n_units)
    value : float
        Weighted sum of the losses over the patterns.
    units : ndarray of shape (n, n_units)
        Outputs y of all units.
    predictions : ndarray of shape (n, n_outputs)
        Probabilities for the log losses, rates for ``poisson``, outputs of the output units for
        the other losses.
    gradient : ndarray of shape (n_units, n_units)

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1),
    equations 6 to 9.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import UnitNetwork
    >>> net = UnitNetwork([[0, 1], [0, 0]], "identity", [1])
    >>> state = net.evaluate([[0.0, 2.0], [0.0, 0.0]], [[3.0, 0.0]], [5.0])
    >>> state.value, state.units, state.gradient[0, 1]
    (0.5, array([[3., 6.]]), np.float64(3.0))
    >>> state.hessian_vector_product([[0.0, 1.0], [0.0, 0.0]])
    array([[0., 9.],
           [0., 0.]])
    """

    def __init__(self, objective, W):
        self.objective, self.W, net = objective, W, objective.network
        n, rows = objective.n_patterns, net.rows_of_a_block
        weights = W[np.ix_(net.order, net.order)]
        parts = (slice(a, a + rows) for a in range(0, n, rows))
        with np.errstate(over="ignore", invalid="ignore"):  # a step too long has no value
            self._blocks = [net.make_block(weights, objective, part) for part in parts]
        self.value = float(sum(block.error.value for block in self._blocks))

    @property
    def units(self):
        """Outputs of all units for each pattern."""
        units = np.empty((self.objective.n_patterns, len(self.W)))
        units[:, self.objective.network.order] = np.concatenate([b.units for b in self._blocks])
        return units

    @property
    def predictions(self):
        """Outputs of the network for each pattern."""
        return np.concatenate([block.error.predictions for block in self._blocks])

    @cached_property
    def gradient(self):
        """Derivatives of the value by the weights."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._restore(sum(block.differentiate() for block in self._blocks))

    def hessian_vector_product(self, V):
        """Multiply by the Hessian of the value, exactly.

        Parameters
        ----------
        V : array-like of shape (n_units, n_units) or (n_units, n_units, k)
            Directions. Entries where there is no connection are ignored: no weight is there to
            be moved.

        Returns
        -------
        ndarray of the shape of V
            Zero where there is no connection.
        """
        return self._product(V, True)

    def gauss_newton_vector_product(self, V):
        """Multiply by the generalised Gauss-Newton matrix: the Hessian of a linearised network.

        It is split at the outputs of the output units, where every loss is convex, so that it is
        positive semidefinite.

        Parameters
        ----------
        V : array-like of shape (n_units, n_units) or (n_units, n_units, k)

        Returns
        -------
        ndarray of the shape of V
        """
        return self._product(V, False)

    def hessian(self):
        """The Hessian by the weights that exist, in the order of ``pack``.

        Returns
        -------
        ndarray of shape (n_parameters, n_parameters)
            Symmetric to the last bit.
        """
        return self._matrix(True)

    def gauss_newton_matrix(self):
        """The generalised Gauss-Newton matrix by the weights that exist.

        Returns
        -------
        ndarray of shape (n_parameters, n_parameters)
        """
        return self._matrix(False)

    def _matrix(self, exact):
        net = self.objective.network
        matrix = np.empty((net.n_parameters, net.n_parameters))
        at_once = max(1, _WIDE // net.n_units**2)
        for start in range(0, len(matrix), at_once):
            columns = slice(start, min(start + at_once, len(matrix)))
            units = np.zeros((len(matrix), columns.stop - start))
            units[columns] = np.eye(units.shape[1])
            matrix[:, columns] = self._product(net.unpack(units), exact)[net.pairs]
        return 0.5 * (matrix + matrix.T)

    def _product(self, V, exact):
        net, n = self.objective.network, len(self.W)
        V = np.asarray(V, dtype=np.float64)
        if V.shape[:2] != (n, n) or V.ndim > 3:
            raise ValueError(
                f"V must have shape ({n}, {n}) or ({n}, {n}, k) for {n} units, got {V.shape}."
            )
        self.gradient  # noqa: B018  (the backward pass)
        wide = V.reshape(n, n, -1)
        wide = np.where(net.connections[:, :, None], wide, 0.0)[np.ix_(net.order, net.order)]
        at_once = max(1, _WIDE // (n * min(net.rows_of_a_block, self.objective.n_patterns)))
        result = np.empty_like(wide)
        for start in range(0, wide.shape[2], at_once):
            part = np.s_[:, :, start : start + at_once]
            result[part] = sum(block.multiply(wide[part], exact) for block in self._blocks)
        return self._restore(result).reshape(V.shape)

    def _restore(self, matrix):
        """From the order of the passes to that of the units."""
        net, result = self.objective.network, np.empty_like(matrix)
        result[np.ix_(net.order, net.order)] = matrix
        result[~net.connections] = 0.0
        return result


class WeightState:
    """The same as vectors of the weights that exist: what optimisers and operators take.

    Parameters
    ----------
    theta : ndarray of shape (n_parameters,)
    unit_state : UnitState

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    unit_state : UnitState
        What is known of the units.
    value : float
    gradient : ndarray of shape (n_parameters,)
    predictions : ndarray of shape (n, n_outputs)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import HessianOperator, UnitNetwork
    >>> net = UnitNetwork([[0, 1], [0, 0]], "identity", [1])
    >>> state = net.objective([[3.0, 0.0]], [5.0]).evaluate([2.0])
    >>> state.gradient, HessianOperator(state) @ [1.0]
    (array([3.]), array([9.]))
    """

    def __init__(self, theta, unit_state):
        self.theta, self.unit_state = theta, unit_state
        self.value = unit_state.value

    @property
    def _pairs(self):
        return self.unit_state.objective.network.pairs

    @property
    def predictions(self):
        """Outputs of the network for each pattern."""
        return self.unit_state.predictions

    @cached_property
    def gradient(self):
        """Derivatives of the value by the weights."""
        return self.unit_state.gradient[self._pairs]

    def hessian_vector_product(self, v):
        """Multiply by the Hessian of the value, exactly.

        Parameters
        ----------
        v : array-like of shape (n_parameters,) or (n_parameters, k)

        Returns
        -------
        ndarray of the shape of v
        """
        return self.unit_state.hessian_vector_product(self._spread(v))[self._pairs]

    @property
    def objective(self):
        """The network with its data."""
        return self.unit_state.objective

    def gauss_newton_vector_product(self, v):
        """Multiply by the generalised Gauss-Newton matrix.

        Parameters
        ----------
        v : array-like of shape (n_parameters,) or (n_parameters, k)

        Returns
        -------
        ndarray of the shape of v
        """
        return self.unit_state.gauss_newton_vector_product(self._spread(v))[self._pairs]

    def hessian(self):
        """The Hessian.

        Returns
        -------
        ndarray of shape (n_parameters, n_parameters)
            Symmetric to the last bit.
        """
        return self.unit_state.hessian()

    def gauss_newton_matrix(self):
        """The generalised Gauss-Newton matrix.

        Returns
        -------
        ndarray of shape (n_parameters, n_parameters)
        """
        return self.unit_state.gauss_newton_matrix()

    def _spread(self, v):
        v = as_directions(v, len(self.theta), "weights")
        return self.unit_state.objective.network.unpack(v)


class UnitObjective:
    """The error of a network of units as a function of the weights that exist.

    Made by :meth:`UnitNetwork.objective` or :meth:`RelaxationNetwork.objective`, where the data
    are checked once.

    Parameters
    ----------
    network : UnitNetwork or RelaxationNetwork
    I : ndarray of shape (n, n_units)
    D : ndarray of shape (n, n_outputs)
    weight : ndarray of shape (n,)
    start : ndarray of shape (n, n_units), optional
        Where the outputs of units begin to relax.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import UnitNetwork
    >>> from lmmfit.optimize import minimize
    >>> net = UnitNetwork([[0, 1], [0, 0]], "identity", [1])
    >>> objective = net.objective([[3.0, 0.0]], [6.0])
    >>> minimize(objective, [0.5]).x.round(9)
    array([2.])
    """

    def __init__(self, network, I, D, weight, start=None):  # noqa: E741  (the paper's name)
        self.network, self.I, self.D, self.weight, self.start = network, I, D, weight, start

    @property
    def n_patterns(self):
        """Rows of I."""
        return len(self.I)

    @property
    def n_parameters(self):
        """Length of ``theta``."""
        return self.network.n_parameters

    def share(self, rows):
        """The objective on a batch of patterns.

        Parameters
        ----------
        rows : slice or ndarray of int

        Returns
        -------
        objective : UnitObjective
        scale : float
            Times its value, the expected value of the whole for batches drawn at random.
        """
        start = None if self.start is None else self.start[rows]
        part = UnitObjective(self.network, self.I[rows], self.D[rows], self.weight[rows], start)
        return part, float(self.weight.sum() / max(part.weight.sum(), 1e-300))

    def at(self, W):
        """The network at a matrix of weights, which is not checked again.

        Parameters
        ----------
        W : ndarray of shape (n_units, n_units)

        Returns
        -------
        UnitState
        """
        return self.network.state_type(self, W)

    def evaluate(self, theta):
        """Outputs of all units; derivatives follow when they are asked for.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
            Row by row of the matrix of weights, those that exist.

        Returns
        -------
        WeightState
        """
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        if theta.shape != (self.n_parameters,):
            raise ValueError(
                f"theta must have shape ({self.n_parameters},), a number for each connection, "
                f"got {theta.shape}."
            )
        return WeightState(theta, self.at(self.network.unpack(theta)))
