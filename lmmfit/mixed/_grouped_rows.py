"""The rows of a fit in groups, and the statistics of the model without each group."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lmmfit.mixed._crossed_kernels import add_by_level
from lmmfit.mixed._given_rows import GivenRows
from lmmfit.mixed._row_kernels import accumulate
from lmmfit.mixed.design import require_column
from lmmfit.mixed.factors import GroupLevels, encode
from lmmfit.mixed.rows import Rows
from lmmfit.mixed.statistics import MixedStatistics

__all__ = ["GroupedRows"]

_SAME = 1e-7  # relative difference of products beyond which rows are not those of the fit


@dataclass(frozen=True, eq=False)
class GroupedRows:
    """All rows of a fit, those of weight zero left out, and a group of each.

    Attributes
    ----------
    statistics : MixedStatistics or CrossedStatistics
        Those of the fit.
    vectors : list of ndarray of shape (n,)
        The columns of V, None for ones.
    y : ndarray of shape (n,)
        Response, its offset taken off.
    codes : list of ndarray of shape (n,), int64
        Level of each row, by factor.
    weights : ndarray of shape (n,) or None
    by : str
        Name of the groups.
    labels : ndarray of shape (m,)
    groups : ndarray of shape (n,), int64
    factor : int or None
        The grouping factor whose levels the groups are.
    """

    statistics: object
    vectors: list
    y: np.ndarray
    codes: list
    weights: np.ndarray
    by: str
    labels: np.ndarray
    groups: np.ndarray
    factor: int

    @classmethod
    def check(cls, model, X, y=None, by=None, sample_weight=None):
        """Group the rows of a fit; make sure that they are.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted.
        X : data frame or array-like of shape (n, n_features)
        y : array-like of shape (n,), optional
        by : str, optional
            Grouping factor or column; by default the only grouping factor.
        sample_weight : array-like of shape (n,) or str, optional

        Returns
        -------
        GroupedRows

        Raises
        ------
        ValueError
            If ``by`` is missing, unknown or has one level, or the rows are not those of the
            fit.
        """
        rows, design, statistics = GivenRows.check(model, X), model.design_, model.statistics_
        weights, offset = rows.weights(model, sample_weight), design.offset(rows.columns)
        y = rows.response(model, y)
        y = y if offset is None else y - offset
        factors = [":".join(names) for names in design.factors]
        if by is None and len(factors) == 1:
            by = factors[0]
        if by in factors:
            factor = factors.index(by)
            groups, labels = rows.codes[factor], statistics.factor_levels[factor].labels
        else:
            factor, (groups, labels) = None, _encode(by, rows.columns, factors)
        codes, vectors = rows.codes, rows.vectors
        if weights is not None and not (weights > 0.0).all():
            keep = weights > 0.0
            vectors = [None if vector is None else vector[keep] for vector in vectors]
            codes, groups = [own[keep] for own in codes], groups[keep]
            y, weights = y[keep], weights[keep]
        found = cls(statistics, vectors, y, codes, weights, by, labels, groups, factor)
        found._check()
        return found

    def _check(self):
        n, m, total = self.statistics.n_rows, len(self.labels), self.statistics.total
        if m < 2:
            raise ValueError(f"{self.by!r} has {m} level(s): without it no rows are left.")
        if len(self.y) != n:
            raise ValueError(
                f"X must hold the {n} rows of the fit, got {len(self.y)} (with a positive weight)."
            )
        size = np.sqrt(np.abs(total.diagonal()))
        if np.any(np.abs(self.products.sum(axis=0) - total) > _SAME * np.outer(size, size)):
            raise ValueError(
                "X, y and sample_weight are not the rows of the fit: their products differ."
            )

    @cached_property
    def counts(self):
        """Rows of each group."""
        return np.bincount(self.groups, minlength=len(self.labels))

    @cached_property
    def products(self):
        """Products of all columns, response last, of each group: (m, c, c) in the fit's basis."""
        basis = self.statistics.basis
        rows = Rows.check(self.statistics.layout, self.vectors, self.y, self.weights, basis)
        every = np.arange(len(rows.columns))
        out = np.zeros((len(self.labels), every.size, every.size))
        nothing = np.empty((0, 0, 0))
        for at, block, weighted in rows.blocks():
            accumulate(
                block, weighted, basis.shift, basis.transform, basis.diagonal, self.groups[:0],
                rows.weights[at], 0, nothing, np.zeros(out.shape[1:]),
            )  # fmt: skip
            add_by_level(block, weighted, every, every, self.groups[at], out)
        return out

    def owners(self):
        """For each grouping factor the group of each of its levels.

        Returns
        -------
        list of ndarray of int64

        Raises
        ------
        ValueError
            If two groups share a level.
        """
        found = []
        for own, levels in zip(self.codes, self.statistics.factor_levels, strict=True):
            owner = np.zeros(len(levels), dtype=np.int64)
            owner[own] = self.groups
            shared = owner[own] != self.groups
            if shared.any():
                level = levels.labels[own[int(np.argmax(shared))]]
                raise ValueError(
                    f"refit=False needs groups that share no level of a grouping factor, and "
                    f"several levels of {self.by!r} share {level!r} of "
                    f"{':'.join(levels.names)!r}; use refit=True."
                )
            found.append(owner)
        return found

    def without(self):
        """Statistics of the model without each group.

        Returns
        -------
        callable
            From the position of a group to the statistics without it.
        """
        if self.factor == 0 and isinstance(self.statistics, MixedStatistics):
            return _by_sums(self)
        return lambda k: _from_rows(self, self.groups != k)


