"""The registry of tables and the one reader behind every loader.

A table is three files that share its name: ``data/NAME.csv.gz``, ``descr/NAME.rst`` and an
entry of ``data/levels.json``, which keeps the levels of its factors in R's order. The order
matters: treatment contrasts take the first level as the baseline.
"""

import csv
import gzip
import json
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain

import numpy as np
from sklearn.utils import Bunch

__all__ = ["TABLES", "Table", "load_table", "require_pandas"]


@dataclass(frozen=True)
class Table:
    """What the reader must know of a table.

    Attributes
    ----------
    name : str
        Its name in R, and the stem of its files.
    target : str
        The response.
    features : tuple of str
        The other columns, in the order in which loaders return them.
    categorical : tuple of str
        Those of the features that are factors.
    """

    name: str
    target: str
    features: tuple[str, ...]
    categorical: tuple[str, ...]

    @property
    def file(self):
        """The compressed CSV, a resource of this package."""
        return files("lmmfit.datasets").joinpath("data", f"{self.name}.csv.gz")

    @property
    def description(self):
        """The text of ``DESCR``."""
        descr = files("lmmfit.datasets").joinpath("descr", f"{self.name}.rst")
        return descr.read_text(encoding="utf-8")

    @property
    def categories(self):
        """The levels of each factor, in R's order."""
        resource = files("lmmfit.datasets").joinpath("data", "levels.json")
        levels = json.loads(resource.read_text(encoding="utf-8"))[self.name]
        return {column: np.array(levels[column]) for column in self.categorical}


TABLES = {
    table.name: table
    for table in (
        Table("sleepstudy", "Reaction", ("Days", "Subject"), ("Subject",)),
        Table("Nile", "volume", ("year",), ()),
        Table("Dyestuff", "Yield", ("Batch",), ("Batch",)),
        Table("Dyestuff2", "Yield", ("Batch",), ("Batch",)),
        Table("Penicillin", "diameter", ("plate", "sample"), ("plate", "sample")),
        Table("Pastes", "strength", ("batch", "cask", "sample"), ("batch", "cask", "sample")),
        Table("Orthodont", "distance", ("age", "Subject", "Sex"), ("Subject", "Sex")),
        Table("Machines", "score", ("Worker", "Machine"), ("Worker", "Machine")),
        Table("Oats", "yield", ("Block", "Variety", "nitro"), ("Block", "Variety")),
        Table(
            "RatPupWeight",
            "weight",
            ("sex", "Litter", "Lsize", "Treatment"),
            ("sex", "Litter", "Treatment"),
        ),
        Table(
            "InstEval",
            "y",
            ("s", "d", "studage", "lectage", "service", "dept"),
            ("s", "d", "studage", "lectage", "service", "dept"),
        ),
    )
}


def load_table(name, *, return_X_y, as_frame):
    """Load a registered table as a Bunch, or as ``(X, y)``."""
    table = TABLES[name]
    pandas = require_pandas() if as_frame else None
    categories = table.categories
    columns = _read(table, categories)
    target = columns.pop(table.target)
    frame = None
    if as_frame:
        for column, levels in categories.items():
            codes = columns[column].astype(np.intp)
            columns[column] = pandas.Categorical.from_codes(codes, levels)
        columns[table.target] = target
        frame = pandas.DataFrame(columns)
        data, target = frame[list(table.features)], frame[table.target]
    else:
        data = np.column_stack(list(columns.values()))
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=list(table.features),
        target_names=[table.target],
        DESCR=table.description,
        filename=str(table.file),
        categories=categories,
    )


def require_pandas():
    """Import pandas, or say how to get it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "as_frame=True needs pandas, which is not installed: `pip install pandas`, or "
            "use as_frame=False for arrays."
        ) from error
    return pandas


def _read(table, categories):
    """Read the features in their order, then the target, each as float64; factors as codes."""
    with (
        table.file.open("rb") as stream,
        gzip.open(stream, "rt", encoding="utf-8", newline="") as lines,
    ):
        rows = csv.reader(lines)
        header = next(rows)
        cells = list(chain.from_iterable(rows))
    text = {column: cells[i :: len(header)] for i, column in enumerate(header)}
    columns = {}
    for column in (*table.features, table.target):
        parse = float
        if column in categories:
            parse = {level: i for i, level in enumerate(categories[column].tolist())}.__getitem__
        columns[column] = np.fromiter(map(parse, text[column]), dtype=float)
    return columns
