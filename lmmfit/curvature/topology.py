# ruff: noqa: E741  (I is the paper's name for external inputs)
"""Networks of single units: which weights exist, what units do, which of them are outputs."""

from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from lmmfit.curvature._checks import as_table, check_weights
from lmmfit.curvature.activations import ACTIVATIONS
from lmmfit.curvature.losses import Loss, make_loss
from lmmfit.curvature.unit_state import UnitObjective

__all__ = ["UnitTopology"]


@dataclass(frozen=True, eq=False, repr=False)
class UnitTopology:
    """What networks with any connections have in common.

    :class:`UnitNetwork` and :class:`RelaxationNetwork` say how outputs of units and derivatives
    are computed.

    Parameters
    ----------
    connections : array-like of shape (n_units, n_units)
        True or 1 at [i, j] for a weight from unit i to unit j.
    activations : sequence of str, one a unit, or str for all
        ``identity``, ``tanh``, ``logistic``, ``relu``, ``softplus`` or ``gelu``.
    output_units : sequence of int
        Units that the loss sees, in the order of the columns of the targets.
    loss : str, default="squared_error"
    huber_delta : float, default=1.0

    Attributes
    ----------
    loss_function : Loss
    input_units : ndarray of int
    pairs : tuple of ndarray of shape (n_parameters,)
        Sources and destinations of the weights, row by row of ``connections``.
    """

    connections: np.ndarray
    activations: tuple
    output_units: tuple
    _: KW_ONLY
    loss: str = "squared_error"
    huber_delta: float = 1.0
    loss_function: Loss = field(init=False)
    input_units: np.ndarray = field(init=False)
    pairs: tuple = field(init=False)

    def __post_init__(self):
        connections = _check_connections(self.connections)
        n = len(connections)
        for name, value in (
            ("connections", connections),
            ("activations", _check_activations(self.activations, n)),
            ("output_units", _check_output_units(self.output_units, n)),
            ("loss_function", make_loss(self.loss, "identity", self.huber_delta)),
            ("input_units", np.flatnonzero(~connections.any(axis=0))),
            ("pairs", np.nonzero(connections)),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self):
        return (
            f"{type(self).__name__}(n_units={self.n_units}, n_parameters={self.n_parameters}, "
            f"output_units={self.output_units}, loss={self.loss!r})"
        )

    @property
    def n_units(self):
        """Units, inputs included."""
        return len(self.connections)

    @property
    def n_parameters(self):
        """Weights that exist."""
        return len(self.pairs[0])

    def pack(self, W):
        """Weights that exist, row by row: the parameter vector of the objective.

        Parameters
        ----------
        W : array-like of shape (n_units, n_units)

        Returns
        -------
        ndarray of shape (n_parameters,)

        Raises
        ------
        ValueError
            If the shape does not fit, or a value is not finite, or not zero where there is no
            connection.
        """
        return self._check_weights(W)[self.pairs]

    def unpack(self, theta):
        """Matrix of weights from the parameter vector.

        Parameters
        ----------
        theta : array-like of shape (n_parameters,) or (n_parameters, k)

        Returns
        -------
        ndarray of shape (n_units, n_units) or (n_units, n_units, k)
            Zero where there is no connection.
        """
        theta = np.asarray(theta, dtype=np.float64)
        if theta.ndim not in (1, 2) or len(theta) != self.n_parameters:
            raise ValueError(
                f"theta must have shape ({self.n_parameters},) or ({self.n_parameters}, k), a "
                f"number for each connection, got {theta.shape}."
            )
        W = np.zeros((self.n_units, self.n_units, *theta.shape[1:]))
        W[self.pairs] = theta
        return W

    def initial_weights(self, rng):
        """Draw weights uniformly, by the number of connections (Glorot and Bengio 2010).

        Parameters
        ----------
        rng : numpy.random.Generator or numpy.random.RandomState

        Returns
        -------
        ndarray of shape (n_units, n_units)
            ``pack`` makes the start of an optimiser of it.
        """
        source, destination = self.pairs
        fans = self.connections.sum(axis=1)[source] + self.connections.sum(axis=0)[destination]
        logistic = np.array([name == "logistic" for name in self.activations])
        bound = np.sqrt(np.where(logistic[destination], 2.0, 6.0) / fans)
        return self.unpack(rng.uniform(-bound, bound))

    def evaluate(self, W, I, D, sample_weight=None):
        """Everything at one matrix of weights.

        Parameters
        ----------
        W : array-like of shape (n_units, n_units)
            [i, j] is the weight from unit i to unit j, zero where there is no connection.
        I : array-like of shape (n, n_units)
            External inputs, a pattern each row.
        D : array-like of shape (n, n_outputs), or (n,) for one output unit
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the patterns: 2 counts as the pattern twice.

        Returns
        -------
        UnitState

        Raises
        ------
        ValueError
            If a shape does not fit or a value is not finite; if W has a weight where there is no
            connection; if D does not suit the loss.
        """
        return self.objective(I, D, sample_weight).at(self._check_weights(W))

    def objective(self, I, D, sample_weight=None):
        """The network with its data, checked once: what optimisers minimise.

        Parameters
        ----------
        I : array-like of shape (n, n_units)
        D : array-like of shape (n, n_outputs), or (n,) for one output unit
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        UnitObjective
        """
        return UnitObjective(self, *self._check_data(I, D, sample_weight))

    def predict(self, W, I):
        """Outputs of the network.

        Parameters
        ----------
        W : array-like of shape (n_units, n_units)
        I : array-like of shape (n, n_units)

        Returns
        -------
        ndarray of shape (n, n_outputs)
            Probabilities for the log losses, rates for ``poisson``.
        """
        D = np.zeros((len(np.atleast_1d(I)), len(self.output_units)))
        return self.evaluate(W, I, D, np.zeros(len(D))).predictions

    def _check_weights(self, W):
        W = self._check_array(W, "W", self.n_units, self.n_units)
        wrong = (W != 0) & ~self.connections
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            raise ValueError(
                f"W[{i}, {j}] is {W[i, j]:.6g}, but connections has none from unit {i} to unit "
                f"{j}: rows are where weights come from, columns where they lead. Is W transposed?"
            )
        return W

    def _check_data(self, I, D, sample_weight):
        I = self._check_array(I, "I", self.n_units)
        D = self._check_array(D, "D", len(self.output_units), len(I))
        try:
            self.loss_function.check(D)
        except ValueError as error:  # layered networks call their targets Y
            raise ValueError(str(error).replace(" of Y has ", " of D has ")) from None
        weight = np.ones(len(I)) if sample_weight is None else sample_weight
        weight = self._check_array(weight, "sample_weight", 1, len(I)).reshape(-1)
        return I, D, check_weights(weight)

    def _check_array(self, array, name, columns, rows=None):
        context = f"{self.n_units} units, {len(self.output_units)} of them outputs"
        array = as_table(array, name, columns, rows, context)
        array = np.ascontiguousarray(array, dtype=np.float64)
        if not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0]
            raise ValueError(f"{name}[{row}, {column}] is {array[row, column]}.")
        return array


