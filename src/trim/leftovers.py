"""What a killed run left behind in a checkout: processes, Snakemake's locks, and the scripts of its jobs.

What a run starts carries `TRIM_RUN=<checkout>` in its environment, which outlives any parent and is how
leftovers are known.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from trim.errors import RunError

MARK = "TRIM_RUN"
PATIENCE = 10.0
"""Seconds that a killed process gets to disappear."""


def say(text: str) -> None:
    """Tell the user something."""
    print(f"trim: {text}", flush=True)


def stop_leftovers(root: Path) -> None:
    """Kill every process that an earlier run of this checkout started, and say so."""
    stopped: set[int] = set()
    while leftovers := [process for process in _others() if _started_by_run(process, root)]:
        kill(leftovers)
        stopped |= {process.pid for process in leftovers}
    if stopped:
        say(f"stopped {len(stopped)} process(es) that a killed run had left behind.")


def refuse_other_snakemake(root: Path) -> None:
    """Remove Snakemake's locks on this directory, unless a Snakemake works in it, be it only on its plan.

    Raises
    ------
    RunError
        A Snakemake that does not belong to a run of ours is at work here.
    """
    if owner := other_snakemake(root):
        raise RunError(
            f"snakemake is already at work in {root} (process {owner.pid}); "
            f"wait until it has ended, or stop it with `kill {owner.pid}`, then start again"
        )
    for lock in (root / ".snakemake" / "locks").glob("*.lock"):
        lock.unlink(missing_ok=True)


def clear_scripts(root: Path) -> None:
    """Remove the scripts of killed jobs, which hold what the config says; nobody may be at work here."""
    shutil.rmtree(root / ".snakemake" / "scripts", ignore_errors=True)


def other_snakemake(root: Path) -> psutil.Process | None:
    """Return a Snakemake that works in this directory and is not ours."""
    return next((process for process in _others() if _is_snakemake(process, root)), None)


def _others() -> Iterator[psutil.Process]:
    """Live processes of this user, without this one and those above it."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid not in own and process.uids().real == os.getuid() and _alive(process):
                yield process


def _started_by_run(process: psutil.Process, root: Path) -> bool:
    with suppress(psutil.Error, OSError):
        return bool(process.environ().get(MARK) == str(root))
    return False


def _is_snakemake(process: psutil.Process, root: Path) -> bool:
    with suppress(psutil.Error, OSError):
        return process.cwd() == str(root) and any(Path(word).name == "snakemake" for word in process.cmdline())
    return False


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes, and wait until they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + PATIENCE
    while alive := [process.pid for process in processes if _alive(process)]:
        if time.monotonic() > deadline:
            raise RunError(f"process {alive[0]} of a killed run does not end; stop it, then start again")
        time.sleep(0.02)
