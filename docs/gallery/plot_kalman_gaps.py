"""
A Kalman filter in gaps
=======================

The yearly flow of the Nile at Aswan with two decades cut out, twice. What is known of the level in
a gap: by the filter, which has the years before it, and by the smoother, which has those after it
too.
"""

# %%
# The level moves by random steps of the variance Q, and a year's flow scatters about it with the
# variance R. Both come from the whole series, by the EM algorithm.

import matplotlib.pyplot as plt
import numpy as np

from lmmfit import RiccatiFilter
from lmmfit.datasets import load_nile
from lmmfit.riccati import filter_series, smooth_series, start_filter

nile = load_nile()
year, flow = nile.data[:, 0], nile.target
wide = {"initial_state": [0.0], "initial_cov": [[1e7]]}  # nothing is known before the first year
model = RiccatiFilter(em=("Q", "R"), n_iter_em=500, **wide).fit(flow[:, None])
print(f"Q {model.Q_[0, 0]:.0f}, R {model.R_[0, 0]:.0f}, gain {model.K_[0, 0]:.3f}, "
      f"log-likelihood {model.loglik_:.2f}")  # fmt: skip

gaps = flow.copy()
gaps[20:40] = gaps[60:80] = np.nan

# %%
# Levels and bands
# ----------------
# The estimator gives states; their covariances are those of the functions that it is made of. The
# filtered variance of a year follows from the state of the filter after it, which holds the one
# predicted for the next year.

system, start = model.filter_, start_filter(model.filter_, **wide)
levels, variances, state = [], [], start
for value in gaps:
    seen = filter_series(system, [[value]], start=state)
    state = seen.end
    levels.append(seen.states[0, 0])
    variances.append(state.cov[0, 0] - system.Q[0, 0])  # x[t+1] is x[t] and a step more
smooth = smooth_series(system, gaps, start=start, return_cov=True)
bands = {
    "filtered": (np.array(levels), np.sqrt(variances), "#1f6fb4"),
    "smoothed": (smooth.states[:, 0], np.sqrt(smooth.covariances[:, 0, 0]), "#d9730d"),
}

fig, axes = plt.subplots(2, 1, figsize=(7.5, 6.6), layout="constrained", sharex=True, sharey=True)
for ax, (name, (mean, std, colour)) in zip(axes, bands.items(), strict=True):
    for first, last in ((20, 40), (60, 80)):
        ax.axvspan(year[first] - 0.5, year[last] - 0.5, color="0.93", linewidth=0)
    ax.fill_between(
        year, mean - 1.96 * std, mean + 1.96 * std, color=colour, alpha=0.25, linewidth=0,
        label="95 %",
    )  # fmt: skip
    ax.plot(year, mean, color=colour, label=f"{name} level")
    ax.plot(year, gaps, "o", color="0.2", markersize=3, label="flow")
    hidden = np.where(np.isnan(gaps), flow, np.nan)
    ax.plot(year, hidden, "o", color="0.6", markersize=3, fillstyle="none", label="flow, cut out")
    ax.set(ylim=(350, 1600), xlim=(year[0] - 1, year[-1] + 1), ylabel=r"flow, $10^8$ m$^3$")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, ncols=4, fontsize=9, loc="upper center")
axes[-1].set_xlabel("year")

# %%
# In a gap the filter's level stays where it was, and its variance grows by Q a year. At its end
# the next flow gets a large gain, and within some years the variance is the steady one again. The
# smoother goes in a line from one side to the other, and is least sure in the middle.

fig, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
for first, last in ((20, 40), (60, 80)):
    ax.axvspan(year[first] - 0.5, year[last] - 0.5, color="0.93", linewidth=0)
for name, (_, std, colour) in bands.items():
    ax.plot(year, std, color=colour, label=name)
ax.axhline(np.sqrt(system.P_filtered[0, 0]), color="0.4", linestyle="--", linewidth=1.0)
ax.annotate(
    "steady", (year[-1] - 4, np.sqrt(system.P_filtered[0, 0])), (0, 4),
    textcoords="offset points", fontsize=9, color="0.4",
)  # fmt: skip
ax.set(
    xlabel="year", ylabel=r"standard deviation, $10^8$ m$^3$", ylim=(0, None),
    xlim=(year[0] - 1, year[-1] + 1),
)  # fmt: skip
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
