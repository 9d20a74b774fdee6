"""One model fitted to many responses of the same rows, such as genes, voxels or proteins.

The design, its products and the order of elimination are made once. Each response is taken in
units of its own, its least-squares fit off, so that none loses digits to another.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from lmmfit.mixed._crossed_kernels import add_responses
from lmmfit.mixed.batch import (
    ResponseProducts,
    fit_batch,
    in_user_units,
    with_response,
)
from lmmfit.mixed.block_factor import BlockFactor
from lmmfit.mixed.blocks import BlockSystem
from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.crossed import summarize_rows
from lmmfit.mixed.layout import Basis
from lmmfit.mixed.rows import Rows, take_rows
from lmmfit.mixed.solution import fit_statistics, give_to_kept

__all__ = ["ManyFits", "fit_many"]

_ROWS_PER_BLOCK = 4096
_PERFECT_FIT = 1e-20  # residual share of the sum of squares below which nothing is left


@dataclass(frozen=True, eq=False)
class ManyFits:
    """Fits of one model to k responses.

    Attributes
    ----------
    statistics : MixedStatistics or CrossedStatistics
        Of the first response.
    method : {"reml", "ml"}
    theta : ndarray of shape (k, n_theta)
    lambda_ : ndarray of shape (k, q, q)
    beta : ndarray of shape (k, p)
        Fixed effects; 0 for aliased ones.
    beta_covariance : ndarray of shape (k, p, p)
    sigma2, deviance : ndarray of shape (k,)
    aliased : list of int
    n_iter : ndarray of shape (k,)
    converged, singular : ndarray of bool, shape (k,)
    products : ResponseProducts
        Of the responses, each in its own units.
    scale, mean : ndarray of shape (k,)
        Units of each response, 0 where the fixed effects reproduce it, and what was taken off.
    pilot : ndarray of shape (k, p)
        Coefficients of its least-squares fit in the basis.
    """

    statistics: object
    method: str
    theta: np.ndarray
    lambda_: np.ndarray
    beta: np.ndarray
    beta_covariance: np.ndarray
    sigma2: np.ndarray
    deviance: np.ndarray
    aliased: list
    n_iter: np.ndarray
    converged: np.ndarray
    singular: np.ndarray
    products: ResponseProducts
    scale: np.ndarray
    mean: np.ndarray
    pilot: np.ndarray

    def __getstate__(self):
        """Without the modes: they can be computed again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __len__(self):
        return len(self.sigma2)

    @property
    def block_covariances(self):
        """Covariance matrices of the random effects of each term, (k, q, q)."""
        covariance = self.sigma2[:, None, None] * (self.lambda_ @ self.lambda_.swapaxes(1, 2))
        return [
            covariance[:, start:stop, start:stop] for start, stop in self.statistics.layout.blocks
        ]

    @cached_property
    def modes(self):
        """Conditional modes, (levels, q, k) by grouping factor."""
        statistics = self.statistics
        layout, basis = statistics.layout, statistics.basis
        system = BlockSystem.of(statistics)
        factor, k = BlockFactor(system), len(self)
        scale = basis.random_map(layout)
        back = basis.coefficient_map(layout, layout.fixed)
        roots = basis.relative_root(layout, self.lambda_)
        beta = self.beta.copy()
        if layout.intercept in layout.fixed:
            beta[:, layout.fixed.index(layout.intercept)] -= self.mean
        unit = np.where(self.scale > 0.0, self.scale, 1.0)
        gamma = (np.linalg.solve(back, beta.T).T - self.pilot) / unit[:, None]
        out = [np.empty((m, own.size, k)) for m, own in zip(system.sizes, system.effects,
                                                            strict=True)]  # fmt: skip
        with factor.limited:
            for j in range(k):
                factor.update(roots[j])
                columns = system.cross.copy()
                for f, own in enumerate(self.products.by_level):
                    columns[system.rows(f), -1] = own[j].ravel()
                columns[:, -1] -= columns[:, :-1] @ gamma[j]
                solved, _ = factor.solve(columns[:, -1:].copy())
                for f, own in enumerate(system.effects):
                    part = system.by_level(solved, f)[..., 0] @ scale[own[:, None], own].T
                    out[f][..., j] = self.scale[j] * part
        return out

    def response(self, j):
        """The fit of one response, with all that follows from one.

        Parameters
        ----------
        j : int

        Returns
        -------
        MixedFit
        """
        statistics = with_response(self.statistics, self.products, j)
        layout, old = statistics.layout, self.statistics.basis
        shift, transform = old.shift.copy(), old.transform.copy()
        unit = self.scale[j] or 1.0
        shift[-1], transform[-1, -1] = self.mean[j], 1.0 / unit
        columns = layout.fixed_positions
        transform[:-1, -1] = -(old.transform[:-1, columns] @ self.pilot[j]) / unit
        basis = Basis(shift, transform, -self.pilot[j] / unit, old.weight_unit)
        return fit_statistics(replace(statistics, basis=basis), self.method, start=self.theta[j])


