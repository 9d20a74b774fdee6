"""
Exact products with the Hessian, and differences of gradients
=============================================================

A product with the Hessian can be approximated by a difference of two gradients. How long should
the step be? Any answer costs about half of the digits; an exact product needs none.
"""

# %%
# A network for the wine data, at a random start. The product in double precision, formed from the
# whole Hessian, is what the others are compared with.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

from lmmfit.curvature import FeedForwardNetwork, finite_difference_product

X, y = load_wine(return_X_y=True)
X, Y = (X - X.mean(axis=0)) / X.std(axis=0), np.eye(3)[y]
network = FeedForwardNetwork([13, 8, 3], "tanh", loss="log_loss", alpha=0.1)
theta = network.initial_parameters(np.random.default_rng(1))
v = np.random.default_rng(11).standard_normal(network.n_parameters)
Hv = network.evaluate(theta, X, Y).hessian() @ v


def error(product):
    """Relative error."""
    return np.linalg.norm(product - Hv) / np.linalg.norm(Hv)


# %%
# Short steps lose digits in the difference, long ones leave the straight line. The two parts of
# the error meet near the root of the machine epsilon, times the length of the parameter vector.
# Dashed are the exact products.

steps = np.logspace(-11, 1, 121)
fig, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for dtype, colour, label in (
    (np.float32, "#d9730d", "single precision"),
    (np.float64, "#1f6fb4", "double precision"),
):
    objective = network.objective(X, Y, dtype=dtype)
    errors = [error(finite_difference_product(objective, theta, v, step=r)) for r in steps]
    exact = error(objective.evaluate(theta).hessian_vector_product(v))
    ax.loglog(steps, errors, color=colour, label=label)
    ax.axhline(exact, color=colour, linestyle="--", linewidth=1.2)
    ax.annotate(
        f"exact, {exact:.0e}", (steps[0], exact), (0, 4), textcoords="offset points", color=colour
    )
    best = int(np.argmin(errors))
    ax.plot(steps[best], errors[best], "o", color=colour)
ax.set_ylim(1e-17, 1e2)
ax.set_xlabel("length of the step")
ax.set_ylabel("relative error of the product")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc=(0.7, 0.25))
plt.show()
