"""The workflow on problems whose steps have no labels, from files: PRM and planning from final answers alone."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from packages import installed
from smoke import snakemake, tables

RESULTS = Path("results/unlabelled")

WITHOUT = dict.fromkeys(("arith", "arith-hard", "arith-words"))
UNTRAINED = dict.fromkeys(
    ("architecture", "training_steps", "further_rounds", "check_every", "check_problems")
)  # keys of smoke.yaml
FILES = {"source": "jsonl", "layout": "math", "repeated": "drop", "licence": "MIT"}
SPLITS = {"prm_train": 0.4, "router_train": 0.35, "dev": 0.25}
CHANGES = {
    "experiment": "unlabelled",
    "datasets": {
        **WITHOUT,
        "train": {**FILES, "path": "train.jsonl", "splits": SPLITS, "without": ["held-out"]},
        "held-out": {**FILES, "path": "test.jsonl"},
    },
    "training_mix": WITHOUT,
    "main_dataset": "train",
    "evaluated_on": ["held-out"],
    "pair": {
        "weak": UNTRAINED | {"kind": "pretrained", "name": "weak", "dtype": "bfloat16"},
        "strong": UNTRAINED | {"kind": "calculator"},
        "prm": "value",
    },
    "prms": {
        "verifier": None,
        "classifier": None,
        "sharp": None,
        "value": {"kind": "value"},
        "noisy": {"of": "value"},
    },
    "reported_prms": ["noisy"],
    "replicates": {"train": 1},
    "long_steps": "cut",
    "routers": {
        "trained_on": ["train"],
        "tree_budget": 6,
        "pomdp": {"variants": ["default"]},
        "seq": {"variants": []},
        "query": {"tuning": None, "baselines": ["bert", "automix-prm"]},
    },
}


def lay_out(source: Path, path: Path) -> None:
    """Write problems as a benchmark file would hold them."""
    problems = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    rows = [json.dumps({"problem": problem["text"], "answer": problem["answer"]}) for problem in problems]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")


@pytest.mark.slow
def test_final_answers_are_enough_for_every_stage(smoke_copy: Path, tmp_path: Path) -> None:
    made = smoke_copy / "results/smoke/problems/arith"
    for split in ("prm_train", "router_train", "dev"):
        lay_out(made / f"{split}.jsonl", smoke_copy / "train.jsonl")
    lay_out(made / "test.jsonl", smoke_copy / "test.jsonl")
    shutil.copytree(smoke_copy / "results/smoke/models/weak", smoke_copy / "weak")
    packages = installed(tmp_path / "packages")
    targets = [RESULTS / f"tables/{name}.csv" for name in ("main", "claims", "prm_outcomes")] + [
        RESULTS / "explorer.html"
    ]
    snakemake(smoke_copy, targets=tuple(targets), changes=CHANGES, packages=packages, cores=2)

    main = pd.read_csv(smoke_copy / RESULTS / "tables/main.csv")
    assert {"trim-thr", "trim-agg", "trim-pomdp", "bert", "automix-prm"} <= set(main["router"])
    assert main["strong_accuracy"].eq(1).all() and main["weak_accuracy"].lt(0.5).all()
    outcomes = pd.read_csv(smoke_copy / RESULTS / "tables/prm_outcomes.csv")
    assert set(outcomes["prm"]) == {"value", "noisy"}
    validation = pd.read_csv(smoke_copy / RESULTS / "models/prm-value/validation.csv")
    assert validation["reads"].tolist() == ["likelihood", "arithmetic", "hidden", "likelihood+arithmetic+hidden"]
    logs = (smoke_copy / RESULTS / "logs/fit_router").rglob("*.log")
    assert any("would have left the explored trees" in log.read_text(encoding="utf-8") for log in logs)
    assert tables(smoke_copy)  # what the smoke run left is still there
