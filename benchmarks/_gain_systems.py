"""The systems of the suite `gains`: tanks, the networks of a toolbox, examples of the papers."""

import json
import os
from pathlib import Path

import numpy as np

from lmmfit.datasets import make_tank_network
from lmmfit.gains import filter_problem
from lmmfit.gains.products import congruence
from lmmfit.gains.steps import greedy_step

REFERENCES = Path(__file__).parent.parent / "tests" / "reference" / "gains"


NOISE, CORRELATION = 0.035, 1 / 3
"""Variance of what moves a tank in a second, and correlation with that of the next one: the
eigenvalues are between 0.0175 and 0.07, as those of the published program are."""


def tanks(N, correlation=CORRELATION):
    """A network of N tanks, each of which has a sensor for itself.

    Parameters
    ----------
    N : int
    correlation : float
        Of what moves neighbours. Without it the network falls into pairs that have nothing to do
        with each other.

    Returns
    -------
    tuple of csr_array
        A, C, Q, R and the pattern.
    """
    distance = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    network = make_tank_network(N, process_noise=NOISE * float(correlation) ** distance)
    return network.A, network.C, network.Q, network.R, network.pattern


def middle_equation(N, window=20):
    """[L K S - L G]_chi = 0 in the middle of the synthesis of a filter for N tanks.

    Parameters
    ----------
    N : int
    window : int
        Steps before, with gains of the one-step method, and after, with the last of them.

    Returns
    -------
    L, S, C : ndarray of shape (N, N)
    pattern : Pattern
        The diagonal.
    """
    problem = filter_problem(*tanks(N))
    P, L = problem.start, np.eye(N)
    for _ in range(window):
        values, P = greedy_step(problem, P)
    F = problem.loop(problem.gain(values))
    for _ in range(window):
        L = np.eye(N) + congruence(F.T, L)
    predicted = problem.predict(P)
    return L, predicted.S, L @ predicted.G, problem.pattern


def network(model):
    """A random network of the DECENTER toolbox, from the folder LMMFIT_DECENTER.

    Parameters
    ----------
    model : int

    Returns
    -------
    dict of str to ndarray
        A, C, Q, R and E, the pattern.

    Raises
    ------
    FileNotFoundError
        If its file is not there: it is not shipped.
    """
    from scipy.io import loadmat

    path = Path(os.environ.get("LMMFIT_DECENTER", "")) / f"model{model}.mat"
    if not path.is_file():
        raise FileNotFoundError(
            f"model{model}.mat: name in LMMFIT_DECENTER the folder with the models of DECENTER."
        )
    names = ["A", "C", "Q", "R", "E"]
    stored = loadmat(path, variable_names=names)
    return {name: np.asarray(stored[name], dtype=float) for name in names}


def example(name):
    """An example of the papers, from beside the tests.

    Parameters
    ----------
    name : {"viegas2018_W30", "lqr_tutorial"}

    Returns
    -------
    list of ndarray
        A, C or B, Q, R and the pattern.

    Raises
    ------
    FileNotFoundError
        If the examples are not beside the tests.
    """
    path = REFERENCES / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.name} is missing: run the benchmarks from a checkout of the repository, which "
            "has the examples."
        )
    stored = json.loads(path.read_text())
    return [np.array(stored[key]) for key in ("A", "C" if "C" in stored else "B", "Q", "R", "E")]
