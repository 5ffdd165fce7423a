"""One command for the whole experiment: `make reproduce` and `make replay`, `trim run`, or `python -m trim.reproduce`.

It runs Snakemake and then its report, and looks after what a plain call of Snakemake does not:

- only one run works in a checkout at a time (`results/.lock`, which the system frees when its holder dies);
- a run that was killed is simply started again: what it left running or lying about is cleared away
  first (`trim.leftovers`);
- what would end in a traceback later is said at the start: a full disk, a folder that is closed to us,
  files from the future.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import Any

from trim import __version__
from trim.config.reading import read_experiment, read_overlay
from trim.durations import children_cpu, clock, cores_of, forecast, stages, table
from trim.errors import ClosedFolder, ConfigError, RunError, TrimError, about_disk
from trim.leftovers import MARK, other_snakemake, say, stop_leftovers
from trim.one_run import only_run
from trim.shipped import found

SNAKEMAKE = (sys.executable, "-W", "ignore:coroutine:RuntimeWarning:snakemake.rules", "-m", "snakemake")
"""Its report forgets to wait for the sizes of inputs, and Python warns of each."""
REFUSED = 2
LEAST_ROOM = 4 << 20
"""Bytes that a run needs on the disk to begin at all."""

SKEW = 60.0
"""Seconds that clocks of several machines may be apart."""


def main(
    arguments: Sequence[str] | None = None,
    snakemake: Sequence[str] = SNAKEMAKE,
    called: str = "python -m trim.reproduce",
) -> int:
    """Run the experiment of the current directory; return the exit status.

    Parameters
    ----------
    arguments
        Command line, by default that of the process.
    snakemake
        Command that does the work.
    called
        Name of the command, for its help.
    """
    options, extra = _parser(called).parse_known_args(arguments)
    root = Path.cwd().resolve()
    try:
        if options.replay and not options.configfile:
            options.configfile = overlays_of(root, options.replay)
        options.configfile = [_as_given(path, root) for path in options.configfile]
        name = experiment_name(root, options.configfile, options.config)
        with only_run(root):
            check_ground(root, name, store_of(root, options.configfile, options.config))
            if options.replay:
                import_replay(root, options.replay, options.configfile, options.config)
                options.config.append("offline=true")
            return _reproduce(root, name, [*snakemake, *_settings(options)], extra)
    except TrimError as error:
        print(f"trim: {error}.", file=sys.stderr)
        return REFUSED


def _as_given(path: str, root: Path) -> str:
    """Return a config file as it was named, or the workflow's own of this name where there is none here."""
    return path if (root / path).exists() else str(found(Path(path), root))


def _parser(called: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=called,
        description="Run the whole experiment, up to its report. Safe to start again at any time.",
        epilog="Any other option or target goes to snakemake as it is; the report is then left as it was.",
        allow_abbrev=False,
    )
    parser.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="laid over config.yaml, in order")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="laid over the config files")
    parser.add_argument("--replay", metavar="FOLDER", help="import this archive first, and run without any model")
    parser.add_argument("--cores", default="all", help="cores to use (default: all)")
    return parser


def _settings(options: argparse.Namespace) -> list[str]:
    settings = ["--cores", str(options.cores)]
    for option in ("configfile", "config"):
        if values := getattr(options, option):
            settings += [f"--{option}", *values]
    return settings


# --- the experiment ---------------------------------------------------------------------


def experiment_name(root: Path, overlays: Sequence[str] = (), overrides: Sequence[str] = ()) -> str:
    """Name of the directory under results/, from config.yaml and what is laid over it.

    Raises
    ------
    ConfigError
        A config file is missing, no YAML mapping or holds code, or the name is missing or no plain name.
    """
    name = str(_merged(root, overlays, overrides).get("experiment", ""))
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ConfigError(f"config.yaml: `experiment` must be letters, digits, - and _, but is {name!r}")
    return name


def store_of(root: Path, overlays: Sequence[str], overrides: Sequence[str]) -> Path:
    """Return the folder of the step store, from the same."""
    return root / str(_merged(root, overlays, overrides).get("step_store", "step_store"))


