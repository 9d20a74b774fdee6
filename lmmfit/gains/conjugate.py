"""Conjugate gradients for the equation with positive definite A and B, without S."""

import numpy as np

from lmmfit.gains.gathered import product_entries, uses_full_products

__all__ = ["LARGEST", "ConjugateGradients", "step_budget"]

LARGEST = 20_000  # entries beyond which S does not fit

_SMALL = 500  # entries below which S is factorised at once
_WORTH = 25  # steps that must cost less than a factorisation
_STORED = 5e7  # numbers in the factors of a preconditioner


def step_budget(pattern):
    """Steps of conjugate gradients that take as long as a Cholesky factorisation of S, roughly.

    Parameters
    ----------
    pattern : Pattern

    Returns
    -------
    int
        0 where a factorisation is likely to be faster than so few steps.
    """
    n, o = pattern.shape
    if pattern.size < _SMALL:
        return 0
    if uses_full_products(pattern):
        steps = pattern.size**3 / (6.0 * n * o * (n + o))
    else:
        steps = pattern.size**2 / (50.0 * (n + o))
    # Of scattered entries the preconditioner is the diagonal: more steps are needed.
    return int(steps) if steps > (4 * _WORTH if pattern.is_scattered else _WORTH) else 0


class ConjugateGradients:
    """Preconditioned conjugate gradients on the entries of a pattern.

    The blocks of S that belong to one column of X, b_jj A[I_j, I_j], or to one row,
    a_ii B[J_i, J_i], are the preconditioner: those that hold more of S.

    Parameters
    ----------
    pattern : Pattern
    """

    def __init__(self, pattern):
        self.pattern = pattern
        self._columns, self._rows = pattern.lines, pattern.T.lines

    def solve(self, A, B, r, x0=None, *, tol=1e-13, max_iter=1000):
        """Solve S x = r.

        Parameters
        ----------
        A : ndarray of shape (n, n)
        B : ndarray of shape (o, o)
            Symmetric, positive definite, C-contiguous.
        r : ndarray of shape (size,)
        x0 : ndarray of shape (size,), optional
            Where to start.
        tol : float, default=1e-13
            Residual relative to that of zero.
        max_iter : int, default=1000

        Returns
        -------
        x : ndarray of shape (size,)
        n_iter : int
        converged : bool

        Raises
        ------
        LinAlgError
            If A or B is found not to be positive definite.

        References
        ----------
        Hestenes, M. R. and Stiefel, E. (1952). Methods of conjugate gradients for solving linear
        systems. Journal of Research of the National Bureau of Standards 49(6).
        """
        precondition = self._preconditioner(A, B)
        x = np.zeros_like(r) if x0 is None else np.array(x0, np.float64)
        e = r.copy() if x0 is None else r - product_entries(self.pattern, A, B, x, A)
        goal = tol * np.linalg.norm(r)
        z = precondition(e)
        p, rho = z, e @ z
        for k in range(max_iter + 1):
            if np.linalg.norm(e) <= goal:
                return x, k, True
            if k == max_iter:
                break
            q = product_entries(self.pattern, A, B, p, A)
            curvature = p @ q
            if not curvature > 0.0:
                raise np.linalg.LinAlgError("A or B is not positive definite.")
            alpha = rho / curvature
            x += alpha * p
            e -= alpha * q
            z = precondition(e)
            before, rho = rho, e @ z
            p = z + (rho / before) * p
        return x, max_iter, False

    def _preconditioner(self, A, B):
        pattern, a, b = self.pattern, A.diagonal(), B.diagonal()
        if not (a > 0.0).all() or not (b > 0.0).all():
            raise np.linalg.LinAlgError("A or B has a diagonal element that is not positive.")
        weights = a[pattern.rows] * b[pattern.columns]
        held = [_held(lines, M) for lines, M in ((self._columns, A), (self._rows, B))]
        if max(held) == 0.0:
            return lambda e: e / weights
        if held[0] >= held[1]:
            by_columns, b = self._columns.factor(A), b[pattern.columns]
            return lambda e: by_columns.solve(e / b)
        by_rows, order, a = self._rows.factor(B), pattern.row_order, a[pattern.rows]

        def precondition(e):
            z = np.empty_like(e)
            z[order] = by_rows.solve((e / a)[order])
            return z

        return precondition


def _held(lines, M):
    """How much of S beside the diagonal the blocks of lines hold, estimated; 0 if too large."""
    stored = sum(len(J) ** 2 for J, _ in lines.groups)
    pairs = sum(len(J) * (len(J) - 1) * len(firsts) for J, firsts in lines.groups)
    if not pairs or stored > _STORED:
        return 0.0
    d = M.diagonal()
    correlation = float(((M * M) / (d[:, None] * d)).sum()) - len(d)
    return pairs * correlation / (len(d) * (len(d) - 1))
