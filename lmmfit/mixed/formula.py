"""Formulas: what formulaic makes of the fixed part, and the columns a formula needs.

The grammar of the fixed part is that of formulaic (Wilkinson and Rogers 1973), with two
additions from R: ``I(x^2)`` means ``I(x**2)``, and ``offset(v)`` adds a known ``v``.
"""

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np

from lmmfit.mixed.layout import INTERCEPT
from lmmfit.mixed.terms import split_formula, split_sum

__all__ = [
    "FormulaSource",
    "mentioned_columns",
    "needed_columns",
    "parse_plain",
    "split_offset",
    "unquote",
]

_FUNCTIONS = {
    name: getattr(np, name)
    for name in "abs sqrt exp log log2 log10 log1p expm1 sin cos tan".split()
}

_COMPUTED = WeakKeyDictionary()  # by columns and formula: what binding it has computed already
_PLAIN = re.compile(r"`[^`]+`|[^\W\d]\w*(?:\.\w+)*")


@dataclass(frozen=True, eq=False)
class FormulaSource:
    """Columns that formulaic computes from a right-hand side.

    Attributes
    ----------
    text : str
    spec : formulaic.ModelSpec
        Remembers categories and the state of stateful transforms.
    names : tuple of str
        Columns of the matrix, the intercept as ``(Intercept)``.
    """

    text: str
    spec: object
    names: tuple

    @classmethod
    def bind(cls, text, columns):
        """Learn the columns of a right-hand side from data.

        Parameters
        ----------
        text : str
        columns : FrameColumns or ArrayColumns

        Returns
        -------
        FormulaSource
        """
        formulaic = _formulaic(text)
        _check_sides(text, columns)
        matrix = _evaluate(
            lambda data: formulaic.model_matrix(
                _translate(text), data, output="numpy", na_action="ignore", context=_FUNCTIONS
            ),
            text,
            columns,
        )
        names = [INTERCEPT if n == "Intercept" else n for n in matrix.model_spec.column_names]
        source = cls(text, matrix.model_spec, tuple(names))
        _COMPUTED.setdefault(columns, {})[text] = source.spec, source._by_name(matrix)
        return source

    def arrays(self, columns):
        """Compute the columns for new data.

        Parameters
        ----------
        columns : FrameColumns or ArrayColumns

        Returns
        -------
        dict of str to ndarray of shape (n,)
            None stands for the intercept.

        Raises
        ------
        ValueError
            If the formula cannot be evaluated or meets a category never seen.
        """
        spec, found = _COMPUTED.get(columns, {}).pop(self.text, (None, None))
        if spec is self.spec:
            return found
        return self._by_name(
            _evaluate(
                lambda data: self.spec.get_model_matrix(data, context=_FUNCTIONS),
                self.text,
                columns,
            )
        )

    def _by_name(self, matrix):
        matrix = np.asarray(matrix)
        return {
            name: None if name == INTERCEPT else np.ascontiguousarray(matrix[:, j], np.float64)
            for j, name in enumerate(self.names)
        }


@lru_cache(maxsize=256)
def parse_plain(text):
    """Read a right-hand side that only adds columns.

    Parameters
    ----------
    text : str

    Returns
    -------
    intercept : bool
    names : tuple of str
        None for both where the text holds anything else.
    """
    intercept, names = True, []
    for sign, part in split_sum(text):
        if part in ("0", "1"):
            intercept = (part == "1") == (sign == "+")
        elif sign == "+" and _PLAIN.fullmatch(part):
            names.append(unquote(part))
        else:
            return None, None
    return intercept, tuple(dict.fromkeys(names))


@lru_cache(maxsize=256)
def split_offset(text):
    """Take ``offset(...)`` terms out of a right-hand side.

    Parameters
    ----------
    text : str

    Returns
    -------
    text : str
        The rest; ``"1"`` where nothing is left.
    offsets : tuple of str
        What stands between the parentheses of each.
    """
    kept, offsets = [], []
    for sign, part in split_sum(text):
        if sign == "+" and part.startswith("offset(") and part.endswith(")"):
            offsets.append(part[len("offset(") : -1])
        else:
            kept.append(f"{sign} {part}")
    return " ".join(kept).removeprefix("+ ") or "1", tuple(offsets)


def needed_columns(formula, available):
    """Columns of the data that a mixed-model formula mentions.

    Parameters
    ----------
    formula : str
    available : sequence of str

    Returns
    -------
    list of str
        In the order of ``available``.
    """
    response, fixed, random = split_formula(formula)
    return mentioned_columns([response, fixed, random or ""], available)


def mentioned_columns(texts, available):
    """Columns whose names occur in some expressions.

    Parameters
    ----------
    texts : sequence of str
    available : sequence of str

    Returns
    -------
    list of str
        In the order of ``available``.
    """
    mentioned = frozenset().union(*map(_names, texts))
    return [name for name in available if name in mentioned]


@lru_cache(maxsize=256)
def _names(text):
    return frozenset(unquote(name) for name in _PLAIN.findall(text))


def unquote(name):
    """Take the backquotes off a name."""
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == "`" else name


def _translate(text):
    """Within calls such as ``I(x^2)``, R's power sign; elsewhere ``^`` crosses terms."""
    out, calls = [], []
    for position, character in enumerate(text):
        if character == "(":
            calls.append(
                position > 0 and (text[position - 1].isalnum() or text[position - 1] == "_")
            )
        elif character == ")" and calls:
            calls.pop()
        out.append("**" if character == "^" and any(calls) else character)
    return "".join(out)


def _evaluate(compute, text, columns):
    """Let formulaic compute, and put its errors into our words."""
    from formulaic.errors import DataMismatchWarning, FormulaicError

    with warnings.catch_warnings():
        warnings.simplefilter("error", DataMismatchWarning)
        try:
            return compute(columns.to_pandas(mentioned_columns([text], columns.names)))
        except DataMismatchWarning as error:
            unseen = re.search(r"\{.*\}", str(error))
            raise ValueError(
                f"the formula {text!r} meets categories that were not there at fit: "
                f"{unseen.group() if unseen else error}. Their effect is unknown; leave such rows "
                "out."
            ) from error
        except (FormulaicError, ValueError, SyntaxError) as error:
            why = re.sub(r"\x1b\[[\d;]*m|[\u29da\u29db]", "", str(error)).strip().rstrip(".")
            raise ValueError(
                f"the formula {text!r} cannot be evaluated: {why}. The columns are "
                f"{columns.known}."
            ) from error


def _check_sides(text, columns):
    """Refuse what formulaic would read as several formulas, or as every column."""
    if "~" in text:
        raise ValueError(f"{text!r} has a '~'; give the right-hand side alone.")
    for _, part in split_sum(text):
        if "|" in part:
            raise ValueError(
                f"{part!r} has a bar outside parentheses; write random effects as '(1 | g)'."
            )
        if part == "." and "." not in columns.names:
            raise ValueError(f"{text!r} has a '.', which is not supported; name the columns.")


def _formulaic(text):
    try:
        import formulaic
    except ImportError as error:
        raise ImportError(
            f"the formula {text!r} needs formulaic (`pip install 'lmmfit[formula]'`); formulas "
            "that only add numeric columns work without it."
        ) from error
    return formulaic
