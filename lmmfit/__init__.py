"""Statistical models in scikit-learn style over compiled likelihood and solver kernels."""

from lmmfit._version import __version__
from lmmfit.estimators import LinearMixedModel, RiccatiFilter, SecondOrderMLP, lmm

__all__ = ["LinearMixedModel", "RiccatiFilter", "SecondOrderMLP", "__version__", "lmm"]
