"""
Profiles of the likelihood, and the parts of the variance
=========================================================

How well do the data determine each parameter, a variance above all? Hold it at a value, fit the
others again, and see how far the likelihood falls.
"""

# %%
# Six samples of penicillin were assayed on each of 24 plates: two crossed factors.

import matplotlib.pyplot as plt

from lmmfit import lmm
from lmmfit.datasets import load_penicillin
from lmmfit.mixed import profile
from lmmfit.mixed.plots import ProfileDisplay, VariancePartitionDisplay

frame = load_penicillin(as_frame=True).frame
model = lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", frame)
model.summary()

# %%
# Signed roots of the deviance
# ----------------------------
# Each curve is the signed root of the deviance above its minimum. Thin lines mark where it meets
# the normal quantiles: the intervals of 50, 80, 90, 95 and 99%. The dashed line is what standard
# errors assume. The standard deviation between six samples is far from it: its intervals reach
# much farther up than down.

curves = profile(model)
ProfileDisplay.from_profile(curves)

# %%
# Without the sign, the intervals of all levels can be read off.

display = ProfileDisplay.from_profile(curves, kind="absolute")

# %%
# The display keeps its intervals: here those of 95%, as ``profile_intervals`` gives them.

dict(zip(display.names, display.intervals[:, 3].round(3).tolist(), strict=True))

# %%
# As densities
# ------------
# The density of a parameter of which the signed root is standard normal. Dashed is the normal
# density of the quadratic approximation.

ProfileDisplay.from_profile(curves, kind="density")

# %%
# Parts of the variance
# ---------------------
# Most of the variance of a diameter lies between the samples, as it should in an assay.

VariancePartitionDisplay.from_estimator(model)
plt.show()

# %%
# A model of many responses has a bar for each, sorted by the largest part. Here the responses
# are simulated from the fit: with six samples, their part of the variance is estimated poorly.

simulated = model.simulate(frame, 30, random_state=0)
again = type(model)("(1 | plate) + (1 | sample)").fit(frame[["plate", "sample"]], simulated)
VariancePartitionDisplay.from_estimator(again)
plt.show()
