"""Whatever is put, flushed and opened again, a partition holds what came first."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from trim.models.protocols import FinishReason, Step
from trim.models.store import STEPS, Partition

STEP = st.builds(
    Step,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.lists(st.integers(0, 2**31 - 1), max_size=3).map(tuple),
    st.integers(0, 100),
    st.sampled_from(FinishReason),
)
PUT = st.tuples(st.just("put"), st.integers(0, 5), STEP)
ACTION = st.one_of(PUT, PUT, st.just(("flush",)), st.just(("reopen",)), st.just(("kill",)))


def key(i: int) -> bytes:
    return bytes([i]) * 16


@settings(max_examples=60)
@given(st.lists(ACTION, max_size=25))
def test_a_partition_is_a_dictionary_in_which_the_first_entry_counts(actions: list[tuple]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        partition = Partition(Path(folder), STEPS)
        on_disk: dict[int, Step] = {}
        known: dict[int, Step] = {}
        for action in actions:
            match action:
                case ("put", i, step):
                    known.setdefault(i, step)
                    assert partition.put(key(i), step) == known[i]
                case ("flush",):
                    partition.flush()
                    on_disk = dict(known)
                case ("reopen",):
                    partition.flush()
                    on_disk = dict(known)
                    partition = Partition(Path(folder), STEPS)
                case ("kill",):
                    known = dict(on_disk)
                    partition = Partition(Path(folder), STEPS)
            assert [partition.get(key(i)) for i in range(6)] == [known.get(i) for i in range(6)]
            assert len(partition) == len(known)
        again = Partition(Path(folder), STEPS)
        assert {i: again.get(key(i)) for i in range(6) if again.get(key(i))} == on_disk
        assert again.counts.conflicts == 0


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), STEP, st.booleans()), max_size=20))
def test_of_several_writers_what_was_written_first_counts(puts: list[tuple[int, int, Step, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writers = [Partition(Path(folder), STEPS) for _ in range(3)]
        own: list[dict[int, Step]] = [{}, {}, {}]
        expected: dict[int, Step] = {}
        for writer, i, step, flush in puts:
            own[writer].setdefault(i, step)
            writers[writer].put(key(i), step)
            if flush:
                writers[writer].flush()
                expected = own[writer] | expected
        for partition, entries in zip(writers, own, strict=True):
            partition.flush()
            expected = entries | expected
        merged = Partition(Path(folder), STEPS)
        assert {i: merged.get(key(i)) for i in range(4) if merged.get(key(i))} == expected
        disagreeing = sum(own[w][i] != expected[i] for w in range(3) for i in own[w])
        assert merged.counts.conflicts == disagreeing
