# ruff: noqa: E741  (I is the paper's name for external inputs)
"""Networks with cycles, which relax to a fixed point: recurrent backpropagation."""

import warnings
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from lmmfit.curvature._fixed_points import RelaxationPasses
from lmmfit.curvature._unit_parts import runs_of
from lmmfit.curvature.activations import CODES
from lmmfit.curvature.topology import UnitTopology
from lmmfit.curvature.unit_state import UnitObjective, UnitState

__all__ = ["RelaxationNetwork", "RelaxationState"]

_BLOCK = 2**16  # numbers in one array of a block of patterns
_MATRICES = 2**19  # numbers in the matrices of a block


class RelaxationState(UnitState):
    """A network with cycles at its fixed points.

    Everything of :class:`UnitState`, and how the fixed points were found.

    Parameters
    ----------
    objective : UnitObjective
    W : ndarray of shape (n_units, n_units)

    Attributes
    ----------
    residuals : ndarray of shape (n,)
        Largest change ``|sigma(x) + I - y|`` that one more move would make in each pattern,
        relative to 1 and the largest ``|y_i| + sum_j |w_ji y_j|``.
    converged : ndarray of bool of shape (n,)
        Whether the residual is within ``tol``.
    n_iter : int
        Moves of the slowest block of patterns until its outputs were relaxed.
    iterations : dict of str to int
        ``y``: as n_iter; ``newton``: Newton steps after that; with ``method="relax"`` the moves
        of ``z``, ``R{y}`` and ``R{z}`` too, once they were needed.
    is_stable : ndarray of bool of shape (n,)
        Whether relaxing in small steps comes back to the fixed point after a small disturbance:
        all eigenvalues of 1 - diag(sigma') W' have a positive real part.

    Examples
    --------
    >>> from lmmfit.curvature import RelaxationNetwork
    >>> net = RelaxationNetwork([[1]], "tanh", [0])
    >>> state = net.evaluate([[-0.5]], [[1.0], [2.0]], [0.0, 0.0])
    >>> state.units.round(4).ravel(), state.converged, state.is_stable
    (array([0.6748, 1.3967]), array([ True,  True]), array([ True,  True]))
    """

    def __init__(self, objective, W):
        super().__init__(objective, W)
        self.residuals = np.concatenate([block.residuals for block in self._blocks])
        self.converged = self.residuals <= objective.network.tol  # not where it is NaN
        if not self.converged.all():
            _warn(objective.network, self.residuals, self.converged)

    @property
    def iterations(self):
        """Iterations of each kind, of the slowest block of patterns."""
        found = [block.iterations for block in self._blocks]
        return {name: max(other[name] for other in found) for name in found[0]}

    @property
    def n_iter(self):
        """Moves until the outputs were relaxed."""
        return self.iterations["y"]

    @cached_property
    def is_stable(self):
        """Whether relaxing returns to the fixed point of each pattern."""
        stable = []
        for block in self._blocks:
            matrices = block.matrices(block.slope)
            finite = np.isfinite(matrices).all(axis=(1, 2))
            finite[finite] = np.linalg.eigvals(matrices[finite]).real.min(axis=1) > 0
            stable.append(finite)
        return np.concatenate(stable)


def _warn(network, residuals, converged):
    worst = np.argsort(np.where(np.isnan(residuals), np.inf, residuals))[::-1]
    named = ", ".join(f"{i} ({residuals[i]:.1e})" for i in worst[:3] if not converged[i])
    warnings.warn(
        f"no fixed point within tol={network.tol:g} for {np.sum(~converged)} of "
        f"{len(converged)} patterns; the largest residuals: {named}. Values and derivatives "
        f"there mean nothing. Try a smaller step than {network.step:g}, more moves than "
        f"max_iter={network.max_iter}, smaller weights, or another start.",
        RuntimeWarning,
        stacklevel=5,
    )


