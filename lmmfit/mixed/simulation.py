"""Responses simulated from a fitted model, as rows and as cross-products."""

import numpy as np
from scipy.linalg.lapack import dpstrf

from lmmfit.mixed.batch import ResponseProducts
from lmmfit.mixed.block_factor import BlockFactor
from lmmfit.mixed.blocks import BlockSystem
from lmmfit.mixed.crossed import factor_products
from lmmfit.mixed.prediction import predict_rows
from lmmfit.mixed.residual_rows import series

__all__ = ["simulate_products", "simulate_rows"]

_LARGEST = 6000  # unknowns of several factors whose products are made into one matrix
_NOTHING_LEFT = 1e-12  # share of a product that rounding leaves


def simulate_rows(fit, design, columns, n_simulations, rng, *, conditional=False, weights=None):
    """Simulate responses for the rows of a table.

    Parameters
    ----------
    fit : MixedFit
    design : Design
    columns : FrameColumns or ArrayColumns
        n rows; levels never seen are levels like any other.
    n_simulations : int
    rng : numpy.random.Generator
    conditional : bool, default=False
        Whether to keep the conditional modes of the random effects instead of drawing new ones.
    weights : ndarray of shape (n,), optional

    Returns
    -------
    ndarray of shape (n, n_simulations)

    Raises
    ------
    ValueError
        If a weight is not positive, or the model's residual structure does not know a stratum or
        the order of a group.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import as_columns, simulate_rows
    >>> frame = load_sleepstudy(as_frame=True).frame
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", frame)
    >>> rng = np.random.default_rng(0)
    >>> simulate_rows(model.result_, model.design_, as_columns(frame), 3, rng).shape
    (180, 3)
    """
    n, layout = len(columns), fit.statistics.layout
    mean = predict_rows(fit, design, columns, conditional=conditional)
    noise = rng.standard_normal((n, n_simulations)) * np.sqrt(fit.sigma2)
    if fit.residual is not None:
        noise = _structured(noise, fit.residual, columns)
    if weights is not None:
        _check_positive(weights)
        noise /= np.sqrt(weights)[:, None]
    out = mean[:, None] + noise
    if conditional or not layout.random:
        return out
    vectors, (codes, levels) = design.vectors(columns), design.encode(columns)
    root = np.sqrt(fit.sigma2) * fit.lambda_
    for own, known, effects in zip(codes, levels, layout.effects, strict=True):
        lower = root[effects[:, None], effects]
        drawn = rng.standard_normal((len(known), n_simulations, effects.size)) @ lower.T
        for a, effect in enumerate(effects):
            vector = vectors[layout.random[effect]]
            share = drawn[own, :, a]
            out += share if vector is None else share * vector[:, None]
    return out


def _structured(noise, residual, columns):
    """Give independent residuals the correlation within groups and the spread of their strata."""
    if residual.phi is not None:
        order, current, lags = series(residual.terms, columns, np.arange(len(noise)))
        noise = noise[order]
        rho = residual.phi ** lags.astype(np.float64)
        starts = np.setdiff1d(np.arange(len(noise)), current)
        rank = current - starts[np.searchsorted(starts, current) - 1]
        for step in range(1, rank.max(initial=0) + 1):  # every group at once
            at, own = current[rank == step], rho[rank == step, None]
            noise[at] = own * noise[at - 1] + np.sqrt(1.0 - own**2) * noise[at]
        noise[order] = noise.copy()
    return noise * residual.ratios(columns)[:, None]


def _check_positive(weights):
    if not (weights > 0.0).all():
        row = int(np.argmin(weights > 0.0))
        raise ValueError(
            f"sample_weight must be positive to simulate, got {weights[row]} in row {row}: the "
            "variance of its residual would be infinite. Leave such rows out."
        )


def simulate_products(fit, n_simulations, rng):
    """Simulate cross-products of responses whose fixed effects are zero.

    What the likelihood needs of a response are its products with the columns of the model and
    with itself. Those with the noise are normal, with the cross-products of the columns for
    covariance; what the columns do not explain of its square is a chi-square variable. No row
    is needed.

    Parameters
    ----------
    fit : MixedFit
    n_simulations : int
    rng : numpy.random.Generator

    Returns
    -------
    ResponseProducts
        In the basis of the statistics.

    Raises
    ------
    ValueError
        If several grouping factors have too many levels for one matrix of their products.
    """
    basis = fit.statistics.basis
    sigma = np.sqrt(fit.sigma2) / basis.sigma_unit
    root = basis.relative_root(fit.statistics.layout, fit.lambda_)
    simulate = _simulate_several
    if fit.statistics.layout.n_factors == 1:
        simulate = _simulate_one_factor
    return simulate(fit.statistics, sigma, root, n_simulations, rng)


