"""How time, memory and disk grow: an evaluation with its bootstrap by problems, and a step store by its steps.

    python -m benchmarks.growth [--most_problems 100000] [--most_entries 10000000]

Steps are simulated and short. Problems are solved in blocks, a tree at a time as `RolloutTrees` holds them, at three
operating points; their episodes are studied together. Every size is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks import store as stores
from benchmarks.common import Options, Row, add_options, as_options, most_memory, print_rows
from benchmarks.pairs import no_judge, simulated_pair
from benchmarks.sweep import stored
from trim.config.experiment import Bootstrap
from trim.evaluation.study import studies
from trim.problems.problem import Problem
from trim.rollout.tables import OperatingPoint, roll_out_tables
from trim.rollout.trees import RolloutTrees
from trim.routers.controls import ALONE
from trim.routers.threshold import Threshold

BLOCK = 5000
TOKENS, STEPS, MAX_STEPS = (1, 4), (1, 3), 4
STEP_TOKENS = 6
LINEAR = 0.8
"""A size may take a quarter more for each problem than the smallest one; opening a store has a limit in seconds."""
GIGABYTES, SECONDS_TO_OPEN = 2.0, 10.0

ROOT = Path(__file__).parents[1]


def evaluate(count: int, folder: Path) -> None:
    """Solve problems block by block behind a step store, and study their episodes."""
    points = [*ALONE, OperatingPoint("trim-thr", "default", 0.5, Threshold(0.5))]
    pair, store = stored(simulated_pair(TOKENS, STEPS), folder)
    episodes = []
    for start in range(0, count, BLOCK):
        numbers = range(start, min(start + BLOCK, count))
        problems = [Problem(f"p{i}", "simulated", f"problem {i}", "1", f"{i:08x}") for i in numbers]
        trees = RolloutTrees(problems, 1, MAX_STEPS, no_judge, pair)
        episodes += roll_out_tables(points, trees)
    store.flush()
    table = pd.concat(episodes, ignore_index=True).assign(trained_on="simulated")
    del episodes, trees
    drawn = np.random.default_rng(0).random(len(table))
    table["correct"] = drawn < table["router"].map({"weak-only": 0.4, "trim-thr": 0.7, "strong-only": 0.9})
    study = studies(table, Bootstrap(), 0)["simulated"]
    assert study.problems == count and len(study.metrics) == 2


WORKS: dict[str, Callable[[int, Path], object]] = {
    "evaluate": evaluate,
    "write": lambda count, folder: stores.write(folder, count, STEP_TOKENS),
    "open": lambda count, folder: stores.open_store(folder),
}


def alone(work: str, count: int, folder: Path) -> dict[str, float]:
    """Do one thing in a process of its own, and return CPU seconds, GB of memory at most, and GB on disk."""
    command = [sys.executable, "-m", "benchmarks.growth", "--only", work, "--count", str(count), "--folder", folder]
    told = subprocess.run(list(map(str, command)), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    return {**json.loads(told.splitlines()[-1]), "disk": size}


def measure(options: Options) -> list[Row]:
    """Measure all sizes, each against the smallest in proportion."""
    problems = [n for n in (1000, 10_000, 100_000) if n <= options.most_problems]
    entries = [n for n in (100_000, 1_000_000, 10_000_000) if n <= options.most_entries]
    if options.quick:
        problems, entries = [50, 100], [20_000, 40_000]
    with TemporaryDirectory() as scratch:
        solved = {n: [alone("evaluate", n, _new(scratch)) for _ in range(options.repetitions)] for n in problems}
        opened = {}
        for count in entries:
            folder = _new(scratch)
            alone("write", count, folder)
            opened[count] = [alone("open", count, folder) for _ in range(options.repetitions)]
            for path in folder.iterdir():
                path.unlink()
    how = "simulated steps of 1 to 4 tokens, solutions of 1 to 3; straightforward: the smallest size in proportion"
    rows = _rows("problems evaluated at three points, with their bootstrap", solved, how)
    how = f"simulated steps of {STEP_TOKENS} tokens; straightforward: the smallest size in proportion"
    return rows + _rows("stored steps opened", opened, how, SECONDS_TO_OPEN)


def _new(scratch: str) -> Path:
    folder = Path(scratch) / str(time.monotonic_ns())
    folder.mkdir()
    return folder


def _rows(what: str, measured: dict[int, list[dict[str, float]]], how: str, seconds: float | None = None) -> list[Row]:
    """Lay sizes out: CPU time, memory and disk."""
    rows, smallest = [], min(measured, default=0)
    for count, found in measured.items():
        for name, unit, most in (
            ("cpu", "CPU s", seconds),
            ("memory", "GB of memory", GIGABYTES),
            ("disk", "GB", None),
        ):
            row = Row("growth", f"{count:,} {what}", unit, [one[name] for one in found], most=most, how=how)
            if name != "memory" and count > smallest:
                before = [one[name] * count / smallest for one in measured[smallest]]
                row = replace(row, straightforward=before, least=None if most else LINEAR)
            rows.append(row)
    return rows


def main() -> None:
    """Do one thing for `alone`, or print all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--only", choices=list(WORKS), help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.only:
        print_rows(measure(as_options(asked)))
        return
    started = time.process_time()
    WORKS[asked.only](asked.count, asked.folder)
    print(json.dumps({"cpu": time.process_time() - started, "memory": most_memory()}))


if __name__ == "__main__":
    main()
