"""Where the time of a run goes: what Snakemake measured of every job, told before a run and after it."""

from __future__ import annotations

import csv
import math
import os
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stage:
    """What the jobs of one rule took.

    Attributes
    ----------
    jobs
        How many there are.
    wall, cpu
        Seconds of all of them together.
    longest
        Seconds of wall time of the longest one.
    """

    name: str
    jobs: int
    wall: float
    cpu: float
    longest: float


def stages(benchmarks: Path, since: float = -math.inf) -> list[Stage]:
    """Return what every rule took, the longest first; a file that cannot be read counts for nothing.

    Parameters
    ----------
    benchmarks
        Folder with a file a job, `{rule}.tsv` or `{rule}/{wildcards}.tsv`.
    since
        Files that are older are left out.
    """
    measured: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        if path.stat().st_mtime >= since:
            rule = path.relative_to(benchmarks).parts[0].removesuffix(".tsv")
            measured.setdefault(rule, []).extend(_read(path))
    found = [
        Stage(
            rule, len(jobs), sum(wall for wall, _ in jobs), sum(cpu for _, cpu in jobs), max(wall for wall, _ in jobs)
        )
        for rule, jobs in measured.items()
        if jobs
    ]
    return sorted(found, key=lambda stage: (-stage.wall, stage.name))


def _read(path: Path) -> Iterator[tuple[float, float]]:
    """Yield wall and CPU seconds; of jobs too short to be looked at, the latter are not known."""
    for row in csv.DictReader(path.read_text(encoding="utf-8", errors="replace").splitlines(), delimiter="\t"):
        wall, cpu = _number(row.get("s")), _number(row.get("cpu_time"))
        if wall is not None:
            yield wall, cpu or 0.0


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def table(measured: Sequence[Stage]) -> str:
    """Return a row a stage.

    Snakemake looks at a job every half minute: what it computes after the last look is not in its CPU time.
    """
    whole = sum(stage.wall for stage in measured)
    rows = [("stage", "jobs", "time", "share", "CPU time seen")]
    for stage in measured:
        share = f"{stage.wall / whole:.0%}" if whole else ""
        rows.append((stage.name, str(stage.jobs), clock(stage.wall), share, clock(stage.cpu)))
    first, *others = [len(max(column, key=len)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers in rows:
        right = (text.rjust(width) for text, width in zip(numbers, others, strict=True))
        lines.append("  ".join([name.ljust(first), *right]))
    return "\n".join(lines)


def forecast(measured: Sequence[Stage], cores: int) -> float:
    """Return about how many seconds a run from nothing takes: its jobs side by side, or its longest one."""
    whole = sum(stage.wall for stage in measured)
    return max([whole / cores, *(stage.longest for stage in measured)])


def cores_of(command: Sequence[str]) -> int:
    """Return how many cores a command line gives to Snakemake."""
    said = command[command.index("--cores") + 1]
    return int(said) if said.isdecimal() and int(said) else os.cpu_count() or 1


def children_cpu() -> float:
    """Return the CPU seconds of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def clock(seconds: float) -> str:
    """Write a time as people say it."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
