"""The optimum of the profiled criterion: two EM steps, Newton's method, a certificate."""

from dataclasses import dataclass, field, replace

import numpy as np

from lmmfit.linalg import lower_factor, symmetric_eigen
from lmmfit.mixed.boundary import escape, null_directions, project
from lmmfit.mixed.layout import principal
from lmmfit.optimize import NewtonResult, minimize_newton, promised_decrease

__all__ = ["Optimum", "optimize_criterion"]

_EM_STEPS = 2
_PATIENCE = 12  # Newton steps before another way is tried
_HALVINGS = 100  # of a factor so large that rounding has swallowed the residual
_PRECISION = 1e-11  # residual share of the sum of squares that cross-products still resolve
_PERFECT_FIT = 1e-20  # residual share of the sum of squares below which nothing is left


@dataclass(frozen=True, eq=False)
class Optimum:
    """The optimum of a criterion, and how it was certified.

    Attributes
    ----------
    lambda_ : ndarray of shape (q, q)
        Relative covariance factor in the basis of the statistics.
    value : float
        Criterion in the user's units.
    n_iter : int
        Evaluations of the criterion.
    converged : bool
        Whether the optimality conditions hold, on the boundary too.
    reason : str
        Why the search ended.
    null_directions : list of NullDirection
        Combinations of zero variance; empty where the covariance is positive definite.
    saturated : bool
        Whether the fixed effects alone leave no residual to estimate a variance from.
    """

    lambda_: np.ndarray
    value: float
    n_iter: int
    converged: bool
    reason: str
    null_directions: list = field(default_factory=list)
    saturated: bool = False


