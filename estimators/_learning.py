"""What fit and partial_fit of a network do, between the checks and the warnings."""

import copy
from dataclasses import replace

import numpy as np
from sklearn.utils import check_random_state

from lmmfit import curvature, optimize
from lmmfit.estimators._fitting import begin_callbacks
from lmmfit.estimators._network import (
    check_rows,
    choose_network,
    continue_network,
    make_objective,
    row_weights,
    split_rows,
    with_mask,
)
from lmmfit.estimators._responses import as_targets, make_responses
from lmmfit.estimators._training import Watch, batch_size, train

__all__ = ["fit_network", "learn_rows", "prune_copy"]

_KEPT = 5_000_000  # numbers of the rows that a fit keeps, for the posterior
_ROUNDS = 20  # steps of MacKay's rule
_LEAST, _MOST = 1e-6, 1e6  # penalties
_SETTLED = 0.02  # relative change of the penalty that ends the search


def fit_network(model, X, y, sample_weight):
    """Validate, build, optimise, publish.

    Parameters
    ----------
    model : SecondOrderMLP
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,) or (n, k)
    sample_weight : array-like of shape (n,) or None
    """
    resume = model.warm_start and hasattr(model, "theta_")
    if model.alpha == "evidence" and model.early_stopping:
        raise ValueError(
            "alpha='evidence' needs the minimum on all rows: it goes with early_stopping=False."
        )
    X_given, y_given = X, y
    X, Y, weight = _prepare(model, X, y, sample_weight, None, resume)
    context = begin_callbacks(model, X_given, y_given, max_subtasks=model.max_iter)
    rng = check_random_state(model.random_state)
    rows, held_out = split_rows(model, X, y, rng)
    merged = curvature.merge_rows(X[rows], Y[rows], weight[rows])
    objective = with_mask(model, make_objective(model, *merged))
    validation = None
    if held_out is not None:
        held_out = X[held_out], Y[held_out], weight[held_out]
        validation = make_objective(model, *held_out, model.network_.without_penalty())
    watch = Watch(model, objective, validation, context, X_given, y_given)
    if model.alpha == "evidence":
        result = _EvidenceSearch(model, watch, rng, model.theta_ if resume else None).run()
    else:  # a copy goes on: what stops the training halfway leaves the model as it was
        result = train(model, objective, watch, rng, *_earlier(model, resume))
    for name in ("stream_", "_posterior"):
        model.__dict__.pop(name, None)
    _publish(model, result, watch)
    _keep_rows(model, merged)
    if context is not None:
        context.call_on_fit_task_end(estimator=model, X=X_given, y=y_given)


def learn_rows(model, X, y, classes, sample_weight):
    """Go once over some rows.

    Parameters
    ----------
    model : SecondOrderMLP
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,) or (n, k)
    classes : array-like of shape (n_classes,) or None
    sample_weight : array-like of shape (n,) or None
    """
    known = hasattr(model, "theta_")
    if model.alpha == "evidence":
        raise ValueError("alpha='evidence' needs all rows at once: partial_fit takes a number.")
    if known and classes is not None and not np.array_equal(np.unique(classes), model.classes_):
        raise ValueError(f"classes={classes!r} are not those of the first call, {model.classes_}.")
    X, Y, weight = _prepare(model, X, y, sample_weight, classes, known)
    objective = with_mask(model, make_objective(model, X, Y, weight))
    rng = check_random_state(model.random_state)
    stream = copy.deepcopy(getattr(model, "stream_", None))
    if stream is None:
        start = model.theta_ if known else model.network_.initial_parameters(rng)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        stream = optimize.Stream(objective.restrict(start), seed)
    values = stream.learn(objective, batch_size(model))
    model.stream_ = stream
    model.__dict__.update(model.attributes_at(objective.expand(stream.x)))
    model.loss_ = values / objective.total_weight
    model.loss_curve_ = [*getattr(model, "loss_curve_", []), model.loss_]
    model.n_iter_, model.reason_ = stream.n_passes, "one pass over the rows"
    for name in ("run_", "converged_", "_posterior", "_rows"):  # of an earlier fit
        model.__dict__.pop(name, None)


def prune_copy(model, mask, theta=None):
    """A fitted copy with fewer parameters.

    Parameters
    ----------
    model : SecondOrderMLP
    mask : array-like of bool of shape (n_parameters,)
    theta : ndarray of shape (n_parameters,), optional

    Returns
    -------
    SecondOrderMLP
    """
    size = len(model.theta_)
    mask = curvature.check_mask(mask, size).copy()
    pruned = copy.deepcopy(model)
    pruned.mask = mask
    theta = np.where(mask, model.theta_ if theta is None else theta, 0.0)
    pruned.__dict__.update(pruned.attributes_at(theta))
    for name in ("run_", "stream_", "_posterior"):
        pruned.__dict__.pop(name, None)
    pruned.reason_ = f"pruned to {mask.sum()} of {size} parameters"
    if hasattr(pruned, "_rows"):
        objective = make_objective(pruned, *pruned._rows)
        pruned.loss_ = objective.evaluate(theta).value / objective.total_weight
    return pruned


