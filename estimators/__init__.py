"""The scikit-learn face of the package: one file an estimator."""

from lmmfit.estimators._formula import lmm
from lmmfit.estimators._mixed import LinearMixedModel
from lmmfit.estimators._mlp import SecondOrderMLP
from lmmfit.estimators._riccati import RiccatiFilter
from lmmfit.estimators._sparse_gain import SparseGainEstimator

__all__ = ["LinearMixedModel", "RiccatiFilter", "SecondOrderMLP", "SparseGainEstimator", "lmm"]
