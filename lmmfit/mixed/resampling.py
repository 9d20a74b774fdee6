"""Parametric bootstrap: the model refitted to responses simulated from it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from lmmfit.mixed.batch import fit_batch, in_user_units
from lmmfit.mixed.criterion import profiled_criterion
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.profiling import parameter_names
from lmmfit.mixed.progress import progress_bar
from lmmfit.mixed.simulation import simulate_products
from lmmfit.mixed.table import Table

__all__ = ["Bootstrap", "bootstrap", "parameter_values"]

_AT_ONCE = 2_000_000  # numbers simulated together


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates of the parameters in resamples.

    Attributes
    ----------
    names : list of str
        Parameters: standard deviations and correlations, sigma, fixed effects.
    estimate : ndarray of shape (n_parameters,)
        Of the model itself.
    samples : ndarray of shape (n_resamples, n_parameters)
    converged, singular : ndarray of bool, shape (n_resamples,)
    """

    names: list
    estimate: np.ndarray
    samples: np.ndarray
    converged: np.ndarray
    singular: np.ndarray

    def __len__(self):
        return len(self.samples)

    @property
    def bias(self):
        """Mean of the samples less the estimate."""
        return np.nanmean(self.samples, axis=0) - self.estimate

    @property
    def std_error(self):
        """Standard deviation of the samples."""
        return np.nanstd(self.samples, axis=0, ddof=1)

    def intervals(self, level=0.95, kind="percentile"):
        """Confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
        kind : {"percentile", "basic", "normal"}, default="percentile"
            Quantiles of the samples; twice the estimate less them; or the estimate less the
            bias, with normal quantiles of the standard error (Davison and Hinkley 1997,
            chapter 5).

        Returns
        -------
        Table
            Columns name, lower, upper.

        Raises
        ------
        ValueError
            If the level or the kind is unknown.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level}.")
        tails = np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
        if kind == "normal":
            middle = self.estimate - self.bias
            limits = middle + ndtri(tails)[:, None] * self.std_error
        elif kind in ("percentile", "basic"):
            limits = np.nanquantile(self.samples, tails, axis=0)
            if kind == "basic":
                limits = 2.0 * self.estimate - limits[::-1]
        else:
            raise ValueError(f"kind must be 'percentile', 'basic' or 'normal', got {kind!r}.")
        names = np.array(self.names, dtype=object)
        return Table({"name": names, "lower": limits[0], "upper": limits[1]})

    def __repr__(self):
        return (
            f"Bootstrap of {len(self)} resamples: {int(self.singular.sum())} singular, "
            f"{int((~self.converged).sum())} not certified\n"
            + str(
                Table(
                    {
                        "name": np.array(self.names, dtype=object),
                        "estimate": self.estimate,
                        "bias": self.bias,
                        "std_error": self.std_error,
                    }
                )
            )
        )


def bootstrap(model, n_resamples=1000, *, random_state=None, n_jobs=None, progress=False):
    """Refit a model to responses simulated from it.

    The responses are simulated as cross-products, so that neither the data nor any row is
    needed, and fitted by the same method as the model.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    n_resamples : int, default=1000
    random_state : int, numpy.random.Generator or None, default=None
        The result is the same for any number of threads.
    n_jobs : int, optional
        Threads, as joblib counts them.
    progress : bool, default=False
        Whether to show a bar on the standard error stream.

    Returns
    -------
    Bootstrap

    Raises
    ------
    ValueError
        If the number of resamples is not positive, the model has no residual variance, or
        several grouping factors have too many levels.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_dyestuff
    >>> from lmmfit.mixed import bootstrap
    >>> model = lmm("Yield ~ 1 + (1 | Batch)", load_dyestuff(as_frame=True).frame)
    >>> resamples = bootstrap(model, 500, random_state=0)
    >>> len(resamples), resamples.names
    (500, ['sd_(Intercept)|Batch', 'sigma', '(Intercept)'])
    """
    fit = fit_of(model)
    if not isinstance(n_resamples, int | np.integer) or n_resamples < 1:
        raise ValueError(f"n_resamples must be a positive whole number, got {n_resamples!r}.")
    if fit.saturated:
        raise ValueError("the fixed effects fit the response exactly: nothing varies.")
    rng = np.random.default_rng(random_state)
    statistics, criterion = fit.statistics, profiled_criterion(fit.statistics, fit.method)
    size = max(1, sum(len(levels) for levels in statistics.factor_levels))
    at_once = int(np.clip(_AT_ONCE // (size * max(criterion.q, 1)), 1, n_resamples))
    start = np.linalg.solve(criterion.random_map, fit.lambda_) if criterion.q else None
    parts = []
    with progress_bar(n_resamples, "bootstrap", progress) as tick:
        for first in range(0, n_resamples, at_once):
            count = min(at_once, n_resamples - first)
            products = simulate_products(fit, count, rng)
            batch = fit_batch(
                statistics, products, fit.method, n_jobs=n_jobs, tick=tick,
                start=_away_from_zero(start),
            )  # fmt: skip
            parts.append((_parameters(fit, criterion, batch), batch))
    return Bootstrap(
        parameter_names(fit), parameter_values(fit),
        np.concatenate([values for values, _ in parts]),
        np.concatenate([batch.converged for _, batch in parts]),
        np.concatenate([batch.singular for _, batch in parts]),
    )  # fmt: skip


def _away_from_zero(start):
    """A start with every variance positive."""
    if start is None:
        return None
    lower = np.linalg.qr(start.T, mode="r").T
    lower = lower * np.where(lower.diagonal() < 0.0, -1.0, 1.0)
    at = np.arange(len(lower))
    lower[at, at] = np.maximum(lower[at, at], 0.1)
    return lower


def parameter_values(fit):
    """Estimates of all parameters, in the order of their names.

    Parameters
    ----------
    fit : MixedFit

    Returns
    -------
    ndarray
    """
    kept = [j for j in range(len(fit.beta)) if j not in fit.aliased]
    return _values(fit, fit.lambda_[None], np.sqrt([fit.sigma2]), fit.beta[None, kept])[0]


def _parameters(fit, criterion, batch):
    """Parameters of resamples in the user's units; the fixed effects of the model added."""
    basis, layout = fit.statistics.basis, fit.statistics.layout
    columns = [layout.fixed[j] for j in criterion.fixed]
    back = basis.coefficient_map(layout, columns)
    beta = fit.beta[criterion.fixed] + basis.response_scale * batch.beta @ back.T
    sigma = basis.sigma_unit * np.sqrt(batch.rss / criterion.nu)
    return _values(fit, in_user_units(criterion, batch), sigma, beta)


def _values(fit, lambda_, sigma, beta):
    columns = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for start, stop in fit.statistics.layout.blocks:
            own = lambda_[:, start:stop, start:stop]
            length = np.sqrt((own**2).sum(axis=2))
            for a in range(stop - start):
                columns.append(sigma * length[:, a])
                for b in range(a + 1, stop - start):
                    inner = (own[:, a] * own[:, b]).sum(axis=1)
                    columns.append(inner / (length[:, a] * length[:, b]))
    return np.column_stack([*columns, sigma, beta])
