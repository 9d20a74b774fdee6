"""Densities of the eigenvalues of a Hessian, from products alone."""

from dataclasses import dataclass, field

import numpy as np

from lmmfit.curvature.entropy import maximum_entropy
from lmmfit.curvature.estimates import (
    Estimate,
    average,
    check_probes,
    is_stochastic,
    rough_operator,
)
from lmmfit.curvature.lanczos import lanczos_rules, random_probes
from lmmfit.curvature.moments import chebyshev_moments
from lmmfit.curvature.spectrum import eigenpairs

__all__ = ["SpectralDensity", "spectral_density"]

_GRID = 2048  # points of densities that come from moments
_MARGIN = 0.02  # of the interval, beyond the extreme eigenvalues as they are known


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """Estimate of how the eigenvalues of a matrix are distributed.

    It is a sum of points with weights: those of the Gauss rules of all probes, or a fine
    grid. ``scipy.stats.wasserstein_distance(d.nodes, eigenvalues, d.weights)`` compares it with
    known eigenvalues.

    Attributes
    ----------
    nodes, weights : ndarray of shape (m,)
        Places and shares of the eigenvalues; the shares sum to 1.
    bounds : (float, float)
        Interval of the spectrum.
    size : int
        Order of the matrix.
    method : str
    n_products : int

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import spectral_density
    >>> H = np.diag(np.linspace(1.0, 2.0, 300))
    >>> density = spectral_density(aslinearoperator(H))
    >>> mean_log = density.expectation(np.log)  # times 300, the log-determinant
    >>> round(float(mean_log), 4), round(float(np.log(np.diag(H)).mean()), 4)
    (0.3862, 0.3862)
    """

    nodes: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    bounds: tuple
    size: int
    method: str
    n_products: int
    _places: np.ndarray = field(repr=False)  # (n_probes, m) nodes and weights of single probes
    _shares: np.ndarray = field(repr=False)

    def pdf(self, x, width=None):
        """Density at some values: the points, each spread to a normal distribution.

        Parameters
        ----------
        x : array-like of shape (n,)
        width : float, optional
            Standard deviation of the spread; by default a hundredth of the interval.

        Returns
        -------
        Estimate
            Value and error of shape (n,).
        """
        x = np.atleast_1d(np.asarray(x, dtype=np.float64))
        width = 0.01 * (self.bounds[1] - self.bounds[0]) if width is None else width
        if not width > 0:
            raise ValueError(f"width must be above 0, got {width!r}.")

        def spread(nodes):
            z = (x[:, None] - nodes) / width
            return np.exp(-0.5 * z * z) / (width * np.sqrt(2.0 * np.pi))

        return self._average(spread)

    def cdf(self, x):
        """Share of the eigenvalues up to some values.

        Parameters
        ----------
        x : array-like of shape (n,)

        Returns
        -------
        Estimate
            Value and error of shape (n,).
        """
        x = np.atleast_1d(np.asarray(x, dtype=np.float64))
        return self._average(lambda nodes: (nodes <= x[:, None]).astype(np.float64))

    def expectation(self, function):
        """Mean of a function over the eigenvalues; times ``size``, the trace of f(H).

        Parameters
        ----------
        function : callable
            Of an ndarray of eigenvalues, element by element.

        Returns
        -------
        Estimate
        """
        result = self._average(lambda nodes: np.asarray(function(nodes))[None, :])
        return Estimate(
            float(result.value[0]), float(result.error[0]), self.n_products, len(self._places)
        )

    def _average(self, functionals):
        """Mean over the probes of sums of weights times values (n, m) at the nodes."""
        samples = [
            functionals(nodes) @ shares
            for nodes, shares in zip(self._places, self._shares, strict=True)
        ]
        return average(samples, self.n_products, functionals(self.nodes) @ self.weights)


