"""Make rail.json: size of the solutions for the steel rail, by the Schur method.

    OMP_NUM_THREADS=1 python tests/reference/riccati/make_rail.py rail.json [371 1357]

``A'XE + E'XA + s E'XBB'XE + C'C = 0`` with s = -1 (the regulator, R = I and Q = I) and s = 1
(bounded real; B is divided by sqrt(0.2401)), for K = B'XE. The equation is brought to a symmetric
A by the Cholesky factor of E, to time in units of 1 / ||A|| and to B and C of equal norms, and the
stable invariant subspace of its Hamiltonian is found by an ordered real Schur form, with two
corrections by Newton's method: nothing is shared with the package, which iterates. Order 371 takes
some seconds, 1357 some minutes.

Benner, P. and Saak, J. (2005). A semi-discretized heat transfer model for optimal cooling of steel
profiles. In: Dimension Reduction of Large-Scale Systems, LNCSE 45, pages 353-356.

Laub, A. J. (1979). A Schur method for solving algebraic Riccati equations. IEEE Transactions on
Automatic Control 24(6).
"""

import json
import sys

import numpy as np
from scipy.linalg import cholesky, schur, solve_continuous_lyapunov, solve_triangular

from lmmfit.datasets import load_rail

WEIGHT = 0.2401  # R of the bounded-real case is minus this


def by_schur(A, G, H):
    """X with A'X + XA - XGX + H = 0 and a stable A - GX."""
    n = len(A)
    hamiltonian = np.block([[A, -G], [-H, -A.T]])
    _, U, k = schur(hamiltonian, sort="lhp")
    assert k == n
    X = np.linalg.solve(U[:n, :n].T, U[n:, :n].T)
    for _ in range(2):
        X = 0.5 * (X + X.T)
        residual = A.T @ X + X @ A - X @ G @ X + H
        X = X + solve_continuous_lyapunov((A - G @ X).T, -residual)
    X = 0.5 * (X + X.T)
    residual = A.T @ X + X @ A - X @ G @ X + H
    size = np.linalg.norm(X @ G @ X) + np.linalg.norm(H) + 2 * np.linalg.norm(A.T @ X)
    return X, float(np.linalg.norm(residual) / size)


def solved(rail, sign):
    E, C = rail.E.toarray(), np.asarray(rail.C)
    B = np.asarray(rail.B) / (np.sqrt(WEIGHT) if sign == 1 else 1.0)
    L = cholesky(E, lower=True)  # x = L^-T z: A, B, C of an E that is the identity
    A = solve_triangular(L, solve_triangular(L, rail.A.toarray(), lower=True).T, lower=True)
    b = solve_triangular(L, B, lower=True)
    c = solve_triangular(L, C.T, lower=True)
    time = np.linalg.norm(A, 2)
    balance = np.linalg.norm(c) / np.linalg.norm(b)
    A, G, H = A / time, -sign * balance * b @ b.T / time, c @ c.T / balance / time
    Y, residual = by_schur(0.5 * (A + A.T), G, H)
    Y = balance * Y  # L'XL
    X = solve_triangular(L.T, solve_triangular(L.T, Y, lower=False).T, lower=False)
    return {
        "n": len(A), "sign": sign, "residual": residual,
        "norm_K": float(np.linalg.norm(B.T @ X @ E)),
        "trace_X": float(np.trace(X)), "norm_X": float(np.linalg.norm(X, 2)),
    }  # fmt: skip


def main():
    orders = [int(n) for n in sys.argv[2:]] or [371, 1357]
    cases = [solved(load_rail(n), sign) for n in orders for sign in (-1, 1)]
    for case in cases:
        print(case)
    lines = ",\n".join(json.dumps(case) for case in cases)
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
