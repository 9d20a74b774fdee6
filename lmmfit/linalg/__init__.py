"""Factorization utilities."""

from lmmfit.linalg.small import lower_factor, semidefinite_root, symmetric_eigen

__all__ = ["lower_factor", "semidefinite_root", "symmetric_eigen"]
