"""One read-only view of tabular input: data frames of any library, and arrays."""

import numpy as np

__all__ = ["ArrayColumns", "FrameColumns", "as_columns"]


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

    def __len__(self):
        return len(self.array)

    def raw(self, name):
        """The column as it is."""
        return self.array[:, self.names.index(name)]

    def is_numeric(self, name):
        """Whether the column holds numbers (an object column counts: it is converted)."""
        return self.array.dtype.kind in "biufO"

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
        try:
            return column.astype(np.float64)
        except ValueError as error:
            raise ValueError(_not_numeric(name, column[0])) from error

    def native(self):
        """The columns as a mapping, for formula engines."""
        return {name: self.raw(name) for name in self.names}


class FrameColumns:
    """A data frame: pandas, polars, pyarrow, or any other that narwhals reads.

    Parameters
    ----------
    frame : narwhals.DataFrame
    """

    def __init__(self, frame):
        self.frame = frame
        self.names = list(frame.columns)

    def __len__(self):
        return len(self.frame)

    def raw(self, name):
        """The column as a narwhals series."""
        return self.frame.get_column(name)

    def is_numeric(self, name):
        """Whether the column holds numbers or booleans."""
        return _is_number(self.frame.schema[name])

    def numeric(self, name):
        """The column as an array of numbers, without a copy where the frame allows it.

        Raises
        ------
        ValueError
            If the column does not hold numbers.
        """
        series = self.raw(name)
        if not _is_number(series.dtype):
            example = series[0] if len(series) else None
            raise ValueError(_not_numeric(name, example))
        column = series.to_numpy()
        return column if column.dtype.kind in "biuf" else series.cast(_float64()).to_numpy()

    def native(self):
        """The frame as the user gave it."""
        return self.frame.to_native()


def as_columns(X):
    """View tabular input by columns.

    Parameters
    ----------
    X : data frame or ndarray of shape (n_rows, n_columns)

    Returns
    -------
    FrameColumns or ArrayColumns

    Raises
    ------
    ValueError
        If two columns of a frame have the same name.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed.columns import as_columns
    >>> as_columns(np.eye(3)).names
    ['x0', 'x1', 'x2']
    """
    if isinstance(X, np.ndarray):
        return ArrayColumns(X)
    import narwhals as nw

    return FrameColumns(nw.from_native(X, eager_only=True))


def is_frame(X):
    """Whether X is a data frame that narwhals reads eagerly."""
    import narwhals as nw

    return isinstance(nw.from_native(X, eager_only=True, pass_through=True), nw.DataFrame)


def _is_number(dtype):
    import narwhals as nw

    return dtype.is_numeric() or dtype == nw.Boolean


def _float64():
    import narwhals as nw

    return nw.Float64


def _not_numeric(name, example):
    return (
        f"column {name!r} holds {example!r}, which is no number: encode it (OneHotEncoder in a "
        "pipeline), name it as a grouping column in random, or give a formula to lmm() or "
        "fixed=, which code categorical columns."
    )
