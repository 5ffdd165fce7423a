"""What tables for the paper have in common: booktabs, one style of cell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SPECIAL = {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "$": r"\$", "~": r"\textasciitilde{}"}


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


def percent(row: Mapping[str, Any], name: str) -> str:
    """Return a share and its interval, in percent."""
    return interval_cell(row, name, 100, 1)


def interval_cell(row: Mapping[str, Any], name: str, scale: float, digits: int) -> str:
    """Return an estimate and its interval; an empty one is a dash."""
    value, low, high = (row[key] * scale for key in (name, f"{name}_lo", f"{name}_hi"))
    if np.isnan(value):
        return "--"
    ends = ", ".join("--" if np.isnan(end) else f"${end:.{digits}f}$" for end in (low, high))
    return f"${value:.{digits}f}$ [{ends}]"


ABSENT = "--"


@dataclass(frozen=True)
class Form:
    """How a quantity is written: multiplied, rounded, with a unit behind it."""

    scale: float = 1
    digits: int = 2
    unit: str = ""
    signed: bool = False

    def value(self, number: float) -> str:
        """Write one number; one that is not there is a dash."""
        return ABSENT if number != number else f"${number * self.scale:{'+' if self.signed else ''}.{self.digits}f}$"

    def estimate(self, value: float, ends: Sequence[float] = ()) -> str:
        """Write an estimate, its unit and its interval."""
        if value != value:
            return ABSENT
        interval = f" [{', '.join(self.value(end) for end in ends)}]" if len(ends) else ""
        return f"{self.value(value)}{self.unit}{interval}"


PERCENT = Form(100, 1, r"\,\%")


POINTS = Form(100, 1, " points")


COUNT = Form(digits=0)


FORMS: tuple[tuple[str, Form], ...] = (
    (r"factor", Form(digits=1)),
    (r"percent", Form(digits=1, unit=r"\,\%")),
    (r"cpt|accuracy|share|pgr", PERCENT),
    (r"^n_|problems", COUNT),
    (r"tokens|calls", Form(digits=1)),
    (r"auc|ece|brier|p_value|p_corrected", Form(digits=3)),
)
"""The first pattern that a quantity's name holds decides; all else has two digits."""


def form_of(quantity: str) -> Form:
    """Return how a quantity is written."""
    return next((form for pattern, form in FORMS if re.search(pattern, quantity.lower())), Form())


def write_p(value: float) -> str:
    """Write a p-value, with the sign that it stands behind."""
    if value != value:
        return ABSENT
    return "$p<0.001$" if value < 0.001 else f"$p={value:.3f}$"
