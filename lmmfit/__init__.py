"""Statistical models in scikit-learn style over compiled likelihood and solver kernels."""

from lmmfit._version import __version__
from lmmfit.estimators import (
    LinearMixedModel,
    RiccatiFilter,
    SecondOrderMLP,
    SparseGainEstimator,
    lmm,
)

__all__ = [
    "LinearMixedModel",
    "RiccatiFilter",
    "SecondOrderMLP",
    "SparseGainEstimator",
    "__version__",
    "lmm",
]