@dataclass(frozen=True, eq=False, repr=False)
class RelaxationNetwork(UnitTopology):
    """Network with cycles at its fixed point: its error and exact products with the Hessian.

    The outputs of the units fulfil ``y_j = sigma_j(x_j) + I_j`` with ``x_j = sum_i w_ij y_i`` for
    any connections, self connections too. They are found by relaxing, ``y <- y + step (sigma(x)
    + I - y)``. The value is the weighted sum of the loss over the patterns.

    Parameters
    ----------
    connections : array-like of shape (n_units, n_units)
        True or 1 at [i, j] for a weight from unit i to unit j.
    activations : sequence of str, one a unit, or str for all
        ``identity``, ``tanh``, ``logistic``, ``relu``, ``softplus`` or ``gelu``.
    output_units : sequence of int
        Units that the loss sees, in the order of the columns of the targets.
    loss : str, default="squared_error"
        Of the outputs of the output units, as in :class:`UnitNetwork`.
    huber_delta : float, default=1.0
        Error at which ``huber`` turns linear.
    method : {"solve", "relax"}, default="solve"
        ``solve``: relax the outputs until they are near, go on by Newton's method, and find all
        derivatives by the inverse of a matrix for each pattern. ``relax``: relax outputs and
        derivatives, as in the paper.
    step : float, default=1.0
        Of relaxing, up to 1: the time step of the paper's differential equations.
    tol : float, default=1e-13
        Largest residual at a fixed point, see :class:`RelaxationState`.
    max_iter : int, default=1000
        Moves of relaxing at most.

    Attributes
    ----------
    n_units, n_parameters : int
    loss_function : Loss
    input_units : ndarray of int
        Units without incoming connections.
    pairs : tuple of ndarray of shape (n_parameters,)
        Sources and destinations of the weights, row by row of ``connections``.
    order : ndarray of shape (n_units,)
        Units in the order of the passes: inputs, then the others by activation.
    runs : list of tuple
        Runs of equal activations behind the inputs.

    Raises
    ------
    ValueError
        If activations, output units, loss or what steers relaxing do not fit.

    Warns
    -----
    RuntimeWarning
        When evaluated, if a fixed point was not reached; names the patterns. With
        ``method="relax"`` also for derivatives that are not settled after ``max_iter`` moves.

    Notes
    -----
    With S = diag(sigma') and M = 1 - S W' for a pattern, where W' is the transpose:

    - ``M R{y} = S V'y`` and ``R{x} = V'y + W'R{y}``,
    - ``M'u = e`` and ``z = S u``, the derivatives by x; the gradient is ``y_i z_j``,
    - ``R{z} = S t + sigma'' R{x} u`` with ``M't = V z + W (sigma'' R{x} u) + e' R{y}``; the
      product with the Hessian is ``y_i R{z_j} + R{y_i} z_j``.

    Equations 10 and 11 of the paper leave e out of the bracket that sigma' multiplies, which is
    right for linear output units alone. Here ``z_i = sigma'_i(x_i) (sum_j w_ij z_j + e_i)``.

    A unit without incoming connections is an input, whatever its activation: its output is its
    external input.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1),
    equations 10 and 11.

    Almeida (1987) and Pineda (1987) for recurrent backpropagation.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import RelaxationNetwork
    >>> net = RelaxationNetwork(np.ones((4, 4)), "tanh", [2, 3])
    >>> rng = np.random.default_rng(0)
    >>> W = net.initial_weights(rng)
    >>> I, D = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    >>> state = net.evaluate(W, I, D)
    >>> V = rng.normal(size=(4, 4))
    >>> HV = state.hessian_vector_product(V)
    >>> bool(np.allclose(HV.ravel(), state.hessian() @ V.ravel()))
    True
    """

    _: KW_ONLY
    method: str = "solve"
    step: float = 1.0
    tol: float = 1e-13
    max_iter: int = 1000
    order: np.ndarray = field(init=False)
    runs: list = field(init=False)
    state_type: ClassVar = RelaxationState

    def __post_init__(self):
        super().__post_init__()
        if self.method not in ("solve", "relax"):
            raise ValueError(f"method={self.method!r} is neither 'solve' nor 'relax'.")
        if not 0 < self.step <= 1:
            raise ValueError(f"step must be above 0 and at most 1, got {self.step!r}.")
        if not 0 < self.tol < 1:
            raise ValueError(f"tol must be between 0 and 1, got {self.tol!r}.")
        if int(self.max_iter) != self.max_iter or self.max_iter < 1:
            raise ValueError(f"max_iter must be a whole number above 0, got {self.max_iter!r}.")
        codes = np.array([CODES[name] for name in self.activations])
        codes[self.input_units] = -1
        order = np.argsort(codes, kind="stable")
        names = [self.activations[unit] for unit in order[len(self.input_units) :]]
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "runs", runs_of(names))

    @property
    def rows_of_a_block(self):
        """Patterns that relax together."""
        moving = self.n_units - len(self.input_units)
        return max(1, min(_BLOCK // self.n_units, _MATRICES // moving**2))

    def make_block(self, W, objective, part):
        """Passes of some patterns.

        Parameters
        ----------
        W : ndarray of shape (n_units, n_units)
            In the order of the passes.
        objective : UnitObjective
        part : slice

        Returns
        -------
        RelaxationPasses
        """
        return RelaxationPasses(self, W, objective, part)

    def initial_weights(self, rng):
        """Draw weights uniformly, and shrink them until relaxing contracts.

        Their largest singular value is at most 1/2: whatever the inputs, there is one fixed
        point, it is stable, and relaxing reaches it from anywhere.

        Parameters
        ----------
        rng : numpy.random.Generator or numpy.random.RandomState

        Returns
        -------
        ndarray of shape (n_units, n_units)
        """
        W = super().initial_weights(rng)
        return W * min(1.0, 0.5 / np.linalg.norm(W, 2))

    def evaluate(self, W, I, D, sample_weight=None, start=None):
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
        start : array-like of shape (n, n_units), optional
            Outputs of units from which to relax; zero by default. Where there are several fixed
            points it decides which of them is reached.

        Returns
        -------
        RelaxationState

        Raises
        ------
        ValueError
            If a shape does not fit or a value is not finite; if W has a weight where there is no
            connection; if D does not suit the loss.
        numpy.linalg.LinAlgError
            When derivatives are asked for, if the matrix of a pattern is singular.
        """
        return self.objective(I, D, sample_weight, start).at(self._check_weights(W))

    def objective(self, I, D, sample_weight=None, start=None):
        """The network with its data, checked once: what optimisers minimise.

        Parameters
        ----------
        I : array-like of shape (n, n_units)
        D : array-like of shape (n, n_outputs), or (n,) for one output unit
        sample_weight : array-like of shape (n,), optional
        start : array-like of shape (n, n_units), optional
            The same for all weights: the value does not depend on what was evaluated before.

        Returns
        -------
        UnitObjective
        """
        data = self._check_data(I, D, sample_weight)
        if start is not None:
            start = self._check_array(start, "start", self.n_units, len(data[0]))
        return UnitObjective(self, *data, start)

    def predict(self, W, I, start=None):
        """Outputs of the network.

        Parameters
        ----------
        W : array-like of shape (n_units, n_units)
        I : array-like of shape (n, n_units)
        start : array-like of shape (n, n_units), optional

        Returns
        -------
        ndarray of shape (n, n_outputs)
            Probabilities for the log losses, rates for ``poisson``.
        """
        D = np.zeros((len(np.atleast_1d(I)), len(self.output_units)))
        return self.evaluate(W, I, D, np.zeros(len(D)), start).predictions
