"""Passes through networks that relax: fixed points, and linear systems at them."""

import warnings
from functools import cached_property

import numpy as np

from lmmfit.curvature._unit_parts import OutputError, activate_runs, respond

__all__ = ["RelaxationPasses", "relax"]

_NEAR = 1e-8  # from here on one Newton step gives all digits
_KEPT = 2**25  # numbers in the inverses of all patterns together that a state may keep


def relax(update, v, step, tol, floor, max_iter):
    """Move v towards update(v) until no pattern changes by more than tol.

    The scale of a pattern is its largest element, and ``floor`` added to it. Returned are also
    the number of moves, and whether they were enough.
    """
    count, settled = 0, False
    while count < max_iter and not settled:
        count += 1
        change = update(v) - v
        v = v + step * change
        largest, scale = (np.abs(a).reshape(len(v), -1).max(axis=1) for a in (change, v))
        settled = not (largest > tol * (floor + scale)).any()  # nor will a NaN change
    return v, count, settled


class RelaxationPasses:
    """Passes of a block of patterns through a network with cycles.

    Arrays have a row for each pattern; R-variables have the directions in between. Inputs come
    first in the order of the units; the others are those that move.

    Parameters
    ----------
    network : RelaxationNetwork
    W : ndarray of shape (n_units, n_units)
        In the order of the passes.
    objective : UnitObjective
    part : slice
        The patterns.
    """

    def __init__(self, network, W, objective, part):
        self.network, self.first, self.n_in = network, part.start, len(network.input_units)
        self.outputs = np.argsort(network.order)[list(network.output_units)]
        k, I = self.n_in, objective.I[part][:, network.order]  # noqa: E741
        self.W = np.ascontiguousarray(W[k:, k:])
        self.drive, self.external = I[:, :k] @ W[:k, k:], I[:, k:]
        self.magnitude = np.abs(I[:, :k]) @ np.abs(W[:k, k:]), np.abs(self.W)
        self.keep = objective.n_patterns * self.W.size <= _KEPT
        self.iterations = {}
        start = np.zeros_like(I) if objective.start is None else objective.start[part]
        self._find(start[:, network.order][:, k:])
        self.units = np.concatenate([I[:, :k], self.y], axis=1)
        z = np.ascontiguousarray(self.units[:, self.outputs])
        D, weight = objective.D[part], objective.weight[part]
        self.error = OutputError(network.loss_function, z, D, weight)

    def _find(self, start):
        """Equations 10, forward: relax the outputs, then Newton's method to the last digits."""
        net, spare = self.network, np.empty((2, *start.T.shape))

        def update(y):
            x = self._inputs(y)
            activate_runs(net.runs, x, spare)
            return x.T + self.external

        tol = net.tol if net.method == "relax" else max(net.tol, _NEAR)
        self.y, count, _ = relax(update, start, net.step, tol, 1.0, net.max_iter)
        self.iterations["y"] = count
        if net.method == "solve":
            lost = ~np.isfinite(self.y).all(axis=1)
            self.y[lost] = start[lost]
            self._polish(update)
            self.y[lost & ~(self._residuals(update(self.y) - self.y, self.y) <= net.tol)] = np.nan
        x, self.slope, self.bend = self._respond()
        self.residuals = self._residuals(x + self.external - self.y, self.y)

    def _residuals(self, excess, y, rows=slice(None)):
        """Largest change of each pattern, relative to what enters its units."""
        scale = np.abs(y) + np.abs(y) @ self.magnitude[1] + self.magnitude[0][rows]
        return np.abs(excess).max(axis=1) / (1 + scale.max(axis=1))

    def _polish(self, update):
        """Newton steps for the patterns that need them, halved until they are nearer."""
        goal, count, excess = 0.01 * self.network.tol, 0, update(self.y) - self.y
        todo = np.flatnonzero(self._residuals(excess, self.y) > goal)
        while len(todo) and count < 50:
            count += 1
            ahead = np.zeros_like(self.y)
            ahead[todo] = _solve_regular(self.matrices(self._respond()[1][todo]), excess[todo])
            size, length, open_ = np.abs(excess).max(axis=1), 1.0, todo
            while len(open_) and length > 1e-3:
                trial = self.y + length * ahead
                moved = update(trial) - trial
                nearer = open_[np.abs(moved[open_]).max(axis=1) < size[open_]]
                self.y[nearer], excess[nearer] = trial[nearer], moved[nearer]
                open_, length = np.setdiff1d(open_, nearer), length / 2
            todo = np.setdiff1d(todo, open_)  # the others cannot come nearer
            todo = todo[self._residuals(excess[todo], self.y[todo], todo) > goal]
        self.iterations["newton"] = count

    def _inputs(self, y):
        """Inputs of the units, (n, rows): those of equal units lie together, as ufuncs need it.

        (In NumPy 2.4 ``negative`` is wrong in place where numbers are 64 bytes apart.)
        """
        return np.ascontiguousarray(self.W.T @ y.T + self.drive.T)

    def _respond(self):
        """Responses of the units, slopes and bends, (rows, n) each."""
        x = self._inputs(self.y)
        slope, bend = np.empty_like(x), np.empty_like(x)
        respond(self.network.runs, x, slope, bend)
        return [np.ascontiguousarray(part.T) for part in (x, slope, bend)]

    def matrices(self, slope):
        """M = 1 - diag(slope) W' of each pattern, (rows, n, n)."""
        matrices = slope[:, :, None] * np.ascontiguousarray(-self.W.T)
        diagonal = np.arange(len(self.W))
        matrices[:, diagonal, diagonal] += 1.0
        return matrices

    @cached_property
    def _kept_inverses(self):
        return _invert(self.matrices(self.slope), self.first)

    def _solve(self, right, transposed, name):
        """Solve M v = right, or M' v = right, for (rows, m, n) right-hand sides."""
        if self.network.method == "relax":
            return self._relax(right, transposed, name)
        if name == "z":  # the gradient alone needs no inverse
            return _solve_transposed(self.matrices(self.slope), right, self.first)
        matrices = None if self.keep else self.matrices(self.slope)
        inverses = self._kept_inverses if self.keep else _invert(matrices, self.first)
        return right @ (inverses if transposed else inverses.mT)

    def _relax(self, right, transposed, name):
        net, slope = self.network, self.slope[:, None]

        def update(v):
            if transposed:  # slope v is what the paper relaxes
                return right + (slope * v) @ self.W.T
            return right + slope * (v @ self.W)

        zero = np.zeros_like(right)
        v, count, settled = relax(update, zero, net.step, net.tol, 0.0, net.max_iter)
        self.iterations[name] = max(count, self.iterations.get(name, 0))
        if not settled:
            warnings.warn(
                f"{name} has not settled within tol={net.tol:g} after max_iter={count} moves. "
                "Allow more of them, or take method='solve'.",
                RuntimeWarning,
                stacklevel=7,
            )
        return v

    def differentiate(self):
        """Equations 10, corrected: u = M'^-1 e and z = slope u; the gradient is y z'."""
        e = np.zeros_like(self.units)
        e[:, self.outputs] = self.error.differentiate()
        u = self._solve(e[:, None, self.n_in :], True, "z")[:, 0]
        self.z = self.slope * u
        self.bend *= u
        gradient = np.zeros((e.shape[1], e.shape[1]))
        gradient[:, self.n_in :] = self.units.T @ self.z
        return gradient

    def multiply(self, V, exact):
        """Equations 11, corrected, for m directions (n_units, n_units, m); or Gauss-Newton.

        The latter drops what moves the backward pass: V z, R{y} z and the bends.
        """
        (rows, n), m, k = self.units.shape, V.shape[2], self.n_in
        moving, slope = n - k, self.slope[:, None]
        into = V[:, k:].transpose(0, 2, 1).reshape(n, -1)
        rx = (self.units @ into).reshape(rows, m, moving)
        ry = np.zeros((rows, m, n))
        ry[:, :, k:] = self._solve(slope * rx, False, "R{y}")
        rx += ry[:, :, k:] @ self.W
        right = np.zeros_like(ry)
        right[:, :, self.outputs] = self.error.curve(ry[:, :, self.outputs])
        right = right[:, :, k:]
        if exact:
            bent = self.bend[:, None] * rx
            right += bent @ self.W.T
            out = V[k:, k:].transpose(1, 2, 0).reshape(moving, -1)
            right += (self.z @ out).reshape(bent.shape)
        rz = slope * self._solve(right, True, "R{z}")
        product = np.zeros_like(V)
        if exact:
            rz += bent
            moved = ry[:, :, k:].reshape(rows, -1).T @ self.z
            product[k:, k:] = moved.reshape(m, moving, moving).transpose(1, 2, 0)
        moved = self.units.T @ rz.reshape(rows, -1)
        product[:, k:] += moved.reshape(n, m, moving).transpose(0, 2, 1)
        return product


