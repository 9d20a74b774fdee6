"""One model fitted to many responses: everything that does not depend on them is shared."""

import copy
from dataclasses import dataclass, replace

import numpy as np

from lmmfit.mixed._batch_kernels import fit_responses
from lmmfit.mixed._descent_kernels import room_size
from lmmfit.mixed._profile_kernels import workspace_size
from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.crossed import CrossedStatistics
from lmmfit.mixed.layout import principal
from lmmfit.mixed.likelihood import aligned
from lmmfit.mixed.moments import moment_factors
from lmmfit.mixed.newton import optimize_criterion

__all__ = ["BatchFit", "ResponseProducts", "fit_batch"]

_NEWTON_STEPS = 12
_AT_ONCE = 128  # responses of one call, between two ticks


@dataclass(frozen=True, eq=False)
class ResponseProducts:
    """Products of k responses with the columns of a model, in the basis of its statistics.

    Attributes
    ----------
    by_level : list of ndarray of shape (k, levels, q)
        ``Z'y`` by grouping factor.
    fixed : ndarray of shape (k, p)
        ``X'y``.
    square : ndarray of shape (k,)
        ``y'y``.
    """

    by_level: list
    fixed: np.ndarray
    square: np.ndarray

    def __len__(self):
        return len(self.square)

    def take(self, chosen):
        """Products of some of the responses."""
        if len(chosen) == len(self):
            return self
        by_level = [np.ascontiguousarray(own[chosen]) for own in self.by_level]
        return ResponseProducts(by_level, self.fixed[chosen], self.square[chosen])


@dataclass(frozen=True, eq=False)
class BatchFit:
    """Fits of k responses, in the basis of the statistics.

    Attributes
    ----------
    lambda_ : ndarray of shape (k, q, q)
        Relative covariance factors.
    beta : ndarray of shape (k, p)
        Coefficients of the columns that are kept.
    covariance : ndarray of shape (k, p, p)
        ``(X'V^-1 X)^-1``.
    rss : ndarray of shape (k,)
        Weighted residual sums of squares.
    value : ndarray of shape (k,)
        Criterion, with its constant.
    n_iter : ndarray of shape (k,)
    converged, singular : ndarray of bool, shape (k,)
    """

    lambda_: np.ndarray
    beta: np.ndarray
    covariance: np.ndarray
    rss: np.ndarray
    value: np.ndarray
    n_iter: np.ndarray
    converged: np.ndarray
    singular: np.ndarray


def fit_batch(statistics, products, method="reml", *, tol=1e-9, max_iter=100, start=None,
              n_jobs=None, tick=None):  # fmt: skip
    """Fit a model to many responses.

    Parameters
    ----------
    statistics : MixedStatistics or CrossedStatistics
        Of the design and any one response.
    products : ResponseProducts
        Of all responses.
    method : {"reml", "ml"}, default="reml"
    tol, max_iter :
        As for :func:`fit_statistics`.
    start : ndarray of shape (q, q), optional
        Factor to start from, in the basis; that of moments by default.
    n_jobs : int, optional
        Threads, as joblib counts them.
    tick : callable, optional
        Called with the number of responses that were done since the last call.

    Returns
    -------
    BatchFit
    """
    criterion = profiled_criterion(statistics, method)
    k, q, p = len(products), criterion.q, len(criterion.fixed)
    out = BatchFit(
        np.zeros((k, q, q)), np.empty((k, p)), np.empty((k, p, p)), np.empty(k), np.empty(k),
        np.zeros(k, dtype=np.int64), np.zeros(k, dtype=bool), np.zeros(k, dtype=bool),
    )  # fmt: skip
    if isinstance(statistics, CrossedStatistics) or not q:
        open_cases = np.arange(k)
    else:
        open_cases = _fit_compiled(criterion, products, start, tol, n_jobs, tick, out)
    for j in open_cases:
        one = _with_response(criterion, products, j)
        optimum = optimize_criterion(one, start=start, tol=tol, max_iter=max_iter)
        out.lambda_[j], out.value[j] = optimum.lambda_, optimum.value
        out.beta[j], out.covariance[j], out.rss[j] = one.beta, one.covariance, one.rss
        out.n_iter[j], out.converged[j] = optimum.n_iter, optimum.converged
        out.singular[j] = bool(optimum.null_directions)
        if tick is not None:
            tick(1)
    return out


