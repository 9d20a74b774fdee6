"""
A network made smaller
======================

Weights are taken from a network one after another, and what is left is trained again. Which one
goes next is what Optimal Brain Surgeon, Optimal Brain Damage and plain magnitude disagree on.
"""

# %%
# A function of three inputs out of six, with noise. The network is too large for 120 rows: it fits
# the noise.

import matplotlib.pyplot as plt
import numpy as np

from lmmfit import SecondOrderMLP
from lmmfit.curvature import prune
from lmmfit.curvature.plots import HintonDisplay, PruningDisplay

rng = np.random.default_rng(0)


def sample(n):
    X = rng.uniform(-2, 2, (n, 6))
    y = np.sin(2 * X[:, 0]) + np.tanh(2 * X[:, 1] * X[:, 2])
    return X, y + 0.3 * rng.standard_normal(n)


training, validation, test = sample(120), sample(80), sample(2000)
model = SecondOrderMLP((10,), alpha=0.3, random_state=0).fit(*training)
print(f"R2: training {model.score(*training):.2f}, new rows {model.score(*test):.2f}")

# %%
# The path
# --------
# One weight at a time, the one whose loss the others can make up for best. The validation loss
# falls while weights go that only fitted noise, and chooses the stage.

path = prune(model, *training, n=60, validation=validation)
PruningDisplay.from_path(path)
small = path.model()
print(f"{small.mask.sum()} of {len(small.mask)} parameters; R2 of new rows "
      f"{small.score(*test):.2f}")  # fmt: skip

# %%
# The network before and after. The last three inputs carry nothing, and hardly any of their
# weights is left.

for name, shown in (("The whole network", model), ("The pruned one", small)):
    display = HintonDisplay.from_estimator(shown)
    display.figure_.suptitle(f"{name}: blue positive, orange negative", fontsize=10)

# %%
# Three ways to choose
# --------------------
# On the left nothing is trained in between. Surgeon moves the other weights in the same step, and
# comes farthest; Damage and magnitude leave them. On the right what is left is trained after each
# weight: much of the difference goes, and the validation losses of all three fall.

colours = {"obs": "#1f6fb4", "obd": "#d9730d", "magnitude": "#6b9e3f"}
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.0), layout="constrained")
for method, colour in colours.items():
    once = prune(model, *training, n=60, method=method, retrain=False)
    axes[0].plot(once.n_weights, once.losses, color=colour, label=method)
    path = prune(model, *training, n=60, method=method, validation=validation)
    axes[1].plot(path.n_weights, path.validation_losses, color=colour)
    axes[1].plot(path.n_weights, path.losses, color=colour, linestyle="--", linewidth=1.0)
axes[0].set(yscale="log", ylabel="mean training loss", title="without training in between")
axes[0].legend(frameon=False, loc="upper left")
axes[1].set(ylim=(0.0, None), ylabel="mean loss", title="with training in between")
axes[1].plot([], [], color="0.35", label="validation rows")
axes[1].plot([], [], color="0.35", linestyle="--", linewidth=1.0, label="training rows")
axes[1].legend(frameon=False, loc="upper center")
for ax in axes:
    ax.invert_xaxis()
    ax.set_xlabel("parameters left")
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
