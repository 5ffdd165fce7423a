"""Trained models as an archive: they come back where the settings that decide them are the same, and nowhere else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from trim.archive.checkpoints import export_checkpoints, trained_names
from trim.archive.export import verify_archive
from trim.archive.parts import import_archive, read_archive
from trim.checksums import sum_folder
from trim.cli import app
from trim.config.experiment import Experiment
from trim.config.models import PretrainedModel, PretrainedPRM
from trim.config.parsing import parse_config
from trim.config.reading import read_experiment
from trim.errors import DamagedFile, InputError, TrimError
from trim.files import write_json
from trim.models.checking import check_store
from trim.models.checkpoints import checkpoint_facts
from trim.models.kept import CHECKPOINTS, Kept

NAMES = ("weak", "strong", "prm-verifier")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a small experiment has trained its models."""
    root = tmp_path / "here"
    root.mkdir()
    (root / "config.yaml").write_text(yaml.safe_dump({"experiment": "mini", "reported_prms": []}), encoding="utf-8")
    for name in NAMES:
        folder = root / "results/mini/models" / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(name.encode() * 500)
        (folder / "config.json").write_text(json.dumps(name), encoding="utf-8")
        described = {"traces": 1, "decided_by": checkpoint_facts(read_experiment(root), name, 1)}
        write_json(described, folder / "metrics.json")
        sum_folder(folder)
        (folder / ".snakemake_timestamp").touch()
    monkeypatch.chdir(root)
    return root


def exported(root: Path) -> Path:
    export_checkpoints([], root / "archive", 10_000_000, root)
    return root / "archive"


def test_models_that_others_trained_are_none_of_ours() -> None:
    model = PretrainedModel(name="./theirs")
    pair = Experiment().pair.model_copy(update={"weak": model, "strong": model})
    changes = {"pair": pair, "prms": {"verifier": PretrainedPRM(name="./theirs")}, "reported_prms": ()}
    assert trained_names(Experiment().model_copy(update=changes)) == []


def test_models_come_back_as_they_were(root: Path, tmp_path: Path) -> None:
    archive = exported(root)
    first = {path.name: path.read_bytes() for path in archive.iterdir()}
    assert {path.name: path.read_bytes() for path in exported(root).iterdir()} == first
    assert verify_archive(archive).licences.keys() == set(NAMES)
    suffixes = {Path(name).suffix for name in read_archive(archive).files}
    assert suffixes == {".safetensors", ".json", ""}  # and the list of checksums
    import_archive(archive, tmp_path / "store")
    assert not check_store(tmp_path / "store").to_delete
    for name in NAMES:
        facts, back = checkpoint_facts(read_experiment(root), name, 1), tmp_path / "back" / name
        assert Kept(tmp_path / "store", offline=True).restore(CHECKPOINTS, facts, back)
        for path in back.iterdir():
            assert path.read_bytes() == (root / "results/mini/models" / name / path.name).read_bytes()
        assert len(list(back.iterdir())) == 3


BASE = parse_config({})
CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "seed": ({"seed": 3}, set(NAMES)),
    "sampling": ({"sampling": {"temperature": 0.5}}, set(NAMES)),
    "mix": ({"training_mix": {"arith": 1.0}}, set(NAMES)),
    "the weak model": ({"pair": {"weak": {"training_steps": 7}}}, {"weak", "prm-verifier"}),
    "the PRM": ({"prms": {"verifier": {"tuning_steps": 7}}}, {"prm-verifier"}),
    "the longest episode": ({"max_steps": 7}, {"prm-verifier"}),
    "samples": ({"replicates": {"train": 7}}, {"prm-verifier"}),
    "dev problems": ({"datasets": {"arith": {"sizes": {"dev": 7}}}}, set(NAMES)),
    "test problems": ({"datasets": {"arith": {"sizes": {"test": 7}}}}, set()),
    "intervals": ({"bootstrap": {"resamples": 77}}, set()),
    "other samples": ({"replicates": {"test": 7}}, set()),
    "the name": ({"experiment": "another"}, set()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_settings_that_decide_a_model_tell_it_apart(what: str) -> None:
    from snakemake.utils import update_config

    change, changed = CHANGES[what]
    content = BASE.model_dump(mode="json")
    update_config(content, change)
    other = parse_config(content)
    assert {name for name in NAMES if checkpoint_facts(other, name, 1) != checkpoint_facts(BASE, name, 1)} == changed
    assert all(checkpoint_facts(BASE, name, 2) != checkpoint_facts(BASE, name, 1) for name in NAMES)


def forget(folder: Path) -> None:
    write_json({"traces": 1}, folder / "metrics.json")
    sum_folder(folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shutil.rmtree, r"models/weak: not there; run the experiment before its models are exported"),
        (forget, r"models/weak: does not say which settings decided it; remove it and run"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"x"),
            r"model\.safetensors: not what this",
        ),
        (lambda folder: (folder / "metrics.json").write_text("{}"), r"metrics\.json: not what this workflow wrote"),
    ],
)
def test_what_cannot_be_exported_is_named(root: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(root / "results/mini/models/weak")
    with pytest.raises(TrimError, match=said):
        exported(root)
    assert not (root / "archive").exists()


def test_models_of_another_config_are_refused_and_so_is_too_much(root: Path) -> None:
    (root / "more.yaml").write_text("seed: 3", encoding="utf-8")
    with pytest.raises(InputError, match="models/weak: was trained with other settings than those of the config"):
        export_checkpoints([Path("more.yaml")], root / "archive", 10_000_000, root)
    with pytest.raises(InputError, match=r"mini would take 0\.0 MB, more than 0\.001"):
        export_checkpoints([], root / "archive", 1000, root)


def test_damage_in_the_store_is_named_and_not_believed(root: Path) -> None:
    import_archive(exported(root), root / "step_store")
    facts = checkpoint_facts(read_experiment(root), "weak", 1)
    place = Kept(root / "step_store").place(CHECKPOINTS, facts)
    (place / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(DamagedFile, match="SHA256SUMS says another checksum"):
        Kept(root / "step_store").restore(CHECKPOINTS, facts, root / "back")
    assert len(check_store(root / "step_store").to_delete) == 1


def test_the_commands_export_and_import(root: Path) -> None:
    result = CliRunner().invoke(app, ["checkpoints", "export", "archive"])
    assert result.exit_code == 0 and "archive: weak, strong, prm-verifier; 0." in result.output
    result = CliRunner().invoke(app, ["checkpoints", "import", "archive", "--step-store", "elsewhere"])
    assert result.exit_code == 0 and "elsewhere: 15 of 15 files of mini are new" in result.output
    page = (root / "archive/README.md").read_text(encoding="utf-8")
    assert "trim checkpoints import archive" in page and "| prm-verifier | generated by this project |" in page
    shutil.rmtree(root / "results")
    result = CliRunner().invoke(app, ["checkpoints", "export", "archive"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
