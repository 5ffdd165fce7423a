r"""Math-verify, for what the reader of formulas cannot read: integrals, sums, sets of formulas, words.

It says yes too easily: it rounds to six places, does not tell capital letters from small ones, and takes an answer's
last equation for all of it. So its yes counts only where both texts could be parsed, no letter is a capital in one of
them alone, and their values, if they have any, are close relative to their size.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

from trim.problems.answers.formula_reader import DEEPEST
from trim.problems.answers.kinds import Leaf, Readings, Words
from trim.problems.answers.notation import compact
from trim.problems.answers.reading import read

_LETTERS = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])")
_ALIKE = 1e-9
LONGEST = 500


def verified(found: str, expected: str) -> bool:
    """Tell whether math-verify takes two plain texts for the same, and may be believed."""
    from math_verify import verify

    if compact(found).casefold() == compact(expected).casefold():
        return compact(found) == compact(expected)
    if _is_tangled(found) or _is_tangled(expected):
        return False  # its parser would take minutes
    one, other = _parsed(found), _parsed(expected)
    if not one or not other or _cases_differ(found, expected):
        return False
    value, right = _number(one[0]), _number(other[0])
    if value is not None and right is not None and abs(value - right) > _ALIKE * max(abs(value), abs(right)):
        return False
    return bool(verify(other, one, timeout_seconds=None))


def is_mathematics(reference: str, _: str = "") -> bool:
    """Tell whether a reference can be read as mathematics, and is not compared as text only."""
    return not _has_text(read(reference, reference=True))


def _has_text(readings: Readings) -> bool:
    return not readings or all(_is_text(value) for value in readings)


def _is_text(value: Any) -> bool:
    if isinstance(value, Words):
        return True
    if isinstance(value, Leaf):
        return value.formula is None and not _parsed(value.text)
    parts = [
        getattr(value, name)
        for name in ("members", "parts", "value", "left", "right", "low", "high")
        if hasattr(value, name)
    ]
    nested = [part if isinstance(part, tuple) else (part,) for part in parts if part is not None]
    return any(
        _is_text(inner) if not isinstance(inner, tuple) else _has_text(inner) for part in nested for inner in part
    )


def _parsed(text: str) -> list[Any]:
    """Return what math-verify reads in a text, or nothing where that is only its text."""
    from math_verify import parse

    found = parse(f"\\boxed{{{text}}}", parsing_timeout=None)
    return [] if not found or isinstance(found[0], str) else found


def _is_tangled(text: str) -> bool:
    """Tell whether a text is long, or its brackets do not close or stand too deep in one another."""
    if len(text) > LONGEST:
        return True
    depths = list(accumulate((sign in "([{") - (sign in ")]}") for sign in text))
    return bool(depths) and (depths[-1] != 0 or max(depths) > DEEPEST)


def _cases_differ(found: str, expected: str) -> bool:
    """Tell whether a letter is a capital in one text alone: math-verify reads both as small ones."""
    cases = [set(_LETTERS.findall(text)) for text in (found, expected)]
    shared = {letter.casefold() for letter in cases[0]} & {letter.casefold() for letter in cases[1]}
    one, other = ({letter for letter in letters if letter.casefold() in shared} for letters in cases)
    return one != other


def _number(parsed: Any) -> complex | None:
    try:
        return complex(parsed.evalf(30))
    except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):  # sympy: a number times a matrix
        return None
