"""The step store: a memo on disk of every step and score ever asked for.

A partition is a folder for one model and one part of a dataset; its content is immutable
Parquet segments, written aside and renamed, each of which says which model it is of and
carries a checksum. Each writer owns its segments, so jobs on several machines share a
store without a lock. A reader takes the segments that are there
when it opens the partition; of two entries under one key the one in the smallest
(segment name, position) wins, and names begin with the time of writing: what was stored
first is the step. A kill loses at most the entries that were not flushed. Where there are
many segments, who opens the partition to write joins them (`joining.py`).

A store on a folder that is closed to us is read; what it lacks is computed and not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic

import pyarrow as pa

from trim.checksums import short_digest
from trim.errors import ClosedFolder, StoreError, TrimError, about_disk
from trim.files import write_table, written_aside
from trim.models.entries import SCORES, STEPS, UNFIT, Codec, Entry
from trim.models.joining import MOST_SEGMENTS, join_segments
from trim.models.protocols import Prefix, Score, Step, StepModel, StepScorer
from trim.models.segments import ATTEMPTS, SHOWN_CHARACTERS, Segments, segments_of, unsteady

FLUSH_ENTRIES = 20_000
FLUSH_SECONDS = 30.0
SMALLEST = 19
"""Level of zstd for what is written once and copied often."""


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
        self.closed = False
        """Whether the folder may not be written, as was seen when something was to be."""
        self._identity = identity
        self._origin = origin if origin is not None else {}
        self._codec: Codec[Entry] = codec
        self._fresh: dict[bytes, Entry] = {}
        self._writer = secrets.token_hex(4)
        self._segments_written = 0
        self._flushed_at = time.monotonic()
        self._segments = self._open()
        self.counts = PartitionCounts(conflicts=self._segments.conflicts)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._segments) + len(self._fresh)

    @property
    def unflushed(self) -> int:
        """How many entries are not on disk."""
        return len(self._fresh)

    def get(self, key: bytes) -> Entry | None:
        """Return the entry under a key, if there is one."""
        fresh = self._fresh.get(key)
        if fresh is not None:
            return fresh
        for _ in range(ATTEMPTS):
            try:
                return self._segments.get(key)
            except FileNotFoundError:  # somebody has joined segments
                self._segments = self._open()
        raise unsteady(self.folder)

    def put(self, key: bytes, entry: Entry) -> Entry:
        """Remember an entry and return it, or return the one that was there first; a flush brings it to the disk."""
        first = self.get(key)
        if first is not None:
            self.counts.conflicts += first != entry
            return first
        self._fresh[key] = entry
        if len(self._fresh) >= FLUSH_ENTRIES or time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()
        return entry

    def flush(self) -> None:
        """Write what is not on disk yet as one more segment; where the folder is closed to us, it stays in memory.

        Raises
        ------
        StoreError
            An entry does not fit the columns; the others are written before it is named.
        """
        self._flushed_at = time.monotonic()
        if not self._fresh or self.closed:
            return
        try:
            table = self._codec.table(self._fresh.items())
        except UNFIT:
            refused = {key: entry for key, entry in self._fresh.items() if not self._codec.fits(key, entry)}
            if not refused:
                raise
            self._fresh = {key: entry for key, entry in self._fresh.items() if key not in refused}
            self.flush()
            shown = ascii(next(iter(refused.values())))[:SHOWN_CHARACTERS]
            raise StoreError(
                f"{self.folder}: {len(refused)} entries cannot be stored, the others are; the first of them is {shown}"
            ) from None
        self._write(table)

    def write_whole(self, path: Path) -> None:
        """Write all that is on disk as one segment, sorted by key: the same entries and origins give the same bytes."""
        metadata = {"trim": self._segments.origin, "identity": self._identity}
        write_table(self._segments.table(by_key=True), path, metadata, level=SMALLEST)

    def _open(self) -> Segments[Entry]:
        return segments_of(self.folder, self._codec, self._identity)

    def _write(self, table: pa.Table) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{self._writer}-{self._segments_written:05d}"
        path = self.folder / f"{name}.parquet"
        try:
            write_table(table, path, {"trim": json.dumps(dict(self._origin)), "identity": self._identity})
        except ClosedFolder:
            self.closed = True
            return
        self._segments_written += 1
        self._fresh.clear()
        try:
            self._segments.add(path)
        except FileNotFoundError:  # somebody has joined it already
            self._segments = self._open()


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
            if self.keeps and not self.offline:
                self._prepare(folder, codec, identity)
            self.partitions[identity] = Partition(folder, codec, identity, self.origin)
        return self.partitions[identity]

    def _prepare(self, folder: Path, codec: Codec[Any], identity: str) -> None:
        """Make a partition ready to be written, unless the store is closed to us; one that is not there has to be."""
        described = folder.parent / "identity.json"
        try:
            _make(folder)
            if not described.exists():
                with written_aside(described) as aside:
                    aside.write_text(json.dumps({"identity": identity}, indent=1) + "\n", encoding="utf-8")
            if len(list(folder.glob("*.parquet"))) > MOST_SEGMENTS:
                join_segments(folder, codec, identity)
        except ClosedFolder:
            if not self.root.is_dir():
                raise

    def folder(self, identity: str) -> Path:
        """Return where the partitions of a model are."""
        return self.root / short_digest(identity.encode())

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
    def lost(self) -> str:
        """One sentence on what was computed and is not kept, as the store is closed to us; empty where all is kept."""
        count = sum(partition.unflushed for partition in self.partitions.values() if partition.closed)
        if not count:
            return ""
        return (
            f"{self.root}: may be read but not written, so that {count} steps and scores which it lacked are computed "
            "but not kept; get the right to write there, or copy it and name the copy as step_store"
        )

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
