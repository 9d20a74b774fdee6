"""Exact products with the Hessian of a network, and what they are good for."""

from lmmfit._lazy import lazy_names

_HOMES = {
    "differences": ("finite_difference_product",),
    "feedforward": ("FeedForwardNetwork",),
    "layout": ("NetworkLayout",),
    "operator": ("HessianOperator",),
    "problem": ("NetworkObjective",),
    "products": ("gauss_newton_vector_product", "hessian_vector_product"),
    "scaling": ("Scaling", "merge_rows"),
    "state": ("NetworkState",),
}

__all__, __getattr__, __dir__ = lazy_names(globals(), _HOMES)
