"""Series, and the matrices of a model for them, for the filter's estimator."""

import numpy as np

from lmmfit.riccati import fit_em
from lmmfit.riccati.checks import as_matrix, as_symmetric
from lmmfit.riccati.systems import fold_descriptor

__all__ = ["estimate_system", "local_level_moments"]

_LEAST = 0.01  # of the variance of the differences, for each of Q and R


def estimate_system(model, series, inputs):
    """The matrices of a model: those given, and estimates of the others.

    Parameters
    ----------
    model : RiccatiFilter
    series : list of ndarray of shape (T, o)
    inputs : list of array-like or None

    Returns
    -------
    A, C, Q, R : array-like or sparse array
    B, S, E : array-like, sparse array or None
        E is None where matrices were estimated: it is then folded into the others.
    mean : array-like or None
        Of the first state.
    em : EMResult or None

    Raises
    ------
    ValueError
        If matrices are missing that are needed, or do not fit the series.
    """
    _check_given(model, inputs)
    A, C = _states_of(model, series[0].shape[1])
    Q, R, B, S, E = model.Q, model.R, model.B, model.S, model.E
    level = model.A is None and model.C is None and E is None
    mean = model.initial_state
    if mean is None and model.A is None and model.C is None:
        mean = _means(np.concatenate(series))
    wanted = model.em
    if wanted is None and not level:
        wanted = tuple(name for name, M in (("Q", Q), ("R", R)) if M is None) or None
    if E is not None and wanted is not None:
        A, Q, B = _folded(E, A, Q, B)
        E = None
    if Q is None or R is None:
        q, r = local_level_moments(series, Q if level else None, R if level else None)
        if not level:  # one size for all states, such that they move the outputs enough
            q = np.full(C.shape[1], q.mean() * len(C) / max(np.square(C).sum(), 1e-300))
        Q, R = np.diag(q) if Q is None else Q, np.diag(r) if R is None else R
    if wanted is None:
        return A, C, Q, R, B, S, E, mean, None
    matrix = None if isinstance(model.initial_cov, str) else model.initial_cov
    em = fit_em(
        A, C, Q, R, series, inputs, B, update=wanted, initial_state=mean, initial_cov=matrix,
        n_iter=model.n_iter_em, tol=model.tol_em,
    )  # fmt: skip
    return em.A, em.C, em.Q, em.R, B, S, E, mean, em


def _states_of(model, o):
    """A and C for o columns; the identity where one is not given."""
    C = np.eye(o) if model.C is None else as_matrix(model.C, "C")
    if len(C) != o:
        raise ValueError(
            f"C must have a row for each of the {o} columns of X, got the shape {C.shape}."
        )
    n = C.shape[1]
    A = np.eye(n) if model.A is None else as_matrix(model.A, "A", sparse=True)
    if A.shape != (n, n):
        more = " Give C too, unless the states are the columns of X." if model.C is None else ""
        raise ValueError(f"A has the shape {A.shape}, for {n} columns of C.{more}")
    return A, C


def _folded(E, A, Q, B):
    """A, Q and B with E folded in; what is None remains so."""
    A, n = as_matrix(A, "A"), A.shape[0]
    B = None if B is None else as_matrix(B, "B", (n, None))
    Q = None if Q is None else as_symmetric(Q, "Q", n)
    return fold_descriptor(E, A, Q, B)[:3]


def _check_given(model, inputs):
    """Refuse to estimate what cannot be, and inputs that would do nothing."""
    if model.time == "continuous":
        lacking = [name for name in "AQR" if getattr(model, name) is None]
        if lacking or model.em is not None:
            raise ValueError(
                "time='continuous' takes A, Q and R as given"
                + (f"; {', '.join(lacking)} is missing." if lacking else ": em must be None.")
            )
        if model.dt is None and (model.B is not None or any(u is not None for u in inputs)):
            given = "B" if model.B is not None else "U"
            raise ValueError(
                f"{given} was given, but time='continuous' without dt finds a gain alone, which "
                "no input changes: give dt, the time from one row to the next, or leave it out."
            )
    if model.S is not None:
        lacking = [name for name in "QR" if getattr(model, name) is None]
        if lacking or model.em is not None:
            raise ValueError(
                "S was given, but Q and R are estimated for independent noises, S = 0: "
                + (f"give {' and '.join(lacking)} too." if lacking else "em must be None.")
            )


def local_level_moments(series, Q=None, R=None):
    """Variances of a local level for each column, from the moments of its differences.

    Parameters
    ----------
    series : list of ndarray of shape (T, o)
        NaN is missing; a difference needs both of its rows.
    Q, R : array-like or sparse array of shape (o, o), optional
        The one that is known.

    Returns
    -------
    q, r : ndarray of shape (o,)
        Positive. Columns without two rows next to each other, or without variance, are given
        differences of the variance 1.
    """
    steps = [np.diff(Y, axis=0) for Y in series]
    d = np.concatenate(steps)
    lagged = np.concatenate([step[1:] * step[:-1] for step in steps])
    v = _means(d**2)
    v[v <= 0.0] = 1.0
    if R is not None:
        r = np.diag(as_matrix(R, "R"))
        return np.maximum(v - 2.0 * r, _LEAST * v), r
    if Q is not None:
        q = np.diag(as_matrix(Q, "Q"))
        return q, np.maximum(0.5 * (v - q), _LEAST * v)
    r = np.clip(-_means(lagged), _LEAST * v, 0.5 * (1.0 - _LEAST) * v)
    return v - 2.0 * r, r


def _means(values):
    """Means of columns over what is there, 0 where nothing is."""
    there = ~np.isnan(values)
    return np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
