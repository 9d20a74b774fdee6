"""The products of statistics as one vector, and back: sums of statistics as sums of vectors."""

from dataclasses import replace
from math import prod

import numpy as np

from lmmfit.mixed.crossed import CrossedStatistics, FactorProducts, PairProducts


def flat_products(statistics, like):
    """Products as one vector, those of pairs of levels in the places that they have in another.

    Parameters
    ----------
    statistics : MixedStatistics or CrossedStatistics
    like : MixedStatistics or CrossedStatistics
        Of the same layout and levels; its pairs of levels hold those of ``statistics``.

    Returns
    -------
    ndarray of shape (size,)
    """
    parts = [statistics.total]
    if isinstance(statistics, CrossedStatistics):
        for own in statistics.factors:
            parts += [own.gram, own.cross]
        for key, wanted in like.pairs.items():
            own, width = statistics.pairs[key], len(like.levels[key[1]])
            values = np.zeros(wanted.values.shape)
            here, there = (part.rows * width + part.columns for part in (own, wanted))
            values[np.searchsorted(there, here)] = own.values
            parts.append(values)
    else:
        parts.append(statistics.products)
    return np.concatenate([part.ravel() for part in parts])


def fill_products(like, products, weight, sum_log_weight):
    """Statistics as others are, with the products of a vector.

    Parameters
    ----------
    like : MixedStatistics or CrossedStatistics
    products : ndarray of shape (size,)
        As from :func:`flat_products`.
    weight, sum_log_weight : float

    Returns
    -------
    MixedStatistics or CrossedStatistics
    """
    start = 0

    def take(part):
        nonlocal start
        start += prod(part.shape)
        return products[start - prod(part.shape) : start].reshape(part.shape)

    new = {"total": take(like.total), "weight": weight, "sum_log_weight": sum_log_weight}
    if isinstance(like, CrossedStatistics):
        new["factors"] = tuple(
            FactorProducts(take(own.gram), take(own.cross)) for own in like.factors
        )
        new["pairs"] = {
            key: PairProducts(own.rows, own.columns, take(own.values))
            for key, own in like.pairs.items()
        }
    else:
        new["products"] = take(like.products)
    return replace(like, **new)
