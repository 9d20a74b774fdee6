"""
How sure is a network?
======================

At a minimum, the Hessian says how far the weights can move before the loss notices. Laplace's
approximation turns that into standard deviations of the predictions. They grow where there are no
data.
"""

# %%
# A sine with a gap in the middle. ``alpha="evidence"`` finds the penalty under which the data are
# most probable; no rows have to be held out. The tolerance is small: what follows holds at a
# minimum.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from lmmfit import SecondOrderMLP

rng = np.random.default_rng(3)
noise = 0.15
x = np.r_[rng.uniform(-3.0, -0.8, 40), rng.uniform(0.9, 3.0, 40)]
y = np.sin(2 * x) + noise * rng.standard_normal(len(x))
X, grid = x[:, None], np.linspace(-4.2, 4.2, 400)


def network(alpha):
    return SecondOrderMLP((10,), alpha=alpha, tol=1e-8, max_iter=2000, random_state=0)


model = network("evidence").fit(X, y)
posterior = model.posterior_
print(f"alpha {model.alpha_:.3g}, noise {np.sqrt(posterior.sigma2) * y.std():.3f} (true {noise}), "
      f"{posterior.effective_parameters:.1f} of {len(model.theta_)} parameters")  # fmt: skip

# %%
# Bands
# -----
# Light: where a new observation lies with a probability of 95 %. Dark: the same for the function
# without the noise. A penalty that is too small leaves the weights free, and the bands are wide as
# soon as the data end; one that is too large makes the network sure of a function that is too
# flat, and takes what it misses for noise.

fig, axes = plt.subplots(3, 1, figsize=(7.5, 9.0), layout="constrained", sharex=True, sharey=True)
for ax, alpha in zip(axes, (1e-3, "evidence", 3.0), strict=True):
    fitted = model if alpha == "evidence" else network(alpha).fit(X, y)
    mean, std = fitted.predict(grid[:, None], return_std=True)
    lower, upper = fitted.predict_interval(grid[:, None], level=0.95)
    sigma = np.sqrt(fitted.posterior_.sigma2) * fitted.scaling_.y_scale
    of_function = 1.96 * np.sqrt(np.maximum(std**2 - sigma**2, 0.0))
    ax.fill_between(
        grid, lower, upper, color="#cfe0ef", linewidth=0, label="new observation, 95 %"
    )
    ax.fill_between(
        grid, mean - of_function, mean + of_function, color="#7fb0d9", linewidth=0,
        label="function, 95 %",
    )  # fmt: skip
    ax.plot(grid, np.sin(2 * grid), color="0.35", linestyle="--", linewidth=1.0, label="truth")
    ax.plot(grid, mean, color="#1f6fb4", label="network")
    ax.plot(x, y, "o", color="0.2", markersize=3)
    name = "alpha" if alpha != "evidence" else "alpha of the evidence:"
    ax.set_title(f"{name} {fitted.alpha_:.3g}", fontsize=10)
    ax.set(ylim=(-3.2, 3.2), xlim=(grid[0], grid[-1]), ylabel="y")
    ax.spines[["top", "right"]].set_visible(False)
axes[-1].set_xlabel("x")
axes[0].legend(frameon=False, ncols=4, fontsize=8, loc="lower center")

# %%
# The evidence
# ------------
# The logarithm of the probability of the data, for each penalty, beside the error on new rows
# of the same range. The evidence needs neither these nor a cross-validation. Its top is flat; the
# search ends where MacKay's rule no longer raises it.

warnings.simplefilter("ignore", ConvergenceWarning)
x_new = np.r_[rng.uniform(-3.0, -0.8, 1000), rng.uniform(0.9, 3.0, 1000)]
alphas = np.logspace(-3.5, 0.5, 13)
fits = [network(alpha).fit(X, y) for alpha in alphas]
errors = [np.sqrt(np.mean((fit.predict(x_new[:, None]) - np.sin(2 * x_new)) ** 2)) for fit in fits]
fig, ax = plt.subplots(figsize=(7.5, 4.0), layout="constrained")
ax.semilogx(alphas, [fit.posterior_.log_evidence for fit in fits], "o-", color="#1f6fb4")
ax.axvline(model.alpha_, color="0.6", linestyle=":")
ax.annotate(
    f'alpha="evidence": {model.alpha_:.3g}', (model.alpha_, 0.03), (5, 0),
    xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=9,
)  # fmt: skip
ax.set_xlabel("alpha")
ax.set_ylabel("log evidence", color="#1f6fb4")
other = ax.twinx()
other.semilogx(alphas, errors, "s--", color="#d9730d", markersize=4)
other.set_ylabel("error of the function at new x", color="#d9730d")
other.set_ylim(0.0, None)
for panel in (ax, other):
    panel.spines["top"].set_visible(False)
plt.show()
