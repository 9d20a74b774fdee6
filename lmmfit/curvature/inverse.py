"""Multiplication by the inverse of a Hessian."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from lmmfit.curvature.estimates import is_stochastic

__all__ = ["HessianSolution", "solve_hessian"]

_CURVED = 1e-12  # curvature, relative to a product's length, that rounding may turn negative


@dataclass(frozen=True, eq=False)
class HessianSolution:
    """Solution of ``(H + damping I) x = b``; ``numpy.asarray(solution)`` is x.

    Attributes
    ----------
    x : ndarray of the shape of b
    converged : bool
        Whether every residual is within ``tol`` times the length of its right-hand side.
    residual_norm : float or ndarray of shape (m,)
        Length of ``b - (H + damping I) x``, computed anew.
    n_products : int
    negative_curvature : ndarray of shape (size,) or None
        Direction d of length 1 with ``d'(H + damping I)d <= 0``, if one was met.
    curvature : float
        The smallest ``d'(H + damping I)d / d'd`` that was met, an upper bound of the smallest
        eigenvalue; NaN where none was computed.
    rank : int or None
        Eigenvalues that are not zero to rounding; for ``dense``. The part of b along the others
        is left out.
    reason : str
    method : str

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import solve_hessian
    >>> saddle = aslinearoperator(np.diag([2.0, -1.0]))
    >>> solution = solve_hessian(saddle, [2.0, 3.0], method="dense")
    >>> solution.x, solution.curvature, solution.negative_curvature
    (array([ 1., -3.]), -1.0, array([0., 1.]))
    """

    x: np.ndarray = field(repr=False)
    converged: bool
    residual_norm: float | np.ndarray
    n_products: int
    negative_curvature: np.ndarray | None = field(repr=False)
    curvature: float
    rank: int | None
    reason: str
    method: str

    def __array__(self, dtype=None, copy=None):
        return np.array(self.x, dtype=dtype)


def solve_hessian(operator, b, *, method="cg", damping=0.0, tol=1e-8, max_products=None):
    """Solve ``(H + damping I) x = b`` from products (Pearlmutter 1994, section 5.2).

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.
    b : array-like of shape (size,) or (size, m)
        Several right-hand sides share their products.
    method : {"cg", "minres", "squared", "dense"}, default="cg"
        ``cg`` minimises ``x'Hx / 2 - x'b`` by conjugate gradients, for positive definite matrices;
        where it meets negative curvature it stops, and says so. ``minres`` minimises
        the residual, also of indefinite matrices. ``squared`` minimises ``|Hx - b|^2`` by
        conjugate gradients: any matrix, two products an iteration, and the condition number
        squared. ``dense`` takes the eigenvalues of the whole matrix, leaves out the
        directions where they are zero, and reports the rank.
    damping : float, default=0.0
    tol : float, default=1e-8
        Residual relative to the length of b.
    max_products : int, optional
        For each right-hand side; by default ten times the order of the matrix, 200 at least.

    Returns
    -------
    HessianSolution

    Warns
    -----
    RuntimeWarning
        If a residual is above ``tol``, or negative curvature ended ``cg``.

    Raises
    ------
    ValueError
        If a shape or a name does not fit, or b is not finite.

    Notes
    -----
    The paper prints the quadratic form of ``cg`` with ``+ x'b``, whose minimum is
    ``-H^{-1} b``.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1).

    Paige, C. C. and Saunders, M. A. (1975). Solution of sparse indefinite systems of linear
    equations. SIAM Journal on Numerical Analysis 12(4).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import solve_hessian
    >>> H = aslinearoperator(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> solution = solve_hessian(H, [3.0, 3.0])
    >>> solution.x, solution.converged
    (array([1., 1.]), True)
    """
    size = operator.shape[0]
    b = np.asarray(b, dtype=np.float64)
    if b.ndim not in (1, 2) or len(b) != size:
        raise ValueError(f"b must have shape ({size},) or ({size}, m), got {b.shape}.")
    if not np.isfinite(b).all():
        at = tuple(map(int, np.argwhere(~np.isfinite(b))[0]))
        raise ValueError(f"b is {b[at]} at {at[0] if b.ndim == 1 else at}.")
    if method not in _METHODS:
        raise ValueError(f"method={method!r} is none of {', '.join(_METHODS)}.")
    if is_stochastic(operator):
        raise ValueError(
            "each product of this operator comes from another batch: solve with the operator of "
            "all rows."
        )
    most = max(10 * size, 200) if max_products is None else max_products
    damped = _Damped(operator, damping)
    B = b.reshape(size, -1)
    x, rank = _METHODS[method](damped, B, tol, most)
    return _report(damped, b, x, rank, tol, method)


class _Damped:
    """Products with H + damping I, and the least curvature that they met."""

    def __init__(self, operator, damping):
        self.operator, self.damping, self.n_products = operator, damping, 0
        self.curvature, self.direction = np.inf, None

    def __call__(self, V):
        self.n_products += V.shape[1]
        return np.asarray(self.operator.matmat(V), dtype=np.float64) + self.damping * V

    def note(self, V, HV):
        """Curvatures v'Hv; the least, relative to the length, is kept with its direction."""
        curvatures, lengths = np.sum(V * HV, axis=0), np.sum(V * V, axis=0)
        ratios = np.divide(
            curvatures, lengths, out=np.full_like(lengths, np.inf), where=lengths > 0
        )
        i = int(np.argmin(ratios))
        if ratios[i] < self.curvature:
            self.curvature, self.direction = float(ratios[i]), V[:, i] / np.sqrt(lengths[i])
        return curvatures


def _report(damped, b, x, rank, tol, method):
    B = b.reshape(len(b), -1)
    norms = np.linalg.norm(B - damped(x), axis=0)
    good = norms <= tol * np.linalg.norm(B, axis=0)
    met = np.isfinite(damped.curvature)
    negative = met and damped.curvature <= 0.0
    reason = f"residual within tol={tol:g}"
    if not good.all():
        reason = f"residual above tol={tol:g} after {damped.n_products} products"
        if rank is not None:
            reason = f"b is not in the range of the matrix, whose rank is {rank} of {len(b)}"
        elif negative and method == "cg":
            reason = (
                f"negative curvature {damped.curvature:.3g}: the matrix is not positive definite. "
                f"Take method='minres', or a damping above {damped.damping - damped.curvature:.3g}"
            )
        warnings.warn(f"{reason}.", RuntimeWarning, stacklevel=4)
    return HessianSolution(
        x.reshape(b.shape), bool(good.all()), float(norms[0]) if b.ndim == 1 else norms,
        damped.n_products, damped.direction if negative else None,
        damped.curvature if met else np.nan, rank, reason, method,
    )  # fmt: skip


def _cg(multiply, B, tol, most):
    """Conjugate gradients, one for each column, whose products are made together."""
    X, R = np.zeros_like(B), B.copy()
    goal = tol * np.linalg.norm(B, axis=0)
    D, rr = R.copy(), np.sum(R * R, axis=0)
    going = np.flatnonzero(np.sqrt(rr) > goal)
    for _ in range(most):
        if not going.size:
            break
        d = np.ascontiguousarray(D[:, going])
        Hd = multiply(d)
        curvature = multiply.note(d, Hd)
        least = _CURVED * np.linalg.norm(d, axis=0) * np.linalg.norm(Hd, axis=0)
        fine = curvature > least
        going, d, Hd = going[fine], d[:, fine], Hd[:, fine]
        alpha = rr[going] / curvature[fine]
        X[:, going] += alpha * d
        R[:, going] -= alpha * Hd
        new = np.sum(R[:, going] ** 2, axis=0)
        D[:, going] = R[:, going] + new / rr[going] * d
        rr[going] = new
        going = going[np.sqrt(new) > 0.5 * goal[going]]
    return X, None


def _squared(multiply, B, tol, most):
    """Conjugate gradients on the squared matrix, by residuals of the matrix itself (CGLS)."""
    X, R = np.zeros_like(B), B.copy()
    goal = tol * np.linalg.norm(B, axis=0)
    S = multiply(R)
    D, ss = S.copy(), np.sum(S * S, axis=0)
    going = np.flatnonzero((np.linalg.norm(R, axis=0) > goal) & (ss > 0))
    for _ in range(max(1, most // 2)):
        if not going.size:
            break
        d = np.ascontiguousarray(D[:, going])
        Hd = multiply(d)
        multiply.note(d, Hd)
        alpha = ss[going] / np.sum(Hd * Hd, axis=0)
        X[:, going] += alpha * d
        R[:, going] -= alpha * Hd
        s = multiply(np.ascontiguousarray(R[:, going]))
        new = np.sum(s * s, axis=0)
        D[:, going] = s + new / ss[going] * d
        ss[going] = new
        going = going[(np.linalg.norm(R[:, going], axis=0) > 0.5 * goal[going]) & (new > 0)]
    return X, None


def _minres(multiply, B, tol, most):
    """MINRES, begun again from the true residual while that still gains."""
    X, R = np.zeros_like(B), B.copy()
    goal, made = tol * np.linalg.norm(B, axis=0), multiply.n_products
    lengths = np.linalg.norm(R, axis=0)
    going = np.flatnonzero(lengths > goal)
    while going.size and multiply.n_products - made < most * B.shape[1]:
        step = _lanczos_residuals(multiply, R[:, going], 0.5 * goal[going], most)
        rest = R[:, going] - multiply(step)
        new = np.linalg.norm(rest, axis=0)
        better = new < lengths[going]
        X[:, going[better]] += step[:, better]
        R[:, going[better]] = rest[:, better]
        halved = new < 0.5 * lengths[going]
        lengths[going] = np.minimum(new, lengths[going])
        going = going[halved & (new > goal[going])]
    return X, None


def _lanczos_residuals(multiply, B, goal, most):
    """Least residuals in the Krylov spaces of the columns (Paige and Saunders 1975)."""
    X, beta = np.zeros_like(B), np.linalg.norm(B, axis=0)
    V, V_old = B / beta, np.zeros_like(B)
    W, W_old = np.zeros_like(B), np.zeros_like(B)
    c, c_old, s, s_old = (np.full(B.shape[1], value) for value in (1.0, 1.0, 0.0, 0.0))
    eta, going = beta.copy(), np.arange(B.shape[1])
    for _ in range(most):
        HV = multiply(V)
        alpha = multiply.note(V, HV)
        V_new = HV - alpha * V - beta * V_old
        beta_new = np.linalg.norm(V_new, axis=0)
        delta = c * alpha - c_old * s * beta  # the new column of T, rotated twice
        above, top = s * alpha + c_old * c * beta, s_old * beta
        rho = np.hypot(delta, beta_new)
        fine = rho > 0.0
        rho = np.where(fine, rho, 1.0)
        c_old, s_old, c, s = c, s, delta / rho, beta_new / rho
        W_old, W = W, (V - top * W_old - above * W) / rho
        X[:, going] += np.where(fine, c * eta, 0.0) * W
        eta = -s * eta
        on = fine & (np.abs(eta) > goal) & (beta_new > 0.0)
        if not on.any():
            break
        V_old, V = V[:, on], V_new[:, on] / beta_new[on]
        W, W_old, beta, goal, eta = W[:, on], W_old[:, on], beta_new[on], goal[on], eta[on]
        c, c_old, s, s_old, going = c[on], c_old[on], s[on], s_old[on], going[on]
    return X


def _dense(multiply, B, tol, most):
    """From the eigenvalues; those that are zero to rounding are left out."""
    size = len(B)
    H = multiply(np.eye(size))
    values, vectors = np.linalg.eigh(0.5 * (H + H.T))
    kept = np.abs(values) > 10.0 * size * np.finfo(float).eps * np.abs(values).max(initial=0.0)
    multiply.curvature, multiply.direction = float(values[0]), vectors[:, 0]
    V = vectors[:, kept]
    return V @ ((V.T @ B) / values[kept, None]), int(kept.sum())


_METHODS = {"cg": _cg, "minres": _minres, "squared": _squared, "dense": _dense}
