"""What stands in the columns of the tables between the stages: types, ranges, and where values may be missing."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """What may stand in a column of a table.

    Attributes
    ----------
    kind
        Type of its values.
    low, high
        Least and greatest number; of text nothing.
    gaps
        Whether values may be missing: empty, or NaN.
    among
        The texts that there are, if they are few.
    """

    kind: Literal["text", "whole", "number", "truth"]
    low: float = -math.inf
    high: float = math.inf
    gaps: bool = False
    among: tuple[str, ...] = ()


Layout = Mapping[str, Column]

TEXT, TRUTH, COUNT = Column("text"), Column("truth"), Column("whole", 0)

EPISODES: Layout = {
    **dict.fromkeys(("dataset", "router", "variant", "problem_id", "authors"), TEXT),
    **dict.fromkeys(("seed", "replicate", "steps"), COUNT),
    "operating_point": Column("number"),
    **dict.fromkeys(("correct", "correct_strict"), TRUTH),
    "answer": Column("text", gaps=True),
    **dict.fromkeys(("strong_tokens", "weak_tokens", "discarded_tokens", "prm_tokens", "strong_prefill_tokens"), COUNT),
    **dict.fromkeys(("strong_calls", "weak_calls", "prm_calls"), COUNT),
}
"""A row an episode, or a whole solution of one model."""

READ = dict.fromkeys(
    (
        *("strong_input_tokens", "strong_cached_tokens", "strong_cached_1024_tokens"),
        *("weak_input_tokens", "weak_cached_tokens", "prm_cached_tokens"),
    ),
    COUNT,
)
"""Of episodes on the test split: what models read, which prices need beside the other costs."""

STEPS: Layout = {
    **dict.fromkeys(("dataset", "behaviour", "problem_id", "author", "text"), TEXT),
    **dict.fromkeys(("replicate", "position"), COUNT),
    "tokens": Column("whole", 0, gaps=True),
    **dict.fromkeys(("finish", "operation"), Column("text", gaps=True)),
    "valid": Column("truth", gaps=True),
    "correct": TRUTH,
}
"""A row a step of a rollout."""

SCORED_STEPS: Layout = {**STEPS, "score": Column("number", 0, 1)}
"""A row a step, with its PRM score."""

SOLUTION_KEYS = ["behaviour", "problem_id", "replicate"]
"""Columns that tell solutions apart in tables of steps."""

_OF_AN_ACTION: Layout = {
    **dict.fromkeys(("tokens", "prompt_tokens"), Column("whole", -1)),
    "score": Column("number", 0, 1, gaps=True),
    **dict.fromkeys(("final", "correct", "correct_strict"), TRUTH),
    "child": Column("whole", -2),
    **dict.fromkeys(("text", "answer"), Column("text", gaps=True)),
}
NODES: Layout = {
    "problem_id": TEXT,
    **dict.fromkeys(("replicate", "position"), COUNT),
    **dict.fromkeys(("parent", "prm_tokens"), Column("whole", -1)),
    **{f"{name}_{who}": column for name, column in _OF_AN_ACTION.items() for who in ("draft", "strong")},
}
"""A row a node of the rollout trees; -1 is unknown, -2 an end."""


CONTINUATIONS = ("weak", "strong")
"""Who writes all that follows the step under decision, at a labelled prefix."""

PREFIXES: Layout = {
    **dict.fromkeys(("prefix", "problem_id", "authors", "text", "draft"), TEXT),
    **dict.fromkeys(("replicate", "draft_tokens"), COUNT),
    "score": Column("number", 0, 1),
    **dict.fromkeys(("weight", "solution_tokens"), Column("number", 0)),
    **{
        f"{action}_{who}_{what}": Column("number", 0)
        for action in ("keep", "regenerate")
        for who in CONTINUATIONS
        for what in ("right", "tokens")
    },
}
"""A row a prefix whose draft was kept and regenerated, and what came of both: docs/prefixes.md."""


def check_types(schema: pa.Schema, layout: Layout, further: Collection[str] = ()) -> None:
    """Check the columns of a table before it is read.

    Parameters
    ----------
    further
        Columns that there must be too, of whatever type.

    Raises
    ------
    ValueError
        Names the first column that is missing or of another type.
    """
    if lacking := [name for name in (*layout, *further) if name not in schema.names]:
        raise ValueError(f"it has no column {lacking[0]!r}")
    for name, column in layout.items():
        if not _fits(schema.field(name).type, column):
            raise ValueError(f"column {name!r} is of type {schema.field(name).type}, expected {column.kind}")


def _fits(found: pa.DataType, column: Column) -> bool:
    from pyarrow import types

    # Where all values are missing, nobody knows their type; whole numbers with gaps are floats to pandas.
    if column.gaps and (types.is_null(found) or (column.kind == "whole" and types.is_floating(found))):
        return True
    known = {
        "text": types.is_string(found) or types.is_large_string(found),
        "whole": types.is_integer(found),
        "number": types.is_floating(found) or types.is_integer(found),
        "truth": types.is_boolean(found),
    }
    return bool(known[column.kind])


def check_ranges(table: pa.Table, layout: Layout) -> None:
    """Check the values of a table; of a column of lists, those in the lists.

    Raises
    ------
    ValueError
        Names the first column with a gap, or with a value that cannot stand there.
    """
    import pyarrow.compute as pc
    from pyarrow import types

    for name, column in layout.items():
        values = table[name]
        gaps = values.null_count
        if types.is_list(values.type):
            values = pc.list_flatten(values)
        known = values.drop_null()
        if types.is_floating(known.type):
            known = known.filter(pc.invert(pc.is_nan(known)))
        if gaps + len(values) - len(known) and not column.gaps:
            raise ValueError(f"column {name!r} has gaps")
        if column.among and (odd := set(pc.unique(known).to_pylist()) - set(column.among)):
            raise ValueError(f"column {name!r} holds {min(odd)!r}, expected one of {', '.join(column.among)}")
        if column.kind in ("whole", "number") and len(known):
            ends = pc.min_max(known).as_py()
            if ends["min"] < column.low or ends["max"] > column.high:
                raise ValueError(
                    f"column {name!r} holds {ends['min']} to {ends['max']}, expected {column.low} to {column.high}"
                )
