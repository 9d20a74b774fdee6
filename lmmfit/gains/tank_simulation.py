"""Levels of a network of tanks as they truly run: eq. (10) with noise, sample by sample."""

from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from scipy.integrate import solve_ivp

from lmmfit.gains.tanks import numbers_of, tank_rates
from lmmfit.riccati.checks import as_matrix

__all__ = ["TankRun", "simulate_tanks"]


@dataclass(frozen=True, eq=False)
class TankRun:
    """What happened in a network of tanks.

    Attributes
    ----------
    times : ndarray of shape (T,)
        s.
    levels : ndarray of shape (T, N)
        cm, at least 0.
    outputs : ndarray of shape (T, N)
        Of the sensors: ``C levels`` and noise.
    inputs : ndarray of shape (T, N / 2)
        V; those of row t act until row t + 1.

    Examples
    --------
    >>> from lmmfit.gains import simulate_tanks, tank_network
    >>> simulate_tanks(tank_network(4), 3, seed=0).times
    array([0., 1., 2.])
    """

    times: np.ndarray = field(repr=False)
    levels: np.ndarray = field(repr=False)
    outputs: np.ndarray = field(repr=False)
    inputs: np.ndarray = field(repr=False)


def simulate_tanks(
    network, T, inputs=None, *, start=None, seed=None, process_noise=True, measurement_noise=True,
    rtol=1e-8, atol=1e-10,
):  # fmt: skip
    """Run the nonlinear equations between the samples, and add noise at each of them.

    Parameters
    ----------
    network : TankNetwork
    T : int
        Samples, ``network.dt`` apart.
    inputs : array-like of shape (N / 2,) or (T, N / 2), optional
        V, at least 0, constant or from sample to sample; those of the operating point by default.
    start : array-like of shape (N,), optional
        Levels of the first sample, cm; the operating point by default.
    seed : int, numpy.random.Generator or None
    process_noise : bool, default=True
        Whether a draw from N(0, Q) is added to the levels at each sample but the first. A level
        that would become negative is 0.
    measurement_noise : bool, default=True
        Whether one from N(0, R) is added to the outputs.
    rtol, atol : float
        Tolerances of :func:`scipy.integrate.solve_ivp`, atol in cm.

    Returns
    -------
    TankRun

    Raises
    ------
    ValueError
        If T is not at least 1, a shape is wrong, or an input or a level is negative.
    RuntimeError
        If the integration fails.

    References
    ----------
    Pedroso and Batista (2021), eq. (10).

    Examples
    --------
    Tanks that start empty fill up to the levels at which they rest:

    >>> import numpy as np
    >>> from lmmfit.gains import simulate_tanks, tank_network
    >>> network = tank_network(4, inputs=3.0, dt=60.0)
    >>> run = simulate_tanks(network, 20, start=np.zeros(4), process_noise=False, seed=0)
    >>> run.levels[[0, 1, -1]].round(2)
    array([[ 0.  ,  0.  ,  0.  ,  0.  ],
           [ 7.02,  6.27,  3.32,  2.01],
           [12.21, 12.68,  5.09,  2.86]])
    """
    if not isinstance(T, Integral) or isinstance(T, bool) or T < 1:
        raise ValueError(f"T must be a whole number of samples, at least 1, got {T!r}.")
    tanks, N = network.tanks, network.tanks.n_tanks
    inputs = _as_series(network.inputs if inputs is None else inputs, T, N // 2)
    level = numbers_of(network.levels if start is None else start, "start", N)
    rng = np.random.default_rng(seed)
    # Both are drawn in any case, row by row: with the same seed a shorter run is the beginning of
    # a longer one, and one without process noise has the same noise of its sensors.
    w, v = rng.standard_normal((T, 2, N)).transpose(1, 0, 2)
    w = _process_noise(network.Q, w) if process_noise else np.zeros((T, N))
    levels = np.empty((T, N))
    for t in range(T):
        levels[t] = level
        if t < T - 1:
            u = inputs[t]
            ran = solve_ivp(
                lambda _, h, u=u: tank_rates(tanks, h, u), (0.0, network.dt), level,
                rtol=rtol, atol=atol, t_eval=[network.dt],
            )  # fmt: skip
            if not ran.success:
                raise RuntimeError(f"the levels after sample {t} were not found: {ran.message}")
            level = np.maximum(ran.y[:, -1] + w[t + 1], 0.0)
    outputs = (network.C @ levels.T).T
    if measurement_noise:
        outputs = outputs + v * np.sqrt(network.R.diagonal())
    return TankRun(network.dt * np.arange(T), levels, outputs, inputs)


def _as_series(inputs, T, k):
    inputs = np.asarray(inputs, np.float64)
    if inputs.ndim < 2:
        return np.tile(numbers_of(inputs, "inputs", k), (T, 1))
    inputs = as_matrix(inputs, "inputs", (T, k))
    if (inputs < 0.0).any():
        t, i = map(int, np.argwhere(inputs < 0.0)[0])
        raise ValueError(
            f"inputs[{t}, {i}] is {inputs[t, i]:.6g}: a pump does not draw water. Inputs are "
            "those of the pumps, not differences from the operating point."
        )
    return inputs


def _process_noise(Q, draws):
    """Rows of covariance Q from rows of covariance I; of pairs of tanks, pair by pair."""
    N = Q.shape[0]
    half, entries = N // 2, Q.tocoo()
    if ((entries.row - entries.col) % half).any():  # all tanks with each other
        values, vectors = np.linalg.eigh(Q.toarray())
        return draws @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    between, own = Q.diagonal(half), Q.diagonal().reshape(2, half)
    pairs = np.stack([np.stack([own[0], between], -1), np.stack([between, own[1]], -1)], -2)
    values, vectors = np.linalg.eigh(pairs)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return np.einsum("pij,tjp->tip", roots, draws.reshape(-1, 2, half)).reshape(-1, N)
