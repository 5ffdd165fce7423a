"""What tables for the paper have in common: booktabs, one style of cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def tabular(columns: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of ready cells."""
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", f"{' & '.join(header)} \\\\", r"\midrule"]
    lines += [f"{' & '.join(row)} \\\\".replace("_", r"\_") for row in rows]
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
