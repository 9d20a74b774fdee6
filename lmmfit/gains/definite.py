"""The equation with positive definite A and B: planned once for a pattern, solved often."""

from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dposv

from lmmfit._threads import blas_threads_for
from lmmfit.gains.conjugate import LARGEST, ConjugateGradients, step_budget
from lmmfit.gains.gathered import gather_matrix, in_rows

__all__ = ["DefiniteSolver"]

_SERIAL = 64  # order below which BLAS starts no threads, and limits cost more than they save


class DefiniteSolver:
    """Solver of ``[A X B - C]_chi = 0``, X zero elsewhere, for A and B positive definite.

    S is then a principal submatrix of the Kronecker product of B' and A, and positive definite:
    there is one solution, always. Nothing is checked but that. A and B are float64 and writable,
    as kernels are compiled for them.

    Parameters
    ----------
    pattern : Pattern

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import DefiniteSolver, as_pattern
    >>> solver = DefiniteSolver(as_pattern("diag", (2, 2)))
    >>> A = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> solver.solve(A, A, np.array([5.0, 5.0]))
    array([1., 1.])
    """

    def __init__(self, pattern):
        self.pattern = pattern
        self._rectangle = pattern.rectangle
        whole = pattern.size == pattern.shape[0] == pattern.shape[1]
        self._diagonal = whole and bool((pattern.rows == pattern.columns).all())
        self._budget = step_budget(pattern)

    @cached_property
    def _gradients(self):
        return ConjugateGradients(self.pattern)

    def solve(self, A, B, r, x0=None, tol=1e-13):
        """Solve for the values of X at the entries of the pattern.

        Parameters
        ----------
        A : ndarray of shape (n, n), or None
            Symmetric and positive definite; None for the identity.
        B : ndarray of shape (o, o), or None
        r : ndarray of shape (size,)
            Values of C at the entries.
        x0 : ndarray of shape (size,), optional
            Where conjugate gradients start, if it is them.
        tol : float, default=1e-13
            Of their residual, relative to r.

        Returns
        -------
        ndarray of shape (size,)

        Raises
        ------
        LinAlgError
            If A or B is found not to be positive definite, or conjugate gradients do not converge
            where S is too large to be factorised.
        """
        if (A is None and B is None) or not len(r):
            return r.copy()
        if A is None:
            x, order = np.empty_like(r), self.pattern.row_order
            x[order] = self.pattern.T.lines.factor(in_rows(B)).solve(r[order])
            return x
        if B is None:
            return self.pattern.lines.factor(in_rows(A)).solve(r)
        if self._rectangle is not None:
            return self._solve_rectangle(A, B, r)
        if self._budget or self.pattern.size > LARGEST:
            x = self._iterate(in_rows(A), in_rows(B), r, x0, tol)
            if x is not None:
                return x
        if self._diagonal:
            S = np.multiply(A, B, order="C")
        else:
            S = gather_matrix(self.pattern, in_rows(A), in_rows(B), symmetric=True)
        return _cholesky_solve(S, r)

    def _solve_rectangle(self, A, B, r):
        """X[I, J] = A[I, I]^-1 C[I, J] B[J, J]^-1."""
        i, j = self._rectangle
        Y = _cholesky_solve(A[np.ix_(i, i)], r.reshape(len(j), len(i)).T)
        return _cholesky_solve(B[np.ix_(j, j)], Y.T).ravel()

    def _iterate(self, A, B, r, x0, tol):
        """The solution by conjugate gradients, or None where a factorisation would be faster."""
        feasible = self.pattern.size <= LARGEST
        most = self._budget if feasible else 2000
        with blas_threads_for(max(self.pattern.shape)):
            x, steps, converged = self._gradients.solve(A, B, r, x0, tol=tol, max_iter=most)
        if converged:
            return x
        if not feasible:
            raise np.linalg.LinAlgError(
                f"conjugate gradients did not converge in {steps} steps, for the "
                f"{self.pattern.size} entries of the pattern: A or B is too nearly singular."
            )
        self._budget = 0  # the next matrices will be like these
        return None


def _cholesky_solve(S, r):
    """S^-1 r, S in rows of which the parts from the diagonal on are read; S is overwritten."""
    if len(S) < _SERIAL:
        _, x, info = dposv(S.T, r, lower=1, overwrite_a=1)
    else:
        with blas_threads_for(len(S)):
            _, x, info = dposv(S.T, r, lower=1, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError(
            f"A or B is not positive definite: the leading minor of order {info} of S is not."
        )
    return x
