"""The grammar of random-effects terms: lme4's ``(lhs | group)``.

``(x | g)``
    a random intercept and a random slope of ``x``, correlated, for each level of ``g``;
``(0 + x | g)``
    the slope alone;
``(x || g)``
    intercept and slope without correlation: ``(1 | g) + (0 + x | g)``;
``(1 | g/h)``
    nesting: ``(1 | g:h) + (1 | g)``;
``(1 | g:h)``
    one effect for each combination of levels that occurs.

Terms are joined by ``+``. A column whose name is no plain identifier goes between
backquotes. The grammar is that of Bates, Maechler, Bolker and Walker (2015), table 2.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["RandomTerm", "number_groups", "parse_random", "split_formula", "split_sum"]

_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class RandomTerm:
    """One block of correlated random effects.

    Attributes
    ----------
    factors : tuple of str
        Columns whose combination of values is the grouping factor.
    slopes : tuple of str
        Columns, or expressions of columns, whose coefficients vary by group; as written,
        backquotes included.
    intercept : bool
        Whether the intercept varies by group.

    Examples
    --------
    >>> from lmmfit.mixed import RandomTerm
    >>> str(RandomTerm(("Subject",), ("Days",), True))
    '(1 + Days | Subject)'
    """

    factors: tuple
    slopes: tuple
    intercept: bool

    @property
    def group(self):
        """Name of the grouping factor, such as ``"batch:cask"``."""
        return ":".join(self.factors)

    def __str__(self):
        effects = ("1" if self.intercept else "0", *self.slopes)
        return f"({' + '.join(effects)} | {self.group})"


def parse_random(text):
    """Parse random-effects terms in lme4's grammar.

    Parameters
    ----------
    text : str
        Terms such as ``"(Days | Subject)"``, joined by ``+``.

    Returns
    -------
    tuple of RandomTerm
        One for each block of correlated effects, in the order of the text; ``||`` and
        ``/`` are written out.

    Raises
    ------
    ValueError
        If the text does not follow the grammar; the message quotes the place.
    TypeError
        If it is no string.

    Examples
    --------
    >>> from lmmfit.mixed import parse_random
    >>> [str(term) for term in parse_random("(Days || Subject)")]
    ['(1 | Subject)', '(0 + Days | Subject)']
    >>> [str(term) for term in parse_random("(1 | batch/cask)")]
    ['(1 | batch:cask)', '(1 | batch)']
    """
    if not isinstance(text, str):
        raise TypeError(
            f"random must be a string such as '(1 + x | g)' or None, got {text!r} "
            f"of type {type(text).__name__}."
        )
    return _parse_random(text)


@lru_cache(maxsize=256)
def _parse_random(text):
    if not text.strip():
        raise _error(text, text, "names no term; write '(1 | g)', or None for no random effects")
    terms = [term for part in _split(text, "+", text) for term in _parse_term(part, text)]
    repeated = {str(term) for term in terms if terms.count(term) > 1}
    if repeated:
        raise _error(text, min(repeated), "stands there twice")
    return tuple(terms)


def number_groups(groups):
    """One key for each random term: its grouping factor, numbered when it comes again.

    Parameters
    ----------
    groups : sequence of str
        Name of the grouping factor of each term.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from lmmfit.mixed.terms import number_groups
    >>> number_groups(["Subject", "Item", "Subject"])
    ['Subject', 'Item', 'Subject.1']
    """
    again = [groups[:k].count(group) for k, group in enumerate(groups)]
    return [f"{g}.{k}" if k else g for g, k in zip(groups, again, strict=True)]


def split_formula(formula):
    """Take a mixed-model formula apart.

    Parameters
    ----------
    formula : str
        ``"response ~ fixed + (lhs | group)"``.

    Returns
    -------
    response : str
        The left-hand side.
    fixed : str
        The right-hand side without its random terms; ``"1"`` where nothing else stands.
    random : str or None
        The random terms joined by ``+``.

    Raises
    ------
    ValueError
        If there is no single ``~``, an empty side, or a random term that is subtracted.
    TypeError
        If it is no string.

    Examples
    --------
    >>> from lmmfit.mixed import split_formula
    >>> split_formula("log(y) ~ a * b + (a | g)")
    ('log(y)', 'a * b', '(a | g)')
    """
    if not isinstance(formula, str):
        raise TypeError(
            f"formula must be a string such as 'y ~ x + (x | g)', got a {type(formula).__name__}."
        )
    return _split_formula(formula)


@lru_cache(maxsize=256)
def _split_formula(formula):
    sides = formula.split("~")
    if len(sides) != 2:
        raise ValueError(
            f"formula={formula!r} needs exactly one '~' between the response and the terms, "
            "as in 'y ~ x + (x | g)'."
        )
    response, terms = (side.strip() for side in sides)
    if not response or not terms:
        side = "left" if not response else "right"
        raise ValueError(f"formula={formula!r} has nothing on the {side} of '~'.")
    fixed, random = [], []
    for sign, part in _signed_parts(terms, formula):
        is_random = part.startswith("(") and _wraps(part) and _find_bar(part[1:-1]) is not None
        if is_random and sign == "-":
            raise _error(formula, f"- {part}", "subtracts a random term; leave it out instead")
        if is_random:
            random.append(part)
        else:
            fixed.append(part if sign == "+" else f"- {part}")
    fixed_text = " + ".join(fixed).replace("+ -", "-") or "1"
    return response, fixed_text, " + ".join(random) or None


def split_sum(text):
    """Split a right-hand side at its top-level signs.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of (str, str)
        Sign and part of each term.

    Examples
    --------
    >>> from lmmfit.mixed.terms import split_sum
    >>> split_sum("a * b - 1 + log(c + d)")
    [('+', 'a * b'), ('-', '1'), ('+', 'log(c + d)')]
    """
    return _signed_parts(text, text)


def _parse_term(part, text):
    """Parse one parenthesised term into its blocks."""
    part = part.strip()
    if not part:
        raise _error(text, text, "has an empty term beside a '+'")
    if not (part.startswith("(") and _wraps(part)):
        raise _error(text, part, "is no random term; write it in parentheses, as in '(1 | g)'")
    inner = part[1:-1]
    bar = _find_bar(inner)
    if bar is None:
        raise _error(text, part, "has no bar; write '(lhs | group)', as in '(1 + x | g)'")
    start, stop = bar
    left, right = inner[:start], inner[stop:]
    if _find_bar(right) is not None:
        raise _error(text, part, "has more than one bar; write one term for each bar")
    if not left.strip():
        raise _error(text, part, "has nothing on the left of its bar; write '(1 | g)'")
    if not right.strip():
        raise _error(text, part, "names no grouping factor on the right of its bar")
    intercept, slopes = _parse_effects(left, part, text)
    blocks = [(intercept, slopes)]
    if stop - start == 2:  # '||': every effect a block of its own
        blocks = [(True, ())] if intercept else []
        blocks += [(False, (slope,)) for slope in slopes]
    return [
        RandomTerm(factors, slopes, intercept)
        for factors in _parse_groups(right, part, text)
        for intercept, slopes in blocks
    ]


def _parse_effects(left, part, text):
    """Intercept and slopes of a left-hand side such as ``0 + x``."""
    intercept, slopes = True, []
    for sign, effect in _signed_parts(left, text):
        if effect in ("0", "1"):
            intercept = (effect == "1") == (sign == "+")
        elif sign == "-":
            raise _error(text, part, f"subtracts {effect!r}, which only '- 1' may do")
        elif not effect or re.fullmatch(r"[\d.]+", effect):
            raise _error(text, part, f"has {effect!r} where a column or 0 or 1 belongs")
        else:
            slopes.append(effect)
    if not intercept and not slopes:
        raise _error(text, part, "has no effect at all; '(1 | g)' is a random intercept")
    return intercept, tuple(dict.fromkeys(slopes))


def _parse_groups(right, part, text):
    """Grouping factors of a right-hand side: ``g``, ``g:h`` or ``g/h``, finest first."""
    written = [
        [name.strip() for name in _split(level, ":", text)] for level in _split(right, "/", text)
    ]
    nested = [tuple(map(_unquote, level)) for level in written]
    for name in (name for level in written for name in level if "`" not in name):
        if not name or re.search(r"[()+*|]|^[\d.]+$", name):
            raise _error(text, part, f"has {name!r} where the name of a grouping column belongs")
    factors = [
        tuple(dict.fromkeys(name for level in nested[: i + 1] for name in level))
        for i in range(len(nested))
    ]
    return factors[::-1]


def _signed_parts(side, text):
    """Split at top-level ``+`` and ``-``: pairs of sign and part."""
    pairs, sign = [], "+"
    for i, plus in enumerate(_split(side, "+", text)):
        for j, piece in enumerate(_split(plus, "-", text)):
            piece, sign = piece.strip(), "-" if j else "+"
            if not piece and (j or (i and "-" not in plus)):
                raise _error(text, side.strip(), "has an empty term beside a sign")
            if piece:
                pairs.append((sign, piece))
    if not pairs:
        raise _error(text, side.strip(), "has no term")
    return pairs


def _top_level(text):
    """Yield position and character outside every bracket and backquote."""
    depth, quoted = 0, False
    for position, character in enumerate(text):
        if character == "`":
            quoted = not quoted
        elif quoted:
            continue
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif depth == 0:
            yield position, character


def _split(part, separator, text):
    """Split at separators outside brackets and backquotes."""
    bare = re.sub(r"`[^`]*`", "", part)
    opening = sum(bare.count(character) for character in _OPENING)
    if opening != sum(bare.count(character) for character in _CLOSING):
        raise _error(text, part.strip(), "has a bracket without its partner")
    if part.count("`") % 2:
        raise _error(text, part.strip(), "has a backquote without its partner")
    cuts = [position for position, character in _top_level(part) if character == separator]
    return [part[i:j] for i, j in zip([0, *(c + 1 for c in cuts)], [*cuts, None], strict=True)]


def _find_bar(inner):
    """Start and stop of the first top-level bar, or None."""
    for position, character in _top_level(inner):
        if character == "|":
            return position, position + 1 + (inner[position + 1 : position + 2] == "|")
    return None


def _wraps(part):
    """Whether the first bracket closes at the last character."""
    return not any(True for _ in _top_level(part)) and part.endswith(")") and _depth_holds(part)


def _depth_holds(part):
    depth, quoted = 0, False
    for position, character in enumerate(part):
        quoted ^= character == "`"
        if not quoted:
            depth += (character in _OPENING) - (character in _CLOSING)
        if depth == 0:
            return position == len(part) - 1
    return False


def _unquote(name):
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == "`" else name


def _error(text, place, problem):
    where = "" if place.strip() == text.strip() else f"in {text!r}: "
    return ValueError(f"{where}{place!r} {problem}.")
