"""Solution of the sparse matrix equation, and the error where there is not one."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lmmfit.gains.pattern import Pattern

__all__ = ["SingularEquationError", "SparseSolution"]


class SingularEquationError(ValueError):
    """The equation does not have exactly one solution.

    Attributes
    ----------
    kind : {"infinitely many", "none"} or None
        None where it was not found out, as ``rank``.
    rank : int or None
        Numerical rank of S.
    size : int
        Its order, the number of entries of the pattern.
    entry : tuple of int or None
        (i, j), an entry of X that is not determined.

    Examples
    --------
    >>> from lmmfit.gains import SingularEquationError, solve_sparse_equation
    >>> try:
    ...     solve_sparse_equation([[1.0, 0.0], [0.0, 0.0]], [[1.0]], [[3.0], [1.0]], "full")
    ... except SingularEquationError as error:
    ...     print(error.kind, error.rank, error.size, error.entry)
    none 1 2 (1, 0)
    """

    def __init__(self, message, kind=None, rank=None, size=None, entry=None):
        super().__init__(message)
        self.kind, self.rank, self.size, self.entry = kind, rank, size, entry

    def __reduce__(self):
        return type(self), (str(self), self.kind, self.rank, self.size, self.entry)


@dataclass(frozen=True, eq=False)
class SparseSolution:
    """Solution X of ``[A X B - C]_chi = 0`` with X zero off the entries chi.

    Attributes
    ----------
    pattern : Pattern
        The n x o entries chi.
    values : ndarray of shape (size,)
        Of X at the entries, in the order of the pattern.
    kind : {"unique", "infinitely many", "none"}
        How many solutions there are. If infinitely many, X is the one of minimum norm; if none,
        the one of minimum norm among those that leave the least residual.
    rank : int
        Numerical rank of S, the size of the pattern where the solution is unique.
    residual_norm : float
        Frobenius norm of ``[A X B - C]_chi``, relative to that of ``[C]_chi`` unless it is zero.
    rcond : float or None
        Estimate of the reciprocal condition number of S in the norm of column sums, of the worst
        of its blocks where it falls into blocks. For a Cholesky factorisation S is scaled to a
        diagonal of ones. None where it was not estimated.
    method : str
        How it was solved; ``empty`` where there was nothing to solve.
    n_iter : int
        Steps of an iterative method, 0 for the others.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import solve_sparse_equation
    >>> found = solve_sparse_equation(2.0 * np.eye(2), np.eye(2), [[4.0, 9.0], [9.0, 6.0]], "diag")
    >>> found.kind, found.rank
    ('unique', 2)
    >>> found.X
    array([[2., 0.],
           [0., 3.]])
    >>> found.sparse.nnz
    2
    """

    pattern: Pattern
    values: np.ndarray = field(repr=False)
    kind: str
    rank: int
    residual_norm: float
    rcond: float | None
    method: str
    n_iter: int

    @cached_property
    def X(self):
        """The solution, ndarray of shape (n, o)."""
        return self.pattern.dense(self.values)

    @property
    def sparse(self):
        """The solution as a csr_array of shape (n, o), which stores every entry."""
        return self.pattern.sparse(self.values)
