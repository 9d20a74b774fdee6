"""Trust-region Newton's method with exact second derivatives, for a few parameters."""

from dataclasses import dataclass

import numpy as np

from lmmfit.linalg import symmetric_eigen
from lmmfit.optimize._stopping import WHOLE, is_last_step
from lmmfit.optimize.trust_region import TrustRegion

__all__ = ["NewtonResult", "minimize_newton", "promised_decrease"]

_FLAT = 1e-8  # curvature, relative to that of single parameters, that rounding may produce
_FLOOR = 1e-12
_REGION = TrustRegion(grow=3.0)


@dataclass(frozen=True, eq=False)
class NewtonResult:
    """Where Newton's method ended, and why.

    Attributes
    ----------
    x : ndarray of shape (k,)
    value : float
    gradient : ndarray of shape (k,)
    hessian : ndarray of shape (k, k)
    n_iter : int
        Steps tried.
    converged : bool
    reason : str
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    n_iter: int
    converged: bool
    reason: str


def minimize_newton(
    evaluate, x, *, value_at=None, tol=1e-9, max_iter=100, radius=None, callback=None
):
    """Minimise a smooth function; saddle points are left along negative curvature.

    Each step minimises the quadratic model within a ball, from the eigenvalues of the
    Hessian (Nocedal and Wright 2006, section 4.3). It stops where the Hessian is positive
    semidefinite and the model promises less than ``tol``, or where it may be expected to do so by
    far after this step, from how the promises shrink; that last step is taken.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(x)`` returns value, gradient (k,) and Hessian (k, k). A value that is not
        finite rejects the step.
    x : ndarray of shape (k,)
        Start.
    value_at : callable, optional
        ``value_at(x)`` returns the value alone, for the last step: its gradient is then what
        the quadratic model says, its Hessian that of the step before.
    tol : float, default=1e-9
        Decrease, in units of the function, below which a step is the last.
    max_iter : int, default=100
        Steps at most.
    radius : float, optional
        First radius of the ball, with each parameter in units of 1 over the root of its own
        curvature; by default the length of ``x``, and at least 1.
    callback : callable, optional
        Called with the step number, the point and the value; returning True stops.

    Returns
    -------
    NewtonResult

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import minimize_newton
    >>> def saddle(x):  # minima at (0, -1) and (0, 1)
    ...     value = x[0] ** 2 + (x[1] ** 2 - 1) ** 2
    ...     gradient = np.array([2 * x[0], 4 * x[1] * (x[1] ** 2 - 1)])
    ...     return value, gradient, np.diag([2.0, 12 * x[1] ** 2 - 4])
    >>> result = minimize_newton(saddle, np.zeros(2))
    >>> result.converged, np.abs(result.x).round(6)
    (True, array([0., 1.]))
    """
    x = np.asarray(x, dtype=np.float64)
    value, gradient, hessian = evaluate(x)
    if not _is_finite(value, gradient, hessian):
        return NewtonResult(x, value, gradient, hessian, 0, False, "no finite value at the start")
    if radius is None:
        radius = max(1.0, np.sqrt(x**2 @ np.abs(hessian.diagonal())))
    before = 0.0  # what the step before promised, if it was a whole one and kept it
    for iteration in range(1, max_iter + 1):
        if callback is not None and callback(iteration - 1, x, value):
            return NewtonResult(x, value, gradient, hessian, iteration - 1, False, "callback")
        step, length, promised, possible, convex = _step(gradient, hessian, radius)
        noise = 4e-15 * max(abs(value), 1.0)
        last = convex and is_last_step(possible, before, tol, value)
        if last and value_at is not None:
            trial = value_at(x + step), gradient + hessian @ step, hessian
        else:
            trial = evaluate(x + step)
        decrease = value - trial[0]
        if last:
            if _is_finite(*trial) and decrease >= -noise - tol:
                x, (value, gradient, hessian) = x + step, trial
            return NewtonResult(
                x, value, gradient, hessian, iteration, True, "no step promises more"
            )
        ratio = decrease / promised if _is_finite(*trial) else -1.0
        radius = _REGION.resize(radius, length, ratio)
        before = possible if promised == possible and ratio > WHOLE else 0.0
        if ratio > _REGION.accept:
            x, (value, gradient, hessian) = x + step, trial
        elif radius < 1e-10:
            return NewtonResult(x, value, gradient, hessian, iteration, False, "steps vanished")
    return NewtonResult(x, value, gradient, hessian, max_iter, False, f"max_iter={max_iter} steps")


def promised_decrease(gradient, hessian):
    """Decrease that a full Newton step promises, and whether the quadratic model is convex.

    Parameters
    ----------
    gradient : ndarray of shape (k,)
    hessian : ndarray of shape (k, k)

    Returns
    -------
    decrease : float
    convex : bool

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import promised_decrease
    >>> promised_decrease(np.array([2.0]), np.array([[4.0]]))
    (0.5, True)
    """
    *_, possible, convex = _newton_step(gradient, hessian)
    return float(possible), bool(convex)


def _is_finite(value, gradient, hessian):
    return np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()


def _step(gradient, hessian, radius):
    """Minimise the quadratic model within the ball.

    Returns the step, its length and the decrease it promises; the decrease that the model
    promises without the ball, and whether the model is convex.
    """
    unit, curvature, axes, slope, step, possible, convex = _newton_step(gradient, hessian)
    length, promised = np.sqrt(step @ step), possible
    if not convex or length > radius:
        step = _boundary_step(slope, curvature, radius)
        length = np.sqrt(step @ step)
        promised = -(slope @ step) - 0.5 * ((curvature * step) @ step)
    return (axes @ step) * unit, length, promised, possible, convex


def _newton_step(gradient, hessian):
    """Minimise the quadratic model along the axes of the Hessian.

    Lengths are measured with each parameter in units of its own curvature, in which the
    eigenvalues of parameters of very different size can be compared with one another.
    """
    own = np.abs(hessian.diagonal())
    unit = 1.0 / np.sqrt(np.maximum(own, 1e-14 * own.max() + 1e-300))
    curvature, axes = symmetric_eigen(hessian * unit[:, None] * unit)
    slope = (gradient * unit) @ axes
    convex = curvature[0] >= -_FLAT
    step = -slope / np.maximum(curvature, _FLOOR)
    if curvature[0] <= _FLAT:  # a flat direction without slope is left alone
        step[(np.abs(curvature) <= _FLAT) & (np.abs(slope) <= 1e-7)] = 0.0
    possible = -(slope @ step) - 0.5 * ((curvature * step) @ step)
    return unit, curvature, axes, slope, step, possible, convex


def _boundary_step(slope, curvature, radius):
    """Minimise on the sphere: find the shift of the curvature that gives the length."""
    low = max(0.0, -curvature[0])
    high = low + np.sqrt(slope @ slope) / radius + 1e-300
    tiny = 1e-12

    def at(shift):
        return -slope / np.maximum(curvature + shift, 1e-300)

    hard = at(low + tiny)
    if hard @ hard < radius * radius:  # the hard case: go along the lowest axis as well
        if curvature[0] < 0.0:
            direction = -1.0 if slope[0] > 0.0 else 1.0
            hard[0] = direction * np.sqrt(max(radius * radius - hard[1:] @ hard[1:], 0.0))
        return hard
    shift = low = low + tiny
    for _ in range(50):  # Newton's method on 1/|step| - 1/radius, within a bracket
        step = at(shift)
        length = np.sqrt(step @ step)
        if abs(length - radius) < 1e-2 * radius:
            break
        low, high = (shift, high) if length > radius else (low, shift)
        growth = (step * step) @ (1.0 / np.maximum(curvature + shift, 1e-300))
        shift += (length - radius) / radius * length * length / growth
        if not low < shift < high:
            shift = 0.5 * (low + high)
    return step
