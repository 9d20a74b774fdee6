"""Everything known at one point: value, gradient, products with second derivatives."""

from functools import cached_property

import numpy as np

from lmmfit.curvature._checks import as_directions
from lmmfit.curvature._kernels import add_bias, back_propagate, multiply, root_rows
from lmmfit.curvature._lanes import scratch
from lmmfit.curvature.activations import activate

__all__ = ["NetworkState"]

_WORTH = 3e5  # multiplications of a forward pass from which single precision is faster

_FEWEST = 64  # patterns of a part of a block

_WIDE = 2**18  # numbers in one layer of a block when several vectors share a product


class NetworkState:
    """A network at one parameter vector, with what later products need.

    The forward pass is done at once, the backward pass when a derivative is first asked for.
    Kept are the outputs of all units, the slopes of their activations, the errors, and the second
    derivatives times the unscaled back-propagated errors: a product with the Hessian computes
    nothing of this again, and divides by no slope.

    Parameters
    ----------
    objective : NetworkObjective
    theta : ndarray of shape (n_parameters,)

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    value : float
        Weighted sum of the losses over the patterns, and the penalty.
    gradient : ndarray of shape (n_parameters,)
    predictions : ndarray of shape (n, n_out)
        Outputs of the network: probabilities for log losses, rates for ``poisson``.

    Notes
    -----
    With S multiplications in a forward pass, F of them in the first layer, a gradient costs
    3 S - F and a product with the Hessian 6 S - 4 F more (Pearlmutter 1994, equations 6 to 9).

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1).

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork
    >>> net = FeedForwardNetwork([1, 1], [])
    >>> state = net.evaluate([1.0, 0.0], [[1.0], [2.0]], [0.0, 0.0])
    >>> state.value, state.gradient, state.hessian_vector_product([1.0, 0.0])
    (2.5, array([5., 3.]), array([5., 3.]))
    """

    def __init__(self, objective, theta):
        self.objective, self.theta = objective, theta
        self._buffers = objective.take_buffers()
        self.value = self._forward()

    def __reduce__(self):
        return type(self), (self.objective, self.theta)  # the passes are made again

    def __del__(self):
        if "_buffers" in self.__dict__:
            self.objective.give_back(self._buffers)

    @property
    def predictions(self):
        """Outputs of the network for each pattern."""
        return self._buffers.layers[-1][0].copy()

    @cached_property
    def gradient(self):
        """Derivatives of the value by the parameters."""
        return self._backward()

    def hessian_vector_product(self, v):
        """Multiply by the Hessian of the value, exactly.

        Parameters
        ----------
        v : array-like of shape (n_parameters,) or (n_parameters, k)

        Returns
        -------
        ndarray of the shape of v
        """
        return self._product(v, True)

    def gauss_newton_vector_product(self, v):
        """Multiply by the generalised Gauss-Newton matrix: the Hessian of a linearised network.

        It is split at the inputs of the output units where loss and activation match, and at
        their outputs otherwise (Schraudolph 2002), so that it is positive semidefinite.

        Parameters
        ----------
        v : array-like of shape (n_parameters,) or (n_parameters, k)

        Returns
        -------
        ndarray of the shape of v
        """
        return self._product(v, False)

    def hessian(self):
        """The Hessian, column by column.

        Returns
        -------
        ndarray of shape (n_parameters, n_parameters)
            Symmetric to the last bit.
        """
        matrix = self._product(np.eye(len(self.theta), dtype=self.theta.dtype), True)
        return 0.5 * (matrix + matrix.T)

    def gauss_newton_matrix(self):
        """The generalised Gauss-Newton matrix, penalty included.

        Returns
        -------
        ndarray of shape (n_parameters, n_parameters)
        """
        o, size = self.objective, len(self.theta)

        def task(first, last, total):
            root = self._root(first, last)
            total += (root.T @ root).ravel()

        self.gradient  # noqa: B018  (the backward pass)
        matrix = o.matrix_lanes.run(task, size * size, o.dtype).reshape(size, size)
        matrix[np.diag_indices(size)] += self.penalty
        return matrix

    def gauss_newton_root(self):
        """Root R of the Gauss-Newton matrix of the data, R'R, and residuals r.

        The gradient of the data is R'r; for half the squared error r are the residuals and R
        their Jacobian, both times the roots of the weights.

        Returns
        -------
        root : ndarray of shape (n * n_out, n_parameters)
        residuals : ndarray of shape (n * n_out,)
        """
        self.gradient  # noqa: B018
        root = np.concatenate([self._root(a, b) for lane in self.lanes for a, b in lane])
        return root, self._generalised_residuals()

    def output_jacobian(self):
        """Derivatives of the outputs by the parameters, pattern by pattern.

        For losses that bring their output activation, those of the inputs of the output units:
        logits, or logarithms of rates.

        Returns
        -------
        ndarray of shape (n, n_out, n_parameters)
        """
        self.gradient  # noqa: B018
        slope = self._buffers.layers[-1][1]
        n_out, matched = slope.shape[1], self.objective.network.loss_function.is_matched
        jacobian = np.empty((len(slope), n_out, len(self.theta)), self.objective.dtype)
        for first, last in (block for lane in self.lanes for block in lane):
            seeds = np.broadcast_to(np.eye(n_out, dtype=slope.dtype), (last - first, n_out, n_out))
            seeds = seeds.copy() if matched else seeds * slope[first:last, None, :]
            jacobian[first:last] = self._propagate_seeds(seeds, first, last).reshape(
                last - first, n_out, -1
            )
        return jacobian

    @property
    def residuals(self):
        """Errors times the roots of the weights, (n * n_out,); None but for squared error."""
        if self.objective.network.loss != "squared_error":
            return None
        error = self._buffers.layers[-1][0] - self.objective.Y
        return (error * np.sqrt(self.objective.weight)[:, None]).ravel()

    def jacobian_transpose_product(self, u):
        """Multiply by the transposed Jacobian of the residuals: back-propagate given errors.

        Parameters
        ----------
        u : ndarray of shape (n * n_out,)

        Returns
        -------
        ndarray of shape (n_parameters,)
        """
        o = self.objective
        self.gradient  # noqa: B018
        other = o.take_buffers()
        other.copy_from(self._buffers)
        _, slope, _, delta = other.layers[-1]
        delta[:] = slope * np.sqrt(o.weight)[:, None] * u.reshape(delta.shape)
        total = self._back_propagate(other, None)
        o.give_back(other)
        return total

    def single_precision(self):
        """The same state for products in single precision; value and gradient stay as they are.

        Returns
        -------
        NetworkState
            This one where the products are so small that single precision saves nothing.
        """
        o = self.objective
        if o.dtype == np.float32 or o.n_patterns * sum(o.network.layout.n_products) < _WORTH:
            return self
        other = NetworkState.__new__(NetworkState)
        other.objective, other.theta = self.objective.single, self.theta.astype(np.float32)
        other.value, other.gradient = self.value, self.gradient
        other._buffers = other.objective.take_buffers()
        other._buffers.copy_from(self._buffers)
        return other

    @property
    def penalty(self):
        """The penalty's second derivative by each parameter."""
        return self.objective.penalty

    @property
    def lanes(self):
        """Blocks of patterns, lane by lane."""
        return self.objective.lanes.lanes

    def _forward(self):
        o, net = self.objective, self.objective.network
        weights, biases = net.layout.unpack(self.theta)
        *hidden, (z_out, s_out, t_out, _) = self._buffers.layers
        steps = list(zip(net.hidden_activations, weights, biases, hidden, strict=False))

        def task(first, last, total):
            below = o.X[first:last]
            for name, W, b, (units, slope, bend, _) in steps:
                z = units[first:last]
                add_bias(np.dot(below, W, out=z), b)
                activate(name, z, slope[first:last], bend[first:last])
                below = z
            z, s, t = z_out[first:last], s_out[first:last], t_out[first:last]
            add_bias(np.dot(below, weights[-1], out=z), biases[-1])
            if not net.loss_function.is_matched:
                activate(net.loss_function.activation, z, s, t)
            total += net.loss_function.prepare(z, t, o.Y[first:last], o.weight[first:last])

        with np.errstate(over="ignore", invalid="ignore"):  # a step too long has no value
            value = o.lanes.run(task, 1, np.float64)[0]
            return float(value + 0.5 * ((self.penalty * self.theta) @ self.theta))

    def _backward(self):
        o, b = self.objective, self._buffers

        def differentiate(first, last):
            loss = o.network.loss_function
            loss.differentiate(b.layers[-1], o.Y, o.weight, b.exact, b.gauss, first, last)

        return self._back_propagate(b, differentiate) + self.penalty * self.theta

    def _back_propagate(self, b, differentiate):
        """Sum over the patterns of errors times activations, from the outputs' errors."""
        o, layout = self.objective, self.objective.network.layout
        x, n, codes = o.X.reshape(-1), o.n_patterns, o.network.codes
        room = max(layout.n_products) + o.lanes.rows * max(layout.layer_sizes)

        def task(first, last, total):
            if differentiate:
                differentiate(first, last)
            back_propagate(
                self.theta, layout.sizes, codes, x, b.units, b.slope, b.bend, b.delta, n, first,
                last, scratch(room, o.dtype), total,
            )  # fmt: skip

        return o.lanes.run(task, layout.n_parameters, o.dtype)

    def _product(self, v, exact):
        o = self.objective
        v = as_directions(v, len(self.theta), "parameters", o.dtype)
        self.gradient  # noqa: B018
        penalty = self.penalty
        if v.ndim == 1:
            v = np.ascontiguousarray(v)
            return self._multiply(v, v, 1, exact)[0] + penalty * v
        at_once = max(1, _WIDE // (o.lanes.rows * max(o.network.layout.layer_sizes)))
        result = np.empty(v.shape, o.dtype)
        for start in range(0, v.shape[1], at_once):
            part = v[:, start : start + at_once]
            result[:, start : start + at_once] = self._multiply_columns(part, exact)
        return result + penalty[:, None] * v

    def _multiply_columns(self, v, exact):
        """Multiply columns that share each matrix product."""
        m, layout = v.shape[1], self.objective.network.layout
        if m == 1:
            v = np.ascontiguousarray(v[:, 0])
            return self._multiply(v, v, 1, exact)[0][:, None]
        wide, tall, at = np.empty(v.size, v.dtype), np.empty(v.size, v.dtype), 0
        places = []
        for n_in, n_out in zip(layout.layer_sizes[:-1], layout.layer_sizes[1:], strict=True):
            for rows in (n_in, 1):  # weights, then biases
                places.append((at, at + rows * n_out, (rows, n_out, m)))
                at += rows * n_out
        for a, b, shape in places:
            block = v[a:b].reshape(shape)
            wide[m * a : m * b] = block.transpose(0, 2, 1).ravel()
            tall[m * a : m * b] = block.transpose(2, 0, 1).ravel()
        from_wide, from_tall = self._multiply(wide, tall, m, exact)
        result = np.empty(v.shape, v.dtype)
        for a, b, (rows, n_out, _) in places:
            one = from_wide[m * a : m * b].reshape(rows, m, n_out).transpose(0, 2, 1)
            two = from_tall[m * a : m * b].reshape(m, rows, n_out).transpose(1, 2, 0)
            result[a:b] = (one + two).reshape(b - a, m)
        return result

    def _multiply(self, wide, tall, m, exact):
        """Sums over the patterns, in both orders; in one array for a single vector."""
        o, layout = self.objective, self.objective.network.layout
        b, n, x = self._buffers, o.n_patterns, o.X.reshape(-1)
        curvature = (b.exact if exact else b.gauss).reshape(-1)
        hidden, widest = sum(layout.layer_sizes[1:-1]), max(layout.layer_sizes)
        room = m * (2 * o.lanes.rows * (hidden + widest) + max(layout.n_products))
        size = len(wide)
        softmax = o.network.loss_function.is_softmax

        step = o.lanes.rows if m == 1 else max(_FEWEST, o.lanes.rows // m)

        def task(first, last, total):
            for start in range(first, last, step):  # what belongs to m vectors stays in cache
                multiply(
                    self.theta, layout.sizes, x, b.units, b.slope, b.bend, b.delta,
                    curvature, softmax, exact, n, start, min(start + step, last), m, wide, tall,
                    scratch(room, o.dtype), total[:size], total[-size:],
                )  # fmt: skip

        total = o.lanes.run(task, size if m == 1 else 2 * size, o.dtype)
        return total[:size], total[-size:]

    def _root(self, first, last):
        """Rows of the root of the Gauss-Newton matrix for a block of patterns."""
        b, (y, slope, *_) = self._buffers, self._buffers.layers[-1]
        loss = self.objective.network.loss_function
        seeds = loss.seeds(b.gauss[first:last], y[first:last], slope[first:last])
        return self._propagate_seeds(seeds, first, last)

    def _propagate_seeds(self, seeds, first, last):
        """Rows (n * q, n_parameters) for errors (n, q, n_out) at the inputs of the outputs."""
        o, net, b = self.objective, self.objective.network, self._buffers
        rows, q, _ = seeds.shape
        root = np.empty((rows * q, len(self.theta)), o.dtype)
        work = scratch(2 * rows * q * max(net.layout.layer_sizes), o.dtype)
        root_rows(
            self.theta, net.layout.sizes, o.X.reshape(-1), b.units, b.slope, seeds,
            o.n_patterns, first, last, work, root,
        )  # fmt: skip
        return root

    def _generalised_residuals(self):
        """Residuals r with errors delta = seeds' r."""
        if self.residuals is not None:
            return self.residuals
        y, slope, _, delta = self._buffers.layers[-1]
        root = np.sqrt(self._buffers.gauss)
        if self.objective.network.loss_function.is_softmax:
            weight, target = self.objective.weight[:, None], self.objective.Y
            delta = (target.sum(axis=1, keepdims=True) * y - target) * weight
        else:
            root *= np.where(slope < 0, -1, 1)
        return np.divide(delta, root, out=np.zeros_like(root), where=root != 0).ravel()