def _merged(root: Path, overlays: Sequence[str], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the top of the config, unchecked: a run says what is wrong with the rest."""
    merged: dict[str, Any] = {}
    for path in (found(Path("config.yaml"), root), *(root / overlay for overlay in overlays)):
        if not (content := read_overlay(path)):
            raise ConfigError(f"{path} must hold `key: value` lines")
        merged |= content
    return merged | dict(pair.split("=", 1) for pair in overrides if "=" in pair)


def overlays_of(root: Path, folder: str) -> list[str]:
    """Return the overlay that is named like the experiment of an archive, if there is one."""
    from trim.archive.parts import read_manifest

    overlay = f"config/{read_manifest(Path(folder)).experiment}.yaml"
    return [overlay] if found(Path(overlay), root).is_file() else []


def import_replay(root: Path, folder: str, overlays: Sequence[str], overrides: Sequence[str] = ()) -> None:
    """Lay an archive into the step store of the experiment that it was made of.

    Raises
    ------
    InputError
        The archive is missing or damaged, or the store has something else in its place.
    RunError
        The archive is of another experiment.
    """
    from trim.archive.parts import import_archive, read_manifest

    experiment = read_experiment(root, [root / overlay for overlay in overlays], overrides)
    manifest = read_manifest(Path(folder))
    if manifest.experiment != experiment.experiment:
        raise RunError(
            f"{folder}: an archive of {manifest.experiment}, but the config is that of {experiment.experiment}; name "
            "its own with --configfile"
        )
    if manifest.config != experiment.decisive:
        say(f"the config is not the one that {folder} was made with: steps may be missing.")
    _, new = import_archive(Path(folder), root / experiment.step_store)
    say(f"{folder}: {new} of {len(manifest.files)} files were not in {experiment.step_store} yet.")


def _reproduce(root: Path, name: str, snakemake: list[str], extra: list[str]) -> int:
    results = Path("results") / name
    benchmarks, begun = root / results / "benchmarks", time.time()
    if before := stages(benchmarks):
        whole = clock(forecast(before, cores_of(snakemake)))
        say(f"from nothing, this took about {whole} here; what is finished stays.")
    started, wall, cpu = datetime.now(UTC), time.monotonic(), children_cpu()
    status = _run(root, [*snakemake, *extra])
    if status == 0 and not extra:
        status = _make_report(root, results, snakemake)
    wall, cpu = time.monotonic() - wall, children_cpu() - cpu
    _log_run(root / results, started=started.isoformat(), wall_seconds=wall, cpu_seconds=cpu, status=status)
    if measured := stages(benchmarks, begun):
        say(f"where the time of the jobs went:\n{table(measured)}")
    say(f"{wall:.1f} s of wall time, {cpu:.1f} s of CPU time.")
    say(_where_to_look(root, results) if status == 0 else _what_failed(root, results, status))
    if status != 0 and (reason := _outer_reason(root)):
        say(reason)
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


def _log_run(results: Path, **facts: object) -> None:
    if not results.is_dir():
        return
    log = results / "logs" / "runs.jsonl"
    log.parent.mkdir(exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"version": __version__, **facts}) + "\n")


def _where_to_look(root: Path, results: Path) -> str:
    places = [results / place for place in ("tables/main.csv", "figures", "report.html")]
    there = ", ".join(str(place) for place in places if (root / place).exists())
    return f"done. Look at {there}." if there else "done."


def _what_failed(root: Path, results: Path, status: int) -> str:
    logs = results / "logs" if (root / results / "logs").is_dir() else Path(".snakemake/log")
    return f"stopped with status {status}; logs are in {logs}. Start again at any time: what is finished stays."


# --- the ground that a run stands on ----------------------------------------------------


def check_ground(root: Path, name: str, store: Path) -> None:
    """Check that there is room, that we may write, and that no file of the experiment is dated after now.

    Parameters
    ----------
    store
        Folder of the step store.

    Raises
    ------
    RunError
        Says in one sentence what is wrong, and where.
    """
    for folder in (root / "results", root / "results" / name, root / ".snakemake"):
        if folder.is_dir():
            _check_writable(folder)
    if store.is_dir():
        try:
            _check_writable(store)
        except ClosedFolder:
            say(f"{store} may be read but not written: what it lacks is computed, and not kept.")
    late = time.time() + SKEW
    future = [path for path in _files_of(root, name) if path.lstat().st_mtime > late]
    if future:
        more = f" and {len(future) - 1} more files" if len(future) > 1 else ""
        raise RunError(
            f"{future[0]}{more}: dated after now ({datetime.now():%Y-%m-%d %H:%M}), so that snakemake takes what is "
            "made from it for older; set the clock right, or `touch` what is from the future, then start again"
        )


def _check_writable(folder: Path) -> None:
    try:
        with TemporaryFile(dir=folder) as trial:
            trial.write(bytes(LEAST_ROOM))
            trial.flush()
    except OSError as error:
        raise about_disk(error, folder) or error from None


def _files_of(root: Path, name: str) -> Iterator[Path]:
    yield from (path for path in (root / "config.yaml",) if path.exists())
    for folder, below, files in os.walk(root / "results" / name):
        below.sort()
        yield from (Path(folder) / file for file in sorted(files))


def _outer_reason(root: Path) -> str | None:
    """Say why a run failed, where that is not in its logs: a full disk, or another Snakemake that was faster."""
    if owner := other_snakemake(root):
        return f"snakemake is at work here too (process {owner.pid}) and holds the lock; wait until it has ended."
    free = shutil.disk_usage(root / "results").free
    if free < LEAST_ROOM:
        return f"the disk of {root / 'results'} is full ({free >> 20} MB free); make room, then start again."
    return None


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


if __name__ == "__main__":
    sys.exit(main())
