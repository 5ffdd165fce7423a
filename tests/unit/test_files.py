"""What the workflow writes is whole, carries its checksum and is read by its layout; a disk's errors are sentences."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from trim.checksums import SUMS, check_folder, sum_folder
from trim.errors import DamagedFile, RunError, TrimError, about_disk
from trim.files import (
    read_csv,
    read_json,
    read_origin,
    read_parquet,
    write_csv,
    write_json,
    write_parquet,
    written_aside,
)
from trim.layouts import COUNT, SCORED_STEPS, TEXT, TRUTH, Column

LAYOUT = {"name": TEXT, "steps": COUNT, "score": Column("number", 0, 1, gaps=True), "right": TRUTH}
FRAME = pd.DataFrame(
    {"name": ["a", "b"], "steps": [3, 0], "score": [0.5, None], "right": [True, False], "more": [1, 2]}
)


# --- tables -----------------------------------------------------------------------------


def test_a_table_comes_back_with_its_origin_and_as_others_read_it(tmp_path: Path) -> None:
    write_parquet(FRAME, tmp_path / "t.parquet", {"seed": 3})
    assert read_parquet(tmp_path / "t.parquet", LAYOUT).equals(FRAME)
    assert read_parquet(tmp_path / "t.parquet", LAYOUT, ["more", "name"]).equals(FRAME[["more", "name"]])
    assert pd.read_parquet(tmp_path / "t.parquet").equals(FRAME)
    assert read_origin(tmp_path / "t.parquet") == {"seed": 3}
    first = (tmp_path / "t.parquet").read_bytes()
    write_parquet(FRAME, tmp_path / "t.parquet", {"seed": 3})
    assert (tmp_path / "t.parquet").read_bytes() == first


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"steps": [1.5, 2]}, "column 'steps' is of type double, expected whole"),
        ({"steps": ["1", "2"]}, "column 'steps' is of type .*string, expected whole"),
        ({"steps": [-1, 2]}, "column 'steps' holds -1 to 2, expected 0 to inf"),
        ({"score": [0.5, 7]}, "column 'score' holds 0.5 to 7.0, expected 0 to 1"),
        ({"score": [0.5, float("inf")]}, "column 'score' holds 0.5 to inf"),
        ({"name": ["a", None]}, "column 'name' has gaps"),
        ({"right": [1, 0]}, "column 'right' is of type int64, expected truth"),
    ],
)
def test_a_table_of_another_layout_is_refused(changes: dict[str, list[object]], why: str, tmp_path: Path) -> None:
    write_parquet(FRAME.assign(**changes), tmp_path / "t.parquet", {})
    with pytest.raises(DamagedFile, match=rf"t.parquet: not what this workflow wrote \({why}.*\); delete it and run"):
        read_parquet(tmp_path / "t.parquet", LAYOUT)


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    write_parquet(FRAME, tmp_path / "t.parquet", {})
    with pytest.raises(DamagedFile, match="it has no column 'dataset'"):
        read_parquet(tmp_path / "t.parquet", SCORED_STEPS)
    with pytest.raises(DamagedFile, match="it has no column 'trained_on'"):
        read_parquet(tmp_path / "t.parquet", LAYOUT, ["name", "trained_on"])


def test_a_table_that_somebody_else_wrote_is_refused(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DamagedFile, match="it has no checksum"):
        read_parquet(tmp_path / "t.parquet", LAYOUT)
    write_json({"a": 1}, tmp_path / "t.parquet")  # a whole file, but of another kind
    with pytest.raises(DamagedFile, match="t.parquet: not what this workflow wrote"):
        read_parquet(tmp_path / "t.parquet", LAYOUT)


def test_a_text_that_looks_like_a_checksum_is_a_text(tmp_path: Path) -> None:
    odd = "trim-sha256:" + "0" * 64
    write_json({"text": odd}, tmp_path / "a.json")
    assert read_json(tmp_path / "a.json") == {"text": odd}
    write_parquet(FRAME.assign(name=[odd, "b"]), tmp_path / "t.parquet", {"text": odd})
    assert read_parquet(tmp_path / "t.parquet", LAYOUT)["name"].tolist() == [odd, "b"]


def test_csv_keeps_its_bytes_and_has_its_checksum_beside_it_as_sha256sum_reads_it(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": [1.23456789, 2], "y": ["a", "ü"]})
    write_csv(table, tmp_path / "t.csv", exact=["x"])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "x,y\n1.23456789,a\n2.0,ü\n"
    assert read_csv(tmp_path / "t.csv").equals(table)
    subprocess.run(["sha256sum", "--check", "--quiet", ".t.csv.sha256"], cwd=tmp_path, check=True)
    (tmp_path / "t.csv").write_text("x,y\n1,a\n", encoding="utf-8")
    with pytest.raises(DamagedFile, match=r"t.csv: .*\.t\.csv\.sha256 says another checksum"):
        read_csv(tmp_path / "t.csv")
    (tmp_path / ".t.csv.sha256").unlink()
    assert len(read_csv(tmp_path / "t.csv")) == 1  # a table of one's own has no checksum


def test_a_folder_is_checked_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.json", "deep/b.bin"):
        (tmp_path / name).write_text(name)
    check_folder(tmp_path)  # somebody else's
    sum_folder(tmp_path)
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=tmp_path, check=True)
    (tmp_path / "later.json").touch()
    check_folder(tmp_path)
    (tmp_path / "deep/b.bin").write_text("other")
    with pytest.raises(DamagedFile, match=rf"deep/b.bin: .*delete {tmp_path} and run again"):
        check_folder(tmp_path)
    (tmp_path / "deep/b.bin").unlink()
    with pytest.raises(DamagedFile, match="deep/b.bin"):
        check_folder(tmp_path)


# --- the disk ---------------------------------------------------------------------------


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("before")
    with pytest.raises(RunError, match=r"t.csv: there is no room left on this disk \(\d+ MB free\); make room for it"):
        with written_aside(tmp_path / "t.csv") as aside:
            aside.write_text("half")
            with Path("/dev/full").open("w") as full:
                full.write("x")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "before"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_library_that_only_quotes_the_system_is_understood(number: int, tmp_path: Path) -> None:
    said = about_disk(RuntimeError(f"I/O error: {os.strerror(number)} (os error {number})"), tmp_path / "model")
    assert said is not None
    assert str(said).startswith(f"{tmp_path / 'model'}: there is no room left")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_closed_folder_is_named(number: int, tmp_path: Path) -> None:
    said = about_disk(OSError(number, os.strerror(number), str(tmp_path / "deep/er/t.csv")), Path("elsewhere"))
    assert str(said) == f"{tmp_path}: {os.strerror(number)}; get the right to read and write there, then start again"


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    assert about_disk(FileNotFoundError(errno.ENOENT, "no such file", "x"), tmp_path) is None
    with pytest.raises(ZeroDivisionError), written_aside(tmp_path / "t.csv"):
        1 / 0  # noqa: B018 - it raises


def test_an_error_is_one_line_whatever_it_cites() -> None:
    assert str(TrimError("a: 'b\nc\r\nd'; fix it")) == "a: 'b c d'; fix it"


def test_the_footer_is_no_place_to_hide(tmp_path: Path) -> None:
    """Without its checksum, a table whose footer was changed is believed: that is what it is for."""
    write_parquet(FRAME, tmp_path / "t.parquet", {})
    content = (tmp_path / "t.parquet").read_bytes()
    at = content.rfind(b"steps")
    (tmp_path / "t.parquet").write_bytes(content[:at] + b"stepz" + content[at + 5 :])
    assert pq.read_metadata(tmp_path / "t.parquet").num_rows == 2
    with pytest.raises(DamagedFile, match="its checksum is another one"):
        read_parquet(tmp_path / "t.parquet", LAYOUT)
