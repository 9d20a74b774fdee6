"""The problem that a sparse gain solves, from what an estimator was given."""

from dataclasses import dataclass, field

import numpy as np

from lmmfit.estimators._riccati import RiccatiFilter
from lmmfit.estimators._state_space import estimate_system
from lmmfit.gains import Pattern, as_pattern, filter_problem, graph_pattern, regulator_problem
from lmmfit.gains.pattern_forms import is_graph, is_sets, successors_of
from lmmfit.riccati.checks import as_matrix, as_square

__all__ = ["GivenSystem", "read_problem", "read_system"]


@dataclass(frozen=True, eq=False)
class GivenSystem:
    """Matrices of a system, and how it begins.

    Attributes
    ----------
    A, Q, R : array-like or sparse array
    B : ndarray, sparse array or None
    C : ndarray, sparse array or None
        None for a regulator.
    mean : ndarray of shape (n,) or None
        Of the first state; None for a regulator.
    em : EMResult or None
    """

    A: np.ndarray = field(repr=False)
    B: np.ndarray | None = field(repr=False)
    C: np.ndarray | None = field(repr=False)
    Q: np.ndarray = field(repr=False)
    R: np.ndarray = field(repr=False)
    mean: np.ndarray | None = field(default=None, repr=False)
    em: object = field(default=None, repr=False)


def read_system(model, series, inputs):
    """The matrices of a model: those given, and for a filter with series, estimates of others.

    Parameters
    ----------
    model : SparseGainEstimator
    series : list of ndarray
        Empty for a fit without data.
    inputs : list of array-like or None

    Returns
    -------
    GivenSystem

    Raises
    ------
    ValueError
        If matrices are missing, have a wrong shape, or are none of the problem's.
    """
    if model.problem == "regulator":
        return _regulator_system(model, series, inputs)
    if model.S is not None:
        raise ValueError("S is the cross weight of a regulator; leave it out of a filter.")
    if model.method == "moving-horizon" and model.B is not None:
        raise ValueError("method='moving-horizon' takes no known inputs: leave B out.")
    given = model.A, model.C, model.Q, model.R, model.B
    mean, em = model.initial_state, None
    if series:
        options = RiccatiFilter(*given, initial_state=mean)
        A, C, Q, R, B, _, _, mean, em = estimate_system(options, series, inputs)
    else:
        _refuse_missing(model, "ACQR", "fit without X needs A, C, Q and R", " Or give X.")
        A, C, Q, R, B = given
    A = as_square(A, "A", sparse=True)
    n = A.shape[0]
    C = as_matrix(C, "C", (None, n), sparse=True)
    B = None if B is None else as_matrix(B, "B", (n, None), sparse=True)
    mean = np.zeros((1, n)) if mean is None else np.reshape(mean, (1, -1))
    return GivenSystem(A, B, C, Q, R, as_matrix(mean, "initial_state", (1, n))[0], em)


def _regulator_system(model, series, inputs):
    _refuse_missing(model, "ABQR", "problem='regulator' needs A, B, Q and R")
    if model.C is not None:
        raise ValueError(
            "C is of a filter's outputs; a regulator, u = -K x, has none: leave it out."
        )
    if model.method == "moving-horizon":
        raise ValueError(
            "method='moving-horizon' makes filters alone; for a regulator take 'steady', "
            "'one-step' or 'finite-horizon'."
        )
    if any(u is not None for u in inputs):
        raise ValueError("U was given, but a regulator finds the inputs itself: leave it out.")
    A = as_square(model.A, "A", sparse=True)
    B = as_matrix(model.B, "B", (A.shape[0], None), sparse=True)
    if series and series[0].shape[1] != A.shape[0]:
        raise ValueError(
            f"the rows of X must be states, one column for each of the {A.shape[0]} of A, got "
            f"{series[0].shape[1]} columns."
        )
    return GivenSystem(A, B, None, model.Q, model.R)


def _refuse_missing(model, names, needed, otherwise=""):
    missing = [name for name in names if getattr(model, name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ValueError(f"{needed}: {' and '.join(missing)} {verb} missing.{otherwise}")


def read_problem(model, system):
    """The problem of a sparse gain, and the nodes of the network.

    Parameters
    ----------
    model : SparseGainEstimator
    system : GivenSystem

    Returns
    -------
    problem : GainProblem
    owners : tuple
        Label of the node of each state, and of each output or input; None where nothing tells.

    Raises
    ------
    ValueError
        If a matrix or the pattern is wrong.
    """
    n, labels = system.A.shape[0], _labels_of(model)
    o = system.B.shape[1] if system.C is None else system.C.shape[0]
    owners = (
        _owners("state_nodes", model.state_nodes, labels, n),
        _owners("output_nodes", model.output_nodes, labels, o),
    )
    if system.C is None:
        pattern = _read_pattern(model, labels, (o, n), owners[::-1])
        given = system.A, system.B, system.Q, system.R, pattern
        return regulator_problem(*given, S=model.S), owners
    pattern = _read_pattern(model, labels, (n, o), owners)
    return filter_problem(system.A, system.C, system.Q, system.R, pattern), owners


def _read_pattern(model, labels, shape, owners):
    if labels is None:
        return as_pattern(model.pattern, shape)
    read = as_pattern if is_graph(model.pattern) else graph_pattern
    hops = 1 if model.hops is None else model.hops
    rows, columns = owners
    return read(model.pattern, shape, hops=hops, row_nodes=rows, column_nodes=columns)


def _labels_of(model):
    """Nodes of the graph that the pattern is, or None if it is no graph."""
    pattern, hops = model.pattern, model.hops
    if is_graph(pattern):
        return successors_of(pattern)[1]
    if hops is None:
        return None
    if isinstance(pattern, str | Pattern) or is_sets(pattern):
        raise ValueError(
            f"hops={hops} is for a graph or its adjacency matrix, the pattern is "
            f"{pattern if isinstance(pattern, Pattern) else repr(pattern)}: leave hops out."
        )
    shape = np.shape(pattern)
    return range(shape[0] if shape else 0)


def _owners(name, given, labels, count):
    """Label of the node of each state or output: as given, or equal shares of the graph's."""
    if given is None:
        if not labels or count % len(labels):
            return None
        return [label for label in labels for _ in range(count // len(labels))]
    if len(given) != count:
        what = name.removesuffix("_nodes")
        raise ValueError(f"{name} has {len(given)} labels, for {count}: each {what} has one.")
    known = set(given if labels is None else labels)
    for i, label in enumerate(given):
        if label not in known:
            raise ValueError(f"{name}[{i}] is {label!r}, which is no node of the graph.")
    return list(given)
