"""The normal equations of the random effects of several grouping factors, in blocks.

Factors that are nested in one another are eliminated level by level, the finest first, which
fills nothing (their blocks stay block-diagonal); all others together make the dense part. The
chain of nested factors is chosen so that the dense part is as small as possible: with crossed
factors it is the largest factor alone (Bates et al. 2015, section 5; Bates 2018).
"""

from dataclasses import dataclass
from itertools import accumulate
from weakref import WeakKeyDictionary

import numpy as np

from lmmfit.mixed.crossed import factor_products

__all__ = ["DENSE_LIMIT", "BlockSystem"]

_KNOWN = WeakKeyDictionary()  # a model needs its system for the fit and for all inference
DENSE_LIMIT = 10_000  # unknowns of the dense part: four matrices of 0.8 GB


@dataclass(frozen=True, eq=False)
class BlockSystem:
    """Products of the random effects, laid out in the order of their elimination.

    Attributes
    ----------
    sparse, dense : tuple of int
        Factors eliminated level by level, and those of the dense part.
    effects : list of ndarray
        For each factor the positions of its random effects in the model.
    sizes : tuple of int
        Levels of each factor.
    starts : tuple of int
        First unknown of each factor.
    shape, pointer, index, parent, link : ndarray of int64
        Structure of the sparse part: see the kernels.
    gram, values, dense_gram : ndarray
        Products: of nodes (nodes x q x q), of their lists (entries x q), and of the dense part
        (lower triangle).
    cross : ndarray of shape (n_unknowns, p + 1)
        Products with the fixed effects and the response.
    owner : ndarray of shape (n_dense, 2)
        Position in ``dense`` of the factor of each unknown, and its place in the level.
    """

    sparse: tuple
    dense: tuple
    effects: list
    sizes: tuple
    starts: tuple
    shape: np.ndarray
    pointer: np.ndarray
    index: np.ndarray
    parent: np.ndarray
    link: np.ndarray
    gram: np.ndarray
    values: np.ndarray
    dense_gram: np.ndarray
    cross: np.ndarray
    owner: np.ndarray

    @classmethod
    def of(cls, statistics):
        """The system of some statistics: that of an earlier call while they live.

        Parameters
        ----------
        statistics : MixedStatistics or CrossedStatistics

        Returns
        -------
        BlockSystem
        """
        if statistics not in _KNOWN:
            _KNOWN[statistics] = cls.build(statistics)
        return _KNOWN[statistics]

    @classmethod
    def build(cls, statistics):
        """Order the factors of a model and lay out their products.

        Parameters
        ----------
        statistics : MixedStatistics or CrossedStatistics

        Returns
        -------
        BlockSystem

        Raises
        ------
        ValueError
            If the dense part would be too large.
        """
        factors, pairs = factor_products(statistics)
        effects = statistics.layout.effects
        sparse = _longest_chain(factors, pairs)
        dense = tuple(f for f in range(len(factors)) if f not in sparse)
        order = sparse + dense
        widths = [len(factors[f]) * len(effects[f]) for f in order]
        at = dict(zip(order, accumulate([0, *widths]), strict=False))
        n_sparse, n = sum(widths[: len(sparse)]), sum(widths)
        _check_dense(n - n_sparse, dense, statistics)
        size = max((len(own) for own in effects), default=0)
        shape = np.zeros((len(sparse) + 1, 3), dtype=np.int64)
        for k, f in enumerate(sparse):
            shape[k, 1:] = at[f], len(effects[f])
            shape[k + 1, 0] = shape[k, 0] + len(factors[f])
        shape[-1, 1] = n_sparse
        gram = np.zeros((shape[-1, 0], size, size))
        for k, f in enumerate(sparse):
            q = len(effects[f])
            gram[shape[k, 0] : shape[k + 1, 0], :q, :q] = factors[f].gram
        lists = [_lists(k, order, factors, pairs, effects, at, size) for k in range(len(sparse))]
        pointer = np.append(0, np.cumsum(np.concatenate([own[0] for own in lists] or [[]])))
        pointer = pointer.astype(np.int64)
        index = np.concatenate([own[1] for own in lists] or [np.empty(0, np.int64)])
        values = np.concatenate([own[2] for own in lists] or [np.empty((0, size))])
        parent, link = _links(sparse, pairs, shape, pointer, index, n)
        cross = [factors[f].cross.reshape(-1, factors[f].cross.shape[2]) for f in order]
        owner = [
            (k, place) for k, f in enumerate(dense)
            for _ in range(len(factors[f])) for place in range(len(effects[f]))
        ]  # fmt: skip
        return cls(
            sparse, dense, effects, tuple(map(len, factors)),
            tuple(at[f] for f in range(len(factors))), shape, pointer, index, parent, link, gram,
            values, _dense_gram(dense, factors, pairs, effects, at, n_sparse, n - n_sparse),
            np.concatenate(cross or [np.empty((0, len(statistics.layout.fixed) + 1))]),
            np.array(owner, dtype=np.int64).reshape(-1, 2),
        )  # fmt: skip

    def __len__(self):
        return len(self.cross)

    @property
    def n_dense(self):
        """Number of unknowns of the dense part."""
        return len(self.dense_gram)

    @property
    def first_dense(self):
        """First unknown of the dense part."""
        return int(self.shape[-1, 1])

    def rows(self, f):
        """Unknowns of a factor, as a slice."""
        return slice(self.starts[f], self.starts[f] + self.sizes[f] * len(self.effects[f]))

    def by_level(self, array, f):
        """Rows of a factor of an array of unknowns (n, ...), as a view (levels, q, ...)."""
        own = array[self.rows(f)]
        return own.reshape(self.sizes[f], len(self.effects[f]), *array.shape[1:])