def _solve_regular(matrices, right):
    """Solutions of the systems with regular matrices; zero for the others."""
    try:
        return np.linalg.solve(matrices, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # which does not say of which matrix
        regular = np.linalg.slogdet(matrices)[0] != 0
        result = np.zeros_like(right)
        result[regular] = np.linalg.solve(matrices[regular], right[regular, :, None])[:, :, 0]
        return result


def _solve_transposed(matrices, right, first):
    try:
        return np.linalg.solve(matrices.mT, right.mT).mT
    except np.linalg.LinAlgError:
        _refuse(matrices, first)


def _invert(matrices, first):
    """Inverses, which many right-hand sides share."""
    try:
        inverses = np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        _refuse(matrices, first)
    condition = _norms(matrices) * _norms(inverses)
    if (condition > 1 / np.finfo(np.float64).eps).any():  # NaN where the weights are
        _refuse(matrices, first)
    return inverses


def _refuse(matrices, first):
    """Raise an error that names the pattern whose matrix is nearest to singular."""
    worst = first + int(np.argmax(np.linalg.cond(matrices)))
    raise np.linalg.LinAlgError(
        f"the outputs of pattern {worst} have no derivative: 1 - diag(slopes) W' is singular at "
        "its fixed point, where fixed points meet or part. Change the weights; another start may "
        "lead to another fixed point."
    )


def _norms(matrices):
    return np.abs(matrices).sum(axis=1).max(axis=1)
