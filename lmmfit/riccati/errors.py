"""What keeps a Riccati equation from having a stabilizing solution."""

__all__ = ["NotBoundedRealError", "NotDetectableError", "NotStabilizableError", "RiccatiError"]


class RiccatiError(ValueError):
    """A Riccati equation has no stabilizing solution, or none was found.

    Examples
    --------
    >>> from lmmfit.riccati import RiccatiError, solve_care
    >>> try:
    ...     solve_care([[1.0]], [[0.0]], [[1.0]])
    ... except RiccatiError as error:
    ...     print(type(error).__name__)
    NotStabilizableError
    """


class NotStabilizableError(RiccatiError):
    """An unstable mode cannot be reached by the inputs.

    Examples
    --------
    >>> from lmmfit.riccati import NotStabilizableError, lqr
    >>> try:
    ...     lqr([[1.0]], [[0.0]], [[1.0]], [[1.0]])
    ... except NotStabilizableError as error:
    ...     print(error)
    the mode 1 of A is not stable and no input reaches it: (A, B) is not stabilizable.
    """


class NotDetectableError(RiccatiError):
    """An unstable mode is not seen by the outputs.

    Examples
    --------
    >>> from lmmfit.riccati import NotDetectableError, solve_care
    >>> try:
    ...     solve_care([[1.0]], [[1.0]], [[0.0]])
    ... except NotDetectableError as error:
    ...     print(error)
    the mode 1 of A is not stable and no output sees it: (C, A) is not detectable.
    """


class NotBoundedRealError(RiccatiError):
    """The equation with the plus sign has no solution: the H-infinity norm is not below 1.

    Examples
    --------
    >>> from lmmfit.riccati import NotBoundedRealError, solve_care
    >>> try:  # the norm of C (s - A)^-1 B is 2
    ...     solve_care([[-1.0]], [[1.0]], [[2.0]], sign=1)
    ... except NotBoundedRealError as error:
    ...     print(str(error).split(":")[0])
    C (s - A)^-1 B is not bounded real
    """
