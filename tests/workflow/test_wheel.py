"""What `pip install` brings: the library with the workflow inside, which `trim run` runs in an empty folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from smoke import ROOT, contents, environment
from wheels import unpacked_wheel

FOLDERS = ("config", "data/published", "envs", "paper", "profiles", "workflow")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_wheel(tmp_path_factory.mktemp("wheel"))


def trim(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command `trim` of an unpacked wheel in a folder."""
    command = [sys.executable, "-m", "trim.cli", *arguments]
    environ = environment(ROOT) | {"PYTHONPATH": str(site)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=900)


def test_a_wheel_holds_the_workflow_as_it_is_here_and_nothing_else(site: Path) -> None:
    held = contents(site / "trim/_workflow")
    here = {f"{folder}/{name}": data for folder in FOLDERS for name, data in contents(ROOT / folder).items()}
    here = {name: data for name, data in here.items() if "__pycache__" not in name}
    for name in ("Snakefile", "config.yaml"):
        here[name] = (ROOT / name).read_bytes()
    assert held == here
    assert len(here) > 90
    assert {path.name for path in site.iterdir()} == {"trim", *(path.name for path in site.glob("trim-*.dist-info"))}


def test_the_smoke_experiment_is_planned_in_an_empty_folder(site: Path, tmp_path: Path) -> None:
    said = trim(site, tmp_path, "run", "--dry-run", "--configfile", "config/smoke.yaml", "--", "tables", "figures")
    assert said.returncode == 0, said.stdout + said.stderr
    output = said.stdout + said.stderr
    planned = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}
    assert planned["train_language_model"] == 2 and planned["check_claims"] == 1 and planned["plot_figure"] > 10
    assert f"Using workflow specific profile {site}/trim/_workflow/profiles/default" in output
    assert {path.name for path in tmp_path.iterdir()} == {".snakemake", "results"}


def test_what_a_user_has_wrong_is_one_sentence(site: Path, tmp_path: Path) -> None:
    said = trim(site, tmp_path, "run", "--configfile", "mine.yaml")
    assert said.returncode == 2 and "Traceback" not in said.stderr
    assert re.fullmatch(r"trim: \S*mine\.yaml: cannot be read .*check the path\.\n", said.stderr)
