"""Weights with which a reference grid is averaged."""

from numbers import Real

import numpy as np

from lmmfit.mixed.reference_grid import count_cells

__all__ = ["average_weights"]


def average_weights(model, known, values, n_kept, weights):
    """Weights of the combinations of the columns that are averaged over.

    Parameters
    ----------
    model : LinearMixedModel
    known : dict of str to Variable
    values : dict of str to tuple
        Of the grid: first the ``n_kept`` columns that stay, then those to average over.
    n_kept : int
    weights : {"equal", "proportional"} or dict of str to sequence or dict

    Returns
    -------
    weights : ndarray of shape (n_combinations,)
        They add to 1.
    notes : list of str
        What is averaged, and how.

    Raises
    ------
    ValueError
        If the weights are none of those, or do not fit the columns.
    """
    names = list(values)[n_kept:]
    several = [name for name in names if len(values[name]) > 1]
    if isinstance(weights, dict):
        own = _own_weights(values, several, weights)
        how = "the weights given"
    elif weights == "equal":
        own, how = {}, "equal weights"
    elif weights == "proportional":
        own, how = {}, "weights proportional to rows"
    else:
        raise ValueError(
            "weights must be 'equal', 'proportional' or a dict of weights of levels, got "
            f"{weights!r}."
        )
    joint = np.ones([len(values[name]) for name in names])
    for name, share in own.items():
        joint *= share.reshape([-1 if other == name else 1 for other in names])
    counted = [name for name in several if known[name].levels is not None]
    if weights == "proportional" and counted:
        counts = count_cells(model, counted, values)
        joint *= counts.reshape([len(values[n]) if n in counted else 1 for n in names])
    if not joint.sum() > 0.0:
        raise ValueError(f"no row has the levels of {counted} to average over; use other weights.")
    notes = [f"averaged over {', '.join(several)} with {how}"] if several else []
    return joint.ravel() / joint.sum(), notes


def _own_weights(values, several, weights):
    found = {}
    for name, given in weights.items():
        if name not in several:
            raise ValueError(
                f"weights: {name!r} is not averaged over; the columns that are: {several}."
            )
        levels = values[name]
        if isinstance(given, dict):
            given = [given.get(level, np.nan) for level in levels]
        given = list(given)
        good = len(given) == len(levels) and all(
            isinstance(share, Real) and 0.0 <= share < np.inf for share in given
        )
        if not good or not sum(given) > 0.0:
            raise ValueError(
                f"weights of {name!r} must be one number, not negative, for each of the levels "
                f"{list(levels)}; got {given}."
            )
        found[name] = np.array(given, dtype=np.float64) / sum(given)
    return found
