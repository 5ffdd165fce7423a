"""The comparisons with the straightforward way: each runs in its quick form, and what it says becomes a table."""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as performance  # noqa: E402
from benchmarks import stages  # noqa: E402
from benchmarks.common import COLUMNS, Options, Row, add_options, as_options  # noqa: E402


@pytest.mark.parametrize("name", performance.COMPARISONS)
def test_every_comparison_runs_without_a_finished_experiment(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--repetitions", "1", "--only", name]
    nothing = ["--results", str(tmp_path / "none"), "--out", str(tmp_path)]
    done = subprocess.run([*command, *nothing], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert bool(rows) == (name != "stages")  # which has nothing to read
    for row in rows:
        assert list(row) == COLUMNS
        assert row["benchmark"] == name
        assert float(row["ours"]) > 0


def test_durations_of_a_finished_run_are_those_of_its_jobs(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name, seconds in (("plot_figure", 2), ("train_prm", 6)):
        (folder / f"{name}.tsv").write_text(f"s\tcpu_time\n{seconds}\t{seconds}\n")
    (tmp_path / "logs").mkdir()
    runs = "".join(json.dumps({"wall_seconds": 7, "cpu_seconds": seconds}) + "\n" for seconds in (9.5, 0.5))
    (tmp_path / "logs/runs.jsonl").write_text(runs)
    rows = stages.measure(Options(quick=True, results=tmp_path))
    assert [(row.what, row.ours, row.ratios) for row in rows] == [
        ("a run from nothing, 2 jobs", [9.5], []),
        ("train_prm, jobs: 1", [6.0], []),
        ("figures alone, jobs: 1", [2.0], []),
    ]


def test_options_are_those_of_the_command_line() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert as_options(parser.parse_args([])) == Options()
    asked = as_options(parser.parse_args(["--share", "0.1"]))
    assert [asked.size(500, 40), asked.size(100, 40), Options(quick=True).size(500, 40)] == [50, 40, 40]


def test_an_aim_is_met_in_every_repetition_in_some_or_in_none() -> None:
    faster = Row("b", "time", "s", [1.0, 1.0], [9.0, 7.0], 8)
    assert faster.ratios == [9.0, 7.0]
    assert [faster.met, faster.cells()["ratio"]] == ["in part", "8"]
    assert Row("b", "rate", "tokens/s", [9.0], [10.0], 0.9, more=True).met == "yes"
    assert Row("b", "memory", "GB", [2.1], most=2.0).met == "no"
    assert Row("b", "time", "s", [1.0]).cells()["straightforward"] == ""


def test_the_page_holds_what_the_committed_table_says() -> None:
    with performance.TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    page = performance.PAGE.read_text(encoding="utf-8")
    assert "\n".join(performance.table(rows)) in page
    assert "\n".join(performance.block(rows)) in performance.README.read_text(encoding="utf-8")
    assert len(performance.block(rows)) <= 13
