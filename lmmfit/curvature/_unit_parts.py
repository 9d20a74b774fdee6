"""What passes through single units share: responses of units, errors of output units."""

import numpy as np

from lmmfit.curvature.activations import activate

__all__ = ["OutputError", "activate_runs", "respond", "runs_of"]


def runs_of(names):
    """Slices of equal neighbours: a list of (name, first, last)."""
    cuts = [k for k in range(len(names)) if k == 0 or names[k] != names[k - 1]]
    ends = [*cuts[1:], len(names)]
    return [(names[a], a, b) for a, b in zip(cuts, ends, strict=True)]


def activate_runs(runs, x, spare):
    """Turn inputs of units, one a row, into their responses, in place."""
    for name, first, last in runs:
        activate(name, x[first:last], spare[0, first:last], spare[1, first:last])


def respond(runs, x, slope, bend):
    """Turn inputs of units, one a row, into their responses; both derivatives are filled.

    What `activate` leaves to its callers is done here: a slope or a bend that follows from
    the response.
    """
    for name, first, last in runs:
        y, s, t = x[first:last], slope[first:last], bend[first:last]
        activate(name, y, s, t)
        if name == "tanh":
            s[:] = 1 - y * y
            t[:] = -2 * y * s
        elif name == "logistic":
            s[:] = y * (1 - y)
            t[:] = (1 - 2 * y) * s
        elif name == "softplus":
            t[:] = s * (1 - s)
        elif name == "relu":
            s[:] = y > 0
            t[:] = 0.0
        elif name == "identity":
            s[:] = 1.0
            t[:] = 0.0


class OutputError:
    """The loss at the output units of some patterns.

    Parameters
    ----------
    loss : Loss
    y : ndarray of shape (rows, n_outputs)
        Outputs of the output units: the "inputs" of the loss. Overwritten by the predictions.
    D : ndarray of shape (rows, n_outputs)
    weight : ndarray of shape (rows,)

    Attributes
    ----------
    value : float
        Weighted sum over the patterns.
    predictions : ndarray of shape (rows, n_outputs)
    """

    def __init__(self, loss, y, D, weight):
        self._loss, self._D, self._weight = loss, D, weight
        self.value = loss.prepare(y, np.empty_like(y), D, weight)
        self.predictions = y

    def differentiate(self):
        """First derivatives e by the outputs, (rows, n_outputs); keep the second for `curve`."""
        y = self.predictions
        error, self._curvature = np.empty_like(y), np.empty_like(y)
        outputs = (y, np.ones_like(y), np.zeros_like(y), error)
        self._loss.differentiate(
            outputs, self._D, self._weight, self._curvature, np.empty_like(y), 0, len(y)
        )
        return error

    def curve(self, r):
        """R{e} of (rows, m, n_outputs) displacements: footnote 3 of the paper for softmax."""
        bent = self._curvature[:, None] * r
        if self._loss.is_softmax:
            bent -= self.predictions[:, None] * bent.sum(axis=2, keepdims=True)
        return bent
