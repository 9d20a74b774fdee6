"""Newton's equations by conjugate gradients, broken off early."""

from dataclasses import dataclass

import numpy as np

from lmmfit.optimize.limited_memory import apply_inverse, no_pairs

__all__ = ["TruncatedCG"]

_PAIRS = 10  # of directions and products, spread over a run, that precondition the next
_CURVED = 1e-2  # least curvature of such a pair, relative to the product's length
_FINEST = 1e-3  # smallest residual, relative to the gradient, that is asked of one solution
_KEPT = 2**24  # numbers of a path that are kept in case that its end is rejected
_FAR = 1e100


@dataclass(frozen=True)
class TruncatedCG:
    """Descent by conjugate gradients on the quadratic model, from products alone.

    Parameters
    ----------
    curvature : {"hessian", "gauss-newton"}, default="hessian"
        The model's second derivatives.
    preconditioner : {"lbfgs", None}, default="lbfgs"
        ``lbfgs`` takes directions and products of the previous solution as pairs of
        a quasi-Newton matrix (Morales and Nocedal 2000).
    precision : {"mixed", "double"}, default="mixed"
        ``mixed`` multiplies in single precision while that is enough: values, gradients and
        the judgement of steps stay double, and products return to double where a solution needs
        more digits than single precision has.
    max_products : int, default=50
        For one solution.
    forcing : float, default=0.5
        Largest residual, relative to the gradient, at which a solution is broken off; it
        shrinks with the root of the gradient's length.

    References
    ----------
    Steihaug, T. (1983). The conjugate gradient method and trust regions in large scale
    optimization. SIAM Journal on Numerical Analysis 20(3).

    Examples
    --------
    >>> from lmmfit.optimize import LineSearch, Recombined, TruncatedCG
    >>> Recombined(TruncatedCG(curvature="gauss-newton"), LineSearch()).descent.max_products
    50
    """

    curvature: str = "hessian"
    preconditioner: str | None = "lbfgs"
    precision: str = "mixed"
    max_products: int = 50
    forcing: float = 0.5

    def __post_init__(self):
        for name, known in (
            ("curvature", ("hessian", "gauss-newton")),
            ("preconditioner", ("lbfgs", None)),
            ("precision", ("mixed", "double")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} is none of {known}.")

    def start(self, run):
        """Begin without a preconditioner, in single precision if that is allowed."""
        run.memory.pairs, run.memory.first = no_pairs(run.x), None
        run.memory.double = self.precision == "double"
        run.memory.expected, run.memory.surprises = None, 0

    def direction(self, run):
        """Step of the model without bounds; along the gradient's side of negative curvature."""
        return self.within(run, np.inf)[0]

    def within(self, run, radius):
        """Steihaug's step: minimise the model along the path that leads out of the ball.

        Parameters
        ----------
        run : Run
        radius : float

        Returns
        -------
        step : ndarray of shape (k,)
        promised : float
            Decrease of the model.
        length : float
        """
        g, m = run.gradient, run.memory
        known = getattr(run.cache, "path", None)
        if known is not None and known[0] is run.point:
            steps = known[1]  # the path is the same for a smaller ball
        else:
            steps = self._follow(run, radius)
            run.cache.path = (run.point, steps) if len(steps) * len(g) < _KEPT else None
        s, Hs = np.zeros_like(g), np.zeros_like(g)
        for d, Hd, alpha in steps:
            trial = s + alpha * d
            if trial @ trial >= radius * radius:
                alpha = _to_boundary(s, d, radius)
                s, Hs, m.expected = s + alpha * d, Hs + alpha * Hd, None
                break
            s, Hs = trial, Hs + alpha * Hd
        return s, -(g @ s + 0.5 * (s @ Hs)), np.sqrt(s @ s)

    def _follow(self, run, radius):
        """Directions, their products and lengths until the model is solved or the ball left."""
        g, m = run.gradient, run.memory
        size = np.sqrt(g @ g)
        m.first = m.first or size
        self._trust(m, g)
        goal = min(self.forcing, max(_FINEST, np.sqrt(size / m.first))) * size
        multiply, least = self._multiplier(run, not m.double), 1e-14 if m.double else 1e-6
        s, r = np.zeros_like(g), g.copy()
        z = self._precondition(m, r)
        d, rz = -z, r @ z
        steps, most = [], min(self.max_products, len(g))
        for _ in range(most):
            Hd = multiply(d)
            dHd = d @ Hd
            if dHd <= least * np.sqrt((d @ d) * (Hd @ Hd)):  # on to the boundary, if there is one
                steps.append((d, Hd, _FAR if np.isfinite(radius) else _short(steps, d)))
                break
            alpha = rz / dHd
            steps.append((d, Hd, alpha))
            s = s + alpha * d
            r = r + alpha * Hd
            if np.sqrt(r @ r) <= goal or s @ s >= radius * radius:
                break
            z = self._precondition(m, r)
            rz, before = r @ z, rz
            d = -z + (rz / before) * d
        self._remember(m, steps)
        m.expected, m.size = r, size
        return steps

    def _trust(self, m, g):
        """Return to double precision where gradients twice were not what the products said.

        Only steps that kept their promise tell: after others it may be the model that was wrong.
        """
        if m.expected is not None and not m.double and getattr(m, "kept", 0.0) > 0.9:
            missed = g - m.expected
            m.surprises = m.surprises + 1 if missed @ missed > 0.25 * m.size**2 else 0
            m.double = m.surprises > 1
        m.expected = None

    def damped(self, run, damping, start=None):
        """Minimise the model plus half ``damping`` times the squared length, as Martens (2010).

        Parameters
        ----------
        run : Run
        damping : float
        start : ndarray of shape (k,), optional

        Returns
        -------
        steps : list of ndarray of shape (k,)
            Iterates spread over the solution, the last one first.
        promised : float
            Decrease of the undamped model by the last one.
        """
        g = run.gradient
        multiply = self._multiplier(run, not run.memory.double)
        s = np.zeros_like(g) if start is None else start.copy()
        As = multiply(s) + damping * s if s.any() else np.zeros_like(g)
        r = g + As
        z = self._precondition(run.memory, r)
        d, rz = -z, r @ z
        kept, model, next_kept, pairs = [], [], 1.0, []
        for i in range(1, min(self.max_products, 2 * len(g)) + 1):
            Ad = multiply(d) + damping * d
            dAd = d @ Ad
            if not dAd > 0.0:
                break
            alpha = rz / dAd
            s = s + alpha * d
            As += alpha * Ad
            r = r + alpha * Ad
            pairs.append((d, Ad - damping * d, alpha))
            model.append(g @ s + 0.5 * (s @ As))
            if i >= next_kept:
                kept.append(s)
                next_kept *= 1.3
            back = max(10, i // 10)
            if (
                i > back
                and model[-1] < 0
                and model[-1] - model[-back - 1] > 5e-4 * back * model[-1]
            ):
                break
            z = self._precondition(run.memory, r)
            rz, before = r @ z, rz
            if not rz > 0.0:
                break
            d = -z + (rz / before) * d
        self._remember(run.memory, pairs)
        if not kept or kept[-1] is not s:
            kept.append(s)
        promised = -(g @ s + 0.5 * (s @ (As - damping * s)))
        return kept[::-1], promised

    def scale(self, run):
        """Curvature along the gradient."""
        g = run.gradient
        return float(max(g @ self._multiplier(run, False)(g) / (g @ g), 1e-300))

    def _multiplier(self, run, single):
        """Products with the model's second derivatives, counted."""
        point = run.point
        if single and hasattr(point, "single_precision"):
            point = point.single_precision()
        name = "gauss_newton" if self.curvature == "gauss-newton" else "hessian"
        product = getattr(point, f"{name}_vector_product")

        def multiply(v):
            run.n_products += 1
            return np.asarray(product(v), dtype=np.float64)

        return multiply

    def _precondition(self, memory, r):
        return apply_inverse(*memory.pairs, r) if self.preconditioner else r.copy()

    def _remember(self, memory, pairs):
        """Keep a few pairs, spread over the solution, whose curvature is beyond doubt."""
        if not self.preconditioner or len(pairs) < 3:
            return
        chosen = np.unique(np.linspace(0, len(pairs) - 1, _PAIRS).astype(int))
        good = []
        for i in chosen:
            d, Hd, _ = pairs[i]
            dHd = d @ Hd
            if dHd > _CURVED * np.sqrt((d @ d) * (Hd @ Hd)):
                good.append((d, Hd))
        if good:
            memory.pairs = tuple(np.array(part) for part in zip(*good, strict=True))
        else:
            memory.pairs = no_pairs(pairs[0][0])


def _short(steps, d):
    """Length along negative curvature without a ball: none after other steps."""
    return 0.0 if steps else 1.0 / max(1.0, np.sqrt(d @ d))


def _to_boundary(s, d, radius):
    """Positive root of ``|s + tau d| = radius``."""
    a, b, c = d @ d, s @ d, s @ s - radius * radius
    root = np.sqrt(max(b * b - a * c, 0.0))
    return -c / (b + root) if b > 0 else (root - b) / a
