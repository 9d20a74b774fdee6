"""What a table is expected to show, checked against its own rows."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_COMPARE = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Claim:
    """A number computed from the rows, and its bound.

    Attributes
    ----------
    text : str
        What is claimed, in words.
    value : callable
        Rows -> number; raises ValueError if the rows it needs are missing.
    sign, bound : str, float
        The claim is met if ``value sign bound``.
    unit : str
        Printed after the number.
    rivals : dict, optional
        Selects the rows of rivals; those not installed or failed are named in the result.
    """

    text: str
    value: Callable[[list[dict]], float]
    sign: str
    bound: float
    unit: str = ""
    rivals: dict | None = None

    def check(self, rows):
        """Return the claim with its value and whether it is met; None if it was not measured."""
        try:
            value = self.value(rows)
        except ValueError:
            value = None
        met = None if value is None else bool(_COMPARE[self.sign](value, self.bound))
        if value is not None and not math.isfinite(value):
            value = None
        return {
            "text": self.text,
            "value": value,
            "sign": self.sign,
            "bound": self.bound,
            "unit": self.unit,
            "met": met,
            "without": self._missing(rows),
        }

    def _missing(self, rows):
        absent = ("not installed", "failed")
        selected = [r for r in rows if self.rivals and _matches(r, self.rivals)]
        return sorted({r["adapter"] for r in selected if r["status"] in absent})


def faster(text, rival, ours, *, at_least):
    """Claim that the fastest row of `rival` takes so many times the slowest of `ours`."""

    def value(rows):
        return min(_medians(rows, rival)) / max(_medians(rows, ours))

    return Claim(f"faster {text}", value, ">=", at_least, " times", rival)


def within(text, numerator, denominator, *, at_most):
    """Claim that the slowest row of one kind takes at most so many times the fastest other."""

    def value(rows):
        return max(_medians(rows, numerator)) / min(_medians(rows, denominator))

    return Claim(text, value, "<=", at_most, " times")


def largest(text, key, where, *, at_most, scale=1.0, unit=""):
    """Claim a bound on the largest value of a field; rows that failed make it unmet."""

    def value(rows):
        selected = [row for row in rows if _matches(row, where)]
        if any(row["status"] != "ok" for row in selected):
            return float("inf")
        return max(abs(row[key]) * scale for row in selected if row.get(key) is not None)

    return Claim(text, value, "<=", at_most, unit)


def figure(text, name, where, *, at_least=None, at_most=None):
    """Claim a bound on every row's figure; rows that failed make it unmet."""
    bound, sign = (at_most, "<=") if at_least is None else (at_least, ">=")
    worst, failed = (max, math.inf) if at_least is None else (min, -math.inf)

    def value(rows):
        selected = [row for row in rows if _matches(row, where)]
        if any(row["status"] != "ok" for row in selected):
            return failed
        return worst(_figures(selected, name, where))

    return Claim(text, value, sign, bound)


def figure_ratio(text, name, rival, ours, *, at_least):
    """Claim that the least figure of `rival` is so many times the largest of `ours`."""

    def value(rows):
        least, largest = min(_figures(rows, name, rival)), max(_figures(rows, name, ours))
        return least / largest if largest else math.inf

    return Claim(text, value, ">=", at_least, " times", rival)


def figure_lead(text, name, rival, ours, *, at_least):
    """Claim that the least figure of `ours` is that much above the largest of `rival`."""

    def value(rows):
        return min(_figures(rows, name, ours)) - max(_figures(rows, name, rival))

    return Claim(text, value, ">=", at_least, "", rival)


def growth(text, where, *, over=None, above, at_least=None, at_most=None):
    """Claim the exponent with which times grow with the figure N, or their ratio to others does.

    It is the slope of a line through the logarithms, of all sizes above one, of the shortest
    times: what else the machine does can only make them longer.
    """
    bound, sign = (at_most, "<=") if at_least is None else (at_least, ">=")

    def value(rows):
        times = _by_size(rows, where)
        if over is not None:
            base = _by_size(rows, over)
            times = {n: times[n] / base[n] for n in times if n in base}
        sizes = [n for n in times if n > above]
        if len(sizes) < 2:
            raise ValueError("one size has no exponent")
        return float(np.polyfit(np.log(sizes), np.log([times[n] for n in sizes]), 1)[0])

    return Claim(text, value, sign, bound)


def _by_size(rows, where):
    """Return N -> the shortest time of the rows that have it."""
    selected = [row for row in rows if row["status"] == "ok" and _matches(row, where)]
    return {row["figures"]["N"]: min(row["seconds"]) for row in selected}


def _figures(rows, name, where):
    """Return a figure of the rows that have it."""
    selected = [row for row in rows if row["status"] == "ok" and _matches(row, where)]
    return [row["figures"][name] for row in selected if name in row.get("figures", {})]


def _medians(rows, where):
    return [row["median"] for row in rows if row["status"] == "ok" and _matches(row, where)]


def _matches(row, where):
    """Whether a row has the fields asked for; a leading ``!`` negates, a tuple offers several."""
    for field, wanted in where.items():
        options = wanted if isinstance(wanted, tuple) else (wanted,)
        positive = [o for o in options if not o.startswith("!")]
        negative = [o[1:] for o in options if o.startswith("!")]
        if row[field] in negative or (positive and row[field] not in positive):
            return False
    return True
