"""A network of tanks, linear about its operating point, as it is sampled."""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array

from lmmfit.gains.tank_equilibria import equilibrium_inputs, equilibrium_levels
from lmmfit.gains.tanks import TankConstants, numbers_of, tank_constants, tank_rates
from lmmfit.riccati.checks import as_symmetric
from lmmfit.riccati.sampling import discretise

__all__ = ["TankNetwork", "tank_network"]


@dataclass(frozen=True, eq=False)
class TankNetwork:
    """``x[t+1] = A x[t] + B u[t] + w``, ``y[t] = C x[t] + v`` about an operating point.

    x is the difference of the levels from ``levels``, u that of the inputs from ``inputs``, y
    that of the outputs from ``C levels``. Where the operating point is no equilibrium, x also
    drifts: ``drift`` says how fast.

    Attributes
    ----------
    tanks : TankConstants
    levels : ndarray of shape (N,)
        cm.
    inputs : ndarray of shape (N / 2,)
        V.
    dt : float
        Time from a sample to the next, s.
    A : csr_array of shape (N, N)
    B : csr_array of shape (N, N / 2)
        cm/V.
    C : csr_array of shape (N, N)
        Diagonal: output of a sensor for 1 cm.
    Q : csr_array of shape (N, N)
        Covariance of w, cm^2.
    R : csr_array of shape (N, N)
        Covariance of v, diagonal.
    A_continuous : csr_array of shape (N, N)
        1/s.
    B_continuous : csr_array of shape (N, N / 2)
        cm / (s V).
    Q_continuous : csr_array of shape (N, N)
        Covariance of the process noise per unit of time, cm^2/s.

    Examples
    --------
    >>> from lmmfit.gains import tank_network
    >>> network = tank_network(4)
    >>> network.A.toarray().round(4)
    array([[0.9856, 0.    , 0.0081, 0.    ],
           [0.    , 0.9899, 0.    , 0.0071],
           [0.    , 0.    , 0.9919, 0.    ],
           [0.    , 0.    , 0.    , 0.9929]])
    """

    tanks: TankConstants
    levels: np.ndarray = field(repr=False)
    inputs: np.ndarray = field(repr=False)
    dt: float
    A: csr_array = field(repr=False)
    B: csr_array = field(repr=False)
    C: csr_array = field(repr=False)
    Q: csr_array = field(repr=False)
    R: csr_array = field(repr=False)
    A_continuous: csr_array = field(repr=False)
    B_continuous: csr_array = field(repr=False)
    Q_continuous: csr_array = field(repr=False)

    @property
    def time_constants(self):
        """``(areas / outlets) sqrt(2 levels / g)``, ndarray of shape (N,), s."""
        return _time_constants(self.tanks, self.levels)

    @property
    def drift(self):
        """How fast levels change at the operating point, ndarray of shape (N,), cm/s."""
        return tank_rates(self.tanks, self.levels, self.inputs)