def _longest_chain(factors, pairs):
    """The chain of factors, each nested in the next, that leaves the fewest unknowns."""
    n = len(factors)
    weight = [part.gram.shape[0] * part.gram.shape[1] for part in factors]
    order = sorted(range(n), key=lambda f: (len(factors[f]), -f))  # the coarsest first
    best = {}
    for f in order:
        chains = [best[g] for g in best if _is_nested(f, g, factors, pairs)]
        above = max(chains, key=lambda chain: sum(weight[g] for g in chain), default=())
        best[f] = (f, *above)
    return max(best.values(), key=lambda chain: sum(weight[g] for g in chain), default=())


def _is_nested(f, g, factors, pairs):
    """Whether each level of f occurs with exactly one level of g."""
    if (f, g) in pairs:
        rows = pairs[f, g].rows
        return len(rows) == len(factors[f]) and bool((np.diff(rows) > 0).all())
    columns = pairs[g, f].columns
    return len(columns) == len(factors[f]) == len(np.unique(columns))


def _oriented(f, g, pairs):
    return pairs[f, g] if (f, g) in pairs else pairs[g, f].swapped


def _lists(k, order, factors, pairs, effects, at, size):
    """Lists of the nodes of the k-th factor: their lengths, unknowns and products."""
    f, m = order[k], len(factors[order[k]])
    parts = [(g, len(effects[g]), _oriented(f, g, pairs)) for g in order[k + 1 :]]
    counts = [np.bincount(part.rows, minlength=m) for _, _, part in parts]
    lengths = sum(
        (count * q for count, (_, q, _) in zip(counts, parts, strict=True)),
        start=np.zeros(m, dtype=np.int64),
    )
    first = np.cumsum(lengths) - lengths
    index = np.empty(int(lengths.sum()), dtype=np.int64)
    values = np.zeros((index.size, size))
    for count, (g, q, part) in zip(counts, parts, strict=True):
        rank = np.arange(part.rows.size) - np.repeat(np.cumsum(count) - count, count)
        for b in range(q):
            entry = first[part.rows] + rank * q + b
            index[entry] = at[g] + part.columns * q + b
            values[entry, : part.values.shape[1]] = part.values[:, :, b]
        first = first + count * q
    return lengths, index, values


def _links(sparse, pairs, shape, pointer, index, n):
    """Parent of each node, and the place of each entry of its list in the parent's."""
    parent = np.full(shape[-1, 0], -1, dtype=np.int64)
    link = np.full(index.size, -1, dtype=np.int64)
    owner = np.repeat(np.arange(shape[-1, 0]), np.diff(pointer))
    for k in range(len(sparse) - 1):
        nodes = slice(shape[k, 0], shape[k + 1, 0])
        parent[nodes] = shape[k + 1, 0] + _oriented(sparse[k], sparse[k + 1], pairs).columns
        own = slice(pointer[shape[k, 0]], pointer[shape[k + 1, 0]])
        above = slice(pointer[shape[k + 1, 0]], pointer[shape[k + 2, 0]])
        known = owner[above] * n + index[above]
        wanted = parent[owner[own]] * n + index[own]
        at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
        if known.size:
            link[own] = np.where(known[at] == wanted, above.start + at, -1)
    return parent, link


def _dense_gram(dense, factors, pairs, effects, at, first, n):
    """Products of the dense unknowns with each other, as a lower triangle."""
    gram = np.zeros((n, n))
    for k, f in enumerate(dense):
        q, start = len(effects[f]), at[f] - first
        own = start + np.arange(len(factors[f])) * q
        for a in range(q):
            for b in range(a + 1):
                gram[own + a, own + b] = factors[f].gram[:, a, b]
        for g in dense[:k]:
            part, width = _oriented(f, g, pairs), len(effects[g])
            for a in range(q):
                for b in range(width):
                    rows = start + part.rows * q + a
                    gram[rows, at[g] - first + part.columns * width + b] = part.values[:, a, b]
    return gram


def _check_dense(n, dense, statistics):
    """Refuse a dense part that would need gigabytes, and say what to do."""
    if n <= DENSE_LIMIT:
        return
    sizes = ", ".join(f"{':'.join(statistics.levels[f].names)!r} has {len(statistics.levels[f])}"
                      for f in dense)  # fmt: skip
    raise ValueError(
        f"beside the largest grouping factor and those nested with it, {n} random effects remain "
        f"({sizes} levels), and at most {DENSE_LIMIT} fit into a dense matrix. Leave out or "
        "coarsen one of these factors, drop slopes from its term, or nest it ('a/b') if its "
        "labels repeat within another."
    )
