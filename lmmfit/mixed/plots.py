"""Pictures of a fitted model, as scikit-learn's displays.

Each display keeps the arrays that it draws, can be made from them or from a fitted model
(``from_estimator``), and draws on new or given axes (``plot``). matplotlib is imported when
something is drawn, not before.
"""

from lmmfit.mixed._caterpillar import CaterpillarDisplay
from lmmfit.mixed._fitted_lines import FittedLinesDisplay
from lmmfit.mixed._profile_plots import ProfileDisplay
from lmmfit.mixed._residual_plots import ResidualsDisplay
from lmmfit.mixed._variance_plots import VariancePartitionDisplay

__all__ = [
    "CaterpillarDisplay",
    "FittedLinesDisplay",
    "ProfileDisplay",
    "ResidualsDisplay",
    "VariancePartitionDisplay",
]
