"""The network of tanks on which distributed filters are tried."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import Bunch

from lmmfit.datasets._networks import in_shape_asked, own_outputs

__all__ = ["make_tank_network"]


def make_tank_network(
    n_tanks=40, *, level=None, inputs=None, dt=1.0, sensor=1.0, process_noise=0.035,
    measurement_noise=1.0, sparse=True,
):  # fmt: skip
    """N water tanks in pairs, one above the other, and N/2 pumps: a model of industrial processes.

    The levels h follow mass balances with Torricelli's law, for i = 1, ..., N/2 and with the
    indices of pumps counted round (pump 0 is pump N/2)::

        A_i dh_i/dt = -a_i sqrt(2 g h_i) + a_j sqrt(2 g h_j) + gamma_i k_i u_i,    j = N/2 + i
        A_j dh_j/dt = -a_j sqrt(2 g h_j) + (1 - gamma_{i-1}) k_{i-1} u_{i-1}

    ======================  ===========================  ======================================
    A_i                     28 cm^2, 32 cm^2             cross section of tank i: odd, even i
    a_i, i <= N/2           0.071 cm^2, 0.057 cm^2       outlet of a lower tank: odd, even i
    a_i, i > N/2            0.040 cm^2                   outlet of an upper tank
    g                       981 cm/s^2
    k_i                     3.33 cm^3/(s V)              flow of pump i for 1 V
    gamma_i                 0.7, 0.6                     share of its lower tank: odd, even i
    ======================  ===========================  ======================================

    The equations are linearised about an operating point and sampled exactly. States are the
    levels' differences from it, in cm, inputs the pumps', in V; each tank is a node with its own
    sensor.

    Parameters
    ----------
    n_tanks : int, default=40
        N, even.
    level : float or array-like of shape (N,), optional
        Operating point, cm; by default 15 in all tanks, as in the paper, or the levels that rest
        with ``inputs`` where these are given.
    inputs : float or array-like of shape (N / 2,), optional
        Operating point, V; by default those that hold ``level`` best.
    dt : float, default=1.0
        Time from one sample to the next, s.
    sensor : float or array-like of shape (N,), default=1.0
        Output of a sensor for 1 cm.
    process_noise : float or array-like of shape (N,) or (N, N), default=0.035
        Covariance per unit of time, cm^2/s.
    measurement_noise : float or array-like of shape (N,), default=1.0
        Variance of a sensor.
    sparse : bool, default=True
        Whether matrices are ``csr_array``, or dense.

    Returns
    -------
    Bunch
        With ``A``, ``B``, ``C``, ``Q``, ``R``; ``A_continuous``, ``B_continuous``,
        ``Q_continuous``; ``pattern`` (each tank's gain may use its own sensor alone), ``graph``
        (a tank and the one above or below it), ``state_nodes`` and ``output_nodes``; ``levels``
        and ``inputs`` of the operating point; ``state_names``, ``input_names``,
        ``output_names``; ``network``, a :class:`~lmmfit.gains.TankNetwork`, for
        :func:`~lmmfit.gains.simulate_tanks`; and ``DESCR``.

    Raises
    ------
    ValueError
        If N is odd, a level not above 0, or another argument out of its range.

    Notes
    -----
    The paper leaves out dt, R and the process noise, which are free here. In all of its tanks
    15 cm are no equilibrium: the first pump would have to give 2.28 V for its lower tank and
    6.87 V for its upper one. A filter does not mind, but a nonlinear simulation then drifts away
    from the operating point; ``inputs=3.0`` gives a network at rest.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Efficient algorithm for the computation of the solution to
    a sparse matrix equation in distributed control theory. Mathematics 9, 1497, eq. (10), Table 1.

    Examples
    --------
    >>> from lmmfit.datasets import make_tank_network
    >>> tanks = make_tank_network(4)
    >>> tanks.A.toarray().round(4)
    array([[0.9856, 0.    , 0.0081, 0.    ],
           [0.    , 0.9899, 0.    , 0.0071],
           [0.    , 0.    , 0.9919, 0.    ],
           [0.    , 0.    , 0.    , 0.9929]])
    >>> make_tank_network(4, inputs=3.0).levels.round(2)
    array([12.21, 12.68,  5.09,  2.86])
    """
    from lmmfit.gains import tank_network

    network = tank_network(
        n_tanks, levels=level, inputs=inputs, dt=dt, sensor=sensor, process_noise=process_noise,
        measurement_noise=measurement_noise,
    )  # fmt: skip
    N = network.tanks.n_tanks
    tank = np.arange(N)
    matrices = {
        name: in_shape_asked(getattr(network, name), sparse)
        for name in ("A", "B", "C", "Q", "R", "A_continuous", "B_continuous", "Q_continuous")
    }
    pair = np.roll(tank, N // 2)
    graph = csr_array((np.ones(N, bool), (tank, pair)), shape=(N, N))
    return Bunch(
        **matrices, pattern=own_outputs(tank, tank, sparse), graph=in_shape_asked(graph, sparse),
        state_nodes=tank, output_nodes=tank.copy(), levels=network.levels, inputs=network.inputs,
        state_names=[f"h{i}" for i in range(1, N + 1)],
        input_names=[f"u{i}" for i in range(1, N // 2 + 1)],
        output_names=[f"y{i}" for i in range(1, N + 1)], network=network, DESCR=_TANKS,
    )  # fmt: skip


_TANKS = """\
N tanks network
---------------
N/2 pairs of tanks, the upper of which empties into the lower, and N/2 pumps that each feed one
lower tank and the upper tank of the next pair. Equations (10) and constants of Table 1 of Pedroso
and Batista (2021), who generalise the quadruple tank of Johansson (2000), linear about an
operating point and sampled. Not in the paper, and so a choice: the time between samples, the
noises, and the inputs of the operating point (least squares, as 15 cm in all tanks are no
equilibrium).
"""
