"""Grouping factors: from columns of labels to integer codes and levels."""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed._row_kernels import whole_numbers

__all__ = ["GroupLevels", "encode", "factorize"]


@dataclass(frozen=True, eq=False)
class GroupLevels:
    """The levels of a grouping factor.

    Attributes
    ----------
    names : tuple of str
        The columns that make up the factor.
    parts : tuple of ndarray
        For each column its distinct labels.
    combinations : ndarray of shape (n_levels, n_columns), int64
        For each level the position of its label in each of ``parts``.
    """

    names: tuple
    parts: tuple
    combinations: np.ndarray

    def __len__(self):
        return len(self.combinations)

    @property
    def labels(self):
        """Labels of the levels: as in the column, or joined by ``:`` for several columns."""
        columns = [
            part[codes] for part, codes in zip(self.parts, self.combinations.T, strict=True)
        ]
        if len(columns) == 1:
            return columns[0]
        return np.array([":".join(map(str, row)) for row in zip(*columns, strict=True)], object)

    def find(self, columns):
        """Codes of new rows among these levels, -1 for a combination never seen.

        Parameters
        ----------
        columns : list
            For each of ``names`` the new labels (array or data-frame column).

        Returns
        -------
        ndarray of shape (n_rows,), int64
        """
        encoded = [
            _find_labels(column, part, name)
            for column, part, name in zip(columns, self.parts, self.names, strict=True)
        ]
        if len(encoded) == 1:
            positions = np.full(len(self.parts[0]) + 1, -1)
            positions[self.combinations[:, 0]] = np.arange(len(self))
            return positions[encoded[0]]
        keys = self._keys(self.combinations)
        order = np.argsort(keys)
        wanted = self._keys(np.stack(encoded, axis=1))
        at = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
        unseen = (np.stack(encoded) < 0).any(axis=0) | (keys[order[at]] != wanted)
        return np.where(unseen, -1, order[at])

    def union(self, other):
        """Levels of both, and where those of each are found in it.

        Returns
        -------
        levels : GroupLevels
        own, theirs : ndarray of int64
            Position in ``levels`` of each level of ``self`` and of ``other``.
        """
        if self.names != other.names:
            raise ValueError(
                f"statistics grouped by {':'.join(self.names)!r} and by "
                f"{':'.join(other.names)!r} cannot be added."
            )
        parts, moves = [], []
        for name, mine, new in zip(self.names, self.parts, other.parts, strict=True):
            known = {label: i for i, label in enumerate(mine.tolist())}
            _check_kinds(known, new.tolist(), name)
            added = [label for label in new.tolist() if label not in known]
            known.update((label, len(mine) + i) for i, label in enumerate(added))
            extra = np.array(added, dtype=mine.dtype if len(added) == 0 else new.dtype)
            parts.append(np.concatenate([mine, extra]) if added else mine)
            moves.append(np.array([known[label] for label in new.tolist()], dtype=np.int64))
        moved = np.stack(
            [move[c] for move, c in zip(moves, other.combinations.T, strict=True)], axis=1
        )
        merged = GroupLevels(self.names, tuple(parts), self.combinations)
        keys, new_keys = merged._keys(self.combinations), merged._keys(moved)
        position = {key: i for i, key in enumerate(keys.tolist())}
        fresh = [i for i, key in enumerate(new_keys.tolist()) if key not in position]
        position.update((int(new_keys[i]), len(keys) + k) for k, i in enumerate(fresh))
        theirs = np.array([position[key] for key in new_keys.tolist()], dtype=np.int64)
        combinations = np.concatenate([self.combinations, moved[fresh]])
        return GroupLevels(self.names, tuple(parts), combinations), np.arange(len(self)), theirs

    def _keys(self, combinations):
        """One integer for each combination (mixed radix)."""
        keys = np.zeros(len(combinations), dtype=np.int64)
        for part, codes in zip(self.parts, np.asarray(combinations).T, strict=True):
            keys = keys * (len(part) + 1) + codes
        return keys


