"""The step store: a memo on disk of every step and score ever asked for.

A shelf is a folder for one model and one part of a dataset; its content is immutable
Parquet segments, written aside and renamed. Each writer owns its segments, so jobs on
several machines share a store without a lock. A reader takes the segments that are there
when it opens the shelf; of two entries under one key the one in the smallest
(segment name, position) wins, and names begin with the time of writing: what was stored
first is the step. A kill loses at most the entries that were not flushed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from trim.errors import StoreError
from trim.models.protocols import FinishReason, Prefix, Score, Step, StepModel, StepScorer

Entry = TypeVar("Entry", bound=Step | Score)

FLUSH_ENTRIES = 20_000
FLUSH_SECONDS = 30.0
SHOWN_CHARACTERS = 300
# What Arrow raises at a text that no UTF-8 spells, a number too wide for its column, a value of another type.
UNFIT = (ValueError, OverflowError, TypeError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Codec(Generic[Entry]):
    """How entries of one kind become columns, and back."""

    schema: pa.Schema
    encode: Callable[[Entry], tuple[Any, ...]]
    decode: Callable[..., Entry]


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
)
SCORES: Codec[Score] = Codec(
    pa.schema([("key", pa.binary(16)), ("value", pa.float64()), ("prompt_tokens", pa.int32())]),
    lambda score: (score.value, score.prompt_tokens),
    Score,
)


@dataclass
class ShelfCounts:
    """What happened at a shelf: entries found, entries computed, and keys stored with different content."""

    hits: int = 0
    misses: int = 0
    conflicts: int = 0


class Shelf(Generic[Entry]):
    """One folder of the store, read when opened, written in segments of its own.

    Parameters
    ----------
    folder
        Where the segments are.
    codec
        Kind of the entries.
    origin
        Noted in every segment: what wrote it, beside what its identity says.
    """

    def __init__(self, folder: Path, codec: Codec[Entry], origin: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._origin = origin if origin is not None else {}
        self.counts = ShelfCounts()
        self._codec: Codec[Entry] = codec
        self._entries: dict[bytes, Entry | tuple[Any, ...]] = {}
        self._unflushed: list[tuple[bytes, Entry]] = []
        self._writer = secrets.token_hex(4)
        self._segments_written = 0
        self._flushed_at = time.monotonic()
        for segment in sorted(folder.glob("*.parquet")):
            self._read(segment)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def get(self, key: bytes) -> Entry | None:
        """Return the entry under a key, if there is one."""
        entry = self._entries.get(key)
        if type(entry) is tuple:  # read from disk and not asked for before
            entry = self._entries[key] = self._codec.decode(*entry)
        return entry  # type: ignore[return-value]

    def put(self, key: bytes, entry: Entry) -> Entry:
        """Remember an entry and return it, or return the one that was there first; a flush brings it to the disk."""
        first = self.get(key)
        if first is not None:
            self.counts.conflicts += first != entry
            return first
        self._entries[key] = entry
        self._unflushed.append((key, entry))
        if len(self._unflushed) >= FLUSH_ENTRIES or time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()
        return entry

    def flush(self) -> None:
        """Write what is not on disk yet as one more segment.

        Raises
        ------
        StoreError
            An entry does not fit the columns; the others are written before it is named.
        """
        self._flushed_at = time.monotonic()
        if not self._unflushed:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            table = self._table(self._unflushed)
        except UNFIT:
            fits = [self._fits(pair) for pair in self._unflushed]
            refused = [entry for (_, entry), fit in zip(self._unflushed, fits, strict=True) if not fit]
            if not refused:
                raise
            self._unflushed = [pair for pair, fit in zip(self._unflushed, fits, strict=True) if fit]
            self.flush()
            raise StoreError(
                f"{self.folder}: {len(refused)} entries cannot be stored, the others are; "
                f"the first of them is {ascii(refused[0])[:SHOWN_CHARACTERS]}"
            ) from None
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{self._writer}-{self._segments_written:05d}"
        aside = self.folder / f"{name}.tmp"
        pq.write_table(table, aside, compression="zstd", write_page_checksum=True)
        aside.replace(self.folder / f"{name}.parquet")
        self._segments_written += 1
        self._unflushed.clear()

    def _table(self, pairs: Sequence[tuple[bytes, Entry]]) -> pa.Table:
        rows = [(key, *self._codec.encode(entry)) for key, entry in pairs]
        columns = zip(zip(*rows, strict=True), self._codec.schema, strict=True)
        return pa.table(
            [pa.array(column, kind.type) for column, kind in columns],
            schema=self._codec.schema.with_metadata({"trim": json.dumps(dict(self._origin))}),
        )

    def _fits(self, pair: tuple[bytes, Entry]) -> bool:
        try:
            self._table([pair])
        except UNFIT:
            return False
        return True

    def _read(self, segment: Path) -> None:
        try:
            table = pq.read_table(
                segment, schema=self._codec.schema, partitioning=None, page_checksum_verification=True
            )
            if any(column.null_count for column in table.columns):
                raise pa.ArrowInvalid("a column is missing or has gaps")
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"{segment}: damaged segment of the step store ({error}); delete it, its entries will be computed again"
            ) from error
        keys, *columns = (column.to_pylist() for column in table.columns)
        for key, *values in zip(keys, *columns, strict=True):
            entry = tuple(values)
            if self._entries.setdefault(key, entry) != entry:
                self.counts.conflicts += 1


@dataclass
class StepStore:
    """All shelves of one job: one for each model, all for the same part of a dataset.

    Attributes
    ----------
    root
        Folder of the store.
    part
        Names the part of the data, so that a job reads only what it may need.
    offline
        Whether a missing entry is an error.
    origin
        Versions of the servers that write, as far as they are known; noted in the segments.
    """

    root: Path
    part: str
    offline: bool = False
    shelves: dict[str, Shelf[Any]] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)

    def shelf(self, identity: str, codec: Codec[Entry]) -> Shelf[Entry]:
        """Open the shelf of a model; its folder says in identity.json which model that is."""
        if identity not in self.shelves:
            name = hashlib.sha256(identity.encode()).hexdigest()[:16]
            folder = self.root / name / self.part
            if not self.offline:
                folder.mkdir(parents=True, exist_ok=True)
                described = self.root / name / "identity.json"
                if not described.exists():
                    aside = described.with_suffix(f".{secrets.token_hex(4)}.tmp")
                    aside.write_text(json.dumps({"identity": identity}, indent=1) + "\n", encoding="utf-8")
                    aside.replace(described)
            self.shelves[identity] = Shelf(folder, codec, self.origin)
        return self.shelves[identity]

    def flush(self) -> None:
        """Write what is not on disk yet, of every shelf, before an error of one of them is told."""
        errors = []
        for shelf in self.shelves.values():
            try:
                shelf.flush()
            except (OSError, StoreError) as error:
                errors.append(error)
        if errors:
            raise errors[0]

    @property
    def misses(self) -> int:
        """How many steps and scores were not in the store."""
        return sum(shelf.counts.misses for shelf in self.shelves.values())

    def report(self) -> dict[str, dict[str, int]]:
        """Return the counts by model identity."""
        return {identity: vars(shelf.counts).copy() for identity, shelf in self.shelves.items()}


class MissingEntries(StoreError):
    """Offline, the store lacks steps or scores that the experiment needs."""


class StoredStepModel:
    """A `StepModel` that asks the model behind it only for steps never seen.

    Requests for the same step that arrive while it is being written wait for it.
    """

    def __init__(self, model: StepModel, store: StepStore) -> None:
        self.identity = model.identity
        self._model = model
        self._offline = store.offline
        self._shelf = store.shelf(model.identity, STEPS)
        self._pending: dict[bytes, asyncio.Future[Step]] = {}

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Return the stored step, or have it written and store it."""
        key = hashlib.blake2b(prefix.digest, digest_size=16, key=b"%d" % replicate).digest()
        return await _remembered(
            self._shelf, self._pending, key, self._offline, lambda: self._model.step(prefix, replicate)
        )


