"""Residual structures: what the residuals of a linear mixed model have beside one variance.

``ident(s)``
    a standard deviation of its own for each stratum, a level of column ``s``;
``ar1(g)``
    residuals of the same group ``g`` correlate as a first-order autoregression, ``phi**k``
    for rows k apart in the order of the data;
``ar1(t | g)``
    the same with ``k`` the difference of the whole numbers in column ``t``.

Joined by ``+`` the standard deviations scale correlated residuals, as ``varIdent`` and
``corAR1`` of nlme do (Pinheiro and Bates 2000, chapter 5): the residuals i and j of a group
have the covariance ``sigma2 delta_i delta_j phi**|t_i - t_j|``, over the root of their weights.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from lmmfit.mixed.columns import ArrayColumns
from lmmfit.mixed.factors import GroupLevels
from lmmfit.mixed.formula import unquote
from lmmfit.mixed.table import Table
from lmmfit.mixed.terms import split_sum

__all__ = [
    "ResidualStructure",
    "ResidualTerms",
    "parse_residual",
    "residual_columns",
    "without_columns",
]

_NAME = r"\s*(?:`[^`]+`|[^`|:+*/()]+?)\s*"
_FACTOR = rf"{_NAME}(?::{_NAME})*"
_IDENT = re.compile(rf"ident\s*\(({_FACTOR})\)")
_AR1 = re.compile(rf"ar1\s*\((?:({_NAME})\|)?({_FACTOR})\)")


@dataclass(frozen=True)
class ResidualTerms:
    """What a residual structure is made of.

    Attributes
    ----------
    text : str
        As written.
    strata : tuple of str or None
        Columns whose combinations are the strata.
    group : tuple of str or None
        Columns whose combinations are the groups of the autoregression.
    time : str or None
        Column that orders the rows of a group.
    """

    text: str
    strata: tuple = None
    group: tuple = None
    time: str = None

    @property
    def columns(self):
        """Names of the columns, each once."""
        names = (*(self.strata or ()), *(self.group or ()), self.time)
        return [name for name in dict.fromkeys(names) if name is not None]


def parse_residual(text):
    """Parse a residual structure.

    Parameters
    ----------
    text : str or None
        ``"ident(stratum)"``, ``"ar1(group)"``, ``"ar1(time | group)"``, or one of each joined
        by ``+``. Several columns make a factor by ``a:b``; names that are no plain words stand
        between backquotes.

    Returns
    -------
    ResidualTerms or None
        None for None.

    Raises
    ------
    ValueError
        If the text does not follow the grammar.
    TypeError
        If it is no string.

    Examples
    --------
    >>> from lmmfit.mixed.residual import parse_residual
    >>> parse_residual("ident(Sex) + ar1(age | Subject)").columns
    ['Sex', 'Subject', 'age']
    """
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(
            f"residual must be a string such as 'ident(stratum)' or 'ar1(group)', or None; got "
            f"{text!r} of type {type(text).__name__}."
        )
    found = {}
    for sign, part in split_sum(text):
        ident, ar1 = _IDENT.fullmatch(part), _AR1.fullmatch(part)
        kind = "ident" if ident else "ar1"
        if sign == "-" or not (ident or ar1):
            raise ValueError(
                f"residual={text!r}: {part!r} is no residual structure; write 'ident(stratum)', "
                "'ar1(group)' or 'ar1(time | group)', joined by '+'."
            )
        if kind in found:
            raise ValueError(
                f"residual={text!r} names {kind} twice; a residual has one of each kind. Strata "
                "or groups of several columns are written 'a:b'."
            )
        found[kind] = ident or ar1
    strata = _split_factor(found["ident"].group(1)) if "ident" in found else None
    if "ar1" not in found:
        return ResidualTerms(text, strata)
    time, group = found["ar1"].groups()
    time = None if time is None else unquote(time.strip())
    return ResidualTerms(text, strata, _split_factor(group), time)


def residual_columns(text):
    """Names of the columns of a residual structure; none for None.

    Parameters
    ----------
    text : str or None

    Returns
    -------
    list of str
    """
    terms = parse_residual(text)
    return [] if terms is None else terms.columns


def without_columns(columns, names):
    """View of a table without some columns.

    Parameters
    ----------
    columns : PandasColumns, FrameColumns or ArrayColumns
    names : collection of str

    Returns
    -------
    PandasColumns, FrameColumns or ArrayColumns
    """
    kept = [name for name in columns.names if name not in names]
    if isinstance(columns, ArrayColumns):
        at = [columns.names.index(name) for name in kept]
        return ArrayColumns(columns.array[:, at], kept)
    return columns.select(kept)


def _split_factor(text):
    """Columns of a factor such as ``a:b``."""
    names = (name.strip() for name in re.findall(r"`[^`]+`|[^:`]+", text))
    return tuple(dict.fromkeys(unquote(name) for name in names if name))


@dataclass(frozen=True, eq=False)
class ResidualStructure:
    """An estimated residual structure.

    Attributes
    ----------
    terms : ResidualTerms
    levels : GroupLevels or None
        The strata, in the order of their levels; the first is the reference.
    delta : ndarray of shape (n_strata,)
        Residual standard deviation of each stratum over that of the first; 1 for one stratum.
    phi : float or None
        Correlation of residuals one step apart.
    parameters : ndarray of shape (k,)
        What was optimised: ``log(delta[1:])``, then ``arctanh(phi)``.
    covariance : ndarray of shape (k, k)
        Their covariance, from the Hessian of the profiled criterion; NaN where the optimum was
        not certified.
    """

    terms: ResidualTerms
    levels: GroupLevels = None
    delta: np.ndarray = field(default_factory=lambda: np.ones(1))
    phi: float = None
    parameters: np.ndarray = field(default_factory=lambda: np.empty(0))
    covariance: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    def __repr__(self):
        return f"ResidualStructure({self.terms.text!r})\n{self.table}"

    @property
    def strata(self):
        """Labels of the strata; empty without ``ident``."""
        return () if self.levels is None else tuple(self.levels.labels.tolist())

    @property
    def n_parameters(self):
        """Number of estimated parameters."""
        return len(self.parameters)

    @cached_property
    def table(self):
        """Names, estimates and standard errors (by the delta method) of ``delta`` and ``phi``."""
        slope = np.concatenate([self.delta[1:], [] if self.phi is None else [1.0 - self.phi**2]])
        errors = slope * np.sqrt(self.covariance.diagonal())
        fixed = int(bool(self.strata))  # the reference, which is not estimated
        return Table(
            {
                "parameter": self._names,
                "estimate": np.concatenate(
                    [self.delta[: len(self.strata)], [] if self.phi is None else [self.phi]]
                ),
                "std_error": np.concatenate([np.full(fixed, np.nan), errors]),
            }
        )

    def conf_int(self, level=0.95):
        """Wald confidence intervals, symmetric for ``log(delta)`` and ``arctanh(phi)``.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        Table
            Columns parameter, lower, upper; the reference stratum is left out.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level}.")
        half = ndtri(0.5 + 0.5 * level) * np.sqrt(self.covariance.diagonal())
        lower, upper = self.parameters - half, self.parameters + half
        if self.phi is None:
            lower, upper = np.exp(lower), np.exp(upper)
        else:
            lower, upper = (
                np.append(np.exp(bound[:-1]), np.tanh(bound[-1])) for bound in (lower, upper)
            )
        names = self._names[1:] if self.strata else self._names
        return Table({"parameter": names, "lower": lower, "upper": upper})

    @property
    def _names(self):
        names = [f"delta[{label}]" for label in self.strata]
        return names + ["phi"] * (self.phi is not None)

    def ratios(self, columns):
        """Residual standard deviation of new rows over that of the first stratum.

        Parameters
        ----------
        columns : FrameColumns or ArrayColumns

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            If a stratum was not there at fit: its variance is unknown.
        """
        if self.levels is None:
            return np.ones(len(columns))
        raw = [columns.raw(name) for name in self.levels.names]
        codes = self.levels.find(raw)
        if (codes < 0).any():
            row = int(np.argmin(codes))
            label = ":".join(str(np.asarray(column)[row]) for column in raw)
            raise ValueError(
                f"stratum {label!r} of ident({':'.join(self.levels.names)}) in row {row} was not "
                f"there at fit: its residual variance is unknown. Known are {list(self.strata)}."
            )
        return self.delta[codes]
