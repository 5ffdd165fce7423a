"""Join small segments of a partition into larger ones: fewer files to open, the same entry under every key.

The joined segment is written, read back and brought to the disk before any of the segments that it replaces is removed,
and it names them: a kill at any time leaves all entries, some of them twice, and the next call removes what was
to be removed. It stands where the first of them stood in the order of names. Nobody holds a lock: who reads a segment
that somebody else has removed opens the folder again, and who joins leaves it to the other.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trim.errors import StoreError
from trim.files import write_table
from trim.models.entries import Codec
from trim.models.segments import Segment, Segments

MOST_SEGMENTS = 200
"""A partition of more segments than this is joined when it is opened to be written."""

LARGEST = 200_000
"""Most entries of a joined segment; what has half of them is left alone."""

ROWS = 20_000
"""Entries of a row group, which is what is read at once."""

IMPORTED = "00000000-"
"""How names of segments begin that an archive brought: it would bring them again."""

_JOINED, _REPLACES = "-joined-", "replaces"


def join_segments(folder: Path, codec: Codec[Any], identity: str) -> int:
    """Join the small segments of a partition; return how many fewer there are.

    Raises
    ------
    StoreError
        One of them is damaged; it and its neighbours are left as they are.
    """
    paths = sorted(folder.glob("*.parquet"))
    try:
        for path in paths:
            if _JOINED in path.name:
                _remove_replaced(Segment(path, codec, identity), codec, identity)
        paths = [path for path in paths if path.exists()]
        for group in _groups(paths):
            _join(group, codec, identity)
    except FileNotFoundError:  # somebody else is joining them
        pass
    return len(paths) - len(list(folder.glob("*.parquet")))


def _groups(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield neighbours that are small, as many as make a large segment."""
    group: list[Path] = []
    rows = 0
    for path in paths:
        own = _rows(path)
        alone = own > LARGEST // 2 or path.name.startswith(IMPORTED)
        if len(group) > 1 and (alone or rows + own > LARGEST):
            yield group
        if alone or rows + own > LARGEST:
            group, rows = [], 0
        if not alone:
            group, rows = [*group, path], rows + own
    if len(group) > 1:
        yield group


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (ValueError, pa.ArrowException):
        return 0  # damaged, as is said when it is opened


def _join(group: Sequence[Path], codec: Codec[Any], identity: str) -> None:
    segments = Segments(group, codec, identity)
    table = segments.table(by_key=False)
    names = [path.name for path in group]
    first = names[0].removesuffix(".parquet").partition(_JOINED)[0]
    # Somebody else may join the same ones: neither may write over what the other's readers have opened.
    path = group[0].with_name(f"{first}{_JOINED}{secrets.token_hex(4)}.parquet")
    metadata = {"trim": segments.origin, "identity": identity, _REPLACES: json.dumps(names)}
    write_table(table, path, metadata, rows=ROWS)
    joined = Segment(path, codec, identity)
    if not joined.table().equals(table):
        path.unlink()
        raise _untrue(path)
    for place in (path, path.parent):
        _bring_to_disk(place)
    _remove_replaced(joined, codec, identity)


def _remove_replaced(joined: Segment[Any], codec: Codec[Any], identity: str) -> None:
    """Remove the segments that a joined one names, if it holds whatever they hold."""
    names = json.loads(joined.note.get(_REPLACES.encode(), b"[]"))
    paths = [joined.path.with_name(name) for name in names if Path(name).name == name != joined.path.name]
    old = [path for path in paths if path.exists()]
    if old and len(Segments([joined.path, *old], codec, identity)) != len(joined):
        raise _untrue(joined.path)
    for path in old:
        path.unlink(missing_ok=True)


def _untrue(path: Path) -> StoreError:
    return StoreError(
        f"{path}: does not hold what it was to be made of, so that nothing was removed; delete it if it is there, and "
        "see whether disk and memory are sound"
    )


def _bring_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
