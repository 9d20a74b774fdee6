"""The continuous equation in its simplest form, and what leads back to the given one."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse import csc_array, issparse

from lmmfit.riccati.checks import (
    as_dense,
    as_matrix,
    as_square,
    as_symmetric,
    check_definite,
    check_descriptor,
    check_semidefinite,
    few_columns,
)
from lmmfit.riccati.shifted_solver import sparse_in_truth

__all__ = ["CareProblem", "fold_equation", "has_few_columns", "with_sparse_matrices"]


@dataclass(frozen=True, eq=False)
class CareProblem:
    """``A'XE + E'XA + sign E'XBB'XE + C'C = 0``, and what leads back to the given one."""

    A: object
    B: np.ndarray
    C: np.ndarray
    E: object
    sign: int
    root: np.ndarray | None  # R = root root'
    cross: np.ndarray | None  # S

    def gain(self, feedback):
        """K of the given equation from E'XB."""
        K = feedback.T
        if self.cross is not None:
            K = K + solve_triangular(self.root, self.cross.T, lower=True)
        return K if self.root is None else solve_triangular(self.root.T, K)


def fold_equation(A, B, C, sign, E, Q, R, S):
    """Check the matrices; take Q and R into C and B, S into A and C.

    Parameters
    ----------
    A, B, C, sign, E, Q, R, S
        As :func:`solve_care` takes them.

    Returns
    -------
    CareProblem

    Raises
    ------
    ValueError
        If one is wrong.
    """
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1, got {sign!r}.")
    A = as_square(A, "A", sparse=True)
    n = A.shape[0]
    B, C = as_matrix(B, "B", (n, None)), as_matrix(C, "C", (None, n))
    E = None if E is None else check_descriptor(E, n)
    if Q is not None:
        Q = as_symmetric(Q, "Q", len(C))
        check_semidefinite(Q, "Q")
        values, vectors = np.linalg.eigh(Q)  # small ones too may see a mode that nothing else sees
        C = np.sqrt(np.maximum(values, 0.0))[:, None] * (vectors.T @ C)
    root = None if R is None else check_definite(as_symmetric(R, "R", B.shape[1]), "R")
    B = B if root is None else solve_triangular(root, B.T, lower=True).T
    cross = None if S is None else as_matrix(S, "S", (n, B.shape[1]))
    if cross is not None:
        root = np.eye(B.shape[1]) if root is None else root
        T = solve_triangular(root, cross.T, lower=True)  # S root^{-T}, transposed
        A = as_dense(A) + sign * B @ T
        C = _signed_root(np.vstack([C, T]), np.r_[np.ones(len(C)), np.full(len(T), float(sign))])
    return CareProblem(A, B, C, E, sign, root, cross)


def with_sparse_matrices(problem):
    """The same with sparse A and E, if one of them is or both are in truth.

    Parameters
    ----------
    problem : CareProblem

    Returns
    -------
    CareProblem
    """
    A, E = problem.A, problem.E
    given = issparse(A) or issparse(E)
    if not given and not (has_few_columns(problem) and sparse_in_truth(A, E)):
        return problem
    return replace(problem, A=csc_array(A), E=None if E is None else csc_array(E))


def has_few_columns(problem):
    """Whether B and C have few columns and rows beside the order.

    Parameters
    ----------
    problem : CareProblem

    Returns
    -------
    bool
    """
    return few_columns(problem.B.shape[1] + len(problem.C), len(problem.B))


def _signed_root(C, signs):
    """C with the same C' diag(signs) C, which must be positive semidefinite."""
    Q, T = np.linalg.qr(C.T)
    values, vectors = np.linalg.eigh((T * signs) @ T.T)
    if values[0] < -1e-12 * len(values) * max(np.square(T).sum(), 1e-300):
        raise ValueError(
            f"C'QC - S R^-1 S' must be positive semidefinite, its smallest eigenvalue is "
            f"{values[0]:.6g}."
        )
    return np.sqrt(np.maximum(values, 0.0))[:, None] * (Q @ vectors).T
