"""`trim serve` as a process: it starts from a folder, answers, and ends with its requests done."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from deployed import manifest
from typer.testing import CliRunner

from trim.cli import app
from trim.config.models import PretrainedModel
from trim.deploy.manifest import Deployed, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A deployed router whose models are never loaded."""
    for name in ("weak", "strong"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    models = {name: PretrainedModel(name=f"./{name}") for name in ("weak", "strong")}
    write_manifest(Deployed(manifest(**models, prm=None), tmp_path))
    return tmp_path


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def process(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "trim.cli", "serve", "--deployed", str(folder), "--port", str(port)]
    found = subprocess.Popen(
        [*command, "--key-env", "TRIM_KEY"],
        cwd=folder,
        env={**os.environ, "TRIM_KEY": "k"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    yield found
    found.kill()
    found.wait()


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_answers_and_ends(process: subprocess.Popen[bytes], port: int, ending: signal.Signals) -> None:
    give_up, url = time.monotonic() + 300, f"http://127.0.0.1:{port}"
    while True:
        assert process.poll() is None and time.monotonic() < give_up
        try:
            assert httpx.get(f"{url}/health", timeout=30).json() == {"status": "ok", "prm": "absent"}
            break
        except httpx.TransportError:
            time.sleep(0.1)
    assert httpx.get(f"{url}/v1/models", timeout=30).status_code == 401
    process.send_signal(ending)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert b"nobody has reviewed this router" in output and b"Traceback" not in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--deployed", "nowhere"], "no deployed router here"),
        (["--deployed", ".", "--key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY"),
        ([], "no config.yaml here"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exit_code == 1 and sentence in done.output and "Traceback" not in done.output
