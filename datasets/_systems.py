"""Linear systems ``E x' = A x + B u, y = C x + D u`` to try control and reduction on.

Each function returns a ``Bunch`` with the matrices under their usual names, A and E sparse.
"""

from importlib.resources import files
from numbers import Integral, Real

import numpy as np
from scipy.sparse import (
    block_array,
    block_diag,
    csc_array,
    diags_array,
    eye_array,
    kron,
    tril,
)
from sklearn.utils import Bunch, check_scalar

from lmmfit.datasets._tables import require_pandas

__all__ = ["load_rail", "make_convection_diffusion", "make_rlc_ladder", "make_triple_chain"]

_RAIL_SIZES = (109, 371, 1357)
# Outputs of the rail: weights of temperatures, by node.
_RAIL_OUTPUTS = (
    {3: -1.0, 21: -1.0, 59: 3.0},
    {1: -1.0, 2: -1.0, 62: 2.0},
    {42: -1.0, 50: 1.0},
    {46: -1.0, 54: 1.0},
    {8: -1.0, 15: -1.0, 91: 2.0},
    {9: -1.0, 14: -1.0, 33: -1.0, 82: 3.0},
)


def load_rail(n=371, *, as_frame=False):
    """Load the cooling of a steel rail: a heat equation with 7 inputs and 6 outputs.

    Finite elements on half of the profile: ``E x' = A x + B u, y = C x``, with E and -A symmetric
    and positive definite. The inputs are the temperatures of the spray on parts of the surface,
    the outputs differences of temperatures that should not become large.

    Parameters
    ----------
    n : {109, 371, 1357}, default=371
        Nodes.
    as_frame : bool, default=False
        Return B and C as data frames, with the names of inputs and outputs.

    Returns
    -------
    Bunch
        With ``A`` and ``E`` (n, n) sparse, ``B`` (n, 7), ``C`` (6, n), ``frame`` (None: no table
        holds them all), ``input_names``, ``output_names``, ``DESCR`` and ``filename``.

    Raises
    ------
    ValueError
        If there is no mesh with n nodes.
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Examples
    --------
    >>> from lmmfit.datasets import load_rail
    >>> rail = load_rail(109)
    >>> rail.A.shape, rail.B.shape, rail.C.shape
    ((109, 109), (109, 7), (6, 109))
    """
    if n not in _RAIL_SIZES:
        sizes = ", ".join(map(str, _RAIL_SIZES))
        raise ValueError(f"there is no rail with n={n!r} nodes here, only with {sizes}.")
    pandas = require_pandas() if as_frame else None
    resource = files("lmmfit.datasets").joinpath("data", f"rail{n}.npz")
    with resource.open("rb") as stream, np.load(stream) as stored:
        A, E = (_mirrored(stored, name, n) for name in "AE")
        B = stored["B"]
    C = np.zeros((len(_RAIL_OUTPUTS), n))
    for row, weights in zip(C, _RAIL_OUTPUTS, strict=True):
        row[list(weights)] = list(weights.values())
    inputs = [f"u{j}" for j in range(B.shape[1])]
    outputs = [f"y{i}" for i in range(len(C))]
    if as_frame:
        B, C = pandas.DataFrame(B, columns=inputs), pandas.DataFrame(C, index=outputs)
    return Bunch(
        A=A, B=B, C=C, E=E, frame=None, input_names=inputs, output_names=outputs,
        DESCR=_description("rail"), filename=str(resource),
    )  # fmt: skip


