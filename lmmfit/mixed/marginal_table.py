"""Means or slopes at combinations of values, and the contrasts between them."""

import html
from dataclasses import dataclass
from itertools import product

import numpy as np

from lmmfit.mixed._contrast_kinds import contrast_weights
from lmmfit.mixed.contrasts import LinearEstimates, check_level
from lmmfit.mixed.degrees import small_sample
from lmmfit.mixed.multiplicity import quantile_t
from lmmfit.mixed.table import Table

__all__ = ["MarginalMeans", "column_names"]

_ADJUST = {"pairwise": "tukey", "reference": "mvt", "sequential": "mvt", "effect": "fdr"}


@dataclass(frozen=True, eq=False)
class MarginalMeans:
    """Means (or slopes) at combinations of values, ready to be compared.

    Attributes
    ----------
    table : Table
        The columns of ``factors`` and ``by``; then mean (or trend), std_error, df, lower,
        upper. Empty cells: the data do not determine the mean.
    L : ndarray of shape (k, p)
        The means as linear functions of the fixed effects.
    constant : ndarray of shape (k,)
        What offsets add to them.
    factors, by : tuple of str
    notes : tuple of str
        What the means are averaged over, and where other columns are held.
    model : LinearMixedModel
    small : SmallSample
        Degrees of freedom and covariance.
    level : float
        Of the limits.

    See Also
    --------
    marginal_means : Makes them.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_machines
    >>> from lmmfit.mixed import marginal_means
    >>> model = lmm("score ~ Machine + (1 | Worker)", load_machines(as_frame=True).frame)
    >>> means = marginal_means(model, "Machine", ddf="normal")
    >>> means.table["mean"].round(2)
    array([52.36, 60.32, 66.27])
    >>> means.L
    array([[1., 0., 0.],
           [1., 1., 0.],
           [1., 0., 1.]])
    """

    table: Table
    L: np.ndarray
    constant: np.ndarray
    factors: tuple
    by: tuple
    notes: tuple
    model: object
    small: object
    level: float

    @classmethod
    def of(cls, model, quantity, values, factors, by, L, constant, averaged, ddf, level):
        """Estimate linear functions and put them beside the values of their columns.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted.
        quantity : {"mean", "trend"}
        values : dict of str to tuple
            Of the reference grid.
        factors, by : tuple of str
        L : ndarray of shape (k, p)
            One row for each combination of these, the first factor varying fastest.
        constant : ndarray of shape (k,)
        averaged : list of str
            What was averaged over.
        ddf : str
        level : float

        Returns
        -------
        MarginalMeans
        """
        small = small_sample(model, ddf)
        estimates = LinearEstimates.of(model, L, small, constant)
        shown = (*by[::-1], *factors[::-1])
        cells = list(product(*(values[name] for name in shown)))
        column = {name: [cell[j] for cell in cells] for j, name in enumerate(shown)}
        half = quantile_t(level, estimates.df) * estimates.std_error
        table = Table(
            {
                **{name: _column(column[name]) for name in (*factors, *by)},
                quantity: estimates.estimate,
                "std_error": estimates.std_error,
                "df": estimates.df,
                "lower": estimates.estimate - half,
                "upper": estimates.estimate + half,
            }
        )
        held = [
            f"{name} at {_label(own[0])}"
            for name, own in values.items()
            if name not in shown and len(own) == 1
        ]
        notes = "; ".join([*averaged, *held])
        return cls(table, L, constant, factors, by, (notes,) * bool(notes), model, small, level)

    def contrast(self, kind="pairwise", *, adjust=None, reference=None, by=None, level=None):
        """Compare the means within each combination of the ``by`` columns.

        Parameters
        ----------
        kind : str or dict of str to sequence, default="pairwise"
            "pairwise": all differences, the earlier minus the later mean. "reference": every
            other mean minus one. "sequential": each minus the one before. "effect": each
            minus the average of all. "polynomial": trends over the order of the means, as if
            equally spaced, up to degree 6, in whole numbers. Or weights of the means, by
            name.
        adjust : str, optional
            As in :func:`contrast`, within each family. By default "tukey" for pairwise,
            "mvt" for reference (Dunnett's test) and sequential, "fdr" for effect, else
            "none".
        reference : value or tuple, optional
            Level of the mean that "reference" compares with, a tuple for several factors;
            by default that of the first mean.
        by : str or sequence of str, optional
            Columns within which to compare; by default those of the means. ``()`` compares
            all means.
        level : float, optional
            Of the limits; by default that of the means.

        Returns
        -------
        Table
            Columns name, those of ``by``, estimate, std_error, df, statistic, p_value,
            lower, upper. Rows that are not estimable are empty.

        Raises
        ------
        ValueError
            If an argument is none of those, or a family has one mean.
        """
        level = self.level if level is None else level
        check_level(level)
        columns = (*self.factors, *self.by)
        by = self.by if by is None else column_names(by, "by")
        unknown = [name for name in by if name not in columns]
        if unknown:
            raise ValueError(f"by: {unknown[0]!r} is none of the columns {list(columns)}.")
        if adjust is None:
            adjust = _ADJUST.get(kind, "none") if isinstance(kind, str) else "none"
        own = [name for name in columns if name not in by]
        families = {}
        for row in range(len(self.L)):
            families.setdefault(tuple(self.table[name][row] for name in by), []).append(row)
        parts = []
        for key, rows in families.items():
            keys = [tuple(self.table[name][row] for name in own) for row in rows]
            labels = [" ".join(map(_label, values)) for values in keys]
            names, weights = contrast_weights(kind, labels, _find(reference, keys, kind))
            estimates = LinearEstimates.of(
                self.model, weights @ self.L[rows], self.small, weights @ self.constant[rows]
            )
            n_means = len(rows) if kind == "pairwise" else None
            tested = estimates.test(0.0, adjust, level, n_means)
            shared = {
                name: _column([value] * len(names)) for name, value in zip(by, key, strict=True)
            }
            parts.append({"name": np.array(names, dtype=object), **shared, **tested})
        return Table({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def __str__(self):
        return "\n".join([str(self.table), *self.notes])

    __repr__ = __str__

    def _repr_html_(self):
        return self.table._repr_html_() + "".join(
            f"<p>{html.escape(note)}</p>" for note in self.notes
        )


def column_names(given, what):
    """Names of columns, one or several or None, as a tuple."""
    names = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{what} must name columns, got {given!r}.")
    if len(set(names)) < len(names):
        raise ValueError(f"{what} names a column twice: {list(names)}.")
    return names


def _column(values):
    """Numbers as such, everything else as objects."""
    numbers = all(isinstance(value, float) for value in values)
    column = np.empty(len(values), dtype=np.float64 if numbers else object)
    column[:] = values
    return column


def _label(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _find(reference, keys, kind):
    """Position of the mean to compare with."""
    if reference is None:
        return 0
    if kind != "reference":
        raise ValueError(f"reference is for kind='reference'; kind is {kind!r}.")
    key = reference if isinstance(reference, tuple) else (reference,)
    if key not in keys:
        levels = [key[0] if len(key) == 1 else key for key in keys]
        raise ValueError(f"reference={reference!r} is none of the levels {levels}.")
    return keys.index(key)
