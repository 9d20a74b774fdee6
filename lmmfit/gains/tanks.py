"""Tanks that feed each other, with pumps: constants, levels and flows."""

from dataclasses import dataclass, field
from numbers import Integral

import numpy as np

__all__ = [
    "TankConstants",
    "numbers_of",
    "tank_constants",
    "tank_imbalance",
    "tank_rates",
]


@dataclass(frozen=True, eq=False)
class TankConstants:
    """Constants of N tanks and N/2 pumps, N even; lengths in cm, times in s.

    Tanks 0 to N/2 - 1 are the lower ones; tank N/2 + i empties into tank i. Pump i feeds tank i
    and the upper tank N/2 + i + 1, the last pump the first upper tank.

    Attributes
    ----------
    areas : ndarray of shape (N,)
        Cross sections of the tanks, cm^2.
    outlets : ndarray of shape (N,)
        Cross sections of the holes at their bottoms, cm^2.
    pumps : ndarray of shape (N / 2,)
        Flow of a pump for an input of 1 V, cm^3/s.
    splits : ndarray of shape (N / 2,)
        Share of it that goes to the lower tank, the rest to the upper one.
    gravity : float
        cm/s^2.

    Examples
    --------
    >>> from lmmfit.gains import tank_constants
    >>> tank_constants(4).outlets
    array([0.071, 0.057, 0.04 , 0.04 ])
    """

    areas: np.ndarray = field(repr=False)
    outlets: np.ndarray = field(repr=False)
    pumps: np.ndarray = field(repr=False)
    splits: np.ndarray = field(repr=False)
    gravity: float = 981.0

    @property
    def n_tanks(self):
        """Number of tanks, N."""
        return len(self.areas)

    @property
    def lower_flows(self):
        """Flow into a pump's lower tank for an input of 1 V, ndarray of shape (N / 2,)."""
        return self.splits * self.pumps

    @property
    def upper_flows(self):
        """Flow into a pump's upper tank for an input of 1 V, ndarray of shape (N / 2,)."""
        return (1.0 - self.splits) * self.pumps


def tank_constants(
    n_tanks=40, *, areas=None, outlets=None, pumps=3.33, splits=None, gravity=981.0
):
    """The constants of Pedroso and Batista (2021), Table 1, where no others are given.

    The table counts tanks from 1: what it gives odd tanks is that of the first, third, ... here.

    Parameters
    ----------
    n_tanks : int, default=40
        N, even.
    areas : float or array-like of shape (N,), optional
        cm^2; 28 and 32 by turns.
    outlets : float or array-like of shape (N,), optional
        cm^2; 0.071 and 0.057 by turns of the lower tanks, 0.040 of the upper ones.
    pumps : float or array-like of shape (N / 2,), default=3.33
        cm^3 / (s V).
    splits : float or array-like of shape (N / 2,), optional
        Between 0 and 1; 0.7 and 0.6 by turns.
    gravity : float, default=981.0
        cm/s^2.

    Returns
    -------
    TankConstants

    Raises
    ------
    ValueError
        If the number of tanks is not even, or a constant is out of its range: the message names
        the tank or pump.

    References
    ----------
    Pedroso, L. and Batista, P. (2021). Efficient algorithm for the computation of the solution to
    a sparse matrix equation in distributed control theory. Mathematics 9, 1497, Table 1.

    Examples
    --------
    >>> from lmmfit.gains import tank_constants
    >>> tanks = tank_constants(6)
    >>> tanks.areas, tanks.splits
    (array([28., 32., 28., 32., 28., 32.]), array([0.7, 0.6, 0.7]))
    """
    whole = isinstance(n_tanks, Integral) and not isinstance(n_tanks, bool)
    if not whole or n_tanks < 2 or n_tanks % 2:
        raise ValueError(
            f"n_tanks must be an even number of at least 2, one lower and one upper tank a pump, "
            f"got {n_tanks!r}."
        )
    half = n_tanks // 2
    odd, odd_pump = np.arange(n_tanks) % 2 == 0, np.arange(half) % 2 == 0  # counted from 1
    lower = np.arange(n_tanks) < half
    areas = np.where(odd, 28.0, 32.0) if areas is None else areas
    if outlets is None:
        outlets = np.where(lower, np.where(odd, 0.071, 0.057), 0.040)
    splits = np.where(odd_pump, 0.7, 0.6) if splits is None else splits
    shares = numbers_of(splits, "splits", half)
    if (shares > 1.0).any():
        i = int(np.argmax(shares > 1.0))
        raise ValueError(f"splits[{i}] is {shares[i]:.6g}: a share is at most 1.")
    return TankConstants(
        numbers_of(areas, "areas", n_tanks, positive=True),
        numbers_of(outlets, "outlets", n_tanks, positive=True),
        numbers_of(pumps, "pumps", half, positive=True),
        shares,
        float(numbers_of(gravity, "gravity", 1, positive=True)[0]),
    )


