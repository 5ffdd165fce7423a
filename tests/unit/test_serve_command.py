"""`trim serve` as a process: it starts from a folder, answers, and ends with its requests done."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from deployed import manifest, on_endpoints
from fake_server import Script, fake_vllm
from typer.testing import CliRunner

from trim.cli import app
from trim.config.models import PretrainedModel
from trim.deploy.manifest import Deployed, Point, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A deployed router whose models are never loaded."""
    for name in ("weak", "strong"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    models = {name: PretrainedModel(name=f"./{name}") for name in ("weak", "strong")}
    points = {"cheap": Point(router="weak-only", setting=0.0)}
    write_manifest(Deployed(manifest(**models, prm=None, points=points), tmp_path))
    return tmp_path


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@contextmanager
def serving(folder: Path, port: int, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server as a process, and wait until it answers."""
    command = [sys.executable, "-m", "trim.cli", "serve", "--deployed", str(folder), "--port", str(port), *more]
    environment = {**os.environ, "TRIM_KEY": "k"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}/health"))
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_point_that_cannot_decide_is_one_sentence_at_the_start(folder: Path) -> None:
    models = {name: PretrainedModel(name=f"./{name}") for name in ("weak", "strong")}
    write_manifest(Deployed(manifest(**models, prm=None), folder))
    said = CliRunner().invoke(app, ["serve", "--deployed", str(folder), "--port", "0"])
    assert said.exit_code == 1 and "points.trim-thr-0.5: trim-thr reads the scores of a PRM" in said.output


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=30).json()["status"] == "ok"
    return False


def until(happens: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 300
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_answers_and_ends(folder: Path, port: int, ending: signal.Signals) -> None:
    with serving(folder, port, "--key-env", "TRIM_KEY") as process:
        assert httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=30).status_code == 401
        process.send_signal(ending)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert b"nobody has reviewed this router" in output and b"Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize("grace", ["200", "0"])
def test_requests_under_way_have_time_to_end(
    model_folders: dict[str, Path], tokenizer: Any, tmp_path: Path, port: int, grace: str
) -> None:
    with ExitStack() as stack:
        scripts = {role: Script(str(path), tokenizer) for role, path in model_folders.items()}
        fakes = {role: stack.enter_context(fake_vllm(script)) for role, script in scripts.items()}
        fakes["strong"].seconds = 2.0
        write_manifest(on_endpoints({role: fake.url for role, fake in fakes.items()}, model_folders, tmp_path))
        process = stack.enter_context(serving(tmp_path, port, "--grace", grace))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        body = {"model": "strong-only", "messages": [{"role": "user", "content": "7 i+5?"}]}
        asked = pool.submit(httpx.post, f"http://127.0.0.1:{port}/v1/chat/completions", json=body, timeout=300)
        until(lambda: bool(fakes["strong"].requests))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        if grace == "200":
            assert asked.result().status_code == 200
        else:
            assert asked.exception() or asked.result().status_code == 500


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--deployed", "nowhere"], "no deployed router here"),
        (["--deployed", ".", "--key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY"),
        (["--deployed", ".", "--key-env", "ODD_KEY"], "ODD_KEY, which holds signs that no HTTP header takes"),
        ([], "no config.yaml here"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    monkeypatch.setenv("ODD_KEY", "schlüssel")
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exit_code == 1 and sentence in done.output and "Traceback" not in done.output
