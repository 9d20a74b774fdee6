"""What is measured: a `Case` for the runner, and a `Problem` for the adapters."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

_RANDOM_TERM = re.compile(r"\((?P<lhs>[^|()]+?)\s*(?P<bar>\|\|?)\s*(?P<group>[\w:/]+)\s*\)")


class Unsupported(Exception):
    """The package has no way to express the problem."""


def drop(_):
    """Take a result of which only the time counts."""


@dataclass(frozen=True)
class Operation:
    """A callable with what the report should say about it.

    Attributes
    ----------
    call : callable
        Without arguments.
    how : str
        What is done, shown in place of the operation's name.
    share : float
        Part of the work that is done: seconds are divided by it.
    report : callable, optional
        What the call returned -> a dict of what is reported; not timed.
    """

    call: Callable
    how: str = ""
    share: float = 1.0
    report: Callable | None = None

    def __call__(self):
        """Do it."""
        return self.call()


@dataclass(frozen=True)
class Accuracy:
    """How a table over many models counts right answers.

    Attributes
    ----------
    field : str
        ``difference`` (of the objective) or ``error`` (of the values).
    close, right : float
        Bounds of a very good answer and of a right one.
    """

    field: str
    close: float
    right: float


@dataclass(frozen=True)
class Case:
    """One table of the report.

    Attributes
    ----------
    name, title : str
        The name on the command line and the line above the table.
    make : callable
        Without arguments: list of problems, each a dict with ``id``, ``formula`` and the
        data, ``frame`` (a pandas DataFrame) and/or ``arrays`` (dict of ndarrays). With
        ``reference`` the objective is compared; with ``expected`` (variant -> ``values`` and
        ``scale``) the values that an operation reports, those of the fixed effects in the order
        of the estimates ``beta``.
    entries : tuple of (str, str)
        Adapter and its variant, lmmfit's first.
    rounds : int
        Processes for each entry; the entries take turns.
    repeats : int
        Timed runs in each process; 0 runs once, without a warm-up.
    budget : float
        A process starts no further run after so many seconds of timed runs.
    timeout : float
        A process is stopped after so many seconds, the preparation of its data included. With
        several problems, a new process goes on after the one that took too long.
    warmup_groups : int or None
        Groups of the untimed first run; None is all of the data.
    units : (str, int) or None
        Report times divided by this count, e.g. ``("group", 100_000)``.
    trace : bool
        Report bytes that `tracemalloc` sees growing in repeated calls.
    cold : bool
        One run in a new process, no warm-up; the time is that of the whole process.
    commands : dict of str to str
        Instead of entries: Python programs that print seconds, label -> program.
    claims : tuple of Claim
        What the table is expected to show; each is reported as met or not met.
    accuracy : Accuracy or None
        Count right answers by package, instead of a line for each model.
    threads : int
        To which every library is held.
    exact : tuple of str
        Figures that are shown with ten digits rather than three.
    """

    name: str
    title: str
    make: Callable[[], list[dict]] = list
    entries: tuple[tuple[str, str], ...] = ()
    rounds: int = 3
    repeats: int = 5
    budget: float = 20.0
    timeout: float = 300.0
    warmup_groups: int | None = None
    units: tuple[str, int] | None = None
    trace: bool = False
    cold: bool = False
    commands: dict[str, str] = field(default_factory=dict)
    claims: tuple = ()
    accuracy: Accuracy | None = None
    threads: int = 1
    exact: tuple[str, ...] = ()


class Problem:
    """One model and its data, read from the files that the runner wrote.

    Parameters
    ----------
    spec : dict
        ``id``, ``formula``, ``reml``, and optionally ``weights`` and ``offset`` (columns),
        ``frame`` (a Parquet file), ``arrays`` (an npz file), ``resamples`` (of a bootstrap) and
        ``responses`` (how many columns of the arrays' ``Y`` are fitted one by one).
    """

    def __init__(self, spec):
        self.spec = spec
        self.id = spec["id"]
        self.formula = spec.get("formula")
        self.reml = spec.get("reml", True)
        self.weights = spec.get("weights")
        self.offset = spec.get("offset")
        self._groups = None

    def small(self, groups):
        """Return the same problem on its first groups only."""
        part = Problem(self.spec)
        part._groups = groups
        return part

    @cached_property
    def frame(self):
        """The data as a pandas DataFrame."""
        import pandas as pd

        frame = pd.read_parquet(self.spec["frame"])
        if self._groups is not None:
            first = frame[self.group].unique()[: self._groups]
            frame = frame[frame[self.group].isin(first)].reset_index(drop=True)
        return frame

    @cached_property
    def polars_frame(self):
        """The data as a polars DataFrame."""
        import polars as pl

        frame = pl.read_parquet(self.spec["frame"])
        frame = frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
        if self._groups is not None:
            first = frame[self.group].unique(maintain_order=True).head(self._groups)
            frame = frame.filter(pl.col(self.group).is_in(first.implode()))
        return frame

    @cached_property
    def arrays(self):
        """The data as a dict of ndarrays: y, X, Z, groups, ..."""
        with np.load(self.spec["arrays"]) as saved:
            arrays = dict(saved)
        if self._groups is not None:
            chosen = np.isin(arrays["groups"], np.unique(arrays["groups"])[: self._groups])
            for name in ("y", "Y", "X", "Z", "groups"):
                if name in arrays:
                    arrays[name] = arrays[name][chosen]
        return arrays

    @property
    def path(self):
        """The Parquet file."""
        return Path(self.spec["frame"])

    @cached_property
    def terms(self):
        """The random terms: matches with groups ``lhs``, ``bar`` and ``group``."""
        return list(_RANDOM_TERM.finditer(self.formula))

    @property
    def random(self):
        """The random terms, such as ``(Days | Subject)``."""
        return " + ".join(term.group(0) for term in self.terms)

    @cached_property
    def fixed_formula(self):
        """The formula without its random terms, such as ``Reaction ~ Days``."""
        response, right = _RANDOM_TERM.sub("", self.formula).split("~")
        fixed = [part.strip() for part in right.split("+") if part.strip()]
        return f"{response.strip()} ~ {' + '.join(fixed) or '1'}"

    @property
    def response(self):
        """The name of the response."""
        return self.formula.split("~")[0].strip()

    @property
    def slopes(self):
        """The left side of the only random term, such as ``Days``."""
        return self.terms[0]["lhs"]

    @property
    def correlated(self):
        """Whether the only random term has a single bar."""
        return self.terms[0]["bar"] == "|"

    @property
    def group(self):
        """The grouping column, of the first random term if there are several."""
        return re.split("[:/]", self.terms[0]["group"])[0]

    @property
    def single(self):
        """Whether there is one random term, whose group is a column."""
        return len(self.terms) == 1 and self.terms[0]["group"].isidentifier()
