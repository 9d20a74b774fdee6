"""One place that limits the threads of BLAS around loops, and counts those of our own.

A factorisation of a thousand unknowns gains little from a second thread, and where the cores
are shared its spinning can cost twenty times the work.
"""

import os
from contextlib import contextmanager, nullcontext
from functools import cache

__all__ = ["blas_threads_for", "one_blas_thread", "worker_threads"]

_LARGE = 1000  # order from which products of dense matrices gain from threads

_limited = 0  # loops within which BLAS is limited already: asking again would cost 20 microseconds


@cache
def _controller():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
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
    global _limited
    if _limited:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        _limited += 1
        try:
            yield
        finally:
            _limited -= 1


def blas_threads_for(order, *, sparse=False):
    """Context in which BLAS uses one thread, unless dense matrices are large.

    Parameters
    ----------
    order : int
    sparse : bool, default=False
        Whether the matrices of that order are sparse.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit._threads import blas_threads_for
    >>> with blas_threads_for(3):
    ...     float(np.trace(np.eye(3) @ np.eye(3)))
    3.0
    """
    return one_blas_thread() if sparse or order < _LARGE else nullcontext()


def worker_threads():
    """Threads for work that is divided between them: ``OMP_NUM_THREADS``, or one a core.

    Returns
    -------
    int

    Examples
    --------
    >>> from lmmfit._threads import worker_threads
    >>> worker_threads() >= 1
    True
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return max(1, int(wanted)) if wanted.strip().isdigit() else _cores()


@cache
def _cores():
    from joblib import cpu_count

    return cpu_count()
