"""What a Boltzmann machine may be given: sizes, vectors, distributions, patterns."""

import numpy as np

__all__ = ["check_environment", "check_patterns", "check_size", "check_vector"]

_MOST_UNITS = 20  # a table of a million states


def check_size(machine):
    """Refuse machines whose states are too many to enumerate.

    Parameters
    ----------
    machine : BoltzmannMachine

    Raises
    ------
    ValueError
    """
    units = machine.n_visible + machine.n_hidden
    if units > _MOST_UNITS:
        raise ValueError(
            f"{units} units besides the bias have 2^{units} states, too many to enumerate: "
            f"the limit is {_MOST_UNITS}. Estimate by sampling instead, "
            "machine.sample(w, (patterns, weights), v)."
        )


def check_vector(machine, w, name):
    """Refuse what is no finite vector over the pairs.

    Parameters
    ----------
    machine : BoltzmannMachine
    w : array-like of shape (n_parameters,)
    name : str

    Returns
    -------
    ndarray of shape (n_parameters,)

    Raises
    ------
    ValueError
        Naming the pair.
    """
    w = np.asarray(w, dtype=np.float64)
    if w.shape != (machine.n_parameters,):
        raise ValueError(
            f"{name} must have shape ({machine.n_parameters},), one for each pair of "
            f"{machine.n_units} units, got {w.shape}."
        )
    if not np.isfinite(w).all():
        index = int(np.argmin(np.isfinite(w)))
        i, j = machine.pairs[index]
        raise ValueError(f"{name}[{index}], of units {i} and {j}, is {w[index]}.")
    return w


def check_environment(machine, P_env):
    """Refuse what is no distribution over the visible states.

    Parameters
    ----------
    machine : BoltzmannMachine
    P_env : array-like of shape (2^n_visible,)

    Returns
    -------
    ndarray of shape (2^n_visible,)

    Raises
    ------
    ValueError
        Naming the entry, or the sum.
    """
    P_env = np.asarray(P_env, dtype=np.float64)
    if P_env.shape != (2**machine.n_visible,):
        raise ValueError(
            f"P_env must have shape ({2**machine.n_visible},), one for each state of "
            f"{machine.n_visible} visible units, got {P_env.shape}; environment(patterns) "
            "makes it of patterns."
        )
    bad = ~(P_env >= 0)
    if bad.any():
        index = int(np.argmax(bad))
        raise ValueError(f"P_env[{index}] is {P_env[index]}: probabilities are at least 0.")
    if not abs(P_env.sum() - 1.0) <= 1e-9:
        raise ValueError(f"P_env sums to {P_env.sum():.12g}, not to 1: divide it by its sum.")
    return P_env


def check_patterns(machine, patterns, weights):
    """Refuse patterns that are not of 0 and 1, and weights that are negative.

    Parameters
    ----------
    machine : BoltzmannMachine
    patterns : array-like of shape (n, n_visible)
    weights : array-like of shape (n,) or None

    Returns
    -------
    patterns : ndarray of int of shape (n, n_visible)
    weights : ndarray of shape (n,)
        With sum 1.

    Raises
    ------
    ValueError
        Naming the row.
    """
    given = np.asarray(patterns)
    if given.ndim != 2 or given.shape[1] != machine.n_visible or len(given) == 0:
        raise ValueError(
            f"patterns must have shape (n, {machine.n_visible}) for {machine.n_visible} visible "
            f"units, got {given.shape}."
        )
    bad = (given != 0) & (given != 1)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"patterns must be of 0 and 1: row {row} of column {column} has {given[row, column]}."
        )
    weights = np.ones(len(given)) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (len(given),):
        raise ValueError(f"weights must have shape ({len(given)},), got {weights.shape}.")
    bad = ~((weights >= 0) & np.isfinite(weights))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"weights must be finite and at least 0; row {row}: {weights[row]}.")
    if not weights.sum() > 0:
        raise ValueError("weights are all 0: no pattern is left.")
    return given.astype(np.int64), weights / weights.sum()
