"""Largest and smallest eigenvalues of a Hessian."""

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator, lobpcg

from lmmfit.curvature.estimates import check_probes, dense_matrix, is_stochastic

__all__ = ["EigenPairs", "eigenpairs"]

_DENSE = 300  # order up to which the whole decomposition is the fastest
_ROUNDING = 1e-12  # residual, relative to the largest eigenvalue met, that cannot be improved
_NARROW, _WIDE = 30, 150  # vectors kept: the low end of a Hessian is dense and asks for more


@dataclass(frozen=True, eq=False)
class EigenPairs:
    """Some eigenvalues of a symmetric matrix; ``values, vectors = pairs`` as from SciPy's eigsh.

    Attributes
    ----------
    values : ndarray of shape (k,)
        In ascending order.
    vectors : ndarray of shape (size, k)
        Orthonormal columns.
    residuals : ndarray of shape (k,)
        Lengths of ``H x - lambda x``: each value is at most that far from an eigenvalue.
    converged : ndarray of bool of shape (k,)
        Whether the residual is within ``tol`` times the largest value in size, or rounding.
    n_products : int
    method : str

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import eigenpairs
    >>> pairs = eigenpairs(aslinearoperator(np.diag([1.0, 2.0, 4.0])), 2)
    >>> values, vectors = pairs
    >>> values, pairs.converged
    (array([2., 4.]), array([ True,  True]))
    """

    values: np.ndarray
    vectors: np.ndarray = field(repr=False)
    residuals: np.ndarray
    converged: np.ndarray
    n_products: int
    method: str

    def __iter__(self):
        return iter((self.values, self.vectors))


def eigenpairs(operator, k=6, *, which="LA", method="auto", tol=1e-9, max_products=None, seed=0):
    """Largest or smallest eigenvalues of a symmetric operator, with vectors and residuals.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.
    k : int, default=6
        How many.
    which : {"LA", "SA", "LM", "BE"}, default="LA"
        The largest, the smallest (most negative), the largest in size, or half of them from
        each end.
    method : {"auto", "lanczos", "lobpcg", "power", "dense"}, default="auto"
        ``lanczos``: with thick restarts; ``lobpcg``: a block at a time, for one end; ``power``:
        the power method with deflation, slow where eigenvalues are close; ``dense``: the whole
        matrix.
        ``auto`` is dense up to order 300 or for a third of all pairs, Lanczos' method beyond.
    tol : float, default=1e-9
        Residual that counts as converged, relative to the largest in size of the eigenvalues
        wanted; for values near zero, rounding relative to all of them.
    max_products : int, optional
        Products at most; by default 1000 for each pair.
    seed : int or numpy.random.Generator, default=0
        Of the first vectors.

    Returns
    -------
    EigenPairs

    Warns
    -----
    RuntimeWarning
        If a pair did not converge; its residual says how good it is.

    Raises
    ------
    ValueError
        If there are not k pairs, or a name is unknown.

    References
    ----------
    Wu, K. and Simon, H. (2000). Thick-restart Lanczos method for large symmetric eigenvalue
    problems. SIAM Journal on Matrix Analysis and Applications 22(2).

    Knyazev, A. V. (2001). Toward the optimal preconditioned eigensolver. SIAM Journal on
    Scientific Computing 23(2).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import eigenpairs
    >>> pairs = eigenpairs(aslinearoperator(np.diag([1.0, -5.0, 3.0])), 1, which="LM")
    >>> pairs.values
    array([-5.])
    """
    size = operator.shape[0]
    check_probes("k", k, 1)
    if k > size:
        raise ValueError(f"k={k} eigenvalues of a matrix of order {size}.")
    if which not in ("LA", "SA", "LM", "BE"):
        raise ValueError(f"which={which!r} is none of LA, SA, LM, BE.")
    if is_stochastic(operator):
        raise ValueError(
            "each product of this operator comes from another batch, which has other eigenvalues: "
            "lmmfit.optimize.EigenvalueRate averages over batches."
        )
    if method == "auto":
        method = "dense" if size <= _DENSE or 3 * k > size else "lanczos"
    if method not in _METHODS:
        raise ValueError(f"method={method!r} is none of auto, {', '.join(_METHODS)}.")
    counted = _Counted(operator)
    most = 1000 * k if max_products is None else max_products
    vectors, scale = _METHODS[method](counted, k, which, tol, most, np.random.default_rng(seed))
    return _measure(counted, vectors, scale, tol, method)


