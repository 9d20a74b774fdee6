"""The log-likelihood of one group at given parameters (seed interface of the package).

For a group ``y = X beta + Z gamma + e`` with ``gamma ~ N(0, Sigma)``, ``Sigma = L L'`` and
``e ~ N(0, sigma2 I)`` the density needs ``V = Z Sigma Z' + sigma2 I`` (n x n). Two identities,
``(I + A B)^-1 = I - A (I + B A)^-1 B`` and ``det(I + A B) = det(I + B A)``, reduce it to
q x q matrices, so that after one pass over the rows an evaluation costs the same for any n.

The pass makes orthogonal reductions rather than cross-products: with ``Z = Q R`` and
``delta = b - beta`` (``b`` the least-squares fit), the residual ``e = y - X beta`` splits into
``w = Q'e`` and a part orthogonal to Z whose length is ``|S (delta, 1)|`` for a triangular S.
Every term of the quadratic form is then a sum of squares, and nothing cancels.
"""

import numpy as np

from lmmfit._jit import njit

__all__ = ["LmmObservation", "log_likelihood", "log_likelihood_inverse"]


class LmmObservation:
    """One group of a linear mixed model, reduced for repeated evaluation.

    Parameters
    ----------
    y : array-like of shape (n,)
        Response.
    X : array-like of shape (n, p)
        Fixed-effects design.
    Z : array-like of shape (n, q)
        Random-effects design.

    Raises
    ------
    ValueError
        If shapes do not agree or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed import LmmObservation, log_likelihood
    >>> rng = np.random.default_rng(0)
    >>> X, Z = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    >>> observation = LmmObservation(rng.normal(size=50), X, Z)
    >>> round(log_likelihood(observation, np.zeros(3), 0.5 * np.eye(2), 1.0), 6)
    -71.910567
    """

    def __init__(self, y, X, Z):
        y, X, Z = (np.asarray(a, dtype=np.float64) for a in (y, X, Z))
        if y.ndim != 1 or X.ndim != 2 or Z.ndim != 2 or not len(y) == len(X) == len(Z):
            raise ValueError(
                "y must have shape (n,), X (n, p) and Z (n, q) with the same n; got "
                f"{y.shape}, {X.shape} and {Z.shape}."
            )
        for name, array in (("y", y), ("X", X), ("Z", Z)):
            if not np.isfinite(array).all():
                row = int(np.argwhere(~np.isfinite(array))[0][0])
                raise ValueError(f"{name} is not finite in row {row}.")
        self.n, self.p, self.q = len(y), X.shape[1], Z.shape[1]
        fit = np.linalg.lstsq(X, y, rcond=None)[0]
        both = np.column_stack([X, y - X @ fit])
        basis, triangle = _reduce(Z)
        within = basis.T @ both
        outside = np.zeros((self.p + 1, self.p + 1))
        rest = np.linalg.qr(both - basis @ within, mode="r")
        outside[: len(rest)] = rest
        work = np.empty(2 * self.q * self.q + 2 * self.q)
        head = [self.n, self.p, self.q]
        self._packed = np.concatenate(
            [head, fit, within.ravel(), outside.ravel(), triangle.ravel(), work]
        )
        _compile_once()

    def __repr__(self):
        return f"LmmObservation(n={self.n}, p={self.p}, q={self.q})"


def log_likelihood(obs, beta, L, sigma2):
    """Log-likelihood of one group, from the factor of the random effects' covariance.

    Uses ``log|V| = n log sigma2 + log|I + L'Z'Z L / sigma2|``. Nothing is allocated.

    Parameters
    ----------
    obs : LmmObservation
    beta : ndarray of shape (p,)
        Fixed effects.
    L : ndarray of shape (q, q)
        Lower-triangular factor, ``Sigma = L @ L.T``; may be singular.
    sigma2 : float
        Residual variance, positive.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a shape is wrong, sigma2 is not positive or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed import LmmObservation, log_likelihood
    >>> observation = LmmObservation([1.0, 2.0], [[1.0], [1.0]], [[1.0], [1.0]])
    >>> round(log_likelihood(observation, np.array([1.5]), np.zeros((1, 1)), 1.0), 9)
    -2.087877066
    """
    try:
        value = _with_factor(obs._packed, beta, L, sigma2)
    except TypeError:  # not contiguous float64 arrays
        value = np.nan
    if value - value == 0.0:  # finite
        return value
    return _checked(_with_factor, obs, beta, L, sigma2, "L")


