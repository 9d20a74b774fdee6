"""Feed-forward networks of any topology, unit by unit as in the paper."""

import itertools
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from lmmfit.curvature._unit_parts import OutputError, respond, runs_of
from lmmfit.curvature.activations import CODES
from lmmfit.curvature.topology import UnitTopology
from lmmfit.curvature.unit_state import UnitState

__all__ = ["UnitNetwork"]

_BLOCK = 2**16  # numbers in one array of a block of patterns: what stays in cache


@dataclass(frozen=True, eq=False, repr=False)
class UnitNetwork(UnitTopology):
    """Feed-forward network of any topology: its error and exact products with the Hessian.

    Unit j has the input ``x_j = sum_i w_ij y_i`` and the output ``y_j = sigma_j(x_j) + I_j`` with
    an external input I, in an order in which the sources of a unit come before it. Layers may be
    skipped, and output units may feed other units. The value is the weighted sum of the loss over
    the patterns.

    Parameters
    ----------
    connections : array-like of shape (n_units, n_units)
        True or 1 at [i, j] for a weight from unit i to unit j.
    activations : sequence of str, one a unit, or str for all
        ``identity``, ``tanh``, ``logistic``, ``relu``, ``softplus`` or ``gelu``.
    output_units : sequence of int
        Units that the loss sees, in the order of the columns of the targets.
    loss : str, default="squared_error"
        Of the outputs z of the output units. ``squared_error``: half the square of z - d, summed;
        ``huber``: the same up to an error of ``huber_delta``, linear beyond; ``log_loss``:
        cross-entropy of softmax(z); ``binary_log_loss``: cross-entropy of logistic(z), each by
        itself; ``poisson``: exp(z) - d z. The last three bring softmax, logistic and exp with
        them: their output units should be ``identity`` units.
    huber_delta : float, default=1.0
        Error at which ``huber`` turns linear.

    Attributes
    ----------
    n_units, n_parameters : int
    loss_function : Loss
    input_units : ndarray of int
        Units without incoming connections.
    pairs : tuple of ndarray of shape (n_parameters,)
        Sources and destinations of the weights, row by row of ``connections``.
    order : ndarray of shape (n_units,)
        Units in the order of the passes: by level, the longest path to them, and within a level
        by activation.
    levels : list of Level
        Which places in ``order`` belong together.

    Raises
    ------
    ValueError
        If the connections form a cycle; if activations, output units or loss do not fit.

    Notes
    -----
    A unit without incoming connections is an input: its output is its external input, whatever
    its activation. By the letter of equation 6 a logistic input would add sigma(0) = 0.5. For
    biases, connect an input unit whose external input is 1.

    The derivatives of ``relu`` and ``huber`` are those away from the kinks.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1),
    equations 6 to 9, footnotes 2 and 3.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import UnitNetwork
    >>> connections = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])  # a chain, and a skip
    >>> net = UnitNetwork(connections, ["identity", "tanh", "identity"], [2])
    >>> rng = np.random.default_rng(0)
    >>> W, I, D = net.initial_weights(rng), np.zeros((8, 3)), rng.normal(size=8)
    >>> I[:, 0] = rng.normal(size=8)
    >>> state = net.evaluate(W, I, D)
    >>> V = connections * rng.normal(size=(3, 3))
    >>> HV = state.hessian_vector_product(V)
    >>> bool(np.allclose(net.pack(HV), state.hessian() @ net.pack(V)))
    True
    """

    order: np.ndarray = field(init=False)
    levels: list = field(init=False)
    state_type: ClassVar = UnitState

    def __post_init__(self):
        super().__post_init__()
        depth = _longest_paths(self.connections)
        reach = np.where(self.connections, depth, 0).max(axis=1)
        codes = np.array([CODES[name] for name in self.activations])
        codes[self.input_units] = 0
        order = np.lexsort((reach, codes, depth))
        ordered = self.connections[np.ix_(order, order)]
        names = [self.activations[unit] for unit in order]
        ends = np.searchsorted(depth[order], np.arange(1, depth.max() + 2)).tolist()
        levels = [_make_level(ordered, names, a, b) for a, b in itertools.pairwise(ends)]
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "levels", levels)

    @property
    def rows_of_a_block(self):
        """Patterns that go through the network together."""
        return max(32, _BLOCK // self.n_units)

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
        Passes
        """
        return Passes(self, W, *(a[part] for a in (objective.I, objective.D, objective.weight)))


@dataclass(frozen=True)
class Level:
    """Units none of which is a source of another; numbers are places in the order of the passes.

    Attributes
    ----------
    low, first, last, high : int
        The level are the units from first to before last. All of their sources are from low to
        before first, all of their destinations from last to before high.
    runs : list of tuple
        Runs of equal activations, counted from first.
    """

    low: int
    first: int
    last: int
    high: int
    runs: list


class Passes:
    """Forward and backward passes of a block of patterns.

    Arrays hold a row for each unit, in the order of the levels, with a column for each pattern;
    R-variables have the directions in between. The sources of a level then lie in a slice, its
    destinations in another, and a level is one matrix product with either.

    Parameters
    ----------
    network : UnitNetwork
    W : ndarray of shape (n_units, n_units)
    I : ndarray of shape (rows, n_units)
    D : ndarray of shape (rows, n_outputs)
    weight : ndarray of shape (rows,)
    """

    def __init__(self, network, W, I, D, weight):  # noqa: E741  (the paper's name)
        self.levels, self.W = network.levels, W
        self.outputs = np.argsort(network.order)[list(network.output_units)]
        self.y = y = np.array(I.T[network.order], order="C")
        self.slope, self.bend = np.zeros_like(y), np.zeros_like(y)
        for level in self.levels:
            low, a, b = level.low, level.first, level.last
            x = W[low:a, a:b].T @ y[low:a]
            respond(level.runs, x, self.slope[a:b], self.bend[a:b])
            y[a:b] += x
        z = np.ascontiguousarray(y[self.outputs].T)
        self.error = OutputError(network.loss_function, z, D, weight)

    @property
    def units(self):
        """Outputs of the units, (rows, n_units)."""
        return self.y.T

    def differentiate(self):
        """Equations 7: the gradient; kept are dE/dx and the bends times the unscaled dE/dy."""
        y, W, gradient = self.y, self.W, np.zeros_like(self.W)
        up, self.delta = np.zeros_like(y), np.zeros_like(y)
        up[self.outputs] = self.error.differentiate().T
        for level in reversed(self.levels):
            low, a, b, high = level.low, level.first, level.last, level.high
            up[a:b] += W[a:b, b:high] @ self.delta[b:high]
            self.delta[a:b] = self.slope[a:b] * up[a:b]
            gradient[low:a, a:b] = y[low:a] @ self.delta[a:b].T
        self.bend *= up
        return gradient

    def multiply(self, V, exact):
        """Equations 8 and 9 for m directions, (n_units, n_units, m); else the Gauss-Newton matrix.

        The latter drops what moves the backward pass: V dE/dx, R{y} dE/dx and the bends.
        """
        y, W, slope, delta = self.y, self.W, self.slope[:, None], self.delta
        (n, rows), m, inputs = y.shape, V.shape[2], self.levels[0].first
        into, out = (np.ascontiguousarray(V.transpose(t)) for t in ((1, 2, 0), (0, 2, 1)))
        into, out = into.reshape(n * m, n), out.reshape(n * m, n)  # rows: units, then directions
        rx, ry, rup, rdelta = np.zeros((4, n, m, rows))
        for level in self.levels:
            low, a, b = level.low, level.first, level.last
            moving = max(low, inputs)
            rx[a:b] = (into[a * m : b * m, low:a] @ y[low:a]).reshape(b - a, m, rows)
            rx[a:b] += _apply(W[moving:a, a:b].T, ry[moving:a])
            ry[a:b] = slope[a:b] * rx[a:b]
        rup[self.outputs] = self.error.curve(ry[self.outputs].T).T
        product = np.zeros_like(V)
        for level in reversed(self.levels):
            low, a, b, high = level.low, level.first, level.last, level.high
            rup[a:b] += _apply(W[a:b, b:high], rdelta[b:high])
            if exact:
                rup[a:b] += (out[a * m : b * m, b:high] @ delta[b:high]).reshape(b - a, m, rows)
            rdelta[a:b] = slope[a:b] * rup[a:b]
            if exact:
                rdelta[a:b] += self.bend[a:b, None] * rx[a:b]
                moved = ry[low:a].reshape((a - low) * m, rows) @ delta[a:b].T
                product[low:a, a:b] = moved.reshape(a - low, m, b - a).transpose(0, 2, 1)
            moved = y[low:a] @ rdelta[a:b].reshape((b - a) * m, rows).T
            product[low:a, a:b] += moved.reshape(a - low, b - a, m)
        return product


def _apply(W, r):
    """Matrix product over the first index of r, for all directions and patterns at once."""
    return (W @ r.reshape(len(r), r.shape[1] * r.shape[2])).reshape(len(W), *r.shape[1:])


def _make_level(connections, names, first, last):
    """The level of units from first to before last, with connections and names in order."""
    sources = np.flatnonzero(connections[:, first:last].any(axis=1))
    destinations = np.flatnonzero(connections[first:last].any(axis=0))
    high = int(destinations[-1]) + 1 if len(destinations) else last
    return Level(int(sources[0]), first, last, high, runs_of(names[first:last]))


def _longest_paths(connections):
    """Level of each unit: connections on the longest path to it from an input."""
    missing, level = connections.sum(axis=0), np.zeros(len(connections), dtype=np.int64)
    ready, depth = np.flatnonzero(missing == 0), 0
    while len(ready):
        level[ready] = depth
        missing[ready] = -1
        missing = missing - connections[ready].sum(axis=0)
        ready, depth = np.flatnonzero(missing == 0), depth + 1
    left = np.flatnonzero(missing > 0)
    if len(left):
        cycle = " -> ".join(map(str, _find_cycle(connections, left)))
        raise ValueError(
            f"the connections form a cycle, {cycle}: there is no order in which every unit comes "
            "after its sources. RelaxationNetwork takes cycles."
        )
    return level


def _find_cycle(connections, left):
    """Units of a cycle, the first again at the end; each of ``left`` has a source among them."""
    path = [left[0]]
    while True:
        source = left[np.argmax(connections[left, path[-1]])]
        if source in path:
            return [source, *path[path.index(source) :][::-1]]
        path.append(source)
