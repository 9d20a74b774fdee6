"""One read-only view of tabular input: data frames of any library, and arrays."""

import sys
from functools import cached_property

import numpy as np

__all__ = ["ArrayColumns", "FrameColumns", "PandasColumns", "as_columns"]


class ArrayColumns:
    """A two-dimensional array, its columns named ``x0``, ``x1``, ... unless told otherwise.

    Parameters
    ----------
    array : ndarray of shape (n_rows, n_columns)
    names : sequence of str, optional
    """

    def __init__(self, array, names=None):
        self.array = array
        self.names = list(names) if names is not None else [f"x{j}" for j in range(array.shape[1])]
        self.known = self.names

    def __len__(self):
        return len(self.array)

    def raw(self, name):
        """The column as it is."""
        _require(name, self)
        return self.array[:, self.names.index(name)]

    def is_numeric(self, name):
        """Whether the column holds numbers, or text or objects that can be read as such."""
        if self.array.dtype.kind in "biufmM":
            return self.array.dtype.kind not in "mM"
        try:
            self.raw(name).astype(np.float64)
        except (TypeError, ValueError):
            return False
        return True

    def numeric(self, name):
        """The column as numbers.

        Raises
        ------
        TypeError, ValueError
            If the column does not hold numbers.
        """
        column = self.raw(name)
        if column.dtype.kind in "biuf":
            return column
        if column.dtype.kind in "mM":
            raise ValueError(_not_numeric(name, column))
        try:
            return column.astype(np.float64)
        except ValueError as error:
            raise ValueError(_not_numeric(name, column)) from error

    def to_pandas(self, names):
        """Some columns as a pandas DataFrame, for formula engines."""
        import pandas

        return pandas.DataFrame({name: self.raw(name) for name in names})


class PandasColumns:
    """A pandas DataFrame, read directly: on small data the detour costs more than the fit.

    Parameters
    ----------
    frame : pandas.DataFrame
    known : list of str, optional
        Columns of the frame that this one was taken from, for messages.
    names : list of str, optional
        The columns to view; all by default.
    """

    def __init__(self, frame, known=None, names=None):
        self.frame = frame
        self.names = frame.columns.tolist() if names is None else names
        self.known = self.names if known is None else known
        self._series = {}

    def __len__(self):
        return len(self.frame)

    def raw(self, name):
        """The column as a pandas Series."""
        if name not in self._series:
            _require(name, self)
            self._series[name] = self.frame[name]
        return self._series[name]

    def is_numeric(self, name):
        """Whether the column holds numbers or booleans."""
        return _kind(self.raw(name).dtype) in "biuf"

    def numeric(self, name):
        """The column as an array of numbers, without a copy where the frame allows it.

        Raises
        ------
        ValueError
            If the column does not hold numbers.
        """
        series = self.raw(name)
        if _kind(series.dtype) not in "biuf":
            raise ValueError(_not_numeric(name, series.to_numpy()))
        column = series.to_numpy()
        if column.dtype.kind not in "biuf":  # nullable numbers
            column = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return column

    def missing(self, name):
        """Flags of missing values, or None where there are none."""
        series = self.raw(name)
        kind = getattr(series.dtype, "kind", "O") if isinstance(series.dtype, np.dtype) else "O"
        if kind in "biu" or (kind == "f" and not np.isnan(series.to_numpy().sum())):
            return None
        if hasattr(series.dtype, "categories"):
            flags = series.array.codes < 0
        else:
            flags = series.isna().to_numpy()
        return flags if flags.any() else None

    def select(self, names):
        """The view of some columns; the frame itself is not copied."""
        selected = PandasColumns(self.frame, self.known, names)
        selected._series = self._series  # what was taken from the frame already
        return selected

    def filter(self, keep):
        """The view of the rows that are flagged."""
        return PandasColumns(self.frame.loc[keep, self.names], self.known)

    def to_pandas(self, names):
        """Some columns as a pandas DataFrame, for formula engines."""
        return self.frame[names]

    def native(self):
        """The frame as the user gave it."""
        return self.frame


