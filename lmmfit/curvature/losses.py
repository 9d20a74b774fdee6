"""Losses of a network: their value, their derivatives at the output units, their targets."""

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from lmmfit.curvature._kernels import (
    output_errors,
    robust_value,
    softmax_errors,
    softmax_shift,
    softmax_value,
)
from lmmfit.curvature.activations import CODES

__all__ = ["LOSSES", "Loss", "make_loss"]

# Loss -> the output activation that it matches; None where any activation does.
LOSSES = {
    "squared_error": None,
    "huber": None,
    "log_loss": "softmax",
    "binary_log_loss": "logistic",
    "poisson": "exp",
}


@dataclass(frozen=True)
class Loss:
    """A loss and the activation of the output units, whose derivatives belong together.

    Parameters
    ----------
    name : str
        One of `LOSSES`.
    activation : str
        Of the output units.
    huber_delta : float
        Error at which Huber's loss turns linear.
    """

    name: str
    activation: str
    huber_delta: float = 1.0

    @property
    def is_softmax(self):
        """Whether the output units depend on one another."""
        return self.name == "log_loss"

    @property
    def is_matched(self):
        """Whether the loss brings its output activation: the two are then convex together."""
        return LOSSES[self.name] is not None

    @property
    def _robust(self):
        """What the kernels take for the kind of error."""
        return -1.0 if self.is_matched else self.huber_delta if self.name == "huber" else 0.0

    def prepare(self, z, out, target, weight):
        """Value of a block; the inputs of its output units become the predictions.

        Parameters
        ----------
        z : ndarray of shape (rows, n_out)
            Inputs of the output units, overwritten by softmax, logistic or exp of them; outputs
            already where the loss takes any activation.
        out : ndarray of shape (rows, n_out)
            Overwritten.
        target : ndarray of shape (rows, n_out)
        weight : ndarray of shape (rows,)

        Returns
        -------
        float
            The weighted sum over the block, in double precision.
        """
        if self.name == "log_loss":
            linear = np.empty(len(z))
            softmax_shift(z, target, linear)
            np.exp(z, out=z)
            return softmax_value(z, target, weight, linear)
        if not self.is_matched:
            return robust_value(z, target, weight, z.dtype.type(self._robust))
        np.multiply(target, z, out=out)
        if self.name == "poisson":
            np.exp(z, out=z)
            values = z - out
        else:  # log(1 + exp(z)) - target z
            values = np.maximum(z, 0) - out
            np.abs(z, out=out)
            np.negative(out, out=out)
            np.exp(out, out=out)
            values += np.log1p(out)
            np.divide(np.where(z >= 0, 1, out), 1 + out, out=z)
        return float(values.sum(axis=1, dtype=np.float64) @ weight)

    def differentiate(self, outputs, target, weight, exact, gauss, first, last):
        """Fill the errors and both curvatures of a block's output units.

        Parameters
        ----------
        outputs : tuple of ndarray of shape (n, n_out)
            Predictions, slopes, bends (see `activate`) and the errors to be filled.
        target : ndarray of shape (n, n_out)
        weight : ndarray of shape (n,)
        exact, gauss : ndarray of shape (n, n_out)
            Filled with the second derivatives of the error by the inputs of the output units,
            and with those of them that the Gauss-Newton matrix keeps.
        first, last : int
            The block's rows.
        """
        y, slope, bend, delta = outputs
        if self.is_softmax:
            softmax_errors(y, target, weight, delta, exact, first, last)
        else:
            output_errors(
                CODES[self.activation], y.dtype.type(self._robust), y, slope, bend, target,
                weight, delta, exact, gauss, first, last,
            )  # fmt: skip

    def seeds(self, curvature, y, slope):
        """Root of the loss's convex curvature by the inputs of the output units.

        Parameters
        ----------
        curvature : ndarray of shape (rows, n_out)
            Of the Gauss-Newton matrix; weight x probability for softmax.
        y, slope : ndarray of shape (rows, n_out)
            Predictions, and the activations' slopes, which give the root its sign.

        Returns
        -------
        ndarray of shape (rows, n_out, n_out)
            Row q of a pattern is the derivative of its generalised residual q: their sum of
            squares has that curvature.
        """
        root = np.sqrt(curvature)
        eye = np.eye(y.shape[1], dtype=y.dtype)
        if self.is_softmax:  # diag(p) - p p' is the sum of p_q (e_q - p) (e_q - p)'
            return root[:, :, None] * (eye - y[:, None, :])
        return (root * np.where(slope < 0, -1, 1))[:, :, None] * eye

    def floor(self, target, weight):
        """Smallest value that any predictions could give.

        Parameters
        ----------
        target : ndarray of shape (n, n_out)
        weight : ndarray of shape (n,)

        Returns
        -------
        float
        """
        if self.name == "poisson":
            best = target - xlogy(target, target)
        elif self.name == "log_loss":
            best = xlogy(target.sum(axis=1, keepdims=True), target.sum(axis=1, keepdims=True))
            best = best - xlogy(target, target).sum(axis=1, keepdims=True)
        elif self.name == "binary_log_loss":
            best = -xlogy(target, target) - xlogy(1 - target, 1 - target)
        else:
            return 0.0
        return float(best.sum(axis=1) @ weight)

    def check(self, Y):
        """Refuse targets that the loss has no value for.

        Parameters
        ----------
        Y : ndarray of shape (n, n_out)

        Raises
        ------
        ValueError
            Naming the first row.
        """
        if self.name == "poisson":
            bad, rule = Y < 0, "counts of at least 0"
        elif self.name == "log_loss":
            bad, rule = (
                Y < 0,
                "a column for each class, and in it 1 or 0, or a share of at least 0",
            )
        elif self.name == "binary_log_loss":
            bad, rule = (Y < 0) | (Y > 1), "1 or 0, or a share between them"
        else:
            return
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(
                f"loss={self.name!r} needs {rule}: row {row} of column {column} of Y has "
                f"{Y[row, column]:.6g}."
            )


def make_loss(name, activation, huber_delta):
    """Pair a loss with the activation of the output units.

    Parameters
    ----------
    name : str
    activation : str
        ``identity`` stands for the matching one where there is one.
    huber_delta : float

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If a name is unknown or the two do not match.
    """
    if name not in LOSSES:
        raise ValueError(f"loss={name!r} is none of {', '.join(LOSSES)}.")
    matching = LOSSES[name]
    if matching is None and activation not in CODES:
        raise ValueError(f"output_activation={activation!r} is none of {', '.join(CODES)}.")
    if matching is not None and activation not in ("identity", matching):
        raise ValueError(
            f"loss={name!r} belongs to output_activation={matching!r}, got {activation!r}."
        )
    if not huber_delta > 0:
        raise ValueError(f"huber_delta must be above 0, got {huber_delta!r}.")
    return Loss(name, matching or activation, float(huber_delta))
