"""Orthogonal triangularisation with column pivoting, and the numerical rank it shows."""

import operator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmfit.linalg._check import as_matrix, as_right_hand_side, check_choice, lapack
from lmmfit.linalg._factor import Factored, from_rcond, frozen
from lmmfit.linalg._norms import check_norm

__all__ = ["QR", "check_rcond", "qr", "reflect", "triangularise"]


def qr(A, *, pivot=True, rcond=None):
    """Factor a matrix of any shape, ``A[:, permutation] = Q @ R``.

    Parameters
    ----------
    A : array_like of shape (m, n)
        float32 is kept, other numbers become float64.
    pivot : bool, default=True
        Choose in each step the column that is longest after the steps before, so that the
        diagonal of R decreases and shows the rank. Without it columns keep their order; that
        is faster, and the rank is taken from the singular values of R.
    rcond : float, optional
        A diagonal element of R below ``rcond`` times the largest counts as zero;
        ``max(m, n) * eps`` by default.

    Returns
    -------
    QR
        Frozen; `solve` gives least-squares solutions for any number of right-hand sides.

    Raises
    ------
    TypeError, ValueError
        If `A` is not an array of finite real numbers.

    References
    ----------
    Businger and Golub (1965), Linear least squares solutions by Householder transformations,
    Numerische Mathematik 7.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import qr
    >>> factor = qr([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    >>> factor.rank, factor.permutation
    (1, array([1, 0]))
    """
    pivot = check_choice("pivot", pivot, (True, False))
    a = as_matrix(A)
    rcond = check_rcond(rcond, a.shape, a.dtype)
    return QR(*frozen(*triangularise(a, pivot)), pivot, rcond)


def triangularise(a, pivot):
    """Factor a checked array; return R over the Householder vectors, their scales, the order."""
    work = np.array(a, order="F")
    if pivot:
        packed, order, tau, *_ = lapack(a.dtype, "geqp3")(work, overwrite_a=True)
        return packed, tau, order.astype(np.intp) - 1
    factor, work_size = lapack(a.dtype, "geqrf", "geqrf_lwork")
    size = int(work_size(*a.shape)[0])
    packed, tau, *_ = factor(work, lwork=size, overwrite_a=True)
    return packed, tau, np.arange(a.shape[1])


def reflect(packed, tau, b):
    """Apply the transpose of the whole orthogonal factor to b (m, k)."""
    if not b.size:
        return b
    apply, reflectors = lapack(packed.dtype, "ormqr"), packed[:, : len(tau)]
    b = np.array(b, order="F")
    size = int(apply("L", "T", reflectors, tau, b, -1)[1][0])
    return apply("L", "T", reflectors, tau, b, size, overwrite_c=True)[0]


def check_rcond(rcond, shape, dtype=np.float64):
    """Return the tolerance of the rank: the default, or the user's, between 0 and 1."""
    if rcond is None:
        return float(max(shape) * np.finfo(dtype).eps)
    try:
        value = float(operator.pos(rcond))
    except (TypeError, ValueError) as error:
        raise TypeError(f"rcond must be a number or None; got {rcond!r}.") from error
    if not 0.0 <= value < 1.0:
        raise ValueError(f"rcond must be at least 0 and below 1; got {rcond!r}.")
    return value


