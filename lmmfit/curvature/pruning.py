"""Networks made smaller: weights or hidden units taken away one after another."""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri

from lmmfit.curvature.masked import MaskedObjective
from lmmfit.curvature.operator import HessianOperator
from lmmfit.curvature.saliency import removal_step
from lmmfit.optimize import NewtonCG, minimize

__all__ = ["PruningPath", "PruningStage", "prune", "prune_network"]

_DENSE = 4000  # parameters up to which the inverse is formed
_CANDIDATES = 64  # columns of the inverse that are solved for beyond
_SHARE = 20  # one in so many weights is taken away between two retrainings


@dataclass(frozen=True, eq=False)
class PruningStage:
    """A network on the way.

    Attributes
    ----------
    removed : ndarray of int
        Parameters taken away at this stage, in their order.
    n_weights : int
        Parameters left.
    predicted_increase : float
        Of the loss at this stage, before it was trained again.
    increase : float
        What it was.
    value : float
        Loss, penalty included, after it was trained again.
    validation : float
        Mean loss of the validation rows; NaN without them.
    theta : ndarray of shape (n_parameters,)
    mask : ndarray of bool of shape (n_parameters,)
    """

    removed: np.ndarray
    n_weights: int
    predicted_increase: float
    increase: float
    value: float
    validation: float
    theta: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class PruningPath:
    """The networks from the whole one to the smallest.

    Attributes
    ----------
    stages : list of PruningStage
        The first is the whole network, trained to its minimum.
    chosen : int
        Stage with the lowest validation loss, or the last one without validation rows.
    total_weight : float
        Of the rows; losses are sums over them.
    reason : str
        Why it ended.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit import SecondOrderMLP
    >>> from lmmfit.curvature import prune
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> model = SecondOrderMLP((2,), alpha=0.1, random_state=0).fit(X, X[:, 0])
    >>> path = prune(model, X, X[:, 0], n=3)
    >>> path.n_weights, path.order.shape, path.model().mask.sum()
    (array([11, 10,  9,  8]), (3,), np.int64(8))
    """

    stages: list = field(repr=False)
    chosen: int
    total_weight: float
    reason: str
    _model: object = field(repr=False, default=None)

    @property
    def n_weights(self):
        """Parameters left at each stage, (n_stages,)."""
        return np.array([stage.n_weights for stage in self.stages])

    @property
    def losses(self):
        """Mean loss at each stage, penalty included, (n_stages,)."""
        return np.array([stage.value for stage in self.stages]) / self.total_weight

    @property
    def validation_losses(self):
        """Mean loss of the validation rows at each stage, (n_stages,)."""
        return np.array([stage.validation for stage in self.stages])

    @property
    def order(self):
        """Parameters in the order in which they were taken away."""
        return np.concatenate([stage.removed for stage in self.stages])

    def model(self, stage=None):
        """The pruned estimator; its ``mask`` keeps later fits as small.

        Parameters
        ----------
        stage : int, optional
            ``chosen`` by default.

        Returns
        -------
        SecondOrderMLP
            A fitted copy.

        Raises
        ------
        ValueError
            If the path was not made from an estimator.
        """
        if self._model is None:
            raise ValueError("the path was made from arrays, by prune_network: see its stages.")
        at = self.stages[self.chosen if stage is None else stage]
        return self._model.pruned(at.mask, at.theta)


def prune(model, X, y, sample_weight=None, *, validation=None, **options):
    """Take weights, or hidden units, from a fitted estimator, and train what is left.

    Parameters
    ----------
    model : SecondOrderMLP
        Fitted; it stays as it is.
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,) or (n, k)
    sample_weight : array-like of shape (n,), optional
    validation : (X, y), optional
        Rows whose loss chooses the stage.
    **options
        ``n`` or ``tol``, how far to go, and the others of :func:`prune_network`.

    Returns
    -------
    PruningPath
        Its ``model()`` is the pruned estimator, whose ``mask`` later fits keep.

    Raises
    ------
    ValueError
        As :func:`prune_network`, and for data that the model does not take.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit import SecondOrderMLP
    >>> from lmmfit.curvature import prune
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 4))
    >>> y = np.tanh(X[:, 0] - X[:, 1])
    >>> model = SecondOrderMLP((3,), alpha=0.1, random_state=0).fit(X, y)
    >>> path = prune(model, X, y, tol=0.5)
    >>> small = path.model()
    >>> int(small.mask.sum()) < len(model.theta_), bool(small.score(X, y) > 0.98)
    (True, True)
    """
    held_out = None
    if validation is not None:
        held_out = model.objective(*validation)
        held_out = held_out.with_network(held_out.network.without_penalty())
    objective = model.objective(X, y, sample_weight)
    path = prune_network(objective, model.theta_, mask=model.mask, validation=held_out, **options)
    return replace(path, _model=model)


