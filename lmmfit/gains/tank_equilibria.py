"""Levels and inputs at which a network of tanks is at rest, or nearly so."""

from dataclasses import dataclass, field

import numpy as np

from lmmfit.gains.tanks import numbers_of, tank_imbalance

__all__ = ["OperatingPoint", "equilibrium_inputs", "equilibrium_levels"]


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """Levels and inputs that go together, as well as they can.

    Attributes
    ----------
    levels : ndarray of shape (N,)
        cm.
    inputs : ndarray of shape (N / 2,)
        V.
    imbalance : ndarray of shape (N,)
        What flows into a tank less what flows out, cm^3/s: zero where the tank is at rest.
    at_rest : bool
        Whether it is zero, but for rounding, in all of them.

    Examples
    --------
    >>> from lmmfit.gains import equilibrium_inputs, tank_constants
    >>> equilibrium_inputs(tank_constants(2), [15.0, 15.0]).at_rest
    False
    """

    levels: np.ndarray = field(repr=False)
    inputs: np.ndarray = field(repr=False)
    imbalance: np.ndarray = field(repr=False)
    at_rest: bool


def equilibrium_levels(tanks, inputs):
    """Levels at which the network rests with constant inputs: there is exactly one.

    Parameters
    ----------
    tanks : TankConstants
    inputs : float or array-like of shape (N / 2,)
        V, at least 0.

    Returns
    -------
    OperatingPoint

    Raises
    ------
    ValueError
        If an input is negative or not finite.

    Examples
    --------
    >>> from lmmfit.gains import equilibrium_levels, tank_constants
    >>> equilibrium_levels(tank_constants(4), 3.0).levels.round(3)
    array([12.21 , 12.681,  5.087,  2.861])
    """
    inputs = numbers_of(inputs, "inputs", tanks.n_tanks // 2)
    upper = np.roll(tanks.upper_flows * inputs, 1)
    flows = np.concatenate([upper + tanks.lower_flows * inputs, upper])
    levels = (flows / tanks.outlets) ** 2 / (2.0 * tanks.gravity)
    return _operating_point(tanks, levels, inputs)


def equilibrium_inputs(tanks, levels):
    """Inputs that hold given levels as well as they can, in the sense of least squares.

    N/2 pumps cannot hold N levels: the two tanks of a pump must leave it with the same wish. If
    they do not, its input is that with the smallest sum of squared imbalances, cm^3/s, at least
    0; equal levels in all tanks of Table 1 are such a case.

    Parameters
    ----------
    tanks : TankConstants
    levels : float or array-like of shape (N,)
        cm, at least 0.

    Returns
    -------
    OperatingPoint

    Raises
    ------
    ValueError
        If a level is negative or not finite.

    Examples
    --------
    >>> from lmmfit.gains import equilibrium_inputs, equilibrium_levels, tank_constants
    >>> tanks = tank_constants(4)
    >>> rest = equilibrium_levels(tanks, [3.0, 2.0])
    >>> found = equilibrium_inputs(tanks, rest.levels)
    >>> found.inputs.round(12), found.at_rest
    (array([3., 2.]), True)
    """
    levels = numbers_of(levels, "levels", tanks.n_tanks)
    half = tanks.n_tanks // 2
    missing = -tank_imbalance(tanks, levels, np.zeros(half))
    lower, upper = tanks.lower_flows, tanks.upper_flows
    wanted = lower * missing[:half] + upper * np.roll(missing[half:], -1)
    return _operating_point(tanks, levels, np.maximum(wanted / (lower**2 + upper**2), 0.0))


def _operating_point(tanks, levels, inputs):
    imbalance = tank_imbalance(tanks, levels, inputs)
    through = tanks.outlets * np.sqrt(2.0 * tanks.gravity * levels)
    at_rest = np.abs(imbalance).max() <= 1e-12 * through.max()
    return OperatingPoint(levels, inputs, imbalance, bool(at_rest))
