"""The Hessian of an objective as a linear operator, and what can be asked of it."""

from functools import cached_property

import numpy as np
from scipy.sparse.linalg import LinearOperator

from lmmfit.curvature.estimates import dense_matrix

__all__ = ["HessianOperator", "StochasticHessian"]

_LARGEST = 20_000  # order up to which the matrix may be formed: 3 GB


class HessianOperator(LinearOperator):
    """Second derivatives at a point: products for SciPy, eigenvalues, densities, traces, inverses.

    Parameters
    ----------
    state : NetworkState
        Anything with ``theta``, ``hessian_vector_product(v)`` and
        ``gauss_newton_vector_product(v)`` for matrices v of columns.
    curvature : {"hessian", "gauss-newton"}, default="hessian"

    Attributes
    ----------
    state : NetworkState
    curvature : str

    See Also
    --------
    lmmfit.SecondOrderMLP.hessian_operator : Of a fitted network.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, HessianOperator
    >>> net = FeedForwardNetwork([1, 3, 1], "tanh")
    >>> H = HessianOperator(net.evaluate(np.linspace(-1, 1, 10), [[0.5], [2.0]], [0.0, 1.0]))
    >>> H.shape
    (10, 10)
    >>> values, vectors = H.eigsh(1)
    >>> bool(np.isclose(values[0], np.linalg.eigvalsh(H.matrix())[-1]))
    True
    >>> bool(np.isclose(float(H.trace()), np.trace(H.matrix())))
    True
    """

    is_stochastic = False

    def __init__(self, state, curvature="hessian"):
        if curvature not in ("hessian", "gauss-newton"):
            raise ValueError(f"curvature={curvature!r} is neither 'hessian' nor 'gauss-newton'.")
        self.state, self.curvature = state, curvature
        size = len(state.theta)
        super().__init__(dtype=np.dtype(state.theta.dtype), shape=(size, size))

    @classmethod
    def from_sklearn(cls, model, X, y, sample_weight=None):
        """The Hessian of a network that scikit-learn has trained.

        Parameters
        ----------
        model : sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted.
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, k)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        HessianOperator
            Of the sum of the losses over the rows and half ``alpha`` times the squared
            weights: n times what scikit-learn minimises. Its parameters are the weights
            (row by row) and biases of each layer, layer by layer.

        Raises
        ------
        ValueError
            If the model is not fitted, or y has a label that it does not know.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from lmmfit.curvature import HessianOperator
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((5,), solver="lbfgs", random_state=0, max_iter=5000).fit(X, y)
        >>> HessianOperator.from_sklearn(model, X, y).shape
        (43, 43)
        """
        from lmmfit.curvature.scikit_learn import state_of_sklearn

        return cls(state_of_sklearn(model, X, y, sample_weight))

    @cached_property
    def gauss_newton(self):
        """The same for the generalised Gauss-Newton matrix."""
        return HessianOperator(self.state, "gauss-newton")

    @cached_property
    def rough(self):
        """The same with products in single precision where these are faster.

        Traces, diagonals and densities are estimated with it: its errors, some 1e-7 of the
        largest eigenvalue, are far below those of random vectors.
        """
        if not hasattr(self.state, "single_precision"):
            return self
        single = self.state.single_precision()
        return self if single is self.state else HessianOperator(single, self.curvature)

    def stochastic(self, batch_size, seed=0):
        """The same, estimated from another batch of rows in each product.

        Parameters
        ----------
        batch_size : int
            Rows of a batch.
        seed : int or numpy.random.Generator, default=0

        Returns
        -------
        StochasticHessian

        Raises
        ------
        ValueError
            If the objective cannot be cut into batches, or has fewer rows than one.
        """
        return StochasticHessian(self, batch_size, seed)

    def matrix(self):
        """The matrix itself, symmetric to the last bit.

        Returns
        -------
        ndarray of shape (size, size)

        Raises
        ------
        ValueError
            If its order is above 20 000.
        """
        size = self.shape[0]
        if size > _LARGEST:
            raise ValueError(
                f"the matrix would have {size} x {size} elements: use products, eigsh, density, "
                "trace, diagonal or solve instead."
            )
        return dense_matrix(self)

    def eigsh(self, k=6, which="LA", *, method="auto", tol=1e-9, max_products=None, seed=0):
        """Largest or smallest eigenvalues: see :func:`eigenpairs`.

        Parameters
        ----------
        k : int, default=6
        which : {"LA", "SA", "LM", "BE"}, default="LA"
        method : {"auto", "lanczos", "lobpcg", "power", "dense"}, default="auto"
        tol : float, default=1e-9
        max_products : int, optional
        seed : int or numpy.random.Generator, default=0

        Returns
        -------
        EigenPairs
            ``values, vectors = H.eigsh(...)`` in ascending order; ``residuals`` beside them.
        """
        from lmmfit.curvature.spectrum import eigenpairs

        return eigenpairs(
            self, k, which=which, method=method, tol=tol, max_products=max_products, seed=seed
        )

    def density(self, method="lanczos", *, n_probes=10, n_products=None, bounds=None, seed=0):
        """Density of the eigenvalues: see :func:`spectral_density`.

        Parameters
        ----------
        method : {"lanczos", "chebyshev", "skilling"}, default="lanczos"
        n_probes : int, default=10
        n_products : int, optional
            For each probe.
        bounds : (float, float), optional
        seed : int or numpy.random.Generator, default=0

        Returns
        -------
        SpectralDensity
        """
        from lmmfit.curvature.density import spectral_density

        return spectral_density(
            self, method=method, n_probes=n_probes, n_products=n_products, bounds=bounds, seed=seed
        )

    def trace(self, method=None, *, n_products=100, seed=0):
        """Trace: see :func:`estimate_trace`.

        Parameters
        ----------
        method : {"xtrace", "hutch++", "hutchinson"}, optional
            ``xtrace`` by default; ``hutchinson`` if each product comes from another batch.
        n_products : int, default=100
        seed : int or numpy.random.Generator, default=0

        Returns
        -------
        Estimate
        """
        from lmmfit.curvature.traces import estimate_trace

        return estimate_trace(self, method=self._method(method), n_products=n_products, seed=seed)

    def diagonal(self, method=None, *, n_products=100, seed=0):
        """Diagonal: see :func:`estimate_diagonal`.

        Parameters
        ----------
        method : {"xtrace", "hutch++", "hutchinson"}, optional
            ``xtrace`` by default; ``hutchinson`` if each product comes from another batch.
        n_products : int, default=100
        seed : int or numpy.random.Generator, default=0

        Returns
        -------
        Estimate
        """
        from lmmfit.curvature.traces import estimate_diagonal

        return estimate_diagonal(
            self, method=self._method(method), n_products=n_products, seed=seed
        )

    def logdet(self, *, damping=0.0, method="auto", n_probes=10, n_steps=50, seed=0):
        """Logarithm of the determinant: see :func:`estimate_logdet`.

        Parameters
        ----------
        damping : float, default=0.0
        method : {"auto", "dense", "lanczos"}, default="auto"
        n_probes, n_steps : int
        seed : int or numpy.random.Generator, default=0

        Returns
        -------
        Estimate
        """
        from lmmfit.curvature.traces import estimate_logdet

        return estimate_logdet(
            self, damping=damping, method=method, n_probes=n_probes, n_steps=n_steps, seed=seed
        )

    def solve(self, b, method="cg", *, damping=0.0, tol=1e-8, max_products=None):
        """Solve ``(H + damping I) x = b``: see :func:`solve_hessian`.

        Parameters
        ----------
        b : array-like of shape (size,) or (size, m)
        method : {"cg", "minres", "squared", "dense"}, default="cg"
        damping : float, default=0.0
        tol : float, default=1e-8
        max_products : int, optional

        Returns
        -------
        HessianSolution
        """
        from lmmfit.curvature.inverse import solve_hessian

        return solve_hessian(
            self, b, method=method, damping=damping, tol=tol, max_products=max_products
        )

    def _method(self, method):
        return method or ("hutchinson" if self.is_stochastic else "xtrace")

    def _matmat(self, V):
        if self.curvature == "hessian":
            return self.state.hessian_vector_product(V)
        return self.state.gauss_newton_vector_product(V)

    def _matvec(self, v):
        return self._matmat(np.ravel(v))

    def _adjoint(self):
        return self


