"""What is said of a matrix that cannot be factored: which one, where, and by how much."""

import numpy as np

__all__ = ["NotPositiveDefiniteError", "check_minors", "describe_failure", "which_matrix"]


class NotPositiveDefiniteError(np.linalg.LinAlgError):
    """A matrix is not positive definite.

    Attributes
    ----------
    minor : int
        Order of the first leading minor that is not positive.
    pivot : float
        What elimination leaves on the diagonal there; it should be positive.
    smallest_eigenvalue : float
        Of the leading block of that order: a multiple of the identity larger than its size
        would make the block positive definite.

    Examples
    --------
    >>> from lmmfit.linalg import NotPositiveDefiniteError, cholesky
    >>> try:
    ...     cholesky([[1.0, 2.0], [2.0, 1.0]])
    ... except NotPositiveDefiniteError as error:
    ...     print(error.minor, error.pivot, round(error.smallest_eigenvalue, 12))
    2 -3.0 -1.0
    """

    def __init__(self, message, minor, pivot, smallest_eigenvalue):
        super().__init__(message)
        self.minor, self.pivot = minor, pivot
        self.smallest_eigenvalue = smallest_eigenvalue

    def __reduce__(self):
        return type(self), (str(self), self.minor, self.pivot, self.smallest_eigenvalue)


def describe_failure(a, minor, pivot, what="A"):
    """Return the arguments of the error for a matrix whose elimination failed at `minor`."""
    block = np.asarray(a[:minor, :minor], np.float64)
    smallest = float(np.linalg.eigvalsh(block, UPLO="U")[0])
    return _message(what, minor, pivot, smallest), minor, float(pivot), smallest


def _message(what, minor, pivot, smallest):
    return (
        f"{what} is not positive definite: its leading minor of order {minor} fails, where "
        f"elimination leaves the pivot {pivot:.6g} (row and column {minor - 1}, counted from 0). "
        f"The smallest eigenvalue of that leading block is {smallest:.6g}. If the matrix should "
        "be positive definite, that is rounding or a dependent column; ldl(A, pivot=True) "
        "factors symmetric matrices that are not."
    )


def check_minors(diagonal, start, n):
    """Raise LinAlgError where an elimination without exchanges met a zero, but for the last."""
    zero = np.flatnonzero(diagonal == 0.0)
    if zero.size and start + zero[0] < n - 1:
        raise np.linalg.LinAlgError(
            f"the leading minor of order {start + zero[0] + 1} is zero: A has no LU "
            "factorization without row exchanges. Use lu(A, pivot=True)."
        )


def which_matrix(stack, k):
    """Name a matrix in a message: the k-th of a stack of this shape, or the only one."""
    return f"matrix {list(map(int, np.unravel_index(k, stack)))} of the stack" if stack else "A"