def log_likelihood_inverse(obs, beta, L_inverse, sigma2):
    """Log-likelihood of one group, from the inverse of the covariance factor.

    Uses ``log|V| = n log sigma2 - 2 log|L^-1| + log|L^-T L^-1 + Z'Z / sigma2|``: one product
    less than :func:`log_likelihood` when the inverse is there.

    Parameters
    ----------
    obs : LmmObservation
    beta : ndarray of shape (p,)
    L_inverse : ndarray of shape (q, q)
        Inverse of the lower-triangular factor L.
    sigma2 : float

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a shape is wrong, sigma2 is not positive or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed import LmmObservation, log_likelihood, log_likelihood_inverse
    >>> observation = LmmObservation([1.0, 2.0, 4.0], np.ones((3, 1)), np.ones((3, 1)))
    >>> beta, factor = np.array([2.0]), np.array([[0.5]])
    >>> direct = log_likelihood(observation, beta, factor, 1.0)
    >>> bool(np.isclose(direct, log_likelihood_inverse(observation, beta, 1 / factor, 1.0)))
    True
    """
    try:
        value = _with_inverse(obs._packed, beta, L_inverse, sigma2)
    except TypeError:  # not contiguous float64 arrays
        value = np.nan
    if value - value == 0.0:  # finite
        return value
    return _checked(_with_inverse, obs, beta, L_inverse, sigma2, "L_inverse")


def _compile_once():
    """Compile the kernels for contiguous float64 arrays, and for nothing else after that.

    A call with other types then raises at once instead of compiling, which spares every
    call the checks that would prevent it.
    """
    for kernel in (_with_factor, _with_inverse):
        if hasattr(kernel, "signatures") and not kernel.signatures:
            kernel(np.zeros(4), np.empty(0), np.empty((0, 0)), 1.0)
            kernel.disable_compile()


def _checked(kernel, obs, beta, factor, sigma2, name):
    """Evaluate after conversion, with an error for what is wrong."""
    beta = np.ascontiguousarray(beta, dtype=np.float64)
    factor = np.ascontiguousarray(factor, dtype=np.float64)
    if beta.shape != (obs.p,):
        raise ValueError(f"beta must have shape ({obs.p},), got {beta.shape}.")
    if factor.shape != (obs.q, obs.q):
        raise ValueError(f"{name} must have shape ({obs.q}, {obs.q}), got {factor.shape}.")
    if not sigma2 > 0.0 or not np.isfinite(sigma2):
        raise ValueError(f"sigma2 must be positive and finite, got {sigma2}.")
    if not (np.isfinite(beta).all() and np.isfinite(factor).all()):
        raise ValueError(f"beta and {name} must be finite.")
    if name == "L_inverse" and not np.diag(factor).all():
        raise ValueError("L_inverse is singular: its diagonal has a zero.")
    return kernel(obs._packed, beta, np.tril(factor), float(sigma2))


def _reduce(Z):
    """Orthonormal basis of the columns of Z and the q x q triangle with Z = basis @ triangle."""
    q = Z.shape[1]
    basis, triangle = np.linalg.qr(Z)
    if len(triangle) < q:  # fewer rows than effects
        triangle = np.vstack([triangle, np.zeros((q - len(triangle), q))])
        basis = np.hstack([basis, np.zeros((len(Z), q - basis.shape[1]))])
    return basis, triangle


# The kernels read and write one flat array: sizes n, p, q; the fit b (p); Q'[X, y - X b]
# (q x (p + 1)); S ((p + 1) x (p + 1)); R (q x q); then room for two q x q matrices and two
# vectors. Slices of it would cost more than the arithmetic, so positions are spelled out.


