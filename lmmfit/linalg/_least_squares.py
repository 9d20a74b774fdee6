"""The methods of `least_squares`: each returns the solutions and a root of pinv(A'A).

The columns of `a` (m, n) have their largest elements in [1/2, 1), so that what is small beside
1 is negligible. The root S is (n, rank), with ``S @ S.T = pinv(A.T @ A)``.
"""

import numpy as np

from lmmfit.linalg._check import lapack
from lmmfit.linalg.orthogonal import reflect, triangularise

__all__ = ["METHODS", "cholesky_root", "eigen_root", "kappa"]


def by_qr(a, b, rcond):
    """Householder QR, then a pivoted one of R: as safe as pivoting A, and much faster."""
    rotated, r = _triangle(a, b)
    packed, tau, order = triangularise(r, True)
    rotated, sizes = reflect(packed, tau, rotated), np.abs(packed.diagonal())
    n, rank = a.shape[1], int(np.count_nonzero(sizes > rcond * sizes[0]))
    x, root = np.empty((n, b.shape[1])), np.empty((n, rank))
    if rank == n:
        solve = lapack(np.float64, "trtrs")
        root[order] = solve(packed[:n], np.eye(n))[0]
        x[order] = solve(packed[:n], rotated[:n])[0] if b.shape[1] else 0.0
        return x, root
    # A = Q [R11 R12] P', and the wide triangle is again a triangle times orthonormal rows
    q, left = np.linalg.qr(np.triu(packed[:rank]).T)
    root[order] = np.linalg.solve(left, q.T).T if rank else 0.0
    return root @ rotated[:rank], root


def by_svd(a, b, rcond):
    """Singular values of R."""
    rotated, r = _triangle(a, b)
    u, sizes, vt = np.linalg.svd(r, full_matrices=False)
    rank = int(np.count_nonzero(sizes > rcond * sizes[0]))
    root = vt[:rank].T / sizes[:rank]
    return root @ (u[:, :rank].T @ rotated), root


def by_normal_equations(a, b, rcond):
    """Cholesky factor of A'A; its eigenvalues where rounding has made that singular."""
    gram = a.T @ a
    root = cholesky_root(gram)
    if root is None:
        root = eigen_root(gram)
    return root @ (root.T @ (a.T @ b)), root


def cholesky_root(gram):
    """Inverse of the Cholesky factor; None where nothing of a pivot is left."""
    length = np.sqrt(gram.diagonal())
    if not length.all():
        return None
    factor, failed = lapack(np.float64, "potrf")(gram / length / length[:, None], clean=1)
    if failed or factor.diagonal().min() < 1e-7:
        return None
    return lapack(np.float64, "trtri")(factor)[0] / length[:, None]


def eigen_root(gram):
    """Root of the pseudo-inverse, from the eigenvalues above rounding."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > len(gram) * np.finfo(float).eps * values[-1]
    return vectors[:, kept] / np.sqrt(values[kept])


def kappa(a, root):
    """Bound the condition number of A with columns of equal length, in the Frobenius norm.

    Where the root does not have full rank the information is lost: singular values tell.
    """
    length = np.linalg.norm(a, axis=0)
    if root.shape[1] == root.shape[0]:
        return float(np.sqrt(len(root)) * np.linalg.norm(root * length[:, None]))
    used = length > 0.0  # a column of zeros loses nothing
    if not used.any():
        return 1.0
    sizes = np.linalg.svd(np.linalg.qr(a[:, used] / length[used], mode="r"), compute_uv=False)
    return float(sizes[0] / max(sizes[-1], np.finfo(float).eps * sizes[0]))


def _triangle(a, b):
    """Return ``Q.T @ b`` and R of a tall matrix; a wide one as it is."""
    if a.shape[0] <= a.shape[1]:
        return b, a
    packed, tau, _ = triangularise(a, False)
    n = a.shape[1]
    return reflect(packed, tau, b)[:n], np.triu(packed[:n])


METHODS = {"qr": by_qr, "normal": by_normal_equations, "svd": by_svd}
