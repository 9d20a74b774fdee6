"""Example tables for mixed models, and a simulator of longitudinal data.

The loaders follow scikit-learn's conventions: each returns a ``Bunch``, a pair with
``return_X_y=True``, and pandas objects with ``as_frame=True``. Only the last needs pandas.
"""

from lmmfit.datasets._loaders import (
    load_dyestuff,
    load_dyestuff2,
    load_insteval,
    load_machines,
    load_oats,
    load_orthodont,
    load_pastes,
    load_penicillin,
    load_ratpup,
    load_sleepstudy,
)
from lmmfit.datasets._simulate import make_longitudinal

__all__ = [
    "load_dyestuff",
    "load_dyestuff2",
    "load_insteval",
    "load_machines",
    "load_oats",
    "load_orthodont",
    "load_pastes",
    "load_penicillin",
    "load_ratpup",
    "load_sleepstudy",
    "make_longitudinal",
]
