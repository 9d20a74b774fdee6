"""Parts of a network that have nothing to do with each other."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.sparse import block_array, csr_array, issparse
from scipy.sparse.csgraph import connected_components

from lmmfit.gains.pattern import Pattern
from lmmfit.gains.problem import GainProblem

__all__ = ["Component", "components"]


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


def components(problem, *, full=False):
    """Split a problem into parts that share no dynamics, no noise, no output and no entry.

    The steady trace is the sum of theirs.

    Parameters
    ----------
    problem : GainProblem
    full : bool, default=False
        Whether the pattern is disregarded: every gain without one splits the same way.

    Returns
    -------
    list of Component
        Outputs that belong to no state are in none.
    """
    n, o = problem.pattern.shape
    labels = _labels(problem, full)
    count = labels[:n].max(initial=-1) + 1
    if count <= 1:
        whole = np.arange(n), np.arange(o), np.arange(problem.pattern.size)
        return [Component(problem, *whole)]
    states, outputs = _members(labels[:n], count), _members(labels[n:], count)
    entries = _members(labels[problem.pattern.rows], count)
    A, C = csr_array(problem.A), csr_array(problem.C)
    parts = zip(states, outputs, entries, strict=True)
    return [_part(problem, A, C, *part) for part in parts]


def _labels(problem, full):
    """Number of the part of each state and each output; parts with states come first."""
    n, o = problem.pattern.shape
    pattern = None if full else problem.pattern.sparse(np.ones(problem.pattern.size))
    cross = csr_array(problem.C).T if problem.N is None else csr_array(problem.N)
    links = [
        [abs(csr_array(problem.A)) + abs(csr_array(problem.Q)), abs(cross)],
        [abs(csr_array(problem.C)), abs(csr_array(problem.R))],
    ]
    if pattern is not None:
        links[0][1] = links[0][1] + pattern
    graph = csr_array(block_array(links, format="csr"))
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


def _part(problem, A, C, states, outputs, entries):
    row = np.searchsorted(states, problem.pattern.rows[entries])
    column = np.searchsorted(outputs, problem.pattern.columns[entries])
    pattern = Pattern(row, column, (len(states), len(outputs)))
    A, C = A[states][:, states], C[outputs][:, states]
    keep = csr_array if issparse(problem.A) and len(states) >= len(problem.Q) // 2 else _dense
    part = replace(
        problem, A=keep(A), C=keep(C), Q=problem.Q[np.ix_(states, states)],
        R=problem.R[np.ix_(outputs, outputs)], pattern=pattern,
        N=None if problem.N is None else problem.N[np.ix_(states, outputs)],
    )  # fmt: skip
    return Component(part, states, outputs, entries)


def _dense(M):
    return np.ascontiguousarray(M.toarray())
