"""Patterns cut into blocks, blocks into lanes: what threads share, whatever their number."""

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np

from lmmfit._threads import one_blas_thread, worker_threads

__all__ = ["Lanes", "scratch"]

_ROWS = 512  # of a block: a layer of a hundred units then stays in the second-level cache
_SMALL = 1e6  # multiplications of a matrix product up to which BLAS need not pack its factors
_MOST = 32  # lanes
_THREADED = 2e6  # multiplications of a pass from which a second thread pays
_BLAS_ALONE = 2.6e5  # up to here BLAS uses one thread by itself

_local = threading.local()
_pool = {}


class Lanes:
    """A fixed division of n patterns, so that sums do not depend on the number of threads.

    Parameters
    ----------
    n : int
        Patterns.
    n_parameters : int
        Of the network: each lane has sums of its own.
    n_products : tuple of int
        Multiplications of one pattern's pass through each layer.
    """

    def __init__(self, n, n_parameters, n_products):
        small = int(_SMALL // max(n_products))
        rows = small if _ROWS // 2 <= small < _ROWS else _ROWS
        edges = np.linspace(0, n, -(-n // rows) + 1).astype(int).tolist()
        blocks = list(itertools.pairwise(edges))
        most = int(np.clip(2**25 // n_parameters, 2, _MOST))
        count = min(len(blocks), most)
        cuts = np.linspace(0, len(blocks), count + 1).astype(int)
        self.lanes = [blocks[a:b] for a, b in itertools.pairwise(cuts)]
        self.rows = max(b - a for a, b in blocks)
        self.n, self.n_products = n, n_products

    def run(self, task, size, dtype):
        """Call ``task(first, last, total)`` for every block and add the totals lane by lane.

        Parameters
        ----------
        task : callable
            Adds what it finds to ``total``; releases the GIL for most of its time.
        size : int
            Length of a total.
        dtype : dtype

        Returns
        -------
        ndarray of shape (size,)
        """
        if len(self.lanes) == 1:
            with self._blas():
                return _lane(task, self.lanes[0], size, dtype)
        threads = min(worker_threads(), len(self.lanes))
        with one_blas_thread():
            if threads == 1 or self.n * sum(self.n_products) < _THREADED:
                totals = [_lane(task, lane, size, dtype) for lane in self.lanes]
            else:
                pool = _threads(threads)
                totals = list(pool.map(lambda lane: _lane(task, lane, size, dtype), self.lanes))
        total = totals[0]
        for other in totals[1:]:
            total += other
        return total

    def _blas(self):
        small = self.rows * max(self.n_products) <= _BLAS_ALONE
        return nullcontext() if small else one_blas_thread()


def _lane(task, blocks, size, dtype):
    total = np.zeros(size, dtype)
    for first, last in blocks:
        task(first, last, total)
    return total


def scratch(size, dtype):
    """Memory for intermediate results, one piece a thread, kept for the next pass.

    Parameters
    ----------
    size : int
    dtype : dtype

    Returns
    -------
    ndarray of shape (size,)
    """
    known = _local.__dict__.setdefault("arrays", {})
    array = known.get(dtype)
    if array is None or len(array) < size:
        array = known[dtype] = np.empty(size, dtype)
    return array


def _threads(count):
    if count not in _pool:
        _pool[count] = ThreadPoolExecutor(count, thread_name_prefix="lmmfit")
    return _pool[count]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)  # a child has no threads but its first
