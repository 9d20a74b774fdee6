"""The training of a network: starts, iterations, early stopping, callbacks."""

import numpy as np

from lmmfit import optimize

__all__ = ["Watch", "batch_size", "choose_optimizer", "train"]

_EXPLICIT = 1500  # parameters up to which the Gauss-Newton matrix is formed
_AFFORDED = 3e9  # multiplications for one such matrix
_SMALL = 1e-4  # penalty, relative to the weight of the rows, with which errors may vanish
_FINEST = 1e-4  # least share of ``tol`` that is asked for where errors vanish
_SCREENED = 25  # iterations of each start before half of them are given up
_LARGE = 100_000  # parameters from which gradients alone are used

NAMED = {
    "newton-cg": optimize.NewtonCG,
    "scg": optimize.SCG,
    "gauss-newton": optimize.GaussNewton,
    "lm": optimize.LevenbergMarquardt,
    "lbfgs": optimize.LBFGS,
}


def batch_size(model):
    """Rows of a batch.

    Parameters
    ----------
    model : SecondOrderMLP

    Returns
    -------
    int
    """
    return 200 if model.batch_size == "auto" else model.batch_size


def choose_optimizer(choice, objective, *, batch_size, seed):
    """The optimiser that a name stands for.

    Parameters
    ----------
    choice : str or Optimizer
    objective : NetworkObjective
    batch_size, seed : int
        For ``sgd``.

    Returns
    -------
    Optimizer
    """
    if isinstance(choice, optimize.Optimizer):
        return choice
    if choice == "sgd":
        return optimize.SGD(batch_size=batch_size, seed=seed)
    if choice != "auto":
        return NAMED[choice]()
    size = objective.n_parameters
    if size > _LARGE or "relu" in objective.network.hidden_activations:
        return optimize.LBFGS()
    affordable = size <= _EXPLICIT and objective.n_residuals * size**2 <= _AFFORDED
    if objective.network.loss == "squared_error" and affordable and _may_vanish(objective):
        return optimize.Switching()
    return optimize.NewtonCG()


def _may_vanish(objective):
    """Whether the penalty leaves room for errors near zero, where Gauss-Newton steps excel."""
    return objective.network.alpha <= _SMALL * objective.total_weight


def _tolerance(model, objective):
    """The gradient's bound in the sum's units; relative to the errors where those can vanish."""
    tol, total = model.tol * objective.total_weight, objective.total_weight
    if model.loss not in ("squared_error", "huber"):
        return tol
    return lambda run: tol * np.clip(np.sqrt(2.0 * run.value / total), _FINEST, 1.0)


class Watch:
    """What happens after each iteration, and what is remembered of it.

    Parameters
    ----------
    model : SecondOrderMLP
    objective : NetworkObjective
    validation : NetworkObjective or None
        Without a penalty.
    context : CallbackContext or None
    X, y : array-like
        As fit got them, for callbacks.

    Attributes
    ----------
    validation_curve : list of float
        Mean loss of the validation rows.
    best : (float, ndarray)
        Lowest validation loss, and the searched parameters that had it.
    """

    def __init__(self, model, objective, validation, context, X, y):
        self.model, self.objective, self.validation = model, objective, validation
        self.context, self.data = context, (X, y)
        self.validation_curve = []
        self.best, self.since = (np.inf, None), 0

    def __call__(self, run):
        """Whether to stop."""
        stop = False
        if self.validation is not None:
            theta = self.objective.expand(run.x)
            value = self.validation.evaluate(theta).value / self.validation.total_weight
            self.validation_curve.append(value)
            self.since += 1
            if value < self.best[0]:
                self.best, self.since = (value, run.x), 0
            stop = self.since >= self.model.n_iter_no_change
        if self.model.verbose and run.n_iter % int(self.model.verbose) == 0:
            total = self.objective.total_weight
            told = f", validation {self.validation_curve[-1]:.6g}" if self.validation else ""
            print(
                f"iteration {run.n_iter}: loss {run.value / total:.8g}{told}, largest gradient "
                f"{np.max(np.abs(run.gradient)) / total:.2e}"
            )
        return self._tell(run) or stop

    def _tell(self, run):
        """Tell scikit-learn's callbacks; they may stop the fit."""
        if self.context is None:
            return False
        task, (X, y) = self.context.subcontext(task_name="iteration"), self.data
        task.call_on_fit_task_begin(estimator=self.model, X=X, y=y)
        return task.call_on_fit_task_end(
            estimator=self.model, X=X, y=y,
            reconstruction_attributes=lambda: self.model.attributes_at(
                self.objective.expand(run.x)
            ),
        )  # fmt: skip


def train(model, objective, watch, rng, run=None, start=None):
    """Minimise the objective from new starts, or from where an earlier run stood.

    Parameters
    ----------
    model : SecondOrderMLP
    objective : NetworkObjective
    watch : Watch
    rng : numpy.random.RandomState
    run : Run, optional
        Of an earlier fit, to go on with.
    start : ndarray of shape (n_parameters,), optional
        Parameters to begin from, those that a mask leaves out included, in place of random ones.

    Returns
    -------
    OptimizeResult
    """
    limits = {"tol": _tolerance(model, objective), "max_time": model.max_time}
    if run is None:
        seed = int(rng.randint(np.iinfo(np.int32).max))
        optimizer = choose_optimizer(
            model.optimizer, objective, batch_size=batch_size(model), seed=seed
        )
        starts = [objective.network.initial_parameters(rng) for _ in range(model.n_init)]
        starts = [objective.restrict(x) for x in (starts if start is None else [start])]
        if len(starts) > 1:
            each = min(_SCREENED, max(1, model.max_iter // (2 * len(starts))))
            run = optimize.screen_starts(objective, starts, optimizer, n_iter=each, **limits)
            left = max(model.max_iter - run.n_iter, 1)
            return optimize.minimize(objective, run=run, max_iter=left, callback=watch, **limits)
        return optimize.minimize(
            objective, starts[0], optimizer, max_iter=model.max_iter, callback=watch, **limits
        )
    if model.max_time is not None:
        limits["max_time"] = run.seconds + model.max_time
    return optimize.minimize(objective, run=run, max_iter=model.max_iter, callback=watch, **limits)
