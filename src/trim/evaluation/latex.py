"""What tables for the paper have in common: booktabs, one style of cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
