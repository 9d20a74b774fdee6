"""Gibbs sampling of a Boltzmann machine: gradients and products with error bars."""

from dataclasses import dataclass

import numpy as np

from lmmfit.curvature._boltzmann_checks import (
    check_environment,
    check_patterns,
    check_size,
    check_vector,
)
from lmmfit.curvature._gibbs_kernels import sweep_units

__all__ = ["GibbsStatistics", "sample_statistics"]

_ESTIMATORS = ("conditional", "counts", "ratio")
_DRAWN = 2**17  # uniform numbers held at once


@dataclass(frozen=True)
class GibbsStatistics:
    """Estimates from chains of Gibbs sampling, with standard errors.

    Plus is the waking phase, minus the hallucinating one, as in :class:`BoltzmannState`. Each
    ``*_error`` is a standard error over the chains, of the shape of what it belongs to.

    Attributes
    ----------
    gradient, gradient_error : ndarray of shape (k,)
        (p_plus - p_minus) / T.
    p_plus, p_plus_error, p_minus, p_minus_error : ndarray of shape (k,)
        <s_i s_j>.
    hessian_vector_product, product_error : ndarray of shape (k,), or None without v
        Hessian of the divergence times v.
    q_plus, q_plus_error, q_minus, q_minus_error : ndarray of shape (k,), or None without v
        <s_i s_j D>.
    D_plus, D_plus_error, D_minus, D_minus_error : float, or None without v
        <D>.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import BoltzmannMachine
    >>> machine = BoltzmannMachine(2, 0, bias_unit=True)
    >>> found = machine.sample(np.zeros(3), [0.5, 0, 0, 0.5], n_sweeps=50)
    >>> found.p_plus, found.p_plus_error  # nothing is free: exact
    (array([0.5, 0.5, 0.5]), array([0., 0., 0.]))
    """

    gradient: np.ndarray
    gradient_error: np.ndarray
    p_plus: np.ndarray
    p_plus_error: np.ndarray
    p_minus: np.ndarray
    p_minus_error: np.ndarray
    hessian_vector_product: np.ndarray | None = None
    product_error: np.ndarray | None = None
    q_plus: np.ndarray | None = None
    q_plus_error: np.ndarray | None = None
    q_minus: np.ndarray | None = None
    q_minus_error: np.ndarray | None = None
    D_plus: float | None = None
    D_plus_error: float | None = None
    D_minus: float | None = None
    D_minus_error: float | None = None


