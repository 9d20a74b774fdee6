"""
Pictures of one model: sleepstudy
=================================

Reaction times of 18 subjects over ten days of little sleep. The model has a random intercept
and a random slope for each subject.
"""

# %%
# Fit the model.

import matplotlib.pyplot as plt

from lmmfit import LinearMixedModel
from lmmfit.datasets import load_sleepstudy
from lmmfit.mixed.plots import CaterpillarDisplay, FittedLinesDisplay, ResidualsDisplay

X, y = load_sleepstudy(return_X_y=True, as_frame=True)
model = LinearMixedModel(random="(Days | Subject)").fit(X, y)
model.summary()

# %%
# Fitted lines
# ------------
# One panel a subject: the data, the subject's own line (fixed effects plus conditional modes)
# and the population's line (fixed effects alone).

FittedLinesDisplay.from_estimator(model, X, y)

# %%
# Random effects
# --------------
# The conditional modes with 95% intervals, sorted by the intercept. Intervals take the fixed
# effects and the variances as known. A group whose interval lies off zero differs from the
# population by more than its own noise explains.

CaterpillarDisplay.from_estimator(model)

# %%
# Residuals
# ---------
# On the left the residuals should scatter evenly about zero. On the right they should follow
# the line. Here a few observations lie far out, at both ends: the normal law for the residuals
# is an approximation. The largest belong to subjects 308 and 332.

display = ResidualsDisplay.from_estimator(model, X, y)

# %%
# Every display keeps the arrays that it draws.

worst = abs(display.residuals).argsort()[::-1][:4]
plt.show()
X.assign(Reaction=y, residual=display.residuals).iloc[worst]
