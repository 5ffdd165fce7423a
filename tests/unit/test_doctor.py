"""What `trim doctor` finds: faults name how to fix them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from deployed import manifest
from fake_server import FakeServer
from rich.console import Console
from typer.testing import CliRunner

from trim.cli import app
from trim.config.experiment import Experiment
from trim.config.models import ApiModel, ServedModel
from trim.config.serving import Endpoint, Serving
from trim.deploy.doctor import LEAST_FREE_GB, Finding, State, as_table, experiment, installation, machine, router
from trim.deploy.manifest import Deployed, Point, write_manifest


def found(deployed: Deployed) -> dict[str, tuple[State, str]]:
    return {finding.what: (finding.state, finding.said) for finding in router(deployed)}


def served(url: str, folder: Path, **changes: Any) -> Deployed:
    serving = Serving(endpoints={"weak": Endpoint(url=url, **changes)})
    models = {"weak": ServedModel(name="some/model"), "strong": ServedModel(name="other/model"), "prm": None}
    return Deployed(manifest(serving=serving, **models), folder)


def test_this_installation_has_its_packages() -> None:
    findings = {finding.what: finding for finding in installation()}
    assert findings["python"].state is State.OK
    assert findings["packages"].state is State.OK, findings["packages"].said
    assert {"extra serve", "extra slurm"} <= set(findings)


def test_a_full_disk_and_a_closed_folder_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {f.what: f.state for f in machine(tmp_path)}["folder"] is State.OK
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("trim.deploy.doctor.LEAST_FREE_GB", 1e9)
    disk = {finding.what: finding for finding in machine(tmp_path)}["disk"]
    assert disk.state is State.FAULT and "make room" in disk.said
    assert LEAST_FREE_GB < 1e9


def test_a_model_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    from trim.config.models import PretrainedModel

    state, said = found(Deployed(manifest(weak=PretrainedModel(name="./gone"), prm=None), tmp_path))["router"]
    assert state is State.FAULT and "weak" in said and "does not exist" in said


def test_an_endpoint_is_asked_what_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer("some/model", {}) as server:
        assert found(served(server.url, tmp_path))["weak endpoint"] == (State.OK, f"{server.url} serves some/model")
        server.models = {"data": [{"id": "another"}]}
        state, said = found(served(f"{server.url}/v1", tmp_path))["weak endpoint"]
        assert state is State.FAULT and "serves another, not some/model" in said
    state, said = found(served(server.url, tmp_path))["weak endpoint"]
    assert state is State.FAULT and "start the server" in said
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    state, said = found(served(server.url, tmp_path, key_env="NO_SUCH_KEY"))["weak endpoint"]
    assert state is State.FAULT and "NO_SUCH_KEY is not in the environment" in said


def test_a_server_that_nobody_can_start_is_a_fault(tmp_path: Path) -> None:
    deployed = served("http://127.0.0.1:9", tmp_path)
    serving = Serving(command=("no-such-program",))
    lonely = Deployed(deployed.manifest.model_copy(update={"serving": serving}), tmp_path)
    assert found(lonely)["strong endpoint"][0] is State.FAULT
    api = ApiModel(name="x", prefill="prefix")
    remote = Deployed(deployed.manifest.model_copy(update={"serving": serving, "strong": api}), tmp_path)
    assert "serving.endpoints.strong is missing" in found(remote)["strong endpoint"][1]


def test_findings_are_laid_out_a_row_each(tmp_path: Path) -> None:
    findings = list(machine(tmp_path))
    assert as_table(findings).row_count == len(findings)


def test_brackets_are_shown_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kept" / "[/old]"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    findings = [*machine(folder), Finding("extra serve", State.MISSING, "pip install '.[serve]'")]
    console = Console(width=400)
    with console.capture() as captured:
        console.print(as_table(findings))
    assert "'.[serve]'" in captured.get() and f"{folder} can be written" in captured.get()
    said = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "400"})
    assert f"{folder} can be written" in said.output, said.output


def test_other_commands_show_brackets_too(tmp_path: Path) -> None:
    write_manifest(Deployed(manifest(points={"[/a]": Point(router="trim-thr", setting=0.5)}), tmp_path))
    said = CliRunner().invoke(app, ["inspect", str(tmp_path)], env={"COLUMNS": "400"})
    assert said.exit_code == 0 and "[/a]" in said.output


# --- an experiment that has not run ------------------------------------------------------

SHA = "0" * 64
PRICE = {"input_per_million": 1, "output_per_million": 1, "max_cost": 1, "max_tokens": 1}
UNRUN: dict[str, Any] = {
    "pair": {
        "weak": {"kind": "gguf", "file": "weak.gguf", "sha256": SHA, "dtype": "float32"},
        "strong": {"kind": "api", "name": "large", "prefill": "prefix"},
        "prm": "mine",
    },
    "prms": {"mine": {"kind": "value", "backbone": "weak"}},
    "reported_prms": [],
    "serving": {"endpoints": {"strong": {"url": "http://127.0.0.1:9", "key_env": "NO_SUCH_KEY", "price": PRICE}}},
}


def test_before_any_run_the_models_of_the_config_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(UNRUN), encoding="utf-8")
    done = CliRunner().invoke(app, ["doctor", "--configfile", "mine.yaml"], env={"COLUMNS": "400"})
    assert done.exit_code == 1
    assert "weak.gguf does not exist" in done.output and "NO_SUCH_KEY is not in the environment" in done.output
    assert "not trained yet" in done.output and "run the experiment first" not in done.output


def test_what_is_trained_later_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = {finding.what: finding.state for finding in experiment(Experiment(), tmp_path)}
    assert found == {"files": State.OK} | dict.fromkeys(("weak model", "strong model", "prm model"), State.MISSING)
    (tmp_path / "results/embedded/models/weak").mkdir(parents=True)
    assert {finding.what: finding.state for finding in experiment(Experiment(), tmp_path)}["weak model"] is State.OK
