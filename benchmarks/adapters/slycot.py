"""SLICOT's solvers of Riccati equations, through slycot: Schur and generalised Schur vectors."""

from functools import partial

import numpy as np
import slycot

from benchmarks import _riccati_runs as runs

DISTRIBUTIONS = ("slycot", "numpy")


def sb02md(problem):
    """Order the Schur form of the Hamiltonian."""
    A, B, C, sign = runs.dense_system(problem)
    G, Q = -sign * (B @ B.T), C.T @ C

    def solve():
        return slycot.sb02md(len(A), A, G, Q, "C")

    return runs.solution(problem, solve, lambda found: (found[0], {}), "sb02md")


def sg02ad(problem):
    """Order the generalised Schur form of the pencil."""
    A, B, C, sign = runs.dense_system(problem)
    G, Q = -sign * (B @ B.T), C.T @ C

    n, unused = len(A), (np.zeros((1, 1)), np.zeros((len(A), 1)))

    def solve():
        return slycot.sg02ad(
            "C", "G", "N", "U", "Z", "N", "S", "N", n, 1, 1, A, np.eye(n), G, Q, *unused
        )

    return runs.solution(problem, solve, lambda found: (found[1], {}), "sg02ad")


def _accuracy_schur(problem, time):
    """Solve an example by sb02md, which takes G = B R^{-1} B' and has no S.

    In discrete time the stable part of what it orders comes last.
    """
    A, B, Q, R, S = runs.example(problem)
    G, inverse = B @ np.linalg.solve(R, B.T), np.linalg.solve(R, S.T)
    A, Q = A - B @ inverse, Q - S @ inverse
    sort = "S" if time == "C" else "U"
    return runs.accuracy(problem, lambda: slycot.sb02md(len(A), A, G, Q, time, sort=sort)[0])


def _accuracy_pencil(problem, time):
    """Solve an example by sg02ad from its matrices."""
    A, B, Q, R, S = runs.example(problem)
    n, m = B.shape

    def solve():
        return slycot.sg02ad(
            time, "B", "N", "U", "N", "N", "S", "N",
            n, m, 1, A, np.eye(n), B, Q, R, S,
        )[1]  # fmt: skip

    return runs.accuracy(problem, solve)


VARIANTS = {
    "sb02md": sb02md,
    "sg02ad": sg02ad,
    "sb02md_care": partial(_accuracy_schur, time="C"),
    "sb02md_dare": partial(_accuracy_schur, time="D"),
    "sg02ad_care": partial(_accuracy_pencil, time="C"),
    "sg02ad_dare": partial(_accuracy_pencil, time="D"),
}
