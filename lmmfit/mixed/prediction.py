"""Predictions from a fitted model, with their standard deviations."""

import numpy as np

__all__ = ["predict_rows"]

_ROWS_PER_BLOCK = 65536


def predict_rows(
    fit, design, columns, *, conditional=True, return_std=False, new_levels="population"
):
    """Predict the response for the rows of a table.

    Parameters
    ----------
    fit : MixedFit
    design : Design
    columns : FrameColumns or ArrayColumns
        New data, n rows.
    conditional : bool, default=True
        Whether to add the conditional modes of the random effects.
    return_std : bool, default=False
        Whether to return the standard deviation of a new observation too. With K_i and pull
        as in :func:`group_modes` its square is ``w' Cov(beta) w + sigma2 (z'K_i z + 1)``,
        ``w = x - pull' z`` (Henderson 1975); for a new level, and without conditioning, the
        random effects have their full variance.
    new_levels : {"population", "error", "nan"}, default="population"
        What a level never seen gets: random effects of zero, an error, or NaN.

    Returns
    -------
    mean : ndarray of shape (n,)
    std : ndarray of shape (n,), only with ``return_std``

    Raises
    ------
    ValueError
        If a value is missing, or a level is new and ``new_levels="error"``.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import as_columns, predict_rows
    >>> frame = load_sleepstudy(as_frame=True).frame
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", frame)
    >>> predict_rows(model.result_, model.design_, as_columns(frame.head(2))).round(1)
    array([253.7, 273.3])
    """
    layout = fit.statistics.layout
    vectors = design.vectors(columns)
    n = len(columns)
    mean = np.zeros(n)
    for beta, j in zip(fit.beta, layout.fixed, strict=True):
        mean += beta if vectors[j] is None else beta * vectors[j]
    offset = design.offset(columns)
    if offset is not None:
        mean += offset
    codes = np.full(n, -1)
    if layout.random and conditional:
        codes = design.find(columns, fit.statistics.levels)
        _check_levels(codes, design, columns, new_levels)
        effects = np.vstack([fit.modes.modes, np.zeros(len(layout.random))])
        for a, j in enumerate(layout.random):
            share = effects[codes, a]
            mean += share if vectors[j] is None else share * vectors[j]
    _check_finite(mean, vectors, layout, offset)
    unseen = (codes < 0) if conditional and new_levels == "nan" and layout.random else None
    if unseen is not None:
        mean[unseen] = np.nan
    if not return_std:
        return mean
    std = np.sqrt(_variance(fit, vectors, codes))
    if unseen is not None:
        std[unseen] = np.nan
    return mean, std


def _variance(fit, vectors, codes):
    """Variance of a new observation in each row."""
    layout, n = fit.statistics.layout, len(codes)
    variance = np.full(n, fit.sigma2)
    prior = fit.sigma2 * fit.lambda_ @ fit.lambda_.T
    for lo in range(0, n, _ROWS_PER_BLOCK):
        rows = slice(lo, min(lo + _ROWS_PER_BLOCK, n))
        x = _stack(vectors, layout.fixed, rows)
        if layout.random:
            z, at = _stack(vectors, layout.random, rows), codes[rows]
            known = at >= 0
            spread = np.einsum("na,ab,nb->n", z, prior, z)
            if known.any():
                own = z[known]
                spread[known] = np.einsum(
                    "na,nab,nb->n", own, fit.modes.covariance[at[known]], own
                )
                x[known] -= np.einsum("na,nap->np", own, fit.modes.pull[at[known]])
            variance[rows] += spread
        variance[rows] += np.einsum("np,pr,nr->n", x, fit.beta_covariance, x)
    return variance


def _stack(vectors, columns, rows):
    size = rows.stop - rows.start
    out = np.empty((size, len(columns)))
    for k, j in enumerate(columns):
        out[:, k] = 1.0 if vectors[j] is None else vectors[j][rows]
    return out


def _check_levels(codes, design, columns, new_levels):
    if new_levels != "error" or not (codes < 0).any():
        return
    row = int(np.argmin(codes))
    label = ":".join(str(columns.raw(name)[row]) for name in design.factors)
    raise ValueError(
        f"level {label!r} of {':'.join(design.factors)!r} in row {row} was not there at fit; "
        "new_levels='population' predicts new levels with random effects of zero."
    )


def _check_finite(mean, vectors, layout, offset):
    if np.isfinite(mean).all():
        return
    for name, vector in [*zip(layout.columns, vectors, strict=True), ("offset", offset)]:
        if vector is not None and not np.isfinite(vector).all():
            row = int(np.argmin(np.isfinite(vector)))
            what = "NaN" if np.isnan(vector[row]) else "infinity"
            raise ValueError(
                f"column {name!r} contains {what}, first in row {row}: no prediction."
            )
