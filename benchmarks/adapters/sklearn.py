"""scikit-learn's multilayer perceptrons."""

import warnings
from functools import partial

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._network_runs import OutOfTime, best_of_ten, runs, searched
from benchmarks._networks import unpack

DISTRIBUTIONS = ("scikit-learn", "scipy", "numpy")
RATES = (0.001, 0.01)
"""Learning rates of Adam: the default, and ten times that."""


class _Watched:
    """A perceptron that shows each point at which L-BFGS has asked for the gradient."""

    def _loss_grad_lbfgs(self, packed_coef_inter, *rest):
        found = super()._loss_grad_lbfgs(packed_coef_inter, *rest)
        if self.trail is not None and self.trail.add(_theta(self)):
            raise OutOfTime
        return found


class _WatchedClassifier(_Watched, MLPClassifier):
    pass


class _WatchedRegressor(_Watched, MLPRegressor):
    pass


def _lbfgs(problem):
    """Fit from the start given; its own rule ends the run where decreases are small."""
    X, y = _data(problem)

    def descend(theta, trail):
        model = _begun(problem, theta, solver="lbfgs", alpha=problem.spec["network"]["alpha"])
        model.set_params(max_iter=10**9, max_fun=10**9, tol=0.0)
        model.trail = trail
        trail.begin()
        model.fit(X, y)

    return descend


def _adam(problem, rate):
    """Fit epoch by epoch; the penalty is divided by the size of a batch, not of the data."""
    X, y = _data(problem)
    batch = min(200, len(X))
    alpha = problem.spec["network"]["alpha"] * batch / len(X)

    def descend(theta, trail):
        model = _begun(
            problem, theta, solver="adam", alpha=alpha, learning_rate_init=rate, batch_size=batch
        )
        trail.begin()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one epoch is not the end
            model.fit(X, y)
        while not trail.add(_theta(model)):
            model.partial_fit(X, y)

    return descend


def xor(problem):
    """Fit the exclusive or from ten starts; keep the fit of least error."""

    def fit(X, y, seed):
        models = [
            MLPRegressor(
                hidden_layer_sizes=(2,),
                activation="tanh",
                solver="lbfgs",
                alpha=0.0,
                max_iter=1000,
                random_state=10 * seed + i,
            ).fit(X, y)
            for i in range(10)
        ]
        return min(models, key=lambda model: model.loss_).predict(X)

    return best_of_ten(problem, fit)


def _search(problem, solver):
    """Search behind a scaler; the targets of a regression are scaled too.

    The default of 200 iterations ends many fits early.
    """
    settings = {"activation": "tanh", "solver": solver, "max_iter": 1000, "random_state": 0}
    if problem.spec["classes"]:
        model = make_pipeline(StandardScaler(), MLPClassifier(**settings))
        return searched(problem, model, solver, "mlpclassifier__")
    model = make_pipeline(StandardScaler(), MLPRegressor(**settings))
    model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return searched(problem, model, solver, "regressor__mlpregressor__")


def _begun(problem, theta, **settings):
    """Return a perceptron that goes on from these parameters."""
    network, (X, y) = problem.spec["network"], _data(problem)
    sizes = network["layer_sizes"]
    kind = _WatchedClassifier if network["loss"] == "log_loss" else _WatchedRegressor
    activation = network["hidden_activations"]
    settings |= {"hidden_layer_sizes": sizes[1:-1], "activation": activation}
    model = kind(max_iter=1, warm_start=True, random_state=0, **settings)
    model.trail = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    layers = unpack(sizes, theta)
    model.coefs_ = [W.copy() for W, _ in layers]
    model.intercepts_ = [b.copy() for _, b in layers]
    return model


def _theta(model):
    """Return the parameters layer by layer."""
    layers = zip(model.coefs_, model.intercepts_, strict=True)
    return np.concatenate([np.ravel(part) for layer in layers for part in layer])


def _data(problem):
    """Return patterns and targets; classes as numbers, one output as a vector."""
    X, Y = problem.arrays["X"], problem.arrays["Y"]
    if problem.spec["network"]["loss"] == "log_loss":
        return X, Y.argmax(axis=1)
    return X, Y[:, 0] if Y.shape[1] == 1 else Y


VARIANTS = {
    "lbfgs": partial(runs, descent=_lbfgs, name="lbfgs"),
    **{
        f"adam_{rate}": partial(runs, descent=partial(_adam, rate=rate), name=f"adam, rate {rate}")
        for rate in RATES
    },
    "xor": xor,
    **{f"search_{solver}": partial(_search, solver=solver) for solver in ("lbfgs", "adam")},
}
