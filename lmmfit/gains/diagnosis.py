"""Why no stable gain was found: a mode that nobody sees or reaches, or the pattern."""

import numpy as np
from scipy.linalg import eigvals, schur

from lmmfit.gains.errors import UnstableGainError
from lmmfit.riccati.checks import as_dense
from lmmfit.riccati.errors import NotDetectableError, NotStabilizableError

__all__ = ["check_visible", "unstable_gain"]

_HIDDEN = 1e-9  # size of C v beside C and v for which the mode v is not seen

_ADVICE = {
    "steady": "Widen the pattern, such that nodes use more of their neighbours",
    "one-step": "Try the method 'steady', or widen the pattern",
    "finite-horizon": "Try the method 'steady' or a longer window, or widen the pattern",
}


def unstable_gain(problem, method, radius=None):
    """The error for a gain whose loop is not stable; that of the system where none can be.

    Parameters
    ----------
    problem : GainProblem
    method : str
    radius : float, optional
        Spectral radius of the loop; None where no gain was found at all.

    Returns
    -------
    UnstableGainError

    Raises
    ------
    NotDetectableError, NotStabilizableError
        If a mode that is not stable is hidden, whatever the gain.
    """
    check_visible(problem)
    advice = _ADVICE.get(method, "Widen the pattern")
    if radius is None:
        return UnstableGainError(
            f"the method {method!r} found no gain with a stable loop. {advice}, or give a stable "
            "gain to start from."
        )
    return UnstableGainError(
        f"the gain of the method {method!r} does not stabilise the loop: its spectral radius is "
        f"{radius:.6g}, and errors grow for ever. {advice}.",
        radius,
    )


def check_visible(problem):
    """Refuse a system with a mode that is not stable and that no output sees.

    Parameters
    ----------
    problem : GainProblem

    Raises
    ------
    NotDetectableError
        Naming the mode, and the state in which it is largest.
    NotStabilizableError
        The same for a regulator, whose modes inputs must reach.
    """
    A, C = as_dense(problem.A), as_dense(problem.C)
    T, U, count = schur(A, output="real", sort="ouc")
    if not count:
        return
    T, U = T[:count, :count], U[:, :count]  # the space of the modes that are not stable
    seen = C @ U
    size = np.linalg.norm(A) + np.linalg.norm(C)
    for value in eigvals(T):  # Hautus: the least that is seen of a mode, multiple ones included
        stacked = np.vstack([T - value * np.eye(count), seen])
        _, least, modes = np.linalg.svd(stacked)
        if least[-1] <= _HIDDEN * size:
            raise _hidden_mode(problem, complex(value), U @ modes[-1].conj())


def _hidden_mode(problem, value, vector):
    where = int(np.argmax(np.abs(vector)))
    mode = f"{value.real:.6g}" if value.imag == 0.0 else f"{value:.6g}"
    if problem.kind == "filter":
        return NotDetectableError(
            f"no output sees the mode {mode} of A, which is not stable: its variance grows "
            f"for ever, whatever the gain. It is largest in state {where}: observe that one."
        )
    return NotStabilizableError(
        f"no input reaches the mode {mode} of A, which is not stable: its cost grows for "
        f"ever, whatever the gain. It is largest in state {where}: act on that one."
    )
