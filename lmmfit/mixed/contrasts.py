"""Estimates, tests and limits of linear functions of the fixed effects."""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from lmmfit.mixed.degrees import small_sample
from lmmfit.mixed.layout import principal
from lmmfit.mixed.multiplicity import choose_adjustment, p_value_t
from lmmfit.mixed.table import Table

__all__ = ["LinearEstimates", "check_level", "contrast", "is_estimable"]

_ESTIMABLE = 1e-6  # cross-products resolve a dependence to about half of the digits


@dataclass(frozen=True, eq=False)
class LinearEstimates:
    """Estimates of linear functions of the fixed effects.

    Attributes
    ----------
    L : ndarray of shape (k, p)
    estimate : ndarray of shape (k,)
        NaN where a function is not estimable, like everything else of that row.
    covariance : ndarray of shape (k, k)
    df : ndarray of shape (k,)
    """

    L: np.ndarray
    estimate: np.ndarray
    covariance: np.ndarray
    df: np.ndarray

    @classmethod
    def of(cls, model, L, small, constant=0.0):
        """Estimate ``L @ beta + constant``.

        Parameters
        ----------
        model : LinearMixedModel
            Fitted.
        L : ndarray of shape (k, p)
        small : SmallSample
        constant : float or ndarray of shape (k,)

        Returns
        -------
        LinearEstimates
        """
        good = is_estimable(model, L)
        estimate = np.where(good, L @ model.result_.beta + constant, np.nan)
        covariance = np.where(np.outer(good, good), L @ small.covariance @ L.T, np.nan)
        df = np.full(len(L), np.nan)
        varies = good & (covariance.diagonal() > 0.0)
        df[good] = np.inf
        if varies.any():
            df[varies] = small.df(L[varies])
        return cls(L, estimate, covariance, df)

    @property
    def std_error(self):
        """Standard errors."""
        return np.sqrt(np.maximum(self.covariance.diagonal(), 0.0))

    def test(self, rhs=0.0, adjust="none", level=0.95, n_means=None):
        """Tests and limits of the functions as one family.

        Parameters
        ----------
        rhs : float or ndarray of shape (k,), default=0.0
            Values under the hypotheses.
        adjust : str, default="none"
        level : float, default=0.95
        n_means : int, optional
            Number of means whose pairwise differences these are.

        Returns
        -------
        dict of str to ndarray of shape (k,)
            Columns estimate, std_error, df, statistic, p_value, lower, upper.
        """
        error = self.std_error
        with np.errstate(divide="ignore", invalid="ignore"):  # an exact fit has no errors
            statistic = (self.estimate - rhs) / error
        p, half = p_value_t(statistic, self.df), error.copy()
        family = np.flatnonzero(error > 0.0)
        chosen = choose_adjustment(
            adjust, self.L[family], self.covariance[np.ix_(family, family)], n_means
        )
        if len(family):
            p[family] = chosen.p_values(statistic[family], self.df[family])
            half[family] *= chosen.half_widths(level, self.df[family])
        return {
            "estimate": self.estimate,
            "std_error": error,
            "df": self.df,
            "statistic": statistic,
            "p_value": p,
            "lower": self.estimate - half,
            "upper": self.estimate + half,
        }


