"""Boltzmann machines: units, pairs, environments."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmfit.curvature._boltzmann_checks import (
    check_environment,
    check_patterns,
    check_size,
    check_vector,
)
from lmmfit.curvature.boltzmann_state import BoltzmannObjective
from lmmfit.curvature.gibbs import sample_statistics

__all__ = ["BoltzmannMachine"]


@dataclass(frozen=True)
class BoltzmannMachine:
    """Network of binary units that turn on and off at random, with exact derivatives.

    Units come in the order visible, hidden, bias. The energy of a state is
    E = sum over i < j of s_i s_j w_ij, and a state has the probability exp(-E/T) / Z (Pearlmutter
    1994, equation 13 and below). To be learnt is a distribution over the visible units; the value
    is the asymmetric divergence G of the machine from it, a gradient is one by the weights.

    Parameters
    ----------
    n_visible : int
    n_hidden : int
    temperature : float, default=1.0
        T; it divides all weights.
    bias_unit : bool, default=False
        Whether a last unit is always on; weights to it are biases.
    n_inputs : int, default=0
        The first so many visible units are inputs: a conditional machine, which learns the
        distribution of the other visible units given these.

    Attributes
    ----------
    n_parameters : int
    n_units : int
    pairs : ndarray of shape (n_parameters, 2)
        Units that each weight joins.
    visible_states : ndarray of shape (2^n_visible, n_visible)

    Raises
    ------
    ValueError
        If a count or the temperature makes no machine.

    Notes
    -----
    With this sign of the energy a unit is on with probability sigma(-x_i / T), where x_i is the
    sum of w_ij s_j: a negative weight favours both units on. Equation 12 as printed has
    sigma(x_i / T), which belongs to the energy of the other sign; equations 14 to 20 follow from
    that of equation 13. For the other convention, change the sign of w, v, gradient and product.

    All sums are exact, over every state, up to 20 units besides the bias: see
    :class:`BoltzmannState`. Beyond, :meth:`sample` estimates them.

    References
    ----------
    Ackley, D. H., Hinton, G. E. and Sejnowski, T. J. (1985). A learning algorithm for Boltzmann
    machines. Cognitive Science 9(1).

    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import BoltzmannMachine
    >>> from lmmfit.optimize import SCG, minimize
    >>> machine = BoltzmannMachine(n_visible=2, n_hidden=1, bias_unit=True)
    >>> machine.pairs.tolist()
    [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    >>> P_env = machine.environment([[0, 1], [1, 0]], [3, 1]) * 0.98 + 0.005
    >>> start = machine.initial_weights(np.random.default_rng(0))
    >>> result = minimize(machine.objective(P_env), start, SCG())
    >>> machine.evaluate(result.x, P_env).probabilities.round(3)
    array([0.005, 0.74 , 0.25 , 0.005])
    """

    n_visible: int
    n_hidden: int
    temperature: float = 1.0
    bias_unit: bool = False
    n_inputs: int = 0

    def __post_init__(self):
        for name, least in (("n_visible", 1), ("n_hidden", 0), ("n_inputs", 0)):
            count = getattr(self, name)
            if int(count) != count or count < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {count!r}.")
            object.__setattr__(self, name, int(count))
        if self.n_inputs >= self.n_visible:
            raise ValueError(
                f"n_inputs={self.n_inputs} of n_visible={self.n_visible} units leaves no output "
                "whose distribution could be learnt."
            )
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature must be finite and above 0, got {self.temperature!r}.")
        if self.n_units < 2:
            raise ValueError("a single unit without a bias has no weight.")

    @property
    def n_units(self):
        """Number of units, the bias unit among them."""
        return self.n_visible + self.n_hidden + bool(self.bias_unit)

    @property
    def n_parameters(self):
        """Number of weights: pairs of units."""
        return self.n_units * (self.n_units - 1) // 2

    @cached_property
    def pairs(self):
        """Units that each weight joins, i < j, in lexicographic order."""
        return np.column_stack(np.triu_indices(self.n_units, 1))

    @cached_property
    def places(self):
        """Row and column of each weight in a triangle that has the biases on its diagonal."""
        i, j = self.pairs.T
        return i, np.where(j == self.n_visible + self.n_hidden, i, j)

    @property
    def visible_states(self):
        """States of the visible units, in the order of ``P_env``; unit 0 is the highest bit."""
        check_size(self)
        bits = np.arange(self.n_visible - 1, -1, -1)
        return (np.arange(2**self.n_visible)[:, None] >> bits) & 1

    def environment(self, patterns, weights=None):
        """Distribution over the visible states, from patterns.

        Parameters
        ----------
        patterns : array-like of shape (n, n_visible)
            A pattern of 0 and 1 each row; rows may be repeated.
        weights : array-like of shape (n,), optional
            Weights of the patterns; all the same by default. They are divided by their sum.

        Returns
        -------
        ndarray of shape (2^n_visible,)
            ``P_env``: entry a belongs to the state that a is as a binary number, unit 0 first.

        Raises
        ------
        ValueError
            If a pattern has an element other than 0 and 1, or a weight is negative.
        """
        check_size(self)
        patterns, weights = check_patterns(self, patterns, weights)
        index = patterns @ (1 << np.arange(self.n_visible - 1, -1, -1))
        return np.bincount(index, weights, minlength=2**self.n_visible)

    def objective(self, P_env):
        """The machine in its environment, checked once: what optimisers minimise.

        Parameters
        ----------
        P_env : array-like of shape (2^n_visible,)
            Probability of each visible state, as :meth:`environment` gives it.

        Returns
        -------
        BoltzmannObjective

        Raises
        ------
        ValueError
            If ``P_env`` is no distribution, or there are more than 20 units.
        """
        check_size(self)
        return BoltzmannObjective(self, check_environment(self, P_env))

    def evaluate(self, w, P_env):
        """Everything at one weight vector.

        Parameters
        ----------
        w : array-like of shape (n_parameters,)
            Weight of each pair.
        P_env : array-like of shape (2^n_visible,)

        Returns
        -------
        BoltzmannState

        Raises
        ------
        ValueError
            If a shape does not fit, a weight is not finite, ``P_env`` is no distribution, or
            there are more than 20 units.
        """
        objective = self.objective(P_env)
        return objective.evaluate(check_vector(self, w, "w"))

    def sample(self, w, environment, v=None, **options):
        """Estimate gradient and product by Gibbs sampling, for machines of any size.

        Parameters
        ----------
        w : array-like of shape (n_parameters,)
        environment : array-like of shape (2^n_visible,), or tuple (patterns, weights)
        v : array-like of shape (n_parameters,), optional
        **options
            Those of :func:`sample_statistics`.

        Returns
        -------
        GibbsStatistics
        """
        return sample_statistics(self, w, environment, v, **options)

    def initial_weights(self, rng):
        """Draw small weights, normal with standard deviation T / sqrt(n_units).

        Parameters
        ----------
        rng : numpy.random.Generator or numpy.random.RandomState

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        return rng.normal(0.0, self.temperature / np.sqrt(self.n_units), self.n_parameters)
