"""A small table of named columns: printed, indexed, and handed to pandas on request."""

import html

import numpy as np

__all__ = ["Table"]


class Table:
    """Columns of equal length under names.

    Parameters
    ----------
    columns : dict of str to array-like
        In the order in which they are shown.
    digits : int, default=5
        Significant digits of numbers in print; correlations have three decimals.
    note : str, default=""
        A remark that is printed below.

    Examples
    --------
    >>> from lmmfit.mixed import Table
    >>> table = Table({"name": ["a", "b"], "estimate": [1.0, 2.5]})
    >>> table["estimate"]
    array([1. , 2.5])
    >>> print(table)
    name  estimate
    a       1.0000
    b       2.5000
    """

    def __init__(self, columns, digits=5, note=""):
        self._columns = {name: np.asarray(values) for name, values in columns.items()}
        self._digits, self.note = digits, note
        lengths = {name: len(values) for name, values in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of a table must be equally long, got {lengths}.")

    @property
    def columns(self):
        """Names of the columns."""
        return list(self._columns)

    def __getitem__(self, name):
        if name not in self._columns:
            raise KeyError(f"{name!r} is not a column; the columns are {self.columns}.")
        return self._columns[name]

    def __len__(self):
        return len(next(iter(self._columns.values()), ()))

    def __iter__(self):
        return iter(self._columns)

    def row(self, label):
        """The row whose first column equals ``label``, as a dict.

        Parameters
        ----------
        label : object

        Returns
        -------
        dict

        Raises
        ------
        KeyError
            If no row has that label.
        """
        first = next(iter(self._columns.values()))
        found = np.flatnonzero(first == label)
        if not found.size:
            raise KeyError(f"no row {label!r}; the rows are {first.tolist()}.")
        return {
            name: values[found[0] : found[0] + 1].tolist()[0]
            for name, values in self._columns.items()
        }

    def to_frame(self):
        """The table as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_frame() needs pandas: `pip install pandas`.") from error
        return pandas.DataFrame(self._columns)

    def cells(self):
        """Rows of formatted text, the header first."""
        body = [[self._format(name, value) for value in self[name]] for name in self]
        return [list(self), *map(list, zip(*body, strict=True))]

    def __str__(self):
        cells = self.cells()
        text = [self[name].dtype.kind not in "biuf" for name in self]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for row in cells:
            padded = [
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(row, widths, text, strict=True)
            ]
            lines.append("  ".join(padded).rstrip())
        return "\n".join([*lines, *([f"Note: {self.note}"] if self.note else [])])

    __repr__ = __str__

    def _repr_html_(self):
        header, *rows = self.cells()
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        note = f"<p><b>Note:</b> {html.escape(self.note)}</p>" if self.note else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"

    def _format(self, name, value):
        if self[name].dtype.kind != "f":
            return str(value)
        if np.isnan(value):
            return ""
        if name == "p_value":
            return "<1e-16" if value < 1e-16 else f"{value:.3g}"
        if name.startswith("corr"):
            return f"{value:.3f}"
        return f"{value:#.{self._digits}g}".removesuffix(".")
