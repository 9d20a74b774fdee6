"""Solutions of systems with shifted matrices, many shifts of the same pencil."""

from functools import partial

import numpy as np
from scipy.linalg import hessenberg, lu_factor, lu_solve, solve_triangular
from scipy.sparse import issparse

from lmmfit._jit import njit
from lmmfit.riccati.sparse_pencil import SparsePencil

__all__ = ["ShiftedSolver", "sparse_in_truth"]

_LARGE = 250  # order from which a factorisation of a dense matrix is worth avoiding
_FACTORS = 8  # of large dense matrices, before reduction to Hessenberg form pays; complex ones
_COMPLEX = 4  # cost as much as so many
_NEAR = 0.5  # |p - q| / |p + conj(q)| up to which the factor for q serves for p
_ROW = 10  # elements in a row, on average, up to which a dense matrix may be sparse in truth
_FILL = 0.1  # of all elements, up to which it is


class ShiftedSolver:
    """Solutions of ``(A' + p E')X = Y`` for many shifts p.

    Sparse matrices are ordered once and factored for each shift. Large dense ones are factored
    for a few shifts, then reduced to Hessenberg form, where a shift costs a multiple of n^2.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E may be None, for the identity.
    kept : int
        Factors to keep, for shifts that come again.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import ShiftedSolver
    >>> solver = ShiftedSolver(np.diag([-1.0, -2.0]))
    >>> solver(-1.0, np.ones((2, 1))).ravel()
    array([-0.5       , -0.33333333])
    """

    def __init__(self, A, E=None, kept=0):
        self.kept, self.factors, self.n_factors = kept, {}, 0
        self.sparse = issparse(A) or issparse(E)
        if self.sparse:
            self._matrices = SparsePencil(A, E)
            return
        self.A, self.E = A.T, None if E is None else E.T
        self.large, self._reduced, self._spent = len(A) >= _LARGE, None, 0

    def nearest(self, shift):
        """The shift, or one near it that costs less.

        Parameters
        ----------
        shift : float or complex

        Returns
        -------
        float or complex
            A shift whose factor is kept, of a large dense matrix that is not yet reduced.
        """
        if self.sparse or not self.large or self._reduced is not None or not self.factors:
            return shift
        known = np.array(list(self.factors))
        distance = np.abs(shift - known) / np.abs(shift + known.conj())
        best = int(np.argmin(distance))
        if distance[best] > _NEAR:
            return shift
        return complex(known[best]) if known[best].imag else float(known[best].real)

    def __call__(self, shift, Y):
        """Solve for several right-hand sides.

        Parameters
        ----------
        shift : float or complex
        Y : ndarray of shape (n, k)

        Returns
        -------
        ndarray of shape (n, k)
        """
        if not self.sparse and self._reduced is not None and shift not in self.factors:
            return self._reduced(shift, Y)
        solve = self.factors.get(shift)
        if solve is None:
            solve = self._factor(shift)
            if len(self.factors) < self.kept or not (self.sparse or self.kept or not self.large):
                self.factors[shift] = solve
        return solve(Y)

    def _factor(self, shift):
        self.n_factors += 1
        if self.sparse:
            return self._matrices.factor(shift)
        self._spent += _COMPLEX if np.iscomplexobj(shift) else 1
        if self.large and not self.kept and self._spent > _FACTORS:
            self._reduced = _Reduced(self.A, self.E)
            return partial(self._reduced, shift)
        return _dense_factor(self.A, self.E, shift)


def _dense_factor(A, E, shift):
    shifted = A.astype(complex if np.iscomplexobj(shift) else float, order="F")
    if E is None:
        shifted[np.diag_indices(len(shifted))] += shift
    else:
        shifted += shift * E
    lu = lu_factor(shifted, overwrite_a=True, check_finite=False)
    return lambda Y: lu_solve(lu, Y, check_finite=False)


def sparse_in_truth(A, E=None):
    """Whether large dense matrices have few elements that are not zero, and so have their factors.

    Parameters
    ----------
    A, E : ndarray of shape (n, n)
        E may be None, for the identity.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import sparse_in_truth
    >>> sparse_in_truth(-np.eye(500)), sparse_in_truth(np.ones((500, 500)))
    (True, False)
    """
    n = len(A)
    if n < _LARGE:
        return False
    if max(np.count_nonzero(M) for M in (A, E) if M is not None) > _ROW * n:
        return False
    try:
        lu = SparsePencil(A, E).splu(-max(np.abs(A).sum() / n, 1.0))
    except RuntimeError:  # singular at this shift: it stays as it is
        return False
    return bool(lu.L.nnz + lu.U.nnz <= _FILL * n * n)


class _Reduced:
    """``A' E'^{-1} = Q H Q'`` with H of Hessenberg form, which a shift of its diagonal keeps."""

    def __init__(self, A, E):
        self.lu = None if E is None else lu_factor(E.T, check_finite=False)
        if E is not None:
            A = lu_solve(self.lu, A.T, check_finite=False).T
        H, self.Q = hessenberg(A, calc_q=True, check_finite=False)
        self.H, self.work = np.ascontiguousarray(H), {}

    def __call__(self, shift, Y):
        """Solve for several right-hand sides."""
        dtype = complex if np.iscomplexobj(shift) else float
        if dtype not in self.work:
            self.work[dtype] = np.empty(self.H.shape, dtype)
        U = self.work[dtype]
        np.copyto(U, self.H)
        Y = np.ascontiguousarray(self.Q.T @ Y, dtype=dtype)
        _eliminate(U, Y, dtype(shift))
        X = solve_triangular(U, Y, check_finite=False)
        if dtype is complex:  # Q stays real, and its operand contiguous
            both = self.Q @ np.hstack([X.real, X.imag])
            X = both[:, : X.shape[1]] + 1j * both[:, X.shape[1] :]
        else:
            X = self.Q @ X
        return X if self.lu is None else lu_solve(self.lu, X, trans=1, check_finite=False)


@njit
def _eliminate(H, Y, shift):
    """Bring (H + shift) X = Y to upper triangular form by rows, in place."""
    n = H.shape[0]
    for k in range(n):
        H[k, k] += shift
    for k in range(n - 1):
        top, below = H[k], H[k + 1]
        if abs(below[k]) > abs(top[k]):
            for j in range(k, n):
                top[j], below[j] = below[j], top[j]
            for j in range(Y.shape[1]):
                Y[k, j], Y[k + 1, j] = Y[k + 1, j], Y[k, j]
        if below[k] != 0.0:
            ratio = below[k] / top[k]
            for j in range(k + 1, n):
                below[j] -= ratio * top[j]
            for j in range(Y.shape[1]):
                Y[k + 1, j] -= ratio * Y[k, j]
