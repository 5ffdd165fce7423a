"""Rules of models, each alone: what it leaves, and that it is what the whole run left."""

from pathlib import Path

import pandas as pd
import pytest
from rule_outputs import KEYS, assert_same, read_json
from run_rule import run_rule
from smoke import RESULTS, contents


def test_train_language_model(smoke_copy: Path, smoke_run: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = RESULTS / "models/weak"
    run_rule("train_language_model", smoke_copy, folder)
    assert_same(smoke_copy, smoke_run, folder / "model.safetensors", folder / "tokenizer.json", folder / "metrics.json")
    model = AutoModelForCausalLM.from_pretrained(smoke_copy / folder, local_files_only=True)
    assert type(model).__name__ == "Qwen2ForCausalLM"
    assert model.config.hidden_size == 32
    assert AutoTokenizer.from_pretrained(smoke_copy / folder, local_files_only=True).chat_template
    metrics = read_json(smoke_copy / folder / "metrics.json")
    assert metrics["parameters"] == sum(weights.numel() for weights in model.parameters())
    assert metrics["picked"] in metrics["snapshots"]
    low, high = metrics["accuracy_band"]
    assert metrics["in_band"] == (low <= metrics["picked"]["accuracy"] <= high)
    assert not [name for name in contents(smoke_copy / folder) if Path(name).suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize("name", ["verifier", "classifier", "sharp"])
def test_train_prm(name: str, smoke_copy: Path, smoke_run: Path) -> None:
    from trim.models.prm_kinds import load_prm

    folder = RESULTS / f"models/prm-{name}"
    run_rule("train_prm", smoke_copy, folder)
    if (smoke_run / folder).is_dir():  # sharp is not among the PRMs that the smoke config reports on
        assert_same(smoke_copy, smoke_run, folder)
    described = read_json(smoke_copy / folder / "prm.json")
    assert described["kind"] == ("classifier" if name == "classifier" else "likelihood")
    assert described["backbone"] == ("strong" if name == "sharp" else "weak")
    architecture = read_json(smoke_copy / folder / "config.json")["architectures"]
    assert architecture == ["Qwen2ForProcessRewardModel" if name == "classifier" else "Qwen2ForCausalLM"]
    rollouts = pd.read_parquet(smoke_copy / RESULTS / "rollouts/arith.prm_train.parquet")
    assert read_json(smoke_copy / folder / "metrics.json")["traces"] == len(rollouts.groupby(KEYS[:3]))
    assert load_prm(smoke_copy / folder, batch_size=4)
