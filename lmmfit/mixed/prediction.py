"""Predictions from a fitted model, with their standard deviations."""

import numpy as np

__all__ = ["fitted_variance", "predict_many", "predict_rows"]

_ROWS_PER_BLOCK = 65536


def predict_rows(
    fit, design, columns, *, conditional=True, return_std=False, new_levels="population",
    only=None,
):  # fmt: skip
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
    only : int, optional
        Position of the one grouping factor whose random effects count; by default all do.

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
    codes = [np.full(n, -1)] * layout.n_factors
    if layout.random and conditional:
        codes = design.find(columns, fit.statistics.factor_levels)
        _check_levels(codes, design, columns, new_levels)
        if only is not None:
            codes = [own if f == only else np.full(n, -1) for f, own in enumerate(codes)]
        for own, effects, modes in zip(codes, layout.effects, fit.modes, strict=True):
            values = np.vstack([modes.modes, np.zeros(effects.size)])
            for a, effect in enumerate(effects):
                share, vector = values[own, a], vectors[layout.random[effect]]
                mean += share if vector is None else share * vector
    _check_finite(mean, vectors, layout, offset)
    unseen = np.zeros(n, dtype=bool)
    if conditional and new_levels == "nan" and only is None:
        unseen = np.logical_or.reduce([unseen, *(own < 0 for own in codes)])
    mean[unseen] = np.nan
    if not return_std:
        return mean
    residual = fit.sigma2
    if fit.residual is not None:  # that of the row's stratum
        residual = residual * fit.residual.ratios(columns) ** 2
    std = np.sqrt(residual + fitted_variance(fit, vectors, codes, n))
    std[unseen] = np.nan
    return mean, std


def predict_many(fits, design, columns, *, conditional=True, new_levels="population"):
    """Predict many responses for the rows of a table.

    Parameters
    ----------
    fits : ManyFits
    design : Design
    columns : FrameColumns or ArrayColumns
        New data, n rows.
    conditional : bool, default=True
    new_levels : {"population", "error", "nan"}, default="population"

    Returns
    -------
    ndarray of shape (n, k)

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import as_columns, bind_design, fit_many, predict_many
    >>> X, y = load_sleepstudy(return_X_y=True, as_frame=True)
    >>> columns = as_columns(X)
    >>> design = bind_design(columns, "(Days | Subject)")
    >>> fits = fit_many(design, columns, np.column_stack([y, y / 1000]))
    >>> predict_many(fits, design, as_columns(X.head(2))).round(3)
    array([[2.53664e+02, 2.54000e-01],
           [2.73330e+02, 2.73000e-01]])
    """
    layout, n = fits.statistics.layout, len(columns)
    vectors = design.vectors(columns)
    mean = _stack(vectors, layout.fixed, slice(0, n)) @ fits.beta.T
    offset = design.offset(columns)
    if offset is not None:
        mean += offset[:, None]
    if layout.random and conditional:
        codes = design.find(columns, fits.statistics.factor_levels)
        _check_levels(codes, design, columns, new_levels)
        for own, effects, modes in zip(codes, layout.effects, fits.modes, strict=True):
            values = np.concatenate([modes, np.zeros((1, *modes.shape[1:]))])
            for a, effect in enumerate(effects):
                share, vector = values[own, a], vectors[layout.random[effect]]
                mean += share if vector is None else share * vector[:, None]
    _check_finite(mean, vectors, layout, offset)
    if conditional and new_levels == "nan" and layout.random:
        mean[np.logical_or.reduce([own < 0 for own in codes])] = np.nan
    return mean


def fitted_variance(fit, vectors, codes, n):
    """Variance of ``w'beta_hat + z'b_hat - z'b`` for each row, of fixed and random effects.

    Parameters
    ----------
    fit : MixedFit
    vectors : list of ndarray of shape (n,)
        Columns of V, None for ones.
    codes : list of ndarray of shape (n,), int64
        Level of each row, by factor; -1 for one that was never seen.
    n : int
        Number of rows.

    Returns
    -------
    ndarray of shape (n,)
    """
    layout, out = fit.statistics.layout, np.empty(n)
    variance = fit.sigma2 / fit.statistics.basis.weight_unit
    for lo in range(0, n, _ROWS_PER_BLOCK):
        rows = slice(lo, min(lo + _ROWS_PER_BLOCK, n))
        x, z = _stack(vectors, layout.fixed, rows), _stack(vectors, layout.random, rows)
        spread = 0.0
        if layout.random:
            here = [own[rows] for own in codes]
            spread = variance * fit.marginal.conditional_variance(here, z)
            for own, effects, modes in zip(here, layout.effects, fit.modes, strict=True):
                known = own >= 0
                x[known] -= np.einsum("na,nap->np", z[known][:, effects], modes.pull[own[known]])
        out[rows] = spread + np.einsum("np,pr,nr->n", x, fit.beta_covariance, x)
    return out


def _stack(vectors, columns, rows):
    size = rows.stop - rows.start
    out = np.empty((size, len(columns)))
    for k, j in enumerate(columns):
        out[:, k] = 1.0 if vectors[j] is None else vectors[j][rows]
    return out


def _check_levels(codes, design, columns, new_levels):
    for own, names in zip(codes, design.factors, strict=True):
        if new_levels == "error" and (own < 0).any():
            row = int(np.argmin(own))
            label = ":".join(str(columns.raw(name)[row]) for name in names)
            raise ValueError(
                f"level {label!r} of {':'.join(names)!r} in row {row} was not there at fit; "
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
