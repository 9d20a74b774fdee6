"""One place that limits the threads of BLAS around loops of many middling matrices.

A factorisation of a thousand unknowns gains little from a second thread, and where the cores
are shared its spinning can cost twenty times the work.
"""

from functools import cache

__all__ = ["one_blas_thread"]


@cache
def _controller():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_blas_thread():
    """Context in which BLAS uses one thread.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit._threads import one_blas_thread
    >>> with one_blas_thread():
    ...     float(np.trace(np.eye(3) @ np.eye(3)))
    3.0
    """
    return _controller().limit(limits=1, user_api="blas")
