"""
Quadratic ADI: convergence
==========================

The second halves of the figures of Wong and Balakrishnan (2005), made again: the distance of the
iterates :math:`X_j` from the solution, for both signs of the Riccati equation. With one shift and
a narrow spectrum fewer than twenty steps do, whatever the order. What a wider spectrum changes is
in the last picture. :doc:`/explanation/riccati_equations` has the equations.
"""

# %%
# Two systems. For (1+) a lossy transmission line, as the equation of its passivity: the
# eigenvalues of A lie about -loss, and between -2i and 2i. For (1-) a regulator: diffusion with
# eigenvalues between minus one and minus one over ``spread``, and as many inputs and outputs as
# the paper has, a hundredth of the order (here at least two).

import matplotlib.pyplot as plt
import numpy as np

from lmmfit.datasets import make_convection_diffusion, make_rlc_ladder
from lmmfit.riccati import compose, qadi_map, single_shift, solve_care

COLOURS = ("#1f6fb4", "#6b9e3f", "#8d6bb1", "#d9730d")


def line(n, loss):
    """A, B, C and the sign of the positive real equation of a ladder network."""
    ladder = make_rlc_ladder(n // 2, resistance=loss, conductance=loss)
    root = np.sqrt(2.0 * ladder.D[0, 0])  # of W = D + D'
    B, C = ladder.B / root, ladder.C / root
    return ladder.A.toarray() - B @ C, B, C, 1


def regulator(n, spread):
    """The same of a diffusion that inputs anywhere are to stop."""
    diffusion = -make_convection_diffusion(n, dimension=1, fx=0.0).A.toarray() / (4 * (n + 1) ** 2)
    A = -np.eye(n) / spread - (1 - 1 / spread) * diffusion
    rng = np.random.default_rng(n)
    B, C = (np.linalg.qr(rng.standard_normal((n, max(n // 100, 2))))[0] for _ in range(2))
    return A, B, C.T, -1


SYSTEMS = ((line, 2.0, "(1+), transmission line"), (regulator, 4.0, "(1-), regulator"))


# %%
# One shift, and its doubling
# ---------------------------
# The shift is the paper's, by power iterations. A step is one map of X; composed with itself,
# again and again, it gives the steps 1, 2, 4, 8, ... alone: each doubling does as much as all that
# came before it. The curves of the four orders nearly hide each other.


def errors(system, most):
    """Distances of quadratic ADI, and of its doubling, from the solution."""
    A, B, C, sign = system
    X = solve_care(A, B, C, sign=sign).X
    step = qadi_map(A, B, C, sign, single_shift(A, B, C, sign))
    size, Y, single, doubled = np.linalg.norm(X), np.zeros_like(X), [], [1.0]
    for _ in range(most):
        single.append(np.linalg.norm(Y - X) / size)
        if single[-1] < 1e-15:
            break
        Y = step(Y)
    while doubled[-1] > 1e-14 and (len(doubled) < 2 or doubled[-1] < 0.9 * doubled[-2]):
        doubled.append(np.linalg.norm(step.h - X) / size)
        step = compose(step, step)
    return single, doubled


fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.0), layout="constrained", sharey=True, sharex=True)
for ax, (make, width, title) in zip(axes, SYSTEMS, strict=True):
    for n, colour in zip((40, 80, 160, 320), COLOURS, strict=True):
        single, doubled = errors(make(n, width), 21)
        ax.semilogy(single, color=colour, label=f"order {n}")
        ax.semilogy(doubled, "o--", color=colour, markersize=4, linewidth=1.0)
    ax.plot([], [], "o--", color="0.4", markersize=4, linewidth=1.0, label="doubled")
    ax.set(title=title, xlabel="steps, or doublings", xlim=(0, 20), ylim=(1e-16, 3))
    ax.set_xticks(range(0, 21, 4))
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel(r"$\|X_j - X\|_F\ /\ \|X\|_F$")
axes[1].legend(frameon=False)

# %%
# Wider spectra
# -------------
# One shift :math:`p` reduces the part of an eigenvalue :math:`\lambda` of the closed loop by
# :math:`|(p - \lambda) / (p + \lambda)|^2` a step, which is near one for very small and for very
# large ones. Steps until the residual is 1e-10 of the terms of the equation, order 100, against
# the spread of the spectrum: the largest absolute value over the smallest distance from the
# imaginary axis. Doubling pays with the logarithm only, and several shifts do with little more
# (``method="cfqadi"``, which takes them from the Hamiltonian as it goes).


fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.0), layout="constrained", sharey=True)
methods = {
    "qadi": "QADI, one shift",
    "cfqadi": "CFQADI, shifts as it goes",
    "doubling": "doubling",
}
widths = ((2.0, 1.0, 0.5, 0.25, 0.12), (2.0, 6.0, 20.0, 60.0, 200.0))
ticks = ((1, 2, 5, 10, 20), (1, 3, 10, 30, 100, 300))
for ax, (make, _, title), values, marks in zip(axes, SYSTEMS, widths, ticks, strict=True):
    spreads, steps = [], {method: [] for method in methods}
    for value in values:
        A, B, C, sign = make(100, value)
        modes = np.linalg.eigvals(A)
        spreads.append(np.abs(modes).max() / -modes.real.max())
        for method, counts in steps.items():
            solution = solve_care(A, B, C, sign=sign, method=method, tol=1e-10)
            counts.append(solution.n_iter)
    for (method, counts), marker, colour in zip(steps.items(), "so^", COLOURS[1:], strict=True):
        ax.loglog(spreads, counts, f"{marker}-", color=colour, markersize=5, label=methods[method])
    ax.set(title=title, xlabel="spread of the spectrum of A", xlim=(marks[0], marks[-1]))
    ax.set_xticks(marks, map(str, marks))
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_yticks((3, 10, 30, 100, 300), ("3", "10", "30", "100", "300"))
axes[0].set_ylabel("steps, shifts or doublings")
axes[0].legend(frameon=False)
plt.show()
