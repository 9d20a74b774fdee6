"""The rows of a table on their way into products: checks, blocks, and a basis from a sample."""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed.layout import Basis

__all__ = ["Rows", "take_rows"]

_ROWS_PER_BLOCK = 8192
_PILOT_ROWS = 1024
_LARGEST, _LEAST = 1e140, 1e-140  # beyond these, sums of squares overflow or vanish


@dataclass(frozen=True, eq=False)
class Rows:
    """Checked rows with a positive weight, and the basis of their products.

    Attributes
    ----------
    columns : list of ndarray of shape (n,)
        The columns of V, the response last; None is a column of ones.
    names : list of str
        Their names, for messages.
    weights : ndarray of shape (n,) or (0,)
        In units of the basis; empty where every row counts as one.
    keep : ndarray of bool or None
        Flags these rows among those given; None for all.
    sum_log_weight : float
        In the user's units.
    basis : Basis
    """

    columns: list
    names: list
    weights: np.ndarray
    keep: np.ndarray
    sum_log_weight: float
    basis: Basis

    @classmethod
    def check(cls, layout, vectors, y, sample_weight=None, basis=None):
        """Check rows laid out by ``layout``, and choose a basis unless one is given."""
        columns = [*vectors, y]
        names = [*layout.columns, "the response"]
        weights, keep = np.empty(0), None
        if sample_weight is not None:
            weights = np.array(sample_weight, dtype=np.float64)  # never read-only: one signature
            keep = _check_weights(weights, len(y))
            if keep.all():
                keep = None
            else:
                columns = [None if column is None else column[keep] for column in columns]
                weights = weights[keep]
        n = len(columns[-1])
        if n == 0:
            raise ValueError("there are no rows (with a positive weight) to fit.")
        sum_log_weight = float(np.log(weights).sum())
        if basis is None:
            basis = _choose_basis(layout, columns, names, weights)
        if weights.size:
            weights = weights / basis.weight_unit
        elif basis.weight_unit != 1.0:
            weights = np.full(n, 1.0 / basis.weight_unit)
        return cls(columns, names, weights, keep, sum_log_weight, basis)

    def __len__(self):
        return len(self.columns[-1])

    @property
    def weight(self):
        """Sum of the weights, in units of the basis."""
        return float(self.weights.sum()) if self.weights.size else float(len(self))

    def kept(self, codes):
        """Codes of these rows: int64, contiguous; empty for None."""
        if codes is None:
            return np.empty(0, dtype=np.int64)
        return codes if self.keep is None else codes[self.keep]

    def blocks(self):
        """Blocks of rows: their slice, the raw columns (c, n), room for weighted ones."""
        n = len(self)
        for lo in range(0, n, _ROWS_PER_BLOCK):
            rows = slice(lo, min(lo + _ROWS_PER_BLOCK, n))
            block = take_rows(self.columns, rows, rows.stop - lo)
            yield rows, block, np.empty_like(block) if self.weights.size else block

    def check_total(self, total):
        """Raise a ValueError that names the culprit unless the products are finite."""
        if not np.isfinite(total).all():
            _raise_not_finite(self.columns, self.names)


def _choose_basis(layout, columns, names, weights):
    """Look at rows spread over the data; all of them, where they are few."""
    n = len(columns[-1])
    rows = slice(None) if n <= _PILOT_ROWS else np.linspace(0, n - 1, _PILOT_ROWS).astype(np.int64)
    sample = take_rows(columns, rows, min(n, _PILOT_ROWS))
    basis, peak = Basis.pilot(layout, sample, float(weights.mean()) if weights.size else 1.0)
    if not _LEAST < peak.min() <= peak.max() < _LARGEST:
        _check_sizes(columns, names, peak.tolist())
    return basis


def take_rows(columns, rows, n):
    """Some rows of the columns as a (c, n) array."""
    block = np.empty((len(columns), n))
    for j, column in enumerate(columns):
        block[j] = 1.0 if column is None else column[rows]
    return block


def _check_sizes(columns, names, peaks):
    """Refuse values that cannot be squared, or are no numbers."""
    if np.inf in peaks:
        _raise_not_finite(columns, names)
    for peak, name in zip(peaks, names, strict=True):
        if peak >= _LARGEST or 0.0 < peak <= _LEAST:
            size = "large" if peak > 1.0 else "small"
            raise ValueError(
                f"the values of {_quoted(name)} are too {size} to be squared; rescale it."
            )


def _check_weights(weights, n):
    """Flag the rows with positive weight."""
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weights.shape}.")
    good = np.isfinite(weights) & (weights >= 0.0)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"sample_weight must be finite and not negative; row {row} has {weights[row]}."
        )
    return weights > 0.0


def _raise_not_finite(columns, names):
    for column, name in zip(columns, names, strict=True):
        if column is not None and not np.isfinite(column).all():
            row = int(np.argmin(np.isfinite(column)))
            what = "NaN" if np.isnan(column[row]) else "infinity"
            raise ValueError(
                f"{_quoted(name)} contains {what}, first in row {row}: drop or impute such rows "
                "(lmm() drops rows with missing values and says so)."
            )
    worst = names[int(np.argmax([0.0 if c is None else np.abs(c).max() for c in columns]))]
    raise ValueError(
        f"products of {_quoted(worst)} overflow: its values are too large; rescale it."
    )


def _quoted(name):
    return name if name == "the response" else f"column {name!r}"