class FrameColumns:
    """A data frame of another library: polars, pyarrow, or any that narwhals reads.

    Parameters
    ----------
    frame : narwhals.DataFrame
    known : list of str, optional
        Columns of the frame that this one was taken from, for messages.
    """

    def __init__(self, frame, known=None):
        self.frame = frame
        self.names = list(frame.columns)
        self.known = self.names if known is None else known

    def __len__(self):
        return len(self.frame)

    @cached_property
    def schema(self):
        """Types of the columns."""
        return self.frame.schema

    def raw(self, name):
        """The column as a narwhals series."""
        _require(name, self)
        return self.frame.get_column(name)

    def is_numeric(self, name):
        """Whether the column holds numbers or booleans."""
        import narwhals as nw

        return self.schema[name].is_numeric() or self.schema[name] == nw.Boolean

    def numeric(self, name):
        """The column as an array of numbers, without a copy where the frame allows it.

        Raises
        ------
        ValueError
            If the column does not hold numbers.
        """
        import narwhals as nw

        series = self.raw(name)
        if not self.is_numeric(name):
            raise ValueError(_not_numeric(name, series.to_list()))
        column = series.to_numpy()
        return column if column.dtype.kind in "biuf" else series.cast(nw.Float64).to_numpy()

    def missing(self, name):
        """Flags of missing values, or None where there are none."""
        series = self.raw(name)
        flags = series.is_null()
        if series.dtype.is_float():
            flags = flags | series.is_nan()
        return flags.to_numpy() if flags.any() else None

    def select(self, names):
        """The view of some columns."""
        return FrameColumns(self.frame.select(names), self.known)

    def filter(self, keep):
        """The view of the rows that are flagged."""
        return FrameColumns(self.frame.filter(keep.tolist()), self.known)

    def to_pandas(self, names):
        """Some columns as a pandas DataFrame, for formula engines."""
        return self.frame.select(names).to_pandas()

    def native(self):
        """The frame as the user gave it."""
        return self.frame.to_native()


def as_columns(X):
    """View a data frame by columns; a view is returned as it is.

    Parameters
    ----------
    X : object

    Returns
    -------
    PandasColumns, FrameColumns or None
        None unless X is a data frame with columns named by strings: a frame with other names
        is an array with labels that no formula can mention.

    Raises
    ------
    ValueError
        If two columns have the same name.
    TypeError
        If X is a lazy frame.

    Examples
    --------
    >>> import pandas
    >>> from lmmfit.mixed.columns import as_columns
    >>> as_columns(pandas.DataFrame({"x": [1.0], "g": ["a"]})).names
    ['x', 'g']
    """
    if isinstance(X, np.ndarray):
        return None
    if isinstance(X, PandasColumns | FrameColumns):
        return X
    pandas = sys.modules.get("pandas")
    columns = PandasColumns(X) if pandas and isinstance(X, pandas.DataFrame) else _view_frame(X)
    if columns is None or not all(isinstance(name, str) for name in columns.names):
        return None
    if len(set(columns.names)) < len(columns.names):
        twice = sorted({name for name in columns.names if columns.names.count(name) > 1})
        raise ValueError(f"columns {twice} occur more than once; rename or drop the copies.")
    return columns


def _view_frame(X):
    """View a frame of any library that narwhals reads; None for anything else."""
    import narwhals as nw

    X = nw.to_native(X, pass_through=True)
    if hasattr(X, "collect") and hasattr(X, "collect_schema") and not hasattr(X, "to_numpy"):
        raise TypeError("X is a LazyFrame: call .collect() on it first.")
    if nw.dependencies.is_pandas_dataframe(X):
        return PandasColumns(X)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return FrameColumns(frame) if isinstance(frame, nw.DataFrame) else None


def _require(name, columns):
    if name not in columns.names:
        raise ValueError(
            f"the data have no column {name!r}; they have {len(columns.known)} feature(s): "
            f"{columns.known}."
        )


def _kind(dtype):
    """Kind of a pandas type: that of its numbers, "O" for anything else."""
    kind = getattr(dtype, "kind", "O")
    return kind if getattr(dtype, "_is_numeric", True) or kind == "b" else "O"


def _not_numeric(name, values):
    row = next((i for i, v in enumerate(values) if not isinstance(v, int | float)), 0)
    example = values[row]
    if example is None:
        return f"column {name!r} has a missing value (None) in row {row}: drop or impute it."
    return (
        f"column {name!r} holds {example!r} in row {row}, which is no number: encode it "
        "(OneHotEncoder in a pipeline), name it as a grouping column in random, or give a "
        "formula to lmm() or fixed=, which code categorical columns."
    )
