"""The approximation that exact products replace."""

import numpy as np

__all__ = ["finite_difference_product"]


def finite_difference_product(objective, theta, v, *, step=None):
    """Approximate a product with the Hessian by a difference of two gradients.

    For comparison only: the step trades truncation for cancellation, and no choice of it gives
    more than about half the digits of the arithmetic (Pearlmutter 1994, equation 1).

    Parameters
    ----------
    objective : NetworkObjective
        Anything with ``evaluate(theta)`` whose result has a ``gradient``.
    theta : ndarray of shape (n_parameters,)
    v : ndarray of shape (n_parameters,)
    step : float, optional
        Length of the displacement along v; by default the root of the machine epsilon, times
        the length of ``theta`` where that exceeds 1.

    Returns
    -------
    ndarray of shape (n_parameters,)

    Raises
    ------
    ValueError
        If v is zero.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, finite_difference_product
    >>> net = FeedForwardNetwork([1, 2, 1], "tanh")
    >>> objective = net.objective([[1.0], [2.0]], [0.0, 1.0])
    >>> theta, v = np.linspace(-1, 1, 7), np.ones(7)
    >>> exact = objective.evaluate(theta).hessian_vector_product(v)
    >>> bool(np.allclose(finite_difference_product(objective, theta, v), exact, atol=1e-6))
    True
    """
    here = objective.evaluate(theta).gradient
    v = np.asarray(v, dtype=here.dtype)
    length = float(np.sqrt(v @ v))
    if length == 0.0:
        raise ValueError("v is zero: it has no direction to differ along.")
    if step is None:
        scale = max(1.0, float(np.linalg.norm(theta)))
        step = scale * np.sqrt(np.finfo(here.dtype).eps)
    r = here.dtype.type(step / length)
    return (objective.evaluate(theta + r * v).gradient - here) / r
