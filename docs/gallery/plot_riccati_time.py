"""
Riccati equations: time against order
=====================================

The first halves of the figures of Wong and Balakrishnan (2005), made again: the time to solve a
Riccati equation against its order, for both signs, with quadratic ADI as it is printed, its
doubling, its Cholesky factor variant and the Schur method of SciPy. The convergence is a
:doc:`picture of its own </gallery_build/plot_riccati_convergence>`, and the equations are in
:doc:`/explanation/riccati_equations`.
"""

# %%
# For (1+) the equation that proves a transmission line passive; for (1-) a regulator of heat that
# a flow carries along. Both have one input and one output, as the first example of the paper.

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csc_array

from lmmfit.datasets import make_convection_diffusion, make_rlc_ladder
from lmmfit.riccati import solve_care

ORDERS = (50, 70, 100, 140, 200, 280, 400)
CURVES = {
    "Schur (SciPy)": ("schur", False, "v-", "0.5"),
    "QADI as printed, one shift": ("qadi", False, "s-", "#6b9e3f"),
    "QADI doubled": ("doubling", False, "^-", "#d9730d"),
    "CFQADI, A dense": ("cfqadi", False, "o-", "#8d6bb1"),
    "CFQADI, A sparse": ("cfqadi", True, "o-", "#1f6fb4"),
}


def line(n, loss=(0.1, 0.01)):
    """A, B, C and the sign of the positive real equation of a ladder network."""
    ladder = make_rlc_ladder(n // 2, resistance=loss[0], conductance=loss[1])
    root = np.sqrt(2.0 * ladder.D[0, 0])  # of W = D + D'
    B, C = ladder.B / root, ladder.C / root
    return csc_array(ladder.A - csc_array(B @ C)), B, C, 1


def heat(n, reaction=0.0):
    """The same of the regulator of a flow; a reaction narrows the spectrum."""
    flow = make_convection_diffusion(n, dimension=1, g=reaction)
    return flow.A, flow.B, flow.C, -1


# %%
# CPU time, as in the paper, of :func:`~lmmfit.riccati.solve_care` as a whole, with the choice of
# shifts and the proof of stability, to a residual of 1e-10. With a dense A a curve ends where it
# has taken more than 120 milliseconds.


def milliseconds(system, method, sparse):
    """Time of one solution, the better of two; a dense A is one in rotated coordinates."""
    (A, B, C, sign), times = system, []
    if not sparse:
        rotation = np.linalg.qr(np.random.default_rng(0).standard_normal(A.shape))[0]
        A, B, C = rotation.T @ (A @ rotation), rotation.T @ B, C @ rotation
    for _ in range(2):
        before = time.process_time()
        solve_care(A, B, C, sign=sign, method=method, tol=1e-10)
        times.append(1000.0 * (time.process_time() - before))
        if times[0] > 40.0:
            break
    return min(times)


def draw(ax, make, title):
    """A panel: all methods, against the order."""
    for name, (method, sparse, style, colour) in CURVES.items():
        times = []
        for n in ORDERS:
            times.append(milliseconds(make(n), method, sparse))
            if times[-1] > 120.0 and not sparse:
                break
        ax.loglog(ORDERS[: len(times)], times, style, color=colour, markersize=5, label=name)
    ax.set(title=title, xlabel="order", xlim=(45, 450))
    ax.set_xticks(ORDERS[::2], map(str, ORDERS[::2]))
    ax.set_yticks((5, 10, 20, 50, 100, 200, 500), ("5", "10", "20", "50", "100", "200", "500"))
    ax.set_ylim(4, 600)
    ax.minorticks_off()
    ax.grid(color="0.9", linewidth=0.8)
    ax.spines[["top", "right"]].set_visible(False)


def legend(fig, ax):
    """One legend below the panels."""
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)


# %%
# Narrow spectra
# --------------
# Lines of high loss, and heat that a reaction consumes at once: as in the examples of the paper
# one shift does, and QADI converges in ten to thirty steps. All methods for dense matrices grow
# with the third power in the end; CFQADI with a sparse A grows with the first, and so slowly here
# that most of it is what does not depend on the order.


for make in (line, heat):  # what the first calls load is not to be measured
    for method, sparse, *_ in CURVES.values():
        milliseconds(make(20), method, sparse)
milliseconds(heat(300), "cfqadi", False)  # compiles what large dense matrices need

fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.4), layout="constrained", sharey=True)
draw(axes[0], lambda n: line(n, (1.0, 1.0)), "(1+), line of high loss")
draw(axes[1], lambda n: heat(n, 0.5 * n**2), "(1-), flow with a reaction")
axes[0].set_ylabel("milliseconds of CPU time")
legend(fig, axes[0])

# %%
# Wide spectra
# ------------
# The same with little loss, and without the reaction. One shift now takes hundreds of steps,
# and its curve ends early. Doubling takes a few more than before, and CFQADI, whose shifts follow
# the residual, is still the fastest for a sparse A, once the order is some hundreds.

fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.4), layout="constrained", sharey=True)
draw(axes[0], line, "(1+), line of low loss")
draw(axes[1], heat, "(1-), flow")
axes[0].set_ylabel("milliseconds of CPU time")
legend(fig, axes[0])
plt.show()
