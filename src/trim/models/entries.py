"""Entries of the step store: how steps and scores become columns, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa

from trim.layouts import COUNT, TEXT, Column, Layout, check_ranges
from trim.models.protocols import FinishReason, Score, Step

Entry = TypeVar("Entry", bound=Step | Score)

# What Arrow raises at a text that no UTF-8 spells, a number too wide for its column, a value of another type.
UNFIT = (ValueError, OverflowError, TypeError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Codec(Generic[Entry]):
    """How entries of one kind become columns, and back."""

    schema: pa.Schema
    encode: Callable[[Entry], tuple[Any, ...]]
    decode: Callable[..., Entry]
    ranges: Layout
    """What may stand in the columns beside the key."""

    def table(self, pairs: Iterable[tuple[bytes, Entry]]) -> pa.Table:
        """Return keys and entries, at least one of them, as columns.

        Raises
        ------
        UNFIT
            An entry does not fit them.
        """
        rows = [(key, *self.encode(entry)) for key, entry in pairs]
        columns = zip(zip(*rows, strict=True), self.schema, strict=True)
        table = pa.table([pa.array(column, kind.type) for column, kind in columns], schema=self.schema)
        check_ranges(table, self.ranges)
        return table

    def fits(self, key: bytes, entry: Entry) -> bool:
        """Tell whether an entry fits the columns."""
        try:
            self.table([(key, entry)])
        except UNFIT:
            return False
        return True


STEPS: Codec[Step] = Codec(
    pa.schema(
        [
            ("key", pa.binary(16)),
            ("text", pa.string()),
            ("token_ids", pa.list_(pa.int32())),
            ("prompt_tokens", pa.int32()),
            ("finish", pa.string()),
        ]
    ),
    lambda step: (step.text, list(step.token_ids), step.prompt_tokens, step.finish.value),
    lambda text, ids, prompt_tokens, finish: Step(text, tuple(ids), prompt_tokens, FinishReason(finish)),
    {
        "text": TEXT,
        "token_ids": Column("whole", -1),
        "prompt_tokens": COUNT,
        "finish": Column("text", among=tuple(FinishReason)),
    },
)
SCORES: Codec[Score] = Codec(
    pa.schema([("key", pa.binary(16)), ("value", pa.float64()), ("prompt_tokens", pa.int32())]),
    lambda score: (score.value, score.prompt_tokens),
    Score,
    {"value": Column("number", 0, 1), "prompt_tokens": COUNT},
)
