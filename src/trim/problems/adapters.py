r"""Benchmark files and hub datasets, read as problems."""

from __future__ import annotations

import hashlib
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trim.config.datasets import FileDataset
from trim.errors import InputError
from trim.problems.answers.boxes import extract_answer
from trim.problems.answers.comparison import read_tolerance
from trim.problems.problem import Problem, fingerprint
from trim.problems.records import control_sign, read_json_lines

Record = Mapping[str, Any]

_DOLLAR = re.compile(r"(?<!\\)\$")
_GSM8K_ANSWER = re.compile(r"####([^#]+)$")
_AIME_ANSWER = re.compile(r"(\d{1,3})(?: or (\d{1,3}))?(?: \(.*\))?")
_OWN_IDS = ("unique_id", "id", "ID", "idx")
_AIME_ID = re.compile(r"(\d{4})(?:-(I{1,2}))?-\d{1,2}")
SHOWN_VALUES = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a record holds the problem and its reference answer.

    Attributes
    ----------
    text
        Names that the field with the problem has in the copies of the dataset.
    answer
        Reads the reference answer, or "" where there is none; None where no record has any.
    expected
        Says in a message where the answer should be.
    context
        Name of the field with text that comes before the problem, where there is one.
    tolerance
        Name of the field that says how far off an answer may be, where there is one.
    """

    text: tuple[str, ...]
    answer: Callable[[Record], str] | None
    expected: str
    context: str = ""
    tolerance: str = ""


def _math_answer(record: Record) -> str:
    return _field(record, "answer") or (extract_answer(_field(record, "solution")) or "").strip()


def _aime_answer(record: Record) -> str:
    """Read an integer below 1000; one problem of 2022 has two: "080 or 081 (both were accepted)"."""
    match = _AIME_ANSWER.fullmatch(_field(record, "solution", "Answer"))
    return " or ".join(str(int(number)) for number in match.groups() if number) if match else ""


def _gsm8k_answer(record: Record) -> str:
    match = _GSM8K_ANSWER.search(_field(record, "answer"))
    return match[1].strip().replace(",", "") if match else ""


def _olympiadbench_answer(record: Record) -> str:
    """Read a list of strings between dollars; where a problem asks for several values, all of them count."""
    answers = record.get("final_answer")
    texts = [text for text in answers if isinstance(text, str)] if isinstance(answers, list) else []
    bare = (_DOLLAR.sub("", text).strip() for text in texts)
    return ", ".join(text for text in bare if text)


LAYOUTS: Mapping[str, Layout] = {
    "math": Layout(("problem", "question"), _math_answer, "in 'answer', or in a \\boxed{} in 'solution'"),
    "aime": Layout(("problem", "Question"), _aime_answer, "an integer from 0 to 999 in 'solution' or 'Answer'"),
    "gsm8k": Layout(("question",), _gsm8k_answer, "after '####' at the end of 'answer'"),
    "olympiadbench": Layout(
        ("question",),
        _olympiadbench_answer,
        "a list of strings in 'final_answer'",
        context="context",
        tolerance="error",
    ),
    "processbench": Layout(("problem",), None, ""),
}


def load_dataset(name: str, spec: FileDataset) -> list[Problem]:
    """Read the problems of a file or of a hub dataset.

    Raises
    ------
    InputError
        When there is nothing to read, a record lacks its problem or reference answer, or a
        problem is there twice and that was not allowed.
    """
    problems: list[Problem] = []
    places: dict[str, str] = {}
    several_solutions = spec.layout == "processbench"
    for place, record in read_records(spec):
        problem = _to_problem(f"{name}-{len(problems)}", name, record, spec.layout, place)
        first = places.setdefault(problem.fingerprint, place)
        if first != place and several_solutions:
            continue
        if first != place and spec.repeated == "refuse":
            raise InputError(f"{place}: the same problem as {first}; remove one of the two, or say repeated: drop")
        problems.append(problem)
    if not problems:
        raise InputError(f"{spec.path}: holds no problems; check datasets.{name}.path in the config")
    return problems


def read_records(spec: FileDataset) -> Iterator[tuple[str, Record]]:
    """Yield (place, record) of what a dataset asks for: its part of the source without what is left out, up to a limit.

    Raises
    ------
    InputError
        When no row has an id that shall be left out, a row lacks a field that rows are chosen by, or none is chosen.
    """
    return islice(_chosen(spec), spec.limit)


def _chosen(spec: FileDataset) -> Iterator[tuple[str, Record]]:
    """Yield the rows that have in each field of `where` one of its values."""
    wanted = {name: set(map(str, values)) for name, values in spec.where.items()}
    seen: dict[str, set[str]] = {name: set() for name in wanted}
    is_empty = True
    for place, record in _wanted(spec):
        values = {name: _field(record, name) for name in wanted}
        for name, value in values.items():
            if not value:
                raise InputError(
                    f"{place}: no text and no number in {name!r}, which `where` chooses rows by; this row has "
                    f"{', '.join(map(repr, record))}: correct `where`, or leave the row out by its id"
                )
            seen[name].add(value)
        if all(value in wanted[name] for name, value in values.items()):
            is_empty = False
            yield place, record
    if wanted and is_empty:
        there = "; ".join(f"{name}: {_some(values)}" for name, values in seen.items())
        raise InputError(f"{spec.path}: no row has the values that `where` asks for; correct it: there are {there}")


def _some(values: set[str]) -> str:
    """List the first values in order, numbers by their size."""
    shown = sorted(values, key=lambda value: (int(value) if value.isdecimal() else 0, value))
    return ", ".join(map(repr, shown[:SHOWN_VALUES])) + (", ..." if len(shown) > SHOWN_VALUES else "")


def _wanted(spec: FileDataset) -> Iterator[tuple[str, Record]]:
    unseen = set(spec.leave_out)
    for place, record in _hub_records(spec) if spec.source == "hub" else _file_records(Path(spec.path)):
        id = _own_id(record, place)
        if id in spec.leave_out:
            unseen.discard(id)
        elif spec.part in (None, _aime_part(spec, record, place)):
            yield place, record
    if unseen:
        raise InputError(f"{spec.path}: no row has the id {min(unseen)!r}, which leave_out names; correct it")


def _own_id(record: Record, place: str) -> str:
    """Return the id that a row brings, or else its number in the source."""
    return _field(record, *_OWN_IDS) or re.split(r"\W", place)[-1]


def source_digest(spec: FileDataset) -> str:
    """Return the sha256 of a file, or of the records of a hub dataset as JSON lines."""
    if spec.source == "jsonl":
        return hashlib.sha256(Path(spec.path).read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for _, record in _hub_records(spec):
        digest.update(json.dumps(record, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()


def _aime_part(spec: FileDataset, record: Record, place: str) -> str | None:
    """Tell in which half of AIME a problem is: the rule of the paper's released code.

    Before 2000 there was one paper a year: 1983 and every other year after it test, the years between train. Since
    2000 there are two: paper I trains, paper II tests. That makes 451 and 482 problems up to 2024.
    """
    if spec.part is None:
        return None
    match = _AIME_ID.fullmatch(_field(record, "ID"))
    if match is None or (int(match[1]) >= 2000) != (match[2] is not None):
        raise InputError(
            f"{place}: 'ID' is {reprlib.repr(record.get('ID'))}, expected one like 1983-1 or 2000-II-1; fix it"
        )
    if match[2] is None:
        return "train" if (int(match[1]) - 1983) % 2 else "test"
    return "train" if match[2] == "I" else "test"


def _to_problem(id: str, dataset: str, record: Record, layout_name: str, place: str) -> Problem:
    layout = LAYOUTS[layout_name]
    text, answer = _field(record, *layout.text), layout.answer(record) if layout.answer else ""
    fix = (
        f"fix or remove it, leave it out (datasets.{dataset}.leave_out: [{_own_id(record, place)!r}]), "
        f"or check that {layout_name!r} is the layout of this dataset"
    )
    if not text:
        raise InputError(f"{place}: no problem in {' or '.join(map(repr, layout.text))}; {fix}")
    if not answer and layout.answer:
        raise InputError(f"{place}: no reference answer; expected it {layout.expected}; {fix}")
    if sign := control_sign(text + answer):
        raise InputError(f"{place}: holds the control sign {sign}, perhaps what is left of a backslash; {fix}")
    text = "\n\n".join(filter(None, (_field(record, layout.context), text)))
    tolerance = _field(record, layout.tolerance)
    if tolerance and read_tolerance(tolerance) is None:
        raise InputError(
            f"{place}: '{layout.tolerance}' is {reprlib.repr(tolerance)}, expected a positive number, or one for each "
            f"value; {fix}"
        )
    return Problem(id, dataset, text, answer, fingerprint(text), tolerance)


def _field(record: Record, *names: str) -> str:
    """Return the first field that has text, without white space around it; finite numbers count as text."""
    texts = (_text(record.get(name)) for name in names)
    return next((text for text in texts if text), "")


def _text(value: object) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value) if value.is_integer() and abs(value) < 2**53 else value)
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
