"""A problem: a text, its reference answer, where it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trim.checksums import summed_bytes
from trim.errors import InputError
from trim.files import write_text
from trim.problems.records import read_json_lines


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a dataset.

    Attributes
    ----------
    id
        Unique within its dataset.
    dataset
        Name of the dataset, as in the config.
    text
        What the models are asked.
    answer
        The reference answer, without any box around it.
    fingerprint
        Hex digest of what makes two problems the same one. Splits are
        disjoint in it. For arithmetic it ignores wording and labels.
    tolerance
        How far from the reference an answer may be, where the dataset says so: a number, or one a value, as in
        "1e-1,1e-3".
    """

    id: str
    dataset: str
    text: str
    answer: str
    fingerprint: str
    tolerance: str = ""


def fingerprint(content: str) -> str:
    """Digest that ignores white space and letter case."""
    return hashlib.sha256(" ".join(content.split()).casefold().encode()).hexdigest()


def write_problems(problems: Iterable[Problem], path: Path) -> None:
    """Write problems as JSON lines, one problem a line."""
    write_text("".join(json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in problems), path)


def read_problems(path: Path) -> list[Problem]:
    """Read what `write_problems` wrote.

    Raises
    ------
    InputError
        Names file and line of what is not a problem.
    """
    if path.is_file():
        summed_bytes(path)
    return [_to_problem(record, path, number) for number, record in read_json_lines(path)]


def _to_problem(record: dict[str, Any], path: Path, number: int) -> Problem:
    try:
        if wrong := next((name for name, value in record.items() if not isinstance(value, str)), None):
            raise TypeError(f"{wrong!r} is no text")
        return Problem(**record)
    except TypeError as error:
        raise InputError(
            f"{path}:{number}: not a prepared problem ({error}); delete the file and run prepare_dataset again"
        ) from error
