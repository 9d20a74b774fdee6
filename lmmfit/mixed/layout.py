"""Which columns a model multiplies, and the basis in which it does so.

The distinct columns of Z and X, and the response last, form V. Columns of Z come first:
their products with every column of V are kept by group, those of the others only in total.
Products are formed in the basis ``(V - shift) @ transform``, so that columns far from zero
or nearly collinear lose no digits; results are mapped back exactly.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise

import numpy as np

from lmmfit.mixed._pilot_kernels import pilot_fit, standardise

__all__ = ["INTERCEPT", "Basis", "Layout", "principal"]

INTERCEPT = "(Intercept)"

_COLLINEAR = 1e-3  # share of a column's square, beyond the columns before it, that calls for care


@dataclass(frozen=True)
class Layout:
    """Roles of the columns of V (the response, its last column, left out).

    Attributes
    ----------
    columns : tuple of str
        Names, those of Z first.
    random : tuple of int
        For each random effect its column in V.
    fixed : tuple of int
        For each fixed effect its column in V.
    blocks : tuple of (int, int)
        Start and stop of each block of correlated random effects.
    owners : tuple of int
        For each block its grouping factor, counted in the order of their first blocks.
    """

    columns: tuple
    random: tuple
    fixed: tuple
    blocks: tuple
    owners: tuple

    @classmethod
    def build(cls, fixed, blocks, owners=None):
        """Lay out fixed effects and blocks of random effects, given by the names of columns."""
        owners = (0,) * len(blocks) if owners is None else tuple(owners)
        return _build(tuple(fixed), tuple(map(tuple, blocks)), owners)

    @property
    def n_factors(self):
        """Number of grouping factors."""
        return max(self.owners, default=-1) + 1

    @cached_property
    def effects(self):
        """For each grouping factor the positions of its random effects, as an array."""
        return [
            np.array(
                [
                    effect
                    for (start, stop), owner in zip(self.blocks, self.owners, strict=True)
                    for effect in range(start, stop)
                    if owner == factor
                ]
            )
            for factor in range(self.n_factors)
        ]

    @cached_property
    def fixed_positions(self):
        """Columns of V that hold the fixed effects, as an array."""
        return np.array(self.fixed, dtype=np.int64)

    @cached_property
    def fixed_order(self):
        """Positions of the fixed effects in the order of their columns in V."""
        return sorted(range(len(self.fixed)), key=self.fixed.__getitem__)

    @cached_property
    def n_random_columns(self):
        """Number of distinct columns of Z."""
        return len(set(self.random))

    @cached_property
    def intercept(self):
        """Column of V that holds the intercept, or None."""
        return self.columns.index(INTERCEPT) if INTERCEPT in self.columns else None

    def require_same(self, other):
        """Raise a ValueError unless statistics of another layout can be added to these."""
        if self != other:
            raise ValueError(
                "only statistics of the same model can be added; these have the columns "
                f"{self.columns} and {other.columns}."
            )

    @property
    def fixed_names(self):
        """Names of the fixed effects."""
        return [self.columns[j] for j in self.fixed]

    @property
    def random_names(self):
        """Names of the random effects."""
        return [self.columns[j] for j in self.random]

    @cached_property
    def theta_positions(self):
        """Rows and columns of theta in Lambda: each block's lower triangle by columns."""
        pairs = [
            (start + row, start + column)
            for start, stop in self.blocks
            for column in range(stop - start)
            for row in range(column, stop - start)
        ]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2).T.copy()

    def product_row(self, a, b):
        """Row of the product of columns a and b of V among those kept by group."""
        return _product_row(len(self.columns) + 1, a, b)

    def rows_of(self, left, right):
        """Rows of the products of several columns of V, as an array of indices."""
        return _rows_of(len(self.columns) + 1, tuple(left), tuple(right))

    @cached_property
    def may_shift(self):
        """Flag the columns (response last) that a shift leaves the model as it is.

        With an intercept in X, the response and the columns of X; a random slope also needs
        an intercept in each of its blocks.
        """
        at, free = self.intercept, np.zeros(len(self.columns) + 1, dtype=bool)
        if at is None:
            return free
        free[-1] = at in self.fixed
        for j in range(len(self.columns)):
            blocks = [self.random[start:stop] for start, stop in self.blocks]
            in_random = all(at in block for block in blocks if j in block)
            free[j] = j != at and in_random and (j not in self.fixed or at in self.fixed)
        return free


@lru_cache(maxsize=128)
def _build(fixed, blocks, owners):
    """A model that is fitted again finds its layout made."""
    random = [name for block in blocks for name in block]
    shared = sorted(dict.fromkeys(random), key=lambda name: name != INTERCEPT)
    columns = (*shared, *(name for name in fixed if name not in shared))
    at = {name: j for j, name in enumerate(columns)}
    return Layout(
        columns,
        tuple(at[name] for name in random),
        tuple(at[name] for name in fixed),
        tuple(pairwise(accumulate([0, *map(len, blocks)]))),
        owners,
    )


def principal(matrix, columns):
    """Rows and columns of a matrix picked by a tuple of positions; a copy in C order."""
    return matrix[_mesh(columns)]


