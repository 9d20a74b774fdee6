"""Statistical models in scikit-learn style over compiled likelihood and solver kernels."""

from lmmfit._version import __version__
from lmmfit.estimators import LinearMixedModel, lmm

__all__ = ["LinearMixedModel", "__version__", "lmm"]
