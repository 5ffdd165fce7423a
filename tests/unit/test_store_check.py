"""`trim store check`: every file is read, what is damaged is set aside, and only what it held is made again."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import key, segments
from typer.testing import CliRunner

from trim.cli import app
from trim.models import store as store_module
from trim.models.checking import ASIDE, check_store
from trim.models.entries import SCORES, STEPS
from trim.models.kept import PRMS, Kept
from trim.models.protocols import FinishReason, Score, Step
from trim.models.store import StepStore

MODELS = {"weak": STEPS, "prm": SCORES}


def entry(name: str, i: int) -> Step | Score:
    return Score(i / 10, i) if name == "prm" else Step(f"{i}\n\n", (i,), i, FinishReason.SEPARATOR)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of two models, whose entries lie in segments of two."""
    monkeypatch.setattr(store_module, "FLUSH_ENTRIES", 2)
    store = StepStore(tmp_path / "store", "part")
    for name, codec in MODELS.items():
        for i in range(6):
            store.partition(name, codec).put(key(i), entry(name, i))
    return store.root


def check(root: Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["store", "check", "--step-store", str(root)])
    return done.exit_code, done.stdout, done.stderr


def test_a_sound_store_is_said_to_be_sound_and_left_alone(root: Path) -> None:
    before = sorted(root.rglob("*"))
    assert check(root) == (0, f"{root}: 12 entries in 6 segments are sound\n", "")
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("how", ["cut", "flip", "swap", "other columns", "impossible"])
def test_a_damaged_segment_is_set_aside_and_what_it_held_is_missing(root: Path, how: str) -> None:
    folder = StepStore(root, "part").folder("prm") / "part"
    path = segments(folder)[1]
    whole = path.read_bytes()
    match how:
        case "cut":
            path.write_bytes(whole[:-9])
        case "flip":
            path.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
        case "swap":
            path.write_bytes(segments(StepStore(root, "part").folder("weak"))[1].read_bytes())
        case "other columns":
            pq.write_table(pa.table({"key": pa.array([key(9)], pa.binary(16)), "other": [1]}), path)
        case _:
            table = pa.table({"key": [key(9)], "value": [7.0], "prompt_tokens": [1]}, schema=SCORES.schema)
            pq.write_table(table, path)
    status, said, wrong = check(root)
    assert (status, said) == (1, f"{root}: 10 entries in 5 segments are sound\n")
    assert wrong.startswith(f"{path}: damaged (")
    assert wrong.endswith(f"{path}{ASIDE}: set aside; what it held is made again by the next run\n")
    assert "Traceback" not in wrong
    scores = StepStore(root, "part").partition("prm", SCORES)
    assert [scores.get(key(i)) for i in range(6)] == [entry("prm", i) if i not in (2, 3) else None for i in range(6)]
    for i in (2, 3):
        scores.put(key(i), entry("prm", i))
    scores.flush()
    assert check(root)[0] == 0
    assert len(StepStore(root, "part", offline=True).partition("prm", SCORES)) == 6


def test_a_description_of_something_else_is_set_aside_and_written_again(root: Path) -> None:
    described = StepStore(root, "part").folder("prm") / "identity.json"
    whole = described.read_bytes()
    for content in (b'{"identity": "weak"}', b"\xff", b"[1]", b""):
        described.write_bytes(content)
        assert check(root)[0] == 1
        assert not described.exists()
        StepStore(root, "part").partition("prm", SCORES)
        assert described.read_bytes() == whole
        described.with_name(described.name + ASIDE).unlink()


def test_a_kept_folder_that_is_damaged_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "prm").mkdir()
    (tmp_path / "prm/head.safetensors").write_bytes(b"weights")
    kept = Kept(root)
    for seed in (1, 2):
        kept.keep(PRMS, {"seed": seed}, tmp_path / "prm")
    assert check(root)[0] == 0
    (kept.place(PRMS, {"seed": 1}) / "head.safetensors").write_bytes(b"wrong")
    kept.place(PRMS, {"seed": 2}).rename(root / PRMS / ("0" * 16))
    status, _, wrong = check(root)
    assert (status, len(wrong.splitlines())) == (1, 2)
    assert f"delete {kept.place(PRMS, {'seed': 1})} and run again" in wrong
    assert f"(it describes something else); delete {root / PRMS / ('0' * 16)}" in wrong


def test_a_store_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    assert check(tmp_path / "none") == (
        1,
        "",
        f"{tmp_path / 'none'}: no such folder; name the one of a step store with --step-store\n",
    )


def test_in_a_closed_folder_damage_is_named_all_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = segments(root)[0]
    path.write_bytes(b"")

    def refuse(path: Path, target: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "rename", refuse)
    status, _, wrong = check(root)
    assert status == 1
    assert wrong.splitlines()[0].startswith(f"{path}: damaged (")
    assert "Read-only file system; get the right to read and write there" in wrong.splitlines()[1]


def test_the_whole_of_each_entry_is_read(root: Path) -> None:
    """A page whose checksum is wrong is found, though nobody asks for what is on it."""
    path = segments(StepStore(root, "part").folder("weak"))[0]
    content = pq.read_table(path)  # without a checksum of the whole, as earlier versions wrote them
    pq.write_table(content.replace_schema_metadata(None), path, write_page_checksum=True, compression="none")
    assert not check_store(root).damaged
    raw = path.read_bytes()
    at = raw.index(b"1\n\n")
    path.write_bytes(raw[:at] + b"7" + raw[at + 1 :])
    assert list(check_store(root).damaged) == [path]
