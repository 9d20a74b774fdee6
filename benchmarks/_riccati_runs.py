"""How the suite `riccati` times solvers of equations, and how it judges their answers."""

import gc
from time import perf_counter

import numpy as np
import scipy.sparse as sp

from benchmarks._case import Operation
from benchmarks._riccati_systems import unpack

REPEATS, LONG = 5, 1.0
"""Runs in a process, and the seconds after which there is no further one."""


def dense_system(problem):
    """The matrices A, B, C as arrays, and the sign.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    A, B, C : ndarray
    sign : {1, -1}
    """
    A, B, C = unpack(problem.arrays, "A", "B", "C")
    return A.toarray() if sp.issparse(A) else A, B, C, problem.spec["sign"]


def solution(problem, solve, read, how):
    """Return the operation that solves ``A'X + XA + sign XBB'X + C'C = 0``.

    Parameters
    ----------
    problem : Problem
        Arrays A, B, C; ``sign``.
    solve : callable
        Without arguments -> whatever the package returns; this is timed.
    read : callable
        That -> X, or its factor Z as a tuple ``(Z,)``, and a dict of further figures. Not timed.
    how : str
        What is done.

    Returns
    -------
    Operation
    """
    A, B, C, sign = dense_system(problem)

    def judge(found):
        X, figures = read(found)
        X = X[0] @ X[0].T if isinstance(X, tuple) else X
        return {"residual": residual(A, B, C, sign, X)} | figures

    return timed(solve, judge, how)


def low_rank_solution(problem, solve, read, how, *, sign, known):
    """Return the operation that solves ``A'XE + E'XA + sign E'XBB'XE + C'C = 0`` for a factor.

    Parameters
    ----------
    problem : Problem
        Arrays A, E, C, and B of (1-) or ``B+`` of (1+).
    solve, read, how
        As of `solution`, with ``read`` giving Z, the gain K and a dict of further figures.
    sign : {1, -1}
    known : float
        Frobenius norm of the right K.

    Returns
    -------
    Operation
    """
    A, E, B, C = unpack(problem.arrays, "A", "E", "B", "C")
    B = problem.arrays["B+"] if sign == 1 else B

    def judge(found):
        Z, K, figures = read(found)
        return figures | {
            "columns": int(Z.shape[1]),
            "residual": low_rank_residual(A, E, B, C, sign, Z),
            "error of |K|": float(abs(np.linalg.norm(K) / known - 1.0)),
        }

    return timed(solve, judge, how)


def timed(call, judge, how, *, warm=None):
    """Return the operation that calls several times and judges the last answer.

    A first call that takes less than a second is not counted: it is that of a library which has
    not done anything yet.

    Parameters
    ----------
    call : callable
    judge : callable
        What it returned -> figures.
    how : str
    warm : callable, optional
        Called first, where a call takes long and something is compiled.

    Returns
    -------
    Operation
    """

    def run():
        if warm is not None:
            warm()
        found, first = _clocked(call)
        seconds = [first] if first >= LONG or warm is not None else []
        while len(seconds) < REPEATS and sum(seconds) < LONG:
            found, taken = _clocked(call)
            seconds.append(taken)
        return {"seconds": seconds, "figures": judge(found)}

    return Operation(run, how)


def _clocked(call):
    gc.collect()
    begin = perf_counter()
    found = call()
    return found, perf_counter() - begin


def residual(A, B, C, sign, X):
    """Frobenius norm of the residual of X over that of C'C.

    Parameters
    ----------
    A, B, C, X : ndarray
    sign : {1, -1}

    Returns
    -------
    float
    """
    XA, XB, constant = X @ A, X @ B, C.T @ C
    rest = XA + XA.T + sign * (XB @ XB.T) + constant
    return float(np.linalg.norm(rest) / np.linalg.norm(constant))


def low_rank_residual(A, E, B, C, sign, Z):
    """Spectral norm of the residual of Z Z' over that of C'C, from factors alone.

    The residual is F M F' with F = (A'Z, E'Z, C') and a small M: with F = Q T its norm is that of
    T M T'.

    Parameters
    ----------
    A, E : sparse array of shape (n, n)
        E may be None, for the identity.
    B, C, Z : ndarray of shape (n, m), (p, n), (n, k)
    sign : {1, -1}

    Returns
    -------
    float
    """
    EZ, k, p = Z if E is None else E.T @ Z, Z.shape[1], len(C)
    T = np.linalg.qr(np.hstack([A.T @ Z, EZ, C.T]), mode="r")
    M, ZB = np.zeros((2 * k + p, 2 * k + p)), Z.T @ B
    M[:k, k : 2 * k] = M[k : 2 * k, :k] = np.eye(k)
    M[k : 2 * k, k : 2 * k] = sign * (ZB @ ZB.T)
    M[2 * k :, 2 * k :] = np.eye(p)
    return float(np.linalg.norm(T @ M @ T.T, 2) / np.linalg.norm(C @ C.T, 2))


def accuracy(problem, solve):
    """Return the operation that solves an example whose solution is known.

    Parameters
    ----------
    problem : Problem
        Array X; ``rounding``: relative change of X by rounding the example's matrices.
    solve : callable
        Without arguments -> X; this is timed.

    Returns
    -------
    Operation
        Its error is relative and in units of that rounding.
    """
    wanted = problem.arrays["X"]

    def judge(X):
        error = np.linalg.norm(np.asarray(X) - wanted) / np.linalg.norm(wanted)
        return {"relative error": float(error)}

    inner = timed(solve, judge, "")

    def run():
        found = inner()
        error = found["figures"]["relative error"] / problem.spec["rounding"]
        return found | {"error": error if np.isfinite(error) else None}

    return Operation(run)


def example(problem):
    """The matrices A, B, C'QC, R, S of an example.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    list of ndarray
    """
    A, B, C, Q, R, S = (problem.arrays[name] for name in "ABCQRS")
    return [A, B, C.T @ Q @ C, R, S]
