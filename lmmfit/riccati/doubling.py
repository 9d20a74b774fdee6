"""Quadratic ADI, and its doubling: one map of X, composed with itself."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, lu_factor, lu_solve

__all__ = [
    "RiccatiMap",
    "compose",
    "double_until",
    "iterate_map",
    "next_change",
    "qadi_map",
    "without_dust",
]

_DUST = 1e-120  # relative size of elements that do not count; products of two are no subnormals


@dataclass(frozen=True, eq=False)
class RiccatiMap:
    """The map X -> h + a' X (I + g X)^{-1} a of Riccati iterations.

    One step of quadratic ADI is such a map (Wong and Balakrishnan 2005, equation 10, with
    h = M11, a = M12', g = -M22), and so is one step of a discrete Riccati equation.

    Parameters
    ----------
    a : ndarray of shape (n, n)
    g, h : ndarray of shape (n, n)
        Symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import RiccatiMap
    >>> one = RiccatiMap(np.eye(1), np.eye(1), np.eye(1))
    >>> one(np.zeros((1, 1))), one(np.ones((1, 1)))
    (array([[1.]]), array([[1.5]]))
    """

    a: np.ndarray
    g: np.ndarray
    h: np.ndarray

    def __call__(self, X):
        """Apply the map.

        Parameters
        ----------
        X : ndarray of shape (n, n)

        Returns
        -------
        ndarray of shape (n, n)
        """
        inner = without_dust(np.linalg.solve(np.eye(len(X)) + X @ self.g, X))
        return without_dust(_symmetric(self.h + self.a.T @ inner @ self.a))

    def slope(self, X):
        """``(I + g X)^{-1} a``.

        At the fixed point a change D of X becomes T' D T, T being this. For quadratic ADI its
        eigenvalues are powers of those of the closed loop's Cayley transform: a norm below 1
        proves the loop stable.

        Parameters
        ----------
        X : ndarray of shape (n, n)

        Returns
        -------
        ndarray of shape (n, n)
        """
        return np.linalg.solve(np.eye(len(X)) + self.g @ X, self.a)


def qadi_map(A, B, C, sign, shift, weight=None):
    """The map of one step of quadratic ADI with a real shift (equations 10 and 11).

    Parameters
    ----------
    A : ndarray of shape (n, n)
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    sign : {1, -1}
        Before X B B' X.
    shift : float
        p, below 0.
    weight : ndarray of shape (p, p), optional
        Symmetric, between C' and C.

    Returns
    -------
    RiccatiMap

    Raises
    ------
    LinAlgError
        If ``A + p I`` or ``I - sign F F'`` is singular, F = C (A + p I)^{-1} B.

    References
    ----------
    Wong, N. and Balakrishnan, V. (2005). Quadratic alternating direction implicit iteration for
    the fast solution of algebraic Riccati equations. ISPACS 2005, equations 10 and 11.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import qadi_map
    >>> one = np.ones((1, 1))
    >>> X = np.zeros((1, 1))
    >>> for _ in range(30):  # -2 x - x^2 + 1 = 0
    ...     X = qadi_map(-one, one, one, -1, -1.0)(X)
    >>> X.round(12)
    array([[0.41421356]])
    """
    n, m = B.shape
    p = len(C)
    lu = lu_factor(A + shift * np.eye(n), check_finite=False)
    SB = lu_solve(lu, B, check_finite=False)  # S B
    SC = lu_solve(lu, C.T, trans=1, check_finite=False)  # S' C'
    F = C @ SB
    W = np.eye(p) if weight is None else weight
    # M11, M12 and M22 with the weight: I - sign F F' becomes W^{-1} - sign F F', times W.
    inner = np.linalg.solve(np.eye(p) - sign * W @ F @ F.T, W)
    h = -2.0 * shift * (SC @ inner @ SC.T)
    g = 2.0 * shift * sign * (SB @ np.linalg.solve(np.eye(m) - sign * F.T @ W @ F, SB.T))
    inverse = lu_solve(lu, np.eye(n), check_finite=False)
    a = np.eye(n) - 2.0 * shift * (inverse + sign * (SB @ (F.T @ inner @ SC.T)))
    return RiccatiMap(*map(without_dust, (a, _symmetric(g), _symmetric(h))))


def compose(first, second):
    """The map that applies the first, then the second.

    Parameters
    ----------
    first, second : RiccatiMap

    Returns
    -------
    RiccatiMap

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import RiccatiMap, compose
    >>> one = RiccatiMap(np.eye(1), np.eye(1), np.eye(1))
    >>> compose(one, one)(np.zeros((1, 1))), one(one(np.zeros((1, 1))))
    (array([[1.5]]), array([[1.5]]))
    """
    n = len(first.h)
    # With W = (I + g2 h1)^{-1}: a = a1 W a2, h = h2 + a2' h1 W a2, g = g1 + a1 W g2 a1'.
    lu = lu_factor(np.eye(n) + second.g @ first.h, check_finite=False)
    both = lu_solve(lu, np.hstack([second.a, second.g]), check_finite=False)
    Wa, Wg = both[:, :n], both[:, n:]
    return RiccatiMap(
        without_dust(first.a @ Wa),
        without_dust(_symmetric(first.g + first.a @ Wg @ first.a.T)),
        without_dust(_symmetric(second.h + second.a.T @ (first.h @ Wa))),
    )


def iterate_map(maps, X, *, tol, max_iter):
    """Apply maps in turn, again and again.

    Parameters
    ----------
    maps : list of RiccatiMap
    X : ndarray of shape (n, n)
    tol : float
        Change relative to X, in each step of a whole turn, that ends it.
    max_iter : int

    Returns
    -------
    X : ndarray of shape (n, n)
    history : list of float
        Relative change of each step.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import RiccatiMap, iterate_map
    >>> one = RiccatiMap(np.eye(1), np.eye(1), np.eye(1))  # x = 1 + x / (1 + x)
    >>> X, history = iterate_map([one], np.zeros((1, 1)), tol=1e-12, max_iter=100)
    >>> X.round(12), len(history)
    (array([[1.61803399]]), 16)
    """
    history = []
    for j in range(max_iter):
        new = maps[j % len(maps)](X)
        history.append(_change(new, X))
        X = new
        settled = j + 1 >= len(maps) and max(history[-len(maps) :]) <= tol
        if settled or not np.isfinite(history[-1]):
            break
    return X, history


def double_until(step, *, tol, max_iter):
    """Compose a map with itself until the image of zero no longer changes.

    After k doublings ``h`` is the iterate number 2^k of the map from zero: for one step of
    quadratic ADI these are the iterates of the structure-preserving doubling algorithm (Chu, Fan
    and Lin 2005).

    Parameters
    ----------
    step : RiccatiMap
    tol : float
        Change of h, relative to its size, that the next doubling would bring.
    max_iter : int

    Returns
    -------
    map : RiccatiMap
    history : list of float
        Relative change of each doubling.

    References
    ----------
    Chu, E. K.-W., Fan, H.-Y. and Lin, W.-W. (2005). A structure-preserving doubling algorithm
    for continuous-time algebraic Riccati equations. Linear Algebra and its Applications 396.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import RiccatiMap, double_until
    >>> one = RiccatiMap(np.eye(1), np.eye(1), np.eye(1))  # x = 1 + x / (1 + x)
    >>> found, history = double_until(one, tol=1e-15, max_iter=20)
    >>> found.h.round(12), len(history)
    (array([[1.61803399]]), 5)
    """
    history = []
    for _ in range(max_iter):
        new = compose(step, step)
        history.append(_change(new.h, step.h))
        step = new
        if next_change(history) <= tol or not np.isfinite(history[-1]):
            break
    return step, history


def next_change(history, steps=1):
    """The change that a later doubling is going to bring.

    Where X_k has the error c r^k the change of a doubling is the error before it, and the ratio of
    changes is squared from one doubling to the next. Where doubling converges slowly, since an
    eigenvalue is next to the boundary, ratios stay near 1 and so does the forecast.

    Parameters
    ----------
    history : list of float
        Relative changes so far.
    steps : int, default=1
        How many doublings ahead, 1 or more.

    Returns
    -------
    float

    Examples
    --------
    >>> from lmmfit.riccati import next_change
    >>> next_change([0.5, 0.25]), next_change([0.5, 0.25], steps=2)
    (0.0625, 0.00390625)
    """
    last = history[-1]
    if len(history) < 2 or not 0.0 < last < history[-2]:
        return last
    ratio = last / history[-2]
    return last * ratio ** (2 ** (steps + 1) - 2)


def without_dust(M):
    """M with its smallest elements, far below rounding, replaced by zero in place.

    Of chains the elements fall by powers of the distance, until their products are subnormal
    numbers, with which processors are up to a hundred times slower.

    Parameters
    ----------
    M : ndarray

    Returns
    -------
    ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import without_dust
    >>> without_dust(np.array([1.0, 1e-200]))
    array([1., 0.])
    """
    M[np.abs(M) < _DUST * max(M.max(initial=0.0), -M.min(initial=0.0))] = 0.0
    return M


def _change(new, old):
    with np.errstate(all="ignore"):
        size = lapack.dlange("F", new)
        return float(lapack.dlange("F", new - old) / size) if size > 0 else 0.0


def _symmetric(M):
    return 0.5 * (M + M.T)
