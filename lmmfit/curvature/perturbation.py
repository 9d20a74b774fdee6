"""Weight perturbation: gradients and Hessian products from values alone."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import solve_triangular

__all__ = ["WeightPerturbation", "weight_perturbation"]

_METHODS = ("covariance", "joint", "per_weight")
_DISTRIBUTIONS = ("normal", "rademacher")
_DRAWN = 2**17  # numbers of perturbations held at once


@dataclass(frozen=True)
class WeightPerturbation:
    """Estimates from values at random perturbations, with standard errors.

    Attributes
    ----------
    gradient, gradient_error : ndarray of shape (k,)
    hessian_vector_product, product_error : ndarray of shape (k,), or None without v
    diagonal, diagonal_error : ndarray of shape (k,), or None where not asked for
        Of the Hessian.
    n_values : int
        Values of the function that were computed.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import weight_perturbation
    >>> found = weight_perturbation(lambda w: w @ w, np.ones(2), n_samples=100)
    >>> found.n_values, bool((abs(found.gradient - 2) < 4 * found.gradient_error).all())
    (201, True)
    """

    gradient: np.ndarray
    gradient_error: np.ndarray
    hessian_vector_product: np.ndarray | None
    product_error: np.ndarray | None
    diagonal: np.ndarray | None
    diagonal_error: np.ndarray | None
    n_values: int


def weight_perturbation(
    function, w, v=None, *, n_samples, scale=1e-2, distribution="normal", antithetic=True,
    method="covariance", diagonal=False, seed=0,
):  # fmt: skip
    """Estimate gradient, Hessian product and diagonal from values at random perturbations.

    Perturbations dw of all weights are drawn at once, with mean 0 and standard deviation s. What
    the function E changes by is regressed on what each weight alone knows: its own perturbation,
    and the inner product of dw and v.

    Parameters
    ----------
    function : callable, or objective
        ``function(w)`` returns E as a number; of an objective ``evaluate(w).value`` is taken.
    w : array-like of shape (k,)
    v : array-like of shape (k,), optional
        Direction of the product; without it there is none.
    n_samples : int
        Perturbations; antithetic ones are taken with both signs and count once.
    scale : float, default=1e-2
        The standard deviation s of the perturbations, in units of w.
    distribution : {"normal", "rademacher"}, default="normal"
        Rademacher perturbations, +s or -s, are for gradients only.
    antithetic : bool, default=True
        Whether each dw is used with both signs: the gradient is taken from half the difference
        of the two values and second derivatives from their mean, in which nothing is left of the
        other.
    method : {"covariance", "joint", "per_weight"}, default="covariance"
        See the notes.
    diagonal : bool, default=False
        Whether to estimate the Hessian's diagonal too, by covariances whatever the method.
    seed : int or numpy.random.SeedSequence, default=0

    Returns
    -------
    WeightPerturbation

    Raises
    ------
    ValueError
        If v is zero, an option is unknown or does not go with another, there are too few
        samples, or a value is not finite.

    Notes
    -----
    For normal perturbations, with ``dE = E(w + dw) - E(w)`` and, from equation 27,
    ``phi_i = (dw.v / |v|^2) (dw_i - dw.v v_i / 2|v|^2)``:

    ``covariance``
        The gradient is <dw dE> / s^2, and (Hv)_i = Cov(dE, dw_i dw.v) / s^4. Unbiased where E is
        quadratic.
    ``joint``
        Least squares of dE on all of dw, phi and 1 together (of odd and even parts apart for
        antithetic perturbations). Consistent where E is quadratic. Equation 25 keeps of H what
        equation 26 needs for Hv, of rank two; what it leaves out is noise, uncorrelated with dw
        and phi. So the product is exact, once the equations have full rank, only where H itself
        has the form of equation 26, and the antithetic gradient wherever E is quadratic.
    ``per_weight``
        Each weight by itself, as in the paper: <phi_i dE> / <phi_i^2>. Because the phi_i are
        correlated, this is **biased** on any quadratic but the simplest. With ``u = v / |v|``
        its expectation is
        ``|v| [(Hu)_i - u_i u'Hu / 2 + u_i tr(H) / 4] / (1 - u_i^2 / 4)``. For comparison only.

    The diagonal is H_ii = Cov(dE, dw_i^2) / s^4. For Rademacher perturbations dw_i^2 is constant,
    and a covariance with dw_i dw.v misses the diagonal's part of Hv: hence gradients only.

    Where E is not quadratic, every estimate has a bias of order s^2, from third derivatives in
    the gradient and fourth ones (without antithetic perturbations third ones, as noise) in Hv.
    Variances fall as 1 / n_samples and grow with k: estimates of Hv have the noise of the whole
    Hessian, and rounding of E is divided by s^2.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1),
    equations 24 to 27.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import weight_perturbation
    >>> H = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> w, v = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    >>> found = weight_perturbation(lambda w: w @ H @ w / 2, w, v, n_samples=2000)
    >>> bool((abs(found.gradient - H @ w) < 3 * found.gradient_error).all())
    True
    >>> bool((abs(found.hessian_vector_product - H @ v) < 3 * found.product_error).all())
    True
    """
    w, v, seed = _check(w, v, n_samples, scale, distribution, antithetic, method, diagonal, seed)
    draw = partial(_draw, seed, distribution, scale, n_samples, len(w))
    value = _value_of(function)
    first, second, n_values = _values(value, w, draw, n_samples, antithetic)
    joint = method == "joint" and v is not None
    if joint:
        gradient, product = _joint(first, second, draw, v, scale, antithetic)
    else:
        gradient = _mean(first, draw, lambda dw: dw / scale**2)
        product = None, None
        if v is not None:
            product = (_covariance if method == "covariance" else _per_weight)(
                second, draw, v, scale
            )
    curvatures = None, None
    if diagonal:
        curvatures = _covariance_with(second, draw, lambda dw: (dw / scale) ** 2 - 1.0, scale)
    return WeightPerturbation(*gradient, *product, *curvatures, n_values)


def _covariance(dE, draw, v, s):
    """Cov(dE, dw_i dw.v) / s^4; the mean s^2 v_i is known, and no mean of it enters."""
    return _covariance_with(dE, draw, lambda dw: dw * (dw @ v)[:, None] / s**2 - v, s)


def _covariance_with(dE, draw, form, s):
    """Sample covariances with a form of mean 0, / s^2; n / (n - 1) makes them unbiased."""
    centred, n = dE - dE.mean(), len(dE)
    mean, error = _mean(centred, draw, lambda dw: form(dw) / s**2)
    return mean * (n / (n - 1)), error


def _per_weight(dE, draw, v, s):
    """<phi_i dE> / <phi_i^2> with the denominator that normal perturbations have."""
    square = s**4 * (1 - v**2 / (4 * (v @ v))) / (v @ v)
    return _mean(dE, draw, lambda dw: _phi(dw, v) / square)


def _phi(dw, v):
    """What z_i is multiplied by in equation 27."""
    along = (dw @ v / (v @ v))[:, None]
    return along * (dw - 0.5 * along * v)


def _mean(dE, draw, form):
    """Mean of dE x form(dw) over the samples, and its standard error."""
    total, squares, n = 0.0, 0.0, len(dE)
    for start, dw in draw():
        terms = dE[start : start + len(dw), None] * form(dw)
        total = total + terms.sum(axis=0)
        squares = squares + (terms**2).sum(axis=0)
    mean = total / n
    return mean, np.sqrt(np.maximum(squares / n - mean**2, 0.0) / (n - 1))


def _joint(first, second, draw, v, s, antithetic):
    """Gradient and product by least squares on dw, phi and 1; columns are scaled to order 1."""
    k, length = len(v), np.sqrt(v @ v)

    def linear(dw):
        return dw / s

    def bent(dw):
        return np.column_stack([_phi(dw, v) * (length / s**2), np.ones(len(dw))])

    if antithetic:
        gradient = _least_squares(first, draw, linear)
        product = _least_squares(second, draw, bent)
    else:
        both = _least_squares(first, draw, lambda dw: np.hstack([linear(dw), bent(dw)]))
        gradient, product = [part[:k] for part in both], [part[k:] for part in both]
    return [part / s for part in gradient], [part[:k] * (length / s**2) for part in product]


def _least_squares(y, draw, columns):
    """Coefficients, and errors that hold for noise of unequal variance (HC3)."""
    R = None
    for start, dw in draw():  # R of a QR decomposition, block by block; y is its last column
        block = np.column_stack([columns(dw), y[start : start + len(dw)]])
        R = np.linalg.qr(block if R is None else np.vstack([R, block]), mode="r")
    R, right = R[:-1, :-1], R[:-1, -1]
    if np.min(np.abs(np.diag(R))) <= 1e-12 * np.max(np.abs(np.diag(R))):
        raise ValueError("the perturbations leave the least squares without full rank.")
    found = solve_triangular(R, right)
    variance = 0.0
    for start, dw in draw():
        X = columns(dw)
        half = solve_triangular(R, X.T, trans="T")
        kept = np.maximum(1.0 - (half**2).sum(axis=0), np.finfo(float).eps)
        wrong = (y[start : start + len(dw)] - X @ found) / kept
        variance = variance + ((solve_triangular(R, half) * wrong) ** 2).sum(axis=1)
    return found, np.sqrt(variance)


def _draw(seed, distribution, s, n, k):
    """Perturbations in blocks, the same at each call: kept is the seed, not the numbers."""
    rng = np.random.default_rng(seed)
    rows = max(1, _DRAWN // k)
    for start in range(0, n, rows):
        shape = min(rows, n - start), k
        if distribution == "normal":
            yield start, s * rng.standard_normal(shape)
        else:
            yield start, s * (2.0 * rng.integers(2, size=shape) - 1.0)


def _values(value, w, draw, n, antithetic):
    """What gradient and second derivatives are estimated from, for each sample."""
    here = value(w, "at w")
    ahead = np.empty(n)
    behind = np.empty(n) if antithetic else ahead
    for start, dw in draw():
        for row, step in enumerate(dw, start):
            ahead[row] = value(w + step, f"at w + dw of sample {row}")
            if antithetic:
                behind[row] = value(w - step, f"at w - dw of sample {row}")
    if not antithetic:
        return ahead - here, ahead - here, n + 1
    return 0.5 * (ahead - behind), 0.5 * ((ahead - here) + (behind - here)), 2 * n + 1


def _value_of(function):
    """Function from weights and where they are to a finite number."""
    plain = (lambda w: function.evaluate(w).value) if hasattr(function, "evaluate") else function
    if not callable(plain):
        raise ValueError(f"function must be callable or have evaluate(w), got {function!r}.")

    def value(w, where):
        E = np.asarray(plain(w), dtype=np.float64)
        if E.size != 1:
            raise ValueError(f"function must return one number, got shape {E.shape} {where}.")
        if not np.isfinite(E).all():
            raise ValueError(f"the function is {E.item()} {where}: try a smaller scale.")
        return E.item()

    return value


def _check(w, v, n_samples, scale, distribution, antithetic, method, diagonal, seed):
    """The vectors, and a seed that gives the same perturbations as often as it is used."""
    w = np.asarray(w, dtype=np.float64)
    if w.ndim != 1 or len(w) == 0 or not np.isfinite(w).all():
        raise ValueError(f"w must be a finite vector, got shape {w.shape}: {w}.")
    for name, choice, known in (
        ("distribution", distribution, _DISTRIBUTIONS), ("method", method, _METHODS),
    ):  # fmt: skip
        if choice not in known:
            raise ValueError(f"{name}={choice!r} is none of {', '.join(known)}.")
    if distribution == "rademacher" and (v is not None or diagonal):
        raise ValueError(
            "rademacher perturbations are for gradients only: their squares are constant, so "
            "that values tell nothing of the Hessian's diagonal, in Hv or by itself. Take "
            "distribution='normal'."
        )
    if method != "covariance" and v is None:
        raise ValueError(f"method={method!r} is about products with the Hessian: give v.")
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be finite and above 0, got {scale!r}.")
    least = 2
    if method == "joint":
        least = len(w) + 2 if antithetic else 2 * len(w) + 2
    if int(n_samples) != n_samples or n_samples < least:
        raise ValueError(
            f"n_samples must be an integer of at least {least} for method={method!r} and "
            f"{len(w)} weights, got {n_samples!r}."
        )
    if v is not None:
        v = np.asarray(v, dtype=np.float64)
        if v.shape != w.shape or not np.isfinite(v).all():
            raise ValueError(f"v must be a finite vector of shape {w.shape}, got {v!r}.")
        if not np.any(v):
            raise ValueError("v is zero: it has no direction.")
    if not isinstance(seed, np.random.SeedSequence):
        seed = np.random.SeedSequence(seed)
    return w, v, seed
