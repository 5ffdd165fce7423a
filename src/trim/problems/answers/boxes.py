r"""The answer of a text: what its last \boxed{} holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Doubled backslashes are what models write that learned from escaped strings.
_TOKEN = re.compile(
    r"(?P<box>\\+(?:boxed|fbox)\s*\{)|(?P<bare>\\+(?:boxed|fbox)(?![a-zA-Z{]))|\\.|(?P<open>\{)|(?P<close>\})",
    re.DOTALL,
)
_GROUP = r"\{[^{}]*\}"
# \boxed without braces holds a number, a fraction, a root, a word in \text, or one letter at the end of a formula.
_BARE = re.compile(
    rf"\s*([-+]?\d+(?:,\d{{3}})*(?:\.\d+)?(?:/\d+)?|-?\\[dt]?frac\s*(?:{_GROUP}|\d)\s*(?:{_GROUP}|\d)|-?\\sqrt\s*{_GROUP}"
    rf"|\\(?:text|textbf|mathrm|mathbf)\s*{_GROUP}|[a-zA-Z](?=\s*(?:\$|\\\)|\\\])))"
)
_JOINER = re.compile(
    r"(?:\s|[$~&,;]|\\[()\[\],:; ]|\\q?quad\b|\\(?:text|textrm|mbox|mathrm)\s*\{\s*,?\s*(?:and|or)\s*\}|and\b|or\b)*",
    re.I,
)
_JOINING = re.compile(r"and|or|[,;]", re.I)
_BLANK = re.compile(
    r"(?:[\s$~.…?_\u200b{}]|\\[,:;!_ ]|\\q?quad|\\[lc]?dots|\\square|\\ |\\(?:h?phantom|text|mathrm)\s*(?=\{\s*\}))*"
)


@dataclass(frozen=True, slots=True)
class _Box:
    start: int  # of the command
    opens: int  # of what it holds
    closes: int
    end: int


def extract_answer(text: str) -> str | None:
    r"""Return what the last box of a text holds, or None.

    A box is a complete \boxed{} or \fbox{}, or \boxed before a bare number. One that holds nothing is no answer.
    Boxes joined by nothing but commas, "and" or "or" are one answer; a box within a box is part of it.
    """
    if "boxed" not in text and "fbox" not in text:
        return None
    outer, inner = _boxes(text)
    filled = [(box, content) for box in outer if not _BLANK.fullmatch(content := _content(text, box, inner))]
    if not filled:
        return None
    answers = [filled[-1][1]]
    for (box, content), (following, _) in zip(filled[-2::-1], filled[:0:-1], strict=True):
        gap = text[box.end : following.start]
        if not (_JOINING.search(gap) and _JOINER.fullmatch(gap)):
            break
        answers.append(content)
    together = list(dict.fromkeys(answer.strip() for answer in reversed(answers)))
    return ", ".join(together) if len(together) > 1 else answers[0]


def solution_answer(steps: Sequence[str]) -> str | None:
    """Return the boxed answer of a solution, or None. It may straddle the last two steps; all before is too early."""
    return extract_answer("".join(steps[-2:]))


def has_boxed_answer(text: str) -> bool:
    r"""Tell whether a text holds an answer: a complete box that is not empty."""
    return extract_answer(text) is not None


def _boxes(text: str) -> tuple[list[_Box], list[_Box]]:
    """Find the complete boxes: those within no other, and those within one."""
    opened: list[tuple[int, int] | None] = []
    found: list[_Box] = []
    for token in _TOKEN.finditer(text):
        if token["box"]:
            opened.append((token.start(), token.end()))
        elif token["open"]:
            opened.append(None)
        elif token["bare"]:
            bare = _BARE.match(text, token.end())
            if bare:
                found.append(_Box(token.start(), bare.start(1), bare.end(1), bare.end(1)))
        elif token["close"] and opened:
            begun = opened.pop()
            if begun is not None:
                found.append(_Box(*begun, token.start(), token.end()))
    outer: list[_Box] = []
    inner: list[_Box] = []
    for box in sorted(found, key=lambda box: box.start):
        (inner if outer and box.start < outer[-1].end else outer).append(box)
    return outer, inner


def _content(text: str, box: _Box, inner: list[_Box]) -> str:
    """Return what a box holds, without the commands and braces of the boxes within."""
    within = [other for other in inner if box.start < other.start < box.end]
    cuts = sorted(cut for b in within for cut in ((b.start, b.opens), (b.closes, b.end)))
    pieces, position = [], box.opens
    for start, end in cuts:
        pieces.append(text[position:start])
        position = end
    return "".join([*pieces, text[position : box.closes]])
