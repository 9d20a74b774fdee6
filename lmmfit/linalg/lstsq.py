"""Least squares: many right-hand sides at once, and what a statistician asks of the solution."""

import warnings
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgWarning
from scipy.sparse import issparse

from lmmfit.linalg._check import as_matrix, as_right_hand_side, check_choice
from lmmfit.linalg._least_squares import METHODS, cholesky_root, eigen_root, kappa
from lmmfit.linalg._scaling import power_of_two
from lmmfit.linalg.orthogonal import check_rcond
from lmmfit.linalg.sparse import as_sparse

__all__ = ["LeastSquares", "least_squares"]

_WARN = 1e4  # kappa(A) from which the normal equations lose half of all digits
_SAFE = 1e3  # norm of inv(R), columns of unit length, up to which one correction suffices
_MOST_COLUMNS = 1000  # of a sparse matrix whose A.T @ A is written out


def least_squares(A, B, *, method="auto", rcond=None):
    """Minimise ``norm(A @ X - B)`` for any number of right-hand sides at once.

    Columns are scaled by powers of two first, so that neither the rank nor the digits depend
    on their units. Where the columns are dependent the solution of minimum norm is returned (of
    a sparse matrix with more than 1000 columns, of minimum norm in the scaled columns).

    Parameters
    ----------
    A : array_like of shape (m, n), or sparse array
    B : array_like of shape (m,) or (m, k)
    method : {"auto", "qr", "normal", "svd", "lsmr"}, default="auto"
        - "qr": Householder transformations with column pivoting;
        - "normal": the normal equations ``A.T @ A @ X = A.T @ B``, half the work for tall
          matrices and half the digits for ill-conditioned ones;
        - "svd": singular values, the most careful choice of the rank;
        - "lsmr": an iteration for sparse matrices (Fong and Saunders 2011);
        - "auto": "lsmr" for a sparse matrix; for a dense one the normal equations corrected
          by a step of refinement where the condition number is below 1000, and "qr" otherwise.
    rcond : float, optional
        What counts as zero, relative to the largest: diagonal elements of R, or singular
        values, of A with its columns scaled. ``max(m, n) * eps`` by default.

    Returns
    -------
    LeastSquares

    Warns
    -----
    scipy.linalg.LinAlgWarning
        If "normal" loses half of the digits or more, with ``kappa(A)^2``; if "lsmr" does not
        converge.

    Raises
    ------
    TypeError, ValueError
        If the arguments are not finite, do not fit, or the method does not take them.

    References
    ----------
    Bjorck (1996), Numerical Methods for Least Squares Problems, sections 2.2, 2.4 and 6.6.5.

    Examples
    --------
    Length of a spring under five weights (Eldén 2007, examples 3.9 and 3.11):

    >>> import numpy as np
    >>> from lmmfit.linalg import least_squares
    >>> A = np.column_stack([np.ones(5), [1, 2, 3, 4, 5]])
    >>> fit = least_squares(A, [7.97, 10.2, 14.2, 16.0, 21.2])
    >>> np.round(fit.x, 4), round(fit.residual_norm, 4), fit.rank
    (array([4.236, 3.226]), 1.6041, 2)
    >>> np.round(fit.standard_errors, 4)
    array([0.9713, 0.2929])
    """
    check_choice("method", method, ("auto", *METHODS, "lsmr"))
    if issparse(A):
        if method not in ("auto", "lsmr"):
            raise ValueError(
                f'method={method!r} needs a dense matrix: use method="auto", or A.toarray().'
            )
        return _sparse(as_sparse(A), B)
    if method == "lsmr":
        raise ValueError('method="lsmr" is for sparse matrices: use method="auto".')
    a = as_matrix(A, double=True)
    b, vector = as_right_hand_side(B, a.shape[:1], name="B")
    if method == "normal" and a.shape[0] < a.shape[1]:
        raise ValueError(
            f"A has fewer rows than columns, {a.shape}: A.T @ A is singular. Use "
            'method="qr" or "svd".'
        )
    rcond = check_rcond(rcond, a.shape)
    if method == "auto":
        x, root = _corrected_normal_equations(a, b, min(_SAFE, 0.1 / rcond if rcond else _SAFE))
        if root is not None:
            return _publish(a, b, x, root, "normal, refined", vector)
        method = "qr"
    scale = power_of_two(a, axis=0)
    scaled = a * scale
    x, root = METHODS[method](scaled, b, rcond)
    if method == "normal" and (size := kappa(scaled, root)) > _WARN:
        lost = min(16, round(2.0 * np.log10(size)))
        warnings.warn(
            f"the normal equations lose about {lost} of 16 digits: kappa(A)^2 = {size**2:.2g} "
            'for columns of equal length. Use method="qr".', LinAlgWarning, stacklevel=2,
        )  # fmt: skip
    x, root = _shortest(a, b, x, root, scale)
    return _publish(a, b, x, root, method, vector)


def _corrected_normal_equations(a, b, limit):
    """Solve the normal equations and refine once; the root is None where they are not safe."""
    if a.shape[0] < a.shape[1]:
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):
        gram = a.T @ a
    if not np.isfinite(gram).all() or gram.diagonal().min() < 1e-200:
        return None, None
    root = cholesky_root(gram)
    if root is None or np.linalg.norm(root * np.sqrt(gram.diagonal())[:, None]) > limit:
        return None, None
    x = root @ (root.T @ (a.T @ b))
    return x + root @ (root.T @ (a.T @ (b - a @ x))), root


