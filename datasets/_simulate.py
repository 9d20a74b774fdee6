"""Simulated longitudinal data with a known truth."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_scalar

from lmmfit.datasets._tables import require_pandas

__all__ = ["make_longitudinal"]


def make_longitudinal(
    n_groups=100,
    n_per_group=10,
    *,
    n_features=1,
    random_slopes=1,
    intercept=0.0,
    beta=None,
    cov_re=None,
    sigma=1.0,
    unbalanced=False,
    string_groups=False,
    as_frame=False,
    return_truth=False,
    random_state=None,
):
    """Simulate a linear mixed model with a random intercept and random slopes.

    Row i of group g is ``y = intercept + x'beta + z'b_g + e``, with the features x standard
    normal, ``z = (1, x0, ..., x[random_slopes - 1])``, ``b_g ~ N(0, cov_re)`` and
    ``e ~ N(0, sigma^2)``, all independent (Laird and Ware, 1982).

    Parameters
    ----------
    n_groups : int, default=100
        Number of groups.
    n_per_group : int or (int, int), default=10
        Rows in each group, or the range ``(low, high)``, both included, from which the size
        of each group is drawn uniformly.
    n_features : int, default=1
        Number of features, not counting the group.
    random_slopes : int, default=1
        How many features, the first ones, have a random slope too.
    intercept : float, default=0.0
        The fixed intercept.
    beta : array-like of shape (n_features,), default=None
        The fixed slopes; ones by default.
    cov_re : array-like of shape (1 + random_slopes, 1 + random_slopes), default=None
        Covariance of the random effects, the intercept first; it may be singular. The
        identity by default.
    sigma : float, default=1.0
        Standard deviation of the errors.
    unbalanced : bool, default=False
        Read an integer ``n_per_group`` as the mean size: the range is
        ``(1, 2 * n_per_group - 1)``.
    string_groups : bool, default=False
        Name the groups ``g000000``, ``g000001``, ... Needs ``as_frame=True``.
    as_frame : bool, default=False
        Return X as a DataFrame with the columns ``x0``, ``x1``, ..., ``group``, and y as a
        Series.
    return_truth : bool, default=False
        Return a Bunch with the parameters and the random effects instead of ``(X, y)``.
    random_state : int, Generator, RandomState or None, default=None
        Seed, or source of random numbers.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features + 1) or DataFrame
        The features and, last, the group: integers from 0 (as float64 in an ndarray). The
        rows of a group are contiguous.
    y : ndarray of shape (n_rows,) or Series
        The response.
    truth : Bunch
        Instead of the pair if ``return_truth=True``: ``data``, ``target``, ``frame``,
        ``feature_names``, ``target_names``, ``groups`` (n_rows,), ``intercept``, ``beta``,
        ``cov_re``, ``sigma2`` and ``random_effects`` (n_groups, 1 + random_slopes).

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of the wrong shape.
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    References
    ----------
    Laird, N. M. and Ware, J. H. (1982). Random-effects models for longitudinal data.
    Biometrics 38, 963-974.

    Examples
    --------
    >>> from lmmfit.datasets import make_longitudinal
    >>> X, y = make_longitudinal(n_groups=3, n_per_group=2, random_state=0)
    >>> X.shape, X[:, -1].tolist()
    ((6, 2), [0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    >>> truth = make_longitudinal(return_truth=True, cov_re=[[4, 1], [1, 2]], random_state=0)
    >>> truth.random_effects.shape, truth.sigma2
    ((100, 2), 1.0)
    """
    check_scalar(n_groups, "n_groups", Integral, min_val=1)
    check_scalar(n_features, "n_features", Integral, min_val=0)
    check_scalar(random_slopes, "random_slopes", Integral, min_val=0)
    if random_slopes > n_features:
        raise ValueError(
            f"random_slopes={random_slopes} exceeds n_features={n_features}: a random slope "
            "belongs to a feature; raise n_features or lower random_slopes."
        )
    if string_groups and not as_frame:
        raise ValueError(
            "string_groups=True needs as_frame=True: a float array cannot hold strings."
        )
    intercept = float(_finite(intercept, "intercept", ()))
    sigma = float(_finite(sigma, "sigma", ()))
    check_scalar(sigma, "sigma", Real, min_val=0)
    beta = _finite(np.ones(n_features) if beta is None else beta, "beta", (n_features,))
    q = 1 + random_slopes
    cov_re = _finite(np.eye(q) if cov_re is None else cov_re, "cov_re", (q, q))
    root = _square_root(cov_re)
    low, high = _size_range(n_per_group, unbalanced)
    pandas = require_pandas() if as_frame else None

    rng = _generator(random_state)
    sizes = rng.integers(low, high, size=n_groups, endpoint=True)
    codes = np.repeat(np.arange(n_groups), sizes)
    random_effects = rng.standard_normal((n_groups, q)) @ root
    features = rng.standard_normal((len(codes), n_features))

    y = sigma * rng.standard_normal(len(codes))
    y += intercept + features @ beta
    y += np.repeat(random_effects[:, 0], sizes)
    for j in range(random_slopes):
        y += features[:, j] * np.repeat(random_effects[:, 1 + j], sizes)

    groups = _names(n_groups)[codes] if string_groups else codes
    feature_names = [f"x{j}" for j in range(n_features)] + ["group"]
    frame = None
    if as_frame:
        frame = pandas.DataFrame(features, columns=feature_names[:-1])
        frame["group"] = groups
        frame["y"] = y
        X, y = frame[feature_names], frame["y"]
    else:
        X = np.column_stack((features, codes))
    if not return_truth:
        return X, y
    return Bunch(
        data=X,
        target=y,
        frame=frame,
        feature_names=feature_names,
        target_names=["y"],
        groups=groups,
        intercept=intercept,
        beta=beta,
        cov_re=cov_re,
        sigma2=sigma**2,
        random_effects=random_effects,
    )


def _finite(value, name, shape):
    """Return the value as a float64 array of the given shape, or say what is wrong with it."""
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numeric, got {value!r}.") from error
    if array.shape != shape:
        wanted = f"an array of shape {shape}" if shape else "a number"
        raise ValueError(f"{name} must be {wanted}, got shape {array.shape}: {value!r}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {value!r}.")
    return array


def _square_root(cov_re):
    """Return the symmetric square root: unique, and defined for singular matrices too."""
    if np.abs(cov_re - cov_re.T).max() > 1e-10 * np.abs(cov_re).max():
        raise ValueError(
            f"cov_re must be symmetric, got {cov_re.tolist()}; "
            "symmetrize it, as (cov_re + cov_re.T) / 2."
        )
    values, vectors = np.linalg.eigh(cov_re)
    if values[0] < -1e-10 * np.abs(values).max():
        raise ValueError(
            f"cov_re must be positive semidefinite, got an eigenvalue of {values[0]:.6g}; "
            "make the covariances smaller or the variances larger."
        )
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _size_range(n_per_group, unbalanced):
    """Return the smallest and the largest group size."""
    if isinstance(n_per_group, Integral):
        check_scalar(n_per_group, "n_per_group", Integral, min_val=1)
        return (1, 2 * n_per_group - 1) if unbalanced else (n_per_group, n_per_group)
    try:
        low, high = n_per_group
    except (TypeError, ValueError):
        low = high = None
    if not (isinstance(low, Integral) and isinstance(high, Integral) and 1 <= low <= high):
        raise ValueError(
            "n_per_group must be a positive integer or a range (low, high) of integers with "
            f"1 <= low <= high, got {n_per_group!r}."
        )
    return low, high


def _generator(random_state):
    """Return a Generator; a RandomState of older code seeds a new one."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(random_state)


def _names(n_groups):
    """Return the names of the groups, as wide as the largest needs and six digits at least."""
    width = max(6, len(str(n_groups - 1)))
    return np.array([f"g{g:0{width}d}" for g in range(n_groups)], dtype=object)
