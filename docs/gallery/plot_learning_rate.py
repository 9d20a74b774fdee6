"""
The learning rate and the largest eigenvalue
============================================

Gradient descent along an eigenvector of the Hessian converges if its rate is below two over the
eigenvalue, and at once at one over it. LeCun, Simard and Pearlmutter (1993) estimate the largest
eigenvalue while the data pass by, and take one over it as the rate. Their figures, made again.
"""

# %%
# A 64-16-10 network of tanh units for 600 of the digits, with targets of -1 and 1 and half the
# squared error; pixels are not centred, which makes one eigenvalue large. Rates are for the mean
# loss.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from lmmfit.curvature import FeedForwardNetwork, HessianOperator
from lmmfit.optimize import EigenvalueRate

X, y = load_digits(return_X_y=True)
X, Y = X[:600] / 16, 2 * np.eye(10)[y[:600]] - 1
n = len(X)
network = FeedForwardNetwork([64, 16, 10], "tanh")
objective = network.objective(X, Y)
start = network.initial_parameters(np.random.default_rng(0))


def largest(objective, theta):
    """Largest eigenvalue of the mean loss."""
    return HessianOperator(objective.evaluate(theta)).eigsh(1, "LM").values[0] / n


# %%
# The estimate
# ------------
# Each presentation is one row of the data and one product with its own Hessian. The running mean
# of such products turns towards the eigenvector, and its length goes to the eigenvalue. Where the
# second one is near, some runs follow that for a while; fifty rows are enough for a learning rate.
# Seven runs, with different rows.

singles = [objective.share(np.array([i]))[0] for i in range(n)]
second, eigenvalue = HessianOperator(objective.evaluate(start)).eigsh(2).values / n
fig, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
presentations = np.arange(1, 2001)
for seed in range(7):
    rng = np.random.default_rng(seed)
    tracker, estimates = EigenvalueRate(len(start), rng), []
    for i in rng.integers(n, size=len(presentations)):
        tracker.update(singles[i].evaluate(start).hessian_vector_product)
        estimates.append(tracker.eigenvalue)
    ax.semilogx(presentations, estimates, color="#1f6fb4", linewidth=1.0, alpha=0.7)
for value, name in ((eigenvalue, "largest"), (second, "second")):
    ax.axhline(value, color="#d9730d", linestyle="--" if name == "largest" else ":")
    ax.annotate(
        f"{name} eigenvalue, {value:.1f}", (1, value), (2, 4), textcoords="offset points",
        color="#d9730d",
    )  # fmt: skip
ax.set(xlabel="presentations", ylabel="estimate", xlim=(1, 2000), ylim=(0, 1.2 * eigenvalue))
ax.spines[["top", "right"]].set_visible(False)

# %%
# The rate, row by row
# --------------------
# Stochastic descent takes a step for each row. Its loss after some passes over the data, against
# the rate as a multiple of what the eigenvalue predicts: the best rate is the predicted one, and
# four times as much learns next to nothing.

factors = np.array([0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0])
losses = []
for factor in factors:
    theta, rng, curve = start.copy(), np.random.default_rng(1), []
    for _ in range(5):
        for i in rng.permutation(n):
            theta -= factor / eigenvalue * singles[i].evaluate(theta).gradient
        curve.append(objective.evaluate(theta).value / n)
    losses.append(curve)
losses = np.array(losses)


def draw(ax, factors, losses, passes, ticks):
    """One curve for each number of passes over the data."""
    shades = plt.get_cmap("Blues")(np.linspace(0.4, 0.95, len(passes)))
    for count, shade in zip(passes, shades, strict=True):
        label = f"{count} pass{'es' * (count > 1)}"
        ax.plot(factors, losses[:, count - 1], "o-", markersize=4, color=shade, label=label)
    ax.axvline(1.0, color="0.6", linestyle=":")
    ax.set(xscale="log", xlabel="rate times largest eigenvalue", ylabel="mean training loss")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)


fig, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
draw(ax, factors, losses, (1, 2, 4, 5), (0.1, 0.2, 0.5, 1, 2, 4))

# %%
# The rate with all rows
# ----------------------
# With the gradient of all rows there is no noise, and the theory is exact where the loss is
# quadratic: without a hidden layer, on the left, no rate above two converges. The network on the
# right does not keep to it. Its curvature falls where steps are too long, and they find a flatter
# place; beyond two the first passes climb, and later ones are none the worse. So one over the
# eigenvalue is safe, and up to four times as much can be faster.

fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
factors = np.array([0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 1.7, 1.95, 2.1, 2.5, 3.0, 4.0])
linear = FeedForwardNetwork([64, 10]).objective(X, Y)
for ax, whole, theta_0, title in (
    (axes[0], linear, np.zeros(650), "no hidden layer"),
    (axes[1], objective, start, "16 hidden units"),
):
    top, losses = largest(whole, theta_0), []
    for factor in factors:
        theta, curve = theta_0.copy(), []
        for _ in range(30):
            theta = theta - factor / top * whole.evaluate(theta).gradient / n
            curve.append(min(whole.evaluate(theta).value / n, 1e3))
        losses.append(curve)
    draw(ax, factors, np.array(losses), (3, 10, 30), (0.1, 0.2, 0.5, 1, 2, 4))
    ax.axvline(2.0, color="0.6", linestyle="--", linewidth=1.0)
    ax.set(yscale="log", ylim=(0.7, 20), title=title)
    ax.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    ax.minorticks_off()
plt.show()