def sample_statistics(
    machine, w, environment, v=None, *, n_sweeps=1000, n_burn_in=100, n_chains=16,
    estimator="conditional", seed=0,
):  # fmt: skip
    """Estimate gradient and Hessian product of a Boltzmann machine by Gibbs sampling.

    Works for machines of any size. For each pattern of the environment, chains run with the
    visible units clamped (waking), and for each input pattern with only the inputs clamped
    (hallucinating; one set of chains where there are no inputs).

    Parameters
    ----------
    machine : BoltzmannMachine
    w : array-like of shape (k,)
    environment : array-like of shape (2^n_visible,), or tuple (patterns, weights)
        ``P_env``; or patterns of shape (n, n_visible) with weights of shape (n,), or None for
        equal ones. The work grows with the number of different patterns.
    v : array-like of shape (k,), optional
        Direction of the product; without it there is none.
    n_sweeps : int, default=1000
        Sweeps over the free units that count, for each chain.
    n_burn_in : int, default=100
        Sweeps before these.
    n_chains : int, default=16
        Independent chains for each pattern, at least 3. Each starts from random units.
    estimator : {"conditional", "counts", "ratio"}, default="conditional"
        Which averages stand for <s_i s_j> and <s_i s_j D>: see the notes.
    seed : int or numpy.random.SeedSequence, default=0
        The same seed gives the same numbers. Chains have their own generators.

    Returns
    -------
    GibbsStatistics

    Raises
    ------
    ValueError
        If a vector or the environment does not suit the machine, a number of sweeps or chains
        is too small, or the estimator is unknown.

    Notes
    -----
    With p_j the probability that unit j is on given all others, and dD_j the sum of s_i v_ij, the
    estimators are

    ``counts``
        <s_i s_j> and <s_i s_j D>;
    ``conditional``
        <s_i p_j> and <s_i p_j (D + (1 - s_j) dD_j)>, averaged over both orders of i and j. The
        last update of unit j is replaced by its expectation: as unbiased as counts, with smaller
        variance. Of a pair with one clamped unit, the free one counts with its probability;
    ``ratio``
        <p_i> <p_j | s_i = 1> and <p_i> <p_j (D + (1 - s_j) dD_j) | s_i = 1>, equations 21 and 23
        as printed. A product of two averages of one chain: consistent, with a bias of order
        1 / n_sweeps. Where s_i never was 1, the conditional form stands in.

    Products <s_i s_j> <D> in equation 20 are taken over pairs of different chains, whose averages
    are independent: for ``counts`` and ``conditional`` gradient and product are unbiased once the
    chains have reached equilibrium. That they have is for ``n_burn_in`` to see to; large weights
    mix slowly, and error bars do not show it. Errors are jackknife estimates over chains. Where no
    unit is free, averages are exact and the errors zero.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1),
    equations 20 to 23; R{p_plus} for each clamped pattern by itself, as in
    :class:`BoltzmannState`.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import BoltzmannMachine, sample_statistics
    >>> machine = BoltzmannMachine(n_visible=20, n_hidden=5)  # 2^25 states
    >>> rng = np.random.default_rng(0)
    >>> w, v = rng.normal(scale=0.2, size=(2, machine.n_parameters))
    >>> patterns = rng.integers(2, size=(3, 20))
    >>> found = sample_statistics(machine, w, (patterns, None), v, n_sweeps=100)
    >>> found.hessian_vector_product.shape, bool(found.product_error.max() < 0.1)
    ((300,), True)
    """
    w = check_vector(machine, w, "w")
    v = None if v is None else check_vector(machine, v, "v")
    for name, count, least in (
        ("n_sweeps", n_sweeps, 1), ("n_burn_in", n_burn_in, 0), ("n_chains", n_chains, 3),
    ):  # fmt: skip
        if int(count) != count or count < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {count!r}.")
    if estimator not in _ESTIMATORS:
        raise ValueError(f"estimator={estimator!r} is none of {', '.join(_ESTIMATORS)}.")
    patterns, weights = _patterns(machine, environment)
    inputs, input_weights = _merge(patterns[:, : machine.n_inputs], weights)
    chains = _Chains(machine, w, v, int(n_sweeps), int(n_burn_in), int(n_chains), estimator)
    if not isinstance(seed, np.random.SeedSequence):
        seed = np.random.SeedSequence(seed)
    else:  # spawning from the given one would change it
        seed = np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    plus_seed, minus_seed = seed.spawn(2)
    plus = chains.phase(patterns, weights, plus_seed)
    minus = chains.phase(inputs, input_weights, minus_seed)
    return _statistics(machine.temperature, plus, minus, v is not None)


