"""Trace, diagonal and log-determinant from products with random vectors."""

import numpy as np

from lmmfit.curvature.estimates import (
    Estimate,
    average,
    check_probes,
    dense_matrix,
    is_stochastic,
    random_signs,
    rough_products,
)
from lmmfit.curvature.lanczos import lanczos_rules

__all__ = ["estimate_diagonal", "estimate_logdet", "estimate_trace"]

_DENSE = 2000  # order up to which a log-determinant comes from the matrix itself


def estimate_trace(operator, *, method="xtrace", n_products=100, seed=0):
    """Trace of a symmetric operator from its products with random vectors.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.
    method : {"xtrace", "hutch++", "hutchinson"}, default="xtrace"
        ``hutchinson`` averages z'Hz over vectors of random signs; its error falls like the root
        of the products. ``hutch++`` spends a third of them on the largest eigenvalues, whose part
        is then exact; ``xtrace`` does so for each vector with all the others, and is mostly best.
        For operators whose products are themselves random only ``hutchinson`` is unbiased.
    n_products : int, default=100
        The trace is exact where the matrix is not larger than this.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If the method is unknown or there are fewer than 6 products.

    References
    ----------
    Hutchinson, M. F. (1990). A stochastic estimator of the trace of the influence matrix.
    Communications in Statistics 19(2).

    Meyer, R. A., Musco, C., Musco, C. and Woodruff, D. P. (2021). Hutch++: Optimal stochastic
    trace estimation. SOSA.

    Epperly, E. N., Tropp, J. A. and Webber, R. J. (2024). XTrace: Making the most of every sample
    in stochastic trace estimation. SIAM Journal on Matrix Analysis and Applications 45(1).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import estimate_trace
    >>> H = aslinearoperator(np.diag(1.0 / np.arange(1.0, 501.0) ** 2))
    >>> estimate = estimate_trace(H, n_products=40)
    >>> bool(abs(float(estimate) - 1.642936) < 4 * estimate.error < 0.02)
    True
    """
    rng = _begin(operator, method, n_products, seed)
    size = operator.shape[0]
    if size <= n_products and not is_stochastic(operator):
        return Estimate(float(np.trace(operator.matmat(np.eye(size)))), 0.0, size)
    multiply = rough_products(operator)
    if method == "hutchinson":
        signs = random_signs(rng, size, n_products)
        return average(_quadratic(signs, multiply(signs)), n_products)
    if method == "hutch++":
        third = n_products // 3
        Q = np.linalg.qr(multiply(random_signs(rng, size, third)))[0]
        known = float(np.sum(Q * multiply(Q)))
        rest = random_signs(rng, size, n_products - 2 * third)
        rest -= Q @ (Q.T @ rest)
        samples = _quadratic(rest, multiply(rest))
        return average(known + samples, n_products)
    return _xtrace(multiply, size, n_products // 2, rng)


def _xtrace(multiply, size, m, rng):
    """Each of m vectors measures what the products with all the others leave out.

    With Y = H Omega = Q R, the vector s_i = Q S_i is the part of the range that only the i-th
    product adds; normal vectors, scaled to the sphere within what is left.
    """
    omega = rng.standard_normal((size, m))
    Q, R, S = _leave_one_out(multiply(omega))
    T = Q.T @ multiply(Q)
    W = Q.T @ omega
    X = W - S * np.sum(S * W, axis=0)  # coordinates of omega_i in the range of the others
    known = np.trace(T) - np.sum(S * (T @ S), axis=0)
    quadratic = np.sum(W * R, axis=0) - 2.0 * np.sum(X * R, axis=0) + np.sum(X * (T @ X), axis=0)
    left = np.sum(omega**2, axis=0) - np.sum(X**2, axis=0)
    return average(known + (size - m + 1) / left * quadratic, 2 * m)


def estimate_diagonal(operator, *, method="xtrace", n_products=100, seed=0):
    """Diagonal of a symmetric operator from its products with random vectors.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.
    method : {"xtrace", "hutch++", "hutchinson"}, default="xtrace"
        ``hutchinson`` averages z * Hz; the others know a part of low rank exactly, as in
        :func:`estimate_trace` (``xtrace`` is the XDiag of the same paper).
    n_products : int, default=100
        The diagonal is exact where the matrix is not larger than this.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    Estimate
        Value and error of shape (k,).

    Raises
    ------
    ValueError
        If the method is unknown or there are fewer than 6 products.

    References
    ----------
    Bekas, C., Kokiopoulou, E. and Saad, Y. (2007). An estimator for the diagonal of a matrix.
    Applied Numerical Mathematics 57.

    Epperly, E. N., Tropp, J. A. and Webber, R. J. (2024). XTrace: Making the most of every sample
    in stochastic trace estimation. SIAM Journal on Matrix Analysis and Applications 45(1).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import estimate_diagonal
    >>> H = aslinearoperator(np.diag([3.0, 2.0, 1.0]))
    >>> estimate_diagonal(H, n_products=6).value
    array([3., 2., 1.])
    """
    rng = _begin(operator, method, n_products, seed)
    size = operator.shape[0]
    if size <= n_products and not is_stochastic(operator):
        return Estimate(np.diag(operator.matmat(np.eye(size))).copy(), np.zeros(size), size)
    multiply = rough_products(operator)
    if method == "hutchinson":
        signs = random_signs(rng, size, n_products)
        return average((signs * multiply(signs)).T, n_products)
    if method == "hutch++":
        third = n_products // 3
        Q = np.linalg.qr(multiply(random_signs(rng, size, third)))[0]
        known = np.sum(Q * multiply(Q), axis=1)
        signs = random_signs(rng, size, n_products - 2 * third)
        product = multiply(signs)
        product -= Q @ (Q.T @ product)
        return average(known + (signs * product).T, n_products)
    m = n_products // 2
    signs = random_signs(rng, size, m)
    Q, R, S = _leave_one_out(multiply(signs))
    Z, parts = multiply(Q), Q @ S
    known = np.sum(Q * Z, axis=1)[:, None] - parts * (Z @ S)
    samples = known + signs * parts * np.sum(S * R, axis=0)
    return average(samples.T, 2 * m)


def _leave_one_out(Y):
    """QR factors of Y and, in coordinates of Q, what only column i adds to its range."""
    Q, R = np.linalg.qr(Y)
    diagonal = np.abs(np.diag(R))
    if diagonal.min() <= 1e-13 * diagonal.max():  # the rank is below the number of columns
        R = R + 1e-13 * diagonal.max() * np.diag(np.where(np.diag(R) < 0, -1.0, 1.0))
    S = np.linalg.inv(R).T
    return Q, R, S / np.linalg.norm(S, axis=0)


def estimate_logdet(operator, *, damping=0.0, method="auto", n_probes=10, n_steps=50, seed=0):
    """Log-determinant of a positive definite operator.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.
    damping : float, default=0.0
        Added to the diagonal.
    method : {"auto", "dense", "lanczos"}, default="auto"
        ``dense`` forms the matrix; ``lanczos`` estimates the trace of the logarithm from
        Gauss rules of random vectors. ``auto`` is dense up to order 2000.
    n_probes : int, default=10
        Random vectors.
    n_steps : int, default=50
        Products for each of them.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If an eigenvalue that was met is not above ``-damping``.

    References
    ----------
    Ubaru, S., Chen, J. and Saad, Y. (2017). Fast estimation of tr(f(A)) via stochastic Lanczos
    quadrature. SIAM Journal on Matrix Analysis and Applications 38(4).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import estimate_logdet
    >>> estimate_logdet(aslinearoperator(np.diag([1.0, np.e, np.e]))).value
    2.0
    """
    if method not in ("auto", "dense", "lanczos"):
        raise ValueError(f"method={method!r} is none of auto, dense, lanczos.")
    size = operator.shape[0]
    if method == "auto":
        method = "dense" if size <= _DENSE else "lanczos"
    if method == "dense":
        values = np.linalg.eigvalsh(dense_matrix(operator)) + damping
        _check_positive(values.min(), values.max(), damping)
        return Estimate(float(np.log(values).sum()), 0.0, size)
    rules = lanczos_rules(operator, n_probes=n_probes, n_steps=n_steps, seed=seed)
    nodes, weights = rules.nodes + damping, rules.weights
    met = nodes[weights > 1e-30]
    _check_positive(met.min(), met.max(), damping)
    logs = np.log(np.where(weights > 1e-30, nodes, 1.0))
    return average(size * np.sum(weights * logs, axis=1), rules.n_products)


def _check_positive(smallest, largest, damping):
    if not smallest > 1e-15 * abs(largest):
        raise ValueError(
            f"the matrix is not positive definite: with damping={damping:g} it has the eigenvalue "
            f"{smallest:.6g}. Take a damping above {damping - smallest:.3g}, or the Gauss-Newton "
            "matrix."
        )


def _begin(operator, method, n_products, seed):
    if method not in ("xtrace", "hutch++", "hutchinson"):
        raise ValueError(f"method={method!r} is none of xtrace, hutch++, hutchinson.")
    if method != "hutchinson" and is_stochastic(operator):
        raise ValueError(
            f"method={method!r} multiplies by products, and each product of this operator comes "
            "from another batch: use method='hutchinson'."
        )
    check_probes("n_products", n_products, 6)
    return np.random.default_rng(seed)


def _quadratic(V, HV):
    return np.sum(V * HV, axis=0)
