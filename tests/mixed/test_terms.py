"""The grammar of random-effects terms."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmfit.mixed import RandomTerm, parse_random, split_formula
from lmmfit.mixed.terms import split_sum

PARSED = {
    "(1 | g)": ["(1 | g)"],
    "(1|g)": ["(1 | g)"],
    "  ( 1\t|\n g ) ": ["(1 | g)"],
    "(x | g)": ["(1 + x | g)"],
    "(1 + x | g)": ["(1 + x | g)"],
    "(x + 1 | g)": ["(1 + x | g)"],
    "(0 + x | g)": ["(0 + x | g)"],
    "(x + 0 | g)": ["(0 + x | g)"],
    "(x - 1 | g)": ["(0 + x | g)"],
    "(-1 + x | g)": ["(0 + x | g)"],
    "(x + z | g)": ["(1 + x + z | g)"],
    "(x + x | g)": ["(1 + x | g)"],
    "(x || g)": ["(1 | g)", "(0 + x | g)"],
    "(1 + x || g)": ["(1 | g)", "(0 + x | g)"],
    "(0 + x || g)": ["(0 + x | g)"],
    "(0 + x + z || g)": ["(0 + x | g)", "(0 + z | g)"],
    "(x + z || g)": ["(1 | g)", "(0 + x | g)", "(0 + z | g)"],
    "(1 || g)": ["(1 | g)"],
    "(1 | g:h)": ["(1 | g:h)"],
    "(1 | g : h)": ["(1 | g:h)"],
    "(1 | g:g)": ["(1 | g)"],
    "(1 | g/h)": ["(1 | g:h)", "(1 | g)"],
    "(1 | g/h/i)": ["(1 | g:h:i)", "(1 | g:h)", "(1 | g)"],
    "(x | g/h)": ["(1 + x | g:h)", "(1 + x | g)"],
    "(x || g/h)": ["(1 | g:h)", "(0 + x | g:h)", "(1 | g)", "(0 + x | g)"],
    "(1 | g) + (1 | h)": ["(1 | g)", "(1 | h)"],
    "(1 | g) + (0 + x | g)": ["(1 | g)", "(0 + x | g)"],
    "(1|g)+(x|h)": ["(1 | g)", "(1 + x | h)"],
    "(a.b | Subject.id)": ["(1 + a.b | Subject.id)"],
    "(`a b` | g)": ["(1 + `a b` | g)"],
    "(`a + b` | g)": ["(1 + `a + b` | g)"],
    "(I(x**2) | g)": ["(1 + I(x**2) | g)"],
    "(log(x + 1) | g)": ["(1 + log(x + 1) | g)"],
    "(x:z | g)": ["(1 + x:z | g)"],
    "(größe | gruppe)": ["(1 + größe | gruppe)"],
}


@pytest.mark.parametrize("text", PARSED)
def test_parse(text):
    assert [str(term) for term in parse_random(text)] == PARSED[text]


def test_backquoted_group_loses_its_quotes():
    (term,) = parse_random("(x | `my group`)")
    assert (term.factors, term.slopes, term.intercept) == (("my group",), ("x",), True)


def test_group_joins_factors():
    assert RandomTerm(("batch", "cask"), (), True).group == "batch:cask"


# Text -> the place that the message quotes, and what it says of it.
ERRORS = {
    "": ("''", "names no term"),
    "   ": ("'   '", "names no term"),
    "x": ("'x'", "no random term"),
    "1 | g": ("'1 | g'", "parentheses"),
    "(x)": ("'(x)'", "has no bar"),
    "()": ("'()'", "has no bar"),
    "(1 | g) + (x)": ("'(x)'", "has no bar"),
    "( | g)": ("'( | g)'", "nothing on the left"),
    "(1 | )": ("'(1 | )'", "no grouping factor"),
    "(1 || )": ("'(1 || )'", "no grouping factor"),
    "(1 | g | h)": ("'(1 | g | h)'", "more than one bar"),
    "(1 ||| g)": ("'(1 ||| g)'", "more than one bar"),
    "(0 | g)": ("'(0 | g)'", "no effect at all"),
    "(1 - 1 | g)": ("'(1 - 1 | g)'", "no effect at all"),
    "(0 || g)": ("'(0 || g)'", "no effect at all"),
    "(x - z | g)": ("'(x - z | g)'", "subtracts 'z'"),
    "(2 | g)": ("'(2 | g)'", "has '2'"),
    "(x + 1.5 | g)": ("'(x + 1.5 | g)'", "has '1.5'"),
    "(x + | g)": ("'x +'", "empty term beside a sign"),
    "(1 | g) +": ("'(1 | g) +'", "empty term beside a '+'"),
    "+ (1 | g)": ("'+ (1 | g)'", "empty term beside a '+'"),
    "(1 | g) + + (1 | h)": ("'(1 | g) + + (1 | h)'", "empty term beside a '+'"),
    "(1 | g/)": ("'(1 | g/)'", "has ''"),
    "(1 | g:)": ("'(1 | g:)'", "has ''"),
    "(1 | /g)": ("'(1 | /g)'", "has ''"),
    "(1 | g + h)": ("'(1 | g + h)'", "has 'g + h'"),
    "(1 | 2)": ("'(1 | 2)'", "has '2'"),
    "(1 | f(g))": ("'(1 | f(g))'", "has 'f(g)'"),
    "(1 | g": ("'(1 | g'", "bracket without its partner"),
    "1 | g)": ("'1 | g)'", "bracket without its partner"),
    "(`x | g)": ("'(`x | g)'", "backquote without its partner"),
    "(1 | g) (1 | h)": ("'(1 | g) (1 | h)'", "no random term"),
    "(1 | g)(1 | h)": ("'(1 | g)(1 | h)'", "no random term"),
    "(1 | g) - (1 | h)": ("'(1 | g) - (1 | h)'", "no random term"),
    "(1 | g) + (1 | g)": ("'(1 | g)'", "stands there twice"),
    "(x || g) + (1 | g)": ("'(1 | g)'", "stands there twice"),
}


@pytest.mark.parametrize("text", ERRORS)
def test_error_quotes_the_place(text):
    place, problem = ERRORS[text]
    with pytest.raises(ValueError, match=re.escape(place)) as caught:
        parse_random(text)
    assert problem in str(caught.value)
    assert text.strip() in str(caught.value)


@pytest.mark.parametrize("value", [None, 1, ["(1 | g)"], b"(1 | g)"])
def test_only_strings(value):
    with pytest.raises(TypeError, match=r"random must be a string such as '\(1 \+ x \| g\)'"):
        parse_random(value)


_plain = st.from_regex(r"[A-Za-z_äß][A-Za-z0-9_]{0,6}(\.[a-z]\w{0,2})?", fullmatch=True)
_quoted = st.text("ab |+-/:~1", min_size=1, max_size=6).map(lambda name: f"`{name}`")
_call = _plain.map(lambda name: f"I({name}**2 + 1)")


@st.composite
def _terms(draw):
    factors = draw(st.lists(_plain, min_size=1, max_size=3, unique=True))
    slopes = draw(st.lists(st.one_of(_plain, _quoted, _call), max_size=3, unique=True))
    return RandomTerm(tuple(factors), tuple(slopes), draw(st.booleans()) or not slopes)


@given(st.lists(_terms(), min_size=1, max_size=4, unique_by=str))
def test_round_trip(terms):
    assert parse_random(" + ".join(map(str, terms))) == tuple(terms)


@given(st.text("(1x0 +-|/:g`)~", max_size=14))
def test_any_text_parses_or_is_a_value_error(text):
    try:
        terms = parse_random(text)
    except ValueError:
        return
    assert parse_random(" + ".join(map(str, terms))) == terms


FORMULAS = {
    "y ~ x + (x | g)": ("y", "x", "(x | g)"),
    "y ~ (1 | g)": ("y", "1", "(1 | g)"),
    "y ~ 1 + (1 | g) + x": ("y", "1 + x", "(1 | g)"),
    "y ~ x": ("y", "x", None),
    "log(y) ~ a * b + (a | g)": ("log(y)", "a * b", "(a | g)"),
    "y ~ 0 + x + (1 | g) + (1 | h)": ("y", "0 + x", "(1 | g) + (1 | h)"),
    "y ~ x - 1 + (1 | g)": ("y", "x - 1", "(1 | g)"),
    "y ~ (a + b):c + (1 | g)": ("y", "(a + b):c", "(1 | g)"),
    "y ~ (a + b) + (1 | g)": ("y", "(a + b)", "(1 | g)"),
    "y ~ I(x^2) + offset(o) + (1 | g/h)": ("y", "I(x^2) + offset(o)", "(1 | g/h)"),
    " y~x+( x|g ) ": ("y", "x", "( x|g )"),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_split_formula(formula):
    assert split_formula(formula) == FORMULAS[formula]


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y", "exactly one '~'"),
        ("y ~ x ~ z", "exactly one '~'"),
        ("~ x", "nothing on the left"),
        ("y ~ ", "nothing on the right"),
        ("y ~ x - (1 | g)", r"'- \(1 \| g\)' subtracts a random term"),
        ("y ~ x + + z", "empty term beside a sign"),
        ("y ~ x + (1 | g", "bracket without its partner"),
    ],
)
def test_split_formula_errors(formula, message):
    with pytest.raises(ValueError, match=message):
        split_formula(formula)


def test_formula_must_be_a_string():
    with pytest.raises(TypeError, match="formula must be a string"):
        split_formula(None)


def test_split_sum_keeps_what_stands_in_brackets():
    parts = [("-", "a"), ("+", "f(b + c)"), ("-", "1"), ("+", "`d - e`")]
    assert split_sum("-a + f(b + c) - 1 + `d - e`") == parts
