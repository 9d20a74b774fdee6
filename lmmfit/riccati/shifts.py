"""Shifts of alternating direction implicit iterations."""

import warnings

import numpy as np
from scipy.linalg import LinAlgWarning, eigvals, lu_factor, lu_solve
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, splu
from scipy.special import ellipj, ellipk

from lmmfit.riccati.arnoldi import ritz_values
from lmmfit.riccati.checks import as_dense

__all__ = [
    "check_shifts",
    "cycle_shifts",
    "geometric_shifts",
    "named_shifts",
    "penzl_shifts",
    "quick_shift",
    "single_shift",
    "wachspress_shifts",
]

_NAMES = ("auto", "single", "penzl", "hamiltonian")
_NO_MODE = 1e-7  # size beside the largest that rounding makes of a double eigenvalue zero


def single_shift(A, B, C, sign, *, E=None, n_products=30, seed=0):
    """The shift of the paper: minus the root of the extreme eigenvalues of the Hamiltonian.

    ``p = -sqrt(|lambda_max lambda_min|)``, both from power iterations (Wong and Balakrishnan,
    remark 4).

    Parameters
    ----------
    A, E : ndarray of shape (n, n)
        E is the identity by default.
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    sign : {1, -1}
    n_products : int, default=30
        Of each power iteration.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import single_shift
    >>> A = np.diag([-1.0, -4.0])
    >>> round(single_shift(A, np.zeros((2, 1)), np.ones((1, 2)), -1), 6)
    -2.0
    """
    n, rng = len(B), np.random.default_rng(seed)
    A = as_dense(A)
    H = np.block([[A, sign * B @ B.T], [-C.T @ C, -A.T]])
    if E is not None:
        E = as_dense(E)
        H[:n] = np.linalg.solve(E, H[:n])
        H[n:] = np.linalg.solve(E.T, H[n:])
    largest = _dominant(lambda x: H @ x, rng.standard_normal(2 * n), n_products)
    inverse = np.linalg.inv(H)
    smallest = 1.0 / _dominant(lambda x: inverse @ x, rng.standard_normal(2 * n), n_products)
    return -float(np.sqrt(largest * smallest))


def quick_shift(A, B, C, *, n_products=12, seed=0):
    """A shift for doubling, which forgives one that is not the best: from A alone.

    Minus the root of the extreme sizes of the eigenvalues of A, by power iterations; where A is
    singular, or smaller than what B and C add to it, the sizes of B and C stand for its own.

    Parameters
    ----------
    A : ndarray of shape (n, n)
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    n_products : int, default=12
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import quick_shift
    >>> round(quick_shift(np.diag([-1.0, -4.0]), np.zeros((2, 1)), np.ones((1, 2))), 3)
    -2.0
    """
    rng, n = np.random.default_rng(seed), len(A)
    added = float(np.linalg.norm(B) * np.linalg.norm(C))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # a singular A is dealt with below
        largest = _dominant(lambda x: A @ x, rng.standard_normal(n), n_products)
        lu = lu_factor(A, check_finite=False)
        smallest = 1.0 / _dominant(
            lambda x: lu_solve(lu, x, check_finite=False), rng.standard_normal(n), n_products
        )
    largest = max(largest, added) if np.isfinite(largest) else added
    if not (np.isfinite(smallest) and smallest > _NO_MODE * largest):
        smallest = added
    shift = float(np.sqrt(largest * smallest))
    return -shift if np.isfinite(shift) and shift > 0 else -1.0


