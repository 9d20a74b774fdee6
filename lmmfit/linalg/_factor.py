"""What the factor objects have in common."""

import numpy as np

from lmmfit.linalg._check import as_right_hand_side
from lmmfit.linalg._norms import check_norm, estimate_inverse_norm

__all__ = [
    "DefiniteFactor",
    "Factor",
    "Factored",
    "from_rcond",
    "frozen",
    "permutation_sign",
    "row_order",
]


def frozen(*arrays):
    """Make arrays read-only: a factor does not change under its user."""
    for array in arrays:
        array.setflags(write=False)
    return arrays[0] if len(arrays) == 1 else arrays


def row_order(pivots):
    """Turn LAPACK's exchanges into an order: the exchanged matrix is ``A[order]``."""
    order = list(range(len(pivots)))
    for k, p in enumerate(pivots.tolist()):
        order[k], order[p] = order[p], order[k]
    return np.array(order)


def permutation_sign(pivots):
    """Return the determinant of the exchanges: -1.0 or 1.0 for each row of pivots."""
    moved = (pivots != np.arange(pivots.shape[-1])).sum(axis=-1)
    return 1.0 - 2.0 * (moved % 2)


def from_rcond(rcond):
    """Return a condition number from LAPACK's reciprocal, which is 0 or NaN for the worst."""
    return float(1.0 / rcond) if rcond > 0.0 else np.inf


class Factored:
    """A frozen record of a factored matrix, or of a stack of them."""

    @property
    def _array(self):
        """The array that has the shape and the precision of the matrix."""
        return self.packed

    @property
    def shape(self):
        """Shape of the matrix, or of the stack of matrices."""
        return self._array.shape

    @property
    def _dtype(self):
        return self._array.dtype

    def __setstate__(self, state):
        """Freeze the arrays again, which a pickle does not keep so."""
        self.__dict__.update(state)
        frozen(*(value for value in state.values() if isinstance(value, np.ndarray)))


class Factor(Factored):
    """A factored square matrix: solves, determinant, condition.

    A subclass has the methods ``_solve(b, transposed)`` for a contiguous (..., n, k) array that
    may be overwritten, ``_condition(norm)`` and, where it can be singular,
    ``_check_regular()``; the rest is here.
    """

    def _prepare(self, b):
        return as_right_hand_side(b, self.shape[:-1], self._dtype)

    def solve(self, b, *, transposed=False):
        """Solve ``A x = b``, or ``A.T x = b``.

        Parameters
        ----------
        b : array_like of shape (..., n) or (..., n, k)
            One right-hand side, or k of them.
        transposed : bool, default=False
            Solve with the transpose of the matrix.

        Returns
        -------
        ndarray of the shape of `b`

        Raises
        ------
        numpy.linalg.LinAlgError
            If the matrix is singular.
        ValueError
            If `b` does not fit the matrix or is not finite.
        """
        b, vector = self._prepare(b)
        self._check_regular()
        x = self._solve(b, transposed) if b.size else b
        return x[..., 0] if vector else x

    def condition(self, norm=1):
        """Estimate the condition number: a lower bound, seldom far below the truth.

        LAPACK's estimators for a dense matrix, the same method for a band and for a sparse
        matrix; from the inverses, hence exact, for a stack of dense ones.

        Parameters
        ----------
        norm : {1, inf}, default=1
            The two are equal for a symmetric matrix.

        Returns
        -------
        float or ndarray of the shape of the stack
            ``inf`` where elimination meets a zero pivot; a matrix that is singular but for
            rounding has one of about 1e16.

        References
        ----------
        Higham (2002), Accuracy and Stability of Numerical Algorithms, chapter 15.
        """
        return self._condition(check_norm(norm, (1, np.inf)))

    def _check_regular(self):
        """Raise LinAlgError if the factor cannot solve."""

    def _flat(self, array):
        """View with one axis for the stack, as the kernels want it."""
        return array.reshape(-1, *array.shape[len(self.shape) - 2 :])

    def _inverse_norm(self, norm):
        def solve(b, transposed):
            return self._solve(np.array(b[..., None], dtype=self._dtype), transposed)[..., 0]

        return estimate_inverse_norm(solve, self.shape[:-1], norm)


class DefiniteFactor(Factor):
    """A factored positive definite matrix; a subclass has ``_half_solve(b)``, as ``_solve``."""

    def half_solve(self, b):
        """``z`` such that ``z.T @ z`` is ``b.T @ inv(A) @ b``: half of a solve.

        Parameters
        ----------
        b : array_like of shape (..., n) or (..., n, k)

        Returns
        -------
        ndarray of the shape of `b`
            ``inv(U.T) @ b``, which is ``inv(L @ sqrt(D)) @ b``.
        """
        b, vector = self._prepare(b)
        z = self._half_solve(b) if b.size else b
        return z[..., 0] if vector else z
