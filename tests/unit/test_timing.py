"""Where the time of an episode goes, on a clock that the models themselves move."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trim.models.batching import BatchedStepModel, BatchedStepScorer, BatchLoop, WholeBatches
from trim.models.protocols import FinishReason, ModelPair, Prefix, Score, Step
from trim.problems.problem import Problem
from trim.rollout.engine import solve
from trim.rollout.timing import (
    Event,
    Stopwatch,
    TimedBackend,
    TimedReader,
    TimedRouter,
    equal_share,
    hidden_seconds,
    unread,
)
from trim.routers.threshold import Threshold


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Model(WholeBatches):
    """Answers after a while."""

    clock: Clock
    takes: float
    answers: list[Any]
    batch_size: int = 1
    asked: list[Any] = field(default_factory=list)

    def run(self, requests: Sequence[Any]) -> list[Any]:
        self.clock.now += self.takes
        self.asked += requests
        return [self.answers.pop(0) for _ in requests]


def step(text: str) -> Step:
    finish = FinishReason.END_OF_SEQUENCE if "end" in text else FinishReason.SEPARATOR
    return Step(text, (1,), 1, finish)


def test_events_stand_in_the_order_in_which_they_were_waited_for() -> None:
    clock, loop = Clock(), BatchLoop()
    watch = Stopwatch(clock)
    weak = Model(clock, 2.0, [step("a\n\n"), step("b\n\n"), step("c end")])
    strong = Model(clock, 5.0, [step("B\n\n")])
    prm = Model(clock, 1.0, [Score(0.9, 1), Score(0.1, 1), Score(0.9, 1)])
    pair = ModelPair(
        BatchedStepModel(TimedBackend(weak, "draft", watch), "weak", loop),
        BatchedStepModel(TimedBackend(strong, "strong", watch), "strong", loop),
        BatchedStepScorer(TimedBackend(prm, "prm", watch), "prm", loop),
    )
    problem = Problem("0", "here", "why", "", "0")
    episode = asyncio.run(solve(problem, TimedRouter(Threshold(0.5), watch), pair, 0, 9))
    assert [kept.by_strong for kept in episode.kept] == [False, True, False]
    decided = ["draft", "prm", "router"]
    assert [event.part for event in watch.events] == [*decided, *decided, "strong", *decided]
    assert sum(event.seconds for event in watch.events) == clock.now == 14
    assert hidden_seconds(watch.events) == 1  # the first score: the step after the second is drafted behind no score


@pytest.mark.parametrize(
    ("events", "hidden"),
    [
        ([("draft", 2), ("prm", 1), ("router", 0.5), ("draft", 2), ("prm", 1)], 1.5),
        ([("draft", 2), ("prm", 3), ("draft", 2)], 2),  # no more than the draft is long
        ([("draft", 2), ("prm", 1), ("strong", 9), ("draft", 2)], 0),  # it was drafted in vain
        ([("draft", 2), ("prm", 1), ("strong", 9), ("prm", 1), ("draft", 2)], 1),  # behind the strong model's step
        ([("draft", 2), ("router", 0), ("draft", 2)], 0),  # nobody scores
        ([("strong", 2), ("strong", 2)], 0),
    ],
)
def test_drafting_ahead_hides_the_waiting_before_a_draft(events: list[tuple[Any, float]], hidden: float) -> None:
    assert hidden_seconds(Event(part, seconds) for part, seconds in events) == hidden


def test_the_share_of_problems_that_takes_as_long() -> None:
    seconds, weak, strong = np.array([3.0, 1, 13, 4]), np.array([1.0, 1, 1, 5]), np.array([11.0, 11, 11, 4])
    np.testing.assert_allclose(equal_share(seconds, weak, strong), [0.2, 0, 1.2, np.nan])


class Reader:
    """Reads a token a second, and writes a row's token in one more."""

    def __init__(self, clock: Clock, known: dict[bytes, int]) -> None:
        self.clock, self.pending, self.rows = clock, 0, 1
        self.memory = {digest: SimpleNamespace(length=length) for digest, length in known.items()}
        self.prompts = SimpleNamespace(length=lambda prefix: sum(len(node.text) for node in prefix.lineage()))

    def open(self, prefix: Prefix, tokens: int) -> int:
        self.pending += unread(self, prefix)  # type: ignore[arg-type]
        return 0

    def logits(self) -> tuple[list[int], str]:
        self.clock.now += self.pending + self.rows - bool(self.pending)
        self.pending = 0
        return [*range(self.rows)], "logits"


def test_a_pass_that_reads_and_writes_counts_for_both() -> None:
    clock, root = Clock(), Prefix.of("12345678")
    prefix = root.extend("9012")
    reader = Reader(clock, {root.digest: 5})
    timed = TimedReader(reader, Stopwatch(clock))  # type: ignore[arg-type]
    assert unread(reader, prefix) == 7  # type: ignore[arg-type]
    assert unread(Reader(clock, {prefix.digest: 12}), prefix) == 1  # type: ignore[arg-type]
    assert timed.open(prefix, 9) == 0
    assert timed.logits() == ([0], "logits")  # type: ignore[comparison-overlap]
    assert (timed.reading, clock.now) == (7, 7)
    timed.logits()
    assert (timed.reading, clock.now) == (7, 8)
    timed.open(prefix, 9)
    reader.rows = 3
    timed.logits()  # seven tokens of the new row, one of each other
    assert (timed.reading, clock.now) == (pytest.approx(14), 17)
    assert timed.prompts is reader.prompts
