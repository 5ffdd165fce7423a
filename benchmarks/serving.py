"""What a served pair makes of its capacity: the engine keeps every slot busy, lockstep waits for the slowest.

    python -m benchmarks.serving

The servers are simulated, and so is their clock: it stands still while anything can run and jumps to the next answer
where nothing can. So figures do not depend on this machine, and hold for models that are slow against our own code.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.common import Options, Row, run_alone
from benchmarks.lockstep import BATCH, solve_in_lockstep
from benchmarks.pairs import MAX_STEPS, Simulated
from trim.models.protocols import ModelPair, Prefix, Score, Step
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.threshold import Threshold

SECONDS_A_TOKEN = {"weak": 0.008, "strong": 0.020}
SECONDS_TO_START = 0.05
SECONDS_A_SCORE = 0.06
TOKENS, STEPS = (10, 200), (4, 16)
THRESHOLD = 0.3
"""Scores are even in [0, 1): about three drafts of ten are written again."""


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: moves its clock on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is there; the time that would be waited for passes at once."""
        self.now += timeout or 0.0
        return super().select(0)


class SimulatedClock(asyncio.SelectorEventLoop):
    """An event loop of which the time is simulated."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the simulated time."""
        return self._jumping.now


@contextmanager
def simulated_time() -> Iterator[list[SimulatedClock]]:
    """Have `asyncio.run` make simulated clocks, and yield those that it made."""
    made: list[SimulatedClock] = []

    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            made.append(SimulatedClock())
            return made[-1]

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(Policy())
    try:
        yield made
    finally:
        asyncio.set_event_loop_policy(before)


@dataclass
class Server:
    """A model behind a server that answers so many requests at once; a token takes as long whatever the load."""

    model: Simulated
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BATCH))

    @property
    def identity(self) -> str:
        """Name the model."""
        return self.model.identity

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the next step, in its time."""
        step = await self.model.step(prefix, replicate)
        async with self.slots:
            await asyncio.sleep(SECONDS_TO_START + step.tokens * SECONDS_A_TOKEN[self.identity])
        return step

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Score a step, in its time."""
        async with self.slots:
            await asyncio.sleep(SECONDS_A_SCORE)
        return await self.model.score(prefix, step)


def served_pair() -> ModelPair:
    """Start three servers."""
    return ModelPair(*(Server(Simulated(name, TOKENS, STEPS)) for name in ("weak", "strong", "prm")))


def measure(options: Options) -> list[Row]:
    """Solve the same problems both ways on the same servers."""
    count = options.size(512, 64)
    rates, rates_lockstep = [], []
    for repetition in range(options.repetitions):
        problems = [Problem(str(i), "served", f"{repetition}/{i}", "1", str(i)) for i in range(count)]
        router = Threshold(THRESHOLD)
        with simulated_time() as clocks:
            episodes = solve_all([Run(problem, router, 0) for problem in problems], served_pair(), MAX_STEPS)
            costs = [episode.costs for episode in episodes]
            tokens = sum(cost.weak_tokens + cost.discarded_tokens + cost.strong_tokens for cost in costs)
            spent = asyncio.run(solve_in_lockstep(problems, router, served_pair(), 0, MAX_STEPS))
        assert spent.tokens == tokens, "both ways write the same solutions"
        ours, theirs = (clock.time() for clock in clocks)
        rates.append(tokens / ours)
        rates_lockstep.append(tokens / theirs)
    how = (
        f"simulated servers of {BATCH} slots each, {1000 * SECONDS_A_TOKEN['weak']:g} and "
        f"{1000 * SECONDS_A_TOKEN['strong']:g} ms a token, steps of {TOKENS[0]} to {TOKENS[1]} tokens, no step store"
    )
    what = f"throughput of a served pair, {count} problems at one threshold"
    return [Row("serving", what, "tokens/s", rates, rates_lockstep, 3, more=True, how=how)]


if __name__ == "__main__":
    run_alone(measure, __doc__)
