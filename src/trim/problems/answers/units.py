r"""What stands around a number: units, currencies, percent, "million", ordinals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from trim.problems.answers.notation import FUNCTIONS

_NAMES: dict[str, str] = {
    "mm": "mm millimeter millimetre",
    "cm": "cm centimeter centimetre",
    "m": "m meter metre",
    "km": "km kilometer kilometre",
    "in": "in inch inche",
    "ft": "ft foot feet",
    "yd": "yd yard",
    "mi": "mi mile",
    "nm": "nm nanometer nanometre",
    "um": "um micrometer micron",
    "mg": "mg milligram",
    "g": "g gram gm",
    "kg": "kg kilogram kilo",
    "lb": "lb pound",
    "oz": "oz ounce",
    "s": "s sec second",
    "ms": "ms millisecond",
    "min": "min minute",
    "h": "h hr hour",
    "day": "day",
    "week": "week wk",
    "month": "month",
    "year": "year yr",
    "ml": "ml mL milliliter millilitre",
    "l": "l L liter litre",
    "deg": "deg degree \\degree",
    "rad": "rad radian",
    "dollar": "dollar usd USD buck",
    "cent": "cent",
    "euro": "euro eur EUR",
    "n": "N newton",
    "j": "J joule",
    "kj": "kJ kilojoule",
    "w": "W watt",
    "kw": "kW kilowatt",
    "v": "V volt",
    "a": "A amp ampere",
    "k": "K kelvin",
    "c": "C celsius",
    "f": "F fahrenheit",
    "pa": "Pa pascal",
    "hz": "Hz hertz",
    "ev": "eV electronvolt",
    "mol": "mol mole",
    "erg": "erg",
    "mph": "mph",
    "kph": "kph kmh",
    "unit": "unit",
    "au": "AU",
    "pc": "pc parsec",
    "gal": "gal gallon",
}
_CANONICAL = {word: unit for unit, words in _NAMES.items() for word in words.split()}
_MULTIPLIERS = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
_POWERS = {"square": "2", "sq": "2", "cubic": "3", "cu": "3", "squared": "2", "cubed": "3"}
_PERCENT = {"percent", "percents", "pct", "per cent"}

_WORD = re.compile(r"[A-Za-z]+")
# No possessive quantifiers: Python 3.11.2 mistakes them. Each sign begins one alternative, so none is tried twice.
_TAIL = re.compile(
    r"(?:\\text\s*\{[^{}]*\}|[A-Za-z]+(?![A-Za-z])\.?|\s|/|\\cdot(?![a-z])|\^\s*(?:\{\s*(?:-\s*)?\d+\s*\}|-?\d)|\\degree(?![a-z])|[()']|(?<=[a-z])-(?=[a-z])|\\%)+"
)
_BEGINNING = re.compile(r"\\text\s*\{|\\degree|\\%|(?<=\d)'|(?<![A-Za-z\\_^{])[A-Za-z]+")
_FRACTION = re.compile(r"\\frac\s*\{\s*\\text\s*\{([^{}]*)\}\s*\}\s*\{\s*\\text\s*\{([^{}]*)\}([^{}]*)\}$")
_ORDINAL = re.compile(r"(?<=\d)\s*\^\s*\{?\s*\\text\s*\{(?:st|nd|rd|th)\}\s*\}?$")
_FUNCTION = re.compile(rf"\\(?:{'|'.join(FUNCTIONS)})(?![a-zA-Z])")
_CURRENCY = re.compile(
    r"^(?P<sign>[-+]?)\s*(?:(?:US|USD|Rs\.?|EUR|GBP)?\s*\\currency|USD|EUR|GBP|Rs\.?)\s*(?P<rest>[-+]?[\d.].*)$", re.S
)
_CURRENCY_BEHIND = re.compile(r"\s*\\currency\s*$")
_ABOUT = re.compile(r"^(?:\\text\s*\{[^{}]*\}|about |approximately |~)\s*(?=[-+]?[\d.\\])")


@dataclass(frozen=True)
class Measured:
    """A text in parts: a value, and what its unit says.

    Attributes
    ----------
    value
        The text without its unit.
    unit
        The unit in one way of writing; None where there is none, "" where it is none that this module knows.
    percent
        Whether the value counts hundredths.
    factor
        What "million" and the like multiply the value by.
    bare
        Whether the unit's letters stand in the formula like letters of it: it may be no unit.
    doubtful
        Whether it is a single letter, which a reference would not mean as a unit.
    """

    value: str
    unit: str | None = None
    percent: bool = False
    factor: Fraction = Fraction(1)
    bare: bool = False
    doubtful: bool = False


def split_unit(text: str) -> Measured:
    """Split a plain text into its value and its unit."""
    text = _ORDINAL.sub("", _FRACTION.sub(r"\\text{\1}/\\text{\2}\3", _ABOUT.sub("", text)))
    if currency := _CURRENCY.match(text):
        rest = split_unit(currency["sign"] + currency["rest"])
        return Measured(rest.value, rest.unit or "dollar", rest.percent, rest.factor)
    if _CURRENCY_BEHIND.search(text):
        return Measured(_CURRENCY_BEHIND.sub("", text), "dollar")
    for begin in _BEGINNING.finditer(text):
        value, tail = text[: begin.start()], text[begin.start() :]
        if tail.startswith("\\degree") and _FUNCTION.search(value):
            continue  # the angle is a function's
        if value.strip() and _TAIL.fullmatch(tail) and not value.rstrip().endswith(("_", "^", "\\cdot", "+", "/", "=")):
            if found := _measured(value.rstrip(), tail, spaced=value != value.rstrip()):
                return found
    return Measured(text)


def _measured(value: str, tail: str, *, spaced: bool) -> Measured | None:
    marked = tail.startswith(("\\text", "\\degree", "\\%", "'"))
    words = _WORD.findall(re.sub(r"\\text|\\degree|\\cdot", " ", tail))
    factor = Fraction(1)
    while words and words[0].lower() in _MULTIPLIERS:
        factor *= _MULTIPLIERS[words.pop(0).lower()]
        tail = _after_word(tail)
    percent = "\\%" in tail or " ".join(words[:2]).lower() in _PERCENT or bool(words and words[0].lower() in _PERCENT)
    if marked or factor > 1 or percent:
        return Measured(value, None if percent else _canonical(tail), percent, factor)
    if not re.fullmatch(r"[-+]?\s*[\d.,/ ]+|.*\}|.*[\d)!]|.*\\pi", value) or not _is_number_like(value):
        return None
    known = bool(words) and all(_is_known(word) for word in words if word.lower() not in ("per", "of"))
    if known or (spaced and len(words[0]) > 2):
        alone = len(words) == 1 and len(words[0]) == 1
        if alone and not spaced:
            return None
        return Measured(value, _canonical(tail), bare=True, doubtful=alone)
    if words and words[0] in ("st", "nd", "rd", "th") and value[-1:].isdigit():
        return Measured(value, "")
    return None


def _is_number_like(value: str) -> bool:
    """Tell whether a text holds no letters outside commands and text: "2k" does."""
    return not _WORD.search(re.sub(r"\\[a-zA-Z]+|(?<=\d)[eE][-+]?\d+", " ", value))


def _after_word(tail: str) -> str:
    return re.sub(r"^(?:\\text\s*\{\s*)?[A-Za-z]+\s*\}?\s*", "", tail, count=1)


def _is_known(word: str) -> bool:
    return _canonical_word(word) is not None or word.lower() in _POWERS


def _canonical_word(word: str) -> str | None:
    for form in (word, word.lower(), word.lower().removesuffix("s"), word.lower().removesuffix("es")):
        if form in _CANONICAL:
            return _CANONICAL[form]
    return None


def _canonical(tail: str) -> str:
    """Write a unit in one way, or as "" where a word is unknown: "square inches" and "in^2" are in2."""
    if modulus := re.search(r"mod (\w+)", tail):
        return modulus[0]
    text = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", tail).replace("\\cdot", " ").replace("\\degree", " deg ")
    pieces = re.findall(r"[A-Za-z]+|/|'+|\^\s*\{?\s*-?\s*\d+", text.replace(" per ", "/"))
    written: list[str] = []
    power = ""
    for piece in pieces:
        if piece[0] in "/'":
            written.append(piece)
        elif piece.startswith("^"):
            written.append(re.sub(r"[^-\d]", "", piece))
        elif piece.lower() in _POWERS:
            if piece.lower().endswith("ed"):
                written.append(_POWERS[piece.lower()])
            else:
                power = _POWERS[piece.lower()]
        else:
            unit = _canonical_word(piece)
            if unit is None:
                return ""
            written.extend([unit, power])
            power = ""
    return "".join(written).replace("degc", "c").replace("degf", "f")
