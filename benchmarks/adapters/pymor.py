"""pyMOR's low-rank solver of Riccati equations, RADI."""

import numpy as np
import scipy.sparse as sp
from pymor.core.logger import set_log_levels
from pymor.operators.numpy import NumpyMatrixOperator
from pymor.solvers.matrix_equations.equations import RiccatiEquation
from pymor.solvers.matrix_equations.radi import RADIRiccatiSolver

from benchmarks import _riccati_runs as runs
from benchmarks._riccati_systems import unpack

DISTRIBUTIONS = ("pymor", "numpy", "scipy")

set_log_levels({"pymor": "ERROR"})


def radi(problem):
    """Solve the regulator's equation; shifts from more columns of the factor are worse here."""
    A, E, B, C = unpack(problem.arrays, "A", "E", "B", "C")
    A_, E_ = (NumpyMatrixOperator(sp.csc_matrix(M)) for M in (A, E))
    B_, C_ = A_.source.from_numpy(B), A_.source.from_numpy(np.ascontiguousarray(C.T))
    solver = RADIRiccatiSolver(radi_tol=problem.spec["tol"])

    def solve():
        return RiccatiEquation(A_, E_, B_, C_, trans=True).solve_lr(solver)

    def read(found):
        Z = found.to_numpy()
        return Z, (E.T @ (Z @ (Z.T @ B))).T, {"shifts": Z.shape[1] // len(C)}

    norm = problem.spec["norms"]["-1"]
    return {"(1-)": runs.low_rank_solution(problem, solve, read, "RADI (1-)", sign=-1, known=norm)}


VARIANTS = {"radi": radi}
