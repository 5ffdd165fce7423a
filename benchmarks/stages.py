"""Where the time of a finished run went: all of it, its figures alone, and planning a run that finds nothing to do.

    python -m benchmarks.stages [--results results/embedded]

Nothing runs again. A run's seconds are those of all its processes; its jobs' are what Snakemake saw, which looks every
half minute and misses what a job computes after the last look. There is no other way to hold them against.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.common import Options, Row, run_alone
from trim.durations import children_cpu, stages

ROOT = Path(__file__).parents[1]
FIGURES = "plot_figure"


def measure(options: Options) -> list[Row]:
    """Read the durations of a results folder."""
    found = stages(options.results / "benchmarks")
    if not found:
        return []
    rows, jobs = [], sum(stage.jobs for stage in found)
    log = options.results / "logs" / "runs.jsonl"
    if log.is_file():
        whole = [json.loads(line)["cpu_seconds"] for line in log.read_text(encoding="utf-8").splitlines()]
        how = "all processes of the run that took longest of those in this folder"
        rows.append(Row("stages", f"a run from nothing, {jobs} jobs", "CPU s", [max(whole)], how=how))
    how = "as Snakemake saw the jobs of one run: less than they took"
    for stage in found:
        name = "figures alone" if stage.name == FIGURES else stage.name
        if stage.cpu:
            rows.append(Row("stages", f"{name}, jobs: {stage.jobs}", "CPU s", [stage.cpu], how=how))
    if not options.quick:
        planning = [planned() for _ in range(options.repetitions)]
        how = "planning, measured now: a run with nothing to do does no more"
        rows.append(Row("stages", "a dry run", "CPU s", planning, how=how))
    return rows


def planned() -> float:
    """Plan the default run, and return its CPU seconds."""
    before = children_cpu()
    subprocess.run([sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all"], cwd=ROOT, check=True)
    return children_cpu() - before


if __name__ == "__main__":
    run_alone(measure, __doc__)
