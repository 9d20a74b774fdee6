"""Rows of a model with a residual structure: strata, and the pairs of neighbours in a group."""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed.design import require_column
from lmmfit.mixed.factors import GroupLevels, encode
from lmmfit.mixed.residual import ResidualTerms

__all__ = ["ResidualRows", "series"]


@dataclass(frozen=True, eq=False)
class ResidualRows:
    """Which rows belong to which stratum, and which follow one another in a group.

    Rows of weight zero are left out; positions count the rows of the data.

    Attributes
    ----------
    terms : ResidualTerms
    levels : GroupLevels or None
        The strata.
    rows : ndarray of int64
        Positions of the rows that count, those of a group in the order of time.
    strata : ndarray of int64
        Stratum of each of ``rows``; zero without strata.
    current : ndarray of int64
        Where in ``rows`` those are that have a predecessor, which is the one just before.
    lags : ndarray of int64
        Steps of time between the two.
    """

    terms: ResidualTerms
    levels: GroupLevels
    rows: np.ndarray
    strata: np.ndarray
    current: np.ndarray
    lags: np.ndarray

    @classmethod
    def read(cls, terms, columns, keep):
        """Read the columns of a residual structure.

        Parameters
        ----------
        terms : ResidualTerms
        columns : FrameColumns or ArrayColumns
        keep : ndarray of bool
            Flags the rows of positive weight.

        Returns
        -------
        ResidualRows

        Raises
        ------
        ValueError
            If a column is unknown, a stratum or the order of a group ill defined.
        """
        for name in terms.columns:
            require_column(name, columns, "residual uses")
        rows = np.flatnonzero(keep)
        strata, levels = np.zeros(rows.size, dtype=np.int64), None
        if terms.strata:
            codes, levels = encode([columns.raw(name) for name in terms.strata], terms.strata)
            strata = codes[rows]
            _check_strata(strata, levels)
        if not terms.group:
            nothing = np.empty(0, dtype=np.int64)
            return cls(terms, levels, rows, strata, nothing, nothing)
        order, current, lags = series(terms, columns, rows)
        if not current.size:
            raise ValueError(
                f"residual={terms.text!r}: no level of {':'.join(terms.group)!r} has two rows, so "
                "that nothing tells of a correlation within one."
            )
        return cls(terms, levels, rows[order], strata[order], current, lags)

    def check_nesting(self, codes, factors):
        """Raise a ValueError unless each group lies within one level of every grouping factor.

        Parameters
        ----------
        codes : list of ndarray of shape (n,), int64
            Level of each row of the data, by grouping factor.
        factors : sequence of tuple of str
            Their columns.
        """
        for own, names in zip(codes, factors, strict=True):
            here = own[self.rows]
            changes = here[self.current] != here[self.current - 1]
            if changes.any():
                at = self.current[np.argmax(changes)]
                name, group = ":".join(names), ":".join(self.terms.group)
                raise ValueError(
                    f"residual={self.terms.text!r}: the groups of an autoregression must lie "
                    f"within the levels of every grouping factor of random, but {name!r} changes "
                    f"within a level of {group!r} (between rows {self.rows[at - 1]} and "
                    f"{self.rows[at]}). Use ar1({name}), or ar1({group}:{name})."
                )


def series(terms, columns, rows):
    """Put the rows of each group of an autoregression in the order of time.

    Parameters
    ----------
    terms : ResidualTerms
    columns : FrameColumns or ArrayColumns
    rows : ndarray of int64
        Positions of the rows that count.

    Returns
    -------
    order : ndarray of int64
        Permutation of ``rows``, group by group.
    current : ndarray of int64
        Places in that order that have a predecessor, which is just before.
    lags : ndarray of int64
        Steps of time between the two.

    Raises
    ------
    ValueError
        If times are not whole numbers or two rows of a group have the same.
    """
    groups, names = encode([columns.raw(name) for name in terms.group], terms.group)
    groups, time = groups[rows], _read_time(terms, columns)
    time = np.zeros(rows.size, dtype=np.int64) if time is None else time[rows]
    order = np.lexsort((time, groups))
    rows, groups, time = rows[order], groups[order], time[order]
    current = 1 + np.flatnonzero(groups[1:] == groups[:-1])
    lags = np.ones(current.size, dtype=np.int64)
    if terms.time is not None and current.size:
        lags = time[current] - time[current - 1]
        _check_lags(lags, terms, time[current], names.labels, groups[current], rows, current)
    return order, current, lags


def _check_strata(strata, levels):
    """Refuse strata whose variance nothing tells."""
    name, counts = f"ident({':'.join(levels.names)})", np.bincount(strata, minlength=len(levels))
    labels = levels.labels.tolist()
    if len(labels) == 1:
        raise ValueError(
            f"residual: {name} has one stratum only, {labels[0]!r}; leave it out, sigma2 is its "
            "variance."
        )
    if counts.min() < 2:
        least = int(np.argmin(counts))
        raise ValueError(
            f"residual: stratum {labels[least]!r} of {name} has {counts[least]} row(s) of "
            "positive weight; a variance of its own needs at least two. Join strata, or drop it."
        )


def _read_time(terms, columns):
    """Times as whole numbers, or None."""
    if terms.time is None:
        return None
    values = np.asarray(columns.numeric(terms.time), dtype=np.float64)
    whole = np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2.0**53)
    if not whole.all():
        row = int(np.argmin(whole))
        raise ValueError(
            f"residual={terms.text!r}: times must be whole numbers (a correlation phi**k may be "
            f"negative); column {terms.time!r} has {values[row]} in row {row}. Number the times, "
            "or leave the column out to count the rows of each group."
        )
    return values.astype(np.int64)


def _check_lags(lags, terms, time, labels, groups, rows, current):
    """Refuse two rows of one group at the same time."""
    if lags.min() < 1:
        k = int(np.argmin(lags))
        raise ValueError(
            f"residual={terms.text!r}: rows {rows[current[k] - 1]} and {rows[current[k]]} of "
            f"{':'.join(terms.group)!r} level {labels[groups[k]]!r} have the same time "
            f"{time[k]} in column {terms.time!r}; times must differ within a group."
        )
