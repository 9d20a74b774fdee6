"""
A filter in eight tanks
=======================

Eight tanks, each with a noisy sensor and a small computer, estimate their levels. Nobody sees all
sensors: a tank uses its own, and an upper tank tells the lower one what it found. The steps are in
:doc:`/howto/distributed_filter`.
"""

# %%
# The tanks run by Torricelli's law, which is not linear, while four pumps are switched up and
# down. The filter knows the pumps, and the equations as they are linear about the levels at 3 V.
# The sensor of the sixth tank is silent for two hundred seconds.

import matplotlib.pyplot as plt
import numpy as np

from lmmfit import SparseGainEstimator
from lmmfit.datasets import make_tank_network
from lmmfit.gains import simulate_tanks

N, ROWS, SILENT = 8, 400, slice(150, 250)
tanks = make_tank_network(N, inputs=3.0, dt=2.0)
periods = np.array([97, 131, 173, 211])
pumps = 3.0 + 0.4 * np.sign(np.sin(2 * np.pi * np.arange(ROWS)[:, None] / periods))
truth = simulate_tanks(tanks.network, ROWS, pumps, seed=0)
Y, U = truth.outputs - tanks.C @ tanks.levels, pumps - tanks.inputs
Y[SILENT, 5] = np.nan

model = SparseGainEstimator(tanks.A, tanks.C, tanks.Q, tanks.R, "diag", B=tanks.B).fit()
run = model.simulate_network(Y, U)
print(f"trace {model.trace_:.4f}, {model.gap_:.4f} times that of the Kalman filter; "
      f"{run.messages[-1].sum()} numbers sent in a row")  # fmt: skip

# %%
# The network
# -----------
# A pump feeds a lower tank and the upper tank of the next pair, the last one that of the first
# pair; water is grey. Messages are blue: numbers sent every two seconds. On the left each tank
# uses its own sensor, and the upper tanks tell the lower ones their level, which moves them. On
# the right the gain may use both sensors of a pair, and is as good as that of the Kalman filter.

pairs = SparseGainEstimator(
    tanks.A, tanks.C, tanks.Q, tanks.R, tanks.graph, hops=1, B=tanks.B
).fit()
half, blue = N // 2, "#1f6fb4"
place = np.array([(2.0 * (i % half), 2.0 * (i // half)) for i in range(N)])


def draw_water(ax):
    """Tanks, pumps, and what flows."""
    for k in range(-1, half):
        middle = np.array([2.0 * k + 1.0, 1.0])
        fed = [k] * (k >= 0) + [half + k + 1] * (k < half - 1)
        for tank in fed:
            ax.plot(*np.transpose([middle, place[tank]]), color="0.85", linewidth=2.0, zorder=0)
        ax.plot(*middle, "o", markersize=15, color="0.93", markeredgecolor="0.6")
        ax.annotate(f"u{k % half + 1}", middle, ha="center", va="center", fontsize=8)
    for i in range(N):
        ax.plot(*place[i], "s", markersize=25, color="white", markeredgecolor="0.3")
        ax.annotate(f"{i + 1}", place[i], ha="center", va="center")


fig, axes = plt.subplots(1, 2, figsize=(9.0, 2.5), layout="constrained")
for ax, one in zip(axes, (model, pairs), strict=True):
    draw_water(ax)
    sent = one.simulate_network(Y[:1], U[:1])
    for (a, b), count in zip(sent.links, sent.messages[0], strict=True):
        aside = np.array([0.08 if a < b else -0.08, 0.0]) * (one is pairs)
        arrow = {"arrowstyle": "-|>", "color": blue, "shrinkA": 14, "shrinkB": 14}
        ax.annotate("", place[b] + aside, place[a] + aside, arrowprops=arrow)
        ax.annotate(
            count, (place[a] + place[b]) / 2 + 3.4 * aside, color=blue, fontsize=9, va="center",
            ha="center", bbox={"boxstyle": "square,pad=0.15", "color": "white"},
        )  # fmt: skip
    ax.set(xlim=(-1.5, 7.5), ylim=(-0.6, 2.6), aspect="equal")
    ax.set_title(
        f"{np.count_nonzero(one.pattern_)} entries, trace {one.trace_:.4f}, gap {one.gap_:.4f}",
        fontsize=10,
    )
    ax.set_axis_off()

# %%
# Levels
# ------
# Each panel is a tank: the true level, what its sensor says, the estimate of the node, and the
# band that should hold 95 % of the true levels. While the sixth tank's sensor is silent, the pump
# and the model hold its level, with larger errors than the band says: it is that of rows that are
# complete.

time, std = truth.times, np.sqrt(np.diag(model.covariance_))
found = run.states + tanks.levels
seen = Y + tanks.levels
inside = np.mean(np.abs(found - truth.levels) < 1.96 * std, axis=0)
fig, axes = plt.subplots(half, 2, figsize=(9.0, 8.6), layout="constrained", sharex=True)
for i, ax in enumerate(axes.T.ravel()):
    if i == 5:
        ax.axvspan(*time[[SILENT.start, SILENT.stop]], color="0.93", linewidth=0, label="silent")
    ax.plot(time, seen[:, i], ".", color="0.65", markersize=2.5, label="sensor")
    ax.fill_between(
        time, found[:, i] - 1.96 * std[i], found[:, i] + 1.96 * std[i], color=blue, alpha=0.25,
        linewidth=0, label="95 %",
    )  # fmt: skip
    ax.plot(time, found[:, i], color=blue, linewidth=1.2, label="estimate")
    ax.plot(time, truth.levels[:, i], color="0.1", linewidth=0.9, label="true level")
    ax.set_title(f"tank {i + 1}: {100 * inside[i]:.0f} % in the band", fontsize=10, loc="left")
    ax.set_xlim(time[0], time[-1])
    ax.spines[["top", "right"]].set_visible(False)
for ax in axes[:, 0]:
    ax.set_ylabel("level, cm")
for ax in axes[-1]:
    ax.set_xlabel("time, s")
fig.legend(
    *axes[1, 1].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False
)
plt.show()
