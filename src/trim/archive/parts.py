"""An archive on disk: a tar cut into parts, and a manifest of every byte; nothing of it is believed unchecked."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from trim.archive.card import croissant, digests
from trim.config.section import NAME, Section
from trim.errors import DamagedFile, InputError, abridged
from trim.files import read_json, write_json, written_aside

MANIFEST_FILE, README_FILE, CROISSANT_FILE = "manifest.json", "README.md", "croissant.json"
PART_BYTES = 1_000_000
LEFT_BEHIND = ("gguf", "spending", "golden")
"""Rooms of a store that no archive holds: weights, what somebody paid, and what running servers are held against."""

_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_HASH = "^[0-9a-f]{64}$"


def _inside(name: str) -> str:
    """Refuse a name that is no plain path within a store, or one in a room that no archive holds."""
    rooms = name.split("/")
    if not _NAME.fullmatch(name) or {".", ".."} & set(rooms) or rooms[0] in LEFT_BEHIND:
        raise ValueError(f"{name!r} cannot be the name of a file in an archive")
    return name


class Piece(Section):
    """Name, size and SHA-256 of a part, or of a file that the parts hold."""

    name: Annotated[str, AfterValidator(_inside)]
    size: int = Field(ge=0)
    sha256: str = Field(pattern=_HASH)

    @classmethod
    def of(cls, name: str, content: bytes) -> Piece:
        """Describe a content."""
        return cls(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())

    def is_of(self, content: bytes) -> bool:
        """Tell whether a content is the one described."""
        return self == Piece.of(self.name, content)


class Held(Section):
    """How many steps or scores of a model there are on a split of a dataset."""

    model: str
    identity: str
    kind: Literal["steps", "scores"]
    part: str
    entries: int


class Manifest(Section):
    """What an archive holds, and where it comes from."""

    format: Literal[1] = 1
    experiment: str = Field(pattern=f"^{NAME}$")
    made_by: str
    provenance: dict[str, Any]
    config: dict[str, Any]
    licences: dict[str, str]
    held: tuple[Held, ...]
    parts: tuple[Piece, ...] = ()
    files: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that was checked: its manifest, and the content of every file by its name in the store."""

    manifest: Manifest
    files: Mapping[str, bytes]


# --- writing ----------------------------------------------------------------------------


def write_archive(manifest: Manifest, files: Mapping[str, bytes], readme: str, folder: Path) -> Manifest:
    """Write files of a store as an archive, whole or not at all; return the manifest with all pieces.

    The same files and manifest give the same bytes.

    Raises
    ------
    InputError
        If the folder holds anything but an archive, which would be lost.
    """
    if folder.exists() and (others := [path.name for path in folder.glob("*") if not _is_ours(path)]):
        raise InputError(f"{folder}: holds {min(others)}, which is no part of an archive; name another folder")
    whole = _tar(files)
    cuts = range(0, len(whole), PART_BYTES)
    parts = {f"part-{i:03d}": whole[start : start + PART_BYTES] for i, start in enumerate(cuts)}
    manifest = manifest.model_copy(
        update={
            "parts": tuple(Piece.of(*part) for part in parts.items()),
            "files": tuple(Piece.of(name, files[name]) for name in sorted(files)),
        }
    )
    with written_aside(folder) as aside:
        aside.mkdir()
        for name, content in parts.items():
            (aside / name).write_bytes(content)
        (aside / README_FILE).write_text(readme, encoding="utf-8")
        write_json(manifest.model_dump(mode="json"), aside / MANIFEST_FILE)
        described = croissant(manifest, (aside / MANIFEST_FILE).read_bytes())
        (aside / CROISSANT_FILE).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    return manifest


def _is_ours(path: Path) -> bool:
    return path.name in (MANIFEST_FILE, README_FILE, CROISSANT_FILE) or path.name.startswith("part-")


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Return a tar that says nothing but names and contents: no times, no owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


# --- reading ----------------------------------------------------------------------------