class StoredStepScorer:
    """A `StepScorer` that asks the scorer behind it only for scores never seen."""

    def __init__(self, scorer: StepScorer, store: StepStore) -> None:
        self.identity = scorer.identity
        self._scorer = scorer
        self._offline = store.offline
        self._shelf = store.shelf(scorer.identity, SCORES)
        self._pending: dict[bytes, asyncio.Future[Score]] = {}

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Return the stored score, or have it computed and store it."""
        key = prefix.extend(step).digest
        return await _remembered(
            self._shelf, self._pending, key, self._offline, lambda: self._scorer.score(prefix, step)
        )


async def _remembered(
    shelf: Shelf[Entry],
    pending: dict[bytes, asyncio.Future[Entry]],
    key: bytes,
    offline: bool,
    compute: Callable[[], Awaitable[Entry]],
) -> Entry:
    found = shelf.get(key)
    if found is not None:
        shelf.counts.hits += 1
        return found
    if key in pending:
        return await asyncio.shield(pending[key])
    shelf.counts.misses += 1
    if offline:
        raise MissingEntries(f"{shelf.folder}: an entry is missing")
    future = pending[key] = asyncio.get_running_loop().create_future()
    try:
        entry = shelf.put(key, await compute())
    except BaseException as error:
        future.set_exception(error)
        future.exception()  # those who wait get it; nobody waiting is no fault
        raise
    finally:
        del pending[key]
    future.set_result(entry)
    return entry
