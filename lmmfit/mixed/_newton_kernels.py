"""Newton's method from one evaluation to the next, for compiled criteria of few parameters.

A search is ``old``, whose rows are the Hessian, the gradient and the point where the last good
evaluation was, ``room`` for the next step, and ``state``. The loop is the caller's: ``move``,
evaluate, ``judge``, as long as ``state[GOING]``; then ``stay``.
"""

import numpy as np

from lmmfit._jit import njit
from lmmfit.mixed._descent_kernels import KEPT, is_last, newton_step
from lmmfit.optimize._stopping import WHOLE

VALUE, RSS, PROMISED, BEFORE, DAMPING, GOING, LAST, CONVERGED = range(8)


@njit
def new_search(theta):
    """Begin at theta."""
    k = theta.size
    old, room, state = np.zeros((k + 2, k)), np.zeros((2 * k + 2, k)), np.zeros(8)
    for t in range(k):
        old[k + 1, t] = theta[t]
    state[VALUE], state[RSS], state[GOING] = np.inf, np.nan, 1.0
    return old, room, state


@njit
def move(theta, old, room):
    """Take the next step from where the last good evaluation was."""
    k = theta.size
    for t in range(k):
        theta[t] = old[k + 1, t] + room[0, t]


@njit
def stay(theta, old, state):
    """Go back there, unless the search has converged."""
    if not state[CONVERGED]:
        for t in range(theta.size):
            theta[t] = old[theta.size + 1, t]


@njit
def judge(value, rss, tol, theta, gradient, hessian, old, room, state):
    """Take or refuse an evaluation and find the next step.

    Of the last step, whose promise is below the tolerance or may be expected to leave less
    than that by far, the value alone is needed; its gradient is that of the quadratic model.
    """
    k, noise = theta.size, 4e-15 * max(abs(value), 1.0)
    decrease = state[VALUE] - value
    if state[LAST]:
        for t in range(k):
            gradient[t] = old[k, t]
            for s in range(k):
                gradient[t] += old[s, t] * room[0, s]
                hessian[s, t] = old[s, t]
        state[VALUE], state[RSS], state[GOING] = value, rss, 0.0
        state[CONVERGED] = 1.0 if decrease >= -noise - tol else 0.0
        return
    damping = state[DAMPING]
    if state[VALUE] == np.inf or decrease >= KEPT * state[PROMISED]:
        if not np.isfinite(value):
            state[VALUE], state[RSS], state[GOING] = value, rss, 0.0
            return
        whole = damping == 0.0 and decrease >= WHOLE * state[PROMISED]
        state[BEFORE] = state[PROMISED] if whole else 0.0
        state[VALUE], state[RSS] = value, rss
        damping = damping / 8.0 if damping > 0.01 else 0.0
        for t in range(k):
            old[k, t], old[k + 1, t] = gradient[t], theta[t]
            for s in range(k):
                old[s, t] = hessian[s, t]
    else:
        damping = max(8.0 * damping, 0.1)
        state[BEFORE] = 0.0
    promised, damping = _damped_step(old, damping, room)
    if damping > 0.0 and promised <= max(tol, noise):
        promised, damping = _damped_step(old, 0.0, room)  # does no damping shorten the step?
    small = damping == 0.0 and is_last(promised, state[BEFORE], tol, value)
    state[PROMISED], state[DAMPING] = promised, damping
    state[LAST] = 1.0 if small else 0.0
    state[GOING] = 1.0 if promised > -np.inf else 0.0


@njit
def _damped_step(old, damping, room):
    """Newton's step with Levenberg's damping, raised until the model is convex, the step short.

    Returns the decrease that the step promises, minus infinity if there is none, and the
    damping.
    """
    k, square = old.shape[1], 1.0
    step, unit, damped, factor = room[0], room[1], room[2 : k + 2], room[k + 2 :]
    for t in range(k):
        square += old[k + 1, t] ** 2 * abs(old[t, t])
    while damping < 1e8:
        for s in range(k):
            for t in range(k):
                damped[s, t] = old[s, t]
            damped[s, s] += damping * abs(old[s, s]) + 1e-12 * damping
        length, promised = newton_step(old[k], damped, factor, unit, step)
        if length <= np.sqrt(square):
            return promised, damping
        damping = max(4.0 * damping, 0.01)
    return -np.inf, damping
