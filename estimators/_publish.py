"""The attributes of a fitted model."""

import numpy as np

from lmmfit.mixed.layout import INTERCEPT
from lmmfit.mixed.table import Table
from lmmfit.mixed.terms import number_groups


def publish(model, design, result):
    """Set the fitted attributes; with many responses the first axis is theirs.

    Parameters
    ----------
    model : LinearMixedModel
        With ``response_names_`` where there are many responses.
    design : Design
    result : MixedFit or ManyFits
    """
    many, names = hasattr(model, "response_names_"), design.layout.fixed_names
    slopes = [j for j, name in enumerate(names) if name != INTERCEPT]
    model.design_, model.result_, model.statistics_ = design, result, result.statistics
    model.coef_ = result.beta[..., slopes]
    intercept = np.zeros(result.beta.shape[:-1])
    if INTERCEPT in names:
        intercept = result.beta[..., names.index(INTERCEPT)]
    model.intercept_ = intercept if many else float(intercept)
    model.fixed_effects_ = _fixed_effects(model, names, result)
    keys = number_groups([term.group for term in design.terms])
    model.cov_re_ = dict(zip(keys, result.block_covariances, strict=True))
    model.sigma2_, model.theta_ = result.sigma2, result.theta
    model.deviance_, model.loglik_ = result.deviance, -0.5 * result.deviance
    model.n_iter_, model.converged_ = result.n_iter, result.converged
    model.residual_ = None if many else result.residual
    model.singular_ = result.singular if many else bool(result.boundary)
    model.boundary_report_ = () if many else result.boundary
    model.aliased_ = [names[j] for j in result.aliased]


def _fixed_effects(model, names, result):
    """Table of the fixed effects that were kept, response by response."""
    kept = [j for j in range(len(names)) if j not in result.aliased]
    labels = np.array([names[j] for j in kept], dtype=object)
    errors = np.sqrt(np.diagonal(result.beta_covariance, axis1=-2, axis2=-1)[..., kept])
    columns = {"name": labels, "estimate": result.beta[..., kept], "std_error": errors}
    if hasattr(model, "response_names_"):
        responses = np.array(model.response_names_, dtype=object)
        columns = {
            "response": np.repeat(responses, len(kept)),
            "name": np.tile(labels, len(responses)),
            "estimate": columns["estimate"].ravel(),
            "std_error": errors.ravel(),
        }
    return Table(columns)
