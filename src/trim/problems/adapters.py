r"""Benchmark files and hub datasets, read as problems."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trim.config import FileDataset
from trim.errors import InputError
from trim.problems.grading import extract_answer
from trim.problems.problem import Problem, fingerprint, read_json_lines

Record = Mapping[str, Any]

_GSM8K_ANSWER = re.compile(r"####([^#]+)$")
_AIME_ANSWER = re.compile(r"(\d{1,3})(?: or (\d{1,3}))?(?: \(.*\))?")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a record holds the problem and its reference answer.

    Attributes
    ----------
    text
        Name of the field with the problem.
    answer
        Reads the reference answer, or "" where there is none.
    expected
        Says in a message where the answer should be.
    """

    text: str
    answer: Callable[[Record], str]
    expected: str


def _math500_answer(record: Record) -> str:
    return _field(record, "answer") or (extract_answer(_field(record, "solution")) or "").strip()


def _aime_answer(record: Record) -> str:
    """Read an integer below 1000; one problem of 2022 has two: "080 or 081 (both were accepted)"."""
    match = _AIME_ANSWER.fullmatch(_field(record, "solution"))
    return " or ".join(str(int(number)) for number in match.groups() if number) if match else ""


def _gsm8k_answer(record: Record) -> str:
    match = _GSM8K_ANSWER.search(_field(record, "answer"))
    return match[1].strip().replace(",", "") if match else ""


LAYOUTS: Mapping[str, Layout] = {
    "math500": Layout("problem", _math500_answer, "in 'answer', or in a \\boxed{} in 'solution'"),
    "aime": Layout("problem", _aime_answer, "an integer from 0 to 999 in 'solution'"),
    "gsm8k": Layout("question", _gsm8k_answer, "after '####' at the end of 'answer'"),
}


def load_dataset(name: str, spec: FileDataset) -> list[Problem]:
    """Read the problems of a file or of a hub dataset.

    Raises
    ------
    InputError
        When there is nothing to read, a record lacks its problem or reference answer, or a
        problem is there twice.
    """
    records = _hub_records(spec) if spec.source == "hub" else _file_records(Path(spec.path))
    problems: list[Problem] = []
    places: dict[str, str] = {}
    for place, record in islice(records, spec.limit):
        problem = _to_problem(f"{name}-{len(problems)}", name, record, spec.layout, place)
        first = places.setdefault(problem.fingerprint, place)
        if first != place:
            raise InputError(f"{place}: the same problem as {first}; remove one of the two")
        problems.append(problem)
    if not problems:
        raise InputError(f"{spec.path}: holds no problems; check datasets.{name}.path in the config")
    return problems


def _to_problem(id: str, dataset: str, record: Record, layout_name: str, place: str) -> Problem:
    layout = LAYOUTS[layout_name]
    text, answer = _field(record, layout.text), layout.answer(record)
    mend = f"mend or remove it, or check that {layout_name!r} is the layout of this dataset"
    if not text:
        raise InputError(f"{place}: no problem in {layout.text!r}; {mend}")
    if not answer:
        raise InputError(f"{place}: no reference answer; expected it {layout.expected}; {mend}")
    return Problem(id, dataset, text, answer, fingerprint(text))


def _field(record: Record, name: str) -> str:
    """Return a field's text without white space around it; whole numbers count as text, all else is ""."""
    value = record.get(name)
    return str(value).strip() if isinstance(value, str) or type(value) is int else ""


def _file_records(path: Path) -> Iterator[tuple[str, Record]]:
    return ((f"{path}:{number}", record) for number, record in read_json_lines(path))


def _hub_records(spec: FileDataset) -> Iterator[tuple[str, Record]]:
    import datasets

    try:
        rows = datasets.load_dataset(spec.path, spec.subset, split=spec.hub_split, revision=spec.revision)
    except Exception as error:  # network, hub, cache and file formats each raise errors of their own
        raise InputError(
            f"{spec.path}: cannot load split {spec.hub_split!r} of this hub dataset "
            f"({type(error).__name__}: {' '.join(str(error).split())}); check its name, subset, revision and split "
            "and the network, or give the path of a local copy"
        ) from error
    return ((f"{spec.path}[{spec.hub_split}] row {index}", row) for index, row in enumerate(rows))
