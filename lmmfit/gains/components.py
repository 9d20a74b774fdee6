"""Parts of a network that have nothing to do with each other, and those that are alike."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.sparse import block_array, csr_array, issparse
from scipy.sparse.csgraph import connected_components

from lmmfit.gains.pattern import Pattern
from lmmfit.gains.problem import GainProblem

__all__ = ["Component", "Parts", "components", "whole_of"]

_SMALL = 60  # states up to which a recursion of the whole is as fast as one of parts


@dataclass(frozen=True, eq=False)
class Component:
    """One part: its problem, and where its states, outputs and entries are in the whole.

    Attributes
    ----------
    problem : GainProblem
    states, outputs, entries : ndarray of int
    """

    problem: GainProblem
    states: np.ndarray
    outputs: np.ndarray
    entries: np.ndarray

    def looks(self):
        """What is equal for parts that are alike."""
        p = self.problem
        arrays = (p.A, p.C, p.Q, p.R, p.pattern.rows, p.pattern.columns)
        arrays = arrays if p.N is None else (*arrays, p.N)
        return tuple((M.shape, M.tobytes()) for M in arrays)


class Parts:
    """A problem as the parts that it falls into, of those that are alike one each.

    Whatever a method does to the whole, it does to each part: traces are sums.

    Parameters
    ----------
    problem : GainProblem
    start : ndarray of shape (n, n), optional
        Covariance with which a recursion begins. Where it joins parts, there is one part; and a
        small problem, whose recursions take no longer than those of its parts, stays whole.
    full : bool, default=False
        Whether the pattern is disregarded.

    Attributes
    ----------
    problems : list of GainProblem
        The distinct ones.
    starts : list of ndarray
        Their blocks of the start.
    entries : list of ndarray of int
        For each of them, the entries of the pattern of the first part of its kind.
    """

    def __init__(self, problem, start=None, *, full=False):
        self._problem = problem
        small = start is not None and problem.order <= _SMALL
        parts = [whole_of(problem)] if small else components(problem, full=full, joined=start)
        first, kinds = {}, []
        for k, part in enumerate(parts):
            key = k
            if len(parts) > 1:
                block = b"" if start is None else _block(start, part.states).tobytes()
                key = (*part.looks(), block)
            kinds.append(first.setdefault(key, k))
        chosen = sorted(set(kinds))
        number = {k: i for i, k in enumerate(chosen)}
        self._parts, self._kinds = parts, [number[k] for k in kinds]
        self._counts = np.bincount(self._kinds, minlength=len(chosen))
        self.problems = [parts[k].problem for k in chosen]
        self.entries = [parts[k].entries for k in chosen]
        self.starts = [None if start is None else _block(start, parts[k].states) for k in chosen]

    @property
    def undivided(self):
        """Whether there is but one part, the problem itself."""
        return len(self._parts) == 1

    def total(self, traces):
        """The trace of the whole: each kind counts as often as it is there.

        Parameters
        ----------
        traces : sequence of float, or of ndarray of shape (T,)

        Returns
        -------
        float or ndarray of shape (T,)
        """
        return self._counts @ np.asarray(traces)

    def values(self, values):
        """Values on the pattern of the whole.

        Parameters
        ----------
        values : sequence of ndarray
            Of the distinct parts.

        Returns
        -------
        ndarray of shape (size,)
        """
        whole = np.zeros(self._problem.pattern.size)
        for part, kind in zip(self._parts, self._kinds, strict=True):
            whole[part.entries] = values[kind]
        return whole

    def covariance(self, blocks):
        """Covariance of the whole.

        Parameters
        ----------
        blocks : sequence of ndarray
            Of the distinct parts.

        Returns
        -------
        ndarray of shape (n, n)
        """
        if self.undivided:
            return blocks[0]
        whole = np.zeros_like(self._problem.Q)
        for part, kind in zip(self._parts, self._kinds, strict=True):
            whole[part.states[:, None], part.states] = blocks[kind]
        return whole


def components(problem, *, full=False, joined=None):
    """Split a problem into parts that share no dynamics, no noise, no output and no entry.

    The steady trace is the sum of theirs.

    Parameters
    ----------
    problem : GainProblem
    full : bool, default=False
        Whether the pattern is disregarded: every gain without one splits the same way.
    joined : ndarray of shape (n, n), optional
        Pairs of states that belong together besides.

    Returns
    -------
    list of Component
        Outputs that belong to no state are in none.
    """
    n, o = problem.pattern.shape
    labels = _labels(problem, full, joined)
    count = labels[:n].max(initial=-1) + 1
    if count <= 1:
        return [whole_of(problem)]
    states, outputs = _members(labels[:n], count), _members(labels[n:], count)
    entries = _members(labels[problem.pattern.rows], count)
    place = np.empty(n + o, int)  # of each state and output within its part
    for members in (states, [n + k for k in outputs]):
        for part in members:
            place[part] = np.arange(len(part))
    A, C = csr_array(problem.A), csr_array(problem.C)
    parts = zip(states, outputs, entries, strict=True)
    return [_part(problem, A, C, place, *part) for part in parts]


def whole_of(problem):
    """The problem as its own only part.

    Parameters
    ----------
    problem : GainProblem

    Returns
    -------
    Component
    """
    n, o = problem.pattern.shape
    return Component(problem, np.arange(n), np.arange(o), np.arange(problem.pattern.size))


def _labels(problem, full, joined):
    """Number of the part of each state and each output; parts with states come first."""
    n, o = problem.pattern.shape
    states = abs(csr_array(problem.A)) + abs(csr_array(problem.Q))
    states = states if joined is None else states + abs(csr_array(joined))
    cross = abs(csr_array(problem.C)).T if problem.N is None else abs(csr_array(problem.N))
    if not full:
        cross = cross + problem.pattern.sparse(np.ones(problem.pattern.size))
    outputs = [abs(csr_array(problem.C)), abs(csr_array(problem.R))]
    graph = csr_array(block_array([[states, cross], outputs], format="csr"))
    _, labels = connected_components(graph, directed=False)
    renamed = np.full(n + o, -1)
    used = np.unique(labels[:n])
    renamed[used] = np.arange(len(used))
    lonely = np.setdiff1d(labels[n:], used)
    renamed[lonely] = len(used) + np.arange(len(lonely))
    return renamed[labels]


def _members(labels, count):
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(count + 1))
    return [order[a:b] for a, b in pairwise(ends)]


def _part(problem, A, C, place, states, outputs, entries):
    n = problem.order
    row = place[problem.pattern.rows[entries]]
    column = place[n + problem.pattern.columns[entries]]
    pattern = Pattern(row, column, (len(states), len(outputs)))
    if issparse(problem.A) and 2 * len(states) > n:
        A, C = A[states][:, states], C[outputs][:, states]
    else:
        A, C = (_dense_rows(M, k, place, len(states)) for M, k in ((A, states), (C, outputs)))
    part = replace(
        problem, A=A, C=C, Q=_block(problem.Q, states), R=_block(problem.R, outputs),
        pattern=pattern, N=None if problem.N is None else problem.N[states[:, None], outputs],
    )  # fmt: skip
    return Component(part, states, outputs, entries)


def _dense_rows(M, rows, place, width):
    """Rows of a compressed matrix whose nonzeros are all in the part's own columns."""
    out = np.zeros((len(rows), width))
    for i, row in enumerate(rows):
        at = slice(M.indptr[row], M.indptr[row + 1])
        out[i, place[M.indices[at]]] = M.data[at]
    return out


def _block(M, members):
    return M[members[:, None], members]
