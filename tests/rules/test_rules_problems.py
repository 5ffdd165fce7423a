"""Rules of problems, each alone: what it leaves, and that it is what the whole run left."""

import hashlib
import json
from pathlib import Path

import pandas as pd
from rule_outputs import SIZES, assert_same, read_json
from run_rule import run_rule
from smoke import RESULTS

from trim.problems.arithmetic import parse_program
from trim.problems.problem import Problem, fingerprint, read_problems, write_problems
from trim.problems.splits import SPLIT_RANGES, split_of


def test_prepare_dataset(smoke_copy: Path, smoke_run: Path) -> None:
    folder = RESULTS / "problems/arith"
    run_rule("prepare_dataset", smoke_copy, *(folder / f"{split}.jsonl" for split in SIZES), folder / "manifest.json")
    assert_same(smoke_copy, smoke_run, folder)
    manifest = read_json(smoke_copy / folder / "manifest.json")
    seen: set[str] = set()
    for split, size in SIZES.items():
        path = smoke_copy / folder / f"{split}.jsonl"
        problems = read_problems(path)
        entry = manifest["splits"][split]
        assert (entry["problems"], entry["file"]) == (size, path.name) == (len(problems), path.name)
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert {split_of(problem.fingerprint) for problem in problems} == {split}
        assert len({problem.id for problem in problems}) == size
        fingerprints = {problem.fingerprint for problem in problems}
        assert len(fingerprints) == size
        assert not fingerprints & seen
        seen |= fingerprints
        for problem in problems:
            assert problem.answer == parse_program(problem.text).answer()
    assert manifest["lm_train"]["hash_percent"] == [SPLIT_RANGES["lm_train"][0], SPLIT_RANGES["lm_train"][-1]]
    assert manifest["licence"]


def test_check_splits(smoke_copy: Path, smoke_run: Path) -> None:
    target = RESULTS / "problems/disjoint.json"
    run_rule("check_splits", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    assert read_json(smoke_copy / target)["problems"] == {**SIZES, "test": 24 + 8 + 16}


def test_read_solutions(smoke_copy: Path) -> None:
    record = {"problem": "How?", "generator": "scribe", "steps": ["So", "x"], "label": 1, "final_answer_correct": False}
    (smoke_copy / "solved.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    problems = smoke_copy / RESULTS / "problems/solved/router_train.jsonl"
    problems.parent.mkdir()
    write_problems([Problem("solved-0", "solved", "How?", "", fingerprint("How?"))], problems)
    dataset = {"source": "jsonl", "layout": "processbench", "path": "solved.jsonl", "splits": {"router_train": 1}}
    target = RESULTS / "rollouts/solved.router_train.parquet"
    run_rule("read_solutions", smoke_copy, target, changes={"datasets": {"solved": dataset}})
    steps = pd.read_parquet(smoke_copy / target)
    assert steps["text"].tolist() == ["So\n\n", "x"]
    assert steps["valid"].tolist() == [True, False]
    ours = pd.read_parquet(smoke_copy / RESULTS / "rollouts/arith.test.parquet")
    assert list(steps) == list(ours)
