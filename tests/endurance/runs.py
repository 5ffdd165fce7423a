"""Runs of the smoke experiment as `make reproduce` starts them, and what belongs to them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from smoke import environment

LONGEST = 3600.0
"""Seconds that a run may take."""

whole = pytest.mark.skipif("TRIM_TEST_ENDURANCE" not in os.environ, reason="too long: make test-endurance")


def start(tree: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start a run as `make reproduce` does, in a process group of its own; targets stand behind "--"."""
    command = [sys.executable, "-m", "trim.reproduce", "--configfile", "config/smoke.yaml", "--cores", "2"]
    with (tree.parent / "said.txt").open("ab") as said:
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            cwd=tree,
            env=environment(tree),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def said(tree: Path) -> str:
    return (tree.parent / "said.txt").read_text(encoding="utf-8", errors="replace")


def processes(tree: Path, pattern: str) -> Iterator[tuple[psutil.Process, str]]:
    """Yield the processes that work in a checkout and whose command line fits, with what the pattern finds there."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(tree) and (found := re.search(pattern, " ".join(process.cmdline()))):
                yield process, found[1]


def jobs(tree: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Yield the jobs that are under way, with the names of their scripts."""
    yield from processes(tree, r"\.snakemake/scripts/\w+\.(\w+)\.py")


def finish(tree: Path, *arguments: str | Path) -> None:
    """Run to the end; nothing is left running."""
    assert start(tree, *arguments).wait(LONGEST) == 0, said(tree)[-6000:]
    assert not list(jobs(tree))
