"""Another folder, locale, time zone, hash seed, number of threads and cores: the same tables, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import whole
from smoke import RESULTS, checkout, contents, copy_of, snakemake, tables

ELSEWHERE = {
    "LC_ALL": "C",
    "LANG": "tr_TR.UTF-8",
    "TZ": "Pacific/Kiritimati",
    "PYTHONHASHSEED": "4711",
    "OMP_NUM_THREADS": "3",
    "MKL_NUM_THREADS": "3",
    "COLUMNS": "40",
}
FOLDER = "ein anderer Ort für alles"
PART = [
    RESULTS / "episodes/trim-thr/arith/arith.parquet",
    RESULTS / "tables/curves.csv",
    RESULTS / "tables/main.csv",
    RESULTS / "tables/bands.csv",
]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_a_part_made_again_elsewhere_is_the_same(smoke_run: Path, tmp_path: Path) -> None:
    tree = copy_of(smoke_run, tmp_path / FOLDER)
    for target in PART:
        (tree / target).unlink()
    snakemake(tree, targets=tuple(PART), cores=3)
    assert tables(tree) == tables(smoke_run)
    for target in PART:
        assert (tree / target).read_bytes() == (smoke_run / target).read_bytes(), target


@whole
@pytest.mark.usefixtures("elsewhere")
def test_the_whole_run_elsewhere_gives_the_same(smoke_run: Path, tmp_path: Path) -> None:
    tree = checkout(tmp_path / FOLDER)
    snakemake(tree, cores=1)
    assert tables(tree) == tables(smoke_run)
    for room in ("episodes", "rollouts", "scores", "trees", "problems"):
        assert contents(tree / RESULTS / room) == contents(smoke_run / RESULTS / room), room
