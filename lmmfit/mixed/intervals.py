"""Confidence intervals of all parameters, by three methods."""

import numpy as np
from scipy.special import ndtri

from lmmfit.mixed.degrees import small_sample
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.profiles import profile_intervals
from lmmfit.mixed.profiling import parameter_names
from lmmfit.mixed.resampling import bootstrap, parameter_values
from lmmfit.mixed.satterthwaite import basis_factor
from lmmfit.mixed.table import Table

__all__ = ["confidence_intervals"]

_METHODS = ("wald", "profile", "bootstrap")


def confidence_intervals(
    model, method="wald", *, level=0.95, parameters=None, n_resamples=1000, random_state=None,
    n_jobs=None, progress=False,
):  # fmt: skip
    """Confidence intervals of fixed effects, standard deviations and correlations.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    method : {"wald", "profile", "bootstrap"}, default="wald"
        ``"wald"``: estimate and normal quantiles of its standard error, on the scale of the
        logarithm for standard deviations and of the inverse hyperbolic tangent for
        correlations. ``"profile"``: the profile likelihood (of the fit by maximum likelihood).
        ``"bootstrap"``: percentiles of a parametric bootstrap.
    level : float, default=0.95
    parameters : sequence of str, optional
        Names such as ``"sd_(Intercept)|Subject"``, ``"cor_Days.(Intercept)|Subject"``,
        ``"sigma"`` or those of fixed effects; by default all.
    n_resamples : int, default=1000
    random_state : int, numpy.random.Generator or None, default=None
    n_jobs : int, optional
    progress : bool, default=False
        The last four are those of :func:`bootstrap`; ``progress`` is for profiles too.

    Returns
    -------
    Table
        Columns name, estimate, lower, upper.

    Raises
    ------
    ValueError
        If the method or a parameter is unknown, or the level is not between 0 and 1.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import confidence_intervals
    >>> frame = load_sleepstudy(as_frame=True).frame
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", frame, method="ml")
    >>> print(confidence_intervals(model, "profile"))
    name                          estimate     lower    upper
    sd_(Intercept)|Subject          23.781    14.381   37.716
    cor_Days.(Intercept)|Subject  0.081320  -0.48149  0.68502
    sd_Days|Subject                 5.7168    3.8012   8.7534
    sigma                           25.592    22.898   28.858
    (Intercept)                     251.41    237.68   265.13
    Days                            10.467    7.3587   13.576
    """
    if method not in _METHODS:
        known = ", ".join(map(repr, _METHODS))
        raise ValueError(f"method must be one of {known}, got {method!r}.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95, got {level}.")
    fit = fit_of(model)
    names = parameter_names(fit)
    parameters = [parameters] if isinstance(parameters, str) else parameters
    wanted = names if parameters is None else list(parameters)
    for name in wanted:
        if name not in names:
            raise ValueError(f"{name!r} is not a parameter; the parameters are {names}.")
    if method == "profile":
        found = profile_intervals(model, wanted, level=level, progress=progress)
    elif method == "bootstrap":
        resamples = bootstrap(
            model, n_resamples, random_state=random_state, n_jobs=n_jobs, progress=progress
        )
        found = resamples.intervals(level)
    else:
        found = _wald(model, names, level)
    note = ""
    if method == "profile" and fit.method == "reml":
        note = "the limits are those of the full likelihood, the estimates those of REML."
    values = dict(zip(names, parameter_values(fit), strict=True))
    at = [found["name"].tolist().index(name) for name in names if name in wanted]
    chosen = found["name"][at]
    return Table(
        {
            "name": chosen,
            "estimate": np.array([values[name] for name in chosen]),
            "lower": found["lower"][at],
            "upper": found["upper"][at],
        },
        note=note,
    )


def _wald(model, names, level):
    """Wald intervals; those of variance parameters by the delta method."""
    fit, half = model.result_, ndtri(0.5 + 0.5 * level)
    estimate, n_fixed = parameter_values(fit), len(fit.beta) - len(fit.aliased)
    n_random = len(names) - n_fixed
    lower, upper = np.empty(len(names)), np.empty(len(names))
    kept = [j for j in range(len(fit.beta)) if j not in fit.aliased]
    spread = half * np.sqrt(fit.beta_covariance.diagonal()[kept])
    lower[n_random:], upper[n_random:] = estimate[n_random:] - spread, estimate[n_random:] + spread
    if fit.saturated:
        lower[:n_random] = upper[:n_random] = np.nan
    elif not fit.statistics.layout.random:
        ratio = np.exp(half / np.sqrt(2.0 * (fit.statistics.n_rows - n_fixed)))
        lower[0], upper[0] = estimate[0] / ratio, estimate[0] * ratio
    else:
        jacobian = _variance_jacobian(fit)
        covariance = small_sample(model, "satterthwaite").parameter_covariance
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            error = half * np.sqrt(np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian))
            for i, name in enumerate(names[:n_random]):
                inner, outer = (np.arctanh, np.tanh) if name.startswith("cor_") else (
                    np.log, np.exp
                )  # fmt: skip
                middle = inner(estimate[i])
                lower[i], upper[i] = outer(middle - error[i]), outer(middle + error[i])
    return Table({"name": np.array(names, dtype=object), "lower": lower, "upper": upper})


def _variance_jacobian(fit):
    """Derivatives of log standard deviations and atanh correlations by factor and sigma.

    The factor is that in the basis, by whose entries the covariance of the estimates is known.
    """
    layout, rows = fit.statistics.layout, []
    scale = fit.marginal.scale
    root = scale @ basis_factor(fit)
    sigma = np.sqrt(fit.sigma2) / fit.statistics.basis.sigma_unit
    places = list(zip(*layout.theta_positions, strict=True))

    def slope(a, weights):
        """Derivative of ``weights @ root[a]`` by every entry of the factor."""
        return np.array([scale[a, row] * weights[column] for row, column in places])

    with np.errstate(invalid="ignore", divide="ignore"):
        for start, stop in layout.blocks:
            for a in range(start, stop):
                one = root[a]
                rows.append(np.append(slope(a, one) / (one @ one), 1.0 / sigma))
                for b in range(a + 1, stop):
                    other, lengths = root[b], np.sqrt((one @ one) * (root[b] @ root[b]))
                    value = one @ other / lengths
                    own = slope(a, other / lengths - value * one / (one @ one))
                    own += slope(b, one / lengths - value * other / (other @ other))
                    rows.append(np.append(own / (1.0 - value**2), 0.0))
    rows.append(np.append(np.zeros(len(places)), 1.0 / sigma))
    return np.array(rows)
