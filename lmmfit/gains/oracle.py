"""The formula of the literature for the sparse matrix equation: slow, to compare with."""

import numpy as np

from lmmfit.gains.pattern import as_pattern
from lmmfit.riccati.checks import as_matrix, as_square

__all__ = ["kronecker_solution"]


def kronecker_solution(A, B, C, pattern):
    """Solve ``[A X B - C]_chi = 0`` by the formula that the literature gives.

    vec(X) = Z' (Z (B' kron A) Z')^{-1} Z vec(C), with the rows of Z those of the identity that
    pick the entries chi out of vec(X). It takes of the order of ``size (n o)^2`` operations and
    ``(n o)^2`` numbers; :func:`solve_sparse_equation` takes at most ``size^3`` and ``size^2``.
    It is here for tests and benchmarks only.

    Parameters
    ----------
    A : array-like of shape (n, n)
    B : array-like of shape (o, o)
    C : array-like of shape (n, o)
    pattern : Pattern, or what :func:`as_pattern` reads

    Returns
    -------
    ndarray of shape (n, o)

    Raises
    ------
    ValueError
        If a matrix or the pattern has a wrong shape, or an element is not finite.
    LinAlgError
        If there is not exactly one solution.

    Notes
    -----
    Equation 3 of the reference is printed with the Kronecker product of B and A. As
    vec(A X B) = (B' kron A) vec(X), it must be that of B' and A: they are the same only for a
    symmetric B, as covariances are.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Efficient algorithm for the computation of the solution
    to a sparse matrix equation in distributed control theory. Mathematics 9(13), equation 3.

    Examples
    --------
    >>> from lmmfit.gains import kronecker_solution
    >>> kronecker_solution([[2.0, 1.0], [0.0, 1.0]], [[3.0]], [[9.0], [3.0]], "full")
    array([[1.],
           [1.]])
    """
    A, B = as_square(A, "A"), as_square(B, "B")
    n, o = len(A), len(B)
    C = as_matrix(C, "C", (n, o))
    pattern = as_pattern(pattern, (n, o))
    Z = np.zeros((pattern.size, n * o))
    Z[np.arange(pattern.size), pattern.columns * n + pattern.rows] = 1.0
    S = Z @ np.kron(B.T, A) @ Z.T
    x = Z.T @ np.linalg.solve(S, Z @ C.ravel(order="F"))
    return x.reshape((n, o), order="F")
