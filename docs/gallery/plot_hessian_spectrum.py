"""
The spectrum of a network's Hessian
===================================

Most eigenvalues of a network's Hessian lie close together near zero, and a few lie far away.
Three estimates of the whole spectrum, from products with random vectors alone, beside the
eigenvalues themselves.
"""

# %%
# A network with 760 parameters for the digits: small enough for all eigenvalues, and trained to
# the tolerance that is the default.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import wasserstein_distance
from sklearn.datasets import load_digits

from lmmfit import SecondOrderMLP
from lmmfit.curvature import HessianOperator, skilling_moments
from lmmfit.curvature.plots import SpectrumDisplay

X, y = load_digits(return_X_y=True)
X, y = X[:600], y[:600]
model = SecondOrderMLP((10,), loss="log_loss", alpha=1.0, random_state=0).fit(X, y)
H = model.hessian_operator(X, y)
eigenvalues = np.linalg.eigvalsh(H.matrix())

# %%
# Three methods
# -------------
# Ten random vectors each; the bands come from their differences. Lanczos' method (60 products for
# each vector) has Gauss rules: single eigenvalues at both ends are met to the last digit; in the
# bulk there are fewer points than eigenvalues, and it takes some smoothing.
# The Chebyshev series (50 products) has the same resolution everywhere, which on this axis is
# coarse near zero. Maximum entropy (15 products) follows the same moments as far as their errors
# ask for it.

names = {
    "lanczos": "Lanczos' Gauss rules",
    "chebyshev": "Chebyshev moments, Jackson's kernel",
    "skilling": "Chebyshev moments, maximum entropy",
}
fig, axes = plt.subplots(3, 1, figsize=(7.5, 9.0), layout="constrained", sharex=True)
densities = {method: H.density(method) for method in names}
for ax, (method, density) in zip(axes, densities.items(), strict=True):
    SpectrumDisplay.from_density(
        density, eigenvalues=eigenvalues, scale="symlog", linear_width=0.3, width=0.015, ax=ax
    )
    ax.set(title=f"{names[method]}, {density.n_products} products", ylabel="density")
    if ax is not axes[-1]:
        ax.set_xlabel("")
    if ax is not axes[0]:
        ax.get_legend().remove()
axes[0].set_xlim(-6, 250)

# %%
# Bulk and outliers
# -----------------
# The bulk sits at the penalty, ``alpha=1``: directions in which the data say nothing. Outliers are
# those that they decide. One eigenvalue is below zero, so that the training has stopped near a
# saddle point; a smaller ``tol`` leads on along that direction. The zero that is then the smallest
# is no accident: a constant added to the biases of all softmax units changes nothing.

on = SecondOrderMLP((10,), loss="log_loss", alpha=1.0, tol=1e-7, random_state=0).fit(X, y)
for name, fitted in (("tol=1e-4", model), ("tol=1e-7", on)):
    lowest = fitted.hessian_operator(X, y).eigsh(1, "SA").values[0]
    print(f"{name}: loss {fitted.loss_:.5f}, smallest eigenvalue {lowest:.1e}")

# %%
# At a random start a third of all eigenvalues are negative.

theta = model.network_.initial_parameters(np.random.default_rng(0))
start = HessianOperator(model.objective(X, y).evaluate(theta))
fig, axes = plt.subplots(2, 1, figsize=(7.5, 6.0), layout="constrained")
for ax, operator, name in zip(
    axes, (start, on.hessian_operator(X, y)), ("at the start", "at the minimum"), strict=True
):
    values = np.linalg.eigvalsh(operator.matrix())
    SpectrumDisplay.from_density(operator.density(), eigenvalues=values, ax=ax)
    ax.set_title(f"{name}: {np.sum(values < -1e-9)} of {len(values)} eigenvalues below 0")
axes[0].set_xlabel("")
axes[0].set_ylabel("density")
axes[1].set_ylabel("density")
axes[1].get_legend().remove()

# %%
# Powers of the Hessian
# ---------------------
# Skilling (1989), and Pearlmutter (1994) after him, took the moments :math:`v_i \cdot v_j` of the
# vectors :math:`v_i = H^i v_0`. All of them soon point the same way: the condition number of their
# matrix grows some fiftyfold with each product, and after about ten of them nothing is left of
# double precision. The same products in Lanczos' or Chebyshev's order keep all digits, and the
# distance from the true spectrum keeps falling.

fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
counts = np.arange(1, 21)
conditions = [skilling_moments(H, m).hankel_condition for m in counts]
axes[0].semilogy(counts, conditions, "o-", color="#d9730d", markersize=4)
axes[0].axhline(1 / np.finfo(float).eps, color="0.6", linestyle="--", linewidth=1.0)
axes[0].annotate("double precision", (1, 6e15), fontsize=9, va="bottom")
axes[0].set(xlabel="products", ylabel="condition of the matrix of moments")
axes[0].set_xticks(counts[1::2])
steps = np.array([3, 5, 8, 12, 20, 30, 45, 60])
for method, colour in zip(names, ("#1f6fb4", "#6b9e3f", "#8d6bb1"), strict=True):
    distances = []
    for m in steps[: 4 if method == "skilling" else None]:
        density = H.density(method, n_products=int(m), n_probes=10)
        distances.append(wasserstein_distance(density.nodes, eigenvalues, density.weights))
    axes[1].loglog(
        steps[: len(distances)], distances, "o-", color=colour, markersize=4, label=method
    )
axes[1].set(xlabel="products for each of 10 vectors", ylabel="Wasserstein distance")
axes[1].set_xticks(steps, [str(m) for m in steps])
axes[1].set_yticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
axes[1].minorticks_off()
axes[1].legend(frameon=False)
for ax in axes:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