@njit
def _residual(packed, beta, p, q, w):
    """Put Q'e at w and return the squared length of the rest of the residual e."""
    width = p + 1
    outside = 3 + p + q * width
    total = packed[outside + width * width - 1] ** 2
    for i in range(p):
        s = packed[outside + i * width + p]
        for j in range(i, p):
            s += packed[outside + i * width + j] * (packed[3 + j] - beta[j])
        total += s * s
    for a in range(q):
        at = 3 + p + a * width
        s = packed[at + p]
        for j in range(p):
            s += packed[at + j] * (packed[3 + j] - beta[j])
        packed[w + a] = s
    return total


@njit
def _factor_and_solve(packed, a, w, q):
    """Factor the q x q matrix at a by Cholesky; w := L^-1 w; return the log-determinant."""
    determinant, logdet = 1.0, 0.0
    for j in range(q):
        row = a + j * q
        s, t = packed[row + j], packed[w + j]
        for k in range(j):
            s -= packed[row + k] * packed[row + k]
            t -= packed[row + k] * packed[w + k]
        determinant *= s
        if not 1e-200 < determinant < 1e200:
            logdet += np.log(determinant)
            determinant = 1.0
        scale = 1.0 / np.sqrt(s)
        packed[w + j] = t * scale
        for i in range(j + 1, q):
            below = a + i * q
            s = packed[below + j]
            for k in range(j):
                s -= packed[below + k] * packed[row + k]
            packed[below + j] = s * scale
    return logdet + np.log(determinant)


@njit
def _with_factor(packed, beta, factor, sigma2):
    n, p, q = packed[0], int(packed[1]), int(packed[2])
    if beta.size != p or factor.shape[0] != q or factor.shape[1] != q or not sigma2 > 0.0:
        return np.nan
    triangle = 3 + p + q * (p + 1) + (p + 1) * (p + 1)
    product, a, w = triangle + q * q, triangle + 2 * q * q, triangle + 3 * q * q
    square = _residual(packed, beta, p, q, w)
    for i in range(q):  # M = R L
        for j in range(q):
            s = 0.0
            for k in range(max(i, j), q):
                s += packed[triangle + i * q + k] * factor[k, j]
            packed[product + i * q + j] = s
    weight = 1.0 / sigma2
    for i in range(q):  # I + M M' / sigma2, of the same determinant as I + M'M / sigma2
        for j in range(i + 1):
            s = 0.0
            for k in range(q):
                s += packed[product + i * q + k] * packed[product + j * q + k]
            packed[a + i * q + j] = s * weight
        packed[a + i * q + i] += 1.0
    logdet = _factor_and_solve(packed, a, w, q)
    for i in range(q):
        square += packed[w + i] * packed[w + i]
    return -0.5 * (n * np.log(2.0 * np.pi * sigma2) + logdet + square * weight)


@njit
def _with_inverse(packed, beta, inverse, sigma2):
    n, p, q = packed[0], int(packed[1]), int(packed[2])
    if beta.size != p or inverse.shape[0] != q or inverse.shape[1] != q or not sigma2 > 0.0:
        return np.nan
    triangle = 3 + p + q * (p + 1) + (p + 1) * (p + 1)
    a, w, v = triangle + 2 * q * q, triangle + 3 * q * q, triangle + 3 * q * q + q
    square = _residual(packed, beta, p, q, w)
    weight, determinant, logdet = 1.0 / sigma2, 1.0, 0.0
    for i in range(q):  # L^-T L^-1 + Z'Z / sigma2, and R'w
        s = 0.0
        for k in range(i + 1):
            s += packed[triangle + k * q + i] * packed[w + k]
        packed[v + i] = s
        for j in range(i + 1):
            s = 0.0
            for k in range(j + 1):
                s += packed[triangle + k * q + i] * packed[triangle + k * q + j]
            s *= weight
            for k in range(i, q):
                s += inverse[k, i] * inverse[k, j]
            packed[a + i * q + j] = s
        square += packed[w + i] * packed[w + i]
        determinant *= inverse[i, i]
        if not 1e-200 < abs(determinant) < 1e200:
            logdet -= 2.0 * np.log(abs(determinant))
            determinant = 1.0
    logdet += _factor_and_solve(packed, a, v, q) - 2.0 * np.log(abs(determinant))
    for i in range(q):
        square -= packed[v + i] * packed[v + i] * weight
    return -0.5 * (n * np.log(2.0 * np.pi * sigma2) + logdet + square * weight)
