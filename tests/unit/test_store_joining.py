"""Small segments become larger ones: the same entry under every key, whenever it is killed and whoever looks on."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import key, segments

from trim.errors import StoreError
from trim.files import write_table
from trim.models import joining
from trim.models import segments as segments_module
from trim.models import store as store_module
from trim.models.entries import SCORES, STEPS
from trim.models.joining import join_segments
from trim.models.protocols import FinishReason, Score, Step
from trim.models.store import SMALLEST, Partition, StepStore


def write(folder: Path, numbers: range, value: float = 0.5, origin: str = "here", name: str | None = None) -> Path:
    """Write a segment of scores, in order."""
    before = set(segments(folder))
    partition = Partition(folder, SCORES, "prm", {"host": origin})
    partition._segments = segments_module.Segments([], SCORES, "prm")  # writes what is there already, too
    for i in numbers:
        partition.put(key(i), Score(value, i))
    partition.flush()
    (path,) = set(segments(folder)) - before
    return path.rename(folder / name) if name else path


def content(folder: Path) -> dict[int, Score | None]:
    partition = Partition(folder, SCORES, "prm")
    return {i: partition.get(key(i)) for i in range(60)}


def fill(folder: Path) -> dict[int, Score | None]:
    """Write five segments, of which the later ones contradict the earlier ones; return what counts."""
    for i in range(5):
        write(folder, range(8 * i, 8 * i + 16), value=(i + 1) / 10, name=f"{i}.parquet")
    return content(folder)


def test_joined_segments_hold_what_counted_before(tmp_path: Path) -> None:
    before = fill(tmp_path)
    assert join_segments(tmp_path, SCORES, "prm") == 4
    (joined,) = segments(tmp_path)
    assert content(tmp_path) == before
    assert pq.read_metadata(joined).num_rows == 48
    write(tmp_path, range(60), value=0.9)  # written later, so that it counts where there was nothing
    assert content(tmp_path) == {i: entry or Score(0.9, i) for i, entry in before.items()}
    assert join_segments(tmp_path, SCORES, "prm") == 1
    assert content(tmp_path) == {i: entry or Score(0.9, i) for i, entry in before.items()}
    assert join_segments(tmp_path, SCORES, "prm") == 0


def test_a_joined_segment_stands_where_its_first_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "LARGEST", 32)
    write(tmp_path, range(0, 20), value=0.1, name="1.parquet")  # large: left alone
    write(tmp_path, range(10, 25), value=0.2, name="2.parquet")
    write(tmp_path, range(20, 30), value=0.3, name="3.parquet")
    write(tmp_path, range(20, 60), value=0.4, name="4.parquet")  # large
    before = content(tmp_path)
    assert join_segments(tmp_path, SCORES, "prm") == 1
    assert [path.name[:2] for path in segments(tmp_path)] == ["1.", "2-", "4."]
    assert content(tmp_path) == before


def test_what_an_archive_brought_stays(tmp_path: Path) -> None:
    for name in ("00000000-a.parquet", "00000000-b.parquet", "1.parquet", "2.parquet"):
        write(tmp_path, range(5), name=name)
    assert join_segments(tmp_path, SCORES, "prm") == 1
    assert [path.name[:10] for path in segments(tmp_path)][:2] == ["00000000-a", "00000000-b"]


def test_segments_of_earlier_versions_are_joined(tmp_path: Path) -> None:
    for i in range(3):
        table = pa.table({"key": [key(i)], "value": [0.25], "prompt_tokens": [i]}, schema=SCORES.schema)
        pq.write_table(table, tmp_path / f"{i}.parquet", write_page_checksum=True)
    assert join_segments(tmp_path, SCORES, "prm") == 2
    assert content(tmp_path)[2] == Score(0.25, 2)


@pytest.mark.parametrize("removed", range(6))
def test_killed_at_any_time_it_leaves_all_and_the_next_call_cleans_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    class Killed(BaseException):
        pass

    before, unlink, left = fill(tmp_path), Path.unlink, removed

    def unlink_or_die(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        if path.suffix == ".parquet":
            if not left:
                raise Killed
            left -= 1
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_or_die)
    if removed < 5:
        with pytest.raises(Killed):
            join_segments(tmp_path, SCORES, "prm")
    else:
        join_segments(tmp_path, SCORES, "prm")
    monkeypatch.undo()
    assert len(segments(tmp_path)) == 6 - removed
    assert content(tmp_path) == before
    join_segments(tmp_path, SCORES, "prm")
    assert len(segments(tmp_path)) == 1
    assert content(tmp_path) == before


def test_killed_while_it_writes_it_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, names = fill(tmp_path), segments(tmp_path)

    def die(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(joining, "write_table", die)
    with pytest.raises(KeyboardInterrupt):
        join_segments(tmp_path, SCORES, "prm")
    assert (segments(tmp_path), content(tmp_path)) == (names, before)


def test_a_disk_that_returns_something_else_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fill(tmp_path)

    def write_less(table: pa.Table, *arguments: Any, **options: Any) -> None:
        write_table(table.slice(1), *arguments, **options)

    monkeypatch.setattr(joining, "write_table", write_less)
    with pytest.raises(StoreError, match="does not hold what it was to be made of, so that nothing was removed"):
        join_segments(tmp_path, SCORES, "prm")
    assert len(segments(tmp_path)) == 5
    assert content(tmp_path) == before


def test_what_claims_to_replace_others_and_does_not_hold_them_is_refused(tmp_path: Path) -> None:
    before = fill(tmp_path)
    table = SCORES.table([(key(i), before[i]) for i in range(40)])
    note = {"trim": "{}", "identity": "prm", "replaces": '["0.parquet", "4.parquet", "../x.parquet"]'}
    write_table(table, tmp_path / "0-joined-x.parquet", note)
    with pytest.raises(StoreError, match=r"0-joined-x\.parquet: does not hold what it was to be made of"):
        join_segments(tmp_path, SCORES, "prm")
    assert len(segments(tmp_path)) == 6
    assert content(tmp_path) == before


def test_damage_is_named_and_nothing_is_joined(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "2.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"2\.parquet: damaged segment"):
        join_segments(tmp_path, SCORES, "prm")
    assert len(segments(tmp_path)) == 5


def test_who_reads_and_writes_meanwhile_notices_nothing(tmp_path: Path) -> None:
    before = fill(tmp_path)
    reader, writer = Partition(tmp_path, SCORES, "prm"), Partition(tmp_path, SCORES, "prm")
    join_segments(tmp_path, SCORES, "prm")
    assert {i: reader.get(key(i)) for i in range(60)} == before
    writer.put(key(59), Score(1.0, 59))
    writer.flush()
    assert writer.get(key(0)) == before[0]
    assert content(tmp_path) == before | {59: Score(1.0, 59)}


def test_many_segments_are_joined_by_who_opens_them_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MOST_SEGMENTS", 4)
    folder = StepStore(tmp_path, "part").partition("prm", SCORES).folder
    before = fill(folder)
    assert len(StepStore(tmp_path, "part", offline=True).partition("prm", SCORES)) == 48
    assert len(segments(folder)) == 5  # who reads alone leaves them
    StepStore(tmp_path, "part").partition("prm", SCORES)
    assert len(segments(folder)) == 1
    assert content(folder) == before


# --- read when asked for ----------------------------------------------------------------


def step(i: int) -> Step:
    return Step(f"step {i}\n\n", tuple(range(i % 7)), i, FinishReason.SEPARATOR)


def test_entries_are_read_by_row_group_and_few_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(40):
        partition = Partition(tmp_path, STEPS)
        for j in range(10):
            partition.put(key(10 * i + j), step(10 * i + j))
        partition.flush()
    monkeypatch.setattr(joining, "ROWS", 25)
    join_segments(tmp_path, STEPS, "")
    (path,) = segments(tmp_path)
    assert pq.read_metadata(path).num_row_groups == 16
    read, group = [], segments_module.Segment.group
    monkeypatch.setattr(segments_module.Segment, "group", lambda self, i: read.append(i) or group(self, i))
    partition = Partition(tmp_path, STEPS)
    assert (len(partition), read) == (400, [])
    assert [partition.get(key(i)) for i in (0, 24, 25, 399, 400)] == [step(0), step(24), step(25), step(399), None]
    assert read == [0, 1, 15]
    monkeypatch.setattr(segments_module, "CACHED_BYTES", 1)
    assert [partition.get(key(i)) for i in range(400)] == [step(i) for i in range(400)]
    assert len(partition._segments._groups) == 1


def test_a_file_that_changes_after_it_was_opened_is_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path, range(5))
    partition = Partition(tmp_path, SCORES, "prm")
    path.write_bytes(write(tmp_path / "other", range(5), value=0.7).read_bytes())
    with pytest.raises(StoreError, match="it has changed since it was opened"):
        partition.get(key(1))


def test_what_is_written_whole_is_as_if_written_in_order(tmp_path: Path) -> None:
    numbers = [(7 * i) % 50 for i in range(50)]
    for batch in range(5):
        partition = Partition(tmp_path / "parts", STEPS, "a")
        for i in numbers[batch::5]:
            partition.put(key(i), step(i))
        partition.flush()
    Partition(tmp_path / "parts", STEPS, "a").write_whole(tmp_path / "whole.parquet")
    table = STEPS.table([(key(i), step(i)) for i in range(50)])
    write_table(table, tmp_path / "direct.parquet", {"trim": "{}", "identity": "a"}, level=SMALLEST)
    assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "direct.parquet").read_bytes()