def _shortest(a, b, x, root, scale):
    """Undo the scaling; where columns depend, take off what lies in the null space of A."""
    n, rank = root.shape
    if rank < n:
        # an orthonormal basis of what the root does not span is the null space of scaled A
        null = np.linalg.qr(root, mode="complete")[0][:, rank:] * scale[:, None]
        null = np.linalg.qr(null * power_of_two(null, axis=0))[0]
    x, root = x * scale[:, None], root * scale[:, None]
    if rank < n:
        x, root = x - null @ (null.T @ x), root - null @ (null.T @ root)
        # what was taken off may have been large: correct once
        x += root @ (root.T @ (a.T @ (b - a @ x)))
    return x, root


def _publish(a, b, x, root, method, vector):
    residuals = b - a @ x
    size = power_of_two(residuals, axis=0)
    norms = np.linalg.norm(residuals * size, axis=0) / size
    if vector:
        x, norms = x[:, 0], float(norms[0])
    return LeastSquares(x, norms, method, a.shape, root)


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Solution of a least-squares problem, from `least_squares`.

    Numbers for each right-hand side are arrays of shape (k,) where B had k columns.

    Attributes
    ----------
    x : ndarray of shape (n,) or (n, k)
    residual_norm : float
        ``norm(A @ x - b)``.
    method : str
        The one that was used.
    shape : tuple
        ``(m, n)`` of A.
    root : ndarray of shape (n, rank), or None
        ``root @ root.T`` is `unscaled_covariance`. None for a sparse matrix with more than
        1000 columns, of which what follows is not computed.
    rank : int
        Numerical rank of A.
    residual_variance : float
        ``residual_norm**2 / (m - rank)``; NaN if no degrees of freedom are left.
    unscaled_covariance : ndarray of shape (n, n)
        ``pinv(A.T @ A)``, never computed as such.
    covariance : ndarray of shape (n, n) or (k, n, n)
        Of the coefficients, for errors that are independent and of one variance.
    standard_errors : ndarray of shape (n,) or (n, k)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import least_squares
    >>> least_squares([[1.0, 1.0], [1.0, 1.0]], [2.0, 4.0]).x
    array([1.5, 1.5])
    """

    x: np.ndarray
    residual_norm: float | np.ndarray
    method: str
    shape: tuple
    root: np.ndarray | None = field(repr=False)

    @property
    def rank(self):
        """Numerical rank."""
        return self._known_root.shape[1]

    @property
    def residual_variance(self):
        """Sum of squares over degrees of freedom."""
        with np.errstate(over="ignore", under="ignore"):
            variance = np.square(self._residual_deviation)
        return variance if np.ndim(variance) else float(variance)

    @cached_property
    def unscaled_covariance(self):
        """Pseudo-inverse of ``A.T @ A``."""
        with np.errstate(over="ignore"):
            return self._known_root @ self._known_root.T

    @property
    def covariance(self):
        """Covariance of the coefficients."""
        root = np.multiply.outer(self._residual_deviation, self._known_root)
        with np.errstate(over="ignore"):
            return root @ np.swapaxes(root, -1, -2)

    @property
    def standard_errors(self):
        """Standard errors of the coefficients."""
        unit = power_of_two(self._known_root, axis=1)
        errors = np.linalg.norm(self._known_root * unit[:, None], axis=1) / unit
        return np.multiply.outer(errors, self._residual_deviation)

    @property
    def _residual_deviation(self):
        freedom = self.shape[0] - self.rank
        return self.residual_norm / np.sqrt(freedom) if freedom else self.residual_norm * np.nan

    @property
    def _known_root(self):
        if self.root is None:
            raise ValueError(
                f"A is sparse and has {self.shape[1]} columns: rank and covariances are computed "
                f"for up to {_MOST_COLUMNS}."
            )
        return self.root


def _sparse(a, B):
    from scipy.sparse.linalg import LinearOperator, lsmr

    m, n = a.shape
    b, vector = as_right_hand_side(B, (m,), name="B")
    largest = abs(a).max(axis=0).toarray().ravel()
    scale = np.ldexp(1.0, -np.clip(np.frexp(largest)[1], -1000, 1000))

    scaled = LinearOperator(
        (m, n), dtype=np.float64,
        matvec=lambda v: a @ (scale * v.ravel()), rmatvec=lambda u: scale * (a.T @ u.ravel()),
    )  # fmt: skip
    x, most = np.empty((n, b.shape[1])), 10 * max(min(m, n), 100)
    for column in range(b.shape[1]):
        found = lsmr(scaled, b[:, column], atol=1e-15, btol=1e-15, conlim=0.0, maxiter=most)
        solution, reason, n_iter, _, gradient, norm_a, *_ = found
        size = norm_a * np.linalg.norm(b[:, column] - a @ (scale * solution))
        if reason == 7 and gradient > 1e-9 * size:
            warnings.warn(
                f"LSMR did not converge in {n_iter} iterations: the gradient A.T @ r is "
                f"{gradient / size:.1e} of norm(A) norm(r). Scale or drop columns that nearly "
                "depend on others.", LinAlgWarning, stacklevel=3,
            )  # fmt: skip
        x[:, column] = solution

    root = _sparse_root(a, scale)
    if root is None:
        x *= scale[:, None]
    else:
        x, root = _shortest(a, b, x, root, scale)
    return _publish(a, b, x, root, "lsmr", vector)


def _sparse_root(a, scale):
    """Root of the pseudo-inverse of the scaled A.T @ A, if that is small enough to write out."""
    if a.shape[1] > _MOST_COLUMNS:
        return None
    gram = (a.T @ a).toarray() * scale * scale[:, None]
    root = cholesky_root(gram)
    return eigen_root(gram) if root is None else root
