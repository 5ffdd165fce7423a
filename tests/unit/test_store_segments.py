"""What the step store keeps on disk: nothing is lost, damage is seen."""

import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import key, segments

import trim
from trim.errors import StoreError
from trim.models import store as store_module
from trim.models.protocols import FinishReason, Score, Step
from trim.models.store import SCORES, STEPS, Partition, StepStore

# --- segments ---------------------------------------------------------------------------

ODD_STEPS = [
    Step("", (), 0, FinishReason.LENGTH),
    Step("é \\boxed{½}\n\n", (0, 2**31 - 1), 7, FinishReason.END_OF_SEQUENCE),
    Step("a\x00b\r\n", tuple(range(500)), 10**6, FinishReason.SEPARATOR),
]


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    partition = Partition(tmp_path, STEPS)
    for i, step in enumerate(ODD_STEPS):
        partition.put(key(i), step)
    partition.flush()
    again = Partition(tmp_path, STEPS)
    assert [again.get(key(i)) for i in range(4)] == [*ODD_STEPS, None]
    values = [0.1, 1 / 3, 1e-300, 1.0, 0.0]
    scores = Partition(tmp_path / "scores", SCORES)
    for i, value in enumerate(values):
        scores.put(key(i), Score(value, i))
    scores.flush()
    again_scores = Partition(tmp_path / "scores", SCORES)
    assert [again_scores.get(key(i)) for i in range(5)] == [Score(v, i) for i, v in enumerate(values)]
    assert len(again_scores) == 5


def test_only_what_was_flushed_is_on_disk(tmp_path: Path) -> None:
    partition = Partition(tmp_path, SCORES)
    partition.put(key(0), Score(0.5, 1))
    assert segments(tmp_path) == []
    partition.flush()
    partition.flush()
    assert len(segments(tmp_path)) == 1
    partition.put(key(1), Score(0.6, 1))
    assert len(Partition(tmp_path, SCORES)) == 1
    partition.flush()
    assert [pq.read_metadata(s).num_rows for s in segments(tmp_path)] == [1, 1]


def test_many_entries_flush_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FLUSH_ENTRIES", 10)
    partition = Partition(tmp_path, SCORES)
    for i in range(25):
        partition.put(key(i), Score(i / 25, i))
    assert len(Partition(tmp_path, SCORES)) == 20


def test_two_writers_share_a_partition(tmp_path: Path) -> None:
    first, second = Partition(tmp_path, SCORES), Partition(tmp_path, SCORES)
    for i in range(10):
        (first, second)[i % 2].put(key(i), Score(i / 10, i))
        if i % 3 == 0:
            first.flush()
            second.flush()
    first.flush()
    second.flush()
    both = Partition(tmp_path, SCORES)
    assert [both.get(key(i)) for i in range(10)] == [Score(i / 10, i) for i in range(10)]
    assert both.counts.conflicts == 0
    assert first.get(key(1)) is None  # read when opened


def test_the_smallest_segment_wins_and_conflicts_are_counted(tmp_path: Path) -> None:
    for name, value in (("b", 0.2), ("a", 0.1), ("c", 0.3)):
        partition = Partition(tmp_path / name, SCORES)
        for i in range(3):
            partition.put(key(i), Score(value if i else 0.5, i))  # all agree on the first
        partition.flush()
        (tmp_path / "all").mkdir(exist_ok=True)
        segments(tmp_path / name)[0].rename(tmp_path / "all" / f"{name}.parquet")
    partition = Partition(tmp_path / "all", SCORES)
    assert [partition.get(key(i)).value for i in range(3)] == [0.5, 0.1, 0.1]
    assert partition.counts.conflicts == 4


def test_what_was_written_first_wins(tmp_path: Path) -> None:
    opened_first, opened_last = Partition(tmp_path, SCORES), Partition(tmp_path, SCORES)
    opened_last.put(key(0), Score(0.9, 1))
    opened_last.flush()
    opened_first.put(key(0), Score(0.1, 1))
    opened_first.flush()
    assert Partition(tmp_path, SCORES).get(key(0)) == Score(0.9, 1)


@pytest.mark.parametrize("year", [1970, 2199])
def test_a_clock_that_jumps_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year: int) -> None:
    partition = Partition(tmp_path, SCORES)
    partition.put(key(0), Score(0.1, 1))
    partition.flush()
    other = SimpleNamespace(now=lambda zone: datetime(year, 1, 1, tzinfo=zone))
    monkeypatch.setattr(store_module, "datetime", other)
    for i in range(1, 4):  # all in one moment
        partition.put(key(i), Score(i / 10, i))
        partition.flush()
    later = Partition(tmp_path, SCORES)
    assert later.put(key(0), Score(0.9, 1)) == Score(0.1, 1)
    assert [later.get(key(i)) for i in range(4)] == [Score(0.1, 1), *(Score(i / 10, i) for i in range(1, 4))]
    assert len(segments(tmp_path)) == 4


