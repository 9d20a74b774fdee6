"""
Optimisers of networks on two kinds of problem
==============================================

No optimiser is the best on all networks. Two problems show why: a classifier with a penalty, whose
errors stay, and a smooth function without noise, whose errors go to zero.
"""

# %%
# Each optimiser starts from the same parameters. A callback keeps the time, the value and the
# largest element of the gradient after each iteration.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from lmmfit.curvature import FeedForwardNetwork, Scaling
from lmmfit.optimize import LBFGS, SCG, GaussNewton, LevenbergMarquardt, NewtonCG, minimize

COLOURS = {
    "NewtonCG": "#1f6fb4",
    "LBFGS": "#d9730d",
    "SCG": "#6b9e3f",
    "GaussNewton": "#8d6bb1",
    "LevenbergMarquardt": "#b23a48",
}


def trace(objective, optimizer, seconds, seed=0):
    """Seconds, value and gradient after each iteration; the latter two of the mean."""
    rows = []

    def watch(run):
        rows.append((run.seconds, run.value, abs(run.gradient).max()))

    start = objective.network.initial_parameters(np.random.default_rng(seed))
    minimize(objective, start, optimizer, max_iter=2)  # loads the compiled kernels
    limits = {"tol": 1e-8, "max_iter": 10**6, "max_time": seconds}
    minimize(objective, start, optimizer, callback=watch, **limits)
    return np.array(rows).T / [[1], [objective.total_weight], [objective.total_weight]]


# %%
# A classifier
# ------------
# A 64-16-10 network for 600 of the digits. L-BFGS and SCG are the first to come near a minimum, on
# the left. From there on each step of Newton's method gains digits, on the right. Gauss-Newton
# steps leave out a part of the curvature which does not vanish here, and end in a crawl. The
# minima that are reached differ a little.

X, y = load_digits(return_X_y=True)
X, y = X[:600], y[:600]
Y = np.eye(10)[y]
scaling = Scaling.of(X, Y, np.ones(len(X)), targets=False)
network = FeedForwardNetwork([64, 16, 10], "tanh", loss="log_loss", alpha=1.0)
digits = network.objective(scaling.inputs(X), Y)
traces = {
    type(optimizer).__name__: trace(digits, optimizer, 1.0)
    for optimizer in (NewtonCG(), LBFGS(), SCG(), GaussNewton())
}

fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
for name, (seconds, values, gradients) in traces.items():
    axes[0].plot(seconds, values, color=COLOURS[name], label=name)
    axes[1].semilogy(seconds, gradients, color=COLOURS[name], linewidth=1.0)
lowest = min(values.min() for _, values, _ in traces.values())
axes[0].set_ylim(0.98 * lowest, 1.6 * lowest)
axes[0].set_xlim(-0.01, 0.3)
axes[0].set_ylabel("mean loss and penalty")
axes[1].set_ylabel("largest element of its gradient")
for ax in axes:
    ax.set_xlabel("seconds")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False)

# %%
# A function without noise
# ------------------------
# Franke's function at 400 random points, a 2-15-15-1 network, no penalty. The Hessian is so
# ill-conditioned that methods of gradients and products get nowhere near zero.
# Levenberg-Marquardt factors its matrix, and goes on.

X = np.random.default_rng(0).uniform(size=(400, 2))
x, z = 9 * X.T
franke = 0.75 * np.exp(-((x - 2) ** 2 + (z - 2) ** 2) / 4)
franke += 0.75 * np.exp(-((x + 1) ** 2) / 49 - (z + 1) / 10)
franke += 0.5 * np.exp(-((x - 7) ** 2 + (z - 3) ** 2) / 4)
franke -= 0.2 * np.exp(-((x - 4) ** 2) - (z - 7) ** 2)
Y = franke[:, None]
scaling = Scaling.of(X, Y, np.ones(len(X)), targets=True)
network = FeedForwardNetwork([2, 15, 15, 1], "tanh")
surface = network.objective(scaling.inputs(X), scaling.targets(Y))

fig, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
for optimizer in (NewtonCG(), LBFGS(), SCG(), GaussNewton(), LevenbergMarquardt()):
    name = type(optimizer).__name__
    seconds, values, _ = trace(surface, optimizer, 0.7)
    ax.semilogy(seconds, values, color=COLOURS[name], label=name)
ax.set_xlabel("seconds")
ax.set_ylabel("half the mean squared error")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, ncols=2)
plt.show()
