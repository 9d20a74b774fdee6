"""Conditional modes (BLUPs) of the random effects, and what predictions need of them."""

from dataclasses import dataclass

import numpy as np

__all__ = ["GroupModes", "RandomEffects", "group_modes", "random_effects"]


@dataclass(frozen=True, eq=False)
class GroupModes:
    """Random effects of every level of a grouping factor, its terms side by side.

    Attributes
    ----------
    modes : ndarray of shape (m, q)
        Conditional modes, given the data and the estimated parameters.
    covariance : ndarray of shape (m, q, q)
        Their conditional covariance, fixed effects taken as known.
    pull : ndarray of shape (m, q, p)
        Minus the derivative of the modes with respect to the fixed effects.
    """

    modes: np.ndarray
    covariance: np.ndarray
    pull: np.ndarray


@dataclass(frozen=True, eq=False)
class RandomEffects:
    """Random effects of one term.

    Attributes
    ----------
    group : str
        Name of the grouping factor.
    levels : ndarray of shape (m,)
        Its levels.
    names : tuple of str
        Names of the effects.
    values : ndarray of shape (m, q)
        Conditional modes (BLUPs).
    covariance : ndarray of shape (m, q, q)
        Conditional covariances, fixed effects taken as known.
    """

    group: str
    levels: np.ndarray
    names: tuple
    values: np.ndarray
    covariance: np.ndarray

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype, copy=copy)

    def __len__(self):
        return len(self.levels)

    @property
    def shape(self):
        """Number of levels and of effects."""
        return self.values.shape

    @property
    def std_error(self):
        """Conditional standard deviations, shape (m, q)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    def __getitem__(self, level):
        found = np.flatnonzero(self.levels == level)
        if not found.size:
            raise KeyError(
                f"{level!r} is not a level of {self.group!r}, which has {len(self)} levels such "
                f"as {self.levels[:3].tolist()}."
            )
        return dict(zip(self.names, self.values[found[0]].tolist(), strict=True))

    def to_frame(self):
        """Modes as a pandas DataFrame indexed by level.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_frame() needs pandas: `pip install pandas`.") from error
        index = pandas.Index(self.levels, name=self.group)
        return pandas.DataFrame(self.values, index=index, columns=list(self.names))

    def __repr__(self):
        lines = [f"{len(self)} levels of {self.group}: {', '.join(self.names)}"]
        for level, row in zip(self.levels[:5], self.values, strict=False):
            lines.append(f"  {level}: " + ", ".join(f"{value:.4g}" for value in row))
        return "\n".join(lines + ["  ..."] * (len(self) > 5))


def group_modes(fit, factor=0):
    """Conditional modes of the random effects of every level of a grouping factor.

    With ``T = Z'V^-1 Z`` and P the relative covariance they are ``P Z'V^-1 (y - X beta)``, and
    their conditional covariance is ``sigma2 (P - P T P)`` (Henderson 1975; Bates et al. 2015,
    equation 56).

    Parameters
    ----------
    fit : MixedFit
    factor : int, default=0
        Position of the grouping factor.

    Returns
    -------
    GroupModes

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed import MixedStatistics, fit_statistics, group_modes
    >>> from lmmfit.datasets import load_dyestuff
    >>> data, one = load_dyestuff(), np.ones((30, 1))
    >>> fit = fit_statistics(MixedStatistics.from_arrays(data.target, one, one, data.data[:, 0]))
    >>> group_modes(fit).modes.ravel().round(1)
    array([-17.6,   0.4,  28.6, -23.1,  56.7, -45. ])
    """
    marginal, basis = fit.marginal, fit.statistics.basis
    effects = marginal.system.effects[factor]
    scale = marginal.scale[effects[:, None], effects]
    root = marginal.root[effects[:, None], effects]
    prior = root @ root.T
    own = scale @ marginal.system.by_level(marginal.modes, factor)
    back = np.linalg.inv(marginal.back)
    variance = fit.sigma2 / basis.weight_unit
    spread = scale @ (prior - prior @ marginal.blocks[factor] @ prior) @ scale.T
    return GroupModes(
        basis.response_scale * own[:, :, -1], variance * spread, own[:, :, :-1] @ back
    )


def random_effects(fit, layout, keys):
    """Random effects of every term.

    Parameters
    ----------
    fit : MixedFit
    layout : Layout
    keys : list of str
        One for each term.

    Returns
    -------
    dict of str to RandomEffects
    """
    found, taken = {}, [0] * layout.n_factors
    for key, (start, stop), owner in zip(keys, layout.blocks, layout.owners, strict=True):
        modes, levels = fit.modes[owner], fit.statistics.factor_levels[owner]
        own = slice(taken[owner], taken[owner] + stop - start)
        taken[owner] = own.stop
        found[key] = RandomEffects(
            ":".join(levels.names), levels.labels, tuple(layout.random_names[start:stop]),
            modes.modes[:, own], modes.covariance[:, own, own],
        )  # fmt: skip
    return found
