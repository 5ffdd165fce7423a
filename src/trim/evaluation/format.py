"""How numbers and tables are written: in LaTeX for the paper, as plain text for the README and the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isinf
from typing import Any

ABSENT = "--"
"""What LaTeX makes a dash of."""

SPECIAL = {sign: f"\\{sign}" for sign in "%_&#${}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def escape(text: object) -> str:
    """Write plain text as LaTeX."""
    return "".join(SPECIAL.get(letter, letter) for letter in str(text))


def tabular(columns: str, header: Sequence[str], *groups: Iterable[Sequence[str]]) -> str:
    """Return a table of ready cells, with a rule before each group of rows; a group without rows has none."""
    blocks = [[f"{' & '.join(row)} \\\\" for row in rows] for rows in groups]
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", f"{' & '.join(header)} \\\\"]
    lines += [line for block in blocks if block for line in [r"\midrule", *block]]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def named(router: str, variant: str, seed: int = 0) -> str:
    """Name a sweep; training runs after the first have a number."""
    name = router if variant == "default" else f"{router} ({variant})"
    return f"{name}, run {seed}" if seed else name


@dataclass(frozen=True)
class Form:
    """How a quantity is written: multiplied, rounded, with a unit behind it; what is not there is a dash."""

    scale: float = 1
    digits: int = 2
    unit: str = ""
    signed: bool = False

    def latex(self, value: float, ends: Sequence[float] = (), size: str = "") -> str:
        """Write an estimate, its unit and its interval, which may have a size of its own."""
        if value != value:
            return ABSENT
        written = self._in_math(value) + self.unit.replace("%", r"\,\%")
        if not len(ends):
            return written
        interval = f"[{', '.join(map(self._in_math, ends))}]"
        return f"{written} {{{size} {interval}}}" if size else f"{written} {interval}"

    def text(self, value: float, ends: Sequence[float] = ()) -> str:
        """Write an estimate and its interval as plain text, each with its unit."""
        interval = f" [{', '.join(map(self._plain, ends))}]" if len(ends) and value == value else ""
        return self._plain(value) + interval

    def _number(self, value: float) -> str:
        return f"{value * self.scale:{'+' if self.signed else ''}.{self.digits}f}"

    def _in_math(self, value: float) -> str:
        return f"${self._number(value)}$" if value == value else ABSENT

    def _plain(self, value: float) -> str:
        if isinf(value):
            return "no end"
        return self._number(value) + self.unit if value == value else "–"


PERCENT = Form(100, 1, "%")
POINTS = Form(100, 1, " points")
COUNT = Form(digits=0)
FORMS: tuple[tuple[str, Form], ...] = (
    (r"factor", Form(digits=1)),
    (r"percent", Form(digits=1, unit="%")),
    (r"cpt|accuracy|share|pgr", PERCENT),
    (r"^n_|problems", COUNT),
    (r"tokens|calls", Form(digits=1)),
    (r"auc|ece|brier|p_value|p_corrected", Form(digits=3)),
)
"""The first pattern that a quantity's name holds decides; all else has two digits."""


def form_of(quantity: str) -> Form:
    """Return how a quantity is written."""
    return next((form for pattern, form in FORMS if re.search(pattern, quantity.lower())), Form())


def ends_of(row: Mapping[str, Any], name: str) -> tuple[float, ...]:
    """Return the ends of the interval of an estimate; none where its table has none."""
    return tuple(float(row[end]) for end in (f"{name}_lo", f"{name}_hi") if end in row)


def cell(row: Mapping[str, Any], name: str) -> str:
    """Return the cell of a LaTeX table: an estimate and, smaller, its interval; units stand in the header."""
    form = replace(form_of(name), unit="", signed=name == "difference")
    return form.latex(row[name], ends_of(row, name), r"\scriptsize")


def write_p(value: float, at_floor: bool = False) -> str:
    """Write a p-value, with the sign that it stands behind; one at the floor of a bootstrap is an upper bound."""
    if value != value:
        return ABSENT
    if value < 0.001:
        return "$p<0.001$"
    sign = r"\leq" if at_floor else "="
    return f"$p{sign}{value:.3f}$"
