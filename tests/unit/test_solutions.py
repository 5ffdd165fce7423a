"""Solutions with labelled steps: read from ProcessBench's layout, laid out like our own rollouts."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trim.config.datasets import FileDataset
from trim.config.experiment import Bootstrap
from trim.errors import InputError
from trim.evaluation.prm_quality import prm_quality
from trim.layouts import SOLUTION_KEYS
from trim.problems.adapters import load_dataset
from trim.problems.solutions import load_solutions
from trim.rollout.tables import solution_table


def record(problem: str, steps: list[str], label: int, **more: Any) -> dict[str, Any]:
    return {
        "id": "omnimath-0",
        "generator": "scribe",
        "problem": problem,
        "steps": steps,
        "label": label,
        "final_answer_correct": label == -1,
    } | more


RECORDS = [
    record("One?", ["a", "b", "c"], -1),
    record("One?", ["a", "x", "y"], 1),
    record("Two?", ["p", "q"], 0, generator="poet"),
    record("  one? ", ["d"], -1, generator="poet"),
]


def processbench(path: Path, records: list[Any]) -> FileDataset:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return FileDataset.model_validate(
        {"source": "jsonl", "layout": "processbench", "path": str(path), "splits": {"router_train": 1}}
    )


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    spec = processbench(tmp_path / "own.jsonl", RECORDS)
    return solution_table(load_solutions(spec), load_dataset("bench", spec))


def test_a_problem_with_several_solutions_is_one_problem(tmp_path: Path) -> None:
    problems = load_dataset("bench", processbench(tmp_path / "own.jsonl", RECORDS))
    assert [(p.id, p.text, p.answer) for p in problems] == [("bench-0", "One?", ""), ("bench-1", "Two?", "")]


def test_every_solution_is_told_apart(table: pd.DataFrame) -> None:
    keys = [tuple(key) for key, _ in table.groupby(SOLUTION_KEYS, sort=False)]
    assert keys == [("scribe", "bench-0", 0), ("scribe", "bench-0", 1), ("poet", "bench-1", 0), ("poet", "bench-0", 0)]


def test_steps_carry_their_separators_and_the_labels_that_are_known(table: pd.DataFrame) -> None:
    assert table["text"].tolist() == ["a\n\n", "b\n\n", "c", "a\n\n", "x\n\n", "y", "p\n\n", "q", "d"]
    assert table["position"].tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 0]
    assert table["valid"].tolist() == [True, True, True, True, False, None, False, None, True]
    assert table["correct"].tolist() == [True] * 3 + [False] * 5 + [True]


def test_solutions_of_problems_that_were_left_out_are_left_out(tmp_path: Path) -> None:
    spec = processbench(tmp_path / "own.jsonl", RECORDS)
    table = solution_table(load_solutions(spec), load_dataset("bench", spec)[1:])
    assert set(table["problem_id"]) == {"bench-1"}


def test_a_prm_is_measured_on_them(table: pd.DataFrame) -> None:
    steps = table.assign(score=table["valid"].map({True: 0.9, False: 0.2})).dropna(subset=["valid"])
    steps["valid"] = steps["valid"].astype(bool)
    quality = prm_quality(steps, SOLUTION_KEYS, Bootstrap(resamples=20), "0").set_index("measure")
    assert quality.loc["step AUC up to the first error", "value"] == 1.0
    assert quality.loc["step AUC up to the first error", "count"] == 7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": []}, "no solution; expected a list of strings in 'steps'"),
        ({"steps": ["a", 3]}, "no solution"),
        ({"steps": "a"}, "no solution"),
        ({"label": 3}, "'label' is 3, expected the index of the first wrong one of 3 steps, or -1"),
        ({"label": -2}, "'label' is -2"),
        ({"label": None}, "'label' is None"),
        ({"label": True}, "'label' is True"),
        ({"final_answer_correct": "yes"}, "'final_answer_correct' is 'yes', expected true or false"),
    ],
)
def test_a_broken_line_is_named(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    spec = processbench(tmp_path / "broken.jsonl", [RECORDS[0], RECORDS[0] | changes])
    with pytest.raises(InputError, match=said) as caught:
        load_solutions(spec)
    assert str(caught.value).startswith(f"{spec.path}:2: ")


def test_a_file_without_solutions_is_named(tmp_path: Path) -> None:
    spec = processbench(tmp_path / "empty.jsonl", [])
    with pytest.raises(InputError, match=f"^{spec.path}: holds no solutions"):
        load_solutions(spec)