def _mirrored(stored, name, n):
    """A symmetric matrix from its lower triangle."""
    parts = (stored[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
    data, indices, indptr = parts
    lower = csc_array((data, indices.astype(np.int32), indptr.astype(np.int32)), shape=(n, n))
    return csc_array(lower + tril(lower, -1).T)


def _description(name):
    descr = files("lmmfit.datasets").joinpath("descr", f"{name}.rst")
    return descr.read_text(encoding="utf-8")


def make_rlc_ladder(
    n_sections=200,
    *,
    resistance=0.1,
    inductance=1.0,
    capacitance=1.0,
    conductance=0.01,
    termination=1.0,
    source_resistance=1.0,
):
    """A lossy transmission line: the impedance at the port of a ladder network.

    Each section has a capacitor and a conductance to the ground, then an inductor and a resistor
    to the next; the last inductor ends in a resistor. The input is the current into the port, the
    output its voltage, with the states ``v1, i1, v2, i2, ...`` (voltages of the capacitors,
    currents of the inductors)::

        capacitance v_k' = i_{k-1} - conductance v_k - i_k
        inductance  i_k' = v_k - resistance i_k - v_{k+1}
        y = v_1 + source_resistance u,   i_0 = u,   v_{N+1} = termination i_N

    The network is passive: ``G(iw) + G(iw)^H >= 2 source_resistance`` at all frequencies.

    Parameters
    ----------
    n_sections : int, default=200
        Sections; the order is twice as large.
    resistance, inductance, capacitance, conductance : float
        Of a section; inductance and capacitance above 0, the others at least 0.
    termination : float, default=1.0
        Resistance at the far end, at least 0.
    source_resistance : float, default=1.0
        D, at least 0.

    Returns
    -------
    Bunch
        With ``A`` (n, n) sparse, ``B`` (n, 1), ``C`` (1, n), ``D`` (1, 1) and ``state_names``.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.datasets import make_rlc_ladder
    >>> ladder = make_rlc_ladder(2, resistance=0.0, conductance=0.0)
    >>> ladder.A.toarray()
    array([[ 0., -1.,  0.,  0.],
           [ 1.,  0., -1.,  0.],
           [ 0.,  1.,  0., -1.],
           [ 0.,  0.,  1., -1.]])
    >>> ladder.D - ladder.C @ np.linalg.solve(ladder.A.toarray(), ladder.B)
    array([[2.]])
    """
    check_scalar(n_sections, "n_sections", Integral, min_val=1)
    _check_numbers(0.0, "neither", inductance=inductance, capacitance=capacitance)
    _check_numbers(
        0.0, "left", resistance=resistance, conductance=conductance, termination=termination,
        source_resistance=source_resistance,
    )  # fmt: skip
    n = 2 * n_sections
    losses = np.tile(np.array([conductance, resistance], dtype=np.float64), n_sections)
    losses[-1] += termination
    storage = np.tile([capacitance, inductance], n_sections)
    flows = diags_array([np.ones(n - 1), -np.ones(n - 1)], offsets=[-1, 1], shape=(n, n))
    A = diags_array(1.0 / storage) @ (flows - diags_array(losses))
    B = np.zeros((n, 1))
    B[0] = 1.0 / capacitance
    C = np.zeros((1, n))
    C[0, 0] = 1.0
    names = [f"{kind}{k}" for k in range(1, n_sections + 1) for kind in "vi"]
    return Bunch(
        A=csc_array(A), B=B, C=C, D=np.array([[float(source_resistance)]]), state_names=names
    )


def make_convection_diffusion(n=30, *, dimension=2, fx=None, fy=None, g=0.0):
    """Heat that is carried along: ``x' = Laplace x - fx dx/dx - fy dx/dy - g x + b u``.

    Central differences on the unit interval or square with zeros on the boundary. The input heats
    the strip ``0.1 < x <= 0.3``, the output is the sum over ``0.7 < x <= 0.9``. The example is one
    of LYAPACK's (Penzl 2000).

    Parameters
    ----------
    n : int, default=30
        Inner points in each direction; the order is n or n squared.
    dimension : {1, 2}, default=2
    fx, fy : float or callable, optional
        Velocities; a callable takes the arrays x (and y). By default ``10 x`` and, in two
        dimensions, ``100 y``.
    g : float or callable, default=0.0
        Reaction. Values far below zero, such as -100, make modes that are not stable.

    Returns
    -------
    Bunch
        With ``A`` sparse, ``B`` of one column, ``C`` of one row and ``points``, of shape (order,
        dimension): x runs fastest.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or has values that are not finite.

    Notes
    -----
    Where A has double eigenvalues, as with fx = 10 x and fy = 10 y, one input cannot reach all
    modes. This is harmless for a stable A; an unstable one cannot be stabilised then.

    References
    ----------
    Penzl, T. (2000). LYAPACK: a MATLAB toolbox for large Lyapunov and Riccati equations, model
    reduction problems, and linear-quadratic optimal control problems. Users' guide, version 1.0.

    Examples
    --------
    >>> from lmmfit.datasets import make_convection_diffusion
    >>> make_convection_diffusion(3, dimension=1, fx=0.0).A.toarray()
    array([[-32.,  16.,   0.],
           [ 16., -32.,  16.],
           [  0.,  16., -32.]])
    >>> make_convection_diffusion(30).A.shape
    (900, 900)
    """
    check_scalar(n, "n", Integral, min_val=1)
    if dimension not in (1, 2):
        raise ValueError(f"dimension must be 1 or 2, got {dimension!r}.")
    if dimension == 1 and fy is not None:
        raise ValueError("fy is a velocity of two dimensions, and dimension=1.")
    h = 1.0 / (n + 1)
    grid = h * np.arange(1, n + 1)
    second = diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)) / h**2
    first = diags_array([-0.5, 0.5], offsets=[-1, 1], shape=(n, n)) / h
    fx = (lambda x, *_: 10.0 * x) if fx is None else fx
    if dimension == 1:
        points = grid[:, None]
        A = second - diags_array(_on_grid(fx, "fx", points)) @ first
    else:
        points = np.column_stack([np.tile(grid, n), np.repeat(grid, n)])
        fy = (lambda x, y: 100.0 * y) if fy is None else fy
        one = eye_array(n)
        A = kron(one, second) + kron(second, one)
        A = A - diags_array(_on_grid(fx, "fx", points)) @ kron(one, first)
        A = A - diags_array(_on_grid(fy, "fy", points)) @ kron(first, one)
    A = A - diags_array(_on_grid(g, "g", points))
    x = points[:, 0] - 1e-12  # bounds that lie on the grid are met in spite of rounding
    B = ((x > 0.1) & (x <= 0.3)).astype(float)[:, None]
    C = ((x > 0.7) & (x <= 0.9)).astype(float)[None, :]
    return Bunch(A=csc_array(A), B=B, C=C, points=points)


