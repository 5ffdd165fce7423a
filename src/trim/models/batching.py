"""Gather what concurrent episodes wait for into full batches of an in-process model."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from trim.errors import BackendError
from trim.models.protocols import Prefix, Score, Step


class BatchBackend(Protocol):
    """A model that answers many requests at once, all of one bucket (one tensor shape)."""

    batch_size: int

    def bucket(self, request: Any) -> Hashable:
        """Name the shape class of a request; a pure function of the request."""
        ...

    def run(self, requests: Sequence[Any]) -> list[Any]:
        """Answer at most `batch_size` requests of one bucket, in order."""
        ...


class BatchLoop:
    """Runs the fullest queue whenever no episode can move without an answer.

    A batch is run only when the event loop is idle, that is when every episode waits,
    so batches are as full as the number of live episodes allows.
    """

    def __init__(self) -> None:
        self._queues: dict[tuple[int, Hashable], deque[tuple[Any, asyncio.Future[Any]]]] = {}
        self._backends: dict[int, BatchBackend] = {}
        self._waiting = 0
        self._seen = 0
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def submit(self, backend: BatchBackend, request: Any) -> Any:
        """Wait for the answer to one request."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # an earlier one may have ended by an error, with requests still waiting
            self._loop = loop
            self._queues.clear()
            self._waiting, self._scheduled = 0, False
        future: asyncio.Future[Any] = loop.create_future()
        self._backends[id(backend)] = backend
        self._queues.setdefault((id(backend), backend.bucket(request)), deque()).append((request, future))
        self._waiting += 1
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._tick)
        return await future

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        if self._waiting != self._seen:  # episodes are still moving: let them reach their next request
            self._seen = self._waiting
            loop.call_soon(self._tick)
            return
        self._run_fullest()
        self._seen = -1
        self._scheduled = self._waiting > 0
        if self._scheduled:
            loop.call_soon(self._tick)

    def _run_fullest(self) -> None:
        key, queue = max(
            self._queues.items(), key=lambda item: min(len(item[1]), self._backends[item[0][0]].batch_size)
        )
        backend = self._backends[key[0]]
        batch = [queue.popleft() for _ in range(min(len(queue), backend.batch_size))]
        if not queue:
            del self._queues[key]
        self._waiting -= len(batch)
        waiting = [(request, future) for request, future in batch if not future.cancelled()]
        try:
            answers = backend.run([request for request, _ in waiting])
            if len(answers) != len(waiting):
                raise BackendError(f"{len(waiting)} requests got {len(answers)} answers")
        except Exception as error:
            for _, future in waiting:
                future.set_exception(error)
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            future.set_result(answer)


class BatchedStepModel:
    """A `StepModel` over an in-process backend whose requests are (prefix, replicate)."""

    def __init__(self, backend: BatchBackend, identity: str, loop: BatchLoop) -> None:
        self.identity = identity
        self._backend = backend
        self._loop = loop

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the step that follows the prefix."""
        step: Step = await self._loop.submit(self._backend, (prefix, replicate))
        return step


class BatchedStepScorer:
    """A `StepScorer` over an in-process backend whose requests are prefixes that end with the step to judge."""

    def __init__(self, backend: BatchBackend, identity: str, loop: BatchLoop) -> None:
        self.identity = identity
        self._backend = backend
        self._loop = loop

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Return the probability that the step is right given the prefix."""
        score: Score = await self._loop.submit(self._backend, prefix.extend(step))
        return score