@dataclass(frozen=True, eq=False, repr=False)
class QR(Factored):
    """``A[:, permutation] = Q @ R``, from `qr`.

    Attributes
    ----------
    packed : ndarray of shape (m, n)
        R, and below its diagonal the Householder vectors.
    tau : ndarray of shape (min(m, n),)
    permutation : ndarray of shape (n,)
        Columns of A in the order of Q @ R.
    pivot : bool
    rcond : float
        The tolerance of the rank.
    shape : tuple
    rank : int
        Numerical rank.
    Q : ndarray of shape (m, min(m, n))
        Orthonormal columns; formed when asked for.
    R : ndarray of shape (min(m, n), n)
        Upper triangular.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import qr
    >>> factor = qr([[3.0, 1.0], [4.0, 2.0]])
    >>> np.round(np.abs(factor.R), 12)
    array([[5. , 2.2],
           [0. , 0.4]])
    >>> np.round(factor.solve([5.0, 8.0]), 12)
    array([1., 2.])
    """

    packed: np.ndarray
    tau: np.ndarray
    permutation: np.ndarray
    pivot: bool
    rcond: float

    def __repr__(self):
        return f"QR(shape={self.shape}, rank={self.rank})"

    @property
    def R(self):
        """Upper triangle."""
        return np.triu(self.packed[: len(self.tau)])

    @cached_property
    def Q(self):
        """Orthonormal columns."""
        k = len(self.tau)
        form = lapack(self._dtype, "orgqr")
        return frozen(form(np.array(self.packed[:, :k], order="F"), self.tau, overwrite_a=True)[0])

    @cached_property
    def rank(self):
        """Numerical rank."""
        if self.pivot:
            sizes = np.abs(self.packed.diagonal())
        else:
            sizes = np.linalg.svd(self.R, compute_uv=False)
        return int(np.count_nonzero(sizes > self.rcond * sizes[0]))

    def rotate(self, B):
        """Apply the orthogonal factor: the first rows of ``Q.T @ B``, without forming Q.

        Parameters
        ----------
        B : array_like of shape (m,) or (m, k)

        Returns
        -------
        ndarray of shape (min(m, n),) or (min(m, n), k)
        """
        b, vector = as_right_hand_side(B, self.shape[:1], self._dtype, "B")
        top = reflect(self.packed, self.tau, b)[: len(self.tau)]
        return top[:, 0] if vector else top

    def solve(self, b):
        """Least-squares solution, with zeros for the columns beyond the numerical rank.

        `least_squares` gives the solution of minimum norm instead, and what a statistician
        wants to know of it.

        Parameters
        ----------
        b : array_like of shape (m,) or (m, k)

        Returns
        -------
        ndarray of shape (n,) or (n, k)

        Raises
        ------
        numpy.linalg.LinAlgError
            If A is rank-deficient and was factored without pivoting.
        """
        b, vector = as_right_hand_side(b, self.shape[:1], self._dtype)
        r = self.rank
        if not self.pivot and r < self.shape[1]:
            raise np.linalg.LinAlgError(
                f"A has the rank {r} and {self.shape[1]} columns: use qr(A, pivot=True), or "
                "least_squares(A, b)."
            )
        x = np.zeros((self.shape[1], b.shape[1]), self._dtype)
        if r and b.size:
            rotated = reflect(self.packed, self.tau, b)
            x[self.permutation[:r]] = self._triangular(rotated[:r], r, 0)
        return x[:, 0] if vector else x

    def half_solve(self, c):
        """``z`` such that ``z.T @ z`` is ``c.T @ inv(A.T @ A) @ c``: of a variance, its root.

        Parameters
        ----------
        c : array_like of shape (n,) or (n, k)
            Combinations of the coefficients.

        Returns
        -------
        ndarray of the shape of `c`

        Raises
        ------
        numpy.linalg.LinAlgError
            If the columns of A are dependent.
        """
        c, vector = as_right_hand_side(c, self.shape[1:], self._dtype, "c")
        n = self.shape[1]
        if self.rank < n:
            raise np.linalg.LinAlgError(
                f"A has the rank {self.rank} and {n} columns: inv(A.T @ A) does not exist."
            )
        z = self._triangular(c[self.permutation], n, 1) if c.size else c
        return z[:, 0] if vector else z

    def _triangular(self, b, r, transposed):
        return lapack(self._dtype, "trtrs")(self.packed[:r, :r], b, trans=transposed)[0]

    def logdet(self):
        """Logarithm of the absolute value of the determinant of a square A.

        For a tall A it is that of ``A.T @ A``, halved: the logarithm of a volume.

        Returns
        -------
        float
            ``-inf`` if the columns are dependent.
        """
        if self.rank < self.shape[1]:
            return -np.inf
        return float(np.log(np.abs(self.packed.diagonal()), dtype=np.float64).sum())

    def condition(self, norm=2):
        """Condition number: for norm 2 that of A, otherwise an estimate for R (trcon).

        Parameters
        ----------
        norm : {1, 2, inf}, default=2

        Returns
        -------
        float
            ``inf`` if the columns are dependent, or there are more of them than rows.
        """
        norm = check_norm(norm)
        n = self.shape[1]
        if n > self.shape[0]:
            return np.inf
        if norm == 2:
            values = np.linalg.svd(self.R, compute_uv=False)
            return float(values[0] / values[-1]) if values[-1] else np.inf
        letter = "1" if norm == 1 else "I"
        rcond, _ = lapack(self._dtype, "trcon")(self.packed[:n], norm=letter)
        return from_rcond(rcond)

    def reconstruct(self):
        """Multiply the factors.

        Returns
        -------
        ndarray of shape (m, n)
        """
        a = np.empty(self.shape, self._dtype)
        a[:, self.permutation] = self.Q @ self.R
        return a
