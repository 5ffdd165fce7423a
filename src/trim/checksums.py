"""Tell whether a file is still what was written: a SHA-256 inside it, or beside it where the format has no room.

Inside stands `trim-sha256:` and the digest of the file in which 64 zeros stand in its place. It is checked on the
bytes of the file, before anything in them is believed: no size, no shape, no name.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from trim.errors import DamagedFile

MARK = b"trim-sha256:"
ZEROS = b"0" * 64
PLACE = (MARK + ZEROS).decode()
"""What a writer puts into a file for `seal` to fill in; nothing behind it may look like it."""

TRACE = b"MDAw" * 15
"""What the place leaves in the copy of the schema that Arrow writes into a Parquet file: zeros in base64."""

SUMS = "SHA256SUMS"
"""File with the checksums of a folder, as `sha256sum` writes and checks them."""

SHORT_DIGEST = re.compile("[0-9a-f]{16}")
"""What `short_digest` looks like."""


def short_digest(content: bytes) -> str:
    """Return the first 16 digits of a SHA-256: the name of a file or folder that belongs to some content."""
    return hashlib.sha256(content).hexdigest()[:16]


def seal(path: Path) -> None:
    """Put the digest of a file into its place."""
    content = path.read_bytes()
    digest, _, start = _digests(content)
    assert content[start : start + 64] == ZEROS, f"{path} has no place for a checksum"
    with path.open("r+b") as file:
        file.seek(start)
        file.write(digest)


def sealed_bytes(path: Path, *, whole: Path | None = None, required: bool = True) -> bytes:
    """Return the content of a sealed file.

    Parameters
    ----------
    whole
        What is to be deleted where the file is damaged, if that is more than the file.
    required
        Whether a file without a checksum is refused too.

    Raises
    ------
    DamagedFile
        If it cannot be read, or its checksum is missing or another one.
    """
    content = _read(path, whole)
    digest, known, _ = _digests(content)
    if known != digest or (not known and (required or TRACE in content)):
        raise DamagedFile(path, "its checksum is another one" if known else "it has no checksum", whole)
    return content


def _digests(content: bytes) -> tuple[bytes, bytes, int]:
    """Return the digest that a file should have, the one that it has (empty without any), and where that stands."""
    start = content.rfind(MARK) + len(MARK)
    if start < len(MARK):
        return b"", b"", 0
    view = memoryview(content)  # a slice of it copies nothing
    digest = hashlib.sha256(view[:start])
    digest.update(ZEROS)
    digest.update(view[start + 64 :])
    return digest.hexdigest().encode(), content[start : start + 64], start


# --- beside -----------------------------------------------------------------------------


def sum_of(path: Path) -> Path:
    """Return the file that holds the checksum of a text file."""
    return path.with_name(f".{path.name}.sha256")


def sum_file(path: Path, content: bytes) -> None:
    """Note the checksum of a text file beside it."""
    sum_of(path).write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n", encoding="utf-8")


def summed_bytes(path: Path, *, whole: Path | None = None) -> bytes:
    """Return the content of a text file; a file of somebody else's has no checksum beside it, and is believed.

    Raises
    ------
    DamagedFile
        If it cannot be read, or is another one than the checksum beside it says.
    """
    content = _read(path, whole)
    if sum_of(path).exists() and _read(sum_of(path), whole).split()[:1] != [_hex(content)]:
        raise DamagedFile(path, f"{sum_of(path).name} says another checksum", whole)
    return content


def sum_folder(folder: Path) -> None:
    """Note the checksum of every file of a folder in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [f"{_hex_of_file(path).decode()}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def summed_names(folder: Path) -> list[str]:
    """Return the names of the files whose checksums a folder holds."""
    return [line.partition("  ")[2] for line in _read(folder / SUMS, folder).decode(errors="replace").splitlines()]


def check_folder(folder: Path) -> None:
    """Check a folder of a model; one of somebody else's has no checksums, and is believed.

    Raises
    ------
    DamagedFile
        Names the first file that is missing or another one.
    """
    if not (folder / SUMS).is_file():
        return
    for line in _read(folder / SUMS, folder).splitlines():
        known, _, name = line.partition(b"  ")
        path = folder / name.decode(errors="replace")
        try:
            found = _hex_of_file(path)
        except (OSError, ValueError):
            raise DamagedFile(path, f"{SUMS} names it, but it cannot be read", folder) from None
        if found != known:
            raise DamagedFile(path, f"{SUMS} says another checksum", folder)


def _hex(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _hex_of_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().encode()


def _read(path: Path, whole: Path | None) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedFile(path, error.strerror or "it cannot be read", whole) from None
