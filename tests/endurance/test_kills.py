"""Killed at random moments of every stage, a run that is started again ends in the same tables.

`make test-endurance` kills the whole smoke run fifty times; otherwise a small part of it is killed twice.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from runs import LONGEST, finish, jobs, processes, said, start, whole
from smoke import RESULTS, checkout, tables

KILLS, OF_A_STAGE = 50, 2
VICTIMS = ("job", "run", "snakemake", "all")
PART = ["--", RESULTS / "episodes/trim-thr/arith/arith.parquet", RESULTS / "tables/main.csv"]


def kill_one(tree: Path, run: subprocess.Popen[bytes], victim: str, killed: Counter[str], rng: random.Random) -> bool:
    """Wait for a job of a stage that was not killed often enough, and kill; return False where the run ends before."""
    deadline = time.monotonic() + LONGEST
    while run.poll() is None and time.monotonic() < deadline:
        for job, stage in jobs(tree):
            if killed[stage] >= OF_A_STAGE:
                continue
            time.sleep(rng.uniform(0, 2))
            if run.poll() is not None:
                return False
            killed[stage] += 1
            with suppress(psutil.Error, ProcessLookupError, StopIteration):
                if victim == "all":
                    os.killpg(run.pid, signal.SIGKILL)
                elif victim == "run":
                    run.kill()
                elif victim == "snakemake":
                    next(processes(tree, r"-m (snakemake) "))[0].kill()
                else:
                    job.kill()
            run.wait(LONGEST)
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["all", "snakemake"])
def test_a_part_that_is_killed_ends_in_the_same_tables(smoke_run: Path, smoke_copy: Path, victim: str) -> None:
    before = tables(smoke_run)
    for target in PART[1:]:
        (smoke_copy / target).unlink()
    killed: Counter[str] = Counter()
    assert kill_one(smoke_copy, start(smoke_copy, *PART), victim, killed, random.Random(victim))
    assert killed.total() == 1
    finish(smoke_copy, *PART)
    assert tables(smoke_copy) == before
    assert (smoke_copy / PART[1]).read_bytes() == (smoke_run / PART[1]).read_bytes()


@whole
def test_the_whole_run_killed_in_every_stage_ends_in_the_same_tables(smoke_run: Path, tmp_path: Path) -> None:
    tree = checkout(tmp_path / "checkout")
    rng, killed = random.Random(7), Counter[str]()

    def kill(*arguments: str) -> bool:
        return kill_one(tree, start(tree, *arguments), VICTIMS[killed.total() % len(VICTIMS)], killed, rng)

    while kill():
        pass
    finish(tree)
    logs = {path.name.removesuffix(".log") for path in (smoke_run / RESULTS / "logs").iterdir()}
    stages = logs & {path.stem for path in (smoke_run / "workflow/scripts").glob("*.py")}
    for stage in sorted(stages):  # those that passed while another one was being killed
        while killed[stage] < OF_A_STAGE:
            before = killed.total()
            kill("--forcerun", stage)
            assert killed.total() > before, stage
    finish(tree)
    assert "that a killed run had left behind" in said(tree)
    assert (tree / RESULTS / "report.html").is_file()
    so_far = said(tree)
    finish(tree)
    assert "Nothing to be done" in said(tree)[len(so_far) :]
    print(f"killed: {dict(killed)}")
    assert killed.total() >= KILLS
    assert tables(tree) == tables(smoke_run)
    assert not [line for line in said(tree).splitlines() if "damaged" in line or "not what this workflow wrote" in line]


@whole
def test_of_two_runs_in_one_folder_the_second_is_refused(smoke_run: Path, smoke_copy: Path) -> None:
    for target in PART[1:]:
        (smoke_copy / target).unlink()
    first = start(smoke_copy, *PART)
    while not list(jobs(smoke_copy)):
        assert first.poll() is None, said(smoke_copy)[-6000:]
        time.sleep(0.02)
    assert start(smoke_copy, *PART).wait(LONGEST) == 2
    assert "another run is at work" in said(smoke_copy)
    assert first.wait(LONGEST) == 0
    assert tables(smoke_copy) == tables(smoke_run)
