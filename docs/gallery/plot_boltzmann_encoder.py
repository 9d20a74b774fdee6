"""
The encoder problem of a Boltzmann machine
==========================================

Four visible units on each of two sides; one of them is on, the same on both. Between them two
hidden units must carry the message, as a code of two bits. Ackley, Hinton and Sejnowski (1985)
learnt this by sampling. With exact gradients and Hessian products it takes a tenth of a second.
"""

# %%
# The 4-2-4 encoder has four patterns of the same probability. A unit that is always on gives the
# biases. All states of the visible units keep some probability as long as the weights are finite,
# so a share of noise is mixed into the environment: without it, the best weights are infinite.

from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from lmmfit.curvature import BoltzmannMachine, MaskedObjective
from lmmfit.optimize import SCG, ExactLineSearch, NewtonCG, Recombined, SteepestDescent, minimize

machine = BoltzmannMachine(n_visible=8, n_hidden=2, bias_unit=True)
patterns = np.hstack([np.eye(4), np.eye(4)])
P_env = 0.99 * machine.environment(patterns) + 0.01 / 2**8

# %%
# No weight joins the two sides directly. Those that would are held at zero: the objective is a
# function of the others.

i, j = machine.pairs.T
exists = ~((i < 4) & (j >= 4) & (j < 8))
encoder = MaskedObjective(machine.objective(P_env), exists)

# %%
# Three optimisers, each from the same six starts. A gradient and a product are about the same
# work, so the sum of both is the price. There are two kinds of minima: four codes (divergence
# 0.06), or three codes, with two patterns in one of them (0.39). Which one is found depends on the
# start and on the path; here Newton's method ends in the second kind more often. Dots are minima,
# where the gradient is zero to eight digits: Newton's method needs a fraction of the price of SCG
# to get there, and gradient descent does not.

OPTIMISERS = {
    "gradient descent": (Recombined(SteepestDescent(), ExactLineSearch()), "#8d6bb1"),
    "SCG": (SCG(), "#6b9e3f"),
    "Newton-CG": (NewtonCG(), "#1f6fb4"),
}
STARTS = [machine.initial_weights(np.random.default_rng(seed))[exists] for seed in range(6)]


def watch(rows, run):
    """Keep the price so far and the divergence."""
    rows.append((run.n_gradients + run.n_products, run.value))
    return run.n_gradients + run.n_products >= 3000


fig, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
results = []
for name, (optimiser, colour) in OPTIMISERS.items():
    for start in STARTS:
        rows, label = [], None if start is not STARTS[0] else name
        result = minimize(
            encoder, start, optimiser, tol=1e-8, max_iter=10**4, callback=partial(watch, rows)
        )
        results.append(result)
        price, divergence = np.array(rows).T
        ax.loglog(price, divergence, color=colour, linewidth=1.2, label=label)
        if result.converged:
            ax.plot(price[-1], divergence[-1], "o", color=colour, markersize=5, zorder=3)
ax.set_xlabel("gradients and products")
ax.set_ylabel("divergence from the environment")
ax.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2], ["0.05", "0.1", "0.2", "0.5", "1", "2"])
ax.minorticks_off()
ax.set_xlim(3, 4000)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower left")

# %%
# What was learnt
# ---------------
# On the left the weights of the hidden units at the best minimum. The area is the size of a
# weight. Blue pairs favour being on together (in this convention their weight is negative), orange
# ones exclude each other. A visible unit and its twin on the other side have weights of the same
# sign. On the right the probability of each hidden unit to be on while a pattern is clamped: each
# has its own code.

best = min(results, key=lambda result: result.value)
w, hidden = encoder.expand(best.x), np.array([8, 9])
W = np.zeros((machine.n_units, machine.n_units))
W[i, j] = W[j, i] = w
codes = np.array([
    machine.evaluate(w, machine.environment([pattern])).p_plus[(i >= 8) & (j == 10)]
    for pattern in patterns
])  # fmt: skip


def squares(ax, table, largest):
    """Draw a square for each number, its area as the number's size."""
    for (row, column), number in np.ndenumerate(table):
        side = 0.9 * np.sqrt(abs(number) / largest)
        colour = "#1f6fb4" if number < 0 else "#d9730d"
        corner = column - side / 2, row - side / 2
        ax.add_patch(plt.Rectangle(corner, side, side, color=colour, linewidth=0))
    ax.set_xlim(-0.5, table.shape[1] - 0.5)
    ax.set_ylim(table.shape[0] - 0.5, -0.5)
    ax.set_aspect("equal")
    ax.set_facecolor("#f0f0f0")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


fig, (left, right) = plt.subplots(
    1, 2, figsize=(8.5, 2.4), layout="constrained", width_ratios=[9, 4]
)
squares(left, W[hidden][:, [*range(8), 10]], np.abs(W[hidden]).max())
for x in (3.5, 7.5):
    left.axvline(x, color="white", linewidth=4)
left.set_xticks(range(9), ["1", "2", "3", "4", "1", "2", "3", "4", "bias"])
left.set_yticks(range(2), ["hidden A", "hidden B"])
left.set_xlabel("visible units, left and right side")
squares(right, -codes.T, 1.0)
right.set_xticks(range(4), ["1", "2", "3", "4"])
right.set_yticks(range(2), ["A", "B"])
right.set_xlabel("pattern")
left.set_title("weights", fontsize=11)
right.set_title("probability to be on", fontsize=11)
plt.show()