def _dominant(product, x, count):
    """Size of the largest eigenvalue; the mean of two steps, as pairs turn."""
    sizes = []
    for _ in range(count):
        x = x / np.linalg.norm(x)
        x = product(x)
        sizes.append(np.linalg.norm(x))
    return float(np.exp(np.mean(np.log(sizes[-max(2, count // 3) :]))))


def geometric_shifts(smallest, largest, count):
    """Real shifts from minus ``largest`` to minus ``smallest`` in equal ratios.

    Parameters
    ----------
    smallest, largest : float
        Sizes, above 0.
    count : int

    Returns
    -------
    list of float

    Examples
    --------
    >>> from lmmfit.riccati import geometric_shifts
    >>> [round(p, 3) for p in geometric_shifts(1.0, 100.0, 3)]
    [-100.0, -10.0, -1.0]
    """
    _check_interval(smallest, largest, count)
    if count == 1:
        return [-float(np.sqrt(smallest * largest))]
    return [-float(p) for p in np.geomspace(largest, smallest, count)]


def wachspress_shifts(smallest, largest, count):
    """Best real shifts for real eigenvalues between minus ``largest`` and minus ``smallest``.

    They minimise the largest product of ``|(p - x) / (p + x)|`` over the interval (equation 7 of
    Wong and Balakrishnan).

    Parameters
    ----------
    smallest, largest : float
        Sizes, above 0.
    count : int

    Returns
    -------
    list of float

    References
    ----------
    Wachspress, E. L. (1963). Extended application of alternating direction implicit iteration
    model problem theory. Journal of the SIAM 11(4).

    Examples
    --------
    >>> from lmmfit.riccati import wachspress_shifts
    >>> [round(p, 6) for p in wachspress_shifts(1.0, 100.0, 1)]
    [-10.0]
    """
    _check_interval(smallest, largest, count)
    if smallest == largest:
        return [-float(smallest)] * count
    m = 1.0 - (smallest / largest) ** 2
    u = (2 * np.arange(1, count + 1) - 1) / (2 * count) * ellipk(m)
    return [-float(largest * dn) for dn in ellipj(u, m)[2]]


def _check_interval(smallest, largest, count):
    if not 0.0 < smallest <= largest < np.inf:
        raise ValueError(
            f"the interval must have 0 < smallest <= largest, got {smallest!r} and {largest!r}."
        )
    if int(count) != count or count < 1:
        raise ValueError(f"count must be a whole number of at least 1, got {count!r}.")


def penzl_shifts(A, count, *, E=None, n_large=50, n_small=25, seed=0):
    """Shifts from Ritz values of A and of its inverse, chosen one by one (Penzl 1999).

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default.
    count : int
        Shifts; a complex pair counts twice and may make it one more.
    n_large, n_small : int
        Steps of Arnoldi's method for A and for its inverse.
    seed : int or numpy.random.Generator, default=0

    Returns
    -------
    list of float or complex
        Of each pair the one with the positive imaginary part.

    References
    ----------
    Penzl, T. (1999). A cyclic low-rank Smith method for large sparse Lyapunov equations. SIAM
    Journal on Scientific Computing 21(4).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import penzl_shifts
    >>> penzl_shifts(np.diag([-1.0, -2.0, -3.0]), 3)
    [-2.0, -1.0, -3.0]
    """
    n, rng = A.shape[0], np.random.default_rng(seed)
    if n <= n_large + n_small:
        dense = [as_dense(M) for M in (A, E) if M is not None]
        ritz = eigvals(*dense)
    else:
        forward, backward = _operators(A, E)
        ritz = np.r_[
            ritz_values(forward.matvec, rng.standard_normal(n), n_large),
            1.0 / ritz_values(backward.matvec, rng.standard_normal(n), n_small),
        ]
    ritz = np.where(ritz.real < 0, ritz, -np.abs(ritz.real) - 1e-12 + 1j * ritz.imag)
    ritz = np.where(np.abs(ritz.imag) < 1e-10 * np.abs(ritz), ritz.real + 0j, ritz)
    ritz = np.unique(np.round(ritz[ritz.imag >= 0], 14))
    chosen, size = [], np.ones(len(ritz))
    spread = [np.max(_ratio(ritz, p)) for p in ritz]
    p = ritz[int(np.argmin(spread))]
    while True:
        chosen.append(p)
        size = size * _ratio(ritz, p)
        if sum(2 if q.imag else 1 for q in chosen) >= count or size.max() == 0.0:
            break
        p = ritz[int(np.argmax(size))]
    return [complex(p) if p.imag else float(p.real) for p in chosen]


def _ratio(x, p):
    """|(p - x) / (p + x)|, for a complex p times that of its conjugate."""
    ratio = np.abs((p - x) / (np.conj(p) + x))
    return ratio * np.abs((np.conj(p) - x) / (p + x)) if p.imag else ratio


def _operators(A, E):
    n = A.shape[0]
    if issparse(A):
        lu_A = splu(A.tocsc())
        lu_E = None if E is None else splu(E.tocsc())
        forward = (lambda x: A @ x) if E is None else (lambda x: lu_E.solve(A @ x))
        backward = lu_A.solve if E is None else (lambda x: lu_A.solve(E @ x))
    else:
        M = A if E is None else np.linalg.solve(E, A)
        inverse = np.linalg.inv(M)
        forward, backward = (lambda x: M @ x), (lambda x: inverse @ x)
    return LinearOperator((n, n), forward), LinearOperator((n, n), backward)


def named_shifts(A, B, C, sign, shifts, *, E=None):
    """Shifts that are computed at the start, by their name; numbers as they are.

    Parameters
    ----------
    A, E : ndarray or sparse array of shape (n, n)
        E is the identity by default.
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    sign : {1, -1}
    shifts : {"auto", "single", "penzl"} or list of float or complex

    Returns
    -------
    list of float or complex

    Raises
    ------
    ValueError
        If the name is another.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import named_shifts
    >>> A, B, C = np.diag([-1.0, -4.0]), np.zeros((2, 1)), np.ones((1, 2))
    >>> [round(p, 6) for p in named_shifts(A, B, C, -1, "single")]
    [-2.0]
    """
    if not isinstance(shifts, str):
        return list(shifts)
    if shifts in ("auto", "single"):
        return [single_shift(A, B, C, sign, E=E)]
    if shifts == "penzl":
        return penzl_shifts(A, 10, E=E)
    raise ValueError(
        f"shifts={shifts!r} is none of 'auto', 'single', 'penzl' and numbers: it is for "
        "method='cfqadi' and 'cfadi'."
    )


def check_shifts(shifts):
    """The name of a choice of shifts, or a list of numbers.

    Parameters
    ----------
    shifts : str, number or sequence of numbers

    Returns
    -------
    str or list of float or complex

    Raises
    ------
    ValueError
        If the name is not known, there is no shift, or one has a real part that is not negative.

    Examples
    --------
    >>> from lmmfit.riccati import check_shifts
    >>> check_shifts("single"), check_shifts(-2.0)
    ('single', [-2.0])
    """
    if isinstance(shifts, str):
        if shifts not in _NAMES:
            raise ValueError(f"shifts={shifts!r} is none of {', '.join(_NAMES)}, nor numbers.")
        return shifts
    try:
        found = np.atleast_1d(np.asarray(shifts, dtype=complex))
    except (TypeError, ValueError):
        found = np.empty(0)
    if shifts is None or found.ndim != 1 or not found.size:
        raise ValueError(f"shifts must be a name, a number or numbers, got {shifts!r}.")
    for p in found:
        if not (np.isfinite(p) and p.real < 0):
            raise ValueError(f"shifts must have negative real parts, got {_shown(p)}.")
    return [complex(p) if p.imag else float(p.real) for p in found]


def _shown(p):
    return f"{p:.6g}" if p.imag else f"{p.real:.6g}"


def cycle_shifts(shifts):
    """Shifts in turn, again and again.

    Parameters
    ----------
    shifts : sequence of float or complex
        With negative real parts; of a complex pair one, which stands for both.

    Returns
    -------
    callable
        For :func:`cfqadi`.

    Raises
    ------
    ValueError
        If there is none, or one has a real part that is not negative.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from lmmfit.riccati import cycle_shifts
    >>> following = cycle_shifts([-1.0, -2.0])
    >>> following(SimpleNamespace(shifts=[-1.0, -2.0, -1.0]))
    -2.0
    """
    cleaned, skip = [], None
    for p in map(complex, check_shifts(shifts)):
        if skip is not None and p == skip:
            skip = None
            continue
        skip = p.conjugate() if p.imag else None
        cleaned.append(complex(p.real, abs(p.imag)) if p.imag else p.real)
    return lambda it: cleaned[len(it.shifts) % len(cleaned)]
