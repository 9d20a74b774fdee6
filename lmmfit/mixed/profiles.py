"""Profile likelihood of the parameters of a model, and the intervals that it gives.

The signed root ``zeta`` of the deviance above its minimum is nearly linear in a well-behaved
parameter; where it reaches the normal quantile, the interval ends (Bates and Watts 1988,
chapter 6; Bates et al. 2015, section 5.1). Maximum likelihood throughout.
"""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from lmmfit.mixed.comparison import maximum_likelihood
from lmmfit.mixed.fitted import fit_of
from lmmfit.mixed.profiling import held_parameters, parameter_names
from lmmfit.mixed.progress import progress_bar
from lmmfit.mixed.table import Table

__all__ = ["Profile", "ProfileCurve", "profile", "profile_intervals"]

_STEPS = 40  # at most on one side of the estimate
_PRECISION = 1e-8  # of zeta at the end of an interval


@dataclass(frozen=True, eq=False)
class ProfileCurve:
    """The profile of one parameter.

    Attributes
    ----------
    name : str
    estimate : float
    values : ndarray of shape (n,)
        Ascending; the estimate is among them.
    zeta : ndarray of shape (n,)
        Signed root of the deviance above its minimum.
    slope : ndarray of shape (n,)
        Derivative of zeta.
    """

    name: str
    estimate: float
    values: np.ndarray
    zeta: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True, eq=False)
class Profile:
    """Profiles of several parameters, by name: ``profile["sigma"].zeta``.

    Attributes
    ----------
    curves : dict of str to ProfileCurve
    """

    curves: dict

    def __getitem__(self, name):
        if name not in self.curves:
            raise KeyError(f"{name!r} was not profiled; the parameters are {list(self.curves)}.")
        return self.curves[name]

    def __iter__(self):
        return iter(self.curves)

    def __len__(self):
        return len(self.curves)


def profile(model, parameters=None, *, level=0.99, n_points=12, progress=False):
    """Profile parameters of a model.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted; a REML fit is refitted by maximum likelihood.
    parameters : sequence of str, optional
        Names as in :func:`confidence_intervals`; by default all.
    level : float, default=0.99
        The curves reach to the ends of intervals of this level.
    n_points : int, default=12
        Points of a curve, about.
    progress : bool, default=False
        Whether to show a bar on the standard error stream.

    Returns
    -------
    Profile

    Raises
    ------
    ValueError
        If a parameter is unknown or the level is not between 0 and 1.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_dyestuff
    >>> from lmmfit.mixed import profile
    >>> model = lmm("Yield ~ 1 + (1 | Batch)", load_dyestuff(as_frame=True).frame)
    >>> curve = profile(model)["sigma"]
    >>> round(curve.estimate, 2), curve.zeta[[0, -1]].round(2)
    (49.51, array([-2.58,  2.58]))
    """
    held, quantile = _held(model, parameters), _quantile(level)
    curves = {}
    with _limited(held), progress_bar(len(held), "profile", progress) as tick:
        for one in held:
            curves[one.name] = _curve(one, quantile, n_points)
            if progress:
                tick(1)
    return Profile(curves)


def profile_intervals(model, parameters=None, *, level=0.95, progress=False):
    """Profile-likelihood intervals.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted; a REML fit is refitted by maximum likelihood.
    parameters : sequence of str, optional
    level : float, default=0.95
    progress : bool, default=False
        Whether to show a bar on the standard error stream.

    Returns
    -------
    Table
        Columns name, lower, upper. A limit that the likelihood does not reach is the end of
        the parameter's range; the interval of a correlation is missing (NaN) where a variance
        is estimated as zero.

    Raises
    ------
    ValueError
        If a parameter is unknown or the level is not between 0 and 1.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_dyestuff
    >>> from lmmfit.mixed import profile_intervals
    >>> model = lmm("Yield ~ 1 + (1 | Batch)", load_dyestuff(as_frame=True).frame)
    >>> print(profile_intervals(model))
    name                   lower   upper
    sd_(Intercept)|Batch  12.197  84.063
    sigma                 38.230  67.658
    (Intercept)           1486.5  1568.5
    """
    held, quantile = _held(model, parameters), _quantile(level)
    limits = np.empty((len(held), 2))
    with _limited(held), progress_bar(len(held), "profile", progress) as tick:
        for k, one in enumerate(held):
            limits[k] = _limits(one, quantile)
            if progress:
                tick(1)
    names = np.array([one.name for one in held], dtype=object)
    return Table({"name": names, "lower": limits[:, 0], "upper": limits[:, 1]})


