"""
A power grid, bus by bus
========================

Forty buses estimate their own angle and frequency, with their own meters and with those of their
neighbours. What the neighbours are worth, where the grid is badly seen, and how the estimates
follow the grid. The text to it is in :doc:`/howto/power_grid_filter`.
"""

# %%
# All buses measure their frequency, twelve a phasor with the angle. States are brought to the
# units of the meters' noise, so that the trace counts angles and frequencies alike.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from scipy.sparse import diags_array

from lmmfit import SparseGainEstimator
from lmmfit.datasets import make_power_grid
from lmmfit.gains import centralized_gain

N = 40
kind = {"phasor_share": 0.3, "random_state": 0}
grid, true = make_power_grid(N, drop=1e-3, **kind), make_power_grid(N, drop=0.0, **kind)
unit = np.tile([5e-3, 2.0 * np.pi * 0.01], N)  # rad, rad/s
T = diags_array(1.0 / unit)
system = T @ grid.A @ diags_array(unit), grid.C @ diags_array(unit), T @ grid.Q @ T, grid.R
filters = [
    SparseGainEstimator(
        *system, grid.graph, hops=hops, state_nodes=grid.state_nodes,
        output_nodes=grid.output_nodes,
    ).fit()
    for hops in (0, 1, 2)
]  # fmt: skip
for hops, model in enumerate(filters):
    print(f"{hops} hops: {model.pattern_.sum()} entries, gap {model.gap_:.3f}")

# %%
# Where the grid is badly seen
# ----------------------------
# The standard deviation of each bus's angle, from the exact covariance of the errors. Squares
# measure phasors. The others know their angle from their frequency and their neighbours, and the
# far ends of the grid know least.

deviations = [1e3 * (unit * np.sqrt(np.diag(model.covariance_)))[::2] for model in filters]
lines = grid.positions[np.stack(grid.graph.nonzero(), axis=1)]
measured = np.isin(np.arange(N), grid.phasors)
fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.3), layout="constrained", sharey=True)
for ax, hops in zip(axes, (0, 1), strict=True):
    ax.add_collection(LineCollection(lines, colors="0.8", linewidths=1.0, zorder=0))
    for marker, chosen in (("s", measured), ("o", ~measured)):
        drawn = ax.scatter(
            *grid.positions[chosen].T, c=deviations[hops][chosen], marker=marker, s=90, vmin=0.0,
            vmax=13.0, cmap="viridis_r", edgecolors="0.3", linewidths=0.7,
        )  # fmt: skip
    worst = int(deviations[hops].argmax())
    ax.annotate(
        f"bus {worst}: {deviations[hops][worst]:.1f}", grid.positions[worst], (9, -3),
        textcoords="offset points", fontsize=9,
    )  # fmt: skip
    ax.set_title(f"meters within {hops} line{'s' * (hops != 1)}: gap {filters[hops].gap_:.3f}")
    ax.set(aspect="equal")
    ax.set_axis_off()
fig.colorbar(drawn, ax=axes, label="standard deviation of the angle, mrad", shrink=0.85)

# %%
# Estimate against truth
# ----------------------
# Six seconds of the grid with all its elements, while loads go up and down at random; the filter's
# model is the thinned one. Bus 5 is the worst of all, the second one measures its phasor, and the
# third has a neighbour that does. Bands should hold 95 %. Of the frequencies the last two seconds
# are drawn.

rng = np.random.default_rng(0)
root = np.linalg.cholesky(true.Q.toarray())
x = np.zeros((300, 2 * N))
for t in range(1, len(x)):
    x[t] = true.A @ x[t - 1] + root @ rng.standard_normal(2 * N)
Y = (true.C @ x.T).T + rng.standard_normal((300, len(grid.output_nodes))) * np.sqrt(
    true.R.diagonal()
)
model, blue = filters[1], "#1f6fb4"
found = model.simulate_network(Y).states * unit
std = unit * np.sqrt(np.diag(model.covariance_))
time = 0.02 * np.arange(len(x))
near = next(i for i in np.flatnonzero(~measured) if measured[grid.graph[[i]].nonzero()[1]].any())
buses = (worst, int(grid.phasors[0]), int(near))
fig, axes = plt.subplots(3, 3, figsize=(9.0, 7.0), layout="constrained", sharey="row")
for column, bus in zip(axes.T, buses, strict=True):
    for ax, state, scale in zip(
        column[::2], (2 * bus, 2 * bus + 1), (1e3, 1e3 / (2.0 * np.pi)), strict=True
    ):
        mean, half = scale * found[:, state], 1.96 * scale * std[state]
        meter = np.flatnonzero(grid.C[:, [state]].toarray().ravel())
        if len(meter):
            ax.plot(time, scale * Y[:, meter[0]], ".", color="0.6", markersize=3, label="meter")
        ax.fill_between(
            time, mean - half, mean + half, color=blue, alpha=0.25, linewidth=0, label="95 %"
        )
        ax.plot(time, mean, color=blue, linewidth=1.2, label="estimate")
        ax.plot(time, scale * x[:, state], color="0.1", linewidth=0.9, label="true")
    band = 1.96e3 * std[2 * bus]
    column[1].axhspan(-band, band, color=blue, alpha=0.25, linewidth=0)
    column[1].plot(time, 1e3 * (found - x)[:, 2 * bus], color=blue, linewidth=1.2)
    for ax, first in zip(column, (0.0, 0.0, 4.0), strict=True):
        ax.set_xlim(first, time[-1])
        ax.spines[["top", "right"]].set_visible(False)
    column[0].set_title(
        f"bus {bus}" + ", with a phasor" * int(measured[bus]), fontsize=10, loc="left"
    )
    column[2].set_xlabel("time, s")
for ax, name in zip(axes[:, 0], ("angle, mrad", "its error, mrad", "frequency, mHz"), strict=True):
    ax.set_ylabel(name)
fig.legend(
    *axes[2, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
)
inside = np.mean(np.abs(found - x) < 1.96 * std)
print(f"{100 * inside:.1f} % of all true states are in their bands")

# %%
# How far is far enough
# ---------------------
# Variances relative to those of the Kalman filter, which has all 52 meters in one place, bus by
# bus. With one hop all buses but one are
# within a tenth.

best = centralized_gain(model.solution_.problem)[1]
fig, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")


def of_buses(P):
    """Variance of a bus: of its angle and of its frequency, in units of the meters."""
    return np.diag(P).reshape(N, 2).sum(axis=1)


for hops, (one, colour) in enumerate(zip(filters, ("0.6", blue, "#d9730d"), strict=True)):
    ratio = of_buses(one.covariance_) / of_buses(best)
    ax.plot(np.arange(1, N + 1), np.sort(ratio), "o-", color=colour, markersize=4,
            label=f"{hops} hop{'s' * (hops != 1)}")  # fmt: skip
ax.axhline(1.0, color="0.3", linewidth=0.8)
ax.set(xlabel="buses, sorted", ylabel="variance over the Kalman filter's", xlim=(1, N))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