def _prepare(model, X, y, sample_weight, classes, known):
    """Check the data and, unless ``known``, choose encoding, scaling and network."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None.")
    X, y = model._check_inputs(X, reset=not known), as_targets(y)
    if not known:
        for name in ("stream_", "classes_", "loss_curve_", "validation_loss_curve_"):
            model.__dict__.pop(name, None)
        model._responses = make_responses(model.loss, y, classes)
    Y, weight = model._responses.encode(y), row_weights(model, y, sample_weight, X)
    check_rows(X, Y, weight)
    if known:
        continue_network(model, Y)
    else:
        choose_network(model, X, Y, weight)
    return X, Y, weight


def _earlier(model, resume):
    """The run to go on with and the parameters to begin from, of an earlier fit."""
    if not resume:
        return ()
    run = copy.deepcopy(getattr(model, "run_", None))
    searched = len(model.theta_) if model.mask is None else np.sum(model.mask)
    if run is not None and len(run.x) != searched:  # the mask is another one now
        run = None
    return run, model.theta_


class _EvidenceSearch:
    """Search for the penalty under which the data are most probable.

    First by factors of the root of ten, each trained from the same start; then by MacKay's rule,
    as long as that raises the evidence.
    """

    def __init__(self, model, watch, rng, start):
        self.model, self.watch, self.start = model, watch, start
        self.rng_state = copy.deepcopy(rng)
        self.tried, self.n_iter = {}, 0

    def run(self):
        """The result for the best penalty; the watch then holds its objective."""
        best = self._climb(self.model.network_.alpha)
        for _ in range(_ROUNDS):
            result, objective, evidence = self.tried[best]
            wanted = curvature.evidence_alpha(objective.evaluate(result.x))
            wanted = float(np.clip(wanted, _LEAST, _MOST))
            if abs(np.log(wanted / best)) < _SETTLED or self._try(wanted, result.x) <= evidence:
                break
            best = wanted
        result, self.watch.objective, _ = self.tried[best]
        self.model.network_ = self.watch.objective.network
        return replace(result, n_iter=self.n_iter)

    def _climb(self, alpha):
        best, evidence = alpha, self._try(alpha)
        for factor in (np.sqrt(10.0), np.sqrt(0.1)):
            while _LEAST < best * factor < _MOST and self._try(best * factor) > evidence:
                best *= factor
                evidence = self.tried[best][2]
            if best != alpha:
                break
        return best

    def _try(self, alpha, x=None):
        """Train with a penalty, from the first start or from x; return the log evidence."""
        model, watch = self.model, self.watch
        model.network_ = replace(model.network_, alpha=alpha)
        objective = watch.objective = watch.objective.with_network(model.network_)
        start = self.start if x is None else objective.expand(x)
        result = train(model, objective, watch, copy.deepcopy(self.rng_state), None, start)
        self.n_iter += result.n_iter
        evidence = -np.inf  # away from a minimum there is none
        if result.converged or not self.tried:
            state = objective.evaluate(result.x)
            evidence = curvature.laplace_posterior(state).log_evidence
        self.tried[alpha] = result, objective, evidence
        return evidence


def _publish(model, result, watch):
    x, value = result.x, result.value
    if watch.best[1] is not None:
        x = watch.best[1]
        value = watch.objective.evaluate(x).value
    model.__dict__.update(model.attributes_at(watch.objective.expand(x)))
    model.run_, model.n_iter_ = result.run, result.n_iter
    model.run_.release()
    total = watch.objective.total_weight
    model.loss_curve_ = [value / total for value in result.run.curve]
    model.loss_ = value / total
    if watch.validation is not None:
        model.validation_loss_curve_ = watch.validation_curve
    stopped = watch.validation is not None and result.reason == "callback"
    model.converged_ = result.converged or stopped
    model.reason_ = "early stopping" if stopped else result.reason
    if model.reason_.startswith("max_iter"):  # the starts have had their part of them
        model.reason_ = f"max_iter={model.max_iter} iterations"


def _keep_rows(model, rows):
    """Keep the rows of a fit for the posterior, unless they are many."""
    model.__dict__.pop("_rows", None)
    if sum(part.size for part in rows) <= _KEPT:
        model._rows = rows
