"""When a Newton step is the last: one rule for the trust region and the compiled searches."""

__all__ = ["WHOLE", "is_last_step"]

WHOLE = 0.9  # share of the promised decrease that a step keeps where the model is nearly exact
_EXCESS = 1e-3  # share of the tolerance that may be expected to be left after the last step


def is_last_step(promised, before, tol, value):
    """Whether a Newton step promises no more than counts, or will leave far less than that.

    Plain Python that numba compiles too.

    Parameters
    ----------
    promised : float
        Decrease that the step promises.
    before : float
        What the step before promised, if it was a whole one and kept it; 0 otherwise.
    tol : float
    value : float
        Of the function, whose rounding no step can beat.

    Returns
    -------
    bool
    """
    left = promised * promised / before if before > promised else promised  # if it shrinks so on
    return promised <= max(tol, 4e-15 * max(abs(value), 1.0)) or left <= _EXCESS * tol
