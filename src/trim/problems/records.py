"""The door for text from outside: JSON lines, checked before anything else sees them."""

from __future__ import annotations

import json
import re
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trim.errors import InputError

# Half of a character beyond 16 bits, escaped: what is left when a text was cut in the middle of one.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ARRAY = "expected JSON lines, one object a line: convert it, as with jq -c '.[]'"
_UNREADABLE: tuple[tuple[bytes | tuple[bytes, ...], str], ...] = (
    (b"\x1f\x8b", "a gzip archive; unpack it (gunzip): the file must be plain UTF-8"),
    ((b"\xff\xfe", b"\xfe\xff"), "UTF-16; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (b"PK\x03\x04", "a zip archive; unpack it: the file must be plain UTF-8"),
    (b"PAR1", "a Parquet file; convert it to JSON lines in UTF-8, one object a line"),
)


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSON-lines file in UTF-8; blank lines are passed over.

    Raises
    ------
    InputError
        When the file is missing or not UTF-8, or a line is not a sound JSON object: see `parse_object`.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path in the config")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = _decoded(line, f"{path}:{number}", first=number == 1)
            if number == 1 and text.lstrip().startswith("[") and not text.strip().endswith("]"):
                raise InputError(f"{path}:1: a JSON array over several lines; {_ARRAY}")
            if text.strip():
                yield number, parse_object(text, f"{path}:{number}")


def _decoded(line: bytes, place: str, *, first: bool) -> str:
    if first:
        for magic, what in _UNREADABLE:
            if line.startswith(magic):
                raise InputError(f"{place}: this file is {what}")
    try:
        return line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place}: not UTF-8 (byte {line[error.start]:#04x} at column {error.start + 1}); "
            "convert the file to UTF-8, or fix or remove the line"
        ) from None


def parse_object(text: str, place: str) -> dict[str, Any]:
    """Parse one JSON object from outside.

    Raises
    ------
    InputError
        Names the place of what is no JSON object, holds a key twice, half a character, or an integer or a nesting
        that nothing here needs.
    """
    try:
        record = json.loads(text, object_pairs_hook=_without_repetition)
        if _SURROGATE.search(text):
            json.dumps(record, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not valid JSON ({error.msg}); fix or remove the line") from None
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise InputError(f"{place}: holds half a character ({half!r}); fix or remove the line") from None
    except RecursionError:
        raise InputError(f"{place}: JSON nested too deeply; fix or remove the line") from None
    except ValueError as error:  # what `int` says of thousands of digits, or `_without_repetition`
        raise InputError(f"{place}: {_one_line(error)}; fix or remove the line") from None
    if not isinstance(record, dict):
        lines = f"; {_ARRAY}" if isinstance(record, list) else ""
        raise InputError(f"{place}: expected a JSON object, found {type(record).__name__}{lines}")
    return record


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {reprlib.repr(twice)} is there twice")
    return record


def _one_line(error: ValueError) -> str:
    said = " ".join(str(error).split())
    return "an integer of thousands of digits" if "integer string conversion" in said else said


def control_sign(text: str) -> str | None:
    r"""Name the first control character of a text, other than tabs and line breaks: "\x0c" is a lost "\f"(rac)."""
    found = _CONTROL.search(text)
    return found and f"U+{ord(found[0]):04X}"
