r"""The kinds of answers.

======================  ========================================================================
`Leaf`                  a number, a percentage, a formula; with a unit, perhaps
`Words`                 text: "east", "no solution"
`Based`                 digits of a number in some base
`Sequence`              an ordered pair, a vector, a row, a column: order counts
`Grid`                  a matrix
`Group`                 several values in any order: "6, -6", a set, "x = 1 or x = 2"
`Range`, `Union`        an interval, also as an inequality; several of them
`Labelled`              "x = 5", "k_{\max} = n^2": what the value is called may be left out
`Relation`              an equation or inequality that is not solved
======================  ========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from trim.problems.answers.formulas import Formula


@dataclass(frozen=True)
class Leaf:
    """A number or formula; `formula` is None where only its text can be compared."""

    text: str
    formula: Formula | None
    unit: str | None = None
    percent: bool = False


@dataclass(frozen=True)
class Words:
    """Text, without spaces, signs and case."""

    text: str


@dataclass(frozen=True)
class Based:
    """A number in a base."""

    digits: str
    base: int


@dataclass(frozen=True)
class Sequence:
    """Values whose order counts."""

    style: Literal["round", "square", "angle", "row", "column"]
    members: tuple[Readings, ...]


@dataclass(frozen=True)
class Grid:
    """A matrix, row by row."""

    rows: tuple[tuple[Readings, ...], ...]


@dataclass(frozen=True)
class Group:
    """Values in any order; in a set, none counts twice."""

    members: tuple[Readings, ...]
    is_set: bool = False


@dataclass(frozen=True)
class Range:
    """An interval; None is infinity. `name` is the letter of an inequality."""

    low: Readings | None
    high: Readings | None
    low_closed: bool
    high_closed: bool
    name: str = ""


@dataclass(frozen=True)
class Union:
    """Several intervals and sets, as one."""

    parts: tuple[Readings, ...]


@dataclass(frozen=True)
class Labelled:
    """A value with its name."""

    label: str
    value: Readings


@dataclass(frozen=True)
class Relation:
    r"""An equation or inequality: left, sign, right; of < and > only < and \le are used."""

    left: Leaf
    sign: str
    right: Leaf


Value: TypeAlias = Leaf | Words | Based | Sequence | Grid | Group | Range | Union | Labelled | Relation
Readings: TypeAlias = tuple[Value, ...]
