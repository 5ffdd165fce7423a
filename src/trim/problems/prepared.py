"""The problems of a file or a hub dataset, divided into splits, and a folder of our own that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from trim.config.datasets import FileDataset, Split
from trim.files import read_json, write_json
from trim.problems.adapters import load_dataset, source_digest
from trim.problems.grading import text_only
from trim.problems.problem import Problem, read_problems, write_problems
from trim.problems.splits import divide, leave_out

SPLITS: tuple[Split, ...] = get_args(Split)
ORIGIN_FILE = "origin.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Problems by split, and what the manifest says of their source."""

    splits: Mapping[str, Sequence[Problem]]
    origin: Mapping[str, Any]


def prepare(name: str, spec: FileDataset, tested: Mapping[str, Sequence[Problem]]) -> Prepared:
    """Read a dataset from its source.

    Parameters
    ----------
    tested
        Problems that are left out, by the dataset that tests them.
    """
    problems, left_out = leave_out(load_dataset(name, spec), tested)
    unread = text_only(problem.answer for problem in problems if problem.answer)
    as_text = [problem.id for problem in problems if problem.answer in unread]
    origin = {
        "source_sha256": source_digest(spec),
        "left_out": left_out,
        "left_out_by_id": len(spec.leave_out),
        "compared_as_text_only": {"references": len(as_text), "of": len(problems), "ids": as_text},
    }
    splits: dict[str, list[Problem]] = {split: [] for split in SPLITS}
    return Prepared(splits | divide(problems, spec.splits), origin)


def is_at_hand(spec: FileDataset) -> bool:
    """Tell whether a dataset's source can be read without a network."""
    return spec.source == "jsonl" and Path(spec.path).is_file()


def save_prepared(prepared: Prepared, folder: Path) -> None:
    """Write prepared problems to a folder, a file a split."""
    for split, problems in prepared.splits.items():
        write_problems(problems, folder / f"{split}.jsonl")
    write_json(prepared.origin, folder / ORIGIN_FILE)


def load_prepared(folder: Path) -> Prepared:
    """Read what `save_prepared` wrote."""
    return Prepared(
        {split: read_problems(folder / f"{split}.jsonl") for split in SPLITS}, read_json(folder / ORIGIN_FILE)
    )
