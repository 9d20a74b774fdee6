"""Sums of products of fixed rows that make the statistics at any residual parameters."""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed._flat_products import flat_products

# Kinds of rows; a and b are neighbours, with strata s and t, and the last three kinds are for
# s other than t. All but the coefficient of the first vanish at phi = 0.
_ROWS, _SUMS, _DIFFERENCES, _MIXED_SUMS, _MIXED_DIFFERENCES, _ENDS = range(6)


@dataclass(frozen=True, eq=False)
class ResidualSums:
    """Products of sets of rows, one line a set, and what their coefficients depend on.

    Attributes
    ----------
    products : ndarray of shape (n_sums, size)
    weights : ndarray of shape (n_sums,)
        What each adds to the sum of the weights.
    kind, lag, first, second : ndarray of shape (n_sums,), int64
        Kind, position of the lag, and the two strata.
    """

    products: np.ndarray
    weights: np.ndarray
    kind: np.ndarray
    lag: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def build(cls, statistics):
        """Pass over the rows of each stratum, and the pairs of each lag and strata.

        Parameters
        ----------
        statistics : ResidualStatistics

        Returns
        -------
        ResidualSums
        """
        values, weights, strata = statistics.values, statistics.weights, statistics.rows.strata
        found = []

        def add(kind, lag, s, t, rows, at, weight):
            products = flat_products(statistics.multiply(rows, at), statistics.plain)
            found.append((products, weight, kind, lag, s, t))

        for s in range(statistics.n_strata):
            at = np.flatnonzero(strata == s)
            add(_ROWS, 0, s, s, values[:, at], at, weights[at].sum())
        for lag, s, t, at in _pairs(statistics):
            weight = weights[at].sum() + weights[at - 1].sum()
            kinds = (_SUMS, _DIFFERENCES) if s == t else (_MIXED_SUMS, _MIXED_DIFFERENCES)
            here, before = values[:, at], values[:, at - 1]
            add(kinds[0], lag, s, t, here + before, at, weight)
            add(kinds[1], lag, s, t, here - before, at, weight)
            for own in {s, t} if s != t else ():
                end = np.where(strata[at] == own, at, at - 1)
                add(_ENDS, lag, own, own, values[:, end], end, weights[end].sum())
        products, *others = zip(*found, strict=True)
        return cls(np.array(products), *map(np.array, others))

    def at(self, delta, rho):
        """Products and sum of the weights at given parameters.

        Parameters
        ----------
        delta : ndarray of shape (n_strata,)
        rho : ndarray of shape (n_lags,)
            Correlations at the lags.

        Returns
        -------
        products : ndarray of shape (size,)
        weight : float
        """
        rho = rho if rho.size else np.zeros(1)
        half, rest = 0.5 * rho, 1.0 - rho**2
        shares = np.array([
            np.ones(rho.size), -half / (1.0 + rho), half / (1.0 - rho), -half / rest, half / rest,
            rho**2 / rest,
        ])  # fmt: skip
        coefficients = shares[self.kind, self.lag] / (delta[self.first] * delta[self.second])
        products = coefficients[0] * self.products[0]
        for own, line in zip(coefficients[1:], self.products[1:], strict=True):
            products += own * line  # equal groups stay equal to the last bit, as by no BLAS
        return products, float(coefficients @ self.weights)


def count_sums(statistics):
    """Number of sets of rows that ResidualSums would keep products of."""
    keys = np.unique(_pair_keys(statistics))
    s, t = np.divmod(keys % statistics.n_strata**2, statistics.n_strata)
    return statistics.n_strata + int(np.where(s == t, 2, 4).sum())


def _pair_keys(statistics):
    """One number for the lag and the strata of each pair, whichever comes first."""
    rows, k = statistics.rows, statistics.n_strata
    ends = rows.strata[rows.current], rows.strata[rows.current - 1]
    lag = np.searchsorted(statistics.lags[0], rows.lags)
    return (lag * k + np.minimum(*ends)) * k + np.maximum(*ends)


def _pairs(statistics):
    """Yield lag, strata and the later rows of the pairs that have them in common."""
    keys, k = _pair_keys(statistics), statistics.n_strata
    for key in np.unique(keys).tolist():
        yield key // k**2, key // k % k, key % k, statistics.rows.current[keys == key]
