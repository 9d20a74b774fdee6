"""
Sparse gains: time against the number of tanks
==============================================

Figure 2 of Pedroso and Batista (2021), made again: the time to design a distributed filter for N
tanks, each with its own sensor, by the finite-horizon method. What the curves do differently is on
the page :doc:`/explanation/sparse_gains`.
"""

# %%
# The slowest curve takes minutes, so nothing is measured here: the numbers are those of the last
# run of ``python -m benchmarks gains`` in the repository, on one thread.

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lmmfit

results = Path(lmmfit.__file__).parents[1] / "benchmarks" / "results" / "gains.json"
cases = json.loads(results.read_text(encoding="utf-8"))["cases"]
machine = cases["synthesis"]["machine"]
print(f"{machine['processor']}, numpy {machine['numpy']}, {machine['date']}")

ABOVE = 40  # as in the paper, exponents are those of larger networks

# %%
# A curve is a line where time is a power of N. Its exponent is fitted to all N above 40.


def curve(case, variant):
    """Numbers of tanks, and the shortest times in seconds."""
    rows = [r for r in cases[case]["rows"] if r["variant"] == variant and r["status"] == "ok"]
    return np.array([(row["figures"]["N"], min(row["seconds"])) for row in rows]).T


def exponent(N, seconds):
    """Slope of the line through the logarithms."""
    large = N > ABOVE
    return np.polyfit(np.log(N[large]), np.log(seconds[large]), 1)[0]


def draw(ax, case, curves):
    """Curves of a case, with their exponents."""
    for variant, (name, style, colour) in curves.items():
        N, seconds = curve(case, variant)
        label = f"{name}: $N^{{{exponent(N, seconds):.2f}}}$"
        ax.loglog(N, seconds, style, color=colour, markersize=5, label=label)
    ax.grid(color="0.9", linewidth=0.8)
    ax.set(xlabel="tanks N")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)


# %%
# The synthesis
# -------------
# With formula (3) each gain takes :math:`N^5` operations. Algorithm 1 takes :math:`N^3`, but the
# weights, summed as printed, take :math:`W^3 / 6` products of loops for a window of W steps. With
# the recursion for them, positive definite equations, and products of sparse loops there is still
# one dense factorisation for each gain.
#
# One equation
# ------------
# The same, for the equation alone. Small ones take microseconds to milliseconds.

fig, axes = plt.subplots(1, 2, figsize=(9.6, 5.4), layout="constrained")
draw(
    axes[0],
    "synthesis",
    {
        "synthesis_formula": ("formula (3)", "s-", "#d9730d"),
        "synthesis_algorithm": ("Algorithm 1", "^-", "#8d6bb1"),
        "synthesis_running": ("Algorithm 1, running products", "v-", "#6b9e3f"),
        "gains_synthesis": ("lmmfit", "o-", "#1f6fb4"),
    },
)
axes[0].set(title="finite-horizon synthesis", ylabel="seconds")
draw(
    axes[1],
    "equation",
    {
        "equation_formula": ("formula (3)", "s-", "#d9730d"),
        "equation_algorithm": ("Algorithm 1", "^-", "#8d6bb1"),
        "gains_equation": ("solve_sparse_equation", "D-", "#4aa5d8"),
        "gains_definite": ("DefiniteSolver", "o-", "#1f6fb4"),
    },
)
axes[1].set(title="one equation")

# %%
# The ratio
# ---------
# How many times faster than formula (3), and the exponents of that.

for case, variants in (
    ("synthesis", ("synthesis_algorithm", "gains_synthesis")),
    ("equation", ("equation_algorithm", "gains_definite")),
):
    slow = dict(zip(*curve(case, f"{case}_formula"), strict=True))
    for variant in variants:
        fast = dict(zip(*curve(case, variant), strict=True))
        N = np.array(sorted(slow.keys() & fast.keys()))
        ratio = np.array([slow[n] / fast[n] for n in N])
        shown = ", ".join(f"{r:.0f} at {n:.0f}" for n, r in zip(N, ratio, strict=True) if n >= 40)
        print(f"{case}, {variant}: N^{exponent(N, ratio):.2f}; {shown}")
plt.show()