def contrast(model, L, *, rhs=0.0, names=None, ddf="satterthwaite", adjust="none", level=0.95):
    """Estimate and test linear functions of the fixed effects.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    L : array-like of shape (k, p) or (p,), or dict
        Weights of the fixed effects, in the order of ``model.design_.layout.fixed_names``;
        or a dict of effects to weights, ``{"Days": 2.0}``; or a dict of names of contrasts
        to such dicts or rows.
    rhs : float or array-like of shape (k,), default=0.0
        Values under the hypotheses.
    names : sequence of str, optional
        Names of the rows; by default what they compute.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, default="satterthwaite"
        Degrees of freedom; Kenward and Roger's come with an adjusted covariance, "normal"
        means infinitely many.
    adjust : str, default="none"
        "none", "bonferroni", "sidak", "holm", "fdr" (Benjamini and Hochberg), "tukey" (all
        pairwise differences of some means: Tukey and Kramer), "scheffe" (all combinations
        of the rows), or "mvt" (single step by the joint t distribution: exact, never worse
        than bonferroni or sidak; many-to-one contrasts make it Dunnett's test). Where
        degrees of freedom differ, each row is tested with its own.
    level : float, default=0.95
        Of the limits, which hold jointly for "bonferroni", "sidak", "tukey", "scheffe" and
        "mvt". "holm" and "fdr" have no matching intervals: their limits are unadjusted.

    Returns
    -------
    Table
        Columns name, estimate (rhs is not taken off), std_error, df, statistic, p_value
        (two-sided), lower, upper.

    Raises
    ------
    ValueError
        If L does not fit the model, a row is not estimable because columns were dropped, or
        the adjustment is unknown or of no use for L.

    See Also
    --------
    marginal_means : Means of the levels of factors, and their contrasts.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_ratpup
    >>> from lmmfit.mixed import contrast
    >>> pups = load_ratpup(as_frame=True).frame
    >>> model = lmm("weight ~ Treatment + sex + Lsize + (1 | Litter)", pups)
    >>> low, high = "Treatment[T.Low]", "Treatment[T.High]"
    >>> doses = {"low": {low: 1}, "high": {high: 1}, "high vs low": {high: 1, low: -1}}
    >>> print(contrast(model, doses, ddf="normal", adjust="tukey"))
    name         estimate  std_error   df  statistic   p_value     lower       upper
    low          -0.42850    0.15040  inf    -2.8492    0.0122  -0.78098   -0.076019
    high         -0.85870    0.18181  inf    -4.7230  6.94e-06   -1.2848    -0.43259
    high vs low  -0.43020    0.18038  inf    -2.3849     0.045  -0.85296  -0.0074315
    """
    check_level(level)
    layout = model.design_.layout
    L, names = _read_functions(L, names, layout.fixed_names)
    rhs = np.asarray(rhs, dtype=np.float64)
    if rhs.shape not in ((), (len(L),)):
        raise ValueError(f"rhs must be a number or {len(L)} numbers, got shape {rhs.shape}.")
    good = is_estimable(model, L)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"the contrast {names[row]!r} is not estimable: the data do not determine it, since "
            f"the columns {model.aliased_} were dropped (the other fixed effects determine "
            "them). Weights of dropped columns must be those that the dependence implies."
        )
    tested = LinearEstimates.of(model, L, small_sample(model, ddf)).test(rhs, adjust, level)
    return Table({"name": np.array(names, dtype=object), **tested})


def is_estimable(model, L):
    """Flag the linear functions that the data determine.

    A function ``l' beta`` is estimable if l is a combination of rows of X, that is, if it is
    orthogonal to each dependence between the columns (Searle 1971, section 5.4).

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    L : ndarray of shape (k, p)

    Returns
    -------
    ndarray of bool of shape (k,)
    """
    aliased, statistics = list(model.result_.aliased), model.statistics_
    if not aliased:
        return np.ones(len(L), dtype=bool)
    layout, basis = statistics.layout, statistics.basis
    p = len(layout.fixed)
    kept = [j for j in range(p) if j not in aliased]
    gram = principal(statistics.total, layout.fixed)
    null = np.zeros((p, len(aliased)))
    null[aliased] = np.eye(len(aliased))
    null[kept] = -np.linalg.solve(gram[np.ix_(kept, kept)], gram[np.ix_(kept, aliased)])
    own = L @ basis.coefficient_map(layout, layout.fixed)  # in the basis, scales are alike
    size = np.linalg.norm(own, axis=1)[:, None] * np.linalg.norm(null, axis=0)
    return (np.abs(own @ null) <= _ESTIMABLE * size).all(axis=1)


def check_level(level):
    """Raise a ValueError unless the confidence level lies between 0 and 1."""
    if not isinstance(level, Real) or not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}.")


def _read_functions(L, names, effects):
    """The functions as an array, and their names."""
    if isinstance(L, dict):
        if not L:
            raise ValueError("L is empty; give at least one contrast.")
        if all(isinstance(weight, Real) for weight in L.values()):
            L = [_read_row(L, effects)]
        else:
            names = list(L) if names is None else names
            L = [_read_row(row, effects) for row in L.values()]
    try:
        L = np.atleast_2d(np.asarray(L, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f"L must hold numbers in rows of equal length: {error}.") from error
    if L.ndim != 2 or L.shape[1] != len(effects) or not len(L):
        raise ValueError(
            f"L must have shape (k, {len(effects)}), one column for each of the fixed effects "
            f"{list(effects)}; got {L.shape}."
        )
    bad = ~np.isfinite(L).all(axis=1) | ~L.any(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"row {row} of L is {L[row].tolist()}: weights must be finite, not all 0."
        )
    if names is None:
        names = [_spell(row, effects) for row in L]
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(names) != len(L):
        raise ValueError(f"names must have one name for each of the {len(L)} rows, got {names}.")
    return L, names


def _read_row(row, effects):
    if not isinstance(row, dict):
        return row
    unknown = [name for name in row if name not in effects]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is no fixed effect of the model; they are {list(effects)}."
        )
    return [row.get(name, 0.0) for name in effects]


def _spell(row, effects):
    """What a row computes, such as ``a - 0.5 * b``."""
    parts = [
        ("- " if weight < 0 else "+ ") + (f"{abs(weight):g} * " if abs(weight) != 1 else "") + name
        for weight, name in zip(row.tolist(), effects, strict=True)
        if weight
    ]
    text = " ".join(parts)
    return text.removeprefix("+ ") if text.startswith("+") else "-" + text[2:]
