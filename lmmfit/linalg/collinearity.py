"""How collinear is a design, which columns are to blame, and what would help.

The questions need only R of a QR factorization of the design, or any root of ``A.T @ A``.
"""

from dataclasses import dataclass, field

import numpy as np

from lmmfit.linalg._check import as_matrix
from lmmfit.linalg._scaling import power_of_two

__all__ = ["DesignDiagnosis", "NearDependency", "diagnose_design", "diagnose_root"]

_STRONG = 30.0  # ratio of singular values that Belsley, Kuh and Welsch call a strong dependency
_COMPARABLE = 0.1  # share of the largest weight in a dependency that makes a column one to drop
_MOST_TERMS = 6


@dataclass(frozen=True)
class NearDependency:
    """A column that others nearly determine.

    Attributes
    ----------
    column : str
    terms : tuple of (float, str)
        Coefficients and columns of the combination.
    residual : float
        Length of what the combination leaves, relative to the column; 0 if only rounding
        is left.
    centred : bool
        Whether the combination also has a constant, and the residual is relative to the
        column's variation about its mean.

    Examples
    --------
    >>> from lmmfit.linalg import NearDependency
    >>> print(NearDependency("b", ((2.0, "a"),), 1e-3, False))
    'b' is nearly 2 * 'a': what is left is 0.001 of its length
    """

    column: str
    terms: tuple
    residual: float
    centred: bool

    def __str__(self):
        shown = [f"{value:.4g} * {name!r}" for value, name in self.terms[:_MOST_TERMS]]
        text = " + ".join(shown).replace("+ -", "- ") or "0"
        if len(self.terms) > _MOST_TERMS:
            text += f" + {len(self.terms) - _MOST_TERMS} more"
        if self.centred:
            text = f"a constant + {text}" if shown else "a constant"
        if not self.residual:
            return f"{self.column!r} is {text}"
        of = "variation" if self.centred else "length"
        return f"{self.column!r} is nearly {text}: what is left is {self.residual:.2g} of its {of}"


@dataclass(frozen=True, eq=False)
class DesignDiagnosis:
    """What `diagnose_design` finds; printing it gives a report.

    Attributes
    ----------
    names : tuple of str
    shape : tuple of int
    rank : int
        Numerical rank, with columns of equal length.
    condition_number : float
        Of the design, in the 2-norm.
    scaled_condition_number : float
        With columns of unit length: within a factor of ``sqrt(n)`` the smallest that any
        scaling gives (van der Sluis 1969).
    centred_condition_number, centred_scaled_condition_number : float
        The same after each column but the constant has lost its mean; NaN without a
        constant column, for then centring would change the model.
    vif : ndarray of shape (n,)
        Variance-inflation factors ``1 / (1 - R**2)``, R**2 of the regression on the other
        columns, about the mean where those give a constant.
    dependencies : tuple of NearDependency
        One for each small singular value.
    constant : int or None
        The constant column.
    orthogonal_if_centred : bool
        Whether centring makes the normal equations diagonal.
    normal_condition_number : float
        Of ``A.T @ A``: the square.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import diagnose_design
    >>> diagnose_design(np.eye(3)).vif
    array([1., 1., 1.])
    """

    names: tuple
    shape: tuple
    rank: int
    condition_number: float
    scaled_condition_number: float
    centred_condition_number: float
    centred_scaled_condition_number: float
    vif: np.ndarray
    dependencies: tuple
    constant: int | None = field(repr=False)
    orthogonal_if_centred: bool = field(repr=False)

    @property
    def normal_condition_number(self):
        """Condition number of ``A.T @ A``."""
        return self.condition_number**2

    def __str__(self):
        return "\n".join(_report(self))


