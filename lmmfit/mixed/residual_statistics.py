"""Sufficient statistics of a model with a residual structure, for any of its parameters.

With ``a = sqrt(w) v`` the weighted columns of a row, ``rho = phi**lag`` and ``-`` marking its
predecessor in the group, the inverse of the residual covariance makes the products::

    sum over rows   a a' / delta**2
    sum over pairs  (rho**2 (a a'/delta**2 + a- a-'/delta-**2)
                     - rho (a a-' + a- a') / (delta delta-)) / (1 - rho**2)

(the inverse of an autoregression is tridiagonal). They are sums of products of fixed rows, those
of ``a + a-`` and ``a - a-`` among them, with coefficients that depend on delta and phi: one pass
for each set of rows, and no row is looked at again. The logarithm of the determinant is
``2 sum n_s log delta_s + sum over pairs log(1 - rho**2) - sum log w``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmmfit.mixed._flat_products import fill_products, flat_products
from lmmfit.mixed._residual_sums import ResidualSums, count_sums
from lmmfit.mixed.crossed import CrossedStatistics
from lmmfit.mixed.layout import Basis
from lmmfit.mixed.residual_rows import ResidualRows
from lmmfit.mixed.rows import take_rows
from lmmfit.mixed.statistics import MixedStatistics

__all__ = ["ResidualStatistics"]

_ROOM = 8, 1 << 21  # numbers that sums may take: so many for each of the rows, or this many


@dataclass(frozen=True, eq=False)
class ResidualStatistics:
    """Statistics of a model as a function of its residual parameters.

    Attributes
    ----------
    plain : MixedStatistics or CrossedStatistics
        Those of independent residuals of one variance.
    rows : ResidualRows
    values : ndarray of shape (c, n)
        Weighted columns of V in the basis of ``plain``, the response last, in the order of
        ``rows``.
    weights : ndarray of shape (n,)
        Weights of these rows, in units of the basis.
    codes : list of ndarray of shape (n,), int64
        Levels of these rows, by grouping factor.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.datasets import load_orthodont
    >>> from lmmfit.mixed import as_columns, bind_design, fit_statistics
    >>> from lmmfit.mixed.residual import parse_residual
    >>> from lmmfit.mixed.residual_statistics import ResidualStatistics
    >>> frame = load_orthodont(as_frame=True).frame
    >>> columns, y = as_columns(frame), frame["distance"].to_numpy()
    >>> design = bind_design(columns, "(1 | Subject)", "age * Sex")
    >>> terms = parse_residual("ident(Sex) + ar1(Subject)")
    >>> statistics = ResidualStatistics.summarize(design, columns, y, terms)
    >>> round(fit_statistics(statistics.at(np.array([1.0, 0.46]), 0.08)).loglik, 4)
    -207.5125
    """

    plain: MixedStatistics
    rows: ResidualRows
    values: np.ndarray
    weights: np.ndarray
    codes: list

    @classmethod
    def summarize(cls, design, columns, y, terms, sample_weight=None):
        """Summarise data.

        Parameters
        ----------
        design : Design
        columns : FrameColumns or ArrayColumns
        y : ndarray of shape (n,)
            Response, before the offset is taken off.
        terms : ResidualTerms
        sample_weight : ndarray of shape (n,), optional

        Returns
        -------
        ResidualStatistics

        Raises
        ------
        ValueError
            If the residual structure does not fit the data or the grouping factors.
        """
        keep = np.ones(len(y), dtype=bool) if sample_weight is None else sample_weight > 0.0
        rows = ResidualRows.read(terms, columns, keep)
        vectors, (codes, levels) = design.vectors(columns), design.encode(columns)
        rows.check_nesting(codes, design.factors)
        offset = design.offset(columns)
        y = y if offset is None else y - offset
        plain = _multiply(design.layout, vectors, y, codes, levels, sample_weight=sample_weight)
        basis = plain.basis
        values = take_rows([*vectors, y], rows.rows, rows.rows.size)
        values -= basis.shift[:, None]
        values = basis.transform.T @ values
        weights = np.ones(rows.rows.size)
        if sample_weight is not None:
            weights = np.asarray(sample_weight)[rows.rows] / basis.weight_unit
            values *= np.sqrt(weights)
        return cls(plain, rows, values, weights, [own[rows.rows] for own in codes])

    @property
    def n_strata(self):
        """Number of strata, 1 without ``ident``."""
        return 1 if self.rows.levels is None else len(self.rows.levels)

    @cached_property
    def counts(self):
        """Rows of each stratum."""
        return np.bincount(self.rows.strata, minlength=self.n_strata)

    @cached_property
    def lags(self):
        """Lags that occur, and the number of pairs of each."""
        return np.unique(self.rows.lags, return_counts=True)

    def at(self, delta, phi=None):
        """Statistics at given residual parameters.

        Parameters
        ----------
        delta : ndarray of shape (n_strata,)
            Standard deviation of each stratum over that of the first.
        phi : float, optional
            Correlation one step apart, between -1 and 1.

        Returns
        -------
        MixedStatistics or CrossedStatistics
            The residual variance of a fit to them is that of the first stratum.
        """
        lags, n_pairs = self.lags
        rho = np.power(0.0 if phi is None else float(phi), lags)
        log_weight = self.plain.sum_log_weight - 2.0 * self.counts @ np.log(delta)
        log_weight = float(log_weight - n_pairs @ np.log1p(-(rho**2)))
        if self.sums is not None:
            return fill_products(self.plain, *self.sums.at(delta, rho), log_weight)
        values, weight = self._whiten(delta, rho)
        products = flat_products(self.multiply(values), self.plain)
        return fill_products(self.plain, products, weight, log_weight)

    @cached_property
    def sums(self):
        """Products that add up to those at any parameters; None where they would be too large.

        So it is with many lags or strata beside few rows: every evaluation then whitens the
        rows.
        """
        per_row, at_least = _ROOM
        size = flat_products(self.plain, self.plain).size
        if count_sums(self) * size > max(per_row * self.values.size, at_least):
            return None
        return ResidualSums.build(self)

    def _whiten(self, delta, rho):
        """Rows with uncorrelated residuals of one variance, and the sum of their weights."""
        scale, at = delta[self.rows.strata], self.rows.current
        rho = rho[np.searchsorted(self.lags[0], self.rows.lags)]
        scaled, weights = self.values / scale, self.weights / scale**2
        white = scaled.copy()
        white[:, at] = (scaled[:, at] - rho * scaled[:, at - 1]) / np.sqrt(1.0 - rho**2)
        ends = rho**2 / (1.0 - rho**2) * (weights[at] + weights[at - 1])
        return white, float(weights.sum() + ends.sum())

    def multiply(self, values, at=slice(None)):
        """Products of rows that are in the basis and weighted already.

        Parameters
        ----------
        values : ndarray of shape (c, k)
        at : ndarray of shape (k,), optional
            Rows whose levels these have.

        Returns
        -------
        MixedStatistics or CrossedStatistics
        """
        c, layout, levels = len(values), self.plain.layout, self.plain.factor_levels
        basis = Basis(np.zeros(c), np.eye(c), np.zeros(0))
        codes = [own[at] for own in self.codes]
        return _multiply(layout, list(values[:-1]), values[-1], codes, levels, basis=basis)


def _multiply(layout, vectors, y, codes, levels, **options):
    """Statistics of rows, by one grouping factor or several."""
    if len(levels) > 1:
        return CrossedStatistics.from_columns(layout, vectors, y, codes, levels, **options)
    codes, levels = (codes[0], levels[0]) if levels else (None, None)
    return MixedStatistics.from_columns(layout, vectors, y, codes, levels, **options)
