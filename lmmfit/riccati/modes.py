"""Modes of a system that are not stable: which inputs reach them, which outputs see them."""

import numpy as np
from scipy.linalg import eigvals, qr, schur, svdvals
from scipy.linalg.lapack import dtrsen
from scipy.sparse import csc_array, eye_array
from scipy.sparse.linalg import LinearOperator, eigs, splu

from lmmfit.riccati.certificate import typical_size
from lmmfit.riccati.checks import as_dense
from lmmfit.riccati.errors import NotDetectableError, NotStabilizableError, RiccatiError
from lmmfit.riccati.stability import is_provably_stable

__all__ = ["check_modes", "unstable_space"]

_DENSE = 2000  # order up to which all modes are computed
_MOST = 48  # unstable modes that are looked for in larger systems
_HIDDEN = 1e-10  # singular value, relative to the matrices, that counts as zero


def unstable_space(A, E=None, *, discrete=False, scale=None, seed=0):
    """Space of the left eigenvectors of the modes that are not stable.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default.
    discrete : bool, default=False
        Whether modes of size 1 or more are unstable, rather than those with a real part of 0 or
        more; for dense matrices.
    scale : float, optional
        Size of typical modes, for large matrices.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    basis : ndarray of shape (n, k)
        Orthonormal, with ``A' basis = E' basis M``.
    M : ndarray of shape (k, k)

    Raises
    ------
    RiccatiError
        If unstable modes cannot be told from stable ones.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import unstable_space
    >>> basis, M = unstable_space(np.diag([-1.0, 2.0]))
    >>> np.abs(basis).ravel(), M
    (array([0., 1.]), array([[2.]]))
    """
    n = A.shape[0]
    if not discrete and is_provably_stable(A, E):
        return np.empty((n, 0)), np.empty((0, 0))
    if n <= _DENSE or discrete:
        A, E = as_dense(A), as_dense(E)
        T = A.T if E is None else np.linalg.solve(E.T, A.T)
        edge = 1e-14 * np.abs(T).max(initial=0.0)
        if not _unstable(eigvals(T), discrete, edge).any():  # a third of the work of Schur's form
            return np.empty((n, 0)), np.empty((0, 0))
        M, basis = schur(T)
        above, below = (np.r_[np.diag(M, k), 0.0] for k in (1, -1))  # of blocks of two, or zero
        part = np.sqrt(np.abs(above * below))
        part[1:] += part[:-1]
        values = np.diag(M) + 1j * part  # both of a pair have the same diagonal element
        wanted = _unstable(values, discrete, edge)
        # SciPy's own sort fails where rounding takes a mode that it moves over the edge.
        M, basis, _, _, k, _, _, failed = dtrsen(wanted, M, basis, job="N")
        if failed:
            raise RiccatiError("the modes of A at the edge of stability cannot be told apart.")
        return basis[:, :k], M[:k, :k]
    A = csc_array(A)
    E = eye_array(n, format="csc") if E is None else csc_array(E)
    a = float(scale or typical_size(A, E))
    lu = splu(csc_array((A - a * E).T))
    # (x + a) / (x - a) takes the unstable modes, and no others, out of the unit disk.
    cayley = LinearOperator((n, n), lambda x: x + 2.0 * a * lu.solve(E.T @ x), dtype=float)
    start, count = np.random.default_rng(seed).standard_normal(n), 6
    while True:
        mu, vectors = eigs(cayley, k=min(count, n - 2), which="LM", v0=start, tol=1e-10)
        unstable = np.abs(mu) >= 1.0 - 1e-12
        if not unstable.all() or count >= min(_MOST, n - 2):
            break
        count *= 2
    if not unstable.any():
        return np.empty((n, 0)), np.empty((0, 0))
    both = np.hstack([vectors[:, unstable].real, vectors[:, unstable].imag])
    basis, R, _ = qr(both, mode="economic", pivoting=True)
    basis = basis[:, np.abs(np.diag(R)) > 1e-8 * np.abs(R[0, 0])]
    return basis, np.linalg.lstsq(E.T @ basis, A.T @ basis, rcond=None)[0]


def _unstable(values, discrete, edge):
    return np.abs(values) >= 1.0 - 1e-12 if discrete else values.real >= -edge


def check_modes(A, B, C, *, E=None, discrete=False, scale=None):
    """Refuse systems with an unstable mode that no input reaches or no output sees (Hautus).

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default.
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    discrete : bool, default=False
    scale : float, optional
        Size of typical modes, for large matrices.

    Returns
    -------
    basis, M : ndarray
        As :func:`unstable_space` gives them.

    Raises
    ------
    NotStabilizableError, NotDetectableError
        Naming the mode.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import check_modes
    >>> basis, M = check_modes(np.diag([-1.0, 2.0]), np.ones((2, 1)), np.ones((1, 2)))
    >>> M
    array([[2.]])
    """
    basis, M = unstable_space(A, E, discrete=discrete, scale=scale)
    if not M.size:
        return basis, M
    mode = _hidden_mode(M, basis.T @ B, np.linalg.norm(B))
    if mode is not None:
        raise NotStabilizableError(
            f"the mode {_named(mode)} of A is not stable and no input reaches it: (A, B) is not "
            "stabilizable."
        )
    right, N = unstable_space(A.T, None if E is None else E.T, discrete=discrete, scale=scale)
    mode = _hidden_mode(N, right.T @ C.T, np.linalg.norm(C))
    if mode is not None:
        raise NotDetectableError(
            f"the mode {_named(mode)} of A is not stable and no output sees it: (C, A) is not "
            "detectable."
        )
    return basis, M


def _hidden_mode(M, reach, size):
    """A mode of M' that the columns of ``reach``, part of a matrix of that size, do not excite."""
    scale = max(np.abs(M).max(), 1e-300)
    reach = reach * (scale / max(size, 1e-300))
    for mode in np.linalg.eigvals(M):
        pencil = np.hstack([M.T - mode * np.eye(len(M)), reach])
        if svdvals(pencil)[-1] <= _HIDDEN * scale:
            return mode
    return None


def _named(mode):
    if abs(mode.imag) <= 1e-12 * abs(mode):
        return f"{mode.real:.6g}"
    return f"{mode.real:.6g}{mode.imag:+.6g}j"
