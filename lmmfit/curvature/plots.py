"""Pictures of networks and their Hessians, as scikit-learn's displays.

Each display keeps the arrays that it draws, can be made from them or from a result
(``from_estimator``, ``from_density``, ``from_path``), and draws on new or given axes (``plot``).
matplotlib is imported when something is drawn, not before.
"""

from lmmfit.curvature._hinton_plot import HintonDisplay
from lmmfit.curvature._pruning_plot import PruningDisplay
from lmmfit.curvature._spectrum_plot import SpectrumDisplay

__all__ = ["HintonDisplay", "PruningDisplay", "SpectrumDisplay"]
