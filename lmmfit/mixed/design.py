"""The design of a model: which columns of the data feed which columns of X and Z."""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed.column_notes import ColumnNotes, note_columns
from lmmfit.mixed.crossed import summarize_rows
from lmmfit.mixed.factors import encode
from lmmfit.mixed.formula import FormulaSource, parse_plain, split_offset
from lmmfit.mixed.layout import INTERCEPT, Layout
from lmmfit.mixed.terms import RandomTerm, parse_random

__all__ = ["Design", "bind_design", "evaluate_expression", "require_column"]


@dataclass(frozen=True, eq=False)
class ColumnSource:
    """Numeric columns taken from the data as they are."""

    names: tuple

    def arrays(self, columns):
        return {name: columns.numeric(name) for name in self.names}


@dataclass(frozen=True, eq=False)
class Design:
    """Where the columns of a model come from; computes them for new data.

    Attributes
    ----------
    layout : Layout
        Roles of the columns.
    terms : tuple of RandomTerm
        One for each block of random effects.
    sources : tuple
        What computes the columns.
    offsets : tuple of str
        Expressions with coefficient 1.
    structure : tuple
        What the design was bound from: random, fixed, fit_intercept.
    notes : ColumnNotes or None
        What marginal means need to know of the columns behind a formula.
    """

    layout: Layout
    terms: tuple
    sources: tuple
    offsets: tuple
    structure: tuple
    notes: ColumnNotes | None = None

    @property
    def factors(self):
        """Grouping factors, each a tuple of columns, in the order of the terms."""
        return tuple(dict.fromkeys(term.factors for term in self.terms))

    @property
    def inputs(self):
        """Names of the columns that the sources compute, the intercept left out."""
        return [name for source in self.sources for name in source.names if name != INTERCEPT]

    def vectors(self, columns):
        """Columns of V for data: arrays of length n, None for the intercept.

        Parameters
        ----------
        columns : FrameColumns or ArrayColumns

        Returns
        -------
        list
        """
        computed = {INTERCEPT: None}
        for source in self.sources:
            for name, values in source.arrays(columns).items():
                computed.setdefault(name, values)
        return [computed[name] for name in self.layout.columns]

    def offset(self, columns):
        """Sum of the offsets for data, or None.

        Parameters
        ----------
        columns : FrameColumns or ArrayColumns

        Returns
        -------
        ndarray of shape (n,) or None
        """
        if not self.offsets:
            return None
        return sum(evaluate_expression(text, columns, "offset") for text in self.offsets)

    def encode(self, columns):
        """Codes and levels of the grouping factors.

        Parameters
        ----------
        columns : FrameColumns or ArrayColumns

        Returns
        -------
        codes : list of ndarray of shape (n,), int64
            By factor.
        levels : list of GroupLevels
        """
        coded = [encode([columns.raw(name) for name in own], own) for own in self.factors]
        return [codes for codes, _ in coded], [levels for _, levels in coded]

    def find(self, columns, levels):
        """Codes of new data among known levels, -1 for new ones.

        Parameters
        ----------
        columns : FrameColumns or ArrayColumns
        levels : sequence of GroupLevels
            By factor.

        Returns
        -------
        list of ndarray of shape (n,), int64
        """
        return [
            known.find([columns.raw(name) for name in own])
            for known, own in zip(levels, self.factors, strict=True)
        ]

    def summarize(self, columns, y, *, sample_weight=None, basis=None):
        """Cross-products of data: the sufficient statistics of the model.

        Parameters
        ----------
        columns : FrameColumns or ArrayColumns
        y : ndarray of shape (n,)
            Response, before the offset is taken off.
        sample_weight : ndarray of shape (n,), optional
        basis : Basis, optional
            That of statistics to which these will be added.

        Returns
        -------
        MixedStatistics or CrossedStatistics
            The latter for several grouping factors.
        """
        offset = self.offset(columns)
        y = y if offset is None else y - offset
        return summarize_rows(
            self.layout, self.vectors(columns), y, *self.encode(columns),
            sample_weight=sample_weight, basis=basis,
        )  # fmt: skip


