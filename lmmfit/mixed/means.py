"""Estimated marginal means and slopes, and contrasts between them.

The means are those of the model's population (random effects at zero), at the combinations
of a reference grid and averaged over the rest of it (Searle, Speed and Milliken 1980): what
R's emmeans (Lenth) computes.
"""

import numpy as np

from lmmfit.mixed._grid_weights import average_weights
from lmmfit.mixed.contrasts import check_level
from lmmfit.mixed.marginal_table import MarginalMeans, column_names
from lmmfit.mixed.reference_grid import build_grid, describe_columns, grid_values

__all__ = ["MarginalMeans", "marginal_means", "marginal_trends"]


def marginal_means(
    model, factors, *, at=None, by=None, weights="equal", ddf="satterthwaite", level=0.95
):
    """Estimate the mean response at levels of some columns, averaged over the others.

    The reference grid has every level of every categorical column and the mean of every
    column of numbers. The model predicts at its points, with random effects of zero; the
    predictions are averaged over the columns that are not named.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted. A response transformed in the formula stays on its scale.
    factors : str or sequence of str
        Columns of the data, categorical or of numbers (then with values in ``at``).
        ``[]`` is the overall mean.
    at : dict of str to value or sequence, optional
        Values of columns in the grid, instead of the mean or of all levels. A column that
        the formula transforms is set before the transformation. Several values of a column
        that is not named are averaged.
    by : str or sequence of str, optional
        Further columns, within whose combinations means will be compared.
    weights : {"equal", "proportional"} or dict, default="equal"
        How to average: all combinations alike; by the number of rows that have each
        combination of the averaged levels; or by the weights given for the levels of a
        column, ``{"sex": [0.4, 0.6]}``, others alike.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, default="satterthwaite"
        As in :func:`contrast`.
    level : float, default=0.95
        Of the limits, which are not adjusted.

    Returns
    -------
    MarginalMeans
        The first of the factors varies fastest, then the others, then ``by``.

    Raises
    ------
    ValueError
        If a column, a level or an option is unknown, or the counts or means that are asked
        for are not known.

    See Also
    --------
    marginal_trends : Slopes instead of means.
    contrast : Any linear function of the fixed effects.

    Notes
    -----
    As R's emmeans, with these differences: a column of numbers with two values, and one of
    booleans, is at its mean, not at both values; the mean of a column that enters as it is
    weighs rows by ``sample_weight``; offsets are evaluated at the grid, their columns at the
    mean. Means that the data do not determine (empty cells of an interaction) are NaN.

    References
    ----------
    Searle, S. R., Speed, F. M. and Milliken, G. A. (1980). Population marginal means in the
    linear model. The American Statistician 34(4).

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_ratpup
    >>> from lmmfit.mixed import marginal_means
    >>> pups = load_ratpup(as_frame=True).frame
    >>> model = lmm("weight ~ Treatment * sex + Lsize + (1 | Litter)", pups)
    >>> means = marginal_means(model, "Treatment", ddf="normal")
    >>> print(means)
    Treatment    mean  std_error   df   lower   upper
    Control    6.4063    0.10548  inf  6.1995  6.6130
    Low        5.9812    0.10647  inf  5.7725  6.1898
    High       5.5537    0.14729  inf  5.2650  5.8424
    averaged over sex with equal weights; Lsize at 13.33
    >>> print(means.contrast("reference"))
    name            estimate  std_error   df  statistic   p_value     lower      upper
    Low - Control   -0.42511    0.14989  inf    -2.8361   0.00891  -0.75783  -0.092384
    High - Control  -0.85255    0.18133  inf    -4.7017  5.15e-06   -1.2551   -0.45004
    """

    def rows(values):
        grid = build_grid(model.design_, values)
        return grid.X, grid.offset

    known = describe_columns(model)
    return _average(model, "mean", rows, known, factors, at, by, weights, ddf, level)


def marginal_trends(
    model,
    variable,
    factors=(),
    *,
    at=None,
    by=None,
    weights="equal",
    ddf="satterthwaite",
    level=0.95,
):
    """Estimate the slope of a column of numbers, at levels of others.

    The slope is the derivative of the predictions of :func:`marginal_means` with respect to
    the column, also where it enters transformed or in interactions: a central difference of
    fourth order, exact for polynomials up to degree 4.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    variable : str
        A column of numbers.
    factors : str or sequence of str, default=()
        Columns at whose values to take the slope; it is averaged over the rest.
    at, by, weights, ddf, level
        As in :func:`marginal_means`. The slope is taken at the mean of the column, or at
        its values in ``at``.

    Returns
    -------
    MarginalMeans
        Its table has a column trend in place of mean.

    Raises
    ------
    ValueError
        If the column is unknown or categorical, and as :func:`marginal_means`.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_orthodont
    >>> from lmmfit.mixed import marginal_trends
    >>> teeth = load_orthodont(as_frame=True).frame
    >>> model = lmm("distance ~ age * Sex + (age | Subject)", teeth)
    >>> slopes = marginal_trends(model, "age", "Sex", ddf="normal")
    >>> slopes.table["trend"].round(4)
    array([0.7844, 0.4795])
    >>> print(slopes.contrast())
    name           estimate  std_error   df  statistic  p_value     lower    upper
    Male - Female   0.30483    0.13474  inf     2.2624   0.0237  0.040753  0.56891
    """
    known = describe_columns(model)
    if variable not in known or known[variable].levels is not None:
        numbers = [name for name, one in known.items() if one.levels is None]
        raise ValueError(
            f"{variable!r} is no column of numbers among the fixed effects; those are {numbers}."
        )

    def rows(values):
        step, X, offset = _step(values[variable], known[variable]), 0.0, 0.0
        for shift, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
            moved = tuple(value + shift * step for value in values[variable])
            grid = build_grid(model.design_, {**values, variable: moved})
            X, offset = X + weight * grid.X, offset + weight * grid.offset
        return X / (12.0 * step), offset / (12.0 * step)

    return _average(model, "trend", rows, known, factors, at, by, weights, ddf, level)


def _average(model, quantity, rows, known, factors, at, by, weights, ddf, level):
    """Average the rows of a grid over the columns that are not named."""
    check_level(level)
    factors, by = column_names(factors, "factors"), column_names(by, "by")
    twice = [name for name in factors if name in by]
    if twice:
        raise ValueError(f"{twice[0]!r} is among the factors and in by; name it once.")
    kept = (*by[::-1], *factors[::-1])  # the first factor shall vary fastest
    values = grid_values(known, kept, at)
    share, averaged = average_weights(model, known, values, len(kept), weights)
    X, offset = rows(values)
    L = np.einsum("a,oap->op", share, X.reshape(-1, len(share), X.shape[1]))
    constant = offset.reshape(-1, len(share)) @ share
    return MarginalMeans.of(
        model, quantity, values, factors, by, L, constant, averaged, ddf, level
    )


def _step(values, known):
    """A step of the difference, small beside the range of the column and the values."""
    sizes = [abs(value) for value in values if value]
    if known.high > known.low:
        sizes.append(known.high - known.low)
    return 1e-3 * min(sizes, default=1.0)
