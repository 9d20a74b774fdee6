"""Sufficient statistics of a linear mixed model: cross-products, additive over rows."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lmmfit.mixed._row_kernels import LANES, accumulate, pack
from lmmfit.mixed.factors import GroupLevels, encode
from lmmfit.mixed.layout import INTERCEPT, Basis, Layout

__all__ = ["MixedStatistics"]

_ROWS_PER_BLOCK = 8192
_PILOT_ROWS = 1024
_LARGEST, _LEAST = 1e140, 1e-140  # beyond these, sums of squares overflow or vanish


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
        columns = [*vectors, y]
        names = [*layout.columns, "the response"]
        weights = np.empty(0)
        if sample_weight is not None:
            weights = np.array(sample_weight, dtype=np.float64)  # never read-only: one signature
            keep = _check_weights(weights, len(y))
            if not keep.all():
                columns = [None if column is None else column[keep] for column in columns]
                weights, codes = weights[keep], None if codes is None else codes[keep]
        n, c = len(columns[-1]), len(columns)
        if n == 0:
            raise ValueError("there are no rows (with a positive weight) to fit.")
        sum_log_weight = float(np.log(weights).sum())
        if basis is None:
            basis = _choose_basis(layout, columns, names, weights)
        if weights.size:
            weights = weights / basis.weight_unit
        elif basis.weight_unit != 1.0:
            weights = np.full(n, 1.0 / basis.weight_unit)
        r = layout.n_random_columns
        n_groups = len(levels) if r else 0
        n_products = r * c - r * (r - 1) // 2
        by_group = np.zeros((n_groups, -(-n_products // LANES), LANES))
        total = np.zeros((c, c))
        codes = np.empty(0, dtype=np.int64) if codes is None else codes
        diagonal = basis.diagonal
        for lo in range(0, n, _ROWS_PER_BLOCK):
            rows = slice(lo, min(lo + _ROWS_PER_BLOCK, n))
            block = _block(columns, rows, rows.stop - lo)
            accumulate(
                block, np.empty_like(block) if weights.size else block,
                basis.shift, basis.transform, diagonal, codes[rows], weights[rows],
                r, by_group, total,
            )  # fmt: skip
        products = pack(by_group, r, total)
        if not np.isfinite(total).all():
            _raise_not_finite(columns, names)
        return cls(
            layout, basis, n,
            sum_log_weight, float(weights.sum()) if weights.size else float(n),
            total, products, _count(layout, products, codes, weights), levels,
        )  # fmt: skip

    @property
    def n_groups(self):
        """Number of groups."""
        return self.products.shape[1]

    def __add__(self, other):
        if not isinstance(other, MixedStatistics):
            return NotImplemented
        if self.layout != other.layout:
            raise ValueError(
                "only statistics of the same model can be added; these have the columns "
                f"{self.layout.columns} and {other.layout.columns}."
            )
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


def _choose_basis(layout, columns, names, weights):
    """Look at rows spread over the data; all of them, where they are few."""
    n = len(columns[-1])
    rows = slice(None) if n <= _PILOT_ROWS else np.linspace(0, n - 1, _PILOT_ROWS).astype(np.int64)
    sample = _block(columns, rows, min(n, _PILOT_ROWS))
    basis, peak = Basis.pilot(layout, sample, float(weights.mean()) if weights.size else 1.0)
    if not _LEAST < peak.min() <= peak.max() < _LARGEST:
        _check_sizes(columns, names, peak.tolist())
    return basis


def _block(columns, rows, n):
    """Some rows of the columns as a (c, n) array."""
    block = np.empty((len(columns), n))
    for j, column in enumerate(columns):
        block[j] = 1.0 if column is None else column[rows]
    return block


def _check_sizes(columns, names, peaks):
    """Refuse values that cannot be squared, or are no numbers."""
    if np.inf in peaks:
        _raise_not_finite(columns, names)
    for peak, name in zip(peaks, names, strict=True):
        if peak >= _LARGEST or 0.0 < peak <= _LEAST:
            size = "large" if peak > 1.0 else "small"
            raise ValueError(
                f"the values of {_quoted(name)} are too {size} to be squared; rescale it."
            )


def _check_weights(weights, n):
    """Flag the rows with positive weight."""
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weights.shape}.")
    good = np.isfinite(weights) & (weights >= 0.0)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"sample_weight must be finite and not negative; row {row} has {weights[row]}."
        )
    return weights > 0.0


def _raise_not_finite(columns, names):
    for column, name in zip(columns, names, strict=True):
        if column is not None and not np.isfinite(column).all():
            row = int(np.argmin(np.isfinite(column)))
            what = "NaN" if np.isnan(column[row]) else "infinity"
            raise ValueError(
                f"{_quoted(name)} contains {what}, first in row {row}: drop or impute such rows "
                "(lmm() drops rows with missing values and says so)."
            )
    worst = names[int(np.argmax([0.0 if c is None else np.abs(c).max() for c in columns]))]
    raise ValueError(
        f"products of {_quoted(worst)} overflow: its values are too large; rescale it."
    )


def _quoted(name):
    return name if name == "the response" else f"column {name!r}"


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
