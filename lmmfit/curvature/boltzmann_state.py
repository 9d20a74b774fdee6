"""A Boltzmann machine in its environment: exact value, gradient and products."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import xlogy

from lmmfit.curvature._boltzmann_checks import check_vector
from lmmfit.curvature._boltzmann_kernels import (
    combine_rows,
    condition_rows,
    fill_energies,
    pair_moments,
    row_means,
)
from lmmfit.curvature._checks import as_directions

__all__ = ["BoltzmannObjective", "BoltzmannState", "BoltzmannStatistics"]


class BoltzmannObjective:
    """The divergence of a machine from its environment, as a function of the weights.

    Made by :meth:`BoltzmannMachine.objective`; the environment is checked there, once.

    Parameters
    ----------
    machine : BoltzmannMachine
    P_env : ndarray of shape (2^n_visible,)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import BoltzmannMachine
    >>> objective = BoltzmannMachine(2, 0, bias_unit=True).objective([0.5, 0, 0, 0.5])
    >>> state = objective.evaluate(np.zeros(3))
    >>> bool(np.isclose(state.value, np.log(2))), state.gradient  # pairs 01, 02, 12
    (True, array([0.25, 0.  , 0.  ]))
    """

    def __init__(self, machine, P_env):
        self.machine, self.P_env = machine, P_env
        by_input = P_env.reshape(2**machine.n_inputs, -1)
        self.P_inputs = by_input.sum(axis=1, keepdims=True)
        self.negative_entropy = float(
            (xlogy(by_input, by_input)).sum() - xlogy(self.P_inputs, self.P_inputs).sum()
        )

    @property
    def n_parameters(self):
        """Number of weights."""
        return self.machine.n_parameters

    def evaluate(self, w):
        """Value, gradient and products at one weight vector.

        Parameters
        ----------
        w : ndarray of shape (n_parameters,)

        Returns
        -------
        BoltzmannState

        Raises
        ------
        ValueError
            If the shape does not fit.
        """
        w = np.asarray(w, dtype=np.float64)
        if w.shape != (self.n_parameters,):
            raise ValueError(f"w must have shape ({self.n_parameters},), got {w.shape}.")
        return BoltzmannState(self, w)


@dataclass(frozen=True)
class BoltzmannStatistics:
    """What units, pairs and energies do on average, and how it changes along a vector.

    Plus is the waking phase, visible units as the environment has them; minus is the
    hallucinating phase, in which only inputs are given.

    Attributes
    ----------
    q_plus, q_minus : ndarray of shape (k,)
        <s_i s_j D> with D the sum over i < j of s_i s_j v_ij (equation 17).
    D_plus, D_minus : float
        <D> (equation 18).
    R_p_plus, R_p_minus : ndarray of shape (k,)
        Derivatives of <s_i s_j> along v (equation 20, for each clamped pattern by itself).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import BoltzmannMachine
    >>> machine = BoltzmannMachine(2, 0, bias_unit=True)
    >>> state = machine.evaluate(np.zeros(3), [0.5, 0, 0, 0.5])
    >>> statistics = state.statistics(np.array([1.0, 0.0, 0.0]))
    >>> statistics.D_plus, statistics.D_minus, statistics.R_p_minus
    (0.5, 0.25, array([-0.1875, -0.125 , -0.125 ]))
    """

    q_plus: np.ndarray
    q_minus: np.ndarray
    D_plus: float
    D_minus: float
    R_p_plus: np.ndarray
    R_p_minus: np.ndarray


class BoltzmannState:
    """A machine at one weight vector: all its states, with their probabilities.

    Parameters
    ----------
    objective : BoltzmannObjective
    w : ndarray of shape (n_parameters,)

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
        The weights w.
    value : float
        Asymmetric divergence G: the sum over the visible states of P_env log(P_env / P). For a
        conditional machine both are probabilities of the outputs given the inputs.
    probabilities : ndarray of shape (2^n_visible,)
        P of each visible state; given its inputs in a conditional machine.
    gradient : ndarray of shape (n_parameters,)
        (p_plus - p_minus) / T (equation 14).
    p_plus, p_minus : ndarray of shape (n_parameters,)
        <s_i s_j> in the waking and in the hallucinating phase.

    Notes
    -----
    The average <D> in equation 20 belongs to the distribution that is differentiated. In the
    waking phase that is the one of the hidden units for one clamped pattern, so that
    R{p_plus} = sum over v of P_env(v) [p_ij|v <D>_v - q_ij|v] / T. One <D> for all patterns
    would be wrong wherever there are hidden units. The same holds for the inputs of a conditional
    machine in both phases.

    Value, gradient and each product take O(2^n) operations for n units besides the bias:
    energies and D are built by doubling, moments of all pairs found by folding, one unit at a
    time; no table has more than 2^n entries.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1),
    equations 12 to 20.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import BoltzmannMachine
    >>> machine = BoltzmannMachine(3, 2, temperature=0.5)
    >>> P_env = machine.environment([[0, 0, 1], [1, 1, 0]])
    >>> state = machine.evaluate(np.linspace(-1, 1, 10), P_env)
    >>> bool(np.allclose(state.gradient, (state.p_plus - state.p_minus) / 0.5))
    True
    >>> v = np.ones(10)
    >>> bool(np.allclose(state.hessian_vector_product(v), state.hessian() @ v))
    True
    """

    def __init__(self, objective, w):
        self.objective, self.theta = objective, w
        machine = objective.machine
        self._T = machine.temperature
        with np.errstate(over="ignore", invalid="ignore"):  # a step too long has no value
            self._hidden, logs = self._condition(self._table(w / -self._T))
            by_input = logs.reshape(2**machine.n_inputs, -1)
            given, totals = self._condition(by_input.copy())
            self.probabilities = given.ravel()
            log_P = (by_input - totals[:, None]).ravel()
            self._model = (objective.P_inputs * given).ravel()
            known = objective.P_env > 0
            cross = objective.P_env[known] @ log_P[known]
            self.value = float(objective.negative_entropy - cross)

    @cached_property
    def gradient(self):
        """Derivatives of the value by the weights."""
        return self._moments(self._scaled((self.objective.P_env - self._model) / self._T))

    @cached_property
    def p_plus(self):
        """<s_i s_j> in the waking phase."""
        return self._moments(self._scaled(self.objective.P_env))

    @cached_property
    def p_minus(self):
        """<s_i s_j> in the hallucinating phase."""
        return self._moments(self._scaled(self._model))

    def hessian_vector_product(self, v):
        """Multiply by the Hessian of the value, exactly: (R{p_plus} - R{p_minus}) / T.

        Parameters
        ----------
        v : array-like of shape (n_parameters,) or (n_parameters, m)

        Returns
        -------
        ndarray of the shape of v
        """
        return self._columns(v, lambda D: self._R_waking(D) - self._R_hallucinating(D))

    def gauss_newton_vector_product(self, v):
        """Multiply by the covariance of the products s_i s_j in the hallucinating phase, / T^2.

        This is -R{p_minus} / T, the Hessian's positive semidefinite part, and all of it where
        no unit is hidden. For a conditional machine it is the mean of the covariances given the
        inputs.

        Parameters
        ----------
        v : array-like of shape (n_parameters,) or (n_parameters, m)

        Returns
        -------
        ndarray of the shape of v
        """
        return self._columns(v, lambda D: -self._R_hallucinating(D))

    def hessian(self):
        """The Hessian, column by column.

        Returns
        -------
        ndarray of shape (n_parameters, n_parameters)
            Symmetric to the last bit.
        """
        matrix = self.hessian_vector_product(np.eye(len(self.theta)))
        return 0.5 * (matrix + matrix.T)

    def statistics(self, v):
        """All averages that a product with the Hessian is made of.

        Parameters
        ----------
        v : array-like of shape (n_parameters,)

        Returns
        -------
        BoltzmannStatistics
        """
        v = check_vector(self.objective.machine, v, "v")
        D = self._D(v)
        zero, P_env, model = np.zeros_like(self._model), self.objective.P_env, self._model
        return BoltzmannStatistics(
            q_plus=self._moments(self._combined(D.table.copy(), zero, P_env)),
            q_minus=self._moments(self._combined(D.table.copy(), zero, model)),
            D_plus=float(P_env @ D.given_visible),
            D_minus=float(model @ D.given_visible),
            R_p_plus=self._moments(self._combined(D.table.copy(), *self._R_waking(D))),
            R_p_minus=self._moments(self._combined(D.table, *self._R_hallucinating(D))),
        )

    def _columns(self, v, change):
        """Moments of the change of the probabilities along each column, / T."""
        size = len(self.theta)
        v = as_directions(v, size, "weights", columns="m")
        result = np.empty((size, v.size // size))
        for column, part in enumerate(v.reshape(size, -1).T):
            D = self._D(part)
            result[:, column] = self._moments(self._combined(D.table, *change(D) / self._T))
        return result.reshape(v.shape)

    def _D(self, v):
        """D of each state, and its means given the visible units and given the inputs."""
        table = self._table(v).reshape(self._hidden.shape)
        given_visible = np.empty(len(table))
        row_means(self._hidden, table, given_visible)
        by_input = (-1, 2 ** (self.objective.machine.n_visible - self.objective.machine.n_inputs))
        means = (self.probabilities * given_visible).reshape(by_input).sum(axis=1)
        return _EnergyChange(table, given_visible, np.repeat(means, by_input[1]))

    def _R_waking(self, D):
        """R{P} = P (<D> - D) / T given the visible units: constant and slope of P's factor."""
        P = self.objective.P_env / self._T
        return np.array([P * D.given_visible, -P])

    def _R_hallucinating(self, D):
        """The same given the inputs alone (equation 19)."""
        P = self._model / self._T
        return np.array([P * D.given_inputs, -P])

    def _combined(self, table, constant, slope):
        """The table of D becomes probabilities of visible states x (constant + slope D)."""
        combine_rows(self._hidden, constant, slope, table)
        return table

    def _scaled(self, P):
        return self._hidden * P[:, None]

    def _table(self, w):
        """Sums over i < j of s_i s_j w_ij for every state."""
        machine = self.objective.machine
        n = machine.n_visible + machine.n_hidden
        W = np.zeros((n, n))
        W[machine.places] = w
        table = np.empty(2**n)
        fill_energies(W, table)
        return table.reshape(2**machine.n_visible, -1)

    def _condition(self, scores):
        """Softmax of each row and the logarithm of its sum, in place."""
        shift, sums = np.empty((2, len(scores)))
        condition_rows(scores, shift, sums, 0)
        np.exp(scores, out=scores)
        condition_rows(scores, shift, sums, 1)
        return scores, shift + np.log(sums)

    def _moments(self, table):
        """Sums over the states of table x s_i s_j, for all pairs; the table is overwritten."""
        machine = self.objective.machine
        n = machine.n_visible + machine.n_hidden
        moments = np.empty((n, n))
        pair_moments(table.reshape(-1), np.empty(table.size // 2), moments)
        return moments[machine.places]


@dataclass(frozen=True)
class _EnergyChange:
    """D of every state, and its means, one for each visible state."""

    table: np.ndarray
    given_visible: np.ndarray
    given_inputs: np.ndarray