def diagnose_design(A, names=None):
    """Tell how collinear the columns of a design are, which ones, and what would help.

    Parameters
    ----------
    A : array_like or DataFrame of shape (m, n)
        The design, with its constant column if the model has one; at least as many rows as
        columns.
    names : sequence of str, optional
        Names of the columns; those of a DataFrame, or ``x0, x1, ...``, by default.

    Returns
    -------
    DesignDiagnosis

    Raises
    ------
    TypeError, ValueError
        If `A` is not an array of finite real numbers, has fewer rows than columns, or the
        names do not fit.

    References
    ----------
    Belsley, Kuh and Welsch (1980), Regression Diagnostics, chapter 3; van der Sluis (1969),
    Condition numbers and equilibration of matrices, Numerische Mathematik 14.

    Examples
    --------
    Example 3.13 of Eldén (2007):

    >>> import numpy as np
    >>> from lmmfit.linalg import diagnose_design
    >>> x = np.array([101.0, 102.0, 103.0, 104.0, 105.0])
    >>> print(diagnose_design(np.column_stack([np.ones(5), x]), names=["constant", "x"]))
    design of 5 rows and 2 columns, rank 2
                                  condition number   of A.T @ A
    as given                                7503.8   5.6307e+07
    columns of unit length                  145.67        21220
    centred                                 1.4142            2
    centred, unit length                         1            1
    <BLANKLINE>
    column    variance inflation
    constant                5305
    x                          1
    <BLANKLINE>
    near dependencies:
      'x' is nearly 103 * 'constant': what is left is 0.014 of its length
    advice: subtract the means of the columns; then they are orthogonal, and the normal
      equations diagonal.
    """
    found = getattr(A, "columns", None)
    a = as_matrix(A, double=True)
    m, n = a.shape
    if m < n:
        raise ValueError(f"A has fewer rows than columns, {a.shape}: its columns are dependent.")
    if names is None:
        names = [f"x{j}" for j in range(n)] if found is None else list(found)
    if isinstance(names, str):
        raise TypeError(f"names must be a sequence of names, one a column; got {names!r}.")
    names = tuple(map(str, names))
    if len(names) != n:
        raise ValueError(f"names has {len(names)} names; A has {n} columns.")
    scale = power_of_two(a, axis=0)
    q, r = np.linalg.qr(a * scale)
    return diagnose_root(r / scale, names, m, q.sum(axis=0))


def diagnose_root(root, names, m, ones, tolerance=None):
    """Diagnose a design from a root of ``A.T @ A``.

    Parameters
    ----------
    root : ndarray of shape (k, n)
        ``root.T @ root`` is ``A.T @ A``: R of its QR factorization, say.
    names : tuple of str
    m : int
        Rows of A.
    ones : ndarray of shape (k,)
        What the transformation that made the root of A makes of a vector of ones, projected
        on the columns of A.
    tolerance : float, optional
        Singular values below it, relative to the largest, count as zero:
        ``max(m, n) * eps`` by default; more for a root that was computed from ``A.T @ A``.

    Returns
    -------
    DesignDiagnosis

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.linalg import diagnose_root
    >>> diagnose_root(np.diag([2.0, 1.0]), ("a", "b"), 4, np.zeros(2)).condition_number
    2.0
    """
    scale = power_of_two(root, axis=0)  # exact, and out of the way of overflow
    root, restore = root * scale, power_of_two(root) / scale
    length = np.linalg.norm(root, axis=0)
    unit = root / np.where(length > 0.0, length, 1.0)
    share = float(np.linalg.norm(ones) / np.sqrt(m))  # of the vector of ones, inside the columns
    cosines = np.abs(ones @ unit) / np.sqrt(m)
    constant = int(cosines.argmax()) if cosines.max() > 1.0 - 1e-13 else None
    if tolerance is None:
        tolerance = max(m, len(names)) * np.finfo(float).eps
    given = _Spectrum(unit, tolerance)
    centred_numbers, orthogonal, centred, inner = (np.nan, np.nan), False, None, None
    if constant is not None:
        inner, size = _centred(root, unit, constant)
        centred = _Spectrum(inner / np.where(size > 0.0, size, 1.0), tolerance)
        centred_numbers = _condition(inner * restore, centred), centred.condition
        angles = centred.unit.T @ centred.unit
        orthogonal = bool(np.abs(angles - np.diag(angles.diagonal())).max() < 1e-10)
    best = given if centred is None else centred
    return DesignDiagnosis(
        tuple(names), (int(m), len(names)), best.rank, _condition(root * restore, best),
        given.condition if best.rank == len(names) else np.inf, *centred_numbers,
        _inflation(given, centred, constant, ones if share > 1.0 - 1e-12 else None),
        tuple(_dependencies(root, inner, names, scale, given, centred, constant)),
        constant, orthogonal,
    )  # fmt: skip