def bind_design(columns, random=None, fixed=None, fit_intercept=True):
    """Bind a model's terms to the columns of the data.

    Parameters
    ----------
    columns : FrameColumns or ArrayColumns
    random : str or sequence of RandomTerm, optional
        Random terms, in lme4's grammar or parsed.
    fixed : str, optional
        Right-hand side of a formula; by default every column that is no grouping column.
    fit_intercept : bool, default=True

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        If a column is unknown or holds no numbers.

    Examples
    --------
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import as_columns, bind_design
    >>> columns = as_columns(load_sleepstudy(as_frame=True).data)
    >>> bind_design(columns, "(Days | Subject)").layout.columns
    ('(Intercept)', 'Days')
    """
    structure = random, fixed, fit_intercept
    terms = parse_random(random) if isinstance(random, str) else tuple(random or ())
    factors = list(dict.fromkeys(term.factors for term in terms))
    for name in (name for factor in factors for name in factor):
        require_column(name, columns, "random groups by")
    if INTERCEPT in columns.names:
        raise ValueError(f"a column may not be named {INTERCEPT!r}; rename it.")
    sources, offsets = [], ()
    if fixed is None:
        grouping = {name for factor in factors for name in factor}
        names = tuple(name for name in columns.names if name not in grouping)
        fixed_names = (INTERCEPT,) * bool(fit_intercept) + names
        sources.append(ColumnSource(names))
    else:
        fixed, offsets = split_offset(fixed)
        fixed_names = _bind_sum(fixed, columns, sources, fit_intercept, "fixed uses")
    blocks, bound = [], []
    for term in terms:
        text = " + ".join(("1" if term.intercept else "0", *term.slopes))
        blocks.append(_bind_sum(text, columns, sources, True, "random uses"))
        slopes = tuple(name for name in blocks[-1] if name != INTERCEPT)
        bound.append(RandomTerm(term.factors, slopes, term.intercept))
    layout = Layout.build(fixed_names, blocks, [factors.index(term.factors) for term in terms])
    notes = note_columns(sources[0], offsets, columns)
    return Design(layout, tuple(bound), tuple(sources), offsets, structure, notes)


def _bind_sum(text, columns, sources, fit_intercept, whose):
    """Add the source of a sum of terms; return the names of its columns."""
    intercept, names = parse_plain(text)
    for name in names or ():
        require_column(name, columns, whose)
    if names is not None and all(columns.is_numeric(name) for name in names):
        sources.append(ColumnSource(names))
        found = (INTERCEPT,) * intercept + names
    else:
        source = FormulaSource.bind(text, columns)
        sources.append(source)
        found = source.names
    return tuple(name for name in found if fit_intercept or name != INTERCEPT)


def evaluate_expression(text, columns, whose):
    """Compute one numeric expression of columns, such as ``10 * x``.

    Parameters
    ----------
    text : str
    columns : FrameColumns or ArrayColumns
    whose : str
        What the expression is, for messages.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If it does not give one column of numbers.
    """
    if _is_constant(text):
        return np.full(len(columns), float(text))
    _, names = parse_plain(text)
    if names and len(names) == 1:
        require_column(names[0], columns, f"{whose} uses")
        if not columns.is_numeric(names[0]):
            example = columns.raw(names[0])[:1].tolist() if len(columns) else []
            raise ValueError(
                f"{whose} {names[0]!r} holds no numbers but {example}; convert the column first."
            )
        return np.asarray(columns.numeric(names[0]), dtype=np.float64)
    values = list(FormulaSource.bind(f"0 + I({text})", columns).arrays(columns).values())
    if len(values) != 1:
        raise ValueError(f"{whose} {text!r} gives {len(values)} columns; one column is needed.")
    return values[0]


def _is_constant(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def require_column(name, columns, whose):
    """Raise a ValueError that lists the columns unless ``name`` is one of them."""
    if name not in columns.names:
        raise ValueError(
            f"{whose} the column {name!r}, which the data do not have; they have "
            f"{len(columns.known)} feature(s): {columns.known}."
        )