def prune_network(
    objective, theta, *, n=None, tol=None, method="obs", what="weights", mask=None,
    validation=None, curvature="hessian", retrain=True, max_iter=50, gradient_tol=1e-6,
    callback=None,
):  # fmt: skip
    """Take away the weights, or hidden units, that cost least, and train what is left.

    Parameters
    ----------
    objective : NetworkObjective
    theta : ndarray of shape (n_parameters,)
        Parameters of a trained network.
    n : int, optional
        Weights (or units) to take away.
    tol : float, optional
        Go on until the loss after training has grown by more than this share; the last
        network within it ends the path. At least one of ``n`` and ``tol``.
    method : {"obs", "obd", "magnitude"}, default="obs"
        ``obs``: Optimal Brain Surgeon, which lets the other weights make up for what is lost;
        beyond 4000 parameters from columns of the inverse of the Gauss-Newton matrix, for the
        most promising ones.
        ``obd``: Optimal Brain Damage; ``magnitude``: the smallest weights.
    what : {"weights", "units"}, default="weights"
        Single weights, never biases; or hidden units with all their weights.
    mask : ndarray of bool of shape (n_parameters,), optional
        Parameters that are there to begin with.
    validation : NetworkObjective, optional
        Of other rows, without a penalty.
    curvature : {"hessian", "gauss-newton"}, default="hessian"
    retrain : bool, default=True
        Whether to train to a minimum first, and again after each stage.
    max_iter : int, default=50
        Iterations of Newton's method each time.
    gradient_tol : float, default=1e-6
        Largest derivative of the mean loss that ends them.
    callback : callable, optional
        Called with each stage; returning True stops.

    Returns
    -------
    PruningPath

    Raises
    ------
    ValueError
        If neither ``n`` nor ``tol`` is given, n is more than there is, or a name is unknown.

    References
    ----------
    Hassibi, B. and Stork, D. G. (1993). Second order derivatives for network pruning: Optimal
    Brain Surgeon. NIPS 5.

    LeCun, Y., Denker, J. S. and Solla, S. A. (1990). Optimal Brain Damage. NIPS 2.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.curvature import FeedForwardNetwork, prune_network
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 4))
    >>> net = FeedForwardNetwork([4, 3, 1], "tanh", alpha=0.1)
    >>> objective = net.objective(X, np.tanh(X[:, 0] - X[:, 1]))
    >>> path = prune_network(objective, net.initial_parameters(rng), n=10)
    >>> path.n_weights[[0, -1]]
    array([19,  9])
    >>> bool(path.losses[-1] < 0.01)
    True
    """
    everything = np.ones(objective.n_parameters, dtype=bool)
    mask = MaskedObjective(objective, everything if mask is None else np.array(mask)).mask
    groups = _groups(objective.network.layout, mask, what)
    _check(n, tol, method, len(groups))
    trainer = _Trainer(objective, validation, retrain, max_iter, gradient_tol)
    stage = trainer.stage(mask, np.where(mask, theta, 0.0), np.array([], int), 0.0)
    limit = np.inf if tol is None else stage.value + tol * abs(stage.value)
    stages, left, reason = [stage], len(groups) if n is None else n, "nothing is left to take"
    while groups and left:
        count = min(left, max(1, len(groups) // _SHARE))
        taken, theta, cost = _take(objective, stages[-1], groups, count, method, curvature)
        mask = stages[-1].mask.copy()
        removed = np.concatenate([groups[i].everything for i in taken])
        removed = removed[mask[removed]]
        mask[removed] = False
        stage = trainer.stage(mask, np.where(mask, theta, 0.0), removed, cost, stages[-1].value)
        if stage.value > limit:
            reason = f"the loss would have grown by more than tol={tol:g}"
            break
        stages.append(stage)
        groups = [group for i, group in enumerate(groups) if i not in taken]
        left -= len(taken)
        if callback is not None and callback(stage):
            reason = "callback"
            break
    else:
        reason = f"n={n} {what} taken away" if n is not None else reason
    losses = np.array([stage.validation for stage in stages])
    chosen = len(stages) - 1 if validation is None else int(np.nanargmin(losses))
    return PruningPath(stages, chosen, objective.total_weight, reason)


@dataclass(frozen=True, eq=False)
class _Group:
    """Parameters that go together: those zeroed by choice, and those that then do nothing."""

    zeroed: np.ndarray
    everything: np.ndarray


def _groups(layout, mask, what):
    if what == "weights":
        return [
            _Group(np.array([i]), np.array([i])) for i in np.flatnonzero(layout.is_weight & mask)
        ]
    if what != "units":
        raise ValueError(f"what={what!r} is neither 'weights' nor 'units'.")
    places = np.arange(layout.n_parameters)
    weights, biases = layout.unpack(places)
    groups = []
    for layer in range(layout.n_layers - 1):
        for unit in range(len(biases[layer])):
            out = weights[layer + 1][unit]
            everything = np.r_[out, weights[layer][:, unit], biases[layer][unit]]
            if mask[out].any():
                groups.append(_Group(out[mask[out]], everything))
    return groups


def _check(n, tol, method, available):
    if n is None and tol is None:
        raise ValueError("say how far to go: n, how many to take away, or tol, how much the loss "
                         "may grow.")  # fmt: skip
    if n is not None and (int(n) != n or not 0 <= n <= available):
        raise ValueError(f"n={n!r}, and there are {available} to take away.")
    if tol is not None and not tol >= 0:
        raise ValueError(f"tol must be at least 0, got {tol!r}.")
    if method not in ("obs", "obd", "magnitude"):
        raise ValueError(f"method={method!r} is none of obs, obd, magnitude.")


class _Trainer:
    """Trains what is left and records it."""

    def __init__(self, objective, validation, retrain, max_iter, gradient_tol):
        self.objective, self.validation = objective, validation
        self.retrain, self.max_iter = retrain, max_iter
        self.tol = gradient_tol * objective.total_weight

    def stage(self, mask, theta, removed, predicted, before=None):
        masked = MaskedObjective(self.objective, mask)
        value = self.objective.evaluate(theta).value
        increase = 0.0 if before is None else value - before
        if self.retrain:
            result = minimize(
                masked, theta[mask], NewtonCG(), tol=self.tol, max_iter=self.max_iter
            )
            theta, value = masked.expand(result.x), result.value
        score = np.nan
        if self.validation is not None:
            score = self.validation.evaluate(theta).value / self.validation.total_weight
        return PruningStage(
            removed, int(mask.sum()), predicted, increase, value, score, theta, mask
        )


def _take(objective, stage, groups, count, method, curvature):
    """Choose groups one by one; return their numbers, the parameters then, and the cost."""
    masked = MaskedObjective(objective, stage.mask)
    state = masked.evaluate(stage.theta[stage.mask])
    place = np.cumsum(stage.mask) - 1  # of a parameter among those that are kept
    zeroed = [place[group.zeroed] for group in groups]
    theta, operator = state.theta.copy(), HessianOperator(state, curvature)
    if method != "obs":
        diagonal = _diagonal(operator) if method == "obd" else np.ones(len(theta))
        costs = [0.5 * float(diagonal[q] @ theta[q] ** 2) for q in zeroed]
        taken = np.argsort(costs, kind="stable")[:count]
        for i in taken:
            theta[zeroed[i]] = 0.0
        predicted = sum(costs[i] for i in taken) if method == "obd" else np.nan
        return taken.tolist(), masked.expand(theta), predicted
    candidates, columns = _inverse_columns(operator, theta, zeroed)
    taken, total = [], 0.0
    at = {q: j for j, q in enumerate(np.concatenate([zeroed[i] for i in candidates]).tolist())}
    while candidates and len(taken) < count:
        best = candidates.pop(int(np.argmin(_costs(theta, columns, zeroed, candidates, at))))
        q = zeroed[best]
        own = columns[:, [at[k] for k in q.tolist()]]
        step, cost = removal_step(theta, own, q)
        theta, total = theta + step, total + cost
        # The inverse for the parameters that are left (its rows and columns of q become zero).
        columns = columns - own @ np.linalg.solve(own[q], columns[q])
        taken.append(best)
    theta[np.concatenate([zeroed[i] for i in taken])] = 0.0
    return taken, masked.expand(theta), total


def _costs(theta, columns, zeroed, candidates, at):
    """Predicted increase of the loss for each candidate."""
    if all(len(zeroed[i]) == 1 for i in candidates):
        q = np.concatenate([zeroed[i] for i in candidates])
        return 0.5 * theta[q] ** 2 / columns[q, [at[k] for k in q.tolist()]]
    costs = []
    for q in (zeroed[i] for i in candidates):
        block = columns[np.ix_(q, [at[k] for k in q.tolist()])]
        costs.append(0.5 * theta[q] @ np.linalg.solve(block, theta[q]))
    return np.array(costs)


def _diagonal(operator):
    if operator.shape[0] <= _DENSE:
        return np.diag(operator.matrix())
    return operator.diagonal(n_products=200).value


def _inverse_columns(operator, theta, zeroed):
    """Groups worth a look, and the columns of the damped inverse that belong to them."""
    size = len(theta)
    if size <= _DENSE:
        return list(range(len(zeroed))), _damped_inverse(operator.matrix())[
            :, np.concatenate(zeroed)
        ]
    diagonal = np.abs(_diagonal(operator))
    rough = [float(diagonal[q] @ theta[q] ** 2) for q in zeroed]
    candidates = np.argsort(rough, kind="stable")[:_CANDIDATES].tolist()
    wanted = np.concatenate([zeroed[i] for i in candidates])
    unit = np.zeros((size, len(wanted)))
    unit[wanted, np.arange(len(wanted))] = 1.0
    columns = operator.gauss_newton.solve(unit, damping=1e-6 * diagonal.max(), tol=1e-5)
    return candidates, columns.x


def _damped_inverse(H):
    """Inverse of the matrix, with the least damping that makes it safely positive definite."""
    damping, size = 0.0, np.abs(np.diag(H)).max()
    while True:
        factor, failed = dpotrf(H + damping * np.eye(len(H)), lower=1)
        if not failed and np.diag(factor).min() ** 2 > 1e-9 * size:
            inverse = dpotri(factor, lower=1)[0]
            return np.tril(inverse) + np.tril(inverse, -1).T
        damping = max(10.0 * damping, 1e-8 * size)
