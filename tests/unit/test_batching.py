"""Concurrent requests reach an in-process model in full batches, and each gets its own answer."""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from trim.errors import BackendError
from trim.models.batching import BatchBackend, BatchedStepModel, BatchedStepScorer, BatchLoop, WholeBatches
from trim.models.protocols import Prefix


@dataclass
class Squares(WholeBatches):
    """Squares numbers; the bucket is the last digit, some numbers are poison."""

    batch_size: int = 8
    poison: frozenset[int] = frozenset()
    batches: list[list[int]] = field(default_factory=list)

    def bucket(self, request: int) -> Hashable:
        return request % 10

    def run(self, requests: Sequence[int]) -> list[int]:
        self.batches.append(list(requests))
        if self.poison & set(requests):
            raise BackendError(f"poison in {sorted(requests)}")
        return [request**2 for request in requests]


async def chain(loop: BatchLoop, backend: BatchBackend, start: int, length: int) -> list[int]:
    """Ask several times, each time for something that depends on the answer before."""
    answers = [start]
    for _ in range(length):
        answers.append(await loop.submit(backend, answers[-1] % 1000 + start))
    return answers[1:]


def expected(start: int, length: int) -> list[int]:
    answers = [start]
    for _ in range(length):
        answers.append((answers[-1] % 1000 + start) ** 2)
    return answers[1:]


def test_answers_go_to_their_requests() -> None:
    loop, backends = BatchLoop(), [Squares(), Squares(batch_size=3)]

    async def main() -> list[list[int]]:
        return await asyncio.gather(*(chain(loop, backends[i % 2], i, i % 6) for i in range(300)))

    assert asyncio.run(main()) == [expected(i, i % 6) for i in range(300)]
    for first, backend in enumerate(backends):
        assert sum(map(len, backend.batches)) == sum(i % 6 for i in range(first, 300, 2))
        for batch in backend.batches:
            assert 1 <= len(batch) <= backend.batch_size
            assert len({request % 10 for request in batch}) == 1


def test_batches_are_full_while_enough_wait() -> None:
    loop, backend = BatchLoop(), Squares(batch_size=16)

    async def main() -> None:
        await asyncio.gather(*(loop.submit(backend, 10 * i + i % 2) for i in range(100)))

    asyncio.run(main())
    assert sorted(map(len, backend.batches)) == [2, 2] + [16] * 6


def test_a_batch_waits_until_every_episode_waits() -> None:
    # Episodes that reach their request a little later still get into the first batch.
    loop, backend = BatchLoop(), Squares(batch_size=64)

    async def one(i: int) -> list[int]:
        if i % 3:
            await asyncio.sleep(0)
        return [await loop.submit(backend, 10 * i + j) for j in range(4)]

    async def main() -> list[list[int]]:
        return await asyncio.gather(*(one(i) for i in range(60)))

    assert asyncio.run(main()) == [[(10 * i + j) ** 2 for j in range(4)] for i in range(60)]
    assert list(map(len, backend.batches)) == [60] * 4


def test_an_error_reaches_the_requests_of_its_batch_and_no_others() -> None:
    loop, backend = BatchLoop(), Squares(batch_size=4, poison=frozenset({13, 40}))

    async def main() -> list[Any]:
        return await asyncio.gather(*(loop.submit(backend, i) for i in range(100)), return_exceptions=True)

    answers = asyncio.run(main())
    failed = {i for i, answer in enumerate(answers) if isinstance(answer, BackendError)}
    poisoned = [batch for batch in backend.batches if set(batch) & {13, 40}]
    assert len(poisoned) == 2
    assert failed == {i for batch in poisoned for i in batch}
    assert all(answers[i] == i**2 for i in set(range(100)) - failed)


def test_too_few_answers_are_an_error_for_the_batch() -> None:
    class Short(Squares):
        def run(self, requests: Sequence[int]) -> list[int]:
            return super().run(requests)[:-1] if 5 in requests else super().run(requests)

    async def main() -> list[Any]:
        loop, backend = BatchLoop(), Short()
        wishes = [loop.submit(backend, i) for i in (5, 15, 25, 6)]
        return await asyncio.wait_for(asyncio.gather(*wishes, return_exceptions=True), 10)

    *failed, fine = asyncio.run(main())
    assert fine == 36
    assert [str(error) for error in failed] == ["3 requests got 2 answers"] * 3


def test_it_works_on_after_a_run_that_an_error_ended() -> None:
    loop, backend = BatchLoop(), Squares(batch_size=4, poison=frozenset(range(100)))

    async def fail() -> None:
        async with asyncio.TaskGroup() as tasks:
            for i in range(400):
                tasks.create_task(loop.submit(backend, i))

    with pytest.raises(ExceptionGroup):
        asyncio.run(fail())
    backend.poison, backend.batches = frozenset(), []

    async def work() -> list[int]:
        return await asyncio.wait_for(asyncio.gather(*(loop.submit(backend, i) for i in range(6))), 10)

    assert asyncio.run(work()) == [0, 1, 4, 9, 16, 25]
    assert sorted(sum(backend.batches, [])) == [0, 1, 2, 3, 4, 5]