def optimize_criterion(criterion, *, start=None, tol=1e-9, max_iter=100):
    """Minimise the profiled criterion and certify the minimum.

    From the criterion's first factor (or from ``start``), two EM steps and
    Newton's method with exact derivatives and unbounded theta. Directions of vanishing
    variance are then set to zero and the conditions on the cone of covariances are checked;
    where they fail, the search goes on along the direction that fails.

    Parameters
    ----------
    criterion : ProfiledCriterion
    start : ndarray of shape (q, q), optional
        First factor, in the basis of the statistics.
    tol : float, default=1e-9
        Decrease of the criterion below which a Newton step is the last.
    max_iter : int, default=100
        Newton steps at most.

    Returns
    -------
    Optimum
        The criterion is left evaluated there.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.datasets import load_dyestuff2
    >>> from lmmfit.mixed import MixedStatistics, optimize_criterion, profiled_criterion
    >>> data, one = load_dyestuff2(), np.ones((30, 1))
    >>> statistics = MixedStatistics.from_arrays(data.target, one, one, data.data[:, 0])
    >>> optimum = optimize_criterion(profiled_criterion(statistics))
    >>> optimum.converged, round(optimum.null_directions[0].derivative, 2)
    (True, 9.9)
    """
    q = criterion.q
    blocks = criterion.statistics.layout.blocks
    search, zero = _Search(criterion), np.zeros((q, q))
    first = criterion.first_factor() if start is None else _lower_blocks(start, blocks)
    lambda_, result, at_zero, rss_at_zero = search.descend(
        first, _EM_STEPS * (start is None), tol, max_iter
    )
    if _is_saturated(criterion, rss_at_zero):
        value = search.finish(zero)
        return Optimum(zero, value, 1, True, "the fixed effects fit exactly", [], True)
    if not q:
        return Optimum(zero, search.finish(zero), 1, True, "closed form")
    if _is_flat(search, result.value, at_zero):
        return Optimum(zero, search.finish(zero), search.n, True, "the criterion is constant")
    if not result.converged:
        lambda_, result = _descend(search, lambda_, blocks, tol, max_iter)
    minima = []
    for size in (0.3, 0.1, 0.03, None):
        found = _certify(search, lambda_, result, at_zero, tol)
        minima.append(result.value)
        if not found.wants_growth:
            break
        if size is None:
            found = _settle(found, lambda_, result, minima, tol)
            break
        lambda_ = escape(found.lambda_, found.directions, blocks, size)
        lambda_, result = _descend(search, lambda_, blocks, tol, max_iter)
    lambda_, value = search.finish_resolved(found.lambda_)
    reason = found.reason
    if not found.converged and not criterion.rss > _PRECISION * criterion.statistics.total[-1, -1]:
        reason = "the residual is too small beside the random effects for double precision"
    return Optimum(lambda_, value, search.n, found.converged, reason, found.directions)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A minimum over theta, or the point of the boundary beside it, and what it deserves."""

    lambda_: np.ndarray
    converged: bool
    reason: str
    directions: list = field(default_factory=list)
    wants_growth: bool = False


def _certify(search, lambda_, result, at_zero, tol):
    """Set directions of vanishing variance to zero and check the conditions on the cone."""
    criterion, blocks = search.criterion, search.criterion.statistics.layout.blocks
    converged, reason, value = result.converged, result.reason, result.value
    if at_zero < value - tol:  # a local minimum; no variance at all is better
        lambda_, value = np.zeros_like(lambda_), at_zero
        converged, reason = True, "no variance at all is better"
    inside = _Candidate(lambda_, converged, reason)
    projected, n_null = project(lambda_, blocks)
    if not n_null:
        return inside
    projected_value = search.at(projected, 1)[0]
    directions = null_directions(projected, criterion.derivative, blocks)
    wanted = min(direction.derivative for direction in directions)
    if wanted >= -1e-7 * criterion.statistics.n_groups:
        if projected_value > value + 1e-7:
            return inside
        return _Candidate(projected, converged, reason, directions)
    if projected_value > value + tol:  # a small variance that the data do ask for
        return inside
    return _Candidate(projected, False, "a variance at zero wants to grow", directions, True)


def _settle(found, lambda_, result, minima, tol):
    """Accept a minimum that every escape came back to.

    Its small variance improves the criterion by less than ``tol``: it can be told from zero by
    the sign of a derivative, but by no difference of values.
    """
    if not result.converged or max(minima) - min(minima) > tol:
        return found
    return _Candidate(lambda_, True, "a variance so small that zero fits as well")


class _Search:
    """The criterion in the basis of the statistics; counts evaluations, repeats none."""

    def __init__(self, criterion):
        self.criterion, self.n, self.last = criterion, 0, (None, -1)

    def at(self, lambda_, order):
        self.n, self.last = self.n + 1, (lambda_, order)
        self.outcome = self.criterion.evaluate_factor(lambda_, None, order)
        return self.outcome

    def newton(self, theta, frame):
        self.n, self.last = self.n + 1, (None, -1)
        return self.criterion.evaluate_factor(self.criterion.unpack(theta), frame, 2)

    def descend(self, lambda_, n_em, tol, max_iter):
        """The compiled steps, as far as they come."""
        n_newton = min(_PATIENCE, max_iter)
        lambda_, self.outcome, n, converged, *at_zero = self.criterion.descend(
            lambda_, n_em, n_newton, tol
        )
        self.n, self.last = self.n + n, (lambda_, 2)
        theta, reason = self.criterion.pack(lambda_), "no step promises more"
        return lambda_, NewtonResult(theta, *self.outcome, n, converged, reason), *at_zero

    def finish(self, lambda_):
        """Leave the criterion evaluated at the optimum; value in the user's units."""
        there, order = self.last
        if there is not lambda_ and (order < 1 or not np.array_equal(there, lambda_)):
            self.at(lambda_, 1 if self.criterion.q else 0)
        return self.outcome[0] + self.criterion.constant

    def finish_resolved(self, lambda_):
        """As finish; where rounding has swallowed the residual, at a smaller factor."""
        value = self.finish(lambda_)
        for _ in range(_HALVINGS):
            if not np.isnan(value):
                break
            lambda_ = 0.5 * lambda_
            value = self.finish(lambda_)
        return lambda_, value