def _encode(by, columns, factors):
    """Groups and labels of a column that is no grouping factor."""
    if by is None:
        raise ValueError(
            f"the model has the grouping factors {factors}; say with by= which of them, or which "
            "column of X, to leave out by."
        )
    if not isinstance(by, str):
        raise TypeError(f"by must be the name of a column or grouping factor, got {by!r}.")
    names = (by,) if by in columns.names else tuple(by.split(":"))
    for name in names:
        require_column(name, columns, "by names")
    groups, levels = encode([columns.raw(name) for name in names], names)
    return groups, levels.labels


def _by_sums(rows):
    """With one grouping factor: sums over the levels before and those after; nothing cancels."""
    statistics, products, counts = rows.statistics, rows.products, rows.counts
    m, parts = len(counts), statistics.levels
    before, after = np.zeros_like(products), np.zeros_like(products)
    np.cumsum(products[:-1], axis=0, out=before[1:])
    after[:-1] = np.cumsum(products[:0:-1], axis=0)[::-1]
    weight, log_weight = counts.astype(np.float64), np.zeros(m)
    if rows.weights is not None:
        weight = np.bincount(rows.groups, rows.weights, m)
        log_weight = np.bincount(rows.groups, np.log(rows.weights), m)

    def without(k):
        others = np.arange(m) != k
        return replace(
            statistics, n_rows=int(counts[others].sum()),
            sum_log_weight=float(log_weight[others].sum()),
            weight=float(weight[others].sum()) / statistics.basis.weight_unit,
            total=before[k] + after[k], products=np.compress(others, statistics.products, axis=1),
            counts=statistics.counts[others],
            levels=GroupLevels(parts.names, parts.parts, parts.combinations[others]),
        )  # fmt: skip

    return without


def _from_rows(rows, keep):
    """Statistics of some of the rows; levels that none of them has are left out."""
    statistics, codes, levels = rows.statistics, [], []
    for own, known in zip(rows.codes, statistics.factor_levels, strict=True):
        present, position = np.unique(own[keep], return_inverse=True)
        codes.append(position.astype(np.int64, copy=False))
        levels.append(GroupLevels(known.names, known.parts, known.combinations[present]))
    if isinstance(statistics, MixedStatistics):
        codes, levels = (codes[0], levels[0]) if codes else (None, None)
    return type(statistics).from_columns(
        statistics.layout, [None if vector is None else vector[keep] for vector in rows.vectors],
        rows.y[keep], codes, levels,
        sample_weight=None if rows.weights is None else rows.weights[keep],
    )  # fmt: skip
