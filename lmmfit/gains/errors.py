"""What keeps a network from having a gain of the pattern asked for."""

__all__ = ["GainError", "UnstableGainError"]


class GainError(ValueError):
    """There is no such gain, or none was found.

    Examples
    --------
    >>> from lmmfit.gains import GainError, UnstableGainError
    >>> issubclass(UnstableGainError, GainError)
    True
    """


class UnstableGainError(GainError):
    """The loop that a gain closes is not stable: its errors grow for ever.

    Attributes
    ----------
    spectral_radius : float or None
        Largest size of an eigenvalue of the loop, where it is known.

    Examples
    --------
    >>> from lmmfit.gains import UnstableGainError, solve_stein
    >>> try:
    ...     solve_stein([[1.1]], [[1.0]])
    ... except UnstableGainError as error:
    ...     print(error)
    F is not stable: its spectral radius is 1.1.
    """

    def __init__(self, message, spectral_radius=None):
        super().__init__(message)
        self.spectral_radius = spectral_radius