def _held(model, parameters):
    fit = maximum_likelihood(fit_of(model))
    if fit.saturated:
        raise ValueError("the fixed effects fit the response exactly: there is no likelihood.")
    parameters = [parameters] if isinstance(parameters, str) else parameters
    known = parameter_names(fit)
    for name in parameters or ():
        if name not in known:
            raise ValueError(f"{name!r} is not a parameter; the parameters are {known}.")
    return held_parameters(fit, parameters)


def _limited(held):
    return held[0].criterion.factor.limited if held else nullcontext()


def _quantile(level):
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}.")
    return float(ndtri(0.5 + 0.5 * level))


def _limits(held, quantile):
    """Both ends of an interval."""
    if np.isnan(held.estimate):
        return np.nan, np.nan
    return tuple(_limit(held, side, quantile)[0] for side in (-1.0, 1.0))


def _limit(held, side, quantile):
    """Where zeta reaches ``side * quantile``: Newton's method within a bracket.

    Returns the limit, or the end of the range, and the points passed on the way.
    """
    end = held.low if side < 0.0 else held.high
    passed, inside, outside = [], (held.estimate, 0.0), None
    held.restart()
    value, step = held.estimate, 0.5 * held.scale
    if value == end:
        return end, passed
    for _ in range(_STEPS):
        value = _next(held, side, quantile, inside, outside, passed, step, end)
        zeta, slope = held.zeta(value)
        if np.isnan(zeta):  # too far for double precision
            held.restart()
            outside, step = (value, np.nan), 0.25 * step
            continue
        passed.append((value, zeta, slope))
        if abs(zeta - side * quantile) <= _PRECISION:
            return value, passed
        if side * zeta > quantile:
            outside = value, zeta
        else:
            inside = value, zeta
            if value == end:
                return end, passed
            step *= 2.0
        if outside is not None and abs(outside[0] - inside[0]) <= 1e-12 * max(
            abs(value), held.scale
        ):
            return value, passed
    return value, passed


def _next(held, side, quantile, inside, outside, passed, step, end):
    """The next value to try: Newton's, the secant's or the middle, within the bracket."""
    low, high = sorted((inside[0], end if outside is None else outside[0]))
    if passed and np.isfinite(passed[-1][2]) and passed[-1][2] > 0.0:
        value, zeta, slope = passed[-1]
        trial = value + (side * quantile - zeta) / slope
        if low < trial < high:
            return trial
    if outside is None:
        return float(np.clip(inside[0] + side * step, held.low, held.high))
    return 0.5 * (inside[0] + outside[0])


def _curve(held, quantile, n_points):
    """Points from one end to the other, about equally spaced in zeta."""
    points = [(held.estimate, 0.0, np.nan)]
    if np.isnan(held.estimate):
        nothing = np.empty(0)
        return ProfileCurve(held.name, np.nan, nothing, nothing, nothing)
    for side in (-1.0, 1.0):
        end, passed = _limit(held, side, quantile)
        points += [point for point in passed if side * point[1] <= quantile + 1e-6]
        held.restart()
        for share in np.arange(1, n_points // 2) / (n_points // 2):
            value = held.estimate + share * (end - held.estimate)
            if np.isfinite(value) and value != held.estimate:
                points.append((value, *held.zeta(value)))
    values, zeta, slope = np.array(sorted(points)).T
    fresh = np.append(True, np.diff(values) > 1e-9 * held.scale) & np.isfinite(zeta)
    return ProfileCurve(held.name, held.estimate, values[fresh], zeta[fresh], slope[fresh])
