"""The step store: a memo on disk of every step and score ever asked for.

A partition is a folder for one model and one part of a dataset; its content is immutable
Parquet segments, written aside and renamed, each of which says which model it is of and
carries a checksum. Each writer owns its segments, so jobs on several machines share a
store without a lock. A reader takes the segments that are there
when it opens the partition; of two entries under one key the one in the smallest
(segment name, position) wins, and names begin with the time of writing: what was stored
first is the step. A kill loses at most the entries that were not flushed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from trim.checksums import sealed_bytes
from trim.errors import DamagedFile, StoreError, TrimError, about_disk
from trim.files import write_table, written_aside
from trim.layouts import COUNT, TEXT, Column, Layout, check_ranges
from trim.models.protocols import FinishReason, Prefix, Score, Step, StepModel, StepScorer

Entry = TypeVar("Entry", bound=Step | Score)

FLUSH_ENTRIES = 20_000
FLUSH_SECONDS = 30.0
SHOWN_CHARACTERS = 300
SMALLEST = 19
"""Level of zstd for what is written once and copied often."""

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


@dataclass
class PartitionCounts:
    """What happened at a partition: entries found, entries computed, and keys stored with different content."""

    hits: int = 0
    misses: int = 0
    conflicts: int = 0


class Partition(Generic[Entry]):
    """One folder of the store, read when opened, written in segments of its own.

    Parameters
    ----------
    folder
        Where the segments are.
    codec
        Kind of the entries.
    identity
        Of the model; stands in every segment.
    origin
        Noted in every segment: what wrote it, beside what its identity says.

    Raises
    ------
    StoreError
        Names a segment that is damaged, or of another model.
    """

    def __init__(
        self, folder: Path, codec: Codec[Entry], identity: str = "", origin: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.counts = PartitionCounts()
        self._identity = identity
        self._origin = origin if origin is not None else {}
        self._codec: Codec[Entry] = codec
        self._entries: dict[bytes, Entry | tuple[Any, ...]] = {}
        self._origins_read: set[str] = set()
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
        metadata = {"trim": json.dumps(dict(self._origin)), "identity": self._identity}
        write_table(table, self.folder / f"{name}.parquet", metadata)
        self._segments_written += 1
        self._unflushed.clear()

    def write_whole(self, path: Path) -> None:
        """Write all entries as one segment, sorted by key: the same entries of the same origins give the same bytes."""
        pairs = [(key, entry) for key in sorted(self._entries) if (entry := self.get(key))]
        origins = sorted(self._origins_read)
        origin = origins[0] if len(origins) == 1 else json.dumps({"joined": origins})
        write_table(self._table(pairs), path, {"trim": origin, "identity": self._identity}, level=SMALLEST)

    def _table(self, pairs: Sequence[tuple[bytes, Entry]]) -> pa.Table:
        rows = [(key, *self._codec.encode(entry)) for key, entry in pairs]
        columns = zip(zip(*rows, strict=True), self._codec.schema, strict=True)
        table = pa.table([pa.array(column, kind.type) for column, kind in columns], schema=self._codec.schema)
        check_ranges(table, self._codec.ranges)
        return table

    def _fits(self, pair: tuple[bytes, Entry]) -> bool:
        try:
            self._table([pair])
        except UNFIT:
            return False
        return True

    def _read(self, segment: Path) -> None:
        try:
            # Segments of earlier versions, which may have been paid for, have the checksums of their pages alone.
            content = pa.BufferReader(sealed_bytes(segment, required=False))
            file = pq.ParquetFile(content, page_checksum_verification=True)
            self._check_kind(file.schema_arrow, segment)
            self._origins_read.add((file.schema_arrow.metadata or {}).get(b"trim", b"{}").decode())
            table = file.read()
            check_ranges(table, self._codec.ranges)
            keys, *columns = (column.to_pylist() for column in table.columns)
            entries = list(zip(*columns, strict=True))
            own: dict[bytes, tuple[Any, ...]] = {}
            if any(own.setdefault(key, entry) != entry for key, entry in zip(keys, entries, strict=True)):
                raise ValueError("a key stands there twice with different content")
        except (OSError, ValueError, pa.ArrowException, DamagedFile) as error:
            why = error.why if isinstance(error, DamagedFile) else error
            raise StoreError(
                f"{segment}: damaged segment of the step store ({why}); delete it, its entries will be computed again"
            ) from None
        for key, entry in own.items():
            if self._entries.setdefault(key, entry) != entry:
                self.counts.conflicts += 1

    def _check_kind(self, schema: pa.Schema, segment: Path) -> None:
        """Check columns and model of a segment, before it is read."""
        if not schema.equals(self._codec.schema, check_metadata=False):
            raise ValueError(f"its columns are {', '.join(f'{field.name}: {field.type}' for field in schema)}")
        identity = (schema.metadata or {}).get(b"identity", self._identity.encode()).decode(errors="replace")
        if identity != self._identity:
            raise StoreError(
                f"{segment}: a segment of another model ({identity[:SHOWN_CHARACTERS]}); move it back to the folder "
                "of that model, or delete it"
            )


@dataclass
class StepStore:
    """All partitions of one job: one for each model, all for the same part of a dataset.

    Attributes
    ----------
    root
        Folder of the store.
    part
        Names the part of the data, so that a job reads only what it may need.
    offline
        Whether a missing entry is an error.
    keeps
        Whether entries are kept, in memory and on disk; else each request is computed as often as it comes.
    origin
        Versions of the servers that write, as far as they are known; noted in the segments.
    """

    root: Path
    part: str
    offline: bool = False
    keeps: bool = True
    partitions: dict[str, Partition[Any]] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)

    def partition(self, identity: str, codec: Codec[Entry]) -> Partition[Entry]:
        """Open the partition of a model; its folder says in identity.json which model that is."""
        if identity not in self.partitions:
            folder = self.folder(identity) / self.part
            described = folder.parent / "identity.json"
            if writes := self.keeps and not self.offline:
                _make(folder)
            if writes and not described.exists():
                with written_aside(described) as aside:
                    aside.write_text(json.dumps({"identity": identity}, indent=1) + "\n", encoding="utf-8")
            self.partitions[identity] = Partition(folder, codec, identity, self.origin)
        return self.partitions[identity]

    def folder(self, identity: str) -> Path:
        """Return where the partitions of a model are."""
        return self.root / hashlib.sha256(identity.encode()).hexdigest()[:16]

    def flush(self) -> None:
        """Write what is not on disk yet, of every partition, before an error of one of them is told."""
        errors = []
        for partition in self.partitions.values():
            try:
                partition.flush()
            except (OSError, TrimError) as error:
                errors.append(error)
        if errors:
            raise errors[0]

    @property
    def misses(self) -> int:
        """How many steps and scores were not in the store."""
        return sum(partition.counts.misses for partition in self.partitions.values())

    def report(self) -> dict[str, dict[str, int]]:
        """Return the counts by model identity."""
        return {identity: vars(partition.counts).copy() for identity, partition in self.partitions.items()}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise about_disk(error, folder) or error from None


class MissingEntries(StoreError):
    """Offline, the store lacks steps or scores that the experiment needs."""


class _Stored(Generic[Entry]):
    """Asks a model only for entries never seen; requests for one that is being computed wait for it."""

    def __init__(self, identity: str, store: StepStore, codec: Codec[Entry]) -> None:
        self.identity = identity
        self._offline, self._keeps = store.offline, store.keeps
        self._partition = store.partition(identity, codec)
        self._pending: dict[bytes, asyncio.Future[Entry]] = {}

    async def _remembered(self, key: bytes, compute: Callable[[], Awaitable[Entry]]) -> Entry:
        partition, pending = self._partition, self._pending
        found = partition.get(key) if self._keeps else None
        if found is not None:
            partition.counts.hits += 1
            return found
        while key in pending:
            try:
                return await asyncio.shield(pending[key])
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise  # else whoever asked first went away
        partition.counts.misses += 1
        if self._offline:
            raise MissingEntries(f"{partition.folder}: an entry is missing")
        future = pending[key] = asyncio.get_running_loop().create_future()
        try:
            entry = await compute()
            if self._keeps:
                entry = partition.put(key, entry)
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # those who wait get it; nobody waiting is no fault
            raise
        finally:
            del pending[key]
        future.set_result(entry)
        return entry


class StoredStepModel(_Stored[Step]):
    """A `StepModel` behind the store."""

    def __init__(self, model: StepModel, store: StepStore) -> None:
        super().__init__(model.identity, store, STEPS)
        self._model = model

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Return the stored step, or have it written and store it."""
        key = hashlib.blake2b(prefix.digest, digest_size=16, key=b"%d" % replicate).digest()
        return await self._remembered(key, lambda: self._model.step(prefix, replicate))


class StoredStepScorer(_Stored[Score]):
    """A `StepScorer` behind the store."""

    def __init__(self, scorer: StepScorer, store: StepStore) -> None:
        super().__init__(scorer.identity, store, SCORES)
        self._scorer = scorer

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Return the stored score, or have it computed and store it."""
        return await self._remembered(prefix.extend(step).digest, lambda: self._scorer.score(prefix, step))


def ask_all(requests: Iterable[Awaitable[Any]]) -> list[Any]:
    """Ask for everything at once, and return the answers in order.

    Raises
    ------
    StoreError
        Offline, when the store lacks what is asked for; counts the requests. Other errors are raised as they are.
    """

    async def ask() -> list[Any]:
        return list(await asyncio.gather(*requests, return_exceptions=True))

    answers = asyncio.run(ask())
    missing = sum(isinstance(answer, MissingEntries) for answer in answers)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, MissingEntries):
            raise answer
    if missing:
        raise StoreError(
            f"offline: {missing} of {len(answers)} prefixes that routers reach next need steps or scores that the step "
            "store does not hold; set offline: false and run where the models are, or fetch the complete store"
        )
    return answers