def spectral_density(
    operator, *, method="lanczos", n_probes=10, n_products=None, bounds=None, seed=0
):
    """Estimate the density of the eigenvalues of a symmetric operator.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.
    method : {"lanczos", "chebyshev", "skilling"}, default="lanczos"
        ``lanczos``: Gauss rules of random vectors, sharp at both ends of the spectrum.
        ``chebyshev``: the series of Chebyshev moments, damped by Jackson's kernel, smooth.
        ``skilling``: the density of maximum entropy among those whose Chebyshev moments are the
        measured ones, to their errors; powers of H, as Skilling (1989) took them, lose all digits.
    n_probes : int, default=10
        Random vectors; the errors come from their differences.
    n_products : int, optional
        For each probe: 60 for ``lanczos``, 50 for ``chebyshev``, 15 for ``skilling`` by default.
        The last two get two moments of each, or one where each product comes from another batch.
    bounds : (float, float), optional
        Interval that holds the spectrum, for the last two; found by Lanczos' method by
        default.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    SpectralDensity

    Raises
    ------
    ValueError
        If a name is unknown, or fewer than two probes are asked for.

    References
    ----------
    Lin, L., Saad, Y. and Yang, C. (2016). Approximating spectral densities of large matrices.
    SIAM Review 58(1).

    Skilling, J. (1989). The eigenvalues of mega-dimensional matrices. In Maximum Entropy and
    Bayesian Methods, Kluwer.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from lmmfit.curvature import spectral_density
    >>> H = aslinearoperator(np.diag(np.linspace(-1.0, 3.0, 400)))
    >>> density = spectral_density(H)
    >>> density.cdf(1.0).value.round(2)
    array([0.5])
    """
    if method not in ("lanczos", "chebyshev", "skilling"):
        raise ValueError(f"method={method!r} is none of lanczos, chebyshev, skilling.")
    check_probes("n_probes", n_probes, 2)
    rng = np.random.default_rng(seed)
    steps = {"lanczos": 60, "chebyshev": 50, "skilling": 15}[method]
    steps = steps if n_products is None else n_products
    if method == "lanczos":
        return _from_rules(operator, lanczos_rules(
            operator, n_probes=n_probes, n_steps=steps, seed=rng
        ))  # fmt: skip
    check_probes("n_products", steps, 2)
    bounds, before = _interval(operator, bounds, rng)
    doubled = not is_stochastic(operator)
    count = 2 * steps if doubled else steps + 1
    probes = random_probes(rng, operator.shape[0], n_probes)
    moments = chebyshev_moments(rough_operator(operator), count, bounds, probes=probes)
    shares = _jackson(moments) if method == "chebyshev" else None
    if method == "skilling":
        weights, shares = _jackknife(moments)
    else:
        weights = shares.mean(axis=0)
    centre, half = 0.5 * (bounds[0] + bounds[1]), 0.5 * (bounds[1] - bounds[0])
    nodes = centre + half * _grid()
    return SpectralDensity(
        nodes, weights, bounds, operator.shape[0], method, before + n_probes * steps,
        np.broadcast_to(nodes, shares.shape), shares,
    )  # fmt: skip


def _from_rules(operator, rules):
    order = np.argsort(rules.nodes, axis=None)
    nodes = rules.nodes.ravel()[order]
    weights = rules.weights.ravel()[order] / len(rules.nodes)
    met = nodes[weights > 1e-30]
    return SpectralDensity(
        nodes, weights, (float(met[0]), float(met[-1])), operator.shape[0], "lanczos",
        rules.n_products, rules.nodes, rules.weights,
    )  # fmt: skip


def _interval(operator, bounds, rng):
    """An interval that holds the spectrum, and the products that it took."""
    if bounds is not None:
        return (float(bounds[0]), float(bounds[1])), 0
    whole = getattr(operator, "whole", operator)  # of a stochastic operator: that of all rows
    pairs = eigenpairs(whole, min(2, whole.shape[0]), which="BE", tol=1e-3, seed=rng)
    low, high = pairs.values[0], pairs.values[-1]
    margin = _MARGIN * (high - low) + 1e-12 * max(abs(low), abs(high)) + 1e-300
    low, high = low - margin - pairs.residuals[0], high + margin + pairs.residuals[-1]
    return (float(low), float(high)), pairs.n_products


def _grid():
    """Chebyshev's points in ascending order: the Gauss rule of his weight."""
    return -np.cos(np.pi * (np.arange(_GRID) + 0.5) / _GRID)


def _jackson(moments):
    """Weights on the grid from moments (n, K), with Jackson's kernel: none is negative."""
    K = moments.shape[1]
    k = np.arange(K)
    angle = np.pi / (K + 1)
    g = (K - k + 1) * np.cos(k * angle) + np.sin(k * angle) / np.tan(angle)
    series = moments * g / (K + 1) * np.where(k == 0, 1.0, 2.0)
    polynomials = np.cos(k * np.arccos(_grid())[:, None])  # (M, K)
    return series @ polynomials.T / _GRID


def _jackknife(moments):
    """Weights of maximum entropy, and what each probe contributes to them."""
    n = len(moments)
    error = moments.std(axis=0, ddof=1) / np.sqrt(n)
    nodes, prior = _grid(), np.full(_GRID, 1.0 / _GRID)
    whole, multipliers = maximum_entropy(moments.mean(axis=0), error, nodes, prior)
    without = [
        maximum_entropy(np.delete(moments, i, axis=0).mean(axis=0), error, nodes, prior,
                        start=multipliers)[0]
        for i in range(n)
    ]  # fmt: skip
    return whole, n * whole - (n - 1) * np.array(without)
