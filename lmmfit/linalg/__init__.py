"""Factorization utilities: systems of equations, their conditioning, least squares.

A factor is computed once and solves many right-hand sides: `lu`, `ldl`, `cholesky` and `qr` of
dense matrices, stacks of small ones and, for `lu`, sparse ones; `banded_lu`,
`banded_cholesky` and `tridiagonal_solve` in time proportional to n. `solve_with_bounds` says how
many digits of a solution can be trusted, and `diagnose_design` which columns of a design are
nearly dependent.
"""

from lmmfit._lazy import lazy_names

_HOMES = {
    "gaussian": ("LU", "SparseLU", "StackedLU", "lu"),
    "symmetric": ("BunchKaufman", "Cholesky", "Inertia", "LDL", "NotPositiveDefiniteError",
                  "StackedCholesky", "StackedLDL", "cholesky", "ldl"),
    "orthogonal": ("QR", "qr"),
    "conditioning": ("PerturbationBound", "condition_number", "perturbation_bound"),
    "bounds": ("BoundedSolution", "solve_with_bounds"),
    "refinement": ("Refinement", "iterative_refinement"),
    "band_storage": ("from_band", "to_band"),
    "banded": ("BandedLU", "banded_lu"),
    "banded_symmetric": ("BandedCholesky", "banded_cholesky"),
    "tridiagonal": ("tridiagonal_solve",),
    "collinearity": ("DesignDiagnosis", "NearDependency", "diagnose_design", "diagnose_root"),
    "lstsq": ("LeastSquares", "least_squares"),
    "small": ("lower_factor", "semidefinite_root", "symmetric_eigen"),
}  # fmt: skip
__all__, __getattr__, __dir__ = lazy_names(globals(), _HOMES)
