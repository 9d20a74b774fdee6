"""Products in one call, for a single use."""

__all__ = ["gauss_newton_vector_product", "hessian_vector_product"]


def hessian_vector_product(objective, theta, v):
    """Multiply by the Hessian at a point; :class:`NetworkState` does it again without the passes.

    Parameters
    ----------
    objective : NetworkObjective
        Anything with ``evaluate(theta)`` whose result has ``hessian_vector_product(v)``.
    theta : array-like of shape (n_parameters,)
    v : array-like of shape (n_parameters,) or (n_parameters, k)

    Returns
    -------
    ndarray of the shape of v

    Examples
    --------
    >>> from lmmfit.curvature import FeedForwardNetwork, hessian_vector_product
    >>> objective = FeedForwardNetwork([1, 1]).objective([[1.0], [2.0]], [0.0, 0.0])
    >>> hessian_vector_product(objective, [1.0, 0.0], [1.0, 0.0])
    array([5., 3.])
    """
    return objective.evaluate(theta).hessian_vector_product(v)


def gauss_newton_vector_product(objective, theta, v):
    """Multiply by the generalised Gauss-Newton matrix at a point.

    Parameters
    ----------
    objective : NetworkObjective
    theta : array-like of shape (n_parameters,)
    v : array-like of shape (n_parameters,) or (n_parameters, k)

    Returns
    -------
    ndarray of the shape of v

    Examples
    --------
    >>> from lmmfit.curvature import FeedForwardNetwork, gauss_newton_vector_product
    >>> objective = FeedForwardNetwork([1, 1]).objective([[1.0], [2.0]], [0.0, 0.0])
    >>> gauss_newton_vector_product(objective, [1.0, 0.0], [1.0, 0.0])
    array([5., 3.])
    """
    return objective.evaluate(theta).gauss_newton_vector_product(v)