def _descend(search, lambda_, blocks, tol, max_iter):
    """Newton's method; where it lingers, in a frame turned to the axes of the covariance.

    A lower-triangular factor whose leading variance vanishes leaves its other columns free
    to rotate, and the criterion is then a curved valley of theta. With the axes of P itself,
    the largest first, the vanishing variance comes last and the valley is straight.
    """
    criterion, frame, theta = search.criterion, None, search.criterion.pack(lambda_)
    used, before = 0, None
    while True:
        result = minimize_newton(
            lambda x, frame=frame: search.newton(x, frame),
            theta, tol=tol, max_iter=min(_PATIENCE, max_iter - used),
        )  # fmt: skip
        if not result.n_iter:  # rounding has swallowed the residual
            return before or (lambda_, result)
        used += result.n_iter
        root = criterion.unpack(result.x)
        if frame is not None:
            root = _lower_blocks(frame @ root, blocks)
        if result.converged:
            return root, result
        if _is_resolved(criterion, result):
            return root, replace(result, converged=True, reason="to the last digit that counts")
        if used >= max_iter:
            return root, replace(result, reason=f"max_iter={max_iter} steps")
        before = root, result
        frame, theta = _principal_frame(root, blocks)
        theta = criterion.pack(theta)


def _principal_frame(root, blocks):
    """Axes of each block of ``root @ root.T``, the largest first, and the root along them."""
    frame, sizes = np.zeros((2, *root.shape))
    for start, stop in blocks:
        own = root[start:stop, start:stop]
        variances, axes = symmetric_eigen(own @ own.T)
        frame[start:stop, start:stop] = axes[:, ::-1]
        sizes[start:stop, start:stop] = np.diag(np.sqrt(np.maximum(variances[::-1], 0.0)))
    return frame, sizes


def _is_resolved(criterion, result):
    """Whether rounding alone is larger than what a further step promises.

    The residual sum of squares is the rest of a difference; its relative error grows with
    the share of the response's square that was taken off.
    """
    square = criterion.statistics.total[-1, -1]
    noise = 1e-14 * criterion.nu * square / criterion.rss
    decrease, convex = promised_decrease(result.gradient, result.hessian)
    return convex and noise < 1.0 and decrease <= noise


def _lower_blocks(root, blocks):
    """Lower-triangular factor of each block of ``root @ root.T``."""
    lower = np.zeros(root.shape)
    for start, stop in blocks:
        lower[start:stop, start:stop] = lower_factor(root[start:stop, start:stop])
    return lower


def _is_flat(search, value, at_zero):
    """Whether the data cannot tell the random effects from the residual at all.

    So it is with one row in each group, and (REML) with one group: the criterion does not
    depend on theta, and all variance is left to the residual. ``value`` is that of some theta.
    """
    noise = 1e-9 * (search.criterion.statistics.n_rows + abs(at_zero))
    if abs(value - at_zero) > noise:
        return False
    value, gradient, _ = search.at(np.eye(search.criterion.q), 1)
    return bool(np.abs(gradient).max() < noise and abs(value - at_zero) < noise)


def _is_saturated(criterion, rss):
    """Whether the fixed effects alone reproduce the response (to rounding).

    ``rss`` is the residual sum of squares without random effects.
    """
    if criterion.nu <= 0:
        return True
    scale = criterion.statistics.total[-1, -1] + _raw_square(criterion.statistics)
    return not rss > _PERFECT_FIT * scale  # NaN too: nothing but rounding is left


def _raw_square(statistics):
    """Square of the response before the pilot fit was taken off, in units of the basis."""
    pilot, fixed = statistics.basis.pilot_fit, statistics.layout.fixed
    return pilot @ (principal(statistics.total, fixed) @ pilot)
