"""Solutions whose steps people have labelled: ProcessBench."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

from trim.config.datasets import FileDataset
from trim.errors import InputError
from trim.problems.adapters import Record, read_records
from trim.problems.problem import fingerprint


@dataclass(frozen=True, slots=True)
class Solution:
    """A solution with the place of its first error.

    Attributes
    ----------
    problem
        Fingerprint of the problem.
    author
        The model that wrote it.
    steps
        Texts of the steps, without separators.
    first_error
        Index of the first wrong step; None where all are right.
    correct
        Whether the final answer is right.
    """

    problem: str
    author: str
    steps: tuple[str, ...]
    first_error: int | None
    correct: bool


def load_solutions(spec: FileDataset) -> list[Solution]:
    """Read the solutions of a dataset in the layout of ProcessBench.

    Raises
    ------
    InputError
        When a record lacks its steps or its labels, or there is none.
    """
    solutions = [_to_solution(record, place) for place, record in read_records(spec)]
    if not solutions:
        raise InputError(f"{spec.path}: holds no solutions; check its path in the config")
    return solutions


def _to_solution(record: Record, place: str) -> Solution:
    steps, label, correct = (record.get(name) for name in ("steps", "label", "final_answer_correct"))
    texts: list[Any] = steps if isinstance(steps, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{place}: no solution; expected a list of strings in 'steps'; fix or remove it")
    if type(label) is not int or not -1 <= label < len(texts):
        raise InputError(
            f"{place}: 'label' is {reprlib.repr(label)}, expected the index of the first wrong one of "
            f"{len(texts)} steps, or -1 where all are right; fix or remove it"
        )
    if not isinstance(correct, bool):
        raise InputError(
            f"{place}: 'final_answer_correct' is {reprlib.repr(correct)}, expected true or false; fix or remove it"
        )
    return Solution(
        fingerprint(str(record.get("problem", "")).strip()),
        str(record.get("generator") or "unknown"),
        tuple(texts),
        None if label == -1 else label,
        correct,
    )
