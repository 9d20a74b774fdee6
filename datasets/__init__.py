"""Example tables for mixed models, systems for control, and simulators of both.

The loaders follow scikit-learn's conventions: each returns a ``Bunch``, a pair with
``return_X_y=True``, and pandas objects with ``as_frame=True``. Only the last needs pandas. Linear
systems and networks are a ``Bunch`` of their matrices.
"""

from lmmfit.datasets._loaders import (
    load_dyestuff,
    load_dyestuff2,
    load_insteval,
    load_machines,
    load_nile,
    load_oats,
    load_orthodont,
    load_pastes,
    load_penicillin,
    load_ratpup,
    load_sleepstudy,
)
from lmmfit.datasets._networks import make_random_network
from lmmfit.datasets._power_grid import make_power_grid
from lmmfit.datasets._simulate import make_longitudinal
from lmmfit.datasets._systems import (
    load_rail,
    make_convection_diffusion,
    make_rlc_ladder,
    make_triple_chain,
)
from lmmfit.datasets._tank_network import make_tank_network

__all__ = [
    "load_dyestuff",
    "load_dyestuff2",
    "load_insteval",
    "load_machines",
    "load_nile",
    "load_oats",
    "load_orthodont",
    "load_pastes",
    "load_penicillin",
    "load_rail",
    "load_ratpup",
    "load_sleepstudy",
    "make_convection_diffusion",
    "make_longitudinal",
    "make_power_grid",
    "make_random_network",
    "make_rlc_ladder",
    "make_tank_network",
    "make_triple_chain",
]