@dataclass(frozen=True)
class _Chains:
    """Chains of one machine: how many, how long, and what is averaged over them."""

    machine: object
    w: np.ndarray
    v: np.ndarray | None
    n_sweeps: int
    n_burn_in: int
    n_chains: int
    estimator: str

    def phase(self, patterns, weights, seed):
        """Means and variances of p, q, D and R{p} T over patterns that are clamped in turn."""
        W = _symmetric(self.machine, self.w / -self.machine.temperature)
        V = np.empty((0, 0)) if self.v is None else _symmetric(self.machine, self.v)
        means, variances = 0.0, 0.0
        for pattern, weight, child in zip(
            patterns, weights, seed.spawn(len(patterns)), strict=True
        ):
            p, q = self._run(W, V, pattern, child)
            found, variance = _mean_and_variance(p, q, self.v)
            means = means + weight * found
            variances = variances + weight**2 * variance
        return means, variances

    def _run(self, W, V, pattern, seed):
        """<s_i s_j> and <s_i s_j D> of each chain, (n_chains, k)."""
        machine, n = self.machine, len(W)
        free = np.arange(len(pattern), machine.n_visible + machine.n_hidden)
        clamped = np.ones(n, dtype=bool)
        clamped[free] = False
        state = np.ones(n)
        state[: len(pattern)] = pattern
        if len(free) == 0:
            i, j = machine.pairs.T
            p = np.tile(state[i] * state[j], (self.n_chains, 1))
            return p, p * (0.0 if self.v is None else p[0] @ self.v)
        sums = [np.zeros((self.n_chains, *shape)) for shape in ((n, n), (n, n), (n,), (n,))]
        for chain, child in enumerate(seed.spawn(self.n_chains)):
            into = [part[chain] for part in sums]
            self._sweep(W, V, state.copy(), free, np.random.default_rng(child), into)
        return self._pair_means(clamped, *sums)

    def _sweep(self, W, V, state, free, rng, sums):
        """Run one chain, adding to the sums after the burn-in."""
        conditional, rows = self.estimator != "counts", max(1, _DRAWN // len(free))
        nowhere = (np.empty((0, 0)), *sums[1:])
        state[free] = rng.integers(2, size=len(free))
        for into, sweeps in ((nowhere, self.n_burn_in), (sums, self.n_sweeps)):
            for start in range(0, sweeps, rows):
                uniforms = rng.random((min(rows, sweeps - start), len(free)))
                sweep_units(W, V, state, uniforms, free, conditional, *into)

    def _pair_means(self, clamped, pair_sums, moved_sums, on_sums, probability_sums):
        """<s_i s_j> and <s_i s_j D> of each chain's pairs by the estimator."""
        i, j = self.machine.pairs.T
        # The second unit counts with its probability: the free one, or either if both are free.
        share = np.where(clamped[i], 1.0, np.where(clamped[j], 0.0, 0.5))
        p, q = (
            (share * table[:, i, j] + (1.0 - share) * table[:, j, i]) / self.n_sweeps
            for table in (pair_sums, moved_sums)
        )
        if self.estimator == "ratio":
            on = on_sums[:, i]
            factor = probability_sums[:, i] / (np.maximum(on, 1.0) * self.n_sweeps)
            p = np.where(on > 0, factor * pair_sums[:, i, j], p)
            q = np.where(on > 0, factor * moved_sums[:, i, j], q)
        return p, q


def _mean_and_variance(p, q, v):
    """p, q, D and <p><D> - q one after the other: means over chains, and their variances."""
    C = len(p)
    if v is None:
        return p.mean(axis=0), p.var(axis=0) / (C - 1)
    D = (p @ v)[:, None]  # equation 18 holds for estimates too
    totals, total, cross = p.sum(axis=0), D.sum(), (p * D).sum(axis=0)
    product = (totals * total - cross) / (C * (C - 1))
    without = ((totals - p) * (total - D) - (cross - p * D)) / ((C - 1) * (C - 2))
    without_R = without - (q.sum(axis=0) - q) / (C - 1)
    variance_R = (C - 1) * without_R.var(axis=0)  # the jackknife
    plain = np.hstack([p, q, D])
    means = np.concatenate([plain.mean(axis=0), product - q.mean(axis=0)])
    return means, np.concatenate([plain.var(axis=0) / (C - 1), variance_R])


def _statistics(T, plus, minus, with_v):
    """The record, from means and variances of both phases."""
    difference = (plus[0] - minus[0]) / T
    error = np.sqrt(plus[1] + minus[1]) / T
    k = (len(difference) - 1) // 3 if with_v else len(difference)
    parts = {"p": slice(0, k)}
    found = {"gradient": difference[:k], "gradient_error": error[:k]}
    if with_v:
        parts |= {"q": slice(k, 2 * k), "D": 2 * k}
        found |= {"hessian_vector_product": difference[-k:] / T, "product_error": error[-k:] / T}
    for phase, (mean, variance) in (("plus", plus), ("minus", minus)):
        for name, part in parts.items():
            found[f"{name}_{phase}"] = mean[part]
            found[f"{name}_{phase}_error"] = np.sqrt(variance[part])
    return GibbsStatistics(
        **{name: value if np.ndim(value) else float(value) for name, value in found.items()}
    )


def _symmetric(machine, w):
    """The weights as a matrix over all units, the bias unit last."""
    matrix = np.zeros((machine.n_units, machine.n_units))
    i, j = machine.pairs.T
    matrix[i, j] = matrix[j, i] = w
    return matrix


def _patterns(machine, environment):
    """Different patterns with their probabilities."""
    if isinstance(environment, tuple):
        if len(environment) != 2:
            raise ValueError(
                "environment must be P_env or a tuple (patterns, weights), got a tuple of "
                f"{len(environment)}."
            )
        return _merge(*check_patterns(machine, *environment))
    check_size(machine)
    P_env = check_environment(machine, environment)
    return machine.visible_states[P_env > 0], P_env[P_env > 0]


def _merge(patterns, weights):
    """Sum the weights of patterns that are the same; those without weight go."""
    different, place = np.unique(patterns, axis=0, return_inverse=True)
    total = np.bincount(place.ravel(), weights, minlength=len(different))
    return different[total > 0], total[total > 0]
