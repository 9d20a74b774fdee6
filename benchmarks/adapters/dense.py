"""The dense normal log-density, its Cholesky factor and log-determinant already computed."""

import math

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dtrtrs

DISTRIBUTIONS = ("scipy", "numpy")


def seed(problem):
    y, X, Z, beta, L = (problem.arrays[name] for name in ("y", "X", "Z", "beta", "L"))
    sigma2 = float(problem.arrays["sigma2"])
    mean = X @ beta
    factor = np.asfortranarray(np.linalg.cholesky(Z @ L @ L.T @ Z.T + sigma2 * np.eye(len(y))))
    constant = len(y) * math.log(2 * math.pi) + 2 * np.log(np.diag(factor)).sum()

    def scipy():
        white = solve_triangular(factor, y - mean, lower=True, check_finite=False)
        return float(-0.5 * (constant + white @ white))

    def lapack():
        white = dtrtrs(factor, y - mean, lower=1)[0].ravel()
        return float(-0.5 * (constant + white @ white))

    return {"dense, solve_triangular": scipy, "dense, dtrtrs": lapack}


VARIANTS = {"seed": seed}
