"""Maximum likelihood for the matrices of a linear Gaussian model by the EM algorithm."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from lmmfit.riccati._smoother_kernels import row_moments
from lmmfit.riccati.errors import RiccatiError
from lmmfit.riccati.kalman import as_inputs, as_outputs, run_filter, series_of, start_filter
from lmmfit.riccati.smoother import some_covariance
from lmmfit.riccati.steady import SteadyFilter, steady_filter
from lmmfit.riccati.systems import check_system

__all__ = ["EMResult", "fit_em"]

_SHORT = 1000  # rows up to which the exact recursion is cheaper than a Riccati equation
_WIDE = 1e4  # variances of the first state, in steady ones


@dataclass(frozen=True, eq=False)
class EMResult:
    """Matrices found by the EM algorithm.

    Attributes
    ----------
    A : ndarray of shape (n, n)
    C : ndarray of shape (o, n)
    Q : ndarray of shape (n, n)
    R : ndarray of shape (o, o)
    loglik : float
        Log-likelihood at them.
    history : list of float
        Log-likelihood after each iteration; it does not fall by more than rounding.
    n_iter : int
        EM steps, those included that an extrapolation was tried with.
    converged : bool
    initial_state : ndarray of shape (n,)
        Mean of the first state, which is kept.
    initial_cov : ndarray of shape (n, n)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import fit_em
    >>> Y = np.cumsum(np.random.default_rng(0).standard_normal(200))[:, None]
    >>> found = fit_em(np.eye(1), np.eye(1), np.eye(1), np.eye(1), Y, n_iter=30)
    >>> found.loglik == found.history[-1]
    True
    """

    A: np.ndarray
    C: np.ndarray
    Q: np.ndarray
    R: np.ndarray
    loglik: float
    history: list = field(repr=False)
    n_iter: int
    converged: bool
    initial_state: np.ndarray = field(repr=False)
    initial_cov: np.ndarray = field(repr=False)


def fit_em(
    A, C, Q, R, Y, U=None, B=None, *, update=("Q", "R"), initial_state=None, initial_cov=None,
    n_iter=100, tol=1e-6, accelerate=True,
):  # fmt: skip
    """Maximise the likelihood over some of the matrices.

    Each step takes the exact moments of the states given all rows, missing elements included, and
    the matrices that are best for them. Two steps are extrapolated (SQUAREM), and the result is
    taken only if its likelihood is no lower. The noises w and v are taken to be independent: the
    cross covariance S is zero.

    Parameters
    ----------
    A : array-like or sparse array of shape (n, n)
    C : array-like or sparse array of shape (o, n)
    Q : array-like or sparse array of shape (n, n)
    R : array-like or sparse array of shape (o, o)
        Where to begin. Directions without variance stay without it.
    Y : array-like of shape (T, o), or list of such
        Series; NaN is missing, element by element.
    U : array-like of shape (T, k), or list of such, optional
        Known inputs.
    B : array-like or sparse array of shape (n, k), optional
    update : sequence of {"A", "C", "Q", "R"}, default=("Q", "R")
        Matrices to find. A and C together are found up to a change of the state's coordinates.
    initial_state : array-like of shape (n,), optional
        Mean of the first state, kept; zero by default.
    initial_cov : array-like of shape (n, n), optional
        Its covariance, kept; by default a wide one, ten thousand times the steady covariance of
        the matrices given.
    n_iter : int, default=100
        EM steps at most.
    tol : float, default=1e-6
        Change of each matrix by one EM step, relative to its size, that ends it.
    accelerate : bool, default=True
        Whether to extrapolate.

    Returns
    -------
    EMResult

    Raises
    ------
    ValueError
        If a matrix or series has a wrong shape or value, or ``update`` names something else.

    References
    ----------
    Shumway, R. H. and Stoffer, D. S. (1982). An approach to time series smoothing and forecasting
    using the EM algorithm. Journal of Time Series Analysis 3(4).

    Varadhan, R. and Roland, C. (2008). Simple and globally convergent methods for accelerating
    the convergence of any EM algorithm. Scandinavian Journal of Statistics 35(2).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import fit_em, simulate, steady_filter
    >>> true = steady_filter([[1.0]], [[1.0]], [[1.0]], [[4.0]])
    >>> Y, _ = simulate(true, 3000, seed=0)
    >>> found = fit_em([[1.0]], [[1.0]], [[0.3]], [[1.0]], Y)
    >>> found.Q.round(1), found.R.round(1), found.converged
    (array([[1.]]), array([[4.]]), True)
    """
    A, C, Q, R, B, _ = check_system(A, C, Q, R, B)
    update = tuple(update)
    if not update or not set(update) <= set("ACQR"):
        raise ValueError(f"update={update!r} must name some of 'A', 'C', 'Q', 'R'.")
    if n_iter < 1:
        raise ValueError(f"n_iter must be at least 1, got {n_iter!r}.")
    if initial_cov is None:
        initial_cov = _WIDE * steady_filter(A, C, Q, R, B).P
    plain = _without_steady(A, C, Q, R, B)
    start = start_filter(plain, initial_state, initial_cov)
    series, inputs, _ = series_of(Y, U)
    series = [as_outputs(plain, y) for y in series]
    inputs = [as_inputs(plain, u, len(y)) for u, y in zip(inputs, series, strict=True)]
    step = _Step(B, start, series, inputs, update)
    best, history, steps, converged = _climb(step, (A, C, Q, R), n_iter, tol, accelerate)
    return EMResult(*best, history[-1], history, steps, converged, start.mean, start.cov)


def _climb(step, theta, n_iter, tol, accelerate):
    """EM steps in pairs, with an extrapolation after each pair (Varadhan and Roland 2008)."""
    history, steps = [], 0
    new, value = step(theta)
    history.append(value)
    while True:
        steps += 1
        if _change(new, theta) <= tol or steps >= n_iter:
            converged = _change(new, theta) <= tol
            value = step.loglik(new)
            if value >= history[-1]:
                theta = new
                history.append(value)
            return theta, history, steps, bool(converged)
        middle, (new, value) = new, step(new)
        history.append(value)
        tried = _extrapolate(theta, middle, new) if accelerate and steps + 2 < n_iter else None
        theta = middle
        if tried is not None:
            steps += 1
            after, reached = _tried(step, tried)
            if reached >= value:
                theta, new = tried, after
                history.append(reached)


def _tried(step, theta):
    try:
        return step(theta)
    except ValueError:  # so far out that covariances are no longer definite
        return theta, -np.inf


def _change(new, old):
    return max(
        np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300)
        for a, b in zip(new, old, strict=True)
    )


def _extrapolate(first, second, third):
    """The point that two EM steps lead to, or None where it is no model."""
    sizes = [max(np.linalg.norm(M), 1e-300) for M in first]
    r = [(b - a) / s for a, b, s in zip(first, second, sizes, strict=True)]
    v = [(c - 2.0 * b + a) / s for a, b, c, s in zip(first, second, third, sizes, strict=True)]
    bend = np.sqrt(sum((M**2).sum() for M in v))
    if bend == 0.0:
        return None
    alpha = -np.sqrt(sum((M**2).sum() for M in r)) / bend
    if alpha >= -1.0:  # no longer than the two steps themselves
        return None
    point = [
        a + s * (-2.0 * alpha * d + alpha**2 * e)
        for a, s, d, e in zip(first, sizes, r, v, strict=True)
    ]
    A, C, Q, R = point
    low = np.linalg.eigvalsh(third[3])[0]
    if np.linalg.eigvalsh(R)[0] <= 1e-3 * low:
        return None
    values = np.linalg.eigvalsh(Q)
    if values[0] < -1e-14 * max(values[-1], 0.0) or values[-1] <= 0.0:
        return None
    return A, C, Q, R


class _Step:
    """The EM step of some series, and the likelihood where it begins."""

    def __init__(self, B, start, series, inputs, update):
        self.B, self.start, self.update = B, start, update
        self.series, self.inputs = series, inputs
        self.rows = sum(map(len, series))

    def _system(self, theta):
        if self.rows > _SHORT:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                try:
                    return steady_filter(*theta, self.B)
                except (RiccatiError, RuntimeWarning):
                    pass  # no steady state, or none exact enough: each row's own covariance
        return _without_steady(*theta, self.B)

    def loglik(self, theta):
        """Log-likelihood of all series."""
        system = self._system(theta)
        return sum(
            float(run_filter(system, Y, U, self.start, ("loglik",))[0]["loglik"].sum())
            for Y, U in zip(self.series, self.inputs, strict=True)
        )

    def __call__(self, theta):
        """The next matrices, and the log-likelihood at the given ones."""
        (A, C, Q, R), system, total = theta, self._system(theta), 0.0
        o, n = C.shape
        ww, wx, xx, all_xx = (np.zeros((n, n)) for _ in range(4))
        vv, vx = np.zeros((o, o)), np.zeros((o, n))
        for Y, U in zip(self.series, self.inputs, strict=True):
            kept, slots, covs, _ = run_filter(system, Y, U, self.start, ("predicted", "loglik"))
            total += float(kept["loglik"].sum())
            row_moments(
                Y, U, kept["predicted"], slots, covs, some_covariance(system, slots, covs),
                A, np.ascontiguousarray(A.T), self.B, C, R, ww, wx, xx, vv, vx, all_xx,
            )  # fmt: skip
        pairs = self.rows - len(self.series)
        if pairs:
            A, Q = self._regress("A", "Q", A, Q, ww, wx, xx, pairs)
        C, R = self._regress("C", "R", C, R, vv, vx, all_xx, self.rows)
        return (A, C, Q, R), total

    def _regress(self, matrix, covariance, M, V, errors, cross, square, count):
        """Regression on the states, from the moments of the errors with the matrix so far."""
        if matrix in self.update:
            slope = np.linalg.solve(square, cross.T).T
            M = np.ascontiguousarray(M + slope)
            errors = errors - slope @ cross.T
        if covariance in self.update:
            values, vectors = np.linalg.eigh(0.5 * (errors + errors.T) / count)
            V = (vectors * np.maximum(values, 0.0)) @ vectors.T  # rounding goes below zero
            V = 0.5 * (V + V.T)
        return M, V


def _without_steady(A, C, Q, R, B):
    """A system whose covariances are followed row by row: none is equal to NaN."""
    o, n = C.shape
    none = np.full((n, n), np.nan)
    return SteadyFilter(
        A, C, Q, R, B, np.zeros((n, o)), np.full((n, o), np.nan), none, none, np.eye(o), np.eye(o),
        np.nan, np.nan, False, 0, "none",
    )  # fmt: skip
