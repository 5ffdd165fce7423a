"""What cannot be a step or a score is neither stored nor believed, and each segment says which model it is of."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trim.errors import RunError, StoreError
from trim.jobs import Job
from trim.models import store as store_module
from trim.models.kept import Kept
from trim.models.protocols import FinishReason, Score, Step
from trim.models.store import SCORES, STEPS, Partition, StepStore
from trim.models.vectors import StoredVectors

GOOD = Step("é \\boxed{½}\n\n", (0, -1, 2**31 - 1), 7, FinishReason.END_OF_SEQUENCE)


def key(i: int) -> bytes:
    return i.to_bytes(16, "big")


def segments(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def test_a_segment_of_another_model_is_refused(tmp_path: Path) -> None:
    store = StepStore(tmp_path, "part")
    for identity in ("weak", "strong"):
        store.partition(identity, SCORES).put(key(0), Score(0.5, 1))
    store.flush()
    weak, strong = (store.partitions[identity].folder for identity in ("weak", "strong"))
    (segment,) = segments(weak)
    (strong / segment.name).write_bytes(segment.read_bytes())
    with pytest.raises(StoreError, match=rf"{segment.name}: a segment of another model \(weak\); move it back"):
        StepStore(tmp_path, "part", offline=True).partition("strong", SCORES)
    assert len(StepStore(tmp_path, "part", offline=True).partition("weak", SCORES)) == 1


def score_segment(folder: Path, **changes: Any) -> Path:
    """Write a segment without checksum, as earlier versions did, with other values."""
    columns = {"key": [key(0), key(1)], "value": [0.25, 0.5], "prompt_tokens": [3, 4]} | changes
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns, schema=SCORES.schema), folder / "a.parquet", write_page_checksum=True)
    return folder / "a.parquet"


def test_a_segment_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    score_segment(tmp_path)
    assert Partition(tmp_path, SCORES, "whichever").get(key(1)) == Score(0.5, 4)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"value": [float("nan"), 0.5]}, "column 'value' has gaps"),
        ({"value": [7.0, 0.5]}, "column 'value' holds 0.5 to 7.0, expected 0 to 1"),
        ({"value": [None, 0.5]}, "column 'value' has gaps"),
        ({"prompt_tokens": [-3, 4]}, "column 'prompt_tokens' holds -3 to 4"),
        ({"key": [key(0), key(0)]}, "a key stands there twice with different content"),
    ],
)
def test_scores_that_cannot_be_are_refused(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    score_segment(tmp_path, **changes)
    with pytest.raises(StoreError, match=rf"a.parquet: damaged segment of the step store \({why}.*\); delete it"):
        Partition(tmp_path, SCORES)


def test_columns_of_another_type_are_refused(tmp_path: Path) -> None:
    path = score_segment(tmp_path)
    table = pq.read_table(path)
    pq.write_table(table.set_column(2, "prompt_tokens", table["prompt_tokens"].cast(pa.int64())), path)
    with pytest.raises(StoreError, match="its columns are key: .*, prompt_tokens: int64"):
        Partition(tmp_path, SCORES)


@pytest.mark.parametrize("step", [Step("a", (-7,), 3, FinishReason.LENGTH), Step("a", (1,), -3, FinishReason.LENGTH)])
def test_a_step_that_cannot_be_is_not_stored(step: Step, tmp_path: Path) -> None:
    partition = Partition(tmp_path, STEPS)
    partition.put(key(0), step)
    partition.put(key(1), GOOD)
    with pytest.raises(StoreError, match="1 entries cannot be stored"):
        partition.flush()
    assert [Partition(tmp_path, STEPS).get(key(i)) for i in range(2)] == [None, GOOD]


@pytest.mark.parametrize("value", [float("nan"), 7.0, -0.5])
def test_a_score_that_cannot_be_is_not_stored(value: float, tmp_path: Path) -> None:
    partition = Partition(tmp_path, SCORES)
    partition.put(key(0), Score(value, 1))
    with pytest.raises(StoreError, match="1 entries cannot be stored"):
        partition.flush()
    assert not segments(tmp_path)


def close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be written any more, as on a folder that is mounted to be read."""

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if isinstance(path, Path) and path.exists() and options.get("exist_ok"):
            return
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(pq, "write_table", lambda table, path, **options: refuse(path))


def test_a_store_that_may_not_be_written_is_read_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StepStore(tmp_path, "part")
    store.partition("weak", SCORES).put(key(0), Score(0.5, 1))
    store.flush()
    store.partition("weak", SCORES).put(key(9), Score(0.5, 1))
    store.flush()
    before = sorted(tmp_path.rglob("*"))
    close(monkeypatch)
    monkeypatch.setattr(store_module, "FLUSH_ENTRIES", 1)
    monkeypatch.setattr(store_module, "MOST_SEGMENTS", 0)  # would be joined, if that could be
    store = StepStore(tmp_path, "part")
    weak, strong = (store.partition(name, SCORES) for name in ("weak", "strong"))  # of the latter there is nothing yet
    assert (weak.get(key(0)), store.lost) == (Score(0.5, 1), "")
    for i in (0, 1, 2):
        weak.put(key(i), Score(0.5, 1))
        strong.put(key(i), Score(0.25, i))
    store.flush()
    assert [strong.get(key(i)) for i in range(3)] == [Score(0.25, i) for i in range(3)]
    assert store.lost == (
        f"{tmp_path}: may be read but not written, so that 5 steps and scores which it lacked are computed but not "
        "kept; get the right to write there, or copy it and name the copy as step_store"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_that_cannot_be_made_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close(monkeypatch)
    with pytest.raises(RunError, match=f"^{tmp_path}: Read-only file system; get the right"):
        StepStore(tmp_path / "none", "part").partition("weak", STEPS)


def test_a_job_says_what_a_closed_store_did_not_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {name: None for name in ("input", "output", "params", "wildcards", "threads")}
    config = {"step_store": str(tmp_path)}
    job = Job(SimpleNamespace(rule="grow_trees", log=[str(tmp_path / "log")], config=config, **given))
    close(monkeypatch)
    with job._store("part") as store:
        store.partition("weak", SCORES).put(key(0), Score(0.5, 1))
    assert capsys.readouterr().err == f"grow_trees: {store.lost}\n" != "grow_trees: \n"


def test_kept_folders_and_vectors_of_a_closed_store_are_not_kept_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reader:
        def embed(self, texts: Any) -> Any:
            return np.ones((len(texts), 2), np.float32)

    (tmp_path / "folder").mkdir()
    (tmp_path / "store").mkdir()
    close(monkeypatch)
    Kept(tmp_path / "store").keep("prms", {"seed": 1}, tmp_path / "folder")
    vectors = StoredVectors(StepStore(tmp_path / "store", "part"), "an encoder", Reader)
    assert vectors.embed(["a", "b"]).tolist() == [[1, 1], [1, 1]]
    assert not list((tmp_path / "store").iterdir())
