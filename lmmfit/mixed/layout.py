"""Which columns a model multiplies, and the basis in which it does so.

The distinct columns of Z and X, and the response last, form V. Columns of Z come first:
their products with every column of V are kept by group, those of the others only in total.
Products are formed in the basis ``(V - shift) @ transform``, so that columns far from zero
or nearly collinear lose no digits; results are mapped back exactly.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["INTERCEPT", "Basis", "Layout"]

INTERCEPT = "(Intercept)"


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
    """

    columns: tuple
    random: tuple
    fixed: tuple
    blocks: tuple

    @classmethod
    def build(cls, fixed, blocks):
        """Lay out fixed effects and blocks of random effects, given by the names of columns."""
        random = [name for block in blocks for name in block]
        shared = sorted(dict.fromkeys(random), key=lambda name: name != INTERCEPT)
        columns = (*shared, *(name for name in fixed if name not in shared))
        at = {name: j for j, name in enumerate(columns)}
        stops = np.cumsum([0, *(len(block) for block in blocks)]).tolist()
        return cls(
            columns,
            tuple(at[name] for name in random),
            tuple(at[name] for name in fixed),
            tuple(zip(stops[:-1], stops[1:], strict=True)),
        )

    @property
    def n_random_columns(self):
        """Number of distinct columns of Z."""
        return len(set(self.random))

    @property
    def intercept(self):
        """Column of V that holds the intercept, or None."""
        return self.columns.index(INTERCEPT) if INTERCEPT in self.columns else None

    @property
    def fixed_names(self):
        """Names of the fixed effects."""
        return [self.columns[j] for j in self.fixed]

    @property
    def random_names(self):
        """Names of the random effects."""
        return [self.columns[j] for j in self.random]

    def product_row(self, a, b):
        """Row of the product of columns a and b of V among those kept by group."""
        a, b = min(a, b), max(a, b)
        return a * (2 * (len(self.columns) + 1) - a - 1) // 2 + b

    def rows_of(self, left, right):
        """Rows of the products of several columns of V, as an array of indices."""
        return np.array([[self.product_row(a, b) for b in right] for a in left], dtype=np.int64)

    def may_shift(self):
        """Flag the columns that can be shifted without changing the model.

        A column of X when X has an intercept, a random slope when each of its blocks has one.
        """
        free = np.zeros(len(self.columns), dtype=bool)
        at = self.intercept
        if at is None:
            return free
        for j in range(len(self.columns)):
            blocks = [self.random[start:stop] for start, stop in self.blocks]
            in_random = all(at in block for block in blocks if j in block)
            free[j] = j != at and in_random and (j not in self.fixed or at in self.fixed)
        return free


@dataclass(frozen=True, eq=False)
class Basis:
    """The basis ``(V - shift) @ transform`` of the products.

    Attributes
    ----------
    shift : ndarray of shape (c,)
        Zero where a shift would change the model.
    transform : ndarray of shape (c, c)
        Upper triangular; its last column takes a pilot fit off the response.
    """

    shift: np.ndarray
    transform: np.ndarray

    @classmethod
    def pilot(cls, layout, sample):
        """Choose a basis from a sample of rows of V (response last)."""
        c = sample.shape[1]
        free = np.append(layout.may_shift(), layout.intercept in layout.fixed)
        shift = np.where(free, sample.mean(axis=0), 0.0)
        centred = sample - shift
        scale = np.sqrt(np.mean(centred**2, axis=0))
        scale[~(scale > 0.0)] = 1.0
        transform = np.diag(1.0 / scale)
        if layout.intercept is not None:
            transform[layout.intercept, layout.intercept] = 1.0
        _orthogonalise(layout, centred, transform)
        fixed = list(layout.fixed)
        design, response = (centred @ transform)[:, fixed], centred[:, -1]
        gram = design.T @ design
        ridge = 1e-10 * max(np.trace(gram), 1.0)
        beta = np.linalg.solve(gram + ridge * np.eye(len(fixed)), design.T @ response)
        residual = response - design @ beta
        spread = np.sqrt(np.mean(residual**2))
        if not spread > 1e-12 * scale[-1]:
            spread = scale[-1]
        transform[:, -1] = -transform[:, fixed] @ beta / spread
        transform[c - 1, c - 1] = 1.0 / spread
        return cls(shift, transform)

    @property
    def diagonal(self):
        """Whether only the response mixes columns."""
        inner = self.transform[:-1, :-1]
        return bool(np.count_nonzero(inner) == np.count_nonzero(np.diag(inner)))

    @property
    def response_scale(self):
        """Units of the response in one unit of the basis."""
        return 1.0 / self.transform[-1, -1]

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
        columns = list(columns)
        matrix = self.transform[np.ix_(columns, columns)].copy()
        if layout.intercept in columns:
            at = columns.index(layout.intercept)
            matrix[at] -= self.shift[columns] @ self.transform[np.ix_(columns, columns)]
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
            if np.mean(residual**2) < 1e-3 * np.mean(own**2):
                transform[:, j] -= transform[:, earlier] @ coefficients
        earlier.append(j)
