"""Bring your own: problems in a file, a model in a GGUF file, one behind an endpoint, PRMs that others trained."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from fake_server import FakeServer, Model, fake_vllm
from gguf_files import write_gguf
from smoke import snakemake
from transformers import Qwen2ForTokenClassification

from trim.models.transformers_backend import load_model

RESULTS = Path("results/mine")
UNTRAINED = dict.fromkeys(
    ("architecture", "training_steps", "further_rounds", "check_every", "check_problems")
)  # keys of smoke.yaml
WITHOUT = dict.fromkeys(("arith", "arith-hard", "arith-words"))
SPLITS = {"router_train": 0.4, "dev": 0.3, "test": 0.3}


@pytest.fixture
def strong(smoke_copy: Path) -> Iterator[FakeServer]:
    """The strong model of the smoke run, behind an endpoint."""
    with fake_vllm(Model(smoke_copy / "results/smoke/models/strong")) as server:
        yield server


def overlay(weak: dict[str, object], strong: FakeServer) -> dict[str, object]:
    """What somebody writes who brings all of it."""
    return {
        "experiment": "mine",
        "datasets": {
            **WITHOUT,
            "own": {"source": "jsonl", "layout": "math", "path": "own.jsonl", "splits": SPLITS, "repeated": "drop"},
        },
        "training_mix": WITHOUT,
        "main_dataset": "own",
        "evaluated_on": ["own"],
        "pair": {
            "weak": UNTRAINED | weak,
            "strong": UNTRAINED | {"kind": "served", "name": strong.models["data"][0]["id"], "max_model_len": 1024},
            "prm": "math-prm",
        },
        "serving": {"endpoints": {"strong": {"url": strong.url}}},
        "prms": {
            **dict.fromkeys(("verifier", "classifier", "sharp", "noisy", "first-token")),
            "math-prm": {"kind": "pretrained", "name": "./math-prm", "keeps_separator": True},
            "trl": {"kind": "token-classifier", "name": "./trl-prm"},
        },
        "reported_prms": ["trl"],
        "replicates": {"train": 1, "test": 1},
        "routers": {
            "trained_on": ["own"],
            "tree_budget": 4,
            "pomdp": {"variants": []},
            "agg": {"variants": []},
            "seq": {"variants": []},
            "fitted_q": {"variants": []},
            "query": {"tuning": None, "baselines": ["automix-prm"]},
        },
        "planners": {"kappas": []},
    }


def lay_out(tree: Path) -> dict[str, object]:
    """Put problems, a GGUF file and two PRMs beside the workflow; return the section of the weak model."""
    problems = [
        json.loads(line) for line in (tree / "results/smoke/problems/arith/test.jsonl").read_text().splitlines()
    ]
    rows = [json.dumps({"problem": problem["text"], "answer": problem["answer"]}) for problem in problems]
    (tree / "own.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    shutil.copytree(tree / "results/smoke/models/prm-classifier", tree / "math-prm")
    model, tokenizer = load_model(tree / "results/smoke/models/weak")
    torch.manual_seed(0)
    Qwen2ForTokenClassification(model.config).save_pretrained(tree / "trl-prm")
    tokenizer.save_pretrained(tree / "trl-prm")
    return {"kind": "gguf", "file": "weak.gguf", "sha256": write_gguf(tree / "weak.gguf", model, tokenizer, None)}


@pytest.mark.slow
def test_problems_models_and_prms_of_ones_own_go_all_the_way(smoke_copy: Path, strong: FakeServer) -> None:
    changes = overlay(lay_out(smoke_copy), strong)
    tables = RESULTS / "tables"
    snakemake(smoke_copy, targets=(tables / "curves.csv", tables / "prm_outcomes.csv"), changes=changes, cores=2)
    curves = pd.read_csv(smoke_copy / tables / "curves.csv").set_index("router")
    assert (curves.loc["trim-thr", "prm_tokens"] > 0).all()
    assert set(pd.read_csv(smoke_copy / tables / "prm_outcomes.csv")["prm"]) == {"math-prm", "trl"}
    assert not (smoke_copy / RESULTS / "models").exists()  # nothing was trained
    assert strong.requests
