"""Where the time of a run goes: by stage, longest first, from what was measured."""

import os
from pathlib import Path

import pytest

from trim.durations import Stage, clock, cores_of, forecast, stages, table

HEAD = "s\th:m:s\tmax_rss\tmean_load\tcpu_time\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    write("fit_router/a.tsv", f"{HEAD}100\t0:01:40\t1\t1\t90\n")
    write("fit_router/b.tsv", f"{HEAD}20.5\t0:00:20\t1\t1\t10\n")
    write("check_splits.tsv", f"{HEAD}0.4\t0:00:00\tNA\tNA\tNA\n")
    write("odd.tsv", "\0\tnothing\n\t\n")
    write("worse.tsv", f"{HEAD}nan\t\t\t\t-3\n-1\t\t\t\t1\nmany\n")
    os.utime(write("old/a.tsv", f"{HEAD}7000\t\t\t\t50\n"), (1000, 1000))
    return tmp_path


FIT, SPLITS, OLD = (
    Stage("fit_router", 2, 120.5, 100, 100),
    Stage("check_splits", 1, 0.4, 0, 0.4),
    Stage("old", 1, 7000, 50, 7000),
)


def test_stages_are_summed_up_and_the_longest_comes_first(folder: Path) -> None:
    assert stages(folder) == [OLD, FIT, SPLITS]
    assert stages(folder, since=2000) == [FIT, SPLITS]
    assert stages(folder / "none") == []


def test_the_table_can_be_read() -> None:
    assert table([OLD, FIT, SPLITS]).splitlines() == [
        "stage         jobs        time  share  CPU time seen",
        "old              1  1 h 57 min    98%         50.0 s",
        "fit_router       2       2 min     2%          2 min",
        "check_splits     1       0.4 s     0%          0.0 s",
    ]


def test_a_run_takes_no_less_than_its_longest_job() -> None:
    assert forecast([FIT, SPLITS], 1) == pytest.approx(120.9)
    assert forecast([FIT, SPLITS], 8) == 100


def test_cores_are_those_of_the_command_line() -> None:
    assert cores_of(["snakemake", "--cores", "3", "--config"]) == 3
    assert cores_of(["snakemake", "--cores", "all"]) == cores_of(["--cores", "0"]) == os.cpu_count()


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0.0 s"), (59.4, "59.4 s"), (59.6, "1 min"), (3599, "1 h 0 min"), (90_000, "25 h 0 min")]
)
def test_times_are_said_as_people_do(seconds: float, said: str) -> None:
    assert clock(seconds) == said
