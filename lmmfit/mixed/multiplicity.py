"""Adjustment of p-values and limits when several hypotheses are tested together."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtrc, chdtri, fdtrc, fdtri, ndtr, ndtri, stdtr, stdtrit

from lmmfit.mixed._joint_distributions import LargestDeviation, StudentizedRange

__all__ = ["METHODS", "adjust_p_values", "choose_adjustment", "p_value_t", "quantile_t"]

_MARGINAL = ("none", "bonferroni", "sidak", "holm", "fdr")
METHODS = (*_MARGINAL, "tukey", "scheffe", "mvt")


def p_value_t(statistic, df):
    """Two-sided p-values of t statistics; normal where df is infinite.

    Parameters
    ----------
    statistic, df : ndarray of shape (k,)

    Returns
    -------
    ndarray of shape (k,)
    """
    size = -np.abs(statistic)
    df = np.broadcast_to(df, size.shape)
    known = np.isfinite(df)
    return np.where(known, 2.0 * stdtr(np.where(known, df, 1.0), size), 2.0 * ndtr(size))


def quantile_t(level, df):
    """Half-widths, in standard errors, of two-sided intervals; normal where df is infinite.

    Parameters
    ----------
    level : float
        Between 0 and 1.
    df : ndarray of shape (k,)

    Returns
    -------
    ndarray of shape (k,)
    """
    df = np.asarray(df, dtype=np.float64)
    known = np.isfinite(df)
    at = 0.5 + 0.5 * level
    return np.where(known, stdtrit(np.where(known, df, 1.0), at), ndtri(at))


def adjust_p_values(p, method):
    """Adjust p-values for their number.

    Parameters
    ----------
    p : array-like of shape (k,)
        Unadjusted p-values. NaN stays NaN and does not count.
    method : {"none", "bonferroni", "sidak", "holm", "fdr"}
        The first four control the probability of any false rejection: by the union bound,
        for independent (or normal, two-sided) tests (Sidak 1967), and step by step (Holm
        1979; never worse than Bonferroni's). The last controls the expected share of false
        ones among the rejections (Benjamini and Hochberg 1995).

    Returns
    -------
    ndarray of shape (k,)

    Raises
    ------
    ValueError
        If the method is none of those, or a p-value lies outside 0 to 1.

    Examples
    --------
    >>> from lmmfit.mixed import adjust_p_values
    >>> p = [0.01, 0.04, 0.03]
    >>> adjust_p_values(p, "holm")
    array([0.03, 0.06, 0.06])
    >>> adjust_p_values(p, "fdr")
    array([0.03, 0.04, 0.04])
    """
    if method not in _MARGINAL:
        raise ValueError(
            f"method must be one of {_MARGINAL}, got {method!r}; 'tukey', 'scheffe' and 'mvt' "
            "need more than the p-values: give them to adjust= of contrast() or of "
            "marginal_means(...).contrast()."
        )
    p = np.array(p, dtype=np.float64)
    if p.ndim != 1:
        raise ValueError(f"p must have shape (k,), got {p.shape}.")
    if ((p < 0.0) | (p > 1.0)).any():
        at = int(np.argmax((p < 0.0) | (p > 1.0)))
        raise ValueError(f"p-values must lie between 0 and 1; that at {at} is {p[at]}.")
    kept = np.flatnonzero(~np.isnan(p))
    k = len(kept)
    if method == "none" or k < 2:
        return p
    order = kept[np.argsort(p[kept], kind="stable")]
    rank = np.arange(1, k + 1)
    if method == "bonferroni":
        p[kept] = np.minimum(1.0, k * p[kept])
    elif method == "sidak":
        with np.errstate(divide="ignore"):  # p = 1
            p[kept] = -np.expm1(k * np.log1p(-p[kept]))
    elif method == "holm":
        p[order] = np.minimum(1.0, np.maximum.accumulate((k + 1 - rank) * p[order]))
    else:
        p[order] = np.minimum.accumulate((k / rank * p[order])[::-1])[::-1]
    return p


@dataclass(frozen=True)
class _Marginal:
    """Adjusts by the p-values alone; limits only where each row has the same level."""

    method: str
    size: int

    def p_values(self, statistic, df):
        return adjust_p_values(p_value_t(statistic, df), self.method)

    def half_widths(self, level, df):
        if self.method == "bonferroni":
            level = 1.0 - (1.0 - level) / self.size
        elif self.method == "sidak":
            level = level ** (1.0 / self.size)
        return quantile_t(level, df)


@dataclass(frozen=True)
class _Scheffe:
    """All linear combinations of the rows at once (Scheffe 1953)."""

    rank: int

    def p_values(self, statistic, df):
        r, square = self.rank, np.asarray(statistic) ** 2
        known = np.isfinite(df)
        return np.where(known, fdtrc(r, np.where(known, df, 1.0), square / r), chdtrc(r, square))

    def half_widths(self, level, df):
        r, known = self.rank, np.isfinite(df)
        square = np.where(
            known, r * fdtri(r, np.where(known, df, 1.0), level), chdtri(r, 1.0 - level)
        )
        return np.sqrt(square)


@dataclass(frozen=True, eq=False)
class _SingleStep:
    """The largest of the statistics is referred to its own distribution."""

    distribution: object
    size: int

    def p_values(self, statistic, df):
        single = p_value_t(statistic, df)
        joint = [
            self.distribution.survival(abs(t), nu) if np.isfinite(t) else p
            for t, nu, p in zip(statistic, df, single, strict=True)
        ]
        return np.clip(joint, single, np.minimum(1.0, self.size * single))  # Bonferroni's bound

    def half_widths(self, level, df):
        found = {nu: self._half_width(level, nu) for nu in set(np.asarray(df).tolist())}
        return np.array([found[nu] for nu in np.asarray(df).tolist()])

    def _half_width(self, level, nu):
        low = float(quantile_t(level, nu))
        high = float(quantile_t(1.0 - (1.0 - level) / self.size, nu))
        if self.size == 1 or high - low < 1e-12 * high:
            return low

        def excess(c):
            return self.distribution.survival(c, nu) - (1.0 - level)

        if excess(low) <= 0.0 or excess(high) >= 0.0:  # within the accuracy of the integrals
            return low if excess(low) <= 0.0 else high
        return brentq(excess, low, high, xtol=1e-8)


def choose_adjustment(method, L, covariance, n_means=None):
    """What adjusts the p-values and limits of a family of contrasts.

    Parameters
    ----------
    method : {"none", "bonferroni", "sidak", "holm", "fdr", "tukey", "scheffe", "mvt"}
    L : ndarray of shape (k, p)
        The contrasts of the family, all with a positive variance.
    covariance : ndarray of shape (k, k)
        Of their estimates.
    n_means : int, optional
        How many means all pairs of which are compared (for "tukey"); by default found in L.

    Returns
    -------
    object
        With ``p_values(statistic, df)`` and ``half_widths(level, df)``, in standard errors.

    Raises
    ------
    ValueError
        If the method is unknown, or "tukey" and the rows of L are not all pairwise
        differences.
    """
    if method not in METHODS:
        raise ValueError(f"adjust must be one of {METHODS}, got {method!r}.")
    k = len(L)
    if method in _MARGINAL or k == 0:
        return _Marginal(method if k else "none", k)
    if method == "scheffe":
        return _Scheffe(int(np.linalg.matrix_rank(L)))
    if method == "tukey":
        n_means = _count_means(L) if n_means is None else n_means
        if n_means is None:
            raise ValueError(
                f"adjust='tukey' is for all pairwise differences of some means; these {k} "
                "contrasts are something else. Use adjust='mvt', which fits any family, or "
                "marginal_means(...).contrast('pairwise')."
            )
        return _SingleStep(StudentizedRange(n_means), n_means * (n_means - 1) // 2)
    scale = np.sqrt(np.diag(covariance))
    return _SingleStep(LargestDeviation.of(covariance / np.outer(scale, scale)), k)


def _count_means(L):
    """The m for which the rows are all pairwise differences, of any sign, of m points."""
    k = len(L)
    m = round((1.0 + np.sqrt(1.0 + 8.0 * k)) / 2.0)
    if m * (m - 1) != 2 * k:
        return None
    # Put the first point at zero: every other is then a row or its negative, and so is the
    # difference of any two.
    tolerance = 1e-9 * np.abs(L).max()
    signed = np.vstack([L, -L])
    points = [np.zeros(L.shape[1]), L[0]]
    for candidate in signed:
        gaps = [np.abs(signed - (candidate - point)).max(axis=1).min() for point in points]
        if max(gaps) <= tolerance and not any(
            np.abs(candidate - point).max() <= tolerance for point in points
        ):
            points.append(candidate)
    return m if len(points) == m else None