class _Counted:
    """The operator, and how many products it has made."""

    def __init__(self, operator):
        self.operator, self.shape, self.n_products = operator, operator.shape, 0

    def matmat(self, V):
        self.n_products += V.shape[1]
        return np.asarray(self.operator.matmat(V), dtype=np.float64)

    def matvec(self, v):
        self.n_products += 1
        return np.asarray(self.operator.matvec(v), dtype=np.float64)

    def as_scipy(self):
        return LinearOperator(self.shape, matvec=self.matvec, matmat=self.matmat, dtype=float)


def _measure(counted, vectors, scale, tol, method):
    """Rayleigh's quotients in the space that was found, and what they miss."""
    Q = np.linalg.qr(vectors)[0]
    HQ = counted.matmat(Q)
    values, rotation = np.linalg.eigh(0.5 * (Q.T @ HQ + HQ.T @ Q))
    vectors = Q @ rotation
    residuals = np.linalg.norm(HQ @ rotation - vectors * values, axis=0)
    converged = residuals <= _goal(values, max(scale, np.abs(values).max()), tol)
    if not converged.all():
        worst = int(np.argmax(residuals))
        warnings.warn(
            f"{np.sum(~converged)} of {len(values)} eigenpairs did not converge after "
            f"{counted.n_products} products by method={method!r}; the largest residual is "
            f"{residuals[worst]:.2g}, at the eigenvalue {values[worst]:.6g}. Allow more "
            "max_products or a larger tol.",
            RuntimeWarning, stacklevel=4,
        )  # fmt: skip
    return EigenPairs(values, vectors, residuals, converged, counted.n_products, method)


