"""A power grid as a network of oscillators: swing equations on a random geometric graph."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist, squareform
from sklearn.utils import Bunch, check_scalar

from lmmfit.datasets._networks import in_shape_asked, own_outputs
from lmmfit.datasets._simulate import _generator

__all__ = ["make_power_grid"]

_ANGLE, _FREQUENCY = 5e-3, 2.0 * np.pi * 0.01  # standard deviations of sensors, rad and rad/s


def make_power_grid(
    n_buses=50, *, n_lines=2, dt=0.02, frequency=50.0, inertia=(3.0, 6.0), damping=0.5,
    susceptance=1.0, load_noise=0.01, phasor_share=0.5, drop=1e-9, sparse=True,
    random_state=None,
):  # fmt: skip
    """Angles and frequencies of a random power grid: linear swing equations, sampled.

    Buses lie at random in the unit square. Each is joined to the ``n_lines`` nearest ones, and
    all are connected by the shortest tree. With the deviations delta of the angle, in rad, and
    omega of the frequency, in rad/s, of bus i from the steady flow::

        d delta_i/dt = omega_i
        M_i d omega_i/dt = -D_i omega_i - sum_j b_ij (delta_i - delta_j) + p_i + noise

    ``M_i = 2 H_i / (2 pi frequency)`` with a constant of inertia H_i, ``D_i = damping M_i``; b_ij
    is the susceptance of a line, p_i a known change of power (input i), and the noise that of the
    loads, all per unit. A bus measures its frequency; some have a phasor measurement unit, which
    measures the angle too.

    Parameters
    ----------
    n_buses : int, default=50
        At least 2.
    n_lines : int, default=2
        Lines that a bus has at least; more as far as others chose it.
    dt : float, default=0.02
        Time between samples, s: a usual rate of phasor measurement units.
    frequency : float, default=50.0
        Hz.
    inertia : tuple of two floats, default=(3.0, 6.0)
        Between which H_i is drawn, s.
    damping : float, default=0.5
        D_i / M_i, 1/s.
    susceptance : float, default=1.0
        Typical b_ij; that of a line is this times the mean length of lines over its own, within
        factors of 1/3 and 3.
    load_noise : float, default=0.01
        Square root of the noise's variance per unit of time.
    phasor_share : float, default=0.5
        Share of buses with a phasor measurement unit; there is at least one.
    drop : float, default=1e-9
        Elements of the sampled matrices that are smaller, relative to the noise of their rows and
        columns, are zero: within a sample a bus hears little of far ones. 0 keeps them all; 1e-3
        leaves buses that share a line, with errors of about 2% after a second.
    sparse : bool, default=True
        Whether matrices are ``csr_array``, or dense.
    random_state : int, Generator, RandomState or None, default=None

    Returns
    -------
    Bunch
        With ``A`` and ``Q`` of order 2 n_buses (angle and frequency of bus 0, of bus 1, ...),
        ``B``, ``C``, ``R``; ``A_continuous``, ``B_continuous``, ``Q_continuous``; ``pattern``
        (a bus uses its own measurements alone); ``graph``, the lines; ``positions``, of shape
        (n_buses, 2); ``phasors``, the buses that measure angles; ``state_nodes``,
        ``output_nodes``, ``state_names``, ``output_names``.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or so much is dropped that Q is not definite.

    Notes
    -----
    Sampling takes the exponential of dense matrices: seconds for 300 buses, more than a minute
    for 1000. Only differences of angles drive the grid, so that the sum of all angles is seen
    through phasor measurement units alone. Noises of sensors are 0.005 rad and 0.01 Hz.

    References
    ----------
    Kundur, P. (1994). Power System Stability and Control. McGraw-Hill, chapters 3 and 12.

    Examples
    --------
    >>> from lmmfit.datasets import make_power_grid
    >>> grid = make_power_grid(20, random_state=0)
    >>> grid.A.shape, grid.C.shape, grid.output_names[:3]
    ((40, 40), (30, 40), ['frequency0', 'frequency1', 'angle1'])
    """
    from lmmfit.riccati import discretise

    check_scalar(n_buses, "n_buses", Integral, min_val=2)
    check_scalar(n_lines, "n_lines", Integral, min_val=1)
    for name, value in (
        ("dt", dt), ("frequency", frequency), ("susceptance", susceptance),
        ("load_noise", load_noise), *((f"inertia[{i}]", H) for i, H in enumerate(inertia)),
    ):  # fmt: skip
        check_scalar(value, name, Real, min_val=0, include_boundaries="neither")
    check_scalar(damping, "damping", Real, min_val=0)
    check_scalar(phasor_share, "phasor_share", Real, min_val=0, max_val=1)
    check_scalar(drop, "drop", Real, min_val=0, max_val=1)
    rng = _generator(random_state)
    positions = rng.random((n_buses, 2))
    M = 2.0 * rng.uniform(*inertia, n_buses) / (2.0 * np.pi * frequency)
    count = max(1, round(phasor_share * n_buses))
    phasors = np.sort(rng.choice(n_buses, count, replace=False))
    lines = _lines(positions, n_lines)
    lengths = lines.data
    lines.data = susceptance * np.clip(lengths.mean() / lengths, 1 / 3, 3.0)
    laplacian = diags_array(lines.sum(axis=1)) - lines
    A, B, Q = _swing(laplacian.toarray(), M, damping, load_noise)
    F, V, G = discretise(A, Q, dt, B)
    scale = np.sqrt(np.diag(V))
    F = _lumped(F, np.abs(F) * scale > drop * scale[:, None])
    V = np.where(np.abs(V) > drop * np.outer(scale, scale), V, 0.0)
    G = np.where(np.abs(G) > drop * np.abs(G).max(axis=0), G, 0.0)
    if np.linalg.eigvalsh(V / np.outer(scale, scale))[0] <= 0.0:
        raise ValueError(f"drop={drop!r} leaves a Q that is not definite: take a smaller one.")
    buses = np.arange(n_buses)
    output_nodes = np.sort(np.concatenate([buses, phasors]))
    angle = np.r_[False, output_nodes[1:] == output_nodes[:-1]]  # after the frequency of its bus
    columns = 2 * output_nodes + ~angle
    ones = np.ones(len(columns))
    C = csr_array((ones, (np.arange(len(columns)), columns)), shape=(len(columns), 2 * n_buses))
    R = diags_array(np.where(angle, _ANGLE, _FREQUENCY) ** 2)
    matrices = {
        "A": F, "B": G, "C": C, "Q": V, "R": R, "A_continuous": A, "B_continuous": B,
        "Q_continuous": Q, "graph": lines != 0,
    }  # fmt: skip
    state_nodes = np.repeat(buses, 2)
    of_output = np.where(angle, "angle", "frequency")
    return Bunch(
        **{name: in_shape_asked(M, sparse) for name, M in matrices.items()},
        pattern=own_outputs(state_nodes, output_nodes, sparse), positions=positions,
        phasors=phasors, state_nodes=state_nodes, output_nodes=output_nodes,
        state_names=[f"{kind}{i}" for i in buses for kind in ("angle", "frequency")],
        output_names=[f"{kind}{i}" for kind, i in zip(of_output, output_nodes, strict=True)],
    )  # fmt: skip


def _lines(positions, n_lines):
    """Lengths of lines, symmetric: to the nearest buses, and along the shortest tree."""
    N = len(positions)
    near = KDTree(positions).query(positions, min(n_lines + 1, N))[1][:, 1:]
    lengths = squareform(pdist(positions))
    tree = coo_array(minimum_spanning_tree(csr_array(lengths)))
    rows = np.concatenate([np.repeat(np.arange(N), near.shape[1]), tree.row])
    columns = np.concatenate([near.ravel(), tree.col])
    pairs = np.unique(np.sort(np.stack([rows, columns], axis=1), axis=1), axis=0)
    both = np.concatenate([pairs, pairs[:, ::-1]]).T
    return csr_array((lengths[both[0], both[1]], (both[0], both[1])), shape=(N, N))


def _lumped(F, kept):
    """What is kept; the rest of a row acts as if it came from the row's own bus.

    All angles may then still be turned together without effect: the mode 1 of F stays.
    """
    found, rows = np.where(kept, F, 0.0), np.arange(len(F))
    for kind in (0, 1):
        own = rows - rows % 2 + kind
        found[rows, own] += np.where(kept, 0.0, F)[:, kind::2].sum(axis=1)
    return found


def _swing(laplacian, M, damping, load_noise):
    """A, B and Q of the equations in continuous time."""
    N = len(M)
    A, B, Q = np.zeros((2 * N, 2 * N)), np.zeros((2 * N, N)), np.zeros((2 * N, 2 * N))
    angles, speeds, buses = np.arange(0, 2 * N, 2), np.arange(1, 2 * N, 2), np.arange(N)
    A[angles, speeds] = 1.0
    A[1::2, 0::2] = -laplacian / M[:, None]
    A[speeds, speeds] = -damping
    B[speeds, buses] = 1.0 / M
    Q[speeds, speeds] = (load_noise / M) ** 2
    return A, B, Q
