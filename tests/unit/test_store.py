"""The step store: nothing is computed twice, nothing is lost, damage is seen."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import trim
from trim.errors import BackendError, StoreError
from trim.models import store as store_module
from trim.models.protocols import FinishReason, ModelPair, Prefix, Score, Step
from trim.models.store import SCORES, STEPS, MissingEntries, Partition, StepStore, StoredStepModel, StoredStepScorer
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.rollout.tables import score_steps
from trim.routers.threshold import Threshold

MakePair = Callable[[], ModelPair]
MakeProblems = Callable[[int], list[Problem]]
PREFIX = Prefix.of("problem", "one\n\n")


def behind_store(pair: ModelPair, store: StepStore) -> ModelPair:
    assert pair.prm is not None
    return ModelPair(
        StoredStepModel(pair.weak, store), StoredStepModel(pair.strong, store), StoredStepScorer(pair.prm, store)
    )


def key(i: int) -> bytes:
    return i.to_bytes(16, "big")


def segments(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def runs(make_problems: MakeProblems, count: int = 12) -> list[Run]:
    return [Run(p, Threshold(k), r) for p in make_problems(count) for k in (0.3, 0.6) for r in (0, 1)]


# --- a memo -----------------------------------------------------------------------------


def test_a_second_run_calls_no_model(tmp_path: Path, scripted_pair: MakePair, make_problems: MakeProblems) -> None:
    plain = solve_all(runs(make_problems), scripted_pair(), 30)
    for attempt in range(3):
        pair, store = scripted_pair(), StepStore(tmp_path, "part")
        assert solve_all(runs(make_problems), behind_store(pair, store), 30) == plain
        store.flush()
        calls = [pair.weak.calls, pair.strong.calls, pair.prm.calls]
        assert store.misses == sum(map(len, calls))
        assert [len(c) > 0 for c in calls] == [attempt == 0] * 3
        assert all(len(c) == len(set(map(str, c))) for c in calls)  # though runs share their prefixes
    assert sum(counts["hits"] for counts in store.report().values()) > 50
    assert len(segments(tmp_path)) == 3


def test_requests_for_the_same_step_are_computed_once(tmp_path: Path, scripted_pair: MakePair) -> None:
    pair, store = scripted_pair(), StepStore(tmp_path, "part")
    model, scorer = StoredStepModel(pair.weak, store), StoredStepScorer(pair.prm, store)

    async def main() -> list[Any]:
        wishes = [model.step(PREFIX, i % 2) for i in range(10)]
        return await asyncio.gather(*wishes, *(scorer.score(PREFIX, "two\n\n") for _ in range(5)))

    answers = asyncio.run(main())
    assert len(set(answers[0:10:2])) == len(set(answers[1:10:2])) == len(set(answers[10:])) == 1
    assert answers[0] != answers[1]
    assert (len(pair.weak.calls), len(pair.prm.calls), store.misses) == (2, 1, 3)


def test_one_entry_that_does_not_fit_takes_no_other_with_it(tmp_path: Path) -> None:
    store = StepStore(tmp_path, "part")
    weak, strong = store.partition("weak", STEPS), store.partition("strong", STEPS)
    good = [Step(f"{i}\n\n", (i,), 3, FinishReason.SEPARATOR) for i in range(5)]
    odd = [
        Step("half a letter \ud835", (1,), 3, FinishReason.LENGTH),
        Step("a token beyond its column", (2**31,), 3, FinishReason.LENGTH),
        Step("a count that is a text", (1,), "three", FinishReason.LENGTH),  # type: ignore[arg-type]
    ]
    for i, step in enumerate([*good[:2], *odd, *good[2:]]):
        weak.put(key(i), step)
        strong.put(key(i), good[0])
    with pytest.raises(StoreError, match=r"part: 3 entries cannot be stored, the others are; .*half a letter \\ud"):
        store.flush()
    store.flush()  # what was named is not named again
    again = StepStore(tmp_path, "part", offline=True)
    kept = [again.partition("weak", STEPS).get(key(i)) for i in range(8)]
    assert kept == [*good[:2], None, None, None, *good[2:]]
    assert len(again.partition("strong", STEPS)) == 8


def test_an_entry_that_does_not_fit_reaches_all_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        identity = "odd"

        async def step(self, prefix: Prefix, replicate: int) -> Step:
            await asyncio.sleep(0)
            return Step("\ud835", (1,), 3, FinishReason.LENGTH)

    monkeypatch.setattr(store_module, "FLUSH_ENTRIES", 1)
    model = StoredStepModel(Odd(), StepStore(tmp_path, "part"))

    async def ask() -> list[Any]:
        return await asyncio.gather(*(model.step(PREFIX, 0) for _ in range(3)), return_exceptions=True)

    assert [type(error) for error in asyncio.run(asyncio.wait_for(ask(), 10))] == [StoreError] * 3


def test_a_failure_reaches_all_who_wait_and_stores_nothing(tmp_path: Path) -> None:
    class Flaky:
        identity = "flaky"
        calls = 0

        async def step(self, prefix: Prefix, replicate: int) -> Step:
            self.calls += 1
            await asyncio.sleep(0)
            if self.calls == 1:
                raise BackendError("server gone")
            return Step("fine\n\n", (1, 2), 3, FinishReason.SEPARATOR)

    store, flaky = StepStore(tmp_path, "part"), Flaky()
    model = StoredStepModel(flaky, store)

    async def ask() -> list[Any]:
        return await asyncio.gather(*(model.step(PREFIX, 0) for _ in range(4)), return_exceptions=True)

    assert [str(error) for error in asyncio.run(ask())] == ["server gone"] * 4
    store.flush()
    assert (flaky.calls, segments(tmp_path)) == (1, [])
    assert [step.text for step in asyncio.run(ask())] == ["fine\n\n"] * 4
    assert flaky.calls == 2


def test_two_models_of_one_identity_agree_on_the_first_step(tmp_path: Path) -> None:
    class Served:
        """Writes something else each time, as a server under load may."""

        identity = "served"
        written = 0

        async def step(self, prefix: Prefix, replicate: int) -> Step:
            await asyncio.sleep(0)
            self.written += 1
            return Step(f"{self.written}\n\n", (self.written,), 3, FinishReason.SEPARATOR)

    store, served = StepStore(tmp_path, "part"), Served()
    weak, strong = StoredStepModel(served, store), StoredStepModel(served, store)

    async def main() -> list[Step]:
        return await asyncio.gather(weak.step(PREFIX, 0), strong.step(PREFIX, 0))

    first, second = asyncio.run(main())
    assert first == second
    assert asyncio.run(strong.step(PREFIX, 0)) == first
    store.flush()
    assert store.report()["served"]["conflicts"] == 1
    again = StepStore(tmp_path, "part", offline=True)
    assert asyncio.run(StoredStepModel(served, again).step(PREFIX, 0)) == first


def test_what_tells_entries_apart(tmp_path: Path, scripted_pair: MakePair) -> None:
    pair, store = scripted_pair(), StepStore(tmp_path, "part")
    weak, strong = StoredStepModel(pair.weak, store), StoredStepModel(pair.strong, store)
    longer = Prefix.of("problem", "one\n\n", "two\n\n")
    joined = Prefix.of("problem", "one\n\ntwo\n\n")

    async def main() -> None:
        for model in (weak, strong):
            for prefix in (PREFIX, longer, joined, Prefix.of("problem ", "one\n\n")):
                for replicate in (0, 1):
                    await model.step(prefix, replicate)

    asyncio.run(main())
    assert store.misses == len(pair.weak.calls) + len(pair.strong.calls) == 16
    other = StepStore(tmp_path, "other part")
    asyncio.run(StoredStepModel(pair.weak, other).step(PREFIX, 0))
    assert other.misses == 1


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


# --- offline ----------------------------------------------------------------------------


def test_offline_the_missing_episodes_are_counted_in_one_error(
    tmp_path: Path, scripted_pair: MakePair, make_problems: MakeProblems
) -> None:
    store = StepStore(tmp_path, "part")
    known = runs(make_problems, 5)
    plain = solve_all(known, behind_store(scripted_pair(), store), 30)
    store.flush()
    before = sorted(tmp_path.rglob("*"))
    pair = scripted_pair()
    assert solve_all(known, behind_store(pair, StepStore(tmp_path, "part", offline=True)), 30) == plain
    with pytest.raises(StoreError, match=r"^offline: 12 of 32 episodes need steps or scores .* set offline: false"):
        solve_all(runs(make_problems, 8), behind_store(pair, StepStore(tmp_path, "part", offline=True)), 30)
    assert pair.weak.calls == pair.strong.calls == pair.prm.calls == []
    assert sorted(tmp_path.rglob("*")) == before


def test_offline_an_empty_store_stays_empty(tmp_path: Path, scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    scorer = StoredStepScorer(pair.prm, StepStore(tmp_path / "none", "part", offline=True))
    with pytest.raises(MissingEntries):
        asyncio.run(score_steps("problem", ["one\n\n"], scorer))
    assert not (tmp_path / "none").exists()