def _check_connections(connections):
    given = np.asarray(connections)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.dtype.kind not in "fiub":
        raise ValueError(
            "connections must be a square array, a row and a column for each unit, of true and "
            f"false; got an array of {given.dtype} with shape {given.shape}."
        )
    wrong = (given != 0) & (given != 1)
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise ValueError(
            f"connections[{i}, {j}] is {given[i, j]}: 1 stands for a weight from unit {i} to "
            f"unit {j}, 0 for none. The weights themselves are W, an argument of evaluate."
        )
    if not given.any():
        raise ValueError("connections has no connection: there is nothing to fit.")
    checked = given.astype(bool)
    checked.flags.writeable = False
    return checked


def _check_activations(activations, n):
    names = (activations,) * n if isinstance(activations, str) else tuple(activations)
    if len(names) != n:
        raise ValueError(
            f"activations must be one name, or one for each of the {n} units; got {len(names)}."
        )
    for k, name in enumerate(names):
        if name not in ACTIVATIONS:
            raise ValueError(f"activations[{k}] is {name!r}, none of {', '.join(ACTIVATIONS)}.")
    return names


def _check_output_units(output_units, n):
    units = np.asarray(output_units)
    if units.ndim != 1 or len(units) == 0 or units.dtype.kind not in "iu":
        raise ValueError(
            f"output_units must be a list of at least one unit number, got {output_units!r}."
        )
    for k, unit in enumerate(units):
        if not 0 <= unit < n:
            raise ValueError(f"output_units[{k}] is {unit}; the units are 0 to {n - 1}.")
        if unit in units[:k]:
            raise ValueError(f"output_units[{k}] is {unit}, which is in the list already.")
    return tuple(int(unit) for unit in units)