def fit_many(design, columns, Y, method="reml", *, sample_weight=None, tol=1e-9, max_iter=100,
             n_jobs=None, tick=None):  # fmt: skip
    """Fit a model to many responses.

    Parameters
    ----------
    design : Design
    columns : FrameColumns or ArrayColumns
        n rows.
    Y : ndarray of shape (n, k)
    method : {"reml", "ml"}, default="reml"
    sample_weight : ndarray of shape (n,), optional
    tol, max_iter :
        As for :func:`fit_statistics`.
    n_jobs : int, optional
        Threads, as joblib counts them.
    tick : callable, optional
        Called with the number of responses that were done since the last call.

    Returns
    -------
    ManyFits

    Raises
    ------
    ValueError
        If a value is not finite; the message names response and row.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import as_columns, bind_design, fit_many
    >>> X, y = load_sleepstudy(return_X_y=True, as_frame=True)
    >>> columns = as_columns(X)
    >>> both = np.column_stack([y, np.log(y)])
    >>> fit_many(bind_design(columns, "(Days | Subject)"), columns, both).deviance.round(3)
    array([1743.628, -298.481])
    """
    _check_finite(Y)
    offset = design.offset(columns)
    Y = Y if offset is None else Y - offset[:, None]
    nothing, vectors, (codes, levels) = (
        np.zeros(len(Y)),
        design.vectors(columns),
        design.encode(columns),
    )
    rows = Rows.check(design.layout, vectors, nothing, sample_weight)
    rows = replace(rows, basis=_without_response(rows.basis))
    statistics = summarize_rows(
        design.layout, vectors, nothing, codes, levels, sample_weight=sample_weight,
        basis=rows.basis,
    )  # fmt: skip
    Y = Y if rows.keep is None else Y[rows.keep]
    codes = [rows.kept(own) for own in codes]
    products, scale, mean, pilot = _summarize(statistics, rows, codes, Y)
    fitted = np.flatnonzero(scale)  # the others are reproduced by the fixed effects
    batch = fit_batch(
        statistics, products.take(fitted), method, tol=tol, max_iter=max_iter, n_jobs=n_jobs,
        tick=tick,
    )  # fmt: skip
    return _publish(statistics, method, batch, fitted, products, scale, mean, pilot)


def _without_response(basis):
    """The basis of the columns; the response is left as it is."""
    transform, shift = basis.transform.copy(), basis.shift.copy()
    transform[:, -1], transform[-1, -1], shift[-1] = 0.0, 1.0, 0.0
    return Basis(shift, transform, np.zeros_like(basis.pilot_fit), basis.weight_unit)


def _check_finite(Y):
    if not np.isfinite(Y).all():
        row, j = map(int, np.argwhere(~np.isfinite(Y))[0])
        what = "NaN" if np.isnan(Y[row, j]) else "infinity"
        raise ValueError(
            f"response {j} contains {what}, first in row {row}: drop or impute such rows, or fit "
            "that response by itself."
        )


