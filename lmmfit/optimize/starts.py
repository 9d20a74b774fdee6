"""Several starts, most of them given up early."""

from lmmfit.optimize.driver import minimize

__all__ = ["screen_starts"]


def screen_starts(objective, starts, optimizer=None, *, n_iter=10, tol=1e-8, max_time=None):
    """Find the most promising of several starts by successive halving.

    All of them make ``n_iter`` iterations; the better half makes as many again and more, until
    one is left.

    Parameters
    ----------
    objective : Objective or NetworkObjective
    starts : sequence of ndarray of shape (k,)
    optimizer : Optimizer, optional
    n_iter : int, default=10
        Iterations of the first round; each further round doubles them.
    tol : float, default=1e-8
        As of :func:`minimize`.
    max_time : float, optional
        Seconds for each start, all rounds together.

    Returns
    -------
    Run
        The best, to go on with: ``minimize(objective, run=run)``.

    Raises
    ------
    ValueError
        If there is no start.

    References
    ----------
    Jamieson, K. and Talwalkar, A. (2016). Non-stochastic best arm identification and
    hyperparameter optimization. AISTATS 19.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.optimize import Objective, minimize, screen_starts
    >>> def wells(x):  # the one at -1 is the deeper
    ...     return (x @ x - 1) ** 2 + 0.3 * x[0], 4 * (x @ x - 1) * x + 0.3
    >>> objective = Objective(wells, lambda x, v: (12 * x**2 - 4) * v)
    >>> run = screen_starts(objective, [np.array([0.8]), np.array([-0.1])])
    >>> minimize(objective, run=run).x.round(3)
    array([-1.036])
    """
    if len(starts) == 0:
        raise ValueError("starts is empty: give at least one.")
    limits = {"tol": tol, "max_time": max_time}
    runs = [
        _released(minimize(objective, x, optimizer, max_iter=n_iter, **limits)) for x in starts
    ]
    while len(runs) > 1:
        runs = sorted(runs, key=lambda run: run.best)[: (len(runs) + 1) // 2]
        n_iter *= 2
        if len(runs) > 1:
            for run in runs:
                _released(minimize(objective, run=run, max_iter=n_iter, **limits))
    return runs[0]


def _released(result):
    """The run of a result without what can be computed again, but with its value."""
    result.run.best = result.value
    result.run.release()
    return result.run