class _Spectrum:
    """Singular values and vectors of a matrix with columns of unit length (or zero)."""

    def __init__(self, unit, tolerance):
        self.unit, self.tolerance = unit, tolerance
        self.sizes, vectors = np.linalg.svd(unit)[1:]
        self.vectors = vectors.T
        n = unit.shape[1]
        self.sizes = np.concatenate([self.sizes, np.zeros(n - len(self.sizes))])
        self.null = self.sizes <= tolerance * self.sizes[0]
        self.rank = n - int(self.null.sum())
        self.condition = np.inf if self.null.any() else float(self.sizes[0] / self.sizes[-1])

    def inflation(self):
        """Diagonal of the inverse of the cosines; ``inf`` for columns of the null space."""
        kept, lost = self.vectors[:, ~self.null], self.vectors[:, self.null]
        values = ((kept / self.sizes[~self.null]) ** 2).sum(axis=1)
        return np.where((lost**2).sum(axis=1) > 1e-16, np.inf, values)


def _condition(root, spectrum):
    """Condition number as given; infinite if columns of equal length are dependent."""
    if spectrum.null.any():
        return np.inf
    sizes = np.linalg.svd(root, compute_uv=False)
    return float(sizes[0] / sizes[-1]) if sizes[-1] > 0.0 else np.inf


def _centred(root, unit, constant):
    """Take the constant's direction off the other columns; what is left of rounding is zero."""
    direction = unit[:, constant]
    inner = root - np.outer(direction, direction @ root)
    inner -= np.outer(direction, direction @ inner)
    inner[:, constant] = root[:, constant]
    size, own = np.linalg.norm(inner, axis=0), np.linalg.norm(root, axis=0)
    gone = size <= 1e-14 * own
    inner[:, gone] = 0.0
    return inner, np.where(gone, 0.0, size)


def _inflation(given, centred, constant, ones):
    """Variance-inflation factors, about the mean where the other columns give a constant."""
    values = given.inflation()
    if constant is not None:
        others = np.arange(len(values)) != constant
        return np.where(others, centred.inflation(), values)
    if ones is None or given.null.any():
        return values
    # a constant without a column of its own: the sum of indicator columns, as a rule
    weights = np.linalg.lstsq(given.unit, ones, rcond=None)[0]
    means = (ones @ given.unit) / np.linalg.norm(ones)
    free = np.abs(weights) <= 1e-10 * np.abs(weights).max()
    return np.where(free, values * (1.0 - means**2), values)


def _dependencies(root, inner, names, scale, given, centred, constant):
    """Yield a near dependency for each singular value that is small beside the largest."""
    if centred is None:
        raw = _pick(given, constant, _STRONG)
        for column in raw:
            yield _combination(root, names, scale, column, raw, given.tolerance)
        return
    about_mean = _pick(centred, constant, _STRONG)
    for column in about_mean:
        yield _combination(inner, names, scale, column, about_mean, centred.tolerance, constant)
    own = np.linalg.norm(root, axis=0)
    for column in range(len(names)):
        if column == constant or column in about_mean:
            continue
        left = np.linalg.norm(inner[:, column])
        if own[column] > _STRONG * left:  # little but its mean
            mean = float(root[:, constant] @ root[:, column] / own[constant] ** 2)
            mean *= scale[constant] / scale[column]
            terms = ((mean, names[constant]),)
            yield NearDependency(names[column], terms, float(left / own[column]), False)


