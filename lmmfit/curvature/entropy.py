"""The distribution of maximum entropy that has given moments."""

import numpy as np

from lmmfit.optimize import minimize_newton

__all__ = ["maximum_entropy"]

_LEAST = 1e-4  # error of a moment below which it is not followed


def maximum_entropy(moments, errors, nodes, prior, *, start=None):
    """Weights on a grid, of maximum entropy, whose Chebyshev moments are known to some error.

    The weights are ``prior * exp(sum_k a_k T_k)``; the multipliers a minimise the convex dual
    ``log sum(weights) - a . moments + sum (a_k errors_k)^2 / 2``. The last term lets each moment
    miss by the order of its error: moments of few eigenvalues have no density that meets
    them exactly.

    Parameters
    ----------
    moments : ndarray of shape (K,)
        The first is 1.
    errors : ndarray of shape (K,)
        Standard errors; at least 1e-4 is taken for each.
    nodes : ndarray of shape (M,)
        In [-1, 1].
    prior : ndarray of shape (M,)
        Weights where nothing is known; they sum to 1.
    start : ndarray of shape (K - 1,), optional
        Multipliers to begin from.

    Returns
    -------
    weights : ndarray of shape (M,)
        They sum to 1.
    multipliers : ndarray of shape (K - 1,)

    References
    ----------
    Mead, L. R. and Papanicolaou, N. (1984). Maximum entropy in the problem of moments. Journal
    of Mathematical Physics 25.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import maximum_entropy
    >>> x = np.linspace(-1, 1, 101)
    >>> weights, _ = maximum_entropy(np.array([1.0, 0.3]), np.zeros(2), x, np.full(101, 1 / 101))
    >>> round(float(weights @ x), 4)
    0.3
    """
    K = len(moments)
    polynomials = np.cos(np.arange(1, K) * np.arccos(np.clip(nodes, -1, 1))[:, None])
    wanted = np.asarray(moments[1:] / moments[0], dtype=np.float64)
    slack = np.maximum(errors[1:], _LEAST) ** 2

    def weigh(a):
        exponent = polynomials @ a + np.log(prior)
        top = exponent.max()
        weights = np.exp(exponent - top)
        total = weights.sum()
        return weights / total, np.log(total) + top

    def dual(a):
        weights, log_total = weigh(a)
        mean = weights @ polynomials
        hessian = (polynomials * weights[:, None]).T @ polynomials - np.outer(mean, mean)
        return (
            log_total - a @ wanted + 0.5 * a @ (slack * a),
            mean - wanted + slack * a,
            hessian + np.diag(slack),
        )

    result = minimize_newton(dual, np.zeros(K - 1) if start is None else start, tol=1e-12)
    return weigh(result.x)[0], result.x
