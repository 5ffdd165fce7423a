r"""Where a plain text divides: at signs outside all brackets, in environments, around relation signs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trim.problems.answers.notation import compact

_TOKEN = re.compile(r"\\begin\s*\{[a-z*]+\}|\\end\s*\{[a-z*]+\}|\\[a-zA-Z]+|\\.|.", re.DOTALL)
_OPENING = frozenset(["(", "[", "{", "\\{", "\\langle", "\\lfloor", "\\lceil"])
_CLOSING = frozenset([")", "]", "}", "\\}", "\\rangle", "\\rfloor", "\\rceil"])
_PAIRS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "\\langle": "\\rangle", "\\text{": "}"}
_RELATION = re.compile(r"(?P<sign>\\le|\\ge|\\ne|\\in|\\approx|\\equiv|[<>=])(?![a-zA-Z])")
_MATRIX = re.compile(
    r"\\begin\s*\{(?P<kind>[pbBv]?matrix|smallmatrix|array)\*?\}(?:\s*\{[lcr|]*\})?(?P<body>.*)\\end\s*\{(?P=kind)\*?\}",
    re.S,
)
_SYSTEM = re.compile(
    r"\\begin\{(?P<kind>cases|aligned|align\*?|gathered|split)\}(?P<body>.*)\\end\{(?P=kind)\}", re.DOTALL
)
_GREEK_OR_LETTER = r"(?:[a-zA-Z]|\\(?!text|frac|sqrt|pi\b|infty|sin|cos|tan|log|ln|exp|pm|cdot)[a-zA-Z]+)"
_SUBSCRIPT = r"(?:_(?:\{[^{}]*(?:\{[^{}]*\})?[^{}]*\}|[a-zA-Z0-9]|\\[a-zA-Z]+))?"
_CALL = r"(?:\^\{?(?:-1|\([a-z0-9]+\))\}?)?(?:\([^()=]*(?:\([^()]*\))?[^()=]*\))?"
_NAME = re.compile(
    rf"(?:{_GREEK_OR_LETTER}|\\(?:dot|ddot|hat|bar|vec|tilde|overline|overrightarrow|mathcal)\{{[^{{}}]*\}}){_SUBSCRIPT}'*{_SUBSCRIPT}{_CALL}"
    r"|[A-Z]{2,4}'*|[a-zA-Z]{4,}|m?\\angle[A-Z]{1,3}|\\triangle[A-Z]{3}|\|[A-Z]{2}\||\[[A-Z]{3,}\]"
    r"|\\frac\{(?:d|\\partial)[^=]*\}\{(?:d|\\partial)[^=]*\}"
    r"|\((?:[a-zA-Z](?:_\{?[a-zA-Z0-9]\}?)?,)+[a-zA-Z](?:_\{?[a-zA-Z0-9]\}?)?\)"
)


def tokens(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Yield the signs and commands of a text, and how many brackets stand open before each."""
    depth = 0
    for found in _TOKEN.finditer(text):
        sign = found[0]
        closing = sign in _CLOSING or sign.startswith("\\end")
        depth = max(0, depth - closing)
        yield found, depth
        depth += sign in _OPENING or sign.startswith("\\begin")


def enclosed(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a text, and whether they stand in brackets."""
    start, inside = 0, False
    for found, depth in tokens(text):
        now = depth > 0 or found[0] in _OPENING
        if now != inside:
            if found.start() > start:
                yield text[start : found.start()], inside
            start, inside = found.start(), now
    if start < len(text):
        yield text[start:], inside


def cut(text: str, separator: re.Pattern[str]) -> list[str]:
    """Cut a text at the separators that stand in no brackets."""
    ends = {found.start(): depth for found, depth in tokens(text)}
    pieces, start = [], 0
    for found in separator.finditer(text):
        if ends.get(found.start(), 1) == 0 and found.start() >= start:
            pieces.append(text[start : found.start()])
            start = found.end()
    return [*pieces, text[start:]]


def whole_group(text: str, opening: str) -> str | None:
    """Return the content of a text that is one group, with its brackets at both ends; None for any other."""
    closing = _PAIRS[opening]
    if not text.startswith(opening) or not text.endswith(closing) or len(text) < len(opening) + len(closing):
        return None
    skip = opening[:-1] if opening == "\\text{" else ""
    depth = 0
    for found in _TOKEN.finditer(text, len(skip)):
        sign = found[0]
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth == 0:
            return text[len(opening) : -len(closing)] if found.end() == len(text) else None
    return None


def in_brackets(text: str) -> str | None:
    """Return what stands between the parenthesis or bracket that a text begins with and its end: "(0,4]" is one."""
    if text[:1] not in ("(", "[") or text[-1:] not in (")", "]"):
        return None
    ends = [found.end() for found, depth in tokens(text) if depth == 0 and found[0] in _CLOSING]
    return text[1:-1] if ends[:1] == [len(text)] else None


def environment(text: str) -> list[list[str]] | None:
    """Return the cells of a text that is one matrix, row by row; None for any other."""
    for opening in ("(", "["):
        inner = whole_group(text, opening)
        text = inner.strip() if inner is not None and inner.strip().startswith("\\begin") else text
    found = _MATRIX.fullmatch(text.strip())
    if found is None or "\\begin" in found["body"] or found["kind"] == "vmatrix":
        return None
    rows = [
        row
        for row in re.split(r"\\\\(?:\[[^\]]*\])?|\\cr(?![a-z])", found["body"].replace("\\hline", ""))
        if row.strip()
    ]
    return [row.split("&") for row in rows]


def system(text: str) -> str:
    """Write a system of equations, a row each, as a list of them; a function by cases stays."""
    found = _SYSTEM.fullmatch(text.strip())
    if found is None or (found["kind"] == "cases" and "&" in found["body"]):
        return text
    rows = re.split(r"\\\\", found["body"].replace("&", ""))
    return ", ".join(row.strip().rstrip(",") for row in rows if row.strip())


def relation_parts(text: str) -> list[str]:
    """Cut a text at the relation signs that stand in no brackets: sides and signs in turn."""
    parts, start = [], 0
    for found, depth in tokens(text):
        sign = _RELATION.fullmatch(found[0])
        if sign and depth == 0:
            parts += [text[start : found.start()].strip(), sign["sign"]]
            start = found.end()
    return [*parts, text[start:].strip()]


def is_name(text: str) -> bool:
    r"""Tell whether a side of an equation only says what the other one is called: x, k_{\max}, f(x), dM/dt, AB."""
    stripped = text.strip()
    if re.fullmatch(r"(?:\\text\s*\{[^{}]*\}\s*)+", stripped):
        return True
    if re.search(r"[0-9]", stripped[:1]) or not stripped:
        return False
    if _NAME.fullmatch(stripped.replace(" ", "")) or _NAME.fullmatch(compact(stripped)):
        return stripped not in ("e", "i")
    return False
