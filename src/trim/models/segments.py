"""Segments of a partition of the step store: all keys are known, entries are read when they are asked for.

A segment is a Parquet file that never changes. When it is opened, its checksum, columns and model are checked and its
keys are read; its entries stay on disk. They are read by row group, each page against its own checksum, and the
groups asked for last stay in memory: entries asked for together were mostly written together.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trim.arrays import Integers
from trim.checksums import MARK, sealed_bytes
from trim.errors import DamagedFile, StoreError
from trim.files import CHECKSUM, USE_THREADS
from trim.layouts import check_ranges
from trim.models.entries import Codec, Entry

CACHED_BYTES = 512 << 20
"""What a partition keeps of row groups that it has read."""

SHOWN_CHARACTERS = 300
ATTEMPTS = 5
"""How often a folder is listed anew in which somebody joins segments."""

Halves = NDArray[np.uint64]


class DamagedSegment(StoreError):
    """A segment is not what was written.

    Attributes
    ----------
    why
        How that shows.
    """

    def __init__(self, path: Path, why: str) -> None:
        self.why = why
        super().__init__(
            f"{path}: damaged segment of the step store ({why}); delete it, or have `trim store check` set aside all "
            "that is damaged: its entries will be computed again"
        )


class Segment(Generic[Entry]):
    """One file, whose keys are known.

    Parameters
    ----------
    path
        The file.
    codec
        Kind of its entries.
    identity
        Of the model that they must be of.

    Raises
    ------
    StoreError
        It is damaged, or of another model.
    FileNotFoundError
        It is gone: somebody has joined it with others.
    """

    def __init__(self, path: Path, codec: Codec[Entry], identity: str) -> None:
        self.path = path
        self._codec, self._identity = codec, identity
        self._state = _state(path)
        try:
            # Segments of earlier versions, which may have been paid for, have the checksums of their pages alone.
            content = sealed_bytes(path, required=False)
            file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
            metadata: dict[bytes, bytes] = file.schema_arrow.metadata or {}
            self._check_kind(file.schema_arrow)
            if not metadata.get(CHECKSUM.encode(), b"").startswith(MARK):
                check_ranges(file.read(use_threads=USE_THREADS), codec.ranges)
            self.keys = _halves(file.read(columns=["key"], use_threads=USE_THREADS)["key"])
        except (OSError, ValueError, pa.ArrowException, DamagedFile) as error:
            _state(path)  # where it is gone, that is no damage
            raise self._damaged(error) from None
        self.note = metadata
        """What stands beside its columns."""
        self._file = file.metadata
        sizes = [self._file.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self.first_rows = np.cumsum([0, *sizes])
        """Number of the first row of each row group, and of all rows."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.first_rows[-1])

    def group(self, number: int) -> list[pa.Array]:
        """Read a row group: its columns beside the key.

        Raises
        ------
        StoreError
            It is not what it was when it was opened.
        FileNotFoundError
            It is gone.
        """
        if _state(self.path) != self._state:
            raise self._damaged(ValueError("it has changed since it was opened"))
        try:
            with pq.ParquetFile(self.path, metadata=self._file, page_checksum_verification=True) as file:
                columns = list(self._codec.ranges)
                table = file.read_row_group(number, columns=columns, use_threads=USE_THREADS).combine_chunks()
            check_ranges(table, self._codec.ranges)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self._damaged(error) from None
        return [column.chunk(0) for column in table.columns]

    def table(self) -> pa.Table:
        """Read all of it, keys and entries."""
        groups = [pa.table(self.group(i), names=list(self._codec.ranges)) for i in range(self._file.num_row_groups)]
        content = pa.py_buffer(self.keys.astype(">u8").tobytes())
        keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(self), [None, content])
        entries = pa.concat_tables(groups) if groups else self._codec.schema.empty_table().drop_columns("key")
        return entries.add_column(0, "key", keys).cast(self._codec.schema)

    def twice(self) -> DamagedSegment:
        """Return what to say where a key stands in it twice with different content."""
        return self._damaged(ValueError("a key stands there twice with different content"))

    def _damaged(self, error: Exception) -> DamagedSegment:
        return DamagedSegment(self.path, str(error.why if isinstance(error, DamagedFile) else error))

    def _check_kind(self, schema: pa.Schema) -> None:
        """Check columns and model, before anything is read."""
        if not schema.equals(self._codec.schema, check_metadata=False):
            raise ValueError(f"its columns are {', '.join(f'{field.name}: {field.type}' for field in schema)}")
        identity = (schema.metadata or {}).get(b"identity", self._identity.encode()).decode(errors="replace")
        if identity != self._identity:
            raise StoreError(
                f"{self.path}: a segment of another model ({identity[:SHOWN_CHARACTERS]}); move it back to the folder "
                "of that model, or delete it"
            )


