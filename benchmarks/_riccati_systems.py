"""The systems of the suite `riccati`: circuits, heat, a steel rail, and a process to filter."""

import os
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from lmmfit.datasets import load_rail, make_convection_diffusion, make_rlc_ladder

_RAIL_OUTPUTS = ((0, 3, -1), (0, 21, -1), (0, 59, 3), (1, 1, -1), (1, 2, -1), (1, 62, 2),
                 (2, 42, -1), (2, 50, 1), (3, 46, -1), (3, 54, 1), (4, 8, -1), (4, 15, -1),
                 (4, 91, 2), (5, 9, -1), (5, 14, -1), (5, 33, -1), (5, 82, 3))  # fmt: skip
_BOUNDED = 0.2401  # R = -0.2401 I makes the equation (1+) of the rail


def circuit(n, losses):
    """A lossy transmission line, folded to (1+): W = D + D', A - B W^-1 C, B W^-1/2, W^-1/2 C.

    Parameters
    ----------
    n : int
        Order.
    losses : (float, float)
        Resistance and conductance of a section, beside inductance and capacitance of 1.

    Returns
    -------
    A : csc_array of shape (n, n)
    B, C : ndarray of shape (n, 1), (1, n)
    """
    line = make_rlc_ladder(n // 2, resistance=losses[0], conductance=losses[1])
    W = (line.D + line.D.T).item()
    A = sp.csc_array(line.A - sp.csc_array(line.B) @ sp.csc_array(line.C) / W)
    return A, line.B / np.sqrt(W), line.C / np.sqrt(W)


def plate(n, varying=False):
    """Heat in a flow over a plate, with n/100 heaters and n/100 sensors on equal parts of it.

    Parameters
    ----------
    n : int
        Order, a hundred times a power of two: the points of a grid on the unit square.
    varying : bool, default=False
        Whether the flow is that of LYAPACK, (10 x, 100 y), instead of (10, 100) everywhere.

    Returns
    -------
    A : csc_array of shape (n, n)
    B, C : ndarray of shape (n, m), (m, n)
    """
    doublings = int(np.log2(n // 100))
    width, height = 10 * 2 ** (doublings // 2), 10 * 2 ** ((doublings + 1) // 2)
    flows = (lambda x: 10.0 * x, lambda y: 100.0 * y) if varying else (10.0, 100.0)
    along, across = (
        make_convection_diffusion(k, dimension=1, fx=flow).A
        for k, flow in zip((width, height), flows, strict=True)
    )
    A = sp.kron(sp.eye_array(height), along) + sp.kron(across, sp.eye_array(width))
    part = np.arange(n) * 2 * (n // 100) // n
    members = (part[:, None] == np.arange(2 * (n // 100))).astype(float)
    # A heater of 100 beside a sensor of 1: the quadratic term is about as large as C'C.
    return sp.csc_array(A), 100.0 * members[:, ::2], np.ascontiguousarray(members[:, 1::2].T)


def rail(n):
    """The steel rail with n nodes; those not shipped come from the folder LMMFIT_RAIL.

    Parameters
    ----------
    n : {371, 1357, 5177}

    Returns
    -------
    A, E : csc_array of shape (n, n)
    B, C : ndarray of shape (n, 7), (6, n)

    Raises
    ------
    FileNotFoundError
        If the mesh is not shipped, and its file not in the folder.
    """
    if n <= 1357:
        found = load_rail(n)
        return found.A, found.E, found.B, found.C
    path = Path(os.environ.get("LMMFIT_RAIL", "")) / f"rail_{n}.mat"
    if not path.is_file():
        raise FileNotFoundError(
            f"rail_{n}.mat: name in LMMFIT_RAIL the folder with the matrices of M-M.E.S.S."
        )
    return _assembled(path, n)


def _assembled(path, n):
    """E = M, A = -(alpha S + robin M_GAMMA), B = robin (B_0, ..., B_6)."""
    from scipy.io import loadmat

    stored = loadmat(path)
    alpha, robin = 26.4 / (7620 * 654), 7.0164 / (7620 * 654)
    A = -(alpha * stored["S"] + robin * stored["M_GAMMA"])
    B = robin * np.column_stack([stored[f"B_{j}"].ravel() for j in range(7)])
    C = np.zeros((6, n))
    for row, column, weight in _RAIL_OUTPUTS:
        C[row, column] = weight
    return sp.csc_array(A), sp.csc_array(stored["M"]), B, C


def bounded_input(B):
    """The inputs of the rail whose equation (1+) has a solution."""
    return B / np.sqrt(_BOUNDED)


def process(n, outputs, rows, missing=0.0):
    """A stable process observed with noise.

    Parameters
    ----------
    n, outputs, rows : int
    missing : float, default=0.0
        Part of the elements that is NaN.

    Returns
    -------
    dict
        ``A, C, Q, R`` and the series ``Y``.
    """
    rng = np.random.default_rng(0)
    A = rng.standard_normal((n, n))
    A *= 0.95 / np.abs(np.linalg.eigvals(A)).max()
    C = rng.standard_normal((outputs, n)) / np.sqrt(n)
    Q, R = np.eye(n), 0.5 * np.eye(outputs)
    Y, x = np.sqrt(0.5) * rng.standard_normal((rows, outputs)), np.zeros(n)
    for t in range(rows):
        Y[t] += C @ x
        x = A @ x + rng.standard_normal(n)
    Y[rng.random(Y.shape) < missing] = np.nan
    return {"A": A, "C": C, "Q": Q, "R": R, "Y": Y}


def pack(**matrices):
    """Return arrays that can be saved, of sparse and other matrices.

    Parameters
    ----------
    **matrices : ndarray or sparse array

    Returns
    -------
    dict of str to ndarray
    """
    arrays = {}
    for name, M in matrices.items():
        if sp.issparse(M):
            M = sp.csc_array(M)
            parts = {"data": M.data, "indices": M.indices, "indptr": M.indptr}
            arrays |= {f"{name}.{part}": values for part, values in parts.items()}
        else:
            arrays[name] = M
    return arrays


def unpack(arrays, *names):
    """Return the matrices with these names; None for one that is not there.

    Parameters
    ----------
    arrays : dict of str to ndarray
    *names : str

    Returns
    -------
    list of ndarray, csc_array or None
    """
    return [
        sp.csc_array(tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr")))
        if f"{name}.data" in arrays
        else arrays.get(name)
        for name in names
    ]
