"""One command for the whole experiment: `make reproduce`, or `python -m trim.reproduce`.

It runs Snakemake and then its report, and looks after what a plain call of Snakemake does not:

- only one run works in a checkout at a time (`results/.lock`, which the system frees when its holder dies);
- a run that was killed is simply started again: whatever it left running is stopped first, and
  Snakemake's own stale locks are removed. What a run starts carries `TRIM_RUN=<checkout>` in its
  environment, which outlives any parent and is how leftovers are known.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil
import yaml

from trim import __version__
from trim.errors import ConfigError, TrimError

MARK = "TRIM_RUN"
SNAKEMAKE = (sys.executable, "-m", "snakemake")
REFUSED = 2
PATIENCE = 10.0
"""Seconds that a killed process gets to disappear."""


class RunError(TrimError):
    """A run cannot start next to what is running already."""


def main(arguments: Sequence[str] | None = None, snakemake: Sequence[str] = SNAKEMAKE) -> int:
    """Run the experiment of the current directory; return the exit status.

    Parameters
    ----------
    arguments
        Command line, by default that of the process.
    snakemake
        Command that does the work.
    """
    options, extra = _parser().parse_known_args(arguments)
    root = Path.cwd().resolve()
    try:
        name = experiment_name(root, options.configfile, options.config)
        with only_run(root):
            return _reproduce(root, name, [*snakemake, *_settings(options)], extra)
    except TrimError as error:
        print(f"trim: {error}.", file=sys.stderr)
        return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trim.reproduce",
        description="Run the whole experiment, up to its report. Safe to start again at any time.",
        epilog="Any other option or target goes to snakemake as it is; the report is then left as it was.",
        allow_abbrev=False,
    )
    parser.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="laid over config.yaml, in order")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="laid over the config files")
    parser.add_argument("--cores", default="all", help="cores to use (default: all)")
    return parser


def _settings(options: argparse.Namespace) -> list[str]:
    settings = ["--cores", str(options.cores)]
    for option in ("configfile", "config"):
        if values := getattr(options, option):
            settings += [f"--{option}", *values]
    return settings


def _say(text: str) -> None:
    print(f"trim: {text}", flush=True)


# --- the experiment ---------------------------------------------------------------------


def experiment_name(root: Path, overlays: Sequence[str] = (), overrides: Sequence[str] = ()) -> str:
    """Name of the directory under results/, from config.yaml and what is laid over it.

    Raises
    ------
    ConfigError
        A config file is missing or is no YAML mapping, or the name is missing or no plain name.
    """
    merged: dict[str, Any] = {}
    for path in (root / "config.yaml", *(root / overlay for overlay in overlays)):
        merged |= _read_yaml(path)
    merged |= dict(pair.split("=", 1) for pair in overrides if "=" in pair)
    name = str(merged.get("experiment", ""))
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ConfigError(f"config.yaml: `experiment` must be letters, digits, - and _, but is {name!r}")
    return name


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; start from the root of the checkout") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold `key: value` lines")
    return content


def _reproduce(root: Path, name: str, snakemake: list[str], extra: list[str]) -> int:
    results = Path("results") / name
    started, wall, cpu = datetime.now(UTC), time.monotonic(), _children_cpu()
    status = _run(root, [*snakemake, *extra])
    if status == 0 and not extra:
        status = _make_report(root, results, snakemake)
    wall, cpu = time.monotonic() - wall, _children_cpu() - cpu
    _log_run(root / results, started=started.isoformat(), wall_seconds=wall, cpu_seconds=cpu, status=status)
    _say(f"{wall:.1f} s of wall time, {cpu:.1f} s of CPU time.")
    _say(_where_to_look(root, results) if status == 0 else _what_failed(root, results, status))
    return status


def _make_report(root: Path, results: Path, snakemake: list[str]) -> int:
    """Write report.html unless it is newer than every table and figure."""
    report = root / results / "report.html"
    shown = [path for room in ("tables", "figures") for path in (root / results / room).rglob("*") if path.is_file()]
    newest = max((path.stat().st_mtime for path in shown), default=0.0)
    if not shown or (report.exists() and report.stat().st_mtime >= newest):
        return 0
    unfinished = report.with_name(".unfinished-report.html")
    status = _run(root, [*snakemake, "--report", str(unfinished)])
    if status == 0:
        unfinished.replace(report)
    return status


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _log_run(results: Path, **facts: object) -> None:
    if not results.is_dir():
        return
    log = results / "logs" / "runs.jsonl"
    log.parent.mkdir(exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"version": __version__, **facts}) + "\n")


def _where_to_look(root: Path, results: Path) -> str:
    places = [results / place for place in ("tables/main.csv", "figures", "report.html")]
    return "done. Look at " + ", ".join(str(place) for place in places if (root / place).exists()) + "."


def _what_failed(root: Path, results: Path, status: int) -> str:
    logs = results / "logs" if (root / results / "logs").is_dir() else Path(".snakemake/log")
    return f"stopped with status {status}; logs are in {logs}. Start again at any time: what is finished stays."


# --- the child --------------------------------------------------------------------------


def _run(root: Path, command: Sequence[str]) -> int:
    """Run a command as part of this run and return its exit status, 128 + n after signal n."""
    with subprocess.Popen(command, cwd=root, env=_environment(root)) as child, _signals_passed_on(child):
        status = child.wait()
    if status != 0:
        stop_leftovers(root)
    return status if status >= 0 else 128 - status


def _environment(root: Path) -> dict[str, str]:
    """Environment of everything a run starts: its mark, and the tools of this interpreter first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PATH": path, MARK: str(root)}


