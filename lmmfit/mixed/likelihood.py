"""The profiled criterion of a linear mixed model, with exact derivatives.

With ``theta`` the entries of the relative covariance factor Lambda, column by column, and
``P = Lambda Lambda'``, fixed effects and residual variance profiled out (Bates, Maechler,
Bolker and Walker 2015, equations 34-42)::

    d(theta) = sum_i log|I + G_i P| + nu (1 + log(2 pi r^2 / nu))  [+ log|X'V^-1 X|]

``nu`` is n for maximum likelihood and n - p for REML, which adds the bracket.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import log, sqrt

import numpy as np
from scipy.linalg.lapack import dpotrf

from lmmfit.mixed._descent_kernels import descend, room_size
from lmmfit.mixed._profile_kernels import workspace_size
from lmmfit.mixed._row_kernels import classify, compress
from lmmfit.mixed.layout import principal

__all__ = ["Evaluation", "ProfiledCriterion"]

_ALIASED = 1e-11  # share of a column's sum of squares that the columns before it leave
_COLLINEAR = 1e-14  # the same relative to the column as it was before the basis changed


_NOTHING, _NOTHING_2D = np.empty(0), np.empty((0, 0))


@lru_cache(maxsize=16)
def _identity(q):
    return np.eye(q)  # kernels do not write to it


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The criterion at one theta.

    Attributes
    ----------
    value : float
    gradient : ndarray of shape (k,) or None
    hessian : ndarray of shape (k, k) or None
    """

    value: float
    gradient: np.ndarray = None
    hessian: np.ndarray = None


