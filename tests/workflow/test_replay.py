"""The same tables again: from the step store without a model, and from nothing after being killed in every stage."""

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
from smoke import RESULTS, checkout, environment, snakemake, tables

from trim.reproduce import MARK

MISSES = re.compile(r"step store: \{'hits': (\d+), 'misses': (\d+), 'conflicts': (\d+)\}")
PATIENCE = 600.0


def store_counts(tree: Path) -> list[tuple[int, ...]]:
    """(hits, misses, conflicts) of every partition that a job opened."""
    logs = (tree / RESULTS / "logs").rglob("*.log")
    return [tuple(map(int, found)) for log in logs for found in MISSES.findall(log.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_with_the_store_no_model_is_called_however_the_work_is_split(smoke_run: Path, smoke_copy: Path) -> None:
    for room in ("rollouts", "scores", "trees", "routers", "episodes", "tables", "logs"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    snakemake(smoke_copy, "--set-scatter", "shard=3", targets=("tables",), changes={"offline": True}, cores=1)
    assert tables(smoke_copy) == tables(smoke_run)
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
