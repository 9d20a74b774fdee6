"""Numbers that come from random probes, with their standard errors."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtrit

__all__ = [
    "Estimate",
    "average",
    "check_probes",
    "dense_matrix",
    "is_stochastic",
    "random_signs",
    "rough_operator",
    "rough_products",
]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number, or an array of numbers, and how far it may be off.

    ``float(estimate)`` and ``numpy.asarray(estimate)`` give the value alone.

    Parameters
    ----------
    value : float or ndarray
    error : float or ndarray
        Standard error; 0 where the value is exact.
    n_products : int
        Products with the matrix that it took.
    n_samples : int
        Independent samples behind the error; 0 where the value is exact.

    Examples
    --------
    >>> from lmmfit.curvature import Estimate
    >>> estimate = Estimate(12.5, 0.5, n_products=30, n_samples=30)
    >>> estimate
    12.5 +- 0.5 (30 products)
    >>> float(estimate), [round(float(end), 2) for end in estimate.interval(0.95)]
    (12.5, [11.48, 13.52])
    """

    value: float | np.ndarray
    error: float | np.ndarray
    n_products: int
    n_samples: int = field(default=0)

    def interval(self, level=0.95):
        """Confidence interval from Student's distribution.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        lower, upper : float or ndarray

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must be between 0 and 1, got {level!r}.")
        width = self.error * stdtrit(max(self.n_samples - 1, 1), 0.5 + 0.5 * level)
        return self.value - width, self.value + width

    def __float__(self):
        return float(self.value)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.value, dtype=dtype)

    def __repr__(self):
        if np.ndim(self.value) == 0:
            return f"{self.value:.6g} +- {self.error:.2g} ({self.n_products} products)"
        return (
            f"Estimate of shape {np.shape(self.value)}, standard errors up to "
            f"{np.max(self.error, initial=0.0):.2g} ({self.n_products} products)"
        )


def average(samples, n_products, value=None):
    """Estimate from independent samples.

    Parameters
    ----------
    samples : ndarray of shape (n, ...)
    n_products : int
    value : float or ndarray, optional
        In place of the samples' mean.

    Returns
    -------
    Estimate
    """
    samples = np.asarray(samples, dtype=np.float64)
    n = len(samples)
    spread = samples.std(axis=0, ddof=1) if n > 1 else np.full(samples.shape[1:], np.nan)
    value = samples.mean(axis=0) if value is None else value
    error = spread / np.sqrt(n)
    if np.ndim(value) == 0:
        value, error = float(value), float(error)
    return Estimate(value, error, n_products, n)


def check_probes(name, count, least):
    """Refuse a number of probes or products that is too small.

    Parameters
    ----------
    name : str
    count : int
    least : int

    Raises
    ------
    ValueError
        If it is not a whole number of at least ``least``.
    """
    if int(count) != count or count < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {count!r}.")


def is_stochastic(operator):
    """Whether each product of an operator comes from another batch.

    Parameters
    ----------
    operator : HessianOperator or any linear operator

    Returns
    -------
    bool
    """
    return getattr(operator, "is_stochastic", False)


def random_signs(rng, size, count):
    """Vectors of independent signs, +1 or -1.

    Parameters
    ----------
    rng : numpy.random.Generator
    size, count : int

    Returns
    -------
    ndarray of shape (size, count)
    """
    return rng.choice((-1.0, 1.0), size=(size, count))


def dense_matrix(operator):
    """The matrix behind an operator, from its products; symmetric to the last bit.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``shape`` and ``matmat`` of a symmetric matrix.

    Returns
    -------
    ndarray of shape (size, size)
    """
    H = np.asarray(operator.matmat(np.eye(operator.shape[0])), dtype=np.float64)
    return 0.5 * (H + H.T)


def rough_operator(operator):
    """The operator with products in single precision, where it offers them.

    Parameters
    ----------
    operator : HessianOperator or any linear operator

    Returns
    -------
    linear operator
    """
    return getattr(operator, "rough", operator)


def rough_products(operator):
    """Products for estimates: in single precision where the operator offers it, as doubles.

    Parameters
    ----------
    operator : HessianOperator
        Anything with ``matmat``.

    Returns
    -------
    callable
        V -> H V.
    """
    rough = rough_operator(operator)
    return lambda V: np.asarray(rough.matmat(V), dtype=np.float64)
