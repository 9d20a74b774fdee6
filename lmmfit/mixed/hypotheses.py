"""Hypotheses of an analysis of variance: what each term of the fixed effects adds.

Type I tests a term after those before it; type II after all that do not contain it; type III
compares the levels of a factor averaged over those of the others with equal weights, as if
every combination had been observed equally often. Each is the part of X'X that a triangular
factorisation leaves for the term (Searle 1971, section 7; Goodnight 1978): that of the data
for the first two, that of a balanced design for the third.
"""

from dataclasses import dataclass

import numpy as np

from lmmfit.mixed.formula import FormulaSource
from lmmfit.mixed.layout import INTERCEPT

__all__ = ["FixedTerm", "fixed_terms", "term_hypotheses"]

_ROMAN = {"I": 1, "II": 2, "III": 3}
_NOTHING_LEFT = 1e-9  # share of a column's square below which others determine it


@dataclass(frozen=True, eq=False)
class FixedTerm:
    """One term of the fixed effects.

    Attributes
    ----------
    name : str
    columns : tuple of int
        Positions of its fixed effects.
    categorical, numeric : frozenset of str
        Expressions of factors and of covariates that it multiplies.
    parts : tuple of dict
        For each column, by factor its coding (values over the levels), and by covariate None.
    """

    name: str
    columns: tuple
    categorical: frozenset
    numeric: frozenset
    parts: tuple

    def contains(self, other):
        """Whether the other term is marginal to this one."""
        return self is not other and (
            self.numeric == other.numeric and self.categorical > other.categorical
        )


def fixed_terms(design):
    """Take the fixed effects of a design apart into terms.

    Parameters
    ----------
    design : Design

    Returns
    -------
    list of FixedTerm
        The intercept first, where there is one.
    """
    names = design.layout.fixed_names
    source = design.sources[0]
    if not isinstance(source, FormulaSource):
        return [
            FixedTerm(name, (j,), frozenset(), frozenset([name]), ({name: None},))
            if name != INTERCEPT
            else FixedTerm(name, (j,), frozenset(), frozenset(), ({},))
            for j, name in enumerate(names)
        ]
    terms = []
    for encoded in source.spec.structure:
        found = [INTERCEPT if name == "Intercept" else name for name in encoded.columns]
        parts, categorical, numeric = [], set(), set()
        coded = _coded_parts(source.spec, encoded)
        for name, own in zip(found, coded, strict=True):
            if name in names:
                parts.append(own)
                categorical |= {key for key, value in own.items() if value is not None}
                numeric |= {key for key, value in own.items() if value is None}
        columns = tuple(names.index(name) for name in found if name in names)
        if columns:
            label = INTERCEPT if columns == (0,) and names[0] == INTERCEPT else str(encoded.term)
            terms.append(
                FixedTerm(label, columns, frozenset(categorical), frozenset(numeric), tuple(parts))
            )
    return terms