@lru_cache(maxsize=256)
def _mesh(columns):
    at = np.array(columns, dtype=np.int64)
    return at[:, None], at


def _product_row(c, a, b):
    a, b = min(a, b), max(a, b)
    return a * (2 * c - a - 1) // 2 + b


@lru_cache(maxsize=256)
def _rows_of(c, left, right):
    rows = [_product_row(c, a, b) for a in left for b in right]
    return np.array(rows, dtype=np.int64).reshape(len(left), len(right))


@dataclass(frozen=True, eq=False)
class Basis:
    """The basis ``(V - shift) @ transform`` of the products.

    Attributes
    ----------
    shift : ndarray of shape (c,)
        Zero where a shift would change the model.
    transform : ndarray of shape (c, c)
        Upper triangular; its last column takes a pilot fit off the response.
    pilot_fit : ndarray of shape (p,)
        That fit: coefficients of the columns of X in the basis.
    weight_unit : float
        Weight of a row that counts as one in the products.
    """

    shift: np.ndarray
    transform: np.ndarray
    pilot_fit: np.ndarray
    weight_unit: float = 1.0

    @classmethod
    def pilot(cls, layout, sample, weight_unit=1.0):
        """Choose a basis from a sample of rows.

        Parameters
        ----------
        layout : Layout
        sample : ndarray of shape (c, n)
            Columns of V, the response last.
        weight_unit : float, default=1.0

        Returns
        -------
        basis : Basis
        peak : ndarray of shape (c,)
            Largest magnitude in each column; infinite where a value is not finite, and the
            basis is then of no use.
        """
        c, n = sample.shape
        shift, peak, transform, gram = np.zeros(c), np.empty(c), np.zeros((c, c)), np.empty((c, c))
        beta = np.empty(len(layout.fixed))
        standardise(sample, layout.may_shift, shift, peak, transform, gram)
        good = pilot_fit(gram, layout.fixed_positions, n, _COLLINEAR, transform, beta)
        if not good and np.isfinite(gram).all():
            centred = (sample - shift[:, None]).T
            _orthogonalise(layout, centred, transform)
            gram = transform.T @ (centred.T @ centred) @ transform
            pilot_fit(gram, layout.fixed_positions, n, 0.0, transform, beta)
        return cls(shift, transform, -beta, weight_unit), peak

    @property
    def diagonal(self):
        """Whether only the response mixes columns."""
        inner = self.transform[:-1, :-1]
        return np.count_nonzero(inner) == len(inner)  # none on the diagonal is zero

    @property
    def response_scale(self):
        """Units of the response in one unit of the basis."""
        return 1.0 / self.transform[-1, -1]

    @property
    def sigma_unit(self):
        """Residual standard deviation of the user in one of the basis."""
        return self.response_scale * np.sqrt(self.weight_unit)

    def relative_root(self, layout, lambda_):
        """Square root, in the basis, of the relative covariance of random effects.

        Parameters
        ----------
        layout : Layout
        lambda_ : ndarray of shape (..., q, q)
            The user's relative covariance factor, or a stack of them.

        Returns
        -------
        ndarray of shape (..., q, q)
        """
        return np.linalg.solve(self.random_map(layout), lambda_) * np.sqrt(self.weight_unit)

    def change(self, layout, other):
        """Matrix M with (V in other) = (V in self) @ M."""
        matrix = np.linalg.solve(self.transform, other.transform)
        if layout.intercept is not None:
            matrix[layout.intercept] += (self.shift - other.shift) @ other.transform
        return matrix

    def coefficient_map(self, layout, columns):
        """Matrix from coefficients in the basis to coefficients of the raw columns.

        Parameters
        ----------
        layout : Layout
        columns : sequence of int
            The columns of V (those of X, or of one block of Z) that have coefficients.

        Returns
        -------
        ndarray of shape (k, k)
        """
        columns = tuple(columns)
        matrix = principal(self.transform, columns)
        if layout.intercept in columns:
            matrix[columns.index(layout.intercept)] -= self.shift[list(columns)] @ matrix
        return matrix

    def random_map(self, layout):
        """Matrix from random effects in the basis to the user's, block by block."""
        matrix = np.zeros((len(layout.random), len(layout.random)))
        for start, stop in layout.blocks:
            own = layout.random[start:stop]
            matrix[start:stop, start:stop] = self.coefficient_map(layout, own)
        return matrix


def _orthogonalise(layout, centred, transform):
    """Take off a nearly collinear column of X, in place, what earlier columns explain."""
    earlier = [j for j in layout.fixed if j < layout.n_random_columns]
    for j in sorted(j for j in layout.fixed if j >= layout.n_random_columns):
        if earlier and j != layout.intercept:
            basis = centred @ transform[:, earlier]
            own = centred @ transform[:, j]
            coefficients = np.linalg.lstsq(basis, own, rcond=1e-13)[0]
            residual = own - basis @ coefficients
            if np.mean(residual**2) < _COLLINEAR * np.mean(own**2):
                transform[:, j] -= transform[:, earlier] @ coefficients
        earlier.append(j)