class ProfiledCriterion:
    """The criterion as a function of theta.

    ``criterion(theta)`` is the value in the user's units: -2 log-likelihood for ML, the REML
    criterion for REML. ``theta`` is unbounded; the sign of a column of Lambda is immaterial.

    Parameters
    ----------
    statistics : MixedStatistics
    method : {"reml", "ml"}, default="reml"

    Attributes
    ----------
    n_theta : int
    fixed : list of int
        Fixed effects (positions in the layout) that are kept.
    aliased : list of int
        Fixed effects that the others determine, dropped.
    nu : int
        Degrees of freedom of the residual variance.
    constant : float
        What the criterion in the user's units has more than that in the basis.
    random_map : ndarray of shape (q, q)
        Maps a relative factor in the basis of the statistics to the user's.
    fixed_map : ndarray of shape (p, p)
        Maps coefficients of the fixed effects kept in the basis to the user's, up to the scale
        and the shift of the response.
    beta, covariance, rss : ndarray (p,), ndarray (p, p), float
        Of the last evaluation, in the basis: fixed effects, (X'V^-1 X)^-1, and the weighted
        residual sum of squares.
    derivative : ndarray of shape (q, q)
        Derivative of the criterion with respect to P at the last evaluation with a gradient,
        in the basis.

    Examples
    --------
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import MixedStatistics, profiled_criterion
    >>> import numpy as np
    >>> data = load_sleepstudy()
    >>> days, subject = data.data.T
    >>> design = np.column_stack([np.ones(180), days])
    >>> statistics = MixedStatistics.from_arrays(data.target, design, design, subject)
    >>> criterion = profiled_criterion(statistics, method="reml")
    >>> round(criterion([0.9667, 0.0152, 0.2309]), 4)
    1743.6283
    """

    def __init__(self, statistics, method="reml"):
        check_method(method)
        self.statistics, self.method = statistics, method
        layout, basis = statistics.layout, statistics.basis
        self.reml = method == "reml"
        self._rows, self._columns = layout.theta_positions
        self.fixed, self.aliased = _find_aliased(statistics)
        self.nu = statistics.n_rows - (len(self.fixed) if self.reml else 0)
        constant = 2.0 * self.nu * log(basis.response_scale) - statistics.sum_log_weight
        constant += statistics.n_rows * log(basis.weight_unit)
        if self.reml:
            scale = basis.transform.diagonal().tolist()
            constant -= 2.0 * sum(log(scale[layout.fixed[j]]) for j in self.fixed)
        self.constant = constant
        self.random_map = basis.random_map(layout) / sqrt(basis.weight_unit)
        self.fixed_map = basis.coefficient_map(layout, [layout.fixed[j] for j in self.fixed])
        self._prepare()

    @property
    def n_theta(self):
        """Number of parameters."""
        return self._rows.size

    @property
    def q(self):
        """Number of random effects of a group."""
        return len(self.statistics.layout.random)

    @cached_property
    def _inverse_map(self):
        return np.linalg.inv(self.random_map)

    def __call__(self, theta):
        """Value at theta, in the user's units."""
        return self._evaluate(self._checked(theta), self._inverse_map, 0)[0] + self.constant

    def evaluate(self, theta, order=0):
        """Value and, by order, gradient and Hessian with respect to theta.

        Parameters
        ----------
        theta : array-like of shape (k,)
            Lower triangle of each block of Lambda, column by column, in the user's units.
        order : {0, 1, 2}, default=0

        Returns
        -------
        Evaluation

        Raises
        ------
        ValueError
            If theta has another length.
        """
        theta = self._checked(theta)
        value, gradient, hessian = self._evaluate(theta, self._inverse_map, order)
        return Evaluation(value + self.constant, gradient, hessian)

    def unpack(self, theta):
        """Theta as the q x q lower-triangular matrix Lambda."""
        theta = self._checked(theta)
        lambda_ = np.zeros((self.q, self.q))
        lambda_[self._rows, self._columns] = theta
        return lambda_

    def pack(self, lambda_):
        """Entries of a block lower-triangular Lambda as theta."""
        return lambda_[self._rows, self._columns]

    def evaluate_factor(self, factor, left_map=None, order=0):
        """As evaluate, without the constant, for a factor in the basis of the statistics.

        Parameters
        ----------
        factor : ndarray of shape (q, q)
            Block lower-triangular.
        left_map : ndarray of shape (q, q), optional
            ``left_map @ factor`` is the square root of P in that basis; the identity by default.
        order : {0, 1, 2}, default=0

        Returns
        -------
        value : float
        gradient : ndarray of shape (k,) or None
        hessian : ndarray of shape (k, k) or None
        """
        left_map = self._identity if left_map is None else left_map
        return self._evaluate(self.pack(factor), left_map, order)

    def _evaluate(self, theta, left_map, order):
        gradient = np.empty(self.n_theta) if order else _NOTHING
        hessian = np.empty((self.n_theta, self.n_theta)) if order == 2 else _NOTHING_2D
        _, _, value, self.rss, _, _ = descend(
            order, 0, -1, 0.0, *self._data, theta, left_map, *self._outputs, gradient, hessian,
            self._room,
        )  # fmt: skip
        return value, gradient if order else None, hessian if order == 2 else None

    def _checked(self, theta):
        theta = np.array(theta, dtype=np.float64)  # never read-only: one signature
        if theta.shape != (self.n_theta,):
            raise ValueError(f"theta must have shape ({self.n_theta},), got {theta.shape}.")
        return theta

    def first_factor(self):
        """Factor to start from: ``Lambda = I``, in columns of unit mean square.

        Returns
        -------
        ndarray of shape (q, q)
        """
        return self._identity

    def descend(self, lambda_, n_em, n_newton, tol):
        """Take EM steps and Newton steps for as long as the criterion is safely convex.

        Parameters
        ----------
        lambda_ : ndarray of shape (q, q)
            Block lower-triangular factor in the basis of the statistics.
        n_em, n_newton : int
            Steps; at most, those of Newton's method.
        tol : float
            Decrease below which a Newton step is the last.

        Returns
        -------
        lambda_ : ndarray of shape (q, q)
            Where it ended.
        outcome : tuple
            As from evaluate_factor with ``order=2``, there; the Hessian one step before where
            it converged.
        n_evaluations : int
        converged : bool
        at_zero, rss_at_zero : float
            Criterion and residual sum of squares without random effects.
        """
        theta = self.pack(lambda_)
        gradient, hessian = np.empty(self.n_theta), np.empty((self.n_theta, self.n_theta))
        at_zero, rss_at_zero, value, self.rss, n, converged = descend(
            2, n_em, n_newton, tol, *self._data, theta, self._identity, *self._outputs, gradient,
            hessian, self._room,
        )  # fmt: skip
        outcome = value, gradient, hessian
        return self.unpack(theta), outcome, n, converged, at_zero, rss_at_zero

    def _prepare(self):
        """Lay the statistics out for the kernels and allocate what they write to."""
        statistics, layout = self.statistics, self.statistics.layout
        columns = *(layout.fixed[j] for j in self.fixed), len(layout.columns)
        q, c = self.q, len(columns)
        groups = _share_factors(
            statistics.products,
            layout.rows_of(layout.random, layout.random),
            layout.rows_of(layout.random, columns),
        )
        total = principal(statistics.total, columns)
        self._data = statistics.n_groups, *groups, total, float(self.nu), self.reml
        self._identity = _identity(q)
        self.beta, self.covariance = np.empty(c - 1), np.empty((c - 1, c - 1))
        self.derivative, self.rss = np.empty((q, q)), np.nan
        self._room = np.empty(room_size(q, self.n_theta))
        workspace = aligned(workspace_size(q, c, self.n_theta))
        self._outputs = (
            *layout.theta_positions, workspace, self.beta, self.covariance, self.derivative,
        )  # fmt: skip


