"""
Shrinkage: conditional modes against least squares
==================================================

A separate least-squares line for each group uses nothing but the group's own rows. A mixed
model weighs them against the spread between groups. Groups with few rows, or with rows that
say little about the slope, are pulled towards the population.
"""

# %%
# Simulate groups of 3 to 12 rows with a known truth.

import matplotlib.pyplot as plt
import numpy as np

from lmmfit import LinearMixedModel
from lmmfit.datasets import make_longitudinal

truth = make_longitudinal(
    n_groups=40,
    n_per_group=(3, 12),
    intercept=2.0,
    beta=[1.0],
    cov_re=[[1.0, 0.3], [0.3, 0.5]],
    sigma=1.5,
    as_frame=True,
    return_truth=True,
    random_state=3,
)
X, y = truth.data, truth.target
model = LinearMixedModel(random="(x0 | group)").fit(X, y)
model.summary()

# %%
# Coefficients of each group: its own least squares, the mixed model, and the truth.

population = np.array([model.intercept_, *model.coef_])
mixed = population + model.random_effects_["group"].values
true = np.array([truth.intercept, *truth.beta]) + truth.random_effects

least_squares = np.empty_like(mixed)
sizes = np.empty(len(mixed), dtype=int)
for g, rows in X.groupby("group").groups.items():
    x = X.loc[rows, "x0"].to_numpy()
    design = np.column_stack([np.ones(len(x)), x])
    least_squares[g] = np.linalg.lstsq(design, y[rows].to_numpy(), rcond=None)[0]
    sizes[g] = len(x)

# %%
# Each arrow leads from a group's least squares to its conditional mode. Dark arrows are groups
# of few rows: they move most. The arrows do not all point straight at the population, because
# intercept and slope are correlated: one says something about the other.

fig, ax = plt.subplots(figsize=(7.5, 5.0), layout="constrained")
few = sizes <= 5
for rows, colour, label in ((few, "#1f6fb4", "3 to 5 rows"), (~few, "#9dbcd9", "6 to 12 rows")):
    start, move = least_squares[rows], (mixed - least_squares)[rows]
    ax.quiver(
        *start.T, *move.T, angles="xy", scale_units="xy", scale=1, color=colour, width=0.004,
        label=label,
    )  # fmt: skip
    ax.plot(*start.T, "o", color=colour, markersize=4)
ax.plot(*population, "D", color="#d9730d", markersize=9, label="population")
ax.set_xlabel("intercept")
ax.set_ylabel("slope of x0")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)

# %%
# Is shrinking right? The truth is known here, so the errors can be compared.


def error(estimate, rows):
    """Root mean square error of intercepts and slopes."""
    return np.sqrt(np.mean((estimate[rows] - true[rows]) ** 2, axis=0))


fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), layout="constrained")
for j, (ax, name) in enumerate(zip(axes, ("intercept", "slope of x0"), strict=True)):
    for shift, estimate, colour, label in (
        (-0.2, least_squares, "0.6", "least squares"),
        (0.2, mixed, "#1f6fb4", "mixed model"),
    ):
        heights = [error(estimate, rows)[j] for rows in (few, ~few)]
        ax.bar(np.arange(2) + shift, heights, width=0.38, color=colour, label=label)
    ax.set_xticks([0, 1], ["3 to 5 rows", "6 to 12 rows"])
    ax.set_title(f"error of the {name}", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("root mean square error")
axes[0].legend(frameon=False)

plt.show()