def numbers_of(value, name, size, *, positive=False):
    """One number for each tank or pump, at least 0.

    Parameters
    ----------
    value : float or array-like of shape (size,)
    name : str
    size : int
    positive : bool, default=False
        Whether 0 is refused too.

    Returns
    -------
    ndarray of shape (size,)
        A copy.

    Raises
    ------
    ValueError
        If there is another number of them, or one is not finite or out of the range.
    """
    values = np.array(value, np.float64)
    values = np.full(size, values) if values.ndim == 0 else values
    if values.shape != (size,):
        raise ValueError(f"{name} must be one number or {size}, got the shape {values.shape}.")
    wrong = ~np.isfinite(values) | (values <= 0.0 if positive else values < 0.0)
    if wrong.any():
        i = int(np.argmax(wrong))
        name = name if np.ndim(value) == 0 else f"{name}[{i}]"
        least = "above 0" if positive else "at least 0"
        raise ValueError(f"{name} is {values[i]:.6g}: it must be finite and {least}.")
    return values


def tank_rates(tanks, levels, inputs):
    """How fast the levels change, cm/s: mass balances with Torricelli's law.

    ``areas dh/dt = inflow - outlets sqrt(2 g h)``; the inflow of a lower tank is what leaves the
    tank above it and its pump's share, that of an upper tank the rest of the flow of another
    pump. A tank that is empty gives nothing.

    Parameters
    ----------
    tanks : TankConstants
    levels : ndarray of shape (..., N)
        cm; what is below 0 counts as 0.
    inputs : ndarray of shape (..., N / 2)
        V.

    Returns
    -------
    ndarray of shape (..., N)

    References
    ----------
    Pedroso and Batista (2021), eq. (10). Johansson, K. H. (2000). The quadruple-tank process.
    IEEE Transactions on Control Systems Technology 8(3), for N = 4.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.gains import tank_constants, tank_rates
    >>> tank_rates(tank_constants(2), np.array([0.0, 0.0]), np.array([1.0])).round(6)
    array([0.08325 , 0.031219])
    """
    return tank_imbalance(tanks, np.asarray(levels), np.asarray(inputs)) / tanks.areas


def tank_imbalance(tanks, levels, inputs):
    """Inflow less outflow of each tank, cm^3/s.

    Parameters
    ----------
    tanks : TankConstants
    levels : ndarray of shape (..., N)
        cm; what is below 0 counts as 0.
    inputs : ndarray of shape (..., N / 2)
        V.

    Returns
    -------
    ndarray of shape (..., N)
    """
    half = tanks.n_tanks // 2
    out = tanks.outlets * np.sqrt(2.0 * tanks.gravity * np.maximum(levels, 0.0))
    net = -out
    net[..., :half] += out[..., half:] + tanks.lower_flows * inputs
    net[..., half:] += np.roll(tanks.upper_flows * inputs, 1, axis=-1)
    return net