class StochasticHessian(HessianOperator):
    """The Hessian, estimated without bias from another random batch in each product.

    Products are scaled to all rows, and the batches of different columns are independent, so that
    the standard errors of traces and diagonals hold the differences of the batches too.

    Parameters
    ----------
    whole : HessianOperator
        Of all rows.
    batch_size : int
        Rows of a batch.
    seed : int or numpy.random.Generator, default=0

    Attributes
    ----------
    whole : HessianOperator
    batch_size : int

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, HessianOperator
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> net = FeedForwardNetwork([1, 4, 1], "tanh")
    >>> H = HessianOperator(net.evaluate(np.linspace(-1, 1, 13), X, np.sin(X)))
    >>> estimate = H.stochastic(20).trace(n_products=300)
    >>> bool(abs(float(estimate) - np.trace(H.matrix())) < 4 * estimate.error)
    True
    """

    is_stochastic = True

    @property
    def rough(self):
        """The operator itself: batches are small."""
        return self

    def __init__(self, whole, batch_size, seed=0):
        super().__init__(whole.state, whole.curvature)
        objective = getattr(whole.state, "objective", None)
        if not hasattr(objective, "share"):
            raise ValueError(
                f"the objective of {type(whole.state).__name__} cannot be cut into batches."
            )
        if int(batch_size) != batch_size or not 1 <= batch_size <= objective.n_patterns:
            raise ValueError(
                f"batch_size must be between 1 and the {objective.n_patterns} rows, got "
                f"{batch_size!r}."
            )
        self.whole, self.batch_size = whole, int(batch_size)
        self._rng = np.random.default_rng(seed)

    @cached_property
    def gauss_newton(self):
        """The same for the generalised Gauss-Newton matrix."""
        return StochasticHessian(self.whole.gauss_newton, self.batch_size, self._rng)

    def _matmat(self, V):
        V = V.reshape(len(V), -1)
        return np.column_stack([self._product(v) for v in V.T])

    def _matvec(self, v):
        return self._product(np.ravel(v))

    def _product(self, v):
        """Draw a batch and multiply by its Hessian."""
        objective = self.state.objective
        rows = self._rng.choice(objective.n_patterns, self.batch_size, replace=False)
        part, scale = objective.share(np.sort(rows))
        state = part.evaluate(self.state.theta)
        name = "hessian" if self.curvature == "hessian" else "gauss_newton"
        return scale * getattr(state, f"{name}_vector_product")(v)
