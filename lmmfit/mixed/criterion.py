"""The criterion that fits the statistics."""

from lmmfit.mixed.block_likelihood import BlockCriterion
from lmmfit.mixed.crossed import CrossedStatistics
from lmmfit.mixed.likelihood import ProfiledCriterion

__all__ = ["profiled_criterion"]


def profiled_criterion(statistics, method="reml"):
    """The profiled criterion of a linear mixed model as a function of theta.

    Parameters
    ----------
    statistics : MixedStatistics or CrossedStatistics
        Of one grouping factor, or of several.
    method : {"reml", "ml"}, default="reml"

    Returns
    -------
    ProfiledCriterion
        A :class:`BlockCriterion` for several grouping factors.

    Raises
    ------
    ValueError
        If the method is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed import MixedStatistics, profiled_criterion
    >>> rng = np.random.default_rng(0)
    >>> X, groups = np.ones((40, 1)), np.repeat(np.arange(8), 5)
    >>> y = rng.normal(size=8)[groups] + rng.normal(size=40)
    >>> criterion = profiled_criterion(MixedStatistics.from_arrays(y, X, X, groups))
    >>> criterion([1.0]) < criterion([0.0])
    True
    """
    if isinstance(statistics, CrossedStatistics):
        return BlockCriterion(statistics, method)
    return ProfiledCriterion(statistics, method)
