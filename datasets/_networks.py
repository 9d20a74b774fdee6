"""Random networks of small systems for distributed filters, and what other networks share."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import block_diag, bsr_array, csr_array, issparse
from sklearn.utils import Bunch, check_scalar

from lmmfit.datasets._simulate import _generator

__all__ = ["in_shape_asked", "make_random_network", "own_outputs"]


def make_random_network(
    n_nodes=100, *, n_states=2, n_outputs=1, max_neighbors=5, reach=7, coupling=0.4,
    spectral_radius=None, sparse=True, random_state=None,
):  # fmt: skip
    """Random small systems in a line, each moved by some of those near it.

    Node i is moved by 1 to ``max_neighbors`` of the nodes i - reach, ..., i + reach. With r for
    matrices of uniform numbers between -1/2 and 1/2, its own block of A is ``0.8 I + 0.3 r``, that
    of a neighbour ``coupling r``; its outputs are ``2 r`` of its own states. The noises are
    ``Q = A A' / 2`` and ``R = C C' / 2``. For 100 nodes and more A is as a rule not stable.

    Parameters
    ----------
    n_nodes : int, default=100
    n_states : int, default=2
        States of a node.
    n_outputs : int, default=1
        Outputs of a node, at most ``n_states``.
    max_neighbors : int, default=5
        0 for nodes that know nothing of each other.
    reach : int, default=7
    coupling : float, default=0.4
    spectral_radius : float, optional
        Size of the largest eigenvalue of A, to which all of it is scaled; as drawn by default.
    sparse : bool, default=True
        Whether matrices are ``csr_array``, or dense.
    random_state : int, Generator, RandomState or None, default=None

    Returns
    -------
    Bunch
        With ``A``, ``C``, ``Q``, ``R``; ``pattern`` (a node's gain may use its own outputs
        alone); ``graph``, whose element [i, j] says whether node i is moved by node j;
        ``state_nodes`` and ``output_nodes``.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    The recipe is that of the large examples of the DECENTER toolbox, except that there Q has the
    blocks ``A_ij A_ji' / 2``, which need not be positive semidefinite for larger couplings.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). DECENTER toolbox, https://decenter2021.github.io.

    Examples
    --------
    >>> from lmmfit.datasets import make_random_network
    >>> network = make_random_network(50, random_state=0)
    >>> network.A.shape, network.C.shape, network.pattern.nnz
    ((100, 100), (50, 100), 100)
    """
    check_scalar(n_nodes, "n_nodes", Integral, min_val=1)
    check_scalar(n_states, "n_states", Integral, min_val=1)
    check_scalar(n_outputs, "n_outputs", Integral, min_val=1, max_val=n_states)
    check_scalar(max_neighbors, "max_neighbors", Integral, min_val=0)
    check_scalar(reach, "reach", Integral, min_val=0)
    check_scalar(coupling, "coupling", Real)
    if spectral_radius is not None:
        check_scalar(
            spectral_radius, "spectral_radius", Real, min_val=0, include_boundaries="neither"
        )
    rng = _generator(random_state)

    def uniform(count, *shape):
        return rng.uniform(-0.5, 0.5, (count, *shape))

    starts, neighbors = [0], []
    for i in range(n_nodes):
        near = np.arange(max(i - reach, 0), min(i + reach + 1, n_nodes))
        near = near[near != i]
        most = min(max_neighbors, len(near))
        count = rng.integers(1, most + 1) if most else 0
        neighbors.append(np.sort(rng.choice(near, count, replace=False)))
        starts.append(starts[-1] + count)
    found = np.concatenate(neighbors).astype(np.intp)
    graph = csr_array((np.ones(len(found), bool), found, starts), shape=(n_nodes, n_nodes))
    n = n_nodes * n_states
    blocks = coupling * uniform(len(found), n_states, n_states)
    own = 0.8 * np.eye(n_states) + 0.3 * uniform(n_nodes, n_states, n_states)
    A = csr_array(bsr_array((blocks, found, starts), shape=(n, n))) + block_diag(own, format="csr")
    C = csr_array(block_diag(2.0 * uniform(n_nodes, n_outputs, n_states), format="csr"))
    A = csr_array(A)
    if spectral_radius is not None:
        from lmmfit.gains.products import spectral_radius as radius_of

        A = A * (spectral_radius / radius_of(A))
    matrices = {"A": A, "C": C, "Q": 0.5 * (A @ A.T), "R": 0.5 * (C @ C.T), "graph": graph}
    nodes = np.arange(n_nodes)
    state_nodes, output_nodes = np.repeat(nodes, n_states), np.repeat(nodes, n_outputs)
    return Bunch(
        **{name: in_shape_asked(M, sparse) for name, M in matrices.items()},
        pattern=own_outputs(state_nodes, output_nodes, sparse),
        state_nodes=state_nodes, output_nodes=output_nodes,
    )  # fmt: skip


def own_outputs(state_nodes, output_nodes, sparse):
    """Pattern of gains in which a node uses its own outputs alone.

    Parameters
    ----------
    state_nodes, output_nodes : ndarray of int
    sparse : bool

    Returns
    -------
    csr_array or ndarray of shape (n, o), of bool
    """
    ones = (np.ones(len(k), bool) for k in (state_nodes, output_nodes))
    of_state, of_output = (
        csr_array((data, (np.arange(len(k)), k)), shape=(len(k), 1 + max(state_nodes)))
        for data, k in zip(ones, (state_nodes, output_nodes), strict=True)
    )
    return in_shape_asked(csr_array(of_state @ of_output.T), sparse)


def in_shape_asked(M, sparse):
    """A matrix as ``csr_array`` or dense.

    Parameters
    ----------
    M : sparse array or ndarray
    sparse : bool

    Returns
    -------
    csr_array or ndarray
    """
    if sparse:
        return csr_array(M)
    return M.toarray() if issparse(M) else M
