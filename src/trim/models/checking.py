"""Check a step store down to the last entry; what is damaged is set aside, and what it held is made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trim.checksums import SHORT_DIGEST, short_digest
from trim.errors import DamagedFile, InputError, TrimError, about_disk
from trim.files import read_arrays
from trim.models.entries import SCORES, STEPS, Codec
from trim.models.kept import IDENTITY_FILE, ROOMS, check_kept
from trim.models.segments import SHOWN_CHARACTERS, Segments
from trim.models.vectors import FOLDER as VECTORS

ASIDE = ".aside"
"""What is put behind the name of a damaged file: nothing reads it then."""


@dataclass
class Checked:
    """What a check has found.

    Attributes
    ----------
    segments, entries
        How many are sound.
    damaged
        By file to be set aside: what is wrong with it.
    to_delete
        Sentences on folders that a user has to delete: trained PRMs, prepared problems and labelled solutions.
    """

    segments: int = 0
    entries: int = 0
    damaged: dict[Path, str] = field(default_factory=dict)
    to_delete: list[str] = field(default_factory=list)


def check_store(root: Path) -> Checked:
    """Read all of a store: checksums, columns and ranges, and whether each file is of the model that its folder names.

    Raises
    ------
    InputError
        There is no such store.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name the one of a step store with --step-store")
    checked = Checked()
    for path, check in _files(root):
        try:
            checked.entries += check(path)
            checked.segments += path.suffix == ".parquet"
        except TrimError as error:
            if path.exists():  # else somebody has joined it with others meanwhile
                checked.damaged[path] = getattr(error, "why", None) or str(error)
        except FileNotFoundError:
            pass
    for place in (place for room in ROOMS for place in sorted((root / room).glob("*"))):
        try:
            check_kept(place)
            if not _named(place, (place / IDENTITY_FILE).read_bytes()):
                raise DamagedFile(place / IDENTITY_FILE, "it describes something else", place)
        except TrimError as error:
            checked.to_delete.append(str(error))
    return checked


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that nothing reads it; return its new name.

    Raises
    ------
    RunError
        The folder is closed to us.
    """
    aside = path.with_name(path.name + ASIDE)
    try:
        return path.rename(aside)
    except OSError as error:
        raise about_disk(error, path) or error from None


def _files(root: Path) -> Iterator[tuple[Path, Callable[[Path], int]]]:
    """Yield the files of a store, and what checks each."""
    for folder in sorted(path for path in root.iterdir() if SHORT_DIGEST.fullmatch(path.name)):
        if (described := folder / IDENTITY_FILE).exists():
            yield described, _check_description
        for path in sorted(folder.glob("*/*.parquet")):
            yield path, _check_segment
    for folder in sorted((root / VECTORS).glob("*")):
        if (described := folder / IDENTITY_FILE).exists():
            yield described, _check_description
        for path in sorted(folder.glob("*.npz")):
            yield path, _check_vectors


def _named(folder: Path, identity: bytes) -> bool:
    """Tell whether a folder is named by an identity."""
    return short_digest(identity) == folder.name


def _check_description(path: Path) -> int:
    try:
        right = _named(path.parent, json.loads(path.read_bytes())["identity"].encode())
    except (ValueError, KeyError, TypeError, AttributeError):
        right = False
    if not right:
        raise InputError("it does not say whose folder this is")
    return 0


def _check_segment(path: Path) -> int:
    """Read a segment; return the number of its entries."""
    codec: Codec[Any] = STEPS
    identity = ""
    with suppress(OSError, ValueError, pa.ArrowException):  # who opens it says what is wrong
        schema = pq.read_schema(path)
        codec = SCORES if schema.equals(SCORES.schema, check_metadata=False) else STEPS
        identity = (schema.metadata or {}).get(b"identity", b"").decode(errors="replace")
    segments = Segments([path], codec, identity)
    if identity and not _named(path.parents[1], identity.encode()):  # those of earlier versions do not say it
        raise InputError(f"a segment of another model: {identity[:SHOWN_CHARACTERS]}")
    segments.table(by_key=False)
    return len(segments)


def _check_vectors(path: Path) -> int:
    if not _named(path.parent, str(read_arrays(path).get("identity")).encode()):
        raise InputError("vectors of another encoder")
    return 0