def _fit_compiled(criterion, products, start, tol, n_jobs, tick, out):
    """The responses whose optimum needs no second look; returns the others."""
    k, n_theta = len(products), criterion.n_theta
    layout = criterion.statistics.layout
    plain = replace(criterion.statistics)
    kept = np.array(criterion.fixed, dtype=np.int64)
    zy = np.ascontiguousarray(products.by_level[0].swapaxes(1, 2))
    xy = np.ascontiguousarray(products.fixed[:, kept])
    columns = *(layout.fixed[j] for j in criterion.fixed), len(layout.columns)
    g_row = layout.rows_of(layout.random, layout.random)
    c_row = layout.rows_of(layout.random, columns)
    effects = {int(row): a for a, row in enumerate(c_row[:, -1])}
    y_rows = np.array(list(effects), dtype=np.int64)
    zy = np.ascontiguousarray(zy[:, list(effects.values())])
    theta, outcomes = np.empty((k, n_theta)), np.zeros(k, dtype=np.int64)
    total = principal(plain.total, columns)
    q, p = criterion.q, kept.size
    rows, columns = layout.theta_positions
    if start is None:
        first = moment_factors(plain, kept, products.by_level, xy, products.square)
        starts = np.ascontiguousarray(first[:, rows, columns])
    else:
        starts = np.tile(criterion.pack(start), (k, 1))
    chunks = np.array_split(np.arange(k), max(1, -(-k // _AT_ONCE))) if k else []

    def run(own):
        fit_responses(
            own[0], own[-1] + 1, zy, xy, products.square, y_rows, _NEWTON_STEPS, tol,
            plain.n_groups, plain.products.copy(), g_row, c_row, np.empty(0),
            total.copy(), float(criterion.nu), criterion.reml, *layout.theta_positions,
            criterion._identity, aligned(workspace_size(q, p + 1, n_theta)), np.empty((p, p)),
            np.empty((q, q)), np.empty(n_theta), np.empty((n_theta, n_theta)),
            np.empty(room_size(q, n_theta)), starts, criterion.pack(criterion._identity),
            theta, out.beta, out.covariance, out.value, out.rss, out.n_iter, outcomes,
        )  # fmt: skip
        if tick is not None:
            tick(int((outcomes[own] > 0).sum()))

    if n_jobs in (None, 1):
        for own in chunks:
            run(own)
    else:
        from joblib import Parallel, delayed

        Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(run)(own) for own in chunks)
    out.value[:] += criterion.constant
    out.lambda_[:, rows, columns] = np.where(outcomes[:, None] == 2, 0.0, theta)
    out.converged[:], out.singular[:] = outcomes > 0, outcomes == 2
    return np.flatnonzero(outcomes == 0)


def with_response(statistics, products, j):
    """The statistics with another response.

    Parameters
    ----------
    statistics : MixedStatistics or CrossedStatistics
    products : ResponseProducts
    j : int

    Returns
    -------
    MixedStatistics or CrossedStatistics
    """
    layout, total = statistics.layout, statistics.total.copy()
    at = layout.fixed_positions
    total[at, -1] = total[-1, at] = products.fixed[j]
    total[-1, -1] = products.square[j]
    if isinstance(statistics, CrossedStatistics):
        factors = []
        for own, part in zip(products.by_level, statistics.factors, strict=True):
            cross = part.cross.copy()
            cross[:, :, -1] = own[j]
            factors.append(replace(part, cross=cross))
        return replace(statistics, total=total, factors=tuple(factors))
    values = statistics.products.copy()
    if layout.random:
        values[layout.rows_of(layout.random, [len(layout.columns)])[:, 0]] = products.by_level[0][
            j
        ].T
    return replace(statistics, total=total, products=values)


def _with_response(criterion, products, j):
    """The criterion with another response; what does not depend on it is shared."""
    one = copy.copy(criterion)
    one.statistics = with_response(criterion.statistics, products, j)
    if isinstance(criterion.statistics, CrossedStatistics):
        system, cross = criterion.system, criterion._cross.copy()
        for f, own in enumerate(products.by_level):
            cross[system.rows(f), -1] = own[j].ravel()
        kept = [*criterion.fixed]
        total = criterion._total.copy()
        total[:-1, -1] = total[-1, :-1] = products.fixed[j][kept]
        total[-1, -1] = products.square[j]
        one._cross, one._total, one._at_zero = cross, total, None
    else:
        one._prepare()
    return one


def in_user_units(criterion, batch):
    """Relative covariance factors in the user's effects, lower triangular.

    Parameters
    ----------
    criterion : ProfiledCriterion or BlockCriterion
    batch : BatchFit

    Returns
    -------
    ndarray of shape (k, q, q)
    """
    out = np.zeros_like(batch.lambda_)
    for start, stop in criterion.statistics.layout.blocks:
        own = slice(start, stop)
        mapped = criterion.random_map[own, own] @ batch.lambda_[:, own, own]
        upper = np.linalg.qr(mapped.swapaxes(1, 2), mode="r")  # of all responses at once
        sign = np.where(np.diagonal(upper, axis1=1, axis2=2) < 0.0, -1.0, 1.0)
        out[:, own, own] = (upper * sign[:, :, None]).swapaxes(1, 2)
    return out