def tank_network(
    n_tanks=40, *, levels=None, inputs=None, dt=1.0, sensor=1.0, process_noise=0.035,
    measurement_noise=1.0, tanks=None,
):  # fmt: skip
    """The network of N tanks of Pedroso and Batista (2021), linear and sampled.

    A lower tank and the one above it form a pair; without inputs, pairs know nothing of each
    other. They are sampled pair by pair (Van Loan 1978), exactly and in a time that grows like
    N: A and Q have the nonzeros of N/2 triangular matrices of order 2.

    Parameters
    ----------
    n_tanks : int, default=40
        N, even.
    levels : float or array-like of shape (N,), optional
        Operating point, cm, above 0. By default the levels that rest with ``inputs``, or, where
        these are not given either, 15 in all tanks.
    inputs : float or array-like of shape (N / 2,), optional
        Operating point, V. By default those of :func:`equilibrium_inputs` for ``levels``.
    dt : float, default=1.0
        Time from one sample to the next, s.
    sensor : float or array-like of shape (N,), default=1.0
        Output of a sensor for 1 cm.
    process_noise : float or array-like of shape (N,) or (N, N), default=0.035
        Covariance per unit of time, cm^2/s; one variance, those of the tanks, or a matrix, with
        which the network is sampled as a whole.
    measurement_noise : float or array-like of shape (N,), default=1.0
        Variance of a sensor, above 0.
    tanks : TankConstants, optional
        Constants other than those of Table 1; ``n_tanks`` is then not used.

    Returns
    -------
    TankNetwork

    Raises
    ------
    ValueError
        If N is odd, a level is not above 0 (there the equations are not differentiable), or
        another argument is out of its range; the message names the tank.

    Notes
    -----
    The paper gives eq. (10), the constants and ``C = I``. It does not give dt, R and the process
    noise: 1 s, I and 0.035 I are choices of this package. Nor are 15 cm in all tanks an
    equilibrium of eq. (10), as the paper's "operational point" may suggest: the first pump would
    have to give 2.28 V for its lower tank and 6.87 V for its upper one. The filter does not
    mind, for only A and C enter.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Efficient algorithm for the computation of the solution to
    a sparse matrix equation in distributed control theory. Mathematics 9, 1497, Section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import tank_network
    >>> network = tank_network(6, inputs=[4.0, 5.0, 6.0])
    >>> network.levels.round(2), bool(np.abs(network.drift).max() < 1e-12)
    (array([23.72, 30.69, 43.1 , 11.44,  5.09, 14.13]), True)
    """
    tanks = tank_constants(n_tanks) if tanks is None else tanks
    N = tanks.n_tanks
    if levels is None:
        levels = 15.0 if inputs is None else equilibrium_levels(tanks, inputs).levels
    levels = numbers_of(levels, "levels", N, positive=True)
    if inputs is None:
        inputs = equilibrium_inputs(tanks, levels).inputs
    inputs = numbers_of(inputs, "inputs", N // 2)
    dt = float(numbers_of(dt, "dt", 1, positive=True)[0])
    C = diags_array(numbers_of(sensor, "sensor", N, positive=True), format="csr")
    R = diags_array(numbers_of(measurement_noise, "measurement_noise", N, positive=True))
    A, B = _linearise(tanks, levels)
    if np.ndim(process_noise) == 2:
        Q = as_symmetric(process_noise, "process_noise", N)
        sampled = map(csr_array, discretise(A.toarray(), Q, dt, B.toarray()))
    else:
        Q = diags_array(numbers_of(process_noise, "process_noise", N), format="csr")
        sampled = _discretise_pairs(A, Q, dt, tanks)
    F, V, G = sampled
    return TankNetwork(tanks, levels, inputs, dt, F, G, C, V, csr_array(R), A, B, csr_array(Q))


def _time_constants(tanks, levels):
    return tanks.areas / tanks.outlets * np.sqrt(2.0 * levels / tanks.gravity)


def _linearise(tanks, levels):
    """Derivatives of :func:`tank_rates` with respect to levels and inputs."""
    N, half = tanks.n_tanks, tanks.n_tanks // 2
    lower, upper, pump = np.arange(half), np.arange(half, N), np.arange(half)
    rates = 1.0 / _time_constants(tanks, levels)
    fall = tanks.areas[upper] / tanks.areas[lower] * rates[upper]
    A = diags_array([-rates, fall], offsets=[0, half], shape=(N, N), format="csr")
    flows = np.concatenate([tanks.lower_flows, np.roll(tanks.upper_flows, 1)])
    places = np.arange(N), np.concatenate([pump, np.roll(pump, 1)])
    B = csr_array(coo_array((flows / tanks.areas, places), shape=(N, half)))
    return A, B


def _discretise_pairs(A, Q, dt, tanks):
    """A, Q, B of samples; pairs with the same numbers, of which there may be many, once."""
    N, half = tanks.n_tanks, tanks.n_tanks // 2
    flows = np.concatenate([tanks.lower_flows, np.roll(tanks.upper_flows, 1)]) / tanks.areas
    diagonals = (A.diagonal(), Q.diagonal(), flows)
    numbers = np.column_stack([A.diagonal(half), *(d.reshape(2, half).T for d in diagonals)])
    kinds, kind = np.unique(numbers, axis=0, return_inverse=True)
    found = np.empty((3, len(kinds), 2, 2))
    for i, (fall, *rates, noise, above, low, high) in enumerate(kinds):
        pair = [[rates[0], fall], [0.0, rates[1]]]
        found[:, i] = discretise(pair, np.diag([noise, above]), dt, np.diag([low, high]))
    F, V, G = found[:, kind.reshape(-1)]
    lower, upper = np.arange(half), np.arange(half, N)
    pump, pump_above = np.arange(half), np.roll(np.arange(half), 1)

    def placed(rows, columns, values, width):
        shape, places = (N, width), (np.concatenate(rows), np.concatenate(columns))
        return csr_array(coo_array((np.concatenate(values), places), shape=shape))

    rows, columns = [lower, lower, upper], [lower, upper, upper]
    values = [F[:, 0, 0], F[:, 0, 1], F[:, 1, 1]]
    both = [V[:, 0, 0], V[:, 0, 1], V[:, 1, 0], V[:, 1, 1]]
    return (
        placed(rows, columns, values, N),
        placed([*rows[:2], upper, upper], [lower, upper, lower, upper], both, N),
        placed(rows, [pump, pump_above, pump_above], [G[:, 0, 0], G[:, 0, 1], G[:, 1, 1]], half),
    )