def check_method(method):
    """Raise a ValueError unless it is "reml" or "ml"."""
    if method not in ("reml", "ml"):
        raise ValueError(f"method must be 'reml' or 'ml', got {method!r}.")


def aligned(size):
    """Uninitialised numbers that begin where a cache line does."""
    room = np.empty(size + 8)
    start = -(room.__array_interface__["data"][0] // 8) % 8
    return room[start : start + size]


def _find_aliased(statistics):
    """Sweep X'X in order; a column that leaves nothing is determined by those before it."""
    layout = statistics.layout
    order = layout.fixed_order
    gram = principal(statistics.total, tuple(layout.fixed[j] for j in order))
    own = gram.diagonal()
    factor, info = dpotrf(gram)
    if not info and (factor.diagonal() ** 2 > 1e-6 * np.maximum(own, statistics.weight)).all():
        return list(range(len(order))), []
    own, kept, aliased = own.copy(), [], []
    for k, j in enumerate(order):
        if gram[k, k] > max(_ALIASED * own[k], _COLLINEAR * statistics.weight):
            kept.append(j)
            ratio = gram[k, k + 1 :] / gram[k, k]
            gram[k + 1 :, k + 1 :] -= np.outer(ratio, gram[k, k + 1 :])
        else:
            aliased.append(j)
    return sorted(kept), sorted(aliased)


def _share_factors(products, g_row, c_row):
    """Let groups with identical Z'Z share one factor where that makes the sums shorter."""
    q, m = len(g_row), products.shape[1]
    everything = products, g_row, c_row, _NOTHING
    if not q or m < 8 * c_row.shape[1]:
        return everything
    g_used, c_used = np.unique(g_row), np.unique(c_row)
    limit = m // (2 * c_used.size)
    if limit < 4:
        return everything
    classes, n_classes = classify(products, g_used, limit)
    if n_classes < 0:
        return everything
    rows, multiplicity = compress(products, g_used, c_used, classes, n_classes)
    new_g = np.searchsorted(g_used, g_row)
    new_c = g_used.size + np.searchsorted(c_used, c_row)
    return rows, new_g, new_c, multiplicity
