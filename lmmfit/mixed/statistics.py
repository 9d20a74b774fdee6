"""Sufficient statistics of a linear mixed model: cross-products, additive over rows."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lmmfit.mixed._row_kernels import LANES, accumulate, pack
from lmmfit.mixed.factors import GroupLevels, encode
from lmmfit.mixed.layout import INTERCEPT, Basis, Layout
from lmmfit.mixed.rows import Rows

__all__ = ["MixedStatistics"]


@dataclass(frozen=True, eq=False)
class MixedStatistics:
    """Cross-products of a linear mixed model with one grouping factor.

    Everything that the likelihood needs of the data: for each group ``Z'Z`` and
    ``Z'[X y]``, and in total ``[X y]'[X y]``. One pass over the rows makes them; after that
    no row is looked at again. Statistics of disjoint sets of rows add with ``+``, whether
    or not they share groups, so that chunks, files or sites can be summarised apart.

    Attributes
    ----------
    layout : Layout
        Roles of the columns.
    basis : Basis
        Basis in which the products are held (kept away from cancellation).
    n_rows : int
    sum_log_weight : float
        Sum of the logarithms of the weights.
    weight : float
        Sum of the weights, in units of the basis.
    total : ndarray of shape (c, c)
        Products of all columns, response last, over all rows.
    products : ndarray of shape (n_products, n_groups)
        Products by group, one row a product.
    counts : ndarray of shape (n_groups,)
        Rows of each group.
    levels : GroupLevels or None
        The groups.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed import MixedStatistics
    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([np.ones(60), rng.normal(size=60)])
    >>> y, groups = rng.normal(size=60), np.repeat(np.arange(6), 10)
    >>> half = slice(0, 30), slice(30, 60)
    >>> parts = [MixedStatistics.from_arrays(y[s], X[s], X[s], groups[s]) for s in half]
    >>> whole = parts[0] + parts[1]
    >>> whole.n_rows, whole.n_groups
    (60, 6)
    """

    layout: Layout
    basis: Basis
    n_rows: int
    sum_log_weight: float
    weight: float
    total: np.ndarray
    products: np.ndarray
    counts: np.ndarray
    levels: GroupLevels

    @classmethod
    def from_arrays(cls, y, X, Z=None, groups=None, *, sample_weight=None, basis=None):
        """Summarise arrays.

        Parameters
        ----------
        y : array-like of shape (n,)
            Response.
        X : array-like of shape (n, p)
            Fixed-effects design, its column of ones included where one is wanted.
        Z : array-like of shape (n, q), optional
            Random-effects design, likewise. Columns equal to columns of X are stored once.
        groups : array-like of shape (n,), optional
            Labels of the groups.
        sample_weight : array-like of shape (n,), optional
            Inverse relative variances of the residuals.
        basis : Basis, optional
            Basis of the products; by default chosen from a sample of the rows.

        Returns
        -------
        MixedStatistics
            Fixed effects are named ``x0``, ``x1``, ... and random ones ``z0``, ... unless
            they are columns of X; a column of ones is ``(Intercept)``.

        Raises
        ------
        ValueError
            If shapes do not agree or a value is not finite.
        """
        y = np.asarray(y, dtype=np.float64)
        X = np.asarray(X, dtype=np.float64)
        Z = np.empty((len(y), 0)) if Z is None else np.asarray(Z, dtype=np.float64)
        if y.ndim != 1 or X.ndim != 2 or Z.ndim != 2 or not len(y) == len(X) == len(Z):
            raise ValueError(
                "y must have shape (n,), X (n, p) and Z (n, q) with the same n; got "
                f"{y.shape}, {X.shape} and {Z.shape}."
            )
        if Z.shape[1] and (groups is None or len(groups) != len(y)):
            raise ValueError(f"groups must hold one label for each of the {len(y)} rows of Z.")
        fixed, random, vectors = _name_columns(X, Z)
        layout = Layout.build(fixed, [random] if random else [])
        codes, levels = encode([np.asarray(groups)], ("group",)) if random else (None, None)
        return cls.from_columns(
            layout, [vectors[name] for name in layout.columns], y, codes, levels,
            sample_weight=sample_weight, basis=basis,
        )  # fmt: skip

    @classmethod
    def from_columns(cls, layout, vectors, y, codes, levels, *, sample_weight=None, basis=None):
        """Summarise columns laid out by ``layout``; None stands for a column of ones.

        Parameters
        ----------
        layout : Layout
        vectors : list of ndarray of shape (n,)
            The columns of V, in the order of ``layout.columns``.
        y : ndarray of shape (n,)
        codes : ndarray of shape (n,), int64, or None
            Group of each row.
        levels : GroupLevels or None
        sample_weight : ndarray of shape (n,), optional
        basis : Basis, optional

        Returns
        -------
        MixedStatistics
        """
        rows = Rows.check(layout, vectors, y, sample_weight, basis)
        codes, basis = rows.kept(codes), rows.basis
        r, c = layout.n_random_columns, len(rows.columns)
        n_products = r * c - r * (r - 1) // 2
        by_group = np.zeros((len(levels) if r else 0, -(-n_products // LANES), LANES))
        total = np.zeros((c, c))
        diagonal = basis.diagonal
        for at, block, weighted in rows.blocks():
            accumulate(
                block, weighted, basis.shift, basis.transform, diagonal, codes[at],
                rows.weights[at], r, by_group, total,
            )  # fmt: skip
        products = pack(by_group, r, total)
        rows.check_total(total)
        return cls(
            layout, basis, len(rows), rows.sum_log_weight, rows.weight, total, products,
            _count(layout, products, codes, rows.weights), levels,
        )  # fmt: skip

    @property
    def n_groups(self):
        """Number of groups."""
        return self.products.shape[1]

    @property
    def factor_levels(self):
        """Levels of each grouping factor."""
        return () if self.levels is None else (self.levels,)

    def __add__(self, other):
        if not isinstance(other, MixedStatistics):
            return NotImplemented
        self.layout.require_same(other.layout)
        other = other.rebase(self.basis)
        products, counts, levels = self.products, self.counts, self.levels
        if levels is not None:
            levels, mine, theirs = self.levels.union(other.levels)
            products = np.zeros((len(self.products), len(levels)))
            counts = np.zeros(len(levels), dtype=self.counts.dtype)
            for part, at in ((self, mine), (other, theirs)):
                products[:, at] += part.products
                counts[at] += part.counts
        return MixedStatistics(
            self.layout, self.basis, self.n_rows + other.n_rows,
            self.sum_log_weight + other.sum_log_weight, self.weight + other.weight,
            self.total + other.total, products, counts, levels,
        )  # fmt: skip

    def rebase(self, basis):
        """Express the products in another basis; exact up to rounding.

        Parameters
        ----------
        basis : Basis

        Returns
        -------
        MixedStatistics
        """
        if basis is self.basis:
            return self
        change = self.basis.change(self.layout, basis)
        r, c = self.layout.n_random_columns, len(change)
        products = self.products
        if r:
            rows = self.layout.rows_of(range(r), range(c))
            full = np.einsum(
                "ia,ijg,jb->abg", change[:r, :r], products[rows], change, optimize=True
            )
            products = np.ascontiguousarray(full[_kept(r, c)])
        unit = self.basis.weight_unit / basis.weight_unit
        return MixedStatistics(
            self.layout, basis, self.n_rows, self.sum_log_weight, unit * self.weight,
            unit * (change.T @ self.total @ change), unit * products, self.counts, self.levels,
        )  # fmt: skip


@lru_cache(maxsize=64)
def _kept(r, c):
    """Indices of the products kept by group: the first r rows of the upper triangle."""
    pairs = [(a, b) for a in range(r) for b in range(a, c)]
    return tuple(np.array(pairs, dtype=np.int64).T)


def _count(layout, products, codes, weights):
    """Rows of each group: the square of the random intercept, where there is one."""
    n_groups = products.shape[1]
    if weights.size or not n_groups or layout.intercept not in layout.random:
        return np.bincount(codes, minlength=n_groups)
    return np.rint(products[layout.product_row(layout.intercept, layout.intercept)]).astype(int)


def _name_columns(X, Z):
    """Name the columns of X and Z, equal ones alike; a column of ones is the intercept."""
    vectors, fixed, random = {}, [], []

    def name(column, default):
        if np.all(column == 1.0):
            vectors[INTERCEPT] = None
            return INTERCEPT
        for known, other in vectors.items():
            if other is not None and np.array_equal(column, other):
                return known
        vectors[default] = column
        return default

    for j in range(X.shape[1]):
        label = name(X[:, j], f"x{j}")
        if label in fixed:
            label = f"x{j}"
            vectors[label] = X[:, j]
        fixed.append(label)
    for j in range(Z.shape[1]):
        random.append(name(Z[:, j], f"z{j}"))
    return fixed, random, vectors