def test_a_cancelled_request_is_not_computed() -> None:
    loop, backend = BatchLoop(), Squares()

    async def main() -> list[int]:
        tasks = [asyncio.create_task(loop.submit(backend, 10 * i)) for i in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return [await tasks[0], await tasks[2]]

    assert asyncio.run(main()) == [0, 400]
    assert backend.batches == [[0, 20]]


def test_models_and_scorers_ask_for_what_their_backend_understands() -> None:
    class Echo(Squares):
        def bucket(self, request: Any) -> Hashable:
            return 0

        def run(self, requests: Sequence[Any]) -> list[Any]:
            return list(requests)

    async def main() -> tuple[Any, Any]:
        loop, backend = BatchLoop(), Echo()
        model, scorer = BatchedStepModel(backend, "m", loop), BatchedStepScorer(backend, "s", loop)
        assert (model.identity, scorer.identity) == ("m", "s")
        return await asyncio.gather(model.step(root, 3), scorer.score(root, "a\n\n"))

    root = Prefix.of("problem")
    (prefix, replicate), judged = asyncio.run(main())
    assert (prefix, replicate) == (root, 3)
    assert judged.digest == Prefix.of("problem", "a\n\n").digest


@dataclass
class Countdowns:
    """Writes row by row, as a continuous generator does: a request n is answered after n passes by n."""

    batch_size: int = 4
    rows: dict[int, list[int]] = field(default_factory=dict)  # ticket -> passes left and in all
    passes: list[int] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.batch_size - len(self.rows)

    def bucket(self, request: int) -> Hashable:
        return None

    def advance(self, requests: Mapping[int, int]) -> dict[int, int]:
        self.rows |= {ticket: [request, request] for ticket, request in requests.items()}
        assert 0 < len(self.rows) <= self.batch_size
        done: dict[int, int] = {}
        while not done:
            self.passes.append(len(self.rows))
            for row in self.rows.values():
                row[0] -= 1
            done = {ticket: all_ for ticket, (left, all_) in self.rows.items() if not left}
        self.rows = {ticket: row for ticket, row in self.rows.items() if ticket not in done}
        return done


def test_a_finished_row_is_replaced_at_once() -> None:
    loop, backend = BatchLoop(), Countdowns()
    requests = [1 + i * 7 % 23 for i in range(60)]

    async def main() -> list[int]:
        return await asyncio.gather(*(loop.submit(backend, request) for request in requests))

    assert asyncio.run(main()) == requests
    assert sum(backend.passes) == sum(requests)
    assert set(backend.passes[: -max(requests)]) == {4}  # rows are empty only when nothing waits


def test_two_models_that_write_row_by_row_both_get_on() -> None:
    loop, backends = BatchLoop(), (Countdowns(), Countdowns(batch_size=2))

    async def episode(start: int) -> list[int]:
        return [await loop.submit(backends[(start + i) % 2], 1 + (start * i) % 5) for i in range(6)]

    async def main() -> list[list[int]]:
        return await asyncio.wait_for(asyncio.gather(*(episode(start) for start in range(20))), 10)

    assert asyncio.run(main()) == [[1 + (start * i) % 5 for i in range(6)] for start in range(20)]


def test_an_error_reaches_all_that_is_under_way() -> None:
    class Broken(Countdowns):
        def advance(self, requests: Mapping[int, int]) -> dict[int, int]:
            if 13 in requests.values():
                raise BackendError("poison")
            return super().advance(requests)

    async def main() -> list[Any]:
        loop, backend = BatchLoop(), Broken(batch_size=3)
        wishes = [loop.submit(backend, i) for i in (13, 50, 50, 2)]  # the newest are taken first
        return await asyncio.wait_for(asyncio.gather(*wishes, return_exceptions=True), 10)

    *failed, fine = asyncio.run(main())
    assert fine == 2
    assert [str(error) for error in failed] == ["poison"] * 3


@pytest.mark.parametrize(("lone", "busy_backend"), [(Squares(), Squares()), (None, Squares())], ids=["model", "bucket"])
def test_where_requests_come_without_end_a_lone_one_has_its_turn(lone: Squares | None, busy_backend: Squares) -> None:
    async def passes(patience: int | None) -> int:
        loop, begun = BatchLoop(patience), len(busy_backend.batches)

        async def ask_on() -> None:
            for _ in range(200):
                await loop.submit(busy_backend, 10)

        others = [asyncio.ensure_future(ask_on()) for _ in range(3)]
        await asyncio.sleep(0)
        assert await loop.submit(lone or busy_backend, 7) == 49
        waited = len(busy_backend.batches) - begun
        await asyncio.gather(*others)
        return waited

    assert asyncio.run(passes(None)) >= 200  # it was answered when the others had ended
    assert asyncio.run(passes(20)) <= 25
