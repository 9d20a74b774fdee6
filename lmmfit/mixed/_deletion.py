"""Fits of a model without each group of its rows in turn."""

import numpy as np

from lmmfit.mixed.solution import fit_statistics

__all__ = ["hold_theta", "refit_without"]

_SINGULAR = 1e-11  # smallest eigenvalue, on columns of unit square, of a design of full rank


def refit_without(fit, groups, n_jobs=None):
    """Fit the model without each group in turn, starting from the estimate with all.

    Parameters
    ----------
    fit : MixedFit
    groups : GroupedRows
    n_jobs : int, optional
        Threads.

    Returns
    -------
    beta, std_error : ndarray of shape (m, p)
        NaN for effects that the rows left do not determine.
    sigma : ndarray of shape (m,)
    theta : ndarray of shape (m, k)
    converged : ndarray of shape (m,), bool
    """
    without, m = groups.without(), len(groups.counts)
    start = None if fit.boundary else fit.theta  # on the boundary theta has no slope

    def fit_one(k):
        found = fit_statistics(without(k), fit.method, start=start)
        beta, error = found.beta.copy(), np.sqrt(found.beta_covariance.diagonal())
        beta[found.aliased], error[found.aliased] = np.nan, np.nan
        return beta, error, np.sqrt(found.sigma2), found.theta, found.converged

    if n_jobs in (None, 1):
        found = [fit_one(k) for k in range(m)]
    else:
        from joblib import Parallel, delayed

        found = Parallel(n_jobs=n_jobs, prefer="threads")(delayed(fit_one)(k) for k in range(m))
    return tuple(np.array(part) for part in zip(*found, strict=True))


def hold_theta(fit, groups):
    """Estimates without each group in turn at the theta of the whole, for independent groups.

    The marginal covariance is block-diagonal over the groups, and what each adds to
    ``[X y]'V^-1 [X y]`` is taken off.

    Parameters
    ----------
    fit : MixedFit
    groups : GroupedRows

    Returns
    -------
    tuple
        As from :func:`refit_without`; theta is that of the whole, and ``converged`` is True.

    Raises
    ------
    ValueError
        If two groups share a level of a grouping factor.
    """
    layout, basis = fit.statistics.layout, fit.statistics.basis
    m, p = len(groups.counts), len(layout.fixed)
    kept = np.setdiff1d(np.arange(p), fit.aliased)
    part = _marginal_products(fit, groups.products, groups.owners(), kept)
    whole = part.sum(axis=0)
    left = whole - part
    right, inverse = left[:, :-1, -1], _inverses(left[:, :-1, :-1])
    gamma = np.einsum("mab,mb->ma", inverse, right)
    change = gamma - np.linalg.solve(whole[:-1, :-1], whole[:-1, -1])
    rss = np.maximum(left[:, -1, -1] - np.einsum("ma,ma->m", right, gamma), 0.0)
    nu = fit.statistics.n_rows - groups.counts - (kept.size if fit.method == "reml" else 0)
    variance = np.where(nu > 0, rss / np.maximum(nu, 1), np.nan) * basis.response_scale**2
    back = basis.coefficient_map(layout, layout.fixed_positions[kept].tolist())
    spread = np.einsum("ab,mbc,ac->ma", back, inverse, back)
    beta, error = np.zeros((2, m, p))
    beta[:, kept] = fit.beta[kept] + basis.response_scale * change @ back.T
    error[:, kept] = np.sqrt(variance[:, None] * spread)
    sigma = np.sqrt(variance * basis.weight_unit)
    return beta, error, sigma, np.tile(fit.theta, (m, 1)), np.ones(m, dtype=bool)


def _marginal_products(fit, products, owners, kept):
    """``[X y]'V^-1 [X y]`` of each group, for the fixed effects kept."""
    layout, marginal = fit.statistics.layout, fit.marginal
    columns = np.append(layout.fixed_positions[kept], len(layout.columns))
    right = np.append(kept, len(layout.fixed))
    part = products[:, columns[:, None], columns]
    cross = marginal.system.cross
    modes = marginal.factor.solve(cross.copy())[0]
    for f, owner in enumerate(owners):
        own = marginal.system.by_level(cross, f)[:, :, right]
        solved = marginal.system.by_level(modes, f)[:, :, right]
        np.subtract.at(part, owner, own.swapaxes(1, 2) @ solved)
    return part


def _inverses(gram):
    """Inverses of a stack of positive definite matrices, NaN for singular ones."""
    scale = np.sqrt(np.maximum(np.diagonal(gram, axis1=1, axis2=2), np.finfo(float).tiny))
    size = scale[:, :, None] * scale[:, None, :]
    unit, out = gram / size, np.full(gram.shape, np.nan)
    good = np.linalg.eigvalsh(unit).min(axis=1, initial=1.0) > _SINGULAR
    out[good] = np.linalg.inv(unit[good]) / size[good]
    return out
