"""A disk that is full or closed, and files that may not grow: one sentence, and nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import finish, said, start, whole
from smoke import RESULTS, checkout, contents, environment, tables

import trim

WRITERS = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from trim import files
from trim.errors import RunError
from trim.models.entries import STEPS
from trim.models.protocols import FinishReason, Step
from trim.models.store import Partition

folder, noise = Path(sys.argv[1]), np.random.default_rng(0).integers(0, 2**60, 200_000)

def put(path):
    partition = Partition(path, STEPS)
    for i in range(5000):
        ids = tuple((noise[32 * i : 32 * i + 32] % 2**31).tolist())
        partition.put(i.to_bytes(16, "big"), Step(f"{noise[i]}", ids, 3, FinishReason.LENGTH))
    partition.flush()

writers = {
    "a.json": lambda path: files.write_json({"x": noise.tolist()}, path),
    "a.parquet": lambda path: files.write_parquet(pd.DataFrame({"x": noise}), path, {}),
    "a.csv": lambda path: files.write_csv(pd.DataFrame({"x": noise}), path),
    "a.txt": lambda path: files.write_text(str(noise.tolist()), path),
    "a.safetensors": lambda path: files.write_tensors({"x": noise}, path),
    "a.npz": lambda path: files.write_arrays({"x": noise}, path),
    "store": put,
}
for name, write in writers.items():
    try:
        write(folder / name)
    except RunError as error:
        print(name, "|", error)
    else:
        print(name, "| written")
"""


def written(folder: Path, limit: int | None = None) -> dict[str, str]:
    """Write a file of each kind, each of them about a megabyte; return what is said of each."""
    done = subprocess.run(
        [sys.executable, "-c", WRITERS, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(trim.__file__).parents[1])},
        preexec_fn=lambda: limit and resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split(" | ", 1) for line in done.stdout.splitlines())


def mount(folder: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return os.geteuid() == 0 and bool(shutil.which("mount")) and not subprocess.run(command, check=False).returncode


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount(folder, "size=512k"):
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_files_that_may_not_grow_are_one_sentence(tmp_path: Path) -> None:
    told = written(tmp_path / "room", limit=100_000)
    assert len(told) == 7
    for name, sentence in told.items():
        assert str(tmp_path / "room" / name) in sentence, sentence
        assert "larger than a file may be here" in sentence
    assert not [path for path in (tmp_path / "room").rglob("*") if path.is_file()]


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(disk: Path) -> None:
    told = written(disk)
    assert len(told) == 7
    for sentence in told.values():
        assert "there is no room left on this disk" in sentence
    assert not [path for path in disk.rglob("*") if path.is_file()]


def test_a_disk_that_is_closed_is_one_sentence_and_its_store_is_read(disk: Path) -> None:
    assert mount(disk, "remount,size=32m")
    assert set(written(disk).values()) == {"written"}
    before = contents(disk)
    assert mount(disk, "remount,ro")
    told = written(disk)
    assert told.pop("store") == "written"  # all of it is there already
    for sentence in told.values():
        assert sentence.startswith(f"{disk}: Read-only file system; get the right")
    assert contents(disk) == before


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@whole
def test_a_run_on_a_disk_that_fills_up_goes_on_when_there_is_room(smoke_run: Path, disk: Path) -> None:
    assert mount(disk, "remount,size=4g")
    tree = checkout(disk / "checkout")
    used, needed = size_of(disk), size_of(smoke_run) - size_of(tree)
    for share in (0.2, 0.4, 0.6, 0.8):
        assert mount(disk, f"remount,size={(used + int(share * needed)) // 1024}k")
        assert start(tree).wait(3600) != 0
        assert "no room left" in said(tree) or "is full" in said(tree)
    assert mount(disk, "remount,size=4g")
    finish(tree)
    assert tables(tree) == tables(smoke_run)


@whole
def test_a_run_where_results_are_closed_is_one_sentence(smoke_copy: Path, tmp_path: Path) -> None:
    if not mount(tmp_path, "size=1"):
        pytest.skip("only root can close a folder for everybody")
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
    results = smoke_copy / "results"
    subprocess.run(["mount", "--bind", str(results), str(results)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(results)], check=True)
        done = subprocess.run(
            [sys.executable, "-m", "trim.reproduce", "--configfile", "config/smoke.yaml"],
            cwd=smoke_copy,
            env=environment(smoke_copy),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert f"{results}" in done.stderr and "Read-only file system" in done.stderr
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=True)
    assert (smoke_copy / RESULTS).is_dir()
