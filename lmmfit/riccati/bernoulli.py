"""A first solution that stabilizes, from the unstable modes alone."""

import numpy as np
from scipy.linalg import eigh, solve_continuous_lyapunov

from lmmfit.riccati.errors import NotStabilizableError
from lmmfit.riccati.factor_iteration import FactorIteration

__all__ = ["stabilizing_start"]


def stabilizing_start(Q, M, B, C, *, E=None):
    """First iterate of CFQADI for an unstable A: the solution of a Bernoulli equation.

    With ``A'Q = E'Q M`` for the unstable modes, ``P M + M'P = Q'B B'Q`` gives X = Q P^{-1} Q' with
    ``A'XE + E'XA = E'XBB'XE``, whose closed loop mirrors these modes; the residual of the Riccati
    equation with the minus sign is then C'C, as for X = 0.

    Parameters
    ----------
    Q : ndarray of shape (n, k)
        Basis of the unstable left eigenvectors, as :func:`unstable_space` gives it.
    M : ndarray of shape (k, k)
    B : ndarray of shape (n, m)
    C : ndarray of shape (p, n)
    E : ndarray or sparse array of shape (n, n), optional

    Returns
    -------
    FactorIteration or None
        None where A is stable.

    Raises
    ------
    NotStabilizableError
        If an unstable mode is not reached by the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.riccati import stabilizing_start, unstable_space
    >>> unstable = unstable_space(np.diag([-1.0, 2.0]))
    >>> start = stabilizing_start(*unstable, np.ones((2, 1)), np.ones((1, 2)))
    >>> (start.Z @ start.Z.T).round(12) + 0.0
    array([[0., 0.],
           [0., 4.]])
    """
    QB = Q.T @ B
    P = solve_continuous_lyapunov(M.T, QB @ QB.T)
    values, vectors = eigh(0.5 * (P + P.T))
    if values[0] <= 1e-12 * max(values[-1], 1e-300):
        modes = np.linalg.eigvals(M)
        mode = modes[np.argmax(modes.real)]
        raise NotStabilizableError(
            f"an unstable mode of A, near {mode.real:.6g}{mode.imag:+.6g}j, is not reached by the "
            "inputs: (A, B) is not stabilizable."
        )
    Z = Q @ (vectors / np.sqrt(values))
    feedback = Z @ (Z.T @ B)
    return FactorIteration(C.T.copy(), feedback if E is None else E.T @ feedback, [Z])