def encode(columns, names):
    """Code the rows by the combinations of labels that occur.

    Parameters
    ----------
    columns : list
        Columns of labels: arrays, or columns of a data frame.
    names : tuple of str
        Their names.

    Returns
    -------
    codes : ndarray of shape (n_rows,), int64
    levels : GroupLevels
        Sorted; a categorical column keeps the order of its categories.

    Raises
    ------
    ValueError
        If a label is missing; the message names the column and the row.
    """
    factors = [factorize(column, name) for column, name in zip(columns, names, strict=True)]
    parts = tuple(labels for _, labels in factors)
    if len(factors) == 1:
        return factors[0][0], GroupLevels(
            tuple(names), parts, np.arange(len(parts[0]), dtype=np.int64)[:, None]
        )
    sizes = [len(part) for part in parts]
    keys = np.ravel_multi_index([codes for codes, _ in factors], sizes)
    present, codes = np.unique(keys, return_inverse=True)
    combinations = np.stack(np.unravel_index(present, sizes), axis=1).astype(np.int64)
    return codes.astype(np.int64, copy=False), GroupLevels(tuple(names), parts, combinations)


def factorize(column, name):
    """Codes and sorted labels of one column.

    Parameters
    ----------
    column : ndarray or data-frame column
        Labels: integers, strings, booleans, categories or any hashable values.
    name : str
        Name of the column, for messages.

    Returns
    -------
    codes : ndarray of shape (n_rows,), int64
    labels : ndarray of shape (n_labels,)

    Raises
    ------
    ValueError
        If a label is missing.
    TypeError
        If labels cannot be compared.

    Examples
    --------
    >>> import numpy as np
    >>> from lmmfit.mixed.factors import factorize
    >>> codes, labels = factorize(np.array(["b", "a", "b"]), "g")
    >>> codes, labels
    (array([1, 0, 1]), array(['a', 'b'], dtype=object))
    """
    try:
        if isinstance(column, np.ndarray):
            codes, labels = _factorize_array(column)
        elif hasattr(column, "array"):
            codes, labels = _factorize_pandas(column)
        else:
            codes, labels = _factorize_series(column)
    except TypeError as error:
        raise TypeError(
            f"grouping column {name!r} holds labels that cannot be compared ({error}): each "
            "argument must be a string or a number."
        ) from error
    if codes.size and codes.min() < 0:
        row = int(np.argmin(codes))
        raise ValueError(
            f"grouping column {name!r} has a missing label (NaN) in row {row}: drop such rows, "
            "or give them a label of their own."
        )
    return codes, labels


def _factorize_array(values):
    kind = values.dtype.kind
    if kind == "f":
        return _factorize_floats(values)
    if kind in "iu":
        return _factorize_integers(values)
    if kind in "bmM":
        labels, codes = np.unique(values, return_inverse=True)
        return codes, labels
    return _factorize_objects(values.tolist())


def _factorize_floats(values):
    """Whole numbers as integers; anything else by value."""
    whole = np.empty(values.size, dtype=np.int64)
    low, high, is_whole, is_finite = whole_numbers(np.ascontiguousarray(values), whole)
    if not is_finite:
        return np.where(np.isfinite(values), 0, -1), values[:0]
    if is_whole:
        return _count_through(whole, low, high)
    labels, codes = np.unique(values, return_inverse=True)
    return codes, labels


def _factorize_integers(values):
    if not values.size:
        return values.astype(np.int64), values
    low, high = int(values.min()), int(values.max())
    if high > np.iinfo(np.int64).max:
        labels, codes = np.unique(values, return_inverse=True)
        return codes, labels
    return _count_through(values.astype(np.int64, copy=False), low, high)


def _count_through(whole, low, high):
    """Codes of integers by counting, where their range is not much wider than they are many."""
    if not whole.size:
        return whole, whole
    if high - low > 4 * whole.size + 1000:
        labels, codes = np.unique(whole, return_inverse=True)
        return codes, labels
    codes = whole - low if low else whole
    present = np.zeros(high - low + 1, dtype=bool)
    present[codes] = True
    labels = np.flatnonzero(present)
    if len(labels) == len(present):
        return codes, labels + low
    return (np.cumsum(present) - 1)[codes], labels + low