def _coded_parts(spec, encoded):
    """For each column of a term: the coding of its factors, and its covariates."""
    out, left = [], len(encoded.columns)
    for position, scoped in enumerate(encoded.scoped_terms):
        codings = []
        for factor in scoped.factors:
            expression = str(factor.factor.expr)
            state = spec.encoder_state.get(expression, (None, {}))[1]
            coded = _coding(state, factor.reduced) if "contrasts" in state else None
            codings.append((expression, coded))
        count = int(np.prod([1 if coded is None else coded.shape[1] for _, coded in codings]))
        repeats = 1
        if position == len(encoded.scoped_terms) - 1 and codings:
            repeats = left // count  # a covariate of several columns, such as poly(x, 2)
        left -= count * repeats
        out += [_part(codings, k % count, k // count) for k in range(count * repeats)]
    return out


def _part(codings, k, column):
    """Codings of the k-th product of factors, the first of which varies fastest."""
    own = {}
    for expression, coded in codings:
        if coded is None:
            own[f"{expression}[{column}]"] = None
        else:
            own[expression] = coded[:, k % coded.shape[1]]
            k //= coded.shape[1]
    return own


def _coding(state, reduced):
    contrasts = state["contrasts"]
    matrix = contrasts.contrasts.get_coding_matrix(contrasts.levels, reduced_rank=reduced)
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=float)


def term_hypotheses(model, type):
    """Linear hypotheses of every term.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted.
    type : {1, 2, 3}

    Returns
    -------
    dict of str to ndarray of shape (k, p)
        The intercept is left out.

    Raises
    ------
    ValueError
        If the type is unknown, or type 3 meets dropped columns.

    Examples
    --------
    >>> from lmmfit import lmm
    >>> from lmmfit.datasets import load_sleepstudy
    >>> from lmmfit.mixed.hypotheses import term_hypotheses
    >>> model = lmm("Reaction ~ Days + (Days | Subject)", load_sleepstudy(as_frame=True).frame)
    >>> term_hypotheses(model, 3)
    {'Days': array([[0., 1.]])}
    """
    type = _ROMAN.get(type, type)
    if type not in (1, 2, 3):
        raise ValueError(f"type must be 1, 2 or 3, got {type!r}.")
    terms, p = fixed_terms(model.design_), len(model.design_.layout.fixed)
    tested = [term for term in terms if term.categorical or term.numeric]
    if type == 3 and model.aliased_:
        raise ValueError(
            f"type 3 needs every fixed effect, and {model.aliased_} were dropped because others "
            "determine them. Use type=1 or type=2, or leave these columns out."
        )
    gram = _balanced_gram(terms, p) if type == 3 else _data_gram(model)
    out = {}
    for term in tested:
        if type == 1:
            before = terms[: terms.index(term)]
        else:
            before = [other for other in terms if other is not term and not other.contains(term)]
        rows = _left_over(gram, [j for other in before for j in other.columns], term.columns)
        if not len(rows):  # other terms determine it
            continue
        is_last = len(before) == len(terms) - 1
        out[term.name] = _reduce(rows) if type == 3 or (type == 2 and is_last) else rows
    return out


def _data_gram(model):
    """X'X of the data in the user's units; dropped columns are zero."""
    statistics = model.statistics_
    layout, basis = statistics.layout, statistics.basis
    fixed = layout.fixed_positions
    back = np.linalg.inv(basis.coefficient_map(layout, layout.fixed))
    gram = back.T @ statistics.total[fixed[:, None], fixed] @ back
    dropped = model.result_.aliased
    gram[dropped], gram[:, dropped] = 0.0, 0.0
    return gram


def _balanced_gram(terms, p):
    """X'X of a balanced design, its covariates uncorrelated with mean 0 and square 1."""
    gram = np.zeros((p, p))
    columns = [
        (j, part) for term in terms for j, part in zip(term.columns, term.parts, strict=True)
    ]
    for i, left in columns:
        for j, right in columns:
            value = 1.0
            for key in left.keys() | right.keys():
                one, other = left.get(key, 1.0), right.get(key, 1.0)
                if one is None or other is None:
                    value *= float(one is other)
                else:
                    value *= float(np.mean(one * other))
            gram[i, j] = value
    return gram


def _left_over(gram, before, own):
    """Rows of the triangular factor of X'X (unit diagonal) for columns that follow others."""
    before, own = list(before), list(own)
    rest, square = gram.copy(), gram.diagonal().copy()
    if before:
        unit = 1.0 / np.sqrt(np.where(square[before] > 0.0, square[before], 1.0))
        scaled = gram[np.ix_(before, before)] * np.outer(unit, unit)
        inverse = np.linalg.pinv(scaled, rcond=1e-11, hermitian=True) * np.outer(unit, unit)
        rest -= gram[:, before] @ inverse @ gram[before]
        rest[:, before] = 0.0
    rows = []
    for j in own:
        if rest[j, j] > _NOTHING_LEFT * square[j]:
            rows.append(rest[j] / rest[j, j])
            rest -= np.outer(rest[:, j], rows[-1])
    rows = np.array(rows).reshape(len(rows), len(gram))
    return np.where(np.abs(rows) < 1e-12, 0.0, rows)


def _reduce(rows):
    """Reduced echelon form: the same hypothesis in its simplest words."""
    out, pivots = rows.copy(), [int(np.argmax(np.abs(row) > 0.5)) for row in rows]
    for k in range(len(out) - 1, 0, -1):
        out[:k] -= np.outer(out[:k, pivots[k]], out[k])
    return np.where(np.abs(out) < 1e-10, 0.0, out)
