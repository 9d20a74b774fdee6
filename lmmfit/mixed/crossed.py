"""Sufficient statistics of a model with several grouping factors, additive over rows."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from lmmfit.mixed._crossed_kernels import add_by_level, add_pairs, match_pairs
from lmmfit.mixed._row_kernels import accumulate
from lmmfit.mixed.layout import Basis, Layout, principal
from lmmfit.mixed.rows import Rows
from lmmfit.mixed.statistics import MixedStatistics

__all__ = [
    "CrossedStatistics",
    "FactorProducts",
    "PairProducts",
    "factor_products",
    "summarize_rows",
]


@dataclass(frozen=True, eq=False)
class FactorProducts:
    """Products of one grouping factor, level by level.

    Attributes
    ----------
    gram : ndarray of shape (m, q, q)
        ``Z'Z`` of each level, for the q random effects of the factor.
    cross : ndarray of shape (m, q, p + 1)
        ``Z'[X y]`` of each level.
    """

    gram: np.ndarray
    cross: np.ndarray

    def __len__(self):
        return len(self.gram)


@dataclass(frozen=True, eq=False)
class PairProducts:
    """Products ``Z_f'Z_g`` of two grouping factors, for the pairs of levels that occur.

    Attributes
    ----------
    rows, columns : ndarray of shape (n_pairs,), int64
        Levels of f and of g, sorted by the former, then the latter.
    values : ndarray of shape (n_pairs, q_f, q_g)
    """

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    @property
    def swapped(self):
        """The same products from the side of g."""
        order = np.lexsort((self.rows, self.columns))
        values = np.ascontiguousarray(self.values[order].swapaxes(1, 2))
        return PairProducts(self.columns[order], self.rows[order], values)


@dataclass(frozen=True, eq=False)
class CrossedStatistics:
    """Cross-products of a linear mixed model with several grouping factors.

    As :class:`MixedStatistics` for one factor: one pass over the rows makes them, statistics
    of disjoint rows add with ``+``, and the likelihood needs nothing else of the data.

    Attributes
    ----------
    layout : Layout
        Roles of the columns.
    basis : Basis
        Basis in which the products are held.
    n_rows : int
    sum_log_weight : float
        Sum of the logarithms of the weights.
    weight : float
        Sum of the weights, in units of the basis.
    total : ndarray of shape (c, c)
        Products of all columns, response last, over all rows.
    factors : tuple of FactorProducts
        By grouping factor, in the order in which the random terms name them.
    pairs : dict of (int, int) to PairProducts
        For factors f < g.
    counts : tuple of ndarray
        Rows of each level, by factor.
    levels : tuple of GroupLevels
        The levels, by factor.
    """

    layout: Layout
    basis: Basis
    n_rows: int
    sum_log_weight: float
    weight: float
    total: np.ndarray
    factors: tuple
    pairs: dict
    counts: tuple
    levels: tuple

    @classmethod
    def from_columns(cls, layout, vectors, y, codes, levels, *, sample_weight=None, basis=None):
        """Summarise columns laid out by ``layout``; None stands for a column of ones.

        Parameters
        ----------
        layout : Layout
        vectors : list of ndarray of shape (n,)
            The columns of V, in the order of ``layout.columns``.
        y : ndarray of shape (n,)
        codes : sequence of ndarray of shape (n,), int64
            Level of each row, by factor.
        levels : sequence of GroupLevels
        sample_weight : ndarray of shape (n,), optional
        basis : Basis, optional

        Returns
        -------
        CrossedStatistics
        """
        rows = Rows.check(layout, vectors, y, sample_weight, basis)
        codes = [rows.kept(own) for own in codes]
        basis, c, m = rows.basis, len(rows.columns), [len(own) for own in levels]
        z = [np.array(layout.random)[effects] for effects in layout.effects]
        right = np.append(layout.fixed_positions, c - 1)
        grams = [np.zeros((size, own.size, own.size)) for size, own in zip(m, z, strict=True)]
        crosses = [np.zeros((size, own.size, right.size)) for size, own in zip(m, z, strict=True)]
        matched = {
            (f, g): match_pairs(codes[f], codes[g], m[f], m[g])
            for f in range(len(m)) for g in range(f + 1, len(m))
        }  # fmt: skip
        values = {
            (f, g): np.zeros((index.size, z[f].size, z[g].size))
            for (f, g), (_, index, _) in matched.items()
        }
        total, nothing = np.zeros((c, c)), np.empty((0, 0, 0))
        for at, block, weighted in rows.blocks():
            accumulate(
                block, weighted, basis.shift, basis.transform, basis.diagonal, codes[0][:0],
                rows.weights[at], 0, nothing, total,
            )  # fmt: skip
            for f, own in enumerate(z):
                add_by_level(block, weighted, own, own, codes[f][at], grams[f])
                add_by_level(block, weighted, own, right, codes[f][at], crosses[f])
            for (f, g), (*_, position) in matched.items():
                add_by_level(block, weighted, z[f], z[g], position[at], values[f, g])
        total = np.triu(total) + np.triu(total, 1).T
        rows.check_total(total)
        pairs = {
            (f, g): PairProducts(np.repeat(np.arange(m[f]), np.diff(pointer)), index, values[f, g])
            for (f, g), (pointer, index, _) in matched.items()
        }
        return cls(
            layout, basis, len(rows), rows.sum_log_weight, rows.weight, total,
            tuple(map(FactorProducts, grams, crosses)), pairs,
            tuple(map(np.bincount, codes, [None] * len(m), m)), tuple(levels),
        )  # fmt: skip

    @property
    def n_groups(self):
        """Number of levels of all factors."""
        return sum(map(len, self.factors))

    @property
    def factor_levels(self):
        """Levels of each grouping factor."""
        return self.levels

    def __add__(self, other):
        if not isinstance(other, CrossedStatistics):
            return NotImplemented
        self.layout.require_same(other.layout)
        other = other.rebase(self.basis)
        merged = [mine.union(new) for mine, new in zip(self.levels, other.levels, strict=True)]
        levels = tuple(own for own, _, _ in merged)
        sides = (self, [at for _, at, _ in merged]), (other, [at for *_, at in merged])
        factors, counts = [], []
        for f, own in enumerate(levels):
            m, like = len(own), self.factors[f]
            gram, cross = np.zeros((m, *like.gram.shape[1:])), np.zeros((m, *like.cross.shape[1:]))
            count = np.zeros(m, dtype=np.int64)
            for part, moves in sides:
                gram[moves[f]] += part.factors[f].gram
                cross[moves[f]] += part.factors[f].cross
                count[moves[f]] += part.counts[f]
            factors.append(FactorProducts(gram, cross))
            counts.append(count)
        pairs = {key: _merge_pairs(key, sides, levels) for key in self.pairs}
        return CrossedStatistics(
            self.layout, self.basis, self.n_rows + other.n_rows,
            self.sum_log_weight + other.sum_log_weight, self.weight + other.weight,
            self.total + other.total, tuple(factors), pairs, tuple(counts), levels,
        )  # fmt: skip

    def rebase(self, basis):
        """Express the products in another basis; exact up to rounding.

        Parameters
        ----------
        basis : Basis

        Returns
        -------
        CrossedStatistics
        """
        if basis is self.basis:
            return self
        layout, change = self.layout, self.basis.change(self.layout, basis)
        unit = self.basis.weight_unit / basis.weight_unit
        right = principal(change, (*layout.fixed, len(layout.columns)))
        left = [
            block_diag(
                *(
                    principal(change, layout.random[start:stop])
                    for (start, stop), owner in zip(layout.blocks, layout.owners, strict=True)
                    if owner == f
                )
            )
            for f in range(layout.n_factors)
        ]
        factors = tuple(
            FactorProducts(unit * (own.T @ part.gram @ own), unit * (own.T @ part.cross @ right))
            for own, part in zip(left, self.factors, strict=True)
        )
        pairs = {
            (f, g): PairProducts(
                part.rows, part.columns, unit * (left[f].T @ part.values @ left[g])
            )
            for (f, g), part in self.pairs.items()
        }
        return CrossedStatistics(
            layout, basis, self.n_rows, self.sum_log_weight, unit * self.weight,
            unit * (change.T @ self.total @ change), factors, pairs, self.counts, self.levels,
        )  # fmt: skip


def _merge_pairs(key, sides, levels):
    """Products of two factors from both sides, at the levels of the union."""
    f, g = key
    rows = np.concatenate([moves[f][part.pairs[key].rows] for part, moves in sides])
    columns = np.concatenate([moves[g][part.pairs[key].columns] for part, moves in sides])
    pointer, index, position = match_pairs(rows, columns, len(levels[f]), len(levels[g]))
    given = np.concatenate([part.pairs[key].values for part, _ in sides])
    values = np.zeros((index.size, *given.shape[1:]))
    add_pairs(given, position, values)
    return PairProducts(np.repeat(np.arange(len(levels[f])), np.diff(pointer)), index, values)


def summarize_rows(layout, vectors, y, codes, levels, *, sample_weight=None, basis=None):
    """Statistics of the kind that the number of grouping factors asks for.

    Parameters
    ----------
    layout : Layout
    vectors : list of ndarray of shape (n,)
        The columns of V; None stands for a column of ones.
    y : ndarray of shape (n,)
    codes : list of ndarray of shape (n,), int64
        Level of each row, by factor.
    levels : list of GroupLevels
    sample_weight : ndarray of shape (n,), optional
    basis : Basis, optional

    Returns
    -------
    MixedStatistics or CrossedStatistics
        The latter for several grouping factors.
    """
    options = {"sample_weight": sample_weight, "basis": basis}
    if len(levels) > 1:
        return CrossedStatistics.from_columns(layout, vectors, y, codes, levels, **options)
    code, level = (codes[0], levels[0]) if levels else (None, None)
    return MixedStatistics.from_columns(layout, vectors, y, code, level, **options)


def factor_products(statistics):
    """Products by factor, and of pairs of factors, of any statistics.

    Parameters
    ----------
    statistics : MixedStatistics or CrossedStatistics

    Returns
    -------
    factors : tuple of FactorProducts
    pairs : dict of (int, int) to PairProducts
    """
    if isinstance(statistics, CrossedStatistics):
        return statistics.factors, statistics.pairs
    layout = statistics.layout
    if not layout.random:
        return (), {}
    gram = statistics.products[layout.rows_of(layout.random, layout.random)]
    right = [*layout.fixed, len(layout.columns)]
    cross = statistics.products[layout.rows_of(layout.random, right)]
    only = FactorProducts(*(np.ascontiguousarray(a.transpose(2, 0, 1)) for a in (gram, cross)))
    return (only,), {}
