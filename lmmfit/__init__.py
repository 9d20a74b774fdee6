"""Statistical models in scikit-learn style over compiled likelihood and solver kernels."""

from lmmfit._version import __version__
from lmmfit.estimators import LinearMixedModel, SecondOrderMLP, lmm

__all__ = ["LinearMixedModel", "SecondOrderMLP", "__version__", "lmm"]
