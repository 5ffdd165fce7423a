"""`trim run`: all that stands behind it reaches the launcher as it is, and files that are not here are the wheel's."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from trim import __version__, jobs, reproduce, shipped
from trim.archive.parts import Manifest, write_archive
from trim.cli import app
from trim.config.reading import read_experiment
from trim.errors import ConfigError
from trim.reproduce import SNAKEMAKE, check_ground, experiment_name, main, overlays_of
from trim.shipped import found, workflow_root

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--configfile", "my.yaml", "--", "tables"),
        ("--", "figures"),
        ("--replay", "archive", "--help"),
        ("-n", "--forcerun", "plot_figure", "--config", "a=b", "--workflow-profile=slurm"),
    ],
)
def test_arguments_reach_the_launcher_as_they_are(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(reproduce, "main", lambda *given: calls.append(given) or 7)
    result = CliRunner().invoke(app, ["run", *arguments])
    assert result.exit_code == 7
    assert calls == [(list(arguments), [*SNAKEMAKE, "--snakefile", str(ROOT / "Snakefile")], "trim run")]


def test_help_is_that_of_the_launcher(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"], called="trim run")
    said = capsys.readouterr().out
    assert said.startswith("usage: trim run ") and "--replay FOLDER" in said


def test_the_workflow_is_that_of_the_checkout_or_else_of_the_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert workflow_root() == ROOT
    (folder / "trim/_workflow").mkdir(parents=True)
    monkeypatch.setattr(shipped, "PACKAGE", folder / "trim")
    assert workflow_root() == folder / "trim/_workflow"


def test_an_installed_package_tells_no_commit_of_the_repository_that_it_lies_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jobs._code_version().startswith(f"{__version__}+") == (ROOT / ".git").exists()
    monkeypatch.setattr(shipped, "PACKAGE", folder / "lib/site-packages/trim")
    (folder / ".git").mkdir()
    assert jobs._code_version() == __version__


def test_files_of_the_folder_come_first(folder: Path) -> None:
    name = Path("config/smoke.yaml")
    assert found(name, folder) == ROOT / name
    (folder / "config").mkdir()
    shutil.copy(ROOT / "config/full.yaml", folder / name)
    assert found(name, folder) == folder / name
    assert found(Path("nowhere.yaml"), folder) == folder / "nowhere.yaml"
    assert found(folder / "config", folder) == folder / "config"


def test_an_empty_folder_has_the_configs_of_the_workflow(folder: Path) -> None:
    assert read_experiment(folder).experiment == "embedded"
    assert read_experiment(folder, [Path("config/smoke.yaml")]).experiment == "smoke"
    assert experiment_name(folder) == "embedded"
    check_ground(folder, "embedded", folder / "step_store")
    (folder / "config.yaml").write_text("experiment: mine", encoding="utf-8")
    assert read_experiment(folder).experiment == experiment_name(folder) == "mine"
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        read_experiment(folder, [Path("nowhere.yaml")])
    result = CliRunner().invoke(app, ["run", "--configfile", "nowhere.yaml"])
    assert result.exit_code == reproduce.REFUSED


@pytest.mark.parametrize(("experiment", "overlays"), [("smoke", ["config/smoke.yaml"]), ("mine", [])])
def test_a_replay_takes_the_overlay_of_its_experiment(folder: Path, experiment: str, overlays: list[str]) -> None:
    provenance = {"config_hash": "0", "code": "0"}
    manifest = Manifest(experiment=experiment, made_by="me", provenance=provenance, config={}, licences={}, held=())
    write_archive(manifest, {}, "", folder / "archive")
    assert overlays_of(folder, "archive") == overlays