def _halves(keys: pa.ChunkedArray) -> Halves:
    """Return keys as two whole numbers each, which sort as the keys do."""
    if keys.null_count:
        raise ValueError("column 'key' has gaps")
    parts = [np.empty((0, 2), ">u8")]
    for chunk in keys.chunks:
        if len(chunk):
            parts.append(np.frombuffer(chunk.buffers()[1], ">u8", 2 * len(chunk), 16 * chunk.offset).reshape(-1, 2))
    return np.concatenate(parts).astype(np.uint64)


def _state(path: Path) -> tuple[int, int, int]:
    """Return what changes where a file is written to, or another one takes its place."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys in order, each once, and the row of each; a key is two whole numbers of eight bytes."""

    high: Halves
    low: Halves
    rows: Integers

    @classmethod
    def of(cls, halves: Halves, first_row: int) -> tuple[Keys, Integers, Integers]:
        """Put the keys of successive rows in order."""
        rows = np.arange(first_row, first_row + len(halves))
        return cls.sorted(halves[:, 0], halves[:, 1], rows)

    @classmethod
    def sorted(cls, high: Halves, low: Halves, rows: Integers) -> tuple[Keys, Integers, Integers]:
        """Put keys in order; of those that stand there twice, the smallest row counts.

        Returns
        -------
        The keys, and of each row that does not count: the row that does, and itself.
        """
        order = np.argsort(high)
        tied = np.zeros(len(order) + 1, dtype=bool)
        tied[1:-1] = high[order[1:]] == high[order[:-1]]
        tied = tied[1:] | tied[:-1]
        if tied.any():  # rare, as keys are digests
            among = order[tied]
            order[tied] = among[np.lexsort((rows[among], low[among], high[among]))]
        high, low, rows = high[order], low[order], rows[order]
        again = np.zeros(len(order), dtype=bool)
        again[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
        if not again.any():
            return cls(high, low, rows), rows[:0], rows[:0]
        counts = rows[~again]
        first = counts[np.cumsum(~again)[again] - 1]
        return cls(high[~again], low[~again], counts), first, rows[again]

    def joined(self, other: Keys) -> Keys:
        """Return these keys and others."""
        high, low = np.concatenate([self.high, other.high]), np.concatenate([self.low, other.low])
        keys, _, _ = Keys.sorted(high, low, np.concatenate([self.rows, other.rows]))
        return keys

    def find(self, key: bytes) -> int:
        """Return the row of a key, -1 for none."""
        high, low = (np.uint64(int.from_bytes(half, "big")) for half in (key[:8], key[8:]))
        start, stop = np.searchsorted(self.high, high, "left"), np.searchsorted(self.high, high, "right")
        at = start + np.searchsorted(self.low[start:stop], low)
        return int(self.rows[at]) if at < stop and self.low[at] == low else -1


class Segments(Generic[Entry]):
    """All segments of a folder, in the order of their names: of two entries under one key the first counts.

    Attributes
    ----------
    conflicts
        How many entries differ from the one that counts.
    """

    def __init__(self, paths: Sequence[Path], codec: Codec[Entry], identity: str) -> None:
        self._codec, self._identity = codec, identity
        self.conflicts = 0
        self.files: list[Segment[Entry]] = [Segment(path, codec, identity) for path in paths]
        self._first_rows = np.cumsum([0, *map(len, self.files)])
        self._groups: OrderedDict[tuple[int, int], list[pa.Array]] = OrderedDict()
        self._bytes = 0
        halves = np.concatenate([np.empty((0, 2), np.uint64), *(file.keys for file in self.files)])
        keys, first, again = Keys.of(halves, 0)
        # What was opened is one run of sorted keys; what is added later are shorter ones.
        self._runs = [keys]
        for i in np.argsort(again):
            self._compare(int(first[i]), int(again[i]))

    def __len__(self) -> int:
        """Return the number of entries."""
        return sum(len(keys.rows) for keys in self._runs)

    @property
    def origin(self) -> str:
        """What the segments say of where they come from; of different origins, all of them."""
        origins = sorted({file.note.get(b"trim", b"{}").decode(errors="replace") for file in self.files})
        return origins[0] if len(origins) == 1 else json.dumps({"joined": origins})

    def get(self, key: bytes) -> Entry | None:
        """Return the entry under a key, if there is one.

        Raises
        ------
        FileNotFoundError
            Its segment is gone: somebody has joined it with others.
        """
        for keys in self._runs:
            if (row := keys.find(key)) >= 0:
                return self._codec.decode(*self._columns(row))
        return None

    def add(self, path: Path) -> None:
        """Add a segment with keys that are not there yet."""
        file = Segment(path, self._codec, self._identity)
        start = int(self._first_rows[-1])
        keys, _, _ = Keys.of(file.keys, start)
        self.files.append(file)
        self._first_rows = np.append(self._first_rows, start + len(file))
        self._runs.append(keys)
        while len(self._runs) > 1 and 2 * len(self._runs[-1].rows) > len(self._runs[-2].rows):
            last = self._runs.pop()
            self._runs[-1] = self._runs[-1].joined(last)

    def table(self, *, by_key: bool) -> pa.Table:
        """Read all entries that count, in the order of their keys or as they were written."""
        while len(self._runs) > 1:
            last = self._runs.pop()
            self._runs[-1] = self._runs[-1].joined(last)
        rows = self._runs[0].rows if by_key else np.sort(self._runs[0].rows)
        whole = pa.concat_tables([self._codec.schema.empty_table(), *(file.table() for file in self.files)])
        return whole.take(pa.array(rows)).combine_chunks()

    def _compare(self, first: int, again: int) -> None:
        """Compare two entries under one key."""
        if self._columns(first) == self._columns(again):
            return
        self.conflicts += 1
        file = self._file_of(again)
        if file == self._file_of(first):
            raise self.files[file].twice()

    def _file_of(self, row: int) -> int:
        return int(np.searchsorted(self._first_rows, row, "right")) - 1

    def _columns(self, row: int) -> list[Any]:
        """Return what stands in a row, beside the key."""
        file = self._file_of(row)
        within = row - int(self._first_rows[file])
        group = int(np.searchsorted(self.files[file].first_rows, within, "right")) - 1
        at = within - int(self.files[file].first_rows[group])
        return [column[at].as_py() for column in self._group(file, group)]

    def _group(self, file: int, group: int) -> list[pa.Array]:
        """Return the columns of a row group, from memory if it was asked for lately."""
        known = self._groups.get((file, group))
        if known is not None:
            self._groups.move_to_end((file, group))
            return known
        columns = self._groups[file, group] = self.files[file].group(group)
        self._bytes += sum(column.nbytes for column in columns)
        while self._bytes > CACHED_BYTES and len(self._groups) > 1:
            _, oldest = self._groups.popitem(last=False)
            self._bytes -= sum(column.nbytes for column in oldest)
        return columns


def segments_of(folder: Path, codec: Codec[Entry], identity: str) -> Segments[Entry]:
    """Open all segments that are in a folder now, in the order of their names."""
    for _ in range(ATTEMPTS):
        with suppress(FileNotFoundError):  # somebody has joined segments since they were listed
            return Segments(sorted(folder.glob("*.parquet")), codec, identity)
    raise unsteady(folder)


def unsteady(folder: Path) -> StoreError:
    """Return what to say of a folder whose segments are gone whenever they are to be read."""
    return StoreError(f"{folder}: files go faster than they can be read; see what removes them, then start again")