def test_a_truncated_segment_is_named(tmp_path: Path) -> None:
    partition = Partition(tmp_path, SCORES)
    partition.put(key(0), Score(0.5, 1))
    partition.flush()
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        segment.write_bytes(whole[:length])
        with pytest.raises(StoreError, match=f"{segment.name}: damaged segment .* delete it"):
            Partition(tmp_path, SCORES)


def test_a_changed_byte_is_never_read_as_another_entry(tmp_path: Path) -> None:
    partition = Partition(tmp_path, SCORES)
    for i in range(50):
        partition.put(key(1000 * i), Score(i / 50, i))
    partition.flush()
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    refused = 0
    for position in range(0, len(whole), 13):
        segment.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            damaged = Partition(tmp_path, SCORES)
        except StoreError:
            refused += 1
        else:  # a byte that says nothing of the content, such as the writer's name
            assert [damaged.get(key(1000 * i)) for i in range(50)] == [Score(i / 50, i) for i in range(50)]
    assert refused > len(whole) // 13 * 0.8


def test_a_segment_of_something_else_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"key": pa.array([key(0)], pa.binary(16)), "other": [1]}), tmp_path / "a.parquet")
    with pytest.raises(StoreError, match="a.parquet: damaged segment"):
        Partition(tmp_path, SCORES)


def test_what_a_killed_writer_left_aside_is_ignored(tmp_path: Path) -> None:
    partition = Partition(tmp_path, SCORES)
    partition.put(key(0), Score(0.5, 1))
    partition.flush()
    (segment,) = segments(tmp_path)
    (tmp_path / "20990101-half.tmp").write_bytes(segment.read_bytes()[:100])
    assert len(Partition(tmp_path, SCORES)) == 1


def test_a_partition_says_whose_it_is(tmp_path: Path) -> None:
    store = StepStore(tmp_path, "arith.test")
    store.partition('{"model": "tiny"}', STEPS)
    (description,) = tmp_path.glob("*/identity.json")
    assert '{\\"model\\": \\"tiny\\"}' in description.read_text()
    assert (description.parent / "arith.test").is_dir()


# --- kill -9 ----------------------------------------------------------------------------


WRITER = """
import os, signal, sys
from pathlib import Path
from trim.models.protocols import Score
from trim.models import store

folder, fatal_flush = Path(sys.argv[1]), int(sys.argv[2])
store.FLUSH_ENTRIES = 40
replace, flushes = Path.replace, 0

def rename(self, target):
    global flushes
    flushes += 1
    if flushes == fatal_flush:
        os.kill(os.getpid(), signal.SIGKILL)
    result = replace(self, target)
    print(40 * flushes, flush=True)
    return result

Path.replace = rename
partition = store.Partition(folder, store.SCORES)
for i in range(10**9):
    partition.put(i.to_bytes(16, "big"), Score(i / 1e9, i))
"""


def start_writer(folder: Path, fatal_flush: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(trim.__file__).parents[1])}
    command = [sys.executable, "-c", WRITER, str(folder), str(fatal_flush)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def check_survivors(folder: Path, flushed: int, unflushed: int) -> None:
    partition = Partition(folder, SCORES)
    assert flushed <= len(partition) <= flushed + unflushed
    assert [partition.get(key(i)) for i in range(len(partition))] == [Score(i / 1e9, i) for i in range(len(partition))]
    # The store works on.
    partition.put(key(10**9), Score(1.0, 0))
    partition.flush()
    assert Partition(folder, SCORES).get(key(10**9)) == Score(1.0, 0)


def test_a_kill_between_writing_and_renaming_loses_the_unflushed_batch_alone(tmp_path: Path) -> None:
    with start_writer(tmp_path, fatal_flush=4) as writer:
        output, _ = writer.communicate()
    assert writer.returncode == -signal.SIGKILL
    assert output.split() == ["40", "80", "120"]
    assert len(list(tmp_path.glob("*.tmp"))) == 1
    check_survivors(tmp_path, 120, 0)


def test_a_kill_at_any_time_loses_at_most_the_unflushed_batch(tmp_path: Path) -> None:
    with start_writer(tmp_path, fatal_flush=-1) as writer:
        assert writer.stdout is not None
        for _ in range(5):
            writer.stdout.readline()
        writer.kill()
        reported = [int(line) for line in writer.stdout if line.endswith("\n")]
    flushed = max([200, *reported])
    check_survivors(tmp_path, flushed, 40)  # renamed, and killed before it could say so
