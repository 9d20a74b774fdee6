"""Moments of a spectrum from products with random vectors."""

from dataclasses import dataclass

import numpy as np

from lmmfit.curvature.estimates import check_probes, is_stochastic, random_signs

__all__ = ["PowerMoments", "chebyshev_moments", "skilling_moments"]


@dataclass(frozen=True, eq=False)
class PowerMoments:
    """Moments of a spectrum from the vectors v_i = H^i v_0.

    Attributes
    ----------
    moments : ndarray of shape (2 m + 1,)
        Mean of the k-th powers of the eigenvalues, as v_0 weighs them: v_i . v_j with
        i + j = k. The first is 1.
    hankel_condition : float
        Condition number of the matrix of all v_i . v_j, with unit diagonal: beyond 1e16 the
        moments say nothing more of the spectrum.
    n_products : int
    """

    moments: np.ndarray
    hankel_condition: float
    n_products: int


def skilling_moments(operator, n_products, *, start=None, seed=0):
    """Moments v_i . v_j of Skilling (1989), two for each product.

    They show why others are used: the powers of H turn all vectors to the same direction, and
    about a dozen products exhaust double precision. :func:`lanczos_rules` and
    :func:`chebyshev_moments` take the same products and lose nothing.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matvec`` of a symmetric matrix. Where each product comes from
        another batch, the two factors of each v_i . v_j come from separate sequences, so that
        the moments have no bias; that takes twice the products.
    n_products : int
        m.
    start : ndarray of shape (size,), optional
        v_0; random signs by default. It is scaled to length 1.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    PowerMoments

    Raises
    ------
    ValueError
        If there is no product, or the start does not fit.

    References
    ----------
    Skilling, J. (1989). The eigenvalues of mega-dimensional matrices. In Maximum Entropy and
    Bayesian Methods, Kluwer.

    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1),
    section 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import skilling_moments
    >>> H = aslinearoperator(np.diag([1.0, 3.0]))
    >>> skilling_moments(H, 2).moments  # mean of 1 and 3, of 1 and 9, of 1 and 27, ...
    array([ 1.,  2.,  5., 14., 41.])
    """
    check_probes("n_products", n_products, 1)
    size = operator.shape[0]
    rng = np.random.default_rng(seed)
    v = random_signs(rng, size, 1)[:, 0] if start is None else np.asarray(start, dtype=float)
    if v.shape != (size,) or not v.any():
        raise ValueError(f"start must be a vector of length {size} that is not zero.")
    v = v / np.linalg.norm(v)
    left = _powers(operator, v, n_products)
    right = _powers(operator, v, n_products) if is_stochastic(operator) else left
    moments = [left[k // 2] @ right[k - k // 2] for k in range(2 * n_products + 1)]
    gram = left @ right.T
    scale = np.sqrt(np.abs(np.diag(gram)))
    scale = np.where(scale > 0, scale, 1.0)
    condition = float(np.linalg.cond(gram / np.outer(scale, scale)))
    made = n_products if right is left else 2 * n_products
    return PowerMoments(np.array(moments), condition, made)


def chebyshev_moments(operator, n_moments, bounds, *, probes):
    """Moments v'T_k(H)v of the Chebyshev polynomials on an interval.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.
    n_moments : int
        Moments k = 0, ..., n_moments - 1; two for each product, or one where each product comes
        from another batch.
    bounds : (float, float)
        Interval that holds the spectrum.
    probes : ndarray of shape (size, n)
        Vectors v; the identity's columns give the elements of the diagonal, whose mean is the
        exact moment.

    Returns
    -------
    ndarray of shape (n, n_moments)

    Raises
    ------
    ValueError
        If there are fewer than two moments, or the interval is empty.

    References
    ----------
    Weisse, A., Wellein, G., Alvermann, A. and Fehske, H. (2006). The kernel polynomial method.
    Reviews of Modern Physics 78, section II.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import chebyshev_moments
    >>> H = aslinearoperator(np.diag([0.0, 1.0, 2.0]))
    >>> chebyshev_moments(H, 4, (0.0, 2.0), probes=np.eye(3)).mean(axis=0).round(12)
    array([1.        , 0.        , 0.33333333, 0.        ])
    """
    check_probes("n_moments", n_moments, 2)
    low, high = bounds
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"bounds must be two finite numbers, the smaller first; got {bounds}.")
    centre, half = 0.5 * (low + high), 0.5 * (high - low)

    def multiply(V):
        return (np.asarray(operator.matmat(V), dtype=np.float64) - centre * V) / half

    doubled = not is_stochastic(operator)
    moments = np.empty((probes.shape[1], n_moments))
    before, now = probes, multiply(probes)
    moments[:, 0], moments[:, 1] = np.sum(before * before, axis=0), np.sum(before * now, axis=0)
    k = 1
    while k < n_moments - 1:
        if doubled:  # 2 T_k T_k = T_2k + T_0, and 2 T_k+1 T_k = T_2k+1 + T_1
            if 2 * k < n_moments:
                moments[:, 2 * k] = 2.0 * np.sum(now * now, axis=0) - moments[:, 0]
            if 2 * k + 1 >= n_moments:
                break
        before, now = now, 2.0 * multiply(now) - before
        k += 1
        if doubled:
            moments[:, 2 * k - 1] = 2.0 * np.sum(now * before, axis=0) - moments[:, 1]
        else:
            moments[:, k] = np.sum(probes * now, axis=0)
    return moments


def _powers(operator, v, count):
    rows = [v]
    for _ in range(count):
        rows.append(operator.matvec(rows[-1]))
    return np.array(rows)
