"""Datasets of which only rows with certain values are used: `where`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trim.config.datasets import FileDataset
from trim.errors import InputError
from trim.problems.adapters import load_dataset

DATA = Path(os.environ.get("TRIM_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


def dataset(path: Path, **changes: Any) -> FileDataset:
    return FileDataset.model_validate({"source": "jsonl", "layout": "math", "path": str(path)} | changes)


@pytest.mark.parametrize("is_number", [True, False])
def test_rows_are_chosen_by_what_their_fields_say(is_number: bool, tmp_path: Path) -> None:
    def written(level: int) -> Any:
        return level if is_number else f"Level {level}"

    fields = [(1, "Algebra"), (3, "Geometry"), (4, "Algebra"), (2, "Algebra"), (10, "Algebra")]
    rows = [
        {"problem": f"{level}?", "answer": level, "subject": subject, "level": written(level)}
        for level, subject in fields
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def answers(**changes: Any) -> list[str]:
        return [problem.answer for problem in load_dataset("mine", dataset(path, **changes))]

    easy = [written(level) for level in (1, 2, 3)]
    assert answers(where={"level": easy}) == ["1", "3", "2"]
    assert answers(where={"level": [str(level) for level in easy]}) == ["1", "3", "2"]
    assert answers(where={"level": easy, "subject": ["Algebra"]}) == ["1", "2"]
    assert answers(where={"level": easy}, limit=2) == ["1", "3"]  # the limit counts those that are kept
    assert answers(where={"level": easy[:1]}) == ["1"]  # and not level 10
    assert answers(where={"level": easy}, leave_out=["2"]) == ["1", "2"]
    there = "'1', '2', '3', '4', '10'" if is_number else "'Level 1', 'Level 10', 'Level 2'"
    with pytest.raises(InputError, match=rf"own.jsonl: no row has the values.*: there are level: {there}"):
        answers(where={"level": ["three"]})
    with pytest.raises(InputError, match=r"own.jsonl:1: no text and no number in 'levl'.*'subject', 'level'"):
        answers(where={"levl": [1]})


def test_the_easier_problems_of_math500_are_chosen_by_level() -> None:
    path = DATA / "math500/test.jsonl"
    if not path.is_file():
        pytest.skip("MATH-500 is not at hand; set TRIM_TEST_DATA to the folder that holds it")
    assert len(load_dataset("real", dataset(path, where={"level": [1, 2, 3]}))) == 43 + 90 + 105


def test_what_rules_compare_has_no_empty_choice_of_rows(tmp_path: Path) -> None:
    assert "where" not in dataset(tmp_path).model_dump(mode="json")
    chosen = dataset(tmp_path, where={"level": [1, "Level 2"]})
    assert chosen.model_dump(mode="json")["where"] == {"level": [1, "Level 2"]}
    assert FileDataset.model_validate(chosen.model_dump(mode="json")) == chosen
    for wrong in ({"level": []}, {"level": [1.5]}, {"level": [True]}, {"level": 1}):
        with pytest.raises(ValidationError):
            dataset(tmp_path, where=wrong)
