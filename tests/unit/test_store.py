"""The step store: nothing is computed twice, and offline nothing is computed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stored import key, misses, segments

from trim.errors import BackendError, StoreError
from trim.models import store as store_module
from trim.models.protocols import FinishReason, ModelPair, Prefix, Step
from trim.models.store import STEPS, MissingEntries, StepStore, StoredStepModel, StoredStepScorer
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
        assert misses(store) == sum(map(len, calls))
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
    assert (len(pair.weak.calls), len(pair.prm.calls), misses(store)) == (2, 1, 3)


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
    assert misses(store) == len(pair.weak.calls) + len(pair.strong.calls) == 16
    other = StepStore(tmp_path, "other part")
    asyncio.run(StoredStepModel(pair.weak, other).step(PREFIX, 0))
    assert misses(other) == 1


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


def test_whoever_waits_for_a_step_asks_anew_where_the_first_to_ask_went_away(tmp_path: Path) -> None:
    class Slow:
        identity = "slow"
        calls = 0

        async def step(self, prefix: Prefix, replicate: int) -> Step:
            self.calls += 1
            await asyncio.sleep(0.01)
            return Step("fine\n\n", (1, 2), 3, FinishReason.SEPARATOR)

    slow = Slow()
    model = StoredStepModel(slow, StepStore(tmp_path, "part"))

    async def ask() -> tuple[list[Step], bool]:
        first, *others = [asyncio.ensure_future(model.step(PREFIX, 0)) for _ in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.gather(*others), first.cancelled()

    answers, cancelled = asyncio.run(asyncio.wait_for(ask(), 10))
    assert [step.text for step in answers] == ["fine\n\n"] * 2
    assert (slow.calls, cancelled) == (2, True)


def test_a_store_that_keeps_nothing_asks_each_time_and_writes_nothing(tmp_path: Path, scripted_pair: MakePair) -> None:
    pair, store = scripted_pair(), StepStore(tmp_path / "store", "part", keeps=False)
    model = StoredStepModel(pair.weak, store)
    assert asyncio.run(model.step(PREFIX, 0)) == asyncio.run(model.step(PREFIX, 0))
    store.flush()
    assert len(pair.weak.calls) == 2
    assert not (tmp_path / "store").exists()