def _summarize(statistics, rows, codes, Y):
    """Products of the responses less their least-squares fits, in units of what is left."""
    layout, basis = statistics.layout, statistics.basis
    fixed, random = layout.fixed_positions, np.array(layout.random, dtype=np.int64)
    k, p = Y.shape[1], fixed.size
    mean = np.zeros(k)
    if layout.intercept in layout.fixed:
        mean = np.average(Y, axis=0, weights=rows.weights if rows.weights.size else None)
    cross = np.zeros((p, k))  # rounding of a large mean is left to the second pass
    for at, _, weighted in _blocks(rows, basis):
        cross += weighted[:, fixed].T @ Y[at] - np.outer(weighted[:, fixed].sum(axis=0), mean)
    gram = statistics.total[fixed[:, None], fixed]
    pilot = np.linalg.lstsq(gram, cross, rcond=1e-10)[0] if p else cross
    by_level = [
        np.zeros((len(own), effects.size, k))
        for own, effects in zip(statistics.factor_levels, layout.effects, strict=True)
    ]
    left, square = np.zeros((p, k)), np.zeros(k)
    for at, V, weighted in _blocks(rows, basis):
        block = np.column_stack([V[:, fixed], np.ones(len(V))]) @ np.vstack([pilot, mean])
        np.subtract(Y[at], block, out=block)
        left += weighted[:, fixed].T @ block
        square += _column_squares(block, rows.weights[at])
        for own, effects, out in zip(codes, layout.effects, by_level, strict=True):
            z = np.ascontiguousarray(weighted[:, random[effects]])
            add_responses(z, block, own[at], out)
    exact = square <= _PERFECT_FIT * _column_squares(Y, rows.weights)
    scale = np.sqrt(square / statistics.weight)
    scale[exact] = 0.0  # what is left is rounding
    unit = np.where(exact, 1.0, scale)
    by_level = [own * ~exact for own in by_level]
    left, square = left * ~exact, square * ~exact
    by_level = [np.ascontiguousarray((own / unit).transpose(2, 0, 1)) for own in by_level]
    return ResponseProducts(by_level, (left / unit).T, square / unit**2), scale, mean, pilot.T


def _column_squares(block, weights):
    """Weighted sums of squares of the columns; no weights for an empty array."""
    if weights.size:
        return weights @ block**2
    return np.einsum("ij,ij->j", block, block)


def _blocks(rows, basis):
    """Columns in the basis, and the same weighted, some rows at a time."""
    for lo in range(0, len(rows), _ROWS_PER_BLOCK):
        at = slice(lo, min(lo + _ROWS_PER_BLOCK, len(rows)))
        raw = take_rows(rows.columns[:-1], at, at.stop - lo).T
        V = (raw - basis.shift[:-1]) @ basis.transform[:-1, :-1]
        weighted = V * rows.weights[at][:, None] if rows.weights.size else V
        yield at, V, weighted


def _publish(statistics, method, batch, fitted, products, scale, mean, pilot):
    """Estimates in the units of the user."""
    criterion, layout, basis = (
        profiled_criterion(statistics, method), statistics.layout, statistics.basis,
    )  # fmt: skip
    k, p = len(scale), len(layout.fixed)
    kept = criterion.fixed
    columns = [layout.fixed[j] for j in kept]
    back = basis.coefficient_map(layout, columns)
    gamma = np.array(give_to_kept(criterion, pilot))
    gamma[fitted] += scale[fitted, None] * batch.beta
    beta, covariance = np.zeros((k, p)), np.zeros((k, p, p))
    beta[:, kept] = gamma @ back.T
    if layout.intercept in layout.fixed:
        beta[:, layout.fixed.index(layout.intercept)] += mean
    variance, deviance = np.zeros(k), np.full(k, -np.inf)
    variance[fitted] = batch.rss / criterion.nu * scale[fitted] ** 2
    deviance[fitted] = batch.value + 2.0 * criterion.nu * np.log(scale[fitted])
    covariance[np.ix_(fitted, kept, kept)] = variance[fitted, None, None] * (
        back @ batch.covariance @ back.T
    )
    lambda_ = np.zeros((k, criterion.q, criterion.q))
    lambda_[fitted] = in_user_units(criterion, batch)
    n_iter, converged, singular = np.ones(k, dtype=np.int64), np.ones(k, bool), np.zeros(k, bool)
    n_iter[fitted], converged[fitted] = batch.n_iter, batch.converged
    singular[fitted] = batch.singular
    rows, positions = layout.theta_positions
    return ManyFits(
        statistics, method, lambda_[:, rows, positions], lambda_, beta, covariance,
        variance * basis.weight_unit, deviance, criterion.aliased, n_iter, converged, singular,
        products, scale, mean, pilot,
    )  # fmt: skip