@contextmanager
def _signals_passed_on(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let the child end in good order, while this process waits for it and keeps the lock."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM or not _in_foreground():
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether Ctrl-C reaches the whole process group by itself; a second one would confuse Snakemake."""
    try:
        with Path("/dev/tty").open() as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


# --- one run at a time ------------------------------------------------------------------


@contextmanager
def only_run(root: Path) -> Iterator[None]:
    """Be the only run of a checkout, and clear away what a killed one left behind.

    Raises
    ------
    RunError
        Another run, or a Snakemake that was started by hand, is at work here.
    """
    path = root / "results" / ".lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("a+", encoding="utf-8") as lock:
        if not _locked(lock):
            _take_over(root, lock)
        _write_record(lock)
        stop_leftovers(root)
        remove_stale_locks(root)
        yield


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
        _kill([orphan])
        _say("stopped a run whose `make` had been killed.")
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


# --- what a killed run left behind ------------------------------------------------------


def stop_leftovers(root: Path) -> None:
    """Kill every process that an earlier run of this checkout started, and say so."""
    stopped: set[int] = set()
    while leftovers := [process for process in _others() if _started_by_run(process, root)]:
        _kill(leftovers)
        stopped |= {process.pid for process in leftovers}
    if stopped:
        _say(f"stopped {len(stopped)} process(es) that a killed run had left behind.")


def remove_stale_locks(root: Path) -> None:
    """Remove Snakemake's locks on this directory, unless a Snakemake still works in it.

    Raises
    ------
    RunError
        A Snakemake that does not belong to a run of ours is at work here.
    """
    locks = list((root / ".snakemake" / "locks").glob("*.lock"))
    if locks and (owner := next((process for process in _others() if _is_snakemake(process, root)), None)):
        raise RunError(
            f"snakemake is already at work in {root} (process {owner.pid}); "
            f"wait until it has ended, or stop it with `kill {owner.pid}`, then start again"
        )
    for lock in locks:
        lock.unlink(missing_ok=True)


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


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + PATIENCE
    while alive := [process.pid for process in processes if _alive(process)]:
        if time.monotonic() > deadline:
            raise RunError(f"process {alive[0]} of a killed run does not end; stop it, then start again")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
