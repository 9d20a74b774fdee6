"""The normal equations of the random effects of several grouping factors, in blocks.

Factors that are nested in one another are eliminated level by level, the finest first, which
fills nothing (their blocks stay block-diagonal); all others together make the dense part. The
chain of nested factors is chosen so that the dense part is as small as possible: with crossed
factors it is the largest factor alone (Bates et al. 2015, section 5; Bates 2018).
"""

from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import csr_array

from lmmfit.mixed.crossed import factor_products
from lmmfit.mixed.schur import EliminationOrder

__all__ = ["DENSE_LIMIT", "BlockSystem"]

_KNOWN = WeakKeyDictionary()  # a model needs its system for the fit and for all inference
DENSE_LIMIT = 10_000  # unknowns of the dense part: five matrices of 0.8 GB


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
    places : list of ndarray of int64
        First unknown of each level, by factor.
    order : EliminationOrder
        Of the dense part.
    shape, pointer, index, parent, link : ndarray of int64
        Structure of the sparse part: see the kernels.
    gram, values, dense_gram : ndarray
        Products: of nodes (nodes x q x q), of their lists (entries x q), and of the dense part
        (lower triangle).
    cross : ndarray of shape (n_unknowns, p + 1)
        Products with the fixed effects and the response.
    owner : ndarray of shape (n_dense, 2)
        Position in ``dense`` of the factor of each unknown, and its place in the level.
    prepared : dict
        What criteria by their method have made of the system.
    """

    sparse: tuple
    dense: tuple
    effects: list
    sizes: tuple
    places: list
    order: EliminationOrder
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
    prepared: dict = field(default_factory=dict)

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
        n_dense = sum(len(factors[f]) * len(effects[f]) for f in dense)
        _check_dense(n_dense, dense, statistics)
        elimination = _order_dense(sparse, dense, factors, pairs, effects)
        places = _places(sparse, dense, factors, effects, elimination)
        shape, gram = _nodes(sparse, factors, effects)
        right = len(statistics.layout.fixed) + 1
        cross, owner = _unknowns(dense, factors, effects, places, n_dense, right)
        first, size = len(cross) - n_dense, gram.shape[1]
        options = factors, pairs, effects, places, size, elimination.is_given
        lists = [_lists(k, sparse + dense, *options) for k in range(len(sparse))]
        lists.append((np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, size))))
        lengths, index, values = map(np.concatenate, zip(*lists, strict=True))
        pointer = np.append(0, np.cumsum(lengths))
        parent, link = _links(sparse, pairs, shape, pointer, index, len(cross))
        return cls(
            sparse, dense, effects, tuple(map(len, factors)), places, elimination, shape, pointer,
            index, parent, link, gram, values,
            _dense_gram(dense, factors, pairs, effects, places, first, n_dense), cross, owner,
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
        """Unknowns of a factor, level by level."""
        return (self.places[f][:, None] + np.arange(len(self.effects[f]))).ravel()

    def by_level(self, array, f):
        """Rows of a factor of an array of unknowns (n, ...), as a copy (levels, q, ...)."""
        own = array[self.rows(f)]
        return own.reshape(self.sizes[f], len(self.effects[f]), *array.shape[1:])


def _order_dense(sparse, dense, factors, pairs, effects):
    """Order in which to eliminate the levels of the dense factors."""
    sizes = [len(factors[f]) for f in dense]
    if not dense or not EliminationOrder.is_worthwhile(sum(sizes)):
        n = sum(size * len(effects[f]) for f, size in zip(dense, sizes, strict=True))
        return EliminationOrder.none(n, sum(sizes))
    first = dict(zip(dense, accumulate([0, *sizes]), strict=False))
    widths = np.repeat([len(effects[f]) for f in dense], sizes).astype(np.int64)
    # what eliminating the coarsest of the nested factors connects, no finer one does
    parts = [(first[f], _oriented(sparse[-1], f, pairs)) for f in dense]
    node = np.concatenate([part.rows for _, part in parts])
    level = np.concatenate([start + part.columns for start, part in parts])
    counts = np.bincount(node, minlength=len(factors[sparse[-1]]))
    cliques = np.append(0, np.cumsum(counts)), level[np.argsort(node, kind="stable")]
    together = [np.empty((0, 2), np.int64)]
    for k, f in enumerate(dense):
        for g in dense[:k]:
            part = _oriented(f, g, pairs)
            together.append(np.column_stack([first[f] + part.rows, first[g] + part.columns]))
    return EliminationOrder.find(widths, cliques, np.concatenate(together))


def _places(sparse, dense, factors, effects, elimination):
    """First unknown of each level, by factor."""
    widths = np.repeat([len(effects[f]) for f in sparse + dense],
                       [len(factors[f]) for f in sparse + dense]).astype(np.int64)  # fmt: skip
    n_nodes = sum(len(factors[f]) for f in sparse)
    order = np.append(np.arange(n_nodes), n_nodes + elimination.levels)
    first = np.empty(widths.size, dtype=np.int64)
    first[order] = np.cumsum(widths[order]) - widths[order]
    ends = list(accumulate([len(factors[f]) for f in sparse + dense], initial=0))
    own = {f: first[start:stop] for f, (start, stop) in zip(sparse + dense, pairwise(ends),
                                                            strict=True)}  # fmt: skip
    return [own[f] for f in range(len(factors))]


def _nodes(sparse, factors, effects):
    """Shape of the sparse part, and the products of each of its levels with itself."""
    size = max((len(own) for own in effects), default=0)
    shape = np.zeros((len(sparse) + 1, 3), dtype=np.int64)
    counts, widths = [len(factors[f]) for f in sparse], [len(effects[f]) for f in sparse]
    shape[1:, 0], shape[1:, 1] = np.cumsum(counts), np.cumsum(np.multiply(counts, widths))
    shape[:-1, 2] = widths
    gram = np.zeros((shape[-1, 0], size, size))
    for k, f in enumerate(sparse):
        gram[shape[k, 0] : shape[k + 1, 0], : widths[k], : widths[k]] = factors[f].gram
    return shape, gram


def _unknowns(dense, factors, effects, places, n_dense, right):
    """Products of each unknown with fixed effects and response; owners of the dense ones."""
    n = sum(place.size * len(own) for place, own in zip(places, effects, strict=True))
    cross, owner = np.empty((n, right)), np.empty((n_dense, 2), dtype=np.int64)
    for f, place in enumerate(places):
        for b in range(len(effects[f])):
            cross[place + b] = factors[f].cross[:, b]
            if f in dense:
                owner[place + b - (n - n_dense)] = dense.index(f), b
    return cross, owner


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


def _lists(k, order, factors, pairs, effects, places, size, is_sorted):
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
            index[entry] = places[g][part.columns] + b
            values[entry, : part.values.shape[1]] = part.values[:, :, b]
        first = first + count * q
    if is_sorted:
        return lengths, index, values
    entries = np.arange(index.size), index, np.append(0, np.cumsum(lengths))
    ascending = csr_array(entries, shape=(m, index.max(initial=0) + 1)).tocsc().tocsr().data
    return lengths, index[ascending], values[ascending]


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


def _dense_gram(dense, factors, pairs, effects, places, first, n):
    """Products of the dense unknowns with each other, as a lower triangle."""
    gram = np.zeros((n, n))
    for k, f in enumerate(dense):
        own = places[f] - first
        for a in range(len(effects[f])):
            for b in range(a + 1):
                gram[own + a, own + b] = factors[f].gram[:, a, b]
        for g in dense[:k]:
            part, other = _oriented(f, g, pairs), places[g] - first
            for a in range(len(effects[f])):
                for b in range(len(effects[g])):
                    i, j = own[part.rows] + a, other[part.columns] + b
                    gram[np.maximum(i, j), np.minimum(i, j)] = part.values[:, a, b]
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
