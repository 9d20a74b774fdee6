"""What a fit tells its user by warnings."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lmmfit.mixed.collinearity import confounded_terms, describe_collinearity
from lmmfit.optimize import NewtonCG


def warn_of_fit(model, stacklevel):
    """Say what the user must know of a fit.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    stacklevel : int
        Frames between the caller of this function's caller and the call of fit.
    """
    statistics, result = model.statistics_, model.result_
    many = hasattr(model, "response_names_")
    told = describe_collinearity(statistics, bool(model.aliased_))
    if model.aliased_:
        warnings.warn(
            f"the design is rank-deficient: {model.aliased_} are determined by the other "
            f"fixed effects and were dropped (coefficient 0): {told}.", UserWarning, stacklevel,
        )  # fmt: skip
    elif told:
        warnings.warn(
            f"the fixed effects are nearly collinear: {told}. Their coefficients are poorly "
            "determined; lmmfit.mixed.diagnose_fixed_effects(model.statistics_) tells more.",
            UserWarning, stacklevel,
        )  # fmt: skip
    for one, other in confounded_terms(model.design_, statistics):
        warnings.warn(
            f"the random terms {one} and {other} give the same column to the same groups: "
            "the data determine the sum of their variances alone. Leave one of them out.",
            UserWarning, stacklevel,
        )  # fmt: skip
    if not many and result.saturated:
        warnings.warn(
            "the fixed effects fit the response exactly: no variance is left to estimate, "
            "and the likelihood is unbounded.", UserWarning, stacklevel,
        )  # fmt: skip
    confounded, design = False, model.design_
    sizes = [len(levels) for levels in statistics.factor_levels]
    for term, (start, stop), owner in zip(
        design.terms, design.layout.blocks, design.layout.owners, strict=True
    ):
        m = sizes[owner]
        if m == 1 or m * (stop - start) >= statistics.n_rows:
            confounded = True
            warnings.warn(
                f"the random effects {term} have {m} level(s) for {statistics.n_rows} rows: "
                "their variance cannot be told from the residual's. Use a grouping column "
                "with several levels and several rows in each.", UserWarning, stacklevel,
            )  # fmt: skip
    if many and not np.all(result.scale):
        exact = np.flatnonzero(result.scale == 0.0)
        names = [model.response_names_[j] for j in exact[:5]]
        warnings.warn(
            f"the fixed effects fit {len(exact)} of {len(result)} responses exactly, such as "
            f"{names}: no variance is left to estimate, and the likelihood is unbounded.",
            UserWarning, stacklevel,
        )  # fmt: skip
    if many and not confounded and not np.all(model.converged_):
        missed = np.flatnonzero(~model.converged_)
        names = [model.response_names_[j] for j in missed[:5]]
        warnings.warn(
            f"no optimum was certified for {len(missed)} of {len(model.converged_)} responses, "
            f"such as {names}: raise max_iter, or scale the columns of X.",
            ConvergenceWarning, stacklevel,
        )  # fmt: skip
    elif not many and not model.converged_ and not confounded:
        warnings.warn(
            f"no optimum was certified ({result.reason} after {model.n_iter_} evaluations): "
            "raise max_iter, or scale the columns of X.", ConvergenceWarning, stacklevel,
        )  # fmt: skip


def warn_of_training(model, stacklevel):
    """Say what the user must know of a network's training.

    Parameters
    ----------
    model : SecondOrderMLP
        Fitted.
    stacklevel : int
        Frames from this function to the call of fit.
    """
    chosen = model.run_.optimizer
    newton = isinstance(chosen, NewtonCG) and chosen.curvature == "hessian"
    if newton and "relu" in model.network_.hidden_activations:
        warnings.warn(
            "relu has kinks, where about half of the curvature is missed: Newton's method "
            "may be slow. Take activation='gelu' or 'softplus', or optimizer='lbfgs'.",
            UserWarning, stacklevel,
        )  # fmt: skip
    if not model.converged_ and model.reason_ != "callback":
        warnings.warn(
            f"the training ended before it converged ({model.reason_}): raise max_iter or "
            "tol, raise alpha, or take another optimizer.",
            ConvergenceWarning, stacklevel,
        )  # fmt: skip