def read_archive(folder: Path) -> Archive:
    """Read an archive, and check everything that its manifest says.

    Raises
    ------
    InputError
        Names the first part or file that is missing, surplus, or another one.
    """
    manifest = read_manifest(folder)
    known = {part.name for part in manifest.parts}
    if surplus := sorted({path.name for path in folder.glob("part-*")} - known):
        raise _wrong(folder, surplus[0], f"{MANIFEST_FILE} does not name it")
    whole = b"".join(_part(folder, part) for part in manifest.parts)
    expected = {file.name: file for file in manifest.files}
    files: dict[str, bytes] = {}
    for name, content in _members(whole, expected, folder):
        if name in files:
            raise _wrong(folder, name, "it is in the archive twice")
        files[name] = content
    if lacking := sorted(set(expected) - set(files)):
        raise _wrong(folder, lacking[0], "the parts do not hold it")
    said, here = folder / CROISSANT_FILE, {part.name: part.sha256 for part in manifest.parts}
    here |= {MANIFEST_FILE: hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()}
    if said.is_file() and digests(said.read_bytes()) != here:  # archives of earlier versions have none
        raise _wrong(folder, CROISSANT_FILE, "it names other files or checksums than there are")
    return Archive(manifest, files)


def read_manifest(folder: Path) -> Manifest:
    """Read what an archive says of itself.

    Raises
    ------
    InputError
        If it is missing, damaged, or no manifest.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise InputError(
            f"{path}: no such file, so that no archive is there; name the folder of one, or write one with "
            "`trim store export`"
        )
    try:
        return Manifest.model_validate(read_json(path))
    except DamagedFile as error:
        raise _wrong(folder, MANIFEST_FILE, error.why) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise _wrong(folder, MANIFEST_FILE, f"{key}: {first['msg']}") from None


def _wrong(folder: Path, name: str, why: str) -> InputError:
    return InputError(
        f"{folder / name}: the archive is not the one that was exported ({abridged(why)}); get {folder} again, as with "
        f"`git checkout -- {folder}`, or remove what does not belong there"
    )


def _part(folder: Path, part: Piece) -> bytes:
    path = folder / part.name
    if not path.is_file():
        raise _wrong(folder, part.name, "it is missing")
    if path.stat().st_size != part.size or part.size > PART_BYTES:
        raise _wrong(folder, part.name, f"it has {path.stat().st_size} bytes instead of {part.size}")
    content = path.read_bytes()
    if not part.is_of(content):
        raise _wrong(folder, part.name, "its checksum is another one")
    return content


def _members(whole: bytes, expected: Mapping[str, Piece], folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the files of a tar: plain files that the manifest names, and nothing else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(whole), mode="r:") as tar:
            for member in tar:
                piece = expected.get(member.name)
                if member.type != tarfile.REGTYPE or member.sparse is not None:
                    raise _wrong(folder, member.name, "it is a link or another thing that is no plain file")
                if piece is None or piece.size != member.size:
                    raise _wrong(folder, member.name, f"{MANIFEST_FILE} does not name a file of this name and size")
                file = tar.extractfile(member)
                content = file.read() if file else b""
                if not piece.is_of(content):
                    raise _wrong(folder, member.name, "its checksum is another one")
                yield member.name, content
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise _wrong(folder, "part-000", f"the parts make no tar: {error}") from None


# --- into a store -----------------------------------------------------------------------


def import_archive(folder: Path, store: Path) -> tuple[Manifest, int]:
    """Lay the files of an archive into a step store; return its manifest, and how many were not there before.

    Raises
    ------
    InputError
        If the archive is damaged, or the store has a file of it with another content; nothing is written then.
    """
    archive = read_archive(folder)
    missing = [name for name, content in archive.files.items() if not _is_there(store / name, content, store, folder)]
    for name in missing:
        with written_aside(store / name) as aside:
            aside.write_bytes(archive.files[name])
    return archive.manifest, len(missing)


def _is_there(path: Path, content: bytes, store: Path, folder: Path) -> bool:
    above = [place for place in path.parents if place == store or store in place.parents]
    blocked = [place for place in above if place.exists() and not place.is_dir()]
    if path.is_symlink() or (path.exists() and not (path.is_file() and path.read_bytes() == content)):
        blocked.append(path)
    if blocked:
        raise InputError(
            f"{blocked[0]}: has another content than in {folder}; move it away, or import into a folder of its own "
            "(--step-store, and `step_store` in the config)"
        )
    return path.exists()