def _pick(spectrum, constant, limit):
    """Choose as many columns as there are small singular values, late ones where it can be."""
    small = (spectrum.sizes * limit < spectrum.sizes[0]) | (spectrum.sizes == 0.0)
    rows, picked = spectrum.vectors[:, small].copy(), []
    for _ in range(rows.shape[1]):
        sizes = np.linalg.norm(rows, axis=1)
        if constant is not None:
            sizes[constant] = 0.0
        column = int(np.flatnonzero(sizes >= _COMPARABLE * sizes.max())[-1])
        direction = rows[column] / np.linalg.norm(rows[column])
        rows -= np.outer(rows @ direction, direction)
        picked.append(column)
    return sorted(picked)


def _combination(root, names, scale, column, picked, tolerance, constant=None):
    """Express a column in those that were not picked, leaving out what hardly contributes."""
    centred = constant is not None
    others = [j for j in range(root.shape[1]) if j not in picked and j != constant]
    length = np.linalg.norm(root, axis=0)
    own = length[column]
    others = [j for j in others if length[j] > 0.0]
    if not own or not others:
        return NearDependency(names[column], (), 0.0, centred)
    unit = root[:, others] / length[others]
    weights = np.linalg.lstsq(unit, root[:, column] / own, rcond=None)[0]
    residual = float(np.linalg.norm(root[:, column] / own - unit @ weights))
    matters = np.abs(weights) > max(3.0 * residual, 1e-9)
    order = np.argsort(-np.abs(weights), kind="stable")
    terms = tuple(
        (float(weights[k] * own / length[others[k]] * scale[others[k]] / scale[column]),
         names[others[k]])
        for k in order if matters[k]
    )  # fmt: skip
    residual = residual if residual > tolerance else 0.0
    return NearDependency(names[column], terms, residual, centred)


def _report(found):
    m, n = found.shape
    yield f"design of {m} rows and {n} columns, rank {found.rank}"
    yield f"{'':<24}  {'condition number':>20} {'of A.T @ A':>12}"
    rows = [
        ("as given", found.condition_number),
        ("columns of unit length", found.scaled_condition_number),
        ("centred", found.centred_condition_number),
        ("centred, unit length", found.centred_scaled_condition_number),
    ]
    for label, value in rows:
        if not np.isnan(value):
            yield f"{label:<24}  {value:>20.5g} {value**2:>12.5g}"
    width = max(6, *map(len, found.names))
    yield ""
    yield f"{'column':<{width}}  variance inflation"
    for name, value in zip(found.names, found.vif, strict=True):
        yield f"{name:<{width}}  {value:>18.4g}"
    yield ""
    if found.dependencies:
        yield "near dependencies:"
        yield from (f"  {dependency}" for dependency in found.dependencies)
    else:
        yield "no near dependencies"
    yield from _advice(found)


def _advice(found):
    """Say what would help, if anything is wrong."""
    best = np.nanmin([found.scaled_condition_number, found.centred_scaled_condition_number])
    if found.rank < len(found.names):
        yield "advice: drop the columns that the others determine."
    elif found.constant is not None and found.scaled_condition_number > _STRONG and (
        found.centred_scaled_condition_number < 0.5 * found.scaled_condition_number
    ):  # fmt: skip
        if found.orthogonal_if_centred:
            yield (
                "advice: subtract the means of the columns; then they are orthogonal, and the "
                "normal\n  equations diagonal."
            )
        else:
            yield "advice: subtract the means of the columns."
            if best > _STRONG:
                yield "  Then drop or combine those that still depend on others."
    elif best > _STRONG:
        if found.condition_number > 100.0 * best:
            yield "advice: scale the columns. Then drop or combine those named above."
            return
        yield (
            "advice: neither centring nor scaling helps; drop or combine the columns named above."
        )
    elif found.condition_number > 100.0 * found.scaled_condition_number:
        yield "advice: the columns have very different units; scale them."
