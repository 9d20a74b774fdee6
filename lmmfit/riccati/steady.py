"""The steady-state Kalman filter: gain, covariances, and what proves them."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, lu_factor, lu_solve, solve_triangular
from scipy.sparse import csc_array, issparse
from scipy.sparse.linalg import splu

from lmmfit.riccati.care import solve_care
from lmmfit.riccati.checks import as_dense, check_definite, check_descriptor, few_columns
from lmmfit.riccati.dare import solve_dare
from lmmfit.riccati.errors import NotDetectableError, NotStabilizableError
from lmmfit.riccati.sampling import discretise
from lmmfit.riccati.systems import check_system, fold_descriptor, uncorrelated

__all__ = ["ContinuousFilter", "SteadyFilter", "kalman_bucy", "steady_filter"]


class _KernelArrays(NamedTuple):
    """In the order of :func:`filter_rows`, which says what they are."""

    A: np.ndarray
    At: np.ndarray
    Bt: np.ndarray
    C: np.ndarray
    both_t: np.ndarray
    Q: np.ndarray
    R: np.ndarray
    P: np.ndarray
    Kt: np.ndarray
    cross: np.ndarray
    ahead_t: np.ndarray
    whiten_t: np.ndarray
    constant: float


@dataclass(frozen=True, eq=False)
class SteadyFilter:
    """Steady-state Kalman filter of ``x[t+1] = A x[t] + B u[t] + w``, ``y[t] = C x[t] + v``.

    Attributes
    ----------
    A : ndarray of shape (n, n)
    C : ndarray of shape (o, n)
    Q : ndarray of shape (n, n)
        Covariance of w.
    R : ndarray of shape (o, o)
        Covariance of v.
    B : ndarray of shape (n, k)
        Without columns where there are no inputs.
    cross : ndarray of shape (n, o)
        Covariance of w and v; the parameter S of :func:`steady_filter`.
    K : ndarray of shape (n, o)
        Gain of the filter, ``P C' S^{-1}``: x[t|t] = x[t|t-1] + K (y[t] - C x[t|t-1]).
    P : ndarray of shape (n, n)
        Covariance of x[t] given all y before t.
    P_filtered : ndarray of shape (n, n)
        Covariance of x[t] given y[t] too.
    S : ndarray of shape (o, o)
        Covariance of the innovations, ``C P C' + R``.
    L : ndarray of shape (o, o)
        Lower Cholesky factor of S.
    spectral_radius : float
        Largest size of an eigenvalue of ``A - K_predictor C``, below 1.
    residual_norm : float
        Of the Riccati equation, relative to the sizes of its terms.
    converged : bool
    n_iter : int
    method : str
        How the equation was solved.

    Examples
    --------
    >>> from lmmfit.riccati import steady_filter
    >>> nile = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])
    >>> nile.K.round(10), nile.converged
    (array([[0.26704801]]), True)
    """

    A: np.ndarray = field(repr=False)
    C: np.ndarray = field(repr=False)
    Q: np.ndarray = field(repr=False)
    R: np.ndarray = field(repr=False)
    B: np.ndarray = field(repr=False)
    cross: np.ndarray = field(repr=False)
    K: np.ndarray = field(repr=False)
    P: np.ndarray = field(repr=False)
    P_filtered: np.ndarray = field(repr=False)
    S: np.ndarray = field(repr=False)
    L: np.ndarray = field(repr=False)
    spectral_radius: float
    residual_norm: float
    converged: bool
    n_iter: int
    method: str

    @property
    def K_predictor(self):
        """Gain from a row to the next, ``A K + cross S^{-1}``.

        x[t+1|t] = A x[t|t-1] + B u[t] + K_predictor (y[t] - C x[t|t-1]).
        """
        return self.A @ self.K + self._drift

    @property
    def _drift(self):
        """What an innovation tells of w, ``cross S^{-1}``."""
        return cho_solve((self.L, True), self.cross.T).T

    def __getstate__(self):
        return {k: v for k, v in vars(self).items() if k != "_kernel_arrays"}

    @cached_property
    def _kernel_arrays(self):
        """What the kernels take, in their order, contiguous."""
        o = len(self.C)
        inverse = solve_triangular(self.L, np.eye(o), lower=True)
        constant = -0.5 * o * np.log(2.0 * np.pi) - np.log(np.diag(self.L)).sum()
        cross = self.cross if self.cross.any() else self.cross[:0]  # nothing to do, row by row
        matrices = (
            self.A, self.A.T, self.B.T, self.C, np.vstack([self.A, self.C]).T, self.Q, self.R,
            self.P, self.K.T, cross, self.K_predictor.T, inverse.T,
        )  # fmt: skip
        # Of one kind, whether the filter was read from a file or not: kernels are compiled for it.
        own = (np.require(M, np.float64, ["C", "W", "E"]) for M in matrices)
        return _KernelArrays(*own, float(constant))


def steady_filter(
    A, C, Q, R, B=None, *, S=None, E=None, time="discrete", dt=None, solver="auto", tol=1e-12,
    max_iter=None,
):  # fmt: skip
    """Steady-state Kalman filter of ``E x[t+1] = A x[t] + B u[t] + w``, ``y[t] = C x[t] + v``.

    With E the identity, the predicted covariance P solves
    ``P = A P A' - (A P C' + S) (C P C' + R)^{-1} (C P A' + S') + Q``, the equation of a regulator
    of the transposed system. Of correlated noises the part ``S R^{-1} v`` of w is taken into A
    first: what remains is independent of v.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
        Covariance of w, positive semidefinite.
    R : array-like or sparse array of shape (o, o)
        Covariance of v, positive definite.
    B : array-like or sparse array of shape (n, k), optional
        Of known inputs.
    S : array-like or sparse array of shape (n, o), optional
        Covariance of w and v of the same row, E[w v'], such that ``[Q S; S' R]`` is positive
        semidefinite; zero by default.
    E : array-like or sparse array of shape (n, n), optional
        Not singular; the identity by default. It is folded into the other matrices.
    time : {"discrete", "continuous"}, default="discrete"
        With ``continuous``, A, B and Q are those of ``E dx = A x dt + B u dt + dw``, w with the
        covariance Q per unit of time, that is sampled every ``dt``; R stays that of a sample, and
        S must be None.
    dt : float, optional
        Time from one sample to the next, for ``continuous``.
    solver : str, default="auto"
        ``method`` of :func:`solve_dare`.
    tol : float, default=1e-12
        Residual of the equation, relative to the sizes of its terms.
    max_iter : int, optional
        Of :func:`solve_dare`.

    Returns
    -------
    SteadyFilter
        Of the system with E folded in, sampled where time is continuous: its A is ``E^{-1} A``,
        its Q ``E^{-1} Q E^{-T}``, its cross ``E^{-1} S``.

    Warns
    -----
    RuntimeWarning
        If the residual is above ``tol`` and above rounding.

    Raises
    ------
    ValueError
        If a matrix has a wrong shape, an element that is not finite, or is not symmetric or
        definite as it must be, if E is singular, or if ``time``, ``dt`` and S do not suit each
        other.
    NotDetectableError
        If C does not see a mode of A that is not stable: its variance grows for ever.
    NotStabilizableError
        If Q does not drive a mode that is not stable: the gain for it vanishes with time. With S
        these are the modes of ``A - S R^{-1} C``, driven by ``Q - S R^{-1} S'``.
    RiccatiError
        If no stabilizing solution was found.

    References
    ----------
    Anderson, B. D. O. and Moore, J. B. (1979). Optimal Filtering. Prentice-Hall, chapter 4.

    Examples
    --------
    >>> from lmmfit.riccati import steady_filter
    >>> nile = steady_filter([[1.0]], [[1.0]], [[1469.1]], [[15099.0]])
    >>> nile.P.round(7), nile.P_filtered.round(7)
    (array([[5501.2579418]]), array([[4032.1579418]]))

    Its innovations form is the same series, with ``w = K v``: nothing is left to estimate.

    >>> K, S = nile.K, nile.S
    >>> steady_filter([[1.0]], [[1.0]], K @ S @ K.T, S, S=K @ S).K_predictor.round(10)
    array([[0.26704801]])
    """
    A, C, Q, R, B, cross = check_system(A, C, Q, R, B, S)
    if E is not None:
        A, Q, B, cross = fold_descriptor(E, A, Q, B, cross)
    if time not in ("discrete", "continuous"):
        raise ValueError(f"time={time!r} is neither 'discrete' nor 'continuous'.")
    if time == "continuous":
        if dt is None:
            raise ValueError(
                "time='continuous' needs dt, the time between samples. Without samples, "
                "kalman_bucy gives the gain."
            )
        if S is not None:
            raise ValueError(
                "S is the covariance of w and v at the same time; with dt, v is the noise of a "
                "sample and w that of the time between two, and no S says how they go together. "
                "Sample with discretise, and give the S of the samples with time='discrete'."
            )
        A, Q, B = map(np.ascontiguousarray, discretise(A, Q, dt, B))
    elif dt is not None:
        raise ValueError(f"dt={dt!r} is for time='continuous'.")
    loop, root = uncorrelated(A, C, Q, R, cross)
    with _in_words_of_filters(S, E):
        found = solve_dare(loop.T, C.T, root, R=R, method=solver, tol=tol, max_iter=max_iter)
    P = found.X
    innovation = C @ P @ C.T + R
    innovation = 0.5 * (innovation + innovation.T)
    L = check_definite(innovation, "C P C' + R")
    K = cho_solve((L, True), C @ P).T
    left = np.eye(len(A)) - K @ C
    P_filtered = left @ P @ left.T + K @ R @ K.T
    return SteadyFilter(
        A, C, Q, R, B, cross, np.ascontiguousarray(K), P, 0.5 * (P_filtered + P_filtered.T),
        innovation, L, float(found.rightmost), found.residual_norm, found.converged,
        found.n_iter, found.method,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ContinuousFilter:
    """Kalman-Bucy filter ``dx = A x dt + B u dt + K (dy - C x dt)``, in its steady state.

    Where there was an E, A and B are ``E^{-1}`` times those given.

    Attributes
    ----------
    K : ndarray of shape (n, o)
        Gain, ``(P C' + S) R^{-1}``, with ``E^{-1} S`` where there was an E.
    P : ndarray of shape (n, n)
        Covariance of x given all that was observed.
    rightmost : complex
        Eigenvalue of ``A - K C`` with the largest real part, below 0.
    residual_norm : float
        Of the Riccati equation, relative to the sizes of its terms.
    converged : bool
    n_iter : int
    method : str

    Examples
    --------
    >>> from lmmfit.riccati import kalman_bucy
    >>> found = kalman_bucy([[-1.0]], [[1.0]], [[3.0]], [[1.0]])
    >>> round(found.rightmost.real, 6)
    -2.0
    """

    K: np.ndarray = field(repr=False)
    P: np.ndarray = field(repr=False)
    rightmost: complex
    residual_norm: float
    converged: bool
    n_iter: int
    method: str


def kalman_bucy(A, C, Q, R, *, S=None, E=None, solver="auto", tol=1e-12, max_iter=None):
    """Gain for ``E dx = A x dt + dw`` observed continuously through ``dy = C x dt + dv``.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
        Kept sparse if the ranks of Q and R are small beside n, or ``solver`` is ``cfqadi``.
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
        Covariance of w per unit of time, positive semidefinite.
    R : array-like or sparse array of shape (o, o)
        Covariance of v per unit of time, positive definite.
    S : array-like or sparse array of shape (n, o), optional
        Covariance of w and v per unit of time, such that ``[Q S; S' R]`` is positive
        semidefinite; zero by default. A does not stay sparse with it.
    E : array-like or sparse array of shape (n, n), optional
        Not singular; the identity by default.
    solver : str, default="auto"
        ``method`` of :func:`solve_care`.
    tol : float, default=1e-12
    max_iter : int, optional

    Returns
    -------
    ContinuousFilter

    Raises
    ------
    ValueError
        As :func:`steady_filter`.

    References
    ----------
    Kalman, R. E. and Bucy, R. S. (1961). New results in linear filtering and prediction theory.
    Journal of Basic Engineering 83.

    Examples
    --------
    >>> from lmmfit.riccati import kalman_bucy
    >>> kalman_bucy([[-1.0]], [[1.0]], [[3.0]], [[1.0]]).K.round(6)
    array([[1.]])
    """
    A, C, Q, R, _, cross = check_system(A, C, Q, R, S=S, sparse=True)
    E = None if E is None else check_descriptor(E, A.shape[0])
    A, root = uncorrelated(A, C, Q, R, cross)
    if solver != "cfqadi" and not few_columns(len(root) + len(C), A.shape[0]):
        A, E = as_dense(A), as_dense(E)
    with _in_words_of_filters(S, E):
        found = solve_care(
            A.T, C.T, root, E=None if E is None else E.T, R=R, method=solver, tol=tol,
            max_iter=max_iter,
        )  # fmt: skip
    # The gain of the equation is that of w - S R^-1 v, and is E times that of the filter.
    K = found.K.T + cho_solve((check_definite(R, "R"), True), cross.T).T
    if E is not None:
        K = splu(csc_array(E)).solve(K) if issparse(E) else lu_solve(lu_factor(E), K)
    return ContinuousFilter(
        np.ascontiguousarray(K), found.X, found.rightmost, found.residual_norm,
        found.converged, found.n_iter, found.method,
    )  # fmt: skip


@contextmanager
def _in_words_of_filters(S, E):
    """Turn errors about the transposed system into ones about the filter."""
    A = "A" if E is None else "E^-1 A"
    driven, Q = (A, "Q") if S is None else (f"{A} - S R^-1 C", "Q - S R^-1 S'")
    if E is not None and S is not None:
        driven = "E^-1 (A - S R^-1 C)"
    try:
        yield
    except NotStabilizableError as error:
        raise NotDetectableError(
            f"C does not see {_mode_in(error)} of {A}, which is not stable: its variance grows "
            "for ever, and there is no steady state. Observe it, or leave it out."
        ) from None
    except NotDetectableError as error:
        raise NotStabilizableError(
            f"{Q} does not drive {_mode_in(error)} of {driven}, which is not stable: the gain for "
            "it vanishes with time, and there is no steady state. Give it a variance in Q."
        ) from None


def _mode_in(error):
    """The words "the mode 1.1"; a matrix and its transpose have the same modes."""
    return str(error).partition(" of A is not stable")[0]
