"""The Hessian of a network as a linear operator."""

import numpy as np
from scipy.sparse.linalg import LinearOperator

__all__ = ["HessianOperator"]


class HessianOperator(LinearOperator):
    """Products with the second derivatives at a point, for SciPy's solvers.

    Parameters
    ----------
    state : NetworkState
        Anything with ``theta``, ``hessian_vector_product(v)`` and
        ``gauss_newton_vector_product(v)``.
    curvature : {"hessian", "gauss-newton"}, default="hessian"

    Attributes
    ----------
    state : NetworkState

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import eigsh
    >>> from lmmfit.curvature import FeedForwardNetwork, HessianOperator
    >>> net = FeedForwardNetwork([1, 3, 1], "tanh")
    >>> H = HessianOperator(net.evaluate(np.linspace(-1, 1, 10), [[0.5], [2.0]], [0.0, 1.0]))
    >>> H.shape
    (10, 10)
    >>> largest = eigsh(H, k=1, which="LA", return_eigenvectors=False)[0]
    >>> bool(np.isclose(largest, np.linalg.eigvalsh(H @ np.eye(10))[-1]))
    True
    """

    def __init__(self, state, curvature="hessian"):
        if curvature not in ("hessian", "gauss-newton"):
            raise ValueError(f"curvature={curvature!r} is neither 'hessian' nor 'gauss-newton'.")
        self.state, self.curvature = state, curvature
        size = len(state.theta)
        super().__init__(dtype=np.dtype(state.theta.dtype), shape=(size, size))

    @property
    def gauss_newton(self):
        """The same for the generalised Gauss-Newton matrix."""
        return HessianOperator(self.state, "gauss-newton")

    def _matmat(self, V):
        if self.curvature == "hessian":
            return self.state.hessian_vector_product(V)
        return self.state.gauss_newton_vector_product(V)

    def _matvec(self, v):
        return self._matmat(np.ravel(v))

    def _adjoint(self):
        return self
