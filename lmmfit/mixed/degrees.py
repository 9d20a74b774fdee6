"""Small-sample distributions of tests of the fixed effects: the choice of a method.

``small_sample(model, ddf)`` gives the covariance of the fixed effects and the degrees of
freedom of t and F tests by Satterthwaite's method (Fai and Cornelius 1996) or that of Kenward
and Roger (1997), from sums over groups.
"""

import numpy as np

from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.kenward_roger import KenwardRoger
from lmmfit.mixed.reference_distributions import SmallSample
from lmmfit.mixed.satterthwaite import Satterthwaite

__all__ = ["small_sample"]

DDF = ("satterthwaite", "kenward-roger", "normal")


def small_sample(model, ddf="satterthwaite"):
    """Distributions of t and F tests of the fixed effects of a model.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, default="satterthwaite"
        Method for the denominator degrees of freedom. Kenward and Roger's also enlarges the
        covariance of the fixed effects, and needs a REML fit. Computed once for a fit.

    Returns
    -------
    SmallSample

    Raises
    ------
    ValueError
        If ``ddf`` is unknown, or Kenward-Roger is asked of a fit by maximum likelihood.

    References
    ----------
    Fai, A. H. T. and Cornelius, P. L. (1996). Approximate F-tests of multiple degree of freedom
    hypotheses in generalized least squares analyses of unbalanced split-plot experiments.
    Journal of Statistical Computation and Simulation 54, 363-378.

    Kenward, M. G. and Roger, J. H. (1997). Small sample inference for fixed effects from
    restricted maximum likelihood. Biometrics 53, 983-997.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import small_sample
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> small_sample(model).df(np.eye(2)).round(3)
    array([17., 17.])
    """
    if ddf not in DDF:
        raise ValueError(f"ddf must be one of {', '.join(map(repr, DDF))}, got {ddf!r}.")
    fit = fit_of(model)
    kept = fit.__dict__.setdefault("small_samples", {})
    if ddf not in kept:
        if fit.saturated or not fit.statistics.layout.random or not len(fit.beta):
            kept[ddf] = _Residual(fit, ddf)
        elif ddf == "normal":
            kept[ddf] = SmallSample(fit)
        elif ddf == "satterthwaite":
            kept[ddf] = Satterthwaite(fit)
        else:
            kept[ddf] = KenwardRoger(fit)
    return kept[ddf]


class _Residual(SmallSample):
    """Linear model: the residual has n - p degrees of freedom, exactly."""

    def __init__(self, fit, ddf):
        super().__init__(fit)
        p = len(fit.beta) - len(fit.aliased)
        self._df = np.inf if ddf == "normal" else float(fit.statistics.n_rows - p)

    def df(self, L):
        return np.full(len(np.atleast_2d(L)), self._df)