def _chosen(values, k, which):
    """Places of the wanted ones among ascending values."""
    size = len(values)
    if which == "LM":
        return np.sort(np.argsort(np.abs(values), kind="stable")[size - k :])
    low = {"LA": 0, "SA": k, "BE": k // 2}[which]
    return np.r_[:low, size - (k - low) : size]


def _dense(counted, k, which, tol, most, rng):
    values, vectors = np.linalg.eigh(dense_matrix(counted))
    return vectors[:, _chosen(values, k, which)], np.abs(values).max()


def _lanczos(counted, k, which, tol, most, rng):
    """Lanczos' method; a full basis begins again with the best half of its own pairs."""
    size = counted.shape[0]
    room = min(size, max(2 * k + 1, _WIDE if which in ("SA", "BE") else _NARROW))
    basis, T, kept = np.empty((room + 1, size)), np.zeros((room, room)), 0
    basis[0] = _unit(rng.standard_normal(size))
    while True:
        for n in range(kept + 1, room + 1):
            beta = _extend(counted, basis, T, n, rng)
            if n == room or (n > k and n % max(1, n // 10) == 0):
                values, S = _ritz(T[:n, :n], kept)
                wanted, scale = _chosen(values, k, which), np.abs(values).max()
                missed = beta * np.abs(S[-1, wanted])
                if (missed <= 0.5 * _goal(values[wanted], scale, tol)).all():
                    return (S[:, wanted].T @ basis[:n]).T, scale
        if counted.n_products + room > most or room == size:
            return (S[:, wanted].T @ basis[:room]).T, scale
        kept = k + (room - k) // 2
        best = _chosen(values, kept, which)
        basis[:kept] = S[:, best].T @ basis[:room]
        basis[kept] = basis[room]
        T[:] = 0.0
        T[np.arange(kept), np.arange(kept)] = values[best]


def _ritz(T, kept):
    """Eigenvalues and vectors of T, which is tridiagonal before the first restart."""
    if kept:
        return np.linalg.eigh(T, UPLO="U")
    return eigh_tridiagonal(np.diag(T), np.diag(T, 1))


def _goal(values, scale, tol):
    """Residual that counts as converged: that of the values wanted, but for rounding."""
    return max(tol * np.abs(values).max(), _ROUNDING * scale)


def _extend(counted, basis, T, n, rng):
    """The n-th column of T and the vector after it; returns the length of what was new."""
    known = basis[:n]
    w = counted.matvec(basis[n - 1])
    T[:n, n - 1] = known @ w
    w = w - T[:n, n - 1] @ known
    w -= (known @ w) @ known  # once is not enough
    beta = np.linalg.norm(w)
    if beta <= 1e-14 * np.abs(T[:n, :n]).max():  # an invariant space: begin elsewhere
        beta, w = 0.0, rng.standard_normal(len(w))
        for _ in range(2):
            w -= (known @ w) @ known
    basis[n] = _unit(w)
    return beta


def _unit(w):
    length = np.linalg.norm(w)
    return w / length if length > 0 else w


def _lobpcg(counted, k, which, tol, most, rng):
    if which not in ("LA", "SA"):
        raise ValueError(f"method='lobpcg' finds one end, which='LA' or 'SA', not {which!r}.")
    size = counted.shape[0]
    if 5 * k >= size:  # too few for its blocks
        return _dense(counted, k, which, tol, most, rng)
    guard = min(k + 2, size // 5)  # one or two more, which converge more slowly
    start = rng.standard_normal((size, 1))
    scale = np.linalg.norm(counted.matmat(start)) / np.linalg.norm(start)
    vectors, goal = rng.standard_normal((size, guard)), tol * scale
    for _ in range(3):  # the values that the residual is to be small beside are known later
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the residuals are measured and told
            values, vectors = lobpcg(
                counted.as_scipy(), vectors, largest=which == "LA", tol=0.1 * goal,
                maxiter=max(1, (most - counted.n_products) // guard),
            )  # fmt: skip
        order = np.argsort(values)
        wanted = order[-k:] if which == "LA" else order[:k]
        before, goal = goal, _goal(values[wanted], scale, tol)
        if goal >= 0.5 * before or counted.n_products >= most:
            break
    return vectors[:, wanted], scale


def _power(counted, k, which, tol, most, rng):
    """Power method for one pair after another, each kept orthogonal to those found before.

    The largest in size comes by itself. For one end, the matrix is shifted by the other: all
    eigenvalues then have one sign.
    """
    if which == "BE":
        raise ValueError("method='power' finds one end, which='LA', 'SA' or 'LM', not 'BE'.")
    found, shift, scale = np.empty((counted.shape[0], 0)), 0.0, 0.0
    if which != "LM":
        value = _dominant(counted, found, 0.0, tol=1e-2, most=100, rng=rng)[0]
        other = _dominant(counted, found, 1.1 * value, tol=1e-2, most=100, rng=rng)[0]
        low, high = min(value, other), max(value, other)
        margin = 0.05 * (high - low)
        shift = low - margin if which == "LA" else high + margin
        scale = max(abs(low), abs(high))
    for _ in range(k):
        x = _dominant(counted, found, shift, tol=0.1 * tol, most=most // k, rng=rng)[1]
        found = np.column_stack([found, x])
    return found, scale


def _dominant(counted, found, shift, *, tol, most, rng):
    """Eigenvalue farthest from the shift, with its vector, orthogonal to those found."""
    x = rng.standard_normal(counted.shape[0])
    value = 0.0
    for _ in range(max(1, most)):
        x -= found @ (found.T @ x)
        x /= np.linalg.norm(x)
        Hx = counted.matvec(x)
        value = x @ Hx
        missed = np.linalg.norm(Hx - value * x)
        if missed <= max(tol * abs(value), 1e-13 * abs(shift)):
            break
        if not np.any(Hx - shift * x):
            break
        x = Hx - shift * x
    x = x / np.linalg.norm(x)
    return value, x


_METHODS = {"lanczos": _lanczos, "lobpcg": _lobpcg, "power": _power, "dense": _dense}
