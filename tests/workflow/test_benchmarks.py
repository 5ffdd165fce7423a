"""Benchmarks through the workflow: several splits of one file, what others test left out, labelled solutions read."""

import hashlib
import json
from pathlib import Path

import pandas as pd
from smoke import RESULTS, checkout, snakemake

from trim.problems.problem import read_problems

SHARES = {"router_train": 0.8, "dev": 0.2}


def write(path: Path, records: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_files_become_splits_and_solutions(tmp_path: Path) -> None:
    tree = checkout(tmp_path / "checkout")
    train = [{"problem": f"What is {i}+1?", "answer": str(i + 1)} for i in range(50)]
    write(tree / "train.jsonl", [*train, train[7]])
    write(tree / "exam.jsonl", [{"problem": "what is  3+1?", "answer": "4"}, {"problem": "Why?", "answer": "0"}])
    solution = {"generator": "scribe", "steps": ["So", "x", "y"], "label": 1, "final_answer_correct": False}
    write(tree / "solved.jsonl", [solution | {"problem": text} for text in ("How?", "Why?", "How?")])
    known = {"source": "jsonl", "without": ["exam"]}
    changes = {
        "datasets": {
            "exam": {"source": "jsonl", "layout": "math", "path": "exam.jsonl"},
            "drill": {**known, "layout": "math", "path": "train.jsonl", "splits": SHARES, "repeated": "drop"},
            "solved": {**known, "layout": "processbench", "path": "solved.jsonl", "splits": {"router_train": 1}},
        }
    }
    rollouts = RESULTS / "rollouts/solved.router_train.parquet"
    manifest = RESULTS / "problems/drill/manifest.json"
    snakemake(tree, targets=(manifest, rollouts, RESULTS / "problems/disjoint.json"), changes=changes, cores=2)

    folder = tree / RESULTS / "problems"
    kept = {split: read_problems(folder / "drill" / f"{split}.jsonl") for split in (*SHARES, "test", "prm_train")}
    assert sum(map(len, kept.values())) == 49
    assert len(kept["router_train"]) > len(kept["dev"]) > 0
    assert not kept["test"] + kept["prm_train"]
    said = json.loads((tree / manifest).read_text(encoding="utf-8"))
    assert said["left_out"] == {"exam": 1, "drill": 1}
    assert said["left_out_by_id"] == 0
    assert said["compared_as_text_only"]["references"] == len(said["compared_as_text_only"]["ids"])
    assert said["source_sha256"] == hashlib.sha256((tree / "train.jsonl").read_bytes()).hexdigest()

    steps = pd.read_parquet(tree / rollouts)
    assert set(steps["problem_id"]) == {"solved-0"}  # "Why?" is in the exam
    assert steps["replicate"].tolist() == [0, 0, 0, 1, 1, 1]
    assert steps["valid"].tolist() == [True, False, None] * 2
