"""Which fixed effects depend on each other, from the cross-products of a model."""

import numpy as np

from lmmfit import linalg  # its rooms open at first use: few fits need this one
from lmmfit.mixed.layout import INTERCEPT, principal

__all__ = ["confounded_terms", "describe_collinearity", "diagnose_fixed_effects"]

_TOLERANCE = 1e-7  # cross-products resolve a column to half of the digits
_NEAR = 1e-3  # what is left of a column, below which a user is warned: variances grow 1e6-fold


def diagnose_fixed_effects(statistics):
    """Diagnose the collinearity of a model's fixed effects.

    Parameters
    ----------
    statistics : MixedStatistics
        ``model.statistics_`` of a fitted model.

    Returns
    -------
    lmmfit.linalg.DesignDiagnosis
        Of the columns of X in the user's units; rows count with their weights. Print it for
        a report.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed import diagnose_fixed_effects
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> found = diagnose_fixed_effects(model.statistics_)
    >>> round(found.condition_number, 2), found.vif.round(2)
    (10.17, array([3.45, 1.  ]))
    """
    layout, basis = statistics.layout, statistics.basis
    gram = principal(statistics.total, layout.fixed)
    back = basis.coefficient_map(layout, layout.fixed)  # X @ back is X in the basis
    root = np.linalg.solve(back.T, linalg.semidefinite_root(gram)).T
    names = layout.fixed_names
    ones = np.zeros(len(root))
    if INTERCEPT in names:
        ones = root[:, names.index(INTERCEPT)]
        ones = ones * (np.sqrt(statistics.n_rows) / np.linalg.norm(ones))
    return linalg.diagnose_root(root, names, statistics.n_rows, ones, _TOLERANCE)


def describe_collinearity(statistics, aliased):
    """Say in words which fixed effects others determine, or nearly; empty if none.

    Parameters
    ----------
    statistics : MixedStatistics
    aliased : bool
        Ask for the exact dependencies of columns that were dropped, not the near ones.

    Returns
    -------
    str
    """
    # In every other basis a column keeps a thousandth of its square beside the others.
    if not aliased and statistics.basis.diagonal:
        return ""
    found = diagnose_fixed_effects(statistics)
    centred = found.constant is not None
    told = [
        item for item in found.dependencies
        if item.centred == centred and (not item.residual if aliased else item.residual < _NEAR)
    ]  # fmt: skip
    return "; ".join(map(str, told))


def confounded_terms(design, statistics):
    """Pairs of random terms that give the same column to the same groups.

    Parameters
    ----------
    design : Design
    statistics : MixedStatistics or CrossedStatistics

    Returns
    -------
    list of (RandomTerm, RandomTerm)
    """
    layout, found = design.layout, []
    blocks = list(zip(design.terms, layout.blocks, layout.owners, strict=True))
    for k, (term, (start, stop), owner) in enumerate(blocks):
        own = set(layout.random[start:stop])
        for other, (first, last), second in blocks[k + 1 :]:
            shared = own.intersection(layout.random[first:last])
            if shared and (owner == second or _same_groups(statistics, owner, second)):
                found.append((term, other))
    return found


def _same_groups(statistics, f, g):
    """Whether two factors part the rows in the same way."""
    pairs = statistics.pairs[min(f, g), max(f, g)]
    sizes = [len(levels) for levels in statistics.factor_levels]
    return len(pairs.rows) == sizes[f] == sizes[g]
