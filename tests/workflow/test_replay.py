"""The same tables again: from an archive without a model, and from nothing after being killed in every stage."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from smoke import RESULTS, checkout, contents, environment, snakemake, tables

from trim.archive.export import export_store, verify_archive
from trim.archive.parts import import_archive
from trim.files import read_json
from trim.reproduce import MARK

MISSES = re.compile(r"step store: \{'hits': (\d+), 'misses': (\d+), 'conflicts': (\d+)\}")
PATIENCE = 600.0


def store_counts(tree: Path) -> list[tuple[int, ...]]:
    """(hits, misses, conflicts) of every partition that a job opened."""
    logs = (tree / RESULTS / "logs").rglob("*.log")
    return [tuple(map(int, found)) for log in logs for found in MISSES.findall(log.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_from_an_archive_no_model_is_called_and_no_file_read_however_the_work_is_split(
    smoke_run: Path, smoke_copy: Path
) -> None:
    source, manifest = smoke_copy / "riddles.jsonl", RESULTS / "problems/riddles/manifest.json"
    source.write_text('{"problem": "What has 3 legs and one?", "answer": "4"}\n', encoding="utf-8")
    riddles = {"source": "jsonl", "layout": "math", "path": source.name, "licence": "our own"}
    changes: dict[str, object] = {"datasets": {"riddles": riddles}}
    snakemake(smoke_copy, targets=(manifest,), changes=changes)
    prepared = read_json(smoke_copy / manifest)
    overlays = [Path("config/smoke.yaml"), smoke_copy.with_name(f"{smoke_copy.name} changed.yaml")]
    archive = smoke_copy / "archive"
    export_store([smoke_copy / overlay for overlay in overlays], archive, {}, 10_000_000, smoke_copy)
    assert verify_archive(archive).experiment == "smoke"

    source.unlink()
    shutil.rmtree(smoke_copy / "step_store")
    shutil.rmtree(smoke_copy / manifest.parent)
    for room in ("rollouts", "scores", "trees", "routers", "episodes", "tables", "logs"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    import_archive(archive, smoke_copy / "elsewhere")
    before = contents(smoke_copy / "elsewhere")
    changes |= {"offline": True, "step_store": "elsewhere"}
    snakemake(smoke_copy, "--set-scatter", "shard=3", targets=("tables", manifest), changes=changes, cores=1)
    assert tables(smoke_copy) == tables(smoke_run)
    assert read_json(smoke_copy / manifest) == prepared | {"provenance": read_json(smoke_copy / manifest)["provenance"]}
    assert contents(smoke_copy / "elsewhere") == before
    counts = store_counts(smoke_copy)
    assert sum(hits for hits, _, _ in counts) > 1000
    assert {(misses, conflicts) for _, misses, conflicts in counts} == {(0, 0)}


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start the launcher in a fresh checkout; whatever it started is gone when the test ends."""
    tree = checkout(tmp_path / "checkout")
    command = [sys.executable, "-m", "trim.reproduce", "--configfile", "config/smoke.yaml", "--cores", "2"]

    def start() -> subprocess.Popen[str]:
        with (tmp_path / "output.txt").open("a") as output:
            return subprocess.Popen(
                command,
                cwd=tree,
                env=environment(tree),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    yield start
    for process in marked(tree):
        process.kill()


def marked(tree: Path) -> list[psutil.Process]:
    """Live processes that runs of a checkout started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(tree.resolve()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_for(condition: Callable[[], bool], run: subprocess.Popen[str], output: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert run.poll() is None, output.read_text()[-6000:]
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_run_killed_in_every_stage_ends_in_the_same_tables(
    smoke_run: Path, launch: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    tree, output = tmp_path / "checkout", tmp_path / "output.txt"
    for stage, logs, group in [
        ("train_language_model", 2, True),
        ("collect_rollouts", 1, False),
        ("score_rollouts", 1, True),
        ("fit_router", 3, True),
        ("evaluate_routers", 1, False),
    ]:
        folder = tree / RESULTS / "logs" / stage

        def reached(folder: Path = folder, logs: int = logs) -> bool:
            return len(list(folder.rglob("*.log"))) >= logs

        run = launch()
        wait_for(reached, run, output)
        if group:
            os.killpg(run.pid, signal.SIGKILL)
        else:
            run.kill()
        assert run.wait() == -signal.SIGKILL
    run = launch()
    assert run.wait(timeout=PATIENCE) == 0, output.read_text()[-6000:]
    said = output.read_text()
    assert "that a killed run had left behind" in said
    assert "Traceback" not in said
    assert tables(tree) == tables(smoke_run)
    assert (tree / RESULTS / "report.html").is_file()
    assert not marked(tree)

    run = launch()
    assert run.wait(timeout=PATIENCE) == 0
    assert "Nothing to be done" in output.read_text()[len(said) :]