def _on_grid(function, name, points):
    """Values at the points of a number or a callable of the coordinates."""
    values = function(*points.T) if callable(function) else function
    values = np.broadcast_to(np.asarray(values, dtype=float), len(points))
    if not np.isfinite(values).all():
        at = points[np.argmin(np.isfinite(values))]
        raise ValueError(f"{name} is not finite at the point {at.round(6).tolist()}.")
    return values


def make_triple_chain(
    n_masses=50,
    *,
    masses=(1.0, 2.0, 3.0),
    stiffnesses=(10.0, 20.0, 1.0),
    mass=10.0,
    stiffness=50.0,
    alpha=0.002,
    beta=0.002,
    damper=5.0,
):
    """Three chains of masses and springs that end in one mass: an oscillator of large order.

    ``M q'' + G q' + K q = u``, as a system of first order for the state ``(q, q')``, with ``G =
    alpha M + beta K`` and three dampers more, at the first and last mass of the first chain and at
    the first of the third. The chains begin at a wall, and so does the spring of the common mass.
    One force acts on all masses, and the sum of the displacements is seen (Truhar and Veselic
    2009).

    Parameters
    ----------
    n_masses : int, default=50
        Masses of a chain; the order is ``2 (3 n_masses + 1)``.
    masses, stiffnesses : sequence of 3 floats
        Of each chain, above 0.
    mass, stiffness : float
        Of the common mass and its spring, above 0.
    alpha, beta : float, default=0.002
        At least 0.
    damper : float, default=5.0
        Viscosity of the dampers, at least 0.

    Returns
    -------
    Bunch
        With ``A`` and ``E`` sparse, ``B`` of one column, ``C`` of one row, and ``M``, ``G``, ``K``
        sparse, of the equation of second order.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    References
    ----------
    Truhar, N. and Veselic, K. (2009). An efficient method for estimating the optimal dampers'
    viscosity for linear vibrating systems using Lyapunov equation. SIAM Journal on Matrix Analysis
    and Applications 31(1).

    Examples
    --------
    >>> from lmmfit.datasets import make_triple_chain
    >>> chain = make_triple_chain(2)
    >>> chain.A.shape
    (14, 14)
    >>> chain.K.toarray()[-1].tolist()
    [0.0, -10.0, 0.0, -20.0, 0.0, -1.0, 81.0]
    """
    check_scalar(n_masses, "n_masses", Integral, min_val=1)
    for name, values in (("masses", masses), ("stiffnesses", stiffnesses)):
        if len(values) != 3:
            raise ValueError(f"{name} must be three numbers, one a chain, got {values!r}.")
        _check_numbers(0.0, "neither", **{f"{name}[{i}]": v for i, v in enumerate(values)})
    _check_numbers(0.0, "neither", mass=mass, stiffness=stiffness)
    _check_numbers(0.0, "left", alpha=alpha, beta=beta, damper=damper)
    n = 3 * n_masses + 1
    M = diags_array(np.r_[np.repeat(masses, n_masses), mass])
    chain = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n_masses, n_masses))
    K = block_diag([k * chain for k in stiffnesses] + [[[sum(stiffnesses) + stiffness]]]).tolil()
    for i, k in enumerate(stiffnesses):
        last = (i + 1) * n_masses - 1
        K[last, -1] = K[-1, last] = -k
    dampers = np.zeros(n)
    np.add.at(dampers, [0, n_masses - 1, 2 * n_masses], damper)
    K = csc_array(K)
    G = alpha * M + beta * K + diags_array(dampers)
    one = eye_array(n)
    return Bunch(
        A=csc_array(block_array([[None, one], [-K, -G]])),
        B=np.r_[np.zeros(n), np.ones(n)][:, None],
        C=np.r_[np.ones(n), np.zeros(n)][None, :],
        E=csc_array(block_diag([one, M])),
        M=csc_array(M), G=csc_array(G), K=K,
    )  # fmt: skip


def _check_numbers(low, closed, **numbers):
    """Refuse numbers that are not finite or below ``low``, or equal to it where not closed."""
    for name, value in numbers.items():
        check_scalar(value, name, Real, min_val=low, include_boundaries=closed)
        if not np.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}.")
