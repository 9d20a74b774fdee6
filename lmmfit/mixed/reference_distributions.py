"""Reference distributions of tests of the fixed effects: what the methods have in common."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc

__all__ = ["FTest", "SmallSample", "f_test", "fixed_map", "pseudo_inverse"]

_DEPENDENT = 1e-8  # eigenvalue of the correlation of functions that depend on one another
_NO_CURVATURE = 1e-8  # eigenvalue of the Hessian below which a direction tells nothing


@dataclass(frozen=True)
class FTest:
    """An F test of several linear functions of the fixed effects.

    Attributes
    ----------
    statistic : float
    num_df, den_df : float
        Degrees of freedom; the latter is infinite for the normal approximation.
    p_value : float
    scale : float
        Factor in ``statistic`` that makes it follow an F distribution (Kenward-Roger); 1 for
        the other methods.
    """

    statistic: float
    num_df: float
    den_df: float
    p_value: float
    scale: float = 1.0


class SmallSample:
    """Normal approximation: degrees of freedom are infinite.

    Parameters
    ----------
    fit : MixedFit

    Attributes
    ----------
    covariance : ndarray of shape (p, p)
        Of the fixed effects; zero for dropped ones.
    """

    def __init__(self, fit):
        self.fit, self.covariance = fit, fit.beta_covariance

    def df(self, L):
        """Degrees of freedom of ``L beta``, row by row.

        Parameters
        ----------
        L : array-like of shape (k, p)

        Returns
        -------
        ndarray of shape (k,)
        """
        return np.full(len(np.atleast_2d(L)), np.inf)

    def f_test(self, L):
        """Test ``L beta = 0``.

        Parameters
        ----------
        L : array-like of shape (k, p)
            Rows may depend on one another; the rank counts.

        Returns
        -------
        FTest
        """
        axes, estimate, variance = self._axes(L)
        if not variance.size:
            return FTest(np.nan, 0.0, np.nan, np.nan)
        statistic = float(np.mean(estimate**2 / variance))
        return f_test(statistic, float(variance.size), self._joint_df(axes))

    def _axes(self, L):
        """Uncorrelated linear functions that span those of L, their estimates and variances."""
        L = np.atleast_2d(np.asarray(L, dtype=np.float64))
        if not L.size:
            return L, np.empty(0), np.empty(0)
        covariance = L @ self.covariance @ L.T
        unit = np.sqrt(np.where(covariance.diagonal() > 0.0, covariance.diagonal(), 1.0))
        correlation = np.linalg.eigvalsh(covariance / np.outer(unit, unit))
        rank = int(np.sum(correlation > _DEPENDENT * max(correlation[-1], 0.0)))
        variance, rotation = np.linalg.eigh(covariance)
        used = slice(len(L) - rank, None)
        axes = rotation[:, used].T @ L
        return axes, axes @ self.fit.beta, variance[used]

    def _joint_df(self, axes):
        """Denominator degrees of freedom from those of uncorrelated functions.

        The mean of the F distribution is matched (Fai and Cornelius 1996, method of lmerTest).
        """
        df = self.df(axes)
        if df.size == 1 or np.isinf(df).all() or np.ptp(df) < 1e-8:
            return float(df.mean())
        if (df <= 2.0).any():
            return 2.0
        expected = float(np.sum(df / (df - 2.0)))
        return 2.0 * expected / (expected - df.size)


def fixed_map(fit, around):
    """Map of the kept fixed effects in the basis to the user's."""
    layout = fit.statistics.layout
    columns = [layout.fixed[j] for j in around.kept]
    return fit.statistics.basis.coefficient_map(layout, columns)


def pseudo_inverse(matrix, tol=_NO_CURVATURE):
    """Inverse over the directions of positive curvature, each parameter in its own units."""
    if not np.isfinite(matrix).all():
        return np.full(matrix.shape, np.nan)
    own = matrix.diagonal()
    unit = 1.0 / np.sqrt(np.where(own > 0.0, own, 1.0))
    values, axes = np.linalg.eigh(matrix * np.outer(unit, unit))
    used = values > tol
    return (axes[:, used] / values[used]) @ axes[:, used].T * np.outer(unit, unit)


def f_test(statistic, num_df, den_df, scale=1.0):
    """An F test, or a chi-square test for infinite denominator degrees of freedom."""
    if np.isinf(den_df):
        p_value = chdtrc(num_df, num_df * statistic)
    else:
        p_value = fdtrc(num_df, den_df, statistic)
    return FTest(statistic, num_df, den_df, float(p_value), float(scale))
