"""One run at a time in a folder: a lock that the system frees when its holder dies, and what killed runs left."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

from trim.errors import RunError, about_disk
from trim.leftovers import clear_scripts, kill, refuse_other_snakemake, say, stop_leftovers


@contextmanager
def only_run(root: Path) -> Iterator[None]:
    """Be the only run of a checkout, and clear away what a killed one left behind.

    Raises
    ------
    RunError
        Another run, or a Snakemake that was started by hand, is at work here; or nothing can be written here.
    """
    with _open_lock(root / "results" / ".lock") as lock:
        if not _locked(lock):
            _take_over(root, lock)
        _write_record(lock)
        stop_leftovers(root)
        refuse_other_snakemake(root)
        clear_scripts(root)
        yield


def _open_lock(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(exist_ok=True)
        return path.open("a+", encoding="utf-8")
    except IsADirectoryError:
        raise RunError(f"{path} is a folder, but must be a file; remove it, then start again") from None
    except OSError as error:
        raise about_disk(error, path) or error from None


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take_over(root: Path, lock: IO[str]) -> None:
    """Get the lock of a run whose `make` was killed; refuse to touch any other."""
    record = _read_record(lock)
    if orphan := _orphan(record):
        kill([orphan])
        say("stopped a run whose `make` had been killed.")
        if _locked(lock):
            return
    pid, host = record.get("pid", "unknown"), record.get("host", "an unknown host")
    raise RunError(
        f"another run is at work in {root} (process {pid} on {host}); "
        f"wait until it has ended, or stop it with `kill {pid}`, then start again"
    )


def _write_record(lock: IO[str]) -> None:
    record = {
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "host": socket.gethostname(),
        "make_pid": _make_pid(),
    }
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps(record) + "\n")
    lock.flush()


def _read_record(lock: IO[str]) -> dict[str, Any]:
    lock.seek(0)
    with suppress(json.JSONDecodeError):
        record = json.loads(lock.read())
        if isinstance(record, dict):
            return record
    return {}


def _make_pid() -> int | None:
    """Process of the `make` that started this run, if one did."""
    if "MAKELEVEL" not in os.environ:
        return None
    return next((parent.pid for parent in psutil.Process().parents() if parent.name() in ("make", "gmake")), None)


def _orphan(record: dict[str, Any]) -> psutil.Process | None:
    """Return the recorded run if it was started by a `make` that is not above it any more."""
    if record.get("make_pid") is None or record.get("host") != socket.gethostname():
        return None
    with suppress(psutil.Error):
        run = psutil.Process(record["pid"])
        same = abs(run.create_time() - record["started"]) < 1
        if same and record["make_pid"] not in {parent.pid for parent in run.parents()}:
            return run
    return None