def _factorize_objects(values):
    """Any hashable labels, by dictionary; sorted where they can be compared."""
    positions = {}
    codes = [positions.setdefault(value, len(positions)) for value in values]
    codes = np.array(codes, dtype=np.int64)
    labels = list(positions)
    missing = [i for i, label in enumerate(labels) if label is None or label != label]
    try:
        order = sorted((i for i in range(len(labels)) if i not in missing), key=labels.__getitem__)
    except TypeError:  # labels of several kinds keep the order of appearance
        order = [i for i in range(len(labels)) if i not in missing]
    rank = np.full(len(labels), -1)
    rank[order] = np.arange(len(order))
    sorted_labels = np.empty(len(order), dtype=object)
    sorted_labels[:] = [labels[i] for i in order]
    return rank[codes] if codes.size else codes, sorted_labels


def _factorize_pandas(series):
    """A pandas Series, with pandas' hashing for anything but whole numbers."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        return _factorize_array(series.to_numpy())
    if hasattr(dtype, "categories"):
        return _used_categories(series.array.codes.astype(np.int64), dtype.categories.to_numpy())
    codes, labels = series.factorize(sort=False)
    codes, objects = np.asarray(codes, np.int64), np.asarray(labels, dtype=object)
    return _sorted_codes(codes, objects, labels.array)  # arrow sorts text ten times faster


def _factorize_series(series):
    """A narwhals series of another library, with that library's hashing where it has one."""
    import narwhals as nw

    dtype = series.dtype
    if dtype.is_integer() and not series.null_count():
        return _factorize_integers(series.to_numpy())
    if dtype.is_float():
        return _factorize_floats(np.asarray(series.to_numpy(), dtype=np.float64))
    if dtype == nw.Categorical and series.implementation.is_polars():
        series, dtype = series.cast(nw.String), nw.String  # polars keeps no order of categories
    if dtype in (nw.Categorical, nw.Enum):
        categories = _objects(_categories(series))
        position = {category: i for i, category in enumerate(categories.tolist())}
        codes = np.array([position.get(value, -1) for value in series.to_list()], dtype=np.int64)
        return _used_categories(codes, categories)
    if series.implementation.is_polars() and dtype == nw.String:
        labels = series.unique().drop_nulls().sort()
        codes = nw.to_native(series.cast(nw.Enum(labels.to_list()))).to_physical()
        return codes.cast(int).fill_null(-1).to_numpy().astype(np.int64), _objects(labels)
    return _factorize_objects(series.to_list())


def _categories(series):
    """Categories of a series, in their order."""
    import narwhals.stable.v2 as stable

    if hasattr(series.dtype, "categories"):
        return series.dtype.categories
    native = stable.from_native(series.to_native(), series_only=True)
    return native.cat.get_categories().to_list()


def _used_categories(codes, categories):
    """Categories in their order; those that do not occur are left out."""
    present = np.bincount(codes + 1, minlength=len(categories) + 1)[1:] > 0
    if present.all():
        return codes, categories
    rank = np.append(np.where(present, np.cumsum(present) - 1, -1), -1)
    return rank[codes], categories[present]


def _sorted_codes(codes, labels, sortable):
    try:
        order = sortable.argsort()
    except TypeError:  # labels of several kinds keep the order of appearance
        return codes, labels
    rank = np.empty(len(labels) + 1, dtype=np.int64)
    rank[order] = np.arange(len(labels))
    rank[-1] = -1
    return rank[codes], labels[order]


def _objects(labels):
    out = np.empty(len(labels), dtype=object)
    out[:] = list(labels)
    return out


def _find_labels(column, labels, name):
    """Codes of new labels among known ones, -1 for those never seen."""
    codes, new = factorize(column, name)
    known = {label: i for i, label in enumerate(labels.tolist())}
    new = new.tolist()
    _check_kinds(known, new, name)
    return np.array([known.get(label, -1) for label in new] + [-1], dtype=np.int64)[codes]


def _kind(label):
    if isinstance(label, str):
        return "text"
    return "number" if isinstance(label, int | float) else type(label).__name__


def _check_kinds(known, new, name):
    """Text never equals a number or a date: no level would be recognised."""
    if known and new and _kind(next(iter(known))) != _kind(new[0]):
        raise ValueError(
            f"grouping column {name!r} held labels such as {next(iter(known))!r} at fit and holds "
            f"{new[0]!r} now: convert it to the same type, or no level can be recognised."
        )
