"""What a network loses when weights are taken away: Optimal Brain Surgeon and Damage."""

import numpy as np

__all__ = ["removal_step", "saliencies"]


def saliencies(theta, matrix, *, method="obs", inverse=None):
    """Increase of the loss that taking away each parameter is predicted to cost.

    Parameters
    ----------
    theta : array-like of shape (k,)
        A minimum.
    matrix : ndarray of shape (k, k)
        Second derivatives there.
    method : {"obs", "obd", "magnitude"}, default="obs"
        ``obs``: the other parameters make up for the loss as far as they can,
        ``theta_q^2 / (2 [H^{-1}]_qq)``. ``obd``: they stay, ``h_qq theta_q^2 / 2``. ``magnitude``:
        ``theta_q^2 / 2``, no prediction.
    inverse : ndarray of shape (k, k), optional
        Inverse of the matrix, where it is known.

    Returns
    -------
    ndarray of shape (k,)

    Raises
    ------
    ValueError
        If the method is unknown or shapes do not fit.

    References
    ----------
    Hassibi, B. and Stork, D. G. (1993). Second order derivatives for network pruning: Optimal
    Brain Surgeon. NIPS 5, equation 5.

    LeCun, Y., Denker, J. S. and Solla, S. A. (1990). Optimal Brain Damage. NIPS 2.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import saliencies
    >>> H = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> saliencies([1.0, 2.0], H), saliencies([1.0, 2.0], H, method="obd")
    (array([0.75, 3.  ]), array([1., 4.]))
    """
    theta, matrix = np.asarray(theta, dtype=np.float64), np.asarray(matrix, dtype=np.float64)
    if matrix.shape != (len(theta), len(theta)):
        raise ValueError(f"matrix must be {len(theta)} x {len(theta)}, got {matrix.shape}.")
    if method == "magnitude":
        return 0.5 * theta**2
    if method == "obd":
        return 0.5 * np.diag(matrix) * theta**2
    if method != "obs":
        raise ValueError(f"method={method!r} is none of obs, obd, magnitude.")
    inverse = np.linalg.inv(matrix) if inverse is None else inverse
    return 0.5 * theta**2 / np.diag(inverse)


def removal_step(theta, inverse_columns, chosen):
    """Change of all parameters that takes some to zero at the least predicted cost.

    Parameters
    ----------
    theta : array-like of shape (k,)
    inverse_columns : ndarray of shape (k, m)
        Columns of the inverse of the second derivatives that belong to those chosen.
    chosen : array-like of int of shape (m,)
        Parameters to take away.

    Returns
    -------
    step : ndarray of shape (k,)
        Minus theta at those chosen, to the last bit.
    cost : float
        Predicted increase of the loss, half ``w' ([H^{-1}]_QQ)^{-1} w`` for the weights w chosen.

    Raises
    ------
    LinAlgError
        If the inverse is singular at those chosen.

    References
    ----------
    Hassibi, B. and Stork, D. G. (1993). Second order derivatives for network pruning: Optimal
    Brain Surgeon. NIPS 5, equation 5, for several weights at once.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import removal_step
    >>> inverse = np.linalg.inv([[2.0, 1.0], [1.0, 2.0]])
    >>> removal_step([1.0, 2.0], inverse[:, :1], [0])
    (array([-1. ,  0.5]), 0.75)
    """
    theta = np.asarray(theta, dtype=np.float64)
    chosen = np.asarray(chosen, dtype=np.int64)
    multipliers = np.linalg.solve(inverse_columns[chosen], theta[chosen])
    step = -inverse_columns @ multipliers
    step[chosen] = -theta[chosen]
    return step, float(0.5 * theta[chosen] @ multipliers)
