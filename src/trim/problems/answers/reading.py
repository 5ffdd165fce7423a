r"""How a text is read as an answer of some kind, or of several.

Some texts can be read in two ways: "(2,5)" is a pair or an interval, "1,200" a number or two. Both are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from trim.problems.answers.formulas import Formula, read_formula
from trim.problems.answers.kinds import (
    Based,
    Grid,
    Group,
    Labelled,
    Leaf,
    Range,
    Readings,
    Relation,
    Sequence,
    Union,
    Value,
    Words,
)
from trim.problems.answers.notation import compact, plain
from trim.problems.answers.structure import (
    cut,
    enclosed,
    environment,
    in_brackets,
    is_name,
    relation_parts,
    system,
    whole_group,
)
from trim.problems.answers.units import Measured, split_unit

MOST_MEMBERS = 60

_NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_BASES = {word: base for base, word in enumerate(_NUMBER_WORDS, start=2)} | {
    "binary": 2,
    "octal": 8,
    "hexadecimal": 16,
    "decimal": 10,
}
_BASED = re.compile(
    r"\(?\s*(?P<digits>-?[0-9A-F]*[0-9][0-9A-F]*)\s*\)?\s*"
    r"(?:_\s*(?:\{(?P<sub>.*)\}|(?P<sign>\d))|(?:\\text\s*\{|\()?\s*,?\s*(?:in )?\(?\s*base[- ]?(?P<word>.*))",
    re.DOTALL,
)
_GROUPED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!\d|,\d)")
_OR = re.compile(r"\\text\s*\{\s*,?\s*or\s*\}|(?<![a-zA-Z\\])or(?![a-zA-Z])")
_SEPARATORS = re.compile(r"[,;]|\\text\s*\{\s*[,;]?\s*(?:and|or|,|;)\s*\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])")
_INFINITE = re.compile(r"\+?\\infty")
_MINUS_INFINITE = re.compile(r"-\s*\\infty")
_TRANSPOSED = re.compile(r"\^\s*\{?\s*(?:\\top|T|\\intercal|\\mathsf\{T\})\s*\}?$")
_BUILDER = re.compile(r"^\s*(?P<name>[a-z]|\\[a-z]+)(?:\s*\\in\s*\\mathbb\{[A-Z]\})?\s*[|:]\s*(?P<condition>.*)$", re.S)
_BARS = re.compile(r"\|([^|]*)\|")
_REALS = {"\\mathbb{R}", "\\mathbbR", "allrealnumbers", "allreals", "realnumbers", "everyrealnumber"}
_WORDY = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z]{4,}|\\text\s*\{[^{}]*[a-zA-Z]{2,}[^{}]*\}")
_OPERATORS = re.compile(r"[=^_+<>]|\\(?!text)[a-zA-Z]+")


@lru_cache(maxsize=2048)
def read(answer: str, *, reference: bool = False) -> Readings:
    """Read an answer in the ways in which it can be meant.

    Parameters
    ----------
    reference
        Whether it is a reference: its single letters are no units.
    """
    text = system(plain(answer))
    return _unique(_read(variant, reference) for variant in dict.fromkeys((_joined(text), text)))


def _unique(readings: Iterable[Readings]) -> Readings:
    return tuple(dict.fromkeys(value for values in readings for value in values))


def _joined(text: str) -> str:
    """Join thousands that commas group, outside all brackets."""
    pieces = []
    for piece, inside in enclosed(text):
        pieces.append(piece if inside else _GROUPED.sub(lambda found: found[0].replace(",", ""), piece))
    return "".join(pieces)


def _read(text: str, reference: bool) -> Readings:
    if re.fullmatch(r"\\text\s*\{\s*[a-zA-Z]{2,}\s*\}", text.strip()):
        return (Words(words_of(text)),)
    text = _unwrapped(text)
    if not text:
        return ()
    if (based := _read_based(text)) is not None:
        return (based,)
    for reader in (_read_several, _read_ranges, _read_relation, _read_plus_minus, _read_enclosed, _read_ratio):
        if found := reader(text, reference):
            return found
    return _read_leaf(text, reference)


def _unwrapped(text: str) -> str:
    r"""Take a whole text out of \text{}, braces, and parentheses around one value."""
    while True:
        text = text.strip().rstrip(".,;").strip()
        inner = whole_group(text, "\\text{") or whole_group(text, "{")
        if inner is None:
            inner = whole_group(text, "(") or whole_group(text, "[")
            if inner is not None and len(cut(inner, _SEPARATORS)) > 1:
                return text
        if inner is None:
            return text
        text = inner


def _read_based(text: str) -> Based | None:
    found = _BASED.fullmatch(text)
    if found is None:
        return None
    said = compact(found["sub"] or found["sign"] or found["word"] or "").strip("{}() ").lower()
    said = re.sub(r"^\(?base[- ]?", "", said).strip("()")
    base = int(said) if said.isdecimal() and len(said) < 3 else _BASES.get(said)
    if base is None or not 2 <= base <= 36:
        return None
    return Based(found["digits"].replace(" ", "").lstrip("0") or "0", base)


def _read_several(text: str, reference: bool) -> Readings:
    pieces = cut(text, _SEPARATORS)
    if len(pieces) < 2:
        return ()
    if len(pieces) > MOST_MEMBERS:
        return (Leaf(text, None),)
    texts = [piece for piece in pieces if piece.strip()]
    members = _members(texts, reference)
    if len(members) == 1 and len(texts) == 1:
        return members[0]
    if len(cut(text, _OR)) == len(texts):
        parts = [tuple(value for value in member if isinstance(value, Range)) for member in members]
        if all(parts) and all(any(part.name for part in part if isinstance(part, Range)) for part in parts):
            return (_union(parts),)
    return (Group(members),)


def _members(texts: Iterable[str], reference: bool) -> tuple[Readings, ...]:
    """Read several values; one with a plus-minus sign is two."""
    members: list[Readings] = []
    for text in texts:
        readings = _read(text, reference)
        alone = readings[0] if len(readings) == 1 else None
        members.extend(alone.members if isinstance(alone, Group) and not alone.is_set else [readings])
    return tuple(members)


def _union(parts: Iterable[Readings]) -> Union:
    flat: list[Readings] = []
    for part in parts:
        union = part[0] if len(part) == 1 else None
        flat.extend(union.parts if isinstance(union, Union) else [part])
    return Union(tuple(flat))


def _read_plus_minus(text: str, reference: bool) -> Readings:
    if "\\pm" not in text or text.startswith("\\{"):
        return ()
    ways = [text.replace("\\pm", plus).replace("\\mp", minus) for plus, minus in (("+", "-"), ("-", "+"))]
    if text.count("\\pm") == 2 and "\\mp" not in text:
        first, second, third = text.split("\\pm")
        ways = [one.join((first, other.join((second, third)))) for one in "+-" for other in "+-"]
    return (Group(tuple(_read(way.removeprefix("+"), reference) for way in ways)),)


# --- intervals --------------------------------------------------------------------------


def _read_ranges(text: str, reference: bool) -> Readings:
    """Read unions, and the real numbers with or without some."""
    pieces = cut(text, re.compile(r"\\cup(?![a-z])|(?<=[)\]}])\s*U\s*(?=[(\[\\])"))
    if len(pieces) > 1:
        readings = [_as_ranges(_read(piece, reference)) for piece in pieces]
        return (_union(readings),) if all(readings) else ()
    if compact(text).lower() in {real.lower() for real in _REALS}:
        return (Range(None, None, False, False), Words(compact(text).lower()))
    without = re.fullmatch(
        r"(?:\\mathbb\{R\}|\(-\s*\\infty,\s*\\infty\))\s*(?:\\setminus|-)\s*(\\\{.*\\\})", text, re.S
    )
    excluded = _read(without[1], reference) if without else ()
    group = excluded[0] if len(excluded) == 1 else None
    return (_without(group.members),) if isinstance(group, Group) else ()


def _as_ranges(readings: Readings) -> Readings:
    return tuple(
        value for value in readings if isinstance(value, (Range, Union)) or (isinstance(value, Group) and value.is_set)
    )


def _without(points: tuple[Readings, ...], name: str = "") -> Union:
    """Return the real numbers without some points."""
    ordered = sorted(points, key=_place)
    ends = zip([None, *ordered], [*ordered, None], strict=True)
    return Union(tuple((Range(low, high, False, False, name),) for low, high in ends))


def _place(readings: Readings) -> tuple[float, str]:
    leaf = readings[0] if readings else None
    exact = leaf.formula.exact if isinstance(leaf, Leaf) and leaf.formula else None
    return (float(exact) if exact is not None else float("inf"), str(leaf))


def _range(name: str, low: str | None, high: str | None, closed: tuple[bool, bool], reference: bool) -> Range:
    ends = [None if end is None or _is_infinite(end) else _read(end, reference) for end in (low, high)]
    return Range(ends[0], ends[1], closed[0], closed[1], name)


def _is_infinite(text: str) -> bool:
    text = text.strip()
    return bool(_INFINITE.fullmatch(text) or _MINUS_INFINITE.fullmatch(text))


# --- equations and inequalities ---------------------------------------------------------


def _read_relation(text: str, reference: bool) -> Readings:
    parts = relation_parts(text)
    if len(parts) < 3:
        return ()
    sides, signs = parts[::2], parts[1::2]
    if signs == ["\\in"] and is_name(sides[0]):
        return (Labelled(compact(sides[0]), _read(sides[1], reference)),)
    if signs == ["\\ne"] and (is_name(sides[0]) or not sides[0]):
        return (_without(_members(cut(sides[1], _SEPARATORS), reference), compact(sides[0])),)
    if set(signs) <= {"=", "\\approx", "\\equiv"}:
        return _read_equation(sides, reference)
    if all(sign in ("<", ">", "\\le", "\\ge") for sign in signs):
        return _read_inequality(sides, signs, reference)
    return ()


def _read_equation(sides: list[str], reference: bool) -> Readings:
    if len(sides) == 2 and is_name(sides[1]) and not is_name(sides[0]):
        sides = sides[::-1]
    if is_name(sides[0]):
        value = _read(sides[-1], reference)
        return (Labelled(compact(sides[0]), value),) if value else ()
    if len(sides) == 2:
        return (Relation(_side(sides[0]), "=", _side(sides[1])),)
    return ()


def _read_inequality(sides: list[str], signs: list[str], reference: bool) -> Readings:
    if signs[0] in (">", "\\ge"):
        sides, signs = sides[::-1], [{">": "<", "\\ge": "\\le"}.get(sign, sign) for sign in signs[::-1]]
    if any(sign in (">", "\\ge") for sign in signs):
        return ()
    closed = [sign == "\\le" for sign in signs]
    if len(sides) == 2 and (bars := _BARS.fullmatch(sides[0]) or _BARS.fullmatch(sides[1])) and is_name(bars[1]):
        name, end = compact(bars[1]), sides[1] if _BARS.fullmatch(sides[0]) else sides[0]
        if end is sides[1]:
            return (_range(name, f"-({end})", end, (closed[0], closed[0]), reference),)
        below = _range(name, None, f"-({end})", (False, closed[0]), reference)
        return (Union(((below,), (_range(name, end, None, (closed[0], False), reference),))),)
    if len(sides) == 3 and is_name(sides[1]):
        return (_range(compact(sides[1]), sides[0], sides[2], (closed[0], closed[1]), reference),)
    if len(sides) == 2 and (is_name(sides[0]) or not sides[0].strip()):
        return (_range(compact(sides[0]), None, sides[1], (False, closed[0]), reference),)
    if len(sides) == 2 and (is_name(sides[1]) or not sides[1].strip()):
        return (_range(compact(sides[1]), sides[0], None, (closed[0], False), reference),)
    if len(sides) == 2:
        return (Relation(_side(sides[0]), signs[0], _side(sides[1])),)
    return ()


def _side(text: str) -> Leaf:
    return Leaf(text, read_formula(text))


# --- brackets ---------------------------------------------------------------------------


def _read_enclosed(text: str, reference: bool) -> Readings:
    """Read sets, pairs, intervals, vectors and matrices."""
    transposed = _TRANSPOSED.search(text)
    bare = text[: transposed.start()].strip() if transposed else text
    inner = whole_group(bare, "\\{")
    if inner is not None:
        return _read_set(inner, reference)
    if (rows := environment(bare)) is not None:
        return _read_matrix(rows, reference, transposed=transposed is not None)
    angle = whole_group(bare, "\\langle")
    inner = angle if angle is not None else in_brackets(bare)
    pieces = cut(inner, re.compile(r"[,;]")) if inner is not None else []
    if not 2 <= len(pieces) <= MOST_MEMBERS or not all(piece.strip() for piece in pieces):
        return ()
    readings: list[Value] = []
    opening, closing = bare[0], bare[-1]
    if angle is not None or (opening, closing) in (("(", ")"), ("[", "]")):
        style: Literal["angle", "round", "square", "column"] = (
            "angle" if angle is not None else "column" if transposed else "round" if opening == "(" else "square"
        )
        readings.append(Sequence(style, tuple(_read(piece, reference) for piece in pieces)))
    if angle is None and len(pieces) == 2 and not transposed:
        readings.append(_range("", pieces[0], pieces[1], (opening == "[", closing == "]"), reference))
    return tuple(readings)


def _read_set(inner: str, reference: bool) -> Readings:
    if builder := _BUILDER.match(inner):
        return _read(builder["condition"], reference)
    pieces = [piece for piece in cut(inner, _SEPARATORS) if piece.strip()]
    return (Group(_members(pieces, reference), is_set=True),) if pieces else (Words("emptyset"),)


def _read_matrix(rows: list[list[str]], reference: bool, *, transposed: bool) -> Readings:
    if not rows or len({len(row) for row in rows}) > 1 or len(rows) * len(rows[0]) > MOST_MEMBERS:
        return ()
    if transposed:
        rows = [list(column) for column in zip(*rows, strict=True)]
    cells = tuple(tuple(_read(cell, reference) for cell in row) for row in rows)
    if len(cells[0]) == 1:
        return (Sequence("column", tuple(row[0] for row in cells)),)
    return (Sequence("row", cells[0]),) if len(cells) == 1 else (Grid(cells),)


def _read_ratio(text: str, reference: bool) -> Readings:
    pieces = text.split(":")
    if len(pieces) < 2 or not all(re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", piece) for piece in pieces):
        return ()
    if len(pieces) == 2:
        return (Leaf(text, read_formula(f"\\frac{{{pieces[0].strip()}}}{{{pieces[1].strip()}}}")),)
    return (Sequence("row", tuple(_read(piece.strip(), reference) for piece in pieces)),)


# --- single values ----------------------------------------------------------------------


def _read_leaf(text: str, reference: bool) -> Readings:
    if is_words(text):
        return (Words(words_of(text)),)
    measured = split_unit(text)
    formula = read_formula(measured.value)
    if formula is None and measured.value != text:
        inner = _read(measured.value, reference) if measured.unit is not None and not measured.bare else ()
        if inner and not isinstance(inner[0], (Leaf, Words)):
            return inner
    whole = read_formula(text) if measured.bare or measured.value == text else None
    leaf = Leaf(measured.value, _scaled(formula, measured), measured.unit, measured.percent)
    if measured.value == text or (measured.doubtful and reference):
        return (Leaf(text, whole),)
    return (leaf, Leaf(text, whole)) if whole is not None else (leaf,)


def _scaled(formula: Formula | None, measured: Measured) -> Formula | None:
    return formula if formula is None or measured.factor == 1 else formula.times(measured.factor)


def is_words(text: str) -> bool:
    """Tell whether a text consists of words, and no formula."""
    if not _WORDY.search(text) or re.match(r"[-+]?\s*[\d.\\(]", text.replace("\\text", "")):
        return text == "\\emptyset"
    return not _OPERATORS.search(text)


def words_of(text: str) -> str:
    """Return words without spaces, signs and case."""
    return re.sub(r"[\W_]", "", compact(text)).casefold()