def _simulate_one_factor(statistics, sigma, lower, k, rng):
    """Level by level: Z'e, then what is left of X'e, then of e'e."""
    (part,), layout = factor_products(statistics)[0], statistics.layout
    m, q, p = len(part), part.gram.shape[1], len(layout.fixed)
    values, axes = np.linalg.eigh(part.gram)
    used = values > _NOTHING_LEFT * np.maximum(values[:, -1:], 0.0)
    length = np.where(used, np.sqrt(np.maximum(values, 0.0)), 0.0)
    inverse = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0.0)
    gram, cross = part.gram, part.cross[:, :, :p]
    scores = np.einsum("gba,gbp->gap", axes * inverse[:, None, :], cross)  # (G^+/2)' C
    effects = sigma * rng.standard_normal((k, m, q)) @ lower.T
    z = sigma * rng.standard_normal((k, m, q)) * used
    zy = np.einsum("gab,kgb->kga", gram, effects)
    noise = np.einsum("gab,gb,kgb->kga", axes, length, z)
    fixed = np.einsum("gap,kga->kp", cross, effects) + np.einsum("gap,kga->kp", scores, z)
    at = layout.fixed_positions
    rest = statistics.total[at[:, None], at] - np.einsum("gap,gar->pr", scores, scores)
    root = _semidefinite_root(rest, statistics.total[at, at])
    own = sigma * rng.standard_normal((k, root.shape[1]))
    fixed += own @ root.T
    square = (effects * (zy + 2.0 * noise)).sum(axis=(1, 2)) + (z**2).sum(axis=(1, 2))
    square += (own**2).sum(axis=1)
    left = statistics.n_rows - int(used.sum()) - root.shape[1]
    square += sigma**2 * rng.chisquare(left, k) if left > 0 else 0.0
    return ResponseProducts([zy + noise], fixed, square)


def _simulate_several(statistics, sigma, lower, k, rng):
    """All columns at once: a pivoted Cholesky factor of their products."""
    system = BlockSystem.of(statistics)
    N, p = len(system), len(statistics.layout.fixed)
    if N + p > _LARGEST:
        raise ValueError(
            f"a bootstrap of several grouping factors takes at most {_LARGEST} random effects in "
            f"all, and this model has {N}: simulate rows (simulate) and refit instead."
        )
    products = _all_products(system, statistics)
    root = _semidefinite_root(products, products.diagonal())
    effects = np.zeros((k, N + p))
    for f, own in enumerate(system.effects):
        drawn = rng.standard_normal((k, system.sizes[f], own.size)) @ lower[own[:, None], own].T
        effects[:, system.rows(f)] = sigma * drawn.reshape(k, -1)
    z = sigma * rng.standard_normal((k, root.shape[1]))
    noise, moved = z @ root.T, effects @ products
    square = (effects * (moved + 2.0 * noise)).sum(axis=1) + (z**2).sum(axis=1)
    left = statistics.n_rows - root.shape[1]
    square += sigma**2 * rng.chisquare(left, k) if left > 0 else 0.0
    both = moved + noise
    by_level = [
        both[:, system.rows(f)].reshape(k, system.sizes[f], -1) for f in range(len(system.sizes))
    ]
    return ResponseProducts(by_level, both[:, N:], square)


def _all_products(system, statistics):
    """Products of all columns of Z and X with each other."""
    N, p = len(system), len(statistics.layout.fixed)
    products = np.empty((N + p, N + p))
    factor = BlockFactor(system)
    q = sum(own.size for own in system.effects)
    factor.update(np.zeros((q, q)))  # without random effects V is the identity
    products[:N, :N] = factor.multiply(np.eye(N))
    products[:N, N:] = system.cross[:, :p]
    products[N:, :N] = system.cross[:, :p].T
    at = statistics.layout.fixed_positions
    products[N:, N:] = statistics.total[at[:, None], at]
    return products


def _semidefinite_root(matrix, diagonal):
    """R with ``R R' = matrix`` and as many columns as its rank."""
    if not matrix.size:
        return np.empty((0, 0))
    unit = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    factor, pivots, rank, _ = dpstrf(matrix * np.outer(unit, unit), lower=1, tol=1e-10)
    out = np.zeros((len(matrix), rank))
    out[pivots - 1] = np.tril(factor)[:, :rank]
    return out / unit[:, None]
