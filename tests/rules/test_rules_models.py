"""Rules of models, each alone: what it leaves, and that it is what the whole run left."""

from pathlib import Path

import pandas as pd
import pytest
from rule_outputs import KEYS, assert_same, read_json
from run_rule import run_rule
from smoke import RESULTS, contents

from trim.archive.checkpoints import export_checkpoints
from trim.archive.export import verify_archive
from trim.archive.parts import import_archive
from trim.checksums import sum_folder


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


def test_models_that_were_imported_are_not_trained(smoke_copy: Path) -> None:
    """Weights that no training gives come back as they were handed over; under other settings, they are trained."""
    from safetensors.torch import load_file, save_file

    models, archive = RESULTS / "models", smoke_copy / "archive"
    for folder in (smoke_copy / models / "weak", smoke_copy / models / "prm-verifier"):
        weights = load_file(folder / "model.safetensors")
        save_file({name: -tensor for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"})
        (folder / ".snakemake_timestamp").unlink()
        sum_folder(folder)
    handed_over = contents(smoke_copy / models)
    export_checkpoints([smoke_copy / "config/smoke.yaml"], archive, 10_000_000, smoke_copy)
    assert set(verify_archive(archive).licences) == {path.name for path in (smoke_copy / models).iterdir()}
    import_archive(archive, smoke_copy / "step_store")
    run_rule("train_language_model", smoke_copy, models / "weak")
    run_rule("train_prm", smoke_copy, models / "prm-verifier")
    taken = {name: data for name, data in contents(smoke_copy / models).items() if not name.endswith("_timestamp")}
    assert taken == {name: data for name, data in handed_over.items() if not name.endswith("_timestamp")}
    for log in ("train_language_model/weak", "train_prm/verifier"):
        said = (smoke_copy / RESULTS / f"logs/{log}.log").read_text(encoding="utf-8")
        assert "not trained, but taken from step_store/checkpoints/" in said
    run_rule("train_language_model", smoke_copy, models / "weak", changes={"sampling": {"temperature": 0.9}})
    trained = (smoke_copy / models / "weak/model.safetensors").read_bytes()
    assert trained != handed_over["weak/model.safetensors"]
